import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { layoutOf } from '../../src/journal/layout.ts';
import { listRuns } from '../../src/query/runs-table.ts';
import { answerNow } from '../../src/store/answer-now.ts';
import { openStore } from '../../src/store/open.ts';
import { type Bench, type BenchOptions, type Figure, inTurn, median, timed } from '../figure.ts';
import { writeRun } from '../journals.ts';
import { runJob, timeProcess } from '../process.ts';

const INGEST = fileURLToPath(import.meta.resolve('../jobs/ingest.ts'));

/** A thousand runs of twenty metrics: a table of them, sorted and filtered by metrics and params. */
async function run({ root, scratch, quick }: BenchOptions): Promise<Figure[]> {
  const project = join(scratch, 'project');
  mkdirSync(project);
  const layout = layoutOf(project);
  const runs = quick ? 100 : 1000;
  const keys = Array.from({ length: 20 }, (_, index) => `group${index % 4}/metric${index}`);
  for (let seed = 1; seed <= runs; seed += 1) {
    const params = { lr: 0.001 * (1 + (seed % 7)), model: { layers: seed % 5, name: 'mlp' } };
    writeRun(layout, { keys, steps: 20, together: true, seed, params });
  }
  const ingested = await runJob<{ ms: number }>(INGEST, [project, '--seal']);
  const store = openStore(join(layout.root, 'waddle.sqlite'), { readOnly: true });
  const columns = [...keys.map((key) => `metrics.${key}`), 'params.lr', 'params.model.layers'].map((name) =>
    name.includes('/') ? `metrics.\`${name.slice('metrics.'.length)}\`` : name,
  );
  const sort = `metrics.\`${keys[3]}\`.min`;
  const filter = `params.lr > 0.002 and metrics.\`${keys[5]}\`.last < 10`;
  const all: number[] = [];
  const some: number[] = [];
  for (let round = 0; round < (quick ? 3 : 15); round += 1) {
    all.push(timed(() => answerNow(store, listRuns({ sort, columns }))));
    some.push(timed(() => answerNow(store, listRuns({ sort, filter, columns, limit: 50 }))));
  }
  store.close();
  const options = { cwd: project };
  const [command, node] = await inTurn(
    quick ? 3 : 15,
    () => timeProcess(process.execPath, [join(root, 'dist/waddle.js'), 'ls', '--limit', '50'], options),
    () => timeProcess(process.execPath, ['-e', '0'], options),
  );
  const of = `${runs.toLocaleString('en')} runs × 20 metrics`;
  return [
    {
      name: `ingest ${of}`,
      value: ingested.ms / runs,
      unit: 'ms/run',
      floor: null,
      against: null,
    },
    { name: `list ${of}, all`, value: median(all), unit: 'ms', floor: null, against: null },
    { name: 'list, filtered and sorted, 50', value: median(some), unit: 'ms', floor: null, against: null },
    { name: `waddle ls --limit 50, ${of}`, value: command, unit: 'ms', floor: node, against: 'node -e 0' },
  ];
}

export const list: Bench = { name: 'list', run };
