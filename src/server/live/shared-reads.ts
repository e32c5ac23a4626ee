import type { Engine, Question } from '../../store/question.ts';

const KEPT = 64;

/**
 * Readings that several clients want at once are done once. A reading that began before the last change is shared with
 * nobody who was woken by it.
 */
export class SharedReads {
  readonly #engine: Engine;
  readonly #reads = new Map<string, Promise<unknown>>();

  constructor(engine: Engine) {
    this.#engine = engine;
  }

  /** Something changed: what was read before is old. */
  changed(): void {
    this.#reads.clear();
  }

  /** @param name tells all that the answer depends on but the data */
  read<T>(name: string, question: () => Question<T>): Promise<T> {
    const known = this.#reads.get(name);
    if (known !== undefined) return known as Promise<T>;
    const reading = this.#engine.answer(question());
    if (this.#reads.size >= KEPT) this.#reads.delete(this.#reads.keys().next().value ?? '');
    this.#reads.set(name, reading);
    // A failure is the reader's, and nobody else's.
    reading.catch(() => {
      if (this.#reads.get(name) === reading) this.#reads.delete(name);
    });
    return reading;
  }
}
