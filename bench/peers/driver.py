"""The same small job with any of the trackers: `driver.py ADAPTER cost|log|kill|count FOLDER N [ROUNDS]`.

An adapter is a module in `adapters/` with three functions, so that every peer is measured by the same lines:

- ``load()`` imports the tracker (nothing else in the adapter does);
- ``start(folder)`` begins a run that is kept in `folder`, and returns ``(log_many, finish)``, where
  ``log_many(first, count)`` is the plain loop that a user would write: one metric, one value, one step a call;
- ``count(folder)`` tells, in a process of its own, how many samples can be read back.
"""

import importlib
import json
import os
import signal
import statistics
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "adapters"))

#: A peer that needs milliseconds a call is not asked for every round.
PATIENCE = 15.0


def cost(adapter, folder, calls, rounds):
    began = time.perf_counter()
    adapter.load()
    loaded = time.perf_counter()
    log_many, finish = adapter.start(folder)
    started = time.perf_counter()
    each = []
    while len(each) < rounds and time.perf_counter() - started < PATIENCE:
        before = time.perf_counter()
        log_many(len(each) * calls, calls)
        each.append((time.perf_counter() - before) / calls * 1e6)
    logged = time.perf_counter()
    finish()
    return {
        "import_ms": (loaded - began) * 1e3,
        "init_ms": (started - loaded) * 1e3,
        "log_us": statistics.median(each),
        "finish_ms": (time.perf_counter() - logged) * 1e3,
        "samples": calls * len(each),
    }


def main():
    name, task, folder, number = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])
    adapter = importlib.import_module(name)
    # The trackers print to stdout as they like; the answer goes to the descriptor that was stdout, they to stderr's.
    answer = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    os.chdir(folder)
    if task == "cost":
        result = cost(adapter, folder, number, int(sys.argv[5]))
    elif task == "count":
        result = {"samples": adapter.count(folder)}
    else:
        adapter.load()
        log_many, finish = adapter.start(folder)
        log_many(0, number)
        if task == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        finish()
        result = {"samples": number}
    answer.write(json.dumps(result) + "\n")
    answer.flush()


if __name__ == "__main__":
    main()
