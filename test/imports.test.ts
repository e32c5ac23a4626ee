import { globSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';

const root = join(import.meta.dirname, '..');

/** The rooms under src/ and what each may import, as ARCHITECTURE.md's table says. */
function readTable(): Map<string, Set<string> | 'everything'> {
  const rooms = new Map<string, Set<string> | 'everything'>();
  for (const line of readFileSync(join(root, 'ARCHITECTURE.md'), 'utf8').split('\n')) {
    const cells = line.split('|').map((cell) => cell.trim());
    const room = /^`src\/(\w+)\/`$/.exec(cells[1] ?? '')?.[1];
    const allowed = cells[3];
    if (room === undefined || allowed === undefined) continue;
    const names = allowed === 'nothing' ? [] : allowed.split(',').map((name) => name.trim());
    rooms.set(room, allowed === 'everything' ? 'everything' : new Set(names));
  }
  return rooms;
}

const table = readTable();
const files = globSync('src/**/*.{ts,tsx}', { cwd: root });

/** Every module that a file imports, statically, dynamically or for its types. */
function importsOf(file: string): { target: string; typeOnly: boolean }[] {
  const text = readFileSync(join(root, file), 'utf8');
  const pattern =
    /(?:^|\n)\s*(?:import|export)\s+(type\s)?[^'"();]*?from\s*['"]([^'"]+)['"]|(?:^|\n)\s*import\s*['"]([^'"]+)['"]|\bimport\(\s*['"]([^'"]+)['"]\s*\)/g;
  return [...text.matchAll(pattern)].map((match) => ({
    target: match[2] ?? match[3] ?? match[4] ?? '',
    typeOnly: match[1] !== undefined,
  }));
}

/** Tests and what only they use. */
const isTest = (file: string) => /(\.test|-fixture|\/fixture)\.tsx?$/.test(file);

describe('rooms', () => {
  it('has every folder of src/ in the table of ARCHITECTURE.md', () => {
    const rooms = new Set(files.map((file) => file.split('/')[1] ?? ''));
    expect([...rooms].filter((room) => !table.has(room))).toEqual([]);
  });

  it('imports only what the table allows', () => {
    const broken: string[] = [];
    for (const file of files) {
      const room = file.split('/')[1] ?? '';
      const allowed = table.get(room);
      if (allowed === undefined || allowed === 'everything') continue;
      for (const { target } of importsOf(file)) {
        if (!target.startsWith('.')) continue;
        const path = relative(root, resolve(root, dirname(file), target));
        if (path.startsWith(`src/${room}/`) || path === 'package.json') continue;
        if (isTest(file) && (path.startsWith('test/support/') || path.startsWith('tools/'))) continue;
        const other = /^src\/(\w+)\//.exec(path)?.[1];
        if (other === undefined || !allowed.has(other)) broken.push(`${file} imports ${path}`);
      }
    }
    expect(broken).toEqual([]);
  });

  it('keeps the schema library out of what logs and supervises: src/events/schema.ts is imported for types only', () => {
    const broken = files
      .filter((file) => !isTest(file) && !file.startsWith('src/events/'))
      .filter((file) =>
        importsOf(file).some(({ target, typeOnly }) => target.endsWith('events/schema.ts') && !typeOnly),
      );
    expect(broken).toEqual([]);
  });

  it('reads the environment and the working directory only in cli and client', () => {
    const broken = files
      .filter((file) => !isTest(file) && !/^src\/(cli|client)\//.test(file))
      .filter((file) => /process\.(env|cwd\()/.test(readFileSync(join(root, file), 'utf8')));
    expect(broken).toEqual([]);
  });

  it('keeps ARCHITECTURE.md readable in one sitting: at most 150 lines', () => {
    expect(readFileSync(join(root, 'ARCHITECTURE.md'), 'utf8').split('\n').length).toBeLessThanOrEqual(150);
  });
});
