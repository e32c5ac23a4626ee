/** Real processes: writers, ingesters, and `kill -9` among them. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { dumpLogical } from '../store/dump-logical.ts';
import type { Store } from '../store/open.ts';
import { catchUp } from './catch-up.ts';
import { everybodyLives, metric, opening, TestProject } from './ingest-fixture.ts';
import { rebuildStore } from './rebuild-store.ts';

const RUN = 'abcdefghijkl';
/** util-linux's: a mount namespace of one's own. */
const UNSHARE = 'unshare';
const MODULES = `
  import { openStore } from ${JSON.stringify(join(import.meta.dirname, '../store/open.ts'))};
  import { catchUp, ingestSteps } from ${JSON.stringify(join(import.meta.dirname, 'catch-up.ts'))};
  import { Applier } from ${JSON.stringify(join(import.meta.dirname, '../store/apply.ts'))};
  import { SYSTEM_CLOCK } from ${JSON.stringify(join(import.meta.dirname, 'life.ts'))};
  import { parseLine } from ${JSON.stringify(join(import.meta.dirname, '../events/line.ts'))};
  import { followJournals } from ${JSON.stringify(join(import.meta.dirname, 'follow-journals.ts'))};
  import { layoutOf } from ${JSON.stringify(join(import.meta.dirname, '../journal/layout.ts'))};
  import { JournalWriter } from ${JSON.stringify(join(import.meta.dirname, '../journal/writer.ts'))};
  const [project, database, argument] = process.argv.slice(1);
  const layout = layoutOf(project);
`;

let project: TestProject;
let store: Store;
let children: ChildProcess[];
beforeEach(() => {
  project = new TestProject();
  store = project.open();
  children = [];
});
afterEach(async () => {
  for (const child of children) {
    if (child.exitCode !== null || child.signalCode !== null) continue;
    child.kill('SIGKILL');
    await once(child, 'exit');
  }
  project.remove();
});

function start(script: string, argument = ''): ChildProcess {
  const child = spawn(
    process.execPath,
    [
      '--input-type=module-typescript',
      '-e',
      MODULES + script,
      project.layout.project,
      project.database,
      argument,
    ],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );
  children.push(child);
  return child;
}

async function finished(child: ChildProcess): Promise<number | null> {
  if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
  return child.exitCode;
}

function ingest(into = store) {
  return catchUp({ layout: project.layout, store: into, judge: everybodyLives });
}

/** A database built by this process alone. */
function reference(): string {
  const once = project.open(`${project.database}.reference`);
  ingest(once);
  return dumpLogical(once);
}

describe('an ingesting process', () => {
  it('that is killed in mid-transaction leaves nothing half done', async () => {
    project.write(RUN, 'job-aaaaaaaa', opening('job-aaaaaaaa'));
    let text = '';
    for (let step = 0; step < 20_000; step += 1)
      text += `${JSON.stringify(metric(step, { loss: 1 / (step + 1) }))}\n`;
    project.append(RUN, 'job-aaaaaaaa', text);
    // Writes half of the journal with its offset, and stops before the commit.
    const child = start(`
      const store = openStore(database);
      new Applier(store, { clock: SYSTEM_CLOCK }).transact((batch) => {
        const journal = batch.journal('${RUN}', 'job-aaaaaaaa');
        for (let step = 0; step < 10_000; step += 1) {
          batch.apply(journal, step, parseLine('{"k":"m","t":1,"s":' + step + ',"v":{"loss":1}}'));
        }
        batch.advance(journal, 500_000);
        batch.finish();
        process.stdout.write('written');
        Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
      });
    `);
    if (child.stdout === null) throw new Error('no output');
    await once(child.stdout, 'data');
    expect(store.db.prepare('SELECT count(*) AS n FROM samples').get()?.n).toBe(0);
    child.kill('SIGKILL');
    await finished(child);
    ingest();
    expect(dumpLogical(store)).toBe(reference());
  });

  it('that is killed at any moment counts nothing twice and loses nothing', async () => {
    project.write(RUN, 'job-aaaaaaaa', opening('job-aaaaaaaa'));
    for (let round = 0; round < 8; round += 1) {
      let text = '';
      for (let step = 0; step < 10_000; step += 1) {
        text += `${JSON.stringify(metric(round * 10_000 + step, { loss: 0.5, acc: step }))}\n`;
      }
      project.append(RUN, 'job-aaaaaaaa', text);
      const child = start(`
        const store = openStore(database);
        process.stdout.write('begins');
        for (;;) catchUp({ layout, store, batchMs: 5, judge: () => 'alive' });
      `);
      if (child.stdout === null) throw new Error('no output');
      await once(child.stdout, 'data');
      await new Promise((wake) => setTimeout(wake, round * 25));
      child.kill('SIGKILL');
      await finished(child);
    }
    ingest();
    expect(store.db.prepare("SELECT count(*) AS n FROM metrics WHERE key = 'loss'").get()?.n).toBe(80_000);
    expect(dumpLogical(store)).toBe(reference());
  });

  it('shares the work with others while many write', async () => {
    const writers = Array.from({ length: 6 }, (_, rank) =>
      start(
        `
        const writer = JournalWriter.open({ folder: layout.runs + '/${RUN}', role: 'job', run: '${RUN}', client: 'test' });
        for (let s = 0; s < 4000; s += 1) {
          writer.append({ k: 'm', t: 1764000000 + s / 100, s, v: { loss: s, ['rank' + argument]: 1 } });
        }
        writer.append({ k: 'param', t: 1, key: 'rank' + argument, value: argument });
        writer.close();
      `,
        String(rank),
      ),
    );
    const ingesters = [0, 1].map(() =>
      start(`
        const store = openStore(database);
        const stop = new AbortController();
        process.once('SIGTERM', () => stop.abort());
        process.stdout.write('ready');
        await followJournals({ layout, store, signal: stop.signal, everyMs: 5, judge: () => 'alive' });
        store.close();
      `),
    );
    await Promise.all(ingesters.map(({ stdout }) => stdout !== null && once(stdout, 'data')));
    expect(await Promise.all(writers.map(finished))).toEqual(writers.map(() => 0));
    for (const child of ingesters) child.kill('SIGTERM');
    expect(await Promise.all(ingesters.map(finished))).toEqual([0, 0]);
    // They have read all of it: nothing is left for us.
    expect(ingest().lines).toBe(0);
    const count = (sql: string) => store.db.prepare(sql).get()?.n;
    expect(count("SELECT count(*) AS n FROM metrics WHERE key = 'loss'")).toBe(24_000);
    expect(count("SELECT count(DISTINCT step) AS n FROM metrics WHERE key = 'rank3'")).toBe(4000);
    expect(count('SELECT count(*) AS n FROM params')).toBe(6);
    expect(dumpLogical(store)).toBe(reference());
  });

  it('goes on while the database is rebuilt under it', async () => {
    project.write(RUN, 'job-aaaaaaaa', opening('job-aaaaaaaa'));
    const ingester = start(`
      const store = openStore(database);
      const stop = new AbortController();
      process.once('SIGTERM', () => stop.abort());
      process.stdout.write('ready');
      await followJournals({ layout, store, signal: stop.signal, everyMs: 1, judge: () => 'alive' });
      store.close();
    `);
    if (ingester.stdout === null) throw new Error('no output');
    await once(ingester.stdout, 'data');
    for (let round = 0; round < 5; round += 1) {
      for (let step = 0; step < 500; step += 1) {
        project.write(RUN, 'job-aaaaaaaa', metric(round * 500 + step, { loss: step }));
      }
      await rebuildStore({ layout: project.layout, path: project.database, judge: everybodyLives });
    }
    ingester.kill('SIGTERM');
    expect(await finished(ingester)).toBe(0);
    expect(ingest().lines).toBe(0);
    expect(dumpLogical(store)).toBe(reference());
  });

  const canMount = spawnSync(UNSHARE, ['-rm', 'true']).status === 0;
  it.runIf(canMount)('says so where the disk is full, and goes on when there is room', () => {
    project.write(RUN, 'job-aaaaaaaa', opening('job-aaaaaaaa'));
    let text = '';
    for (let step = 0; step < 150_000; step += 1) text += `${JSON.stringify(metric(step, { loss: 0.5 }))}\n`;
    project.append(RUN, 'job-aaaaaaaa', text);
    const small = join(project.layout.project, 'small');
    mkdirSync(small);
    const { stdout, stderr } = spawnSync(
      UNSHARE,
      [
        '-rm',
        'sh',
        '-c',
        'mount -t tmpfs -o size=2m none "$1" && exec "$2" --input-type=module-typescript -e "$3" "$4" "$1/waddle.sqlite" "$1"',
        'sh',
        small,
        process.execPath,
        `${MODULES}
        import { execFileSync } from 'node:child_process';
        const store = openStore(database);
        let code = null;
        try { catchUp({ layout, store, judge: () => 'alive' }); } catch (error) { code = error.code ?? String(error); }
        const whole = store.db.prepare('PRAGMA integrity_check').get().integrity_check;
        execFileSync('mount', ['-o', 'remount,size=64m', argument]);
        catchUp({ layout, store, judge: () => 'alive' });
        const { n } = store.db.prepare('SELECT count(DISTINCT step) AS n FROM metrics').get();
        process.stdout.write(JSON.stringify({ code, whole, n, rows: store.db.prepare('SELECT count(*) AS n FROM samples').get().n }));
        store.close();
        `,
        project.layout.project,
      ],
      { encoding: 'utf8' },
    );
    expect(stderr).toBe('');
    expect(JSON.parse(stdout)).toEqual({ code: 'store-full', whole: 'ok', n: 150_000, rows: 150_000 });
  });
});
