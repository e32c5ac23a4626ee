/** Runs side by side: what differs first, what is equal folded away. */
import { type ReadonlySignal, useSignal } from '@preact/signals';
import { useEffect, useMemo } from 'preact/hooks';
import type { Comparison, RunRow } from '../../protocol/api.ts';
import { type ApiFailure, asFailure, getText, isAbort } from '../api/client.ts';
import { onBatch, onReconnect, useWatch } from '../api/live.ts';
import { type ChartRun, type Pointer, sharedPointer } from '../chart/context.ts';
import { lookOf, runColour, showRuns } from '../chart/run-colours.ts';
import { Icon } from '../parts/icon.tsx';
import { IconButton } from '../parts/icon-button.tsx';
import { MenuButton } from '../parts/popover.tsx';
import { Empty, Failed, Outline } from '../parts/states.tsx';
import { StatusMark } from '../parts/status-mark.tsx';
import { ChartView, useStable } from '../run/chart-view.tsx';
import { DiffPanel } from '../run/patch-view.tsx';
import { RunPicker } from '../run/run-picker.tsx';
import { setParams, useParam } from '../run/url-state.ts';
import { parseExact } from '../run/values.ts';
import { navigate, runHref, workspaceHref } from '../shell/router.ts';
import { dark } from '../shell/theme.ts';
import { CompareTables } from './compare-tables.tsx';
import { Relations } from './relations.tsx';

const VIEWS = [
  ['', 'Differences'],
  ['charts', 'Charts'],
  ['relations', 'Relations'],
  ['code', 'Code'],
] as const;

/** Runs that change are compared again at most so often. */
const REREAD_MS = 2000;

export function ComparePage({ runs }: { runs: string[] }) {
  const ids = useMemo(() => [...new Set(runs)], [runs.join()]);
  if (ids.length === 0) {
    return (
      <Empty title="Nothing to compare yet" icon="compare">
        <p>Choose runs in the table and press Compare, or begin with one:</p>
        <AddRun ids={ids} />
      </Empty>
    );
  }
  return <Compared ids={ids} />;
}

const hrefOf = (ids: readonly string[]): string => {
  const query = new URLSearchParams(location.search);
  query.delete('runs');
  const rest = query.toString();
  return `/compare?runs=${ids.join(',')}${rest === '' ? '' : `&${rest}`}`;
};

function Compared({ ids }: { ids: readonly string[] }) {
  const comparison = useSignal<Comparison | null>(null);
  const failure = useSignal<ApiFailure | null>(null);
  const again = useSignal(0);
  const view = useParam('view');
  const pointer = useMemo(sharedPointer, []);
  const name = ids.join();
  useWatch({ runs: ids });
  useEffect(() => {
    showRuns(ids);
    const request = new AbortController();
    getText('/api/compare', { runs: name }, request.signal).then(
      (text) => {
        comparison.value = parseExact(text) as Comparison;
        failure.value = null;
      },
      (error: unknown) => {
        if (!isAbort(error)) failure.value = asFailure(error);
      },
    );
    return () => request.abort();
  }, [name, again.value]);
  useEffect(() => {
    let timer: number | undefined;
    const soon = () => {
      timer ??= window.setTimeout(() => {
        timer = undefined;
        again.value++;
      }, REREAD_MS);
    };
    const here = new Set(ids);
    const stop = [
      onBatch((batch) => {
        if (batch.gap === 'all' || batch.runs.some((run) => here.has(run.id))) soon();
      }),
      onReconnect(soon),
    ];
    return () => {
      clearTimeout(timer);
      for (const one of stop) one();
    };
  }, [name]);
  const now = comparison.value;
  if (now === null && failure.value !== null) {
    return <Failed failure={failure.value} retry={() => void again.value++} />;
  }
  // While other runs are being compared, those that stay are shown.
  return (
    <div class="compare">
      <header class="compare-head">
        <div class="compare-title">
          <h1>Compare</h1>
          <span class="quiet">{ids.length === 1 ? '1 run' : `${ids.length} runs`}</span>
          <span class="grow" />
          <AddRun ids={ids} />
        </div>
        <ul class="compare-runs" aria-label="Compared runs">
          {ids.map((id) => (
            <Chip key={id} id={id} run={now?.runs.find((run) => run.id === id)} ids={ids} pointer={pointer} />
          ))}
        </ul>
      </header>
      <nav class="tabs" aria-label="Parts of the comparison">
        {VIEWS.map(([key, title]) => (
          <a
            key={key}
            href={`/compare?runs=${name}${key === '' ? '' : `&view=${key}`}`}
            aria-current={view.value === key ? 'page' : undefined}
          >
            {title}
          </a>
        ))}
      </nav>
      <div class="run-body">
        {now === null ? (
          <Outline lines={10} />
        ) : (
          <Part view={view.value} comparison={comparison} ids={ids} pointer={pointer} />
        )}
      </div>
    </div>
  );
}

function Part(props: {
  view: string;
  comparison: ReadonlySignal<Comparison | null>;
  ids: readonly string[];
  pointer: Pointer;
}) {
  const { view, comparison, ids, pointer } = props;
  const now = comparison.value;
  if (now === null) return null;
  if (view === 'charts') return <CompareCharts comparison={comparison} pointer={pointer} />;
  if (view === 'relations') return <Relations comparison={now} pointer={pointer} />;
  if (view === 'code') return <CompareCode runs={now.runs} />;
  return <CompareTables comparison={now} alone={ids.length === 1} pointer={pointer} />;
}

function AddRun({ ids }: { ids: readonly string[] }) {
  return (
    <MenuButton label="Add a run" class="button" icon="plus" text="Add a run" wide>
      {(close) => (
        <RunPicker
          label="Add a run"
          without={ids.join()}
          onPick={(run) => {
            close();
            navigate(hrefOf([...ids, run.id]));
          }}
        />
      )}
    </MenuButton>
  );
}

function Chip(props: { id: string; run: RunRow | undefined; ids: readonly string[]; pointer: Pointer }) {
  const { id, run, ids, pointer } = props;
  const name = run?.name ?? id;
  const lift = (on: boolean) => () => {
    pointer.lifted.value = on ? id : null;
  };
  return (
    <li
      class={`compare-run${pointer.lifted.value === id ? ' lifted' : ''}`}
      onPointerEnter={lift(true)}
      onPointerLeave={lift(false)}
    >
      <i class="swatch" style={{ background: runColour(lookOf(id).slot, dark.value) }} />
      {run && <StatusMark status={run.status} />}
      <a class="clip" href={runHref(id)} title={`${name}\n${id}`}>
        {name}
      </a>
      {ids.length > 1 && (
        <a
          class="icon-button tiny"
          href={hrefOf(ids.filter((one) => one !== id))}
          aria-label={`Leave out ${name}`}
          title="Leave out"
        >
          <Icon name="close" />
        </a>
      )}
    </li>
  );
}

function CompareCharts({
  comparison,
  pointer,
}: {
  comparison: ReadonlySignal<Comparison | null>;
  pointer: Pointer;
}) {
  const runs = useStable<readonly ChartRun[]>(() =>
    (comparison.value?.runs ?? []).map((run) => ({
      id: run.id,
      name: run.name,
      startedAt: run.started_at ?? 0,
      live: run.status === 'running',
    })),
  );
  const keys = useStable(() => (comparison.value?.metrics ?? []).map((row) => row.key).sort());
  if (keys.value.length === 0) {
    return (
      <Empty title="These runs logged no metrics" icon="charts">
        <p>Their params and code can still be compared.</p>
      </Empty>
    );
  }
  return (
    <ChartView
      runs={runs}
      keys={keys}
      name="compare"
      axis="step"
      pointer={pointer}
      open={(run) => navigate(runHref(run))}
    />
  );
}

function CompareCode({ runs }: { runs: readonly RunRow[] }) {
  const from = useParam('from-run');
  const to = useParam('to-run');
  const [first, second] = runs;
  const known = (id: string) => runs.find((run) => run.id === id);
  const a = known(from.value) ?? first;
  const b = known(to.value) ?? (a === second ? first : second);
  if (a === undefined || b === undefined || a === b) {
    return (
      <Empty title="It takes two runs to compare code" icon="bookmark">
        <a class="button" href={workspaceHref()}>
          Choose another
        </a>
      </Empty>
    );
  }
  const choice = (label: string, shown: RunRow, name: string) => (
    <label class="select">
      <span class="quiet">{label}</span>
      <i class="swatch" style={{ background: runColour(lookOf(shown.id).slot, dark.value) }} />
      <select value={shown.id} onChange={(event) => setParams({ [name]: event.currentTarget.value })}>
        {runs.map((run) => (
          <option key={run.id} value={run.id}>
            {run.name} ({run.id.slice(0, 6)})
          </option>
        ))}
      </select>
    </label>
  );
  return (
    <div class="code-main whole">
      <div class="code-against">
        {choice('From', a, 'from-run')}
        {choice('to', b, 'to-run')}
        <IconButton
          icon="compare"
          label="Swap them"
          onClick={() => setParams({ 'from-run': b.id, 'to-run': a.id })}
        />
      </div>
      <DiffPanel key={`${b.id} ${a.id}`} run={b.id} against={a.id} same="Both ran the same code" />
    </div>
  );
}
