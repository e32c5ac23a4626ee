import { readFileSync, readlinkSync } from 'node:fs';
import { hostname, userInfo } from 'node:os';

/**
 * Which process on which boot of which host. A bare pid is used again; with the boot id, the pid namespace and the start
 * time it names one process for ever. What the system does not tell is null, and then the pid alone must do.
 */
export interface ProcessIdentity {
  host: string;
  pid: number;
  /** Kernel boot id (Linux). */
  boot: string | null;
  /** Inode of the pid namespace (Linux): pids of another container mean nothing here. */
  pidns: string | null;
  /** Start of the process in clock ticks since boot (Linux). */
  started: number | null;
}

function bootId(): string | null {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  } catch {
    return null;
  }
}

function pidNamespace(): string | null {
  try {
    return /\d+/.exec(readlinkSync('/proc/self/ns/pid'))?.[0] ?? null;
  } catch {
    return null;
  }
}

/** Field 22 of `/proc/<pid>/stat`; the command in field 2 may hold spaces and parentheses. Null where there is none. */
function startTicks(pid: number): { started: number; zombie: boolean } | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return { started: Number(fields[19]), zombie: fields[0] === 'Z' || fields[0] === 'X' };
  } catch {
    return null;
  }
}

export function identityOf(pid: number): ProcessIdentity {
  return {
    host: hostname(),
    pid,
    boot: bootId(),
    pidns: pidNamespace(),
    started: startTicks(pid)?.started ?? null,
  };
}

export function userName(): string | null {
  try {
    return userInfo().username;
  } catch {
    return null;
  }
}

/**
 * Whether that process lives. `unknown` where this host cannot tell: the writer is on another host, or in another
 * container's pid namespace.
 */
export function judgeLife(writer: ProcessIdentity): 'alive' | 'dead' | 'unknown' {
  const boot = bootId();
  if (writer.boot !== null && boot !== null) {
    if (writer.boot !== boot) return writer.host === hostname() ? 'dead' : 'unknown';
    if (writer.pidns !== null && writer.pidns !== pidNamespace()) return 'unknown';
  } else if (writer.host !== hostname()) {
    return 'unknown';
  }
  if (writer.started !== null) {
    const now = startTicks(writer.pid);
    return now !== null && now.started === writer.started && !now.zombie ? 'alive' : 'dead';
  }
  try {
    process.kill(writer.pid, 0);
    return 'alive';
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM' ? 'alive' : 'dead';
  }
}
