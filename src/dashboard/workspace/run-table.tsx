// biome-ignore-all lint/a11y/useSemanticElements: a virtual grid is made of positioned boxes, with the roles of a table
// biome-ignore-all lint/a11y/useFocusableInteractive: j and k move the focus; cells hold the controls
/** The runs: a legend where it is narrow, the whole table where it is wide. Only the rows in view exist. */

import { useComputed, useSignal, useSignalEffect } from '@preact/signals';
import { useEffect, useLayoutEffect, useRef } from 'preact/hooks';
import { moreRuns, moreRunsPlease, reloadRuns, runRows, runsFailure, runsState } from '../api/runs-store.ts';
import { Command } from '../parts/copy-button.tsx';
import { IconButton } from '../parts/icon-button.tsx';
import { Empty, Failed, Outline } from '../parts/states.tsx';
import { useVirtual } from '../parts/virtual.ts';
import { useClock } from '../shell/clock.ts';
import { health } from '../shell/server-info.ts';
import { BulkBar } from './bulk-bar.tsx';
import { isNumeric } from './cell.tsx';
import { ColumnChooser } from './column-chooser.tsx';
import { usualWidths } from './column-widths.ts';
import { type Column, titleAmong } from './columns.ts';
import { FindBox } from './find-box.tsx';
import { GroupMenu } from './group-menu.tsx';
import { PeopleMenu } from './people-menu.tsx';
import { RunCount } from './run-count.tsx';
import { GroupLine, RunLine } from './run-line.tsx';
import { focused, groupValue, pointer, selected } from './shown-runs.ts';
import { edge, HeadCell } from './table-head.tsx';
import { useTableKeys } from './table-keys.ts';
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
  /** Of a scroll bar, where it takes room. */
  const gutter = useSignal(0);
  useLayoutEffect(() => {
    const element = scroller.current;
    if (element === null) return;
    const observer = new ResizeObserver(() => {
      gutter.value = element.offsetWidth - element.clientWidth;
    });
    observer.observe(element);
    return () => observer.disconnect();
  }, []);
  const room = width - gutter.value;
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
  const dragged = edge.value === undefined ? view.value.widths : new Map([...view.value.widths, edge.value]);
  const widths = narrow ? new Map<string, number>() : dragged;
  // What is left over is shared by the columns' own widths, not by those that were dragged: an edge stays under the pointer.
  const usual = usualWidths(shown, room, narrow, isNumeric);
  const widthOf = (column: Column) => widths.get(column.id) ?? usual.of.get(column.id) ?? 0;
  const nameWidth = widths.get('name') ?? usual.name;
  const total = shown.reduce((sum, column) => sum + widthOf(column), nameWidth);
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
          <IconButton
            icon="close"
            label="Runs of all projects"
            title="All projects"
            class="tiny"
            onClick={() => setView({ project: '' })}
          />
        </div>
      )}
      <div class="runs-scroll" ref={scroller}>
        <div
          class="runs-inner"
          role="grid"
          aria-label="Runs"
          aria-rowcount={list.length}
          style={{ width: `${Math.max(total, room)}px` }}
        >
          <div class="runs-head" role="row">
            <HeadCell id="name" title="Name" width={nameWidth} first fixed={narrow} />
            {shown.map((column) => (
              <HeadCell
                key={column.id}
                id={column.id}
                title={titleAmong(column, shown)}
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
        </div>
        <TableState count={list.length} />
      </div>
      <div class="runs-foot">{selected.value.size > 0 ? <BulkBar /> : <RunCount />}</div>
    </div>
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
