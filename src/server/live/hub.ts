import type { TSchema } from 'typebox';
import { WaddleError } from '../../errors/waddle-error.ts';
import type { ErrorFrame, Subscribe, Watch } from '../../protocol/api.ts';
import * as schemas from '../../protocol/live-schemas.ts';
import type { StoreHandle } from '../store-handle.ts';
import { problemIn } from '../validate.ts';
import { DashboardStream } from './dashboard-stream.ts';
import { PlainStream, SharedPieces } from './plain-stream.ts';

/** How often the store's revision is looked at while somebody listens, in milliseconds: others write it too. */
const LOOK_MS = 40;
/** The least time between two batches to one dashboard. */
const BATCH_MS = 100;
/** A client with so many bytes still on their way gets nothing more until they are gone. */
const MAX_WAITING_BYTES = 256 * 1024;
/** A client that has not answered two pings is gone. */
const PING_MS = 30_000;

/** What of a `ws` socket is used. */
export interface LiveSocket {
  readonly readyState: number;
  /** Bytes given to `send` that have not left this process. */
  readonly bufferedAmount: number;
  send(text: string, sent?: () => void): void;
  ping(): void;
  close(code: number, reason: string): void;
  terminate(): void;
  on(event: 'message', listener: (data: unknown, binary: boolean) => void): unknown;
  on(event: 'close' | 'error' | 'pong', listener: () => void): unknown;
  off(event: 'close', listener: () => void): unknown;
}

interface Client {
  socket: LiveSocket;
  stream: PlainStream | DashboardStream;
  /** Being served right now, or waiting for its turn. */
  busy: boolean;
  /** Milliseconds: when the last batch went. */
  sentAt: number;
  answered: boolean;
}

/**
 * Everything live: each client's cursor and the one look at the store that wakes them all. Nothing is queued for anyone;
 * what a client has not got yet is in the store, and is read when it is ready for it.
 */
export class LiveHub {
  readonly #handle: StoreHandle;
  readonly #clients = new Set<Client>();
  readonly #shared = new SharedPieces();
  readonly #bug: (error: unknown) => void;
  #timer: NodeJS.Timeout | undefined;
  #pings: NodeJS.Timeout | undefined;
  #seen = '';

  constructor(handle: StoreHandle, bug: (error: unknown) => void) {
    this.#handle = handle;
    this.#bug = bug;
  }

  get size(): number {
    return this.#clients.size;
  }

  add(socket: LiveSocket): void {
    const client: Client = {
      socket,
      stream: new PlainStream(this.#handle.store, this.#shared),
      busy: false,
      sentAt: 0,
      answered: true,
    };
    this.#clients.add(client);
    socket.on('message', (data, binary) => this.#receive(client, binary ? '' : String(data)));
    socket.on('pong', () => {
      client.answered = true;
    });
    socket.on('close', () => {
      this.#clients.delete(client);
      if (this.#clients.size === 0) this.#rest();
    });
    socket.on('error', () => socket.terminate());
    this.#timer ??= setInterval(() => this.look(), LOOK_MS);
    this.#pings ??= setInterval(() => this.#ping(), PING_MS);
  }

  /** Wakes everybody where the store has changed. */
  look(): void {
    if (this.#clients.size === 0) return;
    try {
      const { store } = this.#handle;
      const state = `${store.epoch} ${store.revision}`;
      if (state === this.#seen) return;
      this.#seen = state;
    } catch (error) {
      this.#report(error);
      return;
    }
    for (const client of this.#clients) this.#serve(client);
  }

  /** Gives everybody what there is, for at most so long, and says goodbye. */
  async drain(ms: number): Promise<void> {
    const deadline = performance.now() + ms;
    this.look();
    const waiting = () =>
      [...this.#clients].some(
        ({ busy, socket }) => busy || (socket.readyState === 1 && socket.bufferedAmount > 0),
      );
    while (waiting() && performance.now() < deadline) await new Promise((wake) => setTimeout(wake, 10));
    for (const { socket } of this.#clients) socket.close(1001, 'the server ends');
  }

  close(): void {
    this.#rest();
    for (const { socket } of this.#clients) socket.terminate();
    this.#clients.clear();
  }

  #rest(): void {
    clearInterval(this.#timer);
    clearInterval(this.#pings);
    this.#timer = undefined;
    this.#pings = undefined;
    this.#seen = '';
  }

  #ping(): void {
    for (const client of this.#clients) {
      if (!client.answered) client.socket.terminate();
      else {
        client.answered = false;
        client.socket.ping();
      }
    }
  }

  #receive(client: Client, text: string): void {
    try {
      const message = readMessage(text);
      const { store } = this.#handle;
      if (message.type === 'subscribe') {
        if (!(client.stream instanceof PlainStream)) client.stream = new PlainStream(store, this.#shared);
        client.stream.subscribe(store, message);
      } else if (client.stream instanceof DashboardStream) client.stream.watch(store, message);
      else client.stream = new DashboardStream(store, message);
      this.#serve(client);
    } catch (error) {
      if (!(error instanceof WaddleError)) {
        this.#report(error);
        return;
      }
      const { code, message, hint } = error;
      const frame: ErrorFrame = {
        type: 'error',
        error: { code, message, hint },
        cursor: client.stream.cursor,
      };
      // Whoever sends nonsense faster than it reads the answers gets none.
      if (client.socket.bufferedAmount < MAX_WAITING_BYTES) client.socket.send(JSON.stringify(frame));
    }
  }

  /** Serves a client until it has everything; it takes up again when the last piece is on its way. */
  #serve(client: Client): void {
    if (client.busy) return;
    client.busy = true;
    void this.#serveAll(client)
      .catch((error) => this.#report(error))
      .finally(() => {
        client.busy = false;
      });
  }

  async #serveAll(client: Client): Promise<void> {
    const { socket } = client;
    for (;;) {
      if (socket.readyState !== 1) return;
      if (client.stream instanceof DashboardStream) {
        const wait = client.sentAt + BATCH_MS - performance.now();
        if (wait > 0) await new Promise((wake) => setTimeout(wake, wait));
      }
      if (socket.readyState !== 1) return;
      const { stream } = client;
      const { texts, more } = stream.next(this.#handle.store);
      if (texts.length > 0) {
        client.sentAt = performance.now();
        await sendAll(socket, texts);
      } else if (more) {
        // Much of what others want: let them have their turn.
        await new Promise((wake) => setImmediate(wake));
      }
      if (!more && texts.length === 0 && stream === client.stream) return;
    }
  }

  #report(error: unknown): void {
    // A store that is busy or moved away is tried again at the next look.
    if (error instanceof WaddleError) this.#seen = '';
    else this.#bug(error);
  }
}

/** Sends frames, and resolves when the last of them has left this process: a slow client holds up only itself. */
function sendAll(socket: LiveSocket, texts: readonly string[]): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      socket.off('close', done);
      resolve();
    };
    socket.on('close', done);
    for (const [index, text] of texts.entries()) {
      if (index === texts.length - 1) socket.send(text, done);
      else socket.send(text);
    }
  });
}

/** @throws WaddleError `message-invalid` */
function readMessage(text: string): Subscribe | Watch {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw invalid('it is not JSON');
  }
  const type = (value as { type?: unknown } | null)?.type;
  const schema: TSchema | undefined =
    type === 'subscribe' ? schemas.Subscribe : type === 'watch' ? schemas.Watch : undefined;
  if (schema === undefined) throw invalid('its "type" is neither "subscribe" nor "watch"');
  const problem = problemIn(schema, value);
  if (problem !== undefined) throw invalid(problem);
  return value as Subscribe | Watch;
}

function invalid(problem: string): WaddleError {
  return new WaddleError(
    'message-invalid',
    `the message is not understood: ${problem}`,
    'Send for example: {"type": "subscribe", "runs": ["…"], "keys": ["loss"], "since": 0}',
  );
}
