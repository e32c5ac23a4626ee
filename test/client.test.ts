/** `waddleml/client` in real Node processes, as the bundle that is published. */
import { type SpawnSyncReturns, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Event } from '../src/events/schema.ts';
import { ended, ROOT, Sandbox, until, WADDLE } from './support/sandbox.ts';

let sandbox: Sandbox;
beforeEach(() => {
  sandbox = new Sandbox();
  sandbox.write('.gitignore', 'node_modules/\n');
  mkdirSync(join(sandbox.folder, 'node_modules'));
  symlinkSync(ROOT, join(sandbox.folder, 'node_modules/waddleml'));
});
afterEach(() => sandbox.remove());

/** Runs a script as its user would: no waddle around it. */
function node(script: string, env: Record<string, string> = {}): SpawnSyncReturns<string> {
  sandbox.write('script.mjs', script);
  return spawnSync(process.execPath, ['script.mjs'], {
    cwd: sandbox.folder,
    env: { ...sandbox.env, ...env },
    encoding: 'utf8',
  });
}

const runIds = () => {
  const runs = join(sandbox.folder, '.waddle/runs');
  return existsSync(runs) ? readdirSync(runs) : [];
};

/** Waits for the helper to have settled the run, and gives its row. */
async function settled(id = runIds()[0] ?? ''): Promise<Record<string, unknown>> {
  const folder = join(sandbox.folder, '.waddle/runs', id);
  await until(() => readdirSync(folder).every((name) => !name.endsWith('.jsonl')), 'the run is sealed');
  sandbox.waddle('ls');
  const [row] = sandbox.query('SELECT * FROM runs WHERE id = ?', id);
  if (row === undefined) throw new Error(`run ${id} is not in the store`);
  return row;
}

const metrics = (id: string, key: string) =>
  sandbox.query('SELECT step, value FROM metrics WHERE run_id = ? AND key = ? ORDER BY ts, step', id, key);

describe('init() from a plain script', () => {
  it('begins a run with everything that waddle run would give it', async () => {
    const done = node(`
      import { init } from 'waddleml/client';
      const run = await init({ project: 'p', name: 'plain', config: { lr: 0.1, deep: { big: 2n ** 70n } }, tags: { a: 'b' } });
      for (let step = 0; step < 3; step += 1) run.logMetric('loss', step, 1 / (step + 1));
      run.log({ a: 1, b: Number.NaN, c: -Infinity, d: true, e: 2n ** 60n });
      run.log({ a: 2 });
      run.logTag('odd \\n"key"', '🦆');
      console.log(run.id, run.name, run.project);
    `);
    expect(done.stderr).toBe('');
    const [id = '', ...rest] = done.stdout.trim().split(' ');
    expect(rest).toEqual(['plain', 'p']);
    expect(runIds()).toEqual([id]);
    const head = sandbox.git('rev-parse', 'HEAD').trim();
    const row = await settled(id);
    expect(row).toMatchObject({ name: 'plain', project: 'p', status: 'completed', exit_code: 0 });
    expect(metrics(id, 'loss')).toEqual([0, 1, 2].map((step) => ({ step, value: 1 / (step + 1) })));
    expect(metrics(id, 'a')).toEqual([
      { step: 0, value: 1 },
      { step: 1, value: 2 },
    ]);
    expect(metrics(id, 'b')).toEqual([{ step: 0, value: null }]);
    expect(metrics(id, 'c')).toEqual([{ step: 0, value: -Infinity }]);
    const [snapshot] = sandbox.query<{ base: string }>('SELECT base FROM snapshots');
    expect(snapshot?.base).toBe(head);
    const shown = sandbox.json<{ params: Record<string, unknown>; tags: Record<string, string> }>('show', id);
    expect(shown.tags).toMatchObject({ a: 'b', 'odd \n"key"': '🦆' });
  });

  it('ends failed by an uncaught exception, and by a code other than 0', async () => {
    node(`import { init } from 'waddleml/client'; await init(); throw new TypeError('bang');`);
    expect(await settled()).toMatchObject({
      status: 'failed',
      error_type: 'TypeError',
      error_message: 'bang',
    });
    node(`import { init } from 'waddleml/client'; await init({ name: 'three' }); process.exit(3);`);
    const id = runIds().find((each) => readHead(each).name === 'three');
    expect(await settled(id)).toMatchObject({ status: 'failed', exit_code: 3 });
  });

  it('ends aborted by Ctrl-C', async () => {
    node(
      `import { init } from 'waddleml/client'; await init(); process.kill(process.pid, 'SIGINT'); setTimeout(() => {}, 1e6);`,
    );
    expect(await settled()).toMatchObject({ status: 'aborted', exit_code: 130 });
  });

  it('ends at finish(), and a second init begins another run', async () => {
    node(`
      import { init } from 'waddleml/client';
      const one = await init({ name: 'one' });
      one.finish();
      one.logMetric('late', 0, 1);
      const two = await init({ name: 'two' });
      const three = await init({ name: 'three' });
      three.finish({ status: 'failed', reason: 'because' });
    `);
    const names = runIds().map((id) => readHead(id).name);
    expect(names.sort()).toEqual(['one', 'three', 'two']);
    for (const id of runIds()) await settled(id);
    const status = sandbox.query('SELECT name, status, reason FROM runs ORDER BY name');
    expect(status).toEqual([
      { name: 'one', status: 'completed', reason: null },
      { name: 'three', status: 'failed', reason: 'because' },
      { name: 'two', status: 'completed', reason: null },
    ]);
    expect(sandbox.query("SELECT count(*) AS n FROM metrics WHERE key = 'late'")).toEqual([{ n: 1 }]);
  });

  it('lists files that changed since it began, before and after the snapshot', async () => {
    const done = node(`
      import { init } from 'waddleml/client';
      import { appendFileSync, existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
      const run = await init();
      appendFileSync('README', 'at once\\n');
      writeFileSync('new', 'new files do not count');
      const folder = run.dir + '/.waddle/runs/' + run.id + '/';
      const text = () => readdirSync(folder).filter((name) => name.startsWith('helper')).map((name) => readFileSync(folder + name, 'utf8')).join('');
      while (!text().includes('"k":"snapshot"')) await new Promise((wake) => setTimeout(wake, 10));
      appendFileSync('.gitignore', 'later\\n');
    `);
    expect(done.stderr).toBe('');
    const { drift } = await settled();
    expect(JSON.parse(String(drift))).toEqual([
      { path: '.gitignore', change: 'changed' },
      { path: 'README', change: 'changed' },
    ]);
  });

  it('resumes a run under the name that it was given later, and none that was removed', async () => {
    const script = (options: string) =>
      `import { init } from 'waddleml/client'; const run = await init(${options}); console.log(run.id);`;
    const python = (name: string) =>
      spawnSync('python3', ['-c', `import waddle; print(waddle.init(resume="${name}").id)`], {
        cwd: sandbox.folder,
        env: { ...sandbox.env, PYTHONPATH: join(ROOT, 'python') },
        encoding: 'utf8',
      });
    const id = node(script("{ name: 'old' }")).stdout.trim();
    await settled(id);
    sandbox.waddle('rename', 'old', 'new');
    expect(node(script("{ resume: 'new' }")).stdout.trim()).toBe(id);
    expect(python('new').stdout.trim()).toBe(id);
    sandbox.waddle('rm', '--yes', '--force', 'new');
    for (const name of ['new', id]) {
      expect(node(script(`{ resume: '${name}' }`)).stderr).toContain(`there is no run "${name}"`);
      expect(python(name).stderr).toContain('LookupError: no run');
    }
    sandbox.waddle('rm', '--undo', 'new');
    expect(python('new').stdout.trim()).toBe(id);
  });

  it('makes no project folder where a mistyped path names one', () => {
    const missing = join(sandbox.folder, 'mistyped');
    const done = node(`import { init } from 'waddleml/client'; await init();`, { WADDLE_DIR: missing });
    expect(done.stderr).toContain(`there is no folder ${missing}: correct WADDLE_DIR, or make it`);
    expect(existsSync(missing)).toBe(false);
  });

  it('that resumes counts on after the last step', async () => {
    const script = (options: string) => `
      import { init } from 'waddleml/client';
      const run = await init(${options});
      run.log({ x: 1 }); run.log({ x: 2 });
      console.log(run.id);`;
    const first = node(script("{ name: 'it' }")).stdout.trim();
    await settled(first);
    expect(node(script("{ resume: 'it' }")).stdout.trim()).toBe(first);
    await settled(first);
    expect(metrics(first, 'x').map((sample) => (sample as { step: number }).step)).toEqual([0, 1, 2, 3]);
  });

  it('survives kill -9 with every call that returned', async () => {
    sandbox.write(
      'script.mjs',
      `import { init } from 'waddleml/client';
       import { writeFileSync } from 'node:fs';
       const run = await init();
       for (let step = 0; ; step += 1) { run.logMetric('x', step, step); if (step % 100 === 0) writeFileSync('count', String(step)); }`,
    );
    const child = sandbox.start(process.execPath, ['script.mjs']);
    const count = () =>
      Number(
        existsSync(join(sandbox.folder, 'count')) ? readFileSync(join(sandbox.folder, 'count'), 'utf8') : 0,
      );
    await until(() => count() > 2000, 'it logs');
    child.kill('SIGKILL');
    await ended(child);
    const steps = events(runIds()[0] ?? '').flatMap((event) =>
      event.k === 'm' && 'x' in event.v ? [event.s] : [],
    );
    expect(steps.length).toBeGreaterThan(count());
    expect(steps).toEqual(steps.map((_, index) => index));
  });
});

function readHead(id: string): { name: string; last_step: number | null } {
  return JSON.parse(readFileSync(join(sandbox.folder, '.waddle/runs', id, 'head.json'), 'utf8'));
}

/** The events of a run's plain journals. */
function events(id: string): Event[] {
  const folder = join(sandbox.folder, '.waddle/runs', id);
  return readdirSync(folder)
    .filter((name) => name.startsWith('job-') && name.endsWith('.jsonl'))
    .flatMap((name) => readFileSync(join(folder, name), 'utf8').split('\n').slice(0, -1))
    .map((line) => JSON.parse(line) as Event);
}

describe('what cannot be kept', () => {
  it('is warned of once for each key, counted, and never thrown', () => {
    const done = node(`
      import { init } from 'waddleml/client';
      const run = await init({ name: 'odd' });
      for (const value of [null, undefined, 'text', {}, [], Symbol('s'), () => 1]) run.logMetric('bad', 0, value);
      run.logMetric('bad step', Number.NaN, 1);
      run.logMetric('bad step', 2 ** 60, 1);
      run.logMetric('good', 2 ** 53, new Number(4));
      run.log(null); run.logParams(undefined);
      run.logParam('loop', (() => { const a = {}; a.a = a; return a; })());
      run.logTag('n', undefined);
      for (let time = 0; time < 2; time += 1) run.logParams({ huge: 'é'.repeat(4_200_000), small: time });
      run.logTag('huge tag', 'x'.repeat(8_388_608));
      run.logParam('large', 'x'.repeat(8_388_000));
    `);
    expect(done.status).toBe(0);
    const warnings = done.stderr.trim().split('\n');
    expect(warnings.filter((line) => line.includes('"bad"')).length).toBe(1);
    expect(warnings.filter((line) => line.includes('over the limit of 8 MiB')).length).toBe(2);
    expect(warnings.length).toBe(6);
    const [id = ''] = runIds();
    const all = events(id);
    expect(all.find((event) => event.k === 'm')).toMatchObject({ s: 2 ** 53, v: { good: 4 } });
    expect(all.find((event) => event.k === 'close')).toMatchObject({
      dropped: { not_a_number: 7, bad_step: 2, not_a_mapping: 2, too_large: 3 },
    });
  });

  it('is told by its value where a step is too large, and not by its type', () => {
    const done = node(
      `import { init } from 'waddleml/client'; const run = await init(); run.logMetric('a', 2 ** 53 + 2, 1); run.logMetric('b', NaN, 1);`,
    );
    expect(done.stderr).toContain('not 9007199254740994;');
    expect(done.stderr).toContain('not NaN;');
  });

  it('throws where WADDLE_STRICT=1 asks for it', () => {
    const script = `import { init } from 'waddleml/client'; const run = await init(); run.logMetric('bad', 0, 'text');`;
    expect(node(script, { WADDLE_STRICT: '1' }).stderr).toContain('TypeError: metric "bad"');
  });

  it('is everything where WADDLE_DISABLED=1', () => {
    const done = node(
      `import { init, log } from 'waddleml/client';
       const run = await init(); run.logMetric('x', 0, 1); log({ y: 1 }); run.finish(); console.log('fine');`,
      { WADDLE_DISABLED: '1' },
    );
    expect(done.stdout).toBe('fine\n');
    expect(runIds()).toEqual([]);
  });
});

describe('artifacts', () => {
  it('have a name', () => {
    const done = node(
      `import { init } from 'waddleml/client'; const run = await init(); run.logArtifact('', 'script.mjs');`,
    );
    expect(done.stderr).toContain('an artifact needs a name');
  });

  it('keep the bytes of the call, inline ones in the journal', async () => {
    const done = node(`
      import { init } from 'waddleml/client';
      import { writeFileSync, mkdirSync } from 'node:fs';
      const run = await init();
      writeFileSync('weights.json', '{"w":1}');
      mkdirSync('out'); writeFileSync('out/a.bin', 'aaa');
      console.log(run.logArtifact('weights', 'weights.json', { kind: 'model', inline: true }));
      run.logArtifact('file', 'weights.json');
      run.logArtifact('all', 'out');
      writeFileSync('weights.json', 'changed');
      try { run.logArtifact('none', 'nothing.bin'); } catch (error) { console.log(error.code); }
    `);
    expect(done.stdout.trim().split('\n').at(-1)).toBe('ENOENT');
    const [id = ''] = runIds();
    await settled(id);
    sandbox.waddle('get', id, 'file', 'copy.json');
    expect(readFileSync(join(sandbox.folder, 'copy.json'), 'utf8')).toBe('{"w":1}');
    sandbox.waddle('get', id, 'weights', 'inline.json');
    expect(readFileSync(join(sandbox.folder, 'inline.json'), 'utf8')).toBe('{"w":1}');
  });
});

describe('under waddle run', () => {
  it('attaches, fills in what was left open, and finish() ends only the attachment', () => {
    sandbox.write(
      'script.mjs',
      `import { init } from 'waddleml/client';
       const run = await init({ name: 'inner', project: 'filled' });
       run.logMetric('x', 0, 1);
       run.finish();
       console.log(run.id);
       process.exitCode = 4;`,
    );
    const done = sandbox.waddle('run', '-q', '--name', 'outer', '--', 'node', 'script.mjs');
    expect(done.status).toBe(4);
    expect(runIds()).toEqual([done.stdout.trim()]);
    const [row] = sandbox.query('SELECT name, project, status FROM runs');
    expect(row).toEqual({ name: 'outer', project: 'filled', status: 'failed' });
  });

  it('worker threads and child processes log to journals of their own', () => {
    sandbox.write(
      'script.mjs',
      `import { init } from 'waddleml/client';
       import { Worker, isMainThread, workerData } from 'node:worker_threads';
       import { fork } from 'node:child_process';
       import { once } from 'node:events';
       const run = await init();
       const name = isMainThread ? (process.argv[2] ?? 'main') : 'worker' + workerData;
       for (let step = 0; step < 500; step += 1) run.logMetric(name, step, step);
       if (name === 'main') {
         const all = [0, 1, 2].map((n) => once(new Worker(new URL(import.meta.url), { workerData: n }), 'exit'));
         all.push(once(fork('script.mjs', ['child']), 'exit'));
         await Promise.all(all);
       }`,
    );
    const done = sandbox.waddle('run', '-q', '--', 'node', 'script.mjs');
    expect(done).toMatchObject({ status: 0, stderr: '' });
    const counts = sandbox.query(
      "SELECT key, count(*) AS n FROM metrics WHERE key NOT LIKE 'system/%' GROUP BY key ORDER BY key",
    );
    expect(counts).toEqual(
      ['child', 'main', 'worker0', 'worker1', 'worker2'].map((key) => ({ key, n: 500 })),
    );
  });

  it('marks a rank', () => {
    sandbox.write(
      'script.mjs',
      `import { init } from 'waddleml/client'; (await init()).logMetric('x', 0, 1);`,
    );
    spawnSync(WADDLE, ['run', '-q', '--', 'node', 'script.mjs'], {
      cwd: sandbox.folder,
      env: { ...sandbox.env, RANK: '3', WORLD_SIZE: '8' },
    });
    expect(sandbox.query("SELECT rank, world_size FROM writers WHERE role = 'job'")).toEqual([
      { rank: 3, world_size: 8 },
    ]);
  });
});

describe('the package', () => {
  it('does not load SQLite', () => {
    const done = node(`
      import { init } from 'waddleml/client';
      const run = await init();
      console.log(process.moduleLoadList.filter((name) => /sqlite|http/i.test(name)).join());`);
    expect(done.stdout).toBe('\n');
  });

  it('brings types that stand alone', () => {
    sandbox.write(
      'use.mts',
      `import { init, type Run } from 'waddleml/client';\nconst run: Run = await init({ project: 'x' });\nrun.log({ a: 1 }, { step: 2 });\n// @ts-expect-error a string is no metric\nrun.logMetric('a', 0, 'b');\n`,
    );
    const tsc = join(ROOT, 'node_modules/typescript/bin/tsc');
    const done = spawnSync(
      process.execPath,
      [
        tsc,
        '--noEmit',
        '--strict',
        '--module',
        'nodenext',
        '--target',
        'es2024',
        '--typeRoots',
        join(ROOT, 'node_modules/@types'),
        '--types',
        'node',
        'use.mts',
      ],
      { cwd: sandbox.folder, encoding: 'utf8' },
    );
    expect(done.stdout).toBe('');
    expect(done.status).toBe(0);
  });
});
