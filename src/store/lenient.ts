/**
 * Reading optional fields of events that anybody may have written: what has not the expected type counts as missing, so
 * that one odd field costs neither its event nor its journal.
 */

export function textOr(value: unknown): string | null {
  return typeof value === 'string' ? value : null;
}

export function numberOr(value: unknown): number | null {
  return typeof value === 'number' && Number.isFinite(value) ? value : null;
}

export function integerOr(value: unknown): number | null {
  return Number.isSafeInteger(value) ? (value as number) : null;
}

export function arrayOr(value: unknown): unknown[] {
  return Array.isArray(value) ? value : [];
}

/** The fields of an object; none where it is something else. */
export function fieldsOf(value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
    ? (value as Record<string, unknown>)
    : {};
}

/** JSON text of what is there, else null. */
export function jsonOr(value: unknown): string | null {
  return value === undefined || value === null ? null : JSON.stringify(value);
}
