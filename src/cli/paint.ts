import { styleText } from 'node:util';
import type { Context } from './context.ts';

export type Style = 'bold' | 'dim' | 'red' | 'green' | 'yellow' | 'blue' | 'magenta' | 'cyan';

/** Colours a text where the terminal takes colours; gives it back as it is elsewhere. */
export type Paint = (style: Style, text: string) => string;

export function painter(context: Pick<Context, 'colors'>): Paint {
  if (!context.colors) return (_style, text) => text;
  return (style, text) => (text === '' ? '' : styleText(style, text, { validateStream: false }));
}
