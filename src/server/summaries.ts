import type { Engine, Question } from '../store/question.ts';
import { nowCursor } from './live/stream-state.ts';

/** What takes longer than this, in milliseconds, is not asked anew at every change. */
const SLOW_MS = 50;
/** Asking anew takes this part of the time at most; and so many milliseconds later it is asked anew in any case. */
const SHARE = 1 / 20;
const OLDEST_MS = 30_000;
const KEPT = 32;

interface Summary {
  /** Of the store, when it was asked. */
  revision: number;
  epoch: string;
  /** Milliseconds: when it was asked, and until when it will do although something has changed. */
  until: number;
  value: Promise<unknown>;
}

/**
 * What is counted over all runs: it costs what there are of them, and each answer is good until something changes. Where
 * there are very many, it may be a little old.
 */
export class Summaries {
  readonly #engine: Engine;
  readonly #kept = new Map<string, Summary>();

  constructor(engine: Engine) {
    this.#engine = engine;
  }

  /** @param name tells all that the answer depends on but the data */
  async of<T>(name: string, question: () => Question<T>): Promise<T> {
    const { epoch, revision } = await this.#engine.answer(nowCursor());
    const known = this.#kept.get(name);
    if (known !== undefined && known.epoch === epoch) {
      if (known.revision === revision || performance.now() < known.until) return known.value as Promise<T>;
    }
    const began = performance.now();
    const value = this.#engine.answer(question());
    const summary: Summary = { revision, epoch, until: 0, value };
    this.#kept.delete(name);
    if (this.#kept.size >= KEPT) this.#kept.delete(this.#kept.keys().next().value ?? '');
    this.#kept.set(name, summary);
    try {
      await value;
      const ended = performance.now();
      const took = ended - began;
      if (took > SLOW_MS) summary.until = ended + Math.min(OLDEST_MS, took / SHARE);
    } catch (error) {
      if (this.#kept.get(name) === summary) this.#kept.delete(name);
      throw error;
    }
    return value;
  }
}
