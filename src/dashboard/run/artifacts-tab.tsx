// biome-ignore-all lint/a11y/useSemanticElements: a list of choices with more than text in each
/** What the run kept: each artifact with its versions, and a look at it. */
import type { Artifact } from '../../protocol/api.ts';
import { formatBytes } from '../format/numbers.ts';
import { formatAge, formatTime } from '../format/times.ts';
import { Command, CopyButton } from '../parts/copy-button.tsx';
import { Icon } from '../parts/icon.tsx';
import { Empty } from '../parts/states.tsx';
import { now, useClock } from '../shell/clock.ts';
import { ArtifactView } from './artifact-view.tsx';
import { Path } from './code-tab.tsx';
import { quoteWord } from './overview-tab.tsx';
import type { TabProps } from './run-page.tsx';
import { setParams, useParam } from './url-state.ts';

export function ArtifactsTab({ data, detail }: TabProps) {
  const chosen = useParam('artifact');
  const version = useParam('version');
  const path = useParam('path');
  useClock(60);
  const byName = Map.groupBy(detail.value.artifacts, (artifact) => artifact.name);
  const names = [...byName.keys()].sort((a, b) => (a < b ? -1 : 1));
  const live = detail.value.run.status === 'running';
  if (names.length === 0) {
    return (
      <Empty title={live ? 'No artifacts yet' : 'No artifacts were kept'} icon="archive">
        <p>Models, tables, pictures: any file or folder that the job logs.</p>
        <Command text={'run.log_artifact("model", "checkpoints/last.pt")'} />
      </Empty>
    );
  }
  const name = byName.has(chosen.value) ? chosen.value : (names[0] ?? '');
  const versions = (byName.get(name) ?? []).toReversed();
  const shown =
    versions.find((one) => one.sha256.startsWith(version.value) && version.value !== '') ?? versions[0];
  const step = (by: number) => (event: KeyboardEvent) => {
    const next = names[names.indexOf(name) + by];
    if (next === undefined) return;
    event.preventDefault();
    setParams({ artifact: next, version: null, path: null });
  };
  return (
    <div class={`artifacts${chosen.value === '' ? '' : ' chosen'}`}>
      <div
        class="artifact-list"
        role="listbox"
        tabIndex={0}
        aria-label="Artifacts"
        aria-activedescendant={`artifact-${names.indexOf(name)}`}
        onKeyDown={(event) => {
          if (event.key === 'ArrowDown') step(1)(event);
          if (event.key === 'ArrowUp') step(-1)(event);
        }}
      >
        {names.map((one, index) => {
          const list = byName.get(one) ?? [];
          const newest = list.at(-1);
          return (
            <div
              key={one}
              id={`artifact-${index}`}
              role="option"
              aria-selected={one === name}
              tabIndex={-1}
              class="artifact-row"
              onClick={() => setParams({ artifact: one, version: null, path: null })}
              onKeyDown={() => {}}
            >
              <Icon name={newest?.type === 'folder' ? 'archive' : 'file'} />
              <span class="artifact-name">
                <Path path={one} />
                <span class="quiet small">
                  {[
                    newest?.size == null ? '' : formatBytes(newest.size),
                    newest?.kind ?? '',
                    list.length > 1 ? `${list.length} versions` : '',
                  ]
                    .filter((part) => part !== '')
                    .join(' · ')}
                </span>
              </span>
            </div>
          );
        })}
      </div>
      {shown && (
        <div class="artifact-main">
          <header class="artifact-head">
            <button
              type="button"
              class="button bare narrow-only"
              onClick={() => setParams({ artifact: null, version: null, path: null })}
            >
              All artifacts
            </button>
            <h2 class="clip" title={name}>
              {name}
            </h2>
            {versions.length > 1 && (
              <label class="select">
                <span class="sr-only">Version</span>
                <select
                  value={shown.sha256}
                  onChange={(event) =>
                    setParams({ version: event.currentTarget.value.slice(0, 12), path: null })
                  }
                >
                  {versions.map((one, index) => (
                    <option key={`${one.sha256} ${one.created_at}`} value={one.sha256}>
                      Version {versions.length - index}
                      {index === 0 ? ' (newest)' : ''}, {formatAge(one.created_at, now.value)}
                    </option>
                  ))}
                </select>
              </label>
            )}
            <span class="grow" />
            {shown.type === 'file' && (
              <a class="button" href={downloadOf(shown)} download>
                <Icon name="download" /> Download
              </a>
            )}
          </header>
          <div class="artifact-facts quiet small">
            {shown.size !== null && <span title={`${shown.size} bytes`}>{formatBytes(shown.size)}</span>}
            {shown.files !== null && <span>{shown.files} files</span>}
            {shown.kind !== null && <span>{shown.kind}</span>}
            <span title={formatTime(shown.created_at)}>{formatTime(shown.created_at)}</span>
            <span class="fact">
              <code title={`SHA-256 ${shown.sha256}`}>{shown.sha256.slice(0, 12)}</code>
              <CopyButton text={shown.sha256} label="Copy the SHA-256" />
            </span>
            <span class="fact">
              <code>waddle get</code>
              <CopyButton
                text={`waddle get ${data.id} ${quoteWord(name)}`}
                label="Copy the command that fetches it"
              />
            </span>
          </div>
          <ArtifactView key={`${shown.sha256} ${path.value}`} artifact={shown} path={path.value} />
        </div>
      )}
    </div>
  );
}

export const downloadOf = (artifact: Pick<Artifact, 'uri'>): string => {
  const url = new URL(artifact.uri, location.origin);
  url.searchParams.set('download', 'true');
  return url.pathname + url.search;
};
