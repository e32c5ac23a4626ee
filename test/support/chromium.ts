/** A real Chromium for tests of the page: the machine's, or, where root may, Debian's. */
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { type BrowserContext, chromium } from 'playwright-core';

const PLACES = [
  '/usr/bin/chromium',
  '/usr/bin/chromium-browser',
  '/usr/bin/google-chrome',
  '/opt/google/chrome/chrome',
];

const FLAGS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

/** Where a Chromium is, installed first where it is missing; else why there is none. */
export function findChromium(): { path: string } | { missing: string } {
  const found = PLACES.find((place) => existsSync(place));
  if (found !== undefined) return { path: found };
  if (process.getuid?.() !== 0 || !existsSync('/usr/bin/apt-get')) {
    return {
      missing: 'there is no Chromium, and only root on Debian can install one: apt-get install chromium',
    };
  }
  try {
    const options = { stdio: 'ignore' as const, timeout: 300_000 };
    execFileSync('apt-get', ['update'], options);
    execFileSync('apt-get', ['install', '-y', '--no-install-recommends', 'chromium'], options);
  } catch (error) {
    return { missing: `Chromium could not be installed: ${error instanceof Error ? error.message : error}` };
  }
  const installed = PLACES.find((place) => existsSync(place));
  return installed === undefined ? { missing: 'apt-get installed no Chromium' } : { path: installed };
}

/** A browser with a profile of its own, which Playwright makes and, once the browser is gone, removes. */
export async function openBrowser(
  path: string,
  options: { width?: number; height?: number; dark?: boolean; anyCertificate?: boolean } = {},
): Promise<BrowserContext> {
  return chromium.launchPersistentContext('', {
    executablePath: path,
    args: FLAGS,
    viewport: { width: options.width ?? 1440, height: options.height ?? 900 },
    ignoreHTTPSErrors: options.anyCertificate ?? false,
    colorScheme: options.dark ? 'dark' : 'light',
  });
}
