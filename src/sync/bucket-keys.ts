/** The keys of a bucket: what a shared folder and an S3 bucket name their objects by (docs/remote.md). */
import { isRunId, isWriterName } from '../events/ids.ts';
import { isTreeId } from './journal-facts.ts';
import { EMPTY_ROOT } from './journal-hash.ts';
import type { BlobMark, JournalMark } from './space.ts';

/** A segment of a journal: whole lines from `offset` on; with them the journal has that root. */
export interface Segment {
  key: string;
  offset: number;
  /** Plain bytes. */
  length: number;
  root: string;
}

/** What the keys below `runs/<id>/` tell. */
export interface BucketRun {
  journals: Map<string, Segment[]>;
  blobs: BlobMark[];
  trees: string[];
  project: string;
}

const SEGMENT = /^(\d{16})-(\d{1,16})-([0-9a-f]{64})\.zst$/;

export function segmentName(offset: number, length: number, root: string): string {
  return `${String(offset).padStart(16, '0')}-${length}-${root}.zst`;
}

/** Null where the name is none of a segment. */
export function readSegment(key: string): Segment | null {
  const match = SEGMENT.exec(key.slice(key.lastIndexOf('/') + 1));
  if (match === null) return null;
  const [, offset = '', length = '', root = ''] = match;
  return { key, offset: Number(offset), length: Number(length), root };
}

export const projectKey = (project: string): string => `_${Buffer.from(project).toString('base64url')}`;

/** Takes one key below `runs/<id>/` in. */
export function noteKey(runs: Map<string, BucketRun>, key: string): void {
  const [, run = '', kind, ...rest] = key.split('/');
  if (!isRunId(run)) return;
  let known = runs.get(run);
  if (known === undefined) {
    known = { journals: new Map(), blobs: [], trees: [], project: '' };
    runs.set(run, known);
  }
  const [name = ''] = rest;
  if (kind === 'j' && isWriterName(name)) {
    const segment = readSegment(key);
    const segments = known.journals.get(name) ?? [];
    if (segment !== null) segments.push(segment);
    known.journals.set(name, segments);
  } else if (kind === 'b') {
    const [sha256 = '', size = ''] = name.split('-');
    if (/^[0-9a-f]{64}$/.test(sha256)) known.blobs.push({ sha256, size: Number(size) });
  } else if (kind === 't' && isTreeId(name)) known.trees.push(name);
  else if (kind === 'p') {
    const project = Buffer.from(name.slice(1), 'base64url').toString();
    // A job may have filled in later what the command line left open.
    if (known.project === '' || known.project === 'default') known.project = project;
  }
}

/**
 * The longest chain of segments from the beginning of a journal: each begins where another ends. Where copies diverged,
 * the others stay beside it.
 */
export function longestChain(segments: readonly Segment[]): Segment[] {
  const sorted = [...segments].sort(
    (a, b) => a.offset - b.offset || b.length - a.length || (a.root < b.root ? -1 : 1),
  );
  const into = new Map<number, Segment>();
  let end = 0;
  for (const segment of sorted) {
    if (segment.length <= 0 || (segment.offset > 0 && !into.has(segment.offset))) continue;
    const after = segment.offset + segment.length;
    if (!into.has(after)) into.set(after, segment);
    end = Math.max(end, after);
  }
  const chain: Segment[] = [];
  for (let at = end; at > 0; ) {
    const segment = into.get(at);
    if (segment === undefined) break;
    chain.unshift(segment);
    at = segment.offset;
  }
  return chain;
}

export function markOf(chain: readonly Segment[]): JournalMark {
  const last = chain.at(-1);
  return last === undefined
    ? { length: 0, root: EMPTY_ROOT }
    : { length: last.offset + last.length, root: last.root };
}
