import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { layoutOf } from '../journal/layout.ts';
import { storePath } from './store-path.ts';

let folder: string;
beforeEach(() => {
  folder = realpathSync(mkdtempSync(join(tmpdir(), 'waddle-path-')));
  mkdirSync(join(folder, 'project'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const NFS = 0x6969;
const EXT4 = 0xef53;

it('is in .waddle/, or where waddle.json says', () => {
  const layout = layoutOf(join(folder, 'project'));
  const env = { cacheHome: join(folder, 'cache') };
  expect(storePath(layout, null, env)).toBe(join(folder, 'project/.waddle/waddle.sqlite'));
  expect(storePath(layout, 'other/db.sqlite', env)).toBe(join(folder, 'project/other/db.sqlite'));
  expect(storePath(layout, '/somewhere/db.sqlite', env)).toBe('/somewhere/db.sqlite');
});

it('is in the cache where the project is on a network file system, one for each project', () => {
  const project = join(folder, 'project');
  const cacheHome = join(folder, 'cache');
  const fileSystemType = (path: string) => (path.startsWith(project) ? NFS : EXT4);
  const env = { cacheHome, fileSystemType };
  const path = storePath(layoutOf(project), null, env);
  expect(path.startsWith(join(cacheHome, 'waddle/stores/project-'))).toBe(true);
  symlinkSync(project, join(folder, 'link'));
  expect(storePath(layoutOf(join(folder, 'link')), null, env)).toBe(path);
  mkdirSync(join(project, 'inner'));
  expect(storePath(layoutOf(join(project, 'inner')), null, env)).not.toBe(path);
  // A database that the user put on a local disk stays there.
  expect(storePath(layoutOf(project), join(folder, 'mine.sqlite'), env)).toBe(join(folder, 'mine.sqlite'));
});

it('is among the temporary files where the home is on a network too, as on clusters', () => {
  const fileSystemType = (path: string) => (path.startsWith(folder) ? NFS : EXT4);
  const path = storePath(layoutOf(join(folder, 'project')), null, {
    cacheHome: join(folder, 'cache'),
    fileSystemType,
  });
  expect(path.startsWith(join(tmpdir(), 'waddle-'))).toBe(true);
  const everywhere = { cacheHome: join(folder, 'cache'), fileSystemType: () => NFS };
  expect(
    storePath(layoutOf(join(folder, 'project')), null, everywhere).startsWith(join(folder, 'cache')),
  ).toBe(true);
});
