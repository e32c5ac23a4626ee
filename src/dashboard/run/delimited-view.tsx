// biome-ignore-all lint/a11y/noNoninteractiveTabindex: what scrolls has to be reachable by keyboard
// biome-ignore-all lint/a11y/useSemanticElements: a virtual table is made of positioned boxes, with the roles of a table
// biome-ignore-all lint/a11y/useFocusableInteractive: nothing in that table is pressed
/** Comma- or tab-separated values as a table: only the rows in view exist. */
import { useMemo, useRef } from 'preact/hooks';
import { useVirtual } from '../parts/virtual.ts';
import { columnsOf } from './ansi.ts';
import { readDelimited, separatorOf } from './delimited.ts';

const MAX_ROWS = 20_000;
const ROW = 26;
const MAX_COLUMNS = 60;

export function DelimitedTable({ text, cut, name }: { text: string; cut: boolean; name: string }) {
  const scroller = useRef<HTMLDivElement>(null);
  const { head, rows, widths, columns, numeric } = useMemo(() => {
    const all = readDelimited(text, separatorOf(text, name), { maxRows: MAX_ROWS + 1, cut });
    const [first = [], ...rest] = all;
    const count = Math.max(first.length, ...rest.slice(0, 200).map((row) => row.length));
    const list = Array.from({ length: Math.min(count, MAX_COLUMNS) }, (_, index) => index);
    const sample = rest.slice(0, 200);
    const cells = (index: number) => [first, ...sample].map((row) => row[index] ?? '');
    return {
      head: first,
      rows: rest,
      columns: list,
      widths: list.map((index) => Math.min(40, Math.max(6, ...cells(index).map(columnsOf)) + 3)),
      numeric: list.map((index) =>
        sample.every(
          (row) => row[index] === undefined || row[index] === '' || Number.isFinite(Number(row[index])),
        ),
      ),
      count,
    };
  }, [text]);
  const virtual = useVirtual({
    count: rows.length,
    size: () => ROW,
    keyOf: (index) => index,
    scroller,
    overscan: 12,
    layout: rows,
    before: ROW,
  });
  const width = widths.reduce((sum, one) => sum + one, 0);
  const cell = (index: number) => ({ width: `${widths[index] ?? 10}ch` });
  return (
    <div
      class="csv"
      ref={scroller}
      tabIndex={0}
      role="table"
      aria-label={`Table ${name}`}
      aria-rowcount={rows.length + 1}
    >
      <div
        class="csv-inner"
        style={{ height: `${virtual.total}px`, minWidth: `${width + 8}ch` }}
        role="rowgroup"
      >
        <div class="csv-head" role="row">
          <span class="csv-number" role="columnheader">
            <span class="sr-only">Row</span>
          </span>
          {columns.map((index) => (
            <span
              key={index}
              role="columnheader"
              class={`clip${numeric[index] ? ' number' : ''}`}
              style={cell(index)}
              title={head[index]}
            >
              {head[index]}
            </span>
          ))}
        </div>
        {virtual.items.map((item) => (
          <div key={item.key} class="csv-row" role="row" style={{ transform: `translateY(${item.start}px)` }}>
            <span class="csv-number" role="rowheader">
              {item.index + 1}
            </span>
            {columns.map((index) => (
              <span
                key={index}
                role="cell"
                class={`clip${numeric[index] ? ' number' : ''}`}
                style={cell(index)}
                title={rows[item.index]?.[index]}
              >
                {rows[item.index]?.[index]}
              </span>
            ))}
          </div>
        ))}
      </div>
      {rows.length >= MAX_ROWS && (
        <p class="quiet small csv-more">The first {MAX_ROWS.toLocaleString()} rows.</p>
      )}
    </div>
  );
}
