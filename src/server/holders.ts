import type { ServerOptions } from './options.ts';

/** How long a held server waits for its first holder, in milliseconds. */
const FIRST_HOLDER_MS = 30_000;

/**
 * Those that a held server lives for: each keeps one request open. When the last one goes, however it goes, the server
 * is released.
 */
export interface Holders {
  /** @returns what is to be called when the holder has gone */
  add(): () => void;
  close(): void;
}

export function holdersOf({ held, released }: ServerOptions): Holders {
  let holding = 0;
  const release = () => {
    if (held && holding === 0) released?.();
  };
  const first = held ? setTimeout(release, FIRST_HOLDER_MS) : undefined;
  return {
    add() {
      clearTimeout(first);
      holding += 1;
      let gone = false;
      return () => {
        if (gone) return;
        gone = true;
        holding -= 1;
        release();
      };
    },
    close: () => clearTimeout(first),
  };
}
