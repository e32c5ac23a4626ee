/** A metric's course as a small line, in the table. Rows in view are asked for together. */
import { signal } from '@preact/signals';
import { useEffect } from 'preact/hooks';
import type { Line } from '../chart/line.ts';
import { fetchSeries } from '../chart/series-client.ts';
import { now } from '../shell/clock.ts';

const WIDTH = 88;
const HEIGHT = 20;
const POINTS = 44;
/** Of a run that grows: drawn anew at most so often, in seconds. */
const FRESH_S = 10;

interface Spark {
  path: string;
  at: number;
}
const sparks = signal<ReadonlyMap<string, Spark>>(new Map());
const wanted = new Map<string, { run: string; key: string }>();
let timer: number | undefined;
const nameOf = (run: string, key: string): string => `${run} ${key}`;

function want(run: string, key: string): void {
  wanted.set(nameOf(run, key), { run, key });
  if (timer === undefined) timer = window.setTimeout(load, 60);
}

async function load(): Promise<void> {
  timer = undefined;
  const asked = [...wanted.values()];
  wanted.clear();
  const at = Date.now() / 1000;
  for (const [key, list] of Map.groupBy(asked, (one) => one.key)) {
    const ask = {
      runs: list.map((one) => one.run),
      key,
      points: POINTS,
      axis: 'step' as const,
      from: undefined,
      to: undefined,
    };
    try {
      const { lines } = await fetchSeries(ask, new AbortController().signal);
      const next = new Map(sparks.peek());
      const byRun = Map.groupBy(lines, (line) => line.run);
      for (const { run } of list) next.set(nameOf(run, key), { path: sparkPath(byRun.get(run) ?? []), at });
      sparks.value = next;
    } catch {
      // the charts and the table's own state tell; a small picture stays empty
    }
  }
}

/** An SVG path through the means of all lines of a run; empty where there is nothing to draw. */
export function sparkPath(lines: readonly Line[]): string {
  let [left, right, low, high] = [Infinity, -Infinity, Infinity, -Infinity];
  for (const line of lines) {
    for (let index = 0; index < line.n; index++) {
      const value = line.mean[index] ?? Number.NaN;
      if (!Number.isFinite(value)) continue;
      [low, high] = [Math.min(low, value), Math.max(high, value)];
    }
    if (line.n > 0)
      [left, right] = [Math.min(left, line.x0[0] ?? 0), Math.max(right, line.x1[line.n - 1] ?? 0)];
  }
  const [scaleX, scaleY] = [(WIDTH - 2) / (right - left || 1), (HEIGHT - 4) / (high - low || 1)];
  let path = '';
  for (const line of lines) {
    let pen = false;
    for (let index = 0; index < line.n; index++) {
      const value = line.mean[index] ?? Number.NaN;
      if (!Number.isFinite(value)) {
        pen = false;
        continue;
      }
      const x = 1 + ((line.x0[index] ?? 0) - left) * scaleX;
      const y = HEIGHT - 2 - (value - low) * scaleY;
      path += `${pen ? 'L' : 'M'}${x.toFixed(1)} ${y.toFixed(1)}`;
      pen = true;
    }
  }
  return path;
}

export function SparkCell({
  run,
  metric,
  live,
  colour,
}: {
  run: string;
  metric: string;
  live: boolean;
  colour: string;
}) {
  const spark = sparks.value.get(nameOf(run, metric));
  const stale = spark === undefined || (live && now.value - spark.at > FRESH_S);
  useEffect(() => {
    if (stale) want(run, metric);
  }, [run, metric, stale]);
  return (
    <svg class="spark" width={WIDTH} height={HEIGHT} viewBox={`0 0 ${WIDTH} ${HEIGHT}`} aria-hidden="true">
      {spark && <path d={spark.path} style={{ stroke: colour }} />}
    </svg>
  );
}
