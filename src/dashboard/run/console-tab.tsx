// biome-ignore-all lint/a11y/noNoninteractiveTabindex: what scrolls has to be reachable by keyboard
// biome-ignore-all lint/a11y/useSemanticElements: a segmented choice, with the roles of radio buttons
/** What the job printed: pages of it are loaded as one scrolls, and the end is followed while it grows. */
import { batch, signal, useSignal } from '@preact/signals';
import { useEffect, useLayoutEffect, useMemo, useRef } from 'preact/hooks';
import type { Batch, ConsoleLine, ConsolePage } from '../../protocol/api.ts';
import { type ApiFailure, asFailure, getJson, isAbort } from '../api/client.ts';
import { onBatch, onReconnect, watch } from '../api/live.ts';
import { Command } from '../parts/copy-button.tsx';
import { Icon } from '../parts/icon.tsx';
import { Empty, Failed, Outline } from '../parts/states.tsx';
import { useVirtual } from '../parts/virtual.ts';
import { useShortcuts } from '../shell/keyboard.ts';
import { columnsOf, stripAnsi } from './ansi.ts';
import { AnsiText } from './ansi-text.tsx';
import {
  append,
  appendLive,
  lastPlaced,
  leavesHole,
  lineKey,
  NOTHING,
  prepend,
  type Stretch,
  stretchOf,
} from './console-model.ts';
import type { TabProps } from './run-page.tsx';
import { setParams, useParam } from './url-state.ts';

const PAGE = 1000;
const ROW = 18;
/** Pixels from an end at which the next page is asked for. */
const NEAR = 1200;

type Streams = '' | 'stdout' | 'stderr';

class ConsoleData {
  readonly stretch = signal<Stretch>(NOTHING);
  readonly state = signal<'loading' | 'ready' | 'failed'>('loading');
  readonly failure = signal<ApiFailure | null>(null);
  /** What is asked for now. */
  readonly busy = signal<'before' | 'after' | null>(null);
  /** Lines that were put before the others since they were last looked at. */
  added = 0;
  readonly run: string;
  readonly find: string;
  readonly streams: Streams;
  #request: AbortController | undefined;
  readonly #stop: (() => void)[];

  constructor(run: string, find: string, streams: Streams, at: string) {
    this.run = run;
    this.find = find;
    this.streams = streams;
    watch(this, { runs: [run], console: run });
    this.#stop = [onBatch((message) => this.#receive(message)), onReconnect(() => void this.catchUp())];
    if (at !== '') void this.around(at);
    else void this.toEnd().then(() => setTimeout(() => void this.catchUp(), 400));
  }

  async #page(query: Record<string, string | number | boolean | undefined>): Promise<ConsolePage> {
    this.#request?.abort();
    const request = new AbortController();
    this.#request = request;
    return getJson<ConsolePage>(
      `/api/runs/${encodeURIComponent(this.run)}/console`,
      { limit: PAGE, stream: this.streams, q: this.find, ...query },
      request.signal,
    );
  }

  async #load(query: Record<string, string | boolean>, put: (page: ConsolePage) => Stretch): Promise<void> {
    try {
      const page = await this.#page(query);
      batch(() => {
        this.stretch.value = put(page);
        this.state.value = 'ready';
        this.failure.value = null;
      });
    } catch (error) {
      if (isAbort(error)) return;
      batch(() => {
        this.failure.value = asFailure(error);
        if (this.stretch.peek().lines.length === 0) this.state.value = 'failed';
      });
    } finally {
      this.busy.value = null;
    }
  }

  toEnd(): Promise<void> {
    return this.#load({ tail: true }, stretchOf);
  }

  toStart(): Promise<void> {
    return this.#load({}, stretchOf);
  }

  /** The lines on both sides of a place. */
  async around(at: string): Promise<void> {
    await this.#load({ before: at }, stretchOf);
    await this.#load({ after: this.stretch.peek().lines.at(-1)?.at ?? '' }, (page) =>
      this.stretch.peek().lines.length === 0 ? stretchOf(page) : append(this.stretch.peek(), page),
    );
  }

  before(): void {
    const { lines, moreBefore } = this.stretch.peek();
    const first = lines[0];
    if (!moreBefore || this.busy.peek() !== null || first === undefined) return;
    this.busy.value = 'before';
    // Its place is not known where only live lines are held; the last page has places again.
    if (first.at === '') void this.toEnd();
    else
      void this.#load({ before: first.at }, (page) => {
        const now = this.stretch.peek();
        const next = prepend(now, page);
        this.added += now.lines[0] === undefined ? 0 : next.lines.indexOf(now.lines[0]);
        return next;
      });
  }

  after(): void {
    if (this.stretch.peek().moreAfter && this.busy.peek() === null) void this.catchUp();
  }

  /** What lies after the last line whose place is known. */
  async catchUp(): Promise<void> {
    const at = lastPlaced(this.stretch.peek().lines);
    this.busy.value = 'after';
    if (at === undefined) await this.toEnd();
    else await this.#load({ after: at }, (page) => append(this.stretch.peek(), page));
  }

  #receive(message: Batch): void {
    if (message.gap === 'console' || message.gap === 'all') return void this.catchUp();
    if (this.state.peek() !== 'ready') return;
    const wanted = (line: ConsoleLine) =>
      (this.streams === '' || line.stream === (this.streams === 'stdout' ? 1 : 2)) &&
      (this.find === '' || line.text.toLowerCase().includes(this.find.toLowerCase()));
    const own = message.console.filter((line) => line.run === this.run && wanted(line));
    if (own.length === 0) return;
    const stretch = this.stretch.peek();
    if (this.find === '' && !stretch.moreAfter && leavesHole(stretch, own)) void this.catchUp();
    else this.stretch.value = appendLive(stretch, own);
  }

  close(): void {
    this.#request?.abort();
    watch(this, undefined);
    for (const stop of this.#stop) stop();
  }
}

export function ConsoleTab({ data, detail }: TabProps) {
  const find = useParam('q');
  const streams = useParam('stream');
  const at = useParam('at');
  const wrap = useParam('wrap');
  const held = useSignal<ConsoleData | null>(null);
  const typed = useSignal(find.peek());
  const input = useRef<HTMLInputElement>(null);
  const timer = useRef<number | undefined>(undefined);
  const chosen: Streams = streams.value === 'stdout' || streams.value === 'stderr' ? streams.value : '';
  useEffect(() => {
    const made = new ConsoleData(data.id, find.value, chosen, at.peek());
    held.value = made;
    return () => made.close();
  }, [data.id, find.value, chosen, at.value]);
  // A link, or a press on a found line, changes what is looked for too.
  const own = useRef(find.peek());
  useEffect(() => {
    // What was typed here may have gone on meanwhile.
    if (find.value === own.current) return;
    own.current = find.value;
    clearTimeout(timer.current);
    typed.value = find.value;
  }, [find.value]);
  useShortcuts(() => [
    { keys: '/', does: 'Find in the console', group: 'Console', run: () => input.current?.focus() },
  ]);
  const live = detail.value.run.status === 'running';
  const type = (text: string) => {
    typed.value = text;
    clearTimeout(timer.current);
    timer.current = window.setTimeout(() => {
      own.current = text;
      setParams({ q: text, at: null });
    }, 150);
  };
  return (
    <div class="console">
      <div class="console-bar" role="toolbar" aria-label="Console">
        <label class="field console-find">
          <Icon name="search" />
          <input
            ref={input}
            type="search"
            aria-label="Show only lines with this text"
            placeholder="Show only lines with …"
            spellcheck={false}
            value={typed.value}
            onInput={(event) => type(event.currentTarget.value)}
            onKeyDown={(event) => {
              if (event.key === 'Escape') {
                type('');
                input.current?.blur();
              }
            }}
          />
        </label>
        <div class="segments" role="radiogroup" aria-label="Stream">
          {(['', 'stdout', 'stderr'] as const).map((name) => (
            <button
              key={name}
              type="button"
              role="radio"
              aria-checked={chosen === name}
              onClick={() => setParams({ stream: name, at: null })}
            >
              {name === '' ? 'All' : name}
            </button>
          ))}
        </div>
        <button
          type="button"
          class="button bare"
          aria-pressed={wrap.value === '1'}
          onClick={() => setParams({ wrap: wrap.value === '1' ? null : '1' })}
        >
          Wrap
        </button>
        <span class="grow" />
        {held.value && <Count data={held.value} />}
      </div>
      {held.value && (
        <Lines
          key={`${held.value.find}\0${held.value.streams}\0${at.value}`}
          data={held.value}
          live={live}
          wrap={wrap.value === '1'}
          startedAt={detail.value.run.started_at}
          target={at.value}
        />
      )}
    </div>
  );
}

function Count({ data }: { data: ConsoleData }) {
  const { lines, total } = data.stretch.value;
  if (data.state.value !== 'ready') return null;
  return (
    <span class="quiet small" role="status">
      {data.find !== ''
        ? `${lines.length.toLocaleString()}${data.stretch.value.moreBefore ? '+' : ''} lines found`
        : `${total.toLocaleString()} lines`}
    </span>
  );
}

interface LinesProps {
  data: ConsoleData;
  live: boolean;
  wrap: boolean;
  startedAt: number | null;
  target: string;
}

function Lines({ data, live, wrap, startedAt, target }: LinesProps) {
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
export function clockOf(seconds: number): string {
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
