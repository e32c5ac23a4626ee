/** Where the trees of runs' code lie on this machine. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { formatOf, type ObjectFormat } from '../git/code-pack.ts';
import { privateGitDir } from '../git/private-repository.ts';
import { findRepository } from '../git/repository.ts';
import { type Environment, runGit } from '../git/run-git.ts';
import { type NamedCode, treesOf } from './journal-facts.ts';

export interface TreePlacesOptions {
  /** Waddle's own repositories, one for each hash, below this folder. */
  privateDir: string;
  /** A folder whose repository may hold code too: the project's. Null where none but Waddle's own may be looked at. */
  folder: string | null;
  env: Environment;
}

/** A run's code, and whether the paths in its record are this machine's own word. */
export interface WantedCode {
  code: readonly NamedCode[];
  /** The run was made here: its record's paths may be followed. What came from elsewhere may name anything. */
  own: boolean;
}

export class TreePlaces {
  readonly #options: TreePlacesOptions;
  #repository: Promise<{ commonDir: string; format: ObjectFormat } | null> | undefined;

  constructor(options: TreePlacesOptions) {
    this.#options = options;
  }

  /** The repository that the project folder lies in. */
  repository(): Promise<{ commonDir: string; format: ObjectFormat } | null> {
    const { folder, env } = this.#options;
    this.#repository ??= (async () => {
      if (folder === null) return null;
      const found = await findRepository({ cwd: folder, env });
      return found.kind === 'repository' ? { commonDir: found.commonDir, format: found.objectFormat } : null;
    })();
    return this.#repository;
  }

  privateDirOf(tree: string): string {
    return privateGitDir(this.#options.privateDir, formatOf(tree));
  }

  /** Of each store that may hold trees of these runs, the trees that it is asked for. */
  async ask(runs: readonly WantedCode[]): Promise<Map<string, Set<string>>> {
    const asked = new Map<string, Set<string>>();
    const ask = (gitDir: string, tree: string): void => {
      const trees = asked.get(gitDir) ?? new Set();
      asked.set(gitDir, trees.add(tree));
    };
    const repository = runs.length === 0 ? null : await this.repository();
    for (const { code, own } of runs) {
      const trusted = own && this.#options.folder !== null;
      for (const named of code) {
        const { gitDir, repository: top, nested } = named;
        for (const each of treesOf([named])) {
          ask(this.privateDirOf(each), each);
          if (repository?.format === formatOf(each)) ask(repository.commonDir, each);
          if (trusted && gitDir !== null) ask(gitDir, each);
        }
        if (!trusted) continue;
        for (const inner of nested) {
          for (const place of await this.#nestedPlaces(top, gitDir, inner.path)) ask(place, inner.tree);
        }
      }
    }
    return asked;
  }

  /** Of the trees that stores are asked for, those that are here, each with a git dir that holds it. */
  async find(asked: ReadonlyMap<string, ReadonlySet<string>>): Promise<Map<string, string>> {
    const result = new Map<string, string>();
    for (const [gitDir, trees] of asked) {
      if (!existsSync(gitDir)) continue;
      const open = [...trees].filter((tree) => !result.has(tree));
      for (const tree of await treesIn(gitDir, open, this.#options.env)) result.set(tree, gitDir);
    }
    return result;
  }

  readonly #nested = new Map<string, string[]>();

  async #nestedPlaces(top: string | null, gitDir: string | null, path: string): Promise<string[]> {
    const key = `${top}\0${gitDir}\0${path}`;
    const known = this.#nested.get(key);
    if (known !== undefined) return known;
    const places: string[] = [];
    if (top !== null && existsSync(join(top, path))) {
      const found = await findRepository({ cwd: join(top, path), env: this.#options.env });
      if (found.kind === 'repository') places.push(found.commonDir);
    }
    if (gitDir !== null) places.push(join(gitDir, 'modules', path));
    this.#nested.set(key, places);
    return places;
  }
}

/** Which of the trees a store has. */
export async function treesIn(gitDir: string, trees: readonly string[], env: Environment): Promise<string[]> {
  if (trees.length === 0) return [];
  const listing = await runGit(
    { env, cwd: gitDir, gitDir },
    ['cat-file', '--batch-check=%(objectname) %(objecttype)'],
    trees.map((id) => `${id}\n`).join(''),
  );
  return listing.out
    .toString()
    .split('\n')
    .filter((line) => line.endsWith(' tree'))
    .map((line) => line.slice(0, line.indexOf(' ')));
}

/**
 * Of the candidates that a store has, the one that shares the most entries of its top folder with the tree: what a pack of the
 * tree is best made on. Of equals the one that shares the most names: where every folder has changed since, another state of the
 * same code, and not of a repository nested in it, whose trees lie in the same store. Of those the first; null where it has none.
 */
export async function closestTree(
  gitDir: string,
  tree: string,
  candidates: readonly string[],
  env: Environment,
): Promise<string | null> {
  const entries = await topEntries(gitDir, [tree, ...candidates], env);
  const own = entries.get(tree);
  const known = candidates.filter((each) => entries.has(each));
  const names = namesIn(own);
  let closest: { tree: string; entries: number; names: number } | null = null;
  for (const each of known) {
    const other = entries.get(each) ?? new Set();
    const shared = {
      tree: each,
      entries: [...other].filter((entry) => own?.has(entry)).length,
      names: [...namesIn(other)].filter((name) => names.has(name)).length,
    };
    if (
      closest === null ||
      shared.entries > closest.entries ||
      (shared.entries === closest.entries && shared.names > closest.names)
    )
      closest = shared;
  }
  return closest?.tree ?? null;
}

/** Of entries, the mode and the name. */
function namesIn(entries: ReadonlySet<string> | undefined): Set<string> {
  return new Set([...(entries ?? [])].map((entry) => entry.slice(0, entry.indexOf('\0'))));
}

/** The entries of the top folder of each tree that the store has: mode, name and object id, as git stores them. */
async function topEntries(
  gitDir: string,
  trees: readonly string[],
  env: Environment,
): Promise<Map<string, Set<string>>> {
  const { out } = await runGit(
    { env, cwd: gitDir, gitDir },
    ['cat-file', '--batch=%(objectname) %(objecttype) %(objectsize)'],
    trees.map((id) => `${id}\n`).join(''),
  );
  const result = new Map<string, Set<string>>();
  for (let at = 0; at < out.length; ) {
    const line = out.indexOf(0x0a, at);
    const [tree = '', type, size] = out.toString('latin1', at, line).split(' ');
    at = line + 1;
    // What is missing has no content.
    if (size === undefined) continue;
    const end = at + Number(size);
    if (type === 'tree') {
      const entries = new Set<string>();
      while (at < end) {
        const next = out.indexOf(0, at) + 1 + tree.length / 2;
        entries.add(out.toString('latin1', at, next));
        at = next;
      }
      result.set(tree, entries);
    }
    at = end + 1;
  }
  return result;
}
