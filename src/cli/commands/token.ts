import { type Command, Option } from 'commander';
import type { Scope } from '../../collector/registry.ts';
import type { DescribedToken } from '../../collector/token-routes.ts';
import { readBytes, readCount, readSpan } from '../amounts.ts';
import type { Context } from '../context.ts';
import { formatAge, formatTime } from '../format-time.ts';
import { example } from '../help.ts';
import { inert } from '../inert.ts';
import { printJson } from '../json.ts';
import { painter } from '../paint.ts';
import { renderTable } from '../table.ts';
import { type Desk, openDesk } from '../token-desk.ts';

interface Flags {
  url?: string;
  database?: string;
  json?: boolean;
}

interface CreateFlags extends Flags {
  space?: string;
  project?: string;
  scope: Scope;
  expires?: number;
  name?: string;
  maxBytes?: number;
  maxSamples?: number;
}

export function define(command: Command, context: Context): void {
  command.description(
    'Tokens of a collector: who may read, write or administer which space. Of a collector in a folder here (--dir), or of one that runs (--url, with an admin token in WADDLE_TOKEN).',
  );
  const sub = (name: string, description: string) =>
    command
      .command(name)
      .description(description)
      .option('--url <url>', 'the collector that runs there')
      .option('--database <url>', 'the collectors over this PostgreSQL (default: WADDLE_DATABASE)')
      .option('--json', 'print JSON');

  sub('create', 'Makes a token and prints it, this once.')
    .option('--space <name>', 'what it opens; made where it is not there (default: default)')
    .option('--project <name>', 'only this project of the space')
    .addOption(
      new Option('--scope <scope>', 'what it may do').choices(['read', 'write', 'admin']).default('write'),
    )
    .option(
      '--expires <span>',
      'how long it is good for, such as 30d (default: until it is revoked)',
      readSpan,
    )
    .option('--name <text>', 'what it is for')
    .option('--max-bytes <n>', 'what its project may hold, such as 10G', readBytes)
    .option('--max-samples <n>', 'what its project may hold, such as 100M', readCount)
    .action((flags: CreateFlags) => atDesk(context, flags, (desk) => create(context, desk, flags)));
  sub('ls', 'Lists the tokens, and when each was last used.')
    .option('--space <name>', 'only those of this space')
    .action((flags: Flags & { space?: string }) =>
      atDesk(context, flags, (desk) => list(context, desk, flags)),
    );
  sub('revoke', 'Ends a token at once, in running collectors too.')
    .argument('<id>', 'as ls shows it')
    .action((id: string, flags: Flags) => atDesk(context, flags, (desk) => revoke(context, desk, id, flags)));
  example(
    command,
    'waddle token create --dir /srv/waddle --space vision --expires 90d',
    'WADDLE_TOKEN=… waddle token ls --url https://waddle.example.com',
    'waddle token revoke --dir /srv/waddle odcfxisnoz',
  );
}

async function atDesk(context: Context, flags: Flags, work: (desk: Desk) => Promise<void>): Promise<void> {
  const desk = await openDesk(context, flags.url, flags.database);
  try {
    await work(desk);
  } finally {
    await desk.close();
  }
}

async function create(context: Context, desk: Desk, flags: CreateFlags): Promise<void> {
  const { space, project, scope, expires, name, maxBytes, maxSamples } = flags;
  const made = await desk.create({ space, project, scope, expires, name, maxBytes, maxSamples });
  if (flags.json === true) {
    printJson(context, made);
    return;
  }
  context.out(`${made.token}\n`);
  const { record } = made;
  const until = record.expires_at === null ? '' : `, until ${formatTime(record.expires_at)}`;
  context.say(`Told this once: a token of scope ${record.scope} for ${placeOf(record)}${until}.\n`);
}

function placeOf({ space, project }: DescribedToken): string {
  return project === null
    ? `the space ${inert(space)}`
    : `the project ${inert(project)} of the space ${inert(space)}`;
}

async function list(context: Context, desk: Desk, flags: Flags & { space?: string }): Promise<void> {
  const tokens = await desk.list(flags.space);
  if (flags.json === true) {
    printJson(context, tokens);
    return;
  }
  const now = context.now() / 1000;
  const rows = tokens.map((token) => [
    token.id,
    token.name ?? '',
    token.space,
    token.project ?? '*',
    token.scope,
    stateOf(token, now),
    token.last_used_at === null ? 'never' : `${formatAge(now - token.last_used_at)} ago`,
  ]);
  const titles = ['id', 'name', 'space', 'project', 'scope', 'state', 'used'];
  context.out(
    renderTable(
      titles.map((title) => (title === 'name' ? { title, min: 8 } : { title })),
      rows,
      { width: context.terminal ? context.columns : undefined, paint: painter(context) },
    ),
  );
}

function stateOf({ revoked_at: revoked, expires_at: expires }: DescribedToken, now: number): string {
  if (revoked !== null) return 'revoked';
  if (expires === null) return 'good';
  return expires <= now ? 'expired' : `good until ${formatTime(expires)}`;
}

async function revoke(context: Context, desk: Desk, id: string, flags: Flags): Promise<void> {
  const token = await desk.revoke(id);
  if (flags.json === true) printJson(context, token);
  else context.say(`The token ${token.id} opens nothing any more.\n`);
}
