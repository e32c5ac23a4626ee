/**
 * An artifact's bytes over HTTP. They come from whatever a job logged, so the browser is told to treat them as nothing
 * more than they claim: never sniffed, never scripted, never with the dashboard's rights.
 */
import { createReadStream, statSync } from 'node:fs';
import { extname } from 'node:path';
import { Readable } from 'node:stream';
import { blobPath, isSha256, missingBlob } from '../blobs/blob-store.ts';
import { readManifest } from '../blobs/folder-manifest.ts';
import { WaddleError } from '../errors/waddle-error.ts';
import type { Layout } from '../journal/layout.ts';
import type { ArtifactQuery, FolderListing } from '../protocol/api.ts';
import type { Store } from '../store/open.ts';
import type { KnownRun } from './runs.ts';

export interface FoundArtifact {
  name: string;
  type: 'file' | 'folder';
  sha256: string;
  size: number | null;
  mime: string | null;
  inline: Uint8Array | null;
}

/** An artifact of a run by its SHA-256 or, the newest, by its name. @throws WaddleError `artifact-not-found` */
export function findArtifact(
  store: Store,
  run: KnownRun,
  named: string,
  query: ArtifactQuery,
): FoundArtifact {
  const bySha = isSha256(named)
    ? store
        .prepare(
          `SELECT name, type, sha256, size, mime, inline FROM artifacts WHERE run = ? AND sha256 = ?
           ORDER BY name = ? DESC, created_at DESC, writer DESC, place DESC LIMIT 1`,
        )
        .get(run.num, named, query.name ?? '')
    : undefined;
  const row =
    bySha ??
    store
      .prepare(
        `SELECT name, type, sha256, size, mime, inline FROM artifacts WHERE run = ? AND name = ?
         ORDER BY created_at DESC, writer DESC, place DESC LIMIT 1`,
      )
      .get(run.num, named);
  if (row === undefined) {
    throw new WaddleError(
      'artifact-not-found',
      'the run has no such artifact',
      `GET /api/runs/${run.id}/artifacts lists them; each has its uri.`,
    );
  }
  return {
    name: String(row.name),
    type: row.type === 'folder' ? 'folder' : 'file',
    sha256: String(row.sha256),
    size: row.size === null ? null : Number(row.size),
    mime: row.mime === null ? null : String(row.mime),
    inline: row.inline instanceof Uint8Array ? row.inline : null,
  };
}

/** The files of a folder. @throws WaddleError where its manifest is missing or is none */
export function listFolder(layout: Layout, run: KnownRun, artifact: FoundArtifact): FolderListing {
  const base = `/api/runs/${run.id}/artifacts/${artifact.sha256}`;
  const name = encodeURIComponent(artifact.name.toWellFormed());
  return {
    name: artifact.name,
    sha256: artifact.sha256,
    size: artifact.size,
    files: manifestOf(layout, artifact).map(({ path, size, sha256 }) => ({
      path,
      size,
      sha256,
      uri: `${base}?name=${name}&path=${encodeURIComponent(path.toWellFormed())}`,
    })),
  };
}

function manifestOf(
  layout: Layout,
  artifact: FoundArtifact,
): { path: string; size: number; sha256: string }[] {
  const entries = readEntries(layout, artifact);
  return entries.filter((entry): entry is { path: string; size: number; sha256: string } => {
    const { path, size, sha256 } = (entry ?? {}) as Record<string, unknown>;
    return (
      typeof path === 'string' && typeof size === 'number' && typeof sha256 === 'string' && isSha256(sha256)
    );
  });
}

/** @throws WaddleError `manifest-invalid`, `blob-missing` */
function readEntries(layout: Layout, artifact: FoundArtifact): unknown[] {
  try {
    if (artifact.inline === null) return readManifest(layout.blobs, artifact.sha256);
    const value: unknown = JSON.parse(Buffer.from(artifact.inline).toString('utf8'));
    if (Array.isArray(value)) return value;
  } catch (error) {
    if (error instanceof WaddleError) throw error;
  }
  throw new WaddleError(
    'manifest-invalid',
    'the list of the folder’s files cannot be read',
    'Log the artifact again.',
  );
}

/** One file of a folder, by its path in the manifest: no path of the disk is made of it. */
export function fileOfFolder(layout: Layout, artifact: FoundArtifact, path: string): FoundArtifact {
  const entry = manifestOf(layout, artifact).find((file) => file.path === path);
  if (entry === undefined) {
    throw new WaddleError(
      'file-not-found',
      'the folder has no such file',
      'Ask without `path` for its listing.',
    );
  }
  return { name: entry.path, type: 'file', sha256: entry.sha256, size: entry.size, mime: null, inline: null };
}

export interface BytesReply {
  status: 200 | 206 | 304 | 416;
  headers: Record<string, string>;
  body: Readable | null;
}

/** @throws WaddleError `blob-missing` */
export function bytesReply(
  layout: Layout,
  file: FoundArtifact,
  request: {
    range: string | undefined;
    ifRange: string | undefined;
    ifNoneMatch: string | undefined;
    download: boolean;
  },
): BytesReply {
  const etag = `"${file.sha256}"`;
  const size = file.inline?.byteLength ?? sizeOf(layout, file.sha256);
  const headers: Record<string, string> = {
    ...contentHeaders(file, request.download),
    etag,
    'accept-ranges': 'bytes',
    // Its address names a version by its hash; by name it may change: ask again.
    'cache-control': 'private, no-cache',
  };
  if (request.ifNoneMatch?.split(',').some((tag) => tag.trim().replace(/^W\//, '') === etag)) {
    return { status: 304, headers, body: null };
  }
  const asked = request.ifRange === undefined || request.ifRange === etag ? request.range : undefined;
  const range = asked === undefined ? undefined : readRange(asked, size);
  if (range === 'outside') {
    return { status: 416, headers: { ...headers, 'content-range': `bytes */${size}` }, body: null };
  }
  const { start, end } = range ?? { start: 0, end: size - 1 };
  headers['content-length'] = String(end - start + 1);
  if (range !== undefined) headers['content-range'] = `bytes ${start}-${end}/${size}`;
  return { status: range === undefined ? 200 : 206, headers, body: open(layout, file, start, end) };
}

function sizeOf(layout: Layout, sha256: string): number {
  const stat = statSync(blobPath(layout.blobs, sha256), { throwIfNoEntry: false });
  if (stat === undefined) throw missingBlob(sha256);
  return stat.size;
}

function open(layout: Layout, file: FoundArtifact, start: number, end: number): Readable {
  if (file.inline !== null) return Readable.from([Buffer.from(file.inline.subarray(start, end + 1))]);
  if (end < start) return Readable.from([]);
  return createReadStream(blobPath(layout.blobs, file.sha256), { start, end });
}

/** One range (RFC 9110, 14.2); several at once, or what is no range, get the whole. */
function readRange(header: string, size: number): { start: number; end: number } | 'outside' | undefined {
  const match = /^bytes=(\d*)-(\d*)$/.exec(header.trim());
  if (match === null || (match[1] === '' && match[2] === '')) return undefined;
  const [, first = '', last = ''] = match;
  if (first === '') {
    const length = Math.min(Number(last), size);
    return length === 0 ? 'outside' : { start: size - length, end: size - 1 };
  }
  const start = Number(first);
  const end = last === '' ? size - 1 : Math.min(Number(last), size - 1);
  if (start >= size) return 'outside';
  return end < start ? undefined : { start, end };
}

/** What may be shown within a page, by extension. What is not here is a download. */
const SHOWN: Record<string, string> = {
  '.png': 'image/png',
  '.jpg': 'image/jpeg',
  '.jpeg': 'image/jpeg',
  '.gif': 'image/gif',
  '.webp': 'image/webp',
  '.avif': 'image/avif',
  '.bmp': 'image/bmp',
  '.ico': 'image/x-icon',
  '.svg': 'image/svg+xml',
  '.mp3': 'audio/mpeg',
  '.wav': 'audio/wav',
  '.ogg': 'audio/ogg',
  '.flac': 'audio/flac',
  '.m4a': 'audio/mp4',
  '.mp4': 'video/mp4',
  '.webm': 'video/webm',
  '.mov': 'video/quicktime',
  '.json': 'application/json; charset=utf-8',
  '.jsonl': 'text/plain; charset=utf-8',
  '.ipynb': 'application/json; charset=utf-8',
  '.csv': 'text/csv; charset=utf-8',
  '.tsv': 'text/tab-separated-values; charset=utf-8',
  '.html': 'text/html; charset=utf-8',
  '.htm': 'text/html; charset=utf-8',
  ...Object.fromEntries(
    [
      'txt',
      'log',
      'md',
      'yaml',
      'yml',
      'toml',
      'ini',
      'cfg',
      'py',
      'ts',
      'js',
      'sh',
      'rs',
      'c',
      'h',
      'cpp',
      'xml',
      'sql',
      'r',
      'tex',
    ].map((extension) => [`.${extension}`, 'text/plain; charset=utf-8']),
  ),
};

/** No script, no form, no request, no frame, in an origin of its own, wherever the browser shows it. */
const SANDBOX =
  "sandbox; default-src 'none'; img-src data:; media-src 'self'; style-src 'unsafe-inline'; frame-ancestors 'self'";

function contentHeaders(file: FoundArtifact, download: boolean): Record<string, string> {
  const type = SHOWN[extname(file.name).toLowerCase()] ?? mimeShown(file.mime);
  const name = file.name.split(/[/\\]/).at(-1) ?? '';
  return {
    'content-type': type ?? 'application/octet-stream',
    'content-disposition': disposition(download || type === undefined ? 'attachment' : 'inline', name),
    'content-security-policy': SANDBOX,
    'x-content-type-options': 'nosniff',
    'cross-origin-resource-policy': 'same-origin',
  };
}

/** The type that the job gave, where it is one that may be shown. */
function mimeShown(mime: string | null): string | undefined {
  const given = mime?.split(';')[0]?.trim().toLowerCase();
  return Object.values(SHOWN).find((type) => type.split(';')[0] === given);
}

/** RFC 6266, with an ASCII name for old clients. */
function disposition(kind: 'inline' | 'attachment', name: string): string {
  const plain = name.replace(/[^\x20-\x7e]|["\\%]/g, '_');
  const encoded = encodeURIComponent(name.toWellFormed()).replace(
    /['()*]/g,
    (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`,
  );
  return `${kind}; filename="${plain === '' ? 'artifact' : plain}"; filename*=UTF-8''${encoded}`;
}
