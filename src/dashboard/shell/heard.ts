/** Whether a run that runs is heard of. */
import type { RunRow } from '../../protocol/api.ts';
import { formatAge } from '../format/times.ts';
import { now } from './clock.ts';

/** Heartbeats come every few seconds, and a push every few more. */
const SILENT_SECONDS = 180;

/** How long ago a running run was last heard of, as `4m ago`, where that is too long. */
export function silentSince(
  run: Pick<RunRow, 'status' | 'last_event_at'>,
  /** When somebody last looked, in epoch seconds. */
  looked = now.value,
): string | undefined {
  const { status, last_event_at: last } = run;
  if (status !== 'running' || last === null) return undefined;
  return looked - last > SILENT_SECONDS ? formatAge(last, now.value) : undefined;
}
