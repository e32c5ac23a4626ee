/** The course of a metric in the height of a line. Asked for when it is seen. */
import { useSignal } from '@preact/signals';
import { useEffect, useRef } from 'preact/hooks';
import type { Line } from '../chart/line.ts';
import { lookOf, runColour } from '../chart/run-colours.ts';
import { fetchSeries } from '../chart/series-client.ts';
import { dark } from '../shell/theme.ts';

const WIDTH = 120;
const HEIGHT = 24;
const PAD = 2;
const POINTS = 48;

export function Sparkline({ run, metric, count }: { run: string; metric: string; count: number }) {
  const host = useRef<HTMLSpanElement>(null);
  const seen = useSignal(false);
  const lines = useSignal<readonly Line[]>([]);
  useEffect(() => {
    const element = host.current;
    if (element === null) return;
    const observer = new IntersectionObserver(
      ([entry]) => {
        seen.value = entry?.isIntersecting ?? false;
      },
      { rootMargin: '100px' },
    );
    observer.observe(element);
    return () => observer.disconnect();
  }, []);
  const visible = seen.value;
  useEffect(() => {
    if (!visible) return;
    const request = new AbortController();
    fetchSeries(
      { runs: runList(run), key: metric, points: POINTS, axis: 'step', from: undefined, to: undefined },
      request.signal,
    ).then(
      (answer) => {
        lines.value = answer.lines;
      },
      () => {}, // the numbers beside it stand without it
    );
    return () => request.abort();
  }, [visible, run, metric, count]);
  const { path, band } = pathsOf(lines.value);
  const colour = runColour(lookOf(run).slot, dark.value);
  return (
    <span class="course" ref={host}>
      {path !== '' && (
        <svg viewBox={`0 0 ${WIDTH} ${HEIGHT}`} aria-hidden="true">
          <path
            d={band}
            fill={colour}
            fill-opacity="0.3"
            stroke={colour}
            stroke-opacity="0.5"
            stroke-width="1"
          />
          <path
            d={path}
            fill="none"
            stroke={colour}
            stroke-width="1.5"
            stroke-linejoin="round"
            stroke-linecap="round"
          />
        </svg>
      )}
    </span>
  );
}

/** The same list for the same run, so that asks go together. */
const runLists = new Map<string, readonly string[]>();
function runList(run: string): readonly string[] {
  let list = runLists.get(run);
  if (list === undefined) {
    list = [run];
    runLists.set(run, list);
  }
  return list;
}

/** Mean and envelope of the first process's lines as SVG paths; flat lines lie in the middle. */
export function pathsOf(lines: readonly Line[]): { path: string; band: string } {
  const own = lines.filter((line) => line.writer === lines[0]?.writer && line.n > 0);
  let [left, right, low, high] = [Infinity, -Infinity, Infinity, -Infinity];
  for (const line of own) {
    left = Math.min(left, line.x0[0] ?? left);
    right = Math.max(right, line.x1[line.n - 1] ?? right);
    for (let at = 0; at < line.n; at++) {
      const [min, max] = [line.min[at] ?? Number.NaN, line.max[at] ?? Number.NaN];
      if (Number.isFinite(min)) low = Math.min(low, min);
      if (Number.isFinite(max)) high = Math.max(high, max);
    }
  }
  if (!Number.isFinite(low) || !Number.isFinite(high)) return { path: '', band: '' };
  const x = (value: number) =>
    right > left ? PAD + ((value - left) / (right - left)) * (WIDTH - 2 * PAD) : WIDTH / 2;
  const y = (value: number) =>
    high > low ? HEIGHT - PAD - ((value - low) / (high - low)) * (HEIGHT - 2 * PAD) : HEIGHT / 2;
  const point = (px: number, py: number) => `${px.toFixed(1)} ${py.toFixed(1)}`;
  let path = '';
  let band = '';
  for (const line of own) {
    let open = false;
    for (let at = 0; at < line.n; at++) {
      const value = line.mean[at] ?? Number.NaN;
      if (!Number.isFinite(value)) {
        open = false;
        continue;
      }
      path += `${open ? 'L' : 'M'}${point(x(line.x0[at] ?? 0), y(value))}`;
      if (line.n === 1) path += 'h0.1';
      open = true;
    }
    if (line.raw) continue;
    const finite = Array.from({ length: line.n }, (_, at) => at).filter((at) =>
      Number.isFinite(line.max[at] ?? Number.NaN),
    );
    const upper = finite.map((at) => point(x(line.x0[at] ?? 0), y(line.max[at] ?? 0)));
    const lower = finite.toReversed().map((at) => point(x(line.x0[at] ?? 0), y(line.min[at] ?? 0)));
    if (upper.length > 1) band += `M${[...upper, ...lower].join('L')}Z`;
  }
  return { path, band };
}
