import { join } from 'node:path';
import type { DatabaseSync } from 'node:sqlite';
import type { Writable } from 'node:stream';
import { WaddleError } from '../errors/waddle-error.ts';
import { runsById } from '../query/runs-by-id.ts';
import { answerNow } from '../store/answer-now.ts';
import { isFolder, makeFolder, writeToFile, writeToStream } from './output.ts';
import { writeParquet } from './parquet-table.ts';
import type { Sink, Table } from './table.ts';
import {
  metricsTable,
  paramsTable,
  runsTable,
  type TableSource,
  wideMetricsTable,
  wideParamsTable,
} from './tables.ts';
import { writeCsv, writeJsonLines } from './text-tables.ts';

export const EXPORT_FORMATS = ['csv', 'jsonl', 'parquet'] as const;
export type ExportFormat = (typeof EXPORT_FORMATS)[number];

const KINDS = ['runs', 'params', 'metrics'] as const;
type Kind = (typeof KINDS)[number];
export const EXPORT_KINDS = [...KINDS, 'all'] as const;
export type ExportKind = (typeof EXPORT_KINDS)[number];

export interface ExportOptions {
  db: DatabaseSync;
  /** Ids, in the order in which they are written. */
  runs: readonly string[];
  format: ExportFormat;
  /** `metrics` where nothing is said. */
  what?: ExportKind | undefined;
  /** A column for each key. */
  wide?: boolean | undefined;
  /** Only these metrics. */
  keys?: readonly string[] | undefined;
  /** A stream (it is not ended), a file, or a folder, in which the file is named after what it holds. */
  out: string | Writable;
  /** Called now and then with the rows written so far, over all files. */
  onProgress?: ((rows: number) => void) | undefined;
}

export interface ExportedFile {
  /** Null for a stream. */
  path: string | null;
  what: Kind;
  rows: number;
}

const WRITERS: Record<ExportFormat, (table: Table, sink: Sink) => Promise<number>> = {
  csv: writeCsv,
  jsonl: writeJsonLines,
  parquet: writeParquet,
};

function tableOf(kind: Kind, source: TableSource, wide: boolean): Table {
  if (kind === 'runs') return runsTable(source, wide);
  if (kind === 'params') return wide ? wideParamsTable(source) : paramsTable(source);
  return wide ? wideMetricsTable(source) : metricsTable(source);
}

/**
 * Writes runs for other programs, in constant memory whatever the number of samples; a file is there whole or not at
 * all. `all` makes a folder with a file of each kind. Throws `run-not-found`, `export-needs-folder`,
 * `export-no-folder`, `export-not-allowed`, `export-no-room`; a stream whose reader has gone: EPIPE.
 *
 * @example
 * await exportRuns({ db, runs: ['k3v5q7abcdef'], format: 'parquet', out: 'loss.parquet', keys: ['loss'] });
 */
export async function exportRuns(options: ExportOptions): Promise<ExportedFile[]> {
  const { db, format, out, what = 'metrics', wide = false } = options;
  const source: TableSource = {
    db,
    runs: [...new Set(options.runs)],
    keys: options.keys,
    typed: format === 'parquet',
  };
  // Before anything is written: an unknown run is an error.
  answerNow(source, runsById(source.runs));
  const write = WRITERS[format];
  let before = 0;
  const writeKind = async (kind: Kind, sink: Sink): Promise<number> => {
    const table = tableOf(kind, source, wide);
    const rows = await write({ ...table, rows: counted(table.rows, before, options.onProgress) }, sink);
    before += rows;
    return rows;
  };
  if (typeof out !== 'string') {
    if (what === 'all') throw needsFolder();
    return [{ path: null, what, rows: await writeToStream(out, (sink) => writeKind(what, sink)) }];
  }
  const inFolder = what === 'all' || (await isFolder(out));
  if (what === 'all') await makeFolder(out);
  const files: ExportedFile[] = [];
  for (const kind of what === 'all' ? KINDS : [what]) {
    const path = inFolder ? join(out, `${kind}.${format}`) : out;
    files.push({ path, what: kind, rows: await writeToFile(path, (sink) => writeKind(kind, sink)) });
  }
  return files;
}

function needsFolder(): WaddleError {
  return new WaddleError(
    'export-needs-folder',
    'everything does not fit one stream',
    'name a folder with --out',
    {
      exitCode: 2,
    },
  );
}

/** Rows between two calls of `onProgress`. */
const PROGRESS_ROWS = 20_000;

function* counted<T>(
  rows: Iterable<T>,
  before: number,
  onProgress: ExportOptions['onProgress'],
): Generator<T> {
  let count = before;
  for (const row of rows) {
    yield row;
    if (++count % PROGRESS_ROWS === 0) onProgress?.(count);
  }
}
