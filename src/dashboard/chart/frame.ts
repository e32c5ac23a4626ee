/**
 * One frame for all drawing. A task that is asked for twice runs once; what does not fit into a frame's share of time goes
 * into the next, in the order in which it was asked, so that no stretch of drawing blocks the page.
 *
 * What a frame costs beside our own drawing (layout, layers, and without a graphics card every pixel that changed) is
 * measured: where that is much, a frame's share is larger, as many frames would pay it many times; and what merely grows is
 * drawn less often.
 */
const SHARE_MS = { least: 24, most: 60 };
/** While the page scrolls a frame must not be late. */
const SCROLLING_SHARE_MS = 6;
const SCROLLING_MS = 120;
/** Between two pictures of what grows. A point is on the screen 250 ms after it was logged, the way to the page included. */
const REST_MS = { least: 100, most: 160 };
/** What grows gets at most so much of the time. */
const LIVE_SHARE = 0.2;

/** Draws, and tells what is left of it: that comes next, before all else. */
export type Task = () => Task | undefined;

const tasks = new Set<Task>();
const growing = new Set<Task>();
/** What is left of the last. */
let rest: Task | undefined;
let requested = false;
let timer: number | undefined;
let grown = Number.NEGATIVE_INFINITY;
/** Milliseconds of a frame, ours and the browser's. */
let ours = 0;
let browsers = 0;

const clamp = (value: number, { least, most }: { least: number; most: number }): number =>
  Math.min(most, Math.max(least, value));

/** In the next frame. */
export function drawSoon(task: Task): void {
  growing.delete(task);
  tasks.add(task);
  request();
}

/** With all else that grows, a few times a second. */
export function drawGrowth(task: Task): void {
  if (tasks.has(task)) return;
  growing.add(task);
  if (timer !== undefined) return;
  const pause = clamp((ours + browsers) / LIVE_SHARE, REST_MS);
  timer = window.setTimeout(grow, Math.max(0, grown + pause - performance.now()));
}

let scrolledAt = Number.NEGATIVE_INFINITY;

/** The page scrolls: for a moment frames have a small share of drawing. */
export function noteScroll(): void {
  scrolledAt = performance.now();
}

export function drawNever(task: Task): void {
  tasks.delete(task);
  growing.delete(task);
  if (rest === task) rest = undefined;
}

function request(): void {
  if (requested) return;
  requested = true;
  requestAnimationFrame(run);
}

function grow(): void {
  timer = undefined;
  grown = performance.now();
  for (const task of growing) tasks.add(task);
  growing.clear();
  if (tasks.size > 0) request();
}

/** A message that is posted within a frame arrives when the frame is done. */
const after = new MessageChannel();
let [began, drawn] = [0, 0];
after.port1.onmessage = () => {
  ours += (drawn - began - ours) / 4;
  browsers += (performance.now() - drawn - browsers) / 4;
};

function next(): Task | undefined {
  for (const task of tasks) {
    tasks.delete(task);
    return task;
  }
  return undefined;
}

function run(): void {
  requested = false;
  began = performance.now();
  const share = began - scrolledAt < SCROLLING_MS ? SCROLLING_SHARE_MS : clamp(browsers * 1.5, SHARE_MS);
  do {
    const task = rest ?? next();
    if (task === undefined) break;
    rest = task();
  } while (performance.now() - began < share);
  drawn = performance.now();
  after.port2.postMessage(null);
  if (rest !== undefined || tasks.size > 0) request();
}
