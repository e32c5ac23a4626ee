/** Short notes at the foot of the page; an undoable act offers its undo for ten seconds. */
import { signal } from '@preact/signals';
import { asFailure } from '../api/client.ts';
import { sentence } from '../format/sentence.ts';
import { IconButton } from '../parts/icon-button.tsx';

interface Toast {
  id: number;
  text: string;
  bad: boolean;
  undo?: () => unknown;
}

const toasts = signal<readonly Toast[]>([]);
let count = 0;

function remove(id: number): void {
  toasts.value = toasts.value.filter((toast) => toast.id !== id);
}

export function say(text: string, options: { bad?: boolean; undo?: () => unknown } = {}): void {
  const toast: Toast = {
    id: ++count,
    text,
    bad: options.bad ?? false,
    ...(options.undo ? { undo: options.undo } : {}),
  };
  toasts.value = [...toasts.value.slice(-2), toast];
  setTimeout(() => remove(toast.id), options.undo || options.bad ? 10_000 : 4000);
}

/** Shows an error where nothing else on the page does. */
export function sayFailure(error: unknown): void {
  const failure = asFailure(error);
  const text = `${sentence(failure.message)}.`;
  say(failure.hint === '' ? text : `${text} ${sentence(failure.hint)}`, { bad: true });
}

export function Toasts() {
  return (
    <div class="toasts" role="status" aria-live="polite">
      {toasts.value.map((toast) => (
        <div key={toast.id} class={`toast${toast.bad ? ' bad' : ''}`}>
          <span>{toast.text}</span>
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
