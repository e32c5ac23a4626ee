// biome-ignore-all lint/a11y/useSemanticElements: a virtual grid is made of positioned boxes, with the roles of a table
// biome-ignore-all lint/a11y/useFocusableInteractive: j and k move the focus; cells hold the controls
/** The runs: a legend where it is narrow, the whole table where it is wide. Only the rows in view exist. */
import { signal, useComputed, useSignal, useSignalEffect } from '@preact/signals';
import { useEffect, useRef } from 'preact/hooks';
import type { RunRow } from '../../protocol/api.ts';
import { moreRuns, moreRunsPlease, reloadRuns, runRows, runsFailure, runsState } from '../api/runs-store.ts';
import { dashOf, lookOf, type RunLook, runColour } from '../chart/run-colours.ts';
import { formatAge } from '../format/times.ts';
import { Command, CopyButton } from '../parts/copy-button.tsx';
import { Icon } from '../parts/icon.tsx';
import { MenuButton, MenuItem } from '../parts/popover.tsx';
import { Empty, Failed, Outline } from '../parts/states.tsx';
import { StatusMark } from '../parts/status-mark.tsx';
import { useVirtual } from '../parts/virtual.ts';
import { now, useClock } from '../shell/clock.ts';
import { useShortcuts } from '../shell/keyboard.ts';
import { navigate, runHref } from '../shell/router.ts';
import { health } from '../shell/server-info.ts';
import { dark } from '../shell/theme.ts';
import { BulkBar } from './bulk-bar.tsx';
import { CellValue, isNumeric } from './cell.tsx';
import { ColumnChooser } from './column-chooser.tsx';
import { type Column, columnTitle, columnWidth, OWN, paramColumn, tagColumn } from './columns.ts';
import { archiveRuns } from './edits.ts';
import { FindBox } from './find-box.tsx';
import { keys } from './keys-store.ts';
import { PeopleMenu } from './people-menu.tsx';
import {
  chartedIds,
  chartGroups,
  chartRuns,
  focused,
  groupValue,
  pointer,
  selected,
  showNone,
  showOnly,
  showUsual,
  toggleRun,
} from './shown-runs.ts';
import { sortRuns, type TableItem, tableItems } from './table-model.ts';
import { setView, view } from './view.ts';

const ROW = 30;

export interface RunTableProps {
  /** Pixels. */
  width: number;
  columns: readonly Column[];
  columnIds: readonly string[];
}

export function RunTable({ width, columns, columnIds }: RunTableProps) {
  const scroller = useRef<HTMLDivElement>(null);
  const foldedGroups = useSignal<ReadonlySet<string>>(new Set());
  const items = useComputed<readonly TableItem[]>(() => {
    const { sort, group } = view.value;
    const rows = sortRuns(runRows.value, sort, Date.now() / 1000);
    return tableItems(
      rows,
      group === undefined ? undefined : (row) => groupValue(row, group),
      foldedGroups.value,
    );
  });
  const list = items.value;
  const running = useComputed(() => runRows.value.some((row) => row.status === 'running'));
  useClock(running.value ? 1 : 30);
  const virtual = useVirtual({
    count: list.length,
    size: () => ROW,
    keyOf: (index) => {
      const item = list[index];
      return item === undefined ? index : item.type === 'run' ? item.run.id : `group ${item.name}`;
    },
    scroller,
    overscan: 6,
    layout: undefined,
  });
  const last = virtual.items.at(-1)?.index ?? 0;
  useEffect(() => {
    if (moreRuns.peek() && last >= list.length - 200) void moreRunsPlease();
  }, [last, list.length]);
  useTableKeys(() => items.peek());
  const reveal = useRef(virtual.scrollToIndex);
  reveal.current = virtual.scrollToIndex;
  useSignalEffect(() => {
    const id = focused.value;
    const index =
      id === null ? -1 : items.peek().findIndex((item) => item.type === 'run' && item.run.id === id);
    if (index >= 0) reveal.current(index);
  });
  const anchor = useRef<string | null>(null);
  const select = (id: string, event: MouseEvent) => {
    const next = new Set(selected.peek());
    const ids = list.flatMap((item) => (item.type === 'run' ? [item.run.id] : []));
    if (event.shiftKey && anchor.current !== null) {
      const [a, b] = [ids.indexOf(anchor.current), ids.indexOf(id)];
      for (const one of ids.slice(Math.min(a, b), Math.max(a, b) + 1)) next.add(one);
    } else if (next.has(id)) next.delete(id);
    else next.add(id);
    anchor.current = id;
    focused.value = id;
    selected.value = next;
  };
  const narrow = width < 480;
  const shown = narrow ? columns.slice(0, 1) : columns;
  const widths = edge.value === undefined ? view.value.widths : new Map([...view.value.widths, edge.value]);
  const widthOf = (column: Column) => (narrow ? undefined : widths.get(column.id)) ?? columnWidth(column);
  // The name gives way to the columns' own widths, not to those that were dragged: an edge stays under the pointer.
  const own = shown.reduce((sum, column) => sum + columnWidth(column), 0);
  const rest = shown.reduce((sum, column) => sum + widthOf(column), 0);
  const usual = Math.max(150, narrow ? width - own - 2 : Math.min(300, Math.max(220, width - own)));
  const nameWidth = (narrow ? undefined : widths.get('name')) ?? usual;
  const total = nameWidth + rest;
  return (
    <div class="runs" onPointerLeave={() => (pointer.lifted.value = null)}>
      <div class="runs-bar">
        <FindBox />
        {health.value?.collector && <PeopleMenu />}
        <GroupMenu />
        <ColumnChooser columns={columnIds} />
      </div>
      {view.value.project !== '' && (
        <div class="project-chip small">
          <a href="/projects" class="quiet">
            Project
          </a>
          <strong class="clip">{view.value.project}</strong>
          <span class="grow" />
          <button
            type="button"
            class="icon-button tiny"
            aria-label="Runs of all projects"
            title="All projects"
            onClick={() => setView({ project: '' })}
          >
            <Icon name="close" />
          </button>
        </div>
      )}
      <div class="runs-scroll" ref={scroller}>
        <div
          class="runs-inner"
          role="grid"
          aria-label="Runs"
          aria-rowcount={list.length}
          style={{ width: `${Math.max(total, width)}px` }}
        >
          <div class="runs-head" role="row">
            <HeadCell id="name" title="Name" width={nameWidth} first fixed={narrow} />
            {shown.map((column) => (
              <HeadCell
                key={column.id}
                id={column.id}
                title={columnTitle(column)}
                pointed={narrow}
                width={widthOf(column)}
                numeric={isNumeric(column)}
                sortable={column.of !== 'spark'}
              />
            ))}
          </div>
          <div class="runs-body" style={{ height: `${virtual.total}px` }}>
            {virtual.items.map(({ index, key, start }) => {
              const item = list[index];
              if (item === undefined) return null;
              if (item.type === 'group') {
                return (
                  <GroupLine
                    key={key}
                    pointed={narrow}
                    name={item.name}
                    runs={item.runs}
                    folded={item.folded}
                    top={start}
                    fold={() => {
                      const next = new Set(foldedGroups.value);
                      if (!next.delete(item.name)) next.add(item.name);
                      foldedGroups.value = next;
                    }}
                  />
                );
              }
              return (
                <RunLine
                  key={key}
                  row={item.run}
                  top={start}
                  columns={shown}
                  nameWidth={nameWidth}
                  widthOf={widthOf}
                  pointed={narrow}
                  indented={item.indented}
                  index={index}
                  select={select}
                />
              );
            })}
          </div>
          <TableState count={list.length} />
        </div>
      </div>
      <div class="runs-foot">{selected.value.size > 0 ? <BulkBar /> : <Count />}</div>
    </div>
  );
}

function HeadCell(props: {
  id: string;
  title: string;
  width: number;
  first?: boolean;
  numeric?: boolean;
  sortable?: boolean;
  /** Its cells tell the values at the pointer while that is in a chart. */
  pointed?: boolean;
  /** Cannot be made wider. */
  fixed?: boolean;
}) {
  const { sort } = view.value;
  const metric = useComputed(() => pointer.values.value?.metric).value;
  const dragged = useRef<AbortController | null>(null);
  const own = sort?.id === props.id ? (sort.desc ? 'descending' : 'ascending') : undefined;
  const next = () => {
    if (own === undefined)
      setView({ sort: { id: props.id, desc: props.numeric === true && props.id.startsWith('metrics.') } });
    else if ((own === 'ascending') === (props.numeric === true && props.id.startsWith('metrics.')))
      setView({ sort: undefined });
    else setView({ sort: { id: props.id, desc: own === 'ascending' } });
  };
  const drag = (event: PointerEvent) => {
    event.preventDefault();
    dragged.current?.abort();
    const stop = new AbortController();
    dragged.current = stop;
    const offset = props.width - event.clientX;
    const { signal } = stop;
    window.addEventListener(
      'pointermove',
      (at) => {
        edge.value = [props.id, widthWithin(at.clientX + offset)];
      },
      { signal },
    );
    const end = () => {
      stop.abort();
      if (edge.value !== undefined) setWidth(...edge.value);
      edge.value = undefined;
    };
    window.addEventListener('pointerup', end, { signal });
    window.addEventListener('pointercancel', end, { signal });
  };
  return (
    <div
      class={`cell${props.first ? ' first' : ''}${props.numeric ? ' numeric' : ''}`}
      role="columnheader"
      aria-sort={own ?? 'none'}
      style={{ width: `${props.width}px` }}
    >
      {props.pointed && metric !== undefined ? (
        <span class="clip" title={metric}>
          {metric.slice(metric.lastIndexOf('/') + 1)}
        </span>
      ) : props.sortable === false ? (
        <span class="clip">{props.title}</span>
      ) : (
        <button type="button" class="clip" title={`Sort by ${props.title}`} onClick={next}>
          {props.title}
          {own && <span class="sorted">{own === 'ascending' ? ' ↑' : ' ↓'}</span>}
        </button>
      )}
      {!props.pointed && !props.fixed && (
        <span
          class="column-edge"
          role="separator"
          aria-orientation="vertical"
          aria-label={`Width of ${props.title}`}
          aria-valuenow={Math.round(props.width)}
          tabIndex={0}
          onPointerDown={drag}
          onDblClick={() => setWidth(props.id, undefined)}
          onKeyDown={(event) => {
            const by = event.key === 'ArrowRight' ? 16 : event.key === 'ArrowLeft' ? -16 : 0;
            if (by !== 0) setWidth(props.id, props.width + by);
          }}
        />
      )}
    </div>
  );
}

const widthWithin = (width: number): number => Math.round(Math.max(56, Math.min(1200, width)));

/** A column whose edge is being dragged, and how wide it is now. */
const edge = signal<[id: string, width: number] | undefined>(undefined);

/** Undefined: the usual one. */
function setWidth(id: string, width: number | undefined): void {
  const widths = new Map(view.peek().widths);
  if (width === undefined) widths.delete(id);
  else widths.set(id, widthWithin(width));
  setView({ widths });
}

/** The mark of a line as charts draw it; hollow where it is not drawn. */
function LineMark({ look, shown }: { look: RunLook; shown: boolean }) {
  const colour = runColour(look.slot, dark.value);
  return (
    <svg class="line-mark" viewBox="0 0 14 14" aria-hidden="true">
      {shown ? (
        <>
          <rect x="1" y="1" width="12" height="12" rx="3.5" style={{ fill: colour }} />
          {look.dash > 0 && <path d="M2.5 7h9" stroke-dasharray={dashOf(look).join(' ')} />}
        </>
      ) : (
        <rect
          x="1.75"
          y="1.75"
          width="10.5"
          height="10.5"
          rx="3"
          fill="none"
          stroke="var(--line-strong)"
          stroke-width="1.5"
        />
      )}
    </svg>
  );
}

/** Heartbeats come every few seconds, and a push every few more. */
const UNHEARD_SECONDS = 180;

/** How long ago a running run was last heard of, where that is too long. */
function heardOf({ status, last_event_at: last }: RunRow): string | undefined {
  if (status !== 'running' || last === null) return undefined;
  return now.value - last > UNHEARD_SECONDS ? formatAge(last, now.value) : undefined;
}

interface RunLineProps {
  row: RunRow;
  top: number;
  columns: readonly Column[];
  nameWidth: number;
  widthOf: (column: Column) => number;
  pointed: boolean;
  indented: boolean;
  index: number;
  select: (id: string, event: MouseEvent) => void;
}

function RunLine({ row, top, columns, nameWidth, widthOf, pointed, indented, index, select }: RunLineProps) {
  const value = useComputed(() => (pointed ? pointer.values.value?.of.get(row.id) : undefined)).value;
  const shown = useComputed(() => chartedIds.value.has(row.id)).value;
  const lifted = useComputed(() => pointer.lifted.value === row.id).value;
  const isSelected = useComputed(() => selected.value.has(row.id)).value;
  const isFocused = useComputed(() => focused.value === row.id).value;
  return (
    <div
      class={`run-line${lifted ? ' lifted' : ''}${shown ? '' : ' off'}${isFocused ? ' focused' : ''}`}
      role="row"
      aria-rowindex={index + 1}
      aria-selected={isSelected}
      tabIndex={-1}
      style={{ transform: `translateY(${top}px)` }}
      onPointerEnter={() => {
        pointer.lifted.value = shown && chartGroups.peek() === null ? row.id : null;
      }}
      onClick={(event) => {
        if (event.target instanceof Element && event.target.closest('a, button')) return;
        select(row.id, event);
      }}
      onKeyDown={() => {}}
    >
      <div
        class={`cell first${indented ? ' indented' : ''}`}
        role="gridcell"
        style={{ width: `${nameWidth}px` }}
      >
        <button
          type="button"
          class="eye"
          aria-label={`Chart ${row.name}`}
          aria-pressed={shown}
          title={
            shown ? 'Hide in the charts (Alt: this one only)' : 'Show in the charts (Alt: this one only)'
          }
          onClick={(event) => (event.altKey ? showOnly([row.id]) : toggleRun(row.id))}
        >
          <span class="eye-mark">
            <Icon name={shown ? 'eye' : 'eye-off'} />
          </span>
          <LineMark look={lookOf(row.id)} shown={shown} />
        </button>
        <StatusMark status={row.status} heard={health.value?.collector ? heardOf(row) : undefined} />
        <a
          class="run-name clip"
          href={runHref(row.id)}
          title={row.notes ? `${row.name}\n${row.notes}` : row.name}
        >
          {row.name}
        </a>
        {row.archived && (
          <span class="faint" title="Archived">
            <Icon name="archive" />
          </span>
        )}
      </div>
      {columns.map((column) => (
        <div
          key={column.id}
          class={`cell${isNumeric(column) || value !== undefined ? ' numeric' : ''}`}
          role="gridcell"
          style={{ width: `${widthOf(column)}px` }}
        >
          {value === undefined ? (
            <CellValue row={row} column={column} />
          ) : (
            <span class="clip at-pointer">{value}</span>
          )}
          {column.id === 'id' && <CopyButton text={row.id} label={`Copy the id of ${row.name}`} />}
        </div>
      ))}
    </div>
  );
}

function GroupLine(props: {
  name: string;
  runs: readonly RunRow[];
  folded: boolean;
  top: number;
  pointed: boolean;
  fold: () => void;
}) {
  const value = useComputed(() =>
    props.pointed ? pointer.values.value?.of.get(props.name) : undefined,
  ).value;
  const group = chartGroups.value?.find((one) => one.name === props.name);
  const lifted = pointer.lifted.value === props.name;
  return (
    <div
      class={`run-line group-line${lifted ? ' lifted' : ''}`}
      role="row"
      style={{ transform: `translateY(${props.top}px)` }}
      onPointerEnter={() => (pointer.lifted.value = props.name)}
    >
      <button type="button" class="group-button" aria-expanded={!props.folded} onClick={props.fold}>
        <Icon name={props.folded ? 'chevron' : 'down'} />
        {group && <LineMark look={group.look} shown />}
        <strong class="clip">{props.name}</strong>
        <span class="quiet small">{props.runs.length}</span>
        {value !== undefined && (
          <>
            <span class="grow" />
            <span class="at-pointer">{value}</span>
          </>
        )}
      </button>
    </div>
  );
}

function Count() {
  const total = runRows.value.length;
  const charted = chartRuns.value.length;
  const state = runsState.value;
  const usual = view.value.only === null && view.value.hidden.length === 0 && view.value.shown.length === 0;
  return (
    <div class="count small">
      <span class="clip">
        {total.toLocaleString()} {total === 1 ? 'run' : 'runs'}
        {state === 'partial' && !moreRuns.value ? ' so far' : ''}
        {moreRuns.value ? ' so far, scroll for more' : ''}
        {charted < total ? `, ${charted.toLocaleString()} charted` : ''}
      </span>
      <span class="grow" />
      {!usual && (
        <button type="button" class="link-button" onClick={showUsual}>
          Chart the usual
        </button>
      )}
      {usual && total > 1 && (
        <button type="button" class="link-button" onClick={showNone}>
          Hide all
        </button>
      )}
    </div>
  );
}

function GroupMenu() {
  const { group, archived } = view.value;
  const all = keys.value;
  const own = (['status', 'entry', 'project', 'group', 'host', 'user', 'commit'] as const).map((key) => ({
    id: key as string,
    title: OWN[key],
  }));
  const choices = [
    ...own,
    ...(all?.tags ?? []).slice(0, 40).map(({ key }) => ({ id: tagColumn(key), title: key })),
    ...(all?.params ?? []).slice(0, 60).map(({ key }) => ({ id: paramColumn(key), title: key })),
  ];
  return (
    <MenuButton label="Group, archived" icon="group" pressed={group !== undefined}>
      {(close) => (
        <>
          <div class="menu-title">Group by</div>
          <MenuItem
            checked={group === undefined}
            onPick={() => {
              setView({ group: undefined });
              close();
            }}
          >
            Nothing
          </MenuItem>
          {choices.map(({ id, title }) => (
            <MenuItem
              key={id}
              checked={group === id}
              onPick={() => {
                setView({ group: id });
                close();
              }}
            >
              {title}
            </MenuItem>
          ))}
          <div class="menu-rule" />
          <MenuItem
            checked={archived}
            onPick={() => {
              setView({ archived: !archived });
              close();
            }}
          >
            Archived runs too
          </MenuItem>
        </>
      )}
    </MenuButton>
  );
}

/** Nothing yet, nothing found, waiting, or failed. */
function TableState({ count }: { count: number }) {
  const failure = runsFailure.value;
  const state = runsState.value;
  if (state === 'failed' && failure && !failure.code.startsWith('filter'))
    return <Failed failure={failure} retry={reloadRuns} />;
  if (count > 0) return null;
  if (state === 'loading') return <Outline lines={8} />;
  if (failure) return null;
  if (view.value.find !== '') {
    return (
      <Empty title="No run matches" icon="search">
        <button type="button" class="button" onClick={() => setView({ find: '' })}>
          Show all runs
        </button>
      </Empty>
    );
  }
  return (
    <Empty title="No runs yet">
      <p>They appear here by themselves, as soon as one starts.</p>
      <Command text="waddle run -- python train.py" />
    </Empty>
  );
}

function useTableKeys(items: () => readonly TableItem[]): void {
  const go = (by: number) => {
    const list = items();
    const runs = list.flatMap((item, index) => (item.type === 'run' ? [{ id: item.run.id, index }] : []));
    const at = runs.findIndex((run) => run.id === focused.peek());
    const next = runs[Math.max(0, Math.min(runs.length - 1, at < 0 ? 0 : at + by))];
    if (next === undefined) return;
    focused.value = next.id;
    pointer.lifted.value = chartedIds.peek().has(next.id) && chartGroups.peek() === null ? next.id : null;
  };
  const act = (run: (id: string) => void) => () => {
    const id = focused.peek();
    if (id !== null) run(id);
  };
  useShortcuts(() => [
    { keys: 'j', does: 'Next run', group: 'Runs', run: () => go(1) },
    { keys: 'k', does: 'Previous run', group: 'Runs', run: () => go(-1) },
    { keys: 'Enter', does: 'Open the run', group: 'Runs', run: act((id) => navigate(runHref(id))) },
    { keys: 'e', does: 'Chart it, or not', group: 'Runs', run: act(toggleRun) },
    { keys: 'o', does: 'Chart this one only', group: 'Runs', run: act((id) => showOnly([id])) },
    {
      keys: 'x',
      does: 'Select it',
      group: 'Runs',
      run: act((id) => {
        const next = new Set(selected.peek());
        if (!next.delete(id)) next.add(id);
        selected.value = next;
      }),
    },
    {
      keys: 'a',
      does: 'Archive what is selected',
      group: 'Runs',
      run: () => {
        const ids = [...selected.peek()];
        if (ids.length > 0) void archiveRuns(ids, true);
      },
    },
    {
      keys: 'Escape',
      does: 'Select none',
      group: 'Runs',
      run: () => {
        selected.value = new Set();
        focused.value = null;
        pointer.lifted.value = null;
      },
    },
  ]);
  useEffect(() => {
    const end = () => {
      focused.value = null;
    };
    return end;
  }, []);
}
