/** A run within a drawing. */
import type { ComponentChildren } from 'preact';
import type { RunRow } from '../../protocol/api.ts';
import type { Pointer } from '../chart/context.ts';
import { lookOf, runColour } from '../chart/run-colours.ts';
import { navigate, runHref } from '../shell/router.ts';
import { dark } from '../shell/theme.ts';
import type { Column } from './columns.ts';

/** What a drawing of runs over columns is given. */
export interface DrawingProps {
  runs: readonly RunRow[];
  columns: readonly Column[];
  pointer: Pointer;
}

export const shorten = (text: string, most: number): string =>
  text.length <= most ? text : `${text.slice(0, Math.max(3, Math.floor(most) - 1))}…`;

export const colourOf = (run: string): string => runColour(lookOf(run).slot, dark.value);

/** Pointed at or focused it is lifted everywhere, pressed it is opened. */
export function RunLink(props: {
  run: RunRow;
  pointer: Pointer;
  label: string;
  children: ComponentChildren;
}) {
  const { run, pointer } = props;
  const lift = (on: boolean) => () => {
    pointer.lifted.value = on ? run.id : null;
  };
  return (
    <a
      class="run-link"
      href={runHref(run.id)}
      aria-label={props.label}
      onPointerEnter={lift(true)}
      onPointerLeave={lift(false)}
      onFocus={lift(true)}
      onBlur={lift(false)}
      onClick={(event) => {
        // The router knows links of HTML alone.
        if (event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
        event.preventDefault();
        navigate(runHref(run.id));
      }}
    >
      {props.children}
    </a>
  );
}
