import { setTimeout as sleep } from 'node:timers/promises';
import type { LiveJob } from './server.ts';

/** The id of the newest run, once it is the one called `live` and its first sample is there. */
export async function liveRun(url: string): Promise<string> {
  for (let tries = 0; tries < 300; tries += 1) {
    const runs = (await (await fetch(`${url}/api/runs?limit=1`)).json()) as { id: string; name: string }[];
    const id = runs[0]?.name === 'live' ? runs[0].id : undefined;
    if (id !== undefined) {
      const detail = (await (await fetch(`${url}/api/runs/${id}`)).json()) as { metrics: object };
      if (Object.keys(detail.metrics).length > 0) return id;
    }
    await sleep(100);
  }
  throw new Error('the live run does not come');
}

/**
 * Milliseconds from each call of `log` to the first picture that reaches its step.
 * @param ends how far the drawn line reached, and when that was painted (the page's clock)
 * @param origin of the page's clock, in epoch milliseconds
 */
export function latencies(job: LiveJob, ends: readonly [number, number][], origin: number): number[] {
  const began = ends[0];
  if (began === undefined) return [];
  const found: number[] = [];
  for (const [step, called] of job.calls()) {
    // What was there before anybody looked is not counted.
    if (called < origin + began[1]) continue;
    const seen = ends.find(([end]) => end >= step);
    if (seen !== undefined) found.push(origin + seen[1] - called);
  }
  return found;
}
