import { mkdirSync, mkdtempSync, rmSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { findContainer } from './container.ts';
import { fingerprintData } from './data-fingerprint.ts';
import { describeEnvironment } from './environment.ts';
import { isSecretVariable, relevantVariables } from './environment-variables.ts';
import { hashLockFiles } from './lock-files.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'waddle-environment-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

describe('variables', () => {
  it('keeps what changes a computation, by default', () => {
    const kept = {
      CUDA_VISIBLE_DEVICES: '0,1',
      PYTHONHASHSEED: '0',
      MY_SEED: '7',
      OMP_NUM_THREADS: '4',
      TZ: '',
    };
    const rest = { HOME: '/home/ada', PATH: '/bin', RANK: '1', WORLD_SIZE: '2', NOT_SET: undefined };
    expect(relevantVariables({ ...kept, ...rest })).toEqual(kept);
  });

  it('takes more and fewer as waddle.json says, the last pattern counting', () => {
    const env = { MY_FLAG: 'a', MY_OTHER: 'b', CUDA_HOME: '/cuda', CUDA_VISIBLE_DEVICES: '0' };
    expect(relevantVariables(env, ['MY_*', '!CUDA_*', '!MY_OTHER', 'CUDA_HOM?'])).toEqual({
      MY_FLAG: 'a',
      CUDA_HOME: '/cuda',
    });
  });

  it.each([
    'HF_TOKEN',
    'HF_HUB_TOKEN',
    'PYTHON_API_KEY',
    'TORCH_SECRET',
    'CUDA_PASSWORD',
    'NCCL_SECRET_KEY',
    'OMP_KEY',
    'TF_CREDENTIALS',
    'PYTHONKEYRING_AUTH',
    'AWS_ACCESS_KEY_ID',
    'OPENAI_APIKEY',
    'SSHKEY',
    'PGPASSWORD',
    'SENTRY_DSN',
    'SEED_PRIVATEKEY',
  ])('never keeps %s, even where it is asked for', (name) => {
    expect(isSecretVariable(name)).toBe(true);
    expect(relevantVariables({ [name]: 'x' }, ['*', name])).toEqual({});
  });

  it.each([
    ['TOKENIZERS_PARALLELISM', 'false'],
    ['PYTHONPATH', '/home/ada/lib'],
    ['TORCH_COMPASS', '1'],
    ['KEYBOARD_SEED', '1'],
    ['PYTHON_KEYWORDS', '1'],
    ['HF_AUTHOR', 'ada'],
  ])('%s is no secret', (name, value) => {
    expect(relevantVariables({ [name]: value }, ['*'])).toEqual({ [name]: value });
  });

  it.each([
    'https://ada:secret@example.com/simple',
    'hf_abcdefghijklmnopqrstuvwxyz',
    'ghp_abcdefghijklmnopqrstuvwxyz0123456789',
    'x'.repeat(5000),
  ])('never keeps the value %s', (value) => {
    expect(relevantVariables({ PYTHON_INDEX: value })).toEqual({});
  });
});

it('hashes the lock files from the working folder up to the top of the repository', () => {
  mkdirSync(join(folder, '.git'));
  mkdirSync(join(folder, 'a/b'), { recursive: true });
  mkdirSync(join(folder, 'other'));
  mkdirSync(join(folder, 'requirements-dir.txt'));
  for (const name of [
    'uv.lock',
    'a/requirements-dev.txt',
    'a/b/package-lock.json',
    'other/uv.lock',
    'a/notes.txt',
  ]) {
    writeFileSync(join(folder, name), 'same');
  }
  const hash = '0967115f2813a3541eaef77de9d9d5773f1c0c04314b0bbfe4ff3b3b1c55b5d5';
  expect(hashLockFiles(join(folder, 'a/b'))).toEqual({
    'a/b/package-lock.json': hash,
    'a/requirements-dev.txt': hash,
    'uv.lock': hash,
  });
  rmSync(join(folder, '.git'), { recursive: true });
  expect(Object.keys(hashLockFiles(join(folder, 'a')))).toEqual(['requirements-dev.txt']);
});

describe('data', () => {
  const time = 1_700_000_000.5;
  const put = (name: string, text: string) => {
    writeFileSync(join(folder, name), text);
    utimesSync(join(folder, name), time, time);
  };

  it('is listed by path, size and time, through a link at the top', () => {
    mkdirSync(join(folder, 'disk/train'), { recursive: true });
    put('disk/b.bin', 'bb');
    put('disk/train/a.bin', 'a');
    put('single.csv', 'abc');
    symlinkSync('disk', join(folder, 'data'));
    symlinkSync('..', join(folder, 'disk/loop'));
    const found = fingerprintData(folder, ['data/', '*.csv', 'gone']);
    expect(Object.keys(found)).toEqual(['data/', 'single.csv']);
    expect(found['data/']).toMatchObject({ files: 3, partial: false });
    expect(found['data/']?.listing.filter(([name]) => name !== 'loop')).toEqual([
      ['b.bin', 2, time],
      ['train/a.bin', 1, time],
    ]);
    expect(found['single.csv']).toMatchObject({ files: 1, bytes: 3, listing: [['', 3, time]] });
  });

  it('has another digest as soon as a file is another, also one that is not listed', () => {
    mkdirSync(join(folder, 'data'));
    for (let index = 0; index < 600; index += 1) put(`data/${String(index).padStart(3, '0')}`, 'x');
    const before = fingerprintData(folder, ['data'])['data/'];
    expect(fingerprintData(folder, ['data'])['data/']).toEqual(before);
    expect(before).toMatchObject({ files: 600, bytes: 600, partial: false });
    expect(before?.listing.length).toBe(500);
    put('data/599', 'xy');
    const after = fingerprintData(folder, ['data'])['data/'];
    expect(after?.digest).not.toBe(before?.digest);
    expect(after?.listing).toEqual(before?.listing);
  });
});

describe('container', () => {
  it('is told by the marks of its runtime', () => {
    const root = `${folder}/`;
    mkdirSync(join(folder, 'run'));
    mkdirSync(join(folder, 'proc/self'), { recursive: true });
    expect(findContainer({}, root)).toBe(null);
    expect(findContainer({ APPTAINER_CONTAINER: '/images/torch.sif' }, root)).toEqual({
      runtime: 'apptainer',
      image: '/images/torch.sif',
      id: null,
    });
    const id = 'ab'.repeat(32);
    writeFileSync(
      join(folder, 'proc/self/mountinfo'),
      `1 2 8:1 /var/lib/docker/containers/${id}/hostname /etc/hostname rw - ext4 /dev/sda1 rw\n`,
    );
    writeFileSync(join(folder, '.dockerenv'), '');
    expect(findContainer({}, root)).toEqual({ runtime: 'docker', image: null, id });
    writeFileSync(
      join(folder, 'run/.containerenv'),
      'engine="podman-4.3.1"\nimage="quay.io/torch:2"\nid="12"\n',
    );
    expect(findContainer({}, root)).toEqual({ runtime: 'podman', image: 'quay.io/torch:2', id: '12' });
  });
});

it('describes this machine without a value that is undefined, which JSON would lose', async () => {
  const facts = await describeEnvironment({
    python: 'python3',
    env: { PATH: process.env.PATH, PYTHONPATH: '/added/by/waddle' },
    userEnv: { PYTHONHASHSEED: '1' },
    cwd: folder,
    project: folder,
    plan: { variables: [], fingerprint: ['.'] },
  });
  expect(facts).toMatchObject({
    python: { implementation: 'CPython' },
    node: process.versions.node,
    variables: { PYTHONHASHSEED: '1' },
    lock_files: {},
    data: { './': { files: 0 } },
  });
  expect(JSON.parse(JSON.stringify(facts))).toEqual(facts);
});
