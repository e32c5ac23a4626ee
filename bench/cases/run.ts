import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { type Bench, type BenchOptions, type Figure, inTurn } from '../figure.ts';
import { timeProcess, timeToFirstLine } from '../process.ts';
import { gitEnvironment, makeRepository } from '../repository.ts';

/** What `waddle run` adds to a job that does nothing, in a repository of 1,000 files of which one has changed. */
async function run({ root, scratch, quick }: BenchOptions): Promise<Figure[]> {
  const folder = join(scratch, 'repository');
  mkdirSync(folder);
  const repository = makeRepository(folder, 1000);
  const options = { cwd: folder, env: gitEnvironment() };
  const waddle = [join(root, 'dist/waddle.js'), 'run', '--quiet'];
  const figures: Figure[] = [];
  for (const [title, flags] of [
    ['', []],
    [', --no-auto-commit', ['--no-auto-commit']],
  ] as const) {
    const args = [...waddle, ...flags, '--'];
    await timeProcess(process.execPath, [...args, 'true'], options);
    const rounds = quick ? 2 : 15;
    const [first, bareFirst] = await inTurn(
      rounds,
      () => {
        repository.change(1);
        return timeToFirstLine(process.execPath, args, options);
      },
      () => timeToFirstLine('env', [], options),
    );
    const [whole, bareWhole] = await inTurn(
      rounds,
      () => {
        repository.change(1);
        return timeProcess(process.execPath, [...args, 'true'], options);
      },
      () => timeProcess('true', [], options),
    );
    figures.push(
      {
        name: `waddle run, the job's first line${title}`,
        value: first,
        unit: 'ms',
        floor: bareFirst,
        against: 'the job alone',
        goal: 'at most 400 ms more',
        reached: first - bareFirst <= 400,
      },
      {
        name: `waddle run -- true${title}`,
        value: whole,
        unit: 'ms',
        floor: bareWhole,
        against: 'true',
      },
    );
  }
  return figures;
}

export const runCommand: Bench = { name: 'run', run };
