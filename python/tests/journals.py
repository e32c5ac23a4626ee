"""A tiny reader of journals, as docs/journal.md tells; independent of the client that it checks."""

import json
import math

#: What each kind cannot do without, and of which JSON type; ``object`` is any.
NUMBER = (int, float)
REQUIRED = {
    "open": {"format": int, "writer": str, "role": str, "host": str, "pid": int, "client": str},
    "close": {},
    "start": {"id": str, "attempt": str},
    "resume": {"attempt": str},
    "update": {"fields": dict},
    "end": {"attempt": str, "status": str, "by": str},
    "beat": {},
    "job": {"attempt": str, "pid": int},
    "snapshot": {"snapshot": dict},
    "drift": {"files": list},
    "env": {"environment": dict},
    "param": {"key": str, "value": object},
    "tag": {"key": str, "value": str},
    "m": {"s": NUMBER, "v": dict},
    "artifact": {"name": str, "type": str, "sha256": str, "size": int},
    "c": {"o": int, "n": int, "x": str},
    "warning": {"code": str, "message": str},
    "edit": {"clock": int, "field": str, "value": object},
    "stop": {"grace": NUMBER},
    "remove": {"run": str, "clock": int},
    "restore": {"run": str, "clock": int},
    "link": {"name": str, "path": object, "clock": int},
}


class Journal:
    """One journal: its events, the byte offsets of broken lines, how many kinds were unknown, the unfinished rest."""

    def __init__(self, path):
        self.path = path
        self.events, self.broken, self.unknown, self.unfinished = [], [], 0, 0
        with open(path, "rb") as file:
            data = file.read()
        offset = 0
        while offset < len(data):
            end = data.find(b"\n", offset)
            if end < 0:
                self.unfinished = len(data) - offset
                break
            if end > offset:
                self._take(data[offset:end], offset)
            offset = end + 1

    def _take(self, text, offset):
        def refuse(name):
            raise ValueError(name)

        try:
            event = json.loads(text.decode(), parse_constant=refuse)
        except ValueError:
            event = None
        if not isinstance(event, dict) or not isinstance(event.get("k"), str) or not _is(event.get("t"), NUMBER):
            self.broken.append(offset)
        elif event["k"] not in REQUIRED:
            self.unknown += 1
        elif all(name in event and _is(event[name], kind) for name, kind in REQUIRED[event["k"]].items()):
            self.events.append(event)
        else:
            self.broken.append(offset)

    def kinds(self):
        return [event["k"] for event in self.events]

    def of(self, kind):
        return [event for event in self.events if event["k"] == kind]


def _is(value, kind):
    return kind is object or (isinstance(value, kind) and not isinstance(value, bool))


def samples(journals, key=None):
    """(step, value) of each sample of `key` (all keys: (key, step, value)), in journal order, NaN and all."""
    found = []
    for journal in journals:
        for event in journal.of("m"):
            for name, value in event["v"].items():
                number = float(value) if isinstance(value, str) else value
                if key is None:
                    found.append((name, event["s"], number))
                elif name == key:
                    found.append((event["s"], number))
    return found


def same(a, b):
    return a == b or (isinstance(a, float) and isinstance(b, float) and math.isnan(a) and math.isnan(b))
