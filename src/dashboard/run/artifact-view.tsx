// biome-ignore-all lint/a11y/noNoninteractiveTabindex: what scrolls has to be reachable by keyboard
// biome-ignore-all lint/a11y/useSemanticElements: a scrolling region
/**
 * A look at an artifact. Its bytes are a stranger's: pictures and sounds are shown as such, text as text, and a page only
 * in a frame that may do nothing.
 */
import { useSignal } from '@preact/signals';
import { useEffect, useMemo } from 'preact/hooks';
import type { Artifact, FolderListing } from '../../protocol/api.ts';
import { ApiFailure, asFailure, getJson, isAbort, readFailure } from '../api/client.ts';
import { formatBytes } from '../format/numbers.ts';
import { Icon } from '../parts/icon.tsx';
import { Failed, Outline } from '../parts/states.tsx';
import { downloadOf } from './artifacts-tab.tsx';
import { Path } from './code-tab.tsx';
import { DelimitedTable } from './delimited-view.tsx';
import { type Look, lookOfFile } from './file-look.ts';
import { JsonNode } from './json-view.tsx';
import { Markdown } from './markdown-view.tsx';
import { TextLines } from './text-view.tsx';
import { setParams } from './url-state.ts';
import { parseExact } from './values.ts';

/** Of text only so much is read for a look. Bytes. */
const LOOK = 2 * 1024 * 1024;

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
  if (look === 'table') return <DelimitedTable text={text} cut={cut} name={name} />;
  if (value === undefined) return <TextLines text={text} />;
  return (
    <div class="preview json" tabIndex={0} role="region" aria-label={`Content of ${name}`}>
      <JsonNode name={null} value={value.json} depth={0} />
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
