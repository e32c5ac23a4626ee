import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Bench, type BenchOptions, type Figure, inTurn } from '../figure.ts';
import { runJob, statementTime } from '../process.ts';

interface Cost {
  waddle: number;
  floor: number;
}

/** The published client, as a Node job imports it. */
async function run({ root, scratch, quick }: BenchOptions): Promise<Figure[]> {
  const project = join(scratch, 'project');
  mkdirSync(join(project, '.waddle'), { recursive: true });
  const client = join(root, 'dist/client.js');
  const job = fileURLToPath(import.meta.resolve('../jobs/log-cost.ts'));
  const counts = quick ? ['2000', '3'] : ['20000', '15'];
  const cost = await runJob<{ started: number; one: Cost; twenty: Cost }>(job, [client, project, ...counts]);
  const [imported, stdlib] = await inTurn(
    quick ? 3 : 15,
    () => statementTime(`await import(${JSON.stringify(client)})`),
    () => statementTime("await import('node:fs'); await import('node:crypto')"),
  );
  const against = 'one fs.writeSync of the same bytes';
  return [
    { name: 'TypeScript logMetric', value: cost.one.waddle, unit: 'µs', floor: cost.one.floor, against },
    {
      name: 'TypeScript log, 20 values',
      value: cost.twenty.waddle,
      unit: 'µs',
      floor: cost.twenty.floor,
      against,
    },
    {
      name: "import 'waddleml/client'",
      value: imported,
      unit: 'ms',
      floor: stdlib,
      against: 'import node:fs, node:crypto',
    },
    { name: 'await init()', value: cost.started, unit: 'ms', floor: null, against: null },
  ];
}

export const typescriptClient: Bench = { name: 'typescript-client', run };
