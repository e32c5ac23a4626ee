/**
 * The one live connection. Views say what they show (`watch`); all that is asked together goes to the server in one
 * message, and again when it changes. It reconnects by itself from the cursor of the last batch, so that nothing is
 * missed; where that cannot be, the batch says so (`gap`), and the views ask again.
 */
import { signal } from '@preact/signals';
import { useEffect } from 'preact/hooks';
import type { Batch, ServerMessage, Watch } from '../../protocol/api.ts';
import { earlyCursor } from './early.ts';

/** What one view shows now. Points come for each of its runs with each of its keys. */
export interface Interest {
  runs?: readonly string[];
  keys?: readonly string[];
  console?: string | null;
  table?: boolean;
  columns?: string;
}

/** `connecting` is the first try only; `offline` while it is down and being tried again. */
export const connection = signal<'connecting' | 'live' | 'offline'>('connecting');
/** Epoch milliseconds of the next try, while offline. */
export const nextTryAt = signal(0);

const interests = new Map<object, Interest>();
const listeners = new Set<(batch: Batch) => void>();
const reconnectListeners = new Set<() => void>();
let socket: WebSocket | undefined;
let cursor: string | undefined;
let sent = '';
let queued = false;
let tries = 0;
let timer: number | undefined;
let first = true;
/** Something was said to the server. */
let begun = false;
/** Answers on their way that will tell where the stream begins. */
let awaited = 0;

/** All interests as one message: the union of runs and of keys. Pure. */
export function mergeInterests(list: Iterable<Interest>): Omit<Watch, 'since'> {
  const runs = new Set<string>();
  const keys = new Set<string>();
  const columns = new Set<string>();
  let [table, console] = [false, null as string | null];
  for (const interest of list) {
    for (const run of interest.runs ?? []) runs.add(run);
    for (const key of interest.keys ?? []) keys.add(key);
    if (interest.columns) columns.add(interest.columns);
    table ||= interest.table ?? false;
    console ??= interest.console ?? null;
  }
  return {
    type: 'watch',
    dialect: 'dashboard',
    runs: [...runs].slice(0, 10_000),
    keys: [...keys].slice(0, 10_000),
    console,
    table,
    ...(columns.size > 0 ? { columns: [...columns].join(',') } : {}),
  };
}

function say(): void {
  queued = false;
  if (socket?.readyState !== WebSocket.OPEN || (!begun && awaited > 0)) return;
  const message = mergeInterests(interests.values());
  const text = JSON.stringify(message);
  if (text === sent) return;
  sent = text;
  begun = true;
  socket.send(JSON.stringify(cursor === undefined ? message : { ...message, since: cursor }));
}

function saySoon(): void {
  if (queued) return;
  queued = true;
  setTimeout(say, 30);
}

/**
 * The stream begins where an answer stood that is on its way, so that nothing is missed between the two. Call it before
 * asking, and what it returns with the answer's cursor (undefined: there is none). Later answers change nothing.
 */
export function beginStream(): (at: string | undefined) => void {
  if (begun) return () => {};
  awaited++;
  let told = false;
  return (at) => {
    if (told) return;
    told = true;
    awaited--;
    if (!begun) cursor ??= at;
    say();
  };
}

/** Sets what `owner` shows; undefined: nothing any more. */
export function watch(owner: object, interest: Interest | undefined): void {
  if (interest === undefined) interests.delete(owner);
  else interests.set(owner, interest);
  saySoon();
}

export function onBatch(listener: (batch: Batch) => void): () => void {
  listeners.add(listener);
  return () => void listeners.delete(listener);
}

/** Called when the connection is back after it was lost. */
export function onReconnect(listener: () => void): () => void {
  reconnectListeners.add(listener);
  return () => void reconnectListeners.delete(listener);
}

/** Watches while the component is mounted; `interest` may change from one render to the next. */
export function useWatch(interest: Interest): void {
  const key = JSON.stringify(interest);
  useEffect(() => {
    const owner = {};
    watch(owner, interest);
    return () => watch(owner, undefined);
  }, [key]);
}

export function connect(): void {
  clearTimeout(timer);
  timer = undefined;
  const url = new URL('/ws', location.href);
  url.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:';
  const opening = new WebSocket(url);
  socket = opening;
  opening.addEventListener('open', () => {
    const again = !first;
    first = false;
    tries = 0;
    sent = '';
    connection.value = 'live';
    say();
    if (again) for (const listener of reconnectListeners) listener();
  });
  opening.addEventListener('message', ({ data }) => {
    if (typeof data !== 'string') return;
    const message = JSON.parse(data) as ServerMessage;
    cursor = message.cursor;
    if (message.type === 'batch') for (const listener of listeners) listener(message);
    else if (message.type === 'error') console.warn(`live: ${message.error.message}`);
  });
  opening.addEventListener('close', () => {
    if (socket !== opening) return;
    socket = undefined;
    connection.value = 'offline';
    const wait = Math.min(15_000, 400 * 2 ** tries++) * (0.8 + 0.4 * Math.random());
    nextTryAt.value = Date.now() + wait;
    timer = window.setTimeout(connect, wait);
  });
}

/** Starts the connection, and tries at once when the network or the user is back. */
export function startLive(): void {
  const tryNow = () => {
    if (connection.value === 'offline' && timer !== undefined && document.visibilityState === 'visible')
      connect();
  };
  void earlyCursor().then(beginStream());
  window.addEventListener('online', tryNow);
  document.addEventListener('visibilitychange', tryNow);
  connect();
}
