/**
 * Text that others wrote (names, keys, notes, console lines), made safe to show: whatever could move the cursor, change
 * colours, break a table or turn the reading direction is written out instead of obeyed.
 */
import { stripVTControlCharacters } from 'node:util';

const UNSAFE = /[\p{Cc}\p{Bidi_Control}\p{Cs}\p{Zl}\p{Zp}]/gu;
const NAMED: Record<string, string> = { '\n': '\\n', '\r': '\\r', '\t': '\\t' };

function spell(character: string): string {
  const code = character.codePointAt(0) ?? 0;
  const hex = code.toString(16);
  return NAMED[character] ?? (code < 256 ? `\\x${hex.padStart(2, '0')}` : `\\u{${hex}}`);
}

/** One line: every control character is spelled out (`\n`, `\x1b`, `\u{202e}`). */
export function inert(text: string): string {
  return text.replace(UNSAFE, spell);
}

/** As `inert`, but lines stay lines and tabs stay tabs: for notes and tracebacks. */
export function inertLines(text: string): string {
  return text
    .replaceAll('\r\n', '\n')
    .replace(UNSAFE, (character) =>
      character === '\n' || character === '\t' ? character : spell(character),
    );
}

const ESCAPE = '\u001b';
const COLOUR = new RegExp(`(${ESCAPE}\\[[0-9;:]*m)`);

/**
 * A line that a job printed. Its colours stay where `colors` says so and are ended at its end; every other escape
 * sequence is dropped, and what is left of control characters is spelled out (tabs stay).
 */
export function consoleText(line: string, colors: boolean): string {
  if (!line.includes(ESCAPE)) return inertLines(line);
  if (!colors) return inertLines(stripVTControlCharacters(line));
  const parts = line.split(COLOUR);
  const shown = parts.map((part, index) =>
    index % 2 === 1 ? part : inertLines(stripVTControlCharacters(part)),
  );
  return parts.length > 1 ? `${shown.join('')}${ESCAPE}[0m` : shown.join('');
}
