/** What a client asked for; undefined is all. */
export interface Wanted {
  runs?: ReadonlySet<string> | undefined;
  keys?: KeySet | undefined;
}

export class KeySet {
  readonly #exact = new Set<string>();
  readonly #prefixes: string[] = [];

  constructor(keys: readonly string[]) {
    for (const key of keys) {
      this.#exact.add(key);
      if (key.endsWith('*')) this.#prefixes.push(key.slice(0, -1));
    }
  }

  has(key: string): boolean {
    return this.#exact.has(key) || this.#prefixes.some((prefix) => key.startsWith(prefix));
  }
}

export function isWanted({ runs, keys }: Wanted, run: string, key: string | null): boolean {
  if (runs !== undefined && !runs.has(run)) return false;
  return key === null || keys === undefined || keys.has(key);
}
