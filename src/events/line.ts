import type { Event, EventKind } from './schema.ts';

/** The format that writers write. Raised only when a reader of the old format would misread the new one. */
export const JOURNAL_FORMAT = 1;

/** Longest line that is read, in bytes; a longer one is broken. */
export const MAX_LINE_BYTES = 64 * 1024 * 1024;

/** Longest line that a client writes, with its newline, in bytes: what one request of sync carries (docs/remote.md). */
export const MAX_WRITTEN_BYTES = 8 * 1024 * 1024;

/** Lists and objects within each other at most: what a stranger nests deeper costs a hundred times its bytes to read. */
const MAX_DEPTH = 500;
/** A shorter text cannot be nested deep enough to matter. */
const SHALLOW_BYTES = 8192;

/** Whether a JSON text nests deeper than anybody means. Looks at long texts only, and at each character once. */
export function isTooDeep(text: string): boolean {
  if (text.length <= SHALLOW_BYTES) return false;
  let depth = 0;
  for (let at = 0; at < text.length; at += 1) {
    switch (text.charCodeAt(at)) {
      case 0x5b:
      case 0x7b:
        depth += 1;
        if (depth > MAX_DEPTH) return true;
        break;
      case 0x5d:
      case 0x7d:
        depth -= 1;
        break;
      case 0x22:
        at = endOfString(text, at + 1);
    }
  }
  return false;
}

function endOfString(text: string, from: number): number {
  for (let at = from; ; at += 1) {
    const end = text.indexOf('"', at);
    if (end === -1) return text.length;
    let slashes = 0;
    while (text.charCodeAt(end - 1 - slashes) === 0x5c) slashes += 1;
    if (slashes % 2 === 0) return end;
    at = end;
  }
}

/** What a line turned out to be. `unknown` comes from a later Waddle and is skipped in silence. */
export type ParsedLine =
  | { type: 'event'; event: Event }
  | { type: 'unknown'; kind: string }
  | { type: 'broken'; reason: string };

/** One event as the text of one line, with its newline. Numbers that JSON lacks must already be strings. */
export function encodeEvent(event: Event): string {
  return `${JSON.stringify(event)}\n`;
}

/** A metric value as JSON holds it. */
export function encodeNumber(value: number): number | 'NaN' | 'Infinity' | '-Infinity' {
  if (Number.isFinite(value)) return value;
  if (Number.isNaN(value)) return 'NaN';
  return value > 0 ? 'Infinity' : '-Infinity';
}

/** The number behind a metric's JSON value; undefined where it is neither a number nor the name of one. */
export function decodeNumber(value: unknown): number | undefined {
  if (typeof value === 'number') return value;
  if (value === 'NaN') return Number.NaN;
  if (value === 'Infinity') return Number.POSITIVE_INFINITY;
  if (value === '-Infinity') return Number.NEGATIVE_INFINITY;
  return undefined;
}

/** Epoch seconds with three decimals, as events carry them. */
export function eventTime(milliseconds: number = Date.now()): number {
  return Math.round(milliseconds) / 1000;
}

interface JsonReviverContext {
  source?: string;
}

/**
 * Parses JSON so that integers beyond 2^53 keep their digits: they come back as bigint.
 * Only such numbers cost more than a plain JSON.parse.
 */
export function parseExactJson(text: string): unknown {
  if (!/\d{16}/.test(text)) return JSON.parse(text);
  return JSON.parse(text, (_key, value: unknown, context?: JsonReviverContext) => {
    if (typeof value !== 'number' || Number.isSafeInteger(value)) return value;
    const source = context?.source;
    return source !== undefined && /^-?\d+$/.test(source) ? BigInt(source) : value;
  });
}

interface RawJson {
  rawJSON?: (text: string) => unknown;
}

/** JSON text in which bigints stand as integers with all their digits. */
export function stringifyExactJson(value: unknown): string {
  const raw = (JSON as unknown as RawJson).rawJSON;
  return JSON.stringify(value, (_key, item: unknown) =>
    typeof item === 'bigint' ? (raw ? raw(item.toString()) : Number(item)) : item,
  );
}

/**
 * Reads one line (without its newline). Never throws.
 *
 * The check is by hand and only of what readers depend on: a line of a later version may carry more, and ten million
 * metric lines must not pay for a schema validator. The schemas remain the definition; a test holds the two together.
 */
export function parseLine(text: string): ParsedLine {
  if (isTooDeep(text)) return { type: 'broken', reason: `nested more than ${MAX_DEPTH} deep` };
  let value: unknown;
  try {
    value = text.startsWith('{"k":"m"') ? JSON.parse(text) : parseExactJson(text);
  } catch (error) {
    return { type: 'broken', reason: error instanceof Error ? error.message : String(error) };
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    return { type: 'broken', reason: 'not a JSON object' };
  }
  const fields = value as Record<string, unknown>;
  const kind = fields.k;
  if (typeof kind !== 'string') return { type: 'broken', reason: 'no kind ("k")' };
  if (typeof fields.t !== 'number' || !Number.isFinite(fields.t)) {
    return { type: 'broken', reason: 'no time ("t")' };
  }
  if (kind === 'm') {
    const step = fields.s;
    const values = fields.v;
    if (typeof step !== 'number' || typeof values !== 'object' || values === null || Array.isArray(values)) {
      return { type: 'broken', reason: 'a metric without step ("s") or values ("v")' };
    }
    return { type: 'event', event: value as Event };
  }
  if (!Object.hasOwn(REQUIRED, kind)) return { type: 'unknown', kind };
  const missing = missingField(kind as EventKind, fields);
  if (missing !== undefined)
    return { type: 'broken', reason: `a "${kind}" event without a usable "${missing}"` };
  return { type: 'event', event: value as Event };
}

type FieldType = 'string' | 'number' | 'object' | 'array' | 'boolean' | 'any';

/** For each kind, the fields that it cannot do without, and their JSON type. */
const REQUIRED: Record<Exclude<EventKind, 'm'>, Record<string, FieldType>> = {
  open: {
    format: 'number',
    writer: 'string',
    role: 'string',
    host: 'string',
    pid: 'number',
    client: 'string',
  },
  close: {},
  start: { id: 'string', attempt: 'string' },
  resume: { attempt: 'string' },
  update: { fields: 'object' },
  end: { attempt: 'string', status: 'string', by: 'string' },
  beat: {},
  job: { attempt: 'string', pid: 'number' },
  snapshot: { snapshot: 'object' },
  drift: { files: 'array' },
  env: { environment: 'object' },
  param: { key: 'string', value: 'any' },
  tag: { key: 'string', value: 'string' },
  artifact: { name: 'string', type: 'string', sha256: 'string', size: 'number' },
  c: { o: 'number', n: 'number', x: 'string' },
  warning: { code: 'string', message: 'string' },
  edit: { clock: 'number', field: 'string', value: 'any' },
  stop: { grace: 'number' },
  remove: { run: 'string', clock: 'number' },
  restore: { run: 'string', clock: 'number' },
  link: { name: 'string', path: 'any', clock: 'number' },
};

function missingField(kind: EventKind, fields: Record<string, unknown>): string | undefined {
  if (kind === 'm') return undefined;
  for (const [name, type] of Object.entries(REQUIRED[kind])) {
    const value = fields[name];
    const fits =
      type === 'any'
        ? value !== undefined
        : type === 'array'
          ? Array.isArray(value)
          : type === 'object'
            ? typeof value === 'object' && value !== null && !Array.isArray(value)
            : typeof value === type;
    if (!fits) return name;
  }
  return undefined;
}
