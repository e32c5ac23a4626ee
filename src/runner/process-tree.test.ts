import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { describe, expect, it } from 'vitest';
import { killJob, processTree, readStat } from './process-tree.ts';

describe('killJob', () => {
  it('reaches grandchildren, also those with a group of their own', async () => {
    const script = 'setsid sleep 100000 & (sleep 100000 & echo ready; wait) & wait';
    const child = spawn('sh', ['-c', script], { detached: true, stdio: ['ignore', 'pipe', 'ignore'] });
    await once(child.stdout, 'data');
    const pid = child.pid ?? 0;
    while (processTree(pid, true).length < 4) await new Promise((wake) => setTimeout(wake, 10));
    const tree = processTree(pid, true).map((each) => each.pid);
    killJob(pid, true);
    const [, signal] = (await once(child, 'exit')) as [number | null, NodeJS.Signals | null];
    expect(signal).toBe('SIGKILL');
    for (const each of tree) {
      while (readStat(each)?.zombie === false) await new Promise((wake) => setTimeout(wake, 10));
    }
    expect(processTree(pid, true)).toEqual([]);
  });
});
