// biome-ignore-all lint/a11y/useSemanticElements: a virtual grid is made of positioned boxes, with the roles of a table
// biome-ignore-all lint/a11y/useFocusableInteractive: j and k move the focus; cells hold the controls
/** One row of the table: a run, or the head of a group. */
import { useComputed } from '@preact/signals';
import type { RunRow } from '../../protocol/api.ts';
import { countSuffix } from '../api/runs-store.ts';
import { dashOf, lookOf, type RunLook, runColour } from '../chart/run-colours.ts';
import { CopyButton } from '../parts/copy-button.tsx';
import { Icon } from '../parts/icon.tsx';
import { StatusMark } from '../parts/status-mark.tsx';
import { silentSince } from '../shell/heard.ts';
import { runHref } from '../shell/router.ts';
import { health } from '../shell/server-info.ts';
import { dark } from '../shell/theme.ts';
import { CellValue, isNumeric } from './cell.tsx';
import type { Column } from './columns.ts';
import { chartedIds, chartGroups, focused, pointer, selected, showOnly, toggleRun } from './shown-runs.ts';

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

/** The figure at the pointer while it is in a chart, nothing where the run has none there; undefined: it is in none. */
function pointedValue(owner: string): string | undefined {
  const values = pointer.values.value;
  return values === null ? undefined : (values.of.get(owner) ?? '');
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

export function RunLine({
  row,
  top,
  columns,
  nameWidth,
  widthOf,
  pointed,
  indented,
  index,
  select,
}: RunLineProps) {
  const value = useComputed(() => (pointed ? pointedValue(row.id) : undefined)).value;
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
        <StatusMark status={row.status} heard={health.value?.collector ? silentSince(row) : undefined} />
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
          class={`cell${isNumeric(column) || value !== undefined ? ' numeric' : ''}${value === undefined ? '' : ' pointed'}`}
          role="gridcell"
          style={{ width: `${widthOf(column)}px` }}
        >
          {value === undefined ? (
            <CellValue row={row} column={column} />
          ) : (
            <span class="at-pointer">{value}</span>
          )}
          {column.id === 'id' && <CopyButton text={row.id} label={`Copy the id of ${row.name}`} />}
        </div>
      ))}
    </div>
  );
}

export function GroupLine(props: {
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
      <div role="gridcell" class="group-cell">
        <button type="button" class="group-button" aria-expanded={!props.folded} onClick={props.fold}>
          <Icon name={props.folded ? 'chevron' : 'down'} />
          {group && <LineMark look={group.look} shown />}
          <strong class="clip">{props.name}</strong>
          <span class="quiet small">
            {props.runs.length.toLocaleString()}
            {countSuffix.value}
          </span>
          {value !== undefined && (
            <>
              <span class="grow" />
              <span class="at-pointer">{value}</span>
            </>
          )}
        </button>
      </div>
    </div>
  );
}
