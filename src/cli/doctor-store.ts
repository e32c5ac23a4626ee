/** What `doctor` looks at in the project folder: the store, the journals, the artifacts, the links. */
import { createHash } from 'node:crypto';
import { createReadStream, existsSync } from 'node:fs';
import { join } from 'node:path';
import { blobPath, listBlobs } from '../blobs/blob-store.ts';
import { WaddleError } from '../errors/waddle-error.ts';
import { inspectRepository } from '../git/repository.ts';
import { catchUp, type IngestReport } from '../ingest/catch-up.ts';
import { isEmpty, listJournals, listRuns } from '../journal/discover.ts';
import { runFolder } from '../journal/layout.ts';
import { openPlainBytes, readLines } from '../journal/reader.ts';
import { openStore, type Store } from '../store/open.ts';
import { type Context, type Project, storeFile } from './context.ts';
import { checkCode } from './doctor-code.ts';
import type { Finding } from './doctor-machine.ts';
import { count, formatBytes } from './format-number.ts';
import { sayMigration } from './migration-notice.ts';
import { listLinks } from './opened-store.ts';
import { type Progress, startProgress } from './progress.ts';

/** Artifact files whose bytes are read again, and the time for it. */
const SAMPLED_BLOBS = 200;
const SAMPLE_MS = 5000;
/** Things of one kind that are named; the others are counted. */
const NAMED = 5;

/** Everything about the run data. Where there is none yet, nothing is written. */
export async function checkData(
  context: Context,
  project: Project,
  options: { fix: boolean } = { fix: false },
): Promise<Finding[]> {
  const path = storeFile(project, context.env);
  if (!existsSync(path) && isEmpty(project.layout)) {
    return [{ check: 'store', state: 'ok', message: 'no runs yet' }];
  }
  const progress = startProgress(context);
  let store: Store | undefined;
  try {
    const opened = openForCheck(path);
    store = opened.store;
    const findings = [...opened.findings];
    if (store === undefined) return [...findings, ...checkJournalFiles(project, progress)];
    sayMigration(context, store);
    progress.update('checking the database');
    findings.push(checkStore(store));
    const report = store.readOnly ? undefined : bringUp(store, project, findings, progress);
    findings.push(...checkJournals(store, report, project));
    findings.push(...checkRuns(store));
    progress.update('checking the code of the runs');
    findings.push(...(await checkCode(context, store, project, options.fix)));
    findings.push(...(await checkBlobs(store, project, progress)));
    findings.push(...(await checkLinks(context, store, project)));
    return findings;
  } finally {
    progress.end();
    store?.close();
  }
}

function openForCheck(path: string): { store: Store | undefined; findings: Finding[] } {
  try {
    return { store: openStore(path), findings: [] };
  } catch (error) {
    if (!(error instanceof WaddleError)) throw error;
    const finding: Finding = { check: 'store', state: 'problem', message: error.message, hint: error.hint };
    if (error.code !== 'store-read-only') return { store: undefined, findings: [finding] };
    try {
      return { store: openStore(path, { readOnly: true }), findings: [{ ...finding, state: 'warning' }] };
    } catch {
      return { store: undefined, findings: [finding] };
    }
  }
}

function checkStore(store: Store): Finding {
  const check = 'store';
  const found = store.db.prepare('PRAGMA quick_check(1)').get()?.quick_check;
  if (found !== 'ok') {
    return {
      check,
      state: 'problem',
      message: `${store.path} is damaged: ${String(found)}`,
      hint: 'Move it away with its -wal and -shm files: it is built anew from the journals, with nothing lost.',
    };
  }
  const { size } = store.db
    .prepare('SELECT page_count * page_size AS size FROM pragma_page_count(), pragma_page_size()')
    .get() ?? { size: 0 };
  const version = Number(store.db.prepare('PRAGMA user_version').get()?.user_version ?? 0);
  return {
    check,
    state: 'ok',
    message: `sound, version ${version}, ${formatBytes(Number(size))} (${store.path})`,
  };
}

function bringUp(
  store: Store,
  { layout }: Project,
  findings: Finding[],
  progress: Progress,
): IngestReport | undefined {
  try {
    return catchUp({
      layout,
      store,
      onProgress: ({ bytes, totalBytes }) =>
        progress.update(`reading journals: ${formatBytes(bytes)} of ${formatBytes(totalBytes)}`),
    });
  } catch (error) {
    if (!(error instanceof WaddleError)) throw error;
    findings.push({ check: 'store', state: 'problem', message: error.message, hint: error.hint });
    return undefined;
  }
}

function checkJournals(store: Store, report: IngestReport | undefined, { layout }: Project): Finding[] {
  const findings: Finding[] = (report?.failed ?? []).slice(0, NAMED).map(({ path, message }) => ({
    check: 'journals',
    state: 'problem',
    message: `${path} cannot be read: ${message}`,
    hint: 'Check its permissions and the disk; the other journals are read all the same.',
  }));
  const broken = store
    .prepare(
      `SELECT r.id AS run, j.writer AS writer, b.offset AS offset, b.reason AS reason
       FROM broken_lines b JOIN journals j ON j.id = b.journal LEFT JOIN runs r ON r.num = j.run
       ORDER BY r.id, j.writer, b.offset`,
    )
    .all();
  for (const row of broken.slice(0, NAMED)) {
    const folder = row.run === null ? layout.projectJournals : runFolder(layout, String(row.run));
    findings.push({
      check: 'journals',
      state: 'warning',
      message: `broken line in ${join(folder, `${String(row.writer)}.jsonl`)} at byte ${Number(row.offset)}: ${String(row.reason)}`,
      hint: 'What stood there is lost; everything else of the run is kept.',
    });
  }
  if (broken.length > NAMED) {
    findings.push({
      check: 'journals',
      state: 'warning',
      message: `${count(broken.length - NAMED, 'more broken line')}`,
      hint: 'waddle show RUN names those of a run.',
    });
  }
  const dropped = store.prepare("SELECT count(*) AS n FROM journals WHERE dropped <> '{}'").get();
  if (Number(dropped?.n ?? 0) > 0) {
    findings.push({
      check: 'journals',
      state: 'warning',
      message: `${count(Number(dropped?.n), 'writer')} could not keep everything (see show)`,
      hint: 'Mostly a full disk: make room before the next run.',
    });
  }
  if (findings.some((finding) => finding.state === 'problem')) return findings;
  const { n, open } = store
    .prepare('SELECT count(*) AS n, coalesce(sum(closed = 0), 0) AS open FROM journals')
    .get() ?? { n: 0, open: 0 };
  const unfinished = Number(open) === 0 ? '' : `, ${Number(open)} without an end`;
  return [
    { check: 'journals', state: 'ok', message: `${count(Number(n), 'journal')} read${unfinished}` },
    ...findings,
  ];
}

/** Without a store, the journals are at least read through. */
function checkJournalFiles({ layout }: Project, progress: Progress): Finding[] {
  let journals = 0;
  const findings: Finding[] = [];
  for (const id of listRuns(layout.runs)) {
    for (const { path } of listJournals(runFolder(layout, id))) {
      progress.update(`reading ${path}`);
      journals += 1;
      try {
        const bytes = openPlainBytes(path);
        if (bytes === null) continue;
        try {
          for (const _batch of readLines(bytes, 0));
        } finally {
          bytes.close();
        }
      } catch (error) {
        findings.push({
          check: 'journals',
          state: 'problem',
          message: `${path} cannot be read: ${error instanceof Error ? error.message : String(error)}`,
          hint: 'Check its permissions and the disk.',
        });
      }
    }
  }
  return [
    { check: 'journals', state: 'ok', message: `${count(journals, 'journal')} can be read` },
    ...findings,
  ];
}

function checkRuns(store: Store): Finding[] {
  const rows = store
    .prepare('SELECT status, count(*) AS n FROM runs WHERE removed = 0 GROUP BY status ORDER BY n DESC')
    .all();
  const total = rows.reduce((sum, row) => sum + Number(row.n), 0);
  const parts = rows.map((row) => `${Number(row.n)} ${String(row.status)}`);
  const removed = Number(store.prepare('SELECT count(*) AS n FROM runs WHERE removed = 1').get()?.n ?? 0);
  const findings: Finding[] = [
    {
      check: 'runs',
      state: 'ok',
      message: `${count(total, 'run')}${total > 0 ? `: ${parts.join(', ')}` : ''}`,
    },
  ];
  if (removed > 0) {
    findings.push({
      check: 'runs',
      state: 'ok',
      message: `${count(removed, 'removed run')} can be brought back; waddle gc reclaims the space`,
    });
  }
  return findings;
}

/** Every stored file's presence, and the bytes of a sample of them. */
async function checkBlobs(store: Store, { layout }: Project, progress: Progress): Promise<Finding[]> {
  const findings: Finding[] = [];
  const missing = store
    .prepare(
      `SELECT DISTINCT a.sha256 AS sha256, a.name AS name, r.id AS run FROM artifacts a JOIN runs r ON r.num = a.run
       WHERE a.inline IS NULL AND r.removed = 0`,
    )
    .all()
    .filter((row) => !existsSync(blobPath(layout.blobs, String(row.sha256))));
  for (const row of missing.slice(0, NAMED)) {
    findings.push({
      check: 'artifacts',
      state: 'problem',
      message: `the bytes of "${String(row.name)}" of ${String(row.run)} are not here`,
      hint: 'waddle pull brings them where a collector has them.',
    });
  }
  if (missing.length > NAMED) {
    findings.push({
      check: 'artifacts',
      state: 'problem',
      message: `the bytes of ${count(missing.length - NAMED, 'more artifact')} are not here`,
      hint: 'waddle pull brings them where a collector has them.',
    });
  }
  const blobs = [...listBlobs(layout.blobs)];
  const bytes = blobs.reduce((sum, blob) => sum + blob.size, 0);
  const deadline = performance.now() + SAMPLE_MS;
  let read = 0;
  // Spread over all of them, small before large, so that the time is not spent on one.
  const step = Math.max(1, Math.floor(blobs.length / SAMPLED_BLOBS));
  const sample = blobs.filter((_, index) => index % step === 0).sort((a, b) => a.size - b.size);
  for (const blob of sample.slice(0, SAMPLED_BLOBS)) {
    if (performance.now() > deadline) break;
    progress.update(`checking artifact ${read + 1}`);
    const sound = await hasItsHash(blob.path, blob.sha256, deadline);
    if (sound === undefined) break;
    read += 1;
    if (sound) continue;
    findings.push({
      check: 'artifacts',
      state: 'problem',
      message: `${blob.path} does not have the bytes that were logged`,
      hint: 'Remove that file; waddle pull brings it again where a collector has it, or log the artifact again.',
    });
  }
  if (findings.length > 0) return findings;
  const sampled = read === blobs.length ? 'all read and sound' : `${read} of them read and sound`;
  const message =
    blobs.length === 0
      ? 'none stored'
      : `${count(blobs.length, 'stored file')}, ${formatBytes(bytes)}, ${sampled}`;
  return [{ check: 'artifacts', state: 'ok', message }];
}

/** Undefined where the time did not suffice. */
async function hasItsHash(path: string, sha256: string, deadline: number): Promise<boolean | undefined> {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(path)) {
    hash.update(chunk as Uint8Array);
    if (performance.now() > deadline) return undefined;
  }
  return hash.digest('hex') === sha256;
}

async function checkLinks(context: Context, store: Store, project: Project): Promise<Finding[]> {
  const findings: Finding[] = [];
  for (const link of listLinks({ context, ...project, store })) {
    const found = existsSync(link.path)
      ? await inspectRepository({ cwd: link.path, env: context.env })
      : { kind: 'none', message: `${link.path} is not there`, hint: '' };
    if (found.kind === 'repository') {
      findings.push({ check: 'repo-link', state: 'ok', message: `${link.name} is ${link.path}` });
    } else {
      findings.push({
        check: 'repo-link',
        state: 'problem',
        message: `${link.name}: ${'message' in found ? found.message : link.path}`,
        hint: `waddle repo-link --name ${link.name} --path DIR, or --remove ${link.name}`,
      });
    }
  }
  return findings;
}
