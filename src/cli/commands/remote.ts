import type { Command } from 'commander';
import { type Context, openProject } from '../context.ts';
import { count } from '../format-number.ts';
import { inert } from '../inert.ts';
import { printJson } from '../json.ts';
import { addRemote, chooseRemote, listRemotes, openRemote, removeRemote, showAddress } from '../remotes.ts';

interface Options {
  token?: string;
  force?: boolean;
  json?: boolean;
}

const ACTIONS = 'add NAME URL, ls, rm NAME, test [NAME]';

export function define(command: Command, context: Context): void {
  command
    .description('The places that push and pull talk to: a collector, or a shared folder (file:///…).')
    .argument('<action>', ACTIONS)
    .argument('[name]', 'of the remote')
    .argument('[url]', 'its address')
    .option('--token <token>', 'for add: the access token, or "${NAME}": read from the environment')
    .option('--force', 'for add: in the place of one of that name')
    .option('--json', 'print JSON')
    .action((action: string, name: string | undefined, url: string | undefined, options: Options) =>
      remote(context, action, name, url, options),
    );
}

async function remote(
  context: Context,
  action: string,
  name: string | undefined,
  url: string | undefined,
  options: Options,
): Promise<void> {
  const project = await openProject(context);
  if (action === 'ls') {
    const remotes = listRemotes(project).map(({ name: each, url: address, token, source }) => {
      return { name: each, url: showAddress(address), token: token !== '', source };
    });
    if (options.json === true) printJson(context, remotes);
    else if (remotes.length === 0)
      context.say('No remotes yet. Name one: waddle remote add origin https://…\n');
    else for (const each of remotes) context.out(`${inert(each.name)}\t${each.url}\n`);
  } else if (action === 'add' && name !== undefined && url !== undefined) {
    addRemote(project, { name, url, token: options.token ?? '' }, options.force === true);
    context.say(
      `${inert(name)} is ${showAddress(url)}; to see whether it answers: waddle remote test ${inert(name)}\n`,
    );
  } else if (action === 'rm' && name !== undefined) {
    removeRemote(project, name);
    context.say(`${inert(name)} is forgotten; what it has stays there\n`);
  } else if (action === 'test') {
    await test(context, name, options);
  } else {
    const { WaddleError } = await import('../../errors/waddle-error.ts');
    const lacking = action === 'add' ? 'a name and an address' : action === 'rm' ? 'a name' : null;
    throw new WaddleError(
      'usage',
      lacking === null
        ? `waddle remote does no "${inert(action)}"`
        : `waddle remote ${action} needs ${lacking}`,
      lacking === null
        ? `It does: ${ACTIONS}`
        : action === 'add'
          ? 'Such as: waddle remote add team https://waddle.example.com'
          : 'waddle remote ls has them.',
      {
        exitCode: 2,
      },
    );
  }
}

async function test(context: Context, name: string | undefined, options: Options): Promise<void> {
  const project = await openProject(context);
  const chosen = chooseRemote(context, project, name);
  const began = performance.now();
  const space = await openRemote(context, project, chosen);
  try {
    const { runs, next } = await space.list({ limit: 1000 });
    const ms = Math.round(performance.now() - began);
    const hello = 'hello' in space ? (space.hello as { space?: string; version?: string }) : {};
    if (options.json === true) {
      const { name: each, url } = chosen;
      printJson(context, {
        name: each,
        url: showAddress(url),
        ms,
        space: hello.space ?? null,
        version: hello.version ?? null,
      });
    }
    const where = hello.space === undefined ? '' : `, space ${inert(hello.space)}`;
    const many = `${count(runs.length, 'run')}${next === null ? '' : ' or more'}`;
    context.say(`${inert(chosen.name)} (${showAddress(chosen.url)}${where}) answers in ${ms} ms: ${many}\n`);
  } finally {
    await space.close();
  }
}
