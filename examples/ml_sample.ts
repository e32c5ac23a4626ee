/**
 * The TypeScript twin of `ml_sample.py`: linear regression on real data, with nothing but Node's own modules.
 *
 *     waddle run --entry examples/ml_sample.ts -- --epochs 50 --learning-rate 0.03
 *     node examples/ml_sample.ts --epochs 50          # the same without Waddle (Node 24.2 or newer)
 *
 * The data, `diabetes.csv` beside this file, is described in `ml_sample.py`.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import type { Run } from 'waddleml/client';

/** What this job needs of a run; `PrintedRun` stands in for it where there is none. */
type Logger = Pick<Run, 'logParam' | 'logTag' | 'logMetric' | 'log' | 'logArtifact'>;

interface Data {
  names: string[];
  features: number[][];
  targets: number[];
}

function readData(): Data {
  const [header = '', ...rows] = readFileSync(join(import.meta.dirname, 'diabetes.csv'), 'utf8')
    .trim()
    .split(/\r?\n/);
  const people = rows.map((row) => row.split(',').map(Number));
  return {
    names: header.split(',').slice(0, -1),
    features: people.map((person) => person.slice(0, -1)),
    targets: people.map((person) => person.at(-1) ?? Number.NaN),
  };
}

/** Numbers in [0, 1) from a seed (mulberry32): Math.random cannot be repeated. */
function randomNumbers(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** 0 … length - 1 in random order (Fisher and Yates). */
function shuffled(length: number, random: () => number): number[] {
  const order = Array.from({ length }, (_, index) => index);
  for (let last = length - 1; last > 0; last -= 1) {
    const other = Math.floor(random() * (last + 1));
    [order[last], order[other]] = [order[other] ?? 0, order[last] ?? 0];
  }
  return order;
}

const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;
const pick = <T>(values: readonly T[], order: readonly number[]) =>
  order.flatMap((index) => values[index] ?? []);
const rowsOf = (values: readonly number[][], order: readonly number[]) =>
  order.map((index) => values[index] ?? []);

/** Every feature with mean 0 and deviation 1, as measured on `train` alone. */
function standardize(train: readonly number[][], others: readonly number[][]): [number[][], number[][]] {
  const width = train[0]?.length ?? 0;
  const means = Array.from({ length: width }, (_, column) => mean(train.map((row) => row[column] ?? 0)));
  const scales = means.map(
    (m, column) => Math.sqrt(mean(train.map((row) => ((row[column] ?? 0) - m) ** 2))) || 1,
  );
  const scale = (rows: readonly number[][]) =>
    rows.map((row) => row.map((x, column) => (x - (means[column] ?? 0)) / (scales[column] ?? 1)));
  return [scale(train), scale(others)];
}

interface Model {
  weights: number[];
  bias: number;
}

function predict(model: Model, rows: readonly number[][]): number[] {
  return rows.map((row) =>
    row.reduce((sum, x, column) => sum + x * (model.weights[column] ?? 0), model.bias),
  );
}

function meanSquaredError(predictions: readonly number[], targets: readonly number[]): number {
  return mean(predictions.map((prediction, index) => (prediction - (targets[index] ?? 0)) ** 2));
}

/** The share of the targets' variance that is explained: 1 is perfect, 0 is no better than their mean. */
function rSquared(predictions: readonly number[], targets: readonly number[]): number {
  const level = mean(targets);
  return (
    1 -
    meanSquaredError(predictions, targets) /
      meanSquaredError(
        targets.map(() => level),
        targets,
      )
  );
}

/** One pass of stochastic gradient descent over the data. */
function trainEpoch(
  model: Model,
  rows: readonly number[][],
  targets: readonly number[],
  options: { learningRate: number; batchSize: number; random: () => number },
): Model {
  const order = shuffled(targets.length, options.random);
  let { weights, bias } = model;
  for (let start = 0; start < order.length; start += options.batchSize) {
    const batch = order.slice(start, start + options.batchSize);
    const inputs = rowsOf(rows, batch);
    const errors = predict({ weights, bias }, inputs).map(
      (p, index) => p - (targets[batch[index] ?? 0] ?? 0),
    );
    const scale = (2 * options.learningRate) / batch.length;
    weights = weights.map(
      (w, column) =>
        w - scale * errors.reduce((sum, error, index) => sum + error * (inputs[index]?.[column] ?? 0), 0),
    );
    bias -= scale * errors.reduce((sum, error) => sum + error, 0);
  }
  return { weights, bias };
}

export function waddleMain(run: Logger, argv: string[]): void {
  const { values: flags } = parseArgs({
    args: argv,
    options: {
      epochs: { type: 'string', default: '200' },
      'learning-rate': { type: 'string', default: '0.01' },
      'batch-size': { type: 'string', default: '32' },
      seed: { type: 'string', default: '0' },
    },
  });
  const epochs = Number(flags.epochs);
  const learningRate = Number(flags['learning-rate']);
  const batchSize = Number(flags['batch-size']);
  const random = randomNumbers(Number(flags.seed));

  const { names, features, targets } = readData();
  const order = shuffled(targets.length, random);
  const cut = Math.round(order.length * 0.75);
  const [train, validation] = [order.slice(0, cut), order.slice(cut)];
  const [trainX, valX] = standardize(rowsOf(features, train), rowsOf(features, validation));
  const [trainY, valY] = [pick(targets, train), pick(targets, validation)];

  for (const [key, value] of Object.entries({ epochs, learning_rate: learningRate, batch_size: batchSize })) {
    run.logParam(key, value);
  }
  run.logParam('data', { file: 'diabetes.csv', train: trainY.length, validation: valY.length });
  run.logTag('model', 'linear_regression');
  run.logTag('dataset', 'diabetes');

  let model: Model = { weights: names.map(() => 0), bias: 0 };
  for (let epoch = 0; epoch < epochs; epoch += 1) {
    model = trainEpoch(model, trainX, trainY, { learningRate, batchSize, random });
    const trainLoss = meanSquaredError(predict(model, trainX), trainY);
    const predictions = predict(model, valX);
    const valLoss = meanSquaredError(predictions, valY);
    const valR2 = rSquared(predictions, valY);
    run.logMetric('train/loss', epoch, trainLoss);
    run.log({ 'val/loss': valLoss, 'val/r2': valR2 }, { step: epoch });
    if (epoch % Math.max(Math.floor(epochs / 10), 1) === 0 || epoch === epochs - 1) {
      const columns = [
        `train loss ${trainLoss.toFixed(1)}`,
        `val loss ${valLoss.toFixed(1)}`,
        `val R2 ${valR2.toFixed(3)}`,
      ];
      console.log(`epoch ${String(epoch).padStart(4)}   ${columns.join('   ')}`);
    }
  }

  const folder = mkdtempSync(join(tmpdir(), 'ml-sample-'));
  try {
    const weights = join(folder, 'weights.json');
    const named = Object.fromEntries(names.map((name, index) => [name, model.weights[index]]));
    writeFileSync(weights, JSON.stringify({ bias: model.bias, weights: named }, null, 2));
    run.logArtifact('weights.json', weights, { kind: 'model', inline: true });

    // Pairs of little-endian doubles: what was predicted, what was true.
    const table = join(folder, 'predictions.f64');
    writeFileSync(table, new Float64Array(predict(model, valX).flatMap((p, index) => [p, valY[index] ?? 0])));
    run.logArtifact('predictions.f64', table, { kind: 'predictions' });
  } finally {
    rmSync(folder, { recursive: true });
  }
}

if (import.meta.main) {
  const nothing = () => undefined;
  const printed: Logger = {
    logParam: (key, value) => console.log(`param ${key} = ${JSON.stringify(value)}`),
    logTag: nothing,
    logMetric: nothing,
    log: nothing,
    logArtifact: (name) => {
      console.log(`made ${name}`);
      return '';
    },
  };
  waddleMain(printed, process.argv.slice(2));
}
