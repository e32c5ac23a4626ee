/** Which runs the workspace charts, points at, and has selected. */
import { computed, signal } from '@preact/signals';
import type { RunRow } from '../../protocol/api.ts';
import { runRows } from '../api/runs-store.ts';
import type { ChartGroup, ChartRun } from '../chart/context.ts';
import { sharedPointer } from '../chart/context.ts';
import { COLOURS, showRuns } from '../chart/run-colours.ts';
import { chartedOf } from './asks.ts';
import { readColumn, runValue } from './columns.ts';
import { setView, view } from './view.ts';

export const pointer = sharedPointer();
export const selected = signal<ReadonlySet<string>>(new Set());
/** The row that the keyboard stands on. */
export const focused = signal<string | null>(null);

const sameRows = (a: readonly RunRow[], b: readonly RunRow[]): boolean =>
  a.length === b.length &&
  a.every((row, index) => {
    const other = b[index];
    return (
      other !== undefined && row.id === other.id && row.name === other.name && row.status === other.status
    );
  });

let lastRows: readonly RunRow[] = [];
/** Newest first. The same array while ids, names and statuses are the same. */
const chartedRows = computed<readonly RunRow[]>(() => {
  const rows = chartedOf(runRows.value, view.value);
  if (!sameRows(rows, lastRows)) lastRows = rows;
  return lastRows;
});

/** The runs that are charted. */
export const chartRuns = computed<readonly ChartRun[]>(() => {
  const rows = chartedRows.value;
  const runs = rows.map((row) => ({
    id: row.id,
    name: row.name,
    startedAt: row.started_at ?? 0,
    live: row.status === 'running',
  }));
  // Oldest first, so that a new run changes no older one's colour.
  queueMicrotask(() => showRuns(runs.map((run) => run.id).toReversed()));
  return runs;
});

export const chartedIds = computed<ReadonlySet<string>>(() => new Set(chartRuns.value.map((run) => run.id)));

/** What a row is grouped under. */
export function groupValue(row: RunRow, columnId: string): string {
  const column = readColumn(columnId);
  const value = column && runValue(row, column, 0);
  return value === undefined ? '(none)' : String(value);
}

let lastGroups: { key: string; groups: ChartGroup[] } | undefined;
export const chartGroups = computed<readonly ChartGroup[] | null>(() => {
  const { group } = view.value;
  if (group === undefined) return null;
  const charted = chartedIds.value;
  const rows = runRows.value.filter((row) => charted.has(row.id));
  const byName = [...Map.groupBy(rows, (row) => groupValue(row, group))].sort(([a], [b]) =>
    a.localeCompare(b),
  );
  const key = JSON.stringify(byName.map(([name, members]) => [name, members.map((row) => row.id)]));
  if (lastGroups?.key === key) return lastGroups.groups;
  const groups = byName.map(([name, members], index) => ({
    name,
    look: { slot: (index * 5) % COLOURS, dash: Math.floor(index / COLOURS) },
    runs: members.map((row) => row.id),
  }));
  lastGroups = { key, groups };
  return groups;
});

/** Charts a run, or not. */
export function toggleRun(id: string): void {
  const { hidden, shown, only } = view.peek();
  if (only !== null) {
    setView({ only: only.includes(id) ? only.filter((one) => one !== id) : [...only, id] });
  } else if (chartedIds.peek().has(id)) {
    setView({ hidden: [...hidden, id], shown: shown.filter((one) => one !== id) });
  } else {
    const isHidden = hidden.includes(id);
    setView({ hidden: hidden.filter((one) => one !== id), shown: isHidden ? shown : [...shown, id] });
  }
}

/** Charts these and no others; the same again: the usual choice. */
export function showOnly(ids: readonly string[]): void {
  const { only } = view.peek();
  const same = only !== null && only.length === ids.length && ids.every((id) => only.includes(id));
  setView({ only: same ? null : [...ids], hidden: [], shown: [] });
}

export const showUsual = (): void => setView({ only: null, hidden: [], shown: [] });
export const showNone = (): void => setView({ only: [], hidden: [], shown: [] });
