// biome-ignore-all lint/a11y/useSemanticElements: a segmented choice, with the roles of radio buttons
/** How the charts are drawn. */
import { useSignal } from '@preact/signals';
import { useEffect, useRef } from 'preact/hooks';
import type { Axis } from '../chart/line.ts';
import { copyText } from '../parts/copy-button.tsx';
import { Icon } from '../parts/icon.tsx';
import { MenuButton, MenuItem } from '../parts/popover.tsx';
import { useShortcuts } from '../shell/keyboard.ts';
import { navigate, search } from '../shell/router.ts';
import { say } from '../shell/toasts.tsx';
import { HEIGHT, setSettings, setView, view } from './view.ts';

const AXES: readonly [axis: Axis, title: string][] = [
  ['step', 'Step'],
  ['time', 'Time'],
  ['relative', 'Relative'],
];

export function Toolbar({ count }: { count: number }) {
  const { settings, range, panels } = view.value;
  const input = useRef<HTMLInputElement>(null);
  useShortcuts(() => [
    { keys: 'p', does: 'Find a chart', group: 'Charts', run: () => input.current?.focus() },
    {
      keys: 'l',
      does: 'Logarithmic y',
      group: 'Charts',
      run: () => setSettings({ logY: !view.peek().settings.logY }),
    },
    { keys: 'z', does: 'Show the whole range again', group: 'Charts', run: () => setView({ range: null }) },
    {
      keys: 's',
      does: 'Smooth, or not',
      group: 'Charts',
      run: () => setSettings({ smoothing: view.peek().settings.smoothing > 0 ? 0 : 0.9 }),
    },
  ]);
  return (
    <div class="toolbar" role="toolbar" aria-label="Charts">
      <div class="field panel-search">
        <Icon name="search" />
        <input
          ref={input}
          type="search"
          aria-label="Find a chart"
          placeholder={`Find in ${count} ${count === 1 ? 'chart' : 'charts'}`}
          spellcheck={false}
          value={panels}
          onInput={(event) => setView({ panels: event.currentTarget.value })}
          onKeyDown={(event) => {
            if (event.key === 'Escape') event.currentTarget.blur();
          }}
        />
        {panels !== '' && (
          <button
            type="button"
            class="icon-button tiny"
            aria-label="Clear"
            onClick={() => setView({ panels: '' })}
          >
            <Icon name="close" />
          </button>
        )}
      </div>
      <span class="grow" />
      {range !== null && (
        <button type="button" class="button" onClick={() => setView({ range: null })}>
          <Icon name="reset" /> Whole range
        </button>
      )}
      <Smoothing />
      <div class="segments" role="radiogroup" aria-label="X axis">
        {AXES.map(([axis, title]) => (
          <button
            key={axis}
            type="button"
            role="radio"
            aria-checked={settings.axis === axis}
            onClick={() => setSettings({ axis })}
          >
            {title}
          </button>
        ))}
      </div>
      <SettingsMenu />
      <ViewsMenu />
    </div>
  );
}

function Smoothing() {
  const { smoothing } = view.value.settings;
  return (
    <label class="smoothing" title="Smoothing: an exponential moving average; the values stay behind it">
      <span class="quiet small">Smooth</span>
      <input
        type="range"
        min="0"
        max="1"
        step="0.01"
        aria-label="Smoothing"
        aria-valuetext={smoothing === 0 ? 'off' : smoothing.toFixed(3)}
        value={toSlider(smoothing)}
        onInput={(event) => setSettings({ smoothing: fromSlider(Number(event.currentTarget.value)) })}
        onDblClick={() => setSettings({ smoothing: 0 })}
      />
      <output class="small">{smoothing === 0 ? 'off' : smoothing.toFixed(smoothing < 0.99 ? 2 : 3)}</output>
    </label>
  );
}

/** Most of what matters lies between 0.9 and 1: the slider gives it room. */
const toSlider = (weight: number): number => 1 - Math.sqrt(1 - weight);
const fromSlider = (place: number): number => Math.min(0.999, Number((1 - (1 - place) ** 2).toFixed(3)));

function SettingsMenu() {
  const { settings, height, group, sizes, moves } = view.value;
  const changed = settings.logX || settings.logY || settings.clip;
  return (
    <MenuButton label="Chart settings" icon="settings" pressed={changed}>
      {() => (
        <>
          <MenuItem checked={settings.logY} onPick={() => setSettings({ logY: !settings.logY })}>
            Logarithmic y
          </MenuItem>
          <MenuItem checked={settings.logX} onPick={() => setSettings({ logX: !settings.logX })}>
            Logarithmic x
          </MenuItem>
          <MenuItem checked={settings.clip} onPick={() => setSettings({ clip: !settings.clip })}>
            Leave outliers outside
          </MenuItem>
          {group !== undefined && (
            <>
              <div class="menu-rule" />
              <div class="menu-title">Band of a group</div>
              <MenuItem
                checked={settings.spread === 'minmax'}
                onPick={() => setSettings({ spread: 'minmax' })}
              >
                Least to greatest
              </MenuItem>
              <MenuItem checked={settings.spread === 'std'} onPick={() => setSettings({ spread: 'std' })}>
                Standard deviation
              </MenuItem>
            </>
          )}
          <div class="menu-rule" />
          <div class="menu-title">Height of charts</div>
          {[176, HEIGHT, 320].map((one, index) => (
            <MenuItem key={one} checked={height === one} onPick={() => setView({ height: one })}>
              {['Low', 'Usual', 'High'][index]}
            </MenuItem>
          ))}
          {(sizes.size > 0 || moves.length > 0) && (
            <MenuItem icon="reset" onPick={() => setView({ sizes: new Map(), moves: [] })}>
              Usual sizes and places
            </MenuItem>
          )}
        </>
      )}
    </MenuButton>
  );
}

const KEY = 'waddle.views';

/** Views that were named, in this browser: what they show is their link. */
function readNamed(): [name: string, query: string][] {
  try {
    const list: unknown = JSON.parse(localStorage.getItem(KEY) ?? '[]');
    if (!Array.isArray(list)) return [];
    return list.filter(
      (entry): entry is [string, string] =>
        Array.isArray(entry) && entry.length === 2 && entry.every((part) => typeof part === 'string'),
    );
  } catch {
    return [];
  }
}

function writeNamed(list: readonly [string, string][]): void {
  try {
    localStorage.setItem(KEY, JSON.stringify(list));
  } catch {
    say('This browser keeps nothing: copy the link instead', { bad: true });
  }
}

function ViewsMenu() {
  return (
    <MenuButton label="Views" icon="bookmark">
      {(close) => <Views close={close} />}
    </MenuButton>
  );
}

function Views({ close }: { close: () => void }) {
  const named = useSignal(readNamed());
  const name = useSignal('');
  useEffect(() => {
    writeNamedIfChanged(named.value);
  }, [named.value]);
  const save = (event: Event) => {
    event.preventDefault();
    const title = name.value.trim();
    if (title === '') return;
    named.value = [...named.value.filter(([one]) => one !== title), [title, search.peek()]];
    name.value = '';
  };
  return (
    <>
      <MenuItem
        icon="link"
        onPick={() => {
          void copyText(location.href).then(() => say('Copied the link to this view'));
          close();
        }}
      >
        Copy the link to this view
      </MenuItem>
      <MenuItem
        icon="reset"
        onPick={() => {
          navigate('/');
          close();
        }}
      >
        Plain view
      </MenuItem>
      <div class="menu-rule" />
      {named.value.map(([title, query]) => (
        <div key={title} class="row">
          <MenuItem
            icon="bookmark"
            onPick={() => {
              navigate(`/?${query}`);
              close();
            }}
          >
            {title}
          </MenuItem>
          <button
            type="button"
            class="icon-button tiny"
            aria-label={`Forget the view ${title}`}
            onClick={() => {
              named.value = named.value.filter(([one]) => one !== title);
            }}
          >
            <Icon name="close" />
          </button>
        </div>
      ))}
      <form class="tag-form" onSubmit={save}>
        <div class="field grow">
          <input
            aria-label="Name this view"
            placeholder="Name this view"
            value={name.value}
            onInput={(event) => {
              name.value = event.currentTarget.value;
            }}
          />
        </div>
        <button type="submit" class="button">
          Keep
        </button>
      </form>
    </>
  );
}

function writeNamedIfChanged(list: readonly [string, string][]): void {
  if (JSON.stringify(readNamed()) !== JSON.stringify(list)) writeNamed(list);
}
