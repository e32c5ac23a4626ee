/** `waddle run`, as its users meet it: real jobs, signals, terminals. */
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { listRuns } from '../src/journal/discover.ts';
import { ended, type Finished, ROOT, Sandbox, until, WADDLE } from './support/sandbox.ts';

let sandbox: Sandbox;
beforeEach(() => {
  sandbox = new Sandbox();
});
afterEach(() => sandbox.remove());

interface RunRow {
  id: string;
  name: string;
  status: string;
  exit_code: number | null;
  signal: string | null;
  reason: string | null;
  parent: string | null;
  error_type: string | null;
  error_message: string | null;
}

/** The newest run, after the store was brought up to date. */
function newest(): RunRow {
  sandbox.waddle('ls');
  const [row] = sandbox.query<RunRow>('SELECT * FROM runs ORDER BY started_at DESC, num DESC LIMIT 1');
  if (row === undefined) throw new Error('there is no run');
  return row;
}

/** Of the newest run's latest attempt. */
const traceback = () =>
  sandbox
    .query<{ traceback: string }>('SELECT traceback FROM attempts WHERE run = (SELECT max(num) FROM runs)')
    .at(-1)?.traceback;

/** The console lines of the newest run's stream, in order; their numbers must be 0, 1, 2, … */
function lines(stream: 1 | 2 = 1): string[] {
  const rows = sandbox.query<{ n: number; text: string }>(
    'SELECT n, text FROM console WHERE stream = ? AND run = (SELECT max(num) FROM runs) ORDER BY n',
    stream,
  );
  expect(rows.map(({ n }) => n)).toEqual(rows.map((_, index) => index));
  return rows.map(({ text }) => text);
}

function runFolders(): string[] {
  const runs = join(sandbox.folder, '.waddle/runs');
  return listRuns(runs).map((id) => join(runs, id));
}

/** The text of a file that a job writes to show that it has come so far; '' before. */
const read = (name: string) => {
  const path = join(sandbox.folder, name);
  return existsSync(path) ? readFileSync(path, 'utf8') : '';
};

const PYTHON = 'python3';
const alive = (pid: number) =>
  existsSync(`/proc/${pid}`) && !/^\d+ \(.*\) Z/.test(read0(`/proc/${pid}/stat`));
const read0 = (path: string) => {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
};

interface OnTerminal {
  status: number | null;
  signal: number | null;
  output: string;
}

/** Runs waddle in the foreground of a terminal, typing keys after texts that appear. */
function onTerminal(steps: [string, string][], ...args: string[]): OnTerminal {
  const script = join(ROOT, 'test/support/terminal.py');
  const text = execFileSync(PYTHON, [script, JSON.stringify(steps), WADDLE, ...args], {
    cwd: sandbox.folder,
    env: sandbox.env,
    encoding: 'utf8',
  });
  return JSON.parse(text) as OnTerminal;
}

describe('the outcome', () => {
  it("is the job's own exit code, and both streams pass through", () => {
    const done = sandbox.waddle('run', '-q', '--', 'sh', '-c', 'echo out; echo err >&2; exit 3');
    expect(done).toEqual<Finished>({ status: 3, signal: null, stdout: 'out\n', stderr: 'err\n' });
    expect(newest()).toMatchObject({ status: 'failed', exit_code: 3, signal: null });
    expect([lines(1), lines(2)]).toEqual([['out'], ['err']]);
  });

  it('tells at its end which run it was, on stderr alone', () => {
    const done = sandbox.waddle('run', '--name', 'one', '--', 'true');
    expect(done.status).toBe(0);
    expect(done.stdout).toBe('');
    const { id } = newest();
    const commit = sandbox.git('rev-parse', 'HEAD').slice(0, 10);
    expect(done.stderr).toMatch(new RegExp(`run ${id} \\(one\\) completed after [\\d.]+m?s\\n`));
    expect(done.stderr).toContain(`commit ${commit}`);
    expect(done.stderr).toContain(`waddle show ${id}`);
  });

  it('is failed with the signal where nobody asked for it', () => {
    expect(sandbox.waddle('run', '--', 'sh', '-c', 'kill -SEGV $$').status).toBe(139);
    expect(newest()).toMatchObject({ status: 'failed', exit_code: 139, signal: 'SIGSEGV' });
  });

  it('is 127 for a command that is not there, 126 for one that is no program', () => {
    const missing = sandbox.waddle('run', '--', 'no-such-command', 'x');
    expect(missing.status).toBe(127);
    expect(missing.stderr).toContain('there is no command "no-such-command"');
    expect(newest()).toMatchObject({ status: 'failed', exit_code: 127 });
    expect(sandbox.waddle('run', '--', './README').status).toBe(126);
  });

  it('keeps an exception with its traceback', () => {
    sandbox.write('train.py', 'def waddle_main(run, argv):\n    raise ValueError("no: " + argv[0])\n');
    const done = sandbox.waddle('run', '--entry', 'train', '--', 'data');
    expect(done.status).toBe(1);
    expect(done.stderr).toContain('ValueError: no: data');
    expect(newest()).toMatchObject({
      status: 'failed',
      error_type: 'ValueError',
      error_message: 'no: data',
    });
    expect(traceback()).toContain('train.py", line 2');
  });
});

describe('bad requests make no run', () => {
  it.each([
    [['run'], 2, 'there is nothing to run'],
    [['run', '--tag', 'x', '--', 'true'], 2, 'not of the form key=value'],
    [['run', '--entry', 'src/train.py'], 2, 'waddle run -- python src/train.py'],
    [['run', '--entry', 'train.ts'], 1, 'there is no file'],
    [['run', '--repo', 'main', '--', 'true'], 1, 'waddle repo-link --name main --path'],
    [['run', '--python', 'no-such-python', '--entry', 'x'], 1, 'no Python interpreter "no-such-python"'],
    [['run', '--resume', 'nothing', '--', 'true'], 1, 'there is no run "nothing"'],
    [['run', '--bogus', '--', 'true'], 2, '--bogus'],
    [['--dir', '/tmp', 'run', '--', 'true'], 2, 'Options follow the command'],
  ])('%j', (args, status, message) => {
    const done = sandbox.waddle(...args);
    expect(done.stderr).toContain(message);
    expect(done.status).toBe(status);
    expect(runFolders()).toEqual([]);
  });

  it('and a .waddle that cannot be made is told before the job starts', () => {
    sandbox.write('.waddle', 'a file\n');
    const done = sandbox.waddle('run', '--', 'sh', '-c', 'echo started');
    expect(done.status).toBe(1);
    expect(done.stdout).toBe('');
    expect(done.stderr).toContain('cannot be written');
  });

  it('and without any Python the request says what to install', () => {
    const done = spawnSync(WADDLE, ['run', '--entry', 'train'], {
      cwd: sandbox.folder,
      env: { ...sandbox.env, PATH: onlyBasics() },
      encoding: 'utf8',
    });
    expect(done.stderr).toContain('there is no Python interpreter');
    expect(done.status).toBe(1);
  });
});

/** A PATH with what `bin/waddle` and git need, and no Python. */
function onlyBasics(): string {
  const folder = join(sandbox.folder, '../bin');
  mkdirSync(folder);
  for (const name of ['sh', 'dirname', 'readlink', 'uname', 'git']) {
    const path = execFileSync('sh', ['-c', `command -v ${name}`], { encoding: 'utf8' }).trim();
    writeFileSync(join(folder, name), `#!/bin/sh\nexec ${path} "$@"\n`, { mode: 0o755 });
  }
  return folder;
}

describe('output', () => {
  it('keeps the last state of a line that is redrawn', () => {
    const bar =
      "for i in 1 2 3; do printf '\\r%s%%' $i; done; printf '\\n'; printf 'a\\rb\\r\\n'; printf 'open'";
    const done = sandbox.waddle('run', '-q', '--', 'sh', '-c', bar);
    expect(done.stdout).toBe('\r1%\r2%\r3%\na\rb\r\nopen');
    newest();
    expect(lines()).toEqual(['3%', 'b', 'open']);
  });

  it('keeps NUL bytes, broken UTF-8 and lines of any length', () => {
    sandbox.write(
      'odd.py',
      "import sys\nw = sys.stdout.buffer.write\nw(b'a\\0b\\n\\xff\\xfe\\n' + 'é'.encode() * 100_000 + b'\\n')\n",
    );
    expect(sandbox.waddle('run', '-q', '--', PYTHON, 'odd.py').status).toBe(0);
    newest();
    const [nul, broken, ...long] = lines();
    expect(nul).toBe('a\0b');
    expect(broken).toBe('\ufffd\ufffd');
    expect(long.length).toBe(4);
    expect(long.map((line) => line.replace(/…$/, '')).join('')).toBe('é'.repeat(100_000));
  });

  it('reaches the terminal as it comes, before the line is finished', async () => {
    const child = sandbox.start(
      WADDLE,
      ['run', '-q', '--', 'sh', '-c', "printf 'so far'; while [ ! -e go ]; do sleep 0.02; done; echo"],
      { stdio: ['ignore', 'pipe', 'inherit'] },
    );
    let shown = '';
    child.stdout?.on('data', (bytes) => {
      shown += String(bytes);
    });
    await until(() => shown === 'so far', 'the unfinished line is shown');
    await until(() => journalText().includes('"x":"so far","p":true'), 'it is in the journal as unfinished');
    sandbox.write('go', '');
    expect((await ended(child)).status).toBe(0);
    newest();
    expect(lines()).toEqual(['so far']);
  });

  it('outlives a reader that goes away', () => {
    const script = `"${WADDLE}" run -q -- seq 1 50000 | head -1; echo "\${PIPESTATUS[0]}"`;
    const done = spawnSync('bash', ['-c', script], {
      cwd: sandbox.folder,
      env: sandbox.env,
      encoding: 'utf8',
    });
    expect(done.stdout).toBe('1\n0\n');
    expect(newest().status).toBe('completed');
    expect(lines().length).toBe(50_000);
  });

  it('of a finished run lies in its journals alone', () => {
    sandbox.waddle('run', '-q', '--', 'echo', 'x');
    const [folder = ''] = runFolders();
    expect(readdirSync(folder).filter((name) => name.endsWith('.log'))).toEqual([]);
  });
});

function journalText(): string {
  return runFolders()
    .flatMap((folder) => readdirSync(folder).map((name) => join(folder, name)))
    .filter((path) => path.endsWith('.jsonl'))
    .map((path) => readFileSync(path, 'utf8'))
    .join('');
}

describe('the job', () => {
  it("reads waddle's own stdin", () => {
    const done = spawnSync(WADDLE, ['run', '-q', '--', 'cat'], {
      cwd: sandbox.folder,
      env: sandbox.env,
      encoding: 'utf8',
      input: 'some input\n',
    });
    expect(done.stdout).toBe('some input\n');
  });

  it('finds its run in the environment, and the Python client without installing it', () => {
    sandbox.write(
      'train.py',
      'import waddle\nrun = waddle.init()\nrun.log_metric("loss", 1, 0.5)\nprint(run.id)\n',
    );
    const done = spawnSync(WADDLE, ['run', '-q', '--', PYTHON, 'train.py'], {
      cwd: sandbox.folder,
      env: { ...sandbox.env, PYTHONPATH: '' },
      encoding: 'utf8',
    });
    expect(done.stderr).toBe('');
    const { id } = newest();
    expect(done.stdout).toBe(`${id}\n`);
    expect(sandbox.query('SELECT step, value FROM metrics WHERE run_id = ? AND key = ?', id, 'loss')).toEqual(
      [{ step: 1, value: 0.5 }],
    );
  });

  it('that calls waddle run makes a child run', () => {
    sandbox.waddle('run', '-q', '--', 'sh', '-c', `"${WADDLE}" run -q --name inner -- true`);
    sandbox.waddle('ls');
    const rows = sandbox.query<RunRow>('SELECT id, name, parent FROM runs ORDER BY started_at');
    expect(rows.map(({ parent }) => parent)).toEqual([null, rows[0]?.id]);
    expect(rows[1]?.name).toBe('inner');
  });

  it('takes what flags, environment and waddle.json say, in this order', () => {
    sandbox.write(
      'waddle.json',
      JSON.stringify({ run: { project: 'file', name: 'file', group: 'file', tags: { a: '1', b: '1' } } }),
    );
    spawnSync(WADDLE, ['run', '-q', '--name', 'flag', '--tag', 'b=2', '--', 'true'], {
      cwd: sandbox.folder,
      env: { ...sandbox.env, WADDLE_PROJECT: 'environment', WADDLE_NAME: 'environment' },
    });
    const { id, name } = newest();
    const [row] = sandbox.query('SELECT project, "group" FROM runs WHERE id = ?', id);
    expect({ name, ...row }).toEqual({ name: 'flag', project: 'environment', group: 'file' });
    const tags = sandbox.query(
      'SELECT key, value FROM tags WHERE run = (SELECT num FROM runs WHERE id = ?) ORDER BY key',
      id,
    );
    expect(tags).toEqual([
      { key: 'a', value: '1' },
      { key: 'b', value: '2' },
    ]);
  });

  it('runs in a linked repository, and from a subfolder in that', () => {
    mkdirSync(join(sandbox.folder, 'deep'));
    const other = join(sandbox.folder, '../other');
    execFileSync('git', ['init', '--quiet', other], { env: sandbox.env });
    expect(sandbox.waddle('repo-link', '--name', 'other', '--path', other).status).toBe(0);
    expect(sandbox.waddle('repo-link', '--name', 'main', '--path', '.').status).toBe(0);
    expect(sandbox.waddle('run', '-q', '--repo', 'other', '--', 'pwd').stdout).toBe(
      `${join(other)}\n`.replace('/project/..', ''),
    );
    const inside = spawnSync(WADDLE, ['run', '-q', '--repo', 'main', '--', 'pwd'], {
      cwd: join(sandbox.folder, 'deep'),
      env: sandbox.env,
      encoding: 'utf8',
    });
    expect(inside.stdout).toBe(`${join(sandbox.folder, 'deep')}\n`);
  });

  it('needs no git repository, and bears a folder of any name', async () => {
    const odd = new Sandbox({ git: false });
    try {
      const folder = join(odd.folder, `it's "odd" $HOME 🦆\n%d`);
      mkdirSync(folder);
      writeFileSync(
        join(folder, 'job.py'),
        'def waddle_main(run, argv):\n    run.log_param("p", argv)\n    print("ran")\n',
      );
      const done = spawnSync(WADDLE, ['run', '--entry', 'job', '--', "a 'b'\n🦆"], {
        cwd: folder,
        env: odd.env,
        encoding: 'utf8',
      });
      expect(done.status, done.stderr).toBe(0);
      expect(done.stdout).toBe('ran\n');
      expect(existsSync(join(folder, '.waddle/waddle.sqlite'))).toBe(true);
    } finally {
      await odd.remove();
    }
  });

  it('names the module that is not there', () => {
    const done = sandbox.waddle('run', '--entry', 'no.such.module');
    expect(done.status).toBe(1);
    expect(done.stderr).toContain("no module named 'no.such.module'");
    expect(newest().status).toBe('failed');
  });

  it('is watched for changes of its code while it runs', () => {
    sandbox.waddle('run', '-q', '--', 'sh', '-c', 'echo more >> README; echo new > new');
    const { id } = newest();
    expect(
      sandbox.query(
        "SELECT value FROM tags WHERE key = 'waddle_code_changed' AND run = (SELECT num FROM runs WHERE id = ?)",
        id,
      ).length,
    ).toBe(1);
  });
});

describe('TypeScript entries', () => {
  it('get the run and their arguments, and find the client without installing it', () => {
    sandbox.write(
      'train.ts',
      `import { log } from 'waddleml/client';
       export function waddleMain(run: { logParam(key: string, value: unknown): void }, argv: string[]): void {
         run.logParam('argv', argv);
         log({ loss: 0.25 }, { step: 7 });
         console.log('trained');
       }`,
    );
    const done = sandbox.waddle('run', '-q', '--entry', 'train.ts', '--', '--epochs', '3');
    expect(done).toMatchObject({ status: 0, stdout: 'trained\n', stderr: '' });
    const { id } = newest();
    expect(sandbox.query('SELECT step, value FROM metrics WHERE run_id = ? AND key = ?', id, 'loss')).toEqual(
      [{ step: 7, value: 0.25 }],
    );
  });

  it('fail with their stack, and a hint where Node cannot run the syntax', () => {
    sandbox.write('train.ts', 'export default async () => { throw new RangeError("too far"); };\n');
    expect(sandbox.waddle('run', '-q', '--entry', 'train.ts').status).toBe(1);
    expect(newest()).toMatchObject({
      status: 'failed',
      error_type: 'RangeError',
    });
    expect(traceback()).toContain('train.ts:1');
    sandbox.write('enum.ts', 'export enum Kind { A }\nexport default () => Kind.A;\n');
    const done = sandbox.waddle('run', '-q', '--entry', 'enum.ts');
    expect(done.stderr).toContain('npx tsx');
    expect(done.status).toBe(1);
  });

  it('may name another function', () => {
    sandbox.write(
      'train.mjs',
      'export const tools = { go: (run, argv) => console.log("went", argv.length) };\n',
    );
    expect(sandbox.waddle('run', '-q', '--entry', 'train.mjs:tools.go').stdout).toBe('went 0\n');
    expect(sandbox.waddle('run', '-q', '--entry', 'train.mjs:nothing').stderr).toContain('has no "nothing"');
  });
});

describe('resume', () => {
  it('goes on with a run in a new attempt, by the same command where none is given', () => {
    sandbox.write(
      'train.py',
      'def waddle_main(run, argv):\n    for i in range(3): run.log({"x": i})\n    print("at", argv)\n',
    );
    sandbox.waddle('run', '-q', '--name', 'long', '--entry', 'train', '--', 'a');
    const again = sandbox.waddle('run', '-q', '--resume', 'long');
    expect(again.stdout).toBe("at ['a']\n");
    const { id } = newest();
    expect(runFolders().length).toBe(1);
    const steps = sandbox.query<{ step: number }>(
      "SELECT step FROM metrics WHERE run_id = ? AND key = 'x' ORDER BY ts, step",
      id,
    );
    expect(steps.map(({ step }) => step)).toEqual([0, 1, 2, 3, 4, 5]);
  });
});

/** Says "ready", and on SIGINT or SIGTERM "asked", then goes on until `go` is there. Its child sleeps for ever. */
const STUBBORN = `
import os, signal, subprocess, sys, time
child = subprocess.Popen(["sleep", "100000"])
open("pids", "w").write(f"{os.getpid()} {child.pid}")
def asked(number, frame):
    print("asked", number)
    if os.path.exists("obey"):
        child.kill()
        sys.exit(0)
signal.signal(signal.SIGINT, asked)
signal.signal(signal.SIGTERM, asked)
print("ready")
while True:
    time.sleep(0.05)
`;

const pids = () => read('pids').split(' ').filter(Boolean).map(Number);
const noneLeft = () => until(() => pids().every((pid) => !alive(pid)), 'the whole job is gone');

describe('resume of a run that still runs', () => {
  it('is refused', async () => {
    const child = sandbox.start(WADDLE, [
      'run',
      '--name',
      'it',
      '--',
      'sh',
      '-c',
      'echo $$ > pids; exec sleep 100000',
    ]);
    await until(() => pids().length === 1, 'the job runs');
    expect(sandbox.waddle('run', '--resume', 'it').stderr).toContain('is still running');
    child.kill('SIGTERM');
    await ended(child);
    await noneLeft();
  });
});

describe('Ctrl-C before the job starts', () => {
  it('ends the run without starting it', async () => {
    const git = execFileSync('sh', ['-c', 'command -v git'], { encoding: 'utf8' }).trim();
    const bin = join(sandbox.folder, '../bin');
    mkdirSync(bin);
    writeFileSync(join(bin, 'git'), `#!/bin/sh\ntouch ../asked\nsleep 5\nexec ${git} "$@"\n`, {
      mode: 0o755,
    });
    const child = sandbox.start(WADDLE, ['run', '--', 'touch', 'started'], {
      env: { ...sandbox.env, PATH: `${bin}:${sandbox.env.PATH}` },
    });
    await until(() => existsSync(join(sandbox.folder, '../asked')), 'the snapshot is being taken');
    await until(() => journalText().includes('"k":"start"'), 'the run has begun');
    child.kill('SIGINT');
    expect((await ended(child)).status).toBe(130);
    expect(newest()).toMatchObject({ status: 'aborted', exit_code: 130 });
    expect(existsSync(join(sandbox.folder, 'started'))).toBe(false);
  });
});

describe('on a terminal', () => {
  it('the job reads the keyboard, and colours stay', () => {
    sandbox.write(
      'ask.py',
      'import os\nprint(os.environ["FORCE_COLOR"], os.environ["COLUMNS"], input("name? "))\n',
    );
    const done = onTerminal([['name? ', 'bob\n']], 'run', '-q', '--', PYTHON, 'ask.py');
    expect(done.output).toContain('1 97 bob');
    expect(done.status).toBe(0);
  });

  it('Ctrl-C asks once, and the run is aborted however the job exits', async () => {
    sandbox.write('stubborn.py', STUBBORN);
    sandbox.write('obey', '');
    const done = onTerminal([['ready', '\u0003']], 'run', '--', PYTHON, 'stubborn.py');
    // Once: the terminal sends it to the job, and waddle does not send it again.
    expect(done.output.split('asked 2').length).toBe(2);
    expect(done.status).toBe(0);
    expect(newest()).toMatchObject({ status: 'aborted', exit_code: 0 });
    await noneLeft();
  });

  it('Ctrl-C twice kills the job with everything below it', async () => {
    sandbox.write('stubborn.py', STUBBORN);
    const done = onTerminal(
      [
        ['ready', '\u0003'],
        ['asked 2', '\u0003'],
      ],
      'run',
      '--',
      PYTHON,
      'stubborn.py',
    );
    expect(done.status).toBe(137);
    expect(newest()).toMatchObject({ status: 'aborted', signal: 'SIGKILL' });
    await noneLeft();
  });

  it('a closed terminal ends the job', async () => {
    sandbox.write(
      'stubborn.py',
      STUBBORN.replace(
        'signal.signal(signal.SIGTERM',
        'signal.signal(signal.SIGHUP, signal.SIG_DFL); signal.signal(signal.SIGTERM',
      ),
    );
    onTerminal([['ready', '<hangup>']], 'run', '--', PYTHON, 'stubborn.py');
    await until(() => newest().status !== 'running', 'the run ends');
    expect(newest().status).toBe('aborted');
    await noneLeft();
  });

  it('--tty gives the job one of its own', () => {
    const probe = 'import os, sys; print(sys.stdout.isatty(), os.get_terminal_size().columns, input("? "))';
    const done = onTerminal([['? ', 'yes\n']], 'run', '-q', '--tty', '--', PYTHON, '-c', probe);
    expect(done.output).toContain('True 97 yes');
    expect(done.status).toBe(0);
    newest();
    expect(lines().join('\n')).toContain('True 97 yes');
  });
});

describe('signals without a terminal', () => {
  it('SIGTERM reaches the whole job, and the run is aborted', async () => {
    sandbox.write('stubborn.py', STUBBORN);
    sandbox.write('obey', '');
    const child = sandbox.start(WADDLE, ['run', '--', PYTHON, 'stubborn.py']);
    await until(() => pids().length === 2, 'the job runs');
    child.kill('SIGTERM');
    await ended(child);
    await until(() => journalText().includes('"k":"stop"') === false, 'the helper has sealed the journals');
    expect(newest()).toMatchObject({ status: 'aborted', reason: expect.stringContaining('SIGTERM') });
    await noneLeft();
  });

  it('SIGINT is passed on', async () => {
    const child = sandbox.start(WADDLE, ['run', '--', 'sh', '-c', 'echo $$ > pids; exec sleep 100000']);
    await until(() => pids().length === 1, 'the job runs');
    child.kill('SIGINT');
    expect((await ended(child)).status).toBe(130);
    expect(newest()).toMatchObject({ status: 'aborted', exit_code: 130 });
    await noneLeft();
  });

  it('SIGHUP ends a job, but not under nohup', async () => {
    const job = [
      'run',
      '-q',
      '--',
      'sh',
      '-c',
      'echo $$ > pids; while [ ! -e go ]; do sleep 0.05; done; echo done',
    ];
    const plain = sandbox.start(WADDLE, job);
    await until(() => pids().length === 1, 'the job runs');
    plain.kill('SIGHUP');
    expect((await ended(plain)).status).toBe(129);
    expect(newest().status).toBe('aborted');
    await noneLeft();

    writeFileSync(join(sandbox.folder, 'pids'), '');
    const kept = sandbox.start('nohup', [WADDLE, ...job]);
    await until(() => pids().length === 1, 'the job runs');
    const [pid = 0] = pids();
    kept.kill('SIGHUP');
    process.kill(pid, 'SIGHUP');
    sandbox.write('go', '');
    expect((await ended(kept)).status).toBe(0);
    expect(newest().status).toBe('completed');
    expect(lines()).toEqual(['done']);
  });
});

it('counts all metrics in its last words, and names some', () => {
  const script = 'import waddle\nwaddle.init().log({"k%d" % n: n for n in range(300)})';
  expect(sandbox.waddle('run', '--', PYTHON, '-c', script).stderr).toContain(' and 292 more\n');
});

it('--no-auto-commit says that changes are not kept', () => {
  sandbox.write('new.txt', 'x');
  sandbox.waddle('run', '--no-auto-commit', '--', 'true');
  expect(sandbox.waddle('show', '@last').stdout).toContain('1 changed file not kept');
  sandbox.waddle('run', '--', 'true');
  expect(sandbox.waddle('show', '@last').stdout).not.toContain('not kept');
});

describe('stop', () => {
  it('asks the job, and tells how it ended', async () => {
    sandbox.write('stubborn.py', STUBBORN);
    sandbox.write('obey', '');
    const child = sandbox.start(WADDLE, ['run', '--name', 'it', '--', PYTHON, 'stubborn.py']);
    await until(() => pids().length === 2, 'the job runs');
    const done = sandbox.waddle('stop', 'it');
    expect(done.status, done.stderr).toBe(0);
    expect(done.stderr).toContain('stopped: aborted, exit code 0');
    await ended(child);
    expect(newest()).toMatchObject({ status: 'aborted', exit_code: 0 });
    expect(sandbox.waddle('stop', 'it').stderr).toContain('is not running');
    await noneLeft();
  });

  it('kills after the grace', async () => {
    sandbox.write('stubborn.py', STUBBORN);
    const child = sandbox.start(WADDLE, ['run', '--name', 'it', '--', PYTHON, 'stubborn.py']);
    await until(() => pids().length === 2, 'the job runs');
    expect(sandbox.waddle('stop', 'it', '--grace', '300ms').stderr).toContain('was killed');
    await ended(child);
    expect(newest()).toMatchObject({ status: 'aborted', signal: 'SIGKILL' });
    await noneLeft();
  });

  it.each([
    ['dies of it', '', { exit_code: 143, signal: 'SIGTERM' }],
    ['calls it a success', 'signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))', { exit_code: 0 }],
    ['ignores it', 'signal.signal(signal.SIGTERM, signal.SIG_IGN)', { exit_code: 137, signal: 'SIGKILL' }],
  ])('a script that called init() itself and %s was aborted', async (_how, handler, outcome) => {
    sandbox.write(
      'script.py',
      `import os, signal, sys, time, waddle\n${handler}\nrun = waddle.init(name="it")\nopen("pids", "w").write(str(os.getpid()))\ntime.sleep(60)\n`,
    );
    const child = sandbox.start(PYTHON, ['script.py'], {
      env: { ...sandbox.env, PYTHONPATH: join(ROOT, 'python') },
    });
    await until(() => pids().length === 1, 'the script runs');
    const done = sandbox.waddle('stop', 'it', '--grace', '1s');
    expect(done.status, done.stderr).toBe(0);
    await ended(child);
    // Its helper may be closing the database just now, so this is left to a reader that waits.
    const { run } = JSON.parse(sandbox.waddle('show', 'it', '--json').stdout);
    expect(run).toMatchObject({ status: 'aborted', reason: 'stopped by `waddle stop`', ...outcome });
  });
});

describe('a supervisor that is killed', () => {
  /** Prints and logs a line a time until `go` is there, and then a last one. */
  const TALKATIVE = `
import os, time, waddle
run = waddle.init()
open("pids", "w").write(str(os.getpid()))
n = 0
while not os.path.exists("go"):
    print("line", n)
    run.log_metric("loss", n, n)
    n += 1
    open("count", "w").write(str(n))
    time.sleep(0.002)
print("last", n, end="")
`;
  const count = () => Number(read('count') || 0);

  async function startAndKill(victims: 'supervisor' | 'with helper' | 'with job'): Promise<number> {
    sandbox.write('talk.py', TALKATIVE);
    const child = sandbox.start(WADDLE, ['run', '--name', 'it', '--', PYTHON, 'talk.py']);
    await until(() => pids().length === 1 && count() > 20, 'the job prints');
    if (victims === 'with helper') await until(() => helperPids().length > 0, 'the helper runs');
    const helpers = helperPids();
    process.kill(supervisorPid(), 'SIGKILL');
    if (victims === 'with helper') for (const pid of helpers) process.kill(pid, 'SIGKILL');
    if (victims === 'with job') for (const pid of pids()) process.kill(pid, 'SIGKILL');
    await ended(child);
    return count();
  }

  function writers(): { role: string; pid: number }[] {
    return journalText()
      .split('\n')
      .filter((line) => line.startsWith('{"k":"open"'))
      .map((line) => JSON.parse(line) as { role: string; pid: number });
  }
  const supervisorPid = () => writers().find(({ role }) => role === 'supervisor')?.pid ?? 0;
  const helperPids = () =>
    writers()
      .filter(({ role }) => role === 'helper')
      .map(({ pid }) => pid)
      .filter(alive);

  function expectEveryLine(total: number): void {
    const found = lines();
    expect(found.slice(0, total)).toEqual(Array.from({ length: total }, (_, n) => `line ${n}`));
  }

  it('leaves the job running, and all it prints and logs is found', async () => {
    const at = await startAndKill('supervisor');
    await until(() => count() > at + 50, 'the job goes on');
    expect(newest().status).toBe('running');
    sandbox.write('go', '');
    await noneLeft();
    await until(() => newest().status === 'completed', 'the job’s own end is found');
    await until(() => helperPids().length === 0, 'the helper ends by itself');
    newest();
    expectEveryLine(count());
    expect(lines().at(-1)).toBe(`last ${count()}`);
  });

  it('with its helper: the next command finds what was printed', async () => {
    const at = await startAndKill('with helper');
    await until(() => count() > at + 50, 'the job goes on');
    sandbox.write('go', '');
    await noneLeft();
    expect(newest().status).toBe('completed');
    expectEveryLine(count());
    expect(lines().at(-1)).toBe(`last ${count()}`);
    expect(
      runFolders()
        .flatMap((folder) => readdirSync(folder))
        .filter((name) => name.endsWith('.log')),
    ).toEqual([]);
  });

  it('with its job: every line that was printed is there', async () => {
    await startAndKill('with job');
    await noneLeft();
    const printed = count();
    await until(() => helperPids().length === 0, 'the helper ends by itself');
    newest();
    expectEveryLine(printed);
  });

  it('and a stop reaches the job all the same', async () => {
    await startAndKill('supervisor');
    const done = sandbox.waddle('stop', 'it');
    expect(done.status, done.stderr).toBe(0);
    await noneLeft();
  });
});

describe('the helper beside a job', () => {
  it('samples the machine and the job, and describes the environment', async () => {
    sandbox.write('waddle.json', JSON.stringify({ system_metrics: { every_s: 0.2 } }));
    const child = sandbox.start(WADDLE, [
      'run',
      '--',
      PYTHON,
      '-c',
      'import os, time\nwhile not os.path.exists("go"): time.sleep(0.01)',
    ]);
    await until(
      () => /system\/process_cpu_percent.*\n.*system\/process_cpu_percent/.test(journalText()),
      'two samples are there',
    );
    sandbox.write('go', '');
    await ended(child);
    const { id } = newest();
    const keys = sandbox.query<{ key: string }>(
      "SELECT DISTINCT key FROM metrics WHERE run_id = ? AND key LIKE 'system/%'",
      id,
    );
    const names = keys.map(({ key }) => key);
    for (const name of [
      'cpu_percent',
      'memory_used_bytes',
      'memory_rss_bytes',
      'process_cpu_percent',
      'disk_free_bytes',
    ]) {
      expect(names).toContain(`system/${name}`);
    }
    const [environment] = sandbox.query<{ text: string }>('SELECT environment AS text FROM runs');
    expect(JSON.parse(environment?.text ?? '{}')).toMatchObject({
      python: {
        version: expect.stringMatching(/^3\./),
        implementation: 'CPython',
        packages: expect.any(Object),
      },
      platform: { system: 'linux' },
    });
  });

  it('is not missed: one warning, and the run goes on', async () => {
    const child = sandbox.start(WADDLE, ['run', '--', 'sh', '-c', 'while [ ! -e go ]; do sleep 0.02; done'], {
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    let said = '';
    child.stderr?.on('data', (bytes) => {
      said += String(bytes);
    });
    const helper = () => /"role":"helper".*?"pid":(\d+)/.exec(journalText())?.[1];
    await until(() => helper() !== undefined, 'the helper runs');
    process.kill(Number(helper()), 'SIGKILL');
    await until(() => said.includes('the run goes on without system metrics'), 'the warning is shown');
    sandbox.write('go', '');
    expect((await ended(child)).status).toBe(0);
    expect(newest().status).toBe('completed');
  });

  it('leaves nothing behind: every journal of an ended run is sealed', () => {
    sandbox.waddle('run', '-q', '--', 'sleep', '0.5');
    const [folder = ''] = runFolders();
    expect(readdirSync(folder).filter((name) => name.endsWith('.jsonl') || name.endsWith('.log'))).toEqual(
      [],
    );
  });
});
