import { type FSWatcher, watch } from 'node:fs';

/** Milliseconds after which a folder is looked at although nothing was told: network disks tell nothing. */
const POLL = 500;
/** Milliseconds that changes are gathered for. */
const GATHER = 40;

/** Waits for something to change in a folder. */
export interface FolderWatch {
  /** Resolves when something has changed since the last call, or it is time to look anyway. */
  changed(): Promise<void>;
  close(): void;
}

export function watchFolder(folder: string): FolderWatch {
  let dirty = false;
  let wake: (() => void) | undefined;
  let watcher: FSWatcher | undefined;
  try {
    watcher = watch(folder, () => {
      dirty = true;
      wake?.();
    });
    watcher.on('error', () => watcher?.close());
  } catch {
    // No more watches to be had, or the folder is gone: looking now and then must do.
  }
  return {
    async changed() {
      if (!dirty) {
        await new Promise<void>((resolve) => {
          wake = resolve;
          setTimeout(resolve, POLL);
        });
      }
      await new Promise((resolve) => setTimeout(resolve, GATHER));
      dirty = false;
    },
    close: () => watcher?.close(),
  };
}
