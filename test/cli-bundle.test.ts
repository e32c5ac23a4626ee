/** The terminal as users have it: the built bundle, in a process of its own, in a pipe and on a terminal. */
import { execFile, spawn } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { beforeAll, describe, expect, test } from 'vitest';
import { displayWidth } from '../src/cli/table.ts';
import type { Layout } from '../src/journal/layout.ts';
import {
  waddle as inProcess,
  journalOf,
  newProject,
  START,
  temporaryFolder,
  writeRun,
} from './cli-fixture.ts';

const WADDLE = join(import.meta.dirname, '../bin/waddle');
const env = { PATH: process.env.PATH, HOME: '/nonexistent', TZ: 'UTC', TERM: 'xterm-256color' };
const run = promisify(execFile);
const pty = await import('@lydell/node-pty').catch(() => undefined);

let layout: Layout;
beforeAll(() => {
  layout = newProject();
  writeRun(layout, {
    id: 'aaaabbbbcccc',
    name: 'baseline',
    params: { lr: 0.1 },
    metrics: { loss: [1, 0.5, 0.25] },
    console: Array.from({ length: 20_000 }, (_, index) => ({ stream: 1 as const, text: `line ${index}` })),
  });
  writeRun(layout, { id: 'ddddeeeeffff', name: 'tree', at: 60, status: 'failed', params: { lr: 0.2 } });
});

/** Runs on a terminal of 80 columns; types each answer once its prompt is there. */
async function onTerminal(
  argv: readonly string[],
  options: { env?: Record<string, string>; answers?: [string, string][] } = {},
): Promise<{ code: number; text: string }> {
  if (pty === undefined) throw new Error('no pseudo-terminal');
  const terminal = pty.spawn(WADDLE, [...argv], {
    cols: 80,
    rows: 24,
    cwd: layout.project,
    env: { ...env, ...options.env } as Record<string, string>,
  });
  const answers = [...(options.answers ?? [])];
  let text = '';
  return new Promise((resolve) => {
    terminal.onData((data) => {
      text += data;
      const [next] = answers;
      if (next === undefined || !text.includes(next[0])) return;
      answers.shift();
      terminal.write(next[1]);
    });
    terminal.onExit(({ exitCode }) => resolve({ code: exitCode, text: text.replaceAll('\r\n', '\n') }));
  });
}

describe('in a pipe', () => {
  test('ls and show, without colours', async () => {
    const ls = await run(WADDLE, ['ls'], { cwd: layout.project, env });
    expect(ls.stdout).toContain('✓ completed  aaaabbbbcccc  baseline');
    const show = await run(WADDLE, ['show', 'baseline'], {
      cwd: layout.project,
      env: { ...env, FORCE_COLOR: '1' },
    });
    expect(show.stdout).toContain('loss  0.25  0.25');
    expect(ls.stdout + show.stdout).not.toContain('\u001b');
    expect(ls.stderr + show.stderr).toBe('');
  });

  test('a reader that goes away early is no error', async () => {
    const shell = spawn('sh', ['-c', `"${WADDLE}" logs baseline | head -n 1; echo "$?"`], {
      cwd: layout.project,
      env,
    });
    let [out, err] = ['', ''];
    shell.stdout.on('data', (data: Buffer) => {
      out += data.toString();
    });
    shell.stderr.on('data', (data: Buffer) => {
      err += data.toString();
    });
    await new Promise((resolve) => shell.on('close', resolve));
    expect([out, err]).toEqual(['line 0\n0\n', '']);
  });

  test('all of a long output arrives', async () => {
    const logs = await run(WADDLE, ['logs', 'baseline'], { cwd: layout.project, env, maxBuffer: 1e8 });
    expect(logs.stdout.trimEnd().split('\n')).toHaveLength(20_000);
  });

  test('errors are two lines on stderr, and the exit code says which', async () => {
    for (const [argv, code] of [
      [['show', 'nobody'], 1],
      [['ls', '--nonsense'], 2],
      [['ls', '--filter', 'loss <'], 2],
      [['rm', 'tree'], 2],
    ] as const) {
      const error = await run(WADDLE, [...argv], { cwd: layout.project, env }).then(
        () => undefined,
        (reason: { code: number; stdout: string; stderr: string }) => reason,
      );
      expect(error?.code).toBe(code);
      expect(error?.stdout).toBe('');
      expect(error?.stderr).toMatch(/^waddle: .+\n/);
    }
  });

  test('nothing yet: says so, and writes nothing', async () => {
    const folder = temporaryFolder();
    const said = await run(WADDLE, ['ls'], { cwd: folder, env });
    expect(said.stderr).toContain('No runs here yet');
    expect(readdirSync(folder)).toEqual([]);
  });
});

describe.skipIf(pty === undefined)('on a terminal', () => {
  test('ls and show fit 80 columns, in colours, and without them for NO_COLOR', async () => {
    for (const argv of [['ls'], ['show', 'baseline'], ['compare', 'baseline', 'tree'], ['doctor']]) {
      const coloured = await onTerminal(argv);
      expect(coloured.text).toContain('\u001b[');
      const plain = await onTerminal(argv, { env: { NO_COLOR: '1' } });
      expect(plain.text).not.toContain('\u001b[');
      if (argv[0] === 'doctor') continue;
      for (const line of plain.text.split('\n')) expect(displayWidth(line)).toBeLessThanOrEqual(80);
    }
  });

  test('rm asks, and does what the answer says', async () => {
    const id = writeRun(layout, { name: 'doomed' });
    const no = await onTerminal(['rm', 'doomed'], { answers: [['[y/N] ', 'n\r']] });
    expect(no).toMatchObject({ code: 0 });
    expect(no.text).toContain('Nothing was removed');
    const nothing = await onTerminal(['rm', 'doomed'], { answers: [['[y/N] ', '\u0004']] });
    expect([nothing.code, nothing.text.includes('Nothing was removed')]).toEqual([0, true]);
    const interrupted = await onTerminal(['rm', 'doomed'], { answers: [['[y/N] ', '\u0003']] });
    expect(interrupted.text).not.toContain('Nothing');
    expect((await inProcess(layout.project, ['show', id])).code).toBe(0);
    const yes = await onTerminal(['rm', id], { answers: [['[y/N] ', 'y\r']] });
    expect(yes.text).toContain('1 run removed');
    expect((await inProcess(layout.project, ['show', id])).code).toBe(1);
  });

  test('logs -f shows what comes, and Ctrl-C ends it', async () => {
    const id = writeRun(layout, {
      took: null,
      at: Date.now() / 1000 - START,
      console: [{ stream: 1, text: 'hello' }],
    });
    const ended = await onTerminal(['logs', id, '-f'], { answers: [['hello', '\u0003']] });
    expect(ended.text).toContain('hello');
    const journal = journalOf(id);
    journal.append({
      k: 'end',
      t: Date.now() / 1000,
      attempt: journal.name,
      status: 'completed',
      by: 'supervisor',
    });
    journal.close();
    expect((await onTerminal(['logs', id, '-f'])).text).toBe('hello\n');
  });
});

test('no part of it loads the whole of node:http, and with it the fetch client', () => {
  // From the entry on: dist/ may hold the parts of an earlier build too.
  const dist = join(import.meta.dirname, '../dist');
  const parts = new Map<string, string>();
  const read = (file: string): void => {
    if (parts.has(file)) return;
    const text = readFileSync(file, 'utf8');
    parts.set(file, text);
    for (const [, part = ''] of text.matchAll(/["'`](\.\.?\/[^"'`\s]*\.js)["'`]/g)) {
      const next = join(file, '..', part);
      if (existsSync(next)) read(next);
    }
  };
  read(join(dist, 'waddle.js'));
  expect(parts.size).toBeGreaterThan(100);
  const whole = [...parts].filter(([, text]) => /(?:from|import)\s*["'`](?:node:)?http["'`]/.test(text));
  expect(whole.map(([file]) => file)).toEqual([]);
});
