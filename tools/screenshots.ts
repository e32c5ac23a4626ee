/**
 * Makes the pictures of the README and the manual from the real demo: a few trainings of the sample, then every view of the
 * page in light and dark. Needs Chromium. Usage: node tools/screenshots.ts [FOLDER] (default docs/images)
 */
import { execFileSync, spawn } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { findChromium, openBrowser } from '../test/support/chromium.ts';

const root = join(import.meta.dirname, '..');
const waddle = join(root, 'bin/waddle');
const target = resolve(process.argv[2] ?? join(root, 'docs/images'));
const scratch = mkdtempSync(join(tmpdir(), 'waddle-demo-'));
/** The page shows its name. */
const folder = join(scratch, 'diabetes');

function run(command: string, ...args: string[]): string {
  return execFileSync(command, args, { cwd: folder, encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] });
}

/** A repository with the samples in it, and eight trainings that differ in two parameters. */
function train(): string[] {
  mkdirSync(folder);
  cpSync(join(root, 'examples'), join(folder, 'examples'), {
    recursive: true,
    filter: (source) => !source.includes('__pycache__'),
  });
  run('git', 'init', '--quiet', '--initial-branch=main');
  run('git', 'add', '.');
  run(
    'git',
    '-c',
    'user.name=Demo',
    '-c',
    'user.email=demo@example.com',
    'commit',
    '--quiet',
    '--message',
    'Samples',
  );
  for (const rate of ['0.0003', '0.001', '0.003', '0.01']) {
    for (const batch of ['16', '64']) {
      const job = [
        '--entry',
        'examples.ml_sample',
        '--project',
        'diabetes',
        '--name',
        `lr ${rate}, batch ${batch}`,
      ];
      const args = ['--epochs', '120', '--learning-rate', rate, '--batch-size', batch];
      run(waddle, 'run', '--quiet', ...job, '--', ...args);
    }
  }
  run(waddle, 'note', '@last', '# The best so far\n\nA higher rate **overshoots**; see `val/r2`.');
  run(waddle, 'tag', '@last', 'quality=good');
  return (JSON.parse(run(waddle, 'ls', '--json')) as { id: string }[]).map(({ id }) => id);
}

async function serve(): Promise<{ url: string; stop(): void }> {
  const server = spawn(waddle, ['serve', '--port', '0'], { cwd: folder, stdio: ['ignore', 'pipe', 'pipe'] });
  const url = await new Promise<string>((found, failed) => {
    let text = '';
    const read = (chunk: Buffer) => {
      text += chunk.toString();
      const address = /http:\/\/[^\s/]+/.exec(text)?.[0];
      if (address !== undefined) found(address);
    };
    server.stdout.on('data', read);
    server.stderr.on('data', read);
    server.once('exit', () => failed(new Error(`waddle serve ended: ${text}`)));
  });
  return { url, stop: () => server.kill('SIGTERM') };
}

async function photograph(chromium: string, url: string, name: string, ready: string): Promise<void> {
  for (const colorScheme of ['light', 'dark'] as const) {
    const browser = await openBrowser(chromium, { width: 1280, height: 800, dark: colorScheme === 'dark' });
    const page = await browser.newPage();
    await page.goto(url);
    await page.locator(ready).first().waitFor();
    // Lines, previews and differences come in by themselves; after them fonts and the last frame.
    const waiting = page.locator('[data-state="loading"], .outline').first();
    await waiting.waitFor({ state: 'detached', timeout: 120_000 });
    await page.waitForTimeout(1200);
    await page.screenshot({ path: join(target, `${name}-${colorScheme}.png`) });
    await browser.close();
  }
}

const found = findChromium();
if ('missing' in found) throw new Error(found.missing);
mkdirSync(target, { recursive: true });
try {
  const ids = train();
  const [last = ''] = ids;
  const server = await serve();
  try {
    await photograph(found.path, server.url, 'workspace', 'canvas');
    for (const tab of ['overview', 'charts', 'console', 'system', 'artifacts', 'code', 'reproduce']) {
      await photograph(found.path, `${server.url}/runs/${last}/${tab}`, `run-${tab}`, 'main');
    }
    await photograph(
      found.path,
      `${server.url}/compare?runs=${ids.slice(0, 4).join(',')}`,
      'compare',
      'main',
    );
  } finally {
    server.stop();
  }
} finally {
  rmSync(scratch, { recursive: true, force: true, maxRetries: 5 });
}
