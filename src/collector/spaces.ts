import { WaddleError } from '../errors/waddle-error.ts';
import type { Backend, Doors, SpaceHome } from './backend.ts';

/** A space that nobody has used for so long is closed, in milliseconds. */
const IDLE_MS = 10 * 60_000;
const LOOK_MS = 30_000;

interface Held {
  home: Promise<SpaceHome>;
  /** Requests and live clients in it. */
  users: number;
  usedAt: number;
}

/** The spaces that are open: each from its first request on, until nobody has used it for a while. Must be closed. */
export class Spaces {
  readonly #backend: Backend;
  readonly #doors: Doors;
  readonly #held = new Map<string, Held>();
  readonly #timer: NodeJS.Timeout;
  readonly #idleMs: number;
  readonly #failed: (error: unknown) => void;

  constructor(
    backend: Backend,
    doors: Doors,
    failed: (error: unknown) => void,
    { idleMs = IDLE_MS, lookMs = LOOK_MS } = {},
  ) {
    this.#backend = backend;
    this.#doors = doors;
    this.#idleMs = idleMs;
    this.#failed = failed;
    this.#timer = setInterval(() => this.#closeIdle(), lookMs);
    this.#timer.unref();
  }

  get size(): number {
    return this.#held.size;
  }

  /** Live clients, in spaces that are open. */
  async live(): Promise<number> {
    let live = 0;
    for (const { home } of this.#held.values()) live += (await home.catch(() => null))?.live() ?? 0;
    return live;
  }

  /**
   * The space, for as long as it is held.
   * @throws WaddleError `space-not-found`
   */
  async hold(name: string): Promise<{ home: SpaceHome; release(): void }> {
    let held = this.#held.get(name);
    if (held === undefined) {
      held = { home: this.#open(name), users: 0, usedAt: 0 };
      this.#held.set(name, held);
    }
    held.users += 1;
    let released = false;
    const release = () => {
      if (released) return;
      released = true;
      held.users -= 1;
      held.usedAt = performance.now();
    };
    try {
      return { home: await held.home, release };
    } catch (error) {
      release();
      // The next one tries again.
      if (this.#held.get(name) === held) this.#held.delete(name);
      throw error;
    }
  }

  async #open(name: string): Promise<SpaceHome> {
    if ((await this.#backend.registry.findSpace(name)) === null) {
      throw new WaddleError(
        'space-not-found',
        `there is no space ${name}`,
        'Its token is of another collector.',
      );
    }
    return this.#backend.open(name, this.#doors);
  }

  #closeIdle(): void {
    for (const [name, held] of this.#held) {
      if (held.users > 0 || performance.now() - held.usedAt < this.#idleMs) continue;
      this.#held.delete(name);
      held.home.then((home) => home.close()).catch(this.#failed);
    }
  }

  async close(): Promise<void> {
    clearInterval(this.#timer);
    const all = [...this.#held.values()];
    this.#held.clear();
    for (const { home } of all) await (await home.catch(() => null))?.close();
  }
}
