/**
 * Running git: one function that never throws for what git says, with an environment and flags under which git
 * touches nothing of the user's (no hooks, no index refresh, no background gc, no prompt).
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { isSystemError, WaddleError } from '../errors/waddle-error.ts';

export type Environment = Readonly<Record<string, string | undefined>>;

/** Where and how a git command runs. Plain data: `{...git, indexFile}` is the same place with another index. */
export interface Git {
  /** The caller's environment; scrubbed of `GIT_*` before git sees it. */
  readonly env: Environment;
  readonly cwd: string;
  readonly gitDir?: string | undefined;
  readonly workTree?: string | undefined;
  readonly indexFile?: string | undefined;
  /** Where new objects are written, if not in `gitDir`; then `alternate` is where the old ones are read. */
  readonly objectDir?: string | undefined;
  readonly alternate?: string | undefined;
  /** Names of filters (`filter.<name>`) that cannot run here; shared and added to while git runs. */
  readonly rawFilters?: string[] | undefined;
  /** The number of an open file that takes stdout; `out` is then empty. */
  readonly output?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  /** `performance.now()` after which a running git is ended; the result then says `late`. */
  readonly deadline?: number | undefined;
  /** Address space that git may take, in bytes: for work on what a stranger sent. */
  readonly memoryBytes?: number | undefined;
}

export interface GitResult {
  readonly ok: boolean;
  readonly code: number | null;
  readonly out: Buffer;
  readonly err: string;
  /** `missing`: there is no git to run. `late`: ended at the deadline. */
  readonly why: 'exited' | 'killed' | 'missing' | 'late';
}

/**
 * Never `core.excludesFile` here: it would replace the user's.
 * `core.fsmonitor` may be a program of the user's; `splitIndex` would write a shared index into their git dir.
 */
const flags = [
  'core.hooksPath=/dev/null',
  'core.fsmonitor=false',
  'core.splitIndex=false',
  'core.safecrlf=false',
  'core.ignoreStat=false',
  'core.checkStat=default',
  'core.logAllRefUpdates=false',
  'gc.auto=0',
].flatMap((setting) => ['-c', setting]);

/** These three name configuration files and nothing else; any other inherited `GIT_*` can point git at the user's index. */
const inherited = new Set(['GIT_CONFIG_GLOBAL', 'GIT_CONFIG_SYSTEM', 'GIT_CONFIG_NOSYSTEM']);

function gitEnvironment(git: Git): Record<string, string> {
  const result: Record<string, string> = {};
  for (const [name, value] of Object.entries(git.env)) {
    if (value === undefined || (name.startsWith('GIT_') && !inherited.has(name))) continue;
    result[name] = value;
  }
  Object.assign(result, {
    GIT_OPTIONAL_LOCKS: '0',
    GIT_TERMINAL_PROMPT: '0',
    GIT_NO_LAZY_FETCH: '1',
    GIT_LITERAL_PATHSPECS: '1',
    LC_ALL: 'C',
  });
  if (git.gitDir !== undefined) result.GIT_DIR = git.gitDir;
  if (git.workTree !== undefined) result.GIT_WORK_TREE = git.workTree;
  if (git.indexFile !== undefined) result.GIT_INDEX_FILE = git.indexFile;
  if (git.objectDir !== undefined) result.GIT_OBJECT_DIRECTORY = git.objectDir;
  if (git.alternate !== undefined) result.GIT_ALTERNATE_OBJECT_DIRECTORIES = quoteAlternate(git.alternate);
  return result;
}

/** The variable is a list separated by `:`; a path in C quotes may hold one. */
function quoteAlternate(path: string): string {
  return /[:"\\\n]/.test(path) || path.startsWith('"')
    ? `"${path.replaceAll(/["\\]/g, '\\$&').replaceAll('\n', '\\n')}"`
    : path;
}

/**
 * Runs git to its end. Resolves whatever git's exit code is; rejects only with the reason of an aborted `signal`.
 * `input` is text or bytes for stdin, or the number of an open file.
 */
export function runGit(
  git: Git,
  args: readonly string[],
  input?: Buffer | string | number,
): Promise<GitResult> {
  const { signal, deadline } = git;
  const disabled = (git.rawFilters ?? []).flatMap((name) =>
    ['required=false', 'clean=', 'smudge=', 'process='].flatMap((end) => ['-c', `filter.${name}.${end}`]),
  );
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason);
    const left = deadline === undefined ? undefined : deadline - performance.now();
    if (left !== undefined && left <= 0) {
      return resolve({ ok: false, code: null, out: Buffer.alloc(0), err: '', why: 'late' });
    }
    const stdin = input === undefined ? 'ignore' : typeof input === 'number' ? input : 'pipe';
    const all = [...flags, ...disabled, ...args];
    const limit = git.memoryBytes === undefined ? null : String(Math.floor(git.memoryBytes / 1024));
    // A system without such a limit goes on without.
    const bounded = ['-c', 'ulimit -v "$0" 2>/dev/null; exec git "$@"', limit ?? '', ...all];
    const child: ChildProcess = spawn(limit === null ? 'git' : 'sh', limit === null ? all : bounded, {
      cwd: git.cwd,
      env: gitEnvironment(git),
      stdio: [stdin, git.output ?? 'pipe', 'pipe'],
      windowsHide: true,
      // A group of its own, so that ending git ends its filters too.
      detached: true,
    });
    const out: Buffer[] = [];
    const err: Buffer[] = [];
    let late = false;
    let missing = false;
    let ended = false;
    const end = (): void => {
      ended = true;
      endGroup(child, 'SIGTERM');
      setTimeout(() => endGroup(child, 'SIGKILL'), 2000).unref();
    };
    const timer =
      left === undefined
        ? undefined
        : setTimeout(() => {
            late = true;
            end();
          }, left);
    signal?.addEventListener('abort', end, { once: true });
    child.stdout?.on('data', (chunk: Buffer) => out.push(chunk));
    child.stderr?.on('data', (chunk: Buffer) => err.push(chunk));
    child.on('error', (error) => {
      // A working folder that is gone gives ENOENT too; that is not a missing git. Nor is a full process table.
      const there = existsSync(git.cwd);
      missing = there && isSystemError(error, 'ENOENT', 'EACCES');
      err.push(Buffer.from(there ? error.message : `no such folder: ${git.cwd}`));
      if (child.pid === undefined) finish(null);
    });
    child.on('close', finish);
    child.on('exit', (code) => {
      // What git left running may hold its output open; whoever ended it does not wait for that.
      if (!ended) return;
      child.stdout?.destroy();
      child.stderr?.destroy();
      finish(code);
    });
    if (typeof input !== 'number' && input !== undefined) {
      // git may end before it has read everything; its exit code says so, not the broken pipe.
      child.stdin?.on('error', () => {});
      child.stdin?.end(input);
    }
    function finish(code: number | null): void {
      clearTimeout(timer);
      signal?.removeEventListener('abort', end);
      if (signal?.aborted) reject(signal.reason);
      resolve({
        ok: code === 0,
        code,
        out: Buffer.concat(out),
        err: Buffer.concat(err).toString(),
        why: missing ? 'missing' : late ? 'late' : code === null ? 'killed' : 'exited',
      });
    }
  });
}

function endGroup(child: ChildProcess, signal: NodeJS.Signals): void {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
  try {
    process.kill(-child.pid, signal);
  } catch {
    // It has just ended by itself.
  }
}

/**
 * Like `runGit`, but where a required filter (git-lfs, say) is not installed, git is run again with that filter off:
 * content is then kept as it lies on disk. `git.rawFilters` names the filters this happened to.
 */
export async function runGitPastFilters(
  git: Git,
  args: readonly string[],
  input?: Buffer | string | number,
): Promise<GitResult> {
  for (;;) {
    const result = await runGit(git, args, input);
    const failed = /(?:clean filter '(.+)'|smudge filter (.+)) failed/.exec(result.err);
    const name = failed?.[1] ?? failed?.[2];
    if (result.ok || name === undefined || !git.rawFilters || git.rawFilters.includes(name)) return result;
    git.rawFilters.push(name);
  }
}

/** Runs git where failing is exceptional. Errors: `git-missing`, `git-failed`. */
export async function needGit(git: Git, args: readonly string[], input?: Buffer | string): Promise<Buffer> {
  const result = await runGit(git, args, input);
  if (result.ok) return result.out;
  if (result.why === 'missing') {
    throw new WaddleError('git-missing', 'git is not installed, or not in PATH', 'install git 2.30 or newer');
  }
  const said = firstLine(result.err) || `it ended with code ${result.code}`;
  throw new WaddleError(
    'git-failed',
    `git ${args[0] ?? ''} failed: ${said}`,
    'run `waddle doctor` to check the repository',
  );
}

export function firstLine(text: string): string {
  return (text.split('\n')[0] ?? '').replace(/^(fatal|error|warning): /, '');
}

/** True where git could not write an object, a ref or the index: the place is at fault, not one file. */
export function storeRefuses(err: string): boolean {
  return /insufficient permission for adding an object|unable to create temporary file|unable to write (?:new index|loose object|file)|No space left on device|Read-only file system|Disk quota exceeded|cannot create directory|unable to create directory|Unable to create '/i.test(
    err,
  );
}
