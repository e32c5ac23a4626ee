import { join, resolve } from 'node:path';
import type { Command } from 'commander';
import { openObjects } from '../../blobs/objects-place.ts';
import { type BackupReport, backupCollector, restoreCollector } from '../../collector/backup.ts';
import { openFileRegistry } from '../../collector/file-registry.ts';
import { REGISTRY_FILE } from '../../collector/folder-backend.ts';
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

interface GcFlags {
  database?: string;
  blobs?: string;
  loose?: number;
  unfinished?: number;
  removed?: number;
  dryRun?: boolean;
  json?: boolean;
}

interface QuotaFlags {
  space: string;
  maxBytes?: number;
  maxSamples?: number;
  none?: boolean;
  json?: boolean;
}

/** New objects are not looked at twice for an hour. */
const LEAST_LOOSE_S = 2 * 3600;

export function define(command: Command, context: Context): void {
  command.description('Looks after a collector’s folder (--dir): waddle serve --collector made it.');
  command
    .command('backup')
    .description('Copies it, while it runs too; into an earlier backup, only what is new.')
    .argument('<folder>', 'where to: an empty folder, or an earlier backup')
    .option('--json', 'print JSON')
    .action((target: string, flags: { json?: boolean }) => {
      const report = backupCollector(knownCollector(context), resolve(context.cwd, target));
      tell(context, report, flags.json === true, `backed up into ${inert(resolve(context.cwd, target))}`);
    });
  command
    .command('restore')
    .description('Makes the folder of a backup; it must not be there yet.')
    .argument('<folder>', 'the backup')
    .option('--json', 'print JSON')
    .action(async (backup: string, flags: { json?: boolean }) => {
      const folder = collectorFolder(context);
      const report = await restoreCollector(resolve(context.cwd, backup), folder);
      tell(context, report, flags.json === true, `restored in ${inert(folder)}`);
    });
  command
    .command('quota')
    .description('Says what a space may hold, or shows it.')
    .option('--space <name>', 'the space', 'default')
    .option('--max-bytes <n>', 'bytes, such as 500G', readBytes)
    .option('--max-samples <n>', 'samples of metrics, such as 1G', readCount)
    .option('--none', 'no limit')
    .option('--json', 'print JSON')
    .action((flags: QuotaFlags) => quota(context, flags));
  command
    .command('gc')
    .description('Collects the garbage of collectors over PostgreSQL, which do so once a day by themselves.')
    .option('--database <url>', 'their PostgreSQL (default: WADDLE_DATABASE)')
    .option('--blobs <place>', 'where they keep what is large (default: WADDLE_BLOBS)')
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
  const registry = openFileRegistry(join(knownCollector(context), REGISTRY_FILE));
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
