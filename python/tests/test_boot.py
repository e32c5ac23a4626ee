"""``python -m waddle._boot``: how an entry runs."""

import os
import signal
import time

from .fixture import CHECKOUT, ProjectTest
from .journals import samples


class Boot(ProjectTest):
    def test_an_entry(self):
        self.write(
            "jobs/train.py",
            """
            import sys
            def waddle_main(run, argv):
                run.log_metric("a", 0, 1.0)
                print(argv, sys.argv[1:], sys.argv[0] == __file__, run.id, __name__)
            """,
        )
        done = self.entry("jobs.train", "--x", "1", "--")
        self.assertEqual(done.out, "['--x', '1', '--'] ['--x', '1', '--'] True abcdefghij23 jobs.train\n")
        self.assertEqual(self.journal().kinds(), ["open", "m", "end", "close"])
        self.assertEqual(self.journal().of("end")[0]["status"], "completed")

    def test_other_callables_async_ones_too(self):
        self.write(
            "jobs.py",
            """
            import asyncio
            class Task:
                @staticmethod
                def go(run, argv):
                    print("went")
            async def later(run, argv):
                await asyncio.sleep(0)
                run.log_metric("a", 0, 1.0)
                print("later")
            """,
        )
        self.assertEqual(self.entry("jobs:Task.go").out, "went\n")
        self.assertEqual(self.entry("jobs:later").out, "later\n")

    def test_imports_come_from_the_working_folder_then_the_project(self):
        here = os.path.join(self.base, "here")
        os.mkdir(here)
        self.write("both.py", "place = 'project'\n")
        self.write("only.py", "place = 'project'\n")
        with open(os.path.join(here, "both.py"), "w") as file:
            file.write("place = 'here'\n")
        with open(os.path.join(here, "job.py"), "w") as file:
            file.write("import both, only\ndef waddle_main(run, argv): print(both.place, only.place)\n")
        self.assertEqual(self.entry("job", cwd=here).out, "here project\n")

    def test_output_shows_at_once(self):
        self.write("job.py", "import time\ndef waddle_main(run, argv):\n    print('.', end='')\n    time.sleep(60)\n")
        process = self.start("-m", "waddle._boot", "job", env=self.supervised(), bufsize=0)
        began = time.monotonic()
        self.assertEqual(process.stdout.read(1), ".")
        self.assertLess(time.monotonic() - began, 20)
        process.kill()
        process.communicate()

    def test_an_exception_shows_as_from_a_script(self):
        self.write("job.py", "def waddle_main(run, argv):\n    raise ValueError('bad batch')\n")
        done = self.entry("job", code=1)
        lines = done.err.splitlines()
        self.assertEqual(lines[0], "Traceback (most recent call last):")
        self.assertIn('job.py", line 2, in waddle_main', lines[1])
        self.assertEqual(lines[-1], "ValueError: bad batch")
        self.assertNotIn("_boot", done.err)
        end = self.journal().of("end")[0]
        self.assertEqual((end["status"], end["exit_code"], end["by"]), ("failed", 1, "job"))
        self.assertEqual((end["error"]["type"], end["error"]["message"]), ("ValueError", "bad batch"))
        self.assertEqual(end["error"]["traceback"], done.err)

    def test_exceptions_at_import_and_in_async_code(self):
        self.write("broken.py", "import json\n\ndef f():\n    1 / 0\nf()\n")
        done = self.entry("broken", code=1)
        self.assertTrue(done.err.splitlines()[1].endswith('broken.py", line 5, in <module>'), done.err)
        self.write("lost.py", "import no_such_library\n")
        self.assertIn("No module named 'no_such_library'", self.entry("lost", code=1).err)
        self.write("later.py", "async def waddle_main(run, argv):\n    raise ValueError('later')\n")
        done = self.entry("later", code=1)
        self.assertNotIn("_boot", done.err)
        self.assertIn("ValueError: later", done.err)
        self.write("typo.py", "def waddle_main(run, argv:\n")
        self.assertIn("SyntaxError", self.entry("typo", code=1).err)

    def test_exit_codes(self):
        for statement, code, status in [
            ("raise SystemExit(3)", 3, "failed"),
            ("raise SystemExit", 0, "completed"),
            ("import sys; sys.exit('no data')", 1, "failed"),
        ]:
            self.setUp()
            self.write("job.py", "def waddle_main(run, argv):\n    " + statement)
            self.entry("job", code=code)
            end = self.journal().of("end")[0]
            self.assertEqual((end["status"], end["exit_code"]), (status, code))

    def test_an_interrupt(self):
        self.write("job.py", "import time\ndef waddle_main(run, argv):\n    print('up')\n    time.sleep(60)\n")
        process = self.start("-m", "waddle._boot", "job", env=self.supervised())
        process.stdout.readline()
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=30)
        self.assertEqual(process.returncode, -signal.SIGINT)
        self.assertIn("KeyboardInterrupt", err)
        self.assertNotIn("_boot", err)
        self.assertEqual(self.journal().of("end")[0]["status"], "aborted")

    def test_what_is_wrong_with_an_entry_is_said(self):
        self.write("pkg/__init__.py", "")
        self.write("pkg/__main__.py", "")
        self.write("empty.py", "waddle_mian = None\nthing = 3\n")
        for entry, words in [
            ("nowhere", ["no module named 'nowhere'", self.root, "\nName it as"]),
            ("pkg.nowhere", ["no module named 'pkg.nowhere'"]),
            ("empty.sub", ["no module named 'empty.sub'"]),
            ("empty", ["empty.py has no `waddle_main`", "def waddle_main(run, argv):"]),
            ("empty:train", ["has no `train`"]),
            ("empty:thing", ["not callable"]),
            ("pkg", ["has no `waddle_main`", "python -m pkg"]),
            ("jobs/train.py", ["'jobs/train.py' is not a module", "--entry jobs.train"]),
            ("", ["is not a module"]),
        ]:
            with self.subTest(entry=entry):
                done = self.entry(entry, code=1)
                for word in words:
                    self.assertIn(word, done.err)
                self.assertNotIn("Traceback", done.err)
                self.assertEqual(len(done.err.splitlines()), 2)
        self.assertEqual({journal.of("end")[0]["status"] for journal in self.journals()}, {"failed"})
        self.assertIn("no module named", self.journals()[0].of("end")[0]["reason"])

    def test_init_within_an_entry_is_the_same_run(self):
        self.write(
            "job.py",
            """
            import waddle
            def waddle_main(run, argv):
                assert waddle.init(config={"a": 1}) is run
                waddle.log({"b": 1})
                run.finish()
                waddle.init().log({"b": 2})
            """,
        )
        self.entry("job")
        journals = self.journals()
        self.assertEqual([value for _, value in samples(journals, "b")], [1, 2])
        self.assertEqual([event["status"] for journal in journals for event in journal.of("end")], ["completed"])

    def test_the_sample(self):
        environment = self.supervised()
        done = self.python(
            "-m",
            "waddle._boot",
            "examples.ml_sample",
            "--",
            "--epochs",
            "30",
            "--learning-rate",
            "0.03",
            env=environment,
            cwd=CHECKOUT,
        )
        self.assertIn("val R2", done.out)
        journal = self.journal()
        params = {event["key"]: event["value"] for event in journal.of("param")}
        self.assertEqual((params["epochs"], params["learning_rate"]), (30, 0.03))
        losses = [value for _, value in samples([journal], "train/loss")]
        self.assertEqual(len(losses), 30)
        self.assertLess(losses[-1], losses[0] / 2)
        self.assertTrue(0.35 < samples([journal], "val/r2")[-1][1] < 0.7)
        kinds = {event["name"]: (event["kind"], "inline" in event) for event in journal.of("artifact")}
        self.assertEqual(kinds, {"weights.json": ("model", True), "predictions.f64": ("predictions", False)})
        alone = self.python("-m", "examples.ml_sample", "--epochs", "3", cwd=CHECKOUT, env={"PYTHONPATH": None})
        self.assertIn("val R2", alone.out)


class CommandLine(ProjectTest):
    def test_python_m_waddle_hands_over(self):
        self.install_recorder()
        for module in ("waddle", "waddle.waddle_cli"):
            self.python("-m", module, "ls", "--json")
            with open(self.record) as file:
                self.assertEqual(file.read(), "ls\n--json\n")
            os.unlink(self.record)

    def test_it_does_not_find_itself(self):
        path = os.path.join(self.bin, "waddle")
        with open(path, "w") as file:
            file.write("#!/bin/sh\n# from waddle.waddle_cli import main\nexit 9\n")
        os.chmod(path, 0o755)
        self.assertIn("Node", self.python("-m", "waddle", code=1).err)

    def test_the_exit_code_is_the_commands(self):
        path = os.path.join(self.bin, "waddle")
        with open(path, "w") as file:
            file.write('#!/bin/sh\necho "$WADDLE_PYTHON $WADDLE_HANGUP_IGNORED"\nexit 3\n')
        os.chmod(path, 0o755)
        import sys

        self.assertEqual(self.python("-m", "waddle", code=3).out, "%s 0\n" % sys.executable)


class Import(ProjectTest):
    def test_import_loads_next_to_nothing(self):
        list_modules = "import sys; before = set(sys.modules); import waddle; print(*sorted(set(sys.modules) - before))"
        self.assertLessEqual(set(self.python("-c", list_modules).out.split()), {"__future__", "waddle"})

    def test_logging_needs_no_heavy_module(self):
        out = self.python(
            "-c",
            "import sys; before = set(sys.modules); import waddle; waddle.init().log({'a': 1}); "
            "print(*sorted(set(sys.modules) - before))",
        ).out.split()
        heavy = {
            "typing",
            "re",
            "json",
            "subprocess",
            "pathlib",
            "tempfile",
            "hashlib",
            "inspect",
            "dataclasses",
            "threading",
        }
        self.assertEqual(heavy & set(out), set())
