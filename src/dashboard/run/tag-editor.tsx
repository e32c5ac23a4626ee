/** The run's tags: add one as `key=value`, press one to change it, take one off. */
import { useSignal } from '@preact/signals';
import { useLayoutEffect, useRef } from 'preact/hooks';
import { Icon } from '../parts/icon.tsx';
import { type Place, Popover } from '../parts/popover.tsx';
import { mayEdit } from '../shell/server-info.ts';
import type { RunData } from './run-data.ts';
import { setTag } from './run-edits.ts';

export function TagEditor({ data, tags }: { data: RunData; tags: Record<string, string> }) {
  const open = useSignal<{ place: Place; key: string | null } | null>(null);
  const edit = (key: string | null) => (event: MouseEvent) => {
    if (!(event.currentTarget instanceof Element)) return;
    const box = event.currentTarget.getBoundingClientRect();
    open.value = { place: { x: box.left, y: box.top, height: box.height }, key };
  };
  const close = () => {
    open.value = null;
  };
  if (!mayEdit.value) {
    return (
      <div class="tags">
        {Object.entries(tags).map(([key, value]) => (
          <span key={key} class="tag fixed">
            <span class="tag-text">
              <span class="quiet">{key}</span> <span>{value}</span>
            </span>
          </span>
        ))}
      </div>
    );
  }
  return (
    <div class="tags">
      {Object.entries(tags).map(([key, value]) => (
        <span key={key} class="tag">
          <button
            type="button"
            class="tag-text"
            title={`${key}: ${value}\nPress to change`}
            onClick={edit(key)}
          >
            <span class="quiet">{key}</span> <span>{value}</span>
          </button>
          <button
            type="button"
            class="tag-off"
            aria-label={`Remove the tag ${key}`}
            onClick={() => void setTag(data, key, null)}
          >
            <Icon name="close" />
          </button>
        </span>
      ))}
      <button type="button" class="button bare tag-add" onClick={edit(null)}>
        <Icon name="tag" /> Add a tag
      </button>
      {open.value && (
        <Popover
          place={open.value.place}
          label={open.value.key === null ? 'Add a tag' : `Change the tag ${open.value.key}`}
          close={close}
        >
          <TagForm
            data={data}
            name={open.value.key}
            value={open.value.key === null ? '' : (tags[open.value.key] ?? '')}
            done={close}
          />
        </Popover>
      )}
    </div>
  );
}

function TagForm(props: { data: RunData; name: string | null; value: string; done: () => void }) {
  const key = useRef<HTMLInputElement>(null);
  const value = useRef<HTMLInputElement>(null);
  useLayoutEffect(() => {
    if (props.name !== null) value.current?.select();
  }, []);
  const save = (event: Event) => {
    event.preventDefault();
    let name = props.name ?? key.current?.value.trim() ?? '';
    let text = value.current?.value ?? '';
    // `key=value` typed in one go.
    const at = props.name === null && text === '' ? name.indexOf('=') : -1;
    if (at > 0) [name, text] = [name.slice(0, at), name.slice(at + 1)];
    if (name === '') return;
    props.done();
    void setTag(props.data, name, text);
  };
  return (
    <form class="tag-form" onSubmit={save}>
      {props.name === null && (
        <label class="field">
          <input
            ref={key}
            type="text"
            aria-label="Name of the tag"
            placeholder="name"
            maxLength={1000}
            spellcheck={false}
          />
        </label>
      )}
      <label class="field">
        <input
          ref={value}
          type="text"
          aria-label="Value of the tag"
          placeholder="value"
          maxLength={100_000}
          spellcheck={false}
          defaultValue={props.value}
        />
      </label>
      <button type="submit" class="button primary">
        {props.name === null ? 'Add' : 'Save'}
      </button>
    </form>
  );
}
