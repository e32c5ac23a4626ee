/**
 * A team's spaces copied out of PostgreSQL and S3 into a folder like a collector's own (backup.ts), and back. What moves is
 * what moves in a push: journals, blobs and code, checked by hash at both ends, and only what is lacking. So a backup of either
 * engine is restored into either.
 */
import { existsSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { WaddleError } from '../errors/waddle-error.ts';
import { listRuns } from '../journal/discover.ts';
import { layoutOf } from '../journal/layout.ts';
import { ensureProjectFolder } from '../journal/project-folder.ts';
import { TeamSpace } from '../postgres/team-space.ts';
import { FolderSpace } from '../sync/folder-space.ts';
import type { Space } from '../sync/space.ts';
import { type TransferProblem, type TransferReport, transfer } from '../sync/transfer.ts';
import { beginBackup, checkBackup, endBackup } from './backup.ts';
import { openFileRegistry } from './file-registry.ts';
import { REGISTRY_FILE, spaceFolder } from './folder-backend.ts';
import type { Registry } from './registry.ts';
import type { TeamSpaces } from './team-spaces.ts';

export interface TeamBackupReport {
  spaces: number;
  runs: number;
  /** Moved now: journals as plain bytes, blobs, and packs. */
  bytes: number;
}

/**
 * Copies all spaces into `target`: an empty folder, or an earlier backup, which is brought up to date.
 * @throws WaddleError `backup-elsewhere`, `backup-incomplete`
 */
export async function backupTeam(team: TeamSpaces, target: string): Promise<TeamBackupReport> {
  beginBackup(target);
  // Tokens first: whoever could write at the time can read what it wrote.
  const fresh = join(target, `${REGISTRY_FILE}.new`);
  rmSync(fresh, { force: true });
  const registry = openFileRegistry(fresh);
  try {
    await copyRegistry(team.registry, registry);
  } finally {
    await registry.close();
  }
  renameSync(fresh, join(target, REGISTRY_FILE));
  const report: TeamBackupReport = { spaces: 0, runs: 0, bytes: 0 };
  for (const { name } of await team.registry.listSpaces()) {
    const layout = layoutOf(spaceFolder(target, name));
    ensureProjectFolder(layout);
    const to = new FolderSpace({ layout, env: team.env, isolated: true });
    const from = team.open(name);
    try {
      const runs = await from.runIds();
      await copySpace(from, to, runs, await newRemovals(from, to), report);
    } finally {
      await to.close();
      await from.close();
    }
  }
  endBackup(target);
  return report;
}

/**
 * Brings a backup into a database without tokens, and its objects; one that was cut off goes on.
 * @throws WaddleError `backup-missing`, `backup-damaged`, `restore-elsewhere`, `backup-incomplete`
 */
export async function restoreTeam(backup: string, team: TeamSpaces): Promise<TeamBackupReport> {
  checkBackup(backup);
  if ((await team.registry.listTokens()).length > 0) {
    throw new WaddleError(
      'restore-elsewhere',
      'the database has a collector’s tokens already',
      'Name a new database: nothing that is there is ever overwritten. Start its collectors afterwards.',
    );
  }
  const report: TeamBackupReport = { spaces: 0, runs: 0, bytes: 0 };
  const registry = openFileRegistry(join(backup, REGISTRY_FILE));
  try {
    for (const { name } of await registry.listSpaces()) {
      await team.registry.addSpace(name);
      const layout = layoutOf(spaceFolder(backup, name));
      if (!existsSync(layout.root)) continue;
      const from = new FolderSpace({ layout, env: team.env, isolated: true });
      const to = team.open(name);
      try {
        await copySpace(from, to, listRuns(layout.runs).sort(), await newRemovals(from, to), report);
      } finally {
        await to.close();
        await from.close();
      }
    }
    // Last: with tokens it is a collector's.
    await copyRegistry(registry, team.registry);
  } finally {
    await registry.close();
  }
  return report;
}

type Removals = Record<(typeof KINDS)[number], string[]>;
const KINDS = ['applied', 'announced'] as const;

/** Writers of journals of removals that the other one lacks, has shorter, or has in another way. */
async function newRemovals(from: TeamSpace | FolderSpace, to: TeamSpace | FolderSpace): Promise<Removals> {
  const lacking = async (kind: (typeof KINDS)[number]) => {
    const there = await removalJournals(to, kind);
    return [...(await removalJournals(from, kind))]
      .filter(([writer, length]) => (there.get(writer) ?? 0) < length)
      .map(([writer]) => writer);
  };
  return { applied: await lacking('applied'), announced: await lacking('announced') };
}

async function removalJournals(
  space: TeamSpace | FolderSpace,
  kind: (typeof KINDS)[number],
): Promise<Map<string, number>> {
  if (space instanceof TeamSpace) return space.removalJournals(kind);
  const own = [...(space.journals.project(kind)?.journals ?? [])].filter(([, { facts }]) => facts.travels);
  return new Map(own.map(([writer, { facts }]) => [writer, facts.length]));
}

async function copyRegistry(from: Registry, to: Registry): Promise<void> {
  for (const { name, quota } of await from.listSpaces()) {
    await to.addSpace(name);
    await to.setQuota(name, quota);
  }
  for (const token of await from.listTokens()) {
    await to.addToken(token);
    if (token.revokedAt !== null) await to.revokeToken(token.id, token.revokedAt);
  }
}

/** Runs first: what was removed is taken by nobody once that is told. */
async function copySpace(
  from: Space,
  to: Space,
  runs: readonly string[],
  removals: Removals,
  report: TeamBackupReport,
): Promise<void> {
  const reports = [await transfer({ from, to, runs })];
  reports.push(await transfer({ from, to, runs: [], project: removals.applied, apply: true }));
  reports.push(await transfer({ from, to, runs: [], project: removals.announced }));
  // Those that had been removed in an earlier backup, and were restored since.
  const refused = reports.flatMap(({ problems }) => problems).filter(isRemoved);
  const again = new Set(refused.flatMap(({ run }) => run ?? []));
  if (again.size > 0) reports.push(await transfer({ from, to, runs: [...again] }));
  const [problem] = reports.flatMap(({ problems }) => problems).filter((each) => !isRemoved(each));
  if (problem !== undefined) {
    throw new WaddleError(
      'backup-incomplete',
      `${problem.what} of ${problem.run ?? 'the project'} could not be copied: ${problem.message}`,
      'What could be was. Try again; if it stays so, look at that run in the collector.',
    );
  }
  report.spaces += 1;
  report.runs += runs.length;
  report.bytes += reports.reduce((sum, each) => sum + bytesOf(each), 0);
}

function isRemoved({ code }: TransferProblem): boolean {
  return code === 'run-removed';
}

function bytesOf({ journals, blobs, trees }: TransferReport): number {
  return journals.bytes + blobs.bytes + trees.bytes;
}
