// biome-ignore-all lint/a11y/noNoninteractiveTabindex: what scrolls has to be reachable by keyboard
// biome-ignore-all lint/a11y/useSemanticElements: a scrolling region
/** Parallel coordinates: a line a run over an axis a column; ranges along the axes narrow the runs down. */
import { useSignal } from '@preact/signals';
import { useMemo, useRef } from 'preact/hooks';
import { Icon } from '../parts/icon.tsx';
import { MenuButton, MenuItem } from '../parts/popover.tsx';
import { setParams, useParam } from '../run/url-state.ts';
import { type Brushes, keptBy, readBrushes, scaleOf, usualAxes, writeBrushes } from './columns.ts';
import { colourOf, type DrawingProps, RunLink, shorten } from './run-link.tsx';
import { useWidth } from './use-width.ts';

const HEIGHT = 320;
const TOP = 44;
const BOTTOM = 12;
const SIDE = 72;
/** An axis needs so much room for its ticks. */
const LEAST = 96;
/** How far a key moves a range. */
const STEP = 0.05;

export function Parallel({ runs, columns, pointer }: DrawingProps) {
  const host = useRef<HTMLDivElement>(null);
  const width = useWidth(host);
  const chosen = useParam('axes');
  const brushText = useParam('brush');
  const drag = useSignal<{ id: string; from: number; to: number } | null>(null);
  const ids = chosen.value === '' ? usualAxes(columns) : chosen.value.split(';').map(decodeURI_);
  const axes = ids.flatMap((id) => columns.find((one) => one.id === id) ?? []);
  const scales = useMemo(() => new Map(axes.map((one) => [one.id, scaleOf(one)])), [columns, ids.join()]);
  const brushes: Brushes = (() => {
    const held = new Map([...readBrushes(brushText.value)].filter(([id]) => ids.includes(id)));
    const now = drag.value;
    if (now && now.to - now.from !== 0)
      held.set(now.id, [Math.min(now.from, now.to), Math.max(now.from, now.to)]);
    return held;
  })();
  const kept = keptBy(columns, brushes, runs.length);
  const wide = Math.max(width.value, axes.length * LEAST + SIDE);
  const x = (index: number) =>
    axes.length < 2 ? wide / 2 : SIDE + (index / (axes.length - 1)) * (wide - 2 * SIDE);
  const y = (at: number) => TOP + (1 - at) * (HEIGHT - TOP - BOTTOM);
  const toggle = (id: string) => {
    const next = ids.includes(id) ? ids.filter((one) => one !== id) : [...ids, id];
    setParams({ axes: next.map(encodeURI_).join(';') });
  };
  const begin = (id: string) => (event: PointerEvent) => {
    const area = event.currentTarget;
    if (!(area instanceof SVGElement) || event.button !== 0) return;
    const box = area.getBoundingClientRect();
    const at = (one: PointerEvent) => Math.max(0, Math.min(1, 1 - (one.clientY - box.top) / box.height));
    area.setPointerCapture(event.pointerId);
    drag.value = { id, from: at(event), to: at(event) };
    const stop = new AbortController();
    const end = () => {
      stop.abort();
      const now = drag.peek();
      drag.value = null;
      const next = new Map(readBrushes(brushText.peek()));
      if (now && Math.abs(now.to - now.from) > 0.02)
        next.set(id, [Math.min(now.from, now.to), Math.max(now.from, now.to)]);
      else next.delete(id);
      setParams({ brush: writeBrushes(next) });
    };
    area.addEventListener(
      'pointermove',
      (move) => {
        if (drag.peek() !== null) drag.value = { id, from: drag.peek()?.from ?? 0, to: at(move) };
      },
      { signal: stop.signal },
    );
    area.addEventListener('pointerup', end, { signal: stop.signal });
    area.addEventListener('pointercancel', end, { signal: stop.signal });
  };
  const move = (id: string) => (event: KeyboardEvent) => {
    const clear = event.key === 'Delete' || event.key === 'Backspace';
    const up = event.key === 'ArrowUp' ? STEP : event.key === 'ArrowDown' ? -STEP : 0;
    if (!clear && up === 0) return;
    event.preventDefault();
    const next = new Map(brushes);
    const [from, to] = next.get(id) ?? [0.4, 0.6];
    if (clear) next.delete(id);
    else if (event.shiftKey)
      next.set(id, up > 0 ? [from, Math.min(1, to + up)] : [Math.max(0, from + up), to]);
    else {
      const by = Math.max(-from, Math.min(1 - to, up));
      next.set(id, [from + by, to + by]);
    }
    setParams({ brush: writeBrushes(next) });
  };
  const count = kept.filter(Boolean).length;
  const lifted = pointer.lifted.value;
  return (
    <section class="part">
      <header class="part-head">
        <h2>Parallel coordinates</h2>
        <span class="quiet small">
          {brushes.size > 0 ? `${count} of ${runs.length} runs` : 'drag along an axis to choose a range'}
        </span>
        <span class="grow" />
        {brushes.size > 0 && (
          <button type="button" class="button bare" onClick={() => setParams({ brush: null })}>
            <Icon name="reset" /> All runs
          </button>
        )}
        {brushes.size > 0 && count > 0 && count < runs.length && (
          <a
            class="button bare"
            href={`/compare?runs=${runs
              .filter((_, index) => kept[index])
              .map((run) => run.id)
              .join()}&view=relations`}
          >
            Compare only these
          </a>
        )}
        <MenuButton label="Choose the axes" icon="columns" text="Axes" class="button bare" wide>
          {() => (
            <>
              {(['param', 'metric', 'run'] as const).map((of) => {
                const list = columns.filter((one) => one.of === of && (one.differs || ids.includes(one.id)));
                return (
                  list.length > 0 && (
                    <div key={of}>
                      <p class="menu-title">{{ param: 'Params', metric: 'Results', run: 'Run' }[of]}</p>
                      {list.slice(0, 300).map((one) => (
                        <MenuItem key={one.id} checked={ids.includes(one.id)} onPick={() => toggle(one.id)}>
                          {one.title}
                        </MenuItem>
                      ))}
                    </div>
                  )
                );
              })}
            </>
          )}
        </MenuButton>
      </header>
      <div class="parallel" ref={host} tabIndex={0} role="region" aria-label="Parallel coordinates">
        {axes.length === 0 ? (
          <p class="nothing">Nothing differs between these runs; choose axes yourself.</p>
        ) : (
          width.value > 0 && (
            <svg
              width={wide}
              height={HEIGHT}
              viewBox={`0 0 ${wide} ${HEIGHT}`}
              role="group"
              aria-label={`${runs.length} runs over ${axes.map((one) => one.title).join(', ')}`}
            >
              <g class={`parallel-lines${lifted !== null ? ' some' : ''}`}>
                {runs.map((run, index) => {
                  const path = pathOf(
                    axes.map((one) => scales.get(one.id)?.at(one.values[index])),
                    x,
                    y,
                  );
                  const state = lifted === run.id ? ' lifted' : kept[index] ? '' : ' out';
                  return (
                    <g key={run.id} class={`parallel-line${state}`}>
                      <path d={path} stroke={colourOf(run.id)} />
                      <RunLink run={run} pointer={pointer} label={run.name}>
                        <path class="hit" d={path}>
                          <title>{run.name}</title>
                        </path>
                      </RunLink>
                    </g>
                  );
                })}
              </g>
              {axes.map((one, index) => {
                const scale = scales.get(one.id);
                const brush = brushes.get(one.id);
                return (
                  <g key={one.id} transform={`translate(${x(index)} 0)`}>
                    <text class="axis-title" x="0" y="16" text-anchor="middle">
                      <title>{one.title}</title>
                      {shorten(one.title, axes.length < 2 ? 60 : (wide - 2 * SIDE) / (axes.length - 1) / 7)}
                    </text>
                    {scale?.log && (
                      <text class="axis-note" x="0" y="30" text-anchor="middle">
                        log
                      </text>
                    )}
                    <line class="axis-line" x1="0" x2="0" y1={y(1)} y2={y(0)} />
                    {scale?.ticks.map((tick) => (
                      <g key={tick.text}>
                        <line class="axis-line" x1="-4" x2="0" y1={y(tick.at)} y2={y(tick.at)} />
                        <text class="axis-tick" x="-8" y={y(tick.at) + 4} text-anchor="end">
                          {shorten(tick.text, 12)}
                        </text>
                      </g>
                    ))}
                    {brush && (
                      <rect
                        class="brush"
                        x="-8"
                        width="16"
                        rx="3"
                        y={y(brush[1])}
                        height={y(brush[0]) - y(brush[1])}
                      />
                    )}
                    <rect
                      class="brush-area"
                      x="-14"
                      width="28"
                      y={y(1)}
                      height={y(0) - y(1)}
                      onPointerDown={begin(one.id)}
                      onKeyDown={move(one.id)}
                      tabindex={0}
                      role="slider"
                      aria-orientation="vertical"
                      aria-label={`Range of ${one.title}; arrows move it, with Shift they widen it, Delete clears it`}
                      aria-valuenow={Math.round((brush?.[0] ?? 0) * 100)}
                      aria-valuetext={
                        brush === undefined
                          ? 'all runs'
                          : `${count} of ${runs.length} runs, from ${Math.round(brush[0] * 100)} to ${Math.round(brush[1] * 100)} percent`
                      }
                    />
                  </g>
                );
              })}
            </svg>
          )
        )}
      </div>
    </section>
  );
}

/** Ids within one value of the address, between semicolons. */
const encodeURI_ = (id: string): string => id.replaceAll('%', '%25').replaceAll(';', '%3B');
const decodeURI_ = (id: string): string => id.replaceAll('%3B', ';').replaceAll('%25', '%');

/** A line over the axes; it is broken where a run lacks a value. */
function pathOf(
  places: readonly (number | undefined)[],
  x: (index: number) => number,
  y: (at: number) => number,
): string {
  let path = '';
  let open = false;
  places.forEach((at, index) => {
    if (at === undefined) {
      open = false;
      return;
    }
    const alone = !open && places[index + 1] === undefined;
    path += `${open ? 'L' : 'M'}${x(index).toFixed(1)} ${y(at).toFixed(1)}${alone ? 'h0.1' : ''}`;
    open = true;
  });
  return path;
}
