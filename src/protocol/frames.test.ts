import { expect, test } from 'vitest';
import { WaddleError } from '../errors/waddle-error.ts';
import { decodeFrames, encodeFrames, MAX_FRAMES } from './frames.ts';

const bytes = (text: string) => new TextEncoder().encode(text);

function body(...frames: [header: object, payload: string][]): Uint8Array {
  return Buffer.concat(encodeFrames(frames.map(([header, text]) => ({ header, payload: bytes(text) }))));
}

function refusal(make: () => unknown): string {
  try {
    make();
  } catch (error) {
    if (error instanceof WaddleError && error.code === 'frames-invalid') return error.message;
    throw error;
  }
  throw new Error('nothing was refused');
}

test('frames come back as they were, wherever the body lies in its buffer', () => {
  const whole = body([{ run: 'å' }, 'one\n'], [{ run: null, offset: 7 }, ''], [{}, 'three']);
  const shifted = Buffer.concat([Buffer.from('xyz'), whole]).subarray(3);
  for (const each of [whole, shifted]) {
    expect(
      decodeFrames(each).map(({ header, payload }) => [header, Buffer.from(payload).toString()]),
    ).toEqual([
      [{ run: 'å', bytes: 4 }, 'one\n'],
      [{ run: null, offset: 7, bytes: 0 }, ''],
      [{ bytes: 5 }, 'three'],
    ]);
  }
  expect(decodeFrames(new Uint8Array())).toEqual([]);
});

test('a body that was cut anywhere is refused, and never half read', () => {
  const whole = body([{ run: 'a' }, 'one\n'], [{ run: 'b' }, 'two\n']);
  const first = body([{ run: 'a' }, 'one\n']).length;
  for (let cut = 1; cut < whole.length; cut += 1) {
    if (cut !== first) refusal(() => decodeFrames(whole.subarray(0, cut)));
  }
});

test('lies about lengths, headers that are none and too many frames are refused', () => {
  const raw = (header: string, rest = '') => {
    const text = bytes(header);
    const head = Buffer.alloc(4);
    head.writeUInt32BE(text.length);
    return Buffer.concat([head, text, bytes(rest)]);
  };
  for (const header of [
    '{"bytes":-1}',
    '{"bytes":1e300}',
    '{"bytes":1.5}',
    '{"bytes":"1"}',
    '{"bytes":2}',
    '{}',
    '[]',
    'null',
    '{',
    '\ud800',
  ]) {
    refusal(() => decodeFrames(raw(header, 'x')));
  }
  expect(refusal(() => decodeFrames(Buffer.from([0xff, 0xff, 0xff, 0xff, 1])))).toContain('4294967295');
  expect(refusal(() => decodeFrames(raw(`{"bytes":0,"x":"${'y'.repeat(20_000)}"}`)))).toContain('header of');
  const many = Buffer.concat(Array.from({ length: MAX_FRAMES + 1 }, () => raw('{"bytes":0}')));
  expect(refusal(() => decodeFrames(many))).toContain('4096');
});
