import { execFile, spawn } from 'node:child_process';
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
