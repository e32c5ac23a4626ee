import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { parseLine } from '../events/line.ts';
import { judgeLife } from './process-identity.ts';
import { JournalWriter } from './writer.ts';

/** util-linux's: a mount namespace of one's own. */
const UNSHARE = 'unshare';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'waddle-writer-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function openWriter(where = folder): JournalWriter {
  return JournalWriter.open({ folder: where, role: 'job', run: 'abcdefghijkl', client: 'test' });
}

const linesOf = (path: string) => readFileSync(path, 'utf8').split('\n').slice(0, -1);

describe('a writer', () => {
  it('begins with who it is, ends with its closing line, and each event is a line', () => {
    const writer = openWriter();
    expect(writer.append({ k: 'm', t: 1, s: 0, v: { loss: 0.5 } }, { k: 'beat', t: 2 })).toBe(true);
    writer.close();
    writer.close();
    const kinds = linesOf(writer.path).map((text) => {
      const parsed = parseLine(text);
      return parsed.type === 'event' ? parsed.event.k : parsed.type;
    });
    expect(kinds).toEqual(['open', 'm', 'beat', 'close']);
    expect(writer.length).toBe(readFileSync(writer.path).length);
    expect(() => writer.append({ k: 'beat', t: 3 })).toThrow(/closed/);
    const open = parseLine(linesOf(writer.path)[0] ?? '');
    if (open.type !== 'event' || open.event.k !== 'open') throw new Error('no opening line');
    const { host, pid, boot = null, pidns = null, started = null } = open.event;
    expect(pid).toBe(process.pid);
    expect(judgeLife({ host, pid, boot, pidns, started })).toBe('alive');
    expect(judgeLife({ host, pid, boot, pidns, started: (started ?? 0) + 1 })).toBe('dead');
  });

  it('never shares a file', () => {
    const writers = Array.from({ length: 50 }, () => openWriter());
    expect(new Set(writers.map((writer) => writer.path)).size).toBe(50);
    for (const writer of writers) writer.close();
  });

  /** A tmpfs of 64 KB in a mount namespace of its own: only where this machine lets us have one. */
  const canMount = spawnSync(UNSHARE, ['-rm', 'true']).status === 0;

  it.runIf(canMount)('closes off a short write on a full disk, counts what was lost, and goes on', () => {
    const script = `
      import { rmSync, writeFileSync } from 'node:fs';
      import { JournalWriter } from ${JSON.stringify(join(import.meta.dirname, 'writer.ts'))};
      const folder = process.argv[1];
      const writer = JournalWriter.open({ folder, role: 'job', run: 'abcdefghijkl', client: 'test' });
      writeFileSync(folder + '/ballast', Buffer.alloc(16384));
      const results = [];
      for (let s = 0; s < 2000; s += 1) results.push(writer.append({ k: 'm', t: 1, s, v: { loss: 0.5 } }));
      rmSync(folder + '/ballast');
      results.push(writer.append({ k: 'm', t: 1, s: 9999, v: { loss: 0.5 } }));
      writer.close();
      const { readFileSync } = await import('node:fs');
      process.stdout.write(JSON.stringify({ results, text: readFileSync(writer.path, 'utf8') }));
    `;
    const output = execFileSync(
      UNSHARE,
      [
        '-rm',
        'sh',
        '-c',
        'mount -t tmpfs -o size=64k none "$1" && exec "$2" --input-type=module-typescript -e "$3" "$1"',
        'sh',
        folder,
        process.execPath,
        script,
      ],
      { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] },
    );
    const { results, text } = JSON.parse(output) as { results: boolean[]; text: string };
    expect(results[0]).toBe(true);
    expect(results.at(-2)).toBe(false);
    expect(results.at(-1)).toBe(true);
    const parsed = text.split('\n').slice(0, -1).filter(Boolean).map(parseLine);
    expect(parsed.filter((line) => line.type === 'broken').length).toBeLessThanOrEqual(1);
    const steps = parsed.flatMap((line) =>
      line.type === 'event' && line.event.k === 'm' ? [line.event.s] : [],
    );
    // Every append that said yes is there, once.
    expect(steps.length).toBe(results.filter(Boolean).length);
    expect(steps.at(-1)).toBe(9999);
    const last = parsed.at(-1);
    const lost = results.filter((kept) => !kept).length;
    if (last?.type !== 'event' || last.event.k !== 'close') throw new Error('no closing line');
    expect(Object.values(last.event.dropped ?? {}).reduce((a, b) => a + b, 0)).toBe(lost);
  });
});
