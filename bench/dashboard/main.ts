/**
 * `node bench/dashboard/main.ts [--quick] [--only NAME] [--json PATH] [--profile FOLDER] [--no-build]`: how quickly the
 * dashboard draws, in a real Chromium at 1440×900, of stores that the real code made and `waddle serve` serves.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism, cpus, loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import type { Figure } from '../figure.ts';
import { helpersGone } from '../process.ts';
import { Browser } from './browser.ts';
import { latency } from './cases/latency.ts';
import { manyKeys } from './cases/many-keys.ts';
import { manyLinesBench } from './cases/many-lines.ts';
import { spike } from './cases/spike.ts';
import { thousandRuns } from './cases/thousand-runs.ts';

const BENCHES = [thousandRuns, spike, manyLinesBench, manyKeys, latency];

const { values: flags } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    only: { type: 'string', multiple: true },
    json: { type: 'string' },
    profile: { type: 'string' },
    'no-build': { type: 'boolean', default: false },
  },
});

const root = join(import.meta.dirname, '../..');
if (!flags['no-build']) execFileSync(process.execPath, ['tools/build.ts'], { cwd: root, stdio: 'inherit' });
if (flags.profile !== undefined) mkdirSync(flags.profile, { recursive: true });
const scratch = mkdtempSync(join(tmpdir(), 'waddle-bench-'));
// Browsers keep their profiles there, and may still write while they go.
process.env.TMPDIR = scratch;
const openBrowser = (height: number) => Browser.open(flags.profile, { height });
const figures: Figure[] = [];
const load = loadavg();
let failed = false;

const text = ({ value, unit }: Figure) =>
  `${value >= 100 || Number.isInteger(value) ? value.toFixed(0) : value.toPrecision(3)} ${unit}`;

function print({ name, goal, reached, ...rest }: Figure): void {
  const verdict = goal === undefined ? '' : `${reached ? 'reached' : 'NOT reached'}: ${goal}`;
  process.stdout.write(
    `${`${name.padEnd(70)} ${text({ name, ...rest }).padStart(14)}  ${verdict}`.trimEnd()}\n`,
  );
}

try {
  for (const bench of BENCHES) {
    if (flags.only && !flags.only.includes(bench.name)) continue;
    process.stderr.write(`… ${bench.name}\n`);
    const folder = mkdtempSync(join(scratch, `${bench.name}-`));
    const browser = await openBrowser(900);
    const say = (line: string) => void process.stderr.write(`  ${line}\n`);
    const failure = (error: unknown) => {
      failed = true;
      say(`failed: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
    };
    try {
      const options = {
        quick: flags.quick,
        scratch: folder,
        root,
        say,
        failed: failure,
        browser,
        openBrowser,
      };
      const found = await bench.run(options);
      figures.push(...found);
      for (const one of found) print(one);
    } catch (error) {
      failure(error);
    } finally {
      await browser.close();
    }
    await helpersGone(folder);
    rmSync(folder, { recursive: true, force: true });
  }
} finally {
  rmSync(scratch, { recursive: true, force: true, maxRetries: 10, retryDelay: 200 });
}
if (flags.json !== undefined) {
  const machine = {
    cpu: cpus()[0]?.model ?? null,
    cores: availableParallelism(),
    node: process.version,
    load,
  };
  writeFileSync(
    flags.json,
    `${JSON.stringify({ at: new Date().toISOString(), machine, quick: flags.quick, figures }, null, 2)}\n`,
  );
}
process.exitCode = failed ? 1 : 0;
