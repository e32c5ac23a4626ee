import { readdirSync, readFileSync } from 'node:fs';

/** One process as `/proc` tells of it. */
interface ProcessStat {
  pid: number;
  parent: number;
  group: number;
  session: number;
  /** Foreground process group of its terminal; -1 where it has none. */
  foreground: number;
  /** User and system time so far, in clock ticks. */
  ticks: number;
  started: number;
  /** Resident pages. */
  pages: number;
  zombie: boolean;
}

/** Null where there is no such process, or no `/proc`. */
export function readStat(pid: number | 'self'): ProcessStat | null {
  let text: string;
  try {
    text = readFileSync(`/proc/${pid}/stat`, 'utf8');
  } catch {
    return null;
  }
  // The command in field 2 may hold spaces and parentheses; field 3 (the state) comes first here.
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  const number = (field: number) => Number(fields[field - 3]);
  return {
    pid: Number.parseInt(text, 10),
    parent: number(4),
    group: number(5),
    session: number(6),
    foreground: number(8),
    ticks: number(14) + number(15),
    started: number(22),
    pages: number(24),
    zombie: fields[0] === 'Z' || fields[0] === 'X',
  };
}

function listProcesses(): ProcessStat[] {
  let names: string[];
  try {
    names = readdirSync('/proc');
  } catch {
    return [];
  }
  const found: ProcessStat[] = [];
  for (const name of names) {
    if (!/^\d+$/.test(name)) continue;
    const stat = readStat(Number(name));
    if (stat !== null) found.push(stat);
  }
  return found;
}

/**
 * The living processes of a job: its first one and everything below it; where the job has a process group of its own,
 * also what is left in that group after its parent died.
 */
export function processTree(pid: number, ownGroup: boolean): ProcessStat[] {
  const all = listProcesses();
  const children = new Map<number, ProcessStat[]>();
  for (const each of all) {
    const siblings = children.get(each.parent);
    if (siblings === undefined) children.set(each.parent, [each]);
    else siblings.push(each);
  }
  const tree = new Map<number, ProcessStat>();
  const queue = all.filter((each) => each.pid === pid || (ownGroup && each.group === pid));
  for (let each = queue.pop(); each !== undefined; each = queue.pop()) {
    if (tree.has(each.pid)) continue;
    tree.set(each.pid, each);
    queue.push(...(children.get(each.pid) ?? []));
  }
  return [...tree.values()].filter((each) => !each.zombie);
}

/** Sends a signal to every process of a job; false where none was there to take it. */
export function signalJob(pid: number, ownGroup: boolean, signal: NodeJS.Signals): boolean {
  // Listed first: a process that dies of the signal leaves its children to init, and out of the tree.
  const tree = processTree(pid, ownGroup);
  let reached = ownGroup && send(-pid, signal);
  // Beyond its group a job may have processes with groups of their own (a shell with job control, a launcher).
  const inGroup = reached;
  for (const each of tree) {
    if (inGroup && each.group === pid) continue;
    if (each.pid !== process.pid && send(each.pid, signal)) reached = true;
  }
  // Without /proc the first process is all that is known; with it, an empty tree means that nobody is left.
  if (!reached && readStat('self') === null) reached = send(pid, signal);
  return reached;
}

/**
 * Kills a job with everything below it. It is stopped first, until its tree no longer grows: what forks while the list is
 * read would get away.
 */
export function killJob(pid: number, ownGroup: boolean): void {
  let size = -1;
  for (let round = 0; round < 20; round += 1) {
    const tree = processTree(pid, ownGroup);
    if (tree.length === size) break;
    size = tree.length;
    for (const each of tree) if (each.pid !== process.pid) send(each.pid, 'SIGSTOP');
  }
  signalJob(pid, ownGroup, 'SIGKILL');
}

function send(pid: number, signal: NodeJS.Signals): boolean {
  try {
    return process.kill(pid, signal);
  } catch {
    return false;
  }
}

/**
 * Whether this process is in the foreground of a terminal that it reads from. Then a job must stay in this process's
 * group: only the foreground group may read the terminal, and Ctrl-C goes to it.
 */
export function isInForeground(): boolean {
  if (process.stdin.isTTY !== true) return false;
  const own = readStat('self');
  return own === null || (own.foreground > 0 && own.foreground === own.group);
}
