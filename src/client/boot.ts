/**
 * `node boot.js FILE[:callable] -- ARGV`: how `waddle run --entry` starts a TypeScript or JavaScript entry. The callable is
 * `waddleMain(run, argv)`, else the default export. What it throws ends the process as from any script.
 */
import { pathToFileURL } from 'node:url';
import { inspect } from 'node:util';
import { beginRun, tellEndOf } from './begin-run.ts';
import { noteError } from './ending.ts';
import { say } from './say.ts';

const [target = '', , ...argv] = process.argv.slice(2);
const [, file = target, named] = /^(.+\.[cm]?[jt]sx?)(?::([\w$.]+))?$/.exec(target) ?? [];

/** Ends the job with what went wrong and what to do, in place of a stack trace. */
function fail(what: string, hint: string): never {
  process.stderr.write(`waddle: ${what}\n${hint}\n`);
  const error = new Error(what);
  error.stack = '';
  noteError(error);
  process.exit(1);
}

/** Errors that mean: Node can take types off, but not compile this. */
const NEEDS_COMPILER: Record<string, string> = {
  ERR_UNSUPPORTED_TYPESCRIPT_SYNTAX:
    'uses syntax that Node cannot run as it is (enums, namespaces, parameter properties)',
  ERR_UNKNOWN_FILE_EXTENSION: 'is of a kind that Node cannot run as it is',
  ERR_UNSUPPORTED_NODE_MODULES_TYPE_STRIPPING:
    'imports TypeScript from node_modules, which Node does not run',
};

process.argv = [process.execPath, file, ...argv];
const run = beginRun();
tellEndOf(run);
try {
  const module = await load();
  const call = find(module);
  await call(run, argv);
} catch (error) {
  if (error instanceof Error && error.stack !== undefined) {
    // This file's own frames say nothing to the user.
    const frames = error.stack.split('\n').filter((frame) => !frame.includes(import.meta.url));
    error.stack = frames.join('\n');
  }
  // A program that handles uncaught exceptions handles this one; else it is shown without Node's own lines around it.
  if (process.listenerCount('uncaughtException') > 0) throw error;
  noteError(error);
  process.stderr.write(`${inspect(error, { colors: process.env.FORCE_COLOR === '1' })}\n`);
  process.exit(1);
}

async function load(): Promise<Record<string, unknown>> {
  try {
    return (await import(pathToFileURL(file).href)) as Record<string, unknown>;
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? '';
    const why = NEEDS_COMPILER[code];
    if (why === undefined) throw error;
    const detail = error instanceof Error ? error.message.split('\n')[0] : '';
    say(String(detail));
    fail(
      `${file} ${why}`,
      `Let a compiler run it, and attach by init() from waddleml/client: waddle run -- npx tsx ${file}`,
    );
  }
}

function find(module: Record<string, unknown>): (...given: unknown[]) => unknown {
  const names = named === undefined ? ['waddleMain', 'default'] : [named];
  for (const name of names) {
    let found: unknown = module;
    for (const part of name.split('.')) found = (found as Record<string, unknown> | null | undefined)?.[part];
    if (typeof found === 'function') return found as (...given: unknown[]) => unknown;
    // A CommonJS module's exports stand under its default.
    const inner = (module.default as Record<string, unknown> | undefined)?.[name];
    if (typeof inner === 'function') return inner as (...given: unknown[]) => unknown;
  }
  fail(
    `${file} has no ${named === undefined ? 'waddleMain' : `"${named}"`} to call`,
    `Export it: export function ${named ?? 'waddleMain'}(run, argv) { … }; or run the file: waddle run -- node ${file}`,
  );
}
