/** Who removed which run, as the project's journals tell: applied here, or only told. */
import type { FolderFacts } from './run-book.ts';
import type { JournalMark, Removal } from './space.ts';

interface Tombstone {
  removed: boolean;
  clock: number;
  writer: string;
  place: number;
  at: number;
  by: string | null;
}

/** What the project's journals say, as of now. */
export interface Removals {
  /** Whether the run is removed here. */
  has(run: string): boolean;
  /** Every removal that holds, applied or told, of these runs; of all where none are named. */
  of(runs?: Iterable<string>): Removal[];
  /** The project journals that may travel, applied or told. */
  marks: Map<string, JournalMark>;
  /** Those that are applied here. */
  applied: ReadonlySet<string>;
}

export function readRemovals(journals: {
  project(kind: 'applied' | 'announced'): Pick<FolderFacts, 'journals'> | null;
}): Removals {
  const here = journals.project('applied');
  const told = journals.project('announced');
  const applied = tombstonesOf([here]);
  const all = tombstonesOf([here, told]);
  const has = (run: string): boolean => applied.get(run)?.removed === true;
  return {
    has,
    of(runs) {
      const found: Removal[] = [];
      for (const run of runs ?? all.keys()) {
        const tombstone = all.get(run);
        // One that is applied and taken back by what is only told still holds here.
        const holds = tombstone?.removed === true ? tombstone : has(run) ? applied.get(run) : undefined;
        if (holds !== undefined) found.push({ run, by: holds.by, at: holds.at, applied: has(run) });
      }
      return found;
    },
    marks: new Map([...marksOf(told), ...marksOf(here)]),
    applied: new Set(here?.journals.keys()),
  };
}

function marksOf(facts: Pick<FolderFacts, 'journals'> | null): [string, JournalMark][] {
  return [...(facts?.journals ?? [])]
    .filter(([, { facts: known }]) => known.travels && known.length > 0)
    .map(([writer, { facts: known }]) => [writer, { length: known.length, root: known.root }]);
}

/** Of each run the removal or restoration that counts: the greatest (clock, writer, place), as everywhere. */
function tombstonesOf(folders: readonly (Pick<FolderFacts, 'journals'> | null)[]): Map<string, Tombstone> {
  const tombstones = new Map<string, Tombstone>();
  for (const folder of folders) {
    for (const [writer, { facts }] of folder?.journals ?? []) {
      const by = facts.user === null ? facts.host : `${facts.user}@${facts.host ?? '?'}`;
      for (const { run, removed, clock, place, at } of facts.removals) {
        const next: Tombstone = { removed, clock, writer, place, at, by };
        const before = tombstones.get(run);
        if (before === undefined || isGreater(next, before)) tombstones.set(run, next);
      }
    }
  }
  return tombstones;
}

function isGreater(a: Tombstone, b: Tombstone): boolean {
  if (a.clock !== b.clock) return a.clock > b.clock;
  if (a.writer !== b.writer) return a.writer > b.writer;
  return a.place > b.place;
}
