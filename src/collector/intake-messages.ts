/** What a collector and its thread that takes in say to each other. */
import type { ObjectsPlace } from '../blobs/objects-place.ts';
import { WaddleError } from '../errors/waddle-error.ts';
import type { PackedPiece } from '../protocol/piece-frames.ts';
import type { JournalPiece } from '../sync/space.ts';

/** What the thread begins with. */
export interface IntakeBeginning {
  database: string;
  connections: number;
  objects: ObjectsPlace;
}

/** What it is asked; each is answered. */
export type IntakeTask =
  /** The texts of pieces, of `most` bytes together. */
  | { kind: 'unpack'; pieces: PackedPiece[]; most: number }
  /** Receives pieces: durable when it is answered. */
  | { kind: 'write'; space: string; pieces: readonly JournalPiece[] }
  /** Takes in what has come of a run, at once. */
  | { kind: 'now'; space: string; run: string };

export type ToIntake =
  /** Takes in what comes of a space, from here on. Its schema is there. */
  | { kind: 'space'; space: string }
  | { kind: 'task'; id: number; task: IntakeTask }
  /** Somebody has received something of a space; of any where it is null. */
  | { kind: 'work'; space: string | null }
  /** Finishes what it is at, and ends. */
  | { kind: 'close' };

export type FromIntake =
  | { kind: 'failed'; error: ToldError }
  | { kind: 'done'; id: number; answer: unknown }
  | { kind: 'undone'; id: number; error: ToldError };

/** An error as another thread can be told it, which knows no classes of ours. */
export interface ToldError {
  message: string;
  stack: string | undefined;
  waddle: { code: string; hint: string; exitCode: 1 | 2 } | null;
}

export function tellError(error: unknown): ToldError {
  if (!(error instanceof Error)) return { message: String(error), stack: undefined, waddle: null };
  const { message, stack } = error;
  if (!(error instanceof WaddleError)) return { message, stack, waddle: null };
  const { code, hint, exitCode } = error;
  return { message, stack, waddle: { code, hint, exitCode } };
}

export function heardError({ message, stack, waddle }: ToldError): Error {
  const error =
    waddle === null
      ? new Error(message)
      : new WaddleError(waddle.code, message, waddle.hint, { exitCode: waddle.exitCode });
  if (stack !== undefined) error.stack = stack;
  return error;
}
