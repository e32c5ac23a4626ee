/** Answers questions at once from PostgreSQL, over the rows of a store that a test has filled: without its series. */
import { MessageChannel, receiveMessageOnPort, Worker } from 'node:worker_threads';
import type { Answerer } from '../../src/query/fixture.ts';
import type { Store } from '../../src/store/open.ts';
import type { Ask, Question } from '../../src/store/question.ts';

export interface Asked {
  /** The file of a store whose rows have changed. */
  mirror: string | null;
  ask: Ask;
}

export type Told = { answer: unknown } | { error: string };

/** Must be closed. */
export function mirrorAnswerer(url: string): Answerer & { close(): Promise<number> } {
  const { port1, port2 } = new MessageChannel();
  const ready = new Int32Array(new SharedArrayBuffer(4));
  const worker = new Worker(new URL('./postgres-mirror-worker.ts', import.meta.url), {
    workerData: { url, port: port2, ready },
    transferList: [port2],
  });
  let mirrored = '';
  const tell = (asked: Asked): unknown => {
    Atomics.store(ready, 0, 0);
    port1.postMessage(asked);
    Atomics.wait(ready, 0, 0);
    const told = receiveMessageOnPort(port1)?.message as Told | undefined;
    if (told === undefined) throw new Error('the worker said nothing');
    if ('error' in told) throw new Error(told.error);
    return told.answer;
  };
  return {
    answer<T>({ db, path }: Pick<Store, 'db' | 'path'>, question: Question<T>): T {
      let step = question.next();
      while (step.done !== true) {
        const state = `${path} ${db.prepare('SELECT total_changes() AS n').get()?.n}`;
        step = question.next(tell({ mirror: state === mirrored ? null : path, ask: step.value }));
        mirrored = state;
      }
      return step.value;
    },
    close: () => {
      port1.close();
      return worker.terminate();
    },
  };
}
