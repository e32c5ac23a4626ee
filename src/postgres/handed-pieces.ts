import type { ReceivedPieces } from './team-journals.ts';

/** Plain bytes that are held at most; what is more is read from where it was received to. */
const MOST_BYTES = 16 * 1024 * 1024;
/** Plain bytes that are handed on at a time, but for one piece that alone is longer. */
const AT_ONCE_BYTES = 2 * 1024 * 1024;

/** A run's row in `work`. */
export interface WorkMark {
  since: string;
  version: number;
}

/** All that came of a run from one version of its row in `work` to another, in order. */
export interface Handed {
  since: string;
  to: number;
  pieces: ReceivedPieces['pieces'];
}

/**
 * What a collector has received and not taken in yet, so that it need not read it again. It may lack what others received: only
 * what follows, version by version, on all that is taken in is handed on.
 */
export class HandedPieces {
  readonly #held = new Map<string, { since: string; versions: Map<number, ReceivedPieces['pieces']> }>();
  /** Of runs whose row is still there: as far as it is taken in. */
  readonly #done = new Map<string, WorkMark>();
  #bytes = 0;

  add({ run, since, version, pieces }: ReceivedPieces): void {
    const bytes = bytesOf(pieces);
    if (this.#bytes + bytes > MOST_BYTES) return;
    let held = this.#held.get(run);
    if (held !== undefined && held.since !== since) {
      this.forget(run);
      held = undefined;
    }
    if (held === undefined) {
      held = { since, versions: new Map() };
      this.#held.set(run, held);
    }
    held.versions.set(version, pieces);
    this.#bytes += bytes;
  }

  has(run: string): boolean {
    return this.#held.has(run);
  }

  /** What is to be taken in next; null where that is not here, or not known to be. */
  take(run: string): Handed | null {
    const held = this.#held.get(run);
    if (held === undefined) return null;
    const done = this.#done.get(run);
    const before = done?.since === held.since ? done.version : 0;
    const handed: Handed = { since: held.since, to: before, pieces: [] };
    let bytes = 0;
    for (
      let next = held.versions.get(before + 1);
      next !== undefined;
      next = held.versions.get(handed.to + 1)
    ) {
      const length = bytesOf(next);
      if (handed.pieces.length > 0 && bytes + length > AT_ONCE_BYTES) break;
      bytes += length;
      handed.to += 1;
      handed.pieces.push(...next);
    }
    this.#drop(run, handed.to);
    return handed.pieces.length === 0 ? null : handed;
  }

  /**
   * @param work the row as far as it is taken in; null where there was none
   * @param gone the row is, because there was nothing more
   */
  taken(run: string, work: WorkMark | null, gone: boolean): void {
    if (work === null || gone) this.#done.delete(run);
    else this.#done.set(run, work);
    if (work !== null && this.#held.get(run)?.since === work.since) this.#drop(run, work.version);
  }

  /** Holds nothing of the run any more up to this version. */
  #drop(run: string, to: number): void {
    const held = this.#held.get(run);
    for (const [version, pieces] of held?.versions ?? []) {
      if (version > to) continue;
      this.#bytes -= bytesOf(pieces);
      held?.versions.delete(version);
    }
    if (held?.versions.size === 0) this.#held.delete(run);
  }

  /** Nothing is known of it any more. */
  forget(run: string): void {
    this.#drop(run, Number.POSITIVE_INFINITY);
    this.#done.delete(run);
  }
}

function bytesOf(pieces: ReceivedPieces['pieces']): number {
  return pieces.reduce((sum, { bytes }) => sum + bytes.length, 0);
}
