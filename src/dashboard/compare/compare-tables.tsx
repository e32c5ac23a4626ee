/** Params, results, facts, tags and environments of runs, a column for each; equal rows are folded away. */
import { useSignal } from '@preact/signals';
import type { ComponentChildren } from 'preact';
import type { Comparison, MetricSummary } from '../../protocol/api.ts';
import type { Pointer } from '../chart/context.ts';
import { lookOf, runColour } from '../chart/run-colours.ts';
import { formatNumber, rawNumber, toNumber } from '../format/numbers.ts';
import { formatDuration } from '../format/times.ts';
import { formatOf } from '../format/units.ts';
import { Icon } from '../parts/icon.tsx';
import { Marked } from '../run/marked.tsx';
import { setParams, useParam } from '../run/url-state.ts';
import { formatValue, isObject } from '../run/values.ts';
import { dark } from '../shell/theme.ts';

type Row = Comparison['params'][number];
type Show = (value: unknown, key: string) => { text: string; title?: string };

/** Rows beyond this are shown on request. */
const MANY = 120;
/** Pixels of the first column, and the least of each other: the same in every part, so that a run is one column of the page. */
const FIRST = 240;
const EACH = 136;

const showValue: Show = (value) => ({
  text: value === null || value === undefined ? '' : formatValue(value),
});

const showOwn: Show = (value, key) => {
  if (value === null || value === undefined) return { text: '' };
  if (key === 'duration' && typeof value === 'number') return { text: formatDuration(value) };
  if (key === 'commit_sha' && typeof value === 'string') return { text: value.slice(0, 12), title: value };
  if (Array.isArray(value)) return { text: value.join(' ') };
  return { text: formatValue(value) };
};

/** `exit_code` as people say it. */
const ownName = (key: string): string => (key === 'commit_sha' ? 'commit' : key.replaceAll('_', ' '));

const showMetric: Show = (value, key) => {
  if (!isObject(value)) return { text: '' };
  const summary = value as Partial<MetricSummary>;
  if (summary.last === undefined) return { text: '' };
  const format = formatOf(key) ?? ((number: number) => formatNumber(number));
  const part = (name: 'min' | 'max') => {
    const number = summary[name];
    return number === null || number === undefined ? '–' : rawNumber(toNumber(number));
  };
  return {
    text: format(toNumber(summary.last)),
    title: `last ${rawNumber(toNumber(summary.last))}\nleast ${part('min')}\ngreatest ${part('max')}`,
  };
};

export function CompareTables(props: { comparison: Comparison; alone: boolean; pointer: Pointer }) {
  const { comparison } = props;
  const find = useParam('find');
  const system = (row: Row) => row.key.startsWith('system/');
  const part = (title: string, rows: readonly Row[], show: Show, options: { note?: string } = {}) => (
    <Part
      title={title}
      rows={rows}
      show={show}
      find={find.value}
      comparison={comparison}
      pointer={props.pointer}
      {...options}
    />
  );
  return (
    <div class="scroll compare-tables">
      <div class="compare-tools">
        <label class="field table-find">
          <Icon name="search" />
          <input
            type="search"
            aria-label="Find a row"
            placeholder="Find a param, a metric, a package …"
            spellcheck={false}
            value={find.value}
            onInput={(event) => setParams({ find: event.currentTarget.value })}
          />
        </label>
        {props.alone && <span class="quiet">Add another run to see what differs.</span>}
      </div>
      {part('Params', comparison.params, showValue)}
      {part(
        'Results',
        comparison.metrics.filter((row) => !system(row)),
        showMetric,
        { note: 'last values' },
      )}
      {part('Tags', comparison.tags, showValue)}
      {part('Run', comparison.own, showOwn)}
      {part('Environment', comparison.environment, showValue)}
      {part('System', comparison.metrics.filter(system), showMetric, { note: 'last values' })}
    </div>
  );
}

function Part(props: {
  title: string;
  rows: readonly Row[];
  show: Show;
  find: string;
  comparison: Comparison;
  pointer: Pointer;
  note?: string;
}) {
  const { rows, show, find, comparison } = props;
  const equalOpen = useSignal(false);
  const all = useSignal(false);
  const shut = useSignal(false);
  if (rows.length === 0) return null;
  const needle = find.toLowerCase();
  const hit = (row: Row) =>
    needle === '' ||
    row.key.toLowerCase().includes(needle) ||
    row.values.some((value) => show(value, row.key).text.toLowerCase().includes(needle));
  const found = rows.filter(hit);
  const differing = found.filter((row) => row.differs);
  const equal = found.filter((row) => !row.differs);
  const open = equalOpen.value || needle !== '' || comparison.runs.length === 1;
  const listed = open ? [...differing, ...equal] : differing;
  const shown = all.value ? listed : listed.slice(0, MANY);
  const { lifted } = props.pointer;
  return (
    <section class="part compare-part">
      <header class="part-head">
        <h2>
          <button
            type="button"
            aria-expanded={!shut.value}
            onClick={() => {
              shut.value = !shut.value;
            }}
          >
            <Icon name={shut.value ? 'chevron' : 'down'} /> {props.title}
          </button>
        </h2>
        <span class="quiet small">
          {comparison.runs.length === 1
            ? String(rows.length)
            : differing.length === 0
              ? 'all equal'
              : `${differing.length} ${differing.length === 1 ? 'differs' : 'differ'}`}
          {props.note !== undefined && `, ${props.note}`}
        </span>
      </header>
      {!shut.value && shown.length > 0 && (
        <div class="compare-scroll">
          <table
            class="compare-table"
            style={{ width: `max(100%, ${FIRST + comparison.runs.length * EACH}px)` }}
          >
            <thead>
              <tr>
                <th scope="col">
                  <span class="sr-only">{props.title}</span>
                </th>
                {comparison.runs.map((run) => (
                  <th
                    key={run.id}
                    scope="col"
                    class={lifted.value === run.id ? 'lifted' : ''}
                    onPointerEnter={() => {
                      lifted.value = run.id;
                    }}
                    onPointerLeave={() => {
                      lifted.value = null;
                    }}
                  >
                    <span class="compare-column" title={run.name}>
                      <i class="swatch" style={{ background: runColour(lookOf(run.id).slot, dark.value) }} />
                      <span class="clip">{run.name}</span>
                    </span>
                  </th>
                ))}
              </tr>
            </thead>
            <tbody>
              {shown.map((row) => (
                <CompareRow
                  key={row.key}
                  row={row}
                  show={show}
                  find={find}
                  runs={comparison.runs}
                  lifted={lifted.value}
                />
              ))}
            </tbody>
          </table>
        </div>
      )}
      {!shut.value && (
        <Tools>
          {listed.length > shown.length && (
            <button
              type="button"
              class="button bare"
              onClick={() => {
                all.value = true;
              }}
            >
              Show all {listed.length}
            </button>
          )}
          {equal.length > 0 && needle === '' && comparison.runs.length > 1 && (
            <button
              type="button"
              class="button bare equal"
              aria-expanded={equalOpen.value}
              onClick={() => {
                equalOpen.value = !equalOpen.value;
              }}
            >
              <Icon name={equalOpen.value ? 'down' : 'chevron'} />
              {equal.length} equal
            </button>
          )}
        </Tools>
      )}
      {!shut.value && found.length === 0 && <p class="nothing">Nothing here has “{find}”.</p>}
    </section>
  );
}

const Tools = ({ children }: { children: ComponentChildren }) => <div class="compare-more">{children}</div>;

function CompareRow(props: {
  row: Row;
  show: Show;
  find: string;
  runs: Comparison['runs'];
  lifted: string | null;
}) {
  const { row, show, find, runs } = props;
  const cells = row.values.map((value) => show(value, row.key));
  // What most runs have is quiet, so that the odd one stands out; of numbers every one is its own.
  const usual = row.differs && runs.length > 2 ? mostOf(cells.map((cell) => cell.text)) : undefined;
  return (
    <tr class={row.differs ? 'differs' : 'equal'}>
      <th scope="row" title={row.key}>
        <Marked text={show === showOwn ? ownName(row.key) : row.key} find={find} name />
      </th>
      {cells.map((cell, index) => {
        const run = runs[index];
        const classes = [
          cell.text === usual ? 'usual' : '',
          run !== undefined && props.lifted === run.id ? 'lifted' : '',
        ];
        return (
          <td key={run?.id ?? index} class={classes.join(' ').trim()} title={cell.title ?? cell.text}>
            {cell.text === '' ? (
              <span class="quiet">
                <span aria-hidden="true">–</span>
                <span class="sr-only">none</span>
              </span>
            ) : (
              <span class="compare-value">
                <Marked text={cell.text} find={find} />
              </span>
            )}
          </td>
        );
      })}
    </tr>
  );
}

/** The text that more than half have. */
function mostOf(texts: readonly string[]): string | undefined {
  const counts = new Map<string, number>();
  for (const text of texts) counts.set(text, (counts.get(text) ?? 0) + 1);
  const [most] = [...counts].sort((a, b) => b[1] - a[1]);
  return most !== undefined && most[1] > texts.length / 2 ? most[0] : undefined;
}
