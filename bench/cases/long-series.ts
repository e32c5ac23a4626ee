import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { layoutOf } from '../../src/journal/layout.ts';
import type { Bench, BenchOptions, Figure } from '../figure.ts';
import { writeRun } from '../journals.ts';
import { runJob } from '../process.ts';

const INGEST = fileURLToPath(import.meta.resolve('../jobs/ingest.ts'));
const CHART = fileURLToPath(import.meta.resolve('../jobs/chart.ts'));

const MB = 1e6;

/** One series of ten million samples: what ingesting it takes in memory, and what a chart of it takes in time. */
async function run({ scratch, quick, say }: BenchOptions): Promise<Figure[]> {
  const project = join(scratch, 'project');
  mkdirSync(project);
  const steps = quick ? 200_000 : 10_000_000;
  const key = 'train/loss';
  const written = writeRun(layoutOf(project), { keys: [key], steps, seed: 3 });
  say(`${steps.toLocaleString('en')} samples, ${(written.bytes / MB).toFixed(0)} MB of journal`);
  const { peak, ms } = await runJob<{ peak: number; ms: number }>(INGEST, [project]);
  const idle = await runJob<{ peak: number }>(INGEST, [project]);
  const rounds = quick ? 3 : 21;
  const chart = await runJob<Record<'first' | 'whole' | 'narrow' | 'worst' | 'raw', number>>(CHART, [
    project,
    written.id,
    key,
    '1000',
    String(rounds),
  ]);
  const name = `of ${quick ? '200,000' : '10 million'}`;
  const goal = 'under 20 ms';
  const against = 'the same columns from every sample';
  return [
    {
      name: `ingest ${name}, memory`,
      value: peak / MB,
      unit: 'MB',
      floor: idle.peak / MB,
      against: 'the same process with nothing to read',
      goal: 'under 300 MB',
      reached: peak < 300 * MB,
    },
    {
      name: `ingest ${name}, rate`,
      value: (steps / ms) * 1000,
      unit: 'samples/s',
      floor: null,
      against: null,
      goal: 'at least 200,000',
      reached: (steps / ms) * 1000 >= 200_000,
    },
    {
      name: `chart ${name}, 1,000 points`,
      value: chart.whole,
      unit: 'ms',
      floor: chart.raw,
      against,
      goal,
      reached: chart.whole < 20,
    },
    {
      name: 'the same, first query',
      value: chart.first,
      unit: 'ms',
      floor: chart.raw,
      against,
    },
    {
      name: 'chart of a part of it',
      value: chart.narrow,
      unit: 'ms',
      floor: chart.raw,
      against,
      goal,
      reached: chart.narrow < 20,
    },
    {
      name: 'the same, slowest part',
      value: chart.worst,
      unit: 'ms',
      floor: chart.raw,
      against,
    },
  ];
}

export const longSeries: Bench = { name: 'long-series', run };
