import { defineConfig } from 'vitest/config';
import LongestFirst from './test/support/longest-first.ts';

/** In CI a test that fails gets a second try, and the report names it: a machine's hiccup must not hide what else fails. */
const inCi = process.env.CI === 'true';

export default defineConfig({
  test: {
    include: ['src/**/*.test.ts', 'test/**/*.test.ts', 'bench/**/*.test.ts'],
    globalSetup: ['test/support/servers.ts', 'test/support/build.ts'],
    setupFiles: ['test/support/seed.ts'],
    // Real processes, git and disks: a loaded two-core machine needs room, and a hang still ends.
    testTimeout: 120_000,
    hookTimeout: 120_000,
    pool: 'forks',
    // More than the two cores of a small machine: for much of their time tests wait, for processes, pages and pauses.
    maxWorkers: 3,
    sequence: { sequencer: LongestFirst },
    retry: inCi ? 1 : 0,
    reporters: ['default', './test/support/last-lines.ts'],
  },
});
