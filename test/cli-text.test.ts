import { describe, expect, test } from 'vitest';
import { count, formatBytes, formatNumber } from '../src/cli/format-number.ts';
import { formatAge, formatDuration, formatTime } from '../src/cli/format-time.ts';
import { consoleText, inert, inertLines } from '../src/cli/inert.ts';
import { startProgress } from '../src/cli/progress.ts';
import { type Cell, cut, displayWidth, renderTable } from '../src/cli/table.ts';

const plain = (_style: string, text: string): string => text;

describe('numbers', () => {
  test.each([
    [0, '0'],
    [-0, '0'],
    [40, '40'],
    [-3, '-3'],
    [1234567, '1234567'],
    [0.034170261, '0.03417'],
    [0.00012345678, '0.00012346'],
    [0.00001234567, '1.235e-5'],
    [0.1, '0.1'],
    [99.999999, '100'],
    [123.456789, '123.46'],
    [123456.789, '123457'],
    [1e21, '1e21'],
    [1.5e300, '1.5e300'],
    [Number.NaN, 'NaN'],
    [Number.POSITIVE_INFINITY, 'inf'],
    [Number.NEGATIVE_INFINITY, '-inf'],
  ])('%d is shown as %s', (value, text) => expect(formatNumber(value)).toBe(text));

  test.each([
    [0, '0 B'],
    [999, '999 B'],
    [1000, '1.0 kB'],
    [1234, '1.2 kB'],
    [34_567_000, '35 MB'],
    [999_999, '1.0 MB'],
    [2 ** 50, '1.1 PB'],
  ])('%d bytes are %s', (value, text) => expect(formatBytes(value)).toBe(text));

  test('things are counted', () => {
    expect(count(1, 'run')).toBe('1 run');
    expect(count(12345, 'run')).toBe('12,345 runs');
    expect(count(0, 'entry', 'entries')).toBe('0 entries');
  });
});

describe('times', () => {
  test.each([
    [0, '0ms'],
    [0.1234, '123ms'],
    [0.9999, '1.0s'],
    [3.21, '3.2s'],
    [9.99, '10s'],
    [59.7, '1m00s'],
    [125, '2m05s'],
    [3720, '1h02m'],
    [90_000, '1d01h'],
    [-5, '0ms'],
  ])('%d seconds take %s', (value, text) => expect(formatDuration(value)).toBe(text));

  test.each([
    [0.2, 'now'],
    [12, '12s'],
    [300, '5m'],
    [7200, '2h'],
    [47 * 3600, '47h'],
    [3 * 86_400, '3d'],
    [90 * 86_400, '12w'],
    [3 * 31_557_600, '3y'],
    [-30, 'now'],
    [-7200, 'in 2h'],
  ])('%d seconds ago is %s', (value, text) => expect(formatAge(value)).toBe(text));

  test('a moment is local time', () => {
    const date = new Date(2026, 10, 3, 4, 5, 6);
    expect(formatTime(date.getTime() / 1000)).toBe('2026-11-03 04:05:06');
    expect(formatTime(1e300)).toBe('');
  });
});

describe('text that others wrote', () => {
  test('control characters, reversed reading and half characters are spelled out', () => {
    expect(inert('a\u001b[31mb\nc\u202ed\u009be\ud800')).toBe('a\\x1b[31mb\\nc\\u{202e}d\\x9be\\u{d800}');
    expect(inertLines('one\r\ntwo\tthree\u0007')).toBe('one\ntwo\tthree\\x07');
    expect(inert('naïve 猫 👩‍🚀')).toBe('naïve 猫 👩‍🚀');
  });

  test('a console line keeps its colours only where they are wanted, and never moves the cursor', () => {
    const line = '\u001b[2J\u001b[32mok\u001b[0m \u001b]0;title\u0007done\u001b[1A';
    expect(consoleText(line, false)).toBe('ok done');
    expect(consoleText(line, true)).toBe('\u001b[32mok\u001b[0m done\u001b[0m');
  });
});

describe('a table', () => {
  const columns = [
    { title: 'ID' },
    { title: 'NAME', min: 6 },
    { title: 'LOSS', align: 'right' as const },
    { title: 'EXTRA', optional: true as const },
  ];
  const rows: Cell[][] = [
    ['aaaa', 'a rather long name of a run', '0.1', 'x'],
    ['bbbb', '猫の実験', { text: '12.5', style: 'red' }, 'a wide value here'],
  ];

  test('is whole in a pipe', () => {
    expect(renderTable(columns, rows, { width: undefined, paint: plain })).toBe(
      [
        'ID    NAME                         LOSS  EXTRA',
        'aaaa  a rather long name of a run   0.1  x',
        'bbbb  猫の実験                     12.5  a wide value here',
        '',
      ].join('\n'),
    );
  });

  test('fits a narrow terminal: optional columns go first, then names are cut', () => {
    for (const width of [20, 30, 40, 60]) {
      const lines = renderTable(columns, rows, { width, paint: plain }).trimEnd().split('\n');
      for (const line of lines) expect(displayWidth(line)).toBeLessThanOrEqual(width);
      expect(lines[2]).toContain('12.5');
    }
    expect(renderTable(columns, rows, { width: 30, paint: plain })).toBe(
      [
        'ID    NAME                LOSS',
        'aaaa  a rather long nam…   0.1',
        'bbbb  猫の実験            12.5',
        '',
      ].join('\n'),
    );
  });

  test('never cuts inside a character', () => {
    expect(cut('猫の実験', 4)).toBe('猫…');
    expect(cut('👩‍🚀👩‍🚀👩‍🚀', 4)).toBe('👩‍🚀…');
    expect(cut('abc', 3)).toBe('abc');
  });

  test('keeps a hostile name on its line', () => {
    expect(renderTable([{ title: 'NAME' }], [['a\nb\u001b[1A']], { width: 80, paint: plain })).toBe(
      'NAME\na\\nb\\x1b[1A\n',
    );
  });
});

describe('progress', () => {
  const at = (progress: boolean, quiet: boolean): string[] => {
    const written: string[] = [];
    let time = 0;
    const line = startProgress({
      progress,
      quiet,
      columns: 20,
      warn: (text) => void written.push(text),
      now: () => time,
    });
    line.update('early');
    time = 500;
    line.update('a long line that is longer than the terminal');
    line.end();
    return written;
  };

  test('shows only on a terminal, only for long work, within the width', () => {
    expect(at(true, false)).toEqual(['\r\u001b[2Ka long line that is', '\r\u001b[2K']);
    expect(at(false, false)).toEqual([]);
    expect(at(true, true)).toEqual([]);
  });
});
