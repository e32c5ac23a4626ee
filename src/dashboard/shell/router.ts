/**
 * Where the page is, read from and written to the address bar alone. A navigation (another page, a run, a tab) is an
 * entry of the history; what a view changes about itself (a filter, a zoom) replaces the entry, so that Back undoes
 * navigations and never more.
 */
import { computed, signal } from '@preact/signals';

export type Route =
  | { page: 'workspace' }
  | { page: 'run'; id: string; tab: string }
  | { page: 'compare'; runs: string[] }
  | { page: 'projects' }
  | { page: 'unknown'; path: string };

/** Reads a path and its query. Pure; anything malformed is `unknown`, never an exception. */
export function readRoute(path: string, search: string): Route {
  const parts = path.split('/').filter((part) => part !== '');
  const [first, second, third] = parts.map(decodeSegment);
  if (first === undefined) return { page: 'workspace' };
  if (first === 'runs' && second !== undefined && parts.length <= 3) {
    return { page: 'run', id: second, tab: third ?? 'overview' };
  }
  if (first === 'compare' && parts.length === 1) {
    const runs = new URLSearchParams(search).get('runs') ?? '';
    return { page: 'compare', runs: runs.split(',').filter((id) => id !== '') };
  }
  if (first === 'projects' && parts.length === 1) return { page: 'projects' };
  return { page: 'unknown', path };
}

function decodeSegment(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

const browser = typeof window !== 'undefined';
const address = signal(
  browser ? { path: location.pathname, search: location.search } : { path: '/', search: '' },
);

export const route = computed(() => readRoute(address.value.path, address.value.search));
/** The query without its `?`. A view parses what is its own and leaves the rest. */
export const search = computed(() => address.value.search.replace(/^\?/, ''));

export const runHref = (id: string, tab = 'overview'): string =>
  `/runs/${encodeURIComponent(id)}/${encodeURIComponent(tab)}`;
export const compareHref = (ids: readonly string[]): string => `/compare?runs=${ids.join(',')}`;

/** The workspace as it was left, so that a link back to it does not forget its view. */
let workspaceSearch = browser && location.pathname === '/' ? location.search : '';
export const workspaceHref = (): string => `/${workspaceSearch}`;

function readAddress(): void {
  flushReplace();
  address.value = { path: location.pathname, search: location.search };
  if (location.pathname === '/') workspaceSearch = location.search;
}

/** Goes to another view: an entry of the history. */
export function navigate(href: string): void {
  flushReplace();
  if (href === location.pathname + location.search) return;
  history.pushState(null, '', href);
  readAddress();
}

let pending: number | undefined;

/** Changes the query in place. The signal changes at once; the address bar follows within 200 ms (browsers limit it). */
export function replaceSearch(text: string): void {
  const next = text === '' ? '' : `?${text}`;
  if (next === address.value.search) return;
  address.value = { path: address.value.path, search: next };
  if (address.value.path === '/') workspaceSearch = next;
  pending ??= window.setTimeout(flushReplace, 200);
}

function flushReplace(): void {
  if (pending === undefined) return;
  clearTimeout(pending);
  pending = undefined;
  const { path, search: query } = address.value;
  history.replaceState(history.state, '', path + query);
}

/** Makes links of the page itself navigate without loading it anew; called once. */
export function startRouter(): void {
  window.addEventListener('popstate', () => {
    pending = undefined;
    readAddress();
  });
  window.addEventListener('pagehide', flushReplace);
  document.addEventListener('click', (event) => {
    if (event.defaultPrevented || event.button !== 0) return;
    if (event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    const link = event.target instanceof Element ? event.target.closest('a[href]') : null;
    if (!(link instanceof HTMLAnchorElement) || link.target !== '' || link.hasAttribute('download')) return;
    if (link.origin !== location.origin || link.pathname.startsWith('/api/')) return;
    event.preventDefault();
    navigate(link.pathname + link.search);
  });
}
