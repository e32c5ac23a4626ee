/** The proxies of docs/collector.md, as they are written there: only the name, the ports and the files are a test's own. */
import type { ChildProcess } from 'node:child_process';
import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { makeCertificate } from './certificate.ts';
import { pageBlock } from './page-block.ts';
import { freePort, type Sandbox, until } from './sandbox.ts';

export interface Proxy {
  name: 'Caddy' | 'nginx';
  program: string;
  /** Where there is none: what brings it. */
  missing: string | null;
  /** Starts it before the collector's port. */
  start(sandbox: Sandbox, collector: number): Promise<RunningProxy>;
}

export interface RunningProxy {
  port: number;
  /** PEM file of whoever signed its certificate. */
  authority: string;
  process: ChildProcess;
}

const PLACES = ['/usr/sbin', '/usr/bin', '/usr/local/sbin', '/usr/local/bin'];

function find(program: string, name: string): { program: string; missing: string | null } {
  const found = PLACES.map((folder) => join(folder, program)).find((path) => existsSync(path));
  const missing = found === undefined ? `skipped: there is no ${program}: apt-get install ${name}` : null;
  return { program: found ?? program, missing };
}

const caddy: Proxy = {
  name: 'Caddy',
  ...find('caddy', 'caddy'),
  async start(sandbox, collector) {
    const [port, plain] = [await freePort(), await freePort()];
    const site = pageBlock('docs/collector.md', 'caddy')
      .replace('waddle.example.com', 'localhost')
      .replace('8080', String(collector));
    // For this name Caddy signs by itself, and would tell the whole machine to trust it.
    const own = `{\n  admin off\n  skip_install_trust\n  http_port ${plain}\n  https_port ${port}\n}\n`;
    const file = sandbox.write('proxy/Caddyfile', own + site);
    const data = join(sandbox.folder, 'proxy');
    const env = { ...sandbox.env, XDG_DATA_HOME: data };
    const process = sandbox.start(caddy.program, ['run', '--config', file, '--adapter', 'caddyfile'], {
      env,
    });
    const authority = join(data, 'caddy/pki/authorities/local/root.crt');
    await answers(process, port, () => existsSync(authority));
    return { port, authority, process };
  },
};

const nginx: Proxy = {
  name: 'nginx',
  ...find('nginx', 'nginx-light'),
  async start(sandbox, collector) {
    const port = await freePort();
    const folder = join(sandbox.folder, 'proxy');
    mkdirSync(folder);
    const { cert, key } = makeCertificate(folder);
    const site = pageBlock('docs/collector.md', 'nginx')
      .replace('443', String(port))
      .replace('waddle.example.com', 'localhost')
      .replace('/etc/ssl/waddle.pem', cert)
      .replace('/etc/ssl/waddle.key', key)
      .replace('8080', String(collector));
    const places = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
      (name) => `  ${name}_temp_path ${folder}/${name};`,
    );
    const file = sandbox.write(
      'proxy/nginx.conf',
      [
        ...(globalThis.process.getuid?.() === 0 ? ['user root;'] : []),
        `daemon off;\npid ${folder}/pid;\nworker_processes 1;\nevents {}`,
        `http {\n  access_log off;\n${places.join('\n')}\n${site}}`,
      ].join('\n'),
    );
    const process = sandbox.start(nginx.program, ['-p', folder, '-e', join(folder, 'error.log'), '-c', file]);
    await answers(process, port, () => true);
    return { port, authority: cert, process };
  },
};

export const PROXIES: readonly Proxy[] = [caddy, nginx];

async function answers(process: ChildProcess, port: number, ready: () => boolean): Promise<void> {
  await until(async () => {
    if (process.exitCode !== null) throw new Error(`the proxy ended with ${process.exitCode}`);
    if (!ready()) return false;
    // Whatever it is, an answer comes from a port that is open.
    return fetch(`https://localhost:${port}/healthz`).then(
      () => true,
      (error: { cause?: { code?: string } }) => error.cause?.code !== 'ECONNREFUSED',
    );
  }, 'the proxy listens');
}
