"""TensorBoardX. What it kept is read from its event files: records framed by their length and two checksums."""

import glob
import os
import struct

SummaryWriter = None


def load():
    global SummaryWriter
    from tensorboardX import SummaryWriter


def start(folder):
    writer = SummaryWriter(logdir=os.path.join(folder, "events"))

    def log_many(first, count):
        for step in range(first, first + count):
            writer.add_scalar("train/loss", 1.0 / (step + 1), step)

    return log_many, writer.close


def records(path):
    with open(path, "rb") as file:
        data = file.read()
    at = 0
    while at + 12 <= len(data):
        (length,) = struct.unpack_from("<Q", data, at)
        record = data[at + 12 : at + 12 + length]
        if len(record) < length or at + 16 + length > len(data):
            return
        yield record
        at += 16 + length


def count(folder):
    from tensorboardX.proto import event_pb2

    found = 0
    for path in glob.glob(os.path.join(folder, "events", "*tfevents*")):
        for data in records(path):
            event = event_pb2.Event()
            event.ParseFromString(data)
            found += sum(value.tag == "train/loss" for value in event.summary.value)
    return found
