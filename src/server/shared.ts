import type { Engine } from '../store/question.ts';
import type { Editor } from './edits.ts';
import type { Holders } from './holders.ts';
import type { LiveHub } from './live/hub.ts';
import type { ServerOptions } from './options.ts';

/** What the routes share. */
export interface Shared {
  options: ServerOptions;
  engine: Engine;
  hub: LiveHub;
  editor: Editor;
  holders: Holders;
  /** Epoch seconds. */
  startedAt: number;
}
