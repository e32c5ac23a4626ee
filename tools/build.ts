/**
 * Builds what is published into `dist/`: the command line as a bundle whose heavy parts are chunks that load on demand,
 * and the client for Node jobs with its types. `npm ci` runs it (prepare), so that a checkout is ready to use.
 *
 * Built beside and moved in file by file, entries last: a `waddle` that runs meanwhile finds whole files. What an earlier
 * build left is removed only with `--clean`, or once nothing that started before can still want it.
 *
 * `--out DIR` builds into another folder. The same sources make the same bytes, wherever they lie.
 */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  chmodSync,
  cpSync,
  existsSync,
  globSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { type Plugin, rolldown } from 'rolldown';
import { quickHttp } from './quick-http.ts';
import { thirdParty } from './third-party.ts';
import { trim } from './trim.ts';

const root = join(import.meta.dirname, '..');
const { values: options } = parseArgs({ options: { clean: { type: 'boolean' }, out: { type: 'string' } } });
const dist = resolve(options.out ?? join(root, 'dist'));
const staging = `${dist}.${process.pid}.tmp`;
const STALE_MS = 60 * 60 * 1000;

// Vitest says `test`, which Vite takes for a reason to build a page for debugging, with this folder's paths in it.
process.env.NODE_ENV = 'production';

/** Native parts cannot be bundled; npm installs them beside. */
const external = [/^node:(?!http$)/, '@lydell/node-pty'];

async function bundle(
  input: Record<string, string>,
  format: 'esm' | 'cjs' = 'esm',
  plugins: Plugin[] = [],
): Promise<void> {
  const build = await rolldown({ input, external, platform: 'node', cwd: root, logLevel: 'warn', plugins });
  await build.write({
    dir: staging,
    format,
    entryFileNames: format === 'esm' ? '[name].js' : '[name].cjs',
    chunkFileNames: 'chunks/[name]-[hash].js',
    banner: (chunk) => (chunk.name === 'waddle' ? '#!/usr/bin/env node' : ''),
    minify: true,
    comments: { legal: false },
  });
  await build.close();
}

/** The client's types: `client.ts` holds all that it exports in full, so that its declarations need no other file. */
function declareClient(): void {
  const out = join(staging, 'types');
  const tsc = join(root, 'node_modules', 'typescript', 'bin', 'tsc');
  const options = ['--declaration', '--emitDeclarationOnly', '--noEmit', 'false', '--ignoreConfig'];
  const language = ['--target', 'es2024', '--module', 'nodenext', '--types', 'node', '--skipLibCheck'];
  const imports = ['--allowImportingTsExtensions', '--resolveJsonModule'];
  const client = join(root, 'src/client/client.ts');
  execFileSync(process.execPath, [
    tsc,
    ...options,
    ...language,
    ...imports,
    '--rootDir',
    root,
    '--outDir',
    out,
    client,
  ]);
  const declarations = readFileSync(join(out, 'src/client/client.d.ts'), 'utf8');
  if (/\bimport\b.*['"]\.{1,2}\//.test(declarations)) {
    throw new Error('dist/client.d.ts would refer to files that are not published');
  }
  writeFileSync(join(staging, 'client.d.ts'), declarations);
  rmSync(out, { recursive: true });
}

/**
 * The dashboard's page. Vite takes a second or two, so what it made is kept in `.cache/`, named by a hash of all that it is
 * made from, and copied while that stays the same.
 */
async function page(): Promise<void> {
  const hash = createHash('sha256');
  const inputs = globSync(
    ['src/dashboard/**/*.*', 'src/protocol/*.ts', 'tools/{build,third-party}.ts', 'package-lock.json'],
    { cwd: root },
  );
  for (const file of inputs.sort()) {
    if (!file.includes('.test.')) hash.update(`${file}\0`).update(readFileSync(join(root, file)));
  }
  const kept = join(root, '.cache', `dashboard-${hash.digest('hex').slice(0, 16)}`);
  if (!existsSync(kept)) {
    for (const old of globSync('.cache/dashboard-*', { cwd: root })) {
      if (Date.now() - statSync(join(root, old)).mtimeMs > STALE_MS)
        rmSync(join(root, old), { recursive: true });
    }
    const { build } = await import('vite');
    const outDir = `${kept}.${process.pid}.tmp`;
    await build({
      configFile: join(root, 'src/dashboard/vite.config.ts'),
      plugins: [thirdParty()],
      build: { outDir },
    });
    try {
      renameSync(outDir, kept);
    } catch (error) {
      if (!existsSync(kept)) throw error;
      rmSync(outDir, { recursive: true, force: true }); // another build was first, with the same
    }
  }
  cpSync(kept, join(staging, 'dashboard'), { recursive: true });
}

function moveIn(): void {
  const depth = (file: string): number => file.split('/').length;
  const files = globSync('**/*.*', { cwd: staging }).sort((a, b) => depth(b) - depth(a));
  for (const file of files) {
    mkdirSync(dirname(join(dist, file)), { recursive: true });
    renameSync(join(staging, file), join(dist, file));
  }
  const fresh = new Set(files);
  for (const file of globSync('**/*.*', { cwd: dist })) {
    if (!fresh.has(file) && Date.now() - statSync(join(dist, file)).mtimeMs > STALE_MS)
      rmSync(join(dist, file));
  }
}

if (options.clean === true) rmSync(dist, { recursive: true, force: true });
try {
  const program = { waddle: 'src/cli/entry.ts', 'intake-worker': 'src/collector/intake-worker.ts' };
  await bundle(program, 'esm', [quickHttp(), trim(), thirdParty()]);
  // Apart from the command line: a job that logs must not load any of it.
  await bundle({
    client: 'src/client/client.ts',
    boot: 'src/client/boot.ts',
  });
  // Every Node that a job starts loads it (NODE_OPTIONS), however old: `--require` is understood by all of them.
  await bundle({ 'resolve-client': 'src/client/resolve-client.ts' }, 'cjs');
  declareClient();
  chmodSync(join(staging, 'waddle.js'), 0o755);
  const shapes = execFileSync(process.execPath, [join(staging, 'waddle.js'), '__complete', 'shapes']);
  writeFileSync(join(staging, 'commands.json'), shapes);
  moveIn();
  // Last, and apart: the command line is whole also while somebody works on the page.
  await page();
  moveIn();
} finally {
  rmSync(staging, { recursive: true, force: true });
}
