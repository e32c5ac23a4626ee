/** The frame around every view. */
import { useComputed } from '@preact/signals';
import { useEffect } from 'preact/hooks';
import type { RunRow } from '../protocol/api.ts';
import { connect, connection, nextTryAt } from './api/live.ts';
import { whenQuiet } from './api/quiet.ts';
import { everyRun, runRows } from './api/runs-store.ts';
import { ChartTip } from './chart/tip.tsx';
import { Icon } from './parts/icon.tsx';
import { IconButton } from './parts/icon-button.tsx';
import { Empty } from './parts/states.tsx';
import { Account, SignIn } from './shell/account.tsx';
import { now, useClock } from './shell/clock.ts';
import { isMac, useShortcuts } from './shell/keyboard.ts';
import { laterView } from './shell/later-view.tsx';
import { type Command, openPalette, Palette, useCommands } from './shell/palette.tsx';
import { navigate, type Route, route, runHref, workspaceHref } from './shell/router.ts';
import { health, startServerInfo } from './shell/server-info.ts';
import { openSheet, ShortcutSheet } from './shell/shortcut-sheet.tsx';
import { cycleTheme, dark, followSystem } from './shell/theme.ts';
import { Toasts } from './shell/toasts.tsx';
import { Workspace } from './workspace/workspace.tsx';

const runCommands = (runs: readonly RunRow[]): readonly Command[] =>
  runs.map((run) => ({
    title: run.name,
    icon: 'play',
    hint: `Run ${run.id}`,
    run: () => navigate(runHref(run.id)),
  }));

export function App() {
  useEffect(startServerInfo, []);
  // Where people go next is here then, with a server that went away too.
  useEffect(() => {
    void whenQuiet().then(() => {
      RunPage.load();
      ComparePage.load();
    });
  }, []);
  useShortcuts(() => [
    { keys: 'mod+k', does: 'Find anything', group: 'Anywhere', run: openPalette },
    { keys: 'g r', does: 'Go to the runs', group: 'Anywhere', run: () => navigate(workspaceHref()) },
    { keys: 'g p', does: 'Go to the projects', group: 'Anywhere', run: () => navigate('/projects') },
    { keys: 't', does: 'Light or dark', group: 'Anywhere', run: cycleTheme },
    { keys: '?', does: 'This sheet', group: 'Anywhere', run: openSheet },
  ]);
  // First, so that they are listed last.
  useCommands((closing) => {
    const runs = everyRun(closing);
    return runs instanceof Promise ? runs.then(runCommands) : runCommands(runs);
  });
  useCommands(() => [
    { title: 'Go to the runs', icon: 'list', hint: 'View', run: () => navigate(workspaceHref()) },
    { title: 'Go to the projects', icon: 'group', hint: 'View', run: () => navigate('/projects') },
    { title: 'Light or dark', icon: dark.value ? 'sun' : 'moon', hint: 'Action', run: cycleTheme },
    {
      title: 'Follow the system’s light or dark',
      icon: 'settings',
      hint: 'Action',
      run: followSystem,
    },
    { title: 'Keyboard shortcuts', icon: 'help', hint: 'Action', run: openSheet },
  ]);
  return (
    <div class="shell">
      <Top />
      <main class="page">
        <View />
      </main>
      <Palette />
      <ShortcutSheet />
      <ChartTip />
      <Toasts />
      <SignIn />
    </div>
  );
}

function Top() {
  const page = useComputed(() => route.value.page);
  const offline = connection.value === 'offline';
  return (
    <header class={`top${offline ? ' cut' : ''}`}>
      <a class="brand" href={workspaceHref()} title="All runs">
        <svg viewBox="0 0 32 32" aria-hidden="true">
          <rect width="32" height="32" rx="8" fill="var(--accent)" />
          <path
            d="M5 20c3 0 3-8 6-8s3 9 6 9 3-11 6-11 2 4 4 4"
            fill="none"
            stroke="var(--on-accent)"
            stroke-width="2.6"
            stroke-linecap="round"
            stroke-linejoin="round"
          />
        </svg>
        <span class="sr-only">Waddle </span>
        <span class="clip brand-folder">{health.value?.folder ?? 'Waddle'}</span>
      </a>
      <nav aria-label="Views">
        <a href={workspaceHref()} aria-current={page.value === 'workspace' ? 'page' : undefined}>
          Runs
        </a>
        {(health.value?.collector || page.value === 'projects') && (
          <a href="/projects" aria-current={page.value === 'projects' ? 'page' : undefined}>
            Projects
          </a>
        )}
        {page.value === 'compare' && (
          <a href={location.pathname + location.search} aria-current="page">
            Compare
          </a>
        )}
      </nav>
      <span class="grow" />
      {offline && <Offline />}
      <button type="button" class="find" title="Find a run, a metric or an action" onClick={openPalette}>
        <Icon name="search" />
        <span>Find</span>
        <kbd>{isMac ? '⌘K' : 'Ctrl K'}</kbd>
      </button>
      <IconButton
        icon={dark.value ? 'sun' : 'moon'}
        label={dark.value ? 'Use light colours' : 'Use dark colours'}
        title="Light or dark"
        onClick={cycleTheme}
      />
      <IconButton
        icon="help"
        label="Keyboard shortcuts"
        title="Keyboard shortcuts (?)"
        class="wide-only"
        onClick={openSheet}
      />
      <Account />
    </header>
  );
}

/** In the bar at the top, so that nothing moves: the server cannot be reached; what is here stays usable. */
function Offline() {
  useClock(1);
  const wait = Math.max(0, Math.ceil(nextTryAt.value / 1000 - now.value));
  return (
    <div class="offline late" role="status">
      <span class="clip">
        Not connected.{' '}
        <span class="wide-only">What is here stays.{wait > 1 ? ` Trying in ${wait}s.` : ''}</span>
      </span>
      <button type="button" onClick={connect}>
        Try now
      </button>
    </div>
  );
}

const RunPage = laterView(async () => (await import('./run/run-page.tsx')).RunPage);
const ComparePage = laterView(async () => (await import('./compare/compare-page.tsx')).ComparePage);
const ProjectsPage = laterView(async () => (await import('./projects/projects-page.tsx')).ProjectsPage);

function View() {
  const at: Route = route.value;
  useEffect(() => {
    const name =
      at.page === 'run'
        ? (runRows.peek().find((run) => run.id === at.id)?.name ?? at.id)
        : at.page === 'compare'
          ? 'Compare'
          : at.page === 'projects'
            ? 'Projects'
            : 'Runs';
    document.title = `${name} · Waddle`;
  }, [at]);
  if (at.page === 'workspace') return <Workspace />;
  if (at.page === 'run') return <RunPage key={at.id} id={at.id} tab={at.tab} />;
  if (at.page === 'projects') return <ProjectsPage />;
  if (at.page === 'compare') return <ComparePage runs={at.runs} />;
  return (
    <Empty title="There is nothing at this address" icon="search">
      <a class="button" href="/">
        Go to the runs
      </a>
    </Empty>
  );
}
