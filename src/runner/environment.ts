import { execFile } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { arch, cpus, hostname, release, totalmem, version } from 'node:os';
import { basename } from 'node:path';
import { promisify } from 'node:util';
import { type ContainerFacts, findContainer } from './container.ts';
import { type DataFingerprint, fingerprintData } from './data-fingerprint.ts';
import { relevantVariables } from './environment-variables.ts';
import { findCuda, listGpus } from './gpu.ts';
import { hashLockFiles } from './lock-files.ts';

/** What `environment` of an `env` event holds. */
export interface EnvironmentFacts {
  python?: PythonFacts;
  node: string;
  platform: {
    system: string;
    /** Such as `Debian GNU/Linux 12 (bookworm)`; null where the system does not tell. */
    distribution: string | null;
    release: string;
    version: string;
    arch: string;
    host: string;
  };
  cpu: { model: string; cores: number };
  /** Bytes. */
  memory_bytes: number;
  gpus: { name: string; memory_bytes: number | null; driver: string | null }[];
  /** The CUDA version that the driver offers, and that of the toolkit; missing where there is neither. */
  cuda?: { driver: string | null; toolkit: string | null };
  container?: ContainerFacts;
  /** Variables that change what a job computes, by name; never secrets. */
  variables: Record<string, string>;
  /** SHA-256 of each lock file by its path in the repository. */
  lock_files: Record<string, string>;
  /** What `snapshot.fingerprint` names, by path in the project folder. */
  data?: Record<string, DataFingerprint>;
}

/** What `waddle.json` says about the record. */
export interface EnvironmentPlan {
  /** `environment.variables`: more variables, or fewer. */
  variables: readonly string[];
  /** `snapshot.fingerprint`: data to be listed, relative to the project folder. */
  fingerprint: readonly string[];
}

interface PythonFacts {
  version: string;
  implementation: string;
  executable: string;
  prefix: string;
  /** Name to version, as the names of the installed `.dist-info` folders tell. */
  packages: Record<string, string>;
}

/** Prints what only the interpreter itself knows. Without `site`'s user code, and nothing that a project could shadow. */
const PROBE = [
  'import sys, platform',
  'print("\\x1f".join(["WADDLE", platform.python_version(), platform.python_implementation(), sys.executable, sys.prefix, *sys.path]))',
].join('\n');

/**
 * The machine, the variables, the lock files, the data and, where the job is Python, its interpreter and packages. Runs at
 * most three short programs (Python, and twice `nvidia-smi` where there is one).
 */
export async function describeEnvironment(options: {
  python: string | null;
  /** The job's environment, with what Waddle added to it. */
  env: Record<string, string | undefined>;
  /** The user's own, which the variables are taken from; default `env`. */
  userEnv?: Record<string, string | undefined> | undefined;
  /** The job's working folder, and the project folder. */
  cwd: string;
  project: string;
  plan: EnvironmentPlan;
}): Promise<Record<string, unknown>> {
  const { plan } = options;
  const [python, gpus, cuda] = await Promise.all([
    options.python === null ? null : describePython(options.python, options.env),
    listGpus(options.env),
    findCuda(options.env),
  ]);
  const container = findContainer(options.env);
  const processors = cpus();
  const facts: EnvironmentFacts = {
    ...(python === null ? {} : { python }),
    node: process.versions.node,
    platform: {
      system: process.platform,
      distribution: distribution(),
      release: release(),
      version: version(),
      arch: arch(),
      host: hostname(),
    },
    cpu: { model: processors[0]?.model ?? '', cores: processors.length },
    memory_bytes: memoryLimit(),
    gpus,
    ...(cuda === null ? {} : { cuda }),
    ...(container === null ? {} : { container }),
    variables: relevantVariables(options.userEnv ?? options.env, plan.variables),
    lock_files: hashLockFiles(options.cwd),
    ...(plan.fingerprint.length === 0 ? {} : { data: fingerprintData(options.project, plan.fingerprint) }),
  };
  return { ...facts };
}

function distribution(): string | null {
  for (const path of ['/etc/os-release', '/usr/lib/os-release']) {
    try {
      const name = /^PRETTY_NAME="?(.*?)"?$/m.exec(readFileSync(path, 'utf8'))?.[1];
      if (name !== undefined) return name;
    } catch {
      // Not there.
    }
  }
  return null;
}

async function describePython(
  python: string,
  env: Record<string, string | undefined>,
): Promise<PythonFacts | null> {
  let text: string;
  try {
    const result = await promisify(execFile)(python, ['-c', PROBE], { env, timeout: 20_000, cwd: '/' });
    text = result.stdout;
  } catch {
    return null;
  }
  const [mark, found, implementation, executable, prefix, ...path] = text.trimEnd().split('\x1f');
  if (mark !== 'WADDLE' || found === undefined || implementation === undefined) return null;
  return {
    version: found,
    implementation,
    executable: executable ?? python,
    prefix: prefix ?? '',
    packages: installedPackages(path),
  };
}

/** The first of a name in import order counts, as it does for an import. */
function installedPackages(path: readonly string[]): Record<string, string> {
  const packages = new Map<string, string>();
  for (const folder of path) {
    for (const name of namesIn(folder)) {
      const match = /^(.+?)-([^-]+)(?:-[^-]*)?\.(?:dist-info|egg-info)$/.exec(name);
      const [, project, found] = match ?? [];
      if (project === undefined || found === undefined) continue;
      const key = project.toLowerCase().replace(/[-_.]+/g, '-');
      if (!packages.has(key)) packages.set(key, found);
    }
  }
  return Object.fromEntries([...packages].sort(([a], [b]) => (a < b ? -1 : 1)));
}

function namesIn(folder: string): string[] {
  if (!folder.startsWith('/') && !/^[A-Za-z]:/.test(folder)) return [];
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

/** The memory that this process may use: the machine's, or less in a container. Bytes. */
function memoryLimit(): number {
  for (const path of ['/sys/fs/cgroup/memory.max', '/sys/fs/cgroup/memory/memory.limit_in_bytes']) {
    try {
      const limit = Number(readFileSync(path, 'utf8').trim());
      if (Number.isFinite(limit) && limit > 0 && limit < totalmem()) return limit;
    } catch {
      // No such control group.
    }
  }
  return totalmem();
}

/** Whether a program is a Python interpreter, by its name. */
export function isPythonName(file: string): boolean {
  return /^(python|pypy)(\d+(\.\d+)*)?t?(\.exe)?$/.test(basename(file));
}
