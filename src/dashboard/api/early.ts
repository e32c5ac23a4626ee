/**
 * Answers that are asked for while the page's own code is still being read (`../early.ts`). Each is for the first who asks
 * for the same path, and for nobody once it has grown old.
 */
const OLD_MS = 10_000;

const answers = new Map<string, Promise<Response>>();
/** Where the first of them stood. */
let began: Promise<string | undefined> | undefined;

export function askEarly(path: string): Promise<Response> {
  const answer = fetch(path);
  answers.set(path, answer);
  // Who takes it hears of the failure.
  const stood = answer.then(
    ({ headers }) => headers.get('waddle-cursor') ?? undefined,
    () => undefined,
  );
  began ??= stood;
  setTimeout(() => answers.delete(path), OLD_MS);
  return answer;
}

/** Where the live stream goes on from the first of them. */
export const earlyCursor = (): Promise<string | undefined> => began ?? Promise.resolve(undefined);

/** Nobody has asked for it yet: the page is not that far. */
export const isUntaken = (path: string): boolean => answers.has(path);

/** The answer that is on its way, or here; it is handed out once. */
export function earlyAnswer(path: string): Promise<Response> | undefined {
  const answer = answers.get(path);
  answers.delete(path);
  return answer;
}
