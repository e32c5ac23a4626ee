/** Requests against their schemas, without a compiler: a server that starts quickly checks little, and seldom. */
import type { TSchema } from 'typebox';
import { Check, Errors } from 'typebox/value';
import { WaddleError } from '../errors/waddle-error.ts';

type Part = 'body' | 'querystring' | 'params' | 'headers';

interface ObjectSchema {
  properties?: Record<string, { type?: string; default?: unknown }>;
}

/** Fastify's validator for one part of one route: checks, and for query strings turns texts into what the schema says. */
export function validatorOf(
  schema: unknown,
  part: string,
): (data: unknown) => { value: unknown } | { error: Error } {
  const checked = schema as TSchema;
  return (data) => {
    const value = part === 'body' ? (data ?? {}) : coerced(checked as ObjectSchema, data);
    const problem = problemIn(checked, value);
    return problem === undefined ? { value } : { error: invalid(part as Part, problem) };
  };
}

/** What is wrong with a value, in words; undefined where nothing is. */
export function problemIn(schema: TSchema, value: unknown): string | undefined {
  if (Check(schema, value)) return undefined;
  const [first] = Errors(schema, value);
  const place = first?.instancePath.replace(/^\//, '').replaceAll('/', '.') ?? '';
  return `${place === '' ? 'it' : place} ${first?.message ?? 'is not as it should be'}`;
}

function invalid(part: Part, problem: string): WaddleError {
  const code = part === 'body' ? 'body-invalid' : 'query-invalid';
  const what = part === 'body' ? 'the body' : 'the address';
  return new WaddleError(code, `${what} is not understood: ${problem}`, 'See /api/openapi.json.', {
    exitCode: 2,
  });
}

/** Texts of a query string as numbers and booleans, where the schema wants those; defaults filled in. */
function coerced(schema: ObjectSchema, data: unknown): Record<string, unknown> {
  const given = (data ?? {}) as Record<string, unknown>;
  const result: Record<string, unknown> = {};
  for (const [name, property] of Object.entries(schema.properties ?? {})) {
    const value = Object.hasOwn(given, name) ? given[name] : undefined;
    if (value === undefined) {
      if (property.default !== undefined) result[name] = property.default;
      continue;
    }
    result[name] = typeof value === 'string' ? coerce(value, property.type) : value;
  }
  return result;
}

function coerce(text: string, type: string | undefined): unknown {
  if (type === 'integer' || type === 'number') {
    return /^-?\d+(\.\d+)?(e[+-]?\d+)?$/i.test(text) ? Number(text) : text;
  }
  if (type === 'boolean') {
    if (text === 'true' || text === '1' || text === '') return true;
    if (text === 'false' || text === '0') return false;
  }
  return text;
}
