import type { Command } from 'commander';
import type { Context } from './context.ts';

/** A command's own file: gives the command its arguments, options and action. */
export interface CommandModule {
  define(command: Command, context: Context): void;
}

interface CommandEntry {
  name: string;
  summary: string;
  /** Not for people: not shown in the help. */
  hidden?: true;
  load(): Promise<CommandModule>;
}

/** Every command, in the order of the help. A file is loaded only when its command is called. */
export const COMMANDS: readonly CommandEntry[] = [
  { name: 'init', summary: 'make this folder a project folder', load: () => import('./commands/init.ts') },
];
