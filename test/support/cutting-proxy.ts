/** A TCP proxy that cuts connections in the middle, as bad networks do. */
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';

export class CuttingProxy {
  /** Bytes that went through since it was made. */
  up = 0;
  down = 0;
  /** Requests that began, on whatever connection. */
  requests = 0;
  readonly #target: () => number;
  readonly #sockets = new Set<Socket>();
  #server: Server | undefined;
  #cut: (() => boolean) | undefined;

  /** @param target the port on the loopback address that it leads to */
  constructor(target: () => number) {
    this.#target = target;
  }

  get url(): string {
    const address = this.#server?.address() as AddressInfo | undefined;
    return `http://127.0.0.1:${address?.port ?? 0}`;
  }

  /** From now on everything is cut as soon as so many bytes more went up (or down). */
  cutAfterBytes(bytes: number, direction: 'up' | 'down'): void {
    const limit = this[direction] + bytes;
    this.#cut = () => this[direction] >= limit;
  }

  /** The n-th request from now on (1 is the next) reaches the other side, and its answer never comes back. */
  cutAtRequest(n: number): void {
    const limit = this.requests + n;
    const down = this.down;
    this.#cut = () => this.requests >= limit && this.down > down;
  }

  cutNothing(): void {
    this.#cut = undefined;
  }

  async start(): Promise<void> {
    const server = createServer((client) => this.#join(client));
    this.#server = server;
    await new Promise<void>((ready) => server.listen(0, '127.0.0.1', ready));
  }

  #join(client: Socket): void {
    const target = connect(this.#target(), '127.0.0.1');
    for (const socket of [client, target]) {
      this.#sockets.add(socket);
      socket.on('close', () => {
        this.#sockets.delete(socket);
        client.destroy();
        target.destroy();
      });
      socket.on('error', () => undefined);
    }
    const pass = (from: Socket, to: Socket, direction: 'up' | 'down') =>
      from.on('data', (chunk: Buffer) => {
        if (direction === 'up' && /^(?:GET|POST|DELETE) \//.test(chunk.toString('latin1', 0, 8)))
          this.requests += 1;
        // Byte by byte where it is cut, so that any place can be the one.
        for (let at = 0; at < chunk.length; ) {
          const piece = this.#cut === undefined ? chunk.subarray(at) : chunk.subarray(at, at + 997);
          this[direction] += piece.length;
          at += piece.length;
          if (this.#cut?.() === true) {
            client.destroy();
            target.destroy();
            return;
          }
          to.write(piece);
        }
      });
    pass(client, target, 'up');
    pass(target, client, 'down');
  }

  async end(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise((closed) => this.#server?.close(closed));
  }
}
