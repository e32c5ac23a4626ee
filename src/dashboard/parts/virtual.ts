/** Only the rows in view exist: TanStack's virtualiser for lists of known heights. */
import { useSignal } from '@preact/signals';
import {
  elementScroll,
  observeElementOffset,
  observeElementRect,
  type VirtualItem,
  Virtualizer,
} from '@tanstack/virtual-core';
import type { RefObject } from 'preact';
import { useLayoutEffect, useRef } from 'preact/hooks';

export interface VirtualOptions {
  count: number;
  /** Pixels of the row at this place. */
  size: (index: number) => number;
  /** A name that stays with the row. */
  keyOf: (index: number) => string | number;
  scroller: RefObject<HTMLElement | null>;
  /** Rows beyond the view on each side. */
  overscan: number;
  /** Changes whenever sizes do. */
  layout: unknown;
  /** Pixels above the rows, that scroll with them. */
  before?: number;
  initialOffset?: number;
}

export interface VirtualRows {
  items: VirtualItem[];
  total: number;
  scrollToIndex: (index: number) => void;
}

export function useVirtual(options: VirtualOptions): VirtualRows {
  const redraw = useSignal(0);
  redraw.value;
  const virtual = useRef<Virtualizer<HTMLElement, HTMLElement> | null>(null);
  const settings = {
    count: options.count,
    getScrollElement: () => options.scroller.current,
    estimateSize: options.size,
    getItemKey: options.keyOf,
    overscan: options.overscan,
    paddingStart: options.before ?? 0,
    observeElementRect,
    observeElementOffset,
    scrollToFn: elementScroll,
    initialOffset: options.initialOffset ?? 0,
    onChange: () => {
      redraw.value++;
    },
  };
  virtual.current ??= new Virtualizer<HTMLElement, HTMLElement>(settings);
  const rows = virtual.current;
  rows.setOptions({ ...rows.options, ...settings });
  const layout = useRef(options.layout);
  if (layout.current !== options.layout) {
    layout.current = options.layout;
    rows.measure();
  }
  useLayoutEffect(() => rows._didMount(), []);
  useLayoutEffect(() => rows._willUpdate());
  return {
    items: rows.getVirtualItems(),
    total: rows.getTotalSize(),
    scrollToIndex: (index) => rows.scrollToIndex(index, { align: 'auto' }),
  };
}
