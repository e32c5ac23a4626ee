/** A unified patch of git, as plain data. Never throws: what is not understood is shown as it is. */
export interface PatchLine {
  kind: 'same' | 'added' | 'removed' | 'note';
  /** Line numbers in the old and the new file. */
  old: number | null;
  new: number | null;
  text: string;
  /** The part that changed, where the line replaces another: from and to, in characters. */
  change: readonly [from: number, to: number] | null;
}

export interface PatchHunk {
  /** What git found the hunk to be within: a function's head. */
  within: string;
  range: string;
  lines: PatchLine[];
}

export interface PatchFile {
  path: string;
  /** Where it was, if it was renamed or copied. */
  from: string | null;
  change: 'added' | 'removed' | 'renamed' | 'changed';
  binary: boolean;
  /** Modes, similarity and the like. */
  notes: string[];
  hunks: PatchHunk[];
  added: number;
  removed: number;
}

const HUNK = /^@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@ ?(.*)$/;

export function readPatch(text: string): PatchFile[] {
  const files: PatchFile[] = [];
  let file: PatchFile | undefined;
  let hunk: PatchHunk | undefined;
  let [old, now, oldLeft, newLeft] = [0, 0, 0, 0];
  const lines = text.split('\n');
  if (lines.at(-1) === '') lines.pop();
  for (const line of lines) {
    // Within a hunk its counts tell where it ends: its lines may look like anything.
    if (hunk !== undefined && file !== undefined && (oldLeft > 0 || newLeft > 0 || line.startsWith('\\'))) {
      const [mark, rest] = [line.charAt(0), line.slice(1)];
      if (mark === '\\') {
        hunk.lines.push({ kind: 'note', old: null, new: null, text: rest.trim(), change: null });
      } else if (mark === '+') {
        hunk.lines.push({ kind: 'added', old: null, new: now++, text: rest, change: null });
        file.added++;
        newLeft--;
      } else if (mark === '-') {
        hunk.lines.push({ kind: 'removed', old: old++, new: null, text: rest, change: null });
        file.removed++;
        oldLeft--;
      } else {
        hunk.lines.push({ kind: 'same', old: old++, new: now++, text: rest, change: null });
        oldLeft--;
        newLeft--;
      }
      continue;
    }
    const begin = /^diff --git (.*)$/.exec(line);
    if (begin !== null) {
      file = {
        path: pathOfHeader(begin[1] ?? ''),
        from: null,
        change: 'changed',
        binary: false,
        notes: [],
        hunks: [],
        added: 0,
        removed: 0,
      };
      files.push(file);
      hunk = undefined;
      continue;
    }
    if (file === undefined) continue;
    const head = HUNK.exec(line);
    if (head !== null) {
      [old, now] = [Number(head[1]), Number(head[3])];
      [oldLeft, newLeft] = [Number(head[2] ?? 1), Number(head[4] ?? 1)];
      hunk = { within: head[5] ?? '', range: `−${old} +${now}`, lines: [] };
      file.hunks.push(hunk);
      continue;
    }
    readHeader(file, line);
  }
  for (const { hunks } of files) for (const one of hunks) markChanges(one.lines);
  return files;
}

function readHeader(file: PatchFile, line: string): void {
  if (line.startsWith('new file')) file.change = 'added';
  else if (line.startsWith('deleted file')) file.change = 'removed';
  else if (line.startsWith('rename from ') || line.startsWith('copy from ')) {
    file.from = unquote(line.slice(line.indexOf('from ') + 5));
    file.change = 'renamed';
  } else if (line.startsWith('rename to ') || line.startsWith('copy to ')) {
    file.path = unquote(line.slice(line.indexOf('to ') + 3));
  } else if (line.startsWith('+++ ') || line.startsWith('--- ')) {
    const path = unquote(line.slice(4).replace(/\t$/, ''));
    if (path !== '/dev/null') file.path = path.replace(/^[abciow]\//, '');
  } else if (line.startsWith('Binary files ') || line.startsWith('GIT binary patch')) file.binary = true;
  else if (/^(old mode|new mode|similarity index)/.test(line)) file.notes.push(line);
}

/** `a/x b/x`: without a rename both are the same, which tells where the first ends. */
function pathOfHeader(text: string): string {
  const quoted = /^"(?:\\.|[^"\\])*" ("(?:\\.|[^"\\])*"|.*)$/.exec(text);
  const second = quoted?.[1] ?? text.slice(Math.floor(text.length / 2) + 1);
  return unquote(second).replace(/^[abciow]\//, '');
}

const ESCAPES: Record<string, number> = { a: 7, b: 8, t: 9, n: 10, v: 11, f: 12, r: 13, '"': 34, '\\': 92 };

/** Git writes odd paths in quotes, with octal bytes of UTF-8. */
function unquote(text: string): string {
  if (!/^".*"$/.test(text)) return text;
  const bytes: number[] = [];
  const encoder = new TextEncoder();
  for (const match of text.slice(1, -1).matchAll(/\\([0-7]{3})|\\(.)|[^\\]+/g)) {
    if (match[1] !== undefined) bytes.push(Number.parseInt(match[1], 8));
    else if (match[2] !== undefined) bytes.push(ESCAPES[match[2]] ?? match[2].charCodeAt(0));
    else bytes.push(...encoder.encode(match[0]));
  }
  return new TextDecoder().decode(new Uint8Array(bytes));
}

/** In blocks that replace as many lines as they remove, marks what of each line is other than before. */
function markChanges(lines: PatchLine[]): void {
  let at = 0;
  while (at < lines.length) {
    if (lines[at]?.kind !== 'removed') {
      at++;
      continue;
    }
    let middle = at;
    while (lines[middle]?.kind === 'removed') middle++;
    let end = middle;
    while (lines[end]?.kind === 'added') end++;
    if (end - middle === middle - at) {
      for (let pair = 0; pair < middle - at; pair++) {
        const [before, after] = [lines[at + pair], lines[middle + pair]];
        if (before && after) markPair(before, after);
      }
    }
    at = end;
  }
}

function markPair(before: PatchLine, after: PatchLine): void {
  const [a, b] = [before.text, after.text];
  const most = Math.min(a.length, b.length);
  let from = 0;
  while (from < most && a[from] === b[from]) from++;
  let back = 0;
  while (back < most - from && a[a.length - 1 - back] === b[b.length - 1 - back]) back++;
  // Where hardly anything is the same, marks would only shout.
  if (from + back < Math.max(a.length, b.length) * 0.3) return;
  if (a.length - back > from) before.change = [from, a.length - back];
  if (b.length - back > from) after.change = [from, b.length - back];
}
