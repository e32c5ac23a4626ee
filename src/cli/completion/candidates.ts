/** What could stand where somebody types: commands, options and their values, runs. Reads little, writes nothing. */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { COMMANDS } from '../commands.ts';
import type { Context } from '../context.ts';
import { type Names, namesOf } from './names.ts';
import { type CommandShape, type OptionShape, shapeOf } from './shapes.ts';

export interface Candidate {
  value: string;
  about?: string;
}

export interface Proposal {
  /**
   * `words`: these. `parts`: these, and each may go on (no space after it). `files`, `folders`: what the shell finds by itself.
   * `command`: a command line of its own begins after the `--`.
   */
  kind: 'words' | 'parts' | 'files' | 'folders' | 'command';
  words: Candidate[];
}

const NOTHING: Proposal = { kind: 'words', words: [] };
/** Shells show what they get; nobody reads more. */
const MOST = 200;

/** @param words the command line, from `waddle` to the word that is being typed */
export async function propose(words: readonly string[], context: Context): Promise<Proposal> {
  const proposal = await allFor(words, context);
  const typed = words.at(-1) ?? '';
  const fitting = proposal.words.filter(({ value }) => value.startsWith(typed));
  return { kind: proposal.kind, words: fitting.slice(0, MOST) };
}

async function allFor(words: readonly string[], context: Context): Promise<Proposal> {
  const typed = words.at(-1) ?? '';
  const before = words.slice(1, -1);
  const [name] = before;
  const commands = COMMANDS.filter(({ hidden }) => hidden !== true).map(({ name: value, summary }) => ({
    value,
    about: summary,
  }));
  if (name === undefined) {
    const flags = typed.startsWith('-') ? [{ value: '--help' }, { value: '--version' }] : [];
    return { kind: 'words', words: [...commands, ...flags] };
  }
  if (name === 'help') return before.length === 1 ? { kind: 'words', words: commands } : NOTHING;
  const shape = await shapeOf(name, context);
  return shape === undefined ? NOTHING : within(shape, before.slice(1), typed, context);
}

/** In a command, after these words of it. */
function within(command: CommandShape, before: readonly string[], typed: string, context: Context): Proposal {
  const folder = dirOf(before);
  const names = namesOf(folder === undefined ? context : { ...context, dir: folder });
  const given: string[] = [];
  let awaiting: OptionShape | undefined;
  for (const [at, word] of before.entries()) {
    if (awaiting !== undefined) {
      awaiting = undefined;
    } else if (word === '--') {
      return command.name === 'run' ? job(before, at) : NOTHING;
    } else if (word.startsWith('-') && word !== '-') {
      const option = optionOf(command, word);
      if (option?.needsValue === true && !word.includes('=')) awaiting = option;
    } else {
      const sub = given.length === 0 ? command.commands.find((each) => each.name === word) : undefined;
      if (sub !== undefined) return within(sub, before.slice(at + 1), typed, context);
      given.push(word);
    }
  }
  if (awaiting !== undefined) return valuesOf(command, awaiting, names, typed, context);
  const assigned = /^(--[\w-]+=)(.*)$/s.exec(typed);
  if (assigned?.[1] !== undefined) {
    const option = optionOf(command, assigned[1]);
    if (option === undefined) return NOTHING;
    const proposal = valuesOf(command, option, names, assigned[2] ?? '', context);
    return {
      ...proposal,
      words: proposal.words.map((each) => ({ ...each, value: `${assigned[1]}${each.value}` })),
    };
  }
  if (typed.startsWith('-')) return { kind: 'words', words: optionsOf(command) };
  if (command.commands.length > 0 && given.length === 0) {
    const words = command.commands.map((sub) => ({ value: sub.name, about: sub.about }));
    return { kind: 'words', words };
  }
  return argumentsOf(command, given, before, names);
}

/** What `waddle run` starts: its own command line, or with `--entry` whatever arguments that takes. */
function job(before: readonly string[], separator: number): Proposal {
  const entry = before.slice(0, separator).some((word) => /^--entry(=|$)/.test(word));
  return { kind: entry ? 'files' : 'command', words: [] };
}

function dirOf(before: readonly string[]): string | undefined {
  const at = before.lastIndexOf('--dir');
  if (at !== -1) return before[at + 1];
  return before.findLast((word) => word.startsWith('--dir='))?.slice('--dir='.length);
}

function optionOf(command: CommandShape, word: string): OptionShape | undefined {
  const [flag] = word.split('=');
  return command.options.find(({ long, short }) => flag === long || flag === short);
}

function optionsOf(command: CommandShape): Candidate[] {
  const all = command.options.map(({ long, about }) => ({ value: long, about }));
  return [...all, { value: '--help', about: 'help for this command' }];
}

/** Of a command, an option and a word's place, what the value is; by what the help calls it. */
function valuesOf(
  command: CommandShape,
  option: OptionShape,
  names: Names,
  typed: string,
  context: Context,
): Proposal {
  if (option.choices !== undefined) return words(option.choices.map((value) => ({ value })));
  const { meta = '' } = option;
  const key = `${command.name} ${option.long}`;
  if (key === 'run --entry') return entries(typed, context);
  if (key === 'run --repo' || key === 'repo-link --remove') return words(names.links());
  if (key === 'tag --remove') return words(names.tagKeys());
  if (option.long === '--project') return words(names.projects());
  if (option.long === '--group') return words(names.groups());
  if (option.long === '--remote' || meta === 'remote') return words(names.remotes());
  if (meta === 'run') return words(names.runs());
  if (meta === 'metric') return words(names.metrics());
  if (meta === 'dir' || option.long === '--dir') return { kind: 'folders', words: [] };
  return meta === 'path' || meta === 'file' ? { kind: 'files', words: [] } : NOTHING;
}

/** What stands beside options: the next argument, or more of the last one. */
function argumentsOf(
  command: CommandShape,
  given: readonly string[],
  before: readonly string[],
  names: Names,
): Proposal {
  const known = command.arguments;
  const last = known.at(-1);
  const next = known[given.length] ?? (last?.variadic === true ? last : undefined);
  if (next === undefined) return NOTHING;
  if (next.choices !== undefined) return words(next.choices.map((value) => ({ value })));
  const { name } = next;
  if (command.name === 'get' && name === 'name') return words(names.artifacts(given[0] ?? ''));
  if (command.name === 'remote') {
    if (given.length === 0) return words(['add', 'ls', 'rm', 'test'].map((value) => ({ value })));
    return given.length === 1 && ['rm', 'test'].includes(given[0] ?? '') ? words(names.remotes()) : NOTHING;
  }
  if (next.run) {
    const undo = before.includes('--undo') ? command.name : undefined;
    const chosen = new Set(given);
    return words(names.runs(undo).filter(({ value }) => !chosen.has(value)));
  }
  if (/^(dir|dest|path|file|folder)$/.test(name)) return { kind: 'files', words: [] };
  return command.name === 'run' ? { kind: 'files', words: [] } : NOTHING;
}

function words(candidates: Candidate[]): Proposal {
  return { kind: 'words', words: candidates };
}

/** Python modules, as they are imported from here, and the files of Node jobs. */
function entries(typed: string, context: Context): Proposal {
  const base = typed.slice(0, Math.max(typed.lastIndexOf('.'), typed.lastIndexOf('/')) + 1);
  if (base.includes('/')) return { kind: 'files', words: [] };
  const found: Candidate[] = [];
  try {
    const folder = join(context.cwd, ...base.split('.'));
    for (const each of readdirSync(folder, { withFileTypes: true })) {
      const module = /^([A-Za-z_]\w*)\.py$/.exec(each.name)?.[1];
      if (module !== undefined && !module.startsWith('__')) found.push({ value: `${base}${module}` });
      else if (base === '' && /\.(ts|mts|js|mjs)$/.test(each.name)) found.push({ value: each.name });
      else if (each.isDirectory() && /^[A-Za-z]\w*$/.test(each.name) && each.name !== 'node_modules') {
        if (holdsPython(join(folder, each.name))) found.push({ value: `${base}${each.name}.` });
      }
    }
  } catch {
    // No such package.
  }
  return { kind: 'parts', words: found };
}

function holdsPython(folder: string): boolean {
  return readdirSync(folder).some((name) => name.endsWith('.py'));
}
