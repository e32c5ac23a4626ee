/** The places that push and pull talk to: the one in waddle.json, and further ones that this folder keeps to itself. */
import { chmodSync, existsSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expandVariable } from '../config/config.ts';
import { WaddleError } from '../errors/waddle-error.ts';
import { runGit } from '../git/run-git.ts';
import type { Layout } from '../journal/layout.ts';
import { ensureProjectFolder } from '../journal/project-folder.ts';
import type { RetryRules } from '../sync/http-exchange.ts';
import type { Space } from '../sync/space.ts';
import type { Context, Project } from './context.ts';
import { inert } from './inert.ts';
import { CLIENT } from './version.ts';

export interface Remote {
  name: string;
  url: string;
  /** As it is written: perhaps `${NAME}`. Empty where there is none. */
  token: string;
  /** Where it is written down. */
  source: 'waddle.json' | 'folder' | 'environment' | 'command';
}

/** Name of the remote in waddle.json that has none. */
const DEFAULT_NAME = 'origin';

function remotesFile(layout: Layout): string {
  return join(layout.root, 'remotes.json');
}

/** Every remote of the project folder, that of waddle.json first. */
export function listRemotes({ layout, config }: Project): Remote[] {
  const remotes: Remote[] = [];
  const { name, url, token } = config.remote ?? {};
  if (url) remotes.push({ name: name || DEFAULT_NAME, url, token: token ?? '', source: 'waddle.json' });
  const taken = new Set(remotes.map((remote) => remote.name));
  return [...remotes, ...readRemotes(layout).filter((remote) => !taken.has(remote.name))];
}

function readRemotes(layout: Layout): Remote[] {
  const path = remotesFile(layout);
  if (!existsSync(path)) return [];
  let value: unknown;
  try {
    value = JSON.parse(readFileSync(path, 'utf8'));
  } catch (error) {
    throw new WaddleError('remotes-invalid', `${path} is not JSON`, 'Remove it, and add the remotes again.', {
      cause: error,
    });
  }
  return Object.entries((value ?? {}) as Record<string, { url?: unknown; token?: unknown }>).flatMap(
    ([name, { url, token }]): Remote[] =>
      typeof url === 'string'
        ? [{ name, url, token: typeof token === 'string' ? token : '', source: 'folder' }]
        : [],
  );
}

function writeRemotes(layout: Layout, remotes: readonly Remote[]): void {
  const path = remotesFile(layout);
  const own = remotes.filter((remote) => remote.source === 'folder');
  const value = Object.fromEntries(own.map(({ name, url, token }) => [name, { url, token }]));
  ensureProjectFolder(layout);
  const temporary = `${path}.${process.pid}.tmp`;
  try {
    // Only its owner may read it: tokens are in it.
    writeFileSync(temporary, `${JSON.stringify(value, null, 2)}\n`, { mode: 0o600 });
    chmodSync(temporary, 0o600);
    renameSync(temporary, path);
  } finally {
    rmSync(temporary, { force: true });
  }
}

/** @throws WaddleError where the name or the address is none, or the name is taken */
export function addRemote(project: Project, remote: Omit<Remote, 'source'>, force: boolean): void {
  if (!/^[A-Za-z0-9][\w.-]{0,63}$/.test(remote.name)) {
    throw new WaddleError(
      'remote-name-invalid',
      `"${remote.name}" is no name`,
      'Letters, digits, ".", "-", "_".',
      {
        exitCode: 2,
      },
    );
  }
  checkAddress(remote.url);
  const all = listRemotes(project);
  const same = all.find((each) => each.name === remote.name);
  if (same?.source === 'waddle.json') {
    throw new WaddleError(
      'remote-exists',
      `the remote ${remote.name} is in waddle.json`,
      'Change it there, or choose another name.',
    );
  }
  if (same !== undefined && !force) {
    throw new WaddleError(
      'remote-exists',
      `there is a remote ${remote.name} already: ${showAddress(same.url)}`,
      `To write it anew: waddle remote add --force ${remote.name} URL`,
    );
  }
  writeRemotes(project.layout, [
    ...all.filter((each) => each.name !== remote.name),
    { ...remote, source: 'folder' },
  ]);
}

/** @throws WaddleError where there is none of that name in the folder's own file */
export function removeRemote(project: Project, name: string): void {
  const all = listRemotes(project);
  const found = all.find((each) => each.name === name);
  if (found === undefined) throw noRemote(all, name);
  if (found.source === 'waddle.json') {
    throw new WaddleError('remote-in-config', `the remote ${name} is in waddle.json`, 'Take it out there.');
  }
  writeRemotes(
    project.layout,
    all.filter((each) => each.name !== name),
  );
}

/**
 * The remote that is meant: by name or address, else by WADDLE_REMOTE, else the one of waddle.json, else the only one.
 * @throws WaddleError where that is none
 */
export function chooseRemote(context: Context, project: Project, named?: string): Remote {
  const all = listRemotes(project);
  const wanted = named ?? (context.env.WADDLE_REMOTE || undefined);
  const source = named === undefined ? 'environment' : 'command';
  let remote: Remote | undefined;
  if (wanted === undefined) {
    remote = all.find((each) => each.source === 'waddle.json') ?? (all.length === 1 ? all[0] : undefined);
    if (remote === undefined) throw noRemote(all);
  } else {
    remote = all.find((each) => each.name === wanted) ?? all.find((each) => each.url === wanted);
    if (remote === undefined) {
      if (!wanted.includes('://')) throw noRemote(all, wanted);
      checkAddress(wanted);
      remote = { name: showAddress(wanted), url: wanted, token: '', source };
    }
  }
  return remote;
}

function noRemote(all: readonly Remote[], name?: string): WaddleError {
  const names = all.map((each) => each.name).join(', ');
  const hint =
    all.length === 0
      ? 'Name one: waddle remote add origin https://…, or remote.url in waddle.json'
      : `There are ${names}: --remote NAME`;
  if (name !== undefined) {
    return new WaddleError('remote-not-found', `there is no remote "${inert(name)}"`, hint);
  }
  return new WaddleError(
    'remote-missing',
    all.length === 0 ? 'there is no remote yet' : 'there are several remotes, and none is named',
    hint,
  );
}

/** @throws WaddleError (exit code 2) where it is no address of a remote */
function checkAddress(url: string): void {
  let parsed: URL | undefined;
  try {
    parsed = new URL(url);
  } catch {
    // Told below.
  }
  if (parsed !== undefined && ['http:', 'https:', 'file:'].includes(parsed.protocol)) return;
  throw new WaddleError(
    'remote-url-invalid',
    `"${inert(url)}" is no address of a remote`,
    'Write https://host/ for a collector, or file:///folder for a shared folder.',
    { exitCode: 2 },
  );
}

/** An address for people: without what may be a secret in it. */
export function showAddress(url: string): string {
  try {
    const parsed = new URL(url);
    parsed.username = '';
    parsed.password = '';
    parsed.search = '';
    return inert(parsed.href);
  } catch {
    return inert(url);
  }
}

/** The token itself. WADDLE_TOKEN wins over what is written. @throws WaddleError where its variable is not set */
function tokenOf(context: Context, remote: Remote): string {
  return context.env.WADDLE_TOKEN || expandVariable(remote.token, context.env);
}

/**
 * Opens the space behind a remote; must be closed. Warns of a token that lies or travels in the open.
 * @throws WaddleError `remote-…` where it cannot be reached or says no
 */
export async function openRemote(
  context: Context,
  project: Project,
  remote: Remote,
  options: { signal?: AbortSignal; retry?: RetryRules } = {},
): Promise<Space> {
  const url = new URL(remote.url);
  if (url.protocol === 'file:') {
    const { openFolderRemote } = await import('../sync/bucket-space.ts');
    return openFolderRemote({ folder: fileURLToPath(url), env: context.env, layout: project.layout });
  }
  await warnOfToken(context, project, remote, url);
  const { openHttpSpace } = await import('../sync/http-space.ts');
  return openHttpSpace({
    url: remote.url,
    token: tokenOf(context, remote),
    userAgent: CLIENT,
    signal: options.signal,
    retry: options.retry,
    onRetry: ({ reason, waitMs, attempt }) => {
      if (attempt > 1)
        context.say(`waddle: ${inert(reason)}; trying again in ${Math.ceil(waitMs / 1000)} s\n`);
    },
    onFallback: (reason) =>
      context.say(`waddle: ${inert(reason)}; artifacts go through the collector instead\n`),
  });
}

async function warnOfToken(context: Context, project: Project, remote: Remote, url: URL): Promise<void> {
  const loopback = ['localhost', '127.0.0.1', '[::1]'].includes(url.hostname);
  if (url.protocol === 'http:' && !loopback) {
    context.warn(`waddle: the token travels in the open to ${showAddress(remote.url)}: use https\n`);
  }
  const literal = remote.token !== '' && !/^\$\{.*\}$/.test(remote.token);
  if (remote.source !== 'waddle.json' || !literal) return;
  const { project: folder } = project.layout;
  const tracked = await runGit({ env: context.env, cwd: folder }, [
    'ls-files',
    '--error-unmatch',
    '--',
    'waddle.json',
  ]);
  if (!tracked.ok) return;
  context.warn(
    `waddle: remote.token is written out in waddle.json, which git tracks: write "\${WADDLE_TOKEN}" and set that\n`,
  );
}
