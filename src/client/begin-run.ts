import { existsSync, mkdirSync } from 'node:fs';
import { basename, resolve } from 'node:path';
import { isMainThread } from 'node:worker_threads';
import { WaddleError } from '../errors/waddle-error.ts';
import { isRunId, newRunId } from '../events/ids.ts';
import { eventTime } from '../events/line.ts';
import type { EventOf } from '../events/schema.ts';
import { listRuns } from '../journal/discover.ts';
import { writeHead } from '../journal/head.ts';
import { layoutOf, runFolder } from '../journal/layout.ts';
import { identityOf, judgeLife, type ProcessIdentity } from '../journal/process-identity.ts';
import { ensureProjectFolder } from '../journal/project-folder.ts';
import type { InitOptions, Run } from './client.ts';
import { ClientRun, DisabledRun } from './client-run.ts';
import { outcomeOf, watchEnding, watchSignals } from './ending.ts';
import { JobJournal } from './job-journal.ts';
import { lastStep, readClientHead } from './last-step.ts';
import { findProjectFolder, readDefaults } from './project.ts';
import { readRank } from './rank.ts';
import { isStrict, say } from './say.ts';
import { startHelper } from './start-helper.ts';
import { plainText } from './values.ts';

/** What this thread knows of its run. */
const state: {
  current: ClientRun | null;
  disabled: DisabledRun | null;
  /** The attached run whose end this process tells when it ends, and the supervisor that knows better while it lives. */
  told: { run: ClientRun; unlessAlive: ProcessIdentity | null } | null;
  warned: boolean;
} = { current: null, disabled: null, told: null, warned: false };

/** See `init`. Synchronous: nothing of it waits. */
export function beginRun(options: InitOptions = {}): Run {
  if (process.env.WADDLE_DISABLED === '1') {
    state.disabled = new DisabledRun(options.name ?? null, options.project ?? null);
    return state.disabled;
  }
  if (state.current?.owner) state.current.finish();
  const attachTo = options.runId ?? (process.env.WADDLE_RUN || undefined);
  const { run, fresh } =
    attachTo !== undefined
      ? { run: attach(attachTo, options), fresh: false }
      : options.resume !== undefined
        ? { run: resume(options.resume, options), fresh: false }
        : { run: begin(options), fresh: true };
  if (
    attachTo !== undefined &&
    options.resume !== undefined &&
    ![run.id, run.name].includes(options.resume)
  ) {
    run.journal.warn(
      'resume',
      `this process already belongs to run ${run.id}: resume "${options.resume}" is not used`,
    );
  }
  if (!fresh && options.tags) for (const [key, value] of Object.entries(options.tags)) run.logTag(key, value);
  if (options.config !== undefined) run.logParams(options.config);
  if (run.owner) {
    startHelper(run.dir, run.id, run.journal.attempt ?? '');
    watchSignals(() => atExit(0));
  }
  state.current = run;
  watchEnding(atExit);
  return run;
}

/** The run of the last `init`, else the one that the environment names, else one that keeps nothing. */
export function currentRun(): Run {
  if (state.current !== null) return state.current;
  if (state.disabled !== null) return state.disabled;
  if (process.env.WADDLE_RUN || process.env.WADDLE_DISABLED === '1') return beginRun();
  if (isStrict()) throw new Error('there is no run to log to: call init() first');
  if (!state.warned) say('there is no run to log to: call init() first; nothing is kept');
  state.warned = true;
  return new DisabledRun();
}

function projectFolder(options: InitOptions): string {
  const named = options.dir ?? (process.env.WADDLE_DIR || undefined);
  return named === undefined ? findProjectFolder(process.cwd()) : resolve(named);
}

/** What a run is told about itself at its beginning; null where nothing is said. */
function fieldsOf(options: InitOptions): EventOf<'update'>['fields'] {
  const fields: EventOf<'update'>['fields'] = {};
  for (const key of ['name', 'project', 'notes', 'group'] as const) {
    const value = options[key];
    if (value !== undefined && value !== null) fields[key] = plainText(value);
  }
  return fields;
}

function commandLine() {
  return {
    argv: process.argv.slice(1),
    command: [process.execPath, ...process.execArgv, ...process.argv.slice(1)],
    cwd: process.cwd(),
  };
}

/** A new run, of which this process is the job. */
function begin(options: InitOptions): ClientRun {
  const dir = projectFolder(options);
  if (!existsSync(dir)) {
    throw new Error(`there is no folder ${dir}: correct ${options.dir ? 'dir' : 'WADDLE_DIR'}, or make it`);
  }
  const defaults = readDefaults(dir);
  const { env } = process;
  const given = fieldsOf(options);
  const name = given.name ?? (env.WADDLE_NAME || undefined) ?? defaults.name ?? null;
  const project = given.project ?? (env.WADDLE_PROJECT || undefined) ?? defaults.project ?? null;
  const layout = layoutOf(dir);
  ensureProjectFolder(layout);
  const id = newRunId();
  const folder = runFolder(layout, id);
  mkdirSync(folder);
  // `node -` has "-" for a script.
  const script = basename(process.argv[1] ?? '').replace(/^-$|(?!^)\.[^.]*$/, '') || 'run';
  const defaultName = `${script}-${id.slice(0, 4)}`;
  const t = eventTime();
  writeHead(folder, { id, name: name ?? defaultName, project, started_at: t, last_step: null });
  const journal = JobJournal.begin(folder, id);
  const tags: Record<string, string> = { ...defaults.tags };
  for (const [key, value] of Object.entries(options.tags ?? {})) tags[plainText(key)] = plainText(value);
  journal.append({
    k: 'start',
    t,
    id,
    attempt: journal.attempt ?? '',
    ...commandLine(),
    name,
    default_name: defaultName,
    project,
    group: given.group ?? defaults.group ?? null,
    notes: given.notes ?? defaults.notes ?? null,
    tags,
    supervised: false,
  });
  return makeRun({ id, name: name ?? defaultName, project, dir, journal, owner: true, lastStep: null });
}

function makeRun(options: Omit<ConstructorParameters<typeof ClientRun>[0], 'onFinish'>): ClientRun {
  const found = options.owner ? publish(options.id, options.dir, options.journal.attempt ?? '') : null;
  return new ClientRun({
    ...options,
    onFinish: (run) => {
      if (state.current === run) state.current = null;
      // The next `init` begins anew.
      if (found !== null && process.env.WADDLE_RUN === run.id) {
        for (const [name, value] of Object.entries(found)) {
          if (value === undefined) delete process.env[name];
          else process.env[name] = value;
        }
      }
    },
  });
}

/** Lets the processes and threads that the job begets find the run; returns what was there before. */
function publish(run: string, dir: string, attempt: string): Record<string, string | undefined> {
  const values: Record<string, string> = {
    WADDLE_RUN: run,
    WADDLE_DIR: dir,
    WADDLE_ATTEMPT: attempt,
    WADDLE_CLIENT_PID: `${attempt}:${process.pid}`,
  };
  const found: Record<string, string | undefined> = {};
  for (const [name, value] of Object.entries(values)) {
    found[name] = process.env[name];
    process.env[name] = value;
  }
  return found;
}

/** An earlier run, in a new attempt of which this process is the job. */
function resume(wanted: string, options: InitOptions): ClientRun {
  const dir = projectFolder(options);
  const head = findHead(layoutOf(dir).runs, wanted);
  const folder = runFolder(layoutOf(dir), head.id);
  const journal = JobJournal.begin(folder, head.id);
  journal.append({
    k: 'resume',
    t: eventTime(),
    attempt: journal.attempt ?? '',
    ...commandLine(),
    supervised: false,
  });
  const fields = fieldsOf(options);
  if (Object.keys(fields).length > 0) journal.append({ k: 'update', t: eventTime(), fields });
  return makeRun({
    id: head.id,
    name: head.name ?? null,
    project: head.project ?? null,
    dir,
    journal,
    owner: true,
    lastStep: lastStep(folder, journal.attempt),
  });
}

/** The run that a text names, by the heads alone: an id, the newest of an exact name, a prefix of an id, `@last~2`. */
function findHead(runs: string, wanted: string) {
  const heads = listRuns(runs)
    .map((id) => readClientHead(resolve(runs, id)))
    .filter((head) => head !== null)
    .filter((head) => head.removed !== true)
    .sort((a, b) => (b.started_at ?? 0) - (a.started_at ?? 0) || (a.id < b.id ? 1 : -1));
  const fitting = wanted.length < 4 ? [] : heads.filter((head) => head.id.startsWith(wanted));
  const last = /^@last(?:~(\d+))?$/.exec(wanted);
  const found =
    heads.find((head) => head.id === wanted) ??
    heads.find((head) => head.name === wanted) ??
    (fitting.length === 1 ? fitting[0] : undefined) ??
    (last === null ? undefined : heads[Number(last[1] ?? 0)]);
  if (found !== undefined) return found;
  throw fitting.length > 1
    ? new WaddleError('run-ambiguous', `several runs begin with "${wanted}"`, 'Give more letters of the id.')
    : new WaddleError(
        'run-not-found',
        `there is no run "${wanted}" in ${runs}`,
        'See which there are: waddle ls',
      );
}

/** The run that `waddle run`, or another process, has begun. */
function attach(id: string, options: InitOptions): ClientRun {
  const fields = fieldsOf(options);
  const update = (run: ClientRun) => {
    if (Object.keys(fields).length > 0) run.journal.append({ k: 'update', t: eventTime(), fields });
    else run.journal.touch();
    return run;
  };
  if (state.current?.id === id) return update(state.current);
  if (!isRunId(id)) {
    throw new WaddleError('run-not-found', `"${id}" is not a run id`, 'It has 12 characters of a-z and 2-7.');
  }
  const dir = projectFolder(options);
  const folder = runFolder(layoutOf(dir), id);
  if (options.runId !== undefined && !existsSync(folder)) {
    throw new WaddleError(
      'run-not-found',
      `there is no run ${id} in ${dir}`,
      'See which there are: waddle ls',
    );
  }
  const head = readClientHead(folder);
  const attempt = process.env.WADDLE_RUN === id ? process.env.WADDLE_ATTEMPT || null : null;
  const run = makeRun({
    id,
    name: head?.name ?? null,
    project: head?.project ?? null,
    dir,
    journal: new JobJournal(folder, id, attempt),
    owner: false,
    lastStep: attempt === null ? null : lastStep(folder, attempt),
  });
  if (state.told === null) decideWhoTells(run);
  return update(run);
}

/**
 * Whether this attached process tells, when it ends, how the attempt ended (the supervisor's word beats it; it is for a
 * job that outlives its supervisor). The supervisor's direct child always does. A client further down only where the
 * supervisor is gone by then, and only the first rank, and no process that descends from a client that was there before.
 */
function decideWhoTells(run: ClientRun): void {
  const { env } = process;
  const supervisor = /^\d+$/.test(env.WADDLE_SUPERVISOR_PID ?? '') ? Number(env.WADDLE_SUPERVISOR_PID) : null;
  if (!isMainThread || supervisor === null) return;
  const { attempt } = run.journal;
  if (env.WADDLE_CLIENT_PID?.split(':')[0] === attempt) return;
  const direct = process.ppid === supervisor;
  const { rank } = readRank(env);
  if (!direct && rank !== null && rank !== 0) return;
  state.told = { run, unlessAlive: direct ? null : identityOf(supervisor) };
  env.WADDLE_CLIENT_PID = `${attempt}:${process.pid}`;
}

/** Makes this process tell how the attempt ended, whoever its parent is: it runs the entry. */
export function tellEndOf(run: Run): void {
  if (run instanceof ClientRun) state.told = { run, unlessAlive: null };
}

function atExit(code: number): void {
  const { current, told } = state;
  if (told !== null) {
    const alone = told.unlessAlive === null || judgeLife(told.unlessAlive) === 'dead';
    if (alone) told.run.tellEnd(outcomeOf(code));
    told.run.finish();
    state.told = null;
  }
  // A worker thread's end is not the run's.
  if (current !== null && current !== told?.run) current.finish(current.owner ? outcomeOf(code) : {});
}
