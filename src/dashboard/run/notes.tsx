/** The run's notes: read as Markdown, written as text. */
import { useSignal } from '@preact/signals';
import { useLayoutEffect, useRef } from 'preact/hooks';
import { isMac } from '../shell/keyboard.ts';
import { mayEdit } from '../shell/server-info.ts';
import { Markdown } from './markdown-view.tsx';
import type { RunData } from './run-data.ts';
import { setNotes } from './run-edits.ts';

export function Notes({ data, notes }: { data: RunData; notes: string }) {
  const draft = useSignal<string | null>(null);
  const saving = useSignal(false);
  const area = useRef<HTMLTextAreaElement>(null);
  const editing = draft.value !== null;
  useLayoutEffect(() => {
    if (editing) area.current?.focus();
  }, [editing]);
  const save = async () => {
    const text = draft.peek();
    if (text === null || saving.peek()) return;
    saving.value = true;
    // What was written stays in the field where it could not be kept.
    if (await setNotes(data, text)) draft.value = null;
    saving.value = false;
  };
  if (draft.value === null) {
    return (
      <div class="notes">
        {notes.trim() !== '' && <Markdown text={notes} />}
        {mayEdit.value && (
          <button
            type="button"
            class="button bare notes-edit"
            onClick={() => {
              draft.value = notes;
            }}
          >
            {notes.trim() === '' ? 'Write a note' : 'Edit'}
          </button>
        )}
      </div>
    );
  }
  return (
    <div class="notes">
      <textarea
        ref={area}
        class="notes-area"
        aria-label="Notes, in Markdown"
        rows={Math.min(24, Math.max(6, draft.value.split('\n').length + 1))}
        maxLength={1_000_000}
        value={draft.value}
        onInput={(event) => {
          draft.value = event.currentTarget.value;
        }}
        onKeyDown={(event) => {
          if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) void save();
          else if (event.key === 'Escape' && draft.peek() === notes) draft.value = null;
        }}
      />
      <div class="row-tools">
        <button type="button" class="button primary" disabled={saving.value} onClick={() => void save()}>
          Save
        </button>
        <button
          type="button"
          class="button"
          onClick={() => {
            draft.value = null;
          }}
        >
          Cancel
        </button>
        <span class="quiet small">Markdown; {isMac ? '⌘' : 'Ctrl'} Enter saves</span>
      </div>
    </div>
  );
}
