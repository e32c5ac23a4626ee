/** What stands in one column of one run. */
import { computed } from '@preact/signals';
import type { RunRow } from '../../protocol/api.ts';
import { lookOf, runColour } from '../chart/run-colours.ts';
import { formatNumber, rawNumber } from '../format/numbers.ts';
import { formatAge, formatDuration, formatSince, formatTime } from '../format/times.ts';
import { formatOf } from '../format/units.ts';
import { statusName } from '../parts/status-mark.tsx';
import { now } from '../shell/clock.ts';
import { dark } from '../shell/theme.ts';
import { type Column, runValue } from './columns.ts';
import { keys } from './keys-store.ts';
import { SparkCell } from './spark-cell.tsx';

export function CellValue({ row, column }: { row: RunRow; column: Column }) {
  if (column.of === 'spark') {
    const colour = runColour(lookOf(row.id).slot, dark.value);
    return <SparkCell run={row.id} metric={column.key} live={row.status === 'running'} colour={colour} />;
  }
  const ticking =
    column.of === 'run' &&
    (column.key === 'started_at' ||
      column.key === 'ended_at' ||
      (column.key === 'duration' && row.status === 'running'));
  const value = runValue(row, column, ticking ? now.value : 0);
  if (value === undefined) return <span class="faint">–</span>;
  const text = cellText(value, column, row);
  return (
    <span class="clip" title={cellTitle(value, column, text)}>
      {text}
    </span>
  );
}

function cellText(value: string | number, column: Column, row: RunRow): string {
  if (column.of === 'run') {
    if (column.key === 'status') return statusName(row.status);
    if (column.key === 'commit') return String(value).slice(0, 7);
    if (typeof value === 'number') {
      if (column.key === 'duration') return formatDuration(value);
      return column.key === 'started_at' ? formatSince(value, now.value) : formatAge(value, now.value);
    }
  }
  if (typeof value === 'string') return value;
  if (column.of === 'metric' && column.stat !== 'count')
    return formatOf(column.key)?.(value) ?? formatNumber(value);
  return formatNumber(value);
}

function cellTitle(value: string | number, column: Column, text: string): string | undefined {
  if (typeof value === 'string') return value === text && value.length < 8 ? undefined : value;
  if (column.of === 'run' && column.key !== 'duration') return formatTime(value);
  const raw = rawNumber(value);
  return raw === text ? undefined : raw;
}

const numericParams = computed(
  () => keys.value && new Set(keys.value.params.filter((entry) => entry.numeric).map((entry) => entry.key)),
);

export const isNumeric = (column: Column): boolean =>
  column.of === 'metric' ||
  (column.of === 'param' && (numericParams.value === null || numericParams.value.has(column.key))) ||
  (column.of === 'run' && ['started_at', 'ended_at', 'duration'].includes(column.key));
