/** Pieces of journals as frames: as they are, or in columns where both ends know them and they are shorter. */
import { decodeColumns } from './decode-columns.ts';
import { encodeColumns } from './encode-columns.ts';
import type { Frame } from './frames.ts';

/** What an end says in its `encodings` that it takes. */
export const COLUMNS = 'columns';

/** Shorter pieces gain nothing. */
const SMALL_BYTES = 1024;

/** A frame of a piece, of which only the encoding matters. */
export type PackedPiece = Frame<Encoded>;

interface Encoded {
  encoding?: string | undefined;
  /** Bytes of the text. */
  plain?: number | undefined;
}

export function packPiece<H extends object>(
  header: H,
  bytes: Uint8Array,
  columns: boolean,
): Frame<H & Encoded> {
  if (columns && bytes.length >= SMALL_BYTES) {
    const body = encodeColumns(bytes);
    if (body.length < bytes.length * 0.8) {
      return { header: { ...header, encoding: COLUMNS, plain: bytes.length }, payload: body };
    }
  }
  return { header, payload: bytes };
}

export interface UnpackedPiece {
  bytes: Uint8Array;
  /** Places in them, by pairs, outside of which there are only metrics' lines; not given where that is not known. */
  others?: readonly number[] | undefined;
}

/**
 * The text of a piece.
 * @param most bytes that it may have
 * @throws WaddleError `columns-invalid`
 */
export function unpackPiece({ header, payload }: Frame<Encoded>, most: number): UnpackedPiece {
  if (header.encoding !== COLUMNS) return { bytes: payload };
  const { text, others } = decodeColumns(payload, most);
  return { bytes: text, others };
}

/** The texts of pieces, of `most` bytes together. */
export function unpackPieces(pieces: readonly PackedPiece[], most: number): UnpackedPiece[] {
  let room = most;
  return pieces.map((piece) => {
    const unpacked = unpackPiece(piece, room);
    room -= unpacked.bytes.length;
    return unpacked;
  });
}
