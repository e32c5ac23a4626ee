"""Cost of a log call from Python against the bare write of the same bytes, in microseconds, as one JSON line.

Rounds of the two are taken in turn, and medians compared, so that a machine whose speed drifts drifts for both.
Usage: log_cost.py PROJECT_FOLDER CALLS ROUNDS
"""

import json
import os
import statistics
import sys
import time

import waddle

folder, calls, rounds = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
run = waddle.init(dir=folder, project="bench", name="log cost")


def seconds(work):
    began = time.perf_counter()
    work()
    return (time.perf_counter() - began) / calls * 1e6


def bare(fd, line):
    def work():
        write = os.write
        for _ in range(calls):
            write(fd, line)

    return work


def one():
    log = run.log_metric
    for step in range(calls):
        log("train/loss", step, 0.034170261 + step)


def twenty():
    log = run.log
    values = {"group%d/metric%d" % (i % 4, i): i * 0.1234567 for i in range(20)}
    for step in range(calls):
        log(values, step=step)


line_one = b'{"k":"m","t":1764000000.123,"s":41000,"v":{"train/loss":0.034170261}}\n'
pairs = ",".join('"group%d/metric%d":%r' % (i % 4, i, i * 0.1234567) for i in range(20))
line_twenty = ('{"k":"m","t":1764000000.123,"s":41000,"v":{%s}}\n' % pairs).encode()
target = os.open(os.path.join(folder, "floor.jsonl"), os.O_CREAT | os.O_APPEND | os.O_WRONLY)
result = {}
for name, work, line in (("one", one, line_one), ("twenty", twenty, line_twenty)):
    waddle_us, floor_us = [], []
    for _ in range(rounds):
        waddle_us.append(seconds(work))
        floor_us.append(seconds(bare(target, line)))
    result[name] = {"waddle": statistics.median(waddle_us), "floor": statistics.median(floor_us)}
os.close(target)
run.finish()
print(json.dumps(result))
