/** A pen that writes SVG. Colours are CSS texts. */
import type { Look, Pen } from './pen.ts';

export class SvgPen implements Pen {
  readonly #parts: { look: string; path: string[] }[] = [];

  line(points: Float64Array, count: number, look: Look): void {
    const dash = look.dash.length > 0 ? ` stroke-dasharray="${look.dash.join(' ')}"` : '';
    this.#add(
      `fill="none" stroke="${escapeXml(look.colour)}" stroke-width="${look.width}" stroke-linejoin="round" opacity="${look.alpha}"${dash}`,
      path(points, count, 2, 1),
    );
  }

  band(corners: Float64Array, count: number, look: Look): void {
    const bottom: string[] = [];
    for (let at = count - 3; at >= 0; at -= 3)
      bottom.push(`L${round(corners[at] ?? 0)} ${round(corners[at + 2] ?? 0)}`);
    this.#add(fill(look), `${path(corners, count, 3, 1)}${bottom.join('')}Z`);
  }

  dot(x: number, y: number, radius: number, look: Look): void {
    this.#add(fill(look), circle(x, y, radius));
  }

  ring(x: number, y: number, radius: number, look: Look): void {
    this.#add(
      `fill="none" stroke="${escapeXml(look.colour)}" stroke-width="${look.width}" opacity="${look.alpha}"`,
      circle(x, y, radius),
    );
  }

  get parts(): string[] {
    return this.#parts.map((part) => `<path d="${part.path.join('')}" ${part.look}/>`);
  }

  /** What looks the same as the last is one path with it. */
  #add(look: string, text: string): void {
    const last = this.#parts.at(-1);
    if (last?.look === look) last.path.push(text);
    else this.#parts.push({ look, path: [text] });
  }
}

const fill = (look: Look) => `fill="${escapeXml(look.colour)}" opacity="${look.alpha}"`;

function path(points: Float64Array, count: number, stride: number, second: number): string {
  const parts: string[] = [];
  for (let at = 0; at + second < count; at += stride)
    parts.push(`${at === 0 ? 'M' : 'L'}${round(points[at] ?? 0)} ${round(points[at + second] ?? 0)}`);
  return parts.join('');
}

function circle(x: number, y: number, radius: number): string {
  const r = round(radius);
  return `M${round(x + radius)} ${round(y)}a${r} ${r} 0 1 1 ${round(-2 * radius)} 0a${r} ${r} 0 1 1 ${round(2 * radius)} 0`;
}

const round = (value: number): string => String(Math.round(value * 100) / 100);

export const escapeXml = (text: string): string =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');
