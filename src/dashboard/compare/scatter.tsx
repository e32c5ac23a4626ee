// biome-ignore-all lint/a11y/noNoninteractiveTabindex: what scrolls has to be reachable by keyboard
// biome-ignore-all lint/a11y/useSemanticElements: a scrolling region
/** A point a run, over any two columns. */
import { useRef } from 'preact/hooks';
import { setParams, useParam } from '../run/url-state.ts';
import { type Column, keptBy, readBrushes, scaleOf, usualParam, usualResult } from './columns.ts';
import { colourOf, type DrawingProps, RunLink, shorten } from './run-link.tsx';
import { useWidth } from './use-width.ts';

const LEFT = 76;
const PLOT = 360;

export function Scatter({ runs, columns, pointer }: DrawingProps) {
  const host = useRef<HTMLDivElement>(null);
  const width = useWidth(host);
  const sx = useParam('sx');
  const sy = useParam('sy');
  const usualX = usualParam(columns);
  const brush = useParam('brush');
  const kept = keptBy(columns, readBrushes(brush.value), runs.length);
  const xs = columns.find((one) => one.id === sx.value) ?? usualX ?? columns.at(-1);
  const ys = columns.find((one) => one.id === sy.value) ?? usualResult(columns) ?? columns[0];
  if (xs === undefined || ys === undefined) return null;
  const [scaleX, scaleY] = [scaleOf(xs), scaleOf(ys)];
  const wide = Math.max(280, Math.min(width.value, 1100));
  const [inner, tall] = [wide - LEFT - 16, PLOT - 52];
  const x = (at: number) => LEFT + at * inner;
  const y = (at: number) => 12 + (1 - at) * tall;
  const lifted = pointer.lifted.value;
  const points = runs.flatMap((run, index) => {
    const [px, py] = [scaleX.at(xs.values[index]), scaleY.at(ys.values[index])];
    return px === undefined || py === undefined ? [] : [{ run, px: x(px), py: y(py), index }];
  });
  const missing = runs.length - points.length;
  const up = points.find((point) => point.run.id === lifted);
  // What is pointed at is drawn last: above the others.
  const ordered = up === undefined ? points : [...points.filter((point) => point !== up), up];
  return (
    <section class="part">
      <header class="part-head scatter-head">
        <h2>Scatter</h2>
        {missing > 0 && (
          <span class="quiet small">
            {missing} {missing === 1 ? 'run lacks' : 'runs lack'} one of the two
          </span>
        )}
        <span class="grow" />
        <ColumnChoice
          label="Horizontal"
          columns={columns}
          value={xs.id}
          onPick={(id) => setParams({ sx: id })}
        />
        <ColumnChoice
          label="Vertical"
          columns={columns}
          value={ys.id}
          onPick={(id) => setParams({ sy: id })}
        />
      </header>
      <div class="scatter" ref={host}>
        {width.value > 0 && (
          <svg
            width={wide}
            height={PLOT}
            viewBox={`0 0 ${wide} ${PLOT}`}
            role="group"
            aria-label={`${ys.title} over ${xs.title} for ${points.length} runs`}
          >
            {scaleX.ticks.map((tick) => (
              <g key={tick.text}>
                <line class="grid-line" x1={x(tick.at)} x2={x(tick.at)} y1={12} y2={12 + tall} />
                <text class="axis-tick" x={x(tick.at)} y={tall + 28} text-anchor="middle">
                  {shorten(tick.text, 14)}
                </text>
              </g>
            ))}
            {scaleY.ticks.map((tick) => (
              <g key={tick.text}>
                <line class="grid-line" x1={LEFT} x2={LEFT + inner} y1={y(tick.at)} y2={y(tick.at)} />
                <text class="axis-tick" x={LEFT - 8} y={y(tick.at) + 4} text-anchor="end">
                  {shorten(tick.text, 10)}
                </text>
              </g>
            ))}
            <text class="axis-title" x={LEFT + inner / 2} y={PLOT - 6} text-anchor="middle">
              {xs.title}
              {scaleX.log ? ' (log)' : ''}
            </text>
            {ordered.map(({ run, px, py, index }) => (
              <RunLink
                key={run.id}
                run={run}
                pointer={pointer}
                label={`${run.name}: ${textOf(xs, index)}, ${textOf(ys, index)}`}
              >
                <circle
                  class={`point${lifted === run.id ? ' lifted' : lifted !== null || !kept[index] ? ' out' : ''}`}
                  cx={px}
                  cy={py}
                  r="5.5"
                  fill={colourOf(run.id)}
                />
              </RunLink>
            ))}
            {up && (
              <g class="point-label" transform={`translate(${up.px} ${up.py - 14})`}>
                <text text-anchor={up.px > wide - 160 ? 'end' : up.px < LEFT + 120 ? 'start' : 'middle'}>
                  {shorten(up.run.name, 40)}: {textOf(xs, up.index)}, {textOf(ys, up.index)}
                </text>
              </g>
            )}
          </svg>
        )}
      </div>
    </section>
  );
}

function textOf(column: Column, index: number): string {
  const value = column.values[index];
  return typeof value === 'number' ? column.format(value) : (value ?? '–');
}

function ColumnChoice(props: {
  label: string;
  columns: readonly Column[];
  value: string;
  onPick: (id: string) => void;
}) {
  return (
    <label class="select">
      <span class="quiet">{props.label}</span>
      <select value={props.value} onChange={(event) => props.onPick(event.currentTarget.value)}>
        {(['param', 'metric', 'run'] as const).map((of) => (
          <optgroup key={of} label={{ param: 'Params', metric: 'Results', run: 'Run' }[of]}>
            {props.columns
              .filter((one) => one.of === of)
              .map((one) => (
                <option key={one.id} value={one.id}>
                  {one.title}
                </option>
              ))}
          </optgroup>
        ))}
      </select>
    </label>
  );
}
