import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { COMMANDS } from '../src/cli/commands.ts';
import { temporaryFolder, waddle } from './cli-fixture.ts';

const manual = readFileSync(join(import.meta.dirname, '../docs/cli.md'), 'utf8');
/** Explained once, for all commands. */
const SHARED = ['--dir', '--quiet', '-q', '--help', '-h'];

function flagsOf(text: string): string[] {
  return [...new Set([...text.matchAll(/(?<![\w-])(--?[a-z][a-z-]*)/g)].map((match) => match[1] ?? ''))];
}

/** The flags that a command's help lists, without those that all have. */
async function helpOf(name: string): Promise<{ text: string; flags: string[] }> {
  const said = await waddle(temporaryFolder(), [name, '--help']);
  expect([said.code, said.err]).toEqual([0, '']);
  const options = said.out.split('\nOptions:\n')[1]?.split('\n\n')[0] ?? '';
  const flags = [...options.matchAll(/^ {2}(-.*?)(?: {2}|$)/gm)].flatMap((match) => flagsOf(match[1] ?? ''));
  return { text: said.out, flags: flags.filter((flag) => !SHARED.includes(flag)) };
}

const shown = COMMANDS.filter((entry) => entry.hidden !== true);

test('the manual has each command, in the order of the program, and no other', () => {
  const headings = [...manual.matchAll(/^## waddle (\S+)$/gm)].map((match) => match[1]);
  expect(headings).toEqual(shown.map((entry) => entry.name));
});

test.each(shown.map((entry) => entry.name))('%s: the manual has the flags of the program', async (name) => {
  const section = manual.split(`## waddle ${name}\n`)[1]?.split('\n## ')[0] ?? '';
  const listed = [...section.matchAll(/^- (`-.*)$/gm)].flatMap((match) =>
    // The flags before each explanation; those that an explanation refers to are not definitions.
    [...(match[1] ?? '').matchAll(/`(-[^`]*)`(?=[:,])/g)].flatMap((flag) => flagsOf(flag[1] ?? '')),
  );
  const { text, flags } = await helpOf(name);
  expect([...new Set(listed)].sort()).toEqual(flags.sort());
  for (const line of text.split('\n')) expect(line.length).toBeLessThanOrEqual(80);
});

test('the help names every command, within 80 columns', async () => {
  const said = await waddle(temporaryFolder(), ['--help']);
  for (const entry of COMMANDS) expect(said.out.includes(`  ${entry.name} `)).toBe(entry.hidden !== true);
  for (const line of said.out.split('\n')) expect(line.length).toBeLessThanOrEqual(80);
});
