// biome-ignore-all lint/a11y/noNoninteractiveTabindex: what scrolls has to be reachable by keyboard
// biome-ignore-all lint/a11y/useSemanticElements: a scrolling region
/** A patch, file by file, of which only the rows in view exist. */
import { useSignal } from '@preact/signals';
import { useEffect, useMemo, useRef } from 'preact/hooks';
import type { Diff } from '../../protocol/api.ts';
import { type ApiFailure, asFailure, getJson, isAbort } from '../api/client.ts';
import { CopyButton } from '../parts/copy-button.tsx';
import { Icon } from '../parts/icon.tsx';
import { Empty, Failed, Outline } from '../parts/states.tsx';
import { useVirtual } from '../parts/virtual.ts';
import { columnsOf } from './ansi.ts';
import { type PatchFile, type PatchLine, readPatch } from './patch.ts';

type Row =
  | { kind: 'file'; file: PatchFile; index: number; folded: boolean }
  | { kind: 'hunk'; text: string }
  | { kind: 'line'; line: PatchLine }
  | { kind: 'note'; text: string }
  | { kind: 'gap' };

const HEIGHTS: Record<Row['kind'], number> = { file: 36, hunk: 24, line: 19, note: 24, gap: 12 };

const CHANGES = { added: 'Added', removed: 'Removed', renamed: 'Renamed', changed: 'Changed' } as const;
const MARKS = { added: 'A', removed: 'D', renamed: 'R', changed: 'M' } as const;

/** The rows of a patch; folded files are their heads alone. Pure. */
export function patchRows(files: readonly PatchFile[], folded: ReadonlySet<number>): Row[] {
  return files.flatMap((file, index): Row[] => {
    const head: Row = { kind: 'file', file, index, folded: folded.has(index) };
    if (folded.has(index)) return [head, { kind: 'gap' }];
    const notes = file.notes.map((text): Row => ({ kind: 'note', text }));
    if (file.binary) notes.push({ kind: 'note', text: 'Binary: its content is not shown' });
    const hunks = file.hunks.flatMap((hunk): Row[] => [
      { kind: 'hunk', text: `${hunk.range}  ${hunk.within}` },
      ...hunk.lines.map((line): Row => ({ kind: 'line', line })),
    ]);
    return [head, ...notes, ...hunks, { kind: 'gap' }];
  });
}

/** The patch of a run against its commit (`head`) or another run, asked for as it is shown. */
export function DiffPanel(props: {
  run: string;
  against: string;
  /** What is said where nothing differs. */
  same: string;
  scrollTo?: string;
}) {
  const diff = useSignal<Diff | null>(null);
  const failure = useSignal<ApiFailure | null>(null);
  const again = useSignal(0);
  const { run, against } = props;
  useEffect(() => {
    const request = new AbortController();
    diff.value = null;
    failure.value = null;
    getJson<Diff>(`/api/runs/${encodeURIComponent(run)}/diff`, { against }, request.signal).then(
      (answer) => {
        diff.value = answer;
      },
      (error: unknown) => {
        if (!isAbort(error)) failure.value = asFailure(error);
      },
    );
    return () => request.abort();
  }, [run, against, again.value]);
  const files = useMemo(() => (diff.value === null ? [] : readPatch(diff.value.patch)), [diff.value]);
  if (failure.value !== null) return <Failed failure={failure.value} retry={() => void again.value++} />;
  if (diff.value === null) return <Outline lines={10} />;
  if (files.length === 0) {
    return diff.value.patch.trim() === '' ? (
      <Empty title={props.same} icon="check" />
    ) : (
      <pre class="plain-patch">{diff.value.patch.slice(0, 200_000)}</pre>
    );
  }
  return (
    <PatchView
      files={files}
      truncated={diff.value.truncated}
      patch={diff.value.patch}
      {...(props.scrollTo === undefined ? {} : { scrollTo: props.scrollTo })}
    />
  );
}

function PatchView(props: {
  files: readonly PatchFile[];
  truncated: boolean;
  patch: string;
  scrollTo?: string;
}) {
  const { files } = props;
  const folded = useSignal<ReadonlySet<number>>(new Set());
  const scroller = useRef<HTMLDivElement>(null);
  const rows = useMemo(() => patchRows(files, folded.value), [files, folded.value]);
  const widest = useMemo(
    () =>
      Math.min(
        5000,
        rows.reduce(
          (most, row) => (row.kind === 'line' ? Math.max(most, columnsOf(row.line.text)) : most),
          0,
        ),
      ),
    [rows],
  );
  const virtual = useVirtual({
    count: rows.length,
    size: (index) => HEIGHTS[rows[index]?.kind ?? 'line'],
    keyOf: (index) => index,
    scroller,
    overscan: 20,
    layout: rows,
  });
  useEffect(() => {
    if (props.scrollTo === undefined || props.scrollTo === '') return;
    let top = 0;
    for (const row of rows) {
      if (row.kind === 'file' && row.file.path === props.scrollTo) {
        if (scroller.current) scroller.current.scrollTop = top;
        return;
      }
      top += HEIGHTS[row.kind];
    }
  }, [props.scrollTo]);
  const toggle = (index: number) => {
    const next = new Set(folded.peek());
    if (!next.delete(index)) next.add(index);
    folded.value = next;
  };
  const [added, removed] = [sum(files, 'added'), sum(files, 'removed')];
  const allFolded = folded.value.size === files.length;
  return (
    <div class="patch-frame">
      <div class="patch-bar">
        <span>
          {files.length} {files.length === 1 ? 'file' : 'files'}
        </span>
        <Counts added={added} removed={removed} />
        {props.truncated && <span class="chip">cut: it is longer than 5 MB</span>}
        <span class="grow" />
        <button
          type="button"
          class="button bare"
          onClick={() => {
            folded.value = allFolded ? new Set() : new Set(files.keys());
          }}
        >
          {allFolded ? 'Unfold all' : 'Fold all'}
        </button>
        <CopyButton text={props.patch} label="Copy the patch" />
      </div>
      <div class="patch" ref={scroller} tabIndex={0} role="region" aria-label="Changes to the code">
        <div
          class="patch-inner"
          style={{ height: `${virtual.total}px`, minWidth: `calc(${widest}ch + 120px)` }}
        >
          {virtual.items.map((item) => {
            const row = rows[item.index];
            if (row === undefined) return null;
            return (
              <div
                key={item.key}
                class={`patch-row ${row.kind}${row.kind === 'line' ? ` ${row.line.kind}` : ''}`}
                style={{ transform: `translateY(${item.start}px)`, height: `${item.size}px` }}
              >
                <RowContent row={row} toggle={toggle} />
              </div>
            );
          })}
        </div>
      </div>
    </div>
  );
}

function RowContent({ row, toggle }: { row: Row; toggle: (index: number) => void }) {
  if (row.kind === 'gap') return null;
  if (row.kind === 'hunk' || row.kind === 'note') return <span class="patch-within">{row.text}</span>;
  if (row.kind === 'line') return <Line line={row.line} />;
  const { file } = row;
  return (
    <div class="patch-file">
      <button type="button" aria-expanded={!row.folded} onClick={() => toggle(row.index)}>
        <Icon name={row.folded ? 'chevron' : 'down'} />
        <span class={`change ${file.change}`} title={CHANGES[file.change]}>
          {MARKS[file.change]}
        </span>
        <span class="mono clip">
          {file.from === null ? '' : `${file.from} → `}
          {file.path}
        </span>
      </button>
      <Counts added={file.added} removed={file.removed} />
      <CopyButton text={file.path} label="Copy the path" />
    </div>
  );
}

const SIGNS = { same: ' ', added: '+', removed: '−', note: '' } as const;

function Line({ line }: { line: PatchLine }) {
  const { text, change } = line;
  return (
    <>
      <span class="patch-number" aria-hidden="true">
        {line.old ?? ''}
      </span>
      <span class="patch-number" aria-hidden="true">
        {line.new ?? ''}
      </span>
      <span class="patch-sign">{SIGNS[line.kind]}</span>
      <span class="patch-text">
        {change === null ? (
          text
        ) : (
          <>
            {text.slice(0, change[0])}
            <em>{text.slice(...change)}</em>
            {text.slice(change[1])}
          </>
        )}
      </span>
    </>
  );
}

export function Counts({ added, removed }: { added: number; removed: number }) {
  return (
    <span class="counts">
      {added > 0 && (
        <span class="added">
          +{added}
          <span class="sr-only"> lines added</span>
        </span>
      )}
      {removed > 0 && (
        <span class="removed">
          −{removed}
          <span class="sr-only"> lines removed</span>
        </span>
      )}
    </span>
  );
}

const sum = (files: readonly PatchFile[], name: 'added' | 'removed'): number =>
  files.reduce((total, file) => total + file[name], 0);
