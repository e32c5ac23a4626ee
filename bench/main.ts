/**
 * `npm run bench [-- --quick] [--only NAME] [--json PATH] [--no-build]`: Waddle's figures, as ratios to the barest form of
 * the same work, measured in turn in one run, of `dist/` as built anew from these sources. Peers are measured by `bench/peers/main.ts`, which installs them first.
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism, cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { BENCHES } from './cases.ts';
import type { Figure } from './figure.ts';
import { helpersGone } from './process.ts';

const { values: flags } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    only: { type: 'string', multiple: true },
    json: { type: 'string' },
    'no-build': { type: 'boolean', default: false },
  },
});

const root = join(import.meta.dirname, '..');
if (!flags['no-build']) execFileSync(process.execPath, ['tools/build.ts'], { cwd: root, stdio: 'inherit' });
const scratch = mkdtempSync(join(tmpdir(), 'waddle-bench-'));
// A benchmark that is ended leaves nothing behind either.
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => {
    rmSync(scratch, { recursive: true, force: true });
    process.exit(130);
  });
}
const figures: Figure[] = [];
let failed = false;

const number = (value: number) => (value >= 100 ? value.toFixed(0) : value.toPrecision(3));

function printTable(rows: readonly Figure[]): void {
  const cells = rows.map((figure) => [
    figure.name,
    `${number(figure.value)} ${figure.unit}`,
    figure.floor === null ? '' : `${number(figure.floor)} ${figure.unit}`,
    figure.floor === null ? '' : `${(figure.value / figure.floor).toFixed(2)}x`,
    figure.against ?? '',
    figure.goal === undefined ? '' : `${figure.reached ? 'reached' : 'NOT reached'}: ${figure.goal}`,
  ]);
  const head = ['figure', 'waddle', 'floor', 'ratio', 'floor is', 'goal'];
  const widths = head.map((title, column) =>
    Math.max(title.length, ...cells.map((row) => row[column]?.length ?? 0)),
  );
  for (const row of [head, ...cells]) {
    process.stdout.write(
      `${row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd()}\n`,
    );
  }
}

try {
  for (const bench of BENCHES) {
    if (flags.only && !flags.only.includes(bench.name)) continue;
    process.stderr.write(`… ${bench.name}\n`);
    try {
      const folder = mkdtempSync(join(scratch, `${bench.name}-`));
      const say = (text: string) => void process.stderr.write(`  ${text}\n`);
      figures.push(...(await bench.run({ quick: flags.quick, scratch: folder, root, say })));
      await helpersGone(folder);
      rmSync(folder, { recursive: true, force: true });
    } catch (error) {
      failed = true;
      process.stderr.write(
        `  failed: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`,
      );
    }
  }
} finally {
  rmSync(scratch, { recursive: true, force: true });
}
printTable(figures);
if (flags.json !== undefined) {
  const machine = { cpu: cpus()[0]?.model ?? null, cores: availableParallelism(), node: process.version };
  writeFileSync(
    flags.json,
    `${JSON.stringify({ at: new Date().toISOString(), machine, quick: flags.quick, figures }, null, 2)}\n`,
  );
}
process.exitCode = failed ? 1 : 0;
