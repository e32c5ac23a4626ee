/**
 * Builds what is published into `dist/`: the command line as a bundle whose heavy parts are chunks that load on demand,
 * and the client for Node jobs with its types. `npm ci` runs it (prepare), so that a checkout is ready to use.
 */
import { chmodSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { rolldown } from 'rolldown';

const root = join(import.meta.dirname, '..');
const dist = join(root, 'dist');

/** Native parts cannot be bundled; npm installs them beside. */
const external = [/^node:/, '@lydell/node-pty'];

async function bundle(input: Record<string, string>, options: { clean: boolean }): Promise<void> {
  if (options.clean) rmSync(dist, { recursive: true, force: true });
  const build = await rolldown({ input, external, platform: 'node', cwd: root, logLevel: 'warn' });
  await build.write({
    dir: dist,
    format: 'esm',
    entryFileNames: '[name].js',
    chunkFileNames: 'chunks/[name]-[hash].js',
    banner: (chunk) => (chunk.name === 'waddle' ? '#!/usr/bin/env node' : ''),
    minify: 'dce-only',
    comments: { legal: true },
  });
  await build.close();
}

await bundle({ waddle: 'src/cli/entry.ts' }, { clean: true });
chmodSync(join(dist, 'waddle.js'), 0o755);
