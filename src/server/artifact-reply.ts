/**
 * An artifact's bytes over HTTP. They come from whatever a job logged, so the browser is told to treat them as nothing
 * more than they claim: never sniffed, never scripted, never with the dashboard's rights.
 */
import { extname } from 'node:path';
import { Readable } from 'node:stream';
import { isSha256, missingBlob } from '../blobs/blob-store.ts';
import { WaddleError } from '../errors/waddle-error.ts';
import type { ArtifactQuery, FolderListing } from '../protocol/api.ts';
import { row as one, type Question } from '../store/question.ts';
import type { BlobSource } from './blob-source.ts';
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
export function* findArtifact(run: KnownRun, named: string, query: ArtifactQuery): Question<FoundArtifact> {
  const columns = 'name, type, sha256, size, mime, inline';
  const bySha = isSha256(named)
    ? yield* one(
        `SELECT ${columns} FROM artifacts WHERE run = ? AND sha256 = ?
         ORDER BY CASE WHEN name = ? THEN 0 ELSE 1 END, created_at DESC, writer DESC, place DESC LIMIT 1`,
        run.num,
        named,
        query.name ?? '',
      )
    : undefined;
  const row =
    bySha ??
    (yield* one(
      `SELECT ${columns} FROM artifacts WHERE run = ? AND name = ?
       ORDER BY created_at DESC, writer DESC, place DESC LIMIT 1`,
      run.num,
      named,
    ));
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

interface FolderFile {
  path: string;
  size: number;
  sha256: string;
}

/** The files of a folder. @throws WaddleError where its manifest is missing or is none */
export async function listFolder(
  blobs: BlobSource,
  run: KnownRun,
  artifact: FoundArtifact,
): Promise<FolderListing> {
  const base = `/api/runs/${run.id}/artifacts/${artifact.sha256}`;
  const name = encodeURIComponent(artifact.name.toWellFormed());
  return {
    name: artifact.name,
    sha256: artifact.sha256,
    size: artifact.size,
    files: (await manifestOf(blobs, artifact)).map(({ path, size, sha256 }) => ({
      path,
      size,
      sha256,
      uri: `${base}?name=${name}&path=${encodeURIComponent(path.toWellFormed())}`,
    })),
  };
}

async function manifestOf(blobs: BlobSource, artifact: FoundArtifact): Promise<FolderFile[]> {
  const entries = await readEntries(blobs, artifact);
  return entries.filter((entry): entry is FolderFile => {
    const { path, size, sha256 } = (entry ?? {}) as Record<string, unknown>;
    return (
      typeof path === 'string' && typeof size === 'number' && typeof sha256 === 'string' && isSha256(sha256)
    );
  });
}

/** Bytes of a manifest at most: some 300,000 files. */
const MAX_MANIFEST = 64 * 1024 * 1024;

/** @throws WaddleError `manifest-invalid`, `blob-missing` */
async function readEntries(blobs: BlobSource, artifact: FoundArtifact): Promise<unknown[]> {
  const size = artifact.inline?.byteLength ?? (await sizeOf(blobs, artifact.sha256));
  if (size <= MAX_MANIFEST) {
    const body = await open(blobs, artifact, 0, size - 1);
    const bytes = Buffer.concat(await body.toArray());
    try {
      const value: unknown = JSON.parse(bytes.toString('utf8'));
      if (Array.isArray(value)) return value;
    } catch {
      // Not JSON: below.
    }
  }
  throw new WaddleError(
    'manifest-invalid',
    'the list of the folder’s files cannot be read',
    'Log the artifact again.',
  );
}

/** One file of a folder, by its path in the manifest: no path of the disk is made of it. */
export async function fileOfFolder(
  blobs: BlobSource,
  artifact: FoundArtifact,
  path: string,
): Promise<FoundArtifact> {
  const entry = (await manifestOf(blobs, artifact)).find((file) => file.path === path);
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
  status: 200 | 206 | 302 | 304 | 416;
  headers: Record<string, string>;
  body: Readable | null;
}

/** @throws WaddleError `blob-missing` */
export async function bytesReply(
  blobs: BlobSource,
  file: FoundArtifact,
  request: {
    range: string | undefined;
    ifRange: string | undefined;
    ifNoneMatch: string | undefined;
    download: boolean;
  },
): Promise<BytesReply> {
  const etag = `"${file.sha256}"`;
  const size = file.inline?.byteLength ?? (await sizeOf(blobs, file.sha256));
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
  // Only as a download: within a page its own headers must hold, and its own address.
  if (request.download && file.inline === null && blobs.address !== undefined) {
    const { 'content-type': type = '', 'content-disposition': disposition = '' } = headers;
    const location = await blobs.address(file.sha256, { type, disposition });
    if (location !== null) {
      return { status: 302, headers: { location, 'cache-control': 'no-store' }, body: null };
    }
  }
  const asked = request.ifRange === undefined || request.ifRange === etag ? request.range : undefined;
  const range = asked === undefined ? undefined : readRange(asked, size);
  if (range === 'outside') {
    return { status: 416, headers: { ...headers, 'content-range': `bytes */${size}` }, body: null };
  }
  const { start, end } = range ?? { start: 0, end: size - 1 };
  headers['content-length'] = String(end - start + 1);
  if (range !== undefined) headers['content-range'] = `bytes ${start}-${end}/${size}`;
  return { status: range === undefined ? 200 : 206, headers, body: await open(blobs, file, start, end) };
}

async function sizeOf(blobs: BlobSource, sha256: string): Promise<number> {
  const size = await blobs.size(sha256);
  if (size === null) throw missingBlob(sha256);
  return size;
}

async function open(blobs: BlobSource, file: FoundArtifact, start: number, end: number): Promise<Readable> {
  if (file.inline !== null) return Readable.from([Buffer.from(file.inline.subarray(start, end + 1))]);
  if (end < start) return Readable.from([]);
  const body = await blobs.read(file.sha256, { start, end });
  if (body === null) throw missingBlob(file.sha256);
  return body;
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
