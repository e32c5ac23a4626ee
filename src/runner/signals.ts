import { constants as osConstants } from 'node:os';
import type { JobProcess } from './job-process.ts';
import { killJob, signalJob } from './process-tree.ts';
import type { Asked } from './verdict.ts';

/**
 * Takes the signals of this process while a job runs. Ctrl-C once asks the job to stop and waits, twice kills it with
 * everything below it; SIGTERM, SIGHUP and SIGQUIT are passed on; all of these make the run aborted. SIGUSR1 and SIGUSR2
 * (checkpoint requests of schedulers) are passed on as they are.
 */
export function handleSignals(options: {
  hangupIgnored: boolean;
  /** Whether the job is in this process's group, so that the terminal's Ctrl-C has reached it already. */
  shared(): boolean;
  ask(by: Asked): void;
  job(): JobProcess | null;
  say(text: string): void;
}): { release(): void } {
  let interrupts = 0;
  const forward = (signal: NodeJS.Signals) => {
    const job = options.job();
    if (job !== null) signalJob(job.pid, job.ownGroup, signal);
  };
  const ended = (signal: NodeJS.Signals, reason: string) => () => {
    options.ask({ reason, exitCode: 128 + (osConstants.signals[signal] ?? 0) });
    forward(signal);
  };
  const handlers: Partial<Record<NodeJS.Signals, () => void>> = {
    SIGINT: () => {
      interrupts += 1;
      options.ask({ reason: 'interrupted (Ctrl-C)', exitCode: 130 });
      const job = options.job();
      if (interrupts > 1 && job !== null) {
        killJob(job.pid, job.ownGroup);
        return;
      }
      if (!options.shared()) forward('SIGINT');
      if (job !== null) options.say('waddle: asked the job to stop; Ctrl-C once more kills it\n');
    },
    SIGTERM: ended('SIGTERM', 'SIGTERM to waddle'),
    SIGQUIT: ended('SIGQUIT', 'SIGQUIT to waddle'),
    SIGHUP: options.hangupIgnored ? () => undefined : ended('SIGHUP', 'SIGHUP to waddle (terminal closed)'),
    SIGUSR1: () => forward('SIGUSR1'),
    SIGUSR2: () => forward('SIGUSR2'),
  };
  const entries = Object.entries(handlers) as [NodeJS.Signals, () => void][];
  for (const [signal, handler] of entries) process.on(signal, handler);
  return {
    release: () => {
      for (const [signal, handler] of entries) process.off(signal, handler);
    },
  };
}
