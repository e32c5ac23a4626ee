/** A pen that writes SVG, for the part of the canvas that `draw-lines.ts` uses. Colours are CSS texts. */
import type { Pen } from './draw-lines.ts';

export class SvgPen implements Pen {
  strokeStyle: string | CanvasGradient | CanvasPattern = 'black';
  fillStyle: string | CanvasGradient | CanvasPattern = 'black';
  globalAlpha = 1;
  lineWidth = 1;
  lineJoin: CanvasLineJoin = 'round';
  readonly parts: string[] = [];
  #path: string[] = [];
  #dash: number[] = [];

  beginPath(): void {
    this.#path = [];
  }
  moveTo(x: number, y: number): void {
    this.#path.push(`M${round(x)} ${round(y)}`);
  }
  lineTo(x: number, y: number): void {
    this.#path.push(`L${round(x)} ${round(y)}`);
  }
  /** Whole circles only. */
  arc(x: number, y: number, radius: number): void {
    const r = round(radius);
    this.#path.push(
      `M${round(x + radius)} ${round(y)}a${r} ${r} 0 1 1 ${round(-2 * radius)} 0a${r} ${r} 0 1 1 ${round(2 * radius)} 0`,
    );
  }
  closePath(): void {
    this.#path.push('Z');
  }
  setLineDash(segments: Iterable<number>): void {
    this.#dash = [...segments];
  }
  stroke(): void {
    if (this.#path.length === 0) return;
    const dash = this.#dash.length > 0 ? ` stroke-dasharray="${this.#dash.join(' ')}"` : '';
    this.parts.push(
      `<path d="${this.#path.join('')}" fill="none" stroke="${escapeXml(String(this.strokeStyle))}" stroke-width="${this.lineWidth}" stroke-linejoin="round" opacity="${this.globalAlpha}"${dash}/>`,
    );
  }
  fill(): void {
    if (this.#path.length === 0) return;
    this.parts.push(
      `<path d="${this.#path.join('')}" fill="${escapeXml(String(this.fillStyle))}" opacity="${this.globalAlpha}"/>`,
    );
  }
}

const round = (value: number): string => String(Math.round(value * 100) / 100);

export const escapeXml = (text: string): string =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');
