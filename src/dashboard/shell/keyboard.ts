/**
 * The keyboard layer: views say which keys they understand while they are mounted, and the `?` sheet lists exactly
 * these. A sequence is two keys within a second (`g r`). Nothing is heard while the user types, but for `mod+` keys.
 */
import { signal } from '@preact/signals';
import { useLayoutEffect } from 'preact/hooks';

export interface Shortcut {
  /** `j`, `?`, `g r`, `mod+k` (Ctrl, or Command on a Mac). */
  keys: string;
  does: string;
  group: string;
  run: () => void;
}

/** All that are bound now, in the order in which they came. */
export const shortcuts = signal<readonly Shortcut[]>([]);

export function bindShortcuts(list: readonly Shortcut[]): () => void {
  shortcuts.value = [...shortcuts.value, ...list];
  return () => {
    const gone = new Set(list);
    shortcuts.value = shortcuts.value.filter((shortcut) => !gone.has(shortcut));
  };
}

/** Binds while the component is mounted: as soon as it can be seen. `list` is read once. */
export function useShortcuts(list: () => readonly Shortcut[]): void {
  useLayoutEffect(() => bindShortcuts(list()), []);
}

export const isMac = /Mac|iP(hone|ad)/.test(navigator.platform);
export const keyLabel = (keys: string): string[] =>
  keys
    .split(' ')
    .map((key) =>
      key
        .replace(/^mod\+(.)/, (_, letter: string) => `${isMac ? '⌘' : 'Ctrl '}${letter.toUpperCase()}`)
        .replace('Escape', 'Esc'),
    );

function isTyping(target: EventTarget | null): boolean {
  if (!(target instanceof HTMLElement)) return false;
  if (
    target.isContentEditable ||
    target instanceof HTMLTextAreaElement ||
    target instanceof HTMLSelectElement
  )
    return true;
  return (
    target instanceof HTMLInputElement && !['checkbox', 'radio', 'range', 'button'].includes(target.type)
  );
}

let first: { key: string; at: number } | undefined;

export function startKeyboard(): void {
  document.addEventListener('keydown', (event) => {
    if (event.defaultPrevented || event.isComposing || event.altKey) return;
    const mod = isMac ? event.metaKey : event.ctrlKey;
    if (!mod && (event.ctrlKey || event.metaKey)) return;
    if (isTyping(event.target) && !mod) return;
    const key = `${mod ? 'mod+' : ''}${event.key.length === 1 ? event.key.toLowerCase() : event.key}`;
    const sequence =
      first !== undefined && performance.now() - first.at < 1000 ? `${first.key} ${key}` : undefined;
    first = undefined;
    const list = shortcuts.value;
    const found = list.findLast((one) => one.keys === sequence) ?? list.findLast((one) => one.keys === key);
    if (found !== undefined) {
      // On a control, Space and Enter are the control's own.
      const control =
        event.target instanceof Element && event.target.closest('button, a, input, [role=menuitem]');
      if (control && (key === 'Enter' || key === ' ')) return;
      event.preventDefault();
      found.run();
    } else if (list.some((one) => one.keys.startsWith(`${key} `))) {
      first = { key, at: performance.now() };
    }
  });
}
