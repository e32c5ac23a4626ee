/**
 * `chart.ts PROJECT RUN KEY POINTS ROUNDS`: the same chart from the rollups, of the whole series and of narrow parts of it,
 * and from all its samples; milliseconds as JSON.
 */
import { join } from 'node:path';
import { layoutOf } from '../../src/journal/layout.ts';
import { readSeries } from '../../src/query/chart.ts';
import { answerNow } from '../../src/store/answer-now.ts';
import { openStore } from '../../src/store/open.ts';
import { median, timed } from '../figure.ts';
import { seeded } from '../journals.ts';

const [project = '', run = '', key = '', points = '', rounds = ''] = process.argv.slice(2);
const store = openStore(join(layoutOf(project).root, 'waddle.sqlite'), { readOnly: true });
const random = seeded(7);

const chart = (from?: number, to?: number) => {
  const { lines } = answerNow(store, readSeries({ run, key, points: Number(points), from, to }));
  if (lines.length === 0) throw new Error('an empty chart');
};
/** A column holds the least, the greatest, the first and the last value of its samples; by hand, from every sample. */
const raw = () => {
  const series = store.db.prepare('SELECT id, count FROM series WHERE key = ?').get(key);
  const id = Number(series?.id);
  const width = Number(series?.count) / Number(points);
  const low = new Float64Array(Number(points)).fill(Number.POSITIVE_INFINITY);
  const high = new Float64Array(Number(points)).fill(Number.NEGATIVE_INFINITY);
  const rows = store.db.prepare('SELECT step, value FROM samples WHERE id BETWEEN ? AND ?');
  rows.setReturnArrays(true);
  for (const row of rows.iterate(id * 2 ** 28, id * 2 ** 28 + 2 ** 28 - 1)) {
    const [step, value] = row as unknown as [number, number];
    const column = Math.floor(step / width);
    if (value < (low[column] ?? 0)) low[column] = value;
    if (value > (high[column] ?? 0)) high[column] = value;
  }
};

const first = timed(() => chart());
const [whole, narrow, raws]: [number[], number[], number[]] = [[], [], []];
const count = Number(store.db.prepare('SELECT count FROM series WHERE key = ?').get(key)?.count);
for (let round = 0; round < Number(rounds); round += 1) {
  whole.push(timed(() => chart()));
  // A part of a tenth to a ten-thousandth of the series.
  const part = count / 10 ** (1 + 3 * random());
  const from = Math.floor(random() * (count - part));
  narrow.push(timed(() => chart(from, from + part)));
  if (round % 10 === 0) raws.push(timed(raw));
}
store.close();
const worst = Math.max(...narrow);
process.stdout.write(
  `${JSON.stringify({ first, whole: median(whole), narrow: median(narrow), worst, raw: median(raws) })}\n`,
);
