/** The code of runs, as a space over a project folder takes and gives it: packs without history (docs/remote.md). */
import { createHash } from 'node:crypto';
import {
  closeSync,
  existsSync,
  fstatSync,
  futimesSync,
  readdirSync,
  readSync,
  rmSync,
  statSync,
} from 'node:fs';
import { join } from 'node:path';
import { WaddleError } from '../errors/waddle-error.ts';
import { formatOf, openCodePack, takeCodePack } from '../git/code-pack.ts';
import { openPrivateRepository } from '../git/private-repository.ts';
import { listPinned, pinTree } from '../git/refs.ts';
import type { Environment } from '../git/run-git.ts';
import type { Layout } from '../journal/layout.ts';
import { refusedPart } from './call.ts';
import { withFolderLock } from './folder-lock.ts';
import { isTreeId } from './journal-facts.ts';
import { PartialFile } from './partial-file.ts';
import { MAX_BODY_BYTES, type PackPart, type PartResult } from './space.ts';
import { closestTree, TreePlaces, type WantedCode } from './tree-places.ts';

/** Packs that were made for somebody are kept for the rest of a transfer in parts (ms). */
const PACK_AGE_MS = 3_600_000;

/** Where the user's repository says this, Waddle's own may still take the pack. */
const ELSEWHERE = new Set(['store-refuses', 'pin-failed', 'pack-base-missing']);

export interface FolderTreesOptions {
  layout: Layout;
  env: Environment;
  /** Where Waddle's own repositories lie. */
  privateDir: string;
  /** Whether the repository that the project folder lies in holds code too. */
  ownRepository: boolean;
  /** Greatest pack that is taken, in bytes. */
  maxPackBytes: number;
}

export class FolderTrees {
  readonly places: TreePlaces;
  readonly #options: FolderTreesOptions;
  readonly #name: string;

  constructor(options: FolderTreesOptions) {
    this.#options = options;
    const folder = options.ownRepository ? options.layout.project : null;
    this.places = new TreePlaces({ privateDir: options.privateDir, folder, env: options.env });
    this.#name = createHash('sha256').update(options.privateDir).digest('hex').slice(0, 8);
  }

  /** Those of the trees that are not here. Those that are, and are not pinned in a store of ours, are pinned. */
  async missing(code: WantedCode, trees: readonly string[]): Promise<string[]> {
    const found = await this.places.find(await this.places.ask([code]));
    const { env } = this.#options;
    const byStore = Map.groupBy(
      trees.filter((tree) => found.has(tree)),
      (tree) => found.get(tree) ?? '',
    );
    for (const [gitDir, here] of byStore) {
      const pinned = new Set(await listPinned({ gitDir, env }).catch(() => []));
      for (const tree of here) {
        if (!pinned.has(tree)) await this.#pin(gitDir, tree);
      }
    }
    return trees.filter((tree) => isTreeId(tree) && !found.has(tree));
  }

  async #pin(gitDir: string, tree: string): Promise<void> {
    const { env, layout } = this.#options;
    // A store that cannot be written keeps it as long as its own refs do.
    await pinTree({ gitDir, tree, env, privateDir: layout.privateGit }).catch(() => undefined);
  }

  async write(part: PackPart): Promise<PartResult> {
    const { tree, base, size, format } = part;
    if (formatOf(tree) !== format || (base !== null && (!isTreeId(base) || formatOf(base) !== format))) {
      return refusedPart('pack-invalid', 'its format is not that of its tree');
    }
    if (!(size > 0) || size > this.#options.maxPackBytes) {
      return refusedPart('quota-exceeded', `a pack of ${size} bytes is not taken`);
    }
    const name = `${this.#name}-${tree}.${base ?? 'none'}.${size}.pack`;
    const { layout } = this.#options;
    const file = new PartialFile(join(layout.root, 'incoming', 'trees', name), size);
    return withFolderLock(join(layout.root, 'cache', 'locks', `tree-${tree}`), async () => {
      const placed = await file.put(part.offset, part.bytes);
      if (!placed.ok) return refusedPart('part-offset', placed.message, placed.received);
      if (placed.received < size) return { ok: true, received: placed.received, stored: false };
      try {
        await this.#take(tree, base, file.path);
        return { ok: true, received: size, stored: true };
      } catch (error) {
        if (!(error instanceof WaddleError)) throw error;
        if (error.code === 'store-refuses') throw error;
        const code = error.code === 'pack-base-missing' ? 'pack-base-missing' : 'pack-invalid';
        return refusedPart(code, error.message);
      } finally {
        file.remove();
      }
    });
  }

  /** Into the user's repository where that can hold it, so that their own git commands see the objects; else into Waddle's. */
  async #take(tree: string, base: string | null, file: string): Promise<void> {
    const { env, layout, privateDir } = this.#options;
    const repository = await this.places.repository();
    const options = { tree, base, file, env, privateDir: layout.privateGit };
    if (repository !== null && repository.format === formatOf(tree)) {
      try {
        await takeCodePack({ ...options, gitDir: repository.commonDir });
        return;
      } catch (error) {
        if (!(error instanceof WaddleError) || !ELSEWHERE.has(error.code)) throw error;
      }
    }
    const gitDir = await openPrivateRepository(privateDir, formatOf(tree));
    await takeCodePack({ ...options, gitDir });
  }

  /** The bytes of a pack from an offset on, at most `room`; null where the tree is not here. */
  async read(
    run: string,
    code: WantedCode,
    tree: string,
    have: readonly string[],
    offset: number,
    room: number,
  ): Promise<PackPart | null> {
    const gitDir = (await this.places.find(await this.places.ask([code]))).get(tree);
    if (gitDir === undefined) return null;
    const { env, layout } = this.#options;
    // Somebody has it now: it is kept here too, whatever becomes of the commit that it is of.
    if (offset === 0 && code.code.some(({ base }) => base === tree)) await this.#pin(gitDir, tree);
    const format = formatOf(tree);
    const candidates = have.filter((each) => isTreeId(each) && formatOf(each) === format && each !== tree);
    const base = await closestTree(gitDir, tree, candidates, env);
    const packs = join(layout.root, 'cache', 'packs');
    const path = join(packs, `${this.#name}-${tree}.${base ?? 'none'}.pack`);
    if (!existsSync(path)) sweep(packs);
    const fd = await openCodePack({ gitDir, tree, base, file: path, env });
    try {
      const { size } = fstatSync(fd);
      const now = new Date();
      futimesSync(fd, now, now);
      const from = Math.min(Math.max(0, offset), size);
      const bytes = Buffer.allocUnsafe(Math.min(size - from, room, MAX_BODY_BYTES));
      const count = readSync(fd, bytes, 0, bytes.length, from);
      if (from + count >= size) rmSync(path, { force: true });
      return { run, tree, base, format, size, offset: from, bytes: bytes.subarray(0, count) };
    } finally {
      closeSync(fd);
    }
  }
}

function sweep(folder: string): void {
  let names: string[];
  try {
    names = readdirSync(folder);
  } catch {
    return;
  }
  for (const name of names) {
    const stats = statSync(join(folder, name), { throwIfNoEntry: false });
    if (stats !== undefined && Date.now() - stats.mtimeMs > PACK_AGE_MS) {
      rmSync(join(folder, name), { recursive: true, force: true });
    }
  }
}
