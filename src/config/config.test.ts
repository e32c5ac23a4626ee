import {
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { WaddleError } from '../errors/waddle-error.ts';
import { expandVariable, readConfig } from './config.ts';
import { findProject } from './project.ts';

let folder: string;
beforeEach(() => {
  folder = realpathSync(mkdtempSync(join(tmpdir(), 'waddle-config-')));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

async function errorOf(text: string): Promise<WaddleError> {
  writeFileSync(join(folder, 'waddle.json'), text);
  try {
    await readConfig(folder);
  } catch (error) {
    if (error instanceof WaddleError) return error;
    throw error;
  }
  throw new Error('no error');
}

describe('waddle.json', () => {
  it('is empty where there is none', async () => {
    expect(await readConfig(folder)).toEqual({});
  });

  it('is read, with a byte order mark too', async () => {
    writeFileSync(join(folder, 'waddle.json'), '\uFEFF{"run": {"project": "p", "tags": {"a": "b"}}}');
    expect(await readConfig(folder)).toEqual({ run: { project: 'p', tags: { a: 'b' } } });
  });

  it('names every unknown key and wrong type, and is bad usage', async () => {
    const error = await errorOf(
      '{"run": {"projekt": "p", "isolate": "yes"}, "sevre": {}, "serve": {"port": 70000}}',
    );
    expect(error.exitCode).toBe(2);
    expect(error.message).toContain('unknown key "run.projekt"');
    expect(error.message).toContain('unknown key "sevre"');
    expect(error.message).toContain('"run.isolate" must be boolean');
    expect(error.message).toContain('"serve.port" must be');
    expect(error.message).not.toContain('schema is false');
  });

  it('says where it is no JSON, and where it is no object', async () => {
    expect((await errorOf('{"run": ')).message).toContain('is not JSON');
    expect((await errorOf('[]')).message).toContain('must be object');
  });

  it('reads what the first published version could say, all of it', async () => {
    const golden = new URL('../../test/golden-config/waddle-1.json', import.meta.url);
    copyFileSync(golden, join(folder, 'waddle.json'));
    expect(await readConfig(folder)).toEqual(JSON.parse(readFileSync(golden, 'utf8')));
  });

  it('takes a token from the environment', () => {
    expect(expandVariable('${TOKEN}', { TOKEN: 's3' })).toBe('s3');
    expect(expandVariable('plain', {})).toBe('plain');
    expect(() => expandVariable('${TOKEN}', {})).toThrow('${TOKEN}');
  });
});

describe('the project folder', () => {
  it('is the nearest folder upwards with waddle.json or .waddle/', () => {
    mkdirSync(join(folder, '.git'));
    mkdirSync(join(folder, 'a/.waddle'), { recursive: true });
    mkdirSync(join(folder, 'a/b/c'), { recursive: true });
    expect(findProject(join(folder, 'a/b/c'))).toBe(join(folder, 'a'));
  });

  it('is the top of the repository where there is neither, also above a nested folder', () => {
    mkdirSync(join(folder, '.git'));
    mkdirSync(join(folder, 'a/b'), { recursive: true });
    expect(findProject(join(folder, 'a/b'))).toBe(folder);
  });

  it('is the working directory where there is nothing at all', () => {
    mkdirSync(join(folder, 'a'));
    expect(findProject(join(folder, 'a'))).toBe(join(folder, 'a'));
  });
});
