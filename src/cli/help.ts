import type { Command } from 'commander';

/** Puts an example under a command's help: one line that can be pasted, or several. */
export function example(command: Command, ...lines: string[]): void {
  const title = lines.length === 1 ? 'Example' : 'Examples';
  command.addHelpText('after', `\n${title}:\n${lines.map((line) => `  ${line}\n`).join('')}`);
}

/** For an option that may be given several times. */
export function collect(value: string, previous: string[] = []): string[] {
  return [...previous, value];
}

/** What a RUN is, for the help of every command that takes one. */
export const RUN_HELP = 'an id or its first 4 or more characters, a name, or @last, @last~2';
