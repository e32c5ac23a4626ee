/** Every metric in a line: how it went, and where it ended. */
import { type ReadonlySignal, useComputed, useSignal } from '@preact/signals';
import type { RunDetail } from '../../protocol/api.ts';
import { formatNumber, rawNumber, toNumber } from '../format/numbers.ts';
import { formatOf } from '../format/units.ts';
import { Icon } from '../parts/icon.tsx';
import { runHref } from '../shell/router.ts';
import { Marked } from './marked.tsx';
import { Section } from './overview-tab.tsx';
import { Sparkline } from './sparkline.tsx';
import { setParams, useParam } from './url-state.ts';

const MANY = 40;

export function MetricTable({ detail }: { detail: ReadonlySignal<RunDetail> }) {
  const find = useParam('find-metrics');
  const all = useSignal(false);
  const keys = useComputed(() =>
    Object.keys(detail.value.metrics)
      .filter((key) => !key.startsWith('system/'))
      .sort(),
  );
  const text = find.value.toLowerCase();
  const found = keys.value.filter((key) => key.toLowerCase().includes(text));
  const shown = all.value ? found : found.slice(0, MANY);
  const { run, metrics } = detail.value;
  const live = run.status === 'running';
  return (
    <Section
      title="Metrics"
      count={keys.value.length}
      tools={
        keys.value.length > 0 && (
          <a class="text-link small" href={runHref(run.id, 'charts')}>
            All charts
          </a>
        )
      }
    >
      {keys.value.length === 0 ? (
        <p class="nothing">
          {live ? 'None yet. ' : 'None were logged. '}
          In the job: <code>run.log({'{"loss": loss}'}, step=step)</code>
        </p>
      ) : (
        <>
          {keys.value.length > 12 && (
            <label class="field table-find">
              <Icon name="search" />
              <input
                type="search"
                aria-label="Find a metric"
                placeholder="Find a metric"
                spellcheck={false}
                value={find.value}
                onInput={(event) => setParams({ 'find-metrics': event.currentTarget.value })}
              />
            </label>
          )}
          <div class="wide-table">
            <table class="metric-table">
              <thead>
                <tr>
                  <th scope="col">Metric</th>
                  <th scope="col" class="spark-head">
                    <span class="sr-only">Course</span>
                  </th>
                  <th scope="col">Last</th>
                  <th scope="col">Least</th>
                  <th scope="col">Greatest</th>
                  <th scope="col" class="steps">
                    Last step
                  </th>
                </tr>
              </thead>
              <tbody>
                {shown.map((key) => {
                  const metric = metrics[key];
                  if (metric === undefined) return null;
                  const format = formatOf(key) ?? ((value: number) => formatNumber(value));
                  const cell = (value: Parameters<typeof toNumber>[0]) =>
                    value === null ? '–' : format(toNumber(value));
                  const raw = (value: Parameters<typeof toNumber>[0]) => rawNumber(toNumber(value));
                  return (
                    <tr key={key}>
                      <th scope="row">
                        <a
                          class="clip"
                          href={`${runHref(run.id, 'charts')}?panels=${encodeURIComponent(key)}`}
                          title={key}
                        >
                          <Marked text={key} find={find.value} />
                        </a>
                        {metric.nan > 0 && <span class="chip bad">{metric.nan} NaN</span>}
                      </th>
                      <td class="spark-cell">
                        <Sparkline run={run.id} metric={key} count={metric.count} />
                      </td>
                      <td class="last" title={raw(metric.last)}>
                        {cell(metric.last)}
                      </td>
                      <td title={raw(metric.min)}>{cell(metric.min)}</td>
                      <td title={raw(metric.max)}>{cell(metric.max)}</td>
                      <td class="steps">{formatNumber(metric.last_step)}</td>
                    </tr>
                  );
                })}
              </tbody>
            </table>
          </div>
          {found.length === 0 && <p class="nothing">No metric has “{find.value}”.</p>}
          {found.length > shown.length && (
            <button
              type="button"
              class="button bare"
              onClick={() => {
                all.value = true;
              }}
            >
              Show all {found.length}
            </button>
          )}
        </>
      )}
    </Section>
  );
}
