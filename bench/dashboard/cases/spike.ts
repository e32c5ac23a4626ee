import { join } from 'node:path';
import { type Figure, median } from '../../figure.ts';
import { seeded } from '../../journals.ts';
import type { Watched } from '../browser.ts';
import { figure, type PageBench, type PageOptions } from '../case.ts';
import { serve } from '../server.ts';
import { oneSpike } from '../stores.ts';

const METRIC = 'train/loss';
/** Of 255: a spike of less would be a whisper. */
const VISIBLE = 128;

/** One run of a million samples of which one is a spike. */
async function run({ root, scratch, quick, browser, say }: PageOptions): Promise<Figure[]> {
  const steps = quick ? 100_000 : 1_000_000;
  const at = Math.floor(steps * 0.612345);
  const project = await oneSpike(join(scratch, 'project'), steps, at);
  const server = await serve(root, project.folder);
  try {
    const time = async (path: string, name: string): Promise<number> => {
      await (await browser.visit(server.url + path)).drawn();
      const times: number[] = [];
      for (let round = 0; round < (quick ? 1 : 7); round += 1) {
        const watched = await browser.visit(server.url + path, `${name}-${round}`);
        times.push((await watched.drawn()).first);
        await watched.close();
      }
      return median(times);
    };
    const first = await time('/', 'spike');
    const own = await time(`/runs/${project.runs[0]}/charts`, 'spike-run');

    let [shown, tried] = [0, 0];
    const look = async (watched: Watched): Promise<void> => {
      const ink = await watched.ask<number>(`bench.upperHalf('${METRIC}')`);
      tried += 1;
      if (ink >= VISIBLE) shown += 1;
      else say(`no spike (ink ${ink}): ${watched.page.url()}`);
    };
    const whole = await browser.visit(server.url);
    await whole.drawn();
    await look(whole);
    await zoomIn(whole, [0, steps - 1], at, look);
    await whole.close();
    const random = seeded(5);
    for (let round = 0; round < (quick ? 3 : 12); round += 1) {
      const width = 20 * (steps / 20) ** random();
      const from = Math.max(0, at - width * random());
      const watched = await browser.visit(`${server.url}/?from=${from}&to=${from + width}`);
      await watched.drawn();
      await look(watched);
      await watched.close();
    }
    const name = `${steps.toLocaleString('en')} samples`;
    return [
      figure(`${name}, drawn on the first page`, first, 'ms', { most: 300 }),
      figure(`${name}, drawn on the run’s page`, own, 'ms', { most: 300 }),
      figure(`spike of one sample seen at ${tried} zooms`, (shown / tried) * 100, '%', { least: 100 }),
    ];
  } finally {
    await server.stop();
  }
}

/** Ctrl and wheel over the spike, twice as near each time, until a few samples are in view. */
async function zoomIn(
  watched: Watched,
  all: [number, number],
  at: number,
  look: (watched: Watched) => Promise<void>,
): Promise<void> {
  const { page } = watched;
  const box = await page.locator(`[data-metric="${METRIC}"] .u-over`).boundingBox();
  if (box === null) throw new Error('there is no plot');
  let [from, to] = all;
  while (to - from > 16) {
    await page.mouse.move(box.x + (box.width * (at - from)) / (to - from), box.y + 20);
    await page.keyboard.down('Control');
    await page.mouse.wheel(0, -240);
    await page.keyboard.up('Control');
    await watched.drawn();
    await look(watched);
    const query = new URL(page.url()).searchParams;
    const next: [number, number] = [Number(query.get('from') ?? Number.NaN), Number(query.get('to'))];
    if (!(next[1] - next[0] < to - from)) throw new Error(`the wheel does not zoom: ${page.url()}`);
    [from, to] = next;
  }
}

export const spike: PageBench = { name: 'spike', run };
