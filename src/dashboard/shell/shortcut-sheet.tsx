/** The `?` sheet: the keys that work here and now. */
import { signal } from '@preact/signals';
import { useLayoutEffect, useRef } from 'preact/hooks';
import { Icon } from '../parts/icon.tsx';
import { keyLabel, shortcuts } from './keyboard.ts';

const sheetOpen = signal(false);

export function openSheet(): void {
  sheetOpen.value = true;
}

/** What the pointer can do in a chart; these are no keys, but belong on the sheet. */
const POINTER = [
  ['Drag', 'Zoom into a range of x, in every chart'],
  ['Shift drag', 'Zoom into a range of y, in one chart'],
  ['Double click', 'Show everything again'],
  ['Ctrl wheel', 'Zoom at the pointer'],
] as const;

export function ShortcutSheet() {
  return sheetOpen.value ? <Sheet /> : null;
}

function Sheet() {
  const button = useRef<HTMLButtonElement>(null);
  const close = () => {
    sheetOpen.value = false;
  };
  // Before the next key: Escape must reach the sheet even where the page is too busy to paint.
  useLayoutEffect(() => {
    const before = document.activeElement;
    button.current?.focus();
    return () => {
      if (before instanceof HTMLElement) before.focus({ preventScroll: true });
    };
  }, []);
  const groups = Map.groupBy(shortcuts.value, (shortcut) => shortcut.group);
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.key === 'Tab') event.preventDefault();
    if (event.key !== 'Escape' && event.key !== '?') return;
    event.preventDefault();
    event.stopPropagation();
    close();
  };
  return (
    <>
      <div class="scrim" onPointerDown={close} />
      <div
        class="dialog"
        role="dialog"
        aria-modal="true"
        aria-label="Keyboard shortcuts"
        onKeyDown={onKeyDown}
      >
        <div class="sheet">
          <div class="row">
            <h2 class="grow">Keyboard</h2>
            <button ref={button} type="button" class="icon-button" aria-label="Close" onClick={close}>
              <Icon name="close" />
            </button>
          </div>
          <div class="sheet-columns">
            {[...groups].map(([group, list]) => (
              <section key={group}>
                <h3>{group}</h3>
                <ul>
                  {list.map(({ keys, does }) => (
                    <li key={keys}>
                      <span>{does}</span>
                      <span>
                        {keyLabel(keys).map((key) => (
                          <kbd key={key}>{key}</kbd>
                        ))}
                      </span>
                    </li>
                  ))}
                </ul>
              </section>
            ))}
            <section>
              <h3>Pointer, in a chart</h3>
              <ul>
                {POINTER.map(([keys, does]) => (
                  <li key={keys}>
                    <span>{does}</span>
                    <kbd>{keys}</kbd>
                  </li>
                ))}
              </ul>
            </section>
          </div>
        </div>
      </div>
    </>
  );
}
