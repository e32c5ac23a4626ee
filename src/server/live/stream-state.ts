import type { GapFrame } from '../../protocol/api.ts';
import { type Question, rows } from '../../store/question.ts';
import { type Cursor, cursorAt, formatCursor, START } from './cursor.ts';

/** Of the store: which one, how far it is, and from which revision on it can tell what changed. */
export interface StreamState {
  epoch: string;
  revision: number;
  changesFrom: number;
}

export function* streamState(): Question<StreamState> {
  const found = yield* rows("SELECT key, value FROM meta WHERE key IN ('epoch', 'revision', 'changes_from')");
  const meta = new Map(found.map((row) => [String(row.key), row.value]));
  return {
    epoch: String(meta.get('epoch') ?? ''),
    revision: Number(meta.get('revision') ?? 0),
    changesFrom: Number(meta.get('changes_from') ?? 0),
  };
}

/** Where the stream stands now. */
export function* nowCursor(): Question<Cursor> {
  const { epoch, revision } = yield* streamState();
  return cursorAt(epoch, revision);
}

/** The beginning of all that there is at a cursor. */
export function beginning({ epoch, revision }: Cursor): Cursor {
  return { epoch, revision, place: START, history: true };
}

/** The gap that lies before a cursor's future, where what came after it can no longer be told. */
export function gapAfter(state: StreamState, cursor: Cursor): GapFrame | undefined {
  const other = cursor.epoch !== state.epoch || cursor.revision > state.revision;
  const had = cursor.place === null || cursor.history ? cursor.revision : cursor.revision - 1;
  if (!other && had >= state.changesFrom) return undefined;
  return {
    type: 'gap',
    reason: other ? 'other-store' : 'too-old',
    since: formatCursor(cursor),
    cursor: formatCursor(cursorAt(state.epoch, state.revision)),
  };
}
