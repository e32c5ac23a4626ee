/** Real journals in bulk, the same bytes for the same seed: what a run of that size would have left on disk. */
import { closeSync, mkdirSync, openSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { encodeEvent } from '../src/events/line.ts';
import { writeHead } from '../src/journal/head.ts';
import { type Layout, runFolder } from '../src/journal/layout.ts';
import { ensureProjectFolder } from '../src/journal/project-folder.ts';

export interface RunPlan {
  /** Metrics of the run. */
  keys: readonly string[];
  /** Samples of each key. */
  steps: number;
  /** All keys of a step in one line, as `log` writes; else a line each, as `log_metric` does. */
  together?: boolean;
  seed: number;
  params?: Record<string, unknown>;
}

export interface WrittenRun {
  id: string;
  samples: number;
  /** The job's journal, and its plain bytes. */
  journal: string;
  bytes: number;
}

/** Epoch seconds of the first line. */
const T0 = 1_764_000_000;
const CHUNK = 1 << 20;

/** Numbers in [0, 1), by a small generator with a seed (mulberry32). */
export function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** A loss that falls and jitters, with all the digits that a computed double has: the worst case for size. */
export function lossAt(step: number, random: () => number): number {
  return 2 / (1 + step / 1000) + random() / 7;
}

function idOf(random: () => number, length: number): string {
  return Array.from({ length }, () => 'abcdefghijklmnopqrstuvwxyz234567'[Math.floor(random() * 32)]).join('');
}

/** Writes a run that has ended: the supervisor's journal and the job's. Steps are about 15 ms apart. */
export function writeRun(layout: Layout, plan: RunPlan): WrittenRun {
  const random = seeded(plan.seed);
  const id = idOf(random, 12);
  const supervisor = `supervisor-${idOf(random, 8)}`;
  const job = `job-${idOf(random, 8)}`;
  const folder = runFolder(layout, id);
  ensureProjectFolder(layout);
  mkdirSync(folder, { recursive: true });
  const start = T0 + (plan.seed % 1_000_000);
  const open = (writer: string) =>
    encodeEvent({
      k: 'open',
      t: start,
      format: 1,
      writer,
      role: writer.slice(0, writer.indexOf('-')),
      run: id,
      host: 'bench',
      pid: 4242,
      client: 'bench',
      attempt: supervisor,
    });

  const journal = join(folder, `${job}.jsonl`);
  const fd = openSync(journal, 'wx');
  let bytes = 0;
  let text = open(job);
  const flush = () => {
    bytes += writeSync(fd, text);
    text = '';
  };
  for (const [key, value] of Object.entries(plan.params ?? {})) {
    text += encodeEvent({ k: 'param', t: start, key, value });
  }
  const heads = plan.keys.map((key) => `${JSON.stringify(key)}:`);
  let ms = start * 1000;
  for (let step = 0; step < plan.steps; step += 1) {
    ms += 10 + Math.floor(random() * 10);
    const stem = `{"k":"m","t":${(ms / 1000).toFixed(3)},"s":${step},"v":{`;
    if (plan.together) text += stem;
    for (let index = 0; index < heads.length; index += 1) {
      const pair = `${heads[index]}${lossAt(step, random)}`;
      text += plan.together ? (index === 0 ? pair : `,${pair}`) : `${stem}${pair}}}\n`;
    }
    if (plan.together) text += '}}\n';
    if (text.length > CHUNK) flush();
  }
  const end = ms / 1000;
  text += encodeEvent({ k: 'close', t: end });
  flush();
  closeSync(fd);

  const name = `run ${plan.seed}`;
  const told =
    open(supervisor) +
    encodeEvent({ k: 'start', t: start, id, attempt: supervisor, name, project: 'bench', supervised: true }) +
    encodeEvent({
      k: 'end',
      t: end,
      attempt: supervisor,
      status: 'completed',
      exit_code: 0,
      by: 'supervisor',
    }) +
    encodeEvent({ k: 'close', t: end });
  const other = openSync(join(folder, `${supervisor}.jsonl`), 'wx');
  writeSync(other, told);
  closeSync(other);
  writeHead(folder, { id, name, project: 'bench', started_at: start, last_step: plan.steps - 1 });
  return { id, samples: plan.steps * plan.keys.length, journal, bytes };
}
