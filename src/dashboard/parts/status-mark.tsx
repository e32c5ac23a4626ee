import type { RunStatus } from '../../protocol/api.ts';

const NAMES: Record<RunStatus, string> = {
  running: 'Running',
  completed: 'Completed',
  failed: 'Failed',
  aborted: 'Aborted',
  crashed: 'Crashed',
};

export const statusName = (status: RunStatus): string => NAMES[status];

/**
 * Told by shape and by colour: a turning ring, a dot, a cross, a square, a broken ring. `heard`: a running run was last heard
 * of so long ago, as `2h ago`, that its ring stands still.
 */
export function StatusMark({ status, heard }: { status: RunStatus; heard?: string | undefined }) {
  const name = heard === undefined ? NAMES[status] : `${NAMES[status]} when last heard of, ${heard}`;
  return (
    <svg
      class={`status ${status}${heard === undefined ? '' : ' unheard'}`}
      viewBox="0 0 14 14"
      role="img"
      aria-label={name}
    >
      <title>{name}</title>
      {status === 'running' && (
        <>
          <circle cx="7" cy="7" r="4.5" stroke-opacity="0.28" />
          <path class="turn" d="M7 2.5A4.5 4.5 0 0 1 11.5 7" />
        </>
      )}
      {status === 'completed' && <circle cx="7" cy="7" r="4" />}
      {status === 'failed' && <path d="M3.5 3.5l7 7M10.5 3.5l-7 7" />}
      {status === 'aborted' && <rect x="3.2" y="3.2" width="7.6" height="7.6" rx="1" />}
      {status === 'crashed' && <circle cx="7" cy="7" r="4.5" stroke-dasharray="4.4 2.670" />}
    </svg>
  );
}
