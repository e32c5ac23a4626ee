"""The golden journals (test/golden), which the TypeScript tests read too; the client writes the same shapes."""

import glob
import json
import os
import unittest

from .fixture import CHECKOUT, ProjectTest
from .journals import REQUIRED, Journal

GOLDEN = os.path.join(CHECKOUT, "test", "golden")


def golden():
    return {os.path.basename(path): Journal(path) for path in sorted(glob.glob(os.path.join(GOLDEN, "*.jsonl")))}


def kind_of(value):
    """A JSON type; numbers are one."""
    if value is None or isinstance(value, (bool, str, list, dict)):
        return type(value).__name__
    return "number"


class Golden(unittest.TestCase):
    def test_every_journal_reads_as_expected(self):
        with open(os.path.join(GOLDEN, "expected.json"), encoding="utf-8") as file:
            expected = {name: each for name, each in json.load(file).items() if name.endswith(".jsonl")}
        journals = golden()
        self.assertEqual(sorted(journals), sorted(expected))
        for name, journal in journals.items():
            counts = {}
            for kind in journal.kinds():
                counts[kind] = counts.get(kind, 0) + 1
            found = {
                "events": counts,
                "broken": journal.broken,
                "unknown": journal.unknown,
                "unfinished": journal.unfinished,
            }
            self.assertEqual(found, expected[name], name)

    def test_every_kind_is_there(self):
        self.assertEqual({kind for journal in golden().values() for kind in journal.kinds()}, set(REQUIRED))

    def test_integers_keep_their_digits(self):
        params = {event["key"]: event["value"] for event in golden()["job-ccccdddd.jsonl"].of("param")}
        self.assertEqual(params["huge"], 123456789012345678901234567890)


class Shape(ProjectTest):
    def test_the_client_writes_what_the_golden_journals_have(self):
        self.write("out/file.txt", "x")
        self.write("job.py", "def waddle_main(run, argv):\n    raise ValueError('x')\n")
        everything = """
            import waddle
            texts = dict(project="p", name="n", notes="o", group="g")
            run = waddle.init(config={"a": {"b": [1, None]}}, tags={"t": "u"}, **texts)
            run.log({"x": 1.0, "y": float("nan")})
            run.log_metric("z", 0.5, 3)
            run.log_metric("bad", 0, None)
            run.log_artifact("i", "out/file.txt", inline=True)
            run.log_artifact("f", "out/file.txt")
            run.log_artifact("d", "out", kind="k")
            """
        self.script(everything)
        self.script(everything, env=self.supervised())
        self.script("import waddle; waddle.init(resume='@last')")
        self.entry("job", code=1)
        shapes = {}
        for journal in golden().values():
            for event in journal.events:
                for field, value in event.items():
                    shapes.setdefault(event["k"], {}).setdefault(field, set()).add(kind_of(value))
        written = set()
        for run in self.runs():
            for journal in self.journals(run):
                self.assertEqual((journal.broken, journal.unknown, journal.unfinished), ([], 0, 0))
                for event in journal.events:
                    written.add(event["k"])
                    if event["k"] == "param":
                        continue
                    for field, value in event.items():
                        self.assertIn(field, shapes[event["k"]], event)
                        self.assertIn(kind_of(value), shapes[event["k"]][field] | {"NoneType"}, (field, event))
        self.assertEqual(
            written,
            {"open", "start", "resume", "update", "param", "tag", "m", "artifact", "warning", "end", "close"},
        )
