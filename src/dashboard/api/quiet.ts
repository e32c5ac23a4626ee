/** What is in view is asked for first: what can wait asks when nothing of that is on its way any more. */

/** One answer leads to the next question within this. */
const SETTLED_MS = 60;
const MOST_MS = 4000;

let onItsWay = 0;
let last = 0;

/** Counts a request for what is in view until it is done. */
export function inView<T>(answer: Promise<T>): Promise<T> {
  onItsWay++;
  return answer.finally(() => {
    onItsWay--;
    last = performance.now();
  });
}

/** Resolves when all that is in view has been answered, or takes too long. */
export async function whenQuiet(): Promise<void> {
  const end = performance.now() + MOST_MS;
  last = Math.max(last, performance.now() - SETTLED_MS / 2);
  while (performance.now() < end && (onItsWay > 0 || performance.now() - last < SETTLED_MS))
    await new Promise((done) => setTimeout(done, SETTLED_MS / 2));
}
