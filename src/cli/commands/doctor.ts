import type { Command } from 'commander';
import { layoutOf } from '../../journal/layout.ts';
import { type Context, targetFolder } from '../context.ts';
import {
  checkConfig,
  checkDisk,
  checkGit,
  checkIgnored,
  checkNode,
  checkPython,
  checkRepository,
  type Finding,
} from '../doctor-machine.ts';
import { checkRemotes } from '../doctor-remote.ts';
import { checkData } from '../doctor-store.ts';
import { count } from '../format-number.ts';
import { example } from '../help.ts';
import { inert } from '../inert.ts';
import { printJson } from '../json.ts';
import { painter, type Style } from '../paint.ts';
import { pad } from '../table.ts';

interface Options {
  fix?: boolean;
  json?: boolean;
}

export function define(command: Command, context: Context): void {
  command
    .description(
      'Checks git, Node, Python, the configuration, the disk and the run data, and says how to fix what is wrong.',
    )
    .option('--fix', "mend what can be mended: pin runs' code again, bring back commits")
    .option('--json', 'print JSON')
    .action((options: Options) => doctor(context, options));
  example(command, 'waddle doctor', 'waddle doctor --fix');
}

async function doctor(context: Context, options: Options): Promise<void> {
  const layout = layoutOf(targetFolder(context));
  const git = await checkGit(context);
  const { findings: configured, config } = await checkConfig(context, layout);
  const findings: Finding[] = [checkNode(), git];
  if (git.state !== 'problem') findings.push(await checkRepository(context, layout));
  findings.push(await checkPython(context, layout, config ?? {}), ...configured, ...checkDisk(layout));
  const ignored = await checkIgnored(context, layout);
  if (ignored !== undefined) findings.push(ignored);
  findings.push(
    ...(await checkData(context, { layout, config: config ?? {} }, { fix: options.fix === true })),
  );
  findings.push(...(await checkRemotes(context, { layout, config: config ?? {} })));
  const problems = findings.filter((finding) => finding.state === 'problem').length;
  if (options.json === true) printJson(context, { ok: problems === 0, project: layout.project, findings });
  else context.out(describe(context, findings, layout.project));
  if (problems > 0) context.exitCode = 1;
}

const MARKS: Record<Finding['state'], { mark: string; style: Style }> = {
  ok: { mark: '✓', style: 'green' },
  warning: { mark: '!', style: 'yellow' },
  problem: { mark: '✗', style: 'red' },
};

function describe(context: Context, findings: readonly Finding[], project: string): string {
  const paint = painter(context);
  const width = Math.max(...findings.map((finding) => finding.check.length));
  let text = `${inert(project)}\n`;
  for (const { check, state, message, hint } of findings) {
    const { mark, style } = MARKS[state];
    text += `${paint(style, mark)} ${pad(check, width)}  ${inert(message)}\n`;
    if (hint !== undefined) text += `${' '.repeat(width + 4)}${paint('dim', inert(hint))}\n`;
  }
  const problems = findings.filter((finding) => finding.state === 'problem').length;
  const warnings = findings.filter((finding) => finding.state === 'warning').length;
  const parts = [
    problems > 0 ? count(problems, 'problem') : '',
    warnings > 0 ? count(warnings, 'warning') : '',
  ].filter((part) => part !== '');
  return `${text}${parts.length === 0 ? 'All is well.' : `${parts.join(', ')}.`}\n`;
}
