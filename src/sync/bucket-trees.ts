/** Code in a bucket: packs, which only git can open. A repository on this machine opens them, and makes those that are asked for. */
import { randomBytes } from 'node:crypto';
import { closeSync, fstatSync, mkdirSync, readSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ObjectStore } from '../blobs/object-store.ts';
import { formatOf, openCodePack, takeCodePack } from '../git/code-pack.ts';
import { openPrivateRepository } from '../git/private-repository.ts';
import type { Environment } from '../git/run-git.ts';
import { refusedPart } from './call.ts';
import { projectName } from './folder-blobs.ts';
import { isTreeId } from './journal-facts.ts';
import { PartialFile } from './partial-file.ts';
import { MAX_BODY_BYTES, type PackPart, type PartResult } from './space.ts';
import { closestTree, treesIn } from './tree-places.ts';

const MAX_BASES = 50;
/** Largest piece of a pack that is read at once. */
const CHUNK_BYTES = 8 * 1024 * 1024;

export class BucketTrees {
  readonly #objects: ObjectStore;
  readonly #scratch: string;
  readonly #env: Environment;

  /** @param scratch a folder of this machine's own, for what can be made again */
  constructor(objects: ObjectStore, scratch: string, env: Environment) {
    this.#objects = objects;
    this.#scratch = scratch;
    this.#env = env;
  }

  #prefix(project: string): string {
    return `trees/${projectName(project)}`;
  }

  /** Trees of the project that stand by themselves: what builds on one of them is two packs away, and no more. */
  async bases(project: string): Promise<string[]> {
    const bases: string[] = [];
    for await (const { key } of this.#objects.list(`${this.#prefix(project)}/`)) {
      const match = /\/([0-9a-f]+)\.none\.pack$/.exec(key);
      if (match?.[1] !== undefined) bases.push(match[1]);
    }
    return bases.slice(-MAX_BASES).reverse();
  }

  async #packOf(
    project: string,
    tree: string,
  ): Promise<{ key: string; base: string | null; size: number } | null> {
    for await (const { key, size } of this.#objects.list(`${this.#prefix(project)}/${tree}.`)) {
      const base = key.split('.').at(-2) ?? 'none';
      if (base === 'none' || isTreeId(base)) return { key, base: base === 'none' ? null : base, size };
    }
    return null;
  }

  async has(project: string, tree: string): Promise<boolean> {
    return (await this.#packOf(project, tree)) !== null;
  }

  async write(project: string, part: PackPart): Promise<PartResult> {
    const { tree, base, size, offset, bytes } = part;
    const name = `${tree}.${base ?? 'none'}`;
    if (base !== null && (await this.#objects.head(`${this.#prefix(project)}/${base}.none.pack`)) === null) {
      return refusedPart('pack-base-missing', `the tree ${base} is not here, or builds on another itself`);
    }
    const file = new PartialFile(join(this.#scratch, 'incoming', `${name}.${size}.pack`), size);
    const placed = await file.put(offset, bytes);
    if (!placed.ok) return refusedPart('part-offset', placed.message, placed.received);
    if (placed.received < size) return { ok: true, received: placed.received, stored: false };
    try {
      await this.#objects.putIfAbsent(`${this.#prefix(project)}/${name}.pack`, { file: file.path });
      return { ok: true, received: size, stored: true };
    } finally {
      file.remove();
    }
  }

  /** Bytes of a pack of the tree for whoever has `have`; null where the bucket has no such tree. */
  async read(
    run: string,
    project: string,
    tree: string,
    have: readonly string[],
    offset: number,
  ): Promise<PackPart | null> {
    const format = formatOf(tree);
    const gitDir = await openPrivateRepository(join(this.#scratch, 'git'), format);
    if (!(await this.fetch(gitDir, project, tree))) return null;
    const candidates = have.filter((each) => isTreeId(each) && formatOf(each) === format && each !== tree);
    const base = await closestTree(gitDir, tree, candidates, this.#env);
    const path = join(this.#scratch, 'packs', `${tree}.${base ?? 'none'}.pack`);
    const fd = await openCodePack({ gitDir, tree, base, file: path, env: this.#env });
    try {
      const { size } = fstatSync(fd);
      const from = Math.min(offset, size);
      const bytes = Buffer.allocUnsafe(Math.min(size - from, MAX_BODY_BYTES));
      readSync(fd, bytes, 0, bytes.length, from);
      if (from + bytes.length >= size) rmSync(path, { force: true });
      return { run, tree, base, format, size, offset: from, bytes };
    } finally {
      closeSync(fd);
    }
  }

  /** Has the tree in the repository of this machine, what it builds on first. */
  async fetch(gitDir: string, project: string, tree: string, depth = 0): Promise<boolean> {
    if ((await treesIn(gitDir, [tree], this.#env)).length > 0) return true;
    const pack = depth > 8 ? null : await this.#packOf(project, tree);
    if (pack === null) return false;
    const { key, base, size } = pack;
    if (base !== null && !(await this.fetch(gitDir, project, base, depth + 1))) return false;
    const folder = join(this.#scratch, 'packs');
    mkdirSync(folder, { recursive: true });
    // Of two that fetch it at once each has a file of its own.
    const file = join(folder, `${tree}.${randomBytes(4).toString('hex')}.taken`);
    try {
      writeFileSync(file, '');
      for (let at = 0; at < size; at += CHUNK_BYTES) {
        const bytes = await this.#objects.get(key, at, CHUNK_BYTES);
        if (bytes === null) return false;
        writeFileSync(file, bytes, { flag: 'a' });
      }
      await takeCodePack({ gitDir, tree, base, file, env: this.#env });
      return true;
    } finally {
      rmSync(file, { force: true });
    }
  }
}
