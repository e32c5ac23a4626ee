// biome-ignore-all lint/a11y/noNoninteractiveTabindex: what scrolls has to be reachable by keyboard
/** What one wants to know first: did it work, with what, and how well. */
import { useComputed, useSignal } from '@preact/signals';
import type { ComponentChildren } from 'preact';
import { useRef } from 'preact/hooks';
import type { RunDetail } from '../../protocol/api.ts';
import { formatBytes } from '../format/numbers.ts';
import { formatDuration, formatTime } from '../format/times.ts';
import { CopyButton } from '../parts/copy-button.tsx';
import { Icon } from '../parts/icon.tsx';
import { StatusMark, statusName } from '../parts/status-mark.tsx';
import { runHref } from '../shell/router.ts';
import { mayEdit } from '../shell/server-info.ts';
import { Marked } from './marked.tsx';
import { MetricTable } from './metric-table.tsx';
import { Notes } from './notes.tsx';
import type { TabProps } from './run-page.tsx';
import { TagEditor } from './tag-editor.tsx';
import { setParams, useParam } from './url-state.ts';
import { formatValue, isObject, treeRows } from './values.ts';

export function OverviewTab({ data, detail }: TabProps) {
  const now = detail.value;
  return (
    <div class="scroll overview">
      <div class="overview-main">
        <Problem detail={now} />
        <MetricTable detail={detail} />
        <Section title="Params" count={Object.keys(now.params).length}>
          {Object.keys(now.params).length === 0 ? (
            <p class="nothing">
              None were logged. In the job: <code>run.log_params({'{"lr": 3e-4}'})</code>
            </p>
          ) : (
            <ValueTable values={now.params} name="params" label="Find a param" />
          )}
        </Section>
      </div>
      <div class="overview-side">
        {(mayEdit.value || (now.run.notes ?? '').trim() !== '') && (
          <Section title="Notes">
            <Notes data={data} notes={now.run.notes ?? ''} />
          </Section>
        )}
        {(mayEdit.value || Object.keys(now.tags).length > 0) && (
          <Section title="Tags">
            <TagEditor data={data} tags={now.tags} />
          </Section>
        )}
        <Section title="Details">
          <Details detail={now} />
        </Section>
        <Warnings detail={now} />
        {now.children.length > 0 && (
          <Section title="Parts of this run" count={now.children.length}>
            <ul class="children">
              {now.children.map((child) => (
                <li key={child.id}>
                  <StatusMark status={child.status} />
                  <a class="text-link clip" href={runHref(child.id)}>
                    {child.name}
                  </a>
                </li>
              ))}
            </ul>
          </Section>
        )}
        <Section title="Environment">
          <Environment environment={now.environment} />
        </Section>
      </div>
    </div>
  );
}

export function Section(props: {
  title: string;
  count?: number;
  tools?: ComponentChildren;
  children: ComponentChildren;
}) {
  return (
    <section class="part">
      <header class="part-head">
        <h2>{props.title}</h2>
        {props.count !== undefined && props.count > 0 && <span class="quiet small">{props.count}</span>}
        <span class="grow" />
        {props.tools}
      </header>
      {props.children}
    </section>
  );
}

function Problem({ detail }: { detail: RunDetail }) {
  const { run } = detail;
  const ended = run.status === 'failed' || run.status === 'crashed' || run.status === 'aborted';
  if (!ended) return null;
  const what =
    run.error_type !== null
      ? run.error_type
      : run.signal !== null
        ? `Ended by ${run.signal}`
        : run.exit_code !== null && run.exit_code !== 0
          ? `Exit code ${run.exit_code}`
          : statusName(run.status);
  return (
    <section class={`problem ${run.status}`} aria-label="What went wrong">
      <h2>
        <StatusMark status={run.status} /> <span>{what}</span>
        <span class="grow" />
        <a class="text-link small" href={`${runHref(run.id, 'console')}`}>
          Console
        </a>
        {run.traceback !== null && <CopyButton text={run.traceback} label="Copy the traceback" />}
      </h2>
      {run.error_message !== null && run.error_message !== '' && (
        <p class="problem-text">{run.error_message}</p>
      )}
      {run.reason !== null && run.reason !== run.error_message && <p class="quiet">{run.reason}</p>}
      {run.traceback !== null && (
        <pre class="traceback" tabIndex={0}>
          {run.traceback.trimEnd()}
        </pre>
      )}
    </section>
  );
}

function Fact({ name, children }: { name: string; children: ComponentChildren }) {
  return (
    <>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </>
  );
}

function Details({ detail }: { detail: RunDetail }) {
  const { run, attempts } = detail;
  const ranks = new Set(detail.writers.flatMap((writer) => (writer.rank === null ? [] : [writer.rank]))).size;
  const command = run.command?.map(quoteWord).join(' ');
  const args = command === undefined ? (run.argv ?? []).map(quoteWord).join(' ') : '';
  return (
    <dl class="facts">
      {command !== undefined && (
        <Fact name="Command">
          <span class="command-text">
            <code>{command}</code>
            <CopyButton text={command} label="Copy the command" />
          </span>
        </Fact>
      )}
      {run.entry !== null && <Fact name="Entry">{<code>{run.entry}</code>}</Fact>}
      {args !== '' && (
        <Fact name="Arguments">
          <code>{args}</code>
        </Fact>
      )}
      {run.cwd !== null && <Fact name="Folder">{<code>{run.cwd}</code>}</Fact>}
      {run.repo !== null && <Fact name="Repository">{run.repo}</Fact>}
      <Fact name="Project">{run.project}</Fact>
      {run.group !== null && <Fact name="Group">{run.group}</Fact>}
      {run.host !== null && <Fact name="Host">{run.host}</Fact>}
      {run.user !== null && <Fact name="User">{run.user}</Fact>}
      {run.started_at !== null && <Fact name="Began">{formatTime(run.started_at)}</Fact>}
      {run.ended_at !== null && <Fact name="Ended">{formatTime(run.ended_at)}</Fact>}
      {run.exit_code !== null && <Fact name="Exit code">{run.exit_code}</Fact>}
      {ranks > 1 && <Fact name="Processes">{ranks} ranks</Fact>}
      {attempts.length > 1 && (
        <Fact name="Attempts">
          <ol class="attempts">
            {attempts.map((attempt) => (
              <li key={attempt.attempt}>
                {attempt.status}
                {attempt.started_at !== null && attempt.ended_at !== null && (
                  <span class="quiet"> after {formatDuration(attempt.ended_at - attempt.started_at)}</span>
                )}
              </li>
            ))}
          </ol>
        </Fact>
      )}
    </dl>
  );
}

/** As a shell would need it. */
export const quoteWord = (word: string): string =>
  /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;

function Warnings({ detail }: { detail: RunDetail }) {
  const dropped = Object.entries(detail.dropped);
  const count = detail.warnings.length + dropped.length + (detail.broken_lines.length > 0 ? 1 : 0);
  if (count === 0) return null;
  return (
    <Section title="Warnings" count={count}>
      <ul class="warnings">
        {detail.warnings.slice(0, 50).map((warning, index) => (
          <li key={index}>
            {warning.message}
            {warning.hint !== null && <span class="quiet"> {warning.hint}</span>}
          </li>
        ))}
        {dropped.map(([reason, times]) => (
          <li key={reason}>
            {times} values could not be kept: {reason.replaceAll('_', ' ')}
          </li>
        ))}
        {detail.broken_lines.length > 0 && (
          <li>{detail.broken_lines.length} lines of the log could not be read</li>
        )}
      </ul>
    </Section>
  );
}

function Environment({ environment }: { environment: Record<string, unknown> | null }) {
  if (environment === null) return <p class="nothing">Nobody looked at it.</p>;
  const { python, platform, cpu, gpus, memory_bytes: memory, ...rest } = environment;
  const packages = isObject(python) && isObject(python.packages) ? python.packages : {};
  // What nests is folded away; what a container or the like lacks is not told.
  const told = Object.entries(rest).filter(([, value]) => value !== null);
  const single = told.filter(([, value]) => !isObject(value));
  const groups = told.flatMap(([key, value]): [string, Record<string, unknown>][] => {
    const held = isObject(value) ? Object.entries(value).filter(([, one]) => one !== null) : [];
    return held.length > 0 ? [[key, Object.fromEntries(held)]] : [];
  });
  const list = Array.isArray(gpus) ? gpus.filter(isObject) : [];
  return (
    <>
      <dl class="facts">
        {isObject(python) && (
          <Fact name="Python">
            {formatValue(python.version)} <span class="quiet">{formatValue(python.executable)}</span>
          </Fact>
        )}
        {isObject(platform) && (
          <Fact name="System">
            {formatValue(platform.system)} {formatValue(platform.release)}, {formatValue(platform.arch)}
          </Fact>
        )}
        {isObject(cpu) && (
          <Fact name="CPU">
            {formatValue(cpu.model)}, {formatValue(cpu.cores)} cores
          </Fact>
        )}
        {typeof memory === 'number' && <Fact name="Memory">{formatBytes(memory)}</Fact>}
        {list.map((gpu, index) => (
          <Fact key={index} name={index === 0 ? 'GPU' : ''}>
            {formatValue(gpu.name)}
            {typeof gpu.memory_bytes === 'number' && (
              <span class="quiet"> {formatBytes(gpu.memory_bytes)}</span>
            )}
          </Fact>
        ))}
        {single.map(([key, value]) => (
          <Fact key={key} name={key === 'node' ? 'Node' : key.replaceAll('_', ' ')}>
            {formatValue(value)}
          </Fact>
        ))}
      </dl>
      {groups.map(([key, value]) => (
        <details key={key} class="fold">
          <summary>
            <Icon name="chevron" /> {Object.keys(value).length} {key.replaceAll('_', ' ')}
          </summary>
          <ValueTable values={value} name={key} label={`Find in ${key.replaceAll('_', ' ')}`} />
        </details>
      ))}
      {Object.keys(packages).length > 0 && (
        <details class="fold">
          <summary>
            <Icon name="chevron" /> {Object.keys(packages).length} packages
          </summary>
          <ValueTable values={packages} name="packages" label="Find a package" />
        </details>
      )}
    </>
  );
}

/** More rows than this are shown on request only. */
const MANY = 200;

/** Values by name, nested as they were given; found by name or value. */
export function ValueTable(props: { values: Record<string, unknown>; name: string; label: string }) {
  const find = useParam(`find-${props.name}`);
  const folded = useSignal<ReadonlySet<string>>(new Set());
  const all = useSignal(false);
  const values = useRef(props.values);
  values.current = props.values;
  const rows = treeRows(props.values, folded.value, find.value);
  const total = useComputed(() => treeRows(values.current, new Set(), '').length);
  const shown = all.value ? rows : rows.slice(0, MANY);
  const toggle = (path: string) => {
    const next = new Set(folded.peek());
    if (!next.delete(path)) next.add(path);
    folded.value = next;
  };
  return (
    <>
      {total.value > 8 && (
        <label class="field table-find">
          <Icon name="search" />
          <input
            type="search"
            aria-label={props.label}
            placeholder={props.label}
            spellcheck={false}
            value={find.value}
            onInput={(event) => setParams({ [`find-${props.name}`]: event.currentTarget.value })}
          />
        </label>
      )}
      <table class="value-table">
        <tbody>
          {shown.map((row) =>
            row.count === undefined ? (
              <tr key={row.path}>
                <th scope="row" class={`depth-${Math.min(row.depth, 6)}`} title={row.path}>
                  <Marked text={row.name} find={find.value} name />
                </th>
                <td>
                  <Value value={row.value} find={find.value} />
                </td>
              </tr>
            ) : (
              <tr key={row.path} class="value-group">
                <th scope="rowgroup" colSpan={2} class={`depth-${Math.min(row.depth, 6)}`}>
                  <button
                    type="button"
                    aria-expanded={!folded.value.has(row.path)}
                    onClick={() => toggle(row.path)}
                  >
                    <Icon name={folded.value.has(row.path) ? 'chevron' : 'down'} />
                    <Marked text={row.name} find={find.value} />
                    <span class="quiet small">{row.count}</span>
                  </button>
                </th>
              </tr>
            ),
          )}
        </tbody>
      </table>
      {rows.length === 0 && <p class="nothing">Nothing has “{find.value}”.</p>}
      {rows.length > shown.length && (
        <button
          type="button"
          class="button bare"
          onClick={() => {
            all.value = true;
          }}
        >
          Show all {rows.length}
        </button>
      )}
    </>
  );
}

function Value({ value, find }: { value: unknown; find: string }) {
  const text = formatValue(value);
  const kind =
    typeof value === 'number' || typeof value === 'bigint'
      ? 'number'
      : value === null
        ? 'null'
        : typeof value;
  return (
    <span class={`value ${kind}`}>
      <span class="value-text">
        <Marked text={text} find={find} />
      </span>
      <CopyButton text={text} label="Copy the value" />
    </span>
  );
}
