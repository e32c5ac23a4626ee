/**
 * The colour of a run. Twelve hues evenly spread in OKLCH at equal lightness (a set for light, one for dark), chosen
 * from the run's id, so that it is the same tomorrow; two runs shown together get different ones while there are any,
 * and past twelve the same colour with another dash. What a run once got it keeps, in every view of this browser.
 */
import { computed, signal } from '@preact/signals';

export const COLOURS = 12;

/** Hues in the order in which they are given out after the preferred one: far from each other first. */
const HUES = Array.from({ length: COLOURS }, (_, index) => 25 + index * 30);
const STRIDE = 5;
const DASHES: readonly (readonly number[])[] = [[], [6, 3], [2, 2.5], [9, 3, 2, 3]];

/** Yellow and green look brighter than they are; a little less chroma keeps the sets even. */
export function runColour(slot: number, dark: boolean): string {
  const hue = HUES[slot % COLOURS] ?? 0;
  const [lightness, chroma] = dark ? [0.76, 0.125] : [0.585, 0.145];
  return `oklch(${lightness} ${chroma} ${hue % 360})`;
}

export interface RunLook {
  /** Of the twelve. */
  slot: number;
  /** 0 is a whole line. */
  dash: number;
}

export const dashOf = (look: RunLook): readonly number[] => DASHES[look.dash % DASHES.length] ?? [];

/** 32 bits that differ for ids that hardly do (FNV-1a with a last mix). */
export function hashId(id: string): number {
  let hash = 0x811c9dc5;
  for (let index = 0; index < id.length; index++) {
    hash = Math.imul(hash ^ id.charCodeAt(index), 0x01000193);
  }
  hash = Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d);
  return (hash ^ (hash >>> 13)) >>> 0;
}

/**
 * Looks for runs that join those already shown. `taken` are the looks in use; what is given is kept. Each run gets the
 * slot of its id if that is free, else the next free one in strides, else the one used least, with another dash.
 */
export function assignLooks(
  ids: Iterable<string>,
  taken: ReadonlyMap<string, RunLook>,
): Map<string, RunLook> {
  const use = new Array<number>(COLOURS).fill(0);
  for (const look of taken.values()) use[look.slot] = (use[look.slot] ?? 0) + 1;
  const given = new Map<string, RunLook>();
  for (const id of ids) {
    const kept = taken.get(id);
    if (kept !== undefined || given.has(id)) continue;
    const preferred = hashId(id) % COLOURS;
    const least = Math.min(...use);
    let slot = preferred;
    for (let step = 0; step < COLOURS && (use[slot] ?? 0) > least; step++) slot = (slot + STRIDE) % COLOURS;
    const dash = use[slot] ?? 0;
    use[slot] = dash + 1;
    given.set(id, { slot, dash });
  }
  return given;
}

/** Changes when any run gets another look. */
export const runLooks = signal<ReadonlyMap<string, RunLook>>(new Map());

const KEY = 'waddle.looks';
/** So many are remembered, the latest. */
const MOST_KEPT = 2000;
/** Looks that runs had in any view: a run keeps its own in the next one, in this browser. */
let remembered: Map<string, RunLook> | undefined;

/** Says which runs are shown, oldest first; those that were shown before keep their look. */
export function showRuns(ids: readonly string[]): void {
  remembered ??= readLooks();
  const kept = keptApart(ids, remembered);
  const given = assignLooks(ids, kept);
  const now = runLooks.peek();
  const shown = new Map([...kept, ...given]);
  if (now.size === shown.size && ids.every((id) => now.get(id) === shown.get(id))) return;
  runLooks.value = shown;
  const fresh = [...given].filter(([id]) => remembered?.has(id) === false);
  if (fresh.length === 0) return;
  remembered = new Map([...remembered, ...fresh].slice(-MOST_KEPT));
  writeLooks(remembered);
}

/** Of the looks that runs had those that tell them apart: by colour where there are enough, else by the dash too. */
export function keptApart(ids: readonly string[], looks: ReadonlyMap<string, RunLook>): Map<string, RunLook> {
  const kept = new Map<string, RunLook>();
  const used = new Set<string>();
  for (const id of ids) {
    const look = looks.get(id);
    if (look === undefined) continue;
    const name = ids.length <= COLOURS ? String(look.slot) : `${look.slot}.${look.dash}`;
    if (used.has(name)) continue;
    used.add(name);
    kept.set(id, look);
  }
  return kept;
}

/** Pure; what is malformed counts as absent. */
export function parseLooks(text: string | null): Map<string, RunLook> {
  const looks = new Map<string, RunLook>();
  for (const entry of (text ?? '').split(' ')) {
    const match = /^([\w-]+):(\d{1,2})\.(\d{1,3})$/.exec(entry);
    if (match === null || Number(match[2]) >= COLOURS) continue;
    looks.set(match[1] ?? '', { slot: Number(match[2]), dash: Number(match[3]) });
  }
  return looks;
}

export const formatLooks = (looks: ReadonlyMap<string, RunLook>): string =>
  [...looks].map(([id, { slot, dash }]) => `${id}:${slot}.${dash}`).join(' ');

function readLooks(): Map<string, RunLook> {
  try {
    return parseLooks(localStorage.getItem(KEY));
  } catch {
    return new Map(); // storage may be forbidden: the ids alone tell then
  }
}

function writeLooks(looks: ReadonlyMap<string, RunLook>): void {
  try {
    localStorage.setItem(KEY, formatLooks(looks));
  } catch {
    // see above
  }
}

/** Past this many lines a dash costs more than it tells. */
const MAX_DASHED = 48;
const plain = computed(() => runLooks.value.size > MAX_DASHED);

/** The look of a run; one that is not shown has the colour of its id. Tracks its signal. */
export function lookOf(id: string): RunLook {
  const look = runLooks.value.get(id) ?? { slot: hashId(id) % COLOURS, dash: 0 };
  return plain.value ? { slot: look.slot, dash: 0 } : look;
}
