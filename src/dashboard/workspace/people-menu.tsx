/** Whose runs: everybody's, or those of one person. */
import { useSignal } from '@preact/signals';
import { useEffect } from 'preact/hooks';
import type { ProjectEntry } from '../../protocol/api.ts';
import { getJson } from '../api/client.ts';
import { MenuButton, MenuItem } from '../parts/popover.tsx';
import { userFilter } from '../projects/user-filter.ts';
import { setView, view } from './view.ts';

const MOST = 60;
const OF_ONE = /^user = '((?:[^']|'')*)'$/;

/** The person whose runs are shown; undefined: several people's. */
export const chosenPerson = (find: string): string | undefined =>
  OF_ONE.exec(find)?.[1]?.replaceAll("''", "'");

export function PeopleMenu() {
  const person = chosenPerson(view.value.find);
  return (
    <MenuButton label="People" icon="person" pressed={person !== undefined}>
      {(close) => <People close={close} person={person} />}
    </MenuButton>
  );
}

function People({ close, person }: { close: () => void; person: string | undefined }) {
  const people = useSignal<readonly [name: string, runs: number][] | null>(null);
  useEffect(() => {
    const request = new AbortController();
    getJson<ProjectEntry[]>('/api/projects', undefined, request.signal).then(
      (projects) => {
        people.value = peopleOf(projects, view.peek().project);
      },
      () => {
        people.value = [];
      },
    );
    return () => request.abort();
  }, []);
  const pick = (find: string) => () => {
    setView({ find });
    close();
  };
  return (
    <>
      <div class="menu-title">Runs of</div>
      <MenuItem checked={person === undefined} onPick={pick('')}>
        Everybody
      </MenuItem>
      {people.value?.slice(0, MOST).map(([name, runs]) => (
        <MenuItem key={name} checked={person === name} onPick={pick(userFilter(name))}>
          <span class="clip">{name}</span> <span class="quiet small">{runs.toLocaleString()}</span>
        </MenuItem>
      ))}
      {people.value !== null && people.value.length > MOST && (
        <p class="menu-title">and {people.value.length - MOST} more: filter by user</p>
      )}
      <div class="menu-rule" />
      <MenuItem
        checked={view.value.group === 'user'}
        onPick={() => {
          setView({ group: view.peek().group === 'user' ? undefined : 'user' });
          close();
        }}
      >
        Group by person
      </MenuItem>
    </>
  );
}

/** Those with the most runs first, of one project where one is chosen. Pure. */
export function peopleOf(projects: readonly ProjectEntry[], project: string): [name: string, runs: number][] {
  const runs = new Map<string, number>();
  for (const { name, users } of projects) {
    if (project !== '' && name !== project) continue;
    for (const user of users) runs.set(user.name, (runs.get(user.name) ?? 0) + user.runs);
  }
  return [...runs].sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1));
}
