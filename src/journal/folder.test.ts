import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { ensureFolder } from './folder.ts';

test('a folder is made with those above it, and left where it is; a file in its place is an error', () => {
  const top = mkdtempSync(join(tmpdir(), 'waddle-folder-'));
  try {
    const deep = join(top, 'a/b/c');
    ensureFolder(deep, 0o700);
    ensureFolder(deep);
    expect(statSync(deep).mode & 0o777).toBe(0o700);
    writeFileSync(join(top, 'file'), '');
    expect(() => ensureFolder(join(top, 'file'))).toThrow('EEXIST');
    expect(() => ensureFolder(join(top, 'file/x/y'))).toThrow('ENOTDIR');
  } finally {
    rmSync(top, { recursive: true });
  }
});

test.runIf(process.platform === 'linux')('where no folder can be made it says so, and ends', () => {
  // In a process of its own, which can be ended should it not end by itself.
  const { status, stdout } = spawnSync(
    process.execPath,
    [
      '--input-type=module',
      '--eval',
      `import { ensureFolder } from ${JSON.stringify(import.meta.resolve('./folder.ts'))};
       try { ensureFolder('/proc/.waddle/runs'); } catch (error) { console.log(error.code, error.path); }`,
    ],
    { encoding: 'utf8', timeout: 60_000, killSignal: 'SIGKILL' },
  );
  expect([status, stdout]).toEqual([0, 'ENOENT /proc/.waddle\n']);
});
