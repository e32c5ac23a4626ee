/**
 * Who holds which copy of the pool. A copy has one token, an empty file: `<slot>.free`, or `<slot>.held-<claim>`. Taking,
 * giving back and taking over are each one rename of it, which one process alone can win, and a claim is never used
 * twice. `<claim>.claim` says who claims; it is there before the rename, and outlives it.
 */
import { randomBytes } from 'node:crypto';
import { readdirSync, readFileSync, readlinkSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { isSystemError } from '../errors/waddle-error.ts';
import { identityOf, judgeLife, type ProcessIdentity } from '../journal/process-identity.ts';

interface Claim {
  run: string;
  owner: ProcessIdentity;
  /** The job that works in the copy: it may outlive its supervisor. */
  job: ProcessIdentity | null;
}

export interface HeldSlot {
  slot: string;
  /** Whether it was taken from a process that is gone: what that left in it is still to be looked after. */
  takenOver: boolean;
  noteJob(pid: number): void;
  release(): void;
}

/** Takes a copy that nobody uses, the first in the order of `prefer`, else a new one. `pool` exists. */
export function takeSlot(pool: string, run: string, prefer: (slots: string[]) => string[]): HeldSlot {
  const name = randomBytes(6).toString('hex');
  const claim: Claim = { run, owner: identityOf(process.pid), job: null };
  writeClaim(pool, name, claim);
  const hold = (slot: string, takenOver: boolean): HeldSlot => ({
    slot,
    takenOver,
    noteJob: (pid) => writeClaim(pool, name, { ...claim, job: identityOf(pid) }),
    release: () => {
      move(join(pool, `${slot}.held-${name}`), join(pool, `${slot}.free`));
      rmSync(join(pool, `${name}.claim`), { force: true });
    },
  });
  // Where others are faster, there may be another by now: a new copy costs more than a look.
  for (let attempt = 0, lost = true; lost && attempt < 8; attempt += 1) {
    lost = false;
    const { free, held } = tokens(pool);
    for (const slot of prefer(free)) {
      if (isWorkedIn(join(pool, slot))) continue;
      if (move(join(pool, `${slot}.free`), join(pool, `${slot}.held-${name}`))) return hold(slot, false);
      lost = true;
    }
    for (const { slot, by } of held) {
      if (isInUse(pool, slot, by)) continue;
      if (move(join(pool, `${slot}.held-${by}`), join(pool, `${slot}.held-${name}`))) {
        rmSync(join(pool, `${by}.claim`), { force: true });
        return hold(slot, true);
      }
      lost = true;
    }
  }
  const slot = randomBytes(3).toString('hex');
  writeFileSync(join(pool, `${slot}.held-${name}`), '', { flag: 'wx' });
  return hold(slot, false);
}

/** For `gc`: takes every copy that nobody uses, one by one, to be removed with `forget`. */
export function takeIdleSlots(pool: string): (HeldSlot & { forget(): void })[] {
  const slots: (HeldSlot & { forget(): void })[] = [];
  for (;;) {
    const { free, held } = tokens(pool);
    const idle =
      free.some((slot) => !isWorkedIn(join(pool, slot))) ||
      held.some(({ slot, by }) => !isInUse(pool, slot, by));
    if (!idle) return slots;
    const taken = takeSlot(pool, 'gc', (all) => all);
    const forget = (): void => {
      taken.release();
      rmSync(join(pool, `${taken.slot}.free`), { force: true });
    };
    slots.push({ ...taken, forget });
  }
}

function tokens(pool: string): { free: string[]; held: { slot: string; by: string }[] } {
  const free: string[] = [];
  const held: { slot: string; by: string }[] = [];
  for (const name of readdirSync(pool).sort()) {
    const match = /^([0-9a-f]+)\.(?:(free)|held-([0-9a-f]+))$/.exec(name);
    if (match?.[2] !== undefined) free.push(match[1] ?? '');
    else if (match?.[3] !== undefined) held.push({ slot: match[1] ?? '', by: match[3] });
  }
  return { free, held };
}

function isInUse(pool: string, slot: string, by: string): boolean {
  let claim: Claim;
  try {
    claim = JSON.parse(readFileSync(join(pool, `${by}.claim`), 'utf8')) as Claim;
  } catch {
    // Written before the token and removed after it: only by hand can it be missing.
    return isWorkedIn(join(pool, slot));
  }
  if (judgeLife(claim.owner) !== 'dead') return true;
  if (claim.job !== null && judgeLife(claim.job) !== 'dead') return true;
  return isWorkedIn(join(pool, slot));
}

/** Whether any process here has its working directory in the folder: what a job started may outlive it. Linux alone tells. */
function isWorkedIn(folder: string): boolean {
  let pids: string[];
  try {
    pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
  } catch {
    return false;
  }
  return pids.some((pid) => {
    try {
      return `${readlinkSync(`/proc/${pid}/cwd`)}/`.startsWith(`${folder}/`);
    } catch {
      return false;
    }
  });
}

function writeClaim(pool: string, name: string, claim: Claim): void {
  const path = join(pool, `${name}.claim`);
  writeFileSync(`${path}.tmp`, JSON.stringify(claim));
  renameSync(`${path}.tmp`, path);
}

function move(from: string, to: string): boolean {
  try {
    renameSync(from, to);
    return true;
  } catch (error) {
    if (isSystemError(error, 'ENOENT')) return false;
    throw error;
  }
}
