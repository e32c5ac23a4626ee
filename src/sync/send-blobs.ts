/** Artifacts' bytes from one space to another. */
import { type BlobMark, type BlobPart, MAX_BODY_BYTES, MAX_PIECES, type PartResult } from './space.ts';
import type { RunPair, Tally } from './transfer.ts';

/** A blob on its way for one run. */
interface Shipment extends BlobMark {
  run: string;
  /** Bytes that the other side has of it. */
  received: number;
  /** How often it was sent away: its manifest was not there yet, or a part was not the one that was due. */
  turns: number;
}

const MAX_TURNS = 4;
const MAX_NAMED = 1000;

/** Sends the blobs that are missing there, each once: a folder's manifest before its files. */
export async function sendBlobs(tally: Tally, pairs: readonly RunPair[]): Promise<void> {
  const { to } = tally.options;
  const sent = new Set<string>();
  let open: Shipment[] = [];
  for (const { run, source, target } of pairs) {
    const there = new Set(target?.blobs.map(({ sha256 }) => sha256));
    const wanted = source.blobs.filter(({ sha256 }) => !there.has(sha256));
    for (let at = 0; at < wanted.length; at += MAX_NAMED) {
      const asked = wanted.slice(at, at + MAX_NAMED);
      const missing = new Map(
        (await to.missingBlobs(run, asked)).map(({ sha256, received }) => [sha256, received]),
      );
      for (const { sha256, size } of asked) {
        const received = missing.get(sha256);
        // Another run of this call may bring it too; then this run only names it. Where that is not enough, the next call tells.
        if (received === undefined || sent.has(`${source.project} ${sha256}`)) continue;
        sent.add(`${source.project} ${sha256}`);
        open.push({ run, sha256, size, received, turns: 0 });
      }
    }
  }
  tally.begin(
    'artifacts',
    open.reduce((sum, { size, received }) => sum + size - received, 0),
  );
  let ready = await readParts(tally, open);
  while (ready.length > 0) {
    const busy = new Set(ready.map(({ shipment }) => shipment));
    // Of other blobs than those on the way, so that no answer can change what is read.
    const ahead = open.filter((each) => !busy.has(each));
    const [next, results] = await Promise.all([
      readParts(tally, ahead),
      to.writeBlobs(ready.map(({ part }) => part)),
    ]);
    const done = new Set<Shipment>();
    const later: Shipment[] = [];
    for (const [index, { shipment, part }] of ready.entries()) {
      const result = results[index];
      const fate = result === undefined ? 'done' : settle(tally, shipment, part, result);
      if (fate !== 'on') done.add(shipment);
      if (fate === 'later') later.push(shipment);
    }
    const gone = new Set(ahead.filter((each) => each.received < 0));
    open = [...open.filter((each) => !done.has(each) && !gone.has(each)), ...later];
    ready = next.length > 0 ? next : await readParts(tally, open);
  }
}

type Ready = { shipment: Shipment; part: BlobPart }[];

/** Parts of the first shipments, a body of them. A blob that is gone on this side is told of and passed over. */
async function readParts(tally: Tally, shipments: readonly Shipment[]): Promise<Ready> {
  const { from, signal } = tally.options;
  const ready: Ready = [];
  let room = MAX_BODY_BYTES;
  for (const shipment of shipments) {
    if (ready.length === MAX_PIECES || room <= 0) break;
    const { run, sha256, size, received } = shipment;
    if (received < 0) continue;
    // A part that would not fit whole is left to the next body, so that a blob's parts are as large as can be.
    if (ready.length > 0 && size - received > room) break;
    signal?.throwIfAborted();
    const bytes = await from.readBlob(run, sha256, received);
    if (bytes === null || (bytes.length === 0 && size > received)) {
      shipment.received = -1;
      tally.problem({ run, what: sha256, code: 'blob-missing', message: 'its bytes are not there any more' });
      continue;
    }
    const part = bytes.subarray(0, Math.min(bytes.length, size - received));
    ready.push({ shipment, part: { run, sha256, size, offset: received, bytes: part } });
    room -= part.length;
  }
  return ready;
}

function settle(
  tally: Tally,
  shipment: Shipment,
  part: BlobPart,
  result: PartResult,
): 'on' | 'later' | 'done' {
  const { report } = tally;
  const { run, sha256 } = shipment;
  if (result.ok) {
    report.runs.add(run);
    report.blobs.bytes += part.bytes.length;
    if (result.stored) report.blobs.count += 1;
    shipment.received = result.received;
    tally.moved(part.bytes.length);
    return result.stored ? 'done' : 'on';
  }
  shipment.turns += 1;
  if (shipment.turns < MAX_TURNS) {
    if (result.code === 'part-offset') {
      shipment.received = result.received;
      return 'on';
    }
    if (result.code === 'blob-not-named' && shipment.turns === 1) return 'later';
    // What had come before was of another mind: once more from the beginning.
    if (result.code === 'hash-mismatch' && part.offset > 0) {
      shipment.received = 0;
      return 'on';
    }
  }
  tally.problem({ run, what: sha256, code: result.code, message: result.message });
  return 'done';
}
