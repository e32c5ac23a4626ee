import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, test } from 'vitest';
import { type Layout, layoutOf } from '../src/journal/layout.ts';
import { newProject, temporaryFolder, waddle, writeRun } from './cli-fixture.ts';

interface Listed {
  id: string;
  name: string;
  notes: string | null;
  archived: boolean;
  tags: Record<string, string>;
}

let layout: Layout;
beforeEach(() => {
  layout = newProject();
});

async function listed(...argv: string[]): Promise<Listed[]> {
  const said = await waddle(layout.project, ['ls', '--json', ...argv]);
  expect(said).toMatchObject({ code: 0, err: '' });
  return JSON.parse(said.out) as Listed[];
}

describe('edits', () => {
  test('tag sets and removes, name and value as they are', async () => {
    const id = writeRun(layout, { tags: { model: 'linear', old: 'yes' } });
    const said = await waddle(layout.project, [
      'tag',
      '@last',
      'model=tree',
      'eq=a=b',
      'empty=',
      '--remove',
      'old',
    ]);
    expect(said).toEqual({ code: 0, out: '', err: `${id}: model=tree, eq=a=b, empty=, removed old\n` });
    const [run] = await listed('--columns', 'tags.model,tags.eq,tags.empty,tags.old');
    expect(run?.tags).toEqual({ model: 'tree', eq: 'a=b', empty: '' });
  });

  test('an edit is an event in a journal of its own, and survives the store', async () => {
    const id = writeRun(layout, { name: 'before' });
    await waddle(layout.project, ['rename', id, 'after']);
    await waddle(layout.project, ['rename', 'after', 'later']);
    const journals = readdirSync(join(layout.runs, id)).filter((name) => name.startsWith('edits-'));
    expect(journals).toHaveLength(2);
    for (const file of ['', '-wal', '-shm'])
      rmSync(join(layout.root, `waddle.sqlite${file}`), { force: true });
    expect((await listed())[0]?.name).toBe('later');
  });

  test('note writes, adds and empties', async () => {
    writeRun(layout, { name: 'r', notes: 'first' });
    await waddle(layout.project, ['note', 'r', 'second', '--append']);
    expect((await listed())[0]?.notes).toBe('first\nsecond');
    await waddle(layout.project, ['note', 'r', 'third']);
    expect((await listed())[0]?.notes).toBe('third');
    await waddle(layout.project, ['note', 'r', '']);
    expect((await listed())[0]?.notes ?? '').toBe('');
  });

  test('archive hides, --undo brings back, and says what it did', async () => {
    const a = writeRun(layout, { name: 'a' });
    const b = writeRun(layout, { name: 'b', at: 1 });
    expect((await waddle(layout.project, ['archive', a, b, 'a'])).err).toBe('2 runs archived\n');
    expect((await waddle(layout.project, ['archive', a])).err).toBe('0 runs archived, 1 already archived\n');
    expect((await waddle(layout.project, ['ls'])).err).toBe('All runs are archived: waddle ls --archived\n');
    expect(await listed()).toEqual([]);
    expect((await listed('--archived')).map((run) => run.archived)).toEqual([true, true]);
    await waddle(layout.project, ['archive', '--undo', a]);
    expect((await listed()).map((run) => run.id)).toEqual([a]);
  });

  test('--quiet says nothing', async () => {
    writeRun(layout, {});
    expect(await waddle(layout.project, ['tag', '@last', 'a=b', '--quiet'])).toEqual({
      code: 0,
      out: '',
      err: '',
    });
  });

  test.each([
    [['tag', '@last', 'novalue'], 2],
    [['tag', '@last'], 2],
    [['tag', '@last', '=x'], 2],
    [['rename', '@last', ' '], 2],
    [['rename', '@last'], 2],
    [['note', 'nobody', 'x'], 1],
    [['tag', '@last~7', 'a=b'], 1],
  ])('%j fails in two lines', async (argv, code) => {
    writeRun(layout, {});
    const said = await waddle(layout.project, argv);
    expect(said.code).toBe(code);
    expect(said.out).toBe('');
    expect(said.err.trimEnd().split('\n')).toHaveLength(2);
  });
});

describe('rm', () => {
  test('asks where somebody can answer, and takes no for an answer', async () => {
    const id = writeRun(layout, { name: 'x\u001b[2J' });
    const no = await waddle(layout.project, ['rm', id], { answer: '' });
    expect(no).toMatchObject({ code: 0, out: '' });
    expect(no.err).toMatch(/x\\x1b\[2J \(completed, 1h old\)\nRemove 1 run\? \[y\/N\] Nothing was removed/);
    expect(await listed()).toHaveLength(1);
    const yes = await waddle(layout.project, ['rm', id], { answer: 'y' });
    expect(yes.err).toContain('1 run removed');
    expect(await listed()).toEqual([]);
  });

  test('needs --yes where nobody can', async () => {
    const id = writeRun(layout, {});
    const said = await waddle(layout.project, ['rm', id]);
    expect(said.code).toBe(2);
    expect(said.err).toContain('--yes');
    expect(await listed()).toHaveLength(1);
    expect((await waddle(layout.project, ['rm', id, '--yes'])).code).toBe(0);
  });

  test('a removed run stays removed after a rebuild, until it is brought back', async () => {
    const id = writeRun(layout, { name: 'gone' });
    await waddle(layout.project, ['rm', id, '--yes']);
    for (const file of ['', '-wal', '-shm'])
      rmSync(join(layout.root, `waddle.sqlite${file}`), { force: true });
    expect(await listed()).toEqual([]);
    expect((await waddle(layout.project, ['rm', '--yes', id])).code).toBe(1);
    expect((await waddle(layout.project, ['rm', '--undo', 'gone'])).err).toBe('1 run brought back\n');
    expect(await listed()).toHaveLength(1);
    expect((await waddle(layout.project, ['rm', '--undo', 'gone'])).code).toBe(1);
    // The latest word counts, however often it changes.
    await waddle(layout.project, ['rm', id, '--yes']);
    expect(await listed()).toEqual([]);
  });

  test('refuses a run that is still going, unless forced', async () => {
    const id = writeRun(layout, { took: null, at: Date.now() / 1000 });
    const said = await waddle(layout.project, ['rm', id, '--yes']);
    expect(said.code).toBe(1);
    expect(said.err).toContain(`waddle stop ${id}`);
    expect((await waddle(layout.project, ['rm', id, '--yes', '--force'])).code).toBe(0);
  });

  test('refuses, as archive does, what fits a name and another run’s id; all or nothing', async () => {
    const a = writeRun(layout, { id: 'abcdabcdabcd', name: 'one' });
    const b = writeRun(layout, { name: 'abcd', at: 1 });
    const c = writeRun(layout, { name: a, at: 2 });
    for (const text of ['abcd', a]) {
      for (const argv of [
        ['rm', '--yes', b, text],
        ['archive', b, text],
      ]) {
        const said = await waddle(layout.project, argv);
        expect(said.code).toBe(1);
        // A full id cannot be made any fuller.
        const mend =
          text === a ? `Rename the other one first: waddle rename ${c} NAME` : 'Name the run by its full id.';
        expect(said.err).toContain(` also fits ${text === a ? c : a}\n${mend}\n`);
      }
    }
    expect(await listed()).toHaveLength(3);
    // What is easily taken back is done on the one that comes first: the id, then the name.
    await waddle(layout.project, ['tag', a, 'x=1']);
    await waddle(layout.project, ['tag', 'abcd', 'x=2']);
    const tags = new Map((await listed('--columns', 'tags.x')).map((run) => [run.id, run.tags.x]));
    expect([tags.get(a), tags.get(b), tags.get(c)]).toEqual(['1', '2', undefined]);
  });

  test('of several runs with one name the newest is meant', async () => {
    const old = writeRun(layout, { name: 'same', at: 0 });
    const fresh = writeRun(layout, { name: 'same', at: 50 });
    await waddle(layout.project, ['rm', 'same', '--yes']);
    expect((await listed()).map((run) => run.id)).toEqual([old]);
    expect(fresh).not.toBe(old);
  });
});

describe('where there is nothing yet', () => {
  test.each([[['ls']], [['repo-link', '--list']]])('%j is a 0, says so, and writes nothing', async (argv) => {
    const folder = temporaryFolder();
    const said = await waddle(folder, argv);
    expect(said).toMatchObject({ code: 0, out: '' });
    expect(said.err).toMatch(/yet/);
    expect((await waddle(folder, [...argv, '--json'])).out).toBe('[]\n');
    expect(readdirSync(folder)).toEqual([]);
  });

  test('a project folder without runs gets no store', async () => {
    await waddle(layout.project, ['ls']);
    expect(readdirSync(layout.root).sort()).toEqual(['.gitignore', 'runs']);
  });

  test('a run that is named is not there', async () => {
    const folder = temporaryFolder();
    for (const argv of [
      ['tag', '@last', 'a=b'],
      ['logs', 'x'],
      ['rm', '--undo', 'x'],
    ]) {
      expect((await waddle(folder, argv)).code).toBe(1);
    }
    expect(readdirSync(folder)).toEqual([]);
  });
});

describe('repo-link', () => {
  function repository(): string {
    const folder = temporaryFolder();
    execFileSync('git', ['init', '-q', folder]);
    return folder;
  }

  test('links, links again without a trace, and updates', async () => {
    const [one, two] = [repository(), repository()];
    writeRun(layout, {});
    expect((await waddle(layout.project, ['repo-link', '--name', 'main', '--path', one])).err).toBe(
      `main is ${one}\n`,
    );
    const journals = (): number => readdirSync(layout.projectJournals).length;
    expect(journals()).toBe(1);
    expect((await waddle(layout.project, ['repo-link', '--name', 'main', '--path', one])).err).toContain(
      'already',
    );
    expect(journals()).toBe(1);
    await waddle(layout.project, ['repo-link', '--name', 'main', '--path', two]);
    const list = await waddle(layout.project, ['repo-link', '--list', '--json']);
    expect(JSON.parse(list.out)).toEqual([{ name: 'main', path: two }]);
    expect((await waddle(layout.project, ['repo-link', '--list'])).out).toBe(`NAME  PATH\nmain  ${two}\n`);
    expect(await listed()).toHaveLength(1);
    expect((await waddle(layout.project, ['repo-link', '--remove', 'main'])).code).toBe(0);
    expect((await waddle(layout.project, ['repo-link', '--remove', 'main'])).code).toBe(1);
  });

  test('works in an empty folder, with a path relative to the working directory', async () => {
    const folder = repository();
    const said = await waddle(folder, ['repo-link', '--name', 'main', '--path', '.']);
    expect(said).toMatchObject({ code: 0, err: `main is ${folder}\n` });
    layout = layoutOf(folder);
    expect(await listed()).toEqual([]);
  });

  test('refuses what is no repository, and writes nothing', async () => {
    const folder = temporaryFolder();
    mkdirSync(join(folder, 'plain'));
    const inner = repository();
    mkdirSync(join(inner, 'sub'));
    for (const path of ['plain', 'missing', join(inner, 'sub'), join(inner, '.git')]) {
      const said = await waddle(folder, ['repo-link', '--name', 'x', '--path', path]);
      expect(said.code).toBe(1);
      expect(said.err.trimEnd().split('\n')).toHaveLength(2);
    }
    expect((await waddle(folder, ['repo-link', '--name', 'x'])).code).toBe(2);
    expect(readdirSync(folder)).toEqual(['plain']);
  });
});
