import { execFileSync, spawnSync } from 'node:child_process';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { makeFixture } from './git-fixture.ts';
import { ignorePatterns, rebasePatterns } from './ignore-patterns.ts';

test('gives the folder that is ignored as a whole', () => {
  const patterns = ignorePatterns(['data/', '*.ckpt', '!keep.ckpt', '/top.txt']);
  expect(patterns.match('a/data/x/y.csv')).toBe('a/data/');
  expect(patterns.match('data')).toBe(null);
  expect(patterns.match('a/w.ckpt')).toBe('a/w.ckpt');
  expect(patterns.match('a/keep.ckpt')).toBe(null);
  expect(patterns.match('top.txt')).toBe('top.txt');
  expect(patterns.match('a/top.txt')).toBe(null);
  expect(patterns.match('nested/data/')).toBe('nested/data/');
});

test('agrees with git on any pattern and path', () => {
  const f = makeFixture();
  try {
    f.init();
    const piece = fc.constantFrom(
      'a',
      'b',
      'ab',
      '*',
      '**',
      '?',
      '/',
      '/',
      '[ab]',
      '[!a]',
      '[]a]',
      '[a',
      '\\*',
      '\\a',
      '!',
      ' ',
      '.',
      '#',
      '[[:alpha:]]',
      '[a-c]',
      'x*',
    );
    // A name with characters that a glob would obey.
    const base = 'sub/od*d [b]/';
    const pattern = fc.array(piece, { minLength: 1, maxLength: 6 }).map((parts) => parts.join(''));
    const name = fc
      .constantFrom('a', 'b', 'ab', 'ba', 'c', '*', '!', 'x', 'xa', '.', 'a.b', ' ', '#')
      .filter((part) => part !== '.');
    const path = fc.array(name, { minLength: 1, maxLength: 4 }).map((parts) => parts.join('/'));
    fc.assert(
      fc.property(
        fc.array(pattern, { minLength: 1, maxLength: 4 }),
        fc.uniqueArray(path, { minLength: 20, maxLength: 40 }),
        (lines, paths) => {
          f.write('.gitignore', `${lines.join('\n')}\n`);
          f.write(`${base}.gitignore`, '');
          const below = paths.map((each) => `${base}${each}`);
          // Without an index and without the files: by pattern alone, as git does for paths it has not seen.
          const out = spawnSync('git', ['check-ignore', '--no-index', '--stdin', '-z', '-v', '-n'], {
            cwd: f.repo,
            env: f.env,
            input: paths.join('\0'),
          })
            .stdout.toString()
            .split('\0');
          f.write('.gitignore', '');
          f.write(`${base}.gitignore`, `${lines.join('\n')}\n`);
          const rebased = spawnSync('git', ['check-ignore', '--no-index', '--stdin', '-z', '-v', '-n'], {
            cwd: f.repo,
            env: f.env,
            input: below.join('\0'),
          })
            .stdout.toString()
            .split('\0');
          const moved = ignorePatterns(rebasePatterns(lines, base));
          for (const [index, each] of below.entries()) {
            const matched = rebased[index * 4 + 2] ?? '';
            const byGit = matched !== '' && !matched.startsWith('!');
            expect([lines, each, moved.match(each) !== null]).toEqual([lines, each, byGit]);
          }
          const ours = ignorePatterns(lines);
          for (const [index, each] of paths.entries()) {
            const matched = out[index * 4 + 2] ?? '';
            const byGit = matched !== '' && !matched.startsWith('!');
            expect([lines, each, ours.match(each) !== null]).toEqual([lines, each, byGit]);
          }
        },
      ),
      { numRuns: 60 },
    );
    execFileSync('true');
  } finally {
    f.remove();
  }
});
