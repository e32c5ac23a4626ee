/** `waddle serve` as a user would start it, and jobs that log while it runs. */
import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

export interface Server {
  url: string;
  pid: number;
  /** Milliseconds from its start to its first answer. */
  started: number;
  stop(): Promise<void>;
}

const LIVE_JOB = `
import json, sys, time, waddle
keys, first, wait, seconds, out = json.loads(sys.argv[1])
step, began = first, time.time()
with open(out, "w") as told:
    while time.time() - began < seconds:
        at = time.time()
        waddle.log({key: 1 / (1 + step - first) for key in keys}, step=step)
        told.write(f"{step} {at}\\n")
        told.flush()
        step += 1
        due = began + (step - first) * wait
        time.sleep(max(0, due - time.time()))
`;

/** The environment of a user who has configured nothing. */
function environment(root: string, home: string): NodeJS.ProcessEnv {
  const kept = Object.entries(process.env).filter(([name]) => !/^(WADDLE_|GIT_|XDG_|SLURM_)/.test(name));
  return { ...Object.fromEntries(kept), HOME: home, PYTHONPATH: join(root, 'python') };
}

async function gone(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  await new Promise((settle) => child.once('exit', settle));
}

export async function serve(root: string, project: string): Promise<Server> {
  const began = performance.now();
  const child = spawn(join(root, 'bin/waddle'), ['serve', '--port', '0'], {
    cwd: project,
    env: environment(root, project),
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let said = '';
  const url = await new Promise<string>((resolve, reject) => {
    const hear = (text: Buffer) => {
      said += text.toString();
      const match = /serves at (http:\S+?)\/?\s/.exec(said);
      if (match?.[1] !== undefined) resolve(match[1]);
    };
    child.stdout.on('data', hear);
    child.stderr.on('data', hear);
    child.once('error', reject);
    child.once('exit', () => reject(new Error(`waddle serve ended: ${said}`)));
  });
  await (await fetch(`${url}/api/health`)).text();
  return {
    url,
    pid: child.pid ?? 0,
    started: performance.now() - began,
    async stop() {
      child.kill('SIGTERM');
      await gone(child);
    },
  };
}

export interface LiveJob {
  /** Epoch milliseconds at which each step's `log` was called. */
  calls(): Map<number, number>;
  end(): Promise<void>;
}

/** A job under `waddle run` that logs all keys at once, every `wait` seconds. */
export function startJob(
  root: string,
  project: string,
  plan: { keys: readonly string[]; first: number; wait: number; seconds: number },
): LiveJob {
  const out = join(project, '.waddle', 'bench-calls');
  const asked = JSON.stringify([plan.keys, plan.first, plan.wait, plan.seconds, out]);
  const child = spawn(
    join(root, 'bin/waddle'),
    ['run', '--name', 'live', '--', 'python3', '-c', LIVE_JOB, asked],
    { cwd: project, env: environment(root, project), stdio: 'ignore' },
  );
  return {
    calls() {
      const lines = readFileSync(out, 'utf8').trim().split('\n');
      return new Map(lines.map((line) => [Number(line.split(' ')[0]), Number(line.split(' ')[1]) * 1000]));
    },
    async end() {
      if (child.exitCode === null) child.kill('SIGTERM');
      await gone(child);
      await sleep(200);
    },
  };
}
