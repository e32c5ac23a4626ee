/** A copy of a run without the secrets in it: a run of its own, so that nothing that was written is changed (docs/decisions/0017). */
import { closeSync, fsyncSync, mkdirSync, openSync, renameSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { WaddleError } from '../errors/waddle-error.ts';
import { newRunId } from '../events/ids.ts';
import { eventTime } from '../events/line.ts';
import type { Event, EventOf } from '../events/schema.ts';
import { commitContent, commitId } from '../git/commit.ts';
import { pinTree } from '../git/refs.ts';
import { replaceBlobs } from '../git/replace-blobs.ts';
import { type Layout, runFolder } from '../journal/layout.ts';
import { openPlainBytes, readLines } from '../journal/reader.ts';
import { readReceived } from '../journal/received.ts';
import { JournalWriter } from '../journal/writer.ts';
import type { FolderSpace } from './folder-space.ts';
import { EventRedactor } from './redact-events.ts';
import type { JournalEntry } from './run-book.ts';
import { redactText } from './secret-patterns.ts';
import { type SecretFind, scanForSecrets } from './secret-scan.ts';

export interface RedactedRun {
  /** The copy's id. */
  id: string;
  /** What was taken out, by its place in the first run. */
  secrets: SecretFind[];
}

/**
 * Makes the copy; null where nothing is found in the run. The first run is left as it is.
 * @throws WaddleError `run-not-ended`, `redact-received`, `redact-not-whole`
 */
export async function redactRun(options: {
  own: FolderSpace;
  layout: Layout;
  run: string;
  client: string;
}): Promise<RedactedRun | null> {
  const { own, layout, run, client } = options;
  const entries = [...(own.journals.run(run)?.journals ?? [])];
  if (readReceived(runFolder(layout, run)).size > 0) {
    throw new WaddleError(
      'redact-received',
      `the run ${run} came from elsewhere: its secrets are there too`,
      'Revoke them, and have them taken out where the run was made.',
    );
  }
  if (entries.length === 0 || entries.some(([, { sealed, facts }]) => !sealed && !facts.closed)) {
    throw new WaddleError(
      'run-not-ended',
      `the run ${run} has not ended`,
      'Wait for its end: waddle stop ends it.',
    );
  }
  const secrets = await scanForSecrets({ own, remote: null, runs: [run] });
  if (secrets.length === 0) return null;
  const id = newRunId();
  const folder = runFolder(layout, id);
  const change = await changeOf({ own, layout, run, id, secrets });
  const temporary = `${folder}.${process.pid}.tmp`;
  try {
    mkdirSync(temporary, { recursive: true });
    for (const [writer, entry] of entries) copyJournal(entry, join(temporary, `${writer}.jsonl`), change);
    const note = JournalWriter.open({ folder: temporary, role: 'edits', run: id, client });
    const t = eventTime();
    const message = `this is ${run} with ${secrets.length} secrets taken out of it`;
    note.append({ k: 'warning', t, code: 'redacted', message });
    note.append({ k: 'edit', t, clock: Date.now(), field: 'tag', key: 'waddle_redacted', value: run });
    note.close();
    renameSync(temporary, folder);
  } finally {
    rmSync(temporary, { recursive: true, force: true });
  }
  const [left] = await scanForSecrets({ own, remote: null, runs: [id], enough: 1 });
  if (left === undefined) return { id, secrets };
  rmSync(folder, { recursive: true, force: true });
  throw new WaddleError(
    'redact-not-whole',
    `not everything can be taken out: ${left.place.replace(id, run)} (${left.kind})`,
    'Nothing was changed. Revoke the secret, and run the job again without it.',
  );
}

function copyJournal({ path }: JournalEntry, to: string, change: (event: Event) => Event): void {
  const bytes = openPlainBytes(path);
  if (bytes === null) throw new Error(`${path} is gone`);
  const redactor = new EventRedactor(change);
  const fd = openSync(to, 'wx', 0o644);
  try {
    for (const { lines } of readLines(bytes, 0)) {
      const text = lines.map((line) => (line.text === null ? '' : redactor.line(line.text))).join('');
      const out = Buffer.from(text);
      for (let at = 0; at < out.length; ) at += writeSync(fd, out, at);
    }
    fsyncSync(fd);
  } finally {
    closeSync(fd);
    bytes.close();
  }
}

/** What is other in the events of the copy: whose they are, and the code. */
async function changeOf(options: {
  own: FolderSpace;
  layout: Layout;
  run: string;
  id: string;
  secrets: readonly SecretFind[];
}): Promise<(event: Event) => Event> {
  const { own, layout, run, id, secrets } = options;
  const blobs = new Set(secrets.flatMap(({ blob }) => blob ?? []));
  const trees = new Map<string, string>();
  for (const [tree, gitDir] of blobs.size === 0 ? [] : await own.codePlaces(run)) {
    const place = { gitDir, env: own.env };
    const clean = await replaceBlobs({ ...place, tree, blobs, replace: redactFile });
    if (clean === tree) continue;
    await pinTree({ ...place, tree: clean, privateDir: layout.privateGit });
    trees.set(tree, clean);
  }
  return (event) => {
    if (event.k === 'open') return event.run === undefined ? event : { ...event, run: id };
    if (event.k === 'start') return { ...event, id };
    return event.k === 'snapshot' ? cleanSnapshot(event, trees) : event;
  };
}

/** All else in the file stays as it is, in whatever encoding. */
function redactFile(content: Buffer): Buffer {
  const encoding = Buffer.from(content.toString('utf8')).equals(content) ? 'utf8' : 'latin1';
  return Buffer.from(redactText(content.toString(encoding)), encoding);
}

/** The record of other trees: a commit of Waddle's own, which is made again from it as ever. */
function cleanSnapshot(event: EventOf<'snapshot'>, trees: ReadonlyMap<string, string>): EventOf<'snapshot'> {
  const { snapshot } = event;
  const nested = snapshot.nested.map((each) => {
    const clean = trees.get(each.tree);
    return clean === undefined ? each : { ...each, tree: clean, commit: null };
  });
  const base = snapshot.base_tree ?? '';
  const rest = { ...snapshot, nested, ...(trees.has(base) ? { base_tree: trees.get(base) ?? null } : {}) };
  const tree = trees.get(snapshot.tree ?? '');
  if (tree === undefined) return { ...event, snapshot: rest };
  const content =
    snapshot.commit_object?.replace(/^tree [0-9a-f]+/, `tree ${tree}`) ??
    commitContent({ tree, parent: snapshot.base ?? null, time: Math.floor(event.t) });
  const commit = commitId(content, tree.length === 64 ? 'sha256' : 'sha1');
  return { ...event, snapshot: { ...rest, tree, commit, commit_object: content, dirty: true } };
}
