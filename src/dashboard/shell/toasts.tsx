/** Short notes at the foot of the page; an undoable act offers its undo for ten seconds. */
import { signal } from '@preact/signals';
import { asFailure } from '../api/client.ts';
import { IconButton } from '../parts/icon-button.tsx';
import { Said } from '../parts/said.tsx';

interface Toast {
  id: number;
  text: string;
  bad: boolean;
  /** What to do about it; empty: nothing is said. */
  hint: string;
  undo?: () => unknown;
}

const toasts = signal<readonly Toast[]>([]);
let count = 0;

function remove(id: number): void {
  toasts.value = toasts.value.filter((toast) => toast.id !== id);
}

export function say(
  text: string,
  options: { bad?: boolean; hint?: string; undo?: () => unknown } = {},
): void {
  const toast: Toast = {
    id: ++count,
    text,
    bad: options.bad ?? false,
    hint: options.hint ?? '',
    ...(options.undo ? { undo: options.undo } : {}),
  };
  toasts.value = [...toasts.value.slice(-2), toast];
  setTimeout(() => remove(toast.id), options.undo || options.bad ? 10_000 : 4000);
}

/** Shows an error where nothing else on the page does. */
export function sayFailure(error: unknown): void {
  const failure = asFailure(error);
  say(failure.message, { bad: true, hint: failure.hint });
}

export function Toasts() {
  return (
    <div class="toasts" role="status" aria-live="polite">
      {toasts.value.map((toast) => (
        <div key={toast.id} class={`toast${toast.bad ? ' bad' : ''}`}>
          <span class="grow">
            <Said text={toast.text} />
            {toast.hint !== '' && (
              <>
                . <Said text={toast.hint} />
              </>
            )}
          </span>
          {toast.undo && (
            <button
              type="button"
              class="button"
              onClick={() => {
                remove(toast.id);
                toast.undo?.();
              }}
            >
              Undo
            </button>
          )}
          <IconButton icon="close" label="Dismiss" class="tiny" onClick={() => remove(toast.id)} />
        </div>
      ))}
    </div>
  );
}
