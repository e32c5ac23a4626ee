/** Code of a team's space: packs as objects, and in PostgreSQL which trees are there. */
import { join } from 'node:path';
import type { ObjectStore } from '../blobs/object-store.ts';
import { WaddleError } from '../errors/waddle-error.ts';
import { takeCodePack } from '../git/code-pack.ts';
import { openPrivateRepository } from '../git/private-repository.ts';
import type { Environment } from '../git/run-git.ts';
import { BucketTrees } from '../sync/bucket-trees.ts';
import { refusedPart, takeParts } from '../sync/call.ts';
import { projectName } from '../sync/folder-blobs.ts';
import { isTreeId } from '../sync/journal-facts.ts';
import type { PackPart, PartCode, PartResult } from '../sync/space.ts';
import type { Database, Session } from './database.ts';
import { ownerOf } from './owners.ts';
import { holdNames, PutObjects } from './put-objects.ts';
import { TeamParts } from './team-parts.ts';

const MAX_BASES = 50;

export interface TeamTreesOptions {
  database: Database;
  space: string;
  objects: ObjectStore;
  /** Of this machine alone, for what can be made again: git's repositories. */
  scratch: string;
  /** Git is looked for with it. */
  env: Environment;
  maxPackBytes?: number | undefined;
}

export class TeamTrees {
  readonly #options: TeamTreesOptions;
  readonly #parts: TeamParts;
  readonly #trees = new Map<string, BucketTrees>();

  constructor(options: TeamTreesOptions) {
    this.#options = options;
    this.#parts = new TeamParts(options);
  }

  #read<T>(work: (session: Session) => Promise<T>): Promise<T> {
    return this.#options.database.transaction(this.#options.space, work, 'snapshot');
  }

  #write<T>(work: (session: Session) => Promise<T>): Promise<T> {
    return this.#options.database.transaction(this.#options.space, work);
  }

  /** The code of a project, with a repository of its own on this machine. */
  #treesOf(project: string): BucketTrees {
    let trees = this.#trees.get(project);
    if (trees === undefined) {
      const { objects, env, scratch } = this.#options;
      trees = new BucketTrees(objects, join(scratch, projectName(project)), env);
      this.#trees.set(project, trees);
    }
    return trees;
  }

  async missing(run: string, trees: readonly string[]): Promise<{ missing: string[]; bases: string[] }> {
    const project = await this.#read((session) => ownerOf(session, run));
    const wanted = trees.filter(isTreeId);
    if (project === null) return { missing: wanted, bases: [] };
    return this.#read(async (session) => {
      const rows = await session.rows('SELECT tree FROM trees WHERE project = $1 AND tree = ANY($2)', [
        project,
        wanted,
      ]);
      const there = new Set(rows.map((row) => row.tree));
      // Those that stand by themselves: what builds on one of them is two packs away, and no more.
      const bases = await session.rows(
        'SELECT tree FROM trees WHERE project = $1 AND base IS NULL ORDER BY stored_at DESC LIMIT $2',
        [project, MAX_BASES],
      );
      return {
        missing: wanted.filter((tree) => !there.has(tree)),
        bases: bases.map((row) => String(row.tree)),
      };
    });
  }

  write(parts: readonly PackPart[]): Promise<PartResult[]> {
    return takeParts(parts, (part) => this.#writeOne(part));
  }

  async #writeOne(part: PackPart): Promise<PartResult> {
    const { run, tree, base, size, format } = part;
    const length = format === 'sha256' ? 64 : 40;
    if (
      !isTreeId(tree) ||
      tree.length !== length ||
      (base !== null && (!isTreeId(base) || base.length !== length))
    ) {
      return refusedPart('pack-invalid', 'its format is not that of its tree');
    }
    const [known] = await this.#read((session) =>
      session.rows(
        `SELECT o.project, t.tree AS stored, b.tree AS base FROM tree_names n JOIN owners o ON o.run = n.run
         LEFT JOIN trees t ON t.project = o.project AND t.tree = n.tree
         LEFT JOIN trees b ON b.project = o.project AND b.tree = $3 AND b.base IS NULL
         WHERE n.run = $1 AND n.tree = $2`,
        [run, tree, base],
      ),
    );
    if (known === undefined) return refusedPart('tree-not-named', 'the run has no such tree');
    if (known.stored !== null) return { ok: true, received: size, stored: true };
    if (base !== null && known.base === null) {
      return refusedPart('pack-base-missing', `the tree ${base} is not here, or builds on another itself`);
    }
    if (!(size > 0) || size > (this.#options.maxPackBytes ?? 4 * 1024 ** 3)) {
      return refusedPart('quota-exceeded', `a pack of ${size} bytes is not taken`);
    }
    const project = String(known.project);
    const arriving = { project, name: `pack ${tree} ${base ?? 'none'} ${size}`, size };
    const arrived = await this.#parts.put(arriving, part.offset, part.bytes, async (file) => {
      const fault = await this.#takePack(project, part, file);
      if (fault !== null) return fault;
      const object = `trees/${projectName(project)}/${tree}.${base ?? 'none'}.pack`;
      const noted = await this.#putTree({ project, tree, base, size, object }, file);
      return noted ? ('taken' as const) : baseMissing(base);
    });
    if (!arrived.ok) return refusedPart('part-offset', arrived.message, arrived.received);
    if (arrived.whole === null) return { ok: true, received: arrived.received, stored: false };
    if (arrived.whole === 'taken') return { ok: true, received: size, stored: true };
    return refusedPart(arrived.whole.code, arrived.whole.message);
  }

  /** False where the base has gone meanwhile. */
  async #putTree(
    {
      project,
      tree,
      base,
      size,
      object,
    }: { project: string; tree: string; base: string | null; size: number; object: string },
    file: string,
  ): Promise<boolean> {
    for (;;) {
      const put = new PutObjects(this.#options.objects);
      await put.put(object, { file });
      const noted = await this.#write(async (session) => {
        await holdNames(session, this.#options.space, 'shared');
        if (!(await put.hold(session))) return null;
        await session.change(
          `INSERT INTO trees (project, tree, base, size, object) SELECT $1, $2, $3, $4, $5
           WHERE $3::text IS NULL OR EXISTS (SELECT 1 FROM trees WHERE project = $1 AND tree = $3)
           ON CONFLICT DO NOTHING`,
          [project, tree, base, size, object],
        );
        await session.change(
          `UPDATE owners o SET digest = NULL FROM tree_names n WHERE n.tree = $2 AND n.run = o.run AND o.project = $1`,
          [project, tree],
        );
        const there = await session.rows('SELECT 1 FROM trees WHERE project = $1 AND tree = $2', [
          project,
          tree,
        ]);
        return there.length > 0;
      });
      if (noted !== null) return noted;
    }
  }

  /** Has git check the pack, in a repository of this machine. Null where it is right. */
  async #takePack(
    project: string,
    { tree, base, format }: PackPart,
    file: string,
  ): Promise<{ code: PartCode; message: string } | null> {
    const { env, scratch } = this.#options;
    const gitDir = await openPrivateRepository(join(scratch, projectName(project), 'git'), format);
    if (base !== null && !(await this.#treesOf(project).fetch(gitDir, project, base))) {
      return baseMissing(base);
    }
    try {
      await takeCodePack({ gitDir, tree, base, file, env });
      return null;
    } catch (error) {
      if (!(error instanceof WaddleError) || error.code === 'store-refuses') throw error;
      return {
        code: error.code === 'pack-base-missing' ? 'pack-base-missing' : 'pack-invalid',
        message: error.message,
      };
    }
  }

  async read(
    run: string,
    trees: readonly string[],
    have: readonly string[],
    from: ReadonlyMap<string, number>,
  ): Promise<PackPart[]> {
    const [tree] = trees;
    if (tree === undefined) return [];
    const [known] = await this.#read((session) =>
      session.rows(
        `SELECT o.project FROM tree_names n JOIN owners o ON o.run = n.run
         JOIN trees t ON t.project = o.project AND t.tree = n.tree WHERE n.run = $1 AND n.tree = $2`,
        [run, tree],
      ),
    );
    if (known === undefined) return this.read(run, trees.slice(1), have, from);
    const project = String(known.project);
    const part = await this.#treesOf(project).read(run, project, tree, have, from.get(tree) ?? 0);
    return part === null ? [] : [part];
  }

  /** A git dir of this machine that holds these trees of a project, as far as they are here. */
  async codeDir(project: string, trees: readonly string[]): Promise<string> {
    const format = trees[0]?.length === 64 ? 'sha256' : 'sha1';
    const gitDir = await openPrivateRepository(
      join(this.#options.scratch, projectName(project), 'git'),
      format,
    );
    for (const tree of trees) await this.#treesOf(project).fetch(gitDir, project, tree);
    return gitDir;
  }
}

function baseMissing(base: string | null): { code: PartCode; message: string } {
  return { code: 'pack-base-missing', message: `the tree ${base} is not here` };
}
