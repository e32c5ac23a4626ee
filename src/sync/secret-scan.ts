/** Looking for tokens and keys in what is about to leave: the code, the console, params and whatever else people wrote. */
import { parseLine } from '../events/line.ts';
import type { Event } from '../events/schema.ts';
import { type Environment, runGit } from '../git/run-git.ts';
import type { FolderSpace } from './folder-space.ts';
import { otherLines } from './piece-lines.ts';
import { findSecrets, isSecretName, looksRandom } from './secret-patterns.ts';
import type { RunState, Space } from './space.ts';

export interface SecretFind {
  run: string;
  /** As `run k3m5…, train.py:12`, `run k3m5…, console line 7`, `run k3m5…, param optimizer.key`. */
  place: string;
  kind: string;
  /** Its beginning. */
  shown: string;
  /** Of a file of the code: the object that holds it. */
  blob?: string;
}

/** Files over this are data, not code. Bytes. */
const MAX_FILE_BYTES = 1024 * 1024;
/** Bytes of files that git hands over at a time. */
const BATCH_BYTES = 16 * 1024 * 1024;
const RUNS_AT_ONCE = 200;

/** Everything of these runs that the remote does not have yet. */
export async function scanForSecrets(options: {
  own: FolderSpace;
  /** Null: what any remote may have is looked through too. */
  remote: Pick<Space, 'states' | 'missingTrees'> | null;
  runs: readonly string[];
  /** Who only tells of them: the first ones are worth the wait. */
  enough?: number;
  /** Gets the states, as they were looked through, of runs that may be going on. */
  looked?: Map<string, RunState>;
}): Promise<SecretFind[]> {
  const { own, runs, looked, enough = Number.POSITIVE_INFINITY } = options;
  const remote = options.remote ?? NOWHERE;
  const finds: SecretFind[] = [];
  const seen = new Set<string>();
  for (let at = 0; at < runs.length && finds.length < enough; at += RUNS_AT_ONCE) {
    const batch = runs.slice(at, at + RUNS_AT_ONCE);
    const [here, there] = await Promise.all([own.states(batch), remote.states(batch)]);
    for (const [run, state] of here) {
      const target = there.get(run);
      if (own.isOpen(run)) looked?.set(run, state);
      scanJournals({ own, run, state, target, finds, enough });
      await scanCode({ own, remote, run, state, target, finds, enough, seen });
      if (finds.length >= enough) break;
    }
  }
  return finds;
}

function scanJournals(options: {
  own: FolderSpace;
  run: string;
  state: RunState;
  target: RunState | undefined;
  finds: SecretFind[];
  enough: number;
}): void {
  const { own, run, state, target, finds, enough } = options;
  for (const writer of state.journals.keys()) {
    for (const bytes of own.journals.text(run, writer, target?.journals.get(writer)?.length ?? 0)) {
      scanLines(run, bytes, finds);
      if (finds.length >= enough) return;
    }
  }
}

function scanLines(run: string, bytes: Buffer, finds: SecretFind[]): void {
  // Numbers hold no secret.
  for (const [from, end] of otherLines({ bytes })) {
    const line = bytes.toString('utf8', from, end);
    const parsed = parseLine(line);
    if (parsed.type === 'event') scanEvent(run, parsed.event, finds);
    else
      for (const { kind, shown } of findSecrets(line))
        finds.push({ run, place: `run ${run}, a line that is not understood`, kind, shown });
  }
}

function scanEvent(run: string, event: Event, finds: SecretFind[]): void {
  const look = (text: string, place: string): void => {
    for (const { kind, shown } of findSecrets(text))
      finds.push({ run, place: `run ${run}, ${place}`, kind, shown });
  };
  if (event.k === 'c') {
    look(event.x, `console line ${event.n + 1}${event.o === 2 ? ' of stderr' : ''}`);
    return;
  }
  if (event.k === 'param' || event.k === 'tag') {
    for (const { path, text } of leavesOf(event.value, event.key)) {
      const place = `${event.k} ${path}`;
      if (isSecretName(path) && looksRandom(text, 3)) {
        finds.push({
          run,
          place: `run ${run}, ${place}`,
          kind: 'password or token',
          shown: `${text.slice(0, 3)}…`,
        });
      } else look(text, place);
    }
    return;
  }
  // Objects of git's and hashes are no secrets, and there are many of them.
  if (event.k === 'snapshot' || event.k === 'open' || event.k === 'close') return;
  const { k } = event;
  for (const { path, text } of leavesOf(event, '')) look(text, `${k} ${path}`);
  if (k === 'start' || k === 'resume') look((event.argv ?? event.command ?? []).join(' '), 'arguments');
}

export function* leavesOf(value: unknown, path: string): Generator<{ path: string; text: string }> {
  if (typeof value === 'string') yield { path, text: value };
  else if (typeof value === 'object' && value !== null) {
    for (const [key, item] of Object.entries(value))
      yield* leavesOf(item, path === '' ? key : `${path}.${key}`);
  }
}

/** A remote that has nothing. */
const NOWHERE: Pick<Space, 'states' | 'missingTrees'> = {
  states: async () => new Map(),
  missingTrees: async (_run, trees) => ({ missing: [...trees], bases: [] }),
};

async function scanCode(options: {
  own: FolderSpace;
  remote: Pick<Space, 'missingTrees'>;
  run: string;
  state: RunState;
  target: RunState | undefined;
  finds: SecretFind[];
  enough: number;
  seen: Set<string>;
}): Promise<void> {
  const { own, remote, run, state, target, finds, enough, seen } = options;
  const there = new Set(target?.trees);
  const trees = state.trees.filter((tree) => !there.has(tree) && !seen.has(tree));
  if (trees.length === 0) return;
  const { missing, bases } = await remote.missingTrees(run, trees);
  const places = await own.codePlaces(run);
  for (const tree of missing) {
    seen.add(tree);
    const gitDir = places.get(tree);
    if (gitDir === undefined) continue;
    const known = [...bases, ...seen].filter((each) => each !== tree && each.length === tree.length);
    await scanTree({ env: own.env, gitDir, run, tree, known, finds, enough, seen });
  }
}

async function scanTree(options: {
  env: Environment;
  gitDir: string;
  run: string;
  tree: string;
  /** Trees that the remote has, or that were looked through. */
  known: readonly string[];
  finds: SecretFind[];
  enough: number;
  seen: Set<string>;
}): Promise<void> {
  const { env, gitDir, run, tree, known, finds, enough, seen } = options;
  const git = { env, cwd: gitDir, gitDir };
  const asked = [tree, ...known.map((each) => `^${each}`)].map((line) => `${line}\n`).join('');
  const listed = await runGit(git, ['rev-list', '--objects', '--ignore-missing', '--stdin'], asked);
  const paths = new Map<string, string>();
  for (const line of listed.out.toString().split('\n')) {
    const space = line.indexOf(' ');
    const id = space === -1 ? line : line.slice(0, space);
    if (id !== '' && !seen.has(id)) paths.set(id, line.slice(space + 1));
  }
  const sizes = await runGit(
    git,
    ['cat-file', '--batch-check=%(objectname) %(objecttype) %(objectsize)'],
    [...paths.keys()].map((id) => `${id}\n`).join(''),
  );
  let batch: string[] = [];
  let bytes = 0;
  const flush = async (): Promise<void> => {
    if (batch.length === 0) return;
    const { out } = await runGit(git, ['cat-file', '--batch'], batch.map((id) => `${id}\n`).join(''));
    for (const { id, content } of objectsIn(out)) scanFile(run, id, paths.get(id) ?? id, content, finds);
    batch = [];
    bytes = 0;
  };
  for (const line of sizes.out.toString().split('\n')) {
    const [id = '', type, size = '0'] = line.split(' ');
    if (type !== 'blob' || Number(size) > MAX_FILE_BYTES) continue;
    seen.add(id);
    batch.push(id);
    bytes += Number(size);
    if (bytes > BATCH_BYTES) await flush();
    if (finds.length >= enough) return;
  }
  await flush();
}

/** The objects of `cat-file --batch`. */
function* objectsIn(out: Buffer): Generator<{ id: string; content: Buffer }> {
  for (let at = 0; at < out.length; ) {
    const end = out.indexOf(10, at);
    if (end === -1) return;
    const [id = '', type = '', size = ''] = out.toString('latin1', at, end).split(' ');
    if (size === '' || type === 'missing') {
      at = end + 1;
      continue;
    }
    const length = Number(size);
    yield { id, content: out.subarray(end + 1, end + 1 + length) };
    at = end + 1 + length + 1;
  }
}

function scanFile(run: string, blob: string, path: string, content: Buffer, finds: SecretFind[]): void {
  // Bytes that are no text.
  if (content.subarray(0, 8000).includes(0)) return;
  const text = content.toString('utf8');
  for (const { kind, shown, at } of findSecrets(text)) {
    let line = 1;
    for (let from = text.indexOf('\n'); from !== -1 && from < at; from = text.indexOf('\n', from + 1))
      line += 1;
    finds.push({ run, place: `run ${run}, ${path}:${line}`, kind, shown, blob });
  }
}
