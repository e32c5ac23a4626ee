/** Long output through the user's pager, by git's own rules, on terminals only. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { runGit } from '../git/run-git.ts';
import type { Context } from './context.ts';

/** Shows bytes: in the pager that git would take (GIT_PAGER, core.pager, PAGER, else less), or as they are in a pipe. */
export async function page(context: Context, bytes: Uint8Array, folder: string): Promise<void> {
  const pager = context.terminal ? await pagerOf(context, folder) : null;
  if (pager === null || !(await showIn(pager, bytes, context))) await context.outBytes(bytes);
}

async function pagerOf(context: Context, folder: string): Promise<string | null> {
  const { env } = context;
  if (env.TERM === 'dumb') return null;
  let pager = env.GIT_PAGER;
  if (pager === undefined) {
    const told = await runGit({ env, cwd: folder }, ['var', 'GIT_PAGER']);
    // Without git, or in a folder that it refuses.
    pager = told.ok ? told.out.toString().trim() : (env.PAGER ?? 'less');
  }
  return pager === '' || pager === 'cat' ? null : pager;
}

/** False where the pager could not be started: the text must not be lost. */
async function showIn(pager: string, bytes: Uint8Array, { env }: Context): Promise<boolean> {
  // A Ctrl-C is for the pager: it stops a search, not Waddle.
  const ignore = () => undefined;
  process.on('SIGINT', ignore);
  try {
    const child = spawn('sh', ['-c', pager], {
      // `FRX`: as git sets it; a text that fits the screen is just shown.
      env: { ...env, LESS: env.LESS ?? 'FRX', LV: env.LV ?? '-c' },
      stdio: ['pipe', 'inherit', 'inherit'],
    });
    const closed = once(child, 'close');
    // Whoever quits early has seen enough.
    child.stdin.on('error', () => undefined);
    child.stdin.end(bytes);
    const [code] = await closed;
    return code !== 127 && code !== 126;
  } catch {
    return false;
  } finally {
    process.off('SIGINT', ignore);
  }
}
