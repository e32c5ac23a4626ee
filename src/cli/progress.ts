import type { Context } from './context.ts';

/** Milliseconds before work counts as long, and between two redraws. */
const PATIENCE = 400;
const REDRAW = 100;

/** One line on stderr that tells how far long work has come. Quiet in a pipe, with `--quiet`, and where work is short. */
export interface Progress {
  update(text: string): void;
  /** Wipes the line. */
  end(): void;
}

export function startProgress(
  context: Pick<Context, 'progress' | 'quiet' | 'columns' | 'warn' | 'now'>,
): Progress {
  if (!context.progress || context.quiet) return { update: () => undefined, end: () => undefined };
  let next = context.now() + PATIENCE;
  let drawn = false;
  return {
    update(text) {
      if (context.now() < next) return;
      next = context.now() + REDRAW;
      drawn = true;
      context.warn(`\r\u001b[2K${text.slice(0, Math.max(0, context.columns - 1))}`);
    },
    end() {
      if (drawn) context.warn('\r\u001b[2K');
      drawn = false;
    },
  };
}
