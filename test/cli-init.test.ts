import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { temporaryFolder, waddle } from './cli-fixture.ts';

test('init makes a project folder: waddle.json, .waddle/ that ignores itself, one rule in .gitignore', async () => {
  const folder = temporaryFolder();
  const said = await waddle(folder, ['init']);
  expect(said).toMatchObject({ code: 0, out: '' });
  expect(JSON.parse(readFileSync(join(folder, 'waddle.json'), 'utf8'))).toEqual({
    remote: { url: '', token: '' },
  });
  expect(readFileSync(join(folder, '.waddle/.gitignore'), 'utf8')).toContain('\n*\n');
  expect(readFileSync(join(folder, '.gitignore'), 'utf8')).toBe('.waddle/\n');
});

test('init never writes over a waddle.json, but does the rest; --force writes it anew', async () => {
  const folder = temporaryFolder();
  writeFileSync(join(folder, 'waddle.json'), '{"run":{"project":"mine"}}');
  writeFileSync(join(folder, '.gitignore'), '*.pyc');
  const said = await waddle(folder, ['init']);
  expect(said.code).toBe(1);
  expect(said.err).toMatch(/is there already.*\nTo write it anew: waddle init --force\n$/);
  expect(readFileSync(join(folder, 'waddle.json'), 'utf8')).toBe('{"run":{"project":"mine"}}');
  expect(readFileSync(join(folder, '.gitignore'), 'utf8')).toBe('*.pyc\n.waddle/\n');
  expect(existsSync(join(folder, '.waddle/runs'))).toBe(true);
  expect((await waddle(folder, ['init', '--force'])).code).toBe(0);
  expect(readFileSync(join(folder, 'waddle.json'), 'utf8')).toContain('remote');
  expect(readFileSync(join(folder, '.gitignore'), 'utf8')).toBe('*.pyc\n.waddle/\n');
});

test('init works on the project around the working directory, or where --dir says', async () => {
  const folder = temporaryFolder();
  mkdirSync(join(folder, '.git'));
  mkdirSync(join(folder, 'deep/er'), { recursive: true });
  expect((await waddle(join(folder, 'deep/er'), ['init'])).code).toBe(0);
  expect(existsSync(join(folder, 'waddle.json'))).toBe(true);
  expect((await waddle(folder, ['init', '--dir', 'deep', '-q'])).err).toBe('');
  expect(existsSync(join(folder, 'deep/waddle.json'))).toBe(true);
  const missing = await waddle(folder, ['init', '--dir', 'nowhere']);
  expect(missing.code).toBe(1);
  expect(missing.err).toContain('there is no folder');
});

test('WADDLE_DIR names the project folder, --dir beats it, and a wrong one is an error', async () => {
  const [folder, other] = [temporaryFolder(), temporaryFolder()];
  const world = { env: { WADDLE_DIR: folder } };
  await waddle(other, ['init'], world);
  expect(existsSync(join(folder, 'waddle.json'))).toBe(true);
  await waddle(other, ['init', '--dir', other], world);
  expect(existsSync(join(other, 'waddle.json'))).toBe(true);
  const said = await waddle(other, ['ls'], { env: { WADDLE_DIR: join(folder, 'gone') } });
  expect(said.code).toBe(1);
  expect(said.err).toContain('WADDLE_DIR');
});

test.skipIf(process.getuid?.() === 0)('init in a folder that cannot be written says so', async () => {
  const folder = temporaryFolder();
  chmodSync(folder, 0o555);
  const said = await waddle(folder, ['init']);
  chmodSync(folder, 0o755);
  expect(said.code).toBe(1);
  expect(said.err).toMatch(/cannot be made a project folder/);
});

test('bad usage is a 2, in two lines', async () => {
  const folder = temporaryFolder();
  for (const argv of [['init', '--nonsense'], ['init', 'extra'], ['inti'], ['init', '--dir']]) {
    const said = await waddle(folder, argv);
    expect(said.code).toBe(2);
    expect(said.err.trimEnd().split('\n')).toHaveLength(2);
  }
  expect((await waddle(folder, ['inti'])).err).toContain('Did you mean: waddle init');
});
