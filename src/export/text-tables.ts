import { encodeNumber, stringifyExactJson } from '../events/line.ts';
import type { Cell, Sink, Table, TableColumn } from './table.ts';

/** Characters that are gathered before they are written. */
const CHUNK = 256 * 1024;

async function writeLines(lines: Iterable<string>, sink: Sink): Promise<number> {
  let count = 0;
  let waiting = '';
  for (const line of lines) {
    waiting += line;
    count++;
    if (waiting.length < CHUNK) continue;
    await sink.write(waiting);
    waiting = '';
  }
  if (waiting !== '') await sink.write(waiting);
  return count;
}

/**
 * CSV as RFC 4180 has it: a header, CRLF, quotes where a cell has a comma, a quote or a line's end. A cell without a
 * value is empty, an empty text is `""`; NaN and infinities are `NaN`, `Infinity`, `-Infinity`. Returns the rows.
 */
export async function writeCsv(table: Table, sink: Sink): Promise<number> {
  await sink.write(`${table.columns.map((column) => csvText(column.name)).join(',')}\r\n`);
  return writeLines(csvLines(table), sink);
}

function* csvLines(table: Table): Generator<string> {
  const width = table.columns.length;
  for (const row of table.rows) {
    let line = '';
    for (let index = 0; index < width; index++) line += (index === 0 ? '' : ',') + csvCell(row[index]);
    yield `${line}\r\n`;
  }
}

function csvCell(value: Cell): string {
  if (typeof value === 'number') return String(value);
  if (value === null || value === undefined) return '';
  return csvText(cellText(value));
}

function csvText(text: string): string {
  return text === '' || /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

/** A text stands for itself, anything else as JSON. */
export function cellText(value: Cell): string {
  return typeof value === 'string' ? value : stringifyExactJson(value);
}

/** A JSON object a line. Numbers that JSON lacks are the strings "NaN", "Infinity", "-Infinity". Returns the rows. */
export async function writeJsonLines(table: Table, sink: Sink): Promise<number> {
  return writeLines(jsonLines(table), sink);
}

function* jsonLines({ columns, rows }: Table): Generator<string> {
  const names = columns.map((column) => `${JSON.stringify(column.name)}:`);
  for (const row of rows) {
    let line = '';
    for (const [index, column] of columns.entries()) {
      const value = row[index];
      if (value === undefined) continue;
      line += `${line === '' ? '' : ','}${names[index] ?? ''}${jsonCell(column, value)}`;
    }
    yield `{${line}}\n`;
  }
}

function jsonCell(column: TableColumn, value: Cell): string {
  if (typeof value === 'number') {
    return Number.isFinite(value) ? String(value) : JSON.stringify(encodeNumber(value));
  }
  return column.type === 'text' ? JSON.stringify(value) : stringifyExactJson(value);
}
