/** Light, dark, or as the system asks: kept per browser. Canvas drawings read their colours here. */
import { computed, effect, signal } from '@preact/signals';

export type Theme = 'system' | 'light' | 'dark';

const KEY = 'waddle.theme';
const media = window.matchMedia('(prefers-color-scheme: dark)');
const systemDark = signal(media.matches);

function stored(): Theme {
  try {
    const text = localStorage.getItem(KEY);
    return text === 'light' || text === 'dark' ? text : 'system';
  } catch {
    return 'system'; // storage may be forbidden; the choice then lasts as long as the page
  }
}

export const theme = signal<Theme>(stored());
export const dark = computed(() => (theme.value === 'system' ? systemDark.value : theme.value === 'dark'));

/** Colours that a canvas needs, as the stylesheet has them now. */
export const ink = computed(() => {
  document.documentElement.dataset.theme = dark.value ? 'dark' : 'light';
  const style = getComputedStyle(document.documentElement);
  const read = (name: string) => style.getPropertyValue(name).trim();
  return { text: read('--text-2'), grid: read('--grid'), surface: read('--surface'), axis: read('--line') };
});

export function startTheme(): void {
  media.addEventListener('change', () => {
    systemDark.value = media.matches;
  });
  effect(() => {
    document.documentElement.dataset.theme = dark.value ? 'dark' : 'light';
    try {
      if (theme.value === 'system') localStorage.removeItem(KEY);
      else localStorage.setItem(KEY, theme.value);
    } catch {
      // forbidden storage: see above
    }
  });
}

export function cycleTheme(): void {
  theme.value =
    theme.value === 'system' ? (dark.value ? 'light' : 'dark') : theme.value === 'dark' ? 'light' : 'dark';
}

export function followSystem(): void {
  theme.value = 'system';
}
