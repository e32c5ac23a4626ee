import { writeFileSync } from 'node:fs';
import { beforeEach, describe, expect, test } from 'vitest';
import { consoleFile, type Layout, runFolder } from '../src/journal/layout.ts';
import { JournalWriter } from '../src/journal/writer.ts';
import { journalOf, newProject, START, waddle, writeRun } from './cli-fixture.ts';

let layout: Layout;
beforeEach(() => {
  layout = newProject();
});

const lines = [
  { stream: 1 as const, text: 'one' },
  { stream: 2 as const, text: '\u001b[31mtwo\u001b[0m\u001b[2J' },
  { stream: 1 as const, text: 'three\tx' },
  { stream: 1 as const, text: '50%', partial: true },
];

describe('logs', () => {
  test('in the order of time; nothing but the text in a pipe', async () => {
    writeRun(layout, { console: lines });
    expect(await waddle(layout.project, ['logs', '@last'])).toEqual({
      code: 0,
      out: 'one\ntwo\nthree\tx\n50%\n',
      err: '',
    });
  });

  test('says why there is nothing, where a plain script began the run', async () => {
    expect((await waddle(layout.project, ['logs', writeRun(layout, {})])).err).toBe('');
    const id = writeRun(layout, { supervised: false });
    const said = await waddle(layout.project, ['logs', id]);
    expect([said.code, said.out]).toEqual([0, '']);
    expect(said.err).toContain('is kept under waddle run');
  });

  test('on a terminal stderr has a bar, and the job keeps its colours', async () => {
    writeRun(layout, { console: lines });
    const plain = await waddle(layout.project, ['logs', '@last'], { terminal: true });
    expect(plain.out).toBe('one\n│ two\nthree\tx\n50%\r\u001b[2K50%\n');
    const coloured = await waddle(layout.project, ['logs', '@last', '--stderr'], {
      terminal: true,
      colors: true,
    });
    expect(coloured.out).toBe('\u001b[31m│\u001b[39m \u001b[31mtwo\u001b[0m\u001b[0m\n');
  });

  test('one stream, the last lines, JSON', async () => {
    writeRun(layout, { console: lines });
    const out = async (...argv: string[]) => (await waddle(layout.project, ['logs', '@last', ...argv])).out;
    expect(await out('--stderr')).toBe('two\n');
    expect(await out('--stdout')).toBe('one\nthree\tx\n50%\n');
    expect(await out('--tail', '2')).toBe('three\tx\n50%\n');
    expect(await out('--tail', '1', '--stderr')).toBe('two\n');
    expect(await out('--tail', '0')).toBe('');
    const json = (await out('--json'))
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as object);
    expect(json).toHaveLength(4);
    expect(json[1]).toMatchObject({
      stream: 'stderr',
      n: 0,
      text: '\u001b[31mtwo\u001b[0m\u001b[2J',
      partial: false,
    });
    expect((await waddle(layout.project, ['logs', '@last', '--tail', 'x'])).code).toBe(2);
  });

  test('more lines than a page, in order, from both ends', async () => {
    const many = Array.from({ length: 5000 }, (_, index) => ({
      stream: index % 3 === 0 ? (2 as const) : (1 as const),
      text: String(index),
    }));
    writeRun(layout, { console: many });
    const all = (await waddle(layout.project, ['logs', '@last'])).out.trimEnd().split('\n');
    expect(all).toEqual(many.map((line) => line.text));
    const tail = (await waddle(layout.project, ['logs', '@last', '--tail', '4500'])).out
      .trimEnd()
      .split('\n');
    expect(tail).toEqual(all.slice(-4500));
  });

  test('what a job printed after its supervisor was killed comes to light', async () => {
    const id = writeRun(layout, { console: [{ stream: 1, text: 'seen' }] });
    const folder = runFolder(layout, id);
    const dead = JournalWriter.open({
      folder,
      role: 'supervisor',
      run: id,
      client: 'test',
      attempt: 'self',
      open: { pid: 999_999, started: 1, t: START + 1 },
    });
    dead.append({ k: 'resume', t: START + 20, attempt: dead.name });
    writeFileSync(consoleFile(folder, 1, dead.name), 'late one\nlate two');
    const said = await waddle(layout.project, ['logs', id]);
    expect(said.out).toBe('seen\nlate one\nlate two\n');
    expect((await waddle(layout.project, ['logs', id])).out).toBe('seen\nlate one\nlate two\n');
  });
});

describe('logs -f', () => {
  test('follows until the run ends, and redraws an unfinished line on a terminal', async () => {
    const id = writeRun(layout, {
      took: null,
      at: Date.now() / 1000 - START,
      console: [{ stream: 1, text: 'first' }],
    });
    const journal = journalOf(id);
    const said: string[] = [];
    /** Acts once the text has been shown. */
    const steps: [string, () => void][] = [
      ['first\n', () => c(1, '10%', true)],
      ['10%', () => c(1, '60%', true)],
      ['60%', () => c(1, 'done', false)],
      [
        'done\n',
        () => {
          c(2, 'oops', false, 0);
          const t = Date.now() / 1000;
          journal.append({ k: 'end', t, attempt: journal.name, status: 'failed', by: 'supervisor' });
          journal.close();
        },
      ],
    ];
    const c = (o: 1 | 2, x: string, p: boolean, n = 1): void => {
      journal.append({ k: 'c', t: Date.now() / 1000, o, n, x, p, a: journal.name });
    };
    const result = await waddle(layout.project, ['logs', id, '-f'], {
      terminal: true,
      out: (text) => {
        said.push(text);
        if (steps[0] !== undefined && text.includes(steps[0][0])) steps.shift()?.[1]();
      },
    });
    expect(result.code).toBe(0);
    const wipe = '\r\u001b[2K';
    expect(said.join('')).toBe(`first\n10%${wipe}60%${wipe}done\n│ oops\n`);
  });

  test('of a run that has ended shows it and returns', async () => {
    writeRun(layout, { console: lines });
    expect((await waddle(layout.project, ['logs', '@last', '-f', '--tail', '1'])).out).toBe('50%\n');
  });
});
