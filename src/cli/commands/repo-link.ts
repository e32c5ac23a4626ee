import { realpathSync } from 'node:fs';
import { resolve } from 'node:path';
import type { Command } from 'commander';
import { WaddleError } from '../../errors/waddle-error.ts';
import { inspectRepository } from '../../git/repository.ts';
import type { Context } from '../context.ts';
import { setLink } from '../edits.ts';
import { example } from '../help.ts';
import { inert } from '../inert.ts';
import { printJson } from '../json.ts';
import { type Link, listLinks, type Opened, withNewStore, withStore } from '../opened-store.ts';
import { painter } from '../paint.ts';
import { renderTable } from '../table.ts';

interface Options {
  name?: string;
  path?: string;
  list?: boolean;
  remove?: string;
  json?: boolean;
}

export function define(command: Command, context: Context): void {
  command
    .description('Registers a git repository under a name, for waddle run --repo NAME.')
    .option('--name <name>', 'the name; linking it again updates its path')
    .option('--path <dir>', 'the top folder of the repository')
    .option('--list', 'list the repositories that are linked')
    .option('--remove <name>', 'forget a name; runs and the repository stay')
    .option('--json', 'with --list: print JSON')
    .action((options: Options) => repoLink(context, options));
  example(command, 'waddle repo-link --name main --path .', 'waddle repo-link --list');
}

async function repoLink(context: Context, options: Options): Promise<void> {
  if (options.list === true) return list(context, options.json === true);
  if (options.remove !== undefined) return unlink(context, options.remove);
  const { name, path } = options;
  if (name === undefined || path === undefined || name.trim() === '' || /\p{Cc}/u.test(name)) {
    throw new WaddleError(
      'usage',
      'repo-link needs a name and a path',
      'Write: waddle repo-link --name main --path DIR',
      { exitCode: 2 },
    );
  }
  const top = await repositoryTop(context, path, name);
  await withNewStore(context, async (opened) => {
    const before = listLinks(opened).find((link) => link.name === name);
    if (before?.path === top) {
      context.say(`${inert(name)} is ${inert(top)} already\n`);
      return;
    }
    await setLink(opened, name, top);
    context.say(`${inert(name)} is ${inert(top)}${before ? `; it was ${inert(before.path)}` : ''}\n`);
  });
}

/** @throws WaddleError where the path is not the top of a repository that git can read */
async function repositoryTop(context: Context, path: string, name: string): Promise<string> {
  const folder = resolve(context.cwd, path);
  let real: string;
  try {
    real = realpathSync(folder);
  } catch (error) {
    throw new WaddleError(
      'no-such-folder',
      `there is no folder ${folder}`,
      'Name the top folder of a repository.',
      {
        cause: error,
      },
    );
  }
  const found = await inspectRepository({ cwd: real, env: context.env });
  if (found.kind !== 'repository') {
    throw new WaddleError('not-a-repository', found.message, `${found.hint}; then link it again`);
  }
  if (realpathSync(found.top) !== real) {
    throw new WaddleError(
      'not-a-repository',
      `${folder} is no repository, but a folder inside ${found.top}`,
      `To link that one: waddle repo-link --name ${name} --path ${found.top}`,
    );
  }
  return real;
}

async function list(context: Context, json: boolean): Promise<void> {
  let links: Link[] = [];
  await withStore(context, (opened: Opened) => {
    links = listLinks(opened);
  });
  if (json) printJson(context, links);
  else if (links.length === 0) context.say('No repositories are linked yet.\n');
  else {
    const rows = links.map((link) => [link.name, link.path]);
    const width = context.terminal ? context.columns : undefined;
    const columns = [{ title: 'NAME' }, { title: 'PATH' }];
    context.out(renderTable(columns, rows, { width, paint: painter(context) }));
  }
}

async function unlink(context: Context, name: string): Promise<void> {
  const done = await withStore(context, async (opened) => {
    if (!listLinks(opened).some((link) => link.name === name)) return false;
    await setLink(opened, name, null);
    return true;
  });
  if (done !== true) {
    throw new WaddleError(
      'no-such-link',
      `no repository is linked as "${name}"`,
      'See: waddle repo-link --list',
    );
  }
  context.say(`${inert(name)} is forgotten\n`);
}
