/** `ingest.ts PROJECT [--seal]`: reads all journals into a new store, in a process of its own; prints what it took, as JSON. */
import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { catchUp } from '../../src/ingest/catch-up.ts';
import { layoutOf } from '../../src/journal/layout.ts';
import { openStore } from '../../src/store/open.ts';

const [project = '', ...flags] = process.argv.slice(2);
const layout = layoutOf(project);
const path = join(layout.root, 'waddle.sqlite');
const store = openStore(path);
const empty = Number(store.db.prepare('PRAGMA page_count').get()?.page_count) * 4096;
const cpu = process.cpuUsage();
const began = performance.now();
const report = catchUp({ layout, store });
const took = performance.now() - began;
const { user, system } = process.cpuUsage(cpu);
if (report.failed.length > 0 || report.broken.length > 0) throw new Error(JSON.stringify(report));
if (flags.includes('--seal')) {
  const { sealEnded } = await import('../../src/ingest/seal-ended.ts');
  const { failed } = sealEnded({ layout, store });
  if (failed.length > 0) throw new Error(JSON.stringify(failed));
}
store.close();
/** Greatest resident memory of this process so far, in bytes. */
const peak = Number(/VmHWM:\s*(\d+)/.exec(readFileSync('/proc/self/status', 'utf8'))?.[1]) * 1024;
const result = { ms: took, cpuMs: (user + system) / 1000, samples: report.samples, peak };
process.stdout.write(`${JSON.stringify({ ...result, storeBytes: statSync(path).size - empty })}\n`);
