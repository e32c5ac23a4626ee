/**
 * The database's tables, as a list of migrations: entry N takes a database from `user_version` N to N + 1. What was
 * published is never edited; a change is a further entry. `docs/store.md` describes the result column by column.
 *
 * The store is a view of the journals (DESIGN.md, decision 1): a change that SQL alone cannot make is a rebuild.
 */

import { RUN_TEXT_SELECT } from './run-text.ts';

/**
 * Samples of one series and part that a composed id can tell apart: id = series * 2^28 + seq. JavaScript reads such ids
 * exactly up to 2^25 (33 million) series in one database, SQLite up to 2^35.
 */
export const MAX_SEQ = 2 ** 28;

const VERSION_1 = `
CREATE TABLE meta (key TEXT PRIMARY KEY, value) WITHOUT ROWID;

-- One row a run. The long texts come last, so that lists do not read through them.
CREATE TABLE runs (
  num INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,
  name TEXT NOT NULL,
  project TEXT NOT NULL,
  status TEXT NOT NULL,
  journal_status TEXT NOT NULL,
  entry TEXT,
  command TEXT,
  argv TEXT,
  cwd TEXT,
  repo TEXT,
  commit_sha TEXT,
  started_at REAL,
  ended_at REAL,
  exit_code INTEGER,
  signal TEXT,
  reason TEXT,
  host TEXT,
  user TEXT,
  "group" TEXT,
  parent TEXT,
  reproduces TEXT,
  archived INTEGER NOT NULL DEFAULT 0,
  removed INTEGER NOT NULL DEFAULT 0,
  error_type TEXT,
  error_message TEXT,
  last_event_at REAL,
  attempt TEXT,
  supervised INTEGER,
  revision INTEGER NOT NULL,
  status_revision INTEGER NOT NULL,
  notes TEXT,
  traceback TEXT,
  drift TEXT,
  snapshot TEXT,
  environment TEXT
);
CREATE INDEX runs_started ON runs (started_at);
CREATE INDEX runs_name ON runs (name);
CREATE INDEX runs_project ON runs (project);
CREATE INDEX runs_revision ON runs (revision);
CREATE INDEX runs_running ON runs (num) WHERE status = 'running';

CREATE TABLE params (
  run INTEGER NOT NULL, key TEXT NOT NULL, value TEXT NOT NULL,
  t REAL NOT NULL, writer TEXT NOT NULL, place INTEGER NOT NULL, revision INTEGER NOT NULL,
  PRIMARY KEY (run, key)
) WITHOUT ROWID;

CREATE TABLE param_leaves (
  run INTEGER NOT NULL, key TEXT NOT NULL, type TEXT NOT NULL, text TEXT, number REAL, param TEXT NOT NULL,
  PRIMARY KEY (run, key)
) WITHOUT ROWID;
CREATE INDEX param_leaves_key ON param_leaves (key);

CREATE TABLE tags (
  run INTEGER NOT NULL, key TEXT NOT NULL, value TEXT NOT NULL, revision INTEGER NOT NULL,
  PRIMARY KEY (run, key)
) WITHOUT ROWID;
CREATE INDEX tags_key ON tags (key);

-- What each source last said of a tag; \`tags\` is what wins.
CREATE TABLE tag_facts (
  run INTEGER NOT NULL, key TEXT NOT NULL, t REAL NOT NULL, writer TEXT NOT NULL, place INTEGER NOT NULL,
  value TEXT NOT NULL,
  PRIMARY KEY (run, key)
) WITHOUT ROWID;

CREATE TABLE edits (
  run INTEGER NOT NULL, field TEXT NOT NULL, key TEXT NOT NULL, clock INTEGER NOT NULL, writer TEXT NOT NULL,
  place INTEGER NOT NULL, t REAL NOT NULL, value TEXT NOT NULL,
  PRIMARY KEY (run, field, key)
) WITHOUT ROWID;

CREATE TABLE series (
  id INTEGER PRIMARY KEY,
  run INTEGER NOT NULL,
  key TEXT NOT NULL,
  writer TEXT NOT NULL,
  part INTEGER NOT NULL DEFAULT 0,
  t0 INTEGER NOT NULL,
  count INTEGER NOT NULL,
  nan_count INTEGER NOT NULL,
  inf_count INTEGER NOT NULL,
  first REAL, first_is_nan INTEGER NOT NULL, first_seq INTEGER NOT NULL, first_step REAL NOT NULL, first_ts REAL NOT NULL,
  last REAL, last_is_nan INTEGER NOT NULL, last_seq INTEGER NOT NULL, last_step REAL NOT NULL, last_ts REAL NOT NULL,
  min REAL, max REAL, sum REAL,
  min_step REAL NOT NULL, max_step REAL NOT NULL,
  end_step REAL NOT NULL,
  segment INTEGER NOT NULL,
  revision INTEGER NOT NULL
);
CREATE UNIQUE INDEX series_key ON series (run, key, writer, part);

CREATE TABLE metric_summaries (
  run INTEGER NOT NULL, key TEXT NOT NULL,
  count INTEGER NOT NULL, nan_count INTEGER NOT NULL, inf_count INTEGER NOT NULL,
  first REAL, first_is_nan INTEGER NOT NULL, first_step REAL, first_ts REAL,
  last REAL, last_is_nan INTEGER NOT NULL, last_step REAL, last_ts REAL,
  min REAL, max REAL, mean REAL,
  min_step REAL, max_step REAL,
  writers INTEGER NOT NULL,
  revision INTEGER NOT NULL,
  PRIMARY KEY (run, key)
) WITHOUT ROWID;
CREATE INDEX metric_summaries_key ON metric_summaries (key);

CREATE TABLE samples (
  id INTEGER PRIMARY KEY,
  step REAL NOT NULL,
  dt INTEGER NOT NULL,
  value REAL
);

CREATE TABLE rollups (
  series INTEGER NOT NULL, level INTEGER NOT NULL, seq INTEGER NOT NULL,
  count INTEGER NOT NULL, nan_count INTEGER NOT NULL,
  min REAL, max REAL, sum REAL, first REAL, last REAL,
  step0 REAL NOT NULL, step1 REAL NOT NULL, dt0 INTEGER NOT NULL, dt1 INTEGER NOT NULL,
  segment INTEGER NOT NULL,
  PRIMARY KEY (series, level, seq)
) WITHOUT ROWID;

CREATE TABLE artifacts (
  id INTEGER PRIMARY KEY,
  run INTEGER NOT NULL, name TEXT NOT NULL, kind TEXT, type TEXT NOT NULL, created_at REAL NOT NULL,
  sha256 TEXT NOT NULL, size INTEGER NOT NULL, files INTEGER, mime TEXT,
  writer TEXT NOT NULL, place INTEGER NOT NULL, revision INTEGER NOT NULL, inline BLOB
);
CREATE UNIQUE INDEX artifacts_name ON artifacts (run, name, created_at, writer, place);
CREATE INDEX artifacts_sha256 ON artifacts (sha256);

CREATE TABLE console (
  run INTEGER NOT NULL, attempt TEXT NOT NULL, stream INTEGER NOT NULL, n INTEGER NOT NULL,
  ts REAL NOT NULL, partial INTEGER NOT NULL, journal INTEGER NOT NULL, place INTEGER NOT NULL, text TEXT NOT NULL,
  PRIMARY KEY (run, attempt, stream, n)
) WITHOUT ROWID;

CREATE TABLE warnings (
  run INTEGER NOT NULL, ts REAL NOT NULL, code TEXT NOT NULL, message TEXT NOT NULL, hint TEXT,
  writer TEXT NOT NULL, place INTEGER NOT NULL, revision INTEGER NOT NULL,
  PRIMARY KEY (run, ts, writer, place)
) WITHOUT ROWID;

CREATE TABLE attempts (
  run INTEGER NOT NULL, attempt TEXT NOT NULL, number INTEGER NOT NULL,
  started_at REAL, ended_at REAL, status TEXT NOT NULL, exit_code INTEGER, signal TEXT, reason TEXT,
  host TEXT, user TEXT, supervised INTEGER, cwd TEXT, argv TEXT, command TEXT,
  error_type TEXT, error_message TEXT, traceback TEXT,
  PRIMARY KEY (run, attempt)
) WITHOUT ROWID;

-- Rare events as they were written: what a run's own row is derived from (start, resume, update, end, job, drift, stop).
CREATE TABLE kept_events (
  run INTEGER NOT NULL, writer TEXT NOT NULL, place INTEGER NOT NULL, t REAL NOT NULL, kind TEXT NOT NULL,
  body TEXT NOT NULL,
  PRIMARY KEY (run, writer, place)
) WITHOUT ROWID;

CREATE TABLE snapshots (
  run INTEGER NOT NULL, writer TEXT NOT NULL, t REAL NOT NULL, place INTEGER NOT NULL,
  sha TEXT, tree TEXT, base TEXT, store TEXT, repository TEXT, git_dir TEXT, body TEXT NOT NULL,
  PRIMARY KEY (run, writer)
) WITHOUT ROWID;
CREATE INDEX snapshots_sha ON snapshots (sha);

CREATE TABLE environments (
  run INTEGER PRIMARY KEY, t REAL NOT NULL, writer TEXT NOT NULL, place INTEGER NOT NULL
);

-- One row a journal, which is one writer. run is 0 for the project's own journals.
CREATE TABLE journals (
  id INTEGER PRIMARY KEY,
  run INTEGER NOT NULL,
  writer TEXT NOT NULL,
  offset INTEGER NOT NULL DEFAULT 0,
  sealed INTEGER NOT NULL DEFAULT 0,
  lines INTEGER NOT NULL DEFAULT 0,
  broken INTEGER NOT NULL DEFAULT 0,
  torn INTEGER,
  closed INTEGER NOT NULL DEFAULT 0,
  dropped TEXT,
  role TEXT, host TEXT, user TEXT, pid INTEGER, boot TEXT, pidns TEXT, started INTEGER,
  client TEXT, attempt TEXT, rank INTEGER, local_rank INTEGER, world_size INTEGER,
  opened_at REAL, last_event_at REAL, last_beat_at REAL,
  grown_at REAL NOT NULL, grown_mono REAL NOT NULL
);
CREATE UNIQUE INDEX journals_writer ON journals (run, writer);
CREATE INDEX journals_plain ON journals (run) WHERE sealed = 0;

CREATE TABLE broken_lines (
  journal INTEGER NOT NULL, offset INTEGER NOT NULL, reason TEXT NOT NULL,
  PRIMARY KEY (journal, offset)
) WITHOUT ROWID;

-- Run folders as last looked at: one that has not changed and whose writers are all done is not opened again.
CREATE TABLE folders (
  id TEXT PRIMARY KEY, changed REAL NOT NULL, live INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE links (
  name TEXT PRIMARY KEY, path TEXT, clock INTEGER NOT NULL, writer TEXT NOT NULL, place INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE tombstones (
  run TEXT PRIMARY KEY, removed INTEGER NOT NULL, clock INTEGER NOT NULL, writer TEXT NOT NULL, place INTEGER NOT NULL,
  t REAL NOT NULL
) WITHOUT ROWID;

CREATE TABLE leases (name TEXT PRIMARY KEY, holder TEXT NOT NULL, expires_at REAL NOT NULL) WITHOUT ROWID;

-- What each ingest transaction brought, for the live stream; old rows are pruned (meta: changes_from).
CREATE TABLE changes (
  revision INTEGER NOT NULL, series INTEGER NOT NULL, seq0 INTEGER NOT NULL, seq1 INTEGER NOT NULL,
  PRIMARY KEY (revision, series)
) WITHOUT ROWID;
CREATE TABLE console_changes (
  revision INTEGER NOT NULL, run INTEGER NOT NULL, attempt TEXT NOT NULL, stream INTEGER NOT NULL,
  n0 INTEGER NOT NULL, n1 INTEGER NOT NULL,
  PRIMARY KEY (revision, run, attempt, stream)
) WITHOUT ROWID;

-- CROSS JOIN keeps this order: the planner would scan the samples and look for the series of each.
-- Steps are REAL, so that every finite float fits; SQLite keeps whole ones as integers on disk, and here shows them so.
CREATE VIEW metrics AS
  SELECT r.id AS run_id, s.key AS key,
    iif(abs(m.step) < 9007199254740992 AND m.step = CAST(m.step AS INTEGER), CAST(m.step AS INTEGER), m.step) AS step,
    (s.t0 + m.dt) / 1000.0 AS ts, m.value AS value
  FROM runs r
  CROSS JOIN series s ON s.run = r.num
  CROSS JOIN samples m ON m.id BETWEEN s.id * 268435456 AND s.id * 268435456 + 268435455
  WHERE r.removed = 0;

CREATE VIEW writers AS
  SELECT j.id, r.id AS run_id, j.run, j.writer, j.role, j.host, j.user, j.pid, j.boot, j.pidns, j.started, j.client,
    j.attempt, j.rank, j.local_rank, j.world_size, j.closed, j.dropped, j.opened_at, j.last_event_at, j.last_beat_at
  FROM journals j LEFT JOIN runs r ON r.num = j.run;

CREATE VIEW commits AS
  SELECT sha, min(tree) AS tree, min(base) AS base, min(store) AS store, min(repository) AS repository,
    min(git_dir) AS git_dir, count(DISTINCT run) AS runs, min(t) AS first_used_at
  FROM snapshots WHERE sha IS NOT NULL GROUP BY sha;

CREATE VIEW repos AS SELECT name, path FROM links WHERE path IS NOT NULL;

CREATE VIEW projects AS
  SELECT project AS name, count(*) AS runs, sum(status = 'running') AS running, max(started_at) AS last_started_at
  FROM runs WHERE removed = 0 GROUP BY project;
`;

/** A project's newest runs, and the kinds of what a key holds, without looking at every run. */
const VERSION_2 = `
DROP INDEX runs_project;
CREATE INDEX runs_project ON runs (project, started_at);
DROP INDEX param_leaves_key;
CREATE INDEX param_leaves_key ON param_leaves (key, type);
`;

/**
 * A table's order without reading it all: values by key, a metric's other statistics beside them, the beginnings of texts;
 * and what a run is searched by.
 */
const VERSION_3 = `
DROP INDEX metric_summaries_key;
CREATE INDEX metric_summaries_key ON metric_summaries
  (key, last, min, max, mean, count, first, last_is_nan, first_is_nan);
CREATE INDEX param_leaves_number ON param_leaves (key, number) WHERE type = 'number';
CREATE INDEX param_leaves_text ON param_leaves (key, substr(text, 1, 300)) WHERE type <> 'number';
DROP INDEX tags_key;
CREATE INDEX tags_key ON tags (key, substr(value, 1, 300));
CREATE TABLE run_texts (run INTEGER PRIMARY KEY, text TEXT NOT NULL);
INSERT INTO run_texts (run, text) ${RUN_TEXT_SELECT};
`;

/** SQL of each step, in order. */
export const MIGRATIONS: readonly string[] = [VERSION_1, VERSION_2, VERSION_3];

/** The `user_version` that this Waddle writes. */
export const SCHEMA_VERSION = MIGRATIONS.length;
