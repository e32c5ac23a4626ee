import { WaddleError } from '../../errors/waddle-error.ts';
import type { ErrorFrame, Subscribe, Watch } from '../../protocol/api.ts';
import type { Engine } from '../../store/question.ts';
import type { Cursor } from './cursor.ts';
import { DashboardStream } from './dashboard-stream.ts';
import { readMessage } from './messages.ts';
import { type Outgoing, PlainStream, SharedPieces } from './plain-stream.ts';
import { SharedReads } from './shared-reads.ts';
import { nowCursor } from './stream-state.ts';

/** A database that did not answer is asked again after this, in milliseconds. */
const AGAIN_MS = 200;
/** A client with so many messages that wait for their turn is not listened to until they had it. */
const MAX_INBOX = 16;
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
  /** Reads nothing more from the client, until it resumes. */
  pause(): void;
  resume(): void;
  close(code: number, reason: string): void;
  terminate(): void;
  on(event: 'message', listener: (data: unknown, binary: boolean) => void): unknown;
  on(event: 'close' | 'error' | 'pong', listener: () => void): unknown;
  off(event: 'close', listener: () => void): unknown;
}

/** What a client said, where the stream stood then, and what is wrong with it. */
type Said = { message: Subscribe | Watch; now: Promise<Cursor> } | { problem: WaddleError };

interface Client {
  socket: LiveSocket;
  /** Undefined until its first message, which is its arrival. */
  stream: PlainStream | DashboardStream | undefined;
  /** Messages that have not had their turn: it comes between two readings. */
  inbox: Said[];
  /** Being served right now, or waiting for its turn. */
  busy: boolean;
  /** Something changed while it was served. */
  woken: boolean;
  /** Milliseconds: when the last batch went. */
  sentAt: number;
  answered: boolean;
}

/**
 * Everything live: each client's cursor, and the engine's notice that wakes them all. Nothing is queued for anyone; what a
 * client has not got yet is in the store, and is read when it is ready for it.
 */
export class LiveHub {
  readonly #engine: Engine;
  readonly #clients = new Set<Client>();
  readonly #reads: SharedReads;
  readonly #pieces: SharedPieces;
  readonly #bug: (error: unknown) => void;
  #unlisten: (() => void) | undefined;
  #pings: NodeJS.Timeout | undefined;
  #reading = 0;

  constructor(engine: Engine, bug: (error: unknown) => void) {
    this.#engine = engine;
    this.#bug = bug;
    this.#reads = new SharedReads(engine);
    this.#pieces = new SharedPieces(this.#reads);
  }

  get size(): number {
    return this.#clients.size;
  }

  /** Whether something is being read for somebody. */
  get reading(): boolean {
    return this.#reading > 0;
  }

  add(socket: LiveSocket): void {
    const client: Client = {
      socket,
      stream: undefined,
      inbox: [],
      busy: false,
      woken: false,
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
    this.#unlisten ??= this.#engine.onChange(() => this.#changed());
    this.#pings ??= setInterval(() => this.#ping(), PING_MS);
    // Whoever says nothing has all that is new from now on.
    this.#take(client, { message: { type: 'subscribe' }, now: this.#engine.answer(nowCursor()) });
  }

  /** Gives everybody what there is, for at most so long, and says goodbye. */
  async drain(ms: number): Promise<void> {
    const deadline = performance.now() + ms;
    this.#changed();
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

  #changed(): void {
    this.#reads.changed();
    for (const client of this.#clients) this.#serve(client);
  }

  #rest(): void {
    this.#unlisten?.();
    this.#unlisten = undefined;
    clearInterval(this.#pings);
    this.#pings = undefined;
    this.#reads.changed();
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
      this.#take(client, { message: readMessage(text), now: this.#engine.answer(nowCursor()) });
    } catch (error) {
      if (error instanceof WaddleError) this.#take(client, { problem: error });
      else this.#report(error);
    }
  }

  #take(client: Client, said: Said): void {
    // It is awaited when its turn comes.
    if ('now' in said) said.now.catch(() => undefined);
    client.inbox.push(said);
    if (client.inbox.length === MAX_INBOX) client.socket.pause();
    this.#serve(client);
  }

  /** Serves a client until it has everything; it takes up again when the last piece is on its way. */
  #serve(client: Client): void {
    client.woken = true;
    if (client.busy) return;
    client.busy = true;
    void this.#serveAll(client).catch((error) => {
      this.#report(error);
      if (error instanceof WaddleError) setTimeout(() => this.#serveAgain(client), AGAIN_MS).unref();
    });
  }

  #serveAgain(client: Client): void {
    if (this.#clients.has(client)) this.#serve(client);
  }

  async #serveAll(client: Client): Promise<void> {
    try {
      while (client.woken) {
        client.woken = false;
        while (await this.#serveOnce(client));
      }
    } finally {
      client.busy = false;
    }
  }

  /** Resolves to whether there is more right now. */
  async #serveOnce(client: Client): Promise<boolean> {
    const { socket } = client;
    if (socket.readyState !== 1) return false;
    if (client.stream instanceof DashboardStream) {
      const wait = client.sentAt + BATCH_MS - performance.now();
      if (wait > 0) await new Promise((wake) => setTimeout(wake, wait));
    }
    const { texts, more } = await this.#read(client);
    if (texts.length > 0) {
      client.sentAt = performance.now();
      await sendAll(socket, texts);
    } else if (more) {
      // Much of what others want: let them have their turn.
      await new Promise((wake) => setImmediate(wake));
    }
    return more || texts.length > 0 || client.inbox.length > 0;
  }

  async #read(client: Client): Promise<Outgoing> {
    this.#reading += 1;
    try {
      if (client.inbox.length > 0) await this.#hear(client);
      const { stream, socket } = client;
      if (socket.readyState !== 1 || stream === undefined) return { texts: [], more: false };
      return await stream.next(this.#engine);
    } finally {
      this.#reading -= 1;
    }
  }

  /** Gives the client's messages their turn. */
  async #hear(client: Client): Promise<void> {
    const { inbox, socket } = client;
    for (let said = inbox[0]; said !== undefined; said = inbox[0]) {
      if ('problem' in said) sayProblem(client, said.problem);
      else {
        const now = await said.now.catch(() => this.#engine.answer(nowCursor()));
        try {
          this.#follow(client, said.message, now);
        } catch (error) {
          if (!(error instanceof WaddleError)) throw error;
          sayProblem(client, error);
        }
      }
      inbox.shift();
      if (inbox.length === MAX_INBOX - 1) socket.resume();
    }
  }

  /** @throws WaddleError `columns-invalid` */
  #follow(client: Client, message: Subscribe | Watch, now: Cursor): void {
    if (message.type === 'subscribe') {
      if (!(client.stream instanceof PlainStream)) client.stream = new PlainStream(now, this.#pieces);
      client.stream.subscribe(now, message);
    } else if (client.stream instanceof DashboardStream) client.stream.watch(message);
    else client.stream = new DashboardStream(now, message, this.#reads);
  }

  #report(error: unknown): void {
    if (!(error instanceof WaddleError)) this.#bug(error);
  }
}

function sayProblem({ socket, stream }: Client, { code, message, hint }: WaddleError): void {
  const frame: ErrorFrame = { type: 'error', error: { code, message, hint }, cursor: stream?.cursor ?? '' };
  // Whoever sends nonsense faster than it reads the answers gets none.
  if (socket.bufferedAmount < MAX_WAITING_BYTES) socket.send(JSON.stringify(frame));
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
