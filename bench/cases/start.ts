import { join } from 'node:path';
import { type Bench, type BenchOptions, type Figure, inTurn } from '../figure.ts';
import { timeProcess } from '../process.ts';

/** The published command line's start against that of Node. */
async function run({ root, scratch, quick }: BenchOptions): Promise<Figure[]> {
  const options = { cwd: scratch };
  const waddle = join(root, 'dist/waddle.js');
  const [help, node] = await inTurn(
    quick ? 3 : 25,
    () => timeProcess(process.execPath, [waddle, '--help'], options),
    () => timeProcess(process.execPath, ['-e', '0'], options),
  );
  const goal = 'Node itself plus a little';
  return [
    {
      name: 'waddle --help',
      value: help,
      unit: 'ms',
      floor: node,
      against: 'node -e 0',
      goal,
      reached: help <= node + 30,
    },
  ];
}

export const start: Bench = { name: 'start', run };
