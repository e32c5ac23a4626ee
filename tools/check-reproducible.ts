/** Builds the packages again from a clone in another folder, time zone and umask, which must give the bytes that lie in `build/`. */
import { cpSync, globSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, output, ROOT } from './check.ts';

const folder = mkdtempSync(join(tmpdir(), 'waddle-again-'));
process.umask(0o077);
try {
  const again = join(folder, 'some', 'other place');
  const here = { cwd: ROOT, env: process.env };
  output(here, 'git', 'clone', '--quiet', '--no-local', '.', again);
  // What `npm ci` would give, in a fraction of the time.
  output(here, 'cp', '-a', 'node_modules', join(again, 'node_modules'));
  cpSync(globOne('.cache/hatchling-*'), join(again, globOne('.cache/hatchling-*')), { recursive: true });
  const env = { ...process.env, TZ: 'Pacific/Kiritimati', LC_ALL: 'C' };
  output({ cwd: again, env }, process.execPath, 'tools/package.ts');
  const files = globSync('build/*', { cwd: ROOT });
  expect(files.length === 3, 'there are three packages');
  for (const file of files) {
    expect(
      readFileSync(join(ROOT, file)).equals(readFileSync(join(again, file))),
      `${file} is the same again`,
    );
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}

function globOne(pattern: string): string {
  const [found] = globSync(pattern, { cwd: ROOT });
  if (found === undefined) throw new Error(`no ${pattern}: npm run package`);
  return found;
}
