/** Changes to the run that is shown: seen at once, undone by a press, taken back where the server refuses. */
import type { Edited, RunDetail } from '../../protocol/api.ts';
import { patchRun, sendJson } from '../api/client.ts';
import { say, sayFailure } from '../shell/toasts.tsx';
import type { RunData } from './run-data.ts';

/** @param change what is shown meanwhile; taken back where the act fails */
async function attempt(
  data: RunData,
  act: () => Promise<Edited>,
  change?: (detail: RunDetail) => RunDetail,
): Promise<boolean> {
  const before = data.detail.peek();
  if (change !== undefined) data.change(change);
  try {
    await act();
    return true;
  } catch (error) {
    if (change !== undefined && before !== null) data.change(() => before);
    sayFailure(error);
    return false;
  } finally {
    void data.read();
  }
}

export async function rename(data: RunData, name: string): Promise<void> {
  const old = data.detail.peek()?.run.name;
  if (old === undefined || name === old || name.trim() === '') return;
  const change = (detail: RunDetail) => ({ ...detail, run: { ...detail.run, name } });
  if (await attempt(data, () => patchRun(data.id, { name }), change))
    say('Renamed', { undo: () => rename(data, old) });
}

/** Null removes the tag. */
export async function setTag(data: RunData, key: string, value: string | null): Promise<void> {
  const old = data.detail.peek()?.tags[key] ?? null;
  if (old === value) return;
  const change = (detail: RunDetail) => {
    const { [key]: _, ...rest } = detail.tags;
    return { ...detail, tags: value === null ? rest : { ...detail.tags, [key]: value } };
  };
  if (await attempt(data, () => patchRun(data.id, { tags: { [key]: value } }), change))
    if (value === null) say(`Removed the tag ${key}`, { undo: () => setTag(data, key, old) });
}

export async function setNotes(data: RunData, notes: string): Promise<boolean> {
  const old = data.detail.peek()?.run.notes ?? '';
  if (old === notes) return true;
  const done = await attempt(data, () => patchRun(data.id, { notes }));
  if (done) data.change((detail) => ({ ...detail, run: { ...detail.run, notes } }));
  return done;
}

export async function setArchived(data: RunData, archived: boolean): Promise<void> {
  const change = (detail: RunDetail) => ({ ...detail, run: { ...detail.run, archived } });
  if (await attempt(data, () => patchRun(data.id, { archived }), change))
    say(archived ? 'Archived: it is out of the lists' : 'Back in the lists', {
      undo: () => setArchived(data, !archived),
    });
}

const path = (data: RunData): string => `/api/runs/${encodeURIComponent(data.id)}`;

export async function remove(data: RunData): Promise<void> {
  if (await attempt(data, () => sendJson('DELETE', path(data), undefined)))
    say('Deleted', { undo: () => restore(data) });
}

export async function restore(data: RunData): Promise<void> {
  await attempt(data, () => sendJson('POST', `${path(data)}/restore`, undefined));
}

export async function stop(data: RunData): Promise<void> {
  if (await attempt(data, () => sendJson('POST', `${path(data)}/stop`, {}))) say('Asked the job to stop');
}
