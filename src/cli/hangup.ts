import { readFileSync, readlinkSync } from 'node:fs';
import { basename } from 'node:path';

/**
 * Whether SIGHUP was ignored when Waddle was started (`nohup waddle run … &`).
 *
 * Node gives every signal its default back before the first line of JavaScript, so the process itself no longer knows.
 * `bin/waddle` and the wheel's launcher look before they start Node and say so in WADDLE_HANGUP_IGNORED. Started any other
 * way (npm's link to the bundle) there are only traces: the shell's `_`, the write-only /dev/null that GNU nohup puts in
 * the place of a terminal's stdin, or a parent that ignores the signal itself.
 */
export function hangupWasIgnored(env: Record<string, string | undefined>): boolean {
  if (env.WADDLE_HANGUP_IGNORED !== undefined) return env.WADDLE_HANGUP_IGNORED === '1';
  if (basename(env._ ?? '') === 'nohup') return true;
  return stdinIsNohups() || parentIgnoresHangup();
}

function stdinIsNohups(): boolean {
  try {
    if (readlinkSync('/proc/self/fd/0') !== '/dev/null') return false;
    const flags = /^flags:\s*([0-7]+)/m.exec(readFileSync('/proc/self/fdinfo/0', 'utf8'))?.[1];
    return flags !== undefined && (Number.parseInt(flags, 8) & 3) === 1;
  } catch {
    return false;
  }
}

function parentIgnoresHangup(): boolean {
  try {
    const status = readFileSync(`/proc/${process.ppid}/status`, 'utf8');
    const ignored = /^SigIgn:\s*([0-9a-f]+)/m.exec(status)?.[1];
    return ignored !== undefined && (Number.parseInt(ignored.slice(-1), 16) & 1) === 1;
  } catch {
    return false;
  }
}
