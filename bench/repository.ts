import { execFileSync } from 'node:child_process';
import { mkdirSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { seeded } from './journals.ts';

/** A place where nobody's git configuration reaches. */
export function gitEnvironment(): NodeJS.ProcessEnv {
  return {
    ...process.env,
    GIT_CONFIG_GLOBAL: '/dev/null',
    GIT_CONFIG_NOSYSTEM: '1',
    GIT_AUTHOR_NAME: 'bench',
    GIT_AUTHOR_EMAIL: 'bench@localhost',
    GIT_COMMITTER_NAME: 'bench',
    GIT_COMMITTER_EMAIL: 'bench@localhost',
  };
}

export interface Repository {
  folder: string;
  /** Gives so many of its files another content. */
  change(files: number): void;
  git(...args: string[]): void;
}

const pathOf = (index: number) => join(`part${Math.floor(index / 100)}`, `file${index % 100}.py`);

/** A committed repository of small files, 100 in a folder, with a settled index. */
export function makeRepository(folder: string, files: number): Repository {
  const random = seeded(files);
  let version = 0;
  const content = (index: number) =>
    `# file ${index}, version ${version}\n${'value = 42\n'.repeat(1 + Math.floor(random() * 200))}`;
  const git = (...args: string[]) =>
    void execFileSync('git', args, {
      cwd: folder,
      env: gitEnvironment(),
      stdio: ['ignore', 'ignore', 'pipe'],
    });
  for (let index = 0; index < files; index += 1) {
    if (index % 100 === 0) mkdirSync(join(folder, `part${index / 100}`), { recursive: true });
    const path = join(folder, pathOf(index));
    writeFileSync(path, content(index));
    // A file as old as the index is looked into by every `git status`; those of a real repository are older.
    utimesSync(path, 1_764_000_000, 1_764_000_000);
  }
  git('init', '--quiet', '--initial-branch=main');
  // One gc, here and now, and none in the background while others measure.
  git('config', 'gc.auto', '0');
  git('config', 'maintenance.auto', 'false');
  git('add', '.');
  git('commit', '--quiet', '-m', 'Files');
  git('gc', '--quiet');
  git('status');
  return {
    folder,
    git,
    change(count) {
      version += 1;
      for (let index = 0; index < count; index += 1) {
        writeFileSync(join(folder, pathOf(index * Math.floor(files / count))), content(index));
      }
    },
  };
}
