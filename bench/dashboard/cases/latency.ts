import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Figure, median } from '../../figure.ts';
import { figure, type PageBench, type PageOptions, percentile } from '../case.ts';
import { latencies, liveRun } from '../live.ts';
import { serve, startJob } from '../server.ts';
import { manyRuns } from '../stores.ts';

/** From `waddle.log` in a Python job under `waddle run` to the picture that has its step, in the page that is open. */
async function run({ root, scratch, quick, browser }: PageOptions): Promise<Figure[]> {
  const project = await manyRuns(join(scratch, 'project'), { runs: 10, keys: ['loss'], steps: 50 });
  const server = await serve(root, project.folder);
  const seconds = quick ? 6 : 25;
  const job = startJob(root, project.folder, { keys: ['loss'], first: 100, wait: 0.217, seconds });
  try {
    await liveRun(server.url);
    const watched = await browser.visit(`${server.url}/`);
    await watched.drawn('live');
    await watched.ask(`bench.follow = 'loss'`);
    await sleep((seconds - (quick ? 4 : 5)) * 1000);
    const ends = await watched.ask<[number, number][]>('bench.ends');
    const late = latencies(job, ends, await watched.ask<number>('performance.timeOrigin'));
    await watched.close();
    return [
      figure(`log call to pixel, median of ${late.length}`, median(late), 'ms', { most: 250 }),
      figure('log call to pixel, 95th percentile', percentile(late, 0.95), 'ms', { most: 250 }),
    ];
  } finally {
    await job.end();
    await server.stop();
  }
}

export const latency: PageBench = { name: 'latency', run };
