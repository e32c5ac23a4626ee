/**
 * The first of the page that runs: asks for what the first view will want, while the rest of the code, which is fifty times
 * as much, is still being read. Then it goes on with that.
 */
import type { RunRow } from '../protocol/api.ts';
import { firstRunsPath, runPath } from './api/client.ts';
import { askEarly, isUntaken } from './api/early.ts';
import { prepareSeries } from './chart/start-worker.ts';
import { route } from './shell/router.ts';
import { chartedOf, keysPath, runsAsk } from './workspace/asks.ts';
import { view } from './workspace/view.ts';

function askAhead(): void {
  const at = route.peek();
  if (at.page === 'run') askEarly(runPath(at.id));
  if (at.page !== 'workspace') return;
  const shown = view.peek();
  // What columns of one's own or another order need is known to the table alone.
  if (shown.columns !== null || shown.sort !== undefined || shown.group !== undefined) return;
  const runs = firstRunsPath(runsAsk(shown, ''));
  const answer = askEarly(runs);
  if (shown.only !== null) {
    if (shown.only.length > 0) askEarly(keysPath(shown.only));
    return;
  }
  answer
    .then((response) => response.clone().json())
    .then((rows: RunRow[]) => {
      if (!isUntaken(runs)) return; // the page itself asks on
      const charted = chartedOf(rows, shown).map((row) => row.id);
      if (charted.length > 0) askEarly(keysPath(charted));
    })
    .catch(() => {}); // whoever takes the answer tells of it
}

askAhead();
prepareSeries();
void import('./main.tsx');
if (route.peek().page === 'run') void import('./run/run-page.tsx');
