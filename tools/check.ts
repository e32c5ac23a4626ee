/** What the packaging checks share: running programs, and saying what holds. */
import { execFileSync, spawnSync } from 'node:child_process';
import { globSync, mkdirSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';

export const ROOT = join(import.meta.dirname, '..');

export interface Where {
  cwd: string;
  env: NodeJS.ProcessEnv;
}

/** What a program prints on stdout. @throws where it fails */
export function output(where: Where, command: string, ...args: string[]): string {
  return execFileSync(command, args, { ...where, encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] });
}

/** How a program ends, and what it says. */
export function outcome(
  where: Where,
  command: string,
  ...args: string[]
): { code: number | null; err: string } {
  const { status, stderr } = spawnSync(command, args, { ...where, encoding: 'utf8' });
  return { code: status, err: stderr };
}

export function expect(condition: boolean, what: string): void {
  if (!condition) throw new Error(`packaging: this does not hold: ${what}`);
  process.stdout.write(`ok: ${what}\n`);
}

/** The one file in `build/` that `npm run package` made with this ending. */
export function built(ending: string): string {
  const [file, ...others] = globSync(`*${ending}`, { cwd: join(ROOT, 'build') });
  if (file === undefined || others.length > 0) throw new Error(`no single build/*${ending}: npm run package`);
  return join(ROOT, 'build', file);
}

/** A folder of programs for PATH that has these and no others: name → where it is. */
export function onlyThese(folder: string, programs: Record<string, string>): string {
  mkdirSync(folder);
  for (const [name, path] of Object.entries(programs)) symlinkSync(path, join(folder, name));
  return folder;
}

/** Where a program of this machine is. */
export function place(program: string): string {
  return execFileSync('sh', ['-c', `command -v ${program}`], { encoding: 'utf8' }).trim();
}

/** An environment with nothing of this machine's Python, npm or Waddle in it. */
export function bareEnvironment(path: string, home: string): NodeJS.ProcessEnv {
  const kept = Object.entries(process.env).filter(
    ([name]) => !/^(WADDLE|PYTHON|VIRTUAL_ENV|NODE_OPTIONS|npm_)/.test(name),
  );
  return { ...Object.fromEntries(kept), PATH: path, HOME: home };
}
