/** The command palette (Ctrl/Cmd K): every run, metric, view and action, found by a few letters. */
import { signal, useComputed, useSignal } from '@preact/signals';
import { useLayoutEffect, useRef } from 'preact/hooks';
import { moreRuns } from '../api/runs-store.ts';
import { Icon, type IconName } from '../parts/icon.tsx';
import { navigate } from './router.ts';

export interface Command {
  title: string;
  /** What kind of thing it is, at the right. */
  hint?: string;
  icon: IconName;
  run: () => void;
}

/** A source of commands. It is asked when the palette opens, may be long, and may first have to ask the server. */
type Source = (closing: AbortSignal) => readonly Command[] | Promise<readonly Command[]>;
const sources = new Set<Source>();
const paletteOpen = signal(false);

export function openPalette(): void {
  paletteOpen.value = true;
}

export function addCommands(source: Source): () => void {
  sources.add(source);
  return () => void sources.delete(source);
}

/** Adds commands while the component is mounted. */
export function useCommands(source: Source): void {
  useLayoutEffect(() => addCommands(source), []);
}

/** How well `query` is found in `text`, letters in order; 0: not at all. Beginnings of words count most. */
export function matchScore(text: string, query: string): number {
  if (query === '') return 1;
  const [hay, needle] = [text.toLowerCase(), query.toLowerCase()];
  const whole = hay.indexOf(needle);
  if (whole >= 0)
    return 1000 - Math.min(whole, 400) - Math.min(hay.length, 400) / 4 + (isStart(hay, whole) ? 300 : 0);
  let [score, at] = [0, -1];
  for (const letter of needle) {
    if (letter === ' ') continue;
    const next = hay.indexOf(letter, at + 1);
    if (next < 0) return 0;
    score += isStart(hay, next) ? 12 : next === at + 1 ? 8 : 1;
    at = next;
  }
  return score;
}

const isStart = (text: string, at: number): boolean => at === 0 || /[\s/._-]/.test(text[at - 1] ?? '');

const MOST = 60;

export function Palette() {
  return paletteOpen.value ? <PaletteDialog /> : null;
}

function PaletteDialog() {
  const query = useSignal('');
  const at = useSignal(0);
  const all = useSignal<readonly Command[]>([]);
  /** How many sources have not answered. */
  const waiting = useSignal(0);
  /** Enter was pressed before all had: what the text says best is known only then. */
  const entered = useSignal(false);
  /** The user chose a command other than the best. */
  const chosen = useRef(false);
  const input = useRef<HTMLInputElement>(null);
  const list = useRef<HTMLDivElement>(null);
  const close = () => {
    paletteOpen.value = false;
  };
  // Before the next key, which a busy page may get before it paints: what is typed belongs to the palette.
  useLayoutEffect(() => {
    const before = document.activeElement;
    const closing = new AbortController();
    input.current?.focus();
    const parts: (readonly Command[])[] = [];
    for (const [index, source] of [...sources].toReversed().entries()) {
      const answer = source(closing.signal);
      parts[index] = answer instanceof Promise ? [] : answer;
      if (!(answer instanceof Promise)) continue;
      waiting.value++;
      void answer
        .catch(() => [])
        .then((commands) => {
          if (closing.signal.aborted) return;
          parts[index] = commands;
          const held = chosen.current ? found.peek()[at.peek()] : undefined;
          all.value = parts.flat();
          // What was chosen stays so where the list grows around it.
          at.value = held === undefined ? 0 : Math.max(0, found.peek().indexOf(held));
          waiting.value--;
          if (entered.peek() && waiting.peek() === 0) pick(found.peek()[at.peek()]);
        });
    }
    all.value = parts.flat();
    return () => {
      closing.abort();
      if (before instanceof HTMLElement) before.focus({ preventScroll: true });
    };
  }, []);
  const found = useComputed(() => {
    const text = query.value.trim();
    const scored = all.value.map((command, index) => ({
      command,
      index,
      score: matchScore(command.title, text),
    }));
    const hits = scored.filter(({ score }) => score > 0);
    if (text !== '') hits.sort((a, b) => b.score - a.score || a.index - b.index);
    const commands = hits.slice(0, MOST).map(({ command }) => command);
    // Not all runs are held: the server finds the others.
    if (text !== '' && moreRuns.value) {
      commands.push({
        title: `Runs that have “${text}”`,
        icon: 'search',
        hint: 'Find in all runs',
        run: () => navigate(`/?${new URLSearchParams({ find: text })}`),
      });
    }
    return commands;
  });
  const pick = (command: Command | undefined) => {
    entered.value = false;
    if (command === undefined) return;
    close();
    command.run();
  };
  const choose = (index: number) => {
    at.value = index;
    chosen.current = true;
    entered.value = false;
  };
  const onKeyDown = (event: KeyboardEvent) => {
    const last = found.value.length - 1;
    if (event.key === 'Escape') close();
    else if (event.key === 'ArrowDown') choose(at.value >= last ? 0 : at.value + 1);
    else if (event.key === 'ArrowUp') choose(at.value <= 0 ? last : at.value - 1);
    else if (event.key === 'Enter' && !event.isComposing) {
      if (waiting.value > 0 && !chosen.current) entered.value = true;
      else pick(found.value[at.value]);
    } else if (event.key !== 'Tab') return;
    event.preventDefault();
    event.stopPropagation();
    list.current?.children[at.value]?.scrollIntoView({ block: 'nearest' });
  };
  return (
    <>
      <div class="scrim" onPointerDown={close} />
      <div class="dialog" role="dialog" aria-modal="true" aria-label="Command palette" onKeyDown={onKeyDown}>
        <div class="palette-input">
          <Icon name="search" />
          <input
            ref={input}
            type="text"
            role="combobox"
            aria-expanded="true"
            aria-controls="palette-list"
            aria-activedescendant={`palette-${at.value}`}
            aria-label="Find a run, a metric or an action"
            placeholder="Find a run, a metric or an action"
            spellcheck={false}
            autocomplete="off"
            value={query.value}
            onInput={(event) => {
              query.value = event.currentTarget.value;
              at.value = 0;
              chosen.current = false;
              entered.value = false;
            }}
          />
        </div>
        <div class="palette-list" id="palette-list" role="listbox" aria-label="Results" ref={list}>
          {found.value.map((command, index) => (
            <div
              key={`${command.hint}${command.title}${index}`}
              id={`palette-${index}`}
              class="menu-item"
              role="option"
              tabIndex={-1}
              aria-selected={index === at.value}
              onPointerMove={() => choose(index)}
              onClick={() => pick(command)}
              onKeyDown={() => {}}
            >
              <Icon name={command.icon} />
              <span class="clip">{command.title}</span>
              {command.hint && <span class="hint">{command.hint}</span>}
            </div>
          ))}
          {found.value.length === 0 && (
            <p class="menu-title">
              {waiting.value > 0 ? 'Asking for the runs …' : 'Nothing is called that.'}
            </p>
          )}
        </div>
      </div>
    </>
  );
}
