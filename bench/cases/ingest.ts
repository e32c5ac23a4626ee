import { mkdirSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { layoutOf } from '../../src/journal/layout.ts';
import { type Bench, type BenchOptions, type Figure, inTurn } from '../figure.ts';
import { writeRun } from '../journals.ts';
import { runJob } from '../process.ts';

const INGEST = fileURLToPath(import.meta.resolve('../jobs/ingest.ts'));
const BARE_INSERT = fileURLToPath(import.meta.resolve('../jobs/bare-insert.ts'));

interface Ingested {
  ms: number;
  cpuMs: number;
  samples: number;
  /** Peak resident memory, bytes. */
  peak: number;
  /** What the store grew by. */
  storeBytes: number;
}

/** A store built from scratch against bare inserts of the same rows; each in a new process, in turn. */
async function run({ scratch, quick }: BenchOptions): Promise<Figure[]> {
  const project = join(scratch, 'project');
  mkdirSync(project);
  const layout = layoutOf(project);
  const steps = quick ? 25_000 : 250_000;
  const keys = ['train/loss', 'train/accuracy', 'val/loss', 'learning_rate'];
  const written = writeRun(layout, { keys, steps, seed: 1 });
  const samples = steps * keys.length;
  const forget = () => {
    for (const end of ['', '-wal', '-shm']) rmSync(join(layout.root, `waddle.sqlite${end}`), { force: true });
  };
  const [single, bare] = await inTurn(
    quick ? 1 : 5,
    async () => {
      forget();
      const { ms, samples } = await runJob<Ingested>(INGEST, [project]);
      return (samples / ms) * 1000;
    },
    async () => {
      const { ms } = await runJob<{ ms: number }>(BARE_INSERT, [scratch, String(samples)]);
      for (const end of ['', '-wal', '-shm']) rmSync(join(scratch, `bare.sqlite${end}`), { force: true });
      return (samples / ms) * 1000;
    },
  );
  forget();
  const sealed = await runJob<Ingested>(INGEST, [project, '--seal']);
  const stored = sealed.storeBytes / samples;
  const kept = statSync(`${written.journal}.zst`).size / samples;
  return [
    {
      name: 'ingest',
      value: single,
      unit: 'samples/s',
      floor: bare,
      against: 'bare inserts, 100 rows a statement, from memory',
      goal: 'at least 200,000 a second on one core',
      reached: single >= 200_000,
    },
    {
      name: 'store',
      value: stored,
      unit: 'bytes/sample',
      floor: written.bytes / samples,
      against: 'the plain journal',
      goal: 'at most 45',
      reached: stored <= 45,
    },
    {
      name: 'sealed journal',
      value: kept,
      unit: 'bytes/sample',
      floor: written.bytes / samples,
      against: 'the plain journal',
    },
    {
      name: 'store and sealed journal',
      value: stored + kept,
      unit: 'bytes/sample',
      floor: written.bytes / samples,
      against: 'the plain journal',
      goal: 'at most 65',
      reached: stored + kept <= 65,
    },
  ];
}

export const ingest: Bench = { name: 'ingest', run };
