// biome-ignore-all lint/a11y/noNoninteractiveTabindex: what scrolls has to be reachable by keyboard
// biome-ignore-all lint/a11y/useSemanticElements: a scrolling region
/** The lines of a console: only those in view exist, pages are asked for as one scrolls, the end is followed while it grows. */
import { useSignal } from '@preact/signals';
import { useLayoutEffect, useMemo, useRef } from 'preact/hooks';
import type { ConsoleLine } from '../../protocol/api.ts';
import { Command } from '../parts/copy-button.tsx';
import { Icon } from '../parts/icon.tsx';
import { Empty, Failed, Outline } from '../parts/states.tsx';
import { useVirtual } from '../parts/virtual.ts';
import { useShortcuts } from '../shell/keyboard.ts';
import { columnsOf, stripAnsi } from './ansi.ts';
import { AnsiText } from './ansi-text.tsx';
import type { ConsoleData } from './console-data.ts';
import { lineKey } from './console-model.ts';
import { setParams } from './url-state.ts';

const ROW = 18;
/** Pixels from an end at which the next page is asked for. */
const NEAR = 1200;

interface LinesProps {
  data: ConsoleData;
  live: boolean;
  wrap: boolean;
  startedAt: number | null;
  target: string;
}

export function ConsoleLines({ data, live, wrap, startedAt, target }: LinesProps) {
  const scroller = useRef<HTMLDivElement>(null);
  const ruler = useRef<HTMLSpanElement>(null);
  const follow = useSignal(target === '');
  const seen = useRef(0);
  const columns = useSignal(0);
  const { lines, moreBefore, moreAfter, total } = data.stretch.value;
  // Columns that fit, for how many rows a wrapped line takes.
  useLayoutEffect(() => {
    const [box, mark] = [scroller.current, ruler.current];
    if (!wrap || box === null || mark === null) {
      columns.value = 0;
      return;
    }
    const measure = () => {
      const each = mark.getBoundingClientRect().width / 10;
      const gutter = box.clientWidth > 640 ? 96 : 24;
      if (each > 0) columns.value = Math.max(10, Math.floor((box.clientWidth - gutter - 12) / each));
    };
    measure();
    const observer = new ResizeObserver(measure);
    observer.observe(box);
    return () => observer.disconnect();
  }, [wrap, data.state.value]);
  const fit = columns.value;
  const heights = useMemo(() => new WeakMap<ConsoleLine, number>(), [fit]);
  const heightOf = (index: number): number => {
    const line = lines[index];
    if (fit === 0 || line === undefined) return ROW;
    let height = heights.get(line);
    if (height === undefined) {
      height = ROW * Math.max(1, Math.ceil(columnsOf(stripAnsi(line.text)) / fit));
      heights.set(line, height);
    }
    return height;
  };
  const virtual = useVirtual({
    count: lines.length,
    size: heightOf,
    keyOf: (index) => {
      const line = lines[index];
      return line === undefined ? index : lineKey(line);
    },
    scroller,
    overscan: 30,
    layout: fit === 0 ? fit : lines,
    before: 8,
  });
  // Lines that came before push the others down: what is read stays where it is.
  useLayoutEffect(() => {
    const box = scroller.current;
    if (box === null || data.added <= 0) return;
    let height = 0;
    for (let index = 0; index < data.added; index++) height += heightOf(index);
    data.added = 0;
    box.scrollTop += height;
  }, [lines]);
  useLayoutEffect(() => {
    const box = scroller.current;
    if (follow.value && box !== null) {
      box.scrollTop = box.scrollHeight;
      seen.current = total;
    }
  }, [lines, follow.value, virtual.total]);
  // A link to a line shows it in the middle.
  const jumped = useRef(false);
  useLayoutEffect(() => {
    const box = scroller.current;
    const index = target === '' ? -1 : lines.findIndex((line) => line.at === target);
    if (jumped.current || box === null || index < 0) return;
    jumped.current = true;
    box.scrollTop = Math.max(0, index * ROW - box.clientHeight / 2);
  }, [lines]);
  const onScroll = () => {
    const box = scroller.current;
    if (box === null) return;
    const below = box.scrollHeight - box.scrollTop - box.clientHeight;
    const atEnd = below < 8 && !data.stretch.peek().moreAfter;
    if (follow.peek() !== atEnd) follow.value = atEnd;
    if (atEnd) seen.current = data.stretch.peek().total;
    if (box.scrollTop < NEAR) data.before();
    if (below < NEAR) data.after();
  };
  const toEnd = async () => {
    if (data.stretch.peek().moreAfter) await data.toEnd();
    follow.value = true;
    const box = scroller.current;
    if (box) box.scrollTop = box.scrollHeight;
  };
  const toStart = async () => {
    follow.value = false;
    if (data.stretch.peek().moreBefore) await data.toStart();
    requestAnimationFrame(() => {
      if (scroller.current) scroller.current.scrollTop = 0;
    });
  };
  useShortcuts(() => [
    { keys: 'Home', does: 'To the first line', group: 'Console', run: () => void toStart() },
    { keys: 'End', does: 'To the last line', group: 'Console', run: () => void toEnd() },
  ]);
  const state = data.state.value;
  if (state === 'failed' && data.failure.value)
    return <Failed failure={data.failure.value} retry={() => void data.toEnd()} />;
  if (state === 'loading') {
    return (
      <div class="console-lines">
        <Outline lines={12} />
      </div>
    );
  }
  if (lines.length === 0) {
    return data.find !== '' || data.streams !== '' ? (
      <Empty
        title={data.find === '' ? `Nothing went to ${data.streams}` : `No line has “${data.find}”`}
        icon="search"
      />
    ) : (
      <Empty title={live ? 'Nothing printed yet' : 'The job printed nothing'} icon="list">
        {live && <p>Lines appear here as the job writes them.</p>}
        <Command text={`waddle logs ${data.run}${live ? ' --follow' : ''}`} />
      </Empty>
    );
  }
  const fresh = Math.max(0, total - seen.current);
  const last = lines.at(-1);
  const widest = fit === 0 ? widestOf(lines) : 0;
  return (
    <div class="console-frame">
      <div
        class={`console-lines${wrap ? ' wrapped' : ''}`}
        ref={scroller}
        role="log"
        aria-live="off"
        aria-label="Console"
        tabIndex={0}
        onScroll={onScroll}
      >
        <span class="console-ruler" ref={ruler} aria-hidden="true">
          0000000000
        </span>
        <div
          class="console-inner"
          style={{
            height: `${virtual.total + 8}px`,
            minWidth: widest > 0 ? `calc(${widest}ch + 112px)` : '0',
          }}
        >
          {virtual.items.map((item) => {
            const line = lines[item.index];
            if (line === undefined) return null;
            const before = lines[item.index - 1];
            return (
              <div
                key={item.key}
                class={classOf(line, before, target)}
                style={{ transform: `translateY(${item.start}px)`, height: `${item.size}px` }}
              >
                <LineTime line={line} startedAt={startedAt} find={data.find} />
                {line.stream === 2 && <span class="sr-only">stderr: </span>}
                <span class="console-text">
                  <AnsiText line={line.text} find={data.find} />
                  {line.partial && line === last && live && <span class="caret" aria-hidden="true" />}
                </span>
              </div>
            );
          })}
        </div>
      </div>
      <div class="console-jumps">
        {moreBefore && (
          <button
            type="button"
            class="button"
            onClick={() => void toStart()}
            title="To the first line (Home)"
          >
            First line
          </button>
        )}
        {!follow.value && (
          <button type="button" class="button" onClick={() => void toEnd()} title="To the last line (End)">
            <Icon name="down" />
            {live && !moreAfter && fresh > 0
              ? `${fresh.toLocaleString()} new`
              : live
                ? 'Follow'
                : 'Last line'}
          </button>
        )}
      </div>
    </div>
  );
}

function classOf(line: ConsoleLine, before: ConsoleLine | undefined, target: string): string {
  const classes = ['console-line'];
  if (line.stream === 2) classes.push('stderr');
  if (before !== undefined && before.attempt !== line.attempt) classes.push('new-attempt');
  if (target !== '' && line.at === target) classes.push('target');
  return classes.join(' ');
}

/** Since the run began; of a found line, a link to it among its neighbours. */
function LineTime({ line, startedAt, find }: { line: ConsoleLine; startedAt: number | null; find: string }) {
  const text = startedAt === null ? '' : clockOf(line.ts - startedAt);
  if (line.at === '') return <span class="console-time">{text}</span>;
  return (
    <button
      type="button"
      class="console-time"
      tabIndex={find === '' ? -1 : 0}
      title={find === '' ? 'Link to this line' : 'Show it among its neighbours'}
      aria-label={`${text}, ${find === '' ? 'link to this line' : 'show it among its neighbours'}`}
      onClick={() => setParams({ at: line.at, q: null })}
    >
      {text}
    </button>
  );
}

/** `0:07`, `12:40`, `1:02:40`. */
function clockOf(seconds: number): string {
  const whole = Math.max(0, Math.floor(seconds));
  const [hours, minutes] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60];
  const tail = String(whole % 60).padStart(2, '0');
  return hours > 0 ? `${hours}:${String(minutes).padStart(2, '0')}:${tail}` : `${minutes}:${tail}`;
}

const widths = new WeakMap<ConsoleLine, number>();
/** Columns of the longest line, so that the width does not change as one scrolls. */
function widestOf(lines: readonly ConsoleLine[]): number {
  let most = 0;
  for (const line of lines) {
    let width = widths.get(line);
    if (width === undefined) {
      width = columnsOf(line.text.includes('\x1b') ? stripAnsi(line.text) : line.text);
      widths.set(line, width);
    }
    if (width > most) most = width;
  }
  return Math.min(most, 20_000);
}
