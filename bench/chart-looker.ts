/**
 * Somebody who looks at charts, on a thread of its own: what the clients of a benchmark do meanwhile is not in its times.
 * Told to `stop`, it answers with the milliseconds that each query took.
 */
import { parentPort, workerData } from 'node:worker_threads';

const { url, token, runs, keys } = workerData as { url: string; token: string; runs: string[]; keys: number };
/** Milliseconds between an answer and the next question. */
const PAUSE_MS = 20;

const times: number[] = [];
let looking = true;
parentPort?.once('message', () => {
  looking = false;
});
const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' };
for (let turn = 0; looking; turn += 1) {
  const series = [{ run: runs[turn % runs.length], key: `metric${turn % keys}` }];
  const began = performance.now();
  const answer = await fetch(`${url}/api/series`, {
    method: 'POST',
    headers,
    body: JSON.stringify({ series, points: 1000 }),
  });
  await answer.arrayBuffer();
  // A run whose first piece has not come yet has no chart.
  if (answer.ok) times.push(performance.now() - began);
  await new Promise((wake) => setTimeout(wake, PAUSE_MS));
}
parentPort?.postMessage(times);
