import { createHash } from 'node:crypto';
import { statSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import type { Command } from 'commander';
import { hasBlob, missingBlob, readBlob } from '../../blobs/blob-store.ts';
import { readManifest } from '../../blobs/folder-manifest.ts';
import { isSystemError, WaddleError } from '../../errors/waddle-error.ts';
import { ensureFolder } from '../../journal/folder.ts';
import { answerNow } from '../../store/answer-now.ts';
import { type ArtifactRow, readArtifacts, readInline } from '../../store/read.ts';
import {
  badManifest,
  checkManifest,
  checkPlaces,
  damaged,
  makeFolders,
  occupied,
  safeFileName,
  whatIsAt,
  writeVerified,
} from '../artifact-files.ts';
import type { Context } from '../context.ts';
import { count, formatBytes } from '../format-number.ts';
import { example, RUN_HELP } from '../help.ts';
import { inert } from '../inert.ts';
import { type Opened, withRuns } from '../opened-store.ts';
import { type Progress, startProgress } from '../progress.ts';

interface Options {
  force?: boolean;
}

export function define(command: Command, context: Context): void {
  command
    .description("Brings an artifact's bytes back: a file, or a folder of them. The newest of that name.")
    .argument('<run>', RUN_HELP)
    .argument('<name>', "the artifact's name, as show lists it")
    .argument(
      '[dest]',
      'a file, a folder to put it into, or - for stdout (default: here, under its own name)',
    )
    .option('--force', 'replace files that are there')
    .action((run: string, name: string, dest: string | undefined, options: Options) =>
      get(context, run, name, dest, options.force === true),
    );
  example(command, 'waddle get @last weights.json', 'waddle get baseline checkpoints models/');
}

async function get(
  context: Context,
  run: string,
  name: string,
  dest: string | undefined,
  force: boolean,
): Promise<void> {
  await withRuns(context, [run], async (opened, [found]) => {
    const artifact = findArtifact(opened, found.id, name);
    if (dest === '-') {
      await toStdout(opened, artifact);
      return;
    }
    const target = destination(context, artifact, dest);
    const progress = startProgress(context);
    try {
      if (artifact.type === 'folder') await getFolder(opened, artifact, target, force, progress);
      else {
        if (!force && whatIsAt(target) !== 'nothing') throw occupied(target);
        await writeVerified(
          { path: target, sha256: artifact.sha256, executable: false },
          counted(bytesOf(opened, artifact), artifact.size, progress),
          { force },
        );
      }
    } catch (error) {
      throw explain(error, target);
    } finally {
      progress.end();
    }
    const what = artifact.type === 'folder' ? `${count(artifact.files ?? 0, 'file')}, ` : '';
    context.say(`${inert(relative(context.cwd, target) || '.')} (${what}${formatBytes(artifact.size)})\n`);
  });
}

function findArtifact(opened: Opened, run: string, name: string): ArtifactRow {
  const num = Number(opened.store.prepare('SELECT num FROM runs WHERE id = ?').get(run)?.num);
  const artifacts = answerNow(opened.store, readArtifacts(num));
  const found = artifacts.findLast((artifact) => artifact.name === name);
  if (found !== undefined) return found;
  const names = [...new Set(artifacts.map((artifact) => artifact.name))];
  const some = names.slice(0, 8).join(', ') + (names.length > 8 ? ', …' : '');
  throw new WaddleError(
    'artifact-not-found',
    `${run} has no artifact "${name}"`,
    names.length === 0 ? 'It logged no artifacts.' : `It has: ${some}`,
  );
}

/** Where the artifact goes: into DEST where that is a folder, else to DEST itself, else here under its own name. */
function destination(context: Context, artifact: ArtifactRow, dest: string | undefined): string {
  const path = dest === undefined ? context.cwd : resolve(context.cwd, dest);
  const intoFolder = dest === undefined || dest.endsWith('/') || isFolder(path);
  if (!intoFolder) return path;
  const name = safeFileName(artifact.name);
  if (name !== undefined) return join(path, name);
  throw new WaddleError(
    'name-unsafe',
    `"${artifact.name}" cannot be the name of a file`,
    'Name the file yourself: waddle get RUN NAME DEST',
  );
}

/** A folder, or a link to one: the user named it, so the link is meant. */
function isFolder(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
}

async function* bytesOf(opened: Opened, artifact: ArtifactRow): AsyncGenerator<Uint8Array> {
  const inline = artifact.inline ? answerNow(opened.store, readInline(artifact.id)) : undefined;
  if (inline !== undefined) yield inline;
  else yield* blobBytes(opened, artifact.sha256);
}

async function* blobBytes(opened: Opened, sha256: string): AsyncGenerator<Uint8Array> {
  for await (const chunk of readBlob(opened.layout.blobs, sha256)) yield chunk as Uint8Array;
}

async function* counted(
  bytes: AsyncIterable<Uint8Array>,
  size: number,
  progress: Progress,
): AsyncGenerator<Uint8Array> {
  let done = 0;
  for await (const chunk of bytes) {
    done += chunk.length;
    progress.update(`${formatBytes(done)} of ${formatBytes(size)}`);
    yield chunk;
  }
}

/** The hash is checked before the first byte goes out: what reads it cannot take back what it has read. */
async function toStdout(opened: Opened, artifact: ArtifactRow): Promise<void> {
  if (artifact.type === 'folder') {
    throw new WaddleError(
      'artifact-is-folder',
      `"${artifact.name}" is a folder of ${count(artifact.files ?? 0, 'file')}`,
      'Name a folder for it instead of "-".',
      { exitCode: 2 },
    );
  }
  const hash = createHash('sha256');
  for await (const chunk of bytesOf(opened, artifact)) hash.update(chunk);
  if (hash.digest('hex') !== artifact.sha256) throw damaged(artifact.name);
  for await (const chunk of bytesOf(opened, artifact)) await opened.context.outBytes(chunk);
}

async function getFolder(
  opened: Opened,
  artifact: ArtifactRow,
  target: string,
  force: boolean,
  progress: Progress,
): Promise<void> {
  const { blobs } = opened.layout;
  const entries = checkManifest(await trustedManifest(opened, artifact));
  for (const { sha256 } of entries) if (!hasBlob(blobs, sha256)) throw missingBlob(sha256);
  checkPlaces(target, entries, force);
  ensureFolder(target);
  for (const [index, entry] of entries.entries()) {
    makeFolders(target, entry.path);
    progress.update(`file ${index + 1} of ${entries.length}: ${entry.path}`);
    await writeVerified(
      {
        path: join(target, entry.path),
        sha256: entry.sha256,
        executable: (entry.mode & 0o111) !== 0,
      },
      blobBytes(opened, entry.sha256),
      { force },
    );
  }
}

/** The manifest, once its bytes are known to be the ones that were logged. */
async function trustedManifest(opened: Opened, artifact: ArtifactRow): Promise<readonly unknown[]> {
  const hash = createHash('sha256');
  for await (const chunk of blobBytes(opened, artifact.sha256)) hash.update(chunk);
  if (hash.digest('hex') !== artifact.sha256) throw damaged(artifact.name);
  try {
    return readManifest(opened.layout.blobs, artifact.sha256);
  } catch (error) {
    throw error instanceof SyntaxError ? badManifest('it is not JSON') : error;
  }
}

/** A system error while writing, for a person. */
function explain(error: unknown, target: string): unknown {
  if (error instanceof WaddleError) return error;
  if (isSystemError(error, 'ENOENT', 'ENOTDIR')) {
    return new WaddleError(
      'no-such-folder',
      `there is no folder ${inert(dirname(target))}`,
      'Make it first, or name another destination.',
      { cause: error },
    );
  }
  if (!(error instanceof Error) || !('code' in error)) return error;
  return new WaddleError(
    'not-written',
    `${inert(target)} cannot be written: ${error.message}`,
    'Check the permissions and the room on the disk, or name another destination.',
    { cause: error },
  );
}
