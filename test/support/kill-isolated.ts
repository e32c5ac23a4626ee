/**
 * Kills `waddle run --isolate` at random moments, its job with it, and checks after each that the next one works: it sees
 * exactly its own code, `git fsck` of the repository is clean, no lock is left. As a program it runs a whole campaign:
 * `node test/support/kill-isolated.ts [rounds] [seed]`.
 */
import { globSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { seeded } from './kill-checkouts.ts';
import { ended, processesUnder, Sandbox, until, WADDLE } from './sandbox.ts';

export async function killIsolated(options: {
  sandbox: Sandbox;
  rounds: number;
  seed: number;
}): Promise<{ killed: number; finished: number; copies: number }> {
  const { sandbox, rounds } = options;
  const random = seeded(options.seed);
  const pool = join(sandbox.folder, '.waddle/pool');
  const job = [
    'run',
    '--quiet',
    '--isolate',
    '--',
    'sh',
    '-c',
    'cat code/* | cksum; ls code | wc -l; echo x > code/new; rm code/file1',
  ];
  const change = (round: number) => {
    for (let n = 0; n < 300; n += 1) if (random() < 0.2) sandbox.write(`code/file${n}`, `${round} ${n}\n`);
    sandbox.write(`code/only${round % 2}`, 'here\n');
    sandbox.git('rm', '-q', '--cached', '--ignore-unmatch', `code/only${1 - (round % 2)}`);
  };
  const expected = () => {
    const here = sandbox.start('sh', ['-c', 'cat code/* | cksum; ls code | wc -l'], {
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    let text = '';
    here.stdout?.on('data', (chunk: Buffer) => {
      text += chunk.toString();
    });
    return ended(here).then(() => text);
  };
  change(0);
  sandbox.waddle(...job);
  const began = performance.now();
  sandbox.waddle(...job);
  const took = performance.now() - began;
  const result = { killed: 0, finished: 0, copies: 0 };
  for (let round = 1; round <= rounds; round += 1) {
    change(round);
    const child = sandbox.start(WADDLE, job, { detached: true });
    await new Promise((wake) => setTimeout(wake, took * (0.3 + 0.7 * random())));
    if (child.pid !== undefined && child.exitCode === null) {
      process.kill(random() < 0.5 ? child.pid : -child.pid, 'SIGKILL');
      result.killed += 1;
    } else result.finished += 1;
    await ended(child);
    await until(() => processesUnder(pool).length === 0, 'the job is gone');
    change(round + 1);
    const said = sandbox.waddle(...job);
    const right = await expected();
    if (said.status !== 0 || said.stdout !== right) {
      throw new Error(`round ${round}: ${said.status} ${said.stdout} instead of ${right}: ${said.stderr}`);
    }
    const fsck = sandbox.git('fsck', '--no-dangling', '--no-progress').trim();
    if (fsck !== '') throw new Error(`round ${round}: git fsck says ${fsck}`);
    const locks = globSync('{.git,.waddle/git}/**/*.lock', { cwd: sandbox.folder });
    if (locks.length > 0) throw new Error(`round ${round}: left ${locks.join(', ')}`);
  }
  result.copies = readdirSync(pool).filter((name) => /^[0-9a-f]+$/.test(name)).length;
  return result;
}

if (import.meta.filename === process.argv[1]) {
  const [rounds = '60', seed = '1'] = process.argv.slice(2);
  const sandbox = new Sandbox();
  try {
    for (let n = 0; n < 300; n += 1) sandbox.write(`code/file${n}`, `${n}\n`);
    const result = await killIsolated({ sandbox, rounds: Number(rounds), seed: Number(seed) });
    process.stdout.write(`seed ${seed}: ${JSON.stringify(result)}\n`);
  } finally {
    await sandbox.remove();
  }
}
