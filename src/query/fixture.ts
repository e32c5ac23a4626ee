/** Stores for the tests of this room and of `export`: real SQLite, the store's own tables and its own code for series. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { stringifyExactJson } from '../events/line.ts';
import { answerNow } from '../store/answer-now.ts';
import { openStore, type Store } from '../store/open.ts';
import { flattenFamily, paramFamily } from '../store/params.ts';
import type { Ask, Question } from '../store/question.ts';
import { writeRunText } from '../store/run-text.ts';
import { FAN_OUT, newSeries, summariseMetric, writeSamples } from '../store/series.ts';

export interface TemporaryStore {
  store: Store;
  folder: string;
  remove: () => void;
}

export function temporaryStore(): TemporaryStore {
  const folder = mkdtempSync(join(tmpdir(), 'waddle-query-'));
  const store = openStore(join(folder, 'waddle.sqlite'));
  return {
    store,
    folder,
    remove: () => {
      store.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** What answers the tests' questions, from the rows that a fixture has written. */
export interface Answerer {
  answer<T>(store: Pick<Store, 'db' | 'path'>, question: Question<T>): T;
}

let answerer: Answerer = { answer: answerNow };

/** Tests that run from now on ask this one. */
export function testAnswerer(other: Answerer): void {
  answerer = other;
}

/** Whether it is SQLite that is asked. */
export const isLocal = () => answerer.answer === answerNow;

export function ask<T>(store: Pick<Store, 'db' | 'path'>, question: Question<T>): T {
  return answerer.answer(store, question);
}

/** What a question has asked for. */
export interface Asked {
  /** The SQL of its SELECTs. */
  sql: Set<string>;
  /** Rows that it was told. */
  rows: number;
  /** Samples that it was told, or that lie under no bucket of what it was told. */
  samples: number;
  /** Stored buckets that hold what it was told of: what was read to make a chart's columns. */
  buckets: number;
}

/** Passes on what a question asks and is told, and counts it. */
export function* counted<T>(question: Question<T>, asked: Asked): Question<T> {
  let step = question.next();
  while (step.done !== true) {
    const told = yield step.value;
    count(step.value, told, asked);
    step = question.next(told);
  }
  return step.value;
}

function count(ask: Ask, told: unknown, asked: Asked): void {
  if (ask.kind === 'rows') {
    asked.sql.add(ask.sql);
    asked.rows += (told as unknown[]).length;
  } else if (ask.kind === 'samples') {
    for (const { from, to } of ask.ranges) asked.samples += to - from;
  } else if (ask.kind === 'cover') {
    for (const { level, from, to } of ask.parts) {
      if (level === 0) asked.samples += to - from;
      else asked.buckets += Math.ceil((to - from) / FAN_OUT ** level);
    }
  } else if (ask.kind === 'several') {
    for (const [index, each] of ask.asks.entries()) count(each, (told as unknown[])[index], asked);
  }
}

/** One sample: step, value, and its time in milliseconds after the series' first. */
export type FixtureSample = readonly [step: number, value: number, ms?: number];

export interface FixtureRun {
  id: string;
  own?: Record<string, string | number | null>;
  params?: Record<string, unknown>;
  tags?: Record<string, string>;
  /** By key; or by key and writer. */
  metrics?: Record<string, readonly FixtureSample[] | Record<string, readonly FixtureSample[]>>;
}

/** Milliseconds: when the fixtures' samples begin. */
export const T0 = 1_764_000_000_000;

export function addRun(store: Store, run: FixtureRun): number {
  const own: Record<string, string | number | null> = {
    id: run.id,
    name: run.id,
    project: 'default',
    status: 'completed',
    journal_status: 'completed',
    started_at: null,
    revision: 1,
    status_revision: 1,
    ...run.own,
  };
  const names = Object.keys(own);
  const { lastInsertRowid } = store.db
    .prepare(
      `INSERT INTO runs (${names.map((name) => `"${name}"`).join(', ')}) VALUES (${names.map(() => '?').join(', ')})`,
    )
    .run(...Object.values(own));
  const num = Number(lastInsertRowid);
  const families = new Set<string>();
  for (const [key, value] of Object.entries(run.params ?? {})) {
    store
      .prepare('INSERT INTO params VALUES (?, ?, ?, 0, ?, 0, 1)')
      .run(num, key, stringifyExactJson(value), 'w');
    families.add(paramFamily(key));
  }
  for (const family of families) flattenFamily(store, num, family);
  for (const [key, value] of Object.entries(run.tags ?? {})) {
    store.prepare('INSERT INTO tags VALUES (?, ?, ?, 1)').run(num, key, value);
  }
  for (const [key, samples] of Object.entries(run.metrics ?? {})) {
    const writers = Array.isArray(samples)
      ? { 'job-aaaaaaaa': samples as readonly FixtureSample[] }
      : samples;
    for (const [writer, list] of Object.entries(writers as Record<string, readonly FixtureSample[]>)) {
      addSeries(store, num, key, writer, list);
    }
    summariseMetric(store, num, key, 1);
  }
  writeRunText(store, num);
  return num;
}

function addSeries(
  store: Store,
  run: number,
  key: string,
  writer: string,
  samples: Iterable<FixtureSample>,
): void {
  let series: ReturnType<typeof newSeries> | undefined;
  let index = 0;
  for (const [step, value, ms = index] of samples) {
    series ??= newSeries(store, { run, writer, key, part: 0 }, T0 + ms);
    series.steps.push(step);
    series.times.push(T0 + ms);
    series.values.push(value);
    index++;
    if (series.steps.length === 100_000) writeSamples(store, series, 1);
  }
  if (series !== undefined && series.steps.length > 0) writeSamples(store, series, 1);
}
