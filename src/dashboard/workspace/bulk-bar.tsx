/** What can be done with the selected runs. */
import { useSignal } from '@preact/signals';
import { runById } from '../api/runs-store.ts';
import { Icon } from '../parts/icon.tsx';
import { MenuButton } from '../parts/popover.tsx';
import { compareHref, navigate } from '../shell/router.ts';
import { health } from '../shell/server-info.ts';
import { copyPush } from '../shell/share.ts';
import { archiveRuns, deleteRuns, stopRuns, tagRuns } from './edits.ts';
import { selected, showOnly } from './shown-runs.ts';

export function BulkBar() {
  const ids = [...selected.value];
  if (ids.length === 0) return null;
  const rows = ids.map(runById);
  const archived = rows.length > 0 && rows.every((row) => row?.archived);
  const running = ids.filter((_, index) => rows[index]?.status === 'running');
  return (
    <div class="bulk" role="toolbar" aria-label={`${ids.length} runs selected`}>
      <strong>{ids.length.toLocaleString()}</strong>
      <span class="clip small">selected</span>
      <span class="grow" />
      <button
        type="button"
        class="icon-button"
        aria-label="Chart only these"
        title="Chart only these"
        onClick={() => showOnly(ids)}
      >
        <Icon name="eye" />
      </button>
      <button
        type="button"
        class="icon-button"
        aria-label="Compare"
        title="Compare"
        disabled={ids.length < 2}
        onClick={() => navigate(compareHref(ids.slice(0, 100)))}
      >
        <Icon name="compare" />
      </button>
      {(health.value?.remotes?.length ?? 0) > 0 && (
        <button
          type="button"
          class="icon-button"
          aria-label="Copy the command that pushes them"
          title="Copy the command that pushes them"
          onClick={() => copyPush(ids)}
        >
          <Icon name="share" />
        </button>
      )}
      <MenuButton label="Tag" icon="tag">
        {(close) => <TagForm ids={ids} close={close} />}
      </MenuButton>
      {running.length > 0 && (
        <button
          type="button"
          class="icon-button"
          aria-label={`Stop ${running.length} running`}
          title="Stop"
          onClick={() => stopRuns(running)}
        >
          <Icon name="stop" />
        </button>
      )}
      <button
        type="button"
        class="icon-button"
        aria-label={archived ? 'Bring back' : 'Archive'}
        title={archived ? 'Bring back' : 'Archive'}
        onClick={() => archiveRuns(ids, !archived)}
      >
        <Icon name="archive" />
      </button>
      <button
        type="button"
        class="icon-button"
        aria-label="Delete"
        title="Delete"
        onClick={() => deleteRuns(ids)}
      >
        <Icon name="trash" />
      </button>
      <button
        type="button"
        class="icon-button"
        aria-label="Select none"
        title="Select none"
        onClick={() => {
          selected.value = new Set();
        }}
      >
        <Icon name="close" />
      </button>
    </div>
  );
}

function TagForm({ ids, close }: { ids: readonly string[]; close: () => void }) {
  const key = useSignal('');
  const value = useSignal('');
  const submit = (event: Event) => {
    event.preventDefault();
    if (key.value.trim() === '') return;
    void tagRuns(ids, key.value.trim(), value.value === '' ? null : value.value);
    close();
  };
  return (
    <form class="tag-form" onSubmit={submit}>
      <div class="field">
        <input
          aria-label="Tag"
          placeholder="Tag"
          value={key.value}
          onInput={(event) => {
            key.value = event.currentTarget.value;
          }}
        />
      </div>
      <div class="field">
        <input
          aria-label="Value; empty removes the tag"
          placeholder="Value (empty removes it)"
          value={value.value}
          onInput={(event) => {
            value.value = event.currentTarget.value;
          }}
        />
      </div>
      <button type="submit" class="button primary">
        {value.value === '' ? 'Remove' : 'Set'}
      </button>
    </form>
  );
}
