import { expect, it } from 'vitest';
import { isRunId, isWriterName, newRunId, newWriterName } from './ids.ts';

it('makes ids that it knows again, and no two alike', () => {
  const ids = Array.from({ length: 2000 }, newRunId);
  expect(ids.every(isRunId)).toBe(true);
  expect(new Set(ids).size).toBe(ids.length);
  expect(isWriterName(newWriterName('job'))).toBe(true);
});

it('takes nothing else for one', () => {
  for (const text of ['', 'abcdefghijk', 'abcdefghijklm', 'ABCDEFGHIJKL', 'abcdefghijk1', '../etc/passwd']) {
    expect(isRunId(text)).toBe(false);
  }
  for (const text of ['job', 'job-', 'job-abc', 'cook-aaaabbbb', 'job-aaaabbbb.jsonl', 'job-aaaa/bbb']) {
    expect(isWriterName(text)).toBe(false);
  }
});
