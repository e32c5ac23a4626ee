/** A panel that floats beside what opened it; Escape or a press elsewhere closes it and gives the focus back. */
import { useSignal } from '@preact/signals';
import type { ComponentChildren } from 'preact';
import { createPortal } from 'preact/compat';
import { useLayoutEffect, useRef } from 'preact/hooks';
import { Icon, type IconName } from './icon.tsx';

export interface Place {
  x: number;
  y: number;
  /** Height of what it belongs to: the panel goes below it, or above where there is no room. */
  height: number;
}

export function Popover(props: {
  place: Place;
  label: string;
  close: () => void;
  children: ComponentChildren;
  wide?: boolean;
}) {
  const panel = useRef<HTMLDivElement>(null);
  useLayoutEffect(() => {
    const element = panel.current;
    if (element === null) return;
    const { width, height } = element.getBoundingClientRect();
    const { x, y, height: own } = props.place;
    const below = y + own + 4;
    const top =
      below + height > innerHeight - 8 && y - height - 4 > 8
        ? y - height - 4
        : Math.min(below, innerHeight - height - 8);
    element.style.left = `${Math.max(8, Math.min(x, innerWidth - width - 8))}px`;
    element.style.top = `${Math.max(8, top)}px`;
  });
  // Before the next key: what is typed after the press belongs to the panel.
  useLayoutEffect(() => {
    const before = document.activeElement;
    const element = panel.current;
    element?.querySelector<HTMLElement>('input, button, [tabindex]')?.focus({ preventScroll: true });
    const press = (event: PointerEvent) => {
      if (element && event.target instanceof Node && !element.contains(event.target)) props.close();
    };
    document.addEventListener('pointerdown', press, true);
    return () => {
      document.removeEventListener('pointerdown', press, true);
      if (
        before instanceof HTMLElement &&
        (document.activeElement === document.body || element?.contains(document.activeElement))
      )
        before.focus({ preventScroll: true });
    };
  }, []);
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.key === 'Escape') {
      event.stopPropagation();
      event.preventDefault();
      props.close();
    } else if (event.key === 'ArrowDown' || event.key === 'ArrowUp') {
      const items = [...(panel.current?.querySelectorAll<HTMLElement>('.menu-item') ?? [])];
      const at = items.indexOf(document.activeElement as HTMLElement);
      const next = items[(at + (event.key === 'ArrowDown' ? 1 : -1) + items.length) % items.length];
      if (next === undefined) return;
      event.preventDefault();
      next.focus();
    }
  };
  return createPortal(
    <div
      ref={panel}
      class={`popover${props.wide ? ' wide' : ''}`}
      role="dialog"
      aria-label={props.label}
      onKeyDown={onKeyDown}
    >
      {props.children}
    </div>,
    document.body,
  );
}

/** A button that opens a popover. */
export function MenuButton(props: {
  label: string;
  icon?: IconName;
  text?: ComponentChildren;
  class?: string;
  pressed?: boolean;
  wide?: boolean;
  children: (close: () => void) => ComponentChildren;
}) {
  const place = useSignal<Place | undefined>(undefined);
  const close = () => {
    place.value = undefined;
  };
  const toggle = (event: MouseEvent) => {
    if (place.value !== undefined) return close();
    const button = event.currentTarget;
    if (!(button instanceof Element)) return;
    const box = button.getBoundingClientRect();
    place.value = { x: box.left, y: box.top, height: box.height };
  };
  return (
    <>
      <button
        type="button"
        class={props.class ?? (props.text === undefined ? 'icon-button' : 'button bare')}
        aria-label={props.label}
        title={props.label}
        aria-haspopup="dialog"
        aria-expanded={place.value !== undefined}
        aria-pressed={props.pressed}
        onClick={toggle}
      >
        {props.icon && <Icon name={props.icon} />}
        {props.text}
      </button>
      {place.value && (
        <Popover
          place={place.value}
          label={props.label}
          close={close}
          {...(props.wide ? { wide: true } : {})}
        >
          {props.children(close)}
        </Popover>
      )}
    </>
  );
}

export function MenuItem(props: {
  icon?: IconName;
  hint?: string;
  checked?: boolean;
  onPick: () => void;
  children: ComponentChildren;
}) {
  return (
    <button type="button" class="menu-item" aria-pressed={props.checked} onClick={props.onPick}>
      {props.checked !== undefined && <span class="tick">{props.checked && <Icon name="check" />}</span>}
      {props.icon && <Icon name={props.icon} />}
      <span class="clip">{props.children}</span>
      {props.hint !== undefined && <span class="hint">{props.hint}</span>}
    </button>
  );
}
