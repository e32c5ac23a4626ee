// biome-ignore-all lint/a11y/noNoninteractiveTabindex: what scrolls has to be reachable by keyboard
// biome-ignore-all lint/a11y/useSemanticElements: a virtual table is made of positioned boxes, with the roles of a table
// biome-ignore-all lint/a11y/useFocusableInteractive: nothing in that table is pressed
/**
 * A look at an artifact. Its bytes are a stranger's: pictures and sounds are shown as such, text as text, and a page only
 * in a frame that may do nothing.
 */
import { useSignal } from '@preact/signals';
import { useEffect, useMemo, useRef } from 'preact/hooks';
import type { Artifact, FolderListing } from '../../protocol/api.ts';
import { ApiFailure, asFailure, getJson, isAbort, readFailure } from '../api/client.ts';
import { formatBytes } from '../format/numbers.ts';
import { Icon } from '../parts/icon.tsx';
import { Failed, Outline } from '../parts/states.tsx';
import { useVirtual } from '../parts/virtual.ts';
import { columnsOf } from './ansi.ts';
import { downloadOf } from './artifacts-tab.tsx';
import { Path } from './code-tab.tsx';
import { readDelimited, separatorOf } from './delimited.ts';
import { Markdown } from './markdown-view.tsx';
import { setParams } from './url-state.ts';
import { formatValue, isObject, parseExact } from './values.ts';

/** Of text only so much is read for a look. Bytes. */
const LOOK = 2 * 1024 * 1024;
const MAX_ROWS = 20_000;

export type Look = 'image' | 'audio' | 'video' | 'json' | 'table' | 'markdown' | 'page' | 'text' | 'none';

const BY_NAME: readonly [endings: RegExp, look: Look][] = [
  [/\.(png|jpe?g|gif|webp|avif|bmp|ico|svg)$/i, 'image'],
  [/\.(mp3|wav|ogg|flac|m4a)$/i, 'audio'],
  [/\.(mp4|webm|mov)$/i, 'video'],
  [/\.(json|ipynb|geojson)$/i, 'json'],
  [/\.(csv|tsv)$/i, 'table'],
  [/\.(md|markdown)$/i, 'markdown'],
  [/\.html?$/i, 'page'],
  [
    /\.(txt|log|jsonl|ya?ml|toml|ini|cfg|conf|py|ts|tsx|js|sh|rs|c|h|cpp|xml|sql|r|tex|rst|diff|patch)$/i,
    'text',
  ],
];

/** How a file is looked at: by its name, else by the type that the job gave. Pure. */
export function lookOfFile(name: string, mime: string | null): Look {
  const known = BY_NAME.find(([endings]) => endings.test(name));
  if (known) return known[1];
  const type = mime?.split(';')[0]?.trim().toLowerCase() ?? '';
  if (/^image\/(png|jpeg|gif|webp|avif|bmp|svg\+xml)$/.test(type)) return 'image';
  if (type.startsWith('audio/')) return 'audio';
  if (type.startsWith('video/')) return 'video';
  if (type === 'application/json') return 'json';
  if (type === 'text/csv' || type === 'text/tab-separated-values') return 'table';
  if (type === 'text/markdown') return 'markdown';
  if (type === 'text/html') return 'page';
  return type.startsWith('text/') ? 'text' : 'none';
}

export function ArtifactView({ artifact, path }: { artifact: Artifact; path: string }) {
  if (artifact.type === 'folder') return <Folder artifact={artifact} path={path} />;
  return <FileView uri={artifact.uri} name={artifact.name} mime={artifact.mime} size={artifact.size} />;
}

function FileView(props: { uri: string; name: string; mime: string | null; size: number | null }) {
  const { uri, name, size } = props;
  const look = lookOfFile(name, props.mime);
  if (look === 'image') return <Picture uri={uri} name={name} />;
  if (look === 'audio') {
    return (
      <div class="preview center">
        {/* biome-ignore lint/a11y/useMediaCaption: what a job made has none */}
        <audio controls preload="metadata" src={uri} aria-label={name} />
      </div>
    );
  }
  if (look === 'video') {
    return (
      <div class="preview center">
        {/* biome-ignore lint/a11y/useMediaCaption: what a job made has none */}
        <video controls preload="metadata" src={uri} aria-label={name} />
      </div>
    );
  }
  if (look === 'page')
    return <iframe class="preview-page" sandbox="" src={uri} title={name} loading="lazy" />;
  if (look === 'none') {
    return (
      <div class="preview center">
        <p class="quiet">There is no preview of this kind of file.</p>
        <a class="button" href={downloadOf({ uri })} download>
          <Icon name="download" /> Download{size === null ? '' : ` ${formatBytes(size)}`}
        </a>
      </div>
    );
  }
  return <TextFile uri={uri} name={name} look={look} size={size} />;
}

function Picture({ uri, name }: { uri: string; name: string }) {
  const large = useSignal(false);
  const shape = useSignal('');
  const failed = useSignal(false);
  if (failed.value) return <p class="nothing preview">The picture cannot be shown.</p>;
  return (
    <div class={`preview picture${large.value ? ' large' : ''}`}>
      <button
        type="button"
        class="picture-button"
        aria-label={large.value ? `Fit ${name} to the page` : `Show ${name} in full size`}
        onClick={() => {
          large.value = !large.value;
        }}
      >
        <img
          src={uri}
          alt={name}
          onLoad={(event) => {
            const { naturalWidth, naturalHeight } = event.currentTarget;
            shape.value = naturalWidth > 0 ? `${naturalWidth} × ${naturalHeight}` : '';
          }}
          onError={() => {
            failed.value = true;
          }}
        />
      </button>
      <p class="quiet small">{shape.value || '\u00a0'}</p>
    </div>
  );
}

/** The first bytes of a file as text. */
async function readStart(uri: string, signal: AbortSignal): Promise<{ text: string; cut: boolean }> {
  let response: Response;
  try {
    response = await fetch(uri, { signal, headers: { range: `bytes=0-${LOOK - 1}` } });
  } catch (error) {
    if (isAbort(error)) throw error;
    throw new ApiFailure('unreachable', 'the server does not answer', 'is `waddle serve` still running?', 0);
  }
  if (response.status === 416) return { text: '', cut: false }; // empty
  if (!response.ok) throw await readFailure(response);
  const text = await response.text();
  const total = Number(response.headers.get('content-range')?.split('/')[1] ?? Number.NaN);
  return { text, cut: total > LOOK };
}

function TextFile(props: { uri: string; name: string; look: Look; size: number | null }) {
  const found = useSignal<{ text: string; cut: boolean } | null>(null);
  const failure = useSignal<ApiFailure | null>(null);
  const plain = useSignal(false);
  const again = useSignal(0);
  useEffect(() => {
    const request = new AbortController();
    failure.value = null;
    readStart(props.uri, request.signal).then(
      (answer) => {
        found.value = answer;
      },
      (error: unknown) => {
        if (!isAbort(error)) failure.value = asFailure(error);
      },
    );
    return () => request.abort();
  }, [props.uri, again.value]);
  if (failure.value !== null) return <Failed failure={failure.value} retry={() => void again.value++} />;
  if (found.value === null) return <Outline lines={8} />;
  const { text, cut } = found.value;
  return (
    <>
      {(cut || props.look !== 'text') && (
        <div class="preview-bar">
          {props.look !== 'text' && (
            <div class="segments" role="radiogroup" aria-label="How to show it">
              {[false, true].map((raw) => (
                <button
                  key={String(raw)}
                  type="button"
                  role="radio"
                  aria-checked={plain.value === raw}
                  onClick={() => {
                    plain.value = raw;
                  }}
                >
                  {raw ? 'Text' : { json: 'Tree', table: 'Table', markdown: 'Read' }[props.look as 'json']}
                </button>
              ))}
            </div>
          )}
          {cut && (
            <span class="quiet small">
              The first {formatBytes(LOOK)}
              {props.size === null ? '' : ` of ${formatBytes(props.size)}`}
            </span>
          )}
        </div>
      )}
      {text === '' ? (
        <p class="nothing preview">The file is empty.</p>
      ) : plain.value || props.look === 'text' ? (
        <TextLines text={text} />
      ) : (
        <Read text={text} cut={cut} look={props.look} name={props.name} />
      )}
    </>
  );
}

function Read({ text, cut, look, name }: { text: string; cut: boolean; look: Look; name: string }) {
  const value = useMemo(() => {
    if (look !== 'json' || cut) return undefined;
    try {
      return { json: parseExact(text) };
    } catch {
      return undefined;
    }
  }, [text]);
  if (look === 'markdown') {
    return (
      <div class="preview reading">
        <Markdown text={text} />
      </div>
    );
  }
  if (look === 'table') return <Table text={text} cut={cut} name={name} />;
  if (value === undefined) return <TextLines text={text} />;
  return (
    <div class="preview json" tabIndex={0} role="region" aria-label={`Content of ${name}`}>
      <JsonNode name={null} value={value.json} depth={0} />
    </div>
  );
}

const MANY = 500;

function JsonNode({ name, value, depth }: { name: string | null; value: unknown; depth: number }) {
  const open = useSignal(depth < 2);
  const list = Array.isArray(value);
  const entries: [string, unknown][] = list
    ? value.slice(0, MANY).map((child, index): [string, unknown] => [String(index), child])
    : isObject(value)
      ? Object.entries(value).slice(0, MANY)
      : [];
  const count = list ? value.length : isObject(value) ? Object.keys(value).length : 0;
  const label = name === null ? '' : name;
  if (count === 0) {
    const kind = value === null ? 'null' : list || isObject(value) ? 'empty' : typeof value;
    const text =
      typeof value === 'string'
        ? JSON.stringify(value)
        : list
          ? '[]'
          : isObject(value)
            ? '{}'
            : formatValue(value);
    return (
      <div class="json-leaf">
        {name !== null && <span class="json-key">{label}</span>}
        <span class={`json-${kind}`}>{text}</span>
      </div>
    );
  }
  return (
    <div class="json-branch">
      <button
        type="button"
        aria-expanded={open.value}
        onClick={() => {
          open.value = !open.value;
        }}
      >
        <Icon name={open.value ? 'down' : 'chevron'} />
        {name !== null && <span class="json-key">{label}</span>}
        <span class="quiet small">{list ? `${count} items` : `${count} keys`}</span>
      </button>
      {open.value && (
        <div class="json-children">
          {entries.map(([key, child]) => (
            <JsonNode key={key} name={key} value={child} depth={depth + 1} />
          ))}
          {count > MANY && <div class="quiet small json-leaf">and {count - MANY} more</div>}
        </div>
      )}
    </div>
  );
}

const LINE = 18;

/** Text of any length: only the lines in view exist. */
function TextLines({ text }: { text: string }) {
  const scroller = useRef<HTMLDivElement>(null);
  const lines = useMemo(() => {
    const all = text.replaceAll('\r\n', '\n').split('\n');
    if (all.at(-1) === '') all.pop();
    return all.map((line) => (line.length > 20_000 ? `${line.slice(0, 20_000)}…` : line));
  }, [text]);
  const widest = useMemo(() => lines.reduce((most, line) => Math.max(most, columnsOf(line)), 0), [lines]);
  const virtual = useVirtual({
    count: lines.length,
    size: () => LINE,
    keyOf: (index) => index,
    scroller,
    overscan: 20,
    layout: lines,
    before: 8,
  });
  return (
    <div class="text-lines" ref={scroller} tabIndex={0} role="region" aria-label="Content">
      <div style={{ height: `${virtual.total + 8}px`, minWidth: `calc(${widest}ch + 80px)` }}>
        {virtual.items.map((item) => (
          <div key={item.key} class="text-line" style={{ transform: `translateY(${item.start}px)` }}>
            <span class="patch-number" aria-hidden="true">
              {item.index + 1}
            </span>
            <span class="console-text">{lines[item.index]}</span>
          </div>
        ))}
      </div>
    </div>
  );
}

const ROW = 26;
const MAX_COLUMNS = 60;

function Table({ text, cut, name }: { text: string; cut: boolean; name: string }) {
  const scroller = useRef<HTMLDivElement>(null);
  const { head, rows, widths, columns, numeric } = useMemo(() => {
    const all = readDelimited(text, separatorOf(text, name), { maxRows: MAX_ROWS + 1, cut });
    const [first = [], ...rest] = all;
    const count = Math.max(first.length, ...rest.slice(0, 200).map((row) => row.length));
    const list = Array.from({ length: Math.min(count, MAX_COLUMNS) }, (_, index) => index);
    const sample = rest.slice(0, 200);
    const cells = (index: number) => [first, ...sample].map((row) => row[index] ?? '');
    return {
      head: first,
      rows: rest,
      columns: list,
      widths: list.map((index) => Math.min(40, Math.max(6, ...cells(index).map(columnsOf)) + 3)),
      numeric: list.map((index) =>
        sample.every(
          (row) => row[index] === undefined || row[index] === '' || Number.isFinite(Number(row[index])),
        ),
      ),
      count,
    };
  }, [text]);
  const virtual = useVirtual({
    count: rows.length,
    size: () => ROW,
    keyOf: (index) => index,
    scroller,
    overscan: 12,
    layout: rows,
    before: ROW,
  });
  const width = widths.reduce((sum, one) => sum + one, 0);
  const cell = (index: number) => ({ width: `${widths[index] ?? 10}ch` });
  return (
    <div
      class="csv"
      ref={scroller}
      tabIndex={0}
      role="table"
      aria-label={`Table ${name}`}
      aria-rowcount={rows.length + 1}
    >
      <div
        class="csv-inner"
        style={{ height: `${virtual.total}px`, minWidth: `${width + 8}ch` }}
        role="rowgroup"
      >
        <div class="csv-head" role="row">
          <span class="csv-number" role="columnheader">
            <span class="sr-only">Row</span>
          </span>
          {columns.map((index) => (
            <span
              key={index}
              role="columnheader"
              class={`clip${numeric[index] ? ' number' : ''}`}
              style={cell(index)}
              title={head[index]}
            >
              {head[index]}
            </span>
          ))}
        </div>
        {virtual.items.map((item) => (
          <div key={item.key} class="csv-row" role="row" style={{ transform: `translateY(${item.start}px)` }}>
            <span class="csv-number" role="rowheader">
              {item.index + 1}
            </span>
            {columns.map((index) => (
              <span
                key={index}
                role="cell"
                class={`clip${numeric[index] ? ' number' : ''}`}
                style={cell(index)}
                title={rows[item.index]?.[index]}
              >
                {rows[item.index]?.[index]}
              </span>
            ))}
          </div>
        ))}
      </div>
      {rows.length >= MAX_ROWS && (
        <p class="quiet small csv-more">The first {MAX_ROWS.toLocaleString()} rows.</p>
      )}
    </div>
  );
}

function Folder({ artifact, path }: { artifact: Artifact; path: string }) {
  const listing = useSignal<FolderListing | null>(null);
  const failure = useSignal<ApiFailure | null>(null);
  const again = useSignal(0);
  useEffect(() => {
    const request = new AbortController();
    failure.value = null;
    getJson<FolderListing>(artifact.uri, undefined, request.signal).then(
      (answer) => {
        listing.value = answer;
      },
      (error: unknown) => {
        if (!isAbort(error)) failure.value = asFailure(error);
      },
    );
    return () => request.abort();
  }, [artifact.uri, again.value]);
  if (failure.value !== null) return <Failed failure={failure.value} retry={() => void again.value++} />;
  if (listing.value === null) return <Outline lines={6} />;
  const file = listing.value.files.find((one) => one.path === path);
  if (file !== undefined) {
    return (
      <>
        <nav class="crumbs" aria-label="Within the folder">
          <button type="button" class="text-link" onClick={() => setParams({ path: null })}>
            {artifact.name}
          </button>
          <Icon name="chevron" />
          <span class="clip">{file.path}</span>
          <span class="quiet small">{formatBytes(file.size)}</span>
          <a class="icon-button tiny" href={downloadOf(file)} download aria-label={`Download ${file.path}`}>
            <Icon name="download" />
          </a>
        </nav>
        <FileView uri={file.uri} name={file.path} mime={null} size={file.size} />
      </>
    );
  }
  return (
    <ul class="folder-list">
      {listing.value.files.slice(0, 2000).map((one) => (
        <li key={one.path}>
          <button type="button" class="file-row" onClick={() => setParams({ path: one.path })}>
            <Path path={one.path} />
            <span class="quiet small">{formatBytes(one.size)}</span>
          </button>
          <a class="icon-button tiny" href={downloadOf(one)} download aria-label={`Download ${one.path}`}>
            <Icon name="download" />
          </a>
        </li>
      ))}
      {listing.value.files.length > 2000 && (
        <li class="quiet">and {listing.value.files.length - 2000} more</li>
      )}
    </ul>
  );
}
