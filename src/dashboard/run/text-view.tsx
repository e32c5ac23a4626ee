// biome-ignore-all lint/a11y/noNoninteractiveTabindex: what scrolls has to be reachable by keyboard
// biome-ignore-all lint/a11y/useSemanticElements: a scrolling region
/** Plain text. */
import { useMemo, useRef } from 'preact/hooks';
import { useVirtual } from '../parts/virtual.ts';
import { columnsOf } from './ansi.ts';

const LINE = 18;

/** Text of any length: only the lines in view exist. */
export function TextLines({ text }: { text: string }) {
  const scroller = useRef<HTMLDivElement>(null);
  const lines = useMemo(() => {
    const all = text.replaceAll('\r\n', '\n').split('\n');
    if (all.at(-1) === '') all.pop();
    return all.map((line) => (line.length > 20_000 ? `${line.slice(0, 20_000)}…` : line));
  }, [text]);
  const widest = useMemo(() => lines.reduce((most, line) => Math.max(most, columnsOf(line)), 0), [lines]);
  const virtual = useVirtual({
    count: lines.length,
    size: () => LINE,
    keyOf: (index) => index,
    scroller,
    overscan: 20,
    layout: lines,
    before: 8,
  });
  return (
    <div class="text-lines" ref={scroller} tabIndex={0} role="region" aria-label="Content">
      <div style={{ height: `${virtual.total + 8}px`, minWidth: `calc(${widest}ch + 80px)` }}>
        {virtual.items.map((item) => (
          <div key={item.key} class="text-line" style={{ transform: `translateY(${item.start}px)` }}>
            <span class="patch-number" aria-hidden="true">
              {item.index + 1}
            </span>
            <span class="console-text">{lines[item.index]}</span>
          </div>
        ))}
      </div>
    </div>
  );
}
