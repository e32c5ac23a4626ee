import { readFileSync, statfsSync } from 'node:fs';
import { freemem, totalmem } from 'node:os';
import { processTree } from './process-tree.ts';

/** Values by metric name (`system/…`, the unit in the name). */
export type SystemValues = Record<string, number>;

/** Clock ticks a second in `/proc/<pid>/stat`: USER_HZ, 100 on every Linux that Node runs on. */
const TICKS_PER_SECOND = 100;
const PAGE_BYTES = 4096;
const SECTOR_BYTES = 512;

interface Counters {
  at: number;
  cpuBusy: number;
  cpuTotal: number;
  /** Ticks of the job's processes so far, by process and start time. */
  process: Map<string, number>;
  diskRead: number;
  diskWritten: number;
  received: number;
  sent: number;
}

/**
 * Samples the machine and the job. What counts up (CPU time, bytes) is told as a rate since the sample before, so the
 * first sample lacks it. On Linux it is all read from `/proc`, in under a millisecond; elsewhere `systeminformation`
 * tells what it can.
 */
export class SystemSampler {
  #pid: number;
  #folder: string;
  #before: Counters | null = null;

  /**
   * @param pid the job's first process
   * @param folder a folder on the disk whose free space matters
   */
  constructor(pid: number, folder: string) {
    this.#pid = pid;
    this.#folder = folder;
  }

  async sample(): Promise<SystemValues> {
    const values: SystemValues = {};
    if (process.platform === 'linux') this.#sampleProc(values);
    else await sampleElsewhere(this.#pid, values);
    try {
      const disk = statfsSync(this.#folder);
      values['system/disk_free_bytes'] = disk.bavail * disk.bsize;
    } catch {
      // The folder is gone, or its file system does not tell.
    }
    return values;
  }

  #sampleProc(values: SystemValues): void {
    const tree = processTree(this.#pid, true);
    const cpu = readCpu();
    const disk = readDisks();
    const network = readNetwork();
    const process = new Map(tree.map((each) => [`${each.pid}/${each.started}`, each.ticks]));
    const now: Counters = {
      at: performance.now(),
      cpuBusy: cpu.busy,
      cpuTotal: cpu.total,
      process,
      diskRead: disk.read,
      diskWritten: disk.written,
      received: network.received,
      sent: network.sent,
    };
    values['system/memory_used_bytes'] = readMemoryUsed();
    if (tree.length > 0) {
      values['system/memory_rss_bytes'] = tree.reduce((sum, each) => sum + each.pages * PAGE_BYTES, 0);
    }
    const before = this.#before;
    this.#before = now;
    if (before === null) return;
    const seconds = (now.at - before.at) / 1000;
    if (seconds <= 0) return;
    const rate = (after: number, earlier: number) => Math.round(Math.max(0, after - earlier) / seconds);
    if (now.cpuTotal > before.cpuTotal) {
      values['system/cpu_percent'] = percent(
        (now.cpuBusy - before.cpuBusy) / (now.cpuTotal - before.cpuTotal),
      );
    }
    if (tree.length > 0) {
      let ticks = 0;
      for (const [key, count] of process) ticks += count - (before.process.get(key) ?? 0);
      values['system/process_cpu_percent'] = percent(ticks / TICKS_PER_SECOND / seconds);
    }
    values['system/disk_read_bytes_per_s'] = rate(now.diskRead, before.diskRead);
    values['system/disk_write_bytes_per_s'] = rate(now.diskWritten, before.diskWritten);
    values['system/network_received_bytes_per_s'] = rate(now.received, before.received);
    values['system/network_sent_bytes_per_s'] = rate(now.sent, before.sent);
  }
}

function percent(share: number): number {
  return Math.round(Math.max(0, share) * 1000) / 10;
}

function lines(path: string): string[] {
  try {
    return readFileSync(path, 'utf8').split('\n');
  } catch {
    return [];
  }
}

function readCpu(): { busy: number; total: number } {
  const fields = (lines('/proc/stat')[0] ?? '').trim().split(/\s+/).slice(1, 9).map(Number);
  const total = fields.reduce((sum, value) => sum + value, 0);
  // Idle, and waiting for the disk.
  return { busy: total - (fields[3] ?? 0) - (fields[4] ?? 0), total };
}

function readMemoryUsed(): number {
  const fields = new Map<string, number>();
  for (const line of lines('/proc/meminfo')) {
    const match = /^(\w+):\s+(\d+) kB/.exec(line);
    if (match?.[1] !== undefined) fields.set(match[1], Number(match[2]) * 1024);
  }
  const total = fields.get('MemTotal') ?? totalmem();
  return total - (fields.get('MemAvailable') ?? freemem());
}

/** Bytes since boot over all whole disks; partitions and devices made of others would count twice. */
function readDisks(): { read: number; written: number } {
  let read = 0;
  let written = 0;
  for (const line of lines('/proc/diskstats')) {
    const fields = line.trim().split(/\s+/);
    const name = fields[2] ?? '';
    if (!/^(sd[a-z]+|hd[a-z]+|vd[a-z]+|xvd[a-z]+|nvme\d+n\d+|mmcblk\d+)$/.test(name)) continue;
    read += Number(fields[5]) * SECTOR_BYTES;
    written += Number(fields[9]) * SECTOR_BYTES;
  }
  return { read, written };
}

/** Bytes since boot over all interfaces but the machine's own loop. */
function readNetwork(): { received: number; sent: number } {
  let received = 0;
  let sent = 0;
  for (const line of lines('/proc/net/dev')) {
    const [name, rest] = line.split(':');
    if (rest === undefined || name?.trim() === 'lo') continue;
    const fields = rest.trim().split(/\s+/).map(Number);
    received += fields[0] ?? 0;
    sent += fields[8] ?? 0;
  }
  return { received, sent };
}

async function sampleElsewhere(pid: number, values: SystemValues): Promise<void> {
  const { currentLoad, mem, processes } = await import('systeminformation');
  const [load, memory, all] = await Promise.all([currentLoad(), mem(), processes()]);
  values['system/cpu_percent'] = Math.round(load.currentLoad * 10) / 10;
  values['system/memory_used_bytes'] = memory.active;
  const tree = new Set([pid]);
  let cpu = 0;
  let kilobytes = 0;
  // Parents are listed before their children only by chance: look until nothing is added.
  for (let size = 0; size !== tree.size; ) {
    size = tree.size;
    for (const each of all.list) if (tree.has(each.parentPid)) tree.add(each.pid);
  }
  for (const each of all.list) {
    if (!tree.has(each.pid)) continue;
    cpu += each.cpu;
    kilobytes += each.memRss;
  }
  if (kilobytes > 0) {
    values['system/memory_rss_bytes'] = kilobytes * 1024;
    values['system/process_cpu_percent'] = Math.round(cpu * 10) / 10;
  }
}
