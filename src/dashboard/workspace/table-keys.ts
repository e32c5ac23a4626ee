/** The table by keyboard: j and k move, the other keys act on the row that they stand on. */
import { useEffect } from 'preact/hooks';
import { useShortcuts } from '../shell/keyboard.ts';
import { navigate, runHref } from '../shell/router.ts';
import { mayEdit } from '../shell/server-info.ts';
import { archiveRuns } from './edits.ts';
import { chartedIds, chartGroups, focused, pointer, selected, showOnly, toggleRun } from './shown-runs.ts';
import type { TableItem } from './table-model.ts';

export function useTableKeys(items: () => readonly TableItem[]): void {
  const go = (by: number) => {
    const list = items();
    const runs = list.flatMap((item, index) => (item.type === 'run' ? [{ id: item.run.id, index }] : []));
    const at = runs.findIndex((run) => run.id === focused.peek());
    const next = runs[Math.max(0, Math.min(runs.length - 1, at < 0 ? 0 : at + by))];
    if (next === undefined) return;
    focused.value = next.id;
    pointer.lifted.value = chartedIds.peek().has(next.id) && chartGroups.peek() === null ? next.id : null;
  };
  const act = (run: (id: string) => void) => () => {
    const id = focused.peek();
    if (id !== null) run(id);
  };
  useShortcuts(() => [
    { keys: 'j', does: 'Next run', group: 'Runs', run: () => go(1) },
    { keys: 'k', does: 'Previous run', group: 'Runs', run: () => go(-1) },
    { keys: 'Enter', does: 'Open the run', group: 'Runs', run: act((id) => navigate(runHref(id))) },
    { keys: 'e', does: 'Chart it, or not', group: 'Runs', run: act(toggleRun) },
    { keys: 'o', does: 'Chart this one only', group: 'Runs', run: act((id) => showOnly([id])) },
    {
      keys: 'x',
      does: 'Select it',
      group: 'Runs',
      run: act((id) => {
        const next = new Set(selected.peek());
        if (!next.delete(id)) next.add(id);
        selected.value = next;
      }),
    },
    {
      keys: 'a',
      does: 'Archive what is selected',
      group: 'Runs',
      run: () => {
        const ids = [...selected.peek()];
        if (ids.length > 0 && mayEdit.peek()) void archiveRuns(ids, true);
      },
    },
    {
      keys: 'Escape',
      does: 'Select none',
      group: 'Runs',
      run: () => {
        selected.value = new Set();
        focused.value = null;
        pointer.lifted.value = null;
      },
    },
  ]);
  useEffect(() => {
    const end = () => {
      focused.value = null;
    };
    return end;
  }, []);
}
