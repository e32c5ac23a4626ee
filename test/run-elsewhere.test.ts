/** Runs whose code, name or folder is not where one would look first. */

import { spawnSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { Sandbox, WADDLE } from './support/sandbox.ts';

let sandbox: Sandbox;
beforeEach(() => {
  sandbox = new Sandbox();
});
afterEach(() => sandbox.remove());

it('pins the project’s repository where --dir names it from a folder that no repository holds', () => {
  sandbox.write('train.py', 'def waddle_main(run, argv):\n    run.log_metric("loss", 0, 1.0)\n');
  const outside = join(dirname(sandbox.folder), 'outside');
  mkdirSync(outside);
  const { status, stderr } = spawnSync(WADDLE, ['run', '--dir', sandbox.folder, '--entry', 'train'], {
    cwd: outside,
    env: sandbox.env,
    encoding: 'utf8',
  });
  expect(status, stderr).toBe(0);
  const { snapshot } = sandbox.json<{ snapshot: { base: string; commit: string } }>('show', '@last');
  expect(snapshot.base).toBe(sandbox.git('rev-parse', 'HEAD').trim());
  expect(sandbox.git('show', `${snapshot.commit}:train.py`)).toContain('waddle_main');
});

it('names the run at its end as the job named it', () => {
  sandbox.write('job.py', 'import waddle\nwaddle.init(name="from the job")\n');
  const { stderr } = sandbox.waddle('run', '--', 'python3', 'job.py');
  expect(stderr).toMatch(/\(from the job\) completed/);
});

it('says so where the job removed its own record', () => {
  // Its supervisor is held meanwhile: whatever it has not opened yet is not there any more.
  const job = 'kill -STOP $WADDLE_SUPERVISOR_PID; rm -rf .waddle; kill -CONT $WADDLE_SUPERVISOR_PID; exit 5';
  const { status, stderr } = sandbox.waddle('run', '--', 'sh', '-c', job);
  expect(status, stderr).toBe(5);
  expect(stderr).toContain('was removed while the job ran');
  expect(stderr).not.toContain('waddle show');
});
