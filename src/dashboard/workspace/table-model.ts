/** The table's rows in order: sorted by TanStack Table, then under their groups. */
import {
  type ColumnDef,
  constructTable,
  createSortedRowModel,
  rowSortingFeature,
  type SortFn,
  tableFeatures,
} from '@tanstack/table-core';
import { storeReactivityBindings } from '@tanstack/table-core/store-reactivity-bindings';
import type { RunRow } from '../../protocol/api.ts';
import { type Column, compareValues, readColumn, runValue } from './columns.ts';

const features = tableFeatures({
  coreReactivityFeature: storeReactivityBindings(),
  rowSortingFeature,
  sortedRowModel: createSortedRowModel(),
});

const byValue: SortFn<typeof features, RunRow> = (a, b, id) =>
  compareValues(a.getValue<string | number>(id), b.getValue<string | number>(id));

type Definition = ColumnDef<typeof features, RunRow, unknown>;

/** What has no value, or NaN, comes last in both directions. */
function definitionOf(column: Column, now: number): Definition {
  return {
    id: column.id,
    accessorFn: (row) => {
      const value = runValue(row, column, now);
      return Number.isNaN(value) ? undefined : value;
    },
    sortFn: byValue,
    sortUndefined: 'last',
  };
}

const nameDefinition: Definition = {
  id: 'name',
  accessorFn: (row) => row.name,
  sortFn: byValue,
};

export interface Sort {
  id: string;
  desc: boolean;
}

/** Runs in the order of a column; those alike, and without a sort all, stay as they came. */
export function sortRuns(rows: readonly RunRow[], sort: Sort | undefined, now: number): readonly RunRow[] {
  if (sort === undefined) return rows;
  const column = readColumn(sort.id);
  if (column === undefined && sort.id !== 'name') return rows;
  const table = constructTable({
    features,
    columns: [column === undefined ? nameDefinition : definitionOf(column, now)],
    data: rows as RunRow[],
    getRowId: (row) => row.id,
    initialState: { sorting: [ageReversed(sort)] },
  });
  return table.getSortedRowModel().rows.map((row) => row.original);
}

/** An age grows as the start lies back: the youngest first is the latest start first. */
const ageReversed = (sort: Sort): Sort =>
  sort.id === 'started_at' || sort.id === 'ended_at' ? { ...sort, desc: !sort.desc } : sort;

export type TableItem =
  | { type: 'run'; run: RunRow; indented: boolean }
  | { type: 'group'; name: string; runs: readonly RunRow[]; folded: boolean };

/** Rows and heads of groups, in order. Groups stand in the order of their first run. */
export function tableItems(
  rows: readonly RunRow[],
  groupOf: ((row: RunRow) => string) | undefined,
  folded: ReadonlySet<string>,
): TableItem[] {
  if (groupOf === undefined) return rows.map((run) => ({ type: 'run', run, indented: false }));
  return [...Map.groupBy(rows, groupOf)].flatMap(([name, runs]): TableItem[] => [
    { type: 'group', name, runs, folded: folded.has(name) },
    ...(folded.has(name) ? [] : runs.map((run): TableItem => ({ type: 'run', run, indented: true }))),
  ]);
}
