"""Under `waddle run`, and in processes that a launcher started: what an attached client writes."""

import os
import subprocess
import sys

from .fixture import ATTEMPT, RUN_ID, ProjectTest
from .journals import samples


class Attached(ProjectTest):
    def test_it_fills_in_and_ends_only_itself(self):
        self.script(
            """
            import waddle
            run = waddle.init(project="p", name="n", notes="x", config={"lr": 1}, tags={"a": "b"})
            assert (run.id, run.name, run.project) == ("abcdefghij23", "a run", "demo")
            assert waddle.init(group="g") is run
            run.log_metric("loss", 3, 1.0)
            run.finish()
            run.log_metric("loss", 4, 1.0)
            """,
            env=self.supervised(),
        )
        first, second = self.journals()
        self.assertEqual(first.kinds(), ["open", "update", "tag", "param", "update", "m", "close"])
        self.assertEqual(first.of("update")[0]["fields"], {"name": "n", "project": "p", "notes": "x"})
        self.assertEqual(first.events[0]["attempt"], ATTEMPT)
        self.assertEqual(second.kinds(), ["open", "m", "end", "close"])
        self.assertEqual(second.of("end")[0]["attempt"], ATTEMPT)
        self.assertEqual(self.head()["last_step"], 4)

    def test_the_supervisors_child_tells_how_it_ended(self):
        for text, code, status in [("", 0, "completed"), ("1 / 0", 1, "failed"), ("exit(4)", 4, "failed")]:
            with self.subTest(text=text):
                self.setUp()
                self.script("import waddle\nwaddle.init()\n" + text, code=code, env=self.supervised())
                end = self.journal().of("end")[0]
                self.assertEqual((end["status"], end["exit_code"], end["by"]), (status, code, "job"))

    def test_a_process_further_down_tells_only_without_the_supervisor(self):
        job = self.write("job.py", "import waddle\nwaddle.init().log_metric('a', 0, 1.0)")
        shell = ["/bin/sh", "-c", '"$@"; true', "sh", sys.executable, job]
        environment = dict(self.environment, **self.supervised())
        subprocess.run(shell, check=True, env=environment, cwd=self.root)
        self.assertEqual(self.journal().kinds(), ["open", "m", "close"])
        gone = subprocess.Popen(["true"])
        gone.wait()
        environment["WADDLE_SUPERVISOR_PID"] = str(gone.pid)
        subprocess.run(shell, check=True, env=environment, cwd=self.root)
        self.assertEqual(self.journals()[1].kinds(), ["open", "m", "end", "close"])
        # Of the ranks only the first; of a client's own children none.
        for more in ({"RANK": "1"}, {"WADDLE_CLIENT": ATTEMPT + ":1"}):
            subprocess.run(shell, check=True, env=dict(environment, **more), cwd=self.root)
        self.assertEqual([journal.of("end") for journal in self.journals()[2:]], [[], []])

    def test_workers_of_an_attached_job_tell_nothing(self):
        self.script(
            """
            import os, subprocess, sys, waddle
            run = waddle.init()
            child = "import waddle; waddle.log({'child': 1})"
            subprocess.run([sys.executable, "-c", child], check=True)
            if os.fork() == 0:
                run.log({"fork": 1})
                sys.exit(5)
            os.wait()
            """,
            env=self.supervised(),
        )
        ends = [event for journal in self.journals() for event in journal.of("end")]
        self.assertEqual([(end["status"], end["exit_code"]) for end in ends], [("completed", 0)])
        self.assertEqual(len(self.journals()), 3)

    def test_ranks(self):
        for variables, wanted in [
            ({"RANK": "3", "LOCAL_RANK": "1", "WORLD_SIZE": "8"}, (3, 1, 8)),
            ({"SLURM_PROCID": "2", "SLURM_LOCALID": "0", "SLURM_NTASKS": "4"}, (2, 0, 4)),
            (
                {
                    "OMPI_COMM_WORLD_RANK": "1",
                    "OMPI_COMM_WORLD_LOCAL_RANK": "1",
                    "OMPI_COMM_WORLD_SIZE": "2",
                    "RANK": "junk",
                },
                (1, 1, 2),
            ),
            ({"PMI_RANK": "5", "PMI_SIZE": "6"}, (5, None, 6)),
        ]:
            self.setUp()
            self.script("import waddle; waddle.init()", env=self.supervised(**variables))
            opening = self.journal().events[0]
            self.assertEqual((opening["rank"], opening["local_rank"], opening["world_size"]), wanted)

    def test_run_id(self):
        self.supervised()
        self.script("import waddle; waddle.init(run_id=%r).log({'a': 1})" % RUN_ID)
        journal = self.journal()
        self.assertEqual(journal.kinds(), ["open", "m", "close"])
        self.assertIsNone(journal.events[0]["attempt"])
        for wrong in ("zzzzzzzzzzzz", "a run", "../../etc"):
            done = self.script("import waddle; waddle.init(run_id=%r)" % wrong, code=1)
            self.assertIn("LookupError", done.err)

    def test_processes_of_one_attempt_count_for_themselves(self):
        job = "import waddle\nrun = waddle.init()\nfor _ in range(3): run.log({'a': 1})"
        for _ in range(2):
            self.script(job, env=self.supervised())
        self.assertEqual(
            [[step for step, _ in samples([journal], "a")] for journal in self.journals()], [[0, 1, 2], [0, 1, 2]]
        )

    def test_a_resumed_attempt_counts_on(self):
        job = "import waddle\nrun = waddle.init()\nfor _ in range(3): run.log({'a': 1})"
        self.script(job, env=self.supervised())
        self.script(job, env=self.supervised(WADDLE_ATTEMPT="supervisor-ccccdddd"))
        self.script(job, env=self.supervised(WADDLE_ATTEMPT="supervisor-ccccdddd"))  # a second process of it
        steps = [[step for step, _ in samples([journal], "a")] for journal in self.journals()]
        self.assertEqual(steps, [[0, 1, 2], [3, 4, 5], [3, 4, 5]])

    def test_module_functions_attach_by_themselves(self):
        self.script("import waddle\nwaddle.log_metric('a', 0, 1)\nwaddle.log_param('p', 1)", env=self.supervised())
        self.assertEqual(self.journal().kinds(), ["open", "m", "param", "end", "close"])

    def test_a_worker_that_outlives_the_run_begins_its_own(self):
        self.script(
            """
            import multiprocessing
            import waddle

            def trial(number):
                run = waddle.init(project="sweep")
                run.log({"score": number}, step=0)
                if run.owner is not None:
                    run.finish()
                return run.id

            if __name__ == "__main__":
                parent = waddle.init(project="parent")
                with multiprocessing.get_context("spawn").Pool(1) as pool:
                    assert pool.map(trial, [1, 2]) == [parent.id, parent.id]
                    parent.finish()
                    after = pool.map(trial, [3, 4])
                assert len({parent.id, *after}) == 3, after
            """
        )
        self.assertEqual(len(self.runs()), 3)

    def test_the_folder_need_not_be_there_yet(self):
        environment = self.supervised()
        os.unlink(os.path.join(self.runs()[0], "head.json"))
        os.rmdir(self.runs()[0])
        self.script("import waddle\nwaddle.log_metric('a', 0, 1)", env=environment)
        self.assertEqual(samples([self.journal()], "a"), [(0, 1)])
