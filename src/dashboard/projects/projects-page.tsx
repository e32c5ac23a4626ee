/** All projects that this server has: how many runs, what runs now, when something last happened, and whose they are. */
import { signal, useComputed, useSignal } from '@preact/signals';
import { useEffect } from 'preact/hooks';
import type { ProjectEntry } from '../../protocol/api.ts';
import { type ApiFailure, asFailure, getJson, isAbort } from '../api/client.ts';
import { onBatch, onReconnect, useWatch } from '../api/live.ts';
import { formatAge, formatTime } from '../format/times.ts';
import { Command } from '../parts/copy-button.tsx';
import { Icon } from '../parts/icon.tsx';
import { Empty, Failed, Outline } from '../parts/states.tsx';
import { StatusMark } from '../parts/status-mark.tsx';
import { now, useClock } from '../shell/clock.ts';
import { health } from '../shell/server-info.ts';
import { readView, writeView } from '../workspace/view.ts';
import { userFilter } from './user-filter.ts';

/** Runs that change ask for all of it again, at most so often. */
const REREAD_MS = 3000;
const MOST_PEOPLE = 4;

const projects = signal<readonly ProjectEntry[] | null>(null);

const projectHref = (project: string, user?: string): string =>
  `/?${writeView({ ...readView(''), project, ...(user === undefined ? {} : { find: userFilter(user) }) })}`;

export function ProjectsPage() {
  const failure = useSignal<ApiFailure | null>(null);
  const find = useSignal('');
  useClock(30);
  useWatch({ table: true });
  useEffect(() => {
    let request: AbortController | undefined;
    let timer: number | undefined;
    const load = async () => {
      timer = undefined;
      request?.abort();
      const mine = new AbortController();
      request = mine;
      try {
        projects.value = await getJson<ProjectEntry[]>('/api/projects', undefined, mine.signal);
        failure.value = null;
      } catch (error) {
        if (!isAbort(error) && !mine.signal.aborted) failure.value = asFailure(error);
      }
    };
    const soon = () => {
      timer ??= window.setTimeout(load, REREAD_MS);
    };
    const stops = [
      onBatch(({ runs, gap }) => {
        if (runs.length > 0 || gap === 'all') soon();
      }),
      onReconnect(() => void load()),
    ];
    void load();
    return () => {
      for (const stop of stops) stop();
      clearTimeout(timer);
      request?.abort();
    };
  }, []);
  const found = useComputed(() => {
    const words = find.value.toLowerCase().split(/\s+/).filter(Boolean);
    return (projects.value ?? []).filter(({ name, users }) => {
      const text = [name, ...users.map((user) => user.name)].join(' ').toLowerCase();
      return words.every((word) => text.includes(word));
    });
  });
  const all = projects.value;
  if (all === null) {
    if (failure.value !== null) return <Failed failure={failure.value} retry={() => location.reload()} />;
    return <Outline lines={8} />;
  }
  const running = all.reduce((sum, project) => sum + project.running, 0);
  const runs = all.reduce((sum, project) => sum + project.runs, 0);
  const people = new Set(all.flatMap((project) => project.users.map((user) => user.name))).size;
  return (
    <div class="projects">
      <div class="projects-inner">
        <header class="projects-head">
          <h1>Projects</h1>
          <p class="quiet">
            {runs.toLocaleString()} {runs === 1 ? 'run' : 'runs'} of {people.toLocaleString()}{' '}
            {people === 1 ? 'person' : 'people'}
            {running > 0 ? `, ${running.toLocaleString()} running now` : ''}
          </p>
          <span class="grow" />
          {all.length > 8 && (
            <label class="field projects-find">
              <Icon name="search" />
              <input
                type="search"
                aria-label="Find a project or a person"
                placeholder="Project or person"
                value={find.value}
                onInput={(event) => {
                  find.value = event.currentTarget.value;
                }}
              />
            </label>
          )}
        </header>
        {all.length === 0 && (
          <Empty title="No project yet" icon="group">
            <p>
              {health.value?.collector
                ? 'The first push makes one. On the machine that has the runs:'
                : 'The first run makes one:'}
            </p>
            <Command
              text={
                health.value?.collector
                  ? `waddle remote add team ${location.origin} && waddle push --all`
                  : 'waddle run -- python train.py'
              }
            />
          </Empty>
        )}
        {all.length > 0 && found.value.length === 0 && <Empty title="Nothing is called that" icon="search" />}
        <ul class="project-list">
          {found.value.map((project) => (
            <Project key={project.name} project={project} />
          ))}
        </ul>
      </div>
    </div>
  );
}

function Project({ project }: { project: ProjectEntry }) {
  const { name, runs, running, users } = project;
  const last = project.last_event_at ?? project.last_started_at;
  return (
    <li class="project-row">
      <a class="project-name" href={projectHref(name)}>
        <span class="clip">{name}</span>
      </a>
      <span class="project-running">
        {running > 0 && (
          <>
            <StatusMark status="running" /> {running.toLocaleString()} running
          </>
        )}
      </span>
      <span class="project-runs">
        {runs.toLocaleString()} {runs === 1 ? 'run' : 'runs'}
      </span>
      <span class="project-people">
        {users.slice(0, MOST_PEOPLE).map((user) => (
          <a
            key={user.name}
            class="person"
            href={projectHref(name, user.name)}
            title={`${user.runs.toLocaleString()} runs${user.running > 0 ? `, ${user.running} running` : ''}`}
          >
            <span class="clip">{user.name}</span>
          </a>
        ))}
        {users.length > MOST_PEOPLE && <span class="faint">+{users.length - MOST_PEOPLE}</span>}
      </span>
      <span class="project-last" title={last === null ? undefined : formatTime(last)}>
        {last === null ? '–' : formatAge(last, now.value)}
      </span>
    </li>
  );
}
