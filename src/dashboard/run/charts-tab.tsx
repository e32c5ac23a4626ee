/** The charts of one run: what it logged, and what the machine did meanwhile. */
import type { ReadonlySignal } from '@preact/signals';
import type { ChartRun } from '../chart/context.ts';
import { Command } from '../parts/copy-button.tsx';
import { Empty } from '../parts/states.tsx';
import { ChartView, useStable } from './chart-view.tsx';
import type { TabProps } from './run-page.tsx';

const isSystem = (key: string): boolean => key.startsWith('system/');

export function ChartsTab(props: TabProps) {
  return <RunCharts {...props} which={(key) => !isSystem(key)} name="charts" />;
}

export function SystemTab(props: TabProps) {
  return <RunCharts {...props} which={isSystem} name="system" />;
}

function RunCharts({
  detail,
  which,
  name,
}: TabProps & { which: (key: string) => boolean; name: 'charts' | 'system' }) {
  const id = detail.value.run.id;
  const runs: ReadonlySignal<readonly ChartRun[]> = useStable(() => {
    const { run } = detail.value;
    return [{ id: run.id, name: run.name, startedAt: run.started_at ?? 0, live: run.status === 'running' }];
  });
  const keys = useStable(() => Object.keys(detail.value.metrics).filter(which).sort());
  if (keys.value.length === 0) {
    const live = detail.value.run.status === 'running';
    return name === 'charts' ? (
      <Empty title={live ? 'No metrics yet' : 'No metrics were logged'} icon="charts">
        <p>They appear here as soon as the job logs one:</p>
        <Command text={'run.log({"loss": loss}, step=step)'} />
      </Empty>
    ) : (
      <Empty title={live ? 'Nothing measured yet' : 'The machine was not measured'} icon="charts">
        <p>
          {live
            ? 'CPU, memory, disks, network and GPUs are measured every few seconds while the job runs.'
            : 'The job ended before the first measurement, or it was not started by waddle run.'}
        </p>
      </Empty>
    );
  }
  return (
    <ChartView
      runs={runs}
      keys={keys}
      name={`${name} ${id}`}
      axis={name === 'system' ? 'relative' : 'step'}
    />
  );
}
