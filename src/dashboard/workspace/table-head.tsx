// biome-ignore-all lint/a11y/useSemanticElements: a virtual grid is made of positioned boxes, with the roles of a table
// biome-ignore-all lint/a11y/useFocusableInteractive: the button in a head is what is pressed
/** The heads of the table's columns: pressed they sort, dragged at their edge they grow. */
import { signal, useComputed } from '@preact/signals';
import { useRef } from 'preact/hooks';
import { widthWithin } from './column-widths.ts';
import { pointer } from './shown-runs.ts';
import { setView, view } from './view.ts';

export function HeadCell(props: {
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

/** A column whose edge is being dragged, and how wide it is now. */
export const edge = signal<[id: string, width: number] | undefined>(undefined);

/** Undefined: the usual one. */
function setWidth(id: string, width: number | undefined): void {
  const widths = new Map(view.peek().widths);
  if (width === undefined) widths.delete(id);
  else widths.set(id, widthWithin(width));
  setView({ widths });
}
