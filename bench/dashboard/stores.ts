/** Projects whose store the real code made of real journals. Some values are set by hand, in the journal, before it is read. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Layout, layoutOf } from '../../src/journal/layout.ts';
import { writeRun } from '../journals.ts';
import { runJob } from '../process.ts';

const INGEST = fileURLToPath(import.meta.resolve('../jobs/ingest.ts'));

export interface Project {
  folder: string;
  /** Newest last. */
  runs: string[];
  samples: number;
}

/** Keys in groups of 100 (`g3/`), in which 20 have the same letter (`g3/a`). */
export function keyNames(count: number): string[] {
  return Array.from({ length: count }, (_, index) => {
    const letter = 'abcde'[Math.floor((index % 100) / 20)];
    return `g${Math.floor(index / 100)}/${letter}${String(index % 20).padStart(2, '0')}`;
  });
}

async function make(
  folder: string,
  write: (layout: Layout) => { id: string; samples: number }[],
): Promise<Project> {
  mkdirSync(folder);
  const git = (...args: string[]) => execFileSync('git', args, { cwd: folder, stdio: 'ignore' });
  git('init', '--quiet');
  writeFileSync(join(folder, 'README'), 'a project\n');
  git('add', 'README');
  git('-c', 'user.name=Bench', '-c', 'user.email=bench@example.com', 'commit', '--message', 'first');
  const written = write(layoutOf(folder));
  await runJob(INGEST, [folder]);
  return {
    folder,
    runs: written.map(({ id }) => id),
    samples: written.reduce((sum, { samples }) => sum + samples, 0),
  };
}

/** Runs of some keys each; the newest `long` of them have more steps than the others. */
export function manyRuns(
  folder: string,
  plan: { runs: number; keys: readonly string[]; steps: number; long?: { runs: number; steps: number } },
): Promise<Project> {
  return make(folder, (layout) =>
    Array.from({ length: plan.runs }, (_, index) => {
      const seed = index + 1;
      const long = plan.long !== undefined && index >= plan.runs - plan.long.runs;
      return writeRun(layout, {
        keys: plan.keys,
        steps: long && plan.long ? plan.long.steps : plan.steps,
        together: true,
        seed,
        params: { lr: 0.001 * (1 + (seed % 7)), model: { layers: seed % 5, name: 'mlp' } },
      });
    }),
  );
}

/** One run of one metric, `train/loss`, of which one sample is a thousand. */
export function oneSpike(folder: string, steps: number, at: number): Promise<Project> {
  return make(folder, (layout) => {
    const run = writeRun(layout, { keys: ['train/loss'], steps, seed: 1 });
    edit(run.journal, (text) =>
      text.replace(new RegExp(`("s":${at},"v":\\{"train/loss":)[^}]+`), (_, stem) => `${stem}1000`),
    );
    return [run];
  });
}

/** Runs of 20 metrics, of which the first, `level`, stands at the run's number from its first step to its last. */
export function manyLines(folder: string, runs: number, steps: number): Promise<Project> {
  const keys = ['level', ...keyNames(19)];
  return make(folder, (layout) =>
    Array.from({ length: runs }, (_, index) => {
      const run = writeRun(layout, { keys, steps, together: true, seed: index + 1 });
      edit(run.journal, (text) => text.replaceAll(/"level":[^,]+/g, `"level":${index}`));
      return run;
    }),
  );
}

function edit(path: string, change: (text: string) => string): void {
  const before = readFileSync(path, 'utf8');
  const after = change(before);
  if (after === before) throw new Error(`${path} has no such sample`);
  writeFileSync(path, after);
}
