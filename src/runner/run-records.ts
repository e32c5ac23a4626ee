/** What the supervisor writes into a run's journal of its code, its environment and what it left behind. */
import { readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { eventTime } from '../events/line.ts';
import { findDrift } from '../git/drift.ts';
import type { Snapshot } from '../git/snapshot-record.ts';
import { readHead, writeHead } from '../journal/head.ts';
import type { JournalWriter } from '../journal/writer.ts';
import { describeEnvironment } from './environment.ts';
import type { JobPlace, Written } from './job-place.ts';
import { storeOutputs } from './output-artifacts.ts';
import type { RunPlan, Supervision } from './supervision.ts';

/** The run's first lines, and its head. */
export function announce(plan: RunPlan, journal: JournalWriter, folder: string, attempt: string): void {
  const t = eventTime();
  if (plan.start === null) {
    journal.append({ k: 'resume', t, attempt, ...plan.resume, supervised: true });
    return;
  }
  journal.append({ k: 'start', t, id: plan.runId, attempt, ...plan.start, supervised: true });
  const { name, default_name: fallback, project } = plan.start;
  try {
    if (readHead(folder) === null) {
      writeHead(folder, {
        id: plan.runId,
        name: name ?? fallback ?? null,
        project: project ?? null,
        started_at: t,
        last_step: null,
      });
    }
  } catch {
    // A full disk: the head is a convenience.
  }
}

export async function recordSnapshot(
  snapshotting: Promise<Snapshot>,
  journal: JournalWriter,
  world: Supervision,
): Promise<Snapshot | null> {
  let snapshot: Snapshot;
  try {
    snapshot = await snapshotting;
  } catch (error) {
    if ((error as Error).name !== 'AbortError') {
      const message = `the code could not be recorded: ${error instanceof Error ? error.message : String(error)}`;
      journal.append({ k: 'warning', t: eventTime(), code: 'snapshot-failed', message });
      world.warn(`waddle: ${message}\n`);
    }
    return null;
  }
  const t = eventTime();
  journal.append({ k: 'snapshot', t, snapshot });
  if (snapshot.store === 'private') {
    journal.append({ k: 'tag', t, key: 'waddle_workspace_snapshot', value: 'true' });
  }
  return snapshot;
}

export async function recordDrift(
  snapshot: Snapshot,
  plan: RunPlan,
  journal: JournalWriter,
  world: Supervision,
): Promise<{ path: string; change: string }[]> {
  try {
    const files = await findDrift({
      snapshot,
      cwd: plan.snapshot.cwd ?? plan.job.cwd,
      env: world.env,
      privateDir: world.layout.privateGit,
    });
    if (files.length > 0) {
      const t = eventTime();
      journal.append({ k: 'drift', t, files });
      journal.append({ k: 'tag', t, key: 'waddle_code_changed', value: 'true' });
    }
    return files;
  } catch (error) {
    const message = `whether the code changed while it ran could not be told: ${String(error)}`;
    journal.append({ k: 'warning', t: eventTime(), code: 'drift-failed', message });
    return [];
  }
}

export async function recordEnvironment(
  plan: RunPlan,
  journal: JournalWriter,
  world: Supervision,
): Promise<void> {
  try {
    journal.append({
      k: 'env',
      t: eventTime(),
      environment: await describeEnvironment({
        python: plan.python,
        env: plan.job.env,
        userEnv: world.env,
        cwd: plan.job.cwd,
        project: world.layout.project,
        plan: plan.environment,
      }),
    });
  } catch (error) {
    const message = `the environment could not be described: ${String(error)}`;
    journal.append({ k: 'warning', t: eventTime(), code: 'environment-failed', message });
  }
}

export async function recordWritten(
  place: JobPlace,
  journal: JournalWriter,
  world: Supervision,
): Promise<Written | null> {
  try {
    const written = await place.collect();
    if (written.folder !== null) {
      written.artifacts = storeOutputs({
        folder: join(written.folder, place.outputs.from),
        patterns: place.outputs.patterns,
        blobs: world.layout.blobs,
        journal,
      });
      if (!holdsFiles(written.folder)) {
        rmSync(written.folder, { recursive: true, force: true });
        written.folder = null;
      }
    }
    if (written.folder !== null) {
      const message = `what the job wrote into its copy of the code is in ${written.folder}`;
      journal.append({ k: 'warning', t: eventTime(), code: 'outputs-kept', message });
    }
    return written;
  } catch (error) {
    const message = `what the job wrote stays in its copy of the code: ${error instanceof Error ? error.message : String(error)}`;
    journal.append({ k: 'warning', t: eventTime(), code: 'outputs-not-collected', message });
    world.warn(`waddle: ${message}\n`);
    return null;
  }
}

/** Whether anything but empty folders is left. */
function holdsFiles(folder: string): boolean {
  return readdirSync(folder, { recursive: true, withFileTypes: true }).some((entry) => !entry.isDirectory());
}
