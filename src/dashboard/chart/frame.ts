/**
 * One frame for all drawing. A task that is asked for twice runs once; what does not fit into a frame's share of time goes
 * into the next, in the order in which it was asked, so that no stretch of drawing blocks the page.
 */
const BUDGET_MS = 9;
const tasks = new Set<() => void>();
let requested = false;

export function drawSoon(task: () => void): void {
  tasks.add(task);
  if (requested) return;
  requested = true;
  requestAnimationFrame(run);
}

export function drawNever(task: () => void): void {
  tasks.delete(task);
}

function run(): void {
  requested = false;
  const start = performance.now();
  for (const task of tasks) {
    tasks.delete(task);
    task();
    if (performance.now() - start > BUDGET_MS) break;
  }
  if (tasks.size === 0 || requested) return;
  requested = true;
  requestAnimationFrame(run);
}
