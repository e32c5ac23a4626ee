"""Aim with a local repository. Its runs are found through an index, which `aim storage reindex` makes after a kill."""

import os
import subprocess
import sys

aim = None


def load():
    global aim
    import aim


def start(folder):
    run = aim.Run(repo=folder, experiment="peers")

    def log_many(first, count):
        for step in range(first, first + count):
            run.track(1.0 / (step + 1), name="train/loss", step=step)

    return log_many, run.close


def count(folder):
    command = os.path.join(os.path.dirname(sys.executable), "aim")
    subprocess.run([command, "storage", "--repo", folder, "reindex"], input=b"y\n", check=True)
    load()
    found = 0
    repo = aim.Repo.from_path(folder)
    for name in repo.list_all_runs():
        for metric in aim.Run(name, repo=repo, read_only=True).metrics():
            if metric.name == "train/loss":
                found += len(metric.values.sparse_numpy()[0])
    return found
