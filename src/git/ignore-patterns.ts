/** Patterns as in a `.gitignore` (gitignore(5)), for what git's own files do not exclude: `snapshot.exclude` and caches. */

export interface IgnorePatterns {
  /** The path itself, or its first ignored folder with a `/` at the end; null where nothing matches. */
  match(path: string): string | null;
}

interface Rule {
  readonly expression: RegExp;
  readonly negated: boolean;
  readonly foldersOnly: boolean;
}

/** `path` as in git's output: separated by `/`, without a leading one; a folder ends in `/`. */
export function ignorePatterns(lines: readonly string[]): IgnorePatterns {
  const rules = lines.flatMap((line) => rule(line) ?? []);
  if (rules.length === 0) return { match: () => null };
  const folders = new Map<string, boolean>();
  const ignored = (path: string, isFolder: boolean): boolean => {
    const last = rules.findLast((each) => (isFolder || !each.foldersOnly) && each.expression.test(path));
    return last !== undefined && !last.negated;
  };
  const folderIgnored = (path: string): boolean => {
    let known = folders.get(path);
    if (known === undefined) {
      known = ignored(path, true);
      folders.set(path, known);
    }
    return known;
  };
  return {
    match(path) {
      // A file in an ignored folder cannot be taken back in, as in git.
      for (let at = path.indexOf('/'); at >= 0; at = path.indexOf('/', at + 1)) {
        if (folderIgnored(path.slice(0, at))) return path.slice(0, at + 1);
      }
      return !path.endsWith('/') && ignored(path, false) ? path : null;
    },
  };
}

/** The lines of an ignore file in the folder `base` ('' or a path and `/`), as lines of one at the top. */
export function rebasePatterns(lines: readonly string[], base: string): string[] {
  const texts = lines.map((line, at) => (at === 0 ? line.replace(/^\uFEFF/, '') : line));
  if (base === '') return texts;
  const quoted = base.replaceAll(/[\\*?[\]]/g, '\\$&');
  return texts.flatMap((line) => {
    const pattern = line.replace(/\r$/, '').replace(/(?<!\\) +$/, '');
    if (pattern === '' || pattern.startsWith('#')) return [];
    const negated = pattern.startsWith('!') ? '!' : '';
    // A backslash in front only keeps `#` and `!` from their meaning at the start of a line.
    const body = pattern.slice(negated.length).replace(/^\\(?=[#!])/, '');
    if (body === '' || body === '/') return [];
    const anchored = body.replace(/\/$/, '').includes('/');
    return [`${negated}/${quoted}${anchored ? body.replace(/^\//, '') : `**/${body}`}`];
  });
}

function rule(line: string): Rule | null {
  let pattern = line.replace(/\r$/, '');
  // Spaces at the end do not count, unless one is quoted with a backslash.
  pattern = pattern.replace(/(?<!\\) +$/, '');
  if (pattern === '' || pattern.startsWith('#')) return null;
  const negated = pattern.startsWith('!');
  if (negated) pattern = pattern.slice(1);
  const foldersOnly = pattern.endsWith('/');
  if (foldersOnly) pattern = pattern.slice(0, -1);
  const anchored = pattern.includes('/');
  if (pattern.startsWith('/')) pattern = pattern.slice(1);
  if (pattern === '') return null;
  const body = expressionOf(pattern);
  if (body === null) return null;
  return { expression: new RegExp(anchored ? `^${body}$` : `(?:^|/)${body}$`, 's'), negated, foldersOnly };
}

/** The glob as a regular expression; null where it can match nothing (a bracket that never closes). */
function expressionOf(glob: string): string | null {
  let body = '';
  for (let at = 0; at < glob.length; at += 1) {
    const rest = glob.slice(at);
    const atStart = at === 0 || glob[at - 1] === '/';
    // Of two stars and more git takes all as two (wildmatch.c).
    const stars = atStart ? (/^\*{2,}(?=\/|$)/.exec(rest)?.[0].length ?? 0) : 0;
    if (stars > 0 && stars < rest.length) {
      body += '(?:[^/]+/)*';
      at += stars;
    } else if (stars > 0) {
      body += '.+';
      at += stars - 1;
    } else if (rest.startsWith('*')) {
      body += '[^/]*';
      while (glob[at + 1] === '*') at += 1;
    } else if (rest.startsWith('?')) {
      body += '[^/]';
    } else if (rest.startsWith('[')) {
      const bracket = /^\[([!^]?)(\]?(?:\\.|\[:\w+:\]|[^\]\\])*)\]/s.exec(rest);
      if (!bracket) return null;
      body += `(?!/)[${bracket[1] ? '^' : ''}${bracketBody(bracket[2] ?? '')}]`;
      at += bracket[0].length - 1;
    } else if (rest.startsWith('\\')) {
      if (at + 1 === glob.length) return null;
      body += literal(glob[at + 1] ?? '');
      at += 1;
    } else {
      body += literal(glob[at] ?? '');
    }
  }
  return body;
}

const classes: Readonly<Record<string, string>> = {
  alpha: 'a-zA-Z',
  digit: '0-9',
  alnum: 'a-zA-Z0-9',
  upper: 'A-Z',
  lower: 'a-z',
  space: '\\s',
  xdigit: '0-9a-fA-F',
  punct: '!-\\/:-@\\[-`{-~',
};

function bracketBody(text: string): string {
  return text.replaceAll(/\[:(\w+):\]|\\(.)|([\][^\\])/gs, (_all, name, quoted, special) => {
    if (name !== undefined) return classes[String(name)] ?? '';
    return `\\${quoted === undefined ? String(special) : String(quoted).replace(/\w/, (c) => `x${c.charCodeAt(0).toString(16)}`)}`;
  });
}

function literal(character: string): string {
  return character.replace(/[\\^$.*+?()[\]{}|/]/, '\\$&');
}
