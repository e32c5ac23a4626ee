/** A scrolling grid of panels by section, of which only those in view exist. */
import { type ReadonlySignal, useComputed, useSignal } from '@preact/signals';
import type { ComponentChildren, VNode } from 'preact';
import { useLayoutEffect, useMemo, useRef } from 'preact/hooks';
import { formatOf } from '../format/units.ts';
import { Icon } from '../parts/icon.tsx';
import { MenuItem } from '../parts/popover.tsx';
import { useVirtual } from '../parts/virtual.ts';
import type { ChartContext } from './context.ts';
import { noteScroll } from './frame.ts';
import { type GridRow, layOut, type PanelSize, PINNED, type PlacedPanel, type Section } from './layout.ts';
import { Panel } from './panel.tsx';

export interface GridOptions {
  pinned: readonly string[];
  folded: readonly string[];
  moves: readonly (readonly [string, string])[];
  sizes: ReadonlyMap<string, PanelSize>;
  height: number;
}

export interface GridProps {
  context: ChartContext;
  sections: ReadonlySignal<readonly Section[]>;
  options: ReadonlySignal<GridOptions>;
  change: (change: Partial<GridOptions>) => void;
  /** Above the panels; scrolls with them. */
  children?: ComponentChildren;
  /** What scrolls, by name: a view that comes back stands where it was. */
  name: string;
}

/** A panel as it was last made, and of what. */
interface Made {
  panel: PlacedPanel;
  top: number;
  target: boolean;
  context: ChartContext;
  node: VNode;
}

const PADDING = 16;
/**
 * Faster than this (pixels a millisecond: two windows a second) nobody reads a chart; then new ones are outlines until the
 * hand rests, as each that is drawn costs the scrolling a frame.
 */
const FAST = 1.5;
const offsets = new Map<string, number>();

export function ChartGrid({ context, sections, options, change, name }: GridProps) {
  const scroller = useRef<HTMLDivElement>(null);
  const width = useSignal(0);
  const fast = useSignal(false);
  const resized = useSignal<{ key: string; size: PanelSize } | undefined>(undefined);
  const moved = useSignal<{ key: string; before: string | undefined } | undefined>(undefined);
  useLayoutEffect(() => {
    const element = scroller.current;
    if (element === null) return;
    const measure = () => {
      width.value = element.clientWidth - 2 * PADDING;
    };
    measure();
    const observer = new ResizeObserver(measure);
    observer.observe(element);
    let [last, at, timer] = [element.scrollTop, performance.now(), 0];
    const scroll = () => {
      const now = performance.now();
      const speed = Math.abs(element.scrollTop - last) / Math.max(1, now - at);
      [last, at] = [element.scrollTop, now];
      offsets.set(name, last);
      noteScroll();
      if (speed > FAST) fast.value = true;
      clearTimeout(timer);
      timer = window.setTimeout(() => {
        fast.value = false;
      }, 90);
    };
    element.addEventListener('scroll', scroll, { passive: true });
    return () => {
      observer.disconnect();
      element.removeEventListener('scroll', scroll);
      clearTimeout(timer);
    };
  }, []);
  const rows = useComputed<readonly GridRow[]>(() => {
    if (width.value <= 0) return [];
    const { sizes, folded, moves, height } = options.value;
    const drag = resized.value;
    return layOut(sections.value, {
      width: width.value,
      height,
      sizes: drag ? new Map(sizes).set(drag.key, drag.size) : sizes,
      folded: new Set(folded),
      moves,
    });
  });
  const list = rows.value;
  /** What was made for each panel: the same again while it stands where it stood, so that scrolling makes only what is new. */
  const made = useRef(new Map<string, Made>());
  const shown = new Map<string, Made>();
  const virtual = useVirtual({
    count: list.length,
    size: (index) => list[index]?.height ?? 0,
    keyOf: (index) => index,
    scroller,
    overscan: 1,
    layout: list,
    before: 4,
    initialOffset: offsets.get(name) ?? 0,
  });
  const fold = (section: string) => {
    const { folded } = options.peek();
    change({
      folded: folded.includes(section) ? folded.filter((one) => one !== section) : [...folded, section],
    });
  };
  const startResize = (panel: PlacedPanel) => (event: PointerEvent) => {
    event.preventDefault();
    const unit = panel.width / (options.peek().sizes.get(panel.key)?.span ?? 1);
    const begin = { x: event.clientX, y: event.clientY };
    follow(event, (at) => {
      const span = Math.max(1, Math.min(4, Math.round((panel.width + at.clientX - begin.x) / unit)));
      const height = Math.round(Math.max(140, Math.min(900, panel.height + at.clientY - begin.y)) / 4) * 4;
      resized.value = { key: panel.key, size: { span, height } };
    }).then(() => {
      const drag = resized.peek();
      resized.value = undefined;
      if (drag) change({ sizes: new Map(options.peek().sizes).set(drag.key, drag.size) });
    });
  };
  const startMove = (panel: PlacedPanel) => (event: PointerEvent) => {
    if (event.button !== 0 || (event.target instanceof Element && event.target.closest('button'))) return;
    const begin = { x: event.clientX, y: event.clientY };
    follow(event, (at) => {
      if (moved.peek() === undefined && Math.hypot(at.clientX - begin.x, at.clientY - begin.y) < 8) return;
      const under = document.elementFromPoint(at.clientX, at.clientY)?.closest<HTMLElement>('[data-metric]');
      const before = under?.dataset.metric;
      moved.value = { key: panel.key, before: before === panel.key ? undefined : before };
    }).then(() => {
      const drag = moved.peek();
      moved.value = undefined;
      if (drag?.before === undefined) return;
      const { moves } = options.peek();
      change({ moves: [...moves.filter(([key]) => key !== drag.key), [drag.key, drag.before]] });
    });
  };
  const menu = (panel: PlacedPanel) => (close: () => void) => {
    const { pinned, sizes } = options.peek();
    const isPinned = pinned.includes(panel.key);
    const wide = (sizes.get(panel.key)?.span ?? 1) > 1;
    const mates = list.flatMap((row) => (row.type === 'panels' ? row.panels : []));
    const before =
      mates[mates.findIndex((one) => one.key === panel.key && one.section === panel.section) - 1];
    return (
      <>
        <MenuItem
          icon="pin"
          onPick={() => {
            change({ pinned: isPinned ? pinned.filter((key) => key !== panel.key) : [...pinned, panel.key] });
            close();
          }}
        >
          {isPinned ? 'Unpin' : 'Pin to the top'}
        </MenuItem>
        <MenuItem
          icon="charts"
          onPick={() => {
            const next = new Map(sizes);
            if (wide) next.delete(panel.key);
            else next.set(panel.key, { span: 4, height: 420 });
            change({ sizes: next });
            close();
          }}
        >
          {wide ? 'Usual size' : 'Make it large'}
        </MenuItem>
        {before?.section === panel.section && (
          <MenuItem
            icon="list"
            onPick={() => {
              const { moves } = options.peek();
              change({ moves: [...moves.filter(([key]) => key !== panel.key), [panel.key, before.key]] });
              close();
            }}
          >
            Move one place ahead
          </MenuItem>
        )}
        <div class="menu-rule" />
      </>
    );
  };
  useLayoutEffect(() => {
    made.current = shown;
  });
  return (
    <div class={`grid${moved.value ? ' moving' : ''}`} ref={scroller} tabIndex={-1}>
      <div class="grid-inner" style={{ height: `${virtual.total + PADDING}px` }}>
        {virtual.items.flatMap((item) => {
          const row = list[item.index];
          if (row === undefined) return [];
          if (row.type === 'head') {
            return [
              <h2 key={`head ${row.section}`} class="grid-head" style={{ top: `${item.start}px` }}>
                <button type="button" aria-expanded={!row.folded} onClick={() => fold(row.section)}>
                  <Icon name={row.folded ? 'chevron' : 'down'} />
                  {row.section === PINNED && <Icon name="pin" />}
                  <span class="clip">{row.title}</span>
                  <span class="quiet small">{row.count}</span>
                </button>
              </h2>,
            ];
          }
          return row.panels.map((panel) => {
            const name = `${panel.section}\0${panel.key}`;
            const [top, target] = [item.start, moved.value?.before === panel.key];
            const before = made.current.get(name);
            const same =
              before?.panel === panel &&
              before.top === top &&
              before.target === target &&
              before.context === context;
            const cell = same
              ? before
              : {
                  panel,
                  top,
                  target,
                  context,
                  node: (
                    <Cell
                      key={name}
                      panel={panel}
                      top={top}
                      context={context}
                      fast={fast}
                      pinned={panel.section === PINNED}
                      target={target}
                      menu={menu(panel)}
                      onResize={startResize(panel)}
                      onDragStart={startMove(panel)}
                    />
                  ),
                };
            shown.set(name, cell);
            return cell.node;
          });
        })}
      </div>
    </div>
  );
}

/** Follows a pointer until it is let go. */
function follow(event: PointerEvent, move: (event: PointerEvent) => void): Promise<void> {
  return new Promise((resolve) => {
    const stop = new AbortController();
    const end = () => {
      stop.abort();
      resolve();
    };
    window.addEventListener('pointermove', move, { signal: stop.signal });
    window.addEventListener('pointerup', end, { signal: stop.signal });
    window.addEventListener('pointercancel', end, { signal: stop.signal });
    if (event.target instanceof Element) event.target.releasePointerCapture?.(event.pointerId);
  });
}

interface CellProps {
  panel: PlacedPanel;
  top: number;
  context: ChartContext;
  fast: ReadonlySignal<boolean>;
  pinned: boolean;
  target: boolean;
  menu: (close: () => void) => ComponentChildren;
  onResize: (event: PointerEvent) => void;
  onDragStart: (event: PointerEvent) => void;
}

function Cell({ panel, top, context, fast, pinned, target, menu, onResize, onDragStart }: CellProps) {
  // Once it is drawn it stays; a panel that flies by is never begun.
  const begun = useSignal(!fast.peek());
  if (!begun.value && !fast.value) begun.value = true;
  const format = useMemo(() => formatOf(panel.key), [panel.key]);
  const slash = panel.section === '' || panel.section === PINNED ? -1 : panel.key.indexOf('/');
  return (
    <div
      class={`grid-cell${target ? ' target' : ''}`}
      style={{
        top: `${top}px`,
        left: `${panel.left + PADDING}px`,
        width: `${panel.width}px`,
        height: `${panel.height}px`,
      }}
    >
      {begun.value ? (
        <Panel
          metric={panel.key}
          title={slash < 0 ? panel.key : panel.key.slice(slash + 1)}
          context={context}
          width={panel.width}
          height={panel.height}
          {...(format ? { format } : {})}
          pinned={pinned}
          menu={menu}
          onResize={onResize}
          onDragStart={onDragStart}
        />
      ) : (
        <section class="panel" data-metric={panel.key} data-state="empty">
          <header class="panel-head">
            <h3 class="clip">{slash < 0 ? panel.key : panel.key.slice(slash + 1)}</h3>
          </header>
        </section>
      )}
    </div>
  );
}
