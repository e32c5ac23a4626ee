/**
 * A console line with its escape sequences, as pieces of plain text with a look. Only colours and weight are understood
 * (SGR); every other sequence is dropped, and no control character is left, so that what is drawn can do nothing.
 */

/** A colour of the palette (0 to 15), or any other as CSS `rgb(…)`. */
export type AnsiColour = number | string;

export interface AnsiLook {
  fg: AnsiColour | null;
  bg: AnsiColour | null;
  bold: boolean;
  dim: boolean;
  italic: boolean;
  underline: boolean;
  strike: boolean;
  inverse: boolean;
}

export interface AnsiPiece {
  text: string;
  /** Null: plain. */
  look: AnsiLook | null;
}

const PLAIN: AnsiLook = {
  fg: null,
  bg: null,
  bold: false,
  dim: false,
  italic: false,
  underline: false,
  strike: false,
  inverse: false,
};

// CSI, OSC (ends with BEL or ST, or with the line), DCS and the like, two-character escapes; then lone control characters.
const SEQUENCE =
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  /\x1b\[([0-?]*)[ -/]*([@-~])|\x1b[\]PX^_](?:(?!\x1b\\)[^\x07])*(?:\x07|\x1b\\|$)|\x1b[ -/]*[0-~]?|\x9b([0-?]*)[ -/]*([@-~])|[\x00-\x08\x0b-\x1f\x7f-\x9f]/g;

/** What a terminal would show of a line that went back to its beginning: what came last. */
function lastReturned(line: string): string {
  const whole = line.endsWith('\r') ? line.slice(0, -1) : line;
  const at = whole.lastIndexOf('\r');
  return at < 0 ? whole : whole.slice(at + 1);
}

/** Takes one line apart. Never throws, whatever the line holds. */
export function readAnsi(line: string): AnsiPiece[] {
  const text = line.includes('\r') ? lastReturned(line) : line;
  const pieces: AnsiPiece[] = [];
  let look = PLAIN;
  let from = 0;
  const add = (part: string) => {
    if (part === '') return;
    const last = pieces.at(-1);
    const own = look === PLAIN ? null : look;
    if (last !== undefined && last.look === own) last.text += part;
    else pieces.push({ text: part, look: own });
  };
  for (const match of text.matchAll(SEQUENCE)) {
    add(text.slice(from, match.index));
    from = match.index + match[0].length;
    if ((match[2] ?? match[4]) === 'm') look = applyCodes(look, match[1] ?? match[3] ?? '');
  }
  add(text.slice(from));
  return pieces;
}

/** Only the text. */
export const stripAnsi = (line: string): string =>
  readAnsi(line)
    .map((piece) => piece.text)
    .join('');

function applyCodes(before: AnsiLook, parameters: string): AnsiLook {
  if (!/^[\d;:]*$/.test(parameters)) return before; // private sequences
  const codes = parameters.split(/[;:]/).map((part) => (part === '' ? 0 : Number(part)));
  let look: AnsiLook = { ...before };
  for (let index = 0; index < codes.length; index++) {
    const code = codes[index] ?? 0;
    if (code === 0) look = { ...PLAIN };
    else if (code === 1) look.bold = true;
    else if (code === 2) look.dim = true;
    else if (code === 3) look.italic = true;
    else if (code === 4) look.underline = true;
    else if (code === 7) look.inverse = true;
    else if (code === 9) look.strike = true;
    else if (code === 22) look.bold = look.dim = false;
    else if (code === 23) look.italic = false;
    else if (code === 24) look.underline = false;
    else if (code === 27) look.inverse = false;
    else if (code === 29) look.strike = false;
    else if (code >= 30 && code <= 37) look.fg = code - 30;
    else if (code === 39) look.fg = null;
    else if (code >= 40 && code <= 47) look.bg = code - 40;
    else if (code === 49) look.bg = null;
    else if (code >= 90 && code <= 97) look.fg = code - 82;
    else if (code >= 100 && code <= 107) look.bg = code - 92;
    else if (code === 38 || code === 48) {
      const { colour, used } = readColour(codes, index + 1);
      index += used;
      if (colour !== undefined) look[code === 38 ? 'fg' : 'bg'] = colour;
    }
  }
  const plain = Object.entries(look).every(([name, value]) => value === PLAIN[name as keyof AnsiLook]);
  return plain ? PLAIN : look;
}

function readColour(codes: readonly number[], at: number): { colour?: AnsiColour; used: number } {
  if (codes[at] === 5) {
    const colour = indexed(codes[at + 1] ?? -1);
    return colour === undefined ? { used: 2 } : { colour, used: 2 };
  }
  if (codes[at] === 2) {
    const [r = 0, g = 0, b = 0] = codes.slice(at + 1, at + 4);
    return { colour: rgb(r, g, b), used: 4 };
  }
  return { used: 1 };
}

const rgb = (...parts: number[]): string =>
  `rgb(${parts.map((part) => Math.max(0, Math.min(255, Math.trunc(part)))).join(' ')})`;

/** The 256 colours: 16 of the palette, a cube of six each way, 24 greys. */
function indexed(index: number): AnsiColour | undefined {
  if (index < 0 || index > 255) return undefined;
  if (index < 16) return index;
  if (index >= 232) return rgb(...Array<number>(3).fill(8 + (index - 232) * 10));
  const level = (place: number) => {
    const step = Math.floor((index - 16) / place) % 6;
    return step === 0 ? 0 : 55 + step * 40;
  };
  return rgb(level(36), level(6), level(1));
}

/** Columns that a text takes in a monospaced face: twice as many for wide characters, none for marks. */
export function columnsOf(text: string): number {
  if (/^[\x20-\x7e]*$/.test(text)) return text.length;
  let columns = 0;
  for (const char of text) {
    const code = char.codePointAt(0) ?? 0;
    if (char === '\t') columns += 8 - (columns % 8);
    else if (/\p{M}|\p{Cf}/u.test(char)) continue;
    else columns += code >= 0x1100 && isWide(code) ? 2 : 1;
  }
  return columns;
}

const isWide = (code: number): boolean =>
  code <= 0x115f ||
  (code >= 0x2e80 && code <= 0xa4cf) ||
  (code >= 0xac00 && code <= 0xd7a3) ||
  (code >= 0xf900 && code <= 0xfaff) ||
  (code >= 0xfe30 && code <= 0xfe6f) ||
  (code >= 0xff00 && code <= 0xff60) ||
  (code >= 0x1f300 && code <= 0x1faff) ||
  (code >= 0x20000 && code <= 0x3fffd);
