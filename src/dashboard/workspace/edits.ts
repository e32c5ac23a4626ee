/** Changes to runs: shown at once, undone by a press, taken back where the server refuses. */
import type { BulkBody, RunPatch, RunRow } from '../../protocol/api.ts';
import { bulkEdit, getJson } from '../api/client.ts';
import { patchRows, reloadRuns, runById } from '../api/runs-store.ts';
import { say, sayFailure } from '../shell/toasts.tsx';
import { tagColumn } from './columns.ts';
import { selected } from './shown-runs.ts';
import { view } from './view.ts';

async function send(body: BulkBody): Promise<boolean> {
  try {
    await bulkEdit(body);
    return true;
  } catch (error) {
    sayFailure(error);
    return false;
  } finally {
    reloadRuns();
  }
}

const many = (ids: readonly string[]): string =>
  ids.length === 1 ? (runById(ids[0] ?? '')?.name ?? '1 run') : `${ids.length} runs`;

/** @param what what they are called: of runs that are not in the list any more nothing tells */
export async function archiveRuns(
  ids: readonly string[],
  archived: boolean,
  what = many(ids),
): Promise<void> {
  const takeBack = patchRows(ids, (row) => (archived && !view.peek().archived ? null : { ...row, archived }));
  selected.value = new Set();
  if (!(await send({ runs: [...ids], act: 'patch', patch: { archived } }))) return takeBack();
  say(`${archived ? 'Archived' : 'Brought back'} ${what}`, { undo: () => archiveRuns(ids, !archived, what) });
}

export async function deleteRuns(ids: readonly string[]): Promise<void> {
  const what = many(ids);
  const takeBack = patchRows(ids, () => null);
  selected.value = new Set();
  if (!(await send({ runs: [...ids], act: 'remove' }))) return takeBack();
  say(`Deleted ${what}`, { undo: () => send({ runs: [...ids], act: 'restore' }) });
}

/** The runs by what they have under a tag; undefined, and said, where it cannot be asked. */
async function tagsBefore(
  ids: readonly string[],
  key: string,
): Promise<Map<string | null, string[]> | undefined> {
  try {
    const filter = `id in (${ids.map((id) => `'${id}'`).join(', ')})`;
    const query = { filter, columns: tagColumn(key), archived: true, limit: 10_000 };
    const rows = new Map((await getJson<RunRow[]>('/api/runs', query)).map((row) => [row.id, row]));
    return Map.groupBy(ids, (id) => rows.get(id)?.tags?.[key] ?? null);
  } catch (error) {
    sayFailure(error);
    return undefined;
  }
}

/** Sets a tag (null removes it); the undo gives each run what it had. */
export async function tagRuns(ids: readonly string[], key: string, value: string | null): Promise<void> {
  const patch: RunPatch = { tags: { [key]: value } };
  const before = await tagsBefore(ids, key);
  if (before === undefined) return;
  if (!(await send({ runs: [...ids], act: 'patch', patch }))) return;
  say(value === null ? `Removed the tag ${key} of ${many(ids)}` : `Tagged ${many(ids)} ${key}: ${value}`, {
    undo: async () => {
      for (const [old, runs] of before) await send({ runs, act: 'patch', patch: { tags: { [key]: old } } });
    },
  });
}

export async function renameRun(id: string, name: string): Promise<void> {
  const old = runById(id)?.name;
  const takeBack = patchRows([id], (row) => ({ ...row, name }));
  if (!(await send({ runs: [id], act: 'patch', patch: { name } }))) return takeBack();
  if (old !== undefined && old !== name) say(`Renamed to ${name}`, { undo: () => renameRun(id, old) });
}

export async function stopRuns(ids: readonly string[]): Promise<void> {
  if (await send({ runs: [...ids], act: 'stop' })) say(`Asked ${many(ids)} to stop`);
}
