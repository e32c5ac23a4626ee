import { join, resolve } from 'node:path';
import type { Command } from 'commander';
import { type BackupReport, backupCollector, restoreCollector } from '../../collector/backup.ts';
import { openFileRegistry } from '../../collector/file-registry.ts';
import { REGISTRY_FILE } from '../../collector/folder-backend.ts';
import { WaddleError } from '../../errors/waddle-error.ts';
import { readBytes, readCount } from '../amounts.ts';
import { collectorFolder, knownCollector } from '../collector-folder.ts';
import type { Context } from '../context.ts';
import { count, formatBytes } from '../format-number.ts';
import { example } from '../help.ts';
import { inert } from '../inert.ts';
import { printJson } from '../json.ts';

interface QuotaFlags {
  space: string;
  maxBytes?: number;
  maxSamples?: number;
  none?: boolean;
  json?: boolean;
}

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
