/**
 * Frames: the body of every sync request and answer that carries bytes (docs/remote.md). Each is a big-endian u32, the
 * length of a JSON header in UTF-8, and after the header as many bytes as its `bytes` says. Nothing is copied: payloads are
 * views of the body.
 */
import { WaddleError } from '../errors/waddle-error.ts';

export const FRAMES_TYPE = 'application/vnd.waddle.frames';

/** Frames in one body at most. */
export const MAX_FRAMES = 4096;
/** Bytes of one header at most: it holds names and hashes, and never what people wrote. */
const MAX_HEADER_BYTES = 16 * 1024;

const utf8 = new TextDecoder('utf-8', { fatal: true });

export interface Frame<H extends object = Record<string, unknown>> {
  /** All but `bytes`, which is the payload's length. */
  header: H;
  payload: Uint8Array;
}

/** The frames as pieces of one body, in order. */
export function encodeFrames(frames: Iterable<Frame<object>>): Uint8Array[] {
  const pieces: Uint8Array[] = [];
  const encoder = new TextEncoder();
  for (const { header, payload } of frames) {
    const text = encoder.encode(JSON.stringify({ ...header, bytes: payload.length }));
    const head = new Uint8Array(4 + text.length);
    new DataView(head.buffer).setUint32(0, text.length);
    head.set(text, 4);
    pieces.push(head);
    if (payload.length > 0) pieces.push(payload);
  }
  return pieces;
}

/** @throws WaddleError `frames-invalid` where the body is not whole frames, or holds more than `limit` of them */
export function decodeFrames(body: Uint8Array, limit = MAX_FRAMES): Frame[] {
  const frames: Frame[] = [];
  const view = new DataView(body.buffer, body.byteOffset, body.byteLength);
  for (let at = 0; at < body.length; ) {
    if (frames.length >= limit) throw invalid(`more than ${limit} frames`);
    if (body.length - at < 4) throw invalid('it ends in the length of a header');
    const length = view.getUint32(at);
    at += 4;
    if (length > MAX_HEADER_BYTES) throw invalid(`a header of ${length} bytes`);
    if (length > body.length - at) throw invalid('it ends in a header');
    const header = readHeader(body.subarray(at, at + length));
    at += length;
    const { bytes } = header;
    if (typeof bytes !== 'number' || !Number.isSafeInteger(bytes) || bytes < 0) {
      throw invalid('a header without a usable "bytes"');
    }
    if (bytes > body.length - at) throw invalid('it ends in a payload');
    frames.push({ header, payload: body.subarray(at, at + bytes) });
    at += bytes;
  }
  return frames;
}

function readHeader(bytes: Uint8Array): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(utf8.decode(bytes));
  } catch {
    throw invalid('a header that is not JSON');
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw invalid('a header that is no object');
  }
  return value as Record<string, unknown>;
}

function invalid(what: string): WaddleError {
  return new WaddleError(
    'frames-invalid',
    `the body is not made of whole frames: ${what}`,
    'See docs/remote.md for how frames are laid out.',
    { exitCode: 2 },
  );
}
