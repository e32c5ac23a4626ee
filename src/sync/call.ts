/** What every space holds to in one call, and how it says what became of it. */
import { WaddleError } from '../errors/waddle-error.ts';
import {
  type JournalMark,
  type JournalPiece,
  MAX_BODY_BYTES,
  MAX_PIECES,
  type PartCode,
  type PartResult,
  type PieceCode,
  type PieceResult,
} from './space.ts';

/** @throws WaddleError `body-too-large` where one call carries more than a space takes */
export function checkCall(items: readonly { bytes: Uint8Array }[]): void {
  if (items.length > MAX_PIECES) throw tooMuch(`more than ${MAX_PIECES} pieces`);
  let bytes = 0;
  for (const item of items) bytes += item.bytes.length;
  if (bytes > MAX_BODY_BYTES) throw tooMuch(`more than ${MAX_BODY_BYTES} bytes`);
}

function tooMuch(what: string): WaddleError {
  return new WaddleError('body-too-large', `${what} in one call`, 'Send them in several.');
}

/** Takes the parts of one call in turn: one may be what the next builds on. @throws WaddleError `body-too-large` */
export async function takeParts<T extends { bytes: Uint8Array }>(
  parts: readonly T[],
  take: (part: T) => Promise<PartResult>,
): Promise<PartResult[]> {
  checkCall(parts);
  const results: PartResult[] = [];
  for (const part of parts) results.push(await take(part));
  return results;
}

export function refusedPart(code: PartCode, message: string, received = 0): PartResult & { ok: false } {
  return { received, stored: false, ok: false, code, message };
}

/** @param there what the space has of the journal */
export function refusedPiece(
  { run, writer }: Pick<JournalPiece, 'run' | 'writer'>,
  code: PieceCode,
  message: string,
  { length, root }: JournalMark,
): PieceResult {
  return { run, writer, length, root, ok: false, code, message };
}

export function takenPiece(
  { run, writer }: Pick<JournalPiece, 'run' | 'writer'>,
  { length, root }: JournalMark,
): PieceResult {
  return { run, writer, length, root, ok: true };
}
