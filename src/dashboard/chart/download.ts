/** A chart as a file: a picture, a drawing, or its numbers. */
import { ink } from '../shell/theme.ts';
import type { Line } from './line.ts';
import type { Plot } from './plot.ts';
import { escapeXml, SvgPen } from './svg-pen.ts';

export interface LegendEntry {
  name: string;
  colour: string;
}

function save(name: string, blob: Blob): void {
  const link = document.createElement('a');
  link.href = URL.createObjectURL(blob);
  link.download = name.replaceAll(/[^\p{L}\p{N}._-]+/gu, '_');
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

const LEGEND = 20;
const MAX_LEGEND = 24;

export function savePng(plot: Plot, title: string, legend: readonly LegendEntry[]): void {
  const picture = plot.toCanvas();
  if (picture === undefined) return;
  const ratio = devicePixelRatio;
  const listed = legend.slice(0, MAX_LEGEND);
  const page = document.createElement('canvas');
  page.width = picture.width;
  page.height = picture.height + (36 + listed.length * LEGEND) * ratio;
  const context = page.getContext('2d');
  if (context === null) return;
  context.fillStyle = ink.peek().surface;
  context.fillRect(0, 0, page.width, page.height);
  context.scale(ratio, ratio);
  context.fillStyle = ink.peek().text;
  context.font = '600 13px system-ui, sans-serif';
  context.fillText(title, 12, 20);
  context.drawImage(picture, 0, 28, picture.width / ratio, picture.height / ratio);
  context.font = '12px system-ui, sans-serif';
  listed.forEach(({ name, colour }, index) => {
    const y = 28 + picture.height / ratio + 14 + index * LEGEND;
    context.fillStyle = colour;
    context.fillRect(12, y - 5, 12, 3);
    context.fillStyle = ink.peek().text;
    context.fillText(name, 32, y);
  });
  page.toBlob((blob) => blob && save(`${title}.png`, blob));
}

export function saveSvg(plot: Plot, title: string, legend: readonly LegendEntry[]): void {
  const pen = new SvgPen();
  const box = plot.drawWith(pen);
  if (box === undefined) return;
  const { left, top, width, height, ticks } = box;
  const listed = legend.slice(0, MAX_LEGEND);
  const { text, grid, surface } = ink.peek();
  const [whole, tall] = [left + width + 16, top + 28 + height + 32 + listed.length * LEGEND];
  const y = top + 28;
  const parts = [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${whole}" height="${tall}" viewBox="0 0 ${whole} ${tall}" font-family="system-ui, sans-serif" font-size="12">`,
    `<rect width="100%" height="100%" fill="${surface}"/><text x="12" y="20" font-size="13" font-weight="600" fill="${text}">${escapeXml(title)}</text>`,
    ...ticks.x.map(
      (tick) =>
        `<path d="M${left + tick.at} ${y}v${height}" stroke="${grid}"/><text x="${left + tick.at}" y="${y + height + 16}" text-anchor="middle" fill="${text}">${escapeXml(tick.text)}</text>`,
    ),
    ...ticks.y.map(
      (tick) =>
        `<path d="M${left} ${y + tick.at}h${width}" stroke="${grid}"/><text x="${left - 6}" y="${y + tick.at + 4}" text-anchor="end" fill="${text}">${escapeXml(tick.text)}</text>`,
    ),
    `<svg x="${left}" y="${y}" width="${width}" height="${height}" overflow="hidden">${pen.parts.join('')}</svg>`,
    ...listed.map(({ name, colour }, index) => {
      const place = y + height + 36 + index * LEGEND;
      return `<rect x="12" y="${place - 6}" width="12" height="3" fill="${colour}"/><text x="32" y="${place}" fill="${text}">${escapeXml(name)}</text>`;
    }),
    '</svg>',
  ];
  save(`${title}.svg`, new Blob([parts.join('\n')], { type: 'image/svg+xml' }));
}

/** What is on the screen: a row for each bucket of each line. */
export function saveCsv(
  lines: readonly Line[],
  title: string,
  axis: string,
  nameOf: (run: string) => string,
): void {
  const rows = [`run,name,writer,segment,${axis},${axis}_to,min,max,mean`];
  for (const line of lines) {
    const head = [line.run, nameOf(line.run), line.writer, String(line.segment)].map(csvText).join();
    for (let index = 0; index < line.n; index++) {
      rows.push(
        `${head},${line.x0[index]},${line.x1[index]},${line.min[index]},${line.max[index]},${line.mean[index]}`,
      );
    }
  }
  save(`${title}.csv`, new Blob([`${rows.join('\n')}\n`], { type: 'text/csv' }));
}

/** Quoted where needed; a beginning that spreadsheets take for a formula is disarmed. */
function csvText(text: string): string {
  const safe = /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
  return /[",\n\r]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}
