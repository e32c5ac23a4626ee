/** Debian's Chromium at 1440×900, with the probe in every page, and what is asked of it. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { BrowserContext, CDPSession, Page } from 'playwright-core';
import { findChromium, openBrowser } from '../../test/support/chromium.ts';

const PROBE = join(import.meta.dirname, 'probe.js');

export interface Drawn {
  panels: number;
  /** When the last chart in view was painted for the first time, and for the last, in milliseconds of the page's clock. */
  first: number;
  last: number;
  /** When the user last did something. */
  marked: number;
}

/** A page that was just opened, and how to measure it. */
export interface Watched {
  page: Page;
  session: CDPSession;
  /** Waits until all charts in view are drawn; with `live`, though they go on changing. */
  drawn(live?: 'live'): Promise<Drawn>;
  ask<T>(expression: string): Promise<T>;
  /** Bytes of the JavaScript heap, array buffers included. */
  heap(): Promise<number>;
  /** Milliseconds of the main thread so far. */
  busy(): Promise<number>;
  /** The longest task so far (0: none of 50 ms or more), in milliseconds. */
  blocked(): Promise<number>;
  close(): Promise<void>;
}

export class Browser {
  readonly #context: BrowserContext;
  readonly #profiles: string | undefined;

  private constructor(context: BrowserContext, profiles: string | undefined) {
    this.#context = context;
    this.#profiles = profiles;
  }

  /** `profiles`: where CPU profiles go. */
  static async open(profiles: string | undefined, size?: { height: number }): Promise<Browser> {
    const found = findChromium();
    if ('missing' in found) throw new Error(found.missing);
    const context = await openBrowser(found.path, size);
    await context.addInitScript({ path: PROBE });
    return new Browser(context, profiles);
  }

  /** `before`: what listens to the page from its first request on. `profile`: a name for the profile of what follows. */
  async visit(url: string, profile?: string, before?: (page: Page) => void): Promise<Watched> {
    const page = await this.#context.newPage();
    before?.(page);
    const session = await this.#context.newCDPSession(page);
    await session.send('Performance.enable');
    const profiling = this.#profiles !== undefined && profile !== undefined;
    if (profiling) {
      await session.send('Profiler.enable');
      await session.send('Profiler.setSamplingInterval', { interval: 500 });
      await session.send('Profiler.start');
    }
    await page.goto(url, { waitUntil: 'commit' });
    const ask = <T>(expression: string) => page.evaluate<T>(expression);
    return {
      page,
      session,
      ask,
      async drawn(live) {
        const deadline = performance.now() + 60_000;
        for (;;) {
          const before = await ask<Drawn | null>('bench.drawn()');
          if (live && before !== null) return before;
          await sleep(300);
          // Twice the same: nothing is on its way any more.
          const after = await ask<Drawn | null>('bench.drawn()');
          if (after !== null && before?.last === after.last && before.panels === after.panels) return after;
          if (performance.now() > deadline)
            throw new Error(`the charts of ${url.slice(0, 80)} are not drawn`);
        }
      },
      async heap() {
        const use: { usedSize: number; backingStorageSize?: number } =
          await session.send('Runtime.getHeapUsage');
        return use.usedSize + (use.backingStorageSize ?? 0);
      },
      async busy() {
        const { metrics } = await session.send('Performance.getMetrics');
        return (metrics.find(({ name }) => name === 'TaskDuration')?.value ?? Number.NaN) * 1000;
      },
      async blocked() {
        return Math.max(0, ...(await ask<[number, number][]>('bench.blocked')).map(([, long]) => long));
      },
      close: async () => {
        if (profiling) {
          const { profile: taken } = await session.send('Profiler.stop');
          writeFileSync(join(this.#profiles ?? '', `${profile}.cpuprofile`), JSON.stringify(taken));
        }
        await page.close();
      },
    };
  }

  close(): Promise<void> {
    return this.#context.close();
  }
}
