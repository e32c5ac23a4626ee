/** Projects and runs for the tests of the terminal: real journals in real folders, and a context that records what is said. */
import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll } from 'vitest';
import type { Context } from '../src/cli/context.ts';
import { runCommandLine } from '../src/cli/main.ts';
import { newRunId } from '../src/events/ids.ts';
import type { Event, EventOf, SnapshotRecord } from '../src/events/schema.ts';
import { type Layout, layoutOf, runFolder } from '../src/journal/layout.ts';
import { ensureProjectFolder } from '../src/journal/project-folder.ts';
import { JournalWriter } from '../src/journal/writer.ts';

const made: string[] = [];

/** An empty folder that is removed when the tests of the file are done. */
export function temporaryFolder(): string {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), 'waddle-cli-')));
  made.push(folder);
  return folder;
}

afterAll(() => {
  for (const folder of made) rmSync(folder, { recursive: true, force: true });
});

/** A project folder with a `.waddle/` and no runs. */
export function newProject(): Layout {
  const layout = layoutOf(temporaryFolder());
  ensureProjectFolder(layout);
  return layout;
}

/** 2026-11-01 12:00:00 UTC, in seconds: when the runs of the tests begin. */
export const START = Date.UTC(2026, 10, 1, 12) / 1000;

export interface RunPlan {
  id?: string;
  name?: string | null;
  project?: string;
  /** Seconds after START. */
  at?: number;
  /** Seconds that it took; null for a run that is still going. */
  took?: number | null;
  status?: EventOf<'end'>['status'];
  exitCode?: number;
  error?: EventOf<'end'>['error'];
  params?: Record<string, unknown>;
  tags?: Record<string, string>;
  /** Values of each metric, one a step from 0 on. */
  metrics?: Record<string, (number | 'NaN' | 'Infinity')[]>;
  console?: { stream: 1 | 2; text: string; partial?: boolean }[];
  artifacts?: { name: string; bytes: string | Buffer; inline?: boolean; kind?: string }[];
  snapshot?: Partial<SnapshotRecord>;
  notes?: string;
  /** False for a run that `init()` began in a plain script. */
  supervised?: boolean;
  events?: Event[];
}

/** Writes a whole run by its journals; resolves nothing, stores nothing. Gives its id. */
export function writeRun(layout: Layout, plan: RunPlan): string {
  const id = plan.id ?? newRunId();
  const folder = runFolder(layout, id);
  const t = START + (plan.at ?? 0);
  const journal = JournalWriter.open({
    folder,
    role: 'supervisor',
    run: id,
    client: 'waddle test',
    attempt: 'self',
    open: { t, host: 'box', user: 'ada' },
  });
  const attempt = journal.name;
  journal.append({
    k: 'start',
    t,
    id,
    attempt,
    name: plan.name ?? null,
    default_name: 'brave-heron',
    project: plan.project ?? 'demo',
    entry: 'examples.ml_sample',
    argv: ['--epochs', '3'],
    cwd: '/home/ada/project',
    notes: plan.notes ?? null,
    tags: plan.tags ?? {},
    supervised: plan.supervised ?? true,
  });
  if (plan.snapshot !== undefined) {
    journal.append({ k: 'snapshot', t, snapshot: snapshotOf(layout, plan.snapshot) });
  }
  for (const [key, value] of Object.entries(plan.params ?? {})) journal.append({ k: 'param', t, key, value });
  const steps = Math.max(0, ...Object.values(plan.metrics ?? {}).map((values) => values.length));
  for (let step = 0; step < steps; step += 1) {
    const v: EventOf<'m'>['v'] = {};
    for (const [key, values] of Object.entries(plan.metrics ?? {})) {
      const value = values[step];
      if (value !== undefined) v[key] = value;
    }
    journal.append({ k: 'm', t: t + step / 10, s: step, v });
  }
  const lines: Record<1 | 2, number> = { 1: 0, 2: 0 };
  plan.console?.forEach((line, index) => {
    const n = lines[line.stream]++;
    const p = line.partial === true;
    journal.append({ k: 'c', t: t + index / 10, o: line.stream, n, x: line.text, p, a: attempt });
  });
  for (const artifact of plan.artifacts ?? []) {
    journal.append(artifactOf(layout, t, artifact));
  }
  if (plan.events !== undefined) journal.append(...plan.events);
  if (plan.took !== null) {
    journal.append({
      k: 'end',
      t: t + (plan.took ?? 12.5),
      attempt,
      status: plan.status ?? 'completed',
      exit_code: plan.exitCode ?? 0,
      error: plan.error ?? null,
      by: 'supervisor',
    });
  }
  // A run that is going on has a living writer without a closing line: this process.
  if (plan.took !== null) journal.close();
  else going.set(id, journal);
  return id;
}

const going = new Map<string, JournalWriter>();

/** The journal of a run that was written with `took: null`. */
export function journalOf(id: string): JournalWriter {
  const journal = going.get(id);
  if (journal === undefined) throw new Error(`run ${id} has ended`);
  return journal;
}

/** Writes a blob's file where the artifact store has it. */
export function writeBlob(layout: Layout, bytes: Buffer): string {
  const sha256 = createHash('sha256').update(bytes).digest('hex');
  const folder = join(layout.blobs, 'sha256', sha256.slice(0, 2));
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, sha256), bytes);
  return sha256;
}

function artifactOf(layout: Layout, t: number, plan: NonNullable<RunPlan['artifacts']>[number]): Event {
  const bytes = Buffer.from(plan.bytes);
  const sha256 = plan.inline ? createHash('sha256').update(bytes).digest('hex') : writeBlob(layout, bytes);
  return {
    k: 'artifact',
    t,
    name: plan.name,
    kind: plan.kind ?? 'file',
    type: 'file',
    sha256,
    size: bytes.length,
    inline: plan.inline ? bytes.toString('base64') : null,
  };
}

function snapshotOf(layout: Layout, plan: Partial<SnapshotRecord>): SnapshotRecord {
  return {
    store: 'repository',
    repository: layout.project,
    git_dir: join(layout.project, '.git'),
    prefix: '',
    base: '1'.repeat(40),
    tree: '2'.repeat(40),
    commit: '3'.repeat(40),
    commit_object: null,
    branch: 'main',
    state: 'normal',
    dirty: true,
    incomplete: false,
    left_out: [],
    nested: [],
    changed: [{ path: 'train.py', status: 'M' }],
    changed_count: 1,
    object_format: 'sha1',
    warnings: [],
    duration_ms: 42,
    ...plan,
  };
}

export interface Said {
  code: number;
  out: string;
  err: string;
}

/** Runs one command line in this process, in a folder, and gives what it said. */
export async function waddle(
  cwd: string,
  argv: readonly string[],
  world: Partial<Context> & { answer?: string } = {},
): Promise<Said> {
  const out: Buffer[] = [];
  let err = '';
  const context: Context = {
    cwd,
    env: { HOME: cwd, PATH: process.env.PATH },
    out: (text) => void out.push(Buffer.from(text)),
    say: (text) => {
      if (!context.quiet) err += text;
    },
    warn: (text) => {
      err += text;
    },
    quiet: false,
    terminal: false,
    columns: 80,
    colors: false,
    progress: false,
    now: () => (START + 3600) * 1000,
    drained: async () => undefined,
    outBytes: async (bytes) => void out.push(Buffer.from(bytes)),
    ask: async (question) => {
      if (world.answer !== undefined) err += question;
      return world.answer;
    },
    exitCode: 0,
    ...world,
  };
  const code = await runCommandLine(argv, context);
  return { code, out: Buffer.concat(out).toString('utf8'), err };
}
