import { collector } from './cases/collector.ts';
import { copies } from './cases/copies.ts';
import { ingest } from './cases/ingest.ts';
import { list } from './cases/list.ts';
import { livingWithGit } from './cases/living-with-git.ts';
import { longSeries } from './cases/long-series.ts';
import { manyRuns } from './cases/many-runs.ts';
import { pythonClient } from './cases/python-client.ts';
import { runCommand } from './cases/run.ts';
import { snapshot } from './cases/snapshot.ts';
import { start } from './cases/start.ts';
import { typescriptClient } from './cases/typescript-client.ts';
import type { Bench } from './figure.ts';

/** Every benchmark, in the order in which data flows. */
export const BENCHES: readonly Bench[] = [
  start,
  snapshot,
  livingWithGit,
  copies,
  runCommand,
  pythonClient,
  typescriptClient,
  ingest,
  longSeries,
  list,
  manyRuns,
  collector,
];
