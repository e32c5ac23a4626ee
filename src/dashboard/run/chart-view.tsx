/** A grid of charts with its bar: how x is told, smoothing, scales, and a search. Its state is in the address bar. */
import { computed, type ReadonlySignal, signal, useComputed } from '@preact/signals';
import { useMemo } from 'preact/hooks';
import {
  type ChartContext,
  type ChartRun,
  DEFAULT_SETTINGS,
  type Pointer,
  sharedPointer,
} from '../chart/context.ts';
import { ChartGrid, type GridOptions } from '../chart/grid.tsx';
import { sectionsOf } from '../chart/layout.ts';
import type { Axis } from '../chart/line.ts';
import { Icon } from '../parts/icon.tsx';
import { MenuButton } from '../parts/popover.tsx';
import { replaceSearch, search } from '../shell/router.ts';
import { AxisChoice, RangeForm, ScaleItems, Smoothing } from '../workspace/chart-controls.tsx';
import { readView, type View, writeView } from '../workspace/view.ts';

const noGroups: ChartContext['groups'] = signal(null);

/** What of the address is not of charts, and has to stay. */
const KEPT = ['runs', 'view'];

function change(changes: Partial<View>, usual: Axis): void {
  const before = search.peek();
  const old = new URLSearchParams(before);
  const view = { ...readView(before), ...changes };
  const kept = new URLSearchParams();
  for (const name of KEPT) {
    const value = old.get(name);
    if (value !== null) kept.set(name, value);
  }
  // Steps are left out as what is usual; where they are not, they are written.
  if (view.settings.axis === 'step' && usual !== 'step' && (old.has('x') || changes.settings !== undefined))
    kept.set('x', 'step');
  const parts = [kept.toString().replaceAll('%2C', ','), writeView(view).replaceAll('%2F', '/')];
  replaceSearch(parts.filter((part) => part !== '').join('&'));
}

export function ChartView(props: {
  runs: ReadonlySignal<readonly ChartRun[]>;
  keys: ReadonlySignal<readonly string[]>;
  /** Of what scrolls. */
  name: string;
  /** What x is where the address says nothing. */
  axis: Axis;
  /** The run that is pointed at elsewhere in the view. */
  pointer?: Pointer;
  open?: (run: string) => void;
}) {
  const { runs, keys, axis } = props;
  const edit = (changes: Partial<View>) => change(changes, axis);
  const view = useComputed(() => readView(search.value));
  const settings = useStable(() => {
    const own = view.value.settings;
    // The usual axis is left out of the address; then it is this view's usual one.
    return own.axis === DEFAULT_SETTINGS.axis && !/(^|&)x=/.test(search.value) ? { ...own, axis } : own;
  });
  const range = useStable(() => view.value.range);
  const options = useStable((): GridOptions & { sizeList: unknown } => {
    const { pinned, folded, moves, sizes, height } = view.value;
    return { pinned, folded, moves, sizes, height, sizeList: [...sizes] };
  });
  const sections = useStable(() => {
    const text = view.value.panels.toLowerCase();
    return sectionsOf(
      keys.value.filter((key) => key.toLowerCase().includes(text)),
      view.value.pinned,
    );
  });
  const context = useMemo<ChartContext>(
    () => ({
      settings,
      runs,
      groups: noGroups,
      range,
      setRange: (next) => edit({ range: next }),
      ...(props.pointer ?? sharedPointer()),
      ...(props.open ? { open: props.open } : {}),
    }),
    [],
  );
  const now = settings.value;
  const set = (changes: Partial<typeof now>) => edit({ settings: { ...settings.peek(), ...changes } });
  return (
    <div class="chart-view">
      <div class="toolbar chart-bar" role="toolbar" aria-label="Charts">
        {keys.value.length > 6 && (
          <label class="field panel-search">
            <Icon name="search" />
            <input
              type="search"
              aria-label="Find a chart"
              placeholder="Find a chart"
              spellcheck={false}
              value={view.value.panels}
              onInput={(event) => edit({ panels: event.currentTarget.value })}
            />
          </label>
        )}
        <AxisChoice
          settings={now}
          set={(next) => {
            set(next);
            if (range.peek() !== null) edit({ range: null });
          }}
        />
        <Smoothing settings={now} set={set} />
        <MenuButton label="Chart settings" icon="settings" pressed={now.logX || now.logY || now.clip}>
          {() => (
            <>
              <ScaleItems settings={settings.value} set={set} />
              <RangeForm
                axis={settings.value.axis}
                range={range.value}
                setRange={(next) => edit({ range: next })}
              />
            </>
          )}
        </MenuButton>
        {range.value !== null && (
          <button type="button" class="button" onClick={() => edit({ range: null })}>
            <Icon name="reset" /> Whole range
          </button>
        )}
      </div>
      <div class="chart-area">
        <ChartGrid context={context} sections={sections} options={options} change={edit} name={props.name} />
        {sections.value.length === 0 && <p class="nothing chart-none">No chart has “{view.value.panels}”.</p>}
      </div>
    </div>
  );
}

/** A signal computed from others that keeps its value while a new one says the same; `read` is the first one given. */
export function useStable<T>(read: () => T): ReadonlySignal<T> {
  return useMemo(() => {
    let last: { text: string; value: T } | undefined;
    return computed(() => {
      const value = read();
      const text = JSON.stringify(value, (_key, one: unknown) =>
        one === Number.POSITIVE_INFINITY ? 'Infinity' : one,
      );
      if (last?.text === text) return last.value;
      last = { text, value };
      return value;
    });
  }, []);
}
