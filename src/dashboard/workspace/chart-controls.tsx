// biome-ignore-all lint/a11y/useSemanticElements: a segmented choice, with the roles of radio buttons
/** What every bar above charts has: how x is told, smoothing, and scales. */
import { useRef } from 'preact/hooks';
import type { ChartSettings } from '../chart/context.ts';
import type { Range } from '../chart/extent.ts';
import type { Axis } from '../chart/line.ts';
import { MenuItem } from '../parts/popover.tsx';

interface ControlProps {
  settings: ChartSettings;
  set: (change: Partial<ChartSettings>) => void;
}

const AXES: readonly [axis: Axis, title: string, what: string][] = [
  ['step', 'Step', 'Along steps'],
  ['relative', 'Duration', 'Along the time since each run began'],
  ['time', 'Time', 'Along the clock'],
];

export function AxisChoice({ settings, set }: ControlProps) {
  const group = useRef<HTMLDivElement>(null);
  const at = AXES.findIndex(([axis]) => axis === settings.axis);
  const onKeyDown = (event: KeyboardEvent) => {
    const by = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    if (by === undefined) return;
    event.preventDefault();
    const next = (at + by + AXES.length) % AXES.length;
    set({ axis: AXES[next]?.[0] ?? 'step' });
    group.current?.querySelectorAll('button')[next]?.focus();
  };
  return (
    <div ref={group} class="segments" role="radiogroup" aria-label="X axis" onKeyDown={onKeyDown}>
      {AXES.map(([axis, title, what], index) => (
        <button
          key={axis}
          type="button"
          role="radio"
          aria-checked={index === at}
          tabIndex={index === at ? 0 : -1}
          title={what}
          onClick={() => set({ axis })}
        >
          {title}
        </button>
      ))}
    </div>
  );
}

export function Smoothing({ settings, set }: ControlProps) {
  const { smoothing } = settings;
  return (
    <label class="smoothing" title="Smoothing: an exponential moving average; the values stay behind it">
      <span class="quiet small">Smooth</span>
      <input
        type="range"
        min="0"
        max="1"
        step="0.01"
        aria-label="Smoothing"
        aria-valuetext={smoothing === 0 ? 'off' : smoothing.toFixed(3)}
        value={toSlider(smoothing)}
        onInput={(event) => set({ smoothing: fromSlider(Number(event.currentTarget.value)) })}
        onDblClick={() => set({ smoothing: 0 })}
      />
      <output class="small">{smoothing === 0 ? 'off' : smoothing.toFixed(smoothing < 0.99 ? 2 : 3)}</output>
    </label>
  );
}

/** Most of what matters lies between 0.9 and 1: the slider gives it room. */
const toSlider = (weight: number): number => 1 - Math.sqrt(1 - weight);
const fromSlider = (place: number): number => Math.min(0.999, Number((1 - (1 - place) ** 2).toFixed(3)));

/** The range of x in figures, for who has no pointer or wants it exact; a range of the clock is left to the pointer. */
export function RangeForm(props: {
  axis: Axis;
  range: Range | null;
  setRange: (range: Range | null) => void;
}) {
  const from = useRef<HTMLInputElement>(null);
  const to = useRef<HTMLInputElement>(null);
  const { axis, range, setRange } = props;
  if (axis === 'time') return null;
  const commit = () => {
    const [low, high] = [from.current?.value ?? '', to.current?.value ?? ''];
    const next: Range = [Number(low), high === '' ? Number.POSITIVE_INFINITY : Number(high)];
    if (low === '' && high === '') setRange(null);
    else if (next[0] < next[1]) setRange(next);
  };
  const field = (ref: typeof from, label: string, value: number | undefined) => (
    <span class="field">
      <input
        ref={ref}
        type="number"
        step="any"
        aria-label={label}
        placeholder={label}
        value={value === undefined || !Number.isFinite(value) ? '' : Number(value.toPrecision(6))}
        onChange={commit}
      />
    </span>
  );
  return (
    <>
      <div class="menu-rule" />
      <div class="menu-title">{axis === 'step' ? 'Steps' : 'Seconds'}</div>
      <div class="range-form">
        {field(from, 'From', range?.[0])}
        <span class="quiet">to</span>
        {field(to, 'the end', range?.[1])}
      </div>
    </>
  );
}

export function ScaleItems({ settings, set }: ControlProps) {
  return (
    <>
      <MenuItem checked={settings.logY} onPick={() => set({ logY: !settings.logY })}>
        Logarithmic y
      </MenuItem>
      <MenuItem checked={settings.logX} onPick={() => set({ logX: !settings.logX })}>
        Logarithmic x
      </MenuItem>
      <MenuItem checked={settings.clip} onPick={() => set({ clip: !settings.clip })}>
        Leave outliers outside
      </MenuItem>
    </>
  );
}
