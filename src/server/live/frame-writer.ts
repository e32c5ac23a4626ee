import { encodeNumber, parseExactJson, stringifyExactJson } from '../../events/line.ts';
import type { GapFrame, MetricFrame, ParamFrame, StatusFrame, TagFrame } from '../../protocol/api.ts';
import { type Question, type Row, type SampleColumns, samples } from '../../store/question.ts';
import { type Cursor, formatCursor, PHASES, type Place } from './cursor.ts';

/** A frame as text, and what it is about, for those who asked for less than everything. */
interface ReadyFrame {
  run: string;
  /** Null of a status. */
  key: string | null;
  text: string;
}

export interface Piece {
  frames: ReadyFrame[];
  /** Stands after these frames. */
  next: Cursor;
  /** There is more right now. */
  more: boolean;
}

/** A piece, or the gap that comes instead of it. */
export type PieceOrGap = { piece: Piece } | { gap: GapFrame; now: Cursor };

/** What comes before a frame's cursor: the order, and the run. */
export interface Meta {
  revision: number;
  place: Place;
  run: string;
  key: string | null;
  /** The frame but for its cursor. */
  fields: Omit<StatusFrame, 'cursor'> | Omit<ParamFrame, 'cursor'> | Omit<TagFrame, 'cursor'>;
}

export function statusMeta(row: Row): Meta {
  const run = String(row.id);
  const status = String(row.status) as StatusFrame['status'];
  const phase = status === 'running' ? PHASES.started : PHASES.ended;
  return {
    revision: Number(row.revision),
    place: { phase, a: Number(row.num), b: '' },
    run,
    key: null,
    fields: { type: 'status', run_id: run, status },
  };
}

export function fieldMeta(row: Row, kind: 'param' | 'tag'): Meta {
  const run = String(row.id);
  const key = String(row.key);
  const text = String(row.value);
  return {
    revision: Number(row.revision),
    place: { phase: PHASES[kind], a: Number(row.num), b: key },
    run,
    key,
    fields:
      kind === 'param'
        ? { type: 'param', run_id: run, key, value: parseExactJson(text) }
        : { type: 'tag', run_id: run, key, value: text },
  };
}

/** Of a row with a series' `run`, `key` and `t0`. */
export function ofSeries(row: Row): Pick<SampleFrames, 'run' | 'key' | 't0'> {
  return { run: String(row.run), key: String(row.key), t0: Number(row.t0) };
}

/** Samples `from` … `to` of a series, both ends included, as frames of a revision. */
export interface SampleFrames {
  revision: number;
  series: number;
  run: string;
  key: string;
  /** Milliseconds. */
  t0: number;
  from: number;
  to: number;
}

type Part = { kind: 'frame'; frame: ReadyFrame } | { kind: 'samples'; of: SampleFrames };

/** Gathers frames in order; the samples are asked for together, when the piece is whole. */
export class FrameWriter {
  readonly #epoch: string;
  readonly #history: boolean;
  readonly #parts: Part[] = [];
  #length = 0;
  #last: Cursor | undefined;

  constructor(epoch: string, history: boolean) {
    this.#epoch = epoch;
    this.#history = history;
  }

  /** Frames so far. */
  get length(): number {
    return this.#length;
  }

  #cursor(revision: number, place: Place): Cursor {
    return { epoch: this.#epoch, revision, place, history: this.#history };
  }

  meta(revision: number, { place, run, key, fields }: Meta): void {
    this.#last = this.#cursor(revision, place);
    const text = stringifyExactJson({ ...fields, cursor: formatCursor(this.#last) });
    this.#parts.push({ kind: 'frame', frame: { run, key, text } });
    this.#length += 1;
  }

  samples(of: SampleFrames): void {
    // Even where there is none: the reader must get on.
    this.#last = this.#cursor(of.revision, { phase: PHASES.sample, a: of.series, b: of.to });
    this.#parts.push({ kind: 'samples', of });
    this.#length += of.to - of.from + 1;
  }

  /** The frames; without `next` the reader stands after the last of them. */
  *piece(more: boolean, next: Cursor | undefined = this.#last): Question<Piece> {
    if (next === undefined) throw new Error('a piece without a frame');
    const ranges = this.#parts.flatMap((part) =>
      part.kind === 'samples' ? [{ series: part.of.series, from: part.of.from, to: part.of.to + 1 }] : [],
    );
    const read = yield* samples(ranges, { times: true });
    const frames: ReadyFrame[] = [];
    let at = 0;
    for (const part of this.#parts) {
      if (part.kind === 'frame') frames.push(part.frame);
      else this.#metricFrames(part.of, read[at++], frames);
    }
    return { frames, next, more };
  }

  #metricFrames(of: SampleFrames, columns: SampleColumns | undefined, frames: ReadyFrame[]): void {
    if (columns === undefined) return;
    const { revision, series, run, key, t0, from } = of;
    for (const [index, step] of columns.step.entries()) {
      const at = this.#cursor(revision, { phase: PHASES.sample, a: series, b: from + index });
      const frame: MetricFrame = {
        type: 'metric',
        run_id: run,
        key,
        step,
        value: encodeNumber(columns.value[index] ?? Number.NaN),
        ts: (t0 + (columns.dt[index] ?? 0)) / 1000,
        cursor: formatCursor(at),
      };
      frames.push({ run, key, text: JSON.stringify(frame) });
    }
  }
}
