/** For the tests of this room: project folders with runs as Waddle's own writers make them. */
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { putBytes } from '../blobs/blob-store.ts';
import { putFolder } from '../blobs/folder-manifest.ts';
import { newRunId } from '../events/ids.ts';
import type { Event, SnapshotRecord } from '../events/schema.ts';
import { takeSnapshot } from '../git/snapshot.ts';
import { type Layout, layoutOf, runFolder } from '../journal/layout.ts';
import { sealJournal } from '../journal/seal.ts';
import { JournalWriter } from '../journal/writer.ts';
import { FolderSpace, type FolderSpaceOptions } from './folder-space.ts';

export interface Team {
  root: string;
  env: Record<string, string>;
  /** A project folder; with `git` in a repository of its own. */
  folder(name: string, options?: { git?: boolean; format?: 'sha1' | 'sha256' }): Member;
  remove(): Promise<void>;
}

export interface Member {
  layout: Layout;
  /** A space over the folder, as a new process would open it. */
  space(options?: Partial<FolderSpaceOptions>): FolderSpace;
  git(...args: string[]): string;
  write(path: string, content: string | Buffer): string;
  run(options?: RunOptions): Promise<string>;
  edit(run: string, ...events: Event[]): string;
  /** Removes, or restores, a run as `waddle rm` does. */
  remove(run: string, clock: number, undo?: boolean): string;
}

export interface RunOptions {
  id?: string;
  project?: string | null;
  samples?: number;
  artifacts?: Record<string, string | Buffer>;
  folders?: string[];
  code?: boolean;
  /** Default true. */
  ended?: boolean;
  seal?: boolean;
}

const CLIENT = 'test 1.0';

export function makeTeam(): Team {
  const root = realpathSync(mkdtempSync(join(tmpdir(), 'waddle-sync-')));
  const home = join(root, 'home');
  mkdirSync(home);
  const env: Record<string, string> = {
    PATH: process.env.PATH ?? '/usr/bin:/bin',
    HOME: home,
    GIT_CONFIG_NOSYSTEM: '1',
    GIT_AUTHOR_NAME: 'A',
    GIT_AUTHOR_EMAIL: 'a@b',
    GIT_COMMITTER_NAME: 'A',
    GIT_COMMITTER_EMAIL: 'a@b',
    TMPDIR: root,
  };
  const spaces: FolderSpace[] = [];
  return {
    root,
    env,
    folder: (name, options) => makeMember(join(root, name), env, spaces, options),
    remove: async () => {
      for (const space of spaces) await space.close();
      rmSync(root, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}

function makeMember(
  folder: string,
  env: Record<string, string>,
  spaces: FolderSpace[],
  options: { git?: boolean; format?: 'sha1' | 'sha256' } = {},
): Member {
  mkdirSync(folder, { recursive: true });
  const layout = layoutOf(folder);
  mkdirSync(layout.runs, { recursive: true });
  writeFileSync(join(layout.root, '.gitignore'), '*\n');
  const git = (...args: string[]): string =>
    execFileSync('git', args, { cwd: folder, env, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
  const write = (path: string, content: string | Buffer): string => {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), content);
    return join(folder, path);
  };
  if (options.git === true) {
    git('init', '--quiet', '-b', 'main', ...(options.format ? [`--object-format=${options.format}`] : []));
    write('README', 'a project\n');
    git('add', '.');
    git('commit', '--quiet', '-m', 'first');
  }
  const writeEvents = (place: string, role: 'edits' | 'project', run: string | null, events: Event[]) => {
    const journal = JournalWriter.open({ folder: place, role, run, client: CLIENT });
    journal.append(...events);
    journal.close();
    return journal.name;
  };
  return {
    layout,
    git,
    write,
    space(more) {
      const space = new FolderSpace({ layout, env, ...more });
      spaces.push(space);
      return space;
    },
    async run(given = {}) {
      const id = given.id ?? newRunId();
      const place = runFolder(layout, id);
      const t = Date.now() / 1000;
      const journal = JournalWriter.open({ folder: place, role: 'supervisor', run: id, client: CLIENT });
      journal.append({
        k: 'start',
        t,
        id,
        attempt: journal.name,
        project: given.project ?? 'demo',
        name: `run ${id}`,
      });
      if (given.code === true) {
        const snapshot = await takeSnapshot({ cwd: folder, env, privateDir: layout.privateGit });
        journal.append({ k: 'snapshot', t, snapshot: snapshot as SnapshotRecord });
      }
      for (let s = 0; s < (given.samples ?? 3); s += 1) {
        journal.append({ k: 'm', t, s, v: { loss: Math.random() } });
      }
      for (const [name, content] of Object.entries(given.artifacts ?? {})) {
        const blob = putBytes(layout.blobs, Buffer.from(content));
        journal.append({ k: 'artifact', t, name, type: 'file', ...blob });
      }
      for (const path of given.folders ?? []) {
        const blob = putFolder(layout.blobs, join(folder, path));
        journal.append({ k: 'artifact', t, name: path, type: 'folder', ...blob });
      }
      if (given.ended === false) return id;
      journal.append({ k: 'end', t, attempt: journal.name, status: 'completed', by: 'supervisor' });
      journal.close();
      if (given.seal === true) sealJournal(journal.path);
      return id;
    },
    edit: (run, ...events) => writeEvents(runFolder(layout, run), 'edits', run, events),
    remove: (run, clock, undo = false) =>
      writeEvents(layout.projectJournals, 'project', null, [
        { k: undo ? 'restore' : 'remove', t: Date.now() / 1000, run, clock },
      ]),
  };
}

/** A large run with artifacts and code, and a small one that is sealed. The folder lies in a repository. */
export async function twoRuns(member: Member): Promise<string[]> {
  member.write('data/a', randomBytes(1000));
  member.write('data/b', randomBytes(200_000));
  member.write('train.py', 'print(1)\n'.repeat(1000));
  const first = await member.run({
    samples: 20_000,
    artifacts: { w: randomBytes(150_000) },
    folders: ['data'],
    code: true,
  });
  member.write('train.py', 'print(2)\n'.repeat(1000));
  const second = await member.run({ samples: 10, code: true, seal: true });
  return [first, second];
}
