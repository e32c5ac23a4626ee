/** How the charts are drawn. */
import { useSignal } from '@preact/signals';
import { useEffect, useRef } from 'preact/hooks';
import { copyText } from '../parts/copy-button.tsx';
import { Icon } from '../parts/icon.tsx';
import { IconButton } from '../parts/icon-button.tsx';
import { MenuButton, MenuItem } from '../parts/popover.tsx';
import { useShortcuts } from '../shell/keyboard.ts';
import { navigate, search } from '../shell/router.ts';
import { say } from '../shell/toasts.tsx';
import { AxisChoice, RangeForm, ScaleItems, Smoothing } from './chart-controls.tsx';
import { HEIGHT, setSettings, setView, view } from './view.ts';

/** `idle`: there is nothing to set; it keeps its place. */
export function Toolbar({ count, idle }: { count: number; idle: boolean }) {
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
    <div class={`toolbar${idle ? ' idle' : ''}`} role="toolbar" aria-label="Charts">
      <div class="field panel-search">
        <Icon name="search" />
        <input
          ref={input}
          type="search"
          aria-label="Find a chart"
          placeholder={count < 2 ? 'Find a chart' : `Find in ${count.toLocaleString()} charts`}
          spellcheck={false}
          value={panels}
          onInput={(event) => setView({ panels: event.currentTarget.value })}
          onKeyDown={(event) => {
            if (event.key === 'Escape') event.currentTarget.blur();
          }}
        />
        {panels !== '' && (
          <IconButton icon="close" label="Clear" class="tiny" onClick={() => setView({ panels: '' })} />
        )}
      </div>
      <span class="grow" />
      {range !== null && (
        <button type="button" class="button" onClick={() => setView({ range: null })}>
          <Icon name="reset" /> Whole range
        </button>
      )}
      <Smoothing settings={settings} set={setSettings} />
      <AxisChoice settings={settings} set={setSettings} />
      <SettingsMenu />
      <ViewsMenu />
    </div>
  );
}

function SettingsMenu() {
  const { settings, range, height, group, sizes, moves } = view.value;
  const changed = settings.logX || settings.logY || settings.clip;
  return (
    <MenuButton label="Chart settings" icon="settings" pressed={changed}>
      {() => (
        <>
          <ScaleItems settings={settings} set={setSettings} />
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
          <RangeForm axis={settings.axis} range={range} setRange={(next) => setView({ range: next })} />
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
          <IconButton
            icon="close"
            label={`Forget the view ${title}`}
            class="tiny"
            onClick={() => {
              named.value = named.value.filter(([one]) => one !== title);
            }}
          />
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
