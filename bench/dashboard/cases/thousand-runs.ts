import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Page } from 'playwright-core';
import { type Figure, median } from '../../figure.ts';
import { seeded } from '../../journals.ts';
import type { Watched } from '../browser.ts';
import { figure, type PageBench, type PageOptions, percentile } from '../case.ts';
import { childrenCpu } from '../cpu.ts';
import { latencies, liveRun } from '../live.ts';
import { type Server, serve, startJob } from '../server.ts';
import { keyNames, manyRuns, type Project } from '../stores.ts';

const MB = 1e6;
/** Of the keys' groups of 100, the one that is looked at; its letter `a` is 20 of them. */
const GROUP = 'g1/';

interface Place extends PageOptions {
  server: Server;
  project: Project;
  /** The 20 newest runs, which have the most samples. */
  runs: string[];
  /** The greatest heap seen on any of the pages. */
  heap: number;
}

async function run(options: PageOptions): Promise<Figure[]> {
  const { quick, scratch, root, say } = options;
  const plan = quick
    ? { runs: 100, keys: keyNames(200), steps: 5, long: { runs: 20, steps: 100 } }
    : { runs: 1000, keys: keyNames(1000), steps: 5, long: { runs: 20, steps: 255 } };
  const project = await manyRuns(join(scratch, 'project'), plan);
  say(
    `${plan.runs} runs × ${plan.keys.length} keys, ${project.samples.toLocaleString('en')} samples in a store`,
  );
  const server = await serve(root, project.folder);
  const place: Place = { ...options, server, project, runs: project.runs.slice(-20), heap: 0 };
  const figures = [figure('server start to first answer', server.started, 'ms', { most: 500 })];
  try {
    for (const part of [weight, api, table, charts, tall, zoom, scroll, live, idle]) {
      try {
        figures.push(...(await part(place)));
      } catch (error) {
        options.failed(error);
      }
    }
    figures.push(figure('heap, the most of all these pages', place.heap / MB, 'MB', { most: 300 }));
  } finally {
    await server.stop();
  }
  return figures;
}

const hundred = ({ server, runs }: Place) => `${server.url}/?only=${runs.join()}&panels=${GROUP}`;

async function closing(place: Place, watched: Watched): Promise<void> {
  place.heap = Math.max(place.heap, await watched.heap());
  await watched.close();
}

/** What a browser that was never here loads of the page itself. */
async function weight(place: Place): Promise<Figure[]> {
  const browser = await place.openBrowser(900);
  try {
    let bytes = 0;
    const sizes: Promise<void>[] = [];
    const listen = (page: Page) =>
      page.on('requestfinished', (request) => {
        if (/^\/(api|ws)/.test(new URL(request.url()).pathname)) return;
        sizes.push(
          request.sizes().then(({ responseBodySize }) => {
            bytes += responseBodySize;
          }),
        );
      });
    const first = await browser.visit(`${place.server.url}/`, undefined, listen);
    await first.drawn();
    await Promise.all(sizes);
    const page = bytes;
    const run = await browser.visit(`${place.server.url}/runs/${place.runs[0]}`, undefined, listen);
    const compare = `${place.server.url}/compare?runs=${place.runs.slice(0, 2).join()}`;
    const other = await browser.visit(compare, undefined, listen);
    await sleep(2000);
    await Promise.all(sizes);
    await Promise.all([first, run, other].map((one) => one.close()));
    return [
      figure('page weight, compressed', page / 1000, 'kB', { most: 150 }),
      figure('the same with a run’s page and the comparison', bytes / 1000, 'kB'),
    ];
  } finally {
    await browser.close();
  }
}

async function api({ server, project, quick }: Place): Promise<Figure[]> {
  const time = async (path: string): Promise<number> => {
    const took: number[] = [];
    for (let round = 0; round < (quick ? 3 : 15); round += 1) {
      const began = performance.now();
      const answer = await fetch(server.url + path);
      if (!answer.ok) throw new Error(await answer.text());
      await answer.arrayBuffer();
      took.push(performance.now() - began);
    }
    return median(took);
  };
  return [
    figure(`GET /api/runs (${project.runs.length.toLocaleString('en')})`, await time('/api/runs'), 'ms', {
      most: 100,
    }),
    figure('GET /api/keys', await time('/api/keys'), 'ms'),
  ];
}

async function table(place: Place): Promise<Figure[]> {
  const times: number[] = [];
  const drawn: number[] = [];
  for (let round = 0; round < (place.quick ? 1 : 5); round += 1) {
    const watched = await place.browser.visit(`${place.server.url}/`, `table-${round}`);
    drawn.push((await watched.drawn()).first);
    times.push(await watched.ask<number>('bench.table'));
    await closing(place, watched);
  }
  return [
    figure('table, first paint', median(times), 'ms', { most: 1000 }),
    figure('charts in view, of the 250 newest runs, drawn', median(drawn), 'ms'),
  ];
}

async function charts(place: Place): Promise<Figure[]> {
  const times: number[] = [];
  const blocked: number[] = [];
  let panels = 0;
  for (let round = 0; round < (place.quick ? 1 : 5); round += 1) {
    const watched = await place.browser.visit(hundred(place), `charts-${round}`);
    const drawn = await watched.drawn();
    times.push(drawn.first);
    panels = drawn.panels;
    blocked.push(await watched.blocked());
    await closing(place, watched);
  }
  return [
    figure(`page of 100 charts × 20 runs, the ${panels} in view drawn`, median(times), 'ms', { most: 1500 }),
    figure('the same, longest blocked stretch', Math.max(...blocked), 'ms'),
  ];
}

/** A window so high that all 100 charts are in view. */
async function tall(place: Place): Promise<Figure[]> {
  const browser = await place.openBrowser(9000);
  try {
    await (await browser.visit(hundred(place))).drawn();
    const times: number[] = [];
    let panels = 0;
    for (let round = 0; round < (place.quick ? 1 : 3); round += 1) {
      const watched = await browser.visit(hundred(place), `tall-${round}`);
      const drawn = await watched.drawn();
      times.push(drawn.first);
      panels = drawn.panels;
      await closing(place, watched);
    }
    return [
      figure(`the same in a window that shows ${panels} charts at once`, median(times), 'ms', { most: 1500 }),
    ];
  } finally {
    await browser.close();
  }
}

async function zoom(place: Place): Promise<Figure[]> {
  const watched = await place.browser.visit(hundred(place), 'zoom');
  await watched.drawn();
  const random = seeded(11);
  const { mouse } = watched.page;
  const plots = watched.page.locator('section.panel .u-over');
  const first: number[] = [];
  const finer: number[] = [];
  for (let round = 0; round < (place.quick ? 3 : 20); round += 1) {
    const box = await plots.nth(Math.floor(random() * 6)).boundingBox();
    if (box === null) throw new Error('there is no plot');
    const y = box.y + box.height * (0.2 + 0.6 * random());
    const from = box.x + box.width * (0.05 + 0.4 * random());
    await mouse.move(from, y);
    await mouse.down();
    await mouse.move(from + box.width * (0.2 + 0.3 * random()), y, { steps: 5 });
    await mouse.up();
    const zoomed = await watched.drawn();
    await mouse.dblclick(from, y);
    const whole = await watched.drawn();
    for (const one of [zoomed, whole]) {
      first.push(one.first - one.marked);
      finer.push(one.last - one.marked);
    }
  }
  await closing(place, watched);
  return [
    figure('zoom to redraw of all in view, 95th percentile', percentile(first, 0.95), 'ms', { most: 100 }),
    figure('the same, median', median(first), 'ms'),
    figure('zoom to finer data drawn, 95th percentile', percentile(finer, 0.95), 'ms'),
  ];
}

async function scroll(place: Place): Promise<Figure[]> {
  const watched = await place.browser.visit(`${place.server.url}/?only=${place.runs.join()}`, 'scroll');
  await watched.drawn();
  const rates: number[] = [];
  const gaps: number[] = [];
  for (const speed of place.quick ? [2000] : [800, 2000, 8000]) {
    await watched.ask('bench.startFrames()');
    await watched.session.send('Input.synthesizeScrollGesture', {
      x: 900,
      y: 500,
      yDistance: -Math.min(speed * 5, 40_000),
      speed,
      gestureSourceType: 'mouse',
    });
    const frames = await watched.ask<number[]>('bench.stopFrames()');
    const [begin = 0] = frames;
    rates.push(((frames.length - 1) / ((frames.at(-1) ?? begin) - begin)) * 1000);
    gaps.push(...frames.slice(1).map((at, index) => at - (frames[index] ?? at)));
    await watched.drawn();
  }
  await closing(place, watched);
  return [
    figure('scroll over all charts × 20 runs, slowest speed', Math.min(...rates), 'frames/s', {
      least: 50,
    }),
    figure('the same, time between frames, 99th percentile', percentile(gaps, 0.99), 'ms'),
  ];
}

async function live(place: Place): Promise<Figure[]> {
  const { root, project, server, quick } = place;
  const seconds = quick ? 8 : 30;
  const keys = Array.from({ length: 20 }, (_, index) => `${GROUP}a${String(index).padStart(2, '0')}`);
  const job = startJob(root, project.folder, { keys, first: 1000, wait: 0.04, seconds });
  try {
    const id = await liveRun(server.url);
    const runs = [id, ...place.runs.slice(1)];
    const url = `${server.url}/?rail=0&height=140&panels=${GROUP}a&only=${runs.join()}`;
    const watched = await place.browser.visit(url, 'live');
    const { panels } = await watched.drawn('live');
    await sleep(1500);
    await watched.ask(`bench.follow = '${keys[0]}'`);
    const [began, before] = [performance.now(), await watched.busy()];
    await sleep(quick ? 2000 : 10_000);
    const share = (await watched.busy()) - before;
    const took = performance.now() - began;
    const ends = await watched.ask<[number, number][]>('bench.ends');
    const late = latencies(job, ends, await watched.ask<number>('performance.timeOrigin'));
    await closing(place, watched);
    return [
      figure(`500 live points a second into ${panels} charts, main thread busy`, (share / took) * 100, '%', {
        most: 50,
      }),
      figure('the same, pictures of a chart a second', ends.length / (took / 1000), ''),
      figure('the same, log call to pixel, 95th percentile', percentile(late, 0.95), 'ms'),
    ];
  } finally {
    await job.end();
  }
}

async function idle(place: Place): Promise<Figure[]> {
  let traffic = 0;
  const watched = await place.browser.visit(`${place.server.url}/`, 'idle', (page) => {
    page.on('request', () => {
      traffic += 1;
    });
    page.on('websocket', (socket) => {
      socket.on('framereceived', () => {
        traffic += 1;
      });
      socket.on('framesent', () => {
        traffic += 1;
      });
    });
  });
  await watched.drawn();
  await sleep(2000);
  traffic = 0;
  const seconds = place.quick ? 2 : 10;
  const [cpu, before] = [childrenCpu(), await watched.busy()];
  await sleep(seconds * 1000);
  const [page, all] = [(await watched.busy()) - before, childrenCpu() - cpu];
  await closing(place, watched);
  return [
    figure(`idle page, requests and frames in ${seconds} s`, traffic, '', { most: 1 }),
    figure(`idle page, main thread busy in ${seconds} s`, page, 'ms', { most: 20 }),
    figure('the same, CPU of browser and server', all, 'ms'),
  ];
}

export const thousandRuns: PageBench = { name: 'thousand-runs', run };
