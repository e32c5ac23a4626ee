import { readdirSync, statSync } from 'node:fs';
import { parseLine } from '../events/line.ts';
import { listJournals } from '../journal/discover.ts';
import { consoleFile } from '../journal/layout.ts';
import { judgeLife, type ProcessIdentity } from '../journal/process-identity.ts';
import { openPlainBytes, readLines } from '../journal/reader.ts';
import { JournalWriter } from '../journal/writer.ts';
import { ConsoleFollower, type LineSink, removeConsoleFiles } from './console-follower.ts';

/** An attempt whose output still lies in files. */
interface Attempt {
  name: string;
  streams: (1 | 2)[];
}

/** What the journals of a run tell about its attempts. */
interface Told {
  /** The writers of the run that could still follow the files, and the jobs that could still write to them. */
  writers: { attempt: string | null; role: string; identity: ProcessIdentity }[];
  /** Number of whole lines that are in a journal already, by attempt and stream: `attempt/1`. */
  journaled: Map<string, number>;
}

/**
 * Journals what a job printed where its supervisor died before it could, and removes the files. Every attempt whose
 * output still lies in files is looked at; one that a living process follows is left alone. Lines keep their numbers, so
 * that nothing is lost or doubled, even where two processes do this at once.
 * @param client name and version of this program
 * @returns whether anything was added to the run's journals
 */
export function recoverConsole(folder: string, run: string, client: string): boolean {
  const attempts = listConsoleFiles(folder);
  if (attempts.length === 0) return false;
  const told = readTold(folder);
  let added = false;
  for (const attempt of attempts) {
    const concerned = told.writers.filter((each) => each.attempt === attempt.name);
    // Only the supervisor follows the files. A helper that lives will come to recover them too, which does no harm; a
    // reader that comes before it must not find half of what was printed.
    const followed = concerned.some(
      (each) => each.role === 'supervisor' && judgeLife(each.identity) !== 'dead',
    );
    if (followed || concerned.length === 0) continue;
    const jobLives = concerned.some((each) => each.role === 'job' && judgeLife(each.identity) !== 'dead');
    // Only where there is a line to write: readers come by again and again while a job outlives its supervisor.
    let journal: JournalWriter | null = null;
    const sink: LineSink = {
      appendLines: (lines, count) => {
        journal ??= JournalWriter.open({ folder, role: 'helper', run, client, attempt: attempt.name });
        added = true;
        return journal.appendLines(lines, count);
      },
    };
    const follower = new ConsoleFollower({
      folder,
      attempt: attempt.name,
      journal: sink,
      streams: attempt.streams.map((stream) => ({
        stream,
        display: null,
        journaled: told.journaled.get(`${attempt.name}/${stream}`) ?? 0,
      })),
      time: lastWritten(folder, attempt),
    });
    try {
      const whole = follower.finish({ keepPartial: jobLives });
      if (whole && !jobLives) removeConsoleFiles(folder, attempt.name);
    } finally {
      follower.close();
      (journal as JournalWriter | null)?.close();
    }
  }
  return added;
}

/** Follows the files of an attempt whose supervisor has died, from the first line that is in no journal yet. */
export function takeOverConsole(folder: string, attempt: string, journal: LineSink): ConsoleFollower | null {
  const found = listConsoleFiles(folder).find((each) => each.name === attempt);
  if (found === undefined) return null;
  const { journaled } = readTold(folder);
  const streams = found.streams.map((stream) => ({
    stream,
    display: null,
    journaled: journaled.get(`${attempt}/${stream}`) ?? 0,
  }));
  return new ConsoleFollower({ folder, attempt, journal, streams });
}

/** Epoch milliseconds of the last write: the best that is known of when those lines came. */
function lastWritten(folder: string, attempt: Attempt): number {
  return Math.max(
    ...attempt.streams.map((stream) => statSync(consoleFile(folder, stream, attempt.name)).mtimeMs),
  );
}

/** Whether a run's folder holds output that may not be in a journal. One look at the folder. */
export function hasConsoleFiles(folder: string): boolean {
  return listConsoleFiles(folder).length > 0;
}

function listConsoleFiles(folder: string): Attempt[] {
  let names: string[];
  try {
    names = readdirSync(folder);
  } catch {
    return [];
  }
  const found = new Map<string, (1 | 2)[]>();
  for (const name of names) {
    const match = /^(stdout|stderr)-([a-z2-7]{8})\.log$/.exec(name);
    if (match?.[2] === undefined) continue;
    const attempt = `supervisor-${match[2]}`;
    const streams = found.get(attempt) ?? [];
    streams.push(match[1] === 'stdout' ? 1 : 2);
    found.set(attempt, streams);
  }
  return [...found].map(([name, streams]) => ({ name, streams: streams.sort() }));
}

function readTold(folder: string): Told {
  const told: Told = { writers: [], journaled: new Map() };
  for (const { path, writer } of listJournals(folder)) {
    const role = writer.slice(0, writer.indexOf('-'));
    if (role !== 'supervisor' && role !== 'helper') continue;
    const bytes = openPlainBytes(path);
    if (bytes === null) continue;
    let closed = false;
    const mine: Told['writers'] = [];
    try {
      for (const { lines } of readLines(bytes, 0)) {
        for (const { text } of lines) {
          if (text === null || text.startsWith('{"k":"m"')) continue;
          const parsed = parseLine(text);
          if (parsed.type !== 'event') continue;
          const event = parsed.event;
          if (event.k === 'open' || event.k === 'job') {
            const { pid, boot = null, pidns = null, started = null } = event;
            const host = event.k === 'open' ? event.host : (mine[0]?.identity.host ?? '');
            const identity = { host, pid, boot, pidns, started };
            mine.push({
              attempt: event.attempt ?? null,
              role: event.k === 'open' ? role : 'job',
              identity,
            });
          } else if (event.k === 'close') closed = true;
          else if (event.k === 'c' && event.p !== true) {
            const key = `${event.a ?? writer}/${event.o}`;
            told.journaled.set(key, Math.max(told.journaled.get(key) ?? 0, event.n + 1));
          }
        }
      }
    } finally {
      bytes.close();
    }
    // Who has closed follows nothing any more; the job that a closed supervisor started may yet live.
    told.writers.push(...(closed ? closedWriters(mine) : mine));
  }
  return told;
}

/** A closed writer counts as one that is gone: nobody has its identity. */
function closedWriters(writers: Told['writers']): Told['writers'] {
  return writers.map((each) =>
    each.role === 'job' ? each : { ...each, identity: { ...each.identity, pid: -1, started: 0 } },
  );
}
