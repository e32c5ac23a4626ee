import { stringifyExactJson } from '../events/line.ts';
import type { Event, EventOf } from '../events/schema.ts';
import type { JournalState } from './journal-state.ts';
import { fieldsOf, integerOr, jsonOr, numberOr, textOr } from './lenient.ts';
import type { Store } from './open.ts';
import { paramFamily } from './params.ts';
import { TAG_CODE_CHANGED, TAG_WORKSPACE_SNAPSHOT } from './tags.ts';

/**
 * What the events of one transaction become, all but the samples: a row each, where the greatest (time, writer, place)
 * wins, whatever the order of arrival. What has to be worked out of the rows at the transaction's end is noted.
 */
export class EventRows {
  readonly #store: Store;
  readonly #revision: number;
  /** Runs whose own row is to be derived anew. */
  readonly derive = new Set<number>();
  /** Runs whose own row only says that something is new. */
  readonly touched = new Set<number>();
  /** Params to flatten, and tags to resolve, by run. */
  readonly families = new Map<number, Set<string>>();
  readonly tags = new Map<number, Set<string>>();
  /** The greatest logical clock of an edit. */
  clockSeen = 0;
  readonly #console = new Map<
    string,
    { run: number; attempt: string; stream: number; n0: number; n1: number }
  >();

  constructor(store: Store, revision: number) {
    this.#store = store;
    this.#revision = revision;
  }

  /**
   * Writes the rows of an event that is no sample. `place` is its line's plain offset. Returns why it is none, where its
   * content says so; throws where the database will not have it.
   */
  write(journal: JournalState, place: number, event: Event): string | undefined {
    if (event.k === 'open') {
      this.#open(journal, event);
      return undefined;
    }
    if (event.k === 'close') {
      journal.closed = true;
      this.#store
        .prepare('UPDATE journals SET closed = 1, dropped = ? WHERE id = ?')
        .run(jsonOr(event.dropped), journal.id);
      return undefined;
    }
    if (event.k === 'warning') {
      this.#store
        .prepare(
          `INSERT OR IGNORE INTO warnings (run, ts, code, message, hint, writer, place, revision)
           VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
        )
        .run(
          journal.run,
          event.t,
          event.code,
          event.message,
          textOr(event.hint),
          journal.writer,
          place,
          this.#revision,
        );
      return undefined;
    }
    if (journal.run !== 0) return this.#ofRun(journal, place, event);
    this.#ofProject(journal, place, event);
    return undefined;
  }

  #open(journal: JournalState, event: EventOf<'open'>): void {
    journal.attempt = textOr(event.attempt);
    this.#store
      .prepare(
        `UPDATE journals SET role = ?, host = ?, user = ?, pid = ?, boot = ?, pidns = ?, started = ?, client = ?,
          attempt = ?, rank = ?, local_rank = ?, world_size = ?, opened_at = ? WHERE id = ?`,
      )
      .run(
        event.role,
        event.host,
        textOr(event.user),
        integerOr(event.pid),
        textOr(event.boot),
        textOr(event.pidns),
        integerOr(event.started),
        event.client,
        textOr(event.attempt),
        integerOr(event.rank),
        integerOr(event.local_rank),
        integerOr(event.world_size),
        event.t,
        journal.id,
      );
    if (journal.run !== 0) this.derive.add(journal.run);
  }

  #sawClock(clock: number): void {
    if (!Number.isSafeInteger(clock)) throw new RangeError(`a clock out of range: ${clock}`);
    this.clockSeen = Math.max(this.clockSeen, clock);
  }

  #ofProject(journal: JournalState, place: number, event: Event): void {
    if (event.k === 'link') {
      this.#sawClock(event.clock);
      this.#store
        .prepare(
          `INSERT INTO links (name, path, clock, writer, place) VALUES (?, ?, ?, ?, ?)
           ON CONFLICT (name) DO UPDATE SET path = excluded.path, clock = excluded.clock, writer = excluded.writer,
             place = excluded.place
           WHERE (excluded.clock, excluded.writer, excluded.place) > (links.clock, links.writer, links.place)`,
        )
        .run(
          event.name,
          typeof event.path === 'string' ? event.path : null,
          event.clock,
          journal.writer,
          place,
        );
    } else if (event.k === 'remove' || event.k === 'restore') {
      this.#sawClock(event.clock);
      this.#store
        .prepare(
          `INSERT INTO tombstones (run, removed, clock, writer, place, t) VALUES (?, ?, ?, ?, ?, ?)
           ON CONFLICT (run) DO UPDATE SET removed = excluded.removed, clock = excluded.clock,
             writer = excluded.writer, place = excluded.place, t = excluded.t
           WHERE (excluded.clock, excluded.writer, excluded.place)
             > (tombstones.clock, tombstones.writer, tombstones.place)`,
        )
        .run(event.run, event.k === 'remove' ? 1 : 0, event.clock, journal.writer, place, event.t);
      const row = this.#store
        .prepare(
          `UPDATE runs SET removed = (SELECT removed FROM tombstones WHERE run = ?), revision = ? WHERE id = ?
           RETURNING num`,
        )
        .get(event.run, this.#revision, event.run);
      if (row !== undefined) this.touched.add(Number(row.num));
    }
  }

  #ofRun(journal: JournalState, place: number, event: Event): string | undefined {
    const { run, writer } = journal;
    switch (event.k) {
      case 'beat':
        if (journal.lastBeatAt === null || event.t > journal.lastBeatAt) journal.lastBeatAt = event.t;
        return undefined;
      case 'start':
        for (const [key, value] of Object.entries(fieldsOf(event.tags))) {
          this.#tag(run, key, String(value), event.t, writer, place);
        }
        this.#keep(journal, place, event);
        return undefined;
      case 'resume':
      case 'update':
      case 'end':
      case 'job':
      case 'stop':
        this.#keep(journal, place, event);
        return undefined;
      case 'drift':
        this.#keep(journal, place, event);
        noted(this.tags, run, TAG_CODE_CHANGED);
        return undefined;
      case 'snapshot':
        this.#snapshot(journal, place, event);
        return undefined;
      case 'env':
        this.#environment(journal, place, event);
        return undefined;
      case 'param':
        this.#param(journal, place, event);
        return undefined;
      case 'tag':
        this.#tag(run, event.key, event.value, event.t, writer, place);
        return undefined;
      case 'edit':
        this.#edit(journal, place, event);
        return undefined;
      case 'artifact':
        return this.#artifact(journal, place, event);
      case 'c':
        this.#consoleLine(journal, place, event);
        return undefined;
      default:
        // Links and removals count in the project's own journals only.
        return undefined;
    }
  }

  #keep(journal: JournalState, place: number, event: Event): void {
    this.#store
      .prepare(
        'INSERT OR IGNORE INTO kept_events (run, writer, place, t, kind, body) VALUES (?, ?, ?, ?, ?, ?)',
      )
      .run(journal.run, journal.writer, place, event.t, event.k, stringifyExactJson(event));
    this.derive.add(journal.run);
  }

  #snapshot(journal: JournalState, place: number, event: EventOf<'snapshot'>): void {
    const { snapshot } = event;
    this.#store
      .prepare(
        `INSERT INTO snapshots (run, writer, t, place, sha, tree, base, store, repository, git_dir, body)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
         ON CONFLICT (run, writer) DO UPDATE SET t = excluded.t, place = excluded.place, sha = excluded.sha,
           tree = excluded.tree, base = excluded.base, store = excluded.store, repository = excluded.repository,
           git_dir = excluded.git_dir, body = excluded.body
         WHERE (excluded.t, excluded.place) > (snapshots.t, snapshots.place)`,
      )
      .run(
        journal.run,
        journal.writer,
        event.t,
        place,
        // A clean workspace makes no commit: the code is that of HEAD.
        textOr(snapshot.commit) ?? textOr(snapshot.base),
        textOr(snapshot.tree),
        textOr(snapshot.base),
        textOr(snapshot.store),
        textOr(snapshot.repository),
        textOr(snapshot.git_dir),
        stringifyExactJson(snapshot),
      );
    this.derive.add(journal.run);
    noted(this.tags, journal.run, TAG_WORKSPACE_SNAPSHOT);
  }

  #environment(journal: JournalState, place: number, event: EventOf<'env'>): void {
    const { changes } = this.#store
      .prepare(
        `INSERT INTO environments (run, t, writer, place) VALUES (?, ?, ?, ?)
         ON CONFLICT (run) DO UPDATE SET t = excluded.t, writer = excluded.writer, place = excluded.place
         WHERE (excluded.t, excluded.writer, excluded.place)
           > (environments.t, environments.writer, environments.place)`,
      )
      .run(journal.run, event.t, journal.writer, place);
    if (changes === 0) return;
    this.#store
      .prepare('UPDATE runs SET environment = ? WHERE num = ?')
      .run(stringifyExactJson(event.environment), journal.run);
  }

  #param(journal: JournalState, place: number, event: EventOf<'param'>): void {
    const key = event.key.toWellFormed();
    const { changes } = this.#store
      .prepare(
        `INSERT INTO params (run, key, value, t, writer, place, revision) VALUES (?, ?, ?, ?, ?, ?, ?)
         ON CONFLICT (run, key) DO UPDATE SET value = excluded.value, t = excluded.t, writer = excluded.writer,
           place = excluded.place, revision = excluded.revision
         WHERE (excluded.t, excluded.writer, excluded.place) > (params.t, params.writer, params.place)`,
      )
      .run(journal.run, key, stringifyExactJson(event.value), event.t, journal.writer, place, this.#revision);
    if (changes > 0) noted(this.families, journal.run, paramFamily(key));
  }

  #tag(run: number, rawKey: string, value: string, t: number, writer: string, place: number): void {
    const key = rawKey.toWellFormed();
    this.#store
      .prepare(
        `INSERT INTO tag_facts (run, key, t, writer, place, value) VALUES (?, ?, ?, ?, ?, ?)
         ON CONFLICT (run, key) DO UPDATE SET t = excluded.t, writer = excluded.writer, place = excluded.place,
           value = excluded.value
         WHERE (excluded.t, excluded.writer, excluded.place) > (tag_facts.t, tag_facts.writer, tag_facts.place)`,
      )
      .run(run, key, t, writer, place, value);
    noted(this.tags, run, key);
  }

  #edit(journal: JournalState, place: number, event: EventOf<'edit'>): void {
    this.#sawClock(event.clock);
    const key = event.field === 'tag' ? (textOr(event.key) ?? '').toWellFormed() : '';
    this.#store
      .prepare(
        `INSERT INTO edits (run, field, key, clock, writer, place, t, value) VALUES (?, ?, ?, ?, ?, ?, ?, ?)
         ON CONFLICT (run, field, key) DO UPDATE SET clock = excluded.clock, writer = excluded.writer,
           place = excluded.place, t = excluded.t, value = excluded.value
         WHERE (excluded.clock, excluded.writer, excluded.place) > (edits.clock, edits.writer, edits.place)`,
      )
      .run(
        journal.run,
        event.field,
        key,
        event.clock,
        journal.writer,
        place,
        event.t,
        JSON.stringify(event.value),
      );
    if (event.field === 'tag') noted(this.tags, journal.run, key);
    else this.derive.add(journal.run);
  }

  #artifact(journal: JournalState, place: number, event: EventOf<'artifact'>): string | undefined {
    // It becomes a path under blobs/: nothing but a hash may.
    if (!/^[0-9a-f]{64}$/.test(event.sha256)) {
      return 'an artifact whose "sha256" is none';
    }
    this.#store
      .prepare(
        `INSERT OR IGNORE INTO artifacts (run, name, kind, type, created_at, sha256, size, files, mime, writer, place,
          revision, inline) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
      )
      .run(
        journal.run,
        event.name.toWellFormed(),
        textOr(event.kind),
        event.type,
        event.t,
        event.sha256,
        numberOr(event.size),
        integerOr(event.files),
        textOr(event.mime),
        journal.writer,
        place,
        this.#revision,
        typeof event.inline === 'string' ? Buffer.from(event.inline, 'base64') : null,
      );
    return undefined;
  }

  #consoleLine(journal: JournalState, place: number, event: EventOf<'c'>): void {
    const { run } = journal;
    const attempt = textOr(event.a) ?? journal.attempt ?? '';
    // Whole lines beat unfinished ones; then the greatest (time, writer, place), as everywhere.
    this.#store
      .prepare(
        `INSERT INTO console (run, attempt, stream, n, ts, partial, journal, place, text)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
         ON CONFLICT (run, attempt, stream, n) DO UPDATE SET ts = excluded.ts, partial = excluded.partial,
           journal = excluded.journal, place = excluded.place, text = excluded.text
         WHERE (-excluded.partial, excluded.ts, (SELECT writer FROM journals WHERE id = excluded.journal), excluded.place)
           > (-console.partial, console.ts, (SELECT writer FROM journals WHERE id = console.journal), console.place)`,
      )
      .run(run, attempt, event.o, event.n, event.t, event.p === true ? 1 : 0, journal.id, place, event.x);
    const name = `${run} ${attempt} ${event.o}`;
    const range = this.#console.get(name);
    if (range === undefined) {
      this.#console.set(name, { run, attempt, stream: event.o, n0: event.n, n1: event.n });
    } else {
      range.n0 = Math.min(range.n0, event.n);
      range.n1 = Math.max(range.n1, event.n);
    }
  }

  /** Tells followers which lines of consoles are new. */
  writeConsoleChanges(): void {
    for (const { run, attempt, stream, n0, n1 } of this.#console.values()) {
      this.#store
        .prepare(
          'INSERT INTO console_changes (revision, run, attempt, stream, n0, n1) VALUES (?, ?, ?, ?, ?, ?)',
        )
        .run(this.#revision, run, attempt, stream, n0, n1);
    }
  }
}

/** Adds a key to those of a run. */
export function noted(map: Map<number, Set<string>>, run: number, key: string): void {
  const keys = map.get(run);
  if (keys === undefined) map.set(run, new Set([key]));
  else keys.add(key);
}
