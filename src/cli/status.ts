import type { Style } from './paint.ts';

/** How a run's state is shown: a mark by shape, so that it can be told without colours, and a colour. */
const MARKS: Record<string, { mark: string; style: Style }> = {
  running: { mark: '▶', style: 'cyan' },
  completed: { mark: '✓', style: 'green' },
  failed: { mark: '✗', style: 'red' },
  aborted: { mark: '■', style: 'yellow' },
  crashed: { mark: '!', style: 'magenta' },
};

export function statusMark(status: string): { mark: string; style: Style } {
  return MARKS[status] ?? { mark: '?', style: 'dim' };
}
