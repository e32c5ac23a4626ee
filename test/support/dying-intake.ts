/** The thread that takes in, which dies wherever it is at, as often as `deaths` (environment data) says: for tests. */
import { getEnvironmentData } from 'node:worker_threads';

await import('../../src/collector/intake-worker.ts');
const deaths = new Int32Array(getEnvironmentData('deaths') as SharedArrayBuffer);
if (Atomics.sub(deaths, 0, 1) > 0) setTimeout(() => process.exit(9), 400 * Math.random());
