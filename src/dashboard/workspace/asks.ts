/** What the workspace asks the server first, from its view alone. Pure, so that it can be asked before the page is there. */
import { apiPath, type RunsAsk } from '../api/client.ts';
import { isFilter, type View } from './view.ts';

/** So many of the newest runs are charted until the user says otherwise. */
export const USUAL_RUNS = 250;

/** `columns`: what the rows shall have beside what every row has. */
export function runsAsk(view: View, columns: string): RunsAsk {
  const { find, project, archived, sort } = view;
  return {
    ...(find === '' ? {} : isFilter(find) ? { filter: find } : { q: find }),
    ...(project === '' ? {} : { project }),
    ...(archived ? { archived } : {}),
    ...(columns === '' ? {} : { columns }),
    ...(sort === undefined ? {} : { sort: `${sort.id}:${sort.desc ? 'desc' : 'asc'}` }),
  };
}

/** The runs of these rows, newest first, that are charted. */
export function chartedOf<Row extends { id: string }>(
  rows: readonly Row[],
  { hidden, shown, only }: Pick<View, 'hidden' | 'shown' | 'only'>,
): Row[] {
  if (only !== null) {
    const wanted = new Set(only);
    return rows.filter((row) => wanted.has(row.id));
  }
  const [off, on] = [new Set(hidden), new Set(shown)];
  let usual = 0;
  return rows.filter((row) => !off.has(row.id) && (usual++ < USUAL_RUNS || on.has(row.id)));
}

/** Where the metrics of some runs are told; the same for the same runs in any order. */
export const keysPath = (ids: readonly string[]): string =>
  apiPath('/api/keys', { runs: [...ids].sort().join() });
