import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { Peer } from './peers.ts';

const execute = promisify(execFile);
const python = process.env.WADDLE_TEST_PYTHON ?? 'python3';

/** The interpreter of a peer's own virtual environment, and what is installed there. */
export interface Environment {
  python: string;
  version: string | null;
}

/**
 * Makes `.cache/peers/<name>` with the peer in it, or finds it made. Rejects with pip's own last words where the peer
 * cannot be installed here.
 */
export async function prepareEnvironment(root: string, peer: Peer): Promise<Environment> {
  const folder = join(root, '.cache', 'peers', peer.name.replaceAll(' ', '-'));
  const marker = join(folder, 'installed.json');
  const interpreter = join(folder, 'bin', 'python');
  const wanted = peer.requirement ?? '';
  const made = existsSync(marker) ? (JSON.parse(readFileSync(marker, 'utf8')) as Record<string, string>) : {};
  if (made.requirement === wanted) return { python: interpreter, version: made.version ?? null };
  mkdirSync(folder, { recursive: true });
  await execute(python, ['-m', 'venv', ...(wanted === '' ? ['--without-pip'] : []), folder]);
  let version: string | undefined;
  if (wanted !== '') {
    const pip = ['-m', 'pip', '--quiet', '--disable-pip-version-check'];
    try {
      await execute(interpreter, [...pip, 'install', '--prefer-binary', wanted], { timeout: 15 * 60_000 });
    } catch (error) {
      const said = String((error as { stderr?: unknown }).stderr ?? error);
      const line = said.split('\n').findLast((text) => text.startsWith('ERROR'));
      throw new Error((line ?? said.trim()).slice(0, 200));
    }
    const package_ = /^[\w-]+/.exec(wanted)?.[0] ?? '';
    const code = `import importlib.metadata as m; print(m.version(${JSON.stringify(package_)}))`;
    version = (await execute(interpreter, ['-c', code])).stdout.trim();
  }
  writeFileSync(marker, JSON.stringify({ requirement: wanted, version }));
  return { python: interpreter, version: version ?? null };
}

/**
 * The environment variables of a measured job: a home of its own, no account, no network, no telemetry.
 * @param home an empty folder
 */
export function jobVariables(root: string, home: string): NodeJS.ProcessEnv {
  return {
    PATH: process.env.PATH,
    LANG: 'C.UTF-8',
    HOME: home,
    TMPDIR: home,
    // Waddle is imported from the checkout; its adapter reads the run back with the checkout's command.
    PYTHONPATH: join(root, 'python'),
    WADDLE_BENCH_ROOT: root,
    WADDLE_BENCH_NODE: process.execPath,
    DO_NOT_TRACK: '1',
    TRACKIO_DIR: join(home, 'trackio'),
    HF_HUB_OFFLINE: '1',
    HF_HUB_DISABLE_TELEMETRY: '1',
    WANDB_MODE: 'offline',
    WANDB_SILENT: 'true',
    WANDB_ERROR_REPORTING: 'false',
    MLFLOW_DISABLE_TELEMETRY: 'true',
    AIM_UI_TELEMETRY_ENABLED: '0',
  };
}
