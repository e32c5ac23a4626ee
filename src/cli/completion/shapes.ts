/**
 * What the commands take, as plain data. Asking the commands themselves means loading all that they need; so the build writes the
 * answers down (`tools/build.ts`), beside the bundle.
 */
import { readFileSync } from 'node:fs';
import { Command } from 'commander';
import { COMMANDS } from '../commands.ts';
import type { Context } from '../context.ts';
import { RUN_HELP } from '../help.ts';
import { SHAPES_FILE } from '../program-files.ts';

export interface CommandShape {
  name: string;
  about: string;
  options: OptionShape[];
  arguments: ArgumentShape[];
  commands: CommandShape[];
}

export interface OptionShape {
  long: string;
  short?: string;
  about: string;
  /** What the help calls its value; nothing where it takes none. */
  meta?: string;
  /** Whether a value must follow. */
  needsValue?: true;
  choices?: readonly string[];
}

export interface ArgumentShape {
  name: string;
  variadic: boolean;
  /** A RUN, as every command understands it. */
  run: boolean;
  choices?: readonly string[];
}

/** The shape of one command; undefined where there is no such command for people. */
export async function shapeOf(name: string, context: Context): Promise<CommandShape | undefined> {
  const written = readShapes();
  if (written !== undefined) return written.find((shape) => shape.name === name);
  const entry = COMMANDS.find((each) => each.name === name && each.hidden !== true);
  if (entry === undefined) return undefined;
  const command = new Command(name).summary(entry.summary);
  (await entry.load()).define(command, context);
  command
    .option('--dir <path>', entry.folder ?? 'the project folder')
    .option('-q, --quiet', 'say nothing but data and errors');
  return describe(command);
}

/** All of them, for the build to write down. */
export async function allShapes(context: Context): Promise<CommandShape[]> {
  const shapes: CommandShape[] = [];
  for (const { name } of COMMANDS) {
    const shape = await shapeOf(name, context);
    if (shape !== undefined) shapes.push(shape);
  }
  return shapes;
}

function readShapes(): CommandShape[] | undefined {
  try {
    return JSON.parse(readFileSync(SHAPES_FILE, 'utf8')) as CommandShape[];
  } catch {
    return undefined;
  }
}

function describe(command: Command): CommandShape {
  return {
    name: command.name(),
    about: command.summary() || command.description(),
    options: command.options
      .filter(({ hidden, long }) => !hidden && long !== undefined)
      .map(({ long, short, description, flags, required, argChoices }) => {
        const meta = /[<[]([^>\]]+)[>\]]/.exec(flags)?.[1];
        return {
          long: long ?? '',
          ...(short === undefined ? {} : { short }),
          about: description,
          ...(meta === undefined ? {} : { meta }),
          ...(required ? { needsValue: true as const } : {}),
          ...(argChoices === undefined ? {} : { choices: argChoices }),
        };
      }),
    arguments: command.registeredArguments.map((argument) => ({
      name: argument.name(),
      variadic: argument.variadic,
      run: argument.description === RUN_HELP || /^(runs?|b)$/.test(argument.name()),
      ...(argument.argChoices === undefined ? {} : { choices: argument.argChoices }),
    })),
    commands: command.commands.map(describe),
  };
}
