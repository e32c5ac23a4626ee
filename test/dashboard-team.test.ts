/** The page that a collector serves, in a real Chromium. */
import { join } from 'node:path';
import type { BrowserContext } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { TestCollector, testRun } from './collector-fixture.ts';
import { findChromium, openBrowser } from './support/chromium.ts';
import { until } from './support/sandbox.ts';

const found = findChromium();
if ('missing' in found) console.warn(`The page is not tested: ${found.missing}`);
const executable = 'path' in found ? found.path : '';

describe.skipIf('missing' in found)('the page of a collector', { retry: 1 }, () => {
  const collector = new TestCollector();
  let browser: BrowserContext;

  beforeAll(async () => {
    await collector.start({ dashboard: join(import.meta.dirname, '../dist/dashboard') });
    browser = await openBrowser(executable);
  });
  afterAll(async () => {
    await browser?.close();
    await collector.remove();
  });

  it('asks for a token, shows projects and people, says whose token it is, and lets back in who lost theirs', async () => {
    const token = await collector.token({ space: 'lab', scope: 'read', name: 'for reading' });
    const space = await collector.space(await collector.token({ space: 'lab' }));
    const { journal } = testRun('cats', { k: 'm', s: 0, v: { loss: 1 } }, { k: 'm', s: 1, v: { loss: 0.5 } });
    const other = testRun('dogs', { k: 'm', s: 0, v: { loss: 2 } });
    await space.writeJournals([journal.piece(), other.journal.piece()]);

    const page = await browser.newPage();
    await page.goto(collector.url);
    await page.getByLabel('Your token').fill('waddle_wrong');
    await page.getByRole('button', { name: 'Open' }).click();
    await page.getByRole('alert').waitFor();
    await page.getByLabel('Your token').fill(token);
    await page.getByRole('button', { name: 'Open' }).click();

    await page.getByRole('link', { name: 'Projects' }).click();
    await page.getByText('2 runs of').waitFor();
    await page.getByRole('link', { name: 'cats' }).click();
    await page.locator('[data-metric="loss"] .plot[data-end="1"]').waitFor();
    expect(await page.locator('.run-line').count()).toBe(1);
    await page.getByRole('button', { name: 'Runs of all projects' }).click();
    await until(async () => (await page.locator('.run-line').count()) === 2, 'all runs are listed');
    await page.getByRole('button', { name: 'People' }).click();
    await page.getByText('Group by person', { exact: true }).click();
    await page.locator('.group-line').first().waitFor();
    await page.getByRole('button', { name: 'Your token' }).click();
    for (const text of ['lab', 'All of the space', 'Reads', 'for reading'])
      await page.locator('.account').getByText(text, { exact: true }).waitFor();
    await page.keyboard.press('Escape');

    await page.getByRole('link', { name: 'Runs', exact: true }).click();
    await page.locator('.run-name').first().click();
    await page.getByText('last heard from').waitFor();
    await page.locator('.run-head .status.running.unheard').waitFor();
    // The token only reads: nothing is offered that the collector would refuse.
    await page.getByRole('heading', { name: 'Details' }).waitFor();
    for (const name of ['Stop', 'Write a note', 'Add a tag', 'More for this run'])
      expect([name, await page.getByRole('button', { name, exact: true }).count()]).toEqual([name, 0]);

    await browser.clearCookies();
    await page.getByRole('link', { name: 'Projects' }).click();
    const card = page.getByRole('dialog', { name: 'Sign in' });
    await card.getByLabel('Token').fill('waddle_wrong');
    await card.getByRole('button', { name: 'Open' }).click();
    await card.getByRole('alert').waitFor();
    await card.getByLabel('Token').fill(token);
    await card.getByRole('button', { name: 'Open' }).click();
    await card.waitFor({ state: 'detached' });
    await page.getByText('2 runs of').waitFor();
    await page.close();
    expect(collector.bugs).toEqual([]);
  });
});
