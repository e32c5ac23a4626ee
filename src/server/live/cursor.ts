/**
 * Where a reader stands in the stream. As text it is opaque to clients:
 *
 * - `<epoch>-<revision>`: has all up to and with this revision
 * - `<epoch>-<revision>.<phase>.<a>.<b>`: has all before this revision, and of it all up to this frame
 * - `<epoch>-<revision>h.<phase>.<a>.<b>`: reads from the beginning what there was at this revision, and stands here
 */
export interface Cursor {
  epoch: string;
  revision: number;
  /** Within the revision: null where all of it was had. */
  place: Place | null;
  /** Reading from the beginning up to the revision. */
  history: boolean;
}

/** The order within a revision. `a` is a run or series, `b` a key or the number of a sample. */
export interface Place {
  phase: Phase;
  a: number;
  b: string | number;
}

/** A run is told of before what belongs to it, and its end after that. */
export const PHASES = { started: 0, param: 1, tag: 2, sample: 3, ended: 4 } as const;
export type Phase = (typeof PHASES)[keyof typeof PHASES];

/** Before anything of a revision. */
export const START: Place = { phase: 0, a: -1, b: '' };

export function cursorAt(epoch: string, revision: number): Cursor {
  return { epoch, revision, place: null, history: false };
}

export function formatCursor({ epoch, revision, place, history }: Cursor): string {
  if (place === null) return `${epoch}-${revision}`;
  const b = typeof place.b === 'number' ? place.b : Buffer.from(place.b, 'utf8').toString('base64url');
  return `${epoch}-${revision}${history ? 'h' : ''}.${place.phase}.${place.a}.${b}`;
}

const TEXT = /^([0-9a-f]{1,64})-(\d{1,15})(?:(h?)\.([0-4])\.(-1|\d{1,15})\.([\w-]*))?$/;

/** Undefined where the text is no cursor. */
export function parseCursor(text: string): Cursor | undefined {
  const match = TEXT.exec(text);
  if (match === null) return undefined;
  const [, epoch = '', revision = '', history, phaseText, a, b = ''] = match;
  if (phaseText === undefined) return cursorAt(epoch, Number(revision));
  const phase = Number(phaseText) as Phase;
  const key = phase === PHASES.sample ? Number(b) : Buffer.from(b, 'base64url').toString('utf8');
  if (typeof key === 'number' && !Number.isSafeInteger(key)) return undefined;
  return {
    epoch,
    revision: Number(revision),
    place: { phase, a: Number(a), b: key },
    history: history === 'h',
  };
}

/** Negative where `x` comes before `y`. Keys by code units, as both ends of the same reading sort them. */
export function comparePlaces(x: Place, y: Place): number {
  if (x.phase !== y.phase) return x.phase - y.phase;
  if (x.a !== y.a) return x.a - y.a;
  if (x.b === y.b) return 0;
  return x.b < y.b ? -1 : 1;
}
