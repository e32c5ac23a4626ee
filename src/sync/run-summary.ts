/** What a run is called and how it goes, from its journals alone: for lists where there is no store. */
import type { KeptEvent, NamedCode } from './journal-facts.ts';
import type { FolderFacts } from './run-book.ts';
import type { ListedRun } from './space.ts';

/** As the store has it where no project was given. */
const DEFAULT_PROJECT = 'default';

export interface RunSummary extends Omit<ListedRun, 'digest' | 'removed'> {
  /** Epoch seconds of the last event of any journal; null where none tells. */
  last_at: number | null;
}

/** Events in the order in which the store reads them: by time, then writer. */
function eventsOf(facts: Pick<FolderFacts, 'journals'>): (KeptEvent & { writer: string })[] {
  return [...facts.journals]
    .flatMap(([writer, entry]) => entry.facts.kept.map((event) => ({ ...event, writer })))
    .sort((a, b) => a.t - b.t || (a.writer < b.writer ? -1 : a.writer > b.writer ? 1 : 0));
}

/** The project of a run; '' while no journal of it tells. */
export function projectOf(facts: Pick<FolderFacts, 'journals'>): string {
  const events = eventsOf(facts);
  const start = events.find((event) => event.k === 'start');
  if (start === undefined) return '';
  const update = events.find((event) => event.k === 'update' && event.project);
  return start.project ?? update?.project ?? DEFAULT_PROJECT;
}

export function summaryOf(id: string, facts: Pick<FolderFacts, 'journals'>): RunSummary {
  const events = eventsOf(facts);
  const start = events.find((event) => event.k === 'start');
  const update = events.find((event) => event.k === 'update' && event.name);
  const edit = events
    .filter((event) => event.k === 'edit' && event.field === 'name')
    .sort((a, b) => (a.clock ?? 0) - (b.clock ?? 0) || (a.writer < b.writer ? -1 : 1))
    .at(-1);
  const latest = events.findLast((event) => event.k === 'start' || event.k === 'resume' || event.k === 'end');
  let lastAt: number | null = null;
  let user: string | null = null;
  for (const [writer, entry] of facts.journals) {
    if (entry.facts.lastAt !== null) lastAt = Math.max(lastAt ?? entry.facts.lastAt, entry.facts.lastAt);
    if (writer === start?.writer) user = entry.facts.user;
  }
  return {
    id,
    project: projectOf(facts),
    name: edit?.name ?? start?.name ?? update?.name ?? id,
    status: latest?.k === 'end' ? (latest.status ?? 'running') : 'running',
    user,
    started_at: start?.t ?? null,
    last_at: lastAt,
  };
}

/** The code of the run's snapshots, each once. */
export function codeOf(facts: Pick<FolderFacts, 'journals'>): NamedCode[] {
  const found = new Map<string, NamedCode>();
  for (const { facts: known } of facts.journals.values()) {
    for (const code of known.code) found.set(JSON.stringify(code), code);
  }
  return [...found.values()];
}
