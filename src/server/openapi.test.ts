import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { rounds } from '../../test/support/rounds.ts';
import { type Fixture, isLocal, startFixture } from './fixture.ts';

interface Operation {
  parameters?: { name: string; in: string; schema: { type?: string } }[];
  requestBody?: { content: Record<string, { schema: { properties?: Record<string, unknown> } }> };
  responses: Record<string, unknown>;
}
interface Document {
  openapi: string;
  paths: Record<string, Record<string, Operation>>;
}

const A = 'aaaaaaaaaaaa';
const HOST = { host: 'localhost:8080' };

let server: Fixture;
let document: Document;

beforeAll(async () => {
  server = await startFixture();
  const a = server.job(A);
  a.append(
    { k: 'm', t: 1, s: 0, v: { loss: 1 } },
    { k: 'param', t: 1, key: 'lr', value: 1 },
    { k: 'c', t: 1, o: 1, n: 0, x: 'hello' },
    { k: 'artifact', t: 1, name: 'w.json', type: 'file', sha256: 'e'.repeat(64), size: 2, inline: 'e30=' },
  );
  await server.ingest();
  document = (await server.http.inject({ url: '/api/openapi.json', headers: HOST })).json();
});

afterAll(async () => {
  await server.remove();
});

const ROUTES = [
  'GET /api/compare',
  'GET /api/health',
  'GET /api/keys',
  'GET /api/openapi.json',
  'GET /api/projects',
  'GET /api/runs',
  'POST /api/runs/bulk',
  'DELETE /api/runs/{id}',
  'GET /api/runs/{id}',
  'PATCH /api/runs/{id}',
  'GET /api/runs/{id}/artifacts',
  'GET /api/runs/{id}/artifacts/{name}',
  'GET /api/runs/{id}/console',
  'GET /api/runs/{id}/diff',
  'GET /api/runs/{id}/files',
  'GET /api/runs/{id}/metrics',
  'POST /api/runs/{id}/restore',
  'POST /api/runs/{id}/stop',
  'POST /api/series',
];

function operations(): { method: string; path: string; operation: Operation }[] {
  return Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ method: method.toUpperCase(), path, operation })),
  );
}

describe('the OpenAPI document', () => {
  it('is 3.1 and has every route with its errors', () => {
    expect(document.openapi).toBe('3.1.0');
    expect(
      operations()
        .map(({ method, path }) => `${method} ${path}`)
        .sort((x, y) => (x.split(' ')[1] ?? '').localeCompare(y.split(' ')[1] ?? '') || x.localeCompare(y)),
    ).toEqual(
      [...ROUTES].sort(
        (x, y) => (x.split(' ')[1] ?? '').localeCompare(y.split(' ')[1] ?? '') || x.localeCompare(y),
      ),
    );
    for (const { operation } of operations()) expect(Object.keys(operation.responses)).toContain('4XX');
  });

  it('holds against any request: never a 500, and every refusal in one shape', async () => {
    const words = [
      A,
      'loss',
      'lr',
      'w.json',
      'e'.repeat(64),
      '0',
      '-1',
      '1e9',
      'true',
      'head',
      '',
      '`',
      "params.lr > '",
      'stdout',
      '..',
      '%00',
      '\u0000',
      '☃',
      '__proto__',
    ];
    const value = fc.oneof(fc.constantFrom(...words), fc.string(), fc.integer().map(String));
    const json: fc.Arbitrary<unknown> = fc.oneof(
      fc.jsonValue(),
      fc.constantFrom(
        A,
        [A],
        ['loss'],
        100,
        'step',
        { tags: { a: null } },
        'patch',
        'remove',
        'restore',
        true,
      ),
    );
    const request = fc.constantFrom(...operations()).chain(({ method, path, operation }) => {
      const parameters = operation.parameters ?? [];
      const body = Object.values(operation.requestBody?.content ?? {})[0]?.schema.properties;
      return fc.record({
        method: fc.constant(method),
        path: fc.constant(path),
        values: fc.tuple(
          ...parameters.map(({ name, in: where }) =>
            fc.record({
              name: fc.constant(name),
              where: fc.constant(where),
              value:
                where === 'path'
                  ? fc.oneof(fc.constant(name === 'id' ? A : 'w.json'), value)
                  : fc.option(value),
            }),
          ),
        ),
        body:
          body === undefined
            ? fc.constant(undefined)
            : fc.oneof(fc.dictionary(fc.constantFrom(...Object.keys(body)), json), fc.jsonValue()),
        extra: fc.dictionary(fc.string(), fc.string(), { maxKeys: 2 }),
      });
    });
    const allowed = new Set([200, 304, 400, 404, 409, 413, 415, 416, 429]);
    await fc.assert(
      fc.asyncProperty(request, async ({ method, path, values, body, extra }) => {
        let url = path;
        const query = new URLSearchParams(extra);
        query.delete('token');
        for (const { name, where, value: given } of values) {
          if (where === 'path')
            url = url.replace(`{${name}}`, encodeURIComponent((given ?? '').toWellFormed()));
          else if (given !== null) query.append(name, given);
        }
        const answer = await server.http.inject({
          method: method as 'GET',
          url: `${url}?${query}`,
          headers: { ...HOST, ...(body === undefined ? {} : { 'content-type': 'application/json' }) },
          ...(body === undefined ? {} : { payload: JSON.stringify(body) }),
        });
        expect(allowed).toContain(answer.statusCode);
        if (answer.statusCode >= 400 && answer.statusCode !== 416) {
          expect(answer.json()).toEqual({
            error: {
              code: expect.stringMatching(/^[a-z-]+$/),
              message: expect.any(String),
              hint: expect.any(String),
            },
          });
        }
        expect(server.bugs).toEqual([]);
      }),
      { numRuns: rounds(isLocal() ? 300 : 100) },
    );
  });
});
