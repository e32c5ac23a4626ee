/** Where a team's collectors keep things: `--database` and `--blobs`, else WADDLE_DATABASE and WADDLE_BLOBS. */
import { resolve } from 'node:path';
import type { ObjectsPlace } from '../blobs/objects-place.ts';
import { WaddleError } from '../errors/waddle-error.ts';
import { ensureFolder } from '../journal/folder.ts';
import type { Context } from './context.ts';

/** Null where there is no database: the collector keeps files. @throws WaddleError `database-invalid`, `blobs-missing`, `blobs-invalid` */
export async function teamOf(
  context: Context,
  flags: { database?: string | undefined; blobs?: string | undefined; direct?: boolean | undefined },
): Promise<{ database: string; objects: ObjectsPlace } | null> {
  const database = flags.database ?? context.env.WADDLE_DATABASE;
  const blobs = flags.blobs ?? context.env.WADDLE_BLOBS;
  if (database === undefined) {
    if (flags.blobs === undefined) return null;
    throw new WaddleError('database-missing', '--blobs goes with --database', 'Give both, or neither.', {
      exitCode: 2,
    });
  }
  const { readDatabaseUrl } = await import('../postgres/database-url.ts');
  readDatabaseUrl(database);
  if (blobs === undefined) {
    throw new WaddleError(
      'blobs-missing',
      'a collector over PostgreSQL needs a place for what is large',
      'Add --blobs s3://bucket/prefix, or --blobs FOLDER on a disk that all collectors share.',
      { exitCode: 2 },
    );
  }
  if (blobs.startsWith('s3:')) {
    const { readS3Url } = await import('../blobs/s3-objects.ts');
    const options = readS3Url(blobs, context.env);
    return { database, objects: { s3: flags.direct === false ? { ...options, direct: false } : options } };
  }
  const folder = resolve(context.cwd, blobs.replace(/^file:\/\//, ''));
  ensureFolder(folder);
  return { database, objects: { folder } };
}
