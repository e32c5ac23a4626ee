import { appendFileSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Command } from 'commander';
import { CONFIG_FILE } from '../../config/config.ts';
import { WaddleError } from '../../errors/waddle-error.ts';
import { layoutOf } from '../../journal/layout.ts';
import { ensureProjectFolder } from '../../journal/project-folder.ts';
import type { Context } from '../context.ts';
import { targetFolder } from '../context.ts';

const IGNORE_RULE = '.waddle/';

export function define(command: Command, context: Context): void {
  command
    .description('Writes waddle.json, makes .waddle/ and adds it to .gitignore.')
    .option('--force', 'write waddle.json anew even where there is one')
    .action((options: { force?: boolean }) => init(context, options.force === true));
}

function init(context: Context, force: boolean): void {
  const folder = targetFolder(context);
  const path = join(folder, CONFIG_FILE);
  const exists = existsSync(path);
  if (exists && !force) {
    // Everything else is done again all the same: init is how a clone gets its .waddle/.
    ensureProjectFolder(layoutOf(folder));
    addIgnoreRule(folder);
    throw new WaddleError(
      'config-exists',
      `${path} is there already`,
      'To write it anew: waddle init --force',
    );
  }
  writeFileSync(path, `${JSON.stringify({ remote: { url: '', token: '' } }, null, 2)}\n`);
  ensureProjectFolder(layoutOf(folder));
  addIgnoreRule(folder);
  context.say(`Ready: ${path}\nNow run something: waddle run -- python train.py\n`);
}

/** Adds the rule once, whatever form of it is there already, and on a line of its own. */
function addIgnoreRule(folder: string): void {
  const path = join(folder, '.gitignore');
  const text = existsSync(path) ? readFileSync(path, 'utf8') : '';
  const rules = text.split(/\r?\n/).map((line) => line.trim());
  if (rules.some((rule) => ['.waddle', '.waddle/', '/.waddle', '/.waddle/'].includes(rule))) return;
  appendFileSync(path, `${text === '' || text.endsWith('\n') ? '' : '\n'}${IGNORE_RULE}\n`);
}
