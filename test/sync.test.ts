import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { ended, freePort, Sandbox, until, WADDLE } from './support/sandbox.ts';

interface Moved {
  runs: string[];
  journals: { bytes: number };
  artifacts: { count: number; bytes: number };
  code: { count: number };
  problems: { code: string }[];
  removed_there: { run: string }[];
}

let here: Sandbox;
let there: Sandbox;
let disk: string;
beforeEach(() => {
  here = new Sandbox();
  there = new Sandbox();
  disk = join(here.folder, '../disk');
  mkdirSync(disk);
  for (const each of [here, there]) {
    expect(each.waddle('remote', 'add', 'disk', `file://${disk}`).status).toBe(0);
  }
});
afterEach(async () => {
  await here.remove();
  await there.remove();
});

const idOf = (sandbox: Sandbox) => sandbox.json<{ id: string }[]>('ls')[0]?.id ?? '';

test('a run made on one machine is seen, diffed and checked out on another, and edits meet', () => {
  here.write('train.py', 'import waddle\nwaddle.log({"loss": 1}, step=6)\nprint("hello from here")\n');
  expect(here.waddle('run', '--name', 'first', '--', 'python3', 'train.py').status).toBe(0);
  const id = idOf(here);
  const dry = here.json<Moved>('push', '--dry-run');
  expect(dry.runs).toEqual([id]);
  expect(readdirSync(disk)).toEqual([]);
  const pushed = here.json<Moved>('push');
  expect(pushed).toMatchObject({ runs: [id], code: { count: 2 }, problems: [] });
  expect(here.json<Moved>('push').runs).toEqual([]);

  const pulled = there.json<Moved>('pull');
  // The commit that it began from is the same there.
  expect(pulled).toMatchObject({ runs: [id], code: { count: 1 }, problems: [] });
  expect(there.waddle('logs', id).stdout).toContain('hello from here');
  expect(there.waddle('checkout', id, 'out').status).toBe(0);
  expect(readFileSync(join(there.folder, 'out/train.py'), 'utf8')).toContain('hello from here');
  expect(there.waddle('doctor').stdout).not.toContain('is in no repository');
  // A client without Node finds it by its name, and goes on after its last step.
  const head = () => JSON.parse(readFileSync(join(there.folder, '.waddle/runs', id, 'head.json'), 'utf8'));
  expect(head()).toMatchObject({ id, name: 'first', project: 'default', last_step: 6 });

  expect(there.waddle('tag', id, 'seen=yes').status).toBe(0);
  expect(here.waddle('rename', id, 'renamed').status).toBe(0);
  for (const each of [there, here, there]) expect(each.waddle('push').status).toBe(0);
  for (const each of [there, here]) {
    expect(each.waddle('pull').status).toBe(0);
    const shown = each.json<{ run: { name: string }; tags: object }>('show', id);
    expect(shown).toMatchObject({ run: { name: 'renamed' }, tags: { seen: 'yes' } });
  }
  expect(head()).toMatchObject({ name: 'renamed', last_step: 6 });
}, 180_000);

test('a removal is told, stays what it is without --prune, and does not come back by a pull', () => {
  expect(here.waddle('run', '--', 'true').status).toBe(0);
  const id = idOf(here);
  here.json('push');
  there.json('pull');
  expect(here.waddle('rm', id, '--yes').status).toBe(0);
  expect(here.waddle('pull').status).toBe(0);
  expect(here.json('ls')).toEqual([]);
  expect(here.waddle('push').status).toBe(0);
  const told = there.json<Moved>('pull');
  expect(told.removed_there).toMatchObject([{ run: id }]);
  expect(idOf(there)).toBe(id);
  expect(there.json<{ pruned: string[] }>('pull', '--prune').pruned).toEqual([id]);
  expect(there.json('ls')).toEqual([]);
});

test('a secret stops the push, with its place', () => {
  const key = `${'AKIA'}QX3ZN7B4WPLM2KTD`;
  here.write(
    'train.py',
    `# one\nkey = "${key}"\nprint("token ${'ghp'}_q7Zk2mVx9LpR4tYw8NsB3hJd6FgCa1eU5oTi")\n`,
  );
  expect(here.waddle('run', '--', 'python3', 'train.py').status).toBe(0);
  const stopped = here.waddle('push');
  expect(stopped.status).toBe(1);
  expect(stopped.stderr).toMatch(/train\.py:2: AWS access key/);
  expect(stopped.stderr).toMatch(/console line 1: GitHub token/);
  expect(stopped.stderr).toContain('--allow-secrets');
  expect(stopped.stderr).not.toContain(key);
  expect(readdirSync(disk)).toEqual([]);
  expect(here.waddle('push', '--allow-secrets').status).toBe(0);
  expect(here.waddle('push').status).toBe(0);
});

test('a run with secrets is redacted as a copy, which is pushed in its place', () => {
  const key = `${'AKIA'}QX3ZN7B4WPLM2KTD`;
  const token = `${'ghp'}_q7Zk2mVx9LpR4tYw8NsB3hJd6FgCa1eU5oTi`;
  const password = 'q7Zk2mVx9LpR4tYw8N';
  const body = 'MIIEpAIBAAKCAQEAx0/Zk2mVx9LpR4tYw8NsB3hJd6FgCa1eU5oTi';
  const begin = `-----BEGIN ${'PRIVATE'} KEY-----`;
  here.write(
    'lib/keys.py',
    `# one\nkey = "${key}"\npem = '''${begin}\n${body}\n-----END ${'PRIVATE'} KEY-----'''\n`,
  );
  writeFileSync(join(here.folder, 'old.txt'), Buffer.from(`café ${key}\n`, 'latin1'));
  // In the commit that the run begins from too.
  here.git('add', 'lib');
  here.git('commit', '-qm', 'keys');
  here.write(
    'train.py',
    [
      'import waddle',
      'import lib.keys as keys',
      'run = waddle.init()',
      `run.log_param("optimizer", {"lr": 0.1, "api_key": "${password}"})`,
      'for step in range(30): run.log({"loss": 1 / (step + 3)}, step=step)',
      // More than a push would tell of.
      `for _ in range(120): print("token ${token} is used")`,
      'print(keys.pem)',
      'print("done")',
    ].join('\n'),
  );
  const args = ['--', 'python3', 'train.py', '--access-token', password];
  expect(here.waddle('run', '--name', 'first', ...args).status).toBe(0);
  const first = idOf(here);
  expect(here.waddle('note', '@last', `see https://me:${password}@example.org/`).status).toBe(0);
  expect(here.waddle('push').stderr).toContain('waddle redact');

  const told = here.json<{ run: string; copy: string; secrets: { place: string }[] }>('redact', 'first');
  expect(told.run).toBe(first);
  const places = told.secrets.map(({ place }) => place).join('\n');
  for (const place of [
    'keys.py:2',
    'train.py:4',
    'console line 1',
    'param optimizer.api_key',
    'edit value',
  ]) {
    expect(places).toContain(place);
  }
  expect(places).toContain('arguments');
  expect(idOf(here)).toBe(told.copy);
  expect(here.waddle('push').status).toBe(0);
  expect(there.waddle('pull').status).toBe(0);
  expect(idOf(there)).toBe(told.copy);
  expect(there.waddle('show', first).status).toBe(1);
  const page = there.waddle('show', told.copy, '--json').stdout;
  expect(JSON.parse(page)).toMatchObject({
    run: { name: 'first', status: 'completed' },
    tags: { waddle_redacted: first },
    params: { optimizer: { lr: 0.1, api_key: '[redacted]' } },
    metrics: { loss: { count: 30, last: 1 / 32 } },
  });
  const printed = there.waddle('logs', told.copy).stdout;
  expect(printed).toContain('token [redacted] is used');
  expect(printed).toContain('done');
  expect(there.waddle('checkout', told.copy, 'code').status).toBe(0);
  const code = ['lib/keys.py', 'train.py'].map((path) =>
    readFileSync(join(there.folder, 'code', path), 'utf8'),
  );
  expect(code.join('')).toContain('# one\nkey = "[redacted]"');
  expect(code.join('')).toContain('print("done")');
  expect(readFileSync(join(there.folder, 'code/old.txt'), 'latin1')).toBe('café [redacted]\n');
  for (const secret of [key, token, password, body]) {
    for (const text of [page, printed, ...code]) expect(text).not.toContain(secret);
  }

  // The first is left as it was until gc, and can be brought back.
  expect(here.waddle('rm', '--undo', first).status).toBe(0);
  expect(here.waddle('logs', first).stdout).toContain(token);
  expect(here.waddle('push', '--allow-secrets').status).toBe(0);
  const refused = here.waddle('redact', first);
  expect(refused.status).toBe(1);
  expect(refused.stderr).toMatch(/has the run .* already, with its secrets/);
  expect(here.waddle('remote', 'rm', 'disk').status).toBe(0);
  const env = { ...here.env, WADDLE_REMOTE: `file://${disk}` };
  const again = spawnSync(WADDLE, ['redact', first], { cwd: here.folder, env, encoding: 'utf8' });
  expect(again.stderr).toMatch(/has the run .* already, with its secrets/);
  expect(there.waddle('pull').status).toBe(0);
  expect(there.waddle('remote', 'rm', 'disk').status).toBe(0);
  expect(there.waddle('redact', first).stderr).toContain('came from elsewhere');
});

test('remotes are listed without their tokens, which only the owner can read', () => {
  const token = 'wdl_secret_token';
  expect(
    here.waddle('remote', 'add', 'lab', 'https://me:pw@lab.invalid/x?y=1', '--token', token).status,
  ).toBe(0);
  expect(statSync(join(here.folder, '.waddle/remotes.json')).mode & 0o777).toBe(0o600);
  const listed = here.waddle('remote', 'ls', '--json').stdout;
  expect(listed).toContain('https://lab.invalid/x');
  expect(listed).not.toMatch(/wdl_secret|me:pw/);
  expect(here.waddle('remote', 'add', 'lab', 'https://other.invalid').status).toBe(1);
  expect(here.waddle('remote', 'add', 'bad', 'ftp://x').status).toBe(2);
  expect(here.waddle('push', '--remote', 'nowhere').status).toBe(1);
  expect(here.waddle('remote', 'rm', 'lab').status).toBe(0);
  expect(here.waddle('remote', 'test').stderr).toContain('answers in');
  expect(existsSync(join(here.folder, '.waddle/runs'))).toBe(true);
});

test('a run that is pushed while it goes is seen before it ends, and a dead network holds up nothing', async () => {
  here.write(
    'train.py',
    'import os, time\nprint("begun", flush=True)\nwhile not os.path.exists("go"): time.sleep(0.05)\nprint("ended")\n',
  );
  const running = here.start(WADDLE, ['run', '--push', '--name', 'live', '--', 'python3', 'train.py']);
  await until(
    () => there.waddle('pull').status === 0 && there.waddle('logs', 'live').stdout.includes('begun'),
    'the run is seen while it goes',
  );
  const id = idOf(there);
  expect(there.waddle('show', id).stdout).toMatch(/running as of .*, pulled/);
  expect(there.waddle('stop', id).stderr).toContain('was pulled');
  here.write('go', '');
  await ended(running);
  await until(() => readdirSync(join(here.folder, '.waddle/live')).length === 0, 'all of it is pushed');
  there.waddle('pull');
  expect(there.waddle('logs', id).stdout).toContain('ended');
  expect(there.waddle('show', id).stdout).toContain('completed');

  const port = await freePort();
  const env = { ...here.env, WADDLE_REMOTE: `http://127.0.0.1:${port}` };
  const alone = spawnSync(WADDLE, ['run', '--push', '--', 'true'], {
    cwd: here.folder,
    env,
    encoding: 'utf8',
  });
  expect(alone.status).toBe(0);
  expect(alone.stderr).toMatch(/not all of it is pushed to .*; waddle push \w+ catches up/);
  const [left] = readdirSync(join(here.folder, '.waddle/live')).filter((name) => name.endsWith('.json'));
  const state = readFileSync(join(here.folder, '.waddle/live', left ?? ''), 'utf8');
  process.kill((JSON.parse(state) as { pid: number }).pid, 'SIGKILL');
  expect(here.json<Moved>('push').runs).toHaveLength(1);
  expect(readdirSync(join(here.folder, '.waddle/live'))).toEqual([]);
});
