/** The page by axe: names, roles, contrast, landmarks, in light and dark. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { BrowserContext, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { findChromium, openBrowser } from './support/chromium.ts';
import { freePort, Sandbox, until, WADDLE } from './support/sandbox.ts';

const found = findChromium();
if ('missing' in found) console.warn(`The page is not tested: ${found.missing}`);
const executable = 'path' in found ? found.path : '';
const axe = readFileSync(fileURLToPath(import.meta.resolve('axe-core/axe.min.js')), 'utf8');

const JOB = `
import sys, waddle
waddle.log_params({"lr": 0.1, "model": {"name": "mlp"}})
waddle.log_tag("team", "vision")
for step in range(20):
    waddle.log({"train/loss": 1 / (1 + step), "val/loss": 2 / (1 + step), "rate": step}, step=step)
print("\\x1b[32mgreen\\x1b[0m")
print("a warning", file=sys.stderr)
with open("made.csv", "w") as file:
    file.write("a,b\\n1,2\\n")
waddle.log_artifact("table.csv", "made.csv")
if len(sys.argv) > 1:
    raise ValueError("it went wrong")
`;

interface Violation {
  id: string;
  nodes: { target: string[] }[];
}

describe.skipIf('missing' in found)('the page for everyone', { retry: 1, timeout: 240_000 }, () => {
  const box = new Sandbox();
  const ids: string[] = [];
  let port = 0;

  beforeAll(async () => {
    box.write('job.py', JOB);
    box.waddle('run', '--name', 'good', '--notes', '# Why\n\nSee `val/loss`.', '--', 'python3', 'job.py');
    box.waddle('run', '--name', 'bad', '--', 'python3', 'job.py', 'fail');
    ids.push(...box.json<{ id: string }[]>('ls').map(({ id }) => id));
    port = await freePort();
    box.start(WADDLE, ['serve', '--port', String(port)]);
    await until(async () => {
      const answer = await fetch(`http://127.0.0.1:${port}/api/health`).catch(() => null);
      return answer?.ok === true;
    }, 'it serves');
  });
  afterAll(() => box.remove());

  /** What is wrong with what is shown, as `rule: element`. */
  async function faults(page: Page, rules?: readonly string[]): Promise<string[]> {
    const options = { resultTypes: ['violations'], ...(rules && { runOnly: rules }) };
    const { violations } = await page.evaluate<{ violations: Violation[] }>(
      `axe.run(document, ${JSON.stringify(options)})`,
    );
    return violations.flatMap(({ id, nodes }) => nodes.map(({ target }) => `${id}: ${target.join(' ')}`));
  }

  /** Every view: its address, and what tells that it is there. */
  const views = (): [path: string, ready: string, act?: (page: Page) => Promise<unknown>][] => {
    const [bad = '', good = ''] = ids;
    return [
      ['/?rail=700', '.plot[data-end]'],
      ['/?group=status', '.group-line'],
      ['/?find=lr+%3E%3E', '.filter-error'],
      ['/', '.plot[data-end]', (page) => page.keyboard.press('?')],
      ['/', '.plot[data-end]', (page) => page.keyboard.press('Control+k')],
      ['/', '.plot[data-end]', (page) => page.getByRole('button', { name: 'Columns' }).click()],
      ['/', '.plot[data-end]', (page) => page.getByRole('button', { name: 'Chart settings' }).click()],
      [`/runs/${bad}`, '.problem'],
      [`/runs/${good}`, '.markdown'],
      [`/runs/${good}/charts`, '.plot[data-end]'],
      [`/runs/${good}/console`, '.console-line'],
      [`/runs/${good}/artifacts`, '.csv'],
      [`/runs/${good}/code`, '.code-side'],
      [`/runs/${good}/reproduce`, '.command'],
      [`/compare?runs=${ids.join()}`, '.compare-table'],
      [`/compare?runs=${ids.join()}&view=relations`, '.scatter svg'],
      ['/projects', 'main h1'],
    ];
  };

  it('holds still where the system asks for it', async () => {
    const browser = await openBrowser(executable);
    try {
      const page = await browser.newPage();
      await page.emulateMedia({ reducedMotion: 'reduce' });
      await page.goto(`http://127.0.0.1:${port}/`);
      await page.locator('.plot[data-end]').first().waitFor();
      const motion = await page.evaluate<[animation: string, duration: string][]>(`(() => {
        document.body.insertAdjacentHTML('beforeend', '<i class="status running"></i><i class="button"></i>');
        return [...document.querySelectorAll('body > i')].map((mark) => {
          const { animationName, transitionDuration } = getComputedStyle(mark);
          return [animationName, [...new Set(transitionDuration.split(', '))].join()];
        });
      })()`);
      expect(motion).toEqual([
        ['none', '0s'],
        ['none', '0s'],
      ]);
    } finally {
      await browser.close();
    }
  });

  it('has no fault that a machine can find, in light and dark', async () => {
    const browser: BrowserContext = await openBrowser(executable);
    try {
      const page = await browser.newPage();
      const all: string[] = [];
      for (const [path, ready, act] of views()) {
        // Without motion: a colour half way from one theme to the other is no colour of the page.
        await page.emulateMedia({ colorScheme: 'light', reducedMotion: 'reduce' });
        await page.goto(`http://127.0.0.1:${port}${path}`);
        await page.locator(ready).first().waitFor();
        if (act) {
          await act(page);
          await page.locator('[role="dialog"]').waitFor();
        }
        await page.evaluate(axe);
        all.push(...(await faults(page)).map((fault) => `${path} ${fault}`));
        // Only colours differ.
        await page.emulateMedia({ colorScheme: 'dark', reducedMotion: 'reduce' });
        await page.locator('html[data-theme="dark"]').waitFor({ state: 'attached' });
        all.push(...(await faults(page, ['color-contrast'])).map((fault) => `${path} dark ${fault}`));
      }
      expect(all).toEqual([]);
    } finally {
      await browser.close();
    }
  });
});
