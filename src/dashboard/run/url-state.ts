/** What a view keeps in the address bar: single values of the query, changed in place. */
import { batch, computed, type ReadonlySignal } from '@preact/signals';
import { useMemo } from 'preact/hooks';
import { replaceSearch, search } from '../shell/router.ts';

const query = computed(() => new URLSearchParams(search.value));

export const readParam = (name: string): string => query.value.get(name) ?? '';

/** Sets some values; '' or null leaves one out. */
export function setParams(changes: Record<string, string | null>): void {
  const next = new URLSearchParams(search.peek());
  for (const [name, value] of Object.entries(changes)) {
    if (value === null || value === '') next.delete(name);
    else next.set(name, value);
  }
  batch(() => replaceSearch(next.toString().replaceAll('%2C', ',').replaceAll('%2F', '/')));
}

/** One value as a signal: it changes only when its own text does. */
export function useParam(name: string): ReadonlySignal<string> {
  return useMemo(() => computed(() => readParam(name)), [name]);
}
