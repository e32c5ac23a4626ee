import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { changedFiles } from '../../src/git/diff.ts';
import { foldPins, listPinned, pinTree } from '../../src/git/refs.ts';
import { type Bench, type BenchOptions, type Figure, inTurn, median } from '../figure.ts';
import { timeProcess } from '../process.ts';
import { gitEnvironment, makeRepository } from '../repository.ts';

/**
 * What the user's own git feels of many runs: the same repository twice, once with 10,000 pinned trees. And what comparing
 * two trees of it takes.
 */
async function run({ scratch, quick }: BenchOptions): Promise<Figure[]> {
  const figures: Figure[] = [];
  const env = gitEnvironment();
  const files = quick ? 1000 : 20_000;
  const trees = quick ? 200 : 10_000;
  const [plain, used] = ['plain', 'used'].map((name) => {
    const folder = join(scratch, `living-${name}`);
    mkdirSync(folder);
    const repository = makeRepository(folder, files);
    const remote = join(scratch, `living-${name}-remote.git`);
    execFileSync('git', ['clone', '--quiet', '--bare', folder, remote], { env });
    repository.git('remote', 'add', 'origin', remote);
    repository.git('fetch', '--quiet');
    return { folder, gitDir: join(folder, '.git'), git: repository.git };
  });
  if (plain === undefined || used === undefined) throw new Error('unreachable');
  await pinMany(used.gitDir, trees, env);
  for (const [name, args, goal, limit] of [
    ['git status', ['status', '--porcelain'], 'within 10 %', 1.1],
    ['no-op git fetch', ['fetch', '--quiet'], 'within 2x', 2],
    ['git log -1', ['log', '-1'], 'within 2x', 2],
    ['git log --all', ['log', '--all', '--oneline'], 'within 2x', 2],
  ] as const) {
    const time = (folder: string) => () => timeProcess('git', [...args], { cwd: folder, env });
    await time(used.folder)();
    await time(plain.folder)();
    const [after, before] = await inTurn(quick ? 5 : 41, time(used.folder), time(plain.folder));
    figures.push({
      name: `${name} after ${trees.toLocaleString('en')} runs, ${files.toLocaleString('en')} files`,
      value: after,
      unit: 'ms',
      floor: before,
      against: 'the same without runs',
      goal,
      reached: after <= limit * before,
    });
  }
  figures.push(await pinning(used, trees, env));
  figures.push(await comparing(plain, files, env));
  return figures;
}

/**
 * Many distinct versions of the code, each with one file of another content, pinned and folded as snapshots do. Real ones:
 * git's fetch goes through every tree that a ref holds, so the number of entries in them is what it feels.
 */
async function pinMany(gitDir: string, count: number, env: NodeJS.ProcessEnv): Promise<void> {
  const commits = Array.from({ length: count }, (_, index) => {
    const text = `run ${index}\n`;
    const file = `M 100644 inline part${index % 10}/file0.py\ndata ${text.length}\n${text}\n`;
    return `commit refs/bench/x${index}\ncommitter b <b@b> 1764000000 +0000\ndata 0\nfrom refs/heads/main^0\n${file}`;
  });
  execFileSync('git', ['fast-import', '--quiet'], { cwd: gitDir, env, input: commits.join('') });
  const listed = execFileSync('git', ['for-each-ref', '--format=%(refname) %(tree)', 'refs/bench'], {
    cwd: gitDir,
    env,
    encoding: 'utf8',
  });
  const pairs = listed
    .trim()
    .split('\n')
    .map((line) => line.split(' '));
  // 16 at a time, so that the tree of trees grows as it does in use, though not from every single run.
  const update = pairs.map(([, tree]) => `update refs/waddle/tree/${tree} ${tree}\n`);
  for (let at = 0; at < update.length; at += 1000) {
    spawnSync('git', ['update-ref', '--stdin'], {
      cwd: gitDir,
      env,
      input: update.slice(at, at + 1000).join(''),
    });
    await foldPins({ gitDir, env });
  }
  const drop = pairs.map(([name]) => `delete ${name}\n`).join('');
  execFileSync('git', ['update-ref', '--stdin'], { cwd: gitDir, env, input: drop });
  const pinned = (await listPinned({ gitDir, env })).length;
  if (pinned !== count) throw new Error(`${pinned} of ${count} trees are pinned`);
}

/** One more pin, the fold that every sixteenth brings along included. */
async function pinning(place: { folder: string; gitDir: string }, trees: number, env: NodeJS.ProcessEnv) {
  const times: number[] = [];
  for (let index = 0; index < 48; index += 1) {
    writeFileSync(join(place.folder, 'pinned'), `pin ${index}`);
    const blob = execFileSync('git', ['hash-object', '-w', 'pinned'], { cwd: place.folder, env })
      .toString()
      .trim();
    const tree = execFileSync('git', ['mktree'], {
      cwd: place.folder,
      env,
      input: `100644 blob ${blob}\tpinned\n`,
    })
      .toString()
      .trim();
    const began = performance.now();
    await pinTree({ gitDir: place.gitDir, env, tree });
    times.push(performance.now() - began);
  }
  const mean = times.reduce((sum, time) => sum + time, 0) / times.length;
  return {
    name: `pinning one more of ${trees.toLocaleString('en')} trees, mean`,
    value: mean,
    unit: 'ms',
    floor: median(times),
    against: 'median',
    goal: 'at most 15 ms',
    reached: mean <= 15,
  };
}

/** Two trees that differ in a hundred files, compared as `diff` and the snapshot's list of changes do. */
async function comparing(
  place: { folder: string; gitDir: string; git(...args: string[]): void },
  files: number,
  env: NodeJS.ProcessEnv,
) {
  const { gitDir, folder } = place;
  const head = execFileSync('git', ['rev-parse', 'HEAD^{tree}'], { cwd: folder, env }).toString().trim();
  for (let index = 0; index < 100; index += 1) {
    writeFileSync(
      join(folder, `part${index % Math.floor(files / 100)}`, `file${index % 100}.py`),
      `changed ${index}\n`,
    );
  }
  place.git('add', '.');
  const tree = execFileSync('git', ['write-tree'], { cwd: folder, env }).toString().trim();
  const time = async () => {
    const began = performance.now();
    const changed = await changedFiles({ gitDir, a: head, b: tree, env });
    if (changed.length === 0) throw new Error('nothing differs');
    return performance.now() - began;
  };
  const floor = () => timeProcess('git', ['--version'], { cwd: folder, env });
  await time();
  const [value, git] = await inTurn(21, time, floor);
  return {
    name: `raw tree diff, ${files.toLocaleString('en')} files, 100 changed`,
    value,
    unit: 'ms',
    floor: git,
    against: 'starting git',
    goal: 'at most 50 ms',
    reached: value <= 50,
  };
}

export const livingWithGit: Bench = { name: 'living-with-git', run };
