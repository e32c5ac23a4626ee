/** What a sample, a piece of a journal and a chart cost, out of two measured loads that differ in the size of their pieces. */

/** What `bench/team.ts --json` measured. */
export interface TeamFigures {
  samples: number;
  pieces: number;
  plain_bytes: number;
  wire_bytes: number;
  /** Of PostgreSQL's write-ahead log. */
  log_bytes: number;
  stored_bytes: number;
  /** From the first piece to the last row. */
  seconds: number;
  /** Seconds of processor; of the collector with all its threads and children. */
  collector_s: number;
  /** Of its busiest thread but the first: next to nothing where the first one takes in too. */
  collector_second_thread_s: number;
  postgres_s: number;
  charts: number;
  chart_collector_s: number;
  chart_postgres_s: number;
  chart_p99_ms: number;
}

export interface Measured {
  /** Of the machine, for people. */
  machine: string;
  /** Pieces of a MiB, as jobs at full speed push them. */
  large: TeamFigures;
  /** Pieces of a few KiB, as a live push sends them. */
  small: TeamFigures;
  /** Milliseconds that 8 KiB appended to a file take to be on the disk, median. */
  sync_ms: number;
}

/** Microseconds of processor, and bytes. */
export interface Costs {
  /** The thread that answers. */
  front: { sample: number; piece: number; chart: number };
  /** The thread that takes in, where there is one; else all zero, and the front has it. */
  intake: { sample: number; piece: number };
  postgres: { sample: number; piece: number; chart: number };
  plain: number;
  wire: number;
  stored: number;
  log: { sample: number; piece: number };
  syncMs: number;
}

/** A second thread that had less of the work than this is only a helper of the runtime. */
const THREAD_SHARE = 0.2;

export function costsOf({ large, small, sync_ms }: Measured): Costs {
  const both = (read: (figures: TeamFigures) => number) => split(large, small, read);
  const collector = both(({ collector_s }) => collector_s * 1e6);
  const postgres = both(({ postgres_s }) => postgres_s * 1e6);
  const log = both(({ log_bytes }) => log_bytes);
  const share = large.collector_second_thread_s / large.collector_s;
  const intake = share < THREAD_SHARE ? 0 : share;
  return {
    front: {
      sample: collector.sample * (1 - intake),
      piece: collector.piece * (1 - intake),
      chart: (large.chart_collector_s / large.charts) * 1e6,
    },
    intake: { sample: collector.sample * intake, piece: collector.piece * intake },
    postgres: { ...postgres, chart: (large.chart_postgres_s / large.charts) * 1e6 },
    plain: large.plain_bytes / large.samples,
    wire: large.wire_bytes / large.samples,
    stored: large.stored_bytes / large.samples,
    log,
    syncMs: sync_ms,
  };
}

/** `samples · a + pieces · b` has to give what both loads have cost. */
function split(
  large: TeamFigures,
  small: TeamFigures,
  read: (figures: TeamFigures) => number,
): { sample: number; piece: number } {
  const determinant = large.samples * small.pieces - small.samples * large.pieces;
  const sample = (read(large) * small.pieces - read(small) * large.pieces) / determinant;
  const piece = (large.samples * read(small) - small.samples * read(large)) / determinant;
  // Noise must not make anything free: then all of it is the samples'.
  if (!(sample > 0 && piece > 0)) return { sample: read(large) / large.samples, piece: 0 };
  return { sample, piece };
}
