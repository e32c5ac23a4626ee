/** Two lines that answer: what is this, how did it go, which code, where. */
import { useSignal } from '@preact/signals';
import { useEffect, useLayoutEffect, useRef } from 'preact/hooks';
import type { RunDetail, RunStatus } from '../../protocol/api.ts';
import { formatAge, formatDuration, formatTime } from '../format/times.ts';
import { CopyButton } from '../parts/copy-button.tsx';
import { Icon } from '../parts/icon.tsx';
import { MenuButton, MenuItem } from '../parts/popover.tsx';
import { StatusMark } from '../parts/status-mark.tsx';
import { now, useClock } from '../shell/clock.ts';
import { silentSince } from '../shell/heard.ts';
import { navigate, runHref } from '../shell/router.ts';
import { health, mayEdit } from '../shell/server-info.ts';
import { copyPush } from '../shell/share.ts';
import type { RunData } from './run-data.ts';
import { remove, rename, setArchived, stop } from './run-edits.ts';
import { RunPicker } from './run-picker.tsx';

const DID: Record<RunStatus, string> = {
  running: 'Running for',
  completed: 'Completed after',
  failed: 'Failed after',
  aborted: 'Stopped after',
  crashed: 'Crashed after',
};

export function RunHeader({ data, detail }: { data: RunData; detail: RunDetail }) {
  const { run, snapshot } = detail;
  const live = run.status === 'running';
  useClock(live ? 1 : 30);
  const time = now.value;
  const took = live && run.started_at !== null ? Math.max(0, time - run.started_at) : run.duration;
  const ended = run.ended_at ?? run.started_at;
  const silent = silentSince(run, data.looked.value);
  return (
    <header class="run-head">
      <div class="run-head-line">
        <StatusMark status={run.status} heard={silent} />
        <Name data={data} name={run.name} />
        {run.archived && <span class="chip">archived</span>}
        <span class="grow" />
        {live && mayEdit.value && <StopButton data={data} />}
        <MenuButton
          label="Compare with another run"
          icon="compare"
          class="button bare"
          text={<span class="wide-only">Compare</span>}
          wide
        >
          {(close) => (
            <RunPicker
              label="Compare with"
              without={run.id}
              onPick={(other) => {
                close();
                navigate(`/compare?runs=${run.id},${other.id}`);
              }}
            />
          )}
        </MenuButton>
        {(mayEdit.value || (health.value?.remotes?.length ?? 0) > 0) && (
          <MenuButton label="More for this run" icon="more">
            {(close) => (
              <>
                {health.value?.remotes?.map((remote, index) => (
                  <MenuItem
                    key={remote}
                    icon="share"
                    onPick={() => {
                      close();
                      copyPush([run.id], index === 0 ? undefined : remote);
                    }}
                  >
                    Copy the command that pushes it to {remote}
                  </MenuItem>
                ))}
                {mayEdit.value && (
                  <>
                    <MenuItem
                      icon="archive"
                      onPick={() => {
                        close();
                        void setArchived(data, !run.archived);
                      }}
                    >
                      {run.archived ? 'Bring back from the archive' : 'Archive'}
                    </MenuItem>
                    <MenuItem
                      icon="trash"
                      onPick={() => {
                        close();
                        void remove(data);
                      }}
                    >
                      Delete
                    </MenuItem>
                  </>
                )}
              </>
            )}
          </MenuButton>
        )}
      </div>
      <div class="run-facts">
        <span class={`fact status-text ${run.status}`}>
          {DID[run.status]} <b>{took === null ? '–' : formatDuration(took)}</b>
          {!live && ended !== null && (
            <span class="quiet" title={formatTime(ended)}>
              , {formatAge(ended, time) === 'now' ? 'just now' : formatAge(ended, time)}
            </span>
          )}
          {silent !== undefined && (
            <span
              class="quiet"
              title="It says every few seconds that it lives. Its machine may sleep, be off or have lost the network."
            >
              , last heard from {silent}
            </span>
          )}
        </span>
        <span class="fact">
          <span class="sr-only">Id </span>
          <code>{run.id}</code>
          <CopyButton text={run.id} label="Copy the run’s id" />
        </span>
        {run.commit_sha !== null && (
          <span class="fact">
            <Icon name="commit" />
            <a class="mono fact-link" href={runHref(run.id, 'code')} title={run.commit_sha}>
              {run.commit_sha.slice(0, 10)}
            </a>
            <CopyButton text={run.commit_sha} label="Copy the commit" />
            {snapshot?.branch != null && <span class="clip branch">on {snapshot.branch}</span>}
            {(snapshot?.changed_count ?? 0) > 0 && (
              <a class="fact-link quiet" href={runHref(run.id, 'code')}>
                with {snapshot?.changed_count} changed {snapshot?.changed_count === 1 ? 'file' : 'files'}
              </a>
            )}
          </span>
        )}
        {run.host !== null && (
          <span class="fact" title="Where it ran">
            <span class="clip">
              {run.user === null ? '' : `${run.user}@`}
              {run.host}
            </span>
          </span>
        )}
        {run.started_at !== null && <span class="fact quiet">began {formatTime(run.started_at)}</span>}
        {run.parent !== null && (
          <a class="fact fact-link" href={runHref(run.parent)}>
            part of {run.parent}
          </a>
        )}
        {run.reproduces !== null && (
          <a class="fact fact-link" href={runHref(run.reproduces)}>
            reproduces {run.reproduces}
          </a>
        )}
      </div>
    </header>
  );
}

export function HeaderOutline() {
  return (
    <header class="run-head" aria-busy="true">
      <div class="run-head-line">
        <div class="outline outline-name" />
      </div>
      <div class="run-facts">
        <div class="outline outline-facts" />
      </div>
    </header>
  );
}

function Name({ data, name }: { data: RunData; name: string }) {
  const editing = useSignal(false);
  const input = useRef<HTMLInputElement>(null);
  const button = useRef<HTMLButtonElement>(null);
  /** Ended by a key: the focus goes back to the name. By a press elsewhere: it stays there. */
  const byKey = useRef(false);
  useLayoutEffect(() => {
    if (editing.value) {
      input.current?.focus();
      input.current?.select();
    } else if (byKey.current) button.current?.focus({ preventScroll: true });
    byKey.current = false;
  }, [editing.value]);
  const end = (save: boolean, key = true) => {
    if (!editing.peek()) return;
    byKey.current = key;
    const text = input.current?.value.trim() ?? '';
    editing.value = false;
    if (save) void rename(data, text);
  };
  if (!mayEdit.value) {
    return (
      <h1 class="run-title">
        <span class="clip" title={name}>
          {name}
        </span>
      </h1>
    );
  }
  if (!editing.value) {
    return (
      <h1 class="run-title">
        <button
          ref={button}
          type="button"
          class="clip"
          title={`${name}\nPress to rename`}
          onClick={() => {
            editing.value = true;
          }}
        >
          {name}
        </button>
      </h1>
    );
  }
  return (
    <h1 class="run-title editing">
      <input
        ref={input}
        class="plain-input"
        aria-label="Name of the run"
        defaultValue={name}
        maxLength={1000}
        spellcheck={false}
        onBlur={() => end(true, false)}
        onKeyDown={(event) => {
          if (event.key === 'Enter' && !event.isComposing) end(true);
          if (event.key === 'Escape') {
            event.stopPropagation();
            end(false);
          }
        }}
      />
    </h1>
  );
}

/** Seconds in which a stop can be taken back. */
const GRACE = 4;

/** A stop cannot be undone, so it waits a moment; a page that is left in between sends it. */
function StopButton({ data }: { data: RunData }) {
  const left = useSignal(0);
  const sent = useSignal(false);
  const pending = left.value > 0;
  useEffect(() => {
    if (!pending) return;
    const send = () => {
      left.value = 0;
      sent.value = true;
      void stop(data);
    };
    const timer = setInterval(() => {
      if (left.peek() > 1) left.value--;
      else send();
    }, 1000);
    const leave = () => {
      if (left.peek() > 0) {
        void fetch(`/api/runs/${encodeURIComponent(data.id)}/stop`, {
          method: 'POST',
          headers: { 'content-type': 'application/json' },
          body: '{}',
          keepalive: true,
        });
        left.value = 0;
      }
    };
    window.addEventListener('pagehide', leave);
    return () => {
      clearInterval(timer);
      window.removeEventListener('pagehide', leave);
    };
  }, [pending]);
  // Going to another view of the page is no change of mind.
  useEffect(
    () => () => {
      if (left.peek() > 0) void stop(data);
    },
    [],
  );
  return (
    <button
      type="button"
      class={`button${pending ? '' : ' danger'} stop-button`}
      disabled={sent.value}
      onClick={() => {
        left.value = pending ? 0 : GRACE;
      }}
    >
      <Icon name={pending ? 'reset' : 'stop'} />
      {sent.value ? 'Stopping' : pending ? `Undo stop (${left.value})` : 'Stop'}
    </button>
  );
}
