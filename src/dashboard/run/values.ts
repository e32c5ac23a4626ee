/** Params, environments and other JSON as people read them. */

/** `JSON.parse`, but integers that a double cannot hold keep all their digits, as bigints. */
export function parseExact(text: string): unknown {
  if (!/\d{16}/.test(text)) return JSON.parse(text);
  // The third argument has the digits as they stand; engines without it lose them, as they always did.
  const revive = (_key: string, value: unknown, context?: { source?: string }): unknown =>
    typeof value === 'number' && !Number.isSafeInteger(value) && /^-?\d+$/.test(context?.source ?? '')
      ? BigInt(context?.source ?? '0')
      : value;
  return JSON.parse(text, revive as (this: unknown, key: string, value: unknown) => unknown);
}

/** A value on one line. Texts stand as they are, but for the empty one. */
export function formatValue(value: unknown): string {
  if (value === undefined) return '–';
  if (value === null) return 'null';
  if (typeof value === 'string') return value === '' ? '""' : value;
  if (typeof value === 'bigint') return String(value);
  if (typeof value === 'number') return formatParamNumber(value);
  return stringify(value);
}

/** JSON on one line, with spaces, and bigints with all their digits. */
export function stringify(value: unknown): string {
  if (typeof value === 'bigint') return String(value);
  if (Array.isArray(value)) return `[${value.map(stringify).join(', ')}]`;
  if (isObject(value)) {
    const parts = Object.entries(value).map(([key, child]) => `${JSON.stringify(key)}: ${stringify(child)}`);
    return `{${parts.join(', ')}}`;
  }
  return JSON.stringify(value) ?? 'null';
}

/** What was given is shown in full: 3e-4, not 0.0003. */
function formatParamNumber(value: number): string {
  const size = Math.abs(value);
  if (size !== 0 && (size < 1e-3 || size >= 1e15)) {
    const exact = value.toExponential();
    return exact.length < String(value).length + 3 ? exact : String(value);
  }
  return String(value);
}

export const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** A row of a nested table. */
export interface TreeRow {
  /** From the top, dotted. */
  path: string;
  name: string;
  depth: number;
  /** Undefined: it has children. */
  value?: unknown;
  count?: number;
}

const MAX_DEPTH = 20;

/** Objects as groups of rows; arrays and the like are values. Groups come after single values, in the order they were logged. */
export function treeRows(
  values: Record<string, unknown>,
  folded: ReadonlySet<string>,
  find: string,
): TreeRow[] {
  const needle = find.toLowerCase();
  const rows: TreeRow[] = [];
  const walk = (level: Record<string, unknown>, prefix: string, depth: number, whole: boolean): void => {
    const entries = Object.entries(level);
    const group = (value: unknown) => depth < MAX_DEPTH && isObject(value) && Object.keys(value).length > 0;
    for (const [name, value] of [
      ...entries.filter(([, v]) => !group(v)),
      ...entries.filter(([, v]) => group(v)),
    ]) {
      const path = prefix === '' ? name : `${prefix}.${name}`;
      const hit = whole || needle === '' || path.toLowerCase().includes(needle);
      if (group(value) && isObject(value)) {
        const at = rows.length;
        if (!folded.has(path) || needle !== '') walk(value, path, depth + 1, hit);
        if (rows.length > at || hit) {
          rows.splice(at, 0, { path, name, depth, count: Object.keys(value).length });
        }
      } else if (hit || formatValue(value).toLowerCase().includes(needle)) {
        rows.push({ path, name, depth, value });
      }
    }
  };
  walk(values, '', 0, false);
  return rows;
}
