/** Code from one space to another, as packs without history. */
import { WaddleError } from '../errors/waddle-error.ts';
import type { PackPart, PartResult } from './space.ts';
import type { RunPair, Tally } from './transfer.ts';

const MAX_TURNS = 4;

/** Sends the trees that are missing there, each once, on the newest tree that both sides have. */
export async function sendTrees(tally: Tally, pairs: readonly RunPair[]): Promise<void> {
  const { to, signal } = tally.options;
  const sent = new Set<string>();
  const wanted: { run: string; project: string; trees: string[]; bases: string[] }[] = [];
  for (const { run, source, target } of pairs) {
    const there = new Set(target?.trees);
    const trees = source.trees.filter((tree) => !there.has(tree) && !sent.has(`${source.project} ${tree}`));
    if (trees.length === 0) continue;
    for (const tree of trees) sent.add(`${source.project} ${tree}`);
    wanted.push({ run, project: source.project, trees, bases: [] });
  }
  if (wanted.length === 0) return;
  tally.begin('code', 0);
  /** By project, what has just gone over: the best bases for what comes next. */
  const fresh = new Map<string, string[]>();
  for (const { run, project, trees } of wanted) {
    signal?.throwIfAborted();
    const { missing, bases } = await to.missingTrees(run, trees);
    const have = [...(fresh.get(project) ?? []), ...bases];
    for (const tree of missing) {
      if (!(await sendTree(tally, run, tree, have))) continue;
      have.unshift(tree);
      fresh.set(project, [tree, ...(fresh.get(project) ?? []).slice(0, 7)]);
    }
  }
}

/** True where it is there afterwards. */
async function sendTree(tally: Tally, run: string, tree: string, have: readonly string[]): Promise<boolean> {
  const { from, to, signal } = tally.options;
  const { report } = tally;
  const fail = (code: Parameters<Tally['problem']>[0]['code'], message: string): false => {
    tally.problem({ run, what: tree, code, message });
    return false;
  };
  let bases = have;
  let offset = 0;
  for (let turns = 0; turns < MAX_TURNS; ) {
    signal?.throwIfAborted();
    let part: PackPart | undefined;
    try {
      [part] = await from.readTrees(run, [tree], bases, new Map([[tree, offset]]));
    } catch (error) {
      // One run's code that git cannot pack (a partial clone, a damaged repository) holds up nothing else.
      if (!(error instanceof WaddleError) || error.code !== 'pack-failed') throw error;
      return fail('code-failed', error.message);
    }
    if (part === undefined) return fail('tree-missing', 'the tree is not there any more');
    const [result] = (await to.writeTrees([part])) as [PartResult];
    if (result.ok) {
      report.trees.bytes += part.bytes.length;
      tally.moved(part.bytes.length);
      if (result.stored) {
        report.runs.add(run);
        report.trees.count += 1;
        return true;
      }
      offset = result.received;
      continue;
    }
    turns += 1;
    if (result.code === 'part-offset') offset = result.received;
    else if (result.code === 'pack-base-missing' && bases.length > 0) {
      bases = [];
      offset = 0;
    } else if (result.code === 'pack-invalid' && offset > 0) offset = 0;
    else return fail(result.code, result.message);
  }
  return fail('part-offset', 'the other side does not take it');
}
