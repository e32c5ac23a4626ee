/** Two sides put against each other: runs, or a run and the workspace as it is now, or a run and a commit. */
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { WaddleError } from '../errors/waddle-error.ts';
import { stringifyExactJson } from '../events/line.ts';
import { type CodeSide, diffFiles, diffPatch, type FileDiff } from '../git/diff.ts';
import { findNestedTrees } from '../git/nested-trees.ts';
import { findRepository } from '../git/repository.ts';
import { runGit } from '../git/run-git.ts';
import { takeSnapshot } from '../git/snapshot.ts';
import type { LeftOut } from '../git/snapshot-record.ts';
import { type RunDetail, runDetail } from '../query/run-detail.ts';
import { describeEnvironment } from '../runner/environment.ts';
import { answerNow } from '../store/answer-now.ts';
import { findRun } from '../store/find-run.ts';
import { type Opened, refresh } from './opened-store.ts';
import { lackingFiles, recordedRun } from './recorded-run.ts';
import { environmentPlan, snapshotPolicy } from './run-options.ts';

/** One key whose values differ; a side that lacks it has no value. */
export interface DiffRow {
  key: string;
  a?: unknown;
  b?: unknown;
  /** Of results: b - a, where both are finite numbers. */
  difference?: number;
}

interface DataSummary {
  files: number;
  bytes: number;
  digest: string;
}

/** A path of `snapshot.fingerprint` whose listing differs. */
export interface DataRow {
  key: string;
  a?: DataSummary;
  b?: DataSummary;
  /** The files that differ, as far as the listings go. */
  changed: { path: string; change: 'added' | 'removed' | 'changed' }[];
}

export interface DiffSideInfo {
  kind: 'run' | 'workspace' | 'revision';
  /** What a person calls it. */
  name: string;
  /** Of a run. */
  id: string | null;
  commit: string | null;
  tree: string | null;
  /** What the snapshot of this side lacks, and so is not compared. */
  lacking: LeftOut[];
}

/** What differs. A part that only runs have is null where a side is none. */
export interface RunDiff {
  a: DiffSideInfo;
  b: DiffSideInfo;
  code: {
    /** Null where the code cannot be compared; `problem` then says why. */
    equal: boolean | null;
    files: FileDiff[];
    problem: { message: string; hint: string } | null;
  };
  params: DiffRow[] | null;
  environment: DiffRow[] | null;
  packages: DiffRow[] | null;
  data: DataRow[] | null;
  command: DiffRow[] | null;
  results: DiffRow[] | null;
}

/** One side with what is needed to compare it. */
interface Side {
  info: DiffSideInfo;
  code: CodeSide | WaddleError;
  detail: RunDetail | null;
  environment: Record<string, unknown> | null;
}

/**
 * Compares `first` with `second`, or with the workspace where that is undefined, and hands the result to `work`, with a
 * way to the patch. Objects of the workspace's code are in a temporary folder that is gone afterwards.
 * @throws WaddleError where a side is not there
 */
export async function withDiff<T>(
  opened: Opened,
  first: string,
  second: string | undefined,
  work: (diff: RunDiff, patch: (color: boolean) => Promise<Buffer>) => Promise<T>,
): Promise<T> {
  const temporary = mkdtempSync(join(tmpdir(), 'waddle-diff-'));
  try {
    const named = await namedSides(opened, first, second);
    const a = named.a ?? (await revisionSide(opened, first, named.b));
    const b =
      named.b ??
      (second === undefined
        ? await workspaceSide(opened, a, temporary)
        : await revisionSide(opened, second, named.a));
    const env = opened.context.env;
    const code = await compareCode(a, b, env);
    const diff: RunDiff = {
      a: a.info,
      b: b.info,
      code,
      params: a.detail && b.detail && rows(a.detail.params, b.detail.params),
      environment:
        a.environment && b.environment && rows(plainFacts(a.environment), plainFacts(b.environment)),
      packages: a.environment && b.environment && rows(packagesOf(a.environment), packagesOf(b.environment)),
      data: a.environment && b.environment && dataRows(a.environment, b.environment),
      command: a.detail && b.detail && rows(commandOf(a.detail), commandOf(b.detail)),
      results: a.detail && b.detail && resultRows(a.detail, b.detail),
    };
    return await work(diff, async (color) => {
      if (a.code instanceof WaddleError || b.code instanceof WaddleError) return Buffer.alloc(0);
      return diffPatch(a.code, b.code, { env, files: code.files, color });
    });
  } finally {
    rmSync(temporary, { recursive: true, force: true });
  }
}

/** The sides that are runs. At least one has to be. */
async function namedSides(
  opened: Opened,
  first: string,
  second: string | undefined,
): Promise<{ a: Side | undefined; b: Side | undefined }> {
  const find = (text: string) => {
    try {
      return answerNow(opened.store, findRun(text)).id;
    } catch (error) {
      if (error instanceof WaddleError && error.code === 'run-not-found') return error;
      throw error;
    }
  };
  const [a, b] = [find(first), second === undefined ? undefined : find(second)];
  if (typeof a !== 'string' && typeof b !== 'string') throw a;
  return {
    a: typeof a === 'string' ? await runSide(opened, a) : undefined,
    b: typeof b === 'string' ? await runSide(opened, b) : undefined,
  };
}

async function runSide(opened: Opened, id: string): Promise<Side> {
  await refresh(opened, [id]);
  const detail = answerNow(opened.store, runDetail(id));
  if (detail === undefined) throw new WaddleError('run-not-found', `there is no run ${id}`, 'See: waddle ls');
  const { run, snapshot, environment } = detail;
  const info: DiffSideInfo = {
    kind: 'run',
    name: run.name,
    id,
    commit: run.commit_sha,
    tree: snapshot?.tree ?? null,
    lacking: [],
  };
  try {
    const recorded = await recordedRun(opened, id);
    info.lacking = lackingFiles(recorded.snapshot, recorded.code);
    return { info, code: recorded.code, detail, environment };
  } catch (error) {
    if (!(error instanceof WaddleError)) throw error;
    return { info, code: error, detail, environment };
  }
}

/** A branch, tag or commit of the repository that the run on the other side is of, or of the one around here. */
async function revisionSide(opened: Opened, text: string, other: Side | undefined): Promise<Side> {
  const { context, layout } = opened;
  const { env } = context;
  const places = [other?.detail?.snapshot?.repository ?? null, context.cwd, layout.project];
  for (const place of places) {
    const found = place === null ? null : await findRepository({ cwd: place, env });
    if (found?.kind !== 'repository') continue;
    const git = { env, cwd: found.top, gitDir: found.gitDir };
    // Asked for as `^{commit}`, so that a text that begins with `-` is no option.
    const parsed = await runGit(git, [
      'rev-parse',
      '--verify',
      '--quiet',
      '--end-of-options',
      `${text}^{commit}`,
    ]);
    const commit = parsed.out.toString().trim().split('\n').at(-1) ?? '';
    if (!parsed.ok || commit === '') continue;
    const tree = (await runGit(git, ['rev-parse', '--verify', '--quiet', `${commit}^{tree}`])).out
      .toString()
      .trim();
    return {
      info: { kind: 'revision', name: text, id: null, commit, tree, lacking: [] },
      code: { gitDir: found.commonDir, tree, nested: [] },
      detail: null,
      environment: null,
    };
  }
  throw new WaddleError(
    'run-not-found',
    `there is no run "${text}", nor a branch or commit of that name`,
    'See the runs with: waddle ls',
  );
}

/** The workspace as it is now: of the repository that the run is of, where that is still there. */
async function workspaceSide(opened: Opened, of: Side, temporary: string): Promise<Side> {
  const { context, layout, config } = opened;
  const { env } = context;
  const recorded = of.detail?.snapshot?.repository ?? null;
  const cwd = recorded !== null && existsSync(recorded) ? recorded : layout.project;
  const snapshot = await takeSnapshot({
    cwd,
    env,
    privateDir: join(temporary, 'git'),
    policy: snapshotPolicy(config),
    folder: cwd,
    keepIndex: false,
    throwaway: true,
  });
  const info: DiffSideInfo = {
    kind: 'workspace',
    name: 'workspace',
    id: null,
    commit: null,
    tree: snapshot.tree,
    lacking: snapshot.left_out.filter((each) => each.reason !== 'excluded'),
  };
  const python = of.detail?.environment?.python;
  const executable = isRecord(python) && typeof python.executable === 'string' ? python.executable : null;
  const environment =
    of.environment === null
      ? null
      : await describeEnvironment({
          python: executable,
          env,
          cwd: of.detail?.run.cwd ?? cwd,
          project: layout.project,
          plan: environmentPlan(config),
        });
  if (snapshot.git_dir === null || snapshot.tree === null) {
    const [warning] = snapshot.warnings;
    const message = warning?.message ?? 'the workspace could not be read';
    return {
      info,
      code: new WaddleError('code-missing', message, warning?.hint ?? ''),
      detail: null,
      environment,
    };
  }
  const nested = await findNestedTrees({ snapshot, env, privateDir: join(temporary, 'git') });
  return {
    info,
    code: { gitDir: snapshot.git_dir, tree: snapshot.tree, nested: nested.nested },
    detail: null,
    environment,
  };
}

async function compareCode(a: Side, b: Side, env: Opened['context']['env']): Promise<RunDiff['code']> {
  for (const side of [a, b]) {
    if (!(side.code instanceof WaddleError)) continue;
    const { message, hint } = side.code;
    return { equal: null, files: [], problem: { message, hint } };
  }
  if (a.code instanceof WaddleError || b.code instanceof WaddleError) throw new Error('unreachable');
  if (a.code.tree?.length !== b.code.tree?.length) {
    const message = 'the code of both sides is in repositories of different hashes (SHA-1, SHA-256)';
    const hint = 'waddle checkout brings both into folders: compare these with diff -r.';
    return { equal: null, files: [], problem: { message, hint } };
  }
  if (b.info.kind === 'revision' || a.info.kind === 'revision') {
    // A commit names no trees of nested repositories: their commits are compared as git does.
    a.code = { ...a.code, nested: [] };
    b.code = { ...b.code, nested: [] };
  }
  try {
    const files = await diffFiles(a.code, b.code, env);
    return { equal: files.length === 0, files, problem: null };
  } catch (error) {
    if (!(error instanceof WaddleError)) throw error;
    return { equal: null, files: [], problem: { message: error.message, hint: error.hint } };
  }
}

type Values = Record<string, unknown>;

/** How two environments, as runs record them, differ. */
export function diffEnvironments(
  a: Values,
  b: Values,
): { environment: DiffRow[]; packages: DiffRow[]; data: DataRow[] } {
  return {
    environment: rows(plainFacts(a), plainFacts(b)),
    packages: rows(packagesOf(a), packagesOf(b)),
    data: dataRows(a, b),
  };
}

function isRecord(value: unknown): value is Values {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The keys whose values differ, sorted. */
function rows(a: Values, b: Values): DiffRow[] {
  const left = flattened(a);
  const right = flattened(b);
  const keys = [...new Set([...left.keys(), ...right.keys()])].sort();
  return keys.flatMap((key): DiffRow[] => {
    const [x, y] = [left.get(key), right.get(key)];
    if (same(x, y)) return [];
    return [{ key, ...(x === undefined ? {} : { a: x }), ...(y === undefined ? {} : { b: y }) }];
  });
}

function same(x: unknown, y: unknown): boolean {
  if (x === undefined || y === undefined) return x === y;
  return stringifyExactJson(x) === stringifyExactJson(y);
}

function flattened(values: Values, prefix = '', into = new Map<string, unknown>()): Map<string, unknown> {
  for (const [key, value] of Object.entries(values)) {
    if (isRecord(value) && Object.keys(value).length > 0) flattened(value, `${prefix}${key}.`, into);
    else into.set(prefix + key, value);
  }
  return into;
}

/** The environment without what has a part of its own. */
function plainFacts(environment: Values): Values {
  const { data: _, python, ...rest } = environment;
  if (!isRecord(python)) return rest;
  const { packages: __, ...facts } = python;
  return { ...rest, python: facts };
}

/** Versions by name. Names may hold dots, so this is flat already. */
function packagesOf(environment: Values): Values {
  const python = environment.python;
  return isRecord(python) && isRecord(python.packages) ? python.packages : {};
}

function dataRows(a: Values, b: Values): DataRow[] {
  const [left, right] = [isRecord(a.data) ? a.data : {}, isRecord(b.data) ? b.data : {}];
  const keys = [...new Set([...Object.keys(left), ...Object.keys(right)])].sort();
  return keys.flatMap((key): DataRow[] => {
    const [x, y] = [summaryOf(left[key]), summaryOf(right[key])];
    if (x?.digest === y?.digest) return [];
    const sides = { ...(x === undefined ? {} : { a: x }), ...(y === undefined ? {} : { b: y }) };
    return [{ key, ...sides, changed: x && y ? changedFiles(left[key], right[key]) : [] }];
  });
}

function summaryOf(found: unknown): DataSummary | undefined {
  if (!isRecord(found)) return undefined;
  return { files: Number(found.files), bytes: Number(found.bytes), digest: String(found.digest) };
}

/** By the listings. Where these were cut, a file beyond the end of the other is not told. */
function changedFiles(a: unknown, b: unknown): DataRow['changed'] {
  const [left, right] = [listingOf(a), listingOf(b)];
  const known = (listing: Listing, path: string) => listing.whole || path <= listing.last;
  const changed: DataRow['changed'] = [];
  for (const path of [...new Set([...left.files.keys(), ...right.files.keys()])].sort()) {
    const [x, y] = [left.files.get(path), right.files.get(path)];
    if (x === y) continue;
    if (x === undefined ? !known(left, path) : y === undefined && !known(right, path)) continue;
    changed.push({ path, change: x === undefined ? 'added' : y === undefined ? 'removed' : 'changed' });
  }
  return changed;
}

interface Listing {
  files: Map<string, string>;
  whole: boolean;
  last: string;
}

function listingOf(found: unknown): Listing {
  const listing = isRecord(found) && Array.isArray(found.listing) ? found.listing : [];
  const files = new Map<string, string>();
  let last = '';
  for (const entry of listing) {
    if (!Array.isArray(entry)) continue;
    last = String(entry[0]);
    files.set(last, `${String(entry[1])} ${String(entry[2])}`);
  }
  return { files, whole: isRecord(found) && Number(found.files) <= listing.length, last };
}

function commandOf({ run, snapshot }: RunDetail): Values {
  const { entry, argv, command, repo, cwd } = run;
  const facts = { entry, argv, command, repo, cwd, folder: snapshot?.prefix || null };
  return Object.fromEntries(Object.entries(facts).filter(([, value]) => value !== null));
}

/** How the runs went, and the last value of each metric of theirs. */
function resultRows(a: RunDetail, b: RunDetail): DiffRow[] {
  const own = ({ run }: RunDetail): Values => {
    const facts = {
      status: run.status,
      exit_code: run.exit_code,
      error: run.error_type,
      duration: run.duration,
    };
    return Object.fromEntries(Object.entries(facts).filter(([, value]) => value !== null));
  };
  const metrics = (detail: RunDetail) =>
    new Map(
      Object.entries(detail.metrics)
        .filter(([key]) => !key.startsWith('system/'))
        .map(([key, metric]): [string, unknown] => [key, metric.last]),
    );
  const [left, right] = [metrics(a), metrics(b)];
  const keys = [...new Set([...left.keys(), ...right.keys()])].sort();
  const compared = keys.flatMap((key): DiffRow[] => {
    const [x, y] = [left.get(key), right.get(key)];
    if (same(x, y)) return [];
    const difference = typeof x === 'number' && typeof y === 'number' ? { difference: y - x } : {};
    return [
      { key, ...(x === undefined ? {} : { a: x }), ...(y === undefined ? {} : { b: y }), ...difference },
    ];
  });
  return [...rows(own(a), own(b)), ...compared];
}
