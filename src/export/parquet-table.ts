import { ByteWriter, type ColumnSource, ParquetWriter, schemaFromColumnData } from 'hyparquet-writer';
import type { Cell, CellType, Sink, Table } from './table.ts';
import { cellText } from './text-tables.ts';

/** Cells of a row group: what is held in memory at once, some 25 MB. */
const GROUP_CELLS = 300_000;

/** Gathers the bytes of one row group at a time and hands them on, so that a file's size is no matter. */
class SinkWriter extends ByteWriter {
  readonly #sink: Sink;

  constructor(sink: Sink) {
    super(1024 * 1024);
    this.#sink = sink;
  }

  /** The library waits for it after each row group. */
  async flush(): Promise<void> {
    if (this.index === 0) return;
    const bytes = new Uint8Array(this.buffer.slice(0, this.index));
    this.index = 0;
    await this.#sink.write(bytes);
  }

  override finish(): Promise<void> {
    return this.flush();
  }
}

const TYPES: Record<CellType, NonNullable<ColumnSource['type']>> = {
  text: 'STRING',
  integer: 'INT64',
  number: 'DOUBLE',
  boolean: 'BOOLEAN',
  // Not the type JSON: readers would turn long integers into doubles.
  json: 'STRING',
};

function parquetCell(type: CellType, value: Cell): unknown {
  if (value === null || value === undefined) return undefined;
  if (type === 'integer') return BigInt(value as number | bigint);
  return type === 'json' ? cellText(value) : value;
}

/** Parquet, Snappy-compressed, a row group at a time. JSON cells are text. Returns the rows. */
export async function writeParquet(table: Table, sink: Sink): Promise<number> {
  const writer = new SinkWriter(sink);
  const { columns } = table;
  const sources = columns.map(
    ({ name, type, required }): ColumnSource => ({
      name,
      type: TYPES[type],
      nullable: required !== true,
      data: [],
    }),
  );
  const parquet = new ParquetWriter({
    writer,
    schema: schemaFromColumnData({ columnData: sources }),
    createdBy: 'waddle',
  });
  const size = Math.max(1000, Math.min(100_000, Math.floor(GROUP_CELLS / Math.max(1, columns.length))));
  let group: unknown[][] = columns.map(() => []);
  let rows = 0;
  const writeGroup = async (): Promise<void> => {
    const columnData = sources.map((source, index) => ({ ...source, data: group[index] ?? [] }));
    group = columns.map(() => []);
    await parquet.write({ columnData, rowGroupSize: size });
  };
  for (const row of table.rows) {
    for (const [index, column] of columns.entries()) group[index]?.push(parquetCell(column.type, row[index]));
    rows++;
    if (rows % size === 0) await writeGroup();
  }
  if (rows === 0 || rows % size > 0) await writeGroup();
  await parquet.finish();
  return rows;
}
