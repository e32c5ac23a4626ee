/** One box for both: words find runs, a comparison filters them. The server says what it does not understand, and where. */
import { useComputed, useSignal } from '@preact/signals';
import { useEffect, useRef } from 'preact/hooks';
import { runsFailure } from '../api/runs-store.ts';
import { Icon } from '../parts/icon.tsx';
import { IconButton } from '../parts/icon-button.tsx';
import { useShortcuts } from '../shell/keyboard.ts';
import { type Completion, completionsAt } from './filter-completion.ts';
import { keys } from './keys-store.ts';
import { isFilter, setView, view } from './view.ts';

const WAIT_MS = 250;
/** A filter is seldom whole before the hand rests. */
const FILTER_WAIT_MS = 700;

export function FindBox() {
  const input = useRef<HTMLInputElement>(null);
  const text = useSignal(view.peek().find);
  const caret = useSignal(-1);
  const at = useSignal(-1);
  const timer = useRef<number | undefined>(undefined);
  useShortcuts(() => [
    {
      keys: '/',
      does: 'Find or filter runs',
      group: 'Runs',
      run: () => {
        input.current?.focus();
        input.current?.select();
      },
    },
  ]);
  const applied = view.value.find;
  useEffect(() => {
    if (document.activeElement !== input.current) text.value = applied;
  }, [applied]);
  const commit = (value: string) => {
    clearTimeout(timer.current);
    setView({ find: value.trim() });
  };
  const completions = useComputed(() =>
    caret.value < 0 ? [] : completionsAt(text.value, caret.value, keys.value),
  );
  const typed = (element: HTMLInputElement) => {
    text.value = element.value;
    caret.value = element.selectionStart ?? -1;
    at.value = -1;
    clearTimeout(timer.current);
    // The beginning of a field is no word to look for: the next letters make it a filter.
    if (/(^|\s)(params|tags|metrics)\.[^\s=<>~!]*$/.test(element.value)) return;
    const wait = isFilter(element.value) ? FILTER_WAIT_MS : WAIT_MS;
    timer.current = window.setTimeout(() => commit(element.value), wait);
  };
  const pick = (completion: Completion) => {
    const element = input.current;
    if (element === null) return;
    const end = caret.peek();
    const next = `${text.peek().slice(0, completion.from)}${completion.text} `;
    element.value = next + text.peek().slice(end).trimStart();
    element.setSelectionRange(next.length, next.length);
    typed(element);
    caret.value = -1;
    element.focus();
  };
  const onKeyDown = (event: KeyboardEvent) => {
    const list = completions.value;
    if (event.key === 'ArrowDown' && list.length > 0) at.value = Math.min(list.length - 1, at.value + 1);
    else if (event.key === 'ArrowUp' && list.length > 0) at.value = Math.max(-1, at.value - 1);
    else if ((event.key === 'Enter' || event.key === 'Tab') && list[at.value] !== undefined) {
      const chosen = list[at.value];
      if (chosen) pick(chosen);
    } else if (event.key === 'Enter') {
      commit(text.value);
      caret.value = -1;
    } else if (event.key === 'Escape') {
      if (caret.value >= 0 && list.length > 0) caret.value = -1;
      else input.current?.blur();
    } else return;
    event.preventDefault();
  };
  const wrong = useComputed(() => {
    const failure = runsFailure.value;
    return failure?.code.startsWith('filter') ? failure : null;
  });
  // The server's own words: what was expected, then the line with a mark under the bad piece.
  const [problem = '', ...marked] = (wrong.value?.message ?? '')
    .replace(/^the filter is not understood: (.)/, (_, first: string) => first.toUpperCase())
    .split('\n');
  const filtering = isFilter(text.value);
  return (
    <div class="find-box">
      <div class={`field${wrong.value ? ' wrong' : ''}`}>
        <Icon name={filtering ? 'filter' : 'search'} />
        <input
          ref={input}
          type="text"
          class={filtering ? 'mono' : ''}
          aria-label="Find or filter runs"
          aria-invalid={wrong.value !== null}
          role="combobox"
          aria-expanded={completions.value.length > 0}
          aria-controls="find-list"
          aria-autocomplete="list"
          placeholder="Find, or filter: params.lr > 0.01"
          spellcheck={false}
          autocomplete="off"
          value={text.value}
          onInput={(event) => typed(event.currentTarget)}
          onKeyDown={onKeyDown}
          onBlur={() => {
            caret.value = -1;
          }}
        />
        {text.value !== '' && (
          <IconButton
            icon="close"
            label="Clear"
            class="tiny"
            onClick={() => {
              text.value = '';
              commit('');
            }}
          />
        )}
      </div>
      {completions.value.length > 0 && (
        <div class="completions" id="find-list" role="listbox" aria-label="Completions">
          {completions.value.map((completion, index) => (
            <div
              key={completion.text}
              class="menu-item"
              role="option"
              tabIndex={-1}
              aria-selected={index === at.value}
              onPointerDown={(event) => {
                event.preventDefault();
                pick(completion);
              }}
            >
              <span class="clip mono">{completion.text}</span>
              <span class="hint">{completion.hint}</span>
            </div>
          ))}
        </div>
      )}
      {wrong.value && (
        <div class="filter-error" role="alert">
          <p class="small">{problem}</p>
          {marked.length > 0 && <pre>{marked.join('\n')}</pre>}
        </div>
      )}
    </div>
  );
}
