import type { BrowserContext, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { findChromium, openBrowser } from './support/chromium.ts';
import { ended, freePort, Sandbox, until, WADDLE } from './support/sandbox.ts';

const found = findChromium();
if ('missing' in found) console.warn(`The page is not tested: ${found.missing}`);
const executable = 'path' in found ? found.path : '';

const HOSTILE = '<img src=x onerror=document.title=`hacked`><script>document.title=`hacked`</script>';
const HOSTILE_JOB = `
import sys, waddle
bad = ${JSON.stringify(HOSTILE)}
waddle.log_param(bad, {bad: bad})
waddle.log_tag("tag", bad)
waddle.log({bad: 1.0, "loss": 2.0}, step=1)
print(bad + "\\x1b]8;;javascript:document.title='hacked'\\x07link\\x1b]8;;\\x07")
print(bad, file=sys.stderr)
def keep(name, text):
    with open("made", "w") as file:
        file.write(text)
    waddle.log_artifact(name, "made")
keep("page.html", "<script>parent.document.title='hacked'</script><h1>page</h1>")
keep("drawing.svg", '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9" onload="document.title=\`hacked\`"/>')
keep("data.json", '{"' + bad.replace('"', "") + '": ["' + bad.replace('"', "") + '"]}')
keep("table.csv", "a,b\\n" + bad + ",2\\n")
keep("notes.md", bad + " [x](javascript:document.title=1) [y](https://example.com)")
raise ValueError(bad)
`;

const PLAIN_JOB = `
import os, waddle
lr = float(os.environ["LR"])
waddle.log_params({"optimizer": {"lr": lr, "name": "adam"}, "epochs": 3, "big": 12345678901234567890})
for step in range(50):
    waddle.log({"train/loss": lr / (1 + step), "val/accuracy": 1 - lr}, step=step)
for line in range(3000):
    print("line", line)
`;

// Pointers and paint on a loaded machine: one more try, and then it is a failure.
describe.skipIf('missing' in found)('a run and a comparison in a real browser', { retry: 1 }, () => {
  let box: Sandbox;
  let port: number;
  let browser: BrowserContext;
  let page: Page;
  let complaints: string[];

  beforeAll(async () => {
    browser = await openBrowser(executable);
  });
  afterAll(async () => {
    await browser?.close();
  });
  beforeEach(async () => {
    box = new Sandbox();
    port = await freePort();
    page = await browser.newPage();
    complaints = [];
    page.on('pageerror', (error) => complaints.push(String(error)));
    page.on('dialog', (dialog) => {
      complaints.push(`dialog ${dialog.message()}`);
      void dialog.dismiss();
    });
    page.on('console', (message) => {
      // That the sandbox of a hostile artifact held is no complaint.
      if (message.type() === 'error' && !/ERR_CONNECTION|WebSocket|sandboxed|404/.test(message.text()))
        complaints.push(message.text());
    });
  });
  afterEach(async () => {
    await page.close();
    await box.remove();
  });

  async function serve() {
    const child = box.start(WADDLE, ['serve', '--port', String(port)]);
    await until(async () => {
      const answer = await fetch(`http://127.0.0.1:${port}/api/health`).catch(() => null);
      return answer?.ok === true;
    }, 'it serves');
    return child;
  }

  const url = (path = '/') => `http://127.0.0.1:${port}${path}`;
  const idOf = (name: string): string => {
    const run = box.json<{ id: string; name: string }[]>('ls').find((one) => one.name === name);
    if (run === undefined) throw new Error(`there is no run ${name}`);
    return run.id;
  };
  /** Runs a job to its end, and gives the run's id. */
  const ran = (name: string, job: string, command: string[] = ['python3', 'job.py']): string => {
    box.write('job.py', job);
    box.waddle('run', '--name', name, '--notes', `# Why\n\n${HOSTILE}`, '--', ...command);
    return idOf(name);
  };
  const plain = (name: string, lr: number): string =>
    ran(name, PLAIN_JOB, ['sh', '-c', `LR=${lr} python3 job.py`]);
  const show = (name: string) => page.getByRole('navigation').getByRole('link', { name }).first().click();

  it('keeps everything of a hostile run inert, on every page of it', async () => {
    const id = ran(HOSTILE, HOSTILE_JOB);
    await serve();
    await page.goto(url(`/runs/${id}`));
    await page.getByRole('heading', { name: HOSTILE }).waitFor();
    await page.getByRole('heading', { name: 'ValueError' }).waitFor();
    await page.getByText('Traceback (most recent call last)').waitFor();
    expect(await page.locator('img, iframe, .markdown script').count()).toBe(0);
    await show('Console');
    await page.locator('.console-line.stderr').first().waitFor();
    expect(await page.getByRole('log').innerText()).toContain(`${HOSTILE}link`);
    expect(await page.getByRole('log').locator('a, img').count()).toBe(0);
    for (const name of ['page.html', 'drawing.svg', 'data.json', 'table.csv', 'notes.md']) {
      await page.goto(url(`/runs/${id}/artifacts?artifact=${name}`));
      await page.getByRole('heading', { name }).waitFor();
      await page.locator('.preview, .preview-page, .csv').first().waitFor();
    }
    expect(
      await page.locator('.preview a').evaluateAll((links) => links.map((link) => link.getAttribute('href'))),
    ).toEqual(['https://example.com']);
    for (const tab of ['Charts', 'Code', 'Reproduce']) await show(tab);
    await page.getByText(`waddle reproduce ${id}`).waitFor();
    await page.goto(url(`/compare?runs=${id}`));
    await page.getByRole('link', { name: HOSTILE }).first().waitFor();
    expect(await page.title()).not.toContain('hacked');
    expect(complaints).toEqual([]);
  });

  it('is edited in place, follows the console while it grows, and stops the job', async () => {
    await serve();
    box.write(
      'job.py',
      'import time, waddle\nfor s in range(2000):\n    waddle.log({"loss": s}, step=s)\n    print("step", s, flush=True)\n    time.sleep(0.05)\n',
    );
    box.start(WADDLE, ['run', '--name', 'first', '--', 'python3', 'job.py']);
    await until(() => box.json<unknown[]>('ls').length > 0, 'it began');
    const id = idOf('first');
    await page.goto(url(`/runs/${id}`));
    await page.getByText('Running for').waitFor();
    await page.getByRole('button', { name: 'first', exact: true }).click();
    await page.getByRole('textbox', { name: 'Name of the run' }).fill('second');
    await page.keyboard.press('Enter');
    await page.getByRole('heading', { name: 'second' }).waitFor();
    await page.getByRole('button', { name: 'Add a tag' }).click();
    await page.keyboard.type('stage=warm up');
    await page.keyboard.press('Enter');
    await page.getByRole('button', { name: 'Remove the tag stage' }).waitFor();
    await page.getByRole('button', { name: 'Write a note' }).click();
    await page
      .getByRole('textbox', { name: 'Notes, in Markdown' })
      .fill('It **works**\n\n| run | acc |\n|-|-:|\n| a | 0.9 |');
    await page.getByRole('button', { name: 'Save' }).click();
    await page.locator('.markdown strong', { hasText: 'works' }).waitFor();
    await page.locator('.markdown td', { hasText: '0.9' }).waitFor();
    const kept = box.json<{ run: { name: string; notes: string }; tags: unknown }>('show', id);
    expect(kept).toMatchObject({
      run: { name: 'second', notes: expect.stringContaining('It **works**') },
      tags: { stage: 'warm up' },
    });

    await page.keyboard.press('3');
    const last = () => page.locator('.console-line').last().innerText();
    const stepOf = (text: string) => Number(/step (\d+)/.exec(text)?.[1] ?? -1);
    await page.locator('.console-line').first().waitFor();
    const begun = stepOf(await last());
    await until(async () => stepOf(await last()) > begun + 20, 'the console follows');
    const lines = (await page.locator('.console-text').allInnerTexts())
      .map(stepOf)
      .filter((step) => step >= 0);
    expect(lines).toEqual(lines.map((_, index) => (lines[0] ?? 0) + index));

    await page.getByRole('button', { name: 'Stop', exact: true }).click();
    await page.getByRole('button', { name: /Undo stop/ }).click();
    await page.getByRole('button', { name: 'Stop', exact: true }).click();
    await page.getByText('Stopped after').waitFor({ timeout: 30_000 });
    expect(complaints).toEqual([]);
  });

  it('reads a long console from its end, its beginning and by what is looked for', async () => {
    const id = plain('long', 0.1);
    await serve();
    await page.goto(url(`/runs/${id}/console`));
    await page.getByText('line 2999', { exact: true }).waitFor();
    expect(await page.locator('.console-line').count()).toBeLessThan(200);
    await page.keyboard.press('Home');
    await page.getByText('line 0', { exact: true }).waitFor();
    await page.keyboard.press('/');
    await page.keyboard.type('line 123');
    await page.getByText('11 lines found').waitFor();
    await until(() => page.url().includes('q=line+123'), 'the link has what is looked for');
    await page
      .getByRole('button', { name: /show it among its neighbours/ })
      .first()
      .click();
    await page.getByText('line 122', { exact: true }).waitFor();
    await page.locator('.console-line.target', { hasText: 'line 123' }).waitFor();
    expect(await page.getByRole('searchbox').inputValue()).toBe('');
    expect(await page.title()).toBe('long · Waddle');
    expect(complaints).toEqual([]);
  });

  it('shows the code against its commit and against another run', async () => {
    box.write('model.py', 'WIDTH = 1\n');
    box.git('add', 'model.py');
    box.git('commit', '-qm', 'model');
    box.write('model.py', 'WIDTH = 2\n');
    const a = plain('two', 0.1);
    box.write('model.py', 'WIDTH = 3\n');
    const b = plain('three', 0.1);
    await serve();
    await page.goto(url(`/runs/${b}/code`));
    await page.locator('.patch-row.removed', { hasText: 'WIDTH = 1' }).waitFor();
    await page.locator('.patch-row.added', { hasText: 'WIDTH = 3' }).waitFor();
    await page.getByRole('button', { name: 'Choose what to compare with' }).click();
    await page.getByRole('button', { name: /two/ }).click();
    await page.locator('.patch-row.removed', { hasText: 'WIDTH = 2' }).waitFor();
    await until(() => page.url().includes(`against=${a}`), 'the link has the other run');
    await page.reload();
    await page.locator('.patch-row.removed', { hasText: 'WIDTH = 2' }).waitFor();
    expect(complaints).toEqual([]);
  });

  it('compares runs: what differs first, equal folded, a range brushed, all of it in the link', async () => {
    const ids = [plain('a', 0.1), plain('b', 0.01), plain('c', 0.001)];
    await serve();
    await page.goto(url(`/compare?runs=${ids.join()}`));
    const params = page.locator('.compare-part', { hasText: 'Params' });
    await params.getByRole('row', { name: /optimizer.lr/ }).waitFor();
    expect(await params.getByRole('row', { name: /epochs/ }).count()).toBe(0);
    await params.getByRole('button', { name: /equal/ }).click();
    await params.getByRole('row', { name: /epochs/ }).waitFor();
    await params.getByRole('row', { name: /big/ }).getByText('12345678901234567890').first().waitFor();
    await show('Charts');
    await page.locator('[data-metric="train/loss"] .plot[data-end="49"]').waitFor();
    await show('Relations');
    await page.getByRole('group', { name: /3 runs over optimizer.lr/ }).waitFor();
    const area = page.locator('.brush-area').first();
    await area.hover({ position: { x: 14, y: 2 } }); // waits until it rests
    const axis = await area.boundingBox();
    if (axis === null) throw new Error('there is no axis');
    await page.mouse.move(axis.x + 14, axis.y + 2);
    await page.mouse.down();
    await page.mouse.move(axis.x + 14, axis.y + axis.height * 0.7, { steps: 5 });
    await page.mouse.up();
    await page.getByText('2 of 3 runs').waitFor();
    await until(() => page.url().includes('brush='), 'the link has the range');
    await page.reload();
    await page.getByText('2 of 3 runs').waitFor();
    await page.getByRole('slider', { name: /Range of optimizer.lr/ }).press('Delete');
    await page.getByText('drag along an axis').waitFor();
    await page.getByRole('link', { name: 'Leave out a', exact: true }).click();
    await until(() => !page.url().includes(String(ids[0])), 'it is left out');
    expect(complaints).toEqual([]);
  });

  it('has something to say where there is nothing, nobody, or no server', async () => {
    const id = ran('bare', 'pass');
    const server = await serve();
    await page.goto(url('/runs/zzzzzzzzzzzz'));
    await page.getByText('There is no such run').waitFor();
    await page.goto(url(`/runs/${id}/charts`));
    await page.getByText('No metrics were logged').waitFor();
    await show('Console');
    await page.getByText('The job printed nothing').waitFor();
    await show('Artifacts');
    await page.getByText('No artifacts were kept').waitFor();
    await page.goto(url('/compare'));
    await page.getByText('Nothing to compare yet').waitFor();
    await page.goto(url(`/runs/${id}`));
    await page.getByRole('heading', { name: 'bare' }).waitFor();
    const gone = ended(server);
    server.kill('SIGKILL');
    await gone;
    await page.getByText('Not connected').waitFor();
    expect(await page.getByRole('heading', { name: 'bare' }).count()).toBe(1);
    await page.keyboard.press('6');
    await page.getByText('the server does not answer', { exact: false }).waitFor();
    await serve();
    await page.getByText('Not connected').waitFor({ state: 'detached', timeout: 20_000 });
    await page.getByRole('button', { name: 'Try again' }).click();
    await page.getByText('The code was exactly its commit').or(page.locator('.patch')).first().waitFor();
    expect(complaints).toEqual([]);
  });

  it('fits any width without a sideways scroll of the page, light and dark', async () => {
    const ids = [plain('a', 0.1), plain('b', 0.01)];
    await serve();
    const views = [
      ...['overview', 'charts', 'console', 'system', 'artifacts', 'code', 'reproduce'].map(
        (tab) => `/runs/${ids[0]}/${tab}`,
      ),
      ...['', '&view=charts', '&view=relations', '&view=code'].map(
        (view) => `/compare?runs=${ids.join()}${view}`,
      ),
    ];
    for (const width of [360, 2560]) {
      await page.setViewportSize({ width, height: 800 });
      await page.emulateMedia({ colorScheme: width === 360 ? 'dark' : 'light' });
      for (const view of views) {
        await page.goto(url(view));
        await page.locator('.tabs').waitFor();
        await page.locator('.run-body > *').first().waitFor();
        const over = await page.evaluate<number>('document.documentElement.scrollWidth - innerWidth');
        expect({ view, width, over }).toEqual({ view, width, over: 0 });
      }
    }
    expect(complaints).toEqual([]);
  });
});
