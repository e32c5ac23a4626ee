"""`waddle.init()` in plain scripts: what it starts, and how a run ends."""

import json
import os
import re
import signal
import subprocess

from .fixture import ProjectTest, ticks
from .journals import samples


class Beginning(ProjectTest):
    def test_what_a_run_begins_with(self):
        self.write(
            "waddle.json", '{"run": {"project": "from-file", "notes": "n", "tags": {"team": "geese", "a": "0"}}}'
        )
        sub = os.path.join(self.root, "sub")
        os.mkdir(sub)
        self.script(
            """
            import os, waddle
            run = waddle.init(name="first", config={"lr": 0.1}, tags={"a": 1}, group="g")
            assert run.name == "first" and run.project == "from-file", (run.name, run.project)
            assert run.dir == os.path.dirname(os.getcwd())
            assert waddle.current_run() is run
            print(run.id, os.getpid())
            """,
            "--flag",
            "caf\udce9",
            cwd=sub,
        )
        journal = self.journal()
        self.assertEqual(journal.kinds(), ["open", "start", "param", "end", "close"])
        opening, start, _, end, close = journal.events
        self.assertRegex(opening["writer"], "^job-[a-z2-7]{8}$")
        self.assertEqual(os.path.basename(journal.path), opening["writer"] + ".jsonl")
        self.assertEqual((opening["format"], opening["role"], opening["rank"]), (1, "job", None))
        with open("/proc/sys/kernel/random/boot_id") as file:
            self.assertEqual(opening["boot"], file.read().strip())
        self.assertEqual(opening["pidns"], re.sub(r"\D", "", os.readlink("/proc/self/ns/pid")))
        self.assertEqual(opening["host"], os.uname().nodename)
        self.assertGreaterEqual(opening["started"], ticks(os.getpid()))
        self.assertEqual(start["attempt"], opening["writer"])
        self.assertRegex(start["default_name"], "^script-%s$" % start["id"][:4])
        self.assertEqual(
            [start[key] for key in ("name", "project", "group", "notes", "tags", "supervised", "cwd")],
            ["first", "from-file", "g", "n", {"team": "geese", "a": "1"}, False, sub],
        )
        self.assertEqual(start["argv"][1:], ["--flag", "caf\\xe9"])
        self.assertEqual((end["status"], end["exit_code"], end["by"]), ("completed", 0, "job"))
        self.assertEqual(close["dropped"], {})
        head = self.head()
        self.assertEqual(
            [head[key] for key in ("id", "name", "project", "last_step")], [start["id"], "first", "from-file", None]
        )

    def test_the_environment_stands_between_arguments_and_the_file(self):
        self.write("waddle.json", '{"run": {"project": "file", "name": "file"}}')
        self.script(
            "import waddle; waddle.init(name='argument')", env={"WADDLE_PROJECT": "variable", "WADDLE_NAME": "variable"}
        )
        start = self.journal().of("start")[0]
        self.assertEqual((start["name"], start["project"]), ("argument", "variable"))

    def test_the_project_folder(self):
        top = os.path.join(self.base, "repository")
        deep = os.path.join(top, "a", "b")
        os.makedirs(deep)
        subprocess.run(["git", "init", "-q", top], check=True)
        job = self.write("job.py", "import waddle; print(waddle.init().dir)")
        self.assertEqual(self.python(job, cwd=deep).out.strip(), top)
        os.mkdir(os.path.join(top, "a", ".waddle"))
        self.assertEqual(self.python(job, cwd=deep).out.strip(), os.path.join(top, "a"))
        self.assertEqual(self.python(job, cwd=deep, env={"WADDLE_DIR": self.root}).out.strip(), self.root)

    def test_a_project_folder_that_is_not_there_is_not_made(self):
        missing = os.path.join(self.base, "mistyped")
        job = self.write(
            "job.py",
            "import sys, waddle\n"
            "try:\n    waddle.init(dir=sys.argv[1] if len(sys.argv) > 1 else None)\n"
            "except FileNotFoundError as error:\n    print(error)\n",
        )
        self.assertIn("correct dir, or make it", self.python(job, missing).out)
        self.assertIn("correct WADDLE_DIR, or make it", self.python(job, env={"WADDLE_DIR": missing}).out)
        self.assertFalse(os.path.exists(missing))

    def test_a_script_from_stdin_is_called_a_run(self):
        with open(self.write("script.py", "import waddle; waddle.init()")) as script:
            self.python("-", stdin=script)
        start = self.journal().of("start")[0]
        self.assertEqual(start["default_name"], "run-" + start["id"][:4])

    def test_git_never_sees_the_folder(self):
        subprocess.run(["git", "init", "-q", self.root], check=True)
        self.script("import waddle; waddle.init()")
        listed = subprocess.run(
            ["git", "-C", self.root, "status", "--porcelain", "-uall"], stdout=subprocess.PIPE, check=True
        )
        self.assertEqual(listed.stdout, b"?? script.py\n")
        with open(os.path.join(self.root, ".waddle", ".gitignore")) as file:
            self.assertEqual(file.read().splitlines()[-1], "*")
        self.assertEqual([name for name in os.listdir(os.path.join(self.root, ".git")) if "waddle" in name], [])

    def test_a_second_init_ends_the_first_run(self):
        self.script(
            """
            import waddle
            one = waddle.init(name="one")
            two = waddle.init(name="two")
            assert one.id != two.id
            one.log_metric("late", 0, 1.0)
            waddle.log_metric("a", 0, 1.0)
            """
        )
        names = {}
        for run in self.runs():
            journals = self.journals(run)
            names[journals[0].of("start")[0]["name"]] = journals
        self.assertEqual(names["one"][0].kinds(), ["open", "start", "end", "close"])
        self.assertEqual(
            names["one"][1].kinds(), ["open", "m", "close"] if len(names["one"][1].events) > 2 else ["open", "m"]
        )
        self.assertEqual(samples(names["two"]), [("a", 0, 1.0)])

    def test_processes_of_the_job_find_the_run(self):
        self.script(
            """
            import os, subprocess, sys, waddle
            run = waddle.init()
            child = "import waddle; r = waddle.init(); r.log_metric('c', 0, 1.0)"
            subprocess.run([sys.executable, "-c", child], check=True)
            run.finish()
            assert not [name for name in os.environ if name.startswith("WADDLE_R") and name != "WADDLE_RECORD"]
            """
        )
        parent, child = self.journals()
        self.assertEqual(child.kinds(), ["open", "m", "close"])
        self.assertEqual(child.events[0]["attempt"], parent.events[0]["writer"])

    def test_a_working_folder_that_is_gone(self):
        self.script(
            """
            import os, sys, waddle
            os.mkdir("gone")
            os.chdir("gone")
            os.rmdir("../gone")
            waddle.init(dir=sys.argv[1]).log({"a": 1})
            """,
            self.root,
        )
        self.assertEqual(samples([self.journal()]), [("a", 0, 1)])

    def test_a_broken_waddle_json_is_said_and_lived_with(self):
        self.write("waddle.json", "{")
        done = self.script("import waddle; waddle.init()")
        self.assertIn("waddle.json", done.err)


class Helper(ProjectTest):
    def test_it_is_started_apart(self):
        self.install_recorder()
        done = self.script(
            """
            import os, time, waddle
            began = time.perf_counter()
            run = waddle.init()
            print(time.perf_counter() - began, run.id, os.getpid(), os.getsid(0))
            """
        )
        seconds, run, pid, session = done.out.split()
        self.assertLess(float(seconds), 0.25)  # 50 ms on a quiet machine
        self.wait_for(lambda: os.path.exists(self.record))
        with open(self.record) as file:
            call = file.read().split("\n")[:-1]
        attempt = self.journal().events[0]["writer"]
        self.assertEqual(
            call,
            ["__helper", "--dir", self.root, "--run", run, "--attempt", attempt, "--pid", pid, "--cwd", self.root],
        )
        with open(self.record + ".how") as file:
            how = dict(pair.split("=", 1) for pair in file.read().split())
        self.assertNotEqual(how["sid"], session)
        self.assertNotEqual(how["ppid"], pid)
        self.assertEqual((how["run"], how["stdin"]), ("", "/dev/null"))

    def test_without_the_command_it_logs_and_says_so_once(self):
        done = self.script("import waddle\nwaddle.init()\nwaddle.init()\nwaddle.log({'a': 1})")
        self.assertEqual(done.err.count("no `waddle` command"), 1)
        self.assertEqual(len(self.runs()), 2)

    def test_attached_processes_start_none(self):
        self.install_recorder()
        self.script("import waddle; waddle.init()", env=self.supervised())
        self.assertFalse(os.path.exists(self.record))


class Ending(ProjectTest):
    def end(self, text, code=0, **options):
        self.script("import waddle\nrun = waddle.init()\n" + text, code=code, **options)
        end = self.journal().of("end")
        self.assertEqual(len(end), 1)
        return end[0]

    def test_an_exception_fails_it(self):
        end = self.end("import json\ndef f():\n    json.loads('{')\nf()", code=1)
        self.assertEqual((end["status"], end["exit_code"]), ("failed", 1))
        self.assertEqual(end["error"]["type"], "json.decoder.JSONDecodeError")
        self.assertIn("Expecting", end["error"]["message"])
        self.assertIn("in f\n", end["error"]["traceback"])
        self.assertTrue(end["error"]["traceback"].startswith("Traceback (most recent call last)"))

    def test_an_exception_behind_a_hook_that_calls_no_other(self):
        end = self.end("import sys\nsys.excepthook = lambda *_: print('mine')\n1 / 0", code=1)
        self.assertEqual((end["status"], end["error"]["type"]), ("failed", "ZeroDivisionError"))

    def test_exit_codes(self):
        for text, code, status, recorded in [
            ("import sys; sys.exit(3)", 3, "failed", 3),
            ("exit(3)", 3, "failed", 3),
            ("import sys; sys.exit()", 0, "completed", 0),
            ("import sys; sys.exit('no data')", 1, "failed", 1),
            ("import sys; sys.exit(143)", 143, "aborted", 143),
            ("import sys\ntry:\n    sys.exit(3)\nexcept SystemExit:\n    pass", 0, "completed", 0),
            ("import argparse; argparse.ArgumentParser().parse_args(['--no'])", 2, "failed", 2),
            (
                "import threading, sys\nt = threading.Thread(target=lambda: sys.exit(3)); t.start(); t.join()",
                0,
                "completed",
                0,
            ),
        ]:
            with self.subTest(text=text):
                self.setUp()
                end = self.end(text, code=code)
                self.assertEqual((end["status"], end["exit_code"]), (status, recorded))

    def test_an_interrupt_aborts_it(self):
        process = self.start(
            self.write("job.py", "import time, waddle\nrun = waddle.init()\nprint('up', flush=True)\ntime.sleep(60)")
        )
        process.stdout.readline()
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)
        self.assertIn(process.returncode, (-signal.SIGINT, 130))
        end = self.journal().of("end")[0]
        self.assertEqual((end["status"], end["exit_code"]), ("aborted", 130))

    def test_a_terminated_process_says_nothing(self):
        process = self.start(
            self.write("job.py", "import time, waddle\nrun = waddle.init()\nprint('up', flush=True)\ntime.sleep(60)")
        )
        process.stdout.readline()
        process.terminate()
        process.communicate(timeout=30)
        self.assertEqual(self.journal().kinds(), ["open", "start"])

    def test_with(self):
        self.script(
            """
            import waddle
            try:
                with waddle.init(name="bad") as run:
                    raise ValueError("bad batch")
            except ValueError:
                pass
            with waddle.init(name="good"):
                pass
            """
        )
        ends = {}
        for run in self.runs():
            (journal,) = self.journals(run)
            ends[journal.of("start")[0]["name"]] = journal.of("end")[0]
        self.assertEqual((ends["bad"]["status"], ends["bad"]["error"]["type"]), ("failed", "ValueError"))
        self.assertEqual((ends["good"]["status"], ends["good"]["error"]), ("completed", None))

    def test_finish_says_how(self):
        end = self.end("waddle.finish('aborted', exit_code=9, reason='no more budget')")
        self.assertEqual((end["status"], end["exit_code"], end["reason"]), ("aborted", 9, "no more budget"))

    def test_an_interactive_session(self):
        done = self.python("-i", "-q", stdin=subprocess.PIPE, code=None, env={"PYTHONSTARTUP": self.feed()})
        self.assertIn("ZeroDivisionError", done.err)
        self.assertEqual(self.journal().of("end")[0]["status"], "completed")

    def feed(self):
        # A prompt that shows an exception and goes on, as notebooks do.
        return self.write(
            "startup.py",
            "import code, sys\nsys.ps1 = '>>> '\nimport waddle\nrun = waddle.init()\n"
            "code.InteractiveInterpreter().runsource('1 / 0')\n",
        )


class Resuming(ProjectTest):
    def run_once(self, text="", **options):
        return self.script(
            "import waddle\nrun = waddle.init(name='one')\nfor i in range(5): run.log({'a': 1.0})\nprint(run.id)\n"
            + text,
            **options,
        ).out.strip()

    def test_it_goes_on(self):
        run = self.run_once()
        for wanted in (run, "one", run[:4], "@last", "@last~0"):
            self.script("import waddle, sys\nrun = waddle.init(resume=sys.argv[1])\nrun.log({'a': 2.0})", wanted)
        journals = self.journals()
        self.assertEqual([step for step, _ in samples(journals, "a")], list(range(10)))
        for journal in journals[1:]:
            self.assertEqual(journal.kinds()[:2], ["open", "resume"])
            self.assertEqual(journal.of("resume")[0]["attempt"], journal.events[0]["writer"])
            self.assertEqual(journal.of("end")[0]["attempt"], journal.events[0]["writer"])

    def test_after_a_kill_it_goes_on_after_the_last_step(self):
        self.run_once("import os; os.kill(os.getpid(), 9)", code=-9)
        self.assertIsNone(self.head()["last_step"])
        self.script("import waddle; waddle.init(resume='@last').log({'a': 2.0})")
        self.assertEqual([step for step, _ in samples(self.journals(), "a")], [0, 1, 2, 3, 4, 5])

    def test_after_the_journals_were_sealed(self):
        self.run_once()
        os.unlink(self.journal().path)
        self.script("import waddle; waddle.init(resume='one').log({'a': 2.0})")
        self.assertEqual(samples(self.journals(), "a"), [(5, 2.0)])

    def test_which_run(self):
        for id, name, started in [("aaaabbbbcccc", "n", 1), ("aaaabbbbdddd", "n", 2), ("nnnnnnnnnnnn", "aaaa", 3)]:
            folder = os.path.join(self.root, ".waddle", "runs", id)
            os.makedirs(folder)
            with open(os.path.join(folder, "head.json"), "w") as file:
                json.dump({"id": id, "name": name, "project": None, "started_at": started, "last_step": None}, file)
        resolve = "import sys\nfrom waddle import _head\nprint(_head.resolve('.', sys.argv[1])['id'])"
        for wanted, found in [
            ("aaaabbbbcccc", "aaaabbbbcccc"),
            ("n", "aaaabbbbdddd"),
            ("aaaa", "nnnnnnnnnnnn"),
            ("aaaabbbbd", "aaaabbbbdddd"),
            ("@last", "nnnnnnnnnnnn"),
            ("@last~2", "aaaabbbbcccc"),
        ]:
            self.assertEqual(self.script(resolve, wanted).out.strip(), found)
        for wanted, message in [("aaaab", "several"), ("nnn", "no run"), ("@last~3", "no run"), ("", "no run")]:
            self.assertIn(message, self.script(resolve, wanted, code=1).err)
