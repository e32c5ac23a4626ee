/** Under the table: how many runs there are, and how many are charted. */
import { countSuffix, moreRuns, runRows, runsState } from '../api/runs-store.ts';
import { chartRuns, showNone, showUsual } from './shown-runs.ts';
import { view } from './view.ts';

export function RunCount() {
  const total = runRows.value.length;
  const charted = chartRuns.value.length;
  const state = runsState.value;
  if (state === 'loading' || (state === 'failed' && total === 0)) return null;
  const usual = view.value.only === null && view.value.hidden.length === 0 && view.value.shown.length === 0;
  return (
    <div class="count small">
      <span
        class="clip"
        title={
          moreRuns.value
            ? 'More come when the table is scrolled to its end; the filter finds them all'
            : undefined
        }
      >
        {total.toLocaleString()}
        {countSuffix.value} {total === 1 ? 'run' : 'runs'}
        {charted < total ? `, ${charted.toLocaleString()} charted` : ''}
      </span>
      <span class="grow" />
      {!usual && (
        <button type="button" class="link-button" onClick={showUsual}>
          Chart the usual
        </button>
      )}
      {usual && total > 1 && (
        <button type="button" class="link-button" onClick={showNone}>
          Hide all
        </button>
      )}
    </div>
  );
}
