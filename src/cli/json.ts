import type { Context } from './context.ts';

interface RawJson {
  rawJSON?: (text: string) => unknown;
}

/** JSON for `--json`: indented, with integers beyond 2^53 in all their digits. */
function toJson(value: unknown): string {
  const raw = (JSON as unknown as RawJson).rawJSON;
  const text = JSON.stringify(
    value,
    (_key, item: unknown) => (typeof item === 'bigint' ? (raw ? raw(item.toString()) : Number(item)) : item),
    2,
  );
  return `${text}\n`;
}

export function printJson(context: Context, value: unknown): void {
  context.out(toJson(value));
}
