import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { say } from './say.ts';

/** The folder of the bundle that this is part of; among the sources, the `dist/` of the checkout. */
function distFolder(): string {
  const here = import.meta.dirname;
  if (basename(here) === 'client' && basename(dirname(here)) === 'src') return join(here, '../../dist');
  return basename(here) === 'chunks' ? dirname(here) : here;
}

let told = false;

/**
 * Starts the helper beside a run that this process began: snapshot, system metrics, liveness. It has a session of its own,
 * so that no Ctrl-C and no closed terminal reaches it, and is waited for by nobody.
 */
export function startHelper(project: string, run: string, attempt: string): void {
  const file = join(distFolder(), 'waddle.js');
  if (!existsSync(file)) {
    if (!told)
      say('the waddle command is not here: the run is logged, without its code snapshot and system metrics');
    told = true;
    return;
  }
  const env = { ...process.env };
  // It must not take itself for a process of the job, nor load what the job loads.
  for (const name of ['WADDLE_RUN', 'WADDLE_ATTEMPT', 'NODE_OPTIONS', 'NODE_CHANNEL_FD']) delete env[name];
  const place = ['--dir', project, '--run', run, '--attempt', attempt];
  const child = spawn(
    process.execPath,
    [file, '__helper', '--role', 'init', ...place, '--pid', String(process.pid), '--cwd', process.cwd()],
    { cwd: project, env, detached: true, stdio: 'ignore' },
  );
  child.on('error', (error) => say(`the helper beside the run could not be started: ${error.message}`));
  child.unref();
}
