/** The code that ran: which commit, what differed from it, what was left out, and the difference itself. */
import { useSignal } from '@preact/signals';
import type { ComponentChildren } from 'preact';
import { useEffect } from 'preact/hooks';
import type { CodeFiles, RunRow } from '../../protocol/api.ts';
import { type ApiFailure, asFailure, getJson, isAbort } from '../api/client.ts';
import { formatBytes } from '../format/numbers.ts';
import { CopyButton } from '../parts/copy-button.tsx';
import { Icon } from '../parts/icon.tsx';
import { MenuButton, MenuItem } from '../parts/popover.tsx';
import { Empty, Failed, Outline } from '../parts/states.tsx';
import { DiffPanel } from './patch-view.tsx';
import type { TabProps } from './run-page.tsx';
import { RunPicker } from './run-picker.tsx';
import { setParams, useParam } from './url-state.ts';

/** Longer lists are cut: the patch has them all. */
const MANY = 200;

export function CodeTab({ data, detail }: TabProps) {
  const files = useSignal<CodeFiles | null>(null);
  const failure = useSignal<ApiFailure | null>(null);
  const other = useSignal<RunRow | null>(null);
  const against = useParam('against');
  const file = useParam('file');
  const { run, snapshot } = detail.value;
  const load = (signal?: AbortSignal) => {
    failure.value = null;
    getJson<CodeFiles>(`/api/runs/${encodeURIComponent(data.id)}/files`, undefined, signal).then(
      (answer) => {
        files.value = answer;
      },
      (error: unknown) => {
        if (!isAbort(error)) failure.value = asFailure(error);
      },
    );
  };
  const drift = detail.value.drift?.length ?? 0;
  useEffect(() => {
    const request = new AbortController();
    load(request.signal);
    return () => request.abort();
  }, [data.id, drift, run.status]);
  if (failure.value !== null) return <Failed failure={failure.value} retry={() => load()} />;
  const code = files.value;
  if (code === null) return <Outline lines={8} />;
  if (snapshot === null || (code.tree === null && code.base === null)) {
    return (
      <Empty title="No code was recorded" icon="bookmark">
        <p>
          {code.commit === null
            ? 'The run was started without a snapshot, or there was nothing to take one of.'
            : `Only its commit is known: ${code.commit}`}
        </p>
      </Empty>
    );
  }
  const target = against.value === '' ? 'head' : against.value;
  const name =
    target === 'head' ? 'its commit' : other.value?.id === target ? other.value.name : `run ${target}`;
  return (
    <div class="code-tab">
      <div class="code-side">
        <dl class="facts">
          {code.commit !== null && <Hash name="Commit" value={code.commit} />}
          {code.base !== null && code.base !== code.commit && <Hash name="Began from" value={code.base} />}
          {code.tree !== null && <Hash name="Tree" value={code.tree} />}
          {code.branch !== null && (
            <>
              <dt>Branch</dt>
              <dd>{code.branch}</dd>
            </>
          )}
          {code.state !== null && code.state !== 'normal' && (
            <>
              <dt>State</dt>
              <dd>{code.state}</dd>
            </>
          )}
        </dl>
        {code.incomplete && (
          <p class="callout">
            <b>Not all of it could be kept.</b> The run may not be repeatable from its snapshot alone.
          </p>
        )}
        <FileList title="Changed files" count={code.changed_count} open>
          {code.changed.slice(0, MANY).map((one) => (
            <li key={one.path}>
              <button
                type="button"
                class="file-row"
                aria-pressed={file.value === one.path}
                onClick={() => setParams({ file: one.path })}
              >
                <span class={`change ${changeName(one.status)}`} title={changeName(one.status)}>
                  {one.status.charAt(0) === '?' ? 'A' : one.status.charAt(0)}
                </span>
                <Path path={one.path} />
              </button>
            </li>
          ))}
          {code.changed_count > Math.min(MANY, code.changed.length) && (
            <li class="quiet small">and {code.changed_count - Math.min(MANY, code.changed.length)} more</li>
          )}
        </FileList>
        <FileList title="Changed while it ran" count={code.drift.length} open>
          {code.drift.slice(0, MANY).map((one) => (
            <li key={one.path} class="file-row">
              <Path path={one.path} />
              <span class="quiet small">{one.change}</span>
            </li>
          ))}
        </FileList>
        <FileList title="Left out" count={code.left_out.length} open={code.left_out.length < 20}>
          {code.left_out.slice(0, MANY).map((one) => (
            <li key={one.path} class="file-row">
              <Path path={one.path} />
              <span class="quiet small">
                {one.reason.replaceAll(/[_-]/g, ' ')}
                {one.size === null ? '' : `, ${formatBytes(one.size)}`}
              </span>
            </li>
          ))}
        </FileList>
        <FileList title="Nested repositories" count={code.nested.length} open>
          {code.nested.map((one) => (
            <li key={one.path} class="file-row">
              <Path path={one.path} />
              <code class="quiet">{one.tree.slice(0, 10)}</code>
            </li>
          ))}
        </FileList>
      </div>
      <div class="code-main">
        <div class="code-against">
          <span class="quiet">Against</span>
          <MenuButton
            label={`Choose what to compare with: ${name}`}
            class="button"
            wide
            text={
              <>
                <span class="clip">{name}</span>
                <Icon name="down" />
              </>
            }
          >
            {(close) => (
              <>
                <MenuItem
                  icon="bookmark"
                  hint={code.base?.slice(0, 10) ?? ''}
                  onPick={() => {
                    setParams({ against: null, file: null });
                    close();
                  }}
                >
                  The commit it began from
                </MenuItem>
                <div class="menu-rule" />
                <RunPicker
                  label="Another run"
                  without={run.id}
                  onPick={(picked) => {
                    other.value = picked;
                    setParams({ against: picked.id, file: null });
                    close();
                  }}
                />
              </>
            )}
          </MenuButton>
        </div>
        <DiffPanel
          key={`${run.id} ${target}`}
          run={run.id}
          against={target}
          scrollTo={file.value}
          same={target === 'head' ? 'The code was exactly its commit' : 'Both ran the same code'}
        />
      </div>
    </div>
  );
}

const changeName = (status: string): 'added' | 'removed' | 'renamed' | 'changed' =>
  /^[A?]/.test(status)
    ? 'added'
    : status.startsWith('D')
      ? 'removed'
      : /^[RC]/.test(status)
        ? 'renamed'
        : 'changed';

function Hash({ name, value }: { name: string; value: string }) {
  return (
    <>
      <dt>{name}</dt>
      <dd class="hash">
        <code title={value}>{value.slice(0, 12)}</code>
        <CopyButton text={value} label={`Copy ${name.toLowerCase()}`} />
      </dd>
    </>
  );
}

/** The end of a path says more than its beginning, so the folder gives way first. */
export function Path({ path }: { path: string }) {
  const slash = path.lastIndexOf('/');
  return (
    <span class="path" title={path}>
      {slash >= 0 && <span class="path-folder">{path.slice(0, slash)}</span>}
      <span class="path-name">{slash >= 0 ? path.slice(slash) : path}</span>
    </span>
  );
}

function FileList(props: { title: string; count: number; open: boolean; children: ComponentChildren }) {
  if (props.count === 0) return null;
  return (
    <details class="fold" open={props.open}>
      <summary>
        <Icon name="chevron" /> {props.title} <span class="quiet small">{props.count}</span>
      </summary>
      <ul class="file-list">{props.children}</ul>
    </details>
  );
}
