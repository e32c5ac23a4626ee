/** One run: what it is, how it went, which code, where. */
import { computed, type ReadonlySignal, useSignal } from '@preact/signals';
import type { ComponentChildren } from 'preact';
import { useEffect, useLayoutEffect, useMemo, useRef } from 'preact/hooks';
import type { RunDetail } from '../../protocol/api.ts';
import { Empty, Failed } from '../parts/states.tsx';
import { bindShortcuts } from '../shell/keyboard.ts';
import { addCommands } from '../shell/palette.tsx';
import { navigate, route, runHref } from '../shell/router.ts';
import { mayEdit } from '../shell/server-info.ts';
import { ArtifactsTab } from './artifacts-tab.tsx';
import { ChartsTab, SystemTab } from './charts-tab.tsx';
import { CodeTab } from './code-tab.tsx';
import { ConsoleTab } from './console-tab.tsx';
import { HeaderOutline, RunHeader } from './header.tsx';
import { OverviewTab } from './overview-tab.tsx';
import { ReproduceTab } from './reproduce-tab.tsx';
import { RunData } from './run-data.ts';
import { restore } from './run-edits.ts';

export interface TabProps {
  data: RunData;
  detail: ReadonlySignal<RunDetail>;
}

const TABS = [
  { name: 'overview', title: 'Overview', key: '1', view: OverviewTab },
  { name: 'charts', title: 'Charts', key: '2', view: ChartsTab },
  { name: 'console', title: 'Console', key: '3', view: ConsoleTab },
  { name: 'system', title: 'System', key: '4', view: SystemTab },
  { name: 'artifacts', title: 'Artifacts', key: '5', view: ArtifactsTab },
  { name: 'code', title: 'Code', key: '6', view: CodeTab },
  { name: 'reproduce', title: 'Reproduce', key: '7', view: ReproduceTab },
] as const;

export function RunPage({ id, tab }: { id: string; tab: string }) {
  const held = useSignal<RunData | null>(null);
  useLayoutEffect(() => {
    const data = new RunData(id);
    held.value = data;
    const unbind = bindShortcuts([
      ...TABS.map(({ name, title, key }) => ({
        keys: key,
        does: `Show ${title.toLowerCase()}`,
        group: 'Run',
        run: () => navigate(runHref(id, name)),
      })),
    ]);
    const forget = addCommands(() =>
      TABS.map(({ name, title }) => ({
        title: `${title} of this run`,
        icon: 'link' as const,
        hint: 'View',
        run: () => navigate(runHref(id, name)),
      })),
    );
    return () => {
      held.value = null;
      unbind();
      forget();
      data.close();
    };
  }, [id]);
  const data = held.value;
  if (data === null) return <RunFrame head={<HeaderOutline />} id={id} tab={tab} counts={{}} />;
  return <Loaded data={data} tab={tab} />;
}

function Loaded({ data, tab }: { data: RunData; tab: string }) {
  const detail = data.detail.value;
  // Views read the detail only where there is one.
  const known = useMemo(() => {
    let last: RunDetail | undefined;
    return computed(() => {
      last = data.detail.value ?? last;
      if (last === undefined) throw new Error('the run is not loaded');
      return last;
    });
  }, [data]);
  const name = detail?.run.name;
  useEffect(() => {
    // After the frame's own title, which knows only the runs of the table.
    if (name !== undefined)
      queueMicrotask(() => {
        document.title = `${name} · Waddle`;
      });
  }, [name, route.value]);
  if (data.state.value === 'failed' && data.failure.value) {
    if (data.failure.value.status === 404) {
      return (
        <Empty title="There is no such run" icon="search">
          <p>
            <code>{data.id}</code> is not in this project, or it was deleted.
          </p>
          <a class="button" href="/">
            Go to the runs
          </a>
        </Empty>
      );
    }
    return <Failed failure={data.failure.value} retry={() => void data.read()} />;
  }
  if (detail === null) return <RunFrame head={<HeaderOutline />} id={data.id} tab={tab} counts={{}} />;
  const at = TABS.find((one) => one.name === tab);
  const View = at?.view;
  const artifacts = new Set(detail.artifacts.map((artifact) => artifact.name)).size;
  const metrics = Object.keys(detail.metrics).filter((key) => !key.startsWith('system/')).length;
  return (
    <RunFrame
      head={<RunHeader data={data} detail={detail} />}
      id={data.id}
      tab={tab}
      counts={{ artifacts, charts: metrics, code: detail.snapshot?.changed_count ?? 0 }}
    >
      {data.removed.value && (
        <div class="run-banner" role="status">
          <span>This run was deleted.</span>
          {mayEdit.value && (
            <button type="button" class="button" onClick={() => void restore(data)}>
              Restore it
            </button>
          )}
        </div>
      )}
      {View ? (
        <View key={tab} data={data} detail={known} />
      ) : (
        <Empty title="A run has no such page" icon="search">
          <a class="button" href={runHref(data.id)}>
            Go to its overview
          </a>
        </Empty>
      )}
    </RunFrame>
  );
}

function RunFrame(props: {
  head: ComponentChildren;
  id: string;
  tab: string;
  counts: Record<string, number>;
  children?: ComponentChildren;
}) {
  const bar = useRef<HTMLElement>(null);
  useEffect(() => {
    const link = bar.current?.querySelector<HTMLElement>('[aria-current]');
    link?.scrollIntoView({ block: 'nearest', inline: 'nearest' });
  }, [props.tab, Object.values(props.counts).join()]);
  return (
    <div class="run-page">
      {props.head}
      <nav class="tabs" aria-label="Parts of the run" ref={bar}>
        {TABS.map(({ name, title, key }) => (
          <a
            key={name}
            href={runHref(props.id, name)}
            aria-current={name === props.tab ? 'page' : undefined}
            title={`${title} (${key})`}
          >
            {title}
            {(props.counts[name] ?? 0) > 0 && <span class="tab-count">{props.counts[name]}</span>}
          </a>
        ))}
      </nav>
      <div class="run-body">{props.children}</div>
    </div>
  );
}
