import { execFileSync } from 'node:child_process';
import { appendFileSync, chmodSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { beforeEach, describe, expect, test } from 'vitest';
import { listBlobs } from '../src/blobs/blob-store.ts';
import { commitContent, commitId } from '../src/git/commit.ts';
import { listPinned, pinTree } from '../src/git/refs.ts';
import type { Layout } from '../src/journal/layout.ts';
import { newProject, temporaryFolder, waddle, writeRun } from './cli-fixture.ts';

interface Finding {
  check: string;
  state: string;
  message: string;
  hint?: string;
}

let layout: Layout;
beforeEach(() => {
  layout = newProject();
  execFileSync('git', ['init', '-q', layout.project]);
});

async function doctor(): Promise<{ code: number; findings: Finding[]; bad: string[] }> {
  const said = await waddle(layout.project, ['doctor', '--json']);
  const { findings, ok } = JSON.parse(said.out) as { findings: Finding[]; ok: boolean };
  expect(ok).toBe(said.code === 0);
  // Whatever is not well comes with what to do about it.
  for (const finding of findings) if (finding.state !== 'ok') expect(finding.hint).toBeTruthy();
  const bad = findings
    .filter((finding) => finding.state !== 'ok')
    .map((finding) => `${finding.state} ${finding.check}`);
  return { code: said.code, findings, bad };
}

test('whoever comes next says once that the store was migrated, and where the old one is', async () => {
  writeRun(layout, {});
  await waddle(layout.project, ['ls']);
  const db = new DatabaseSync(join(layout.root, 'waddle.sqlite'));
  const done = { from: 1, to: 2, backup: 'waddle.sqlite.v1-20261126T101500.bak', failed: null };
  db.prepare("INSERT INTO meta VALUES ('migrated', ?)").run(JSON.stringify(done));
  db.close();
  expect((await waddle(layout.project, ['ls', '--quiet'])).err).toBe('');
  const said = await waddle(layout.project, ['ls']);
  expect(said.err).toBe(
    `waddle: the database was brought from version 1 to 2; as it was, it is kept as ${done.backup} beside it\n`,
  );
  expect((await waddle(layout.project, ['ls'])).err).toBe('');
});

describe('doctor', () => {
  test('finds a sound project sound', async () => {
    writeRun(layout, { artifacts: [{ name: 'a', bytes: 'abc' }] });
    const { code, bad, findings } = await doctor();
    expect([code, bad]).toEqual([0, []]);
    expect(findings.map((finding) => finding.check)).toEqual([
      'waddle',
      'git',
      'repository',
      'python',
      'waddle.json',
      'disk',
      'store',
      'journals',
      'runs',
      'artifacts',
    ]);
    const text = await waddle(layout.project, ['doctor']);
    expect(text.out).toMatch(/^✓ store {8}sound, version \d+/m);
    expect(text.out).toMatch(/All is well\.\n$/);
  });

  test('writes nothing where there is nothing yet', async () => {
    const folder = temporaryFolder();
    const said = await waddle(folder, ['doctor']);
    expect(said.code).toBe(0);
    expect(said.out).toContain('no runs yet');
    expect(said.out).toContain('! repository');
    expect(readdirSync(folder)).toEqual([]);
  });

  test('an invalid waddle.json, with every mistake', async () => {
    writeFileSync(join(layout.project, 'waddle.json'), '{"run":{"projct":"x"},"db":3}');
    const { code, bad, findings } = await doctor();
    expect([code, bad]).toEqual([1, ['problem waddle.json']]);
    expect(findings.find((finding) => finding.state === 'problem')?.message).toMatch(
      /run\.projct.*db|db.*run\.projct/,
    );
  });

  test('a literal token that git tracks, and a variable that is not set', async () => {
    const path = join(layout.project, 'waddle.json');
    writeFileSync(path, `{"remote":{"url":"file://${layout.project}","token":"secret"}}`);
    expect((await doctor()).bad).toEqual([]);
    execFileSync('git', ['add', 'waddle.json'], { cwd: layout.project });
    expect((await doctor()).bad).toEqual(['warning waddle.json']);
    writeFileSync(path, '{"remote":{"url":"http://127.0.0.1:9","token":"${WADDLE_TOKEN}"}}');
    expect((await doctor()).bad).toEqual(['warning remote']);
  });

  test('a damaged store: says how to mend it, and following that mends it', async () => {
    writeRun(layout, {});
    const path = join(layout.root, 'waddle.sqlite');
    writeFileSync(path, 'this is not a database, whatever its name may say'.repeat(100));
    const { code, bad } = await doctor();
    expect(code).toBe(1);
    expect(bad).toContain('problem store');
    rmSync(path);
    expect((await doctor()).code).toBe(0);
  });

  test('broken lines, damaged and missing artifacts, a link that leads nowhere, a committed .waddle', async () => {
    const id = writeRun(layout, {
      artifacts: [
        { name: 'a', bytes: 'abc' },
        { name: 'b', bytes: 'bcd' },
      ],
    });
    const journal = readdirSync(join(layout.runs, id)).find((name) => name.endsWith('.jsonl')) ?? '';
    appendFileSync(join(layout.runs, id, journal), 'nonsense\n');
    const [first, second] = [...listBlobs(layout.blobs)];
    if (first === undefined || second === undefined) throw new Error('two blobs were written');
    chmodSync(first.path, 0o644);
    writeFileSync(first.path, 'xyz');
    rmSync(second.path);
    const other = temporaryFolder();
    execFileSync('git', ['init', '-q', other]);
    await waddle(layout.project, ['repo-link', '--name', 'other', '--path', other]);
    rmSync(other, { recursive: true });
    execFileSync('git', ['add', '-f', '.waddle/.gitignore'], { cwd: layout.project });
    const { code, bad } = await doctor();
    expect(code).toBe(1);
    expect(bad.sort()).toEqual([
      'problem artifacts',
      'problem artifacts',
      'problem gitignore',
      'problem repo-link',
      'warning journals',
    ]);
  });

  test('a lost .gitignore of .waddle/', async () => {
    rmSync(join(layout.root, '.gitignore'));
    expect((await doctor()).bad).toEqual(['warning gitignore']);
    await waddle(layout.project, ['init']);
    expect((await doctor()).bad).toEqual([]);
    mkdirSync(join(layout.project, 'x'));
  });

  test('the code of every run: unpinned, elsewhere, lost, without its base; and --fix mends', async () => {
    const env = { PATH: process.env.PATH };
    const git = (...args: string[]) =>
      execFileSync('git', ['-c', 'user.name=a', '-c', 'user.email=a@b', ...args], {
        cwd: layout.project,
        encoding: 'utf8',
      }).trim();
    const gitDir = join(layout.project, '.git');
    writeFileSync(join(layout.project, 'train.py'), '1');
    git('add', 'train.py');
    git('commit', '-qm', 'one');
    const [head, tree] = [git('rev-parse', 'HEAD'), git('rev-parse', 'HEAD^{tree}')];
    await pinTree({ gitDir, env, tree });
    writeRun(layout, { snapshot: { git_dir: gitDir, tree, base: head, commit: head } });
    expect((await doctor()).bad).toEqual([]);

    writeFileSync(join(layout.project, 'train.py'), '2');
    git('add', 'train.py');
    const other = git('write-tree');
    const content = commitContent({ tree: other, parent: head, time: 0 });
    const commit = commitId(content, 'sha1');
    writeRun(layout, {
      snapshot: { git_dir: '/gone/.git', tree: other, base: head, commit, commit_object: content },
    });
    const lost = writeRun(layout, { snapshot: { git_dir: gitDir, tree: '6'.repeat(40), base: head } });
    const baseless = writeRun(layout, { snapshot: { git_dir: gitDir, tree, base: '7'.repeat(40) } });
    writeRun(layout, { snapshot: { store: 'none', git_dir: gitDir, tree: '8'.repeat(40) } });
    const found = await doctor();
    expect(found.bad).toEqual(['problem code', 'warning code', 'warning code']);
    const messages = found.findings.filter((each) => each.check === 'code').map((each) => each.message);
    expect(messages[0]).toContain(lost);
    expect(messages[1]).toContain('not pinned');
    expect(messages[2]).toContain(baseless);

    await waddle(layout.project, ['doctor', '--fix']);
    expect(await listPinned({ gitDir, env })).toEqual([tree, other].sort());
    expect(git('rev-parse', `${commit}^{tree}`)).toBe(other);
    expect((await doctor()).bad).toEqual(['problem code', 'warning code']);
    // A blob of it is gone, though the tree is there.
    const blob = git('rev-parse', `${other}:train.py`);
    rmSync(join(gitDir, 'objects', blob.slice(0, 2), blob.slice(2)), { force: true });
    expect((await doctor()).findings.some((each) => each.message.includes('lacks parts'))).toBe(true);
  });
});
