/** What `doctor` looks at outside the run data: the programs that Waddle needs, the configuration, the disk. */
import { execFile } from 'node:child_process';
import { accessSync, constants, existsSync, readFileSync, statfsSync } from 'node:fs';
import { join } from 'node:path';
import { CONFIG_FILE, readConfig } from '../config/config.ts';
import type { WaddleJson } from '../config/schema.ts';
import { WaddleError } from '../errors/waddle-error.ts';
import { gitVersion, inspectRepository } from '../git/repository.ts';
import { runGit } from '../git/run-git.ts';
import type { Layout } from '../journal/layout.ts';
import { findPython } from '../runner/interpreter.ts';
import type { Context } from './context.ts';
import { formatBytes } from './format-number.ts';
import { VERSION } from './version.ts';

/** One thing that was looked at. A warning is worth knowing; a problem keeps something from working. */
export interface Finding {
  check: string;
  state: 'ok' | 'warning' | 'problem';
  message: string;
  /** How to fix it. */
  hint?: string;
}

export function checkNode(): Finding {
  return { check: 'waddle', state: 'ok', message: `${VERSION}, on Node.js ${process.versions.node}` };
}

/** Git older than this lacks what snapshots need (`--show-object-format` and the like). */
const OLDEST_GIT = [2, 30];

export async function checkGit(context: Context): Promise<Finding> {
  const version = await gitVersion(context.env);
  if (version === null) {
    return {
      check: 'git',
      state: 'problem',
      message: 'not installed, or not in PATH: runs cannot record their code',
      hint: 'Install git 2.30 or newer.',
    };
  }
  const [major = 0, minor = 0] = version.split('.').map(Number);
  const [oldMajor = 0, oldMinor = 0] = OLDEST_GIT;
  if (major < oldMajor || (major === oldMajor && minor < oldMinor)) {
    return {
      check: 'git',
      state: 'warning',
      message: `${version} is older than ${OLDEST_GIT.join('.')}: runs may not record their code`,
      hint: 'Install a newer git.',
    };
  }
  return { check: 'git', state: 'ok', message: version };
}

export async function checkRepository(context: Context, layout: Layout): Promise<Finding> {
  const found = await inspectRepository({ cwd: layout.project, env: context.env });
  if (found.kind === 'repository') {
    const branch = found.branch ?? 'detached HEAD';
    const state = found.state === 'normal' ? '' : `, ${found.state}`;
    return { check: 'repository', state: 'ok', message: `${found.top} (${branch}${state})` };
  }
  const lost = found.kind === 'none' || found.kind === 'bare';
  return {
    check: 'repository',
    state: lost ? 'warning' : 'problem',
    message: `${found.message}; the code of runs goes to a private repository in .waddle/`,
    hint: found.hint,
  };
}

export async function checkPython(context: Context, layout: Layout, config: WaddleJson): Promise<Finding> {
  let python: string;
  try {
    python = findPython({
      named: config.run?.python,
      cwd: context.cwd,
      project: layout.project,
      env: context.env,
    });
  } catch (error) {
    if (!(error instanceof WaddleError)) throw error;
    return { check: 'python', state: 'warning', message: error.message, hint: error.hint };
  }
  const version = await ask(python, ['-c', 'import sys; print("%d.%d.%d" % sys.version_info[:3])'], context);
  if (version === undefined) {
    return {
      check: 'python',
      state: 'warning',
      message: `${python} does not run: Python jobs cannot start`,
      hint: 'Install Python 3.8 or newer, or name an interpreter: waddle run --python PATH',
    };
  }
  const [major = 0, minor = 0] = version.split('.').map(Number);
  if (major < 3 || (major === 3 && minor < 8)) {
    return {
      check: 'python',
      state: 'warning',
      message: `${python} is ${version}; the Waddle client needs 3.8 or newer`,
      hint: 'Name a newer interpreter: waddle run --python PATH, or run.python in waddle.json.',
    };
  }
  return { check: 'python', state: 'ok', message: `${version} (${python})` };
}

function ask(program: string, args: string[], context: Context): Promise<string | undefined> {
  return new Promise((resolve) => {
    execFile(program, args, { env: context.env, timeout: 10_000 }, (error, stdout) =>
      resolve(error === null ? stdout.trim() : undefined),
    );
  });
}

/** The configuration, with what was found; undefined where it is not valid. */
export async function checkConfig(
  context: Context,
  layout: Layout,
): Promise<{ findings: Finding[]; config: WaddleJson | undefined }> {
  const check = CONFIG_FILE;
  let config: WaddleJson;
  try {
    config = await readConfig(layout.project);
  } catch (error) {
    if (!(error instanceof WaddleError)) throw error;
    return {
      findings: [{ check, state: 'problem', message: error.message, hint: error.hint }],
      config: undefined,
    };
  }
  const path = join(layout.project, CONFIG_FILE);
  if (!existsSync(path)) {
    return {
      findings: [{ check, state: 'ok', message: 'none; the defaults hold (waddle init writes one)' }],
      config,
    };
  }
  const findings: Finding[] = [{ check, state: 'ok', message: 'valid' }];
  const token = config.remote?.token ?? '';
  const variable = /^\$\{([A-Za-z_][A-Za-z0-9_]*)\}$/.exec(token)?.[1];
  if (token !== '' && variable === undefined && (await isTracked(context, layout, CONFIG_FILE))) {
    findings.push({
      check,
      state: 'warning',
      message: 'remote.token is written out in a file that git tracks',
      hint: 'Write "${WADDLE_TOKEN}" there, set the variable, and have the collector’s owner revoke this token.',
    });
  }
  return { findings, config };
}

async function isTracked(context: Context, layout: Layout, path: string): Promise<boolean> {
  const found = await runGit({ env: context.env, cwd: layout.project }, ['ls-files', '-z', '--', path]);
  return found.ok && found.out.length > 0;
}

/** Names of file systems by the number that `statfs` gives; those over a network are named as such. */
const FILE_SYSTEMS: Record<number, { name: string; network?: true }> = {
  61267: { name: 'ext4' },
  1481003842: { name: 'xfs' },
  2435016766: { name: 'btrfs' },
  16914836: { name: 'tmpfs' },
  2035054128: { name: 'overlay' },
  801189825: { name: 'zfs' },
  26: { name: 'apfs' },
  26985: { name: 'NFS', network: true },
  4283649346: { name: 'CIFS', network: true },
  4266872130: { name: 'SMB', network: true },
  198183888: { name: 'Lustre', network: true },
  12805120: { name: 'Ceph', network: true },
  1196443219: { name: 'GPFS', network: true },
  1397113167: { name: 'AFS', network: true },
  16914839: { name: '9p', network: true },
  1702057286: { name: 'FUSE' },
};

export function checkDisk(layout: Layout): Finding[] {
  const place = existsSync(layout.root) ? layout.root : layout.project;
  const disk = statfsSync(place);
  const free = disk.bavail * disk.bsize;
  const system = FILE_SYSTEMS[disk.type >>> 0];
  const where = system === undefined ? 'unknown file system' : system.name;
  const findings: Finding[] = [];
  if (free < 100e6) {
    findings.push({
      check: 'disk',
      state: 'problem',
      message: `only ${formatBytes(free)} left (${where}): jobs will lose what they log`,
      hint: 'Make room; waddle gc frees what removed runs still hold.',
    });
  } else if (free < 2e9) {
    findings.push({
      check: 'disk',
      state: 'warning',
      message: `${formatBytes(free)} left (${where})`,
      hint: 'Make room before long jobs; waddle gc frees what removed runs still hold.',
    });
  } else findings.push({ check: 'disk', state: 'ok', message: `${formatBytes(free)} free (${where})` });
  try {
    accessSync(place, constants.W_OK);
  } catch {
    findings.push({
      check: 'disk',
      state: 'problem',
      message: `${place} cannot be written: no run can log here`,
      hint: 'Change its owner or permissions, or work elsewhere: --dir PATH',
    });
  }
  return findings;
}

/** `.waddle/` must never be committed: it has a .gitignore of its own for that. */
export async function checkIgnored(context: Context, layout: Layout): Promise<Finding | undefined> {
  if (!existsSync(layout.root)) return undefined;
  if (await isTracked(context, layout, '.waddle')) {
    return {
      check: 'gitignore',
      state: 'problem',
      message: 'files of .waddle/ are committed to git',
      hint: 'git rm -r --cached .waddle, and commit that.',
    };
  }
  const path = join(layout.root, '.gitignore');
  if (existsSync(path) && /^\*$/m.test(readFileSync(path, 'utf8'))) return undefined;
  return {
    check: 'gitignore',
    state: 'warning',
    message: '.waddle/ has lost its .gitignore',
    hint: 'waddle init puts it back.',
  };
}
