import type { FastifyInstance } from 'fastify';
import { WaddleError } from '../../errors/waddle-error.ts';
import type { SnapshotRecord } from '../../events/schema.ts';
import type { CodeFiles, Diff, DiffQuery } from '../../protocol/api.ts';
import * as page from '../../protocol/page-schemas.ts';
import { RunParams } from '../../protocol/run-schemas.ts';
import { type Question, type Row, row } from '../../store/question.ts';
import { described } from '../openapi.ts';
import type { CodeSide } from '../options.ts';
import { knownRun, snapshotOf } from '../runs.ts';
import type { Shared } from '../shared.ts';

/** Characters of a patch that are given; a page shows no more. */
const MAX_PATCH = 5_000_000;

export function codeRoutes(http: FastifyInstance, { options, engine }: Shared): void {
  http.get<{ Params: { id: string } }>(
    '/api/runs/:id/files',
    {
      schema: described(
        'files',
        'What of the code differed from its commit, and what was left out',
        page.CodeFiles,
        {
          params: RunParams,
        },
      ),
    },
    async (request): Promise<CodeFiles> => {
      const { row, snapshot } = await engine.answer(codeOf(request.params.id));
      return {
        commit: typeof row?.commit_sha === 'string' ? row.commit_sha : null,
        base: snapshot?.base ?? null,
        tree: snapshot?.tree ?? null,
        branch: snapshot?.branch ?? null,
        state: snapshot?.state ?? null,
        dirty: snapshot?.dirty ?? null,
        incomplete: snapshot?.incomplete ?? false,
        changed: snapshot?.changed ?? [],
        changed_count: snapshot?.changed_count ?? 0,
        left_out: (snapshot?.left_out ?? []).map(({ path, size, reason }) => ({ path, size, reason })),
        nested: (snapshot?.nested ?? []).map(({ path, tree }) => ({ path, tree })),
        drift: typeof row?.drift === 'string' ? (JSON.parse(row.drift) as CodeFiles['drift']) : [],
      };
    },
  );

  http.get<{ Params: { id: string }; Querystring: DiffQuery }>(
    '/api/runs/:id/diff',
    {
      // Each starts a git.
      config: { rateLimit: { max: 120, timeWindow: 10_000 } },
      schema: described('files', 'The code as a patch, against its commit or another run', page.Diff, {
        params: RunParams,
        querystring: page.DiffQuery,
      }),
    },
    async (request): Promise<Diff> => {
      const sideOf = async (id: string, at: CodeSide['at']): Promise<CodeSide> => {
        const { snapshot } = await engine.answer(codeOf(id));
        if (snapshot !== null) return { run: id, snapshot, at };
        throw new WaddleError(
          'code-missing',
          `no code was recorded for ${id}`,
          'Run it without --no-auto-commit.',
        );
      };
      const { id } = request.params;
      const { against = 'head' } = request.query;
      const to = await sideOf(id, 'tree');
      const from = await (against === 'head' ? sideOf(id, 'base') : sideOf(against, 'tree'));
      const idOf = ({ snapshot, at }: CodeSide) => snapshot[at] ?? null;
      const patch = await options.diff(from, to);
      return {
        from: idOf(from),
        to: idOf(to),
        patch: patch.slice(0, MAX_PATCH),
        truncated: patch.length > MAX_PATCH,
      };
    },
  );
}

function* codeOf(id: string): Question<{ snapshot: SnapshotRecord | null; row: Row | undefined }> {
  const run = yield* knownRun(id);
  const found = yield* row('SELECT r.commit_sha, r.drift FROM runs r WHERE r.num = ?', run.num);
  return { snapshot: yield* snapshotOf(run.num), row: found };
}
