import { execFileSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { type Bench, type BenchOptions, type Figure, inTurn } from '../figure.ts';
import { helpersGone } from '../process.ts';

const python = process.env.WADDLE_TEST_PYTHON ?? 'python3';

function environment(root: string): NodeJS.ProcessEnv {
  return { ...process.env, PYTHONPATH: join(root, 'python'), PYTHONDONTWRITEBYTECODE: '' };
}

/** One fresh interpreter's own count of the milliseconds that a statement took. */
function statement(root: string, code: string): number {
  const program = `import time\nbegan = time.perf_counter()\n${code}\nprint((time.perf_counter() - began) * 1000)`;
  return Number(execFileSync(python, ['-c', program], { env: environment(root), encoding: 'utf8' }));
}

async function run({ root, scratch, quick }: BenchOptions): Promise<Figure[]> {
  const project = join(scratch, 'project');
  mkdirSync(join(project, '.waddle'), { recursive: true });
  const args = [join(root, 'bench/jobs/log_cost.py'), project, quick ? '2000' : '20000', quick ? '3' : '15'];
  const output = execFileSync(python, args, { env: environment(root), encoding: 'utf8' });
  const cost = JSON.parse(output) as Record<'one' | 'twenty', { waddle: number; floor: number }>;

  const rounds = quick ? 3 : 15;
  const [imported, stdlib] = await inTurn(
    rounds,
    () => statement(root, 'import waddle'),
    () => statement(root, 'import json, sqlite3'),
  );
  const init = `import os, sys\nos.chdir(${JSON.stringify(project)})\nimport waddle\nbegan = time.perf_counter()\nwaddle.init()`;
  const [started] = await inTurn(
    quick ? 2 : 9,
    () => statement(root, init),
    // The helper that the last one started must not slow the next one down.
    () => helpersGone(project).then(() => 0),
  );
  const against = 'one os.write of the same bytes';
  return [
    {
      name: 'Python log_metric',
      value: cost.one.waddle,
      unit: 'µs',
      floor: cost.one.floor,
      against,
      goal: 'at most 2.5x',
      reached: cost.one.waddle <= 2.5 * cost.one.floor,
    },
    {
      name: 'Python log, 20 values',
      value: cost.twenty.waddle,
      unit: 'µs',
      floor: cost.twenty.floor,
      against,
    },
    {
      name: 'import waddle',
      value: imported,
      unit: 'ms',
      floor: stdlib,
      against: 'import json, sqlite3',
      goal: 'under 15 ms',
      reached: imported < 15,
    },
    {
      name: 'waddle.init()',
      value: started,
      unit: 'ms',
      floor: null,
      against: null,
      goal: 'returns within 50 ms',
      reached: started <= 50,
    },
  ];
}

export const pythonClient: Bench = { name: 'python-client', run };
