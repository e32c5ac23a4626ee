/**
 * Runs in every page before the page's own scripts, and only watches: when a plot's canvas was painted (each painting begins
 * with `clearRect`), when the first row of the table was there, what blocked the main thread. `globalThis.bench` has the rest.
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

  const { clearRect } = CanvasRenderingContext2D.prototype;
  CanvasRenderingContext2D.prototype.clearRect = function (...box) {
    const { canvas } = this;
    if (canvas.classList.contains('plot-lines')) {
      afterFrame((now) => {
        const metric = canvas.closest('[data-metric]')?.dataset.metric;
        if (metric === undefined) return;
        if (!bench.first.has(metric)) bench.first.set(metric, now);
        bench.last.set(metric, now);
        if (metric === bench.follow) bench.ends.push([Number(canvas.closest('.plot').dataset.end), now]);
      });
    }
    return clearRect.apply(this, box);
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

  const pixels = (metric) => {
    const canvas = document.querySelector(`[data-metric="${metric}"] canvas.plot-lines`);
    const { width, height } = canvas;
    return { width, height, alpha: canvas.getContext('2d').getImageData(0, 0, width, height).data };
  };
  /** The strongest alpha (0 to 255) in the upper half of a chart's lines. */
  bench.upperHalf = (metric) => {
    const { width, height, alpha } = pixels(metric);
    let most = 0;
    for (let at = 3; at < width * Math.floor(height / 2) * 4; at += 4) most = Math.max(most, alpha[at]);
    return most;
  };
  /** How many lines, one above the other, a strip in the middle of a chart shows. */
  bench.stacked = (metric) => {
    const { width, height, alpha } = pixels(metric);
    const from = Math.floor(width / 2);
    let [lines, within] = [0, false];
    for (let y = 0; y < height; y++) {
      let ink = 0;
      for (let x = from; x < Math.min(width, from + 40); x++)
        ink = Math.max(ink, alpha[(y * width + x) * 4 + 3]);
      if (ink > 60 && !within) lines++;
      within = ink > 60;
    }
    return lines;
  };
})();
