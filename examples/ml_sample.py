"""
Linear regression on real data, with nothing but the standard library.

    waddle run --entry examples.ml_sample -- --epochs 50 --learning-rate 0.03
    python -m examples.ml_sample --epochs 50          # the same without Waddle

The data, `diabetes.csv` beside this file: 442 people with diabetes, ten measurements of each, and how far the disease
had progressed one year later. From Efron, Hastie, Johnstone and Tibshirani, "Least Angle Regression", Annals of
Statistics 32 (2004); as scikit-learn ships it (``load_diabetes(scaled=False)``).
"""

import argparse
import csv
import json
import os
import random
import struct
import tempfile

DATA = os.path.join(os.path.dirname(os.path.abspath(__file__)), "diabetes.csv")


def read_data():
    """The names of the features; the people, one list of features each; their progression."""
    with open(DATA, newline="") as file:
        header, *rows = csv.reader(file)
    people = [[float(cell) for cell in row] for row in rows]
    return header[:-1], [person[:-1] for person in people], [person[-1] for person in people]


def split(features, targets, rng, validation_share=0.25):
    """(train features, train targets, validation features, validation targets), shuffled."""
    order = list(range(len(targets)))
    rng.shuffle(order)
    cut = round(len(order) * (1 - validation_share))
    train, val = order[:cut], order[cut:]
    return (
        [features[i] for i in train],
        [targets[i] for i in train],
        [features[i] for i in val],
        [targets[i] for i in val],
    )


def standardize(train, *others):
    """Every feature with mean 0 and deviation 1, as measured on `train` alone."""
    columns = list(zip(*train))
    means = [sum(column) / len(column) for column in columns]
    scales = [
        (sum((x - mean) ** 2 for x in column) / len(column)) ** 0.5 or 1.0 for column, mean in zip(columns, means)
    ]
    return [[[(x - m) / s for x, m, s in zip(row, means, scales)] for row in rows] for rows in (train, *others)]


def predict(weights, bias, rows):
    return [bias + sum(w * x for w, x in zip(weights, row)) for row in rows]


def mean_squared_error(predictions, targets):
    return sum((p - y) ** 2 for p, y in zip(predictions, targets)) / len(targets)


def r_squared(predictions, targets):
    """The share of the targets' variance that is explained: 1 is perfect, 0 is no better than their mean."""
    mean = sum(targets) / len(targets)
    return 1 - mean_squared_error(predictions, targets) / mean_squared_error([mean] * len(targets), targets)


def train_epoch(weights, bias, rows, targets, learning_rate, batch_size, rng):
    """One pass of stochastic gradient descent over the data; the new (weights, bias)."""
    order = list(range(len(targets)))
    rng.shuffle(order)
    for start in range(0, len(order), batch_size):
        batch = [rows[i] for i in order[start : start + batch_size]]
        errors = [p - targets[i] for p, i in zip(predict(weights, bias, batch), order[start:])]
        scale = 2 * learning_rate / len(batch)
        weights = [w - scale * sum(e * row[j] for e, row in zip(errors, batch)) for j, w in enumerate(weights)]
        bias -= scale * sum(errors)
    return weights, bias


def parse(argv):
    parser = argparse.ArgumentParser(prog="examples.ml_sample", description="Linear regression by gradient descent.")
    parser.add_argument("--epochs", type=int, default=200)
    parser.add_argument("--learning-rate", type=float, default=0.01)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args(argv)


def waddle_main(run, argv):
    args = parse(argv)
    rng = random.Random(args.seed)
    names, features, targets = read_data()
    train_x, train_y, val_x, val_y = split(features, targets, rng)
    train_x, val_x = standardize(train_x, val_x)

    run.log_params(vars(args))
    run.log_param("data", {"file": "diabetes.csv", "train": len(train_y), "validation": len(val_y)})
    run.log_tag("model", "linear_regression")
    run.log_tag("dataset", "diabetes")

    weights, bias = [0.0] * len(names), 0.0
    for epoch in range(args.epochs):
        weights, bias = train_epoch(weights, bias, train_x, train_y, args.learning_rate, args.batch_size, rng)
        train_loss = mean_squared_error(predict(weights, bias, train_x), train_y)
        predictions = predict(weights, bias, val_x)
        val_loss, val_r2 = mean_squared_error(predictions, val_y), r_squared(predictions, val_y)
        run.log_metric("train/loss", epoch, train_loss)
        run.log({"val/loss": val_loss, "val/r2": val_r2}, step=epoch)
        if epoch % max(args.epochs // 10, 1) == 0 or epoch == args.epochs - 1:
            print(
                "epoch %4d   train loss %8.1f   val loss %8.1f   val R2 %6.3f" % (epoch, train_loss, val_loss, val_r2)
            )

    with tempfile.TemporaryDirectory() as folder:
        model = os.path.join(folder, "weights.json")
        with open(model, "w") as file:
            json.dump({"bias": bias, "weights": dict(zip(names, weights))}, file, indent=2)
        run.log_artifact("weights.json", model, kind="model", inline=True)

        table = os.path.join(folder, "predictions.f64")
        with open(table, "wb") as file:  # pairs of little-endian doubles: what was predicted, what was true
            for pair in zip(predict(weights, bias, val_x), val_y):
                file.write(struct.pack("<2d", *pair))
        run.log_artifact("predictions.f64", table, kind="predictions")


class PrintedRun:
    """Stands in for Waddle's run where there is none: shows what would be logged once, drops the rest."""

    def log_params(self, params):
        print("params:", ", ".join("%s=%s" % item for item in params.items()))

    def log_param(self, key, value):
        self.log_params({key: value})

    def log_tag(self, key, value):
        pass

    def log_metric(self, key, step, value):
        pass

    def log(self, values, step=None):
        pass

    def log_artifact(self, name, path, kind=None, inline=False):
        print("made:", name, "(%d bytes)" % os.path.getsize(path))


if __name__ == "__main__":
    import sys

    waddle_main(PrintedRun(), sys.argv[1:])
