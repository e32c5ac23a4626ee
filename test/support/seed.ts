/**
 * Property tests draw from one seed, so that what passes today passes tomorrow, and a failure is everyone's. Other seeds:
 * `WADDLE_TEST_SEED=… npm test`.
 */
import fc from 'fast-check';

fc.configureGlobal({ seed: Number(process.env.WADDLE_TEST_SEED ?? 20_261_123) });
