import { execFile } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { identityOf } from '../journal/process-identity.ts';
import { takeIdleSlots, takeSlot } from './pool-lock.ts';

let pool: string;
beforeEach(() => {
  pool = mkdtempSync(join(tmpdir(), 'waddle-pool-'));
});
afterEach(() => rmSync(pool, { recursive: true, force: true }));

const all = (slots: string[]) => slots;

test('a slot is held by one, given back, and taken again; nothing is left over', () => {
  const a = takeSlot(pool, 'a', all);
  const b = takeSlot(pool, 'b', all);
  expect(a.slot).not.toBe(b.slot);
  a.release();
  expect(takeSlot(pool, 'c', all)).toMatchObject({ slot: a.slot, takenOver: false });
  expect(takeSlot(pool, 'd', () => []).slot).not.toBe(a.slot);
  b.release();
  b.release();
  expect(readdirSync(pool).filter((name) => name.endsWith('.free'))).toEqual([`${b.slot}.free`]);
});

test('the slot of a dead process is taken over, unless its job or anything else works in there', () => {
  const dead = { ...identityOf(process.pid), pid: 2 ** 22 - 3, started: 1 };
  const claim = (owner: object, job: object | null) =>
    writeFileSync(join(pool, 'aa.claim'), JSON.stringify({ run: 'x', owner, job }));
  writeFileSync(join(pool, '01.held-aa'), '');
  claim(dead, identityOf(process.pid));
  expect(takeSlot(pool, 'a', all).slot).not.toBe('01');
  claim({ ...dead, host: 'elsewhere', boot: 'another' }, null);
  expect(takeSlot(pool, 'b', all).slot).not.toBe('01');
  claim(dead, dead);
  expect(takeSlot(pool, 'c', all)).toMatchObject({ slot: '01', takenOver: true });
  expect(readdirSync(pool)).not.toContain('aa.claim');
});

test('idle slots are taken for gc; those that are held are not', () => {
  const held = takeSlot(pool, 'a', all);
  const idle = takeSlot(pool, 'b', all);
  idle.release();
  const taken = takeIdleSlots(pool);
  expect(taken.map(({ slot }) => slot)).toEqual([idle.slot]);
  for (const each of taken) each.forget();
  expect(readdirSync(pool).some((name) => name.startsWith(idle.slot))).toBe(false);
  expect(readdirSync(pool).some((name) => name.startsWith(held.slot))).toBe(true);
});

test('many processes at once, some of which are killed: never two in one slot', async () => {
  const script = `
    import { mkdirSync, rmdirSync } from 'node:fs';
    import { takeSlot } from ${JSON.stringify(join(import.meta.dirname, 'pool-lock.ts'))};
    const [pool, seed] = process.argv.slice(1);
    for (let round = 0; round < 60; round += 1) {
      const held = takeSlot(pool, 'run', (slots) => slots);
      const mark = pool + '/mark-' + held.slot;
      // Whoever was killed left its mark; nobody else is there while we hold the slot.
      if (held.takenOver) try { rmdirSync(mark); } catch {}
      mkdirSync(mark);
      await new Promise((wake) => setTimeout(wake, (round * Number(seed)) % 4));
      if (seed === '3' && round === 30) process.kill(process.pid, 'SIGKILL');
      rmdirSync(mark);
      held.release();
    }`;
  const results = await Promise.allSettled(
    [1, 2, 3, 5, 7, 3].map((seed) =>
      promisify(execFile)(process.execPath, ['--input-type=module', '-e', script, pool, String(seed)]),
    ),
  );
  const failures = results.flatMap((result) =>
    result.status === 'rejected' ? [result.reason as { signal: string | null; stderr: string }] : [],
  );
  expect(failures.map(({ signal, stderr }) => signal ?? stderr)).toEqual(['SIGKILL', 'SIGKILL']);
  // Hardly more copies than processes.
  const tokens = readdirSync(pool).filter((name) => /^[0-9a-f]+\.(?:free|held)/.test(name));
  expect(tokens.length).toBeLessThanOrEqual(12);
});
