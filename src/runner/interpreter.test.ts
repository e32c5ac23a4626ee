import { mkdirSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { findPython } from './interpreter.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'waddle-python-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** A stand-in for an interpreter at `<folder>/<name>`. */
function program(name: string): string {
  const path = join(folder, name);
  mkdirSync(join(path, '..'), { recursive: true });
  symlinkSync('/bin/sh', path);
  return path;
}

describe('findPython', () => {
  it('takes the first of: named, $VIRTUAL_ENV, the wheel, .venv, PATH', () => {
    const onPath = program('bin/python3');
    const env: Record<string, string> = { PATH: join(folder, 'bin') };
    const find = (named?: string) => findPython({ named, cwd: folder, project: folder, env });
    expect(find()).toBe(onPath);
    const venv = program('.venv/bin/python');
    expect(find()).toBe(venv);
    env.WADDLE_PYTHON = program('wheel/python');
    expect(find()).toBe(env.WADDLE_PYTHON);
    env.VIRTUAL_ENV = join(folder, 'active');
    expect(find()).toBe(env.WADDLE_PYTHON);
    const active = program('active/bin/python');
    expect(find()).toBe(active);
    const named = program('my/python3.9');
    expect(find('./my/python3.9')).toBe(named);
    expect(find('python3')).toBe(onPath);
  });

  it('says what to do where there is none', () => {
    const options = { cwd: folder, project: folder, env: { PATH: folder } };
    expect(() => findPython({ ...options, named: undefined })).toThrow(/no Python interpreter/);
    expect(() => findPython({ ...options, named: 'x' })).toThrow(/"x"/);
  });
});
