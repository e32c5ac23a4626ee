/** Code from one space to another, as packs without history. */
import { WaddleError } from '../errors/waddle-error.ts';
import type { PackPart, PartResult } from './space.ts';
import type { RunPair, Tally } from './transfer.ts';

const MAX_TURNS = 4;

/** What has just gone over, of one project; the newest first. */
interface Sent {
  tree: string;
  /** Whether its pack stands by itself. */
  alone: boolean;
}

/** A target may take a pack only on one that stands by itself; it says so once. */
interface Bases {
  sent: readonly Sent[];
  /** The target's own. */
  there: readonly string[];
  chains: boolean;
}

/** A run of a repository with others nested in it has a tree of each. */
const MAX_SENT = 32;

/** Sends the trees that are missing there, each once, on the nearest tree that both sides have. */
export async function sendTrees(tally: Tally, pairs: readonly RunPair[]): Promise<void> {
  const { to, signal } = tally.options;
  const known = new Set<string>();
  const wanted: { run: string; project: string; trees: string[]; shared: string[] }[] = [];
  for (const { run, source, target } of pairs) {
    const there = new Set(target?.trees);
    const lacking = source.trees.filter((tree) => !there.has(tree));
    const trees = lacking.filter((tree) => !known.has(`${source.project} ${tree}`));
    if (lacking.length === 0) continue;
    for (const tree of trees) known.add(`${source.project} ${tree}`);
    wanted.push({
      run,
      project: source.project,
      trees,
      shared: lacking.filter((tree) => !trees.includes(tree)),
    });
  }
  if (wanted.length === 0) return;
  tally.begin('code', 0);
  const projects = new Map<string, Sent[]>();
  let chains = true;
  for (const { run, project, trees, shared } of wanted) {
    signal?.throwIfAborted();
    if (shared.length > 0) await to.nameTrees?.(run, shared);
    if (trees.length === 0) continue;
    const { missing, bases: there } = await to.missingTrees(run, trees);
    for (const tree of missing) {
      const sent = projects.get(project) ?? [];
      const bases: Bases = { sent, there, chains };
      const stored = await sendTree(tally, run, tree, bases);
      chains = bases.chains;
      if (stored !== null) projects.set(project, [stored, ...sent.slice(0, MAX_SENT - 1)]);
    }
  }
}

/** Null where it is not there afterwards. */
async function sendTree(tally: Tally, run: string, tree: string, known: Bases): Promise<Sent | null> {
  const { from, to, signal } = tally.options;
  const { report } = tally;
  const fail = (code: Parameters<Tally['problem']>[0]['code'], message: string): null => {
    tally.problem({ run, what: tree, code, message });
    return null;
  };
  const usable = () => [
    ...known.sent.filter(({ alone }) => alone || known.chains).map((each) => each.tree),
    ...known.there,
  ];
  let bases = usable();
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
        return { tree, alone: part.base === null };
      }
      offset = result.received;
      continue;
    }
    turns += 1;
    if (result.code === 'part-offset') offset = result.received;
    else if (result.code === 'pack-base-missing' && bases.length > 0) {
      const refused = part.base;
      const chained = known.chains && known.sent.some(({ tree: each, alone }) => each === refused && !alone);
      if (chained) known.chains = false;
      bases = chained ? usable() : [];
      offset = 0;
    } else if (result.code === 'pack-invalid' && offset > 0) offset = 0;
    else return fail(result.code, result.message);
  }
  return fail('part-offset', 'the other side does not take it');
}
