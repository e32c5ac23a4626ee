import { WaddleError } from '../errors/waddle-error.ts';

/** A piece of the filter's text: UTF-16 offsets, `end` excluded. */
export interface Span {
  start: number;
  end: number;
}

/** Columns of the line that are shown around the mark; a longer line is cut on both sides. */
const WINDOW = 100;

/**
 * The error of a filter that is not understood: one line of what was expected, then the line with a mark under the bad
 * token. Control characters are shown as `�`, so that a filter from a link cannot drive the terminal.
 */
export function filterError(text: string, span: Span, problem: string, hint: string): WaddleError {
  return new WaddleError(
    'filter-invalid',
    `the filter is not understood: ${problem}\n${mark(text, span)}`,
    hint,
    {
      exitCode: 2,
    },
  );
}

function printable(text: string): string {
  return text.replaceAll('\t', ' ').replace(/[\p{Cc}\p{Zl}\p{Zp}\p{Bidi_C}]/gu, '�');
}

function mark(text: string, span: Span): string {
  const lineStart = text.lastIndexOf('\n', span.start - 1) + 1;
  const newline = text.indexOf('\n', span.start);
  const lineEnd = newline < 0 ? text.length : newline;
  const end = Math.min(Math.max(span.end, span.start + 1), Math.max(lineEnd, span.start + 1));
  const from = Math.max(lineStart, span.start - WINDOW);
  const to = Math.min(lineEnd, Math.max(span.start + WINDOW, from + WINDOW));
  const before = (from > lineStart ? '…' : '') + printable(text.slice(from, span.start));
  const token = printable(text.slice(span.start, Math.min(end, to)));
  const after = printable(text.slice(Math.min(end, to), to)) + (to < lineEnd ? '…' : '');
  const carets = '^'.repeat(Math.max(1, columnsOf(token)));
  return `  ${before}${token}${after}\n  ${' '.repeat(columnsOf(before))}${carets}`;
}

const WIDE =
  /[\p{sc=Han}\p{sc=Hiragana}\p{sc=Katakana}\p{sc=Hangul}\p{Emoji_Presentation}\u3000-\u303f\uff01-\uff60]/u;

/** Terminal columns of a text: two for East Asian letters and emoji. Near enough to place a mark. */
function columnsOf(text: string): number {
  if (/^[\x20-\x7e]*$/.test(text)) return text.length;
  let columns = 0;
  for (const { segment } of new Intl.Segmenter().segment(text)) columns += WIDE.test(segment) ? 2 : 1;
  return columns;
}
