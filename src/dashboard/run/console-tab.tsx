// biome-ignore-all lint/a11y/useSemanticElements: a segmented choice, with the roles of radio buttons
/** What the job printed, with what finds and narrows it. */
import { useSignal } from '@preact/signals';
import { useEffect, useRef } from 'preact/hooks';
import { Icon } from '../parts/icon.tsx';
import { useShortcuts } from '../shell/keyboard.ts';
import { ConsoleData, type Streams } from './console-data.ts';
import { ConsoleLines } from './console-lines.tsx';
import type { TabProps } from './run-page.tsx';
import { setParams, useParam } from './url-state.ts';

export function ConsoleTab({ data, detail }: TabProps) {
  const find = useParam('q');
  const streams = useParam('stream');
  const at = useParam('at');
  const wrap = useParam('wrap');
  const held = useSignal<ConsoleData | null>(null);
  const typed = useSignal(find.peek());
  const input = useRef<HTMLInputElement>(null);
  const timer = useRef<number | undefined>(undefined);
  const chosen: Streams = streams.value === 'stdout' || streams.value === 'stderr' ? streams.value : '';
  useEffect(() => {
    const made = new ConsoleData(data.id, find.value, chosen, at.peek());
    held.value = made;
    return () => made.close();
  }, [data.id, find.value, chosen, at.value]);
  // A link, or a press on a found line, changes what is looked for too.
  const own = useRef(find.peek());
  useEffect(() => {
    // What was typed here may have gone on meanwhile.
    if (find.value === own.current) return;
    own.current = find.value;
    clearTimeout(timer.current);
    typed.value = find.value;
  }, [find.value]);
  useShortcuts(() => [
    { keys: '/', does: 'Find in the console', group: 'Console', run: () => input.current?.focus() },
  ]);
  const live = detail.value.run.status === 'running';
  const type = (text: string) => {
    typed.value = text;
    clearTimeout(timer.current);
    timer.current = window.setTimeout(() => {
      own.current = text;
      setParams({ q: text, at: null });
    }, 150);
  };
  return (
    <div class="console">
      <div class="console-bar" role="toolbar" aria-label="Console">
        <label class="field console-find">
          <Icon name="search" />
          <input
            ref={input}
            type="search"
            aria-label="Show only lines with this text"
            placeholder="Show only lines with …"
            spellcheck={false}
            value={typed.value}
            onInput={(event) => type(event.currentTarget.value)}
            onKeyDown={(event) => {
              if (event.key === 'Escape') {
                type('');
                input.current?.blur();
              }
            }}
          />
        </label>
        <div class="segments" role="radiogroup" aria-label="Stream">
          {(['', 'stdout', 'stderr'] as const).map((name) => (
            <button
              key={name}
              type="button"
              role="radio"
              aria-checked={chosen === name}
              onClick={() => setParams({ stream: name, at: null })}
            >
              {name === '' ? 'All' : name}
            </button>
          ))}
        </div>
        <button
          type="button"
          class="button bare"
          aria-pressed={wrap.value === '1'}
          onClick={() => setParams({ wrap: wrap.value === '1' ? null : '1' })}
        >
          Wrap
        </button>
        <span class="grow" />
        {held.value && <Count data={held.value} />}
      </div>
      {held.value && (
        <ConsoleLines
          key={`${held.value.find}\0${held.value.streams}\0${at.value}`}
          data={held.value}
          live={live}
          wrap={wrap.value === '1'}
          startedAt={detail.value.run.started_at}
          target={at.value}
        />
      )}
    </div>
  );
}

function Count({ data }: { data: ConsoleData }) {
  const { lines, total } = data.stretch.value;
  if (data.state.value !== 'ready') return null;
  return (
    <span class="quiet small" role="status">
      {data.find !== ''
        ? `${lines.length.toLocaleString()}${data.stretch.value.moreBefore ? '+' : ''} lines found`
        : `${total.toLocaleString()} lines`}
    </span>
  );
}
