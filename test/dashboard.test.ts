import type { BrowserContext, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { findChromium, openBrowser } from './support/chromium.ts';
import { ended, freePort, Sandbox, until, WADDLE } from './support/sandbox.ts';

const found = findChromium();
if ('missing' in found) console.warn(`The page is not tested: ${found.missing}`);
const executable = 'path' in found ? found.path : '';

const LIVE_JOB = `
import time, waddle
for step in range(4000):
    waddle.log({"train/loss": 1 / (1 + step), "val/loss": 2 / (1 + step)}, step=step)
    time.sleep(0.05)
`;

const HOSTILE = '<img src=x onerror=document.title=`hacked`><script>document.title=`hacked`</script>';
const HOSTILE_JOB = `
import waddle
bad = ${JSON.stringify(HOSTILE)}
waddle.log_param(bad, bad)
waddle.log_tag("tag", bad)
for step in range(20):
    waddle.log({bad: step, "loss": step}, step=step)
print(bad)
`;

// Pointers and paint on a loaded machine: one more try, and then it is a failure.
describe.skipIf('missing' in found)('the page in a real browser', { retry: 1 }, () => {
  let box: Sandbox;
  let port: number;
  let browser: BrowserContext;
  let page: Page;
  let complaints: string[];
  let requests: string[];

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
    requests = [];
    page.on('pageerror', (error) => complaints.push(String(error)));
    page.on('console', (message) => {
      if (message.type() === 'error' && !/ERR_CONNECTION|WebSocket/.test(message.text()))
        complaints.push(message.text());
    });
    page.on('request', (request) => requests.push(request.url()));
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
  /** How far the drawn line of a metric reaches. */
  const drawnEnd = async (metric: string): Promise<number> => {
    const drawn = page.locator(`[data-metric="${metric}"] .plot[data-end]:not([data-end=""])`);
    return Number(await drawn.getAttribute('data-end', { timeout: 20_000 }));
  };
  const runFinished = (name: string, job: string): void => {
    box.write('job.py', job);
    const { status, stderr } = box.waddle('run', '--name', name, '--', 'python3', 'job.py');
    if (status !== 0) throw new Error(stderr);
  };
  const noComplaints = () => {
    expect(complaints).toEqual([]);
    expect(
      requests.filter(
        (one) => !one.startsWith(url()) && !one.startsWith('blob:') && !one.startsWith('data:'),
      ),
    ).toEqual([]);
  };

  it('draws a run while it trains, and goes on after the server was killed, without a reload', async () => {
    const server = await serve();
    box.write('job.py', LIVE_JOB);
    await page.goto(url());
    await page.getByText('No runs yet').waitFor();
    const job = box.start(WADDLE, ['run', '--name', 'growing', '--', 'python3', 'job.py']);
    await page.getByRole('link', { name: 'growing' }).waitFor();
    const first = await drawnEnd('train/loss');
    await until(async () => (await drawnEnd('train/loss')) > first + 20, 'the line grows');
    expect(await drawnEnd('val/loss')).toBeGreaterThan(0);

    const gone = ended(server);
    server.kill('SIGKILL');
    await gone;
    await page.getByText('Not connected').waitFor();
    const before = await drawnEnd('train/loss');
    // A page that was not open yet has its code all the same; what was drawn is still there.
    await page.getByRole('link', { name: 'growing' }).click();
    await page.getByRole('heading', { name: 'The server does not answer' }).waitFor();
    await page.goBack();
    await serve();
    await until(async () => (await drawnEnd('train/loss')) > before + 20, 'the line grows again');
    await page.getByText('Not connected').waitFor({ state: 'detached' });
    expect(requests.filter((one) => one === url())).toHaveLength(1);
    job.kill('SIGTERM');
    noComplaints();
  });

  it('keeps a hostile name, param, tag and metric inert, in the table and in the charts', async () => {
    runFinished(HOSTILE, HOSTILE_JOB);
    await serve();
    await page.goto(url('/?rail=900&group=tags.tag'));
    await page.locator('[data-metric="loss"] .plot[data-end="19"]').waitFor();
    await page.getByRole('link', { name: HOSTILE }).first().waitFor();
    expect(await page.locator('img').count()).toBe(0);
    expect(await page.title()).not.toContain('hacked');
    noComplaints();
  });

  it('finds, filters, says what it does not understand, and keeps it all in the link', async () => {
    const job = 'import waddle\nwaddle.log_param("lr", 0.1)\nwaddle.log({"loss": 1}, step=1)\n';
    runFinished('alpha', job);
    runFinished('beta', job.replace('0.1', '0.5'));
    await serve();
    await page.goto(url());
    await page.getByRole('link', { name: 'beta' }).waitFor();
    await page.keyboard.press('/');
    await page.keyboard.type('params.lr < 0.2');
    await until(
      () => new URL(page.url()).searchParams.get('find') === 'params.lr < 0.2',
      'the link has the filter',
    );
    await page.getByRole('link', { name: 'beta' }).waitFor({ state: 'detached' });
    await page.getByRole('link', { name: 'alpha' }).waitFor();
    await page.getByRole('combobox', { name: 'Find or filter runs' }).fill('params.lr < and');
    await page.getByRole('alert').getByText('^^^').waitFor();
    await page.getByRole('combobox', { name: 'Find or filter runs' }).fill('beta');
    await page.getByRole('link', { name: 'beta' }).waitFor();
    await page.getByRole('link', { name: 'beta' }).click();
    await until(() => page.url().includes('/runs/'), 'the run is shown');
    await page.goBack();
    await page.getByRole('link', { name: 'beta' }).waitFor();
    expect(new URL(page.url()).search).toBe('?find=beta');
  });

  it('tells the values at the pointer in the rail, keeps colours, and is told of a new metric', async () => {
    const job = (end: string) =>
      `import os, time, waddle\nfor step in range(20):\n    waddle.log({"loss": step}, step=step)\n${end}`;
    runFinished('alpha', job(''));
    await serve();
    await page.goto(url());
    await page.locator('[data-metric="loss"] .plot[data-end="19"]').waitFor();
    const plot = page.locator('[data-metric="loss"] .u-over');
    const at = await plot.boundingBox();
    if (at === null) throw new Error('there is no plot');
    await page.mouse.move(at.x + at.width / 2, at.y + at.height / 2);
    await page.getByRole('columnheader', { name: 'loss' }).waitFor();
    const value = await page.getByRole('row', { name: 'alpha' }).locator('.at-pointer').textContent();
    expect(['9', '10']).toContain(value);
    await page.mouse.move(10, 400);
    await page.getByRole('columnheader', { name: 'Age' }).waitFor();

    const waits = job(
      'while not os.path.exists("late"): time.sleep(0.02)\nwaddle.log({"late/one": 1}, step=20)\ntime.sleep(60)\n',
    );
    box.write('job.py', waits);
    const running = box.start(WADDLE, ['run', '--name', 'beta', '--', 'python3', 'job.py']);
    await page.getByRole('link', { name: 'beta' }).waitFor();
    const asked = () => requests.filter((one) => one.includes('/api/keys')).length;
    await until(async () => (await drawnEnd('loss')) >= 19, 'the run is drawn');
    box.write('late', '');
    await page.locator('[data-metric="late/one"]').waitFor({ timeout: 20_000 });
    // Of all runs and of those charted: at first, for the new run, soon after it, and for the new metric.
    expect(asked()).toBeLessThanOrEqual(10);

    const colour = async (name: string) =>
      page
        .getByRole('row', { name })
        .locator('.line-mark rect')
        .evaluate('mark => getComputedStyle(mark).fill');
    const colours = [await colour('alpha'), await colour('beta')];
    const ids = await page
      .locator('.run-name')
      .evaluateAll((links) => links.map((link) => link.getAttribute('href')?.split('/')[2] ?? ''));
    await page.goto(url(`/compare?runs=${ids.join()}`));
    const swatch = (name: string) =>
      page
        .locator('.swatch')
        .locator('xpath=..')
        .filter({ hasText: name })
        .first()
        .locator('.swatch')
        .evaluate('mark => getComputedStyle(mark).backgroundColor');
    expect([await swatch('alpha'), await swatch('beta')]).toEqual(colours);
    running.kill('SIGTERM');
    noComplaints();
  });

  it('has columns that can be made wider, in the link', async () => {
    runFinished('alpha', 'import waddle\nwaddle.log_param("lr", 0.1)\nwaddle.log({"loss": 1}, step=1)\n');
    await serve();
    await page.goto(url('/?rail=900'));
    const edge = page.getByRole('separator', { name: 'Width of lr' });
    const at = await edge.boundingBox();
    if (at === null) throw new Error('the column has no edge');
    await page.mouse.move(at.x + 4, at.y + 10);
    await page.mouse.down();
    await page.mouse.move(at.x + 84, at.y + 10, { steps: 4 });
    await page.mouse.up();
    await until(
      () => /\d{3}:params\.lr/.test(new URL(page.url()).searchParams.get('width') ?? ''),
      'the link',
    );
    const moved = await edge.boundingBox();
    expect(Math.round((moved?.x ?? 0) - at.x)).toBe(80);
    noComplaints();
  });

  it('finds any run from anywhere, however late the server tells of them', async () => {
    const job = 'import waddle\nwaddle.log({"loss": 1}, step=1)\n';
    runFinished('alpha', job);
    runFinished('beta', job);
    await serve();
    await page.goto(url('/?find=beta'));
    await page.getByRole('link', { name: 'beta' }).waitFor();
    const find = async (name: string) => {
      let tell = () => {};
      const told = new Promise<void>((resolve) => {
        tell = resolve;
      });
      await page.route('**/api/runs?*', async (route) => {
        await told;
        await route.continue();
      });
      await page.keyboard.press('Control+k');
      await page.keyboard.type(name);
      await page.keyboard.press('Enter');
      await page.getByText('Asking for the runs').waitFor();
      tell();
      await page.getByRole('heading', { name }).waitFor();
      expect(await page.getByRole('dialog').count()).toBe(0);
      await page.unroute('**/api/runs?*');
    };
    await find('alpha'); // the view finds beta only
    await page.reload();
    await page.getByRole('heading', { name: 'alpha' }).waitFor();
    await find('beta'); // no view holds runs
    noComplaints();
  });

  it('archives with an undo, answers the keyboard, and takes back what a server that is gone did not take', async () => {
    runFinished('only-one', 'import waddle\nwaddle.log({"loss": 1}, step=1)\n');
    const server = await serve();
    await page.goto(url());
    const run = page.getByRole('link', { name: 'only-one' });
    await run.waitFor();
    for (const key of ['j', 'x', 'a']) await page.keyboard.press(key);
    await run.waitFor({ state: 'detached' });
    await page.getByRole('button', { name: 'Undo' }).click();
    await run.waitFor();
    await page.keyboard.press('?');
    await page.getByRole('dialog', { name: 'Keyboard shortcuts' }).getByText('Next run').waitFor();
    await page.keyboard.press('Escape');
    await page.getByRole('dialog', { name: 'Keyboard shortcuts' }).waitFor({ state: 'detached' });
    // No paint lies between the keys: none is lost to the page behind, and Enter takes what the text says.
    const role = await page.evaluate(`(async () => {
      const key = { key: 'k', ctrlKey: true, bubbles: true };
      document.body.dispatchEvent(new KeyboardEvent('keydown', key));
      for (let turn = 0; turn < 20; turn++) await null;
      return document.activeElement.getAttribute('role');
    })()`);
    expect(role).toBe('combobox');
    await page.keyboard.type('only');
    await page.keyboard.press('Enter');
    await until(() => page.url().includes('/runs/'), 'the palette leads to the run');
    await page.getByRole('link', { name: 'Runs', exact: true }).click();
    await run.waitFor();

    const gone = ended(server);
    server.kill('SIGKILL');
    await gone;
    await page.getByText('Not connected').waitFor();
    for (const key of ['j', 'x', 'a']) await page.keyboard.press(key);
    await page.getByText('The server does not answer. Is').waitFor();
    await run.waitFor();
    await page.setViewportSize({ width: 360, height: 700 });
    expect(await page.evaluate<number>('document.documentElement.scrollWidth - innerWidth')).toBe(0);
    noComplaints();
  });

  it('costs nothing while nothing changes', async () => {
    const names = ['loss', 'm1', 'm2', 'm3', 'm4'];
    const values = names.map((name) => `"${name}": s`).join();
    runFinished('still', `import waddle\nfor s in range(50):\n    waddle.log({${values}}, step=s)\n`);
    await serve();
    let frames = 0;
    page.on('websocket', (socket) => socket.on('framereceived', () => frames++));
    await page.addInitScript(`
      globalThis.pictures = [];
      globalThis.laidOut = 0;
      const font = Object.getOwnPropertyDescriptor(CanvasRenderingContext2D.prototype, 'font');
      Object.defineProperty(CanvasRenderingContext2D.prototype, 'font', {
        ...font,
        set(value) {
          if (this.canvas.isConnected) globalThis.laidOut++;
          font.set.call(this, value);
        },
      });
      const { transferFromImageBitmap } = ImageBitmapRenderingContext.prototype;
      ImageBitmapRenderingContext.prototype.transferFromImageBitmap = function (bitmap) {
        globalThis.pictures.push(this.canvas.closest('[data-metric]').dataset.metric);
        return transferFromImageBitmap.call(this, bitmap);
      };`);
    await page.goto(url());
    for (const name of names) await page.locator(`[data-metric="${name}"] .plot[data-end="49"]`).waitFor();
    let quiet = false;
    while (!quiet) {
      requests.length = 0;
      frames = 0;
      await new Promise((wake) => setTimeout(wake, 1500));
      quiet = requests.length === 0 && frames === 0;
    }
    expect(await page.evaluate('pictures'), 'each chart is painted once, from the top').toEqual(names);
    expect(await page.evaluate('laidOut'), 'fonts set on canvases of the page, each a layout').toBe(0);
    const session = await browser.newCDPSession(page);
    // Of the thread itself: what other processes take is not counted.
    await session.send('Performance.enable', { timeDomain: 'threadTicks' });
    const busy = async () =>
      (await session.send('Performance.getMetrics')).metrics.find((one) => one.name === 'TaskDuration')
        ?.value ?? Number.NaN;
    const before = await busy();
    await new Promise((wake) => setTimeout(wake, 3000));
    expect((await busy()) - before).toBeLessThan(0.15);
    expect({ requests, frames }).toEqual({ requests: [], frames: 0 });
  });
});
