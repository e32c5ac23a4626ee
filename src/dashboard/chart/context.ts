/** What all charts of one view share. The workspace and a run's page each have one. */
import { type ReadonlySignal, type Signal, signal } from '@preact/signals';
import type { Spread } from './bands.ts';
import type { Range } from './extent.ts';
import type { Axis } from './line.ts';
import type { RunLook } from './run-colours.ts';

export interface ChartSettings {
  axis: Axis;
  logX: boolean;
  logY: boolean;
  /** 0 to 0.999. */
  smoothing: number;
  /** Outliers do not stretch the y axis. */
  clip: boolean;
  /** What a group's band is. */
  spread: Spread;
}

export const DEFAULT_SETTINGS: ChartSettings = {
  axis: 'step',
  logX: false,
  logY: false,
  smoothing: 0,
  clip: false,
  spread: 'minmax',
};

/** A run to draw. */
export interface ChartRun {
  id: string;
  name: string;
  /** Epoch seconds; 0 where it is not known. */
  startedAt: number;
  /** It still grows. */
  live: boolean;
}

/** Runs drawn as one mean with a band. */
export interface ChartGroup {
  /** Its value, as `resnet`; unique in its view. */
  name: string;
  look: RunLook;
  runs: readonly string[];
}

export interface ChartContext {
  settings: ReadonlySignal<ChartSettings>;
  runs: ReadonlySignal<readonly ChartRun[]>;
  /** Null: every run is a line of its own. */
  groups: ReadonlySignal<readonly ChartGroup[] | null>;
  /** The shown range of x; an end of Infinity follows the data. Null: all. */
  range: ReadonlySignal<Range | null>;
  setRange: (range: Range | null) => void;
  /** The run (or group) that is pointed at, anywhere. */
  lifted: Signal<string | null>;
  /** Where the pointer is, in x, and in which panel. */
  cursor: Signal<{ x: number; panel: object } | null>;
  /** What the lines of that panel have there, as text, by run or group. */
  values: Signal<CursorValues | null>;
  /** A press on a line; of a double click too. */
  open?: (run: string) => void;
}

export interface CursorValues {
  metric: string;
  /** By run or group. */
  of: ReadonlyMap<string, string>;
}

export type Pointer = Pick<ChartContext, 'lifted' | 'cursor' | 'values'>;

export const sharedPointer = (): Pointer => ({
  lifted: signal<string | null>(null),
  values: signal<CursorValues | null>(null),
  cursor: signal<{ x: number; panel: object } | null>(null),
});
