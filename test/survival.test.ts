/**
 * What must survive (the promise of the README's first screen): whatever dies at whatever moment, every log call that
 * returned is in the store exactly once.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { listRuns } from '../src/journal/discover.ts';
import { ended, processesUnder, Sandbox, until, WADDLE } from './support/sandbox.ts';

let sandbox: Sandbox;
beforeEach(() => {
  sandbox = new Sandbox();
});
afterEach(() => sandbox.remove());

/** Logs as fast as it can, and after each call that returned notes its step in a file of its own. */
const ENDLESS_JOB = `
import os, sys, waddle
run = waddle.init()
acknowledged = os.open(sys.argv[1], os.O_CREAT | os.O_WRONLY)
for step in range(10_000_000):
    run.log_metric("loss", step, 1.0 / (step + 1))
    os.pwrite(acknowledged, b"%-12d" % step, 0)
`;

const lastAcknowledged = (path: string) =>
  existsSync(path) ? Number(readFileSync(path, 'utf8').trim() || -1) : -1;

function runIds(of = sandbox): string[] {
  return listRuns(join(of.folder, '.waddle/runs'));
}

/** Every sample of `loss`, in order of arrival, must be the steps 0, 1, 2, … with none missing and none twice. */
function expectUnbroken(run: string, atLeast: number, of = sandbox): void {
  const steps = of
    .query<{ step: number }>("SELECT step FROM metrics WHERE run_id = ? AND key = 'loss' ORDER BY step", run)
    .map(({ step }) => step);
  expect(steps.length).toBeGreaterThanOrEqual(atLeast);
  expect(steps.findIndex((step, index) => step !== index)).toBe(-1);
}

/** A run whose supervisor and job are killed before all else here: it takes 30 s of silence until it is crashed. */
let silent: Sandbox;
beforeAll(async () => {
  silent = new Sandbox();
  silent.write('job.py', ENDLESS_JOB);
  const ack = join(silent.folder, 'ack');
  const supervisor = silent.start(WADDLE, ['run', '--', 'python3', 'job.py', ack]);
  await until(() => lastAcknowledged(ack) >= 1000, 'the job logs');
  supervisor.kill('SIGKILL');
  for (const pid of processesUnder(silent.folder))
    if (commandOf(pid).includes('job.py')) process.kill(pid, 'SIGKILL');
  await ended(supervisor);
});
afterAll(() => silent.remove());

describe('kill -9', () => {
  it.each([3, 40, 170, 600])(
    'of the job after %i ms of logging loses no call that returned',
    async (delay) => {
      sandbox.write('job.py', ENDLESS_JOB);
      const ack = join(sandbox.folder, 'ack');
      const run = sandbox.start(WADDLE, ['run', '--', 'python3', 'job.py', ack]);
      await until(() => lastAcknowledged(ack) >= 0, 'the job logs');
      await new Promise((wake) => setTimeout(wake, delay));
      const job = processesUnder(sandbox.folder).filter(
        (pid) => commandOf(pid).includes('job.py') && !commandOf(pid).includes('waddle.js'),
      );
      expect(job.length).toBe(1);
      for (const pid of job) process.kill(pid, 'SIGKILL');
      expect(await ended(run)).toEqual({ status: 137, signal: null });
      const [shown] = sandbox.json<{ id: string; status: string; signal: string }[]>('ls');
      expect(shown).toMatchObject({ status: 'failed', signal: 'SIGKILL' });
      expectUnbroken(shown?.id ?? '', lastAcknowledged(ack) + 1);
    },
  );

  it('of the supervisor leaves the job running and logging; what it logged and printed is found later', async () => {
    sandbox.write(
      'job.py',
      `
import os, sys, time, waddle
run = waddle.init()
for step in range(400):
    run.log_metric("loss", step, 0.5)
    print("line", step, flush=True)
    if step == 50:
        open("half", "w").close()
    time.sleep(0.005)
open("done", "w").close()
`,
    );
    const supervisor = sandbox.start(WADDLE, ['run', '--', 'python3', 'job.py']);
    await until(() => existsSync(join(sandbox.folder, 'half')), 'the job is half way');
    supervisor.kill('SIGKILL');
    await ended(supervisor);
    const [id = ''] = runIds();
    expect(sandbox.json<{ run: { status: string } }>('show', id).run.status).toBe('running');
    await until(() => existsSync(join(sandbox.folder, 'done')), 'the job finishes alone');
    await until(
      () => sandbox.json<{ run: { status: string } }>('show', id).run.status === 'completed',
      'the job’s own end is found',
      60_000,
    );
    expectUnbroken(id, 400);
    const lines = sandbox.waddle('logs', id).stdout.trimEnd().split('\n');
    expect(lines).toEqual(Array.from({ length: 400 }, (_, step) => `line ${step}`));
  });
});

function commandOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ');
  } catch {
    return '';
  }
}

describe('many writers', () => {
  it('16 processes logging 10,000 samples each to one run, while two others ingest: all there, once', async () => {
    sandbox.write('one.py', 'import waddle\nwaddle.init(name="shared").finish()\n');
    expect(sandbox.waddle('run', '--quiet', '--', 'python3', 'one.py').status).toBe(0);
    const [id = ''] = runIds();
    sandbox.write(
      'rank.py',
      `
import os, waddle
rank = int(os.environ["RANK"])
run = waddle.init(run_id=os.environ["WADDLE_RUN"])
for step in range(10_000):
    run.log_metric("loss", step, rank)
run.finish()
`,
    );
    const env = { ...sandbox.env, WADDLE_RUN: id, WADDLE_DIR: sandbox.folder, WORLD_SIZE: '16' };
    const ranks = Array.from({ length: 16 }, (_, rank) =>
      sandbox.start('python3', ['rank.py'], { env: { ...env, RANK: String(rank) } }),
    );
    const all = Promise.all(ranks.map(ended));
    let running = true;
    void all.then(() => {
      running = false;
    });
    const ingesters = [0, 1].map(async () => {
      while (running) {
        const reader = sandbox.start(WADDLE, ['ls', '--quiet']);
        expect((await ended(reader)).status).toBe(0);
      }
    });
    expect((await all).every(({ status }) => status === 0)).toBe(true);
    await Promise.all(ingesters);
    sandbox.waddle('ls');
    const [count] = sandbox.query<{ n: number; ranks: number }>(
      "SELECT count(*) AS n, count(DISTINCT value) AS ranks FROM metrics WHERE run_id = ? AND key = 'loss'",
      id,
    );
    expect(count).toEqual({ n: 160_000, ranks: 16 });
    const doubled = sandbox.query(
      "SELECT value, step FROM metrics WHERE run_id = ? AND key = 'loss' GROUP BY value, step HAVING count(*) <> 1 LIMIT 3",
      id,
    );
    expect(doubled).toEqual([]);
  }, 180_000);

  it('a straggling rank that logs after the run has ended and been sealed is kept', async () => {
    sandbox.write(
      'straggler.py',
      `
import os, time, waddle
run = waddle.init()
run.log_metric("loss", 0, 1.0)
if os.fork() == 0:
    os.setsid()
    while not os.path.exists("go"):
        time.sleep(0.01)
    run.log_metric("loss", 1, 2.0)
    open("late", "w").close()
    os._exit(0)
`,
    );
    expect(sandbox.waddle('run', '--quiet', '--', 'python3', 'straggler.py').status).toBe(0);
    const [id = ''] = runIds();
    const sealed = readdirSync(join(sandbox.folder, '.waddle/runs', id)).filter((name) =>
      name.endsWith('.zst'),
    );
    expect(sealed.length).toBeGreaterThan(0);
    sandbox.write('go', '');
    await until(() => existsSync(join(sandbox.folder, 'late')), 'the straggler has logged');
    sandbox.waddle('ls');
    expect(
      sandbox.query('SELECT step, value FROM metrics WHERE run_id = ? AND key = ? ORDER BY step', id, 'loss'),
    ).toEqual([
      { step: 0, value: 1 },
      { step: 1, value: 2 },
    ]);
    expect(sandbox.json<{ run: { status: string } }>('show', id).run.status).toBe('completed');
  });
});

describe('a full disk', () => {
  const mountable = process.platform === 'linux' && process.getuid?.() === 0;

  it.skipIf(!mountable)(
    'under the journal: the job goes on, what fitted is kept, and logging resumes',
    async () => {
      const mount = mkdtempSync(join(tmpdir(), 'waddle-full-'));
      execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=8m', 'tmpfs', mount]);
      try {
        const full = new Sandbox({ base: mount });
        try {
          full.write(
            'job.py',
            `
import os

def waddle_main(run, argv):
    for step in range(100):
        run.log_metric("loss", step, 1.0)
    with open("filler", "wb", buffering=0) as filler:
        try:
            while True:
                filler.write(b"x" * 4096)
        except OSError:
            pass
        try:
            while True:
                filler.write(b"x")
        except OSError:
            pass
    for step in range(100, 3000):
        run.log_metric("loss", step, 1.0)
        print("a line that does not fit any more", step)
    os.unlink("filler")
    for step in range(3000, 3100):
        run.log_metric("loss", step, 1.0)
    print("there is room again")
`,
          );
          const { status, stderr } = full.waddle('run', '--entry', 'job');
          expect(status, stderr).toBe(0);
          const [run] = full.json<{ id: string; status: string }[]>('ls');
          expect(run?.status).toBe('completed');
          const steps = full
            .query<{ step: number }>(
              "SELECT step FROM metrics WHERE run_id = ? AND key = 'loss' ORDER BY step",
              run?.id ?? '',
            )
            .map(({ step }) => step);
          expect(new Set(steps).size).toBe(steps.length);
          expect(steps.filter((step) => step < 100).length).toBe(100);
          expect(steps.filter((step) => step >= 3000).length).toBe(100);
          expect(full.waddle('logs', run?.id ?? '').stdout).toContain('there is room again');
        } finally {
          await full.remove();
        }
      } finally {
        spawnSync('umount', ['-l', mount]);
        rmSync(mount, { recursive: true, force: true });
      }
    },
  );
});

describe('the store', () => {
  it('deleted and rebuilt from the journals is the same, edits, links and removals included', () => {
    sandbox.write(
      'job.py',
      `
import waddle
run = waddle.init(config={"lr": 0.1, "big": 12345678901234567890, "nested": {"a": [1, "b"]}})
for step in range(300):
    run.log({"loss": 1 / (step + 1), "weird 'key'\\n\\U0001F427": float("nan") if step % 7 == 0 else step}, step=step)
run.log_tag("model", "linear")
with open("weights.json", "w") as file:
    file.write("{}")
run.log_artifact("weights.json", "weights.json", kind="model", inline=True)
`,
    );
    for (const name of ['first', 'second', 'third']) {
      expect(sandbox.waddle('run', '--quiet', '--name', name, '--', 'python3', 'job.py').status).toBe(0);
    }
    expect(sandbox.waddle('tag', 'first', 'quality=good').status).toBe(0);
    expect(sandbox.waddle('note', 'first', 'a note').status).toBe(0);
    expect(sandbox.waddle('rename', 'second', 'renamed').status).toBe(0);
    expect(sandbox.waddle('archive', 'renamed').status).toBe(0);
    expect(sandbox.waddle('rm', 'third', '--yes').status).toBe(0);
    expect(sandbox.waddle('repo-link', '--name', 'main', '--path', '.').status).toBe(0);
    const picture = () => ({
      runs: sandbox.json<unknown[]>(
        'ls',
        '--archived',
        '--columns',
        'params.lr,params.big,metrics.loss.min,tags.quality',
      ),
      detail: ['first', 'renamed'].map((name) => sandbox.json('show', name)),
      samples: sandbox.query(
        'SELECT run_id, key, step, ts, value FROM metrics ORDER BY run_id, key, step, ts',
      ),
    });
    const before = picture();
    for (const suffix of ['', '-wal', '-shm'])
      rmSync(join(sandbox.folder, `.waddle/waddle.sqlite${suffix}`), { force: true });
    expect(picture()).toEqual(before);
    expect(sandbox.json<unknown[]>('ls').length).toBe(1);
  });

  it('survives a journal with a torn last line, a broken line, NUL bytes and a line of 10 MB: the rest is kept and it says so', () => {
    sandbox.write('job.py', 'import waddle\nrun = waddle.init()\nrun.log_metric("loss", 0, 1.0)\n');
    expect(sandbox.waddle('run', '--quiet', '--', 'python3', 'job.py').status).toBe(0);
    const [id = ''] = runIds();
    const folder = join(sandbox.folder, '.waddle/runs', id);
    const line = (fields: object) => `${JSON.stringify(fields)}\n`;
    writeFileSync(
      join(folder, 'job-brokenaa.jsonl'),
      [
        line({
          k: 'open',
          t: 1,
          format: 1,
          writer: 'job-brokenaa',
          role: 'job',
          run: id,
          host: 'elsewhere',
          pid: 1,
          client: 'test',
        }),
        line({ k: 'm', t: 2, s: 1, v: { loss: 2 } }),
        '{"k":"m","t":2,"s":2,"v":{"los\n',
        '\0\0\0\0\n',
        line({ k: 'param', t: 3, key: 'long', value: 'x'.repeat(10_000_000) }),
        line({ k: 'm', t: 1, s: 3, v: { loss: 3 } }),
        line({ k: 'from-the-future', t: 4 }),
        '{"k":"m","t":5,"s":4,"v":{"loss":4}}',
      ].join(''),
    );
    const listed = sandbox.waddle('ls');
    expect(listed.status).toBe(0);
    expect(sandbox.query("SELECT step FROM metrics WHERE key = 'loss' ORDER BY step")).toEqual([
      { step: 0 },
      { step: 1 },
      { step: 3 },
    ]);
    expect(sandbox.json<{ params: { long: string } }>('show', id).params.long.length).toBe(10_000_000);
    const doctor = sandbox.waddle('doctor');
    expect(doctor.stdout + doctor.stderr).toContain('job-brokenaa');
  });
});

describe('odd names', () => {
  it('are kept as they are: names, keys, params, tags and files with quotes, newlines, emoji and other bytes', () => {
    const odd = `it's "odd"\n\u{1F427} %s; DROP TABLE runs; --`;
    mkdirSync(join(sandbox.folder, `fold'er \u{1F427}`));
    sandbox.write(
      `fold'er \u{1F427}/job.py`,
      `
import os, waddle
odd = ${JSON.stringify(odd)}
run = waddle.init(name=odd, config={odd: odd})
run.log_metric(odd, 0, 1.0)
run.log_tag(odd, odd)
path = os.fsdecode(b"caf\\xe9 \\n.bin")
with open(path, "wb") as file:
    file.write(b"bytes")
run.log_artifact(odd, path)
`,
    );
    expect(sandbox.waddle('run', '--quiet', '--', 'python3', `fold'er \u{1F427}/job.py`).status).toBe(0);
    const shown = sandbox.json<{
      run: { name: string };
      params: Record<string, unknown>;
      tags: Record<string, unknown>;
      metrics: Record<string, { last: number }>;
      artifacts: { name: string; size: number }[];
    }>('show', '@last');
    expect(shown.run.name).toBe(odd);
    expect(shown.params[odd]).toBe(odd);
    expect(shown.tags[odd]).toBe(odd);
    expect(shown.metrics[odd]?.last).toBe(1);
    expect(shown.artifacts.find(({ name }) => name === odd)?.size).toBe(5);
    for (const command of ['ls', 'show', 'logs']) {
      const { status, stdout } = sandbox.waddle(command, ...(command === 'ls' ? [] : ['@last']));
      expect(status).toBe(0);
      expect(stdout).not.toContain('odd"\n');
    }
  });
});

// The last of this file: the silence has lasted meanwhile.
describe('kill -9 of supervisor and job together', () => {
  it('loses no call that returned, and the run is crashed', async () => {
    const [id = ''] = runIds(silent);
    silent.waddle('ls');
    expectUnbroken(id, lastAcknowledged(join(silent.folder, 'ack')) + 1, silent);
    await until(
      () => silent.json<{ run: { status: string } }>('show', id).run.status === 'crashed',
      'nobody has lived for 30 s',
      50_000,
    );
  });
});
