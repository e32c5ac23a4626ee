import { WaddleError } from '../errors/waddle-error.ts';
import { type Field, readField } from './fields.ts';
import { filterError } from './filter-error.ts';
import { readTokens, type Token } from './filter-tokens.ts';

/** One thing to sort by, and whether the greatest comes first. */
export interface Sort {
  field: Field;
  descending: boolean;
}

/**
 * Reads `KEY[:desc]` (or `:asc`), where KEY is a field as in filters: `metrics.loss.min`, `started_at:desc`. A key that
 * itself ends in `:desc` stands in backticks. Throws `sort-invalid`.
 */
export function parseSort(text: string): Sort {
  const match = /^(.*?)(?::(asc|desc))?$/is.exec(text.trim());
  return {
    field: parseField(match?.[1] ?? '', 'sort-invalid', 'sorting'),
    descending: match?.[2]?.toLowerCase() === 'desc',
  };
}

/**
 * Reads `a,b,c`, each a field as in filters: `params.lr, metrics.loss.min, tags.model, status`. A comma inside
 * backticks is part of the key. Throws `columns-invalid`.
 */
export function parseColumns(text: string): Field[] {
  const pieces = text.match(/(?:`[^`]*`|`[^`]*$|[^,`])+/g) ?? [];
  return pieces
    .filter((piece) => piece.trim() !== '')
    .map((piece) => parseField(piece, 'columns-invalid', 'column'));
}

function parseField(text: string, code: string, what: string): Field {
  let tokens: Token[];
  try {
    tokens = readTokens(text.trim());
  } catch (error) {
    if (!(error instanceof WaddleError)) throw error;
    throw invalid(code, what, text, 'it cannot be read', error.hint);
  }
  const [token, end] = tokens;
  if (token?.type !== 'path' || end?.type !== 'end') {
    throw invalid(
      code,
      what,
      text,
      'it is no field',
      `write for example: params.lr, metrics.loss.min or started_at`,
    );
  }
  const result = readField(token.parts);
  if (!('field' in result)) throw invalid(code, what, text, result.problem, result.hint);
  return result.field;
}

function invalid(code: string, what: string, text: string, problem: string, hint: string): WaddleError {
  // The excerpt of a filter's error is made safe for a terminal; so is this one.
  const shown = filterError(text, { start: 0, end: 1 }, '', '').message.split('\n')[1]?.trim() ?? '';
  return new WaddleError(code, `the ${what} "${shown}" is not understood: ${problem}`, hint, { exitCode: 2 });
}

/** Columns as typed text, or already read. */
export function readColumns(columns: string | readonly (string | Field)[] | undefined): Field[] {
  if (columns === undefined) return [];
  if (typeof columns === 'string') return parseColumns(columns);
  return columns.flatMap((column) => (typeof column === 'string' ? parseColumns(column) : [column]));
}
