import type { RetryRules } from '../sync/http-exchange.ts';
import { RememberedSpace } from '../sync/remembered-space.ts';
import type { Space } from '../sync/space.ts';
import type { Context, Project } from './context.ts';
import { openRemote, type Remote } from './remotes.ts';

/** Whoever pushes again and again soon hears of a network that is dead, and then waits by rules of its own. */
const RETRY: RetryRules = { attempts: 4, baseMs: 150, capMs: 1000 };

/** The remote of a live push, from one push to the next: its connection, and what it acknowledged. Must be closed. */
export class KeptRemote {
  readonly #context: Context;
  readonly #project: Project;
  #space: Space | null = null;
  /** What was opened. */
  #what = '';

  constructor(context: Context, project: Project) {
    this.#context = context;
    this.#project = project;
  }

  /** The remote as it is written down now. @throws WaddleError as `openRemote` */
  async open(remote: Remote): Promise<Space> {
    const what = JSON.stringify(remote);
    if (this.#space !== null && what === this.#what) return this.#space;
    await this.close();
    const space = await openRemote(this.#context, this.#project, remote, { retry: RETRY });
    // A shared folder is looked at for nothing.
    this.#space = remote.url.startsWith('http') ? new RememberedSpace(space) : space;
    this.#what = what;
    return this.#space;
  }

  /** After a failure too: then the next `open` finds out anew. */
  async close(): Promise<void> {
    const space = this.#space;
    this.#space = null;
    await space?.close();
  }
}
