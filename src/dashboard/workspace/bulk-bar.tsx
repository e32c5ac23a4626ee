/** What can be done with the selected runs. */
import { useSignal } from '@preact/signals';
import { runById } from '../api/runs-store.ts';
import { IconButton } from '../parts/icon-button.tsx';
import { MenuButton } from '../parts/popover.tsx';
import { compareHref, navigate } from '../shell/router.ts';
import { health, mayEdit } from '../shell/server-info.ts';
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
      <IconButton icon="eye" label="Chart only these" onClick={() => showOnly(ids)} />
      <IconButton
        icon="compare"
        label="Compare"
        disabled={ids.length < 2}
        onClick={() => navigate(compareHref(ids.slice(0, 100)))}
      />
      {(health.value?.remotes?.length ?? 0) > 0 && (
        <IconButton icon="share" label="Copy the command that pushes them" onClick={() => copyPush(ids)} />
      )}
      {mayEdit.value && (
        <>
          <MenuButton label="Tag" icon="tag">
            {(close) => <TagForm ids={ids} close={close} />}
          </MenuButton>
          {running.length > 0 && (
            <IconButton
              icon="stop"
              label={`Stop ${running.length} running`}
              title="Stop"
              onClick={() => stopRuns(running)}
            />
          )}
          <IconButton
            icon="archive"
            label={archived ? 'Bring back' : 'Archive'}
            onClick={() => archiveRuns(ids, !archived)}
          />
          <IconButton icon="trash" label="Delete" onClick={() => deleteRuns(ids)} />
        </>
      )}
      <IconButton
        icon="close"
        label="Select none"
        onClick={() => {
          selected.value = new Set();
        }}
      />
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
