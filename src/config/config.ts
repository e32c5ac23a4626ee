import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { isSystemError, WaddleError } from '../errors/waddle-error.ts';
import type { WaddleJson } from './schema.ts';

export const CONFIG_FILE = 'waddle.json';

/**
 * Reads and checks `<project>/waddle.json`; an empty configuration where there is none.
 * @throws WaddleError (exit code 2) that names every unknown key and wrong type.
 */
export async function readConfig(project: string): Promise<WaddleJson> {
  const path = join(project, CONFIG_FILE);
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    if (isSystemError(error, 'ENOENT')) return {};
    throw new WaddleError(
      'config-unreadable',
      `${path} cannot be read: ${messageOf(error)}`,
      'Check its permissions.',
      {
        cause: error,
      },
    );
  }
  let value: unknown;
  try {
    value = JSON.parse(text.replace(/^\uFEFF/, ''));
  } catch (error) {
    throw new WaddleError(
      'config-invalid',
      `${path} is not JSON: ${messageOf(error)}`,
      'Mend the file, or move it away and run: waddle init',
      {
        cause: error,
        exitCode: 2,
      },
    );
  }
  // Loaded here: most of its cost is the schema library, which a project without the file never needs.
  const { describeConfigErrors } = await import('./validate.ts');
  const errors = describeConfigErrors(value);
  if (errors.length > 0) {
    throw new WaddleError(
      'config-invalid',
      `${path}: ${errors.join('; ')}`,
      'The fields are listed in docs/config.md; schema/waddle.schema.json completes them in an editor.',
      {
        exitCode: 2,
      },
    );
  }
  return value as WaddleJson;
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/**
 * Replaces a whole-value `${NAME}` by the environment's NAME.
 * @throws WaddleError where the variable is not set.
 */
export function expandVariable(value: string, env: Record<string, string | undefined>): string {
  const name = /^\$\{([A-Za-z_][A-Za-z0-9_]*)\}$/.exec(value)?.[1];
  if (name === undefined) return value;
  const found = env[name];
  if (found !== undefined && found !== '') return found;
  throw new WaddleError(
    'variable-missing',
    `waddle.json refers to \${${name}}, which is not set`,
    `Set it: export ${name}=…`,
    {
      exitCode: 2,
    },
  );
}
