"""A project folder of its own for each test, and programs that are run in it as users would run them."""

import glob
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import textwrap
import time
import unittest

from .journals import Journal

PYTHON = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
CHECKOUT = os.path.dirname(PYTHON)
RUN_ID = "abcdefghij23"
ATTEMPT = "supervisor-aaaabbbb"

#: A `waddle` that notes how it was called.
RECORDER = """#!/bin/sh
printf '%s\\n' "$@" > "$WADDLE_RECORD.new"
{
  echo "sid=$(cut -d' ' -f6 /proc/$$/stat) ppid=$PPID pid=$$"
  echo "run=$WADDLE_RUN stdin=$(readlink /proc/self/fd/0)"
} > "$WADDLE_RECORD.how"
mv "$WADDLE_RECORD.new" "$WADDLE_RECORD"
"""


def heed_signals():
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)


class ProjectTest(unittest.TestCase):
    """Gives each test `self.root`, an empty project folder, and an environment without Waddle's variables."""

    def setUp(self):
        self.base = os.path.realpath(tempfile.mkdtemp(prefix="waddle-test-"))
        self.addCleanup(shutil.rmtree, self.base, ignore_errors=True)
        self.root = os.path.join(self.base, "project")
        os.mkdir(self.root)
        # The package is reached by a link, so that it does not find this checkout's own bin/waddle beside it.
        site = os.path.join(self.base, "lib", "site")
        os.makedirs(site)
        os.symlink(os.path.join(PYTHON, "waddle"), os.path.join(site, "waddle"))
        self.record = os.path.join(self.base, "helper-call")
        self.bin = os.path.join(self.base, "path")
        os.mkdir(self.bin)
        self.environment = {
            name: value for name, value in os.environ.items() if not name.startswith(("WADDLE_", "SLURM_", "PYTHON"))
        }
        self.environment.update(PYTHONPATH=site, PATH=self.bin + ":/usr/bin:/bin", WADDLE_RECORD=self.record)
        if os.environ.get("PYTHONDONTWRITEBYTECODE"):
            self.environment["PYTHONDONTWRITEBYTECODE"] = "1"

    def install_recorder(self):
        path = os.path.join(self.bin, "waddle")
        with open(path, "w") as file:
            file.write(RECORDER)
        os.chmod(path, 0o755)

    def write(self, name, text):
        path = os.path.join(self.root, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as file:
            file.write(textwrap.dedent(text))
        return path

    def start(self, *arguments, **options):
        environment = dict(self.environment, **options.pop("env", {}))
        environment = {name: value for name, value in environment.items() if value is not None}
        options.setdefault("stdout", subprocess.PIPE)
        options.setdefault("stderr", subprocess.PIPE)
        options.setdefault("cwd", self.root)
        # As from a terminal: what ran these tests may have ignored them (a shell's background jobs ignore SIGINT).
        options.setdefault("preexec_fn", heed_signals)
        return subprocess.Popen([sys.executable, *arguments], env=environment, universal_newlines=True, **options)

    def python(self, *arguments, **options):
        """Runs Python; the finished process with `out` and `err`. Fails where it ends otherwise than `code`."""
        code = options.pop("code", 0)
        process = self.start(*arguments, **options)
        process.out, process.err = process.communicate(timeout=60)
        if code is not None:
            self.assertEqual(process.returncode, code, process.err)
        return process

    def script(self, text, *arguments, **options):
        """Runs a script in the project folder."""
        return self.python(self.write("script.py", text), *arguments, **options)

    def supervised(self, **more):
        """What `waddle run` puts in the environment of a job that this process supervises; the run is there."""
        folder = os.path.join(self.root, ".waddle", "runs", RUN_ID)
        os.makedirs(folder, exist_ok=True)
        if not os.path.exists(os.path.join(folder, "head.json")):
            with open(os.path.join(folder, "head.json"), "w") as file:
                json.dump(
                    {"id": RUN_ID, "name": "a run", "project": "demo", "started_at": 1764000000.5, "last_step": None},
                    file,
                )
        return dict(
            {
                "WADDLE_DIR": self.root,
                "WADDLE_RUN": RUN_ID,
                "WADDLE_ATTEMPT": ATTEMPT,
                "WADDLE_SUPERVISED": "1",
                "WADDLE_SUPERVISOR_PID": str(os.getpid()),
            },
            **more,
        )

    def entry(self, name, *argv, **options):
        """Runs a Python entry as `waddle run --entry` does."""
        environment = self.supervised(**options.pop("env", {}))
        return self.python("-m", "waddle._boot", name, "--", *argv, env=environment, **options)

    def runs(self):
        """The folders of all runs."""
        return sorted(glob.glob(os.path.join(self.root, ".waddle", "runs", "*")))

    def journals(self, run=None):
        """The journals of a run (of the only one), by the time that they were opened."""
        if run is None:
            self.assertEqual(len(self.runs()), 1)
            run = self.runs()[0]
        journals = [Journal(path) for path in glob.glob(os.path.join(run, "job-*.jsonl"))]
        for journal in journals:
            self.assertEqual(journal.kinds()[:1], ["open"], journal.path)
        return sorted(journals, key=lambda journal: (journal.events[0]["t"], journal.events[0]["mono"]))

    def journal(self):
        """The only journal of the only run; nothing in it is broken."""
        journals = self.journals()
        self.assertEqual(len(journals), 1)
        self.assertEqual((journals[0].broken, journals[0].unfinished), ([], 0))
        return journals[0]

    def head(self):
        with open(os.path.join(self.runs()[0], "head.json")) as file:
            return json.load(file)

    def wait_for(self, what, seconds=10):
        end = time.monotonic() + seconds
        while not what():
            self.assertLess(time.monotonic(), end, "it never came")
            time.sleep(0.01)


def ticks(pid):
    """When a process started, in clock ticks since boot."""
    with open("/proc/%d/stat" % pid) as file:
        return int(file.read().rpartition(")")[2].split()[19])
