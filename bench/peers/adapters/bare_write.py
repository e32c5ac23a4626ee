"""The floor: one `os.write` of a line as Waddle writes it, to a file opened for append."""

import os


def load():
    pass


def start(folder):
    fd = os.open(os.path.join(folder, "bare.jsonl"), os.O_CREAT | os.O_APPEND | os.O_WRONLY)
    line = b'{"k":"m","t":1764000000.123,"s":41000,"v":{"train/loss":0.034170261}}\n'

    def log_many(first, count):
        write = os.write
        for _ in range(first, first + count):
            write(fd, line)

    return log_many, lambda: os.close(fd)


def count(folder):
    with open(os.path.join(folder, "bare.jsonl"), "rb") as file:
        return sum(1 for _ in file)
