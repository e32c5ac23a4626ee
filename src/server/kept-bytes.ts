/** What was last made or read, up to a number of bytes: what was used longest ago goes first. */
export class KeptBytes<T> {
  readonly #most: number;
  readonly #sizeOf: (one: T) => number;
  readonly #entries = new Map<string, T>();
  #bytes = 0;

  /** @param most bytes of all together; what is more than a half of that alone is not kept */
  constructor(most: number, sizeOf: (one: T) => number) {
    this.#most = most;
    this.#sizeOf = sizeOf;
  }

  get bytes(): number {
    return this.#bytes;
  }

  get(name: string): T | undefined {
    const found = this.#entries.get(name);
    if (found === undefined) return undefined;
    this.#entries.delete(name);
    this.#entries.set(name, found);
    return found;
  }

  set(name: string, one: T): void {
    const size = this.#size(name, one);
    if (size > this.#most / 2) return;
    this.#drop(name);
    this.#entries.set(name, one);
    this.#bytes += size;
    for (const [oldest] of this.#entries) {
      if (this.#bytes <= this.#most) break;
      this.#drop(oldest);
    }
  }

  #drop(name: string): void {
    const found = this.#entries.get(name);
    if (found === undefined) return;
    this.#entries.delete(name);
    this.#bytes -= this.#size(name, found);
  }

  /** The name is kept too: two bytes a letter. */
  #size(name: string, one: T): number {
    return this.#sizeOf(one) + 2 * name.length;
  }
}
