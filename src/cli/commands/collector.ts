import { resolve } from 'node:path';
import type { Command } from 'commander';
import { openObjects } from '../../blobs/objects-place.ts';
import { type BackupReport, backupCollector, restoreCollector } from '../../collector/backup.ts';
import type { TeamBackupReport } from '../../collector/team-backup.ts';
import type { TeamSpaces } from '../../collector/team-spaces.ts';
import { WaddleError } from '../../errors/waddle-error.ts';
import type { Garbage } from '../../postgres/collect-garbage.ts';
import { readBytes, readCount, readSpan } from '../amounts.ts';
import { collectorFolder, knownCollector } from '../collector-folder.ts';
import { teamOf } from '../collector-place.ts';
import type { Context } from '../context.ts';
import { count, formatBytes } from '../format-number.ts';
import { example } from '../help.ts';
import { inert } from '../inert.ts';
import { printJson } from '../json.ts';
import { openRegistry } from '../token-desk.ts';

interface PlaceFlags {
  database?: string;
  blobs?: string;
  json?: boolean;
}

interface GcFlags extends PlaceFlags {
  loose?: number;
  unfinished?: number;
  removed?: number;
  dryRun?: boolean;
}

interface QuotaFlags {
  database?: string;
  space: string;
  maxBytes?: number;
  maxSamples?: number;
  none?: boolean;
  json?: boolean;
}

/** New objects are not looked at twice for an hour. */
const LEAST_LOOSE_S = 2 * 3600;

export function define(command: Command, context: Context): void {
  command.description('Looks after a collector: its folder (--dir), or its PostgreSQL and S3.');
  placed(
    command
      .command('backup')
      .description('Copies it, while it runs too; into an earlier backup, only what is new.')
      .argument('<folder>', 'where to: an empty folder, or an earlier backup'),
  )
    .option('--json', 'print JSON')
    .action((target: string, flags: PlaceFlags) => backup(context, resolve(context.cwd, target), flags));
  placed(
    command
      .command('restore')
      .description('Makes a collector’s folder of a backup, or a database: there must be nothing yet.')
      .argument('<folder>', 'the backup'),
  )
    .option('--json', 'print JSON')
    .action((from: string, flags: PlaceFlags) => restore(context, resolve(context.cwd, from), flags));
  command
    .command('quota')
    .description('Says what a space may hold, or shows it.')
    .option('--database <url>', 'of collectors over this PostgreSQL (default: WADDLE_DATABASE)')
    .option('--space <name>', 'the space', 'default')
    .option('--max-bytes <n>', 'bytes, such as 500G', readBytes)
    .option('--max-samples <n>', 'samples of metrics, such as 1G', readCount)
    .option('--none', 'no limit')
    .option('--json', 'print JSON')
    .action((flags: QuotaFlags) => quota(context, flags));
  placed(
    command
      .command('gc')
      .description(
        'Collects the garbage of collectors over PostgreSQL, which do so once a day by themselves.',
      ),
  )
    .option('--loose <span>', 'what nobody refers to goes after this time (default: 1d)', readSpan)
    .option(
      '--unfinished <span>',
      'uploads that nobody goes on with, after this time (default: 7d)',
      readSpan,
    )
    .option('--removed <span>', 'removed runs, after this time (default: 30d)', readSpan)
    .option('--dry-run', 'only say what would go')
    .option('--json', 'print JSON')
    .action((flags: GcFlags) => gc(context, flags));
  example(
    command,
    'waddle collector backup --dir /srv/waddle /backups/waddle',
    'waddle collector restore --dir /srv/waddle-2 /backups/waddle',
    'waddle collector quota --dir /srv/waddle --space vision --max-bytes 500G',
  );
}

function placed(command: Command): Command {
  return command
    .option('--database <url>', 'of collectors over this PostgreSQL (default: WADDLE_DATABASE)')
    .option('--blobs <place>', 'where they keep what is large (default: WADDLE_BLOBS)');
}

async function backup(context: Context, target: string, flags: PlaceFlags): Promise<void> {
  const what = `backed up into ${inert(target)}`;
  if (await overTeam(context, flags, what, async (team, { backupTeam }) => backupTeam(team, target))) return;
  tell(context, backupCollector(knownCollector(context), target), flags.json === true, what);
}

async function restore(context: Context, from: string, flags: PlaceFlags): Promise<void> {
  if (await overTeam(context, flags, 'restored', (team, { restoreTeam }) => restoreTeam(from, team))) return;
  const folder = collectorFolder(context);
  tell(context, await restoreCollector(from, folder), flags.json === true, `restored in ${inert(folder)}`);
}

/** False where the collector is a folder's. */
async function overTeam(
  context: Context,
  flags: PlaceFlags,
  what: string,
  work: (
    team: TeamSpaces,
    parts: typeof import('../../collector/team-backup.ts'),
  ) => Promise<TeamBackupReport>,
): Promise<boolean> {
  const place = await teamOf(context, flags);
  if (place === null) return false;
  const { openTeamSpaces } = await import('../../collector/team-spaces.ts');
  const team = await openTeamSpaces(place.database, place.objects, context.env);
  try {
    const report = await work(team, await import('../../collector/team-backup.ts'));
    if (flags.json === true) printJson(context, report);
    else {
      const { spaces, runs, bytes } = report;
      context.say(
        `${count(spaces, 'space')} ${what}: ${count(runs, 'run')} (${formatBytes(bytes)} were new)\n`,
      );
    }
    return true;
  } finally {
    await team.close();
  }
}

function tell(context: Context, report: BackupReport, json: boolean, what: string): void {
  if (json) {
    printJson(context, report);
    return;
  }
  const { spaces, files, kept, bytes } = report;
  const had = kept === 0 ? '' : `, ${kept} were there`;
  context.say(`${count(spaces, 'space')} ${what}: ${count(files, 'file')} (${formatBytes(bytes)})${had}\n`);
}

async function gc(context: Context, flags: GcFlags): Promise<void> {
  const team = await teamOf(context, flags);
  if (team === null) {
    throw new WaddleError(
      'database-missing',
      'garbage is collected of collectors over PostgreSQL',
      'Name theirs: --database postgres://… --blobs s3://…',
      { exitCode: 2 },
    );
  }
  const { openDatabase } = await import('../../postgres/database.ts');
  const { collectGarbage, USUAL_AGES } = await import('../../postgres/collect-garbage.ts');
  const { loose, unfinished, removed } = { ...USUAL_AGES, ...flags };
  if (loose < LEAST_LOOSE_S) {
    throw new WaddleError(
      'loose-too-young',
      'what came within the last two hours may be part of an upload that is going on',
      'Give --loose 2h or more.',
      { exitCode: 2 },
    );
  }
  const dry = flags.dryRun === true;
  const objects = await openObjects(team.objects);
  const database = await openDatabase(team.database, { connections: 4 });
  try {
    const garbage = await collectGarbage(database, objects, { loose, unfinished, removed }, dry);
    if (flags.json === true) printJson(context, { dry_run: dry, ...garbage });
    else context.out(describeGarbage(garbage, dry));
  } finally {
    await database.close();
    await objects.close?.();
  }
}

function describeGarbage({ runs, blobs, trees, uploads, objects, bytes }: Garbage, dry: boolean): string {
  const parts = [
    runs.length > 0 ? count(runs.length, 'removed run') : '',
    blobs > 0 ? count(blobs, 'artifact') : '',
    trees > 0 ? count(trees, 'snapshot') : '',
    uploads > 0 ? count(uploads, 'unfinished upload') : '',
    objects > 0 ? count(objects, 'object') : '',
  ].filter((part) => part !== '');
  if (parts.length === 0) return 'Nothing to collect.\n';
  return `${dry ? 'Would free' : 'Freed'} ${formatBytes(bytes)}: ${parts.join(', ')}.\n`;
}

async function quota(context: Context, flags: QuotaFlags): Promise<void> {
  const registry = await openRegistry(context, flags.database);
  try {
    const space = await registry.findSpace(flags.space);
    if (space === null) {
      const names = (await registry.listSpaces()).map(({ name }) => name).join(', ');
      throw new WaddleError(
        'space-not-found',
        `there is no space ${inert(flags.space)}`,
        `There are: ${names}`,
      );
    }
    const quota = flags.none === true ? { bytes: null, samples: null } : { ...space.quota };
    if (flags.maxBytes !== undefined) quota.bytes = flags.maxBytes;
    if (flags.maxSamples !== undefined) quota.samples = flags.maxSamples;
    await registry.setQuota(space.name, quota);
    if (flags.json === true) printJson(context, { space: space.name, ...quota });
    else {
      const bytes = quota.bytes === null ? 'any number of bytes' : formatBytes(quota.bytes);
      const samples = quota.samples === null ? 'any number of samples' : `${quota.samples} samples`;
      context.say(`The space ${inert(space.name)} may hold ${bytes} and ${samples}.\n`);
    }
  } finally {
    await registry.close();
  }
}
