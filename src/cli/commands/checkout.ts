import { dirname, join, relative, resolve } from 'node:path';
import type { Command } from 'commander';
import { WaddleError } from '../../errors/waddle-error.ts';
import { type MadeBranch, makeBranch } from '../../git/branch.ts';
import { checkoutCode } from '../../git/checkout.ts';
import { findRepository } from '../../git/repository.ts';
import type { LeftOut } from '../../git/snapshot-record.ts';
import type { Context } from '../context.ts';
import { count, formatBytes } from '../format-number.ts';
import { example, RUN_HELP } from '../help.ts';
import { inert } from '../inert.ts';
import { printJson } from '../json.ts';
import { fillNewFolder } from '../new-folder.ts';
import { type Opened, withRuns } from '../opened-store.ts';
import { lackingFiles, type RecordedRun, recordedRun } from '../recorded-run.ts';

interface Options {
  intoBranch?: string;
  json?: boolean;
}

/** Paths of what is lacking that are named at most. */
const NAMED = 20;

export function define(command: Command, context: Context): void {
  command
    .description(
      "Brings a run's recorded code back, byte for byte, in a new folder that git works in. Nothing of yours is touched.",
    )
    .argument('<run>', RUN_HELP)
    .argument('[dir]', 'a new or empty folder (default: NAME-ID beside your repository)')
    .option('--into-branch <name>', 'make a branch at the recorded commit instead of a folder')
    .option('--json', 'print JSON')
    .action((run: string, dir: string | undefined, options: Options) => checkout(context, run, dir, options));
  example(command, 'waddle checkout @last', 'waddle checkout baseline --into-branch baseline');
}

/** What `--json` prints. */
interface Result {
  id: string;
  folder: string | null;
  branch: string | null;
  /** What HEAD of the folder names, or the branch. */
  commit: string;
  /** Whether that is the commit that the run recorded. */
  recorded: boolean;
  left_out: LeftOut[];
  warnings: { code: string; message: string; hint: string }[];
}

async function checkout(
  context: Context,
  text: string,
  dir: string | undefined,
  options: Options,
): Promise<void> {
  await withRuns(context, [text], async (opened, [found]) => {
    const recorded = await recordedRun(opened, found.id);
    const result: Result = {
      id: found.id,
      folder: null,
      branch: null,
      commit: '',
      recorded: true,
      left_out: lackingFiles(recorded.snapshot, recorded.code),
      warnings: [],
    };
    if (options.intoBranch !== undefined) await intoBranch(opened, recorded, options.intoBranch, result);
    if (options.intoBranch === undefined || dir !== undefined)
      await intoFolder(opened, recorded, dir, result);
    if (options.json === true) printJson(context, result);
    else report(context, result, recorded);
  });
}

async function intoBranch(
  opened: Opened,
  recorded: RecordedRun,
  name: string,
  result: Result,
): Promise<void> {
  const { env } = opened.context;
  const { snapshot, code } = recorded;
  const places = [snapshot.repository, opened.context.cwd, opened.layout.project];
  let made: MadeBranch | undefined;
  for (const cwd of places) {
    if (cwd === null) continue;
    const repository = await findRepository({ cwd, env });
    if (repository.kind !== 'repository') continue;
    made = await makeBranch({ code, name, gitDir: repository.commonDir, env });
    break;
  }
  if (made === undefined) {
    throw new WaddleError(
      'no-repository',
      'there is no repository here that a branch could be made in',
      'Without --into-branch, waddle checkout brings the code into a folder.',
    );
  }
  result.branch = name;
  result.commit = made.commit;
  result.recorded = made.recorded;
}

async function intoFolder(
  opened: Opened,
  { run, code }: RecordedRun,
  dir: string | undefined,
  result: Result,
): Promise<void> {
  const { context } = opened;
  const folder =
    dir === undefined ? await defaultFolder(opened, run.name, run.id) : resolve(context.cwd, dir);
  const { head, warnings } = await fillNewFolder(folder, (into) =>
    checkoutCode({ code, into, env: context.env }),
  );
  result.folder = folder;
  result.commit = head.commit;
  result.recorded = head.recorded;
  result.warnings = warnings;
}

/** Beside the repository: in it, git would see the folder, and the next snapshot would hold it. */
async function defaultFolder(opened: Opened, name: string, id: string): Promise<string> {
  const { cwd, env } = opened.context;
  const found = await findRepository({ cwd, env });
  const { project } = opened.layout;
  const inside = !relative(project, cwd).startsWith('..');
  const top = found.kind === 'repository' ? found.top : inside ? project : null;
  const word = name
    .replace(new RegExp(`-${id.slice(0, 4)}$`), '')
    .replaceAll(/[^\p{L}\p{N}._-]+/gu, '-')
    .replaceAll(/^[.-]+|[.-]+$/g, '')
    .slice(0, 60);
  return join(top === null ? cwd : dirname(top), word === '' ? id : `${word}-${id}`);
}

function report(context: Context, result: Result, { code }: RecordedRun): void {
  const commit = result.commit.slice(0, 10);
  if (result.branch !== null) context.say(`Branch ${inert(result.branch)} is at ${commit}.\n`);
  if (result.folder !== null) {
    context.out(`${inert(result.folder)}\n`);
    context.say(`The code of run ${result.id} is there, at commit ${commit}.\n`);
  }
  if (!result.recorded) {
    const why =
      code.commit === null
        ? 'there was no commit yet'
        : `commit ${code.commit.slice(0, 10)} or its parent is gone`;
    context.say(`Its history is not there (${why}); the files are the recorded ones.\n`);
  }
  for (const { message, hint } of result.warnings)
    context.warn(`waddle: ${inert(message)} (${inert(hint)})\n`);
  if (result.left_out.length === 0) return;
  context.say(`Not recorded, so not there:\n`);
  for (const { path, size, reason } of result.left_out.slice(0, NAMED)) {
    const details = [...(size === null ? [] : [formatBytes(size)]), reason];
    context.say(`  ${inert(path)} (${details.join(', ')})\n`);
  }
  const more = result.left_out.length - NAMED;
  if (more > 0) context.say(`  and ${count(more, 'more path')}: waddle show ${result.id} --json\n`);
}
