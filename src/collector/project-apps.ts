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

  of(project: string | null): Promise<App> {
    let app = this.#asked.get(project);
    if (app === undefined) {
      app = this.#begin(project);
      this.#asked.set(project, app);
    }
    return app;
  }

  async #begin(project: string | null): Promise<App> {
    const app = await this.#build(project);
    await app.http.ready();
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
    for (const app of this.#open) await app.shared.hub.drain(DRAIN_MS);
    for (const app of this.#open) await app.close();
  }
}
