/** The surroundings of a run that is run again: what of them can be brought back, and what differs from then. */
import { existsSync } from 'node:fs';
import { delimiter, dirname, isAbsolute } from 'node:path';
import { relevantVariables } from '../runner/environment-variables.ts';
import { findProgram } from '../runner/interpreter.ts';
import { formatBytes } from './format-number.ts';
import type { RecordedRun } from './recorded-run.ts';
import { lackingFiles } from './recorded-run.ts';
import { diffEnvironments } from './run-diff.ts';

type Env = Record<string, string | undefined>;

/** What differs from then: what it is, and how it was and is (null: not at all). */
export interface Difference {
  kind: 'environment' | 'package' | 'data' | 'left-out' | 'variable';
  key: string;
  before: string | null;
  now: string | null;
}

/** Which devices a job may use is decided by whoever starts it (a scheduler, a colleague on a shared machine). */
const ALLOCATION = /VISIBLE_DEVICES$/;

/** Facts that tell machines apart but change no result. */
const INCIDENTAL =
  /^(?:platform\.(?:host|version)|memory_bytes|container\.id|variables\.|lock_files\.|python\.prefix$)/;

/**
 * The environment that the job is run again in: the recorded variables as they were, those of their kind that were not
 * set then unset, and the recorded interpreter's folder on PATH where it is not.
 */
export function restoreVariables(
  env: Env,
  recorded: Record<string, unknown> | null,
  patterns: readonly string[],
  command: readonly string[] | null,
): { env: Env; differences: Difference[] } {
  const restored = { ...env };
  const differences: Difference[] = [];
  const variables = recorded?.variables;
  if (isRecord(variables)) {
    for (const [key, then] of Object.entries(variables)) {
      if (typeof then !== 'string') continue;
      const now = env[key] ?? null;
      const chosen = ALLOCATION.test(key) && now !== null && now !== '';
      if (chosen || !fitsHere(then)) {
        if (now !== then) differences.push({ kind: 'variable', key, before: then, now });
      } else restored[key] = then;
    }
    for (const key of Object.keys(relevantVariables(env, patterns))) {
      if (Object.hasOwn(variables, key)) continue;
      if (ALLOCATION.test(key))
        differences.push({ kind: 'variable', key, before: null, now: env[key] ?? null });
      else delete restored[key];
    }
  }
  const python = recordedPython(recorded);
  const [file] = command ?? [];
  if (python !== null && file !== undefined && !file.includes('/')) {
    const folder = dirname(python);
    const own = findProgram(file, folder, { PATH: folder });
    if (own !== null && findProgram(file, folder, env) !== own) {
      restored.PATH = [folder, env.PATH].filter((part) => part).join(delimiter);
    }
  }
  return { env: restored, differences };
}

/** A list of paths none of which is here (another machine's libraries) would do harm. */
function fitsHere(value: string): boolean {
  const paths = value.split(delimiter).filter((part) => part !== '');
  if (paths.length === 0 || !paths.every((part) => isAbsolute(part))) return true;
  return paths.some((part) => existsSync(part));
}

/** The interpreter that ran the job then, where it is still there. */
export function recordedPython(recorded: Record<string, unknown> | null): string | null {
  const python = recorded?.python;
  if (!isRecord(python) || typeof python.executable !== 'string') return null;
  return existsSync(python.executable) ? python.executable : null;
}

/** What differs of the machine, the interpreter, its packages, the data, and what the snapshot lacks. */
export function environmentDifferences(
  then: Record<string, unknown> | null,
  now: Record<string, unknown>,
): Difference[] {
  if (then === null) {
    return [{ kind: 'environment', key: 'environment', before: 'not recorded', now: null }];
  }
  // Of another kind of job, or of an older version, a part may not have been recorded at all.
  const known = { ...now };
  for (const part of ['python', 'data', 'platform', 'cpu', 'gpus', 'node']) {
    if (then[part] === undefined) delete known[part];
  }
  const { environment, packages, data } = diffEnvironments(then, known);
  return [
    ...environment
      .filter((row) => !INCIDENTAL.test(row.key))
      .map(({ key, a, b }): Difference => ({ kind: 'environment', key, before: shown(a), now: shown(b) })),
    ...packages.map(
      ({ key, a, b }): Difference => ({ kind: 'package', key, before: shown(a), now: shown(b) }),
    ),
    ...data.map(({ key, a, b }): Difference => {
      const told = (side: typeof a) =>
        side === undefined
          ? null
          : `${side.files} files, ${formatBytes(side.bytes)}, ${side.digest.slice(0, 10)}`;
      return { kind: 'data', key, before: told(a), now: told(b) };
    }),
  ];
}

/** Files that the job had then and that the copy lacks. */
export function leftOutDifferences({ snapshot, code }: RecordedRun): Difference[] {
  return lackingFiles(snapshot, code).map(({ path, reason, size }) => ({
    kind: 'left-out',
    key: path,
    before: size === null ? reason : `${formatBytes(size)}, ${reason}`,
    now: null,
  }));
}

function shown(value: unknown): string | null {
  if (value === undefined) return null;
  return typeof value === 'string' ? value : JSON.stringify(value);
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
