import { spawnSync } from 'node:child_process';
import { appendFileSync, existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Command } from 'commander';
import { CONFIG_FILE } from '../../config/config.ts';
import { isSystemError, WaddleError } from '../../errors/waddle-error.ts';
import { layoutOf } from '../../journal/layout.ts';
import { ensureProjectFolder } from '../../journal/project-folder.ts';
import type { Context } from '../context.ts';
import { targetFolder } from '../context.ts';
import { example } from '../help.ts';
import { inert } from '../inert.ts';

const IGNORE_RULE = '.waddle/';

export function define(command: Command, context: Context): void {
  command
    .description('Writes waddle.json, makes .waddle/ and adds it to .gitignore.')
    .option('--force', 'write waddle.json anew even where there is one')
    .action((options: { force?: boolean }) => init(context, options.force === true));
  example(command, 'waddle init');
}

function init(context: Context, force: boolean): void {
  const folder = targetFolder(context);
  const path = join(folder, CONFIG_FILE);
  let written: boolean;
  try {
    written = writeConfig(path, force);
    // Also where waddle.json was there already: init is how a clone gets its .waddle/.
    ensureProjectFolder(layoutOf(folder));
    addIgnoreRule(folder);
  } catch (error) {
    if (!(error instanceof Error) || !('code' in error)) throw error;
    throw new WaddleError(
      'not-writable',
      `${inert(folder)} cannot be made a project folder: ${error.message}`,
      'Check its permissions, or name another folder: waddle init --dir PATH',
      { cause: error },
    );
  }
  if (!written) {
    throw new WaddleError(
      'config-exists',
      `${inert(path)} is there already, and stays as it is`,
      'To write it anew: waddle init --force',
    );
  }
  context.say(`Ready: ${inert(path)}\nNow run something: waddle run -- python train.py\n`);
}

/** Writes the first waddle.json; false where there is one and it stays. */
function writeConfig(path: string, force: boolean): boolean {
  const text = `${JSON.stringify({ remote: { url: '', token: '' } }, null, 2)}\n`;
  try {
    writeFileSync(path, text, { flag: force ? 'w' : 'wx' });
    return true;
  } catch (error) {
    if (isSystemError(error, 'EEXIST')) return false;
    throw error;
  }
}

/** Adds the rule once, whatever form of it is there already, and on a line of its own. */
function addIgnoreRule(folder: string): void {
  const path = join(folder, '.gitignore');
  const text = existsSync(path) ? readFileSync(path, 'utf8') : '';
  const rules = text.split(/\r?\n/).map((line) => line.trim());
  if (rules.some((rule) => ['.waddle', '.waddle/', '/.waddle', '/.waddle/'].includes(rule))) return;
  const end = text.includes('\r\n') ? '\r\n' : '\n';
  appendFileSync(path, `${text === '' || text.endsWith('\n') ? '' : end}${IGNORE_RULE}${end}`);
}

/**
 * For `purge`: takes the rule out again, and the file with it where nothing else was in it and git does not track it. Tells
 * whether there was a rule. Where git knows the file without a newline at its end, it gets back the bytes that git knows.
 */
export function removeIgnoreRule(context: Context, folder: string, options: { dryRun: boolean }): boolean {
  const path = join(folder, '.gitignore');
  const text = existsSync(path) ? readFileSync(path, 'utf8') : '';
  const rest = text.replace(/^\.waddle\/\r?\n/m, '');
  if (rest === text) return false;
  if (options.dryRun) return true;
  const env = { ...context.env, GIT_OPTIONAL_LOCKS: '0' };
  const known = spawnSync('git', ['show', ':./.gitignore'], { cwd: folder, env, encoding: 'utf8' });
  const bare = rest.replace(/\r?\n$/, '');
  if (known.status === 0 && known.stdout === bare) writeFileSync(path, bare);
  else if (rest === '' && known.status !== 0) rmSync(path);
  else writeFileSync(path, rest);
  return true;
}
