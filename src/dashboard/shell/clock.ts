/** The time, for ages and durations. It ticks only while somebody shows it, and not in a hidden page. */
import { signal } from '@preact/signals';
import { useEffect } from 'preact/hooks';

/** Epoch seconds. */
export const now = signal(Date.now() / 1000);
const askers = new Map<object, number>();
let timer: number | undefined;

function schedule(): void {
  clearTimeout(timer);
  timer = undefined;
  if (askers.size === 0 || document.hidden) return;
  const wait = Math.min(...askers.values());
  timer = window.setTimeout(() => {
    now.value = Date.now() / 1000;
    schedule();
  }, wait * 1000);
}

if (typeof document !== 'undefined') {
  document.addEventListener('visibilitychange', () => {
    if (!document.hidden && askers.size > 0) now.value = Date.now() / 1000;
    schedule();
  });
}

/** Keeps `now` true to within so many seconds while the component is mounted; 0: it may stand still. */
export function useClock(seconds: number): void {
  useEffect(() => {
    if (seconds === 0) return;
    const asker = {};
    askers.set(asker, seconds);
    now.value = Date.now() / 1000;
    schedule();
    return () => {
      askers.delete(asker);
      schedule();
    };
  }, [seconds]);
}
