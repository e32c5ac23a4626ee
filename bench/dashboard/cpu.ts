import { readdirSync, readFileSync } from 'node:fs';

/** Clock ticks of Linux are hundredths of a second wherever Node runs. */
const TICK_MS = 10;

/** CPU milliseconds so far of all processes that this one started, and theirs. */
export function childrenCpu(): number {
  const processes = new Map<number, { parent: number; ms: number }>();
  for (const pid of readdirSync('/proc')) {
    if (!/^\d+$/.test(pid)) continue;
    try {
      const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
      const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
      const ms = (Number(fields[11]) + Number(fields[12])) * TICK_MS;
      processes.set(Number(pid), { parent: Number(fields[1]), ms });
    } catch {
      // It has just ended.
    }
  }
  let sum = 0;
  for (const [pid, { ms }] of processes) {
    let at: number | undefined = pid;
    while (at !== undefined && at !== process.pid) at = processes.get(at)?.parent;
    if (at === process.pid && pid !== process.pid) sum += ms;
  }
  return sum;
}
