import type { DirectBlobs } from '../sync/direct-blobs.ts';
import type { BlobPart, JournalPiece, PackPart, PartResult, PieceResult, Space } from '../sync/space.ts';
import type { Usage } from './backend.ts';
import { samplesIn } from './piece-lines.ts';
import type { Quota } from './registry.ts';

/** A limit, and what it is counted over: one project, or null for all of the space. */
export interface Limit {
  project: string | null;
  quota: Quota;
}

/** Refuses what would be too much. What a space holds is asked for, never counted along: a count drifts. */
export class QuotaSpace implements Space {
  readonly #inner: Space;
  readonly #limits: readonly Limit[];
  readonly #usage: (project: string | null) => Promise<Usage>;

  constructor(inner: Space, limits: readonly Limit[], usage: (project: string | null) => Promise<Usage>) {
    this.#inner = inner;
    this.#limits = limits;
    this.#usage = usage;
  }

  async writeJournals(pieces: readonly JournalPiece[]): Promise<PieceResult[]> {
    const room = await this.#room();
    const fit = pieces.map(({ bytes }) => room.take(bytes.length, room.counts ? samplesIn(bytes) : 0));
    const written = await this.#inner.writeJournals(pieces.filter((_, index) => fit[index]));
    let next = 0;
    return pieces.map(({ run, writer, offset, before }, index) => {
      const result = fit[index] ? written[next++] : undefined;
      return (
        result ?? {
          run,
          writer,
          length: offset,
          root: before,
          ok: false,
          code: 'quota-exceeded',
          message: room.why,
        }
      );
    });
  }

  async writeBlobs(parts: readonly BlobPart[]): Promise<PartResult[]> {
    return this.#parts(parts, (fit) => this.#inner.writeBlobs(fit));
  }

  async writeTrees(parts: readonly PackPart[]): Promise<PartResult[]> {
    return this.#parts(parts, (fit) => this.#inner.writeTrees(fit));
  }

  async #parts<T extends BlobPart | PackPart>(
    parts: readonly T[],
    write: (fit: readonly T[]) => Promise<PartResult[]>,
  ): Promise<PartResult[]> {
    const room = await this.#room();
    // The whole of it must fit, or nothing of it is begun.
    const fit = new Set(
      parts.filter((part) => room.fits(part.size - part.offset) && room.take(part.bytes.length, 0)),
    );
    const written = fit.size === 0 ? [] : await write(parts.filter((part) => fit.has(part)));
    let next = 0;
    return parts.map((part) => {
      const result = fit.has(part) ? written[next++] : undefined;
      return (
        result ?? {
          received: part.offset,
          stored: false,
          ok: false,
          code: 'quota-exceeded',
          message: room.why,
        }
      );
    });
  }

  async #room(): Promise<Room> {
    const counted: Counted[] = [];
    for (const limit of this.#limits)
      counted.push({ ...limit, usage: { ...(await this.#usage(limit.project)) } });
    return new Room(counted);
  }

  get direct(): DirectBlobs | null {
    const { direct } = this.#inner;
    if (!direct) return null;
    return {
      ...direct,
      begin: async (run, blob) => {
        const begun = await direct.begin(run, blob);
        // An upload counts from its beginning on, so that of two at once none passes by the other.
        if (!begun.ok || begun.upload === null || begun.received > 0) return begun;
        const room = await this.#room();
        if (room.fits(0)) return begun;
        await direct.drop(run, begun.upload);
        return { ok: false, code: 'quota-exceeded', message: room.why };
      },
    };
  }

  compare: Space['compare'] = (...asked) => this.#inner.compare(...asked);
  list: Space['list'] = (...asked) => this.#inner.list(...asked);
  states: Space['states'] = (...asked) => this.#inner.states(...asked);
  readJournals: Space['readJournals'] = (...asked) => this.#inner.readJournals(...asked);
  missingBlobs: Space['missingBlobs'] = (...asked) => this.#inner.missingBlobs(...asked);
  readBlob: Space['readBlob'] = (...asked) => this.#inner.readBlob(...asked);
  missingTrees: Space['missingTrees'] = (...asked) => this.#inner.missingTrees(...asked);
  readTrees: Space['readTrees'] = (...asked) => this.#inner.readTrees(...asked);
  /** It is not this one's to close. */
  async close(): Promise<void> {}
}

interface Counted extends Limit {
  usage: Usage;
}

/** What may still be written. */
class Room {
  readonly #limits: Counted[];
  /** Samples are limited too. */
  readonly counts: boolean;
  why = '';

  constructor(limits: Counted[]) {
    this.#limits = limits;
    this.counts = limits.some(({ quota }) => quota.samples !== null);
  }

  fits(bytes: number, samples = 0): boolean {
    for (const { quota, usage, project } of this.#limits) {
      const what = project === null ? 'this space' : `the project ${project}`;
      if (quota.bytes !== null && usage.bytes + bytes > quota.bytes) {
        this.why = `${what} may hold ${quota.bytes} bytes, and holds ${usage.bytes}`;
        return false;
      }
      if (quota.samples !== null && usage.samples + samples > quota.samples) {
        this.why = `${what} may hold ${quota.samples} samples, and holds ${usage.samples}`;
        return false;
      }
    }
    return true;
  }

  take(bytes: number, samples: number): boolean {
    if (!this.fits(bytes, samples)) return false;
    for (const { usage } of this.#limits) {
      usage.bytes += bytes;
      usage.samples += samples;
    }
    return true;
  }
}
