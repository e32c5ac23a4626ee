/** Which columns the table has. */
import { useSignal } from '@preact/signals';
import { Icon } from '../parts/icon.tsx';
import { IconButton } from '../parts/icon-button.tsx';
import { MenuButton } from '../parts/popover.tsx';
import {
  columnTitle,
  metricColumn,
  OWN,
  paramColumn,
  readColumn,
  sparkColumn,
  tagColumn,
} from './columns.ts';
import { keys } from './keys-store.ts';
import { setView } from './view.ts';

const MOST = 120;

const KIND = { run: 'Run', param: 'Param', tag: 'Tag', metric: 'Metric', spark: 'Metric' } as const;

export function ColumnChooser({ columns }: { columns: readonly string[] }) {
  return (
    <MenuButton label="Columns" icon="columns" wide>
      {() => <Chooser columns={columns} />}
    </MenuButton>
  );
}

interface Choice {
  title: string;
  kind: string;
  ids: { id: string; label: string }[];
}

function choices(): Choice[] {
  const all = keys.value;
  return [
    ...Object.entries(OWN).map(([key, title]) => ({ title, kind: 'Run', ids: [{ id: key, label: 'show' }] })),
    ...(all?.params ?? []).map(({ key }) => ({
      title: key,
      kind: 'Param',
      ids: [{ id: paramColumn(key), label: 'show' }],
    })),
    ...(all?.tags ?? []).map(({ key }) => ({
      title: key,
      kind: 'Tag',
      ids: [{ id: tagColumn(key), label: 'show' }],
    })),
    ...(all?.metrics ?? []).map(({ key }) => ({
      title: key,
      kind: 'Metric',
      ids: [
        ...(['last', 'min', 'max', 'mean'] as const).map((stat) => ({
          id: metricColumn(key, stat),
          label: stat,
        })),
        { id: sparkColumn(key), label: 'line' },
      ],
    })),
  ];
}

function Chooser({ columns }: { columns: readonly string[] }) {
  const query = useSignal('');
  const needle = query.value.trim().toLowerCase();
  const list = choices().filter((choice) => `${choice.kind} ${choice.title}`.toLowerCase().includes(needle));
  const toggle = (id: string) =>
    setView({ columns: columns.includes(id) ? columns.filter((one) => one !== id) : [...columns, id] });
  const move = (index: number, by: number) => {
    const next = [...columns];
    const [moved] = next.splice(index, 1);
    if (moved !== undefined) next.splice(index + by, 0, moved);
    setView({ columns: next });
  };
  return (
    <div class="chooser">
      <div class="field">
        <Icon name="search" />
        <input
          type="search"
          aria-label="Find a column"
          placeholder="Find a column"
          value={query.value}
          onInput={(event) => {
            query.value = event.currentTarget.value;
          }}
        />
      </div>
      {needle === '' && columns.length > 0 && (
        <>
          <div class="menu-title">In the table</div>
          <ul>
            {columns.map((id, index) => {
              const column = readColumn(id);
              const title = column ? columnTitle(column) : id;
              return (
                <li key={id} class="chooser-row">
                  <span class="clip grow">{column?.of === 'spark' ? `${title} line` : title}</span>
                  <span class="faint small">{column === undefined ? '' : KIND[column.of]}</span>
                  <IconButton
                    icon="down"
                    label={`Move ${title} to the left`}
                    class="tiny turn-up"
                    disabled={index === 0}
                    onClick={() => move(index, -1)}
                  />
                  <IconButton
                    icon="down"
                    label={`Move ${title} to the right`}
                    class="tiny"
                    disabled={index === columns.length - 1}
                    onClick={() => move(index, 1)}
                  />
                  <IconButton
                    icon="close"
                    label={`Remove ${title}`}
                    class="tiny"
                    onClick={() => toggle(id)}
                  />
                </li>
              );
            })}
          </ul>
        </>
      )}
      <div class="menu-title">{needle === '' ? 'All' : 'Found'}</div>
      <ul>
        {list.slice(0, MOST).map((choice) => (
          <li key={`${choice.kind} ${choice.title}`} class="chooser-row">
            <span class="clip grow" title={choice.title}>
              {choice.title}
            </span>
            <span class="faint small">{choice.ids.length === 1 ? choice.kind : ''}</span>
            {choice.ids.map(({ id, label }) => (
              <button
                key={id}
                type="button"
                class="chip-button"
                aria-pressed={columns.includes(id)}
                aria-label={`${choice.title} ${label}`}
                onClick={() => toggle(id)}
              >
                {label}
              </button>
            ))}
          </li>
        ))}
      </ul>
      {list.length > MOST && <p class="menu-title">and {list.length - MOST} more: type to find them</p>}
      <div class="menu-rule" />
      <button type="button" class="menu-item" onClick={() => setView({ columns: null })}>
        Usual columns
      </button>
    </div>
  );
}
