/** docs/team.md, command for command: a collector, two machines that push and pull, and a third that only reads. */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { pageBlock } from './support/page-block.ts';
import { freePort, ROOT, Sandbox, until } from './support/sandbox.ts';

const block = (name: string) => pageBlock('docs/team.md', name);

const sandboxes: Sandbox[] = [];
afterEach(async () => {
  for (const sandbox of sandboxes.splice(0)) await sandbox.remove();
});

function machine(options?: { git: boolean }): Sandbox {
  const sandbox = new Sandbox(options);
  sandbox.env.PATH = `${join(ROOT, 'bin')}:${sandbox.env.PATH}`;
  sandboxes.push(sandbox);
  return sandbox;
}

/** Runs the lines as a person would type them, and stops at the first that fails. */
function type(on: Sandbox, lines: string) {
  const { status, stdout, stderr } = spawnSync('sh', ['-e', '-c', lines], {
    cwd: on.folder,
    env: on.env,
    encoding: 'utf8',
  });
  expect([status, status === 0 ? '' : stderr]).toEqual([0, '']);
  return { stdout, stderr };
}

test('its commands take a stranger to a team’s collector', { timeout: 180_000 }, async () => {
  const [server, ada, bob, eve] = [machine({ git: false }), machine(), machine(), machine({ git: false })];
  const port = await freePort();
  // The folder and the port are this test's own; nothing else of the page is changed.
  const own = (text: string) =>
    text.replaceAll('/srv/waddle', join(server.folder, 'srv')).replaceAll('8080', String(port));
  const collector = server.start('sh', ['-c', `exec ${own(block('server')).trim()}`], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let said = '';
  collector.stderr?.on('data', (data) => {
    said += String(data);
  });
  await until(() => said.includes('Ctrl-C ends it.'), 'the collector is up');

  const tokens = type(server, own(block('tokens')))
    .stdout.trim()
    .split('\n');
  expect(tokens).toHaveLength(3);
  const given = (text: string) =>
    own(text)
      .replaceAll('ADAS_TOKEN', tokens[0] ?? '')
      .replaceAll('BOBS_TOKEN', tokens[1] ?? '')
      .replaceAll('EVES_TOKEN', tokens[2] ?? '');

  const exported = block('ada').split('\n')[0] ?? '';
  ada.write('train.py', block('ada: train.py'));
  expect(type(ada, given(block('ada'))).stderr).toContain('1 run');
  expect(type(ada, given(`${exported}\n${block('ada, live')}`)).stderr).toMatch(
    new RegExp(`pushed to team as it goes: http://127.0.0.1:${port}/runs/[a-z2-7]{12}\\n`),
  );
  const reproduced = type(bob, given(block('bob')));
  expect(reproduced.stdout).toContain('first');
  const runs = JSON.parse(type(eve, given(block('eve'))).stdout) as {
    name: string;
    status: string;
    project: string;
  }[];
  expect(runs.map(({ status, project }) => [status, project])).toEqual([
    ['completed', 'demo'],
    ['completed', 'demo'],
    ['completed', 'demo'],
  ]);
  expect(runs.map(({ name }) => name)).toEqual(expect.arrayContaining(['first', 'second']));
  const refused = spawnSync(
    'curl',
    [
      '-s',
      '-o',
      '/dev/null',
      '-w',
      '%{http_code}',
      '-X',
      'DELETE',
      '-H',
      `Authorization: Bearer ${tokens[2]}`,
      `http://127.0.0.1:${port}/api/runs/aaaaaaaaaaaa`,
    ],
    { encoding: 'utf8' },
  );
  expect(refused.stdout).toBe('403');
});
