/** A console line as elements: colours by class, or through CSSOM where they are not of the palette. */
import { type AnsiColour, type AnsiLook, type AnsiPiece, readAnsi } from './ansi.ts';
import { Marked } from './marked.tsx';

export function AnsiText({ line, find = '' }: { line: string; find?: string }) {
  return (
    <>
      {readAnsi(line).map((piece, index) => (
        <Piece key={index} piece={piece} find={find} />
      ))}
    </>
  );
}

function Piece({ piece, find }: { piece: AnsiPiece; find: string }) {
  const text = find === '' ? piece.text : <Marked text={piece.text} find={find} />;
  return piece.look === null ? (
    text
  ) : (
    <span class={classOf(piece.look)} style={styleOf(piece.look)}>
      {text}
    </span>
  );
}

function classOf(look: AnsiLook): string {
  const names = ['bold', 'dim', 'italic', 'underline', 'strike', 'inverse'] as const;
  const classes: string[] = names.filter((name) => look[name]).map((name) => `ansi-${name}`);
  const { fg, bg } = ends(look);
  if (typeof fg === 'number') classes.push(`ansi-fg-${fg}`);
  if (typeof bg === 'number') classes.push(`ansi-bg-${bg}`);
  return classes.join(' ');
}

/** Without colours of its own, inverse is a class. */
const ends = ({ fg, bg, inverse }: AnsiLook): { fg: AnsiColour | null; bg: AnsiColour | null } =>
  inverse ? { fg: bg, bg: fg } : { fg, bg };

function styleOf(look: AnsiLook): Record<string, string> | undefined {
  const { fg, bg } = ends(look);
  const colour = typeof fg === 'string' ? fg : undefined;
  const background = typeof bg === 'string' ? bg : undefined;
  if (colour === undefined && background === undefined) return undefined;
  return { ...(colour ? { color: colour } : {}), ...(background ? { backgroundColor: background } : {}) };
}
