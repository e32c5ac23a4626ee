import { existsSync, writeFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { problemOf } from './problems.ts';

it.runIf(existsSync('/dev/full'))('a full disk is the server’s, and no bug: 507', () => {
  let full: unknown;
  try {
    writeFileSync('/dev/full', 'x');
  } catch (error) {
    full = error;
  }
  expect(problemOf(full)).toMatchObject({
    status: 507,
    body: { error: { code: 'disk-full' } },
    unforeseen: false,
  });
});
