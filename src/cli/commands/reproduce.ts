import type { Command } from 'commander';
import { WaddleError } from '../../errors/waddle-error.ts';
import { newRunId } from '../../events/ids.ts';
import { pinTree } from '../../git/refs.ts';
import { runDetail } from '../../query/run-detail.ts';
import { describeEnvironment } from '../../runner/environment.ts';
import type { RunOutcome } from '../../runner/supervision.ts';
import { answerNow } from '../../store/answer-now.ts';
import { type ComparedMetric, compareMetrics, readTolerance, type Tolerance } from '../compare-metrics.ts';
import type { Context, Project } from '../context.ts';
import { openProject } from '../context.ts';
import { formatNumber } from '../format-number.ts';
import { collect, example, RUN_HELP } from '../help.ts';
import { inert } from '../inert.ts';
import { printJson } from '../json.ts';
import { withRuns } from '../opened-store.ts';
import { painter } from '../paint.ts';
import { type RecordedRun, recordedRun } from '../recorded-run.ts';
import {
  type Difference,
  environmentDifferences,
  leftOutDifferences,
  recordedPython,
  restoreVariables,
} from '../reproduced-environment.ts';
import { resolveJob } from '../run-job.ts';
import { environmentPlan, type RunOptions } from '../run-options.ts';
import { linkNames, type OpenedCopy, openCopy, placeOf } from '../run-place.ts';
import { planOf, superviseHere } from '../run-plan.ts';
import { settleRun } from '../run-store.ts';
import { describeEnd } from '../run-summary.ts';
import { renderTable } from '../table.ts';

interface Options {
  strict?: boolean;
  tolerance?: Tolerance;
  key?: string[];
  name?: string;
  json?: boolean;
}

/** Differences that are named at most, of each kind. */
const NAMED = 12;

export function define(command: Command, context: Context): void {
  command
    .description(
      'Runs the recorded code of a run again, in a copy of it, and compares the results. Exits with 0 where all are equal, with 3 where they differ.',
    )
    .argument('<run>', RUN_HELP)
    .option('--strict', 'refuse where anything is known to differ from then')
    .option('--tolerance <x>', 'how far results may differ: 0.001, or 0.1% of then', readTolerance)
    .option('--key <metric>', 'compare only this metric (may be given several times)', collect)
    .option('--name <name>', 'a name for the new run')
    .option('--json', "print JSON; the job's output then goes to stderr")
    .action((run: string, options: Options) => reproduce(context, run, options));
  example(command, 'waddle reproduce @last', 'waddle reproduce baseline --tolerance 0.1% --key val/loss');
}

async function reproduce(context: Context, text: string, options: Options): Promise<void> {
  const project = await openProject(context);
  const recorded = await withRuns(context, [text], (opened, [found]) => recordedRun(opened, found.id));
  const { run, code } = recorded;
  const words = run.entry === null ? run.command : (run.argv ?? []);
  if (words === null || (run.entry === null && words.length === 0)) {
    throw new WaddleError(
      'nothing-to-run',
      `what run ${run.id} ran is not recorded`,
      `waddle checkout ${run.id} brings its code back, to run by hand.`,
    );
  }
  if (run.status === 'running') {
    throw new WaddleError(
      'run-going',
      `run ${run.id} is still going: there are no final results to compare with`,
      'Wait for its end, or stop it: waddle stop.',
    );
  }
  const { env, differences } = restoreVariables(
    context.env,
    run.environment,
    environmentPlan(project.config).variables,
    run.entry === null ? words : null,
  );
  const runId = newRunId();
  const opened = await openCopy({ ...recorded, runId, links: linkNames(project), project, context });
  let begun = false;
  try {
    const inCopy = { ...context, cwd: opened.cwd, env, dir: project.layout.project };
    const job = resolveJob(
      optionsOf(recorded, words, options),
      { ...project.layout, project: opened.project ?? project.layout.project },
      inCopy,
    );
    const now = await describeEnvironment({
      python: job.python ?? recordedPython(run.environment),
      env: job.job.env,
      userEnv: env,
      cwd: opened.cwd,
      project: project.layout.project,
      plan: environmentPlan(project.config),
    });
    differences.unshift(...environmentDifferences(run.environment, now), ...leftOutDifferences(recorded));
    context.say(`waddle: runs ${run.id} (${inert(run.name)}) again\n${describe(differences)}`);
    if (options.strict === true && differences.length > 0) {
      throw new WaddleError(
        'surroundings-differ',
        `${differences.length === 1 ? 'one thing differs' : `${differences.length} things differ`} from then, and --strict allows none`,
        'Without --strict it is run all the same.',
      );
    }
    // Its tree must stay for the new run, too. Where it cannot be pinned, the old run's pin is all there is.
    await pinTree({ gitDir: code.gitDir, env: context.env, tree: code.tree }).catch(() => undefined);
    begun = true;
    const again = { recorded, runId, opened, job, differences, project, options };
    await runAgain({ ...again, calledIn: context.cwd, context: inCopy });
    context.exitCode = inCopy.exitCode;
  } finally {
    if (!begun) opened.copy.release();
  }
}

function optionsOf({ run }: RecordedRun, words: string[], options: Options): RunOptions {
  return {
    repo: undefined,
    entry: run.entry ?? undefined,
    project: run.project,
    name: options.name,
    notes: undefined,
    tags: {},
    group: run.group ?? undefined,
    python: recordedPython(run.environment) ?? undefined,
    resume: undefined,
    autoCommit: true,
    commitMessage: undefined,
    tty: false,
    isolate: true,
    words,
  };
}

async function runAgain(again: {
  recorded: RecordedRun;
  runId: string;
  opened: OpenedCopy;
  job: ReturnType<typeof resolveJob>;
  differences: Difference[];
  project: Project;
  /** The folder in which the person stands. */
  calledIn: string;
  context: Context;
  options: Options;
}): Promise<void> {
  const { recorded, runId, opened, job, project, context, options } = again;
  const { run, snapshot, code } = recorded;
  const plan = planOf(
    null,
    optionsOf(recorded, job.argv ?? job.command ?? [], options),
    job,
    project,
    context,
  );
  plan.runId = runId;
  if (plan.start !== null) {
    // As of any run in a copy of the code; the folder of the run of then may be on another machine.
    plan.start.cwd = again.calledIn;
    plan.start.repo = run.repo;
    plan.start.reproduces = run.id;
    plan.start.default_name = `${job.stem}-${runId.slice(0, 4)}`;
  }
  plan.given = {
    ...snapshot,
    store: snapshot.store === 'none' ? 'repository' : snapshot.store,
    git_dir: code.gitDir,
    warnings: [],
    duration_ms: 0,
  };
  plan.place = () => Promise.resolve(placeOf(job.job, opened, project));
  const label = plan.start?.name ?? plan.start?.default_name ?? runId;
  const outcome = await superviseHere(
    plan,
    label,
    project,
    context,
    options.json === true ? process.stderr : process.stdout,
  );
  const final = settleRun(project, context.env, runId);
  await outcome.shown;
  context.say(describeEnd(plan, label, outcome, { ...final, metrics: [] }));
  const metrics = await compare(context, run.id, runId, options);
  const equal = metrics.every((each) => each.equal);
  context.exitCode = exitCodeOf(outcome, equal);
  if (options.json === true) {
    printJson(context, {
      id: runId,
      reproduces: run.id,
      status: outcome.status,
      equal: outcome.status === 'completed' && equal,
      metrics,
      differences: again.differences,
    });
  } else if (metrics.length > 0) context.out(table(context, metrics));
  if (outcome.status !== 'completed') {
    const why = outcome.reason ?? `exit code ${outcome.exitCode}`;
    context.warn(
      `waddle: run ${run.id} could not be reproduced: the job ${outcome.status} (${inert(why)})\n`,
    );
  } else context.say(`waddle: ${verdict(metrics, run.id)}\n`);
}

/** The job's own exit code must not be taken for a comparison's. */
function exitCodeOf(outcome: RunOutcome, equal: boolean): number {
  if (outcome.status === 'completed') return equal ? 0 : 3;
  return outcome.status === 'aborted' ? outcome.exitCode : 1;
}

async function compare(
  context: Context,
  then: string,
  now: string,
  options: Options,
): Promise<ComparedMetric[]> {
  return withRuns(context, [then, now], ({ store }) => {
    const finals = (id: string) =>
      Object.fromEntries(
        Object.entries(answerNow(store, runDetail(id))?.metrics ?? {})
          .filter(([key]) => options.key?.includes(key) ?? !key.startsWith('system/'))
          .map(([key, metric]) => [key, metric.last]),
      );
    return compareMetrics(finals(then), finals(now), options.tolerance ?? { value: 0, relative: false });
  });
}

function table(context: Context, metrics: readonly ComparedMetric[]): string {
  // In full: a difference may be in the last digit.
  const full = (value: number | string | null) => (value === null ? '' : String(value));
  return renderTable(
    [
      { title: 'metric', min: 12 },
      { title: 'then', align: 'right' },
      { title: 'now', align: 'right' },
      { title: 'difference', align: 'right' },
    ],
    metrics.map(({ key, before, now, difference, equal }) => {
      const by =
        difference === null ? (equal ? '0' : '') : `${difference > 0 ? '+' : ''}${formatNumber(difference)}`;
      return [key, full(before), full(now), equal ? by : { text: by || 'differs', style: 'red' }];
    }),
    { width: context.terminal ? context.columns : undefined, paint: painter(context) },
  );
}

function verdict(metrics: readonly ComparedMetric[], id: string): string {
  if (metrics.length === 0) return `${id} is reproduced: it has no metrics to compare`;
  const off = metrics.filter((each) => !each.equal);
  if (off.length === 0) return `${id} is reproduced: all metrics are equal`;
  const names = off.slice(0, 3).map((each) => inert(each.key));
  const more = off.length - names.length;
  return `${id} is not reproduced: ${names.join(', ')}${more > 0 ? ` and ${more} more` : ''} differ${off.length === 1 ? 's' : ''}`;
}

function describe(differences: readonly Difference[]): string {
  if (differences.length === 0) return 'waddle: nothing is known to differ from then\n';
  let text = 'waddle: differs from then:\n';
  for (const [kind, list] of Map.groupBy(differences, (each) => each.kind)) {
    for (const { key, before, now } of list.slice(0, NAMED))
      text += `  ${inert(line(kind, key, before, now))}\n`;
    if (list.length > NAMED) text += `  and ${list.length - NAMED} more (${kind})\n`;
  }
  return text;
}

function line(kind: Difference['kind'], key: string, then: string | null, now: string | null): string {
  if (kind === 'left-out') return `not in the snapshot: ${key} (${then ?? ''})`;
  if (key === 'environment') return 'the environment was not recorded';
  const what = kind === 'environment' ? key : `${kind} ${key}`;
  return `${what}: ${then ?? 'none'} → ${now ?? 'none'}`;
}
