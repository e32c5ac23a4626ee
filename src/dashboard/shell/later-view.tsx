/** Views whose code is loaded when they are first shown, or once nothing else waits: what is here works without the server. */
import { signal } from '@preact/signals';
import type { ComponentType, VNode } from 'preact';
import { useLayoutEffect } from 'preact/hooks';
import { ApiFailure } from '../api/client.ts';
import { onReconnect } from '../api/live.ts';
import { Failed } from '../parts/states.tsx';

interface LaterView<Props extends object> {
  (props: Props): VNode | null;
  /** Loads the code, unless it is here or on its way. */
  load(): void;
}

export function laterView<Props extends object>(read: () => Promise<ComponentType<Props>>): LaterView<Props> {
  const loaded = signal<{ view: ComponentType<Props> } | ApiFailure | null>(null);
  let loading = false;
  const load = () => {
    const now = loaded.peek();
    if (loading || (now !== null && 'view' in now)) return;
    loading = true;
    read()
      .then(
        (view) => {
          loaded.value = { view };
        },
        (error: unknown) => {
          const hint = 'the server does not answer, or has another version by now: reload the page';
          loaded.value = new ApiFailure('view', 'this page could not be loaded', hint, 0, { cause: error });
        },
      )
      .finally(() => {
        loading = false;
      });
  };
  onReconnect(() => {
    if (loaded.peek() instanceof ApiFailure) load();
  });
  const Later = (props: Props) => {
    useLayoutEffect(load, []);
    const now = loaded.value;
    if (now === null) return null;
    if (!('view' in now)) return <Failed failure={now} retry={load} />;
    const { view: View } = now;
    return <View {...props} />;
  };
  return Object.assign(Later, { load });
}
