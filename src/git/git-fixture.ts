/** For the tests of this room: real repositories in a temporary folder, with a home of their own and no network. */
import { execFileSync, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  chmodSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { type SnapshotOptions, takeSnapshot } from './snapshot.ts';
import type { Snapshot } from './snapshot-record.ts';

export interface Fixture {
  root: string;
  /** A repository's working folder, made by `init`. */
  repo: string;
  privateDir: string;
  env: Record<string, string>;
  git(...args: string[]): string;
  gitIn(folder: string, ...args: string[]): string;
  init(...args: string[]): void;
  commit(message?: string): string;
  write(path: string | Buffer, content: string | Buffer): void;
  snapshot(options?: Partial<SnapshotOptions>): Promise<Snapshot>;
  /** Paths and contents of a tree, as `mode path` to content. */
  files(tree: string | null, gitDir?: string): Record<string, string>;
  /** Every byte and time of the user's that a snapshot must not touch. */
  fingerprint(): Record<string, string>;
  remove(): void;
}

export function makeFixture(): Fixture {
  const root = realpathSync(mkdtempSync(join(tmpdir(), 'waddle-git-')));
  // Others' processes are let in: tests of permissions run as another user.
  chmodSync(root, 0o755);
  const repo = join(root, 'repo');
  const home = join(root, 'home');
  mkdirSync(home);
  mkdirSync(repo);
  const env: Record<string, string> = {
    PATH: process.env.PATH ?? '/usr/bin:/bin',
    HOME: home,
    GIT_CONFIG_NOSYSTEM: '1',
    TMPDIR: root,
  };
  const gitIn = (folder: string, ...args: string[]): string =>
    execFileSync('git', ['-c', 'protocol.file.allow=always', ...args], {
      cwd: folder,
      env: {
        ...env,
        GIT_AUTHOR_NAME: 'A',
        GIT_AUTHOR_EMAIL: 'a@b',
        GIT_COMMITTER_NAME: 'A',
        GIT_COMMITTER_EMAIL: 'a@b',
      },
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'pipe'],
    });
  const fixture: Fixture = {
    root,
    repo,
    privateDir: join(root, 'private', 'git'),
    env,
    gitIn,
    git: (...args) => gitIn(repo, ...args),
    init(...args) {
      gitIn(repo, 'init', '--quiet', '-b', 'main', ...args);
    },
    commit(message = 'one') {
      gitIn(repo, 'add', '--all');
      gitIn(repo, 'commit', '--quiet', '--no-gpg-sign', '--no-verify', '--allow-empty', '-m', message);
      return gitIn(repo, 'rev-parse', 'HEAD').trim();
    },
    write(path, content) {
      const whole =
        typeof path === 'string'
          ? Buffer.from(join(repo, path))
          : Buffer.concat([Buffer.from(`${repo}/`), path]);
      mkdirSync(dirname(whole.toString('latin1')), { recursive: true });
      writeFileSync(whole, content);
    },
    snapshot: (options) => takeSnapshot({ cwd: repo, env, privateDir: fixture.privateDir, ...options }),
    files(tree, gitDir = join(repo, '.git')) {
      const result: Record<string, string> = {};
      const listed = execFileSync('git', ['--git-dir', gitDir, 'ls-tree', '-r', '-z', tree ?? ''], { env });
      for (const line of listed.toString('latin1').split('\0').filter(Boolean)) {
        const tab = line.indexOf('\t');
        const path = line.slice(tab + 1);
        const [mode = '', type = '', id = ''] = line.slice(0, tab).split(' ');
        result[`${mode} ${path}`] =
          type === 'commit'
            ? id
            : execFileSync('git', ['--git-dir', gitDir, 'cat-file', 'blob', id], { env }).toString('latin1');
      }
      return result;
    },
    fingerprint() {
      const result: Record<string, string> = {};
      const walk = (folder: string): void => {
        for (const name of readdirSync(folder, { encoding: 'latin1' })) {
          const path = join(folder, name);
          const bytes = Buffer.from(path, 'latin1');
          const inGit = path.slice(repo.length).split('/.git/')[1];
          if (inGit !== undefined && /^(?:modules\/.+?\/)?(?:objects|refs\/waddle)(?:\/|$)/.test(inGit))
            continue;
          const stat = lstatSync(bytes);
          if (stat.isDirectory()) {
            // `refs` itself changes its time when `refs/waddle` comes to be.
            if (!/^(?:modules\/.+?\/)?refs$/.test(inGit ?? '')) result[`${path}/`] = `${stat.mode}`;
            walk(path);
          } else {
            const content = stat.isSymbolicLink()
              ? readlinkSync(bytes)
              : stat.isFile()
                ? createHash('sha1').update(readFileSync(bytes)).digest('hex')
                : '';
            result[path] = `${stat.mode} ${stat.mtimeMs} ${stat.ino} ${content}`;
          }
        }
      };
      walk(repo);
      return result;
    },
    remove() {
      rmSync(root, { recursive: true, force: true });
    },
  };
  return fixture;
}

/**
 * Takes the snapshot in a process of its own that permissions apply to: root may write everywhere. It changes its user after
 * its modules are loaded, since the checkout may lie where only root may look.
 */
export function snapshotUnprivileged(fixture: Fixture, options: Partial<SnapshotOptions> = {}): Snapshot {
  const all = {
    cwd: fixture.repo,
    env: fixture.env,
    privateDir: fixture.privateDir,
    ...options,
  };
  const script = `
    import { takeSnapshot } from ${JSON.stringify(join(import.meta.dirname, 'snapshot.ts'))};
    ${BECOME_NOBODY}
    process.stdout.write(JSON.stringify(await takeSnapshot(${JSON.stringify(all)})));`;
  const result = spawnSync(process.execPath, ['--input-type=module', '-e', script], {
    cwd: '/',
    encoding: 'utf8',
  });
  if (result.status !== 0) throw new Error(result.stderr);
  return JSON.parse(result.stdout) as Snapshot;
}

const BECOME_NOBODY =
  'if (process.getuid() === 0) { process.setgroups([]); process.setgid(65534); process.setuid(65534); }';

export const isRoot = process.getuid?.() === 0;
