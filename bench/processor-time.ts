/** Processor time of other processes, as Linux tells it. Seconds. */
import { readdirSync, readFileSync } from 'node:fs';

function ticksOf(path: string): { parent: number; ticks: number } | null {
  try {
    const fields = readFileSync(path, 'utf8').split(') ')[1]?.split(' ') ?? [];
    return { parent: Number(fields[1]), ticks: Number(fields[11]) + Number(fields[12]) };
  } catch {
    // It has ended.
    return null;
  }
}

/** What a process and its children have had, but for children that have ended. */
export function processorTime(pid: number): number {
  let ticks = 0;
  for (const entry of readdirSync('/proc')) {
    if (!/^\d+$/.test(entry)) continue;
    const stat = ticksOf(`/proc/${entry}/stat`);
    if (stat !== null && (Number(entry) === pid || stat.parent === pid)) ticks += stat.ticks;
  }
  return ticks / 100;
}

/** What each thread of a process has had, by its number. The first one's is the process'. */
export function threadTimes(pid: number): Map<string, number> {
  return new Map(
    readdirSync(`/proc/${pid}/task`).map((task) => [
      task,
      (ticksOf(`/proc/${pid}/task/${task}/stat`)?.ticks ?? 0) / 100,
    ]),
  );
}
