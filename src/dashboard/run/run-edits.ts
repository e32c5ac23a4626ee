/** Changes to the run that is shown: seen at once, undone by a press, taken back where the server refuses. */
import type { Edited } from '../../protocol/api.ts';
import { patchRun, sendJson } from '../api/client.ts';
import { say, sayFailure } from '../shell/toasts.tsx';
import type { RunData } from './run-data.ts';

async function attempt(data: RunData, act: () => Promise<Edited>): Promise<boolean> {
  try {
    await act();
    return true;
  } catch (error) {
    sayFailure(error);
    return false;
  } finally {
    void data.read();
  }
}

export async function rename(data: RunData, name: string): Promise<void> {
  const old = data.detail.peek()?.run.name;
  if (old === undefined || name === old || name.trim() === '') return;
  data.change((detail) => ({ ...detail, run: { ...detail.run, name } }));
  if (await attempt(data, () => patchRun(data.id, { name })))
    say('Renamed', { undo: () => rename(data, old) });
}

/** Null removes the tag. */
export async function setTag(data: RunData, key: string, value: string | null): Promise<void> {
  const old = data.detail.peek()?.tags[key] ?? null;
  if (old === value) return;
  data.change((detail) => {
    const { [key]: _, ...rest } = detail.tags;
    return { ...detail, tags: value === null ? rest : { ...detail.tags, [key]: value } };
  });
  if (await attempt(data, () => patchRun(data.id, { tags: { [key]: value } })))
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
  data.change((detail) => ({ ...detail, run: { ...detail.run, archived } }));
  if (await attempt(data, () => patchRun(data.id, { archived })))
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
