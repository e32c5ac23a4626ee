import { type ChildProcess, spawn } from 'node:child_process';
import { setPriority } from 'node:os';

/** The companion of a run, as its supervisor sees it. */
export interface Companion {
  /** Asks it to finish its journal and waits until it has gone, at most a few seconds. */
  stop(): Promise<void>;
}

/** How long a companion may take to finish, in ms. After that the supervisor does what is left. */
const STOP_MS = 3000;
export const COMPANION_PRIORITY = 10;

/**
 * Starts `waddle __helper` beside a job: in a session of its own, so that no Ctrl-C and no closed terminal reaches it. Its
 * stdin is a pipe from this process: the line `end` asks it to finish, and a mere end of file tells it that the
 * supervisor has died and that it must carry on alone.
 */
export function startCompanion(options: {
  command: readonly string[];
  project: string;
  runId: string;
  attempt: string;
  /** The job's first process. */
  pid: number;
  cwd: string;
  /** The job's Python interpreter, where it is known. */
  python: string | null;
  env: Record<string, string | undefined>;
  /** Called at most once, where it cannot be started or ends before it should. */
  onFailure(message: string): void;
}): Companion {
  const [file = '', ...first] = options.command;
  const { project, runId, attempt, pid, cwd } = options;
  let asked = false;
  let failed = false;
  const fail = (message: string) => {
    if (failed || asked) return;
    failed = true;
    options.onFailure(message);
  };
  let child: ChildProcess;
  try {
    const place = ['--dir', project, '--run', runId, '--attempt', attempt];
    const python = options.python === null ? [] : ['--python', options.python];
    child = spawn(
      file,
      [...first, '__helper', '--role', 'beside', ...place, '--pid', String(pid), '--cwd', cwd, ...python],
      {
        cwd: project,
        // What the user loads into Node jobs is not for the helper.
        env: { ...options.env, NODE_OPTIONS: undefined },
        detached: true,
        stdio: ['pipe', 'ignore', 'ignore'],
      },
    );
  } catch (error) {
    fail(`the helper beside the job could not be started (${String(error)})`);
    return { stop: async () => undefined };
  }
  const gone = new Promise<void>((resolve) => {
    child.once('exit', (code, signal) => {
      // It ends by itself, with 0, where it saw the job end before it was asked to.
      if (code !== 0) fail(`the helper beside the job ended early (${signal ?? `exit code ${code}`})`);
      resolve();
    });
    child.once('error', (error) => {
      fail(`the helper beside the job could not be started (${error.message})`);
      resolve();
    });
  });
  child.stdin?.on('error', () => undefined);
  if (child.pid !== undefined) {
    try {
      // Its start must not compete with the job's.
      setPriority(child.pid, COMPANION_PRIORITY);
    } catch {
      // It lowers itself as well.
    }
  }
  child.unref();
  return {
    stop: async () => {
      asked = true;
      child.stdin?.end('end\n');
      let timer: NodeJS.Timeout | undefined;
      const late = new Promise<void>((resolve) => {
        timer = setTimeout(resolve, STOP_MS);
      });
      await Promise.race([gone, late]);
      clearTimeout(timer);
    },
  };
}
