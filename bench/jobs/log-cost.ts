/**
 * `log-cost.ts CLIENT PROJECT CALLS ROUNDS`: the twin of `log_cost.py`. Cost of a log call from Node against one
 * `fs.writeSync` of the same bytes, in microseconds; rounds in turn, medians, one JSON line.
 */
import { closeSync, openSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { init as Init } from '../../src/client/client.ts';
import { median, timed } from '../figure.ts';

const [client = '', project = '', callsText = '', roundsText = ''] = process.argv.slice(2);
const calls = Number(callsText);
const { init } = (await import(pathToFileURL(client).href)) as { init: typeof Init };
const began = performance.now();
const run = await init({ dir: project, project: 'bench', name: 'log cost' });
const started = performance.now() - began;

const twenty: Record<string, number> = {};
for (let index = 0; index < 20; index += 1) {
  twenty[`group${index % 4}/metric${index}`] = index * 0.1234567;
}
const lineOf = (values: object) =>
  Buffer.from(`{"k":"m","t":1764000000.123,"s":41000,"v":${JSON.stringify(values)}}\n`);
const fd = openSync(join(project, 'floor.jsonl'), 'a');

function measure(log: (step: number) => void, values: object): { waddle: number; floor: number } {
  const line = lineOf(values);
  const each = (work: (step: number) => void) =>
    (timed(() => {
      for (let step = 0; step < calls; step += 1) work(step);
    }) /
      calls) *
    1000;
  const waddle: number[] = [];
  const floor: number[] = [];
  for (let round = 0; round < Number(roundsText); round += 1) {
    waddle.push(each(log));
    floor.push(each(() => writeSync(fd, line)));
  }
  return { waddle: median(waddle), floor: median(floor) };
}

const one = measure((step) => run.logMetric('train/loss', step, 0.034170261 + step), {
  'train/loss': 0.034170261,
});
const all = measure((step) => run.log(twenty, { step }), twenty);
closeSync(fd);
run.finish();
process.stdout.write(`${JSON.stringify({ started, one, twenty: all })}\n`);
