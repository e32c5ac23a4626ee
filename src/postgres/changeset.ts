/**
 * What a session of SQLite says has changed (its changeset format, https://sqlite.org/sessionintro.html): of each changed
 * row its primary key and what became of it. A row that came and went again is not in it.
 */
export interface RowChange {
  table: string;
  how: 'new' | 'changed' | 'gone';
  /** Places of the columns that changed. */
  columns: number[];
  /** In the order of the table's columns. */
  key: (string | number)[];
}

const OP = { insert: 18, update: 23, delete: 9 } as const;

export function readChangeset(bytes: Uint8Array): RowChange[] {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const changes: RowChange[] = [];
  let at = 0;
  let table = '';
  let inKey: boolean[] = [];

  const varint = (): number => {
    let value = 0;
    for (let index = 0; index < 8; index += 1) {
      const byte = buffer[at++] ?? 0;
      value = value * 128 + (byte & 127);
      if (byte < 128) return value;
    }
    return value * 256 + (buffer[at++] ?? 0);
  };
  /** A record's values of the key, and the places of those that it holds; the values themselves are passed over. */
  const record = (): { key: (string | number)[]; holds: number[] } => {
    const key: (string | number)[] = [];
    const holds: number[] = [];
    for (const [place, isKey] of inKey.entries()) {
      const type = buffer[at++];
      if (type !== 0) holds.push(place);
      let value: string | number = '';
      if (type === 1) {
        value = Number(buffer.readBigInt64BE(at));
        at += 8;
      } else if (type === 2) {
        value = buffer.readDoubleBE(at);
        at += 8;
      } else if (type === 3 || type === 4) {
        const length = varint();
        if (isKey) value = buffer.toString('utf8', at, at + length);
        at += length;
      }
      if (isKey) key.push(value);
    }
    return { key, holds };
  };

  while (at < buffer.length) {
    const op = buffer[at++];
    if (op === 0x54) {
      const columns = varint();
      inKey = [...buffer.subarray(at, at + columns)].map((flag) => flag !== 0);
      at += columns;
      const end = buffer.indexOf(0, at);
      table = buffer.toString('utf8', at, end);
      at = end + 1;
      continue;
    }
    at += 1; // whether a trigger did it
    if (op !== OP.insert && op !== OP.update && op !== OP.delete) throw new Error(`no changeset: ${op}`);
    const { key } = record();
    const columns = op === OP.update ? record().holds : [];
    changes.push({
      table,
      how: op === OP.delete ? 'gone' : op === OP.insert ? 'new' : 'changed',
      key,
      columns,
    });
  }
  return changes;
}
