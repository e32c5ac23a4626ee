import { pythonClient } from './cases/python-client.ts';
import type { Bench } from './figure.ts';

/** Every benchmark, in the order in which data flows. */
export const BENCHES: readonly Bench[] = [pythonClient];
