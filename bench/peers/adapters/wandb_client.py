"""Weights & Biases, offline. What it kept is read from its `.wandb` files: records in LevelDB's log format."""

import glob
import os
import struct

wandb = None

BLOCK = 32768
HEADER = struct.Struct("<IHB")  # checksum, length, type
FULL, FIRST, MIDDLE, LAST = 1, 2, 3, 4


def load():
    global wandb
    import wandb


def start(folder):
    run = wandb.init(project="peers", name="job", mode="offline", dir=folder)

    def log_many(first, count):
        for step in range(first, first + count):
            run.log({"train/loss": 1.0 / (step + 1)}, step=step)

    return log_many, run.finish


def records(path):
    with open(path, "rb") as file:
        data = file.read()
    at, pieces = 7, []  # the file begins with ":W&B", a magic number and a version
    while at + HEADER.size <= len(data):
        left = BLOCK - at % BLOCK
        if left < HEADER.size:
            at += left
            continue
        _, length, kind = HEADER.unpack_from(data, at)
        piece = data[at + HEADER.size : at + HEADER.size + length]
        if kind not in (FULL, FIRST, MIDDLE, LAST) or len(piece) < length:
            return
        at += HEADER.size + length
        pieces.append(piece)
        if kind in (FULL, LAST):
            yield b"".join(pieces)
            pieces = []


def count(folder):
    from wandb.proto import wandb_internal_pb2

    found = 0
    for path in glob.glob(os.path.join(folder, "wandb", "offline-run-*", "*.wandb")):
        for data in records(path):
            record = wandb_internal_pb2.Record()
            record.ParseFromString(data)
            items = record.history.item
            found += any(item.key == "train/loss" or list(item.nested_key) == ["train/loss"] for item in items)
    return found
