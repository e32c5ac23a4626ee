/**
 * Waddle's own bare repository, in `.waddle/git`: for folders without a repository, and for repositories that cannot
 * be written or read. Ids of the other hash live in a second one inside it, since a repository has one hash.
 */
import { randomBytes } from 'node:crypto';
import { appendFile, mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { isSystemError } from '../errors/waddle-error.ts';

export function privateGitDir(privateDir: string, format: 'sha1' | 'sha256'): string {
  return format === 'sha1' ? privateDir : join(privateDir, 'sha256');
}

/** Makes it where it is missing, and gives its git dir. Written by hand: no template and no hook gets in. */
export async function openPrivateRepository(
  privateDir: string,
  format: 'sha1' | 'sha256' = 'sha1',
): Promise<string> {
  const gitDir = privateGitDir(privateDir, format);
  await mkdir(join(gitDir, 'objects', 'info'), { recursive: true });
  await mkdir(join(gitDir, 'refs'), { recursive: true });
  const config =
    format === 'sha1'
      ? '[core]\n\trepositoryformatversion = 0\n\tbare = true\n'
      : '[core]\n\trepositoryformatversion = 1\n\tbare = true\n[extensions]\n\tobjectformat = sha256\n';
  await writeOnce(join(gitDir, 'config'), config);
  await writeOnce(join(gitDir, 'HEAD'), 'ref: refs/heads/none\n');
  return gitDir;
}

async function writeOnce(path: string, text: string): Promise<void> {
  try {
    await readFile(path);
  } catch (error) {
    if (!isSystemError(error, 'ENOENT')) throw error;
    const own = `${path}.${randomBytes(4).toString('hex')}`;
    await writeFile(own, text);
    await rename(own, path);
  }
}

/** Lets the private repository read a user's objects: its own trees are then whole without copying them. */
export async function borrowObjects(gitDir: string, objects: string): Promise<void> {
  const path = join(gitDir, 'objects', 'info', 'alternates');
  const known = await readFile(path, 'utf8').catch(() => '');
  if (!known.split('\n').includes(objects)) await appendFile(path, `${objects}\n`);
}
