import { execFileSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, test } from 'vitest';
import { blobPath, listBlobs, putBytes, removeBlob } from '../src/blobs/blob-store.ts';
import { putFolder } from '../src/blobs/folder-manifest.ts';
import { listPinned, pinTree } from '../src/git/refs.ts';
import type { Layout } from '../src/journal/layout.ts';
import { layoutOf, runFolder } from '../src/journal/layout.ts';
import { ensureProjectFolder } from '../src/journal/project-folder.ts';
import { journalOf, newProject, START, temporaryFolder, waddle, writeBlob, writeRun } from './cli-fixture.ts';

interface Reclaimed {
  dry_run: boolean;
  freed_bytes: number;
  runs: string[];
  artifacts: number;
  snapshots: number;
  temporary_files: number;
  kept: string[];
}

let layout: Layout;
beforeEach(() => {
  layout = newProject();
});

async function gc(...argv: string[]): Promise<Reclaimed> {
  const said = await waddle(layout.project, ['gc', '--json', ...argv]);
  expect(said).toMatchObject({ code: 0, err: '' });
  return JSON.parse(said.out) as Reclaimed;
}

const rm = (...runs: string[]) => waddle(layout.project, ['rm', '--yes', ...runs]);

/** As if every stored file had been there since yesterday. */
function ageBlobs(): void {
  const yesterday = Date.now() / 1000 - 86_400;
  for (const { path } of listBlobs(layout.blobs)) utimesSync(path, yesterday, yesterday);
}

const blobs = (): number => [...listBlobs(layout.blobs)].length;

describe('gc', () => {
  test('takes the folder and the artifacts of a removed run, and nothing that another needs', async () => {
    const source = temporaryFolder();
    writeFileSync(join(source, 'shared'), 'shared');
    writeFileSync(join(source, 'inner'), 'inner');
    const folder = putFolder(layout.blobs, source);
    const gone = writeRun(layout, {
      artifacts: [
        { name: 'a', bytes: 'only mine' },
        { name: 'b', bytes: 'shared' },
        { name: 'c', bytes: 'inner' },
      ],
    });
    const kept = writeRun(layout, {
      at: 1,
      events: [{ k: 'artifact', t: START, name: 'f', type: 'folder', ...folder }],
    });
    expect(await gc()).toMatchObject({ runs: [], artifacts: 0, freed_bytes: 0 });
    await rm(gone);
    ageBlobs();
    const dry = await gc('--dry-run');
    expect(dry).toMatchObject({ dry_run: true, runs: [gone], artifacts: 1 });
    expect(dry.freed_bytes).toBeGreaterThan(9);
    expect(existsSync(runFolder(layout, gone))).toBe(true);
    expect(blobs()).toBe(4);

    expect(await gc()).toMatchObject({ dry_run: false, runs: [gone], artifacts: 1 });
    expect(readdirSync(layout.runs)).toEqual([kept]);
    expect(blobs()).toBe(3);
    expect((await waddle(layout.project, ['get', kept, 'f', temporaryFolder()])).code).toBe(0);
    expect(await gc()).toMatchObject({ runs: [], artifacts: 0 });
    expect((await waddle(layout.project, ['rm', '--undo', gone])).code).toBe(1);
    expect(JSON.parse((await waddle(layout.project, ['ls', '--json'])).out)).toHaveLength(1);
  });

  test('leaves young files, the artifacts while a run is going, and a removed run that still writes', async () => {
    const gone = writeRun(layout, { artifacts: [{ name: 'a', bytes: 'mine' }] });
    const young = writeBlob(layout, Buffer.from('just now'));
    await rm(gone);
    ageBlobs();
    const now = Date.now() / 1000;
    utimesSync(blobPath(layout.blobs, young), now, now);
    const going = writeRun(layout, { took: null, at: now - START - 600 });
    // A few hours old: the run that is going may have asked for it, and name it yet.
    const hours = writeBlob(layout, Buffer.from('mine'));
    utimesSync(blobPath(layout.blobs, hours), now - 20_000, now - 20_000);
    expect(await gc()).toMatchObject({ runs: [gone], artifacts: 0, kept: [] });
    const days = writeBlob(layout, Buffer.from('forgotten'));
    utimesSync(blobPath(layout.blobs, days), now - 100_000, now - 100_000);
    expect(await gc()).toMatchObject({ artifacts: 1 });
    expect(existsSync(blobPath(layout.blobs, days))).toBe(false);
    await waddle(layout.project, ['rm', '--yes', '--force', going]);
    expect((await gc()).kept[0]).toContain('a process still writes to it');
    expect(existsSync(runFolder(layout, going))).toBe(true);
    journalOf(going).append({
      k: 'end',
      t: now,
      attempt: journalOf(going).name,
      status: 'completed',
      by: 'supervisor',
    });
    journalOf(going).close();
    expect(await gc()).toMatchObject({ runs: [going], artifacts: 1, kept: [] });
    expect([...listBlobs(layout.blobs)].map((blob) => blob.sha256)).toEqual([young]);
  });

  test('bytes that a job asks for again are young, and what a killed gc moved aside comes back', async () => {
    const gone = writeRun(layout, { artifacts: [{ name: 'a', bytes: 'asked for' }] });
    await rm(gone);
    ageBlobs();
    const { sha256 } = putBytes(layout.blobs, Buffer.from('asked for'));
    expect(await gc()).toMatchObject({ runs: [gone], artifacts: 0 });
    // Renewed between the look at its date and its removal.
    expect(removeBlob(layout.blobs, sha256, Date.now() - 3_600_000)).toBe(false);
    expect(existsSync(blobPath(layout.blobs, sha256))).toBe(true);
    mkdirSync(join(layout.blobs, 'condemned'), { recursive: true });
    renameSync(blobPath(layout.blobs, sha256), join(layout.blobs, 'condemned', sha256));
    expect(await gc()).toMatchObject({ artifacts: 0 });
    expect(existsSync(blobPath(layout.blobs, sha256))).toBe(true);
    ageBlobs();
    expect(await gc()).toMatchObject({ artifacts: 1 });
    expect(readdirSync(join(layout.blobs, 'condemned'))).toEqual([]);
  });

  test('old temporary files go, young ones stay', async () => {
    const id = writeRun(layout, {});
    mkdirSync(join(layout.blobs, 'incoming'), { recursive: true });
    const old = [
      join(layout.blobs, 'incoming/1-a.tmp'),
      join(runFolder(layout, id), 'job-aaaaaaaa.jsonl.zst.7.tmp'),
      join(layout.root, 'waddle.sqlite.rebuild-7-wal'),
    ];
    const young = join(layout.blobs, 'incoming/2-b.tmp');
    for (const path of [...old, young]) writeFileSync(path, 'x');
    for (const path of old) utimesSync(path, 1e9, 1e9);
    expect(await gc()).toMatchObject({ temporary_files: 3, freed_bytes: 3 });
    expect(old.some((path) => existsSync(path))).toBe(false);
    expect(existsSync(young)).toBe(true);
  });

  test('says in words what it did', async () => {
    const id = writeRun(layout, {});
    await rm(id);
    expect((await waddle(layout.project, ['gc', '--dry-run'])).out).toMatch(
      /^Would free .* B: 1 removed run\.\n$/,
    );
    expect((await waddle(layout.project, ['gc'])).out).toMatch(/^Freed .*: 1 removed run\.\n/);
    expect((await waddle(layout.project, ['gc'])).out).toBe('Nothing to reclaim.\n');
    expect((await waddle(temporaryFolder(), ['gc'])).err).toContain('Nothing here yet');
  });
});

describe('gc of snapshots', () => {
  const env = { PATH: process.env.PATH };

  function git(cwd: string, ...args: string[]): string {
    return execFileSync('git', ['-c', 'user.name=a', '-c', 'user.email=a@b', ...args], {
      cwd,
      encoding: 'utf8',
    }).trim();
  }

  /** A repository with two trees pinned: of its first commit and of its second. */
  async function repository(folder: string): Promise<{ gitDir: string; trees: [string, string] }> {
    git(folder, 'init', '-q');
    const trees: string[] = [];
    for (const text of ['one', 'two']) {
      writeFileSync(join(folder, 'file'), text);
      git(folder, 'add', 'file');
      git(folder, 'commit', '-qm', text);
      const tree = git(folder, 'rev-parse', 'HEAD^{tree}');
      await pinTree({ gitDir: join(folder, '.git'), env, tree });
      trees.push(tree);
    }
    return { gitDir: join(folder, '.git'), trees: [trees[0] ?? '', trees[1] ?? ''] };
  }

  test('lets go of a tree that only removed runs recorded', async () => {
    const { gitDir, trees } = await repository(layout.project);
    const foreign = git(layout.project, 'mktree', '--missing');
    await pinTree({ gitDir, env, tree: foreign });
    const gone = writeRun(layout, { snapshot: { git_dir: gitDir, tree: trees[0] } });
    const same = writeRun(layout, { snapshot: { git_dir: gitDir, tree: trees[1] } });
    writeRun(layout, { at: 1, snapshot: { git_dir: gitDir, tree: trees[1] } });
    await rm(gone, same);
    expect(await gc('--dry-run')).toMatchObject({ snapshots: 1 });
    expect(await listPinned({ gitDir, env })).toHaveLength(3);
    expect(await gc()).toMatchObject({ snapshots: 1, kept: [] });
    // A pin that no run of this project folder made is nobody's to drop.
    expect(await listPinned({ gitDir, env })).toEqual([trees[1], foreign].sort());
  });

  test('reads what another project folder of the repository needs, in its worktrees too', async () => {
    const { gitDir, trees } = await repository(layout.project);
    const foreign = git(layout.project, 'mktree', '--missing');
    await pinTree({ gitDir, env, tree: foreign });
    const linked = layoutOf(join(temporaryFolder(), 'linked'));
    git(layout.project, 'worktree', 'add', '-q', linked.project, '-b', 'side');
    ensureProjectFolder(linked);
    writeRun(linked, { snapshot: { git_dir: gitDir, tree: trees[0] } });
    writeRun(linked, {
      snapshot: { git_dir: gitDir, tree: '5'.repeat(40), nested: [{ path: 'a', tree: foreign }] },
    });
    const both = writeRun(layout, { snapshot: { git_dir: gitDir, tree: trees[0] } });
    const mine = writeRun(layout, { snapshot: { git_dir: gitDir, tree: trees[1] } });
    await rm(both, mine);
    expect(await gc()).toMatchObject({ snapshots: 1, kept: [] });
    expect(await listPinned({ gitDir, env })).toEqual([trees[0], foreign].sort());
  });

  test('leaves a repository alone while a run of another project folder is starting', async () => {
    const { gitDir, trees } = await repository(layout.project);
    const other = layoutOf(join(layout.project, 'sub'));
    mkdirSync(other.project);
    ensureProjectFolder(other);
    const starting = writeRun(other, {});
    const gone = writeRun(layout, { snapshot: { git_dir: gitDir, tree: trees[0] } });
    await rm(gone);
    const result = await gc('--dry-run');
    expect(result.snapshots).toBe(0);
    expect(result.kept[0]).toContain('is starting');
    utimesSync(runFolder(other, starting), 1e9, 1e9);
    expect(await gc()).toMatchObject({ snapshots: 1 });
  });

  test('pins of a snapshot that was killed go when they are old, noted ones only', async () => {
    const { gitDir, trees } = await repository(layout.project);
    const noted = git(layout.project, 'mktree', '--missing');
    const privateDir = layout.privateGit;
    mkdirSync(privateDir);
    await pinTree({ gitDir, env, tree: noted, privateDir });
    writeRun(layout, { snapshot: { git_dir: gitDir, tree: trees[0] } });
    expect(await gc()).toMatchObject({ snapshots: 0 });
    expect(await listPinned({ gitDir, env })).toHaveLength(3);
    const log = join(privateDir, 'pins.log');
    expect(readFileSync(log, 'utf8')).toContain(noted);
    const old = [noted, trees[0]].map((tree) => `${JSON.stringify([1e12, tree, gitDir])}\n`);
    writeFileSync(log, `${old.join('')}torn [12`);
    expect(await gc()).toMatchObject({ snapshots: 1 });
    expect(await listPinned({ gitDir, env })).toEqual([...trees].sort());
    expect(existsSync(log)).toBe(false);
    expect(await gc()).toMatchObject({ snapshots: 0 });
  });
});
