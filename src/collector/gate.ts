import { WaddleError } from '../errors/waddle-error.ts';

/** Bodies of sync requests that are in memory at a time, of everybody and of one token: 10 times 20 MiB at the worst. */
const MOST = 10;
const MOST_OF_ONE = 4;
/** Who waits longer than this is told to come again, in milliseconds; and so is who finds so many waiting. */
const PATIENCE_MS = 20_000;
const MOST_WAITING = 1000;

interface Waiting {
  who: string;
  enter(): void;
}

/** Lets so many requests in that their bodies fit into memory. In turn, but nobody fills it alone. */
export class Gate {
  readonly #inside = new Map<string, number>();
  readonly #waiting = new Set<Waiting>();
  #count = 0;

  /** @returns what is to be called once when it is over @throws WaddleError `server-busy` */
  async enter(who: string): Promise<() => void> {
    if (!this.#hasRoom(who)) await this.#wait(who);
    else this.#add(who, 1);
    let left = false;
    return () => {
      if (left) return;
      left = true;
      this.#add(who, -1);
      this.#letIn();
    };
  }

  get busy(): boolean {
    return this.#count > 0;
  }

  #hasRoom(who: string): boolean {
    return this.#count < MOST && (this.#inside.get(who) ?? 0) < MOST_OF_ONE;
  }

  #add(who: string, change: number): void {
    this.#count += change;
    const inside = (this.#inside.get(who) ?? 0) + change;
    if (inside === 0) this.#inside.delete(who);
    else this.#inside.set(who, inside);
  }

  #letIn(): void {
    for (const waiting of this.#waiting) {
      if (this.#count >= MOST) return;
      if (!this.#hasRoom(waiting.who)) continue;
      this.#waiting.delete(waiting);
      this.#add(waiting.who, 1);
      waiting.enter();
    }
  }

  #wait(who: string): Promise<void> {
    if (this.#waiting.size >= MOST_WAITING) throw busy();
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#waiting.delete(waiting);
        reject(busy());
      }, PATIENCE_MS);
      const waiting: Waiting = {
        who,
        enter: () => {
          clearTimeout(timer);
          resolve();
        },
      };
      this.#waiting.add(waiting);
    });
  }
}

function busy(): WaddleError {
  return new WaddleError('server-busy', 'too many transfers at a time', 'Try again in a moment.');
}
