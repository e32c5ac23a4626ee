/** `json` cells are any JSON, bigints included; as text a string stands for itself and the rest as JSON. */
export type CellType = 'text' | 'integer' | 'number' | 'boolean' | 'json';

export interface TableColumn {
  name: string;
  type: CellType;
  /** Every row has it. */
  required?: boolean;
}

/** null is a value that is none; undefined is one that is not there (JSONL leaves it out). */
export type Cell = unknown;

/** What is written to one file. Its rows are read once, as they are written. */
export interface Table {
  columns: TableColumn[];
  rows: Iterable<readonly Cell[]>;
}

/** Where bytes go. `write` resolves when more may come. */
export interface Sink {
  write(bytes: Uint8Array | string): Promise<void>;
}
