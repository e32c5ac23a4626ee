import { afterMetrics } from '../events/metric-lines.ts';
import type { JournalPiece } from './space.ts';

const NEWLINE = 10;

/**
 * The lines of a piece that are not metrics': where each begins, and where its newline is. Of a piece that does not end with a
 * newline, the last line ends where the piece does.
 */
export function* otherLines({
  bytes,
  others,
}: Pick<JournalPiece, 'bytes' | 'others'>): Generator<[from: number, end: number]> {
  const spans = others ?? [0, bytes.length];
  for (let span = 0; span + 1 < spans.length; span += 2) {
    const to = spans[span + 1] ?? 0;
    for (let at = spans[span] ?? 0; ; ) {
      at = afterMetrics(bytes, at, to);
      if (at >= to) break;
      const newline = bytes.indexOf(NEWLINE, at);
      const end = newline === -1 || newline >= to ? to : newline;
      yield [at, end];
      at = end + 1;
    }
  }
}
