/** Whether the remotes answer. */
import { WaddleError } from '../errors/waddle-error.ts';
import type { Context, Project } from './context.ts';
import type { Finding } from './doctor-machine.ts';
import { unfinishedRuns } from './live-push.ts';
import { listRemotes, openRemote, showAddress } from './remotes.ts';

const check = 'remote';
/** So long a remote may take to answer, in ms. */
const PATIENCE_MS = 5000;

/** A remote that does not answer keeps nothing from working here: it is a warning. */
export async function checkRemotes(context: Context, project: Project): Promise<Finding[]> {
  const findings: Finding[] = [];
  let remotes: ReturnType<typeof listRemotes>;
  try {
    remotes = listRemotes(project);
  } catch (error) {
    if (!(error instanceof WaddleError)) throw error;
    return [{ check, state: 'problem', message: error.message, hint: error.hint }];
  }
  for (const remote of remotes) {
    const name = `${remote.name}: ${showAddress(remote.url)}`;
    try {
      const space = await openRemote(context, project, remote, { signal: AbortSignal.timeout(PATIENCE_MS) });
      await space.close();
      findings.push({ check, state: 'ok', message: name });
    } catch (error) {
      const { message, hint } =
        error instanceof WaddleError
          ? error
          : { message: String(error), hint: 'waddle remote test tells more.' };
      // What a collector itself said does not name it.
      const told = /https?:/.test(message) ? `${remote.name}: ${message}` : `${name}: ${message}`;
      findings.push({ check, state: 'warning', message: told, hint });
    }
  }
  const left = unfinishedRuns(project.layout);
  if (left.length > 0 && remotes.length > 0) {
    findings.push({
      check,
      state: 'warning',
      message: `not all of ${left.slice(0, 5).join(', ')}${left.length > 5 ? ' and others' : ''} is pushed`,
      hint: 'waddle push catches up.',
    });
  }
  return findings;
}
