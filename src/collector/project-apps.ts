import type { App } from '../server/app.ts';

/** How long live clients of an application that ends may take what they have not got yet, in milliseconds. */
const DRAIN_MS = 2000;

/** The applications of a space: one of all of it (null), and one of each project that a token is kept to. Made when asked for. */
export class ProjectApps {
  readonly #build: (project: string | null) => Promise<App>;
  readonly #asked = new Map<string | null, Promise<App>>();
  readonly #open: App[] = [];

  constructor(build: (project: string | null) => Promise<App>) {
    this.#build = build;
  }

  async of(project: string | null): Promise<App> {
    let app = this.#asked.get(project);
    if (app === undefined) {
      app = this.#begin(project);
      this.#asked.set(project, app);
    }
    try {
      return await app;
    } catch (error) {
      // What failed, for want of a file handle or a database, may do the next time.
      if (this.#asked.get(project) === app) this.#asked.delete(project);
      throw error;
    }
  }

  async #begin(project: string | null): Promise<App> {
    const app = await this.#build(project);
    try {
      await app.http.ready();
    } catch (error) {
      await app.close();
      throw error;
    }
    this.#open.push(app);
    return app;
  }

  /** Those that are up. */
  get open(): readonly App[] {
    return this.#open;
  }

  /** Live clients of all of them. */
  live(): number {
    return this.#open.reduce((sum, app) => sum + app.shared.hub.size, 0);
  }

  async close(): Promise<void> {
    // One that is still being made is closed too.
    await Promise.allSettled(this.#asked.values());
    for (const app of this.#open) await app.shared.hub.drain(DRAIN_MS);
    for (const app of this.#open) await app.close();
  }
}
