/** What `deploy/` starts, line for line, with no more rights than it is given there. */
import { type ChildProcess, spawnSync } from 'node:child_process';
import { chmodSync, chownSync, existsSync, mkdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { ended, ROOT, Sandbox, until } from './support/sandbox.ts';

const file = (name: string) => readFileSync(join(ROOT, 'deploy', name), 'utf8');

/** The one part of a file that fits. */
function part(name: string, pattern: RegExp): string {
  const found = pattern.exec(file(name))?.[1];
  if (found === undefined) throw new Error(`deploy/${name} has nothing like ${pattern}`);
  return found;
}

/** A list of words as JSON, which YAML and a Dockerfile take too. */
function words(name: string, pattern: RegExp): string[] {
  return JSON.parse(part(name, pattern)) as string[];
}

const has = (program: string) => spawnSync('sh', ['-c', `command -v ${program}`]).status === 0;
/** Uid of an account that owns nothing. */
const ACCOUNT = 10_001;

function jailMissing(): string | null {
  if (process.platform !== 'linux' || process.getuid?.() !== 0) return 'only root can take its rights away';
  const lacking = ['unshare', 'nsenter', 'setpriv', 'mount', 'ip'].filter((program) => !has(program));
  if (lacking.length > 0) return `there is no ${lacking.join(', ')}`;
  return spawnSync('unshare', ['--mount', '--net', 'true']).status === 0 ? null : 'it cannot be shut in here';
}

const missing = jailMissing();
let sandbox: Sandbox;
let jailed: ChildProcess | undefined;
let said = '';

afterEach(async () => {
  await sandbox?.remove();
});

/**
 * Runs a command as that account, without a capability, with a network of its own, no homes, an empty /tmp, and nothing that
 * can be written but `state`.
 */
function jail(command: string[], state: string, extra: string[] = []): void {
  sandbox = new Sandbox({ git: false });
  const own = join(sandbox.folder, state);
  mkdirSync(own, { recursive: true });
  chownSync(own, ACCOUNT, ACCOUNT);
  chmodSync(own, 0o700);
  const parent = join(state, '..');
  const script = `
    set -e
    ip link set lo up
    mount --bind ${ROOT} /opt
    mount --bind ${join(sandbox.folder, parent)} ${parent}
    mount -o remount,bind,ro /
    mount -o remount,bind,ro /opt
    mount -t tmpfs -o mode=1777 tmpfs /tmp
    for homes in /home /root; do mount -t tmpfs -o ro tmpfs $homes; done
    cd /
    exec setpriv --reuid=${ACCOUNT} --regid=${ACCOUNT} --clear-groups --no-new-privs --bounding-set=-all --inh-caps=-all \\
      env -i HOME=${state} PATH=/opt/bin:/usr/local/bin:/usr/bin:/bin "$@"`;
  said = '';
  jailed = sandbox.start('unshare', ['--mount', '--net', 'sh', '-c', script, 'jail', ...command, ...extra], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  jailed.stderr?.on('data', (data) => {
    said += String(data);
  });
}

/** Runs a program beside the jailed one, as root. */
function beside(...command: string[]) {
  const args = ['--target', String(jailed?.pid), '--mount', '--net', ...command];
  return spawnSync('nsenter', args, { encoding: 'utf8', env: sandbox.env });
}

/** It is up, takes a token that root made, and ends when it is told to. */
async function worksAndEnds(state: string): Promise<void> {
  await until(() => said.includes('Ctrl-C ends it.') || jailed?.exitCode !== null, 'it is up');
  expect(said).toMatch(/waddle_[a-z2-7]{10}_/);
  const made = beside('/opt/bin/waddle', 'token', 'create', '--dir', state, '--name', 'ada');
  expect(made).toMatchObject({ status: 0 });
  const ask = `fetch('http://127.0.0.1:8080/api/runs', { headers: { authorization: 'Bearer ${made.stdout.trim()}' } })
    .then(async (answer) => console.log(answer.status, await answer.text()))`;
  expect(beside('/opt/node_modules/.bin/node', '-e', ask).stdout).toBe('200 []\n');
  const left = join(sandbox.folder, state, 'spaces/default/.waddle');
  expect(statSync(left).uid).toBe(ACCOUNT);
  jailed?.kill('SIGTERM');
  expect(await ended(jailed as ChildProcess)).toMatchObject({ status: 0 });
  expect(said).not.toMatch(/"level":"(error|warn)"/);
}

describe('the systemd unit', () => {
  const verifiable = has('systemd-analyze');
  it.skipIf(!verifiable)(
    `is one${verifiable ? '' : ' (skipped: there is no systemd-analyze: apt-get install systemd)'}`,
    () => {
      const unit = join(ROOT, 'deploy/waddle-collector.service');
      const { status, stdout, stderr } = spawnSync('systemd-analyze', ['verify', unit], { encoding: 'utf8' });
      expect([status, stdout + stderr]).toEqual([0, '']);
    },
  );

  it.skipIf(missing !== null)(
    `starts a collector that needs no right${missing === null ? '' : ` (skipped: ${missing})`}`,
    async () => {
      const line = part('waddle-collector.service', /^ExecStart=(.*)$/m).split(' ');
      const folder = part('waddle-collector.service', /^StateDirectory=(.*)$/m);
      jail(line, join('/var/lib', folder));
      await worksAndEnds(join('/var/lib', folder));
    },
  );
});

describe('the container', () => {
  it.skipIf(missing !== null)(
    `starts a collector that is healthy${missing === null ? '' : ` (skipped: ${missing})`}`,
    async () => {
      const entry = words('Dockerfile', /^ENTRYPOINT (\[.*\])$/m);
      const folder = part('Dockerfile', /^VOLUME (.*)$/m);
      expect(part('compose.yaml', /^ {6}- waddle:(.*)$/m)).toBe(folder);
      jail(entry, folder, words('compose.yaml', /^ {2}waddle:\n(?: {4}.*\n)*? {4}command: (\[.*\])$/m));
      await until(() => said.includes('Ctrl-C ends it.') || jailed?.exitCode !== null, 'it is up');
      const [node = '', ...check] = words('Dockerfile', /^HEALTHCHECK [^[]*CMD (\[.*\])$/m);
      expect(beside(`/opt/node_modules/.bin/${node}`, ...check)).toMatchObject({ status: 0, stderr: '' });
      await worksAndEnds(folder);
      expect(existsSync(join(sandbox.folder, folder, 'collector.sqlite'))).toBe(true);
    },
  );
});
