/**
 * The tables of PostgreSQL, as lists of migrations: entry N takes a schema from version N to N + 1. What was published is
 * never edited; a change is a further entry. `docs/postgres.md` describes the result.
 *
 * A space is a schema of its own. Its tables have the names and columns of the store's (src/store/schema.ts), so that one
 * set of queries reads both; but samples and rollups, which are chunks of compressed columns here (chunks.ts), and what
 * follows `received`, which only a collector has: the journals, blobs and trees themselves.
 */

const TEXT = 'text COLLATE "C"';

/** Rows that are written again and again keep room in their page, so that no index is touched. */
const ROOMY = 'WITH (fillfactor = 70)';

const SPACE_1 = `
CREATE TABLE meta (key ${TEXT} PRIMARY KEY, value ${TEXT}) WITH (fillfactor = 10);

CREATE SEQUENCE run_numbers;
CREATE SEQUENCE series_ids;
CREATE SEQUENCE journal_ids;
CREATE SEQUENCE artifact_ids;

CREATE TABLE runs (
  num bigint PRIMARY KEY,
  id ${TEXT} NOT NULL UNIQUE,
  name ${TEXT} NOT NULL,
  project ${TEXT} NOT NULL,
  status ${TEXT} NOT NULL,
  journal_status ${TEXT} NOT NULL,
  entry ${TEXT},
  command ${TEXT},
  argv ${TEXT},
  cwd ${TEXT},
  repo ${TEXT},
  commit_sha ${TEXT},
  started_at double precision,
  ended_at double precision,
  exit_code bigint,
  signal ${TEXT},
  reason ${TEXT},
  host ${TEXT},
  "user" ${TEXT},
  "group" ${TEXT},
  parent ${TEXT},
  reproduces ${TEXT},
  archived bigint NOT NULL DEFAULT 0,
  removed bigint NOT NULL DEFAULT 0,
  error_type ${TEXT},
  error_message ${TEXT},
  last_event_at double precision,
  attempt ${TEXT},
  supervised bigint,
  revision bigint NOT NULL,
  status_revision bigint NOT NULL,
  notes ${TEXT},
  traceback ${TEXT},
  drift ${TEXT},
  snapshot ${TEXT},
  environment ${TEXT}
) ${ROOMY};
CREATE INDEX runs_started ON runs (started_at, num);
CREATE INDEX runs_name ON runs (left(name, 600));
CREATE INDEX runs_project ON runs (left(project, 600));
CREATE INDEX runs_revision ON runs (revision);
CREATE INDEX runs_running ON runs (num) WHERE status = 'running';

CREATE TABLE params (
  run bigint NOT NULL, key ${TEXT} NOT NULL, value ${TEXT} NOT NULL,
  t double precision NOT NULL, writer ${TEXT} NOT NULL, place bigint NOT NULL, revision bigint NOT NULL,
  PRIMARY KEY (run, key)
);
CREATE TABLE param_leaves (
  run bigint NOT NULL, key ${TEXT} NOT NULL, type ${TEXT} NOT NULL, text ${TEXT}, number double precision,
  param ${TEXT} NOT NULL,
  PRIMARY KEY (run, key)
);
CREATE INDEX param_leaves_key ON param_leaves (key, run);

CREATE TABLE tags (
  run bigint NOT NULL, key ${TEXT} NOT NULL, value ${TEXT} NOT NULL, revision bigint NOT NULL,
  PRIMARY KEY (run, key)
);
CREATE INDEX tags_key ON tags (key, run);
CREATE TABLE tag_facts (
  run bigint NOT NULL, key ${TEXT} NOT NULL, t double precision NOT NULL, writer ${TEXT} NOT NULL,
  place bigint NOT NULL, value ${TEXT} NOT NULL,
  PRIMARY KEY (run, key)
);
CREATE TABLE edits (
  run bigint NOT NULL, field ${TEXT} NOT NULL, key ${TEXT} NOT NULL, clock bigint NOT NULL, writer ${TEXT} NOT NULL,
  place bigint NOT NULL, t double precision NOT NULL, value ${TEXT} NOT NULL,
  PRIMARY KEY (run, field, key)
);

-- "open": the rollup buckets that are still being filled (scratch.ts).
CREATE TABLE series (
  id bigint PRIMARY KEY,
  run bigint NOT NULL,
  key ${TEXT} NOT NULL,
  writer ${TEXT} NOT NULL,
  part bigint NOT NULL DEFAULT 0,
  t0 bigint NOT NULL,
  count bigint NOT NULL,
  nan_count bigint NOT NULL,
  inf_count bigint NOT NULL,
  first double precision, first_is_nan bigint NOT NULL, first_seq bigint NOT NULL,
  first_step double precision NOT NULL, first_ts double precision NOT NULL,
  last double precision, last_is_nan bigint NOT NULL, last_seq bigint NOT NULL,
  last_step double precision NOT NULL, last_ts double precision NOT NULL,
  min double precision, max double precision, sum double precision,
  min_step double precision NOT NULL, max_step double precision NOT NULL,
  end_step double precision NOT NULL,
  segment bigint NOT NULL,
  revision bigint NOT NULL,
  open bytea
) ${ROOMY};
CREATE UNIQUE INDEX series_key ON series (run, key, writer, part);

CREATE TABLE metric_summaries (
  run bigint NOT NULL, key ${TEXT} NOT NULL,
  count bigint NOT NULL, nan_count bigint NOT NULL, inf_count bigint NOT NULL,
  first double precision, first_is_nan bigint NOT NULL, first_step double precision, first_ts double precision,
  last double precision, last_is_nan bigint NOT NULL, last_step double precision, last_ts double precision,
  min double precision, max double precision, mean double precision,
  min_step double precision, max_step double precision,
  writers bigint NOT NULL,
  revision bigint NOT NULL,
  PRIMARY KEY (run, key)
) ${ROOMY};
CREATE INDEX metric_summaries_key ON metric_summaries (key, run);

-- Consecutive samples "seq0" ... "seq0" + "count" - 1 of a series; chunks neither overlap nor leave a gap.
CREATE TABLE sample_chunks (
  series bigint NOT NULL, seq0 bigint NOT NULL, count bigint NOT NULL,
  step0 double precision NOT NULL, step1 double precision NOT NULL, body bytea NOT NULL,
  PRIMARY KEY (series, seq0)
);
ALTER TABLE sample_chunks ALTER COLUMN body SET STORAGE EXTERNAL;

-- Consecutive buckets of a level; "seq0" is the first one's first sample, "seq1" comes after the last one's last.
CREATE TABLE rollup_chunks (
  series bigint NOT NULL, level bigint NOT NULL, seq0 bigint NOT NULL, seq1 bigint NOT NULL, count bigint NOT NULL,
  body bytea NOT NULL,
  PRIMARY KEY (series, level, seq0)
);
ALTER TABLE rollup_chunks ALTER COLUMN body SET STORAGE EXTERNAL;

CREATE TABLE artifacts (
  id bigint PRIMARY KEY,
  run bigint NOT NULL, name ${TEXT} NOT NULL, kind ${TEXT}, type ${TEXT} NOT NULL, created_at double precision NOT NULL,
  sha256 ${TEXT} NOT NULL, size bigint, files bigint, mime ${TEXT},
  writer ${TEXT} NOT NULL, place bigint NOT NULL, revision bigint NOT NULL, inline bytea
);
CREATE UNIQUE INDEX artifacts_name ON artifacts (run, name, created_at, writer, place);
CREATE INDEX artifacts_sha256 ON artifacts (sha256);

CREATE TABLE console (
  run bigint NOT NULL, attempt ${TEXT} NOT NULL, stream bigint NOT NULL, n bigint NOT NULL,
  ts double precision NOT NULL, partial bigint NOT NULL, journal bigint NOT NULL, place bigint NOT NULL,
  text ${TEXT} NOT NULL,
  PRIMARY KEY (run, attempt, stream, n)
);

CREATE TABLE warnings (
  run bigint NOT NULL, ts double precision NOT NULL, code ${TEXT} NOT NULL, message ${TEXT} NOT NULL, hint ${TEXT},
  writer ${TEXT} NOT NULL, place bigint NOT NULL, revision bigint NOT NULL,
  PRIMARY KEY (run, ts, writer, place)
);

CREATE TABLE attempts (
  run bigint NOT NULL, attempt ${TEXT} NOT NULL, number bigint NOT NULL,
  started_at double precision, ended_at double precision, status ${TEXT} NOT NULL, exit_code bigint, signal ${TEXT},
  reason ${TEXT}, host ${TEXT}, "user" ${TEXT}, supervised bigint, cwd ${TEXT}, argv ${TEXT}, command ${TEXT},
  error_type ${TEXT}, error_message ${TEXT}, traceback ${TEXT},
  PRIMARY KEY (run, attempt)
);

CREATE TABLE kept_events (
  run bigint NOT NULL, writer ${TEXT} NOT NULL, place bigint NOT NULL, t double precision NOT NULL,
  kind ${TEXT} NOT NULL, body ${TEXT} NOT NULL,
  PRIMARY KEY (run, writer, place)
);

CREATE TABLE snapshots (
  run bigint NOT NULL, writer ${TEXT} NOT NULL, t double precision NOT NULL, place bigint NOT NULL,
  sha ${TEXT}, tree ${TEXT}, base ${TEXT}, store ${TEXT}, repository ${TEXT}, git_dir ${TEXT}, body ${TEXT} NOT NULL,
  PRIMARY KEY (run, writer)
);
CREATE INDEX snapshots_sha ON snapshots (sha);

CREATE TABLE environments (
  run bigint PRIMARY KEY, t double precision NOT NULL, writer ${TEXT} NOT NULL, place bigint NOT NULL
);

CREATE TABLE journals (
  id bigint PRIMARY KEY,
  run bigint NOT NULL,
  writer ${TEXT} NOT NULL,
  "offset" bigint NOT NULL DEFAULT 0,
  sealed bigint NOT NULL DEFAULT 0,
  lines bigint NOT NULL DEFAULT 0,
  broken bigint NOT NULL DEFAULT 0,
  torn bigint,
  closed bigint NOT NULL DEFAULT 0,
  dropped ${TEXT},
  role ${TEXT}, host ${TEXT}, "user" ${TEXT}, pid bigint, boot ${TEXT}, pidns ${TEXT}, started bigint,
  client ${TEXT}, attempt ${TEXT}, rank bigint, local_rank bigint, world_size bigint,
  opened_at double precision, last_event_at double precision, last_beat_at double precision,
  grown_at double precision NOT NULL, grown_mono double precision NOT NULL
) ${ROOMY};
CREATE UNIQUE INDEX journals_writer ON journals (run, writer);

CREATE TABLE broken_lines (
  journal bigint NOT NULL, "offset" bigint NOT NULL, reason ${TEXT} NOT NULL,
  PRIMARY KEY (journal, "offset")
);

CREATE TABLE links (
  name ${TEXT} PRIMARY KEY, path ${TEXT}, clock bigint NOT NULL, writer ${TEXT} NOT NULL, place bigint NOT NULL
);

CREATE TABLE tombstones (
  run ${TEXT} PRIMARY KEY, removed bigint NOT NULL, clock bigint NOT NULL, writer ${TEXT} NOT NULL,
  place bigint NOT NULL, t double precision NOT NULL
);

CREATE TABLE changes (
  revision bigint NOT NULL, series bigint NOT NULL, seq0 bigint NOT NULL, seq1 bigint NOT NULL,
  PRIMARY KEY (revision, series)
);
CREATE TABLE console_changes (
  revision bigint NOT NULL, run bigint NOT NULL, attempt ${TEXT} NOT NULL, stream bigint NOT NULL,
  n0 bigint NOT NULL, n1 bigint NOT NULL,
  PRIMARY KEY (revision, run, attempt, stream)
);

CREATE VIEW writers AS
  SELECT j.id, r.id AS run_id, j.run, j.writer, j.role, j.host, j."user", j.pid, j.boot, j.pidns, j.started, j.client,
    j.attempt, j.rank, j.local_rank, j.world_size, j.closed, j.dropped, j.opened_at, j.last_event_at, j.last_beat_at
  FROM journals j LEFT JOIN runs r ON r.num = j.run;
CREATE VIEW commits AS
  SELECT sha, min(tree) AS tree, min(base) AS base, min(store) AS store, min(repository) AS repository,
    min(git_dir) AS git_dir, count(DISTINCT run) AS runs, min(t) AS first_used_at
  FROM snapshots WHERE sha IS NOT NULL GROUP BY sha;
CREATE VIEW repos AS SELECT name, path FROM links WHERE path IS NOT NULL;
CREATE VIEW projects AS
  SELECT project AS name, count(*) AS runs, count(*) FILTER (WHERE status = 'running') AS running,
    max(started_at) AS last_started_at
  FROM runs WHERE removed = 0 GROUP BY project;

-- A journal as it was received, whose lines may wait to be taken in. "run" is '' for the project's own journals. "facts":
-- what sync knows of it (src/sync/journal-facts.ts), JSON. "inline": bytes of its segments that are kept here. "announced":
-- 1 where its removals are told and not applied.
CREATE TABLE received (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  run ${TEXT} NOT NULL, writer ${TEXT} NOT NULL,
  announced bigint NOT NULL DEFAULT 0, length bigint NOT NULL, root ${TEXT} NOT NULL, facts ${TEXT} NOT NULL,
  inline bigint NOT NULL DEFAULT 0, grown_at timestamptz NOT NULL DEFAULT now(),
  UNIQUE (run, writer, announced)
) ${ROOMY};

-- Consecutive plain bytes of a journal, zstd: a small piece in "body", a larger one in the object of this name.
CREATE TABLE segments (
  received bigint NOT NULL, at bigint NOT NULL, length bigint NOT NULL, body bytea, object ${TEXT},
  PRIMARY KEY (received, at)
);
ALTER TABLE segments ALTER COLUMN body SET STORAGE EXTERNAL;

-- A run (or '') with lines that are not taken in yet. "version" grows with each piece.
CREATE TABLE work (
  run ${TEXT} PRIMARY KEY, version bigint NOT NULL DEFAULT 1, since timestamptz NOT NULL DEFAULT now(),
  failed bigint NOT NULL DEFAULT 0, retry_at timestamptz NOT NULL DEFAULT now(), error ${TEXT}
) ${ROOMY};

-- A run's project as its journals tell ('' while none does), and the hash of all that is here of it (src/sync/run-digest.ts),
-- NULL where that must be found out anew.
CREATE TABLE owners (run ${TEXT} PRIMARY KEY, project ${TEXT} NOT NULL, digest ${TEXT}) ${ROOMY};
CREATE INDEX owners_project ON owners (project);

-- Blobs that are whole, of a project: whose members have shown the bytes.
CREATE TABLE blobs (
  project ${TEXT} NOT NULL, sha256 ${TEXT} NOT NULL, size bigint NOT NULL, stored_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (project, sha256)
);
-- Blobs that a run names: its artifacts', and the files of its folders' manifests. "size" is NULL of a manifest itself.
CREATE TABLE blob_names (
  run ${TEXT} NOT NULL, sha256 ${TEXT} NOT NULL, size bigint, PRIMARY KEY (run, sha256)
);
CREATE INDEX blob_names_sha256 ON blob_names (sha256);

-- Trees that are whole and checked, of a project, each in a pack that stands on the tree "base".
CREATE TABLE trees (
  project ${TEXT} NOT NULL, tree ${TEXT} NOT NULL, base ${TEXT}, size bigint NOT NULL, object ${TEXT} NOT NULL,
  stored_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (project, tree)
);
CREATE TABLE tree_names (run ${TEXT} NOT NULL, tree ${TEXT} NOT NULL, PRIMARY KEY (run, tree));
CREATE INDEX tree_names_tree ON tree_names (tree);

-- Parts of blobs and packs whose rest is still to come. "name" says of what, and how long that will be.
CREATE TABLE parts (
  project ${TEXT} NOT NULL, name ${TEXT} NOT NULL, at bigint NOT NULL, length bigint NOT NULL, object ${TEXT} NOT NULL,
  came_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (project, name, at)
);

-- Epoch seconds, the same throughout a question, which is a transaction.
CREATE FUNCTION waddle_now() RETURNS double precision LANGUAGE sql STABLE PARALLEL SAFE AS $function$
  SELECT extract(epoch FROM now())::double precision
$function$;

-- The number that a text holds, as src/store/number-text.ts reads it; NULL for NaN and for what is no number.
CREATE FUNCTION waddle_number(value text) RETURNS double precision
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $function$
DECLARE
  space constant text := '[\\s\\u00a0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000\\ufeff]*';
  digits text;
  exact numeric;
BEGIN
  IF value = 'Infinity' OR value = '-Infinity' THEN RETURN value::double precision; END IF;
  digits := (regexp_match(value, '^' || space || '([+-]?(?:[0-9]+\\.?[0-9]*|\\.[0-9]+)(?:e[+-]?[0-9]+)?)' || space || '$', 'i'))[1];
  IF digits IS NULL THEN RETURN NULL; END IF;
  BEGIN
    RETURN digits::double precision;
  EXCEPTION WHEN numeric_value_out_of_range THEN
    -- Too great, or too near to zero, which PostgreSQL refuses and IEEE rounds.
    BEGIN
      exact := digits::numeric;
    EXCEPTION WHEN numeric_value_out_of_range OR invalid_text_representation OR program_limit_exceeded THEN
      exact := CASE WHEN digits ~* 'e-' THEN 0 ELSE 2 END;
    END;
    IF abs(exact) < 1 THEN RETURN 0; END IF;
    RETURN CASE WHEN digits LIKE '-%' THEN '-Infinity' ELSE 'Infinity' END::double precision;
  END;
END
$function$;
`;

/** The newest runs, and the kinds of what a key holds, without looking at every run. */
const SPACE_2 = `
DROP INDEX runs_started;
CREATE INDEX runs_newest ON runs (started_at DESC NULLS LAST, id DESC);
DROP INDEX param_leaves_key;
CREATE INDEX param_leaves_key ON param_leaves (key, type, run);
`;

/** Blobs that come directly, and what tidying looks for. */
const SPACE_3 = `
-- "object": where a blob lies that came directly; NULL: below blobs/sha256/.
ALTER TABLE blobs ADD COLUMN object ${TEXT};
CREATE INDEX blobs_sha256 ON blobs (sha256);
CREATE INDEX blobs_object ON blobs (object) WHERE object IS NOT NULL;
CREATE INDEX trees_object ON trees (object);
CREATE INDEX parts_object ON parts (object);
CREATE INDEX segments_object ON segments (object) WHERE object IS NOT NULL;

-- Blobs on their way past the collectors: "session" is the store's own name for the upload of "object".
CREATE TABLE uploads (
  id ${TEXT} PRIMARY KEY, project ${TEXT} NOT NULL, sha256 ${TEXT} NOT NULL, size bigint NOT NULL,
  object ${TEXT} NOT NULL UNIQUE, session ${TEXT} NOT NULL, touched_at timestamptz NOT NULL DEFAULT now(),
  UNIQUE (project, sha256, size)
);
`;

/** Views of the space's own tables, made once in its schema and once over the narrowed tables. */
const VIEWS = SPACE_1.match(/CREATE VIEW [^;]*;/g)?.join('\n') ?? '';

const OF_RUN = (column: string) =>
  `EXISTS (SELECT 1 FROM runs own WHERE own.num = it.${column} AND own.project = current_setting('waddle.project'))`;
/** How each table tells which project a row is of. Tables that are not here are reached by way of those that are. */
const NARROWED: Record<string, string> = {
  runs: "it.project = current_setting('waddle.project')",
  tombstones:
    "EXISTS (SELECT 1 FROM runs own WHERE own.id = it.run AND own.project = current_setting('waddle.project'))",
  broken_lines: `EXISTS (SELECT 1 FROM journals j WHERE j.id = it.journal AND ${OF_RUN('run').replaceAll('it.', 'j.')})`,
  changes: `EXISTS (SELECT 1 FROM series s WHERE s.id = it.series AND ${OF_RUN('run').replaceAll('it.', 's.')})`,
  links: 'false',
};
for (const table of [
  'params',
  'param_leaves',
  'tags',
  'tag_facts',
  'edits',
  'series',
  'metric_summaries',
  'artifacts',
  'console',
  'warnings',
  'attempts',
  'kept_events',
  'snapshots',
  'environments',
  'journals',
  'console_changes',
]) {
  NARROWED[table] = OF_RUN('run');
}

/**
 * A schema of views with the tables' names, $NARROW, which show the runs of one project (the setting `waddle.project`): so no
 * query need know of it, and none can forget it.
 */
const NARROW_1 = `
CREATE SCHEMA $NARROW;
${Object.entries(NARROWED)
  .map(([table, rule]) => `CREATE VIEW $NARROW.${table} AS SELECT it.* FROM ${table} it WHERE ${rule};`)
  .join('\n')}
SET LOCAL search_path TO $NARROW, $SPACE;
${VIEWS.replaceAll('CREATE VIEW ', 'CREATE VIEW $NARROW.')}
SET LOCAL search_path TO $SPACE;
`;

/**
 * As the store's third version (src/store/schema.ts). A row of an index has 2,704 bytes at most: of these are 900 a key's, and
 * 1,200 the beginning of a text.
 */
const SPACE_4 = `
DROP INDEX metric_summaries_key;
CREATE INDEX metric_summaries_key ON metric_summaries (key, last)
  INCLUDE (run, min, max, mean, count, first, last_is_nan, first_is_nan);
CREATE INDEX param_leaves_number ON param_leaves (key, number) INCLUDE (run) WHERE type = 'number';
CREATE INDEX param_leaves_text ON param_leaves (key, substr(text, 1, 300)) WHERE type <> 'number';
DROP INDEX tags_key;
CREATE INDEX tags_key ON tags (key, substr(value, 1, 300));
CREATE TABLE run_texts (run bigint PRIMARY KEY, text ${TEXT} NOT NULL);
INSERT INTO run_texts (run, text)
  SELECT r.num, lower(concat_ws(chr(10), r.id, r.name, r.project, r.entry, r.command, r.host, r."user", r."group", r.notes,
    r.commit_sha,
    (SELECT string_agg(t.key || chr(10) || t.value, chr(10) ORDER BY t.key) FROM tags t WHERE t.run = r.num),
    (SELECT string_agg(p.key || chr(10) || p.text, chr(10) ORDER BY p.key) FROM param_leaves p WHERE p.run = r.num)
  ) COLLATE "C") FROM runs r;
CREATE VIEW $NARROW.run_texts AS SELECT it.* FROM run_texts it WHERE ${OF_RUN('run')};
`;

/** Of the schema of a space; `$SPACE` and `$NARROW` stand for its names. */
export const SPACE_MIGRATIONS: readonly string[] = [SPACE_1 + NARROW_1, SPACE_2, SPACE_3, SPACE_4];

const INSTANCE_1 = `
-- Quotas are NULL where there is none. "samples" have been taken in.
CREATE TABLE spaces (
  name ${TEXT} PRIMARY KEY, created_at double precision NOT NULL,
  quota_bytes bigint, quota_samples bigint, samples bigint NOT NULL DEFAULT 0
) WITH (fillfactor = 50);

CREATE TABLE tokens (
  id ${TEXT} PRIMARY KEY, hash bytea NOT NULL, name ${TEXT}, space ${TEXT} NOT NULL, project ${TEXT},
  scope ${TEXT} NOT NULL, quota_bytes bigint, quota_samples bigint, created_at double precision NOT NULL,
  expires_at double precision, revoked_at double precision, last_used_at double precision
) ${ROOMY};

CREATE TABLE secrets (name ${TEXT} PRIMARY KEY, value bytea NOT NULL);
`;

/** What is done now and then, by one of the collectors. */
const INSTANCE_2 = `
CREATE TABLE chores (name ${TEXT} PRIMARY KEY, done_at timestamptz NOT NULL);
`;

/** Of the schema `waddle`, which all spaces share. */
export const INSTANCE_MIGRATIONS: readonly string[] = [INSTANCE_1, INSTANCE_2];
