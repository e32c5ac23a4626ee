/**
 * The small repository inside a copy of recorded code: a `.git` of its own that reads the objects of the store the code
 * came from. Written by hand, as the private one is: no template, no hook and no remote gets in, and the store does not
 * learn of it.
 */
import { copyFile, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { isSystemError, WaddleError } from '../errors/waddle-error.ts';
import { commitContent, commitId } from './commit.ts';
import type { CodeTree } from './recorded-code.ts';
import { type Environment, needGit, runGit } from './run-git.ts';

/** What `HEAD` of a copy names. */
export interface CopyHead {
  commit: string;
  /** Whether that is the commit that the run recorded; else it is one without parents, of the same tree. */
  recorded: boolean;
  /** Whether its parents are gone: history begins with it. */
  shallow: boolean;
}

/** Settings of a repository that decide what its files look like on disk, and who commits. */
const carried =
  /^(?:core\.(?:autocrlf|eol|filemode|symlinks|ignorecase|precomposeunicode|attributesfile|excludesfile)|filter\..+|diff\..+|merge\..+\..+|user\..+|lfs\..+)$/i;

/** Writes `<folder>/.git` anew, HEAD detached at the recorded commit, or at one of the same tree where that is gone. */
export async function writeCopyRepository(options: {
  folder: string;
  code: CodeTree;
  env: Environment;
}): Promise<CopyHead> {
  const { folder, code, env } = options;
  const gitDir = join(folder, '.git');
  const source = { env, cwd: code.gitDir, gitDir: code.gitDir };
  const parents = [...(code.commitObject ?? '').matchAll(/^parent ([0-9a-f]+)$/gm)].map(
    (match) => match[1] ?? '',
  );
  const asked = [...parents, ...(code.commit === null ? [] : [code.commit])];
  const [settings, present, shallow] = await Promise.all([
    runGit(source, ['config', '--file', join(code.gitDir, 'config'), '--includes', '--null', '--list']),
    presentOf(code.gitDir, env, asked),
    readFile(join(code.gitDir, 'shallow'), 'utf8').catch(noFile),
    rm(gitDir, { recursive: true, force: true }).then(() => makeFolders(gitDir)),
  ]);
  const format = code.tree.length === 64 ? 'sha256' : 'sha1';
  const head = headOf(code, format, parents, present);
  const grafts = (shallow ?? '').split('\n').filter(Boolean);
  if (head.shallow) grafts.push(head.commit);
  const config = configText(format, settings.ok ? settings.out.toString() : '');
  await Promise.all([
    writeFile(join(gitDir, 'config'), config),
    writeFile(join(gitDir, 'HEAD'), `${head.commit}\n`),
    writeFile(join(gitDir, 'objects/info/alternates'), `${quoted(join(code.gitDir, 'objects'))}\n`),
    grafts.length > 0 ? writeFile(join(gitDir, 'shallow'), `${grafts.join('\n')}\n`) : undefined,
    ...['attributes', 'exclude'].map((name) =>
      copyFile(join(code.gitDir, 'info', name), join(gitDir, 'info', name)).catch(noFile),
    ),
  ]);
  if (head.content !== null) {
    const git = { env, cwd: folder, gitDir };
    await needGit(git, ['hash-object', '-t', 'commit', '-w', '--stdin'], head.content);
  }
  const { commit, recorded } = head;
  return { commit, recorded, shallow: head.shallow };
}

/** Turns filters off in a copy whose files were written without them; else git would call every one of them changed. */
export async function disableFilters(folder: string, filters: readonly string[]): Promise<void> {
  if (filters.length === 0) return;
  const path = join(folder, '.git/config');
  const off = filters.map(
    (name) => `[filter ${quoted(name, true)}]\n\trequired = false\n\tclean = \n\tsmudge = \n\tprocess = \n`,
  );
  await writeFile(path, (await readFile(path, 'utf8')) + off.join(''));
}

function headOf(
  code: CodeTree,
  format: 'sha1' | 'sha256',
  parents: readonly string[],
  present: ReadonlySet<string>,
): CopyHead & { content: string | null } {
  const { commit, commitObject, tree } = code;
  if (commit !== null && commitObject !== null) {
    if (commitId(commitObject, format) !== commit || !commitObject.startsWith(`tree ${tree}\n`)) {
      throw new WaddleError(
        'code-damaged',
        `the record of the commit ${commit} is damaged: it gives another commit`,
        'waddle doctor checks the run.',
      );
    }
    const shallow = parents.some((parent) => !present.has(parent));
    return { commit, recorded: true, shallow, content: commitObject };
  }
  if (commit !== null && present.has(commit)) {
    return { commit, recorded: true, shallow: false, content: null };
  }
  const content = commitContent({ tree, parent: null, time: 0 });
  return { commit: commitId(content, format), recorded: false, shallow: false, content };
}

/** Those of the objects that the store holds. */
async function presentOf(gitDir: string, env: Environment, ids: readonly string[]): Promise<Set<string>> {
  if (ids.length === 0) return new Set();
  const out = await needGit(
    { env, cwd: gitDir, gitDir },
    ['cat-file', '--batch-check=%(objectname) %(objecttype)'],
    ids.map((id) => `${id}\n`).join(''),
  );
  const lines = out.toString().split('\n');
  return new Set(lines.filter((line) => line.endsWith(' commit')).map((line) => line.split(' ')[0] ?? ''));
}

async function makeFolders(gitDir: string): Promise<void> {
  await mkdir(join(gitDir, 'objects/info'), { recursive: true });
  await Promise.all([mkdir(join(gitDir, 'refs/heads'), { recursive: true }), mkdir(join(gitDir, 'info'))]);
}

function configText(format: 'sha1' | 'sha256', settings: string): string {
  let text =
    format === 'sha1'
      ? '[core]\n\trepositoryformatversion = 0\n\tbare = false\n'
      : '[core]\n\trepositoryformatversion = 1\n\tbare = false\n[extensions]\n\tobjectformat = sha256\n';
  // The store may be used by others still; nothing here may think that it can tidy up.
  text += '[gc]\n\tauto = 0\n[maintenance]\n\tauto = false\n';
  for (const entry of settings.split('\0').filter(Boolean)) {
    const end = entry.indexOf('\n');
    const key = end < 0 ? entry : entry.slice(0, end);
    if (!carried.test(key)) continue;
    const first = key.indexOf('.');
    const last = key.lastIndexOf('.');
    const section = key.slice(0, first);
    const sub = first === last ? '' : ` ${quoted(key.slice(first + 1, last), true)}`;
    text += `[${section}${sub}]\n\t${key.slice(last + 1)} = ${end < 0 ? 'true' : quoted(entry.slice(end + 1), true)}\n`;
  }
  return text;
}

/** In git's double quotes, where it needs them. */
function quoted(text: string, always = false): string {
  if (!always && !/^["#]|[\n\\]/.test(text)) return text;
  return `"${text.replaceAll(/["\\]/g, '\\$&').replaceAll('\n', '\\n')}"`;
}

function noFile(error: unknown): undefined {
  if (isSystemError(error, 'ENOENT', 'ENOTDIR')) return undefined;
  throw error;
}
