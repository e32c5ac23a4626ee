/** The values under the pointer: one small panel for all charts. */
import { signal } from '@preact/signals';
import { useLayoutEffect, useRef } from 'preact/hooks';
import { formatNumber, rawNumber } from '../format/numbers.ts';
import { formatDuration, formatTime } from '../format/times.ts';
import type { Axis } from './line.ts';

export interface TipRow {
  owner: string;
  name: string;
  colour: string;
  value: number;
  /** Of a bucket of several samples. */
  low: number;
  high: number;
  nearest: boolean;
}

export interface Tip {
  /** Of the pointer, in the window. */
  left: number;
  top: number;
  x: number;
  axis: Axis;
  rows: readonly TipRow[];
  /** Lines that are not listed. */
  more: number;
  format: ((value: number) => string) | undefined;
}

export const tip = signal<Tip | null>(null);

export function formatX(x: number, axis: Axis): string {
  if (axis === 'time') return formatTime(x);
  if (axis === 'relative') return formatDuration(x);
  return `step ${rawNumber(Math.abs(x) >= 1 ? Math.round(x) : Number(x.toPrecision(3)))}`;
}

export function ChartTip() {
  const box = useRef<HTMLDivElement>(null);
  const shown = tip.value;
  useLayoutEffect(() => {
    const element = box.current;
    if (element === null || shown === null) return;
    const { offsetWidth: width, offsetHeight: height } = element;
    const right = shown.left + 18 + width < innerWidth;
    const left = right ? shown.left + 18 : Math.max(4, shown.left - 18 - width);
    const top = Math.max(4, Math.min(shown.top + 14, innerHeight - height - 8));
    element.style.transform = `translate(${Math.round(left)}px, ${Math.round(top)}px)`;
  });
  if (shown === null) return null;
  const format = shown.format ?? ((value: number) => formatNumber(value, 5));
  return (
    <div class="tip" ref={box} aria-hidden="true">
      <div class="tip-x">{formatX(shown.x, shown.axis)}</div>
      <table>
        <tbody>
          {shown.rows.map((row) => (
            <tr key={row.owner} class={row.nearest ? 'nearest' : ''}>
              <td>
                <i class="swatch" style={{ background: row.colour }} />
              </td>
              <td class="tip-name">{row.name}</td>
              <td class="tip-value">
                {format(row.value)}
                {row.nearest && row.low < row.high && (
                  <small>
                    {format(row.low)} … {format(row.high)}
                  </small>
                )}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
      {shown.more > 0 && <div class="tip-more">and {shown.more} more</div>}
    </div>
  );
}
