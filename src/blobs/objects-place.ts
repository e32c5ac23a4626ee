/** Where objects lie, in words that can be told to another thread: each opens them for itself. */
import type { ObjectStore } from './object-store.ts';
import type { S3Options } from './s3-objects.ts';

export type ObjectsPlace = { folder: string } | { s3: S3Options };

export async function openObjects(place: ObjectsPlace): Promise<ObjectStore> {
  if ('s3' in place) {
    const { openS3Objects } = await import('./s3-objects.ts');
    return openS3Objects(place.s3);
  }
  const { FolderObjects } = await import('./folder-objects.ts');
  return new FolderObjects(place.folder);
}
