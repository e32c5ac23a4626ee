/**
 * A subset of Markdown, as plain data: headings, paragraphs, lists, quotes, code, tables, rules, emphasis, links to http(s).
 * There is no raw HTML, no image and no reference, so that notes can hold nothing but text and links that say where they go.
 */
export type Inline =
  | { kind: 'text'; text: string }
  | { kind: 'code'; text: string }
  | { kind: 'strong' | 'em' | 'del'; children: Inline[] }
  | { kind: 'link'; href: string; children: Inline[] }
  | { kind: 'break' };

export type Block =
  | { kind: 'heading'; level: number; children: Inline[] }
  | { kind: 'paragraph'; children: Inline[] }
  | { kind: 'code'; text: string }
  | { kind: 'quote'; children: Block[] }
  | { kind: 'list'; ordered: boolean; start: number; items: Block[][] }
  /** No row has more cells than the head; one may have fewer, so that a table costs no more than its text. */
  | { kind: 'table'; align: Align[]; head: Inline[][]; rows: Inline[][][] }
  | { kind: 'rule' };

export type Align = 'left' | 'center' | 'right' | null;

const FENCE = /^ {0,3}(`{3,}|~{3,})(.*)$/;
const HEADING = /^ {0,3}(#{1,6})[ \t]+(.*?)(?:[ \t]+#+)?[ \t]*$/;
const RULE = /^ {0,3}(?:(?:\*[ \t]*){3,}|(?:-[ \t]*){3,}|(?:_[ \t]*){3,})$/;
const ITEM = /^( {0,3})([-*+]|\d{1,9}[.)])([ \t]+|$)(.*)$/;
/** The line under a table's head. Without a pipe it would be a rule, or the dashes under a title. */
const TABLE_MARK = /^ {0,3}(?=.*\|)\|?[ \t]*:?-+:?[ \t]*(?:\|[ \t]*:?-+:?[ \t]*)*\|?[ \t]*$/;
/** Deeper nesting than this is text. */
const MAX_DEPTH = 12;

export function readMarkdown(source: string): Block[] {
  return readBlocks(source.replaceAll(/\r\n?/g, '\n').replaceAll('\t', '    ').split('\n'), 0);
}

function readBlocks(lines: readonly string[], depth: number): Block[] {
  const blocks: Block[] = [];
  let paragraph: string[] = [];
  const flush = () => {
    if (paragraph.length > 0) blocks.push({ kind: 'paragraph', children: readInline(paragraph.join('\n')) });
    paragraph = [];
  };
  let at = 0;
  while (at < lines.length) {
    const line = lines[at] ?? '';
    const fence = FENCE.exec(line);
    const heading = HEADING.exec(line);
    const item = depth < MAX_DEPTH ? ITEM.exec(line) : null;
    if (line.trim() === '') {
      flush();
      at++;
    } else if (fence !== null && !(fence[2] ?? '').includes('`')) {
      flush();
      const mark = fence[1] ?? '```';
      const closes = new RegExp(`^ {0,3}${mark.charAt(0)}{${mark.length},}[ \\t]*$`);
      let end = at + 1;
      while (end < lines.length && !closes.test(lines[end] ?? '')) end++;
      blocks.push({ kind: 'code', text: lines.slice(at + 1, end).join('\n') });
      at = end + 1;
    } else if (heading !== null) {
      flush();
      blocks.push({
        kind: 'heading',
        level: heading[1]?.length ?? 1,
        children: readInline(heading[2] ?? ''),
      });
      at++;
    } else if (RULE.test(line)) {
      flush();
      blocks.push({ kind: 'rule' });
      at++;
    } else if (/^ {0,3}>/.test(line) && depth < MAX_DEPTH) {
      flush();
      const quoted: string[] = [];
      while (at < lines.length && /^ {0,3}>/.test(lines[at] ?? '')) {
        quoted.push((lines[at] ?? '').replace(/^ {0,3}> ?/, ''));
        at++;
      }
      blocks.push({ kind: 'quote', children: readBlocks(quoted, depth + 1) });
    } else if (item !== null && (paragraph.length === 0 || startsList(item))) {
      flush();
      const list = readList(lines, at, depth);
      blocks.push(list.block);
      at = list.next;
    } else if (beginsTable(lines, at)) {
      flush();
      const table = readTable(lines, at);
      blocks.push(table.block);
      at = table.next;
    } else if (/^ {4}/.test(line) && paragraph.length === 0) {
      const code: string[] = [];
      while (at < lines.length && (/^ {4}/.test(lines[at] ?? '') || (lines[at] ?? '').trim() === '')) {
        code.push((lines[at] ?? '').slice(4));
        at++;
      }
      blocks.push({ kind: 'code', text: code.join('\n').trimEnd() });
    } else {
      paragraph.push(line.trimStart());
      at++;
    }
  }
  flush();
  return blocks;
}

/** Within a paragraph only what cannot be a number at the beginning of a line begins a list. */
const startsList = (item: RegExpExecArray): boolean =>
  (item[4] ?? '') !== '' && (/^[-*+]$/.test(item[2] ?? '') || /^1[.)]$/.test(item[2] ?? ''));

function readList(lines: readonly string[], from: number, depth: number): { block: Block; next: number } {
  const first = ITEM.exec(lines[from] ?? '');
  const mark = first?.[2] ?? '-';
  const ordered = /\d/.test(mark);
  const same = (other: string) => (ordered ? /\d/.test(other) : other === mark);
  const items: Block[][] = [];
  let at = from;
  while (at < lines.length) {
    const item = ITEM.exec(lines[at] ?? '');
    if (item === null || !same(item[2] ?? '') || RULE.test(lines[at] ?? '')) break;
    const space = item[3] ?? '';
    const indent =
      (item[1] ?? '').length + (item[2] ?? '').length + (space.length > 4 || space === '' ? 1 : space.length);
    const own = [item[4] ?? ''];
    at++;
    while (at < lines.length) {
      const line = lines[at] ?? '';
      const blank = line.trim() === '';
      const inside = line.length - line.trimStart().length >= indent;
      const next = lines[at + 1] ?? '';
      if (blank && !(next.trim() !== '' && next.length - next.trimStart().length >= indent)) break;
      // A lazy line goes on with the item's paragraph.
      if (
        !blank &&
        !inside &&
        (ITEM.test(line) ||
          HEADING.test(line) ||
          FENCE.test(line) ||
          RULE.test(line) ||
          /^ {0,3}>/.test(line) ||
          own.at(-1)?.trim() === '')
      )
        break;
      own.push(inside ? line.slice(indent) : line.trimStart());
      at++;
    }
    items.push(readBlocks(own, depth + 1));
    let next = at;
    while (next < lines.length && (lines[next] ?? '').trim() === '') next++;
    const following = ITEM.exec(lines[next] ?? '');
    if (next > at && following !== null && same(following[2] ?? '')) at = next;
  }
  return {
    block: { kind: 'list', ordered, start: ordered ? Number.parseInt(mark, 10) : 1, items },
    next: at,
  };
}

function beginsTable(lines: readonly string[], at: number): boolean {
  const [head = '', mark = ''] = lines.slice(at, at + 2);
  return head.includes('|') && TABLE_MARK.test(mark) && cellsOf(head).length === cellsOf(mark).length;
}

/** A head, the line that says how columns are aligned, and rows up to an empty line or another block. */
function readTable(lines: readonly string[], from: number): { block: Block; next: number } {
  const align = cellsOf(lines[from + 1] ?? '').map((mark): Align => {
    const [left, right] = [mark.startsWith(':'), mark.endsWith(':')];
    return left && right ? 'center' : right ? 'right' : left ? 'left' : null;
  });
  const rowOf = (line: string): Inline[][] =>
    cellsOf(line)
      .slice(0, align.length)
      .map((cell) => readInline(cell));
  const rows: Inline[][][] = [];
  let at = from + 2;
  while (at < lines.length && !endsTable(lines[at] ?? '')) {
    rows.push(rowOf(lines[at] ?? ''));
    at++;
  }
  return { block: { kind: 'table', align, head: rowOf(lines[from] ?? ''), rows }, next: at };
}

const endsTable = (line: string): boolean =>
  line.trim() === '' ||
  [FENCE, HEADING, RULE, ITEM, /^ {0,3}>/, /^ {4}/].some((beginning) => beginning.test(line));

/** The texts between the pipes of a line. `\|` is a pipe, in code too, as GitHub has it. */
function cellsOf(line: string): string[] {
  const inner = line.trim().replace(/^\|/, '');
  const cells = [''];
  for (let at = 0; at < inner.length; at++) {
    const char = inner.charAt(at);
    if (char === '\\' && inner.charAt(at + 1) === '|') {
      cells[cells.length - 1] += '|';
      at++;
    } else if (char === '|') cells.push('');
    else cells[cells.length - 1] += char;
  }
  // What follows the last pipe is no cell.
  if (cells.length > 1 && cells.at(-1)?.trim() === '') cells.pop();
  return cells.map((cell) => cell.trim());
}

const ESCAPABLE = /[!-/:-@[-`{-~]/;
/** Only these may be linked to: nothing that runs, nothing of this page. */
const SAFE_LINK = /^https?:\/\/[^\s<>"'`\\]+$/i;
const BARE_LINK = /^https?:\/\/[^\s<>"'`\\]+/i;

/** Text with emphasis, code and links. Marks without a partner are text. */
export function readInline(source: string, depth = 0): Inline[] {
  const out: Inline[] = [];
  let text = '';
  const flush = () => {
    if (text !== '') out.push({ kind: 'text', text });
    text = '';
  };
  const push = (piece: Inline) => {
    flush();
    out.push(piece);
  };
  let at = 0;
  while (at < source.length) {
    const char = source.charAt(at);
    const rest = source.slice(at, at + 2);
    if (char === '\\' && ESCAPABLE.test(source.charAt(at + 1))) {
      text += source.charAt(at + 1);
      at += 2;
    } else if (char === '\n') {
      if (/ {2,}$/.test(text) || text.endsWith('\\')) {
        text = text.replace(/(?: +|\\)$/, '');
        push({ kind: 'break' });
      } else text = `${text.trimEnd()}\n`;
      at++;
    } else if (char === '`') {
      const ticks = /^`+/.exec(source.slice(at))?.[0] ?? '`';
      const end = closingTicks(source, at + ticks.length, ticks.length);
      if (end < 0) {
        text += ticks;
        at += ticks.length;
      } else {
        const code = source.slice(at + ticks.length, end).replaceAll('\n', ' ');
        push({ kind: 'code', text: /^ .*[^ ].* $/.test(code) ? code.slice(1, -1) : code });
        at = end + ticks.length;
      }
    } else if (depth < MAX_DEPTH && (rest === '**' || rest === '__' || rest === '~~')) {
      const end = closingMark(source, at, rest);
      if (end < 0) {
        text += rest;
        at += 2;
      } else {
        const children = readInline(source.slice(at + 2, end), depth + 1);
        push({ kind: rest === '~~' ? 'del' : 'strong', children });
        at = end + 2;
      }
    } else if (depth < MAX_DEPTH && (char === '*' || char === '_')) {
      const end = closingMark(source, at, char);
      if (end < 0) {
        text += char;
        at++;
      } else {
        push({ kind: 'em', children: readInline(source.slice(at + 1, end), depth + 1) });
        at = end + 1;
      }
    } else if (char === '[' && depth < MAX_DEPTH) {
      const link = readLink(source, at);
      if (link === undefined) {
        text += char;
        at++;
      } else {
        push({ kind: 'link', href: link.href, children: readInline(link.label, MAX_DEPTH) });
        at = link.end;
      }
    } else if (char === '<' && /^<https?:/i.test(source.slice(at, at + 8))) {
      const end = source.indexOf('>', at);
      const href = source.slice(at + 1, end < 0 ? at : end);
      if (SAFE_LINK.test(href)) {
        push({ kind: 'link', href, children: [{ kind: 'text', text: href }] });
        at = end + 1;
      } else {
        text += char;
        at++;
      }
    } else if ((char === 'h' || char === 'H') && depth < MAX_DEPTH && !/[\p{L}\p{N}]$/u.test(text)) {
      // What ends a sentence does not end the address.
      const href = BARE_LINK.exec(source.slice(at))?.[0].replace(/[.,;:!?)\]*_~]+$/, '');
      if (href !== undefined && SAFE_LINK.test(href)) {
        push({ kind: 'link', href, children: [{ kind: 'text', text: href }] });
        at += href.length;
      } else {
        text += char;
        at++;
      }
    } else {
      text += char;
      at++;
    }
  }
  flush();
  return out;
}

function closingTicks(source: string, from: number, count: number): number {
  for (const match of source.slice(from).matchAll(/`+/g)) {
    if (match[0].length === count) return from + match.index;
  }
  return -1;
}

/** Where the emphasis that begins at `at` ends; -1: it is none. */
function closingMark(source: string, at: number, mark: string): number {
  const before = source.charAt(at - 1);
  const after = source.charAt(at + mark.length);
  if (after === '' || /\s/.test(after)) return -1;
  if (mark.startsWith('_') && /[\p{L}\p{N}]/u.test(before)) return -1;
  for (let end = source.indexOf(mark, at + mark.length); end >= 0; end = source.indexOf(mark, end + 1)) {
    const [left, right] = [source.charAt(end - 1), source.charAt(end + mark.length)];
    if (/\s/.test(left) || left === '\\' || end === at + mark.length) continue;
    if (mark.length === 1 && (right === mark || left === mark)) continue;
    if (mark.startsWith('_') && /[\p{L}\p{N}]/u.test(right)) continue;
    return end;
  }
  return -1;
}

function readLink(source: string, at: number): { label: string; href: string; end: number } | undefined {
  const match =
    /^\[((?:\\.|[^[\]\\])*)\]\(\s*<?([^\s<>()]*(?:\([^\s<>()]*\)[^\s<>()]*)*)>?(?:\s+"[^"]*")?\s*\)/.exec(
      source.slice(at, at + 4000),
    );
  const [whole, label, href] = match ?? [];
  if (whole === undefined || label === undefined || href === undefined || !SAFE_LINK.test(href))
    return undefined;
  return { label, href, end: at + whole.length };
}
