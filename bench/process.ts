import { execFile, spawn } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';

const execute = promisify(execFile);

export interface ProcessOptions {
  cwd: string;
  env?: NodeJS.ProcessEnv;
}

/** Wall time in milliseconds from starting a command to its end. Rejects where it fails. */
export function timeProcess(
  command: string,
  args: readonly string[],
  options: ProcessOptions,
): Promise<number> {
  return new Promise((resolve, reject) => {
    const began = performance.now();
    const child = spawn(command, args, { ...options, stdio: ['ignore', 'ignore', 'pipe'] });
    let errors = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      errors += text;
    });
    child.once('error', reject);
    child.once('exit', (code, signal) => {
      const took = performance.now() - began;
      if (code === 0) resolve(took);
      else reject(new Error(`${command} ${args.join(' ')}: ${code ?? signal}: ${errors.slice(-500)}`));
    });
  });
}

/** Milliseconds from starting a command until the job in it, `date +%s%N`, looked at the clock. */
export async function timeToFirstLine(
  command: string,
  args: readonly string[],
  options: ProcessOptions,
): Promise<number> {
  const began = performance.timeOrigin + performance.now();
  const { stdout } = await execute(command, [...args, 'date', '+%s%N'], options);
  return Number(BigInt(stdout.trim()) / 1000n) / 1000 - began;
}

/** Runs a script of `bench/jobs/` in a process of its own, and gives the JSON that it printed last. */
export async function runJob<T>(script: string, args: readonly string[]): Promise<T> {
  const { stdout } = await execute(process.execPath, [script, ...args], { maxBuffer: 1 << 24 });
  return JSON.parse(stdout.trim().split('\n').at(-1) ?? '') as T;
}

/** Milliseconds that statements take in a new Node, by its own clock. */
export async function statementTime(code: string): Promise<number> {
  const program = `const began = performance.now(); ${code}; console.log(performance.now() - began)`;
  const { stdout } = await execute(process.execPath, ['--input-type=module', '--eval', program]);
  return Number(stdout);
}

/**
 * Waits until no process is left whose command line names the folder: the helpers that `init()` leaves behind work on
 * for a moment after their job, and would make anew what is removed under them.
 */
export async function helpersGone(folder: string): Promise<void> {
  const own = String(process.pid);
  for (let tries = 0; tries < 300; tries += 1) {
    const left = readdirSync('/proc').some((pid) => {
      if (!/^\d+$/.test(pid) || pid === own) return false;
      try {
        return readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(folder);
      } catch {
        return false;
      }
    });
    if (!left) return;
    await sleep(50);
  }
  throw new Error(`a helper process works on in ${folder}`);
}
