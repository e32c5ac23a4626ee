/** How fast one token, or one address that has none, may ask. */

interface Bucket {
  left: number;
  /** Milliseconds on a steady clock. */
  at: number;
}

/** Buckets that are kept; the oldest go first. */
const MOST_BUCKETS = 20_000;

/** Token buckets: `burst` requests at once, and `perSecond` on and on. */
export class RateLimit {
  readonly #perSecond: number;
  readonly #burst: number;
  readonly #buckets = new Map<string, Bucket>();

  constructor(perSecond: number, burst: number) {
    this.#perSecond = perSecond;
    this.#burst = burst;
  }

  /** Takes one; 0 where there was one, else the seconds to wait for it. */
  take(who: string, now = performance.now()): number {
    const bucket = this.#buckets.get(who) ?? { left: this.#burst, at: now };
    this.#buckets.delete(who);
    bucket.left = Math.min(this.#burst, bucket.left + ((now - bucket.at) / 1000) * this.#perSecond);
    bucket.at = now;
    const has = bucket.left >= 1;
    if (has) bucket.left -= 1;
    this.#buckets.set(who, bucket);
    if (this.#buckets.size > MOST_BUCKETS) this.#buckets.delete(this.#buckets.keys().next().value ?? '');
    return has ? 0 : Math.max(1, Math.ceil((1 - bucket.left) / this.#perSecond));
  }
}
