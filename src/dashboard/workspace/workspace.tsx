// biome-ignore-all lint/a11y/useSemanticElements: the splitter is a separator that can be moved
/** The first page: the runs on the left, their charts on the right. */
import { computed, type ReadonlySignal, useComputed, useSignal } from '@preact/signals';
import { useEffect, useLayoutEffect, useMemo, useRef } from 'preact/hooks';
import { useWatch } from '../api/live.ts';
import { askRuns, followHeard, runRows, runsFailure, runsState } from '../api/runs-store.ts';
import type { ChartContext } from '../chart/context.ts';
import { ChartGrid, type GridOptions } from '../chart/grid.tsx';
import { sectionsOf } from '../chart/layout.ts';
import { Command } from '../parts/copy-button.tsx';
import { Empty, Failed } from '../parts/states.tsx';
import { useShortcuts } from '../shell/keyboard.ts';
import { useCommands } from '../shell/palette.tsx';
import { navigate } from '../shell/router.ts';
import { health } from '../shell/server-info.ts';
import { runsAsk } from './asks.ts';
import { askedColumns, type Column, defaultColumns, readColumn } from './columns.ts';
import { chartKeys, keys, keysFailure, reloadKeys, startKeys } from './keys-store.ts';
import { RunTable } from './run-table.tsx';
import { chartGroups, chartRuns, focused, pointer, showUsual } from './shown-runs.ts';
import { Toolbar } from './toolbar.tsx';
import { RAIL, setView, type View, view } from './view.ts';

/** Below this width one of the two is shown at a time. */
const NARROW = 720;

/** Parts of the view that change only when they do, so that a typed letter draws no chart anew. */
function part<T>(read: (from: View) => T): ReadonlySignal<T> {
  let last: { text: string; value: T } | undefined;
  return computed(() => {
    const value = read(view.value);
    const text = JSON.stringify(value, (_, one: unknown) =>
      one instanceof Map ? [...one] : one === Infinity ? 'end' : one,
    );
    if (last?.text !== text) last = { text, value };
    return last.value;
  });
}

const context: ChartContext = {
  settings: part((from) => from.settings),
  runs: chartRuns,
  groups: chartGroups,
  range: part((from) => from.range),
  setRange: (range) => setView({ range }),
  lifted: pointer.lifted,
  cursor: pointer.cursor,
  values: pointer.values,
  open: (run) => {
    focused.value = run;
  },
};

const gridOptions = part<GridOptions>(({ pinned, folded, moves, sizes, height }) => ({
  pinned,
  // The machine's own metrics are folded until they are asked for.
  folded: folded.includes('system') ? folded.filter((name) => name !== 'system') : [...folded, 'system'],
  moves,
  sizes,
  height,
}));

function changeGrid(change: Partial<GridOptions>): void {
  const { folded, ...rest } = change;
  if (folded === undefined) setView(rest);
  else
    setView({
      ...rest,
      folded: folded.includes('system') ? folded.filter((name) => name !== 'system') : [...folded, 'system'],
    });
}

const foundKeys = computed(() => {
  const text = view.value.panels.trim().toLowerCase();
  const all = chartKeys.value ?? [];
  if (text === '') return all;
  const words = text.split(/\s+/);
  return all.filter((key) => words.every((word) => key.toLowerCase().includes(word)));
});
const sections = computed(() => sectionsOf(foundKeys.value, view.value.pinned));

export function Workspace() {
  const root = useRef<HTMLDivElement>(null);
  const width = useSignal(window.innerWidth);
  const drag = useSignal<number | undefined>(undefined);
  const side = useSignal<'runs' | 'charts'>('charts');
  // Before the first paint: what it asks is what everything waits for.
  useLayoutEffect(() => {
    const measure = () => {
      width.value = root.current?.clientWidth ?? window.innerWidth;
    };
    measure();
    window.addEventListener('resize', measure);
    const stop = startKeys(() => runsState.value !== 'loading');
    return () => {
      window.removeEventListener('resize', measure);
      stop();
      pointer.lifted.value = null;
    };
  }, []);
  const { rail: chosen, find, project, archived, sort, group, columns: ownColumns } = view.value;
  const narrow = width.value < NARROW;
  const usual = chosen === RAIL && width.value < 1000 ? 264 : chosen;
  const rail = narrow ? width.value : Math.min(drag.value ?? usual, width.value);
  const team = health.value?.collector === true;
  const entries = useComputed(() => runRows.value.some((row) => row.entry !== null)).value;
  const some = { people: team, projects: team && project === '', entries };
  const columnIds = useMemo(
    () => ownColumns ?? defaultColumns(keys.value, some),
    [ownColumns, keys.value, some.people, some.projects, some.entries],
  );
  useEffect(() => (team ? followHeard() : undefined), [team]);
  const columns = useMemo(
    () => columnIds.map(readColumn).filter((column): column is Column => column !== undefined),
    [columnIds],
  );
  const inView = rail < 480 ? columns.slice(0, 1) : columns;
  const sorted = sort && readColumn(sort.id);
  const grouped = group === undefined ? undefined : readColumn(group);
  const wanted = [...inView, ...(sorted ? [sorted] : []), ...(grouped ? [grouped] : [])];
  const asked = askedColumns([...new Map(wanted.map((column) => [column.id, column])).values()]);
  useWatch({ table: true, columns: asked });
  useLayoutEffect(() => {
    askRuns(runsAsk({ ...view.peek(), sort: sorted === undefined ? undefined : sort }, asked));
  }, [find, project, archived, asked, sort?.id, sort?.desc]);
  useShortcuts(() => [
    {
      keys: '[',
      does: 'Shut or open the runs',
      group: 'Anywhere',
      run: () => setView({ rail: view.peek().rail === 0 ? RAIL : 0 }),
    },
    {
      keys: ']',
      does: 'The whole table, or the charts',
      group: 'Anywhere',
      run: () => setView({ rail: view.peek().rail > 600 ? RAIL : Math.round(width.peek() * 0.7) }),
    },
  ]);
  useCommands(() => [
    ...(chartKeys.peek() ?? []).map((key) => ({
      title: key,
      icon: 'charts' as const,
      hint: 'Metric',
      run: () => setView({ panels: key, rail: Math.min(view.peek().rail, RAIL) }),
    })),
    { title: 'Chart the usual runs', icon: 'eye', hint: 'Action', run: showUsual },
    { title: 'Show the whole range', icon: 'reset', hint: 'Action', run: () => setView({ range: null }) },
    { title: 'Plain view', icon: 'reset', hint: 'Action', run: () => navigate('/') },
  ]);
  const startDrag = (event: PointerEvent) => {
    event.preventDefault();
    const stop = new AbortController();
    const offset = rail - event.clientX;
    const { signal } = stop;
    window.addEventListener(
      'pointermove',
      (at) => {
        const next = Math.max(0, Math.min(width.peek(), at.clientX + offset));
        drag.value = next < 120 ? 0 : next > width.peek() - 160 ? width.peek() : Math.max(220, next);
      },
      { signal },
    );
    const end = () => {
      stop.abort();
      if (drag.peek() !== undefined) setView({ rail: drag.peek() ?? RAIL });
      drag.value = undefined;
    };
    window.addEventListener('pointerup', end, { signal });
    window.addEventListener('pointercancel', end, { signal });
  };
  const idle = useComputed(() => {
    if (runsState.value === 'loading' || view.value.panels !== '') return false;
    return runRows.value.length === 0 || chartKeys.value?.length === 0;
  }).value;
  const showTable = narrow ? side.value === 'runs' : rail > 0;
  const showCharts = narrow ? side.value === 'charts' : width.value - rail > 200;
  return (
    <div
      class={`workspace${narrow ? ' narrow' : ''}${drag.value === undefined ? '' : ' dragging'}`}
      ref={root}
    >
      <h1 class="sr-only">Runs</h1>
      {narrow && (
        <div class="sides">
          <div class="segments" role="tablist" aria-label="Runs or charts">
            {(['runs', 'charts'] as const).map((one) => (
              <button
                key={one}
                type="button"
                role="tab"
                aria-selected={side.value === one}
                onClick={() => {
                  side.value = one;
                }}
              >
                {one === 'runs' ? 'Runs' : 'Charts'}
              </button>
            ))}
          </div>
        </div>
      )}
      {showTable && (
        <aside class="rail" aria-label="Runs" style={narrow ? {} : { width: `${rail}px` }}>
          <RunTable width={rail} columns={columns} columnIds={columnIds} />
        </aside>
      )}
      {!narrow && (
        <div
          class="splitter"
          role="separator"
          aria-orientation="vertical"
          aria-label="Width of the runs"
          aria-valuenow={Math.round(rail)}
          aria-valuemin={0}
          aria-valuemax={width.value}
          tabIndex={0}
          onPointerDown={startDrag}
          onDblClick={() => setView({ rail: RAIL })}
          onKeyDown={(event) => {
            const by = event.key === 'ArrowRight' ? 40 : event.key === 'ArrowLeft' ? -40 : 0;
            if (by !== 0) setView({ rail: Math.max(0, Math.min(width.value, rail + by)) });
          }}
        />
      )}
      {showCharts && (
        <div class="charts">
          <Toolbar count={foundKeys.value.length} idle={idle} />
          <Charts />
        </div>
      )}
    </div>
  );
}

function Charts() {
  const some = useComputed(() => runRows.value.length > 0).value;
  const charted = useComputed(() => chartRuns.value.length > 0).value;
  const count = useComputed(() => foundKeys.value.length).value;
  const known = chartKeys.value;
  const failure = runsFailure.value;
  if (runsState.value === 'failed' && !some) {
    return failure?.code.startsWith('filter') ? (
      <Empty title="The filter is not understood" icon="filter">
        <p>The runs’ list says where.</p>
      </Empty>
    ) : (
      <div class="grid" />
    );
  }
  if (known === null && keysFailure.value !== null)
    return <Failed failure={keysFailure.value} retry={reloadKeys} />;
  if (runsState.value === 'loading' || (known === null && some)) return <div class="grid" aria-busy="true" />;
  if (!some && view.value.find === '') {
    return (
      <Empty title="Every run draws its curves here" icon="charts">
        <p>Run your script with Waddle, or log from it:</p>
        <Command text="waddle run -- python train.py --lr 0.01" />
        <Command text="waddle.log({'train/loss': loss}, step)" />
      </Empty>
    );
  }
  if (!some) return <Empty title="No run matches" icon="search" />;
  if (!charted) {
    return (
      <Empty title="No run is charted" icon="eye-off">
        <button type="button" class="button" onClick={showUsual}>
          Chart the usual runs
        </button>
      </Empty>
    );
  }
  if (count === 0 && view.value.panels !== '') {
    return (
      <Empty title="No chart has that name" icon="search">
        <button type="button" class="button" onClick={() => setView({ panels: '' })}>
          Show all charts
        </button>
      </Empty>
    );
  }
  if (count === 0) {
    return (
      <Empty title="No metrics yet" icon="charts">
        <p>The first one that these runs log appears here.</p>
        <Command text="waddle.log({'train/loss': loss}, step)" />
      </Empty>
    );
  }
  return (
    <ChartGrid
      name="workspace"
      context={context}
      sections={sections}
      options={gridOptions}
      change={changeGrid}
    />
  );
}
