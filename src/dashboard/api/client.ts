/** Asking the server: typed JSON, the server's own errors, cancellation. */
import { signal } from '@preact/signals';
import type {
  ApiError,
  BulkBody,
  Edited,
  Health,
  Keys,
  RunPatch,
  RunRow,
  RunsQuery,
} from '../../protocol/api.ts';
import { earlyAnswer } from './early.ts';

/** A request was refused for want of a token that counts. */
export const signedOut = signal(false);

/** What went wrong, for a person: the server's refusal, or that it could not be reached (`unreachable`). */
export class ApiFailure extends Error {
  readonly code: string;
  readonly hint: string;
  readonly status: number;

  constructor(code: string, message: string, hint: string, status: number, options?: ErrorOptions) {
    super(message, options);
    this.name = 'ApiFailure';
    this.code = code;
    this.hint = hint;
    this.status = status;
  }
}

export const isAbort = (error: unknown): boolean =>
  error instanceof DOMException && error.name === 'AbortError';

/** Any error as what the page can show. */
export function asFailure(error: unknown): ApiFailure {
  if (error instanceof ApiFailure) return error;
  const message = error instanceof Error ? error.message : String(error);
  return new ApiFailure('page', message, 'reload the page', 0, { cause: error });
}

type Query = Record<string, string | number | boolean | null | undefined>;

/** A path of the API with its query; what is undefined, null, false or empty is left out. */
export function apiPath(path: string, query: Query = {}): string {
  const params = new URLSearchParams();
  for (const [key, value] of Object.entries(query)) {
    if (value !== undefined && value !== null && value !== '' && value !== false)
      params.set(key, String(value));
  }
  const text = params.toString();
  return text === '' ? path : `${path}?${text}`;
}

interface Options {
  signal?: AbortSignal | undefined;
  method?: string;
  body?: unknown;
}

/** Throws ApiFailure; an aborted request throws the browser's AbortError. */
async function send(path: string, { signal, method = 'GET', body }: Options): Promise<Response> {
  let response: Response;
  try {
    const early = method === 'GET' ? earlyAnswer(path) : undefined;
    response = await (early ??
      fetch(path, {
        method,
        signal: signal ?? null,
        ...(body === undefined
          ? {}
          : { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }),
      }));
    signal?.throwIfAborted();
  } catch (error) {
    if (isAbort(error)) throw error;
    throw new ApiFailure('unreachable', 'the server does not answer', 'is `waddle serve` still running?', 0, {
      cause: error,
    });
  }
  if (response.status === 401) signedOut.value = true;
  if (!response.ok) throw await readFailure(response);
  return response;
}

export async function readFailure(response: Response): Promise<ApiFailure> {
  const text = await response.text().catch(() => '');
  try {
    const { error } = JSON.parse(text) as ApiError;
    if (typeof error.message === 'string')
      return new ApiFailure(error.code, error.message, error.hint, response.status);
  } catch {
    // not the server's own error: a proxy in between
  }
  return new ApiFailure(
    'http',
    `the server answered ${response.status}`,
    'look at its output',
    response.status,
  );
}

export async function getJson<T>(path: string, query?: Query, signal?: AbortSignal): Promise<T> {
  const response = await send(apiPath(path, query), { signal });
  return (await response.json()) as T;
}

/** Text of any route: a diff's patch, an artifact. */
export async function getText(path: string, query?: Query, signal?: AbortSignal): Promise<string> {
  return await (await send(apiPath(path, query), { signal })).text();
}

/** Text, and where the live stream goes on from it. */
export async function getTextAt(
  path: string,
  signal?: AbortSignal,
): Promise<{ text: string; cursor: string | undefined }> {
  const response = await send(path, { signal });
  return { text: await response.text(), cursor: cursorOf(response) };
}

const cursorOf = (response: Response): string | undefined =>
  response.headers.get('waddle-cursor') ?? undefined;

export async function sendJson<T>(
  method: string,
  path: string,
  body: unknown,
  signal?: AbortSignal,
): Promise<T> {
  const response = await send(path, { method, body, signal });
  return (await response.json()) as T;
}

/** One page of a list and the link to the next. */
export interface Page<T> {
  items: T[];
  next: string | undefined;
  /** Where the live stream goes on from it. */
  cursor: string | undefined;
}

export async function getPage<T>(href: string, signal?: AbortSignal): Promise<Page<T>> {
  const response = await send(href, { signal });
  const items = (await response.json()) as T[];
  return { items, next: nextLink(response.headers.get('link')), cursor: cursorOf(response) };
}

/** The `rel="next"` target of a `Link` header, as a path of this server. */
export function nextLink(header: string | null): string | undefined {
  const target = header?.match(/<([^>]+)>\s*;\s*rel="?next"?/)?.[1];
  if (target === undefined) return undefined;
  return target.replace(/^https?:\/\/[^/]+/, '');
}

export type RunsAsk = Pick<RunsQuery, 'filter' | 'q' | 'project' | 'archived' | 'columns' | 'sort'>;

/** As many as are charted: the first page is enough for all charts. */
const FIRST_PAGE = 250;

export const runsPath = (query: RunsQuery): string => apiPath('/api/runs', query);
export const firstRunsPath = (ask: RunsAsk): string => runsPath({ ...ask, limit: FIRST_PAGE });
export const runPath = (id: string): string => `/api/runs/${encodeURIComponent(id)}`;
export const getRunsPage = (href: string, signal?: AbortSignal) => getPage<RunRow>(href, signal);
export const getHealth = (signal?: AbortSignal) => getJson<Health>('/api/health', undefined, signal);
/** `path`: of `/api/keys`, with its query. */
export const getKeys = (path: string, signal?: AbortSignal) => getJson<Keys>(path, undefined, signal);

export const patchRun = (id: string, patch: RunPatch) =>
  sendJson<Edited>('PATCH', `/api/runs/${encodeURIComponent(id)}`, patch);
export const bulkEdit = (body: BulkBody) => sendJson<Edited>('POST', '/api/runs/bulk', body);
