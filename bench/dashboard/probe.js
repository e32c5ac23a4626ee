/**
 * Runs in every page before the page's own scripts, and only watches: when a plot's canvas was given a picture
 * (`transferFromImageBitmap`), when the first row of the table was there, what blocked the main thread. `globalThis.bench` has the rest.
 */
(() => {
  const bench = {
    table: null,
    blocked: [],
    first: new Map(),
    last: new Map(),
    ends: [],
    follow: '',
    marked: 0,
  };
  globalThis.bench = bench;

  /** After the frame in which this is called is painted. */
  const channel = new MessageChannel();
  let after = [];
  channel.port1.onmessage = () => {
    const now = performance.now();
    const done = after;
    after = [];
    for (const one of done) one(now);
  };
  const afterFrame = (task) => {
    after.push(task);
    if (after.length === 1) channel.port2.postMessage(null);
  };

  const { transferFromImageBitmap } = ImageBitmapRenderingContext.prototype;
  /** Pixels of what a canvas shows: its own width and height are those of none. */
  const sizes = new WeakMap();
  ImageBitmapRenderingContext.prototype.transferFromImageBitmap = function (...what) {
    const { canvas } = this;
    sizes.set(canvas, [what[0].width, what[0].height]);
    afterFrame((now) => {
      const metric = canvas.closest('[data-metric]')?.dataset.metric;
      if (metric === undefined) return;
      if (!bench.first.has(metric)) bench.first.set(metric, now);
      bench.last.set(metric, now);
      if (metric === bench.follow) bench.ends.push([Number(canvas.closest('.plot').dataset.end), now]);
    });
    return transferFromImageBitmap.apply(this, what);
  };

  const rows = new MutationObserver(() => {
    if (document.querySelector('.runs-body [role="row"] .run-name') === null) return;
    rows.disconnect();
    requestAnimationFrame(() =>
      afterFrame((now) => {
        bench.table = now;
      }),
    );
  });
  rows.observe(document, { childList: true, subtree: true });

  new PerformanceObserver((list) => {
    for (const { startTime, duration } of list.getEntries()) bench.blocked.push([startTime, duration]);
  }).observe({ type: 'longtask', buffered: true });

  /** From now on `first` tells the first painting after this time. */
  const mark = (event) => {
    bench.marked = event.timeStamp;
    bench.first.clear();
    bench.last.clear();
  };
  for (const type of ['mouseup', 'dblclick']) window.addEventListener(type, mark, { capture: true });
  // Without Ctrl it scrolls, and what stays in view need not be painted again.
  window.addEventListener('wheel', (event) => event.ctrlKey && mark(event), { capture: true, passive: true });

  const panels = () =>
    [...document.querySelectorAll('section.panel')].filter((panel) => {
      const box = panel.getBoundingClientRect();
      return box.bottom > 0 && box.top < innerHeight;
    });
  /** How many charts are in view, and when the last of them was first and last painted; null while one is not. */
  bench.drawn = () => {
    const shown = panels();
    let [first, last] = [0, 0];
    for (const panel of shown) {
      const { metric, state } = panel.dataset;
      if (state !== 'ready' || !bench.first.has(metric)) return null;
      first = Math.max(first, bench.first.get(metric));
      last = Math.max(last, bench.last.get(metric));
    }
    return shown.length === 0 ? null : { panels: shown.length, first, last, marked: bench.marked };
  };

  let frames = [];
  let watching = false;
  bench.startFrames = () => {
    frames = [];
    watching = true;
    const next = (now) => {
      frames.push(now);
      if (watching) requestAnimationFrame(next);
    };
    requestAnimationFrame(next);
  };
  bench.stopFrames = () => {
    watching = false;
    return frames;
  };

  /** How much of a line's colour each pixel of a plot has, 0 to 255: ground and grid are next to grey. */
  const pixels = (metric) => {
    const panel = document.querySelector(`[data-metric="${metric}"]`);
    const canvas = panel.querySelector('canvas');
    const over = panel.querySelector('.u-over');
    const size = sizes.get(canvas);
    const ratio = size[0] / canvas.clientWidth;
    const [left, top, width, height] = [
      over.offsetLeft,
      over.offsetTop,
      over.clientWidth,
      over.clientHeight,
    ].map((one) => Math.round(one * ratio));
    const copy = new OffscreenCanvas(...size).getContext('2d');
    copy.drawImage(canvas, 0, 0, ...size);
    const { data } = copy.getImageData(left, top, width, height);
    const ink = new Float64Array(width * height);
    let most = 1;
    for (let at = 0; at < ink.length; at++) {
      const channels = data.subarray(at * 4, at * 4 + 3);
      ink[at] = Math.max(...channels) - Math.min(...channels);
      most = Math.max(most, ink[at]);
    }
    return { width, height, ink: ink.map((one) => (one / most) * 255) };
  };
  /** The strongest ink in the upper half of a chart's lines. */
  bench.upperHalf = (metric) => {
    const { width, height, ink } = pixels(metric);
    return ink.subarray(0, width * Math.floor(height / 2)).reduce((most, one) => Math.max(most, one), 0);
  };
  /** How many lines, one above the other, a strip in the middle of a chart shows. */
  bench.stacked = (metric) => {
    const { width, height, ink } = pixels(metric);
    const from = Math.floor(width / 2);
    let [lines, within] = [0, false];
    for (let y = 0; y < height; y++) {
      let most = 0;
      for (let x = from; x < Math.min(width, from + 40); x++) most = Math.max(most, ink[y * width + x]);
      if (most > 36 && !within) lines++;
      within = most > 36;
    }
    return lines;
  };
})();
