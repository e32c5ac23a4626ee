import { createHash } from 'node:crypto';
import type { ParsedLine } from '../events/line.ts';

/** PostgreSQL's indexes take keys of up to 2,700 bytes, and some are of several columns. */
const LONGEST_KEY = 900;

type EventLine = Extract<ParsedLine, { type: 'event' }>;

/**
 * What PostgreSQL cannot hold is made holdable before it has any meaning, the same each time: NUL in a text becomes U+FFFD,
 * and a name past LONGEST_KEY bytes its beginning and a hash of all of it. The journal keeps what was written.
 * @param text the line as it was read
 */
export function cleanEvent(text: string, line: EventLine): EventLine {
  const nul = text.includes('\\u0000');
  // UTF-16 units: a text of fewer has no name of so many bytes, since a unit is three bytes at most.
  if (!nul && text.length < LONGEST_KEY / 3) return line;
  if (!nul && !mayBeLong(text)) return line;
  return { ...line, event: cleaned(line.event, 0) as EventLine['event'] };
}

/** Names are short in almost every line, however long that is: is there any quoted text that is not? */
function mayBeLong(text: string): boolean {
  for (let from = 0; ; ) {
    const quote = text.indexOf('"', from);
    if (quote === -1) return false;
    const next = text.indexOf('"', quote + 1);
    if (next === -1) return false;
    if (next - quote > LONGEST_KEY / 3) return true;
    from = quote + 1;
  }
}

/** Fields whose text is (a part of) a key: of the event itself, and of what it holds. */
const KEY_FIELDS: readonly ReadonlySet<string>[] = [
  new Set(['key', 'name', 'attempt', 'a', 'writer', 'field']),
  new Set(['commit', 'base']),
];

function cleaned(value: unknown, depth: number): unknown {
  if (typeof value === 'string') return value.replaceAll('\0', '\ufffd');
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return value.map((item) => cleaned(item, depth + 1));
  const result: Record<string, unknown> = {};
  for (const [name, item] of Object.entries(value)) {
    const clean = cleaned(item, depth + 1);
    const isKey = KEY_FIELDS[depth]?.has(name) === true && typeof clean === 'string';
    result[shortKey(name.replaceAll('\0', '\ufffd'))] = isKey ? shortKey(clean) : clean;
  }
  return result;
}

/** A key that an index can hold; a short one is itself. */
export function shortKey(key: string): string {
  if (key.length < LONGEST_KEY / 3) return key;
  const bytes = Buffer.from(key);
  if (bytes.length <= LONGEST_KEY) return key;
  const hash = createHash('sha256').update(bytes).digest('hex').slice(0, 16);
  // Not in the midst of a character.
  return `${new TextDecoder().decode(bytes.subarray(0, LONGEST_KEY - 20), { stream: true })}…${hash}`;
}
