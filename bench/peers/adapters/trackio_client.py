"""Trackio, kept locally (`TRACKIO_DIR`); a thread of its own writes to SQLite."""

import glob
import json
import os
import sqlite3

trackio = None


def load():
    global trackio
    import trackio


def start(folder):
    trackio.init(project="peers", name="job", embed=False)

    def log_many(first, count):
        for step in range(first, first + count):
            trackio.log({"train/loss": 1.0 / (step + 1)}, step=step)

    return log_many, trackio.finish


def count(folder):
    found = 0
    for path in glob.glob(os.path.join(os.environ["TRACKIO_DIR"], "*.db")):
        store = sqlite3.connect(path)
        found += sum("train/loss" in json.loads(row[0]) for row in store.execute("SELECT metrics FROM metrics"))
    return found
