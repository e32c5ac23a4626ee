"""Waddle from a plain script, in a checkout: `waddle.init()`, `run.log_metric`, `run.finish()`."""

import os
import sqlite3
import subprocess

waddle = None


def load():
    global waddle
    import waddle


def start(folder):
    run = waddle.init(dir=folder, project="peers", name="job")

    def log_many(first, count):
        for step in range(first, first + count):
            run.log_metric("train/loss", step, 1.0 / (step + 1))

    return log_many, run.finish


def settle(folder):
    """Any command that reads catches the store up first."""
    command = [os.environ["WADDLE_BENCH_NODE"], os.path.join(os.environ["WADDLE_BENCH_ROOT"], "dist", "waddle.js")]
    subprocess.run([*command, "ls", "--dir", folder], check=True, stdout=subprocess.DEVNULL)


def count(folder):
    settle(folder)
    store = sqlite3.connect(os.path.join(folder, ".waddle", "waddle.sqlite"))
    return store.execute("SELECT count(*) FROM metrics WHERE key = 'train/loss'").fetchone()[0]
