/**
 * Kills `waddle checkout` at random moments, and checks after each that nothing is broken: `git fsck` of the repository is
 * clean, no lock is left, the folder is whole or not there, and the next checkout of the same folder works. As a program
 * it runs a whole campaign: `node test/support/kill-checkouts.ts [rounds] [seed]`.
 */
import { existsSync, globSync, readdirSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { ended, Sandbox, WADDLE } from './sandbox.ts';

export async function killCheckouts(options: {
  sandbox: Sandbox;
  /** Name of the run. */
  run: string;
  rounds: number;
  seed: number;
}): Promise<{ killed: number; finished: number }> {
  const { sandbox, run, rounds } = options;
  const random = seeded(options.seed);
  const outside = dirname(sandbox.folder);
  const whole = async (into: string): Promise<number> => {
    const began = performance.now();
    await ended(sandbox.start(WADDLE, ['checkout', run, into]));
    return performance.now() - began;
  };
  const took = await whole(join(outside, 'first'));
  const count = (folder: string) => readdirSync(folder, { recursive: true }).length;
  const complete = count(join(outside, 'first'));
  const result = { killed: 0, finished: 0 };
  for (let round = 0; round < rounds; round += 1) {
    const into = join(outside, `round-${round}`);
    const child = sandbox.start(WADDLE, ['checkout', run, into], { detached: true });
    // Most of the time passes before git begins; its end is what is interesting.
    await new Promise((wake) => setTimeout(wake, took * (0.2 + 0.8 * random())));
    // Waddle alone, or with the git that it runs.
    if (child.pid !== undefined && child.exitCode === null) {
      process.kill(random() < 0.5 ? child.pid : -child.pid, 'SIGKILL');
      result.killed += 1;
    } else result.finished += 1;
    await ended(child);
    if (existsSync(into) && count(into) !== complete) throw new Error(`round ${round}: half a checkout`);
    const said = sandbox.git('fsck', '--no-dangling', '--no-progress');
    if (said.trim() !== '') throw new Error(`round ${round}: git fsck says ${said}`);
    const locks = globSync('{.git,.waddle}/**/*.lock', { cwd: sandbox.folder });
    if (locks.length > 0) throw new Error(`round ${round}: left ${locks.join(', ')}`);
    if (!existsSync(into)) await whole(into);
    if (count(into) !== complete) throw new Error(`round ${round}: the next checkout did not work`);
    const status = sandbox.git('-C', into, 'status', '--porcelain');
    if (status !== '') throw new Error(`round ${round}: the checkout differs: ${status}`);
    rmSync(into, { recursive: true });
  }
  const left = readdirSync(outside).filter((name) => name.startsWith('.waddle-new-'));
  if (left.length > 1) throw new Error(`left behind: ${left.join(', ')}`);
  return result;
}

export function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state * 1_103_515_245 + 12_345) % 2_147_483_648;
    return state / 2_147_483_648;
  };
}

if (import.meta.filename === process.argv[1]) {
  const [rounds = '60', seed = '1'] = process.argv.slice(2);
  const sandbox = new Sandbox();
  try {
    for (let n = 0; n < 2000; n += 1) sandbox.write(`data${n % 50}/file${n}.txt`, `${n}\n`.repeat(100));
    sandbox.waddle('run', '--name', 'victim', '--', 'true');
    const result = await killCheckouts({
      sandbox,
      run: 'victim',
      rounds: Number(rounds),
      seed: Number(seed),
    });
    process.stdout.write(`seed ${seed}: ${JSON.stringify(result)}\n`);
  } finally {
    await sandbox.remove();
  }
}
