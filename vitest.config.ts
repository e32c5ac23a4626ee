import { defineConfig } from 'vitest/config';

/** In CI a test that fails gets a second try, and the report names it: a machine's hiccup must not hide what else fails. */
const inCi = process.env.CI === 'true';

export default defineConfig({
  test: {
    include: ['src/**/*.test.ts', 'test/**/*.test.ts', 'bench/**/*.test.ts'],
    globalSetup: ['test/support/build.ts', 'test/support/servers.ts'],
    setupFiles: ['test/support/seed.ts'],
    // Real processes, git and disks: a loaded two-core machine needs room, and a hang still ends.
    testTimeout: 60_000,
    hookTimeout: 60_000,
    pool: 'forks',
    maxWorkers: 2,
    retry: inCi ? 1 : 0,
    reporters: ['default', './test/support/last-lines.ts'],
  },
});
