/** Finds one run among all by a few words: the newest first. */
import { useSignal } from '@preact/signals';
import { useEffect } from 'preact/hooks';
import type { RunRow } from '../../protocol/api.ts';
import { type ApiFailure, asFailure, getRunsPage, isAbort, runsPath } from '../api/client.ts';
import { formatAge } from '../format/times.ts';
import { Icon } from '../parts/icon.tsx';
import { StatusMark } from '../parts/status-mark.tsx';
import { now } from '../shell/clock.ts';

const SHOWN = 30;

export function RunPicker(props: {
  label: string;
  /** Ids that are not offered, with commas. */
  without: string;
  onPick: (run: RunRow) => void;
}) {
  const text = useSignal('');
  const found = useSignal<readonly RunRow[] | null>(null);
  const failure = useSignal<ApiFailure | null>(null);
  const query = text.value;
  useEffect(() => {
    const request = new AbortController();
    const timer = setTimeout(
      () => {
        getRunsPage(
          runsPath({ limit: SHOWN + props.without.split(',').length, ...(query === '' ? {} : { q: query }) }),
          request.signal,
        ).then(
          ({ items }) => {
            found.value = items;
            failure.value = null;
          },
          (error: unknown) => {
            if (!isAbort(error)) failure.value = asFailure(error);
          },
        );
      },
      query === '' ? 0 : 120,
    );
    return () => {
      clearTimeout(timer);
      request.abort();
    };
  }, [query]);
  const without = new Set(props.without.split(','));
  const list = (found.value ?? []).filter((run) => !without.has(run.id)).slice(0, SHOWN);
  return (
    <div class="run-picker">
      <label class="field">
        <Icon name="search" />
        <input
          type="text"
          aria-label={props.label}
          placeholder={`${props.label} …`}
          spellcheck={false}
          value={query}
          onInput={(event) => {
            text.value = event.currentTarget.value;
          }}
          onKeyDown={(event) => {
            const [first] = list;
            if (event.key === 'Enter' && first) props.onPick(first);
          }}
        />
      </label>
      <div class="run-picker-list">
        {list.map((run) => (
          <button key={run.id} type="button" class="menu-item" onClick={() => props.onPick(run)}>
            <StatusMark status={run.status} />
            <span class="clip">{run.name}</span>
            <span class="hint">
              <code>{run.id.slice(0, 6)}</code>{' '}
              {run.started_at === null ? '' : formatAge(run.started_at, now.value)}
            </span>
          </button>
        ))}
        {failure.value && <p class="menu-title">{failure.value.message}</p>}
        {found.value !== null && list.length === 0 && !failure.value && (
          <p class="menu-title">{query === '' ? 'There is no other run yet.' : 'No run has these words.'}</p>
        )}
      </div>
    </div>
  );
}
