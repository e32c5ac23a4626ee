"""What a job's log must live through: kill, fork, threads, signals, exit handlers, full disks."""

import os
import signal
import subprocess
import time
import unittest

from .fixture import ProjectTest
from .journals import samples


class Survival(ProjectTest):
    def test_kill_9_loses_no_call_that_returned(self):
        for count in (1, 37, 400):
            with self.subTest(count=count):
                os.mkdir(os.path.join(self.base, "killed-%d" % count))
                process = self.start(
                    self.write(
                        "job.py",
                        """
                        import os, signal, sys, waddle
                        run = waddle.init(dir=sys.argv[1])
                        for step in range(int(sys.argv[2])):
                            run.log_metric("loss", step, step * 0.5)
                        os.kill(os.getpid(), signal.SIGKILL)
                        """,
                    ),
                    os.path.join(self.base, "killed-%d" % count),
                    str(count),
                )
                process.communicate(timeout=30)
                self.assertEqual(process.returncode, -signal.SIGKILL)
                (run,) = os.listdir(os.path.join(self.base, "killed-%d" % count, ".waddle", "runs"))
                (journal,) = self.journals(os.path.join(self.base, "killed-%d" % count, ".waddle", "runs", run))
                self.assertEqual(samples([journal]), [("loss", step, step * 0.5) for step in range(count)])
                self.assertEqual((journal.broken, journal.unfinished, journal.of("close")), ([], 0, []))

    def test_killed_at_any_moment(self):
        job = self.write(
            "job.py",
            """
            import sys, waddle
            run = waddle.init(dir=sys.argv[1])
            step = 0
            while True:
                run.log_metric("loss", step, step * 0.5)
                sys.stdout.write("%d\\n" % step)
                sys.stdout.flush()
                step += 1
            """,
        )
        for round in range(4):
            root = os.path.join(self.base, "moment-%d" % round)
            os.mkdir(root)
            process = self.start(job, root)
            process.stdout.readline()
            time.sleep(0.004 * round)
            process.kill()
            last = int(([line for line in process.stdout.read().split("\n")[:-1] if line] or ["0"])[-1])
            process.communicate()
            (run,) = os.listdir(os.path.join(root, ".waddle", "runs"))
            (journal,) = self.journals(os.path.join(root, ".waddle", "runs", run))
            found = samples([journal], "loss")
            self.assertEqual(found, [(step, step * 0.5) for step in range(len(found))])
            self.assertGreater(len(found), last)

    def test_forked_workers_log_to_journals_of_their_own(self):
        self.script(
            """
            import os, sys, waddle
            run = waddle.init()
            run.log_metric("parent", 0, 1.0)
            children = []
            for worker in range(4):
                pid = os.fork()
                if pid == 0:
                    for step in range(100):
                        run.log_metric("worker/%d" % worker, step, float(step))
                    if worker == 0:
                        run.finish()
                    if worker < 2:
                        sys.exit(7)  # through atexit
                    os._exit(0)
                children.append(pid)
            for pid in children:
                os.waitpid(pid, 0)
            run.log_metric("parent", 1, 1.0)
            """
        )
        journals = self.journals()
        self.assertEqual(len(journals), 5)
        parent = journals[0]
        self.assertEqual(samples([parent]), [("parent", 0, 1.0), ("parent", 1, 1.0)])
        for worker in range(4):
            self.assertEqual(samples(journals[1:], "worker/%d" % worker), [(step, float(step)) for step in range(100)])
        self.assertEqual(len({journal.events[0]["pid"] for journal in journals}), 5)
        self.assertEqual({journal.events[0]["attempt"] for journal in journals}, {parent.events[0]["writer"]})
        ends = [journal.events for journal in journals if journal.of("end")]
        self.assertEqual([[event["k"] for event in events][-2:] for events in ends], [["end", "close"]])
        self.assertEqual(parent.of("end")[0]["status"], "completed")

    def test_an_idle_fork_leaves_no_journal(self):
        self.script(
            """
            import os, waddle
            run = waddle.init()
            if os.fork() == 0:
                raise SystemExit(0)
            os.wait()
            """
        )
        self.journal()

    def test_multiprocessing_workers(self):
        for method in ("fork", "spawn"):
            with self.subTest(method=method):
                root = os.path.join(self.base, method)
                os.mkdir(root)
                self.script(
                    """
                    import multiprocessing, sys, waddle
                    def work(worker):
                        waddle.log_metric("w", worker, float(worker))
                    if __name__ == "__main__":
                        run = waddle.init(dir=sys.argv[2])
                        context = multiprocessing.get_context(sys.argv[1])
                        workers = [context.Process(target=work, args=(n,)) for n in range(3)]
                        for worker in workers: worker.start()
                        for worker in workers: worker.join()
                        assert not any(worker.exitcode for worker in workers)
                    """,
                    method,
                    root,
                )
                (run,) = os.listdir(os.path.join(root, ".waddle", "runs"))
                journals = self.journals(os.path.join(root, ".waddle", "runs", run))
                self.assertEqual(len(journals), 4)
                self.assertEqual(sorted(samples(journals, "w")), [(0, 0.0), (1, 1.0), (2, 2.0)])
                self.assertEqual([len(journal.of("close")) for journal in journals], [1, 1, 1, 1])
                self.assertEqual(sum(len(journal.of("end")) for journal in journals), 1)

    def test_threads(self):
        self.script(
            """
            import threading, waddle
            run = waddle.init()
            def work(thread):
                for step in range(1000):
                    run.log_metric("t%d" % thread, step, 0.5)
                    if step % 10 == 0:
                        run.log({"auto": 1.0})
            threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
            for thread in threads: thread.start()
            for thread in threads: thread.join()
            """
        )
        journal = self.journal()
        for thread in range(8):
            self.assertEqual(samples([journal], "t%d" % thread), [(step, 0.5) for step in range(1000)])
        self.assertEqual(sorted(step for step, _ in samples([journal], "auto")), list(range(800)))

    def test_finish_beside_logging_threads(self):
        self.script(
            """
            import threading, waddle
            run = waddle.init()
            def work(thread):
                for step in range(2000):
                    run.log_metric("t%d" % thread, step, 0.5)
            threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
            for thread in threads: thread.start()
            run.finish()
            for thread in threads: thread.join()
            """
        )
        journals = self.journals()
        for thread in range(4):
            found = samples(journals, "t%d" % thread)
            self.assertEqual(sorted(found), [(step, 0.5) for step in range(2000)])

    def test_atexit_and_signal_handlers_log(self):
        self.script(
            """
            import atexit, signal, sys, time
            atexit.register(lambda: run.log_metric("before", 0, 1.0))
            import waddle
            run = waddle.init()
            atexit.register(lambda: run.log_metric("after", 0, 1.0))
            calls = []
            def handler(*_):
                run.log_metric("signal", len(calls), 1.0)
                run.log_metric("new/%d" % len(calls), 0, None)
                calls.append(1)
            signal.signal(signal.SIGALRM, handler)
            signal.setitimer(signal.ITIMER_REAL, 0.0005, 0.0005)
            step = 0
            while len(calls) < 50:
                run.log_metric("loop", step, 1.0)
                run.log({"loop2": 1.0, "x%d" % (step % 500): 2}, step=step)
                step += 1
            signal.setitimer(signal.ITIMER_REAL, 0)
            sys.stdout.write("%d" % step)
            """
        )
        journals = self.journals()
        found = samples(journals)
        self.assertIn(("after", 0, 1.0), found)
        self.assertIn(("before", 0, 1.0), found)  # after finish: in a journal of its own
        self.assertEqual(len(journals), 2)
        self.assertEqual([len(journal.broken) for journal in journals], [0, 0])
        loop = samples(journals, "loop")
        self.assertEqual(loop, [(step, 1.0) for step in range(len(loop))])
        self.assertGreaterEqual(len(samples(journals, "signal")), 50)

    def test_log_after_finish(self):
        self.script(
            """
            import waddle
            run = waddle.init()
            run.log_metric("a", 0, 1.0)
            run.finish()
            run.finish()
            run.log_metric("a", 1, 2.0)
            run.log_param("late", True)
            """
        )
        first, second = self.journals()
        self.assertEqual(first.kinds()[-2:], ["end", "close"])
        self.assertEqual(second.kinds(), ["open", "m", "param"])
        self.assertEqual(first.events[0]["attempt"], second.events[0]["attempt"])

    def test_closed_descriptors_are_not_written_to(self):
        self.script(
            """
            import os, waddle
            run = waddle.init()
            run.log_metric("a", 0, 1.0)
            os.closerange(3, 1024)
            mine = [os.open("mine", os.O_RDWR | os.O_CREAT) for _ in range(100)]
            run.log_metric("a", 1, 1.0)
            run.log({"a": 1.0}, 2)
            assert os.path.getsize("mine") == 0
            """
        )
        self.assertEqual([step for step, _ in samples(self.journals(), "a")], [0, 1, 2])

    def test_the_helper_of_a_stopped_terminal_is_no_child(self):
        self.install_recorder()
        done = self.script(
            """
            import os, waddle
            run = waddle.init()
            try:
                print(os.waitpid(-1, os.WNOHANG))
            except ChildProcessError:
                print("none")
            """
        )
        self.assertEqual(done.out.strip(), "none")
        self.wait_for(lambda: os.path.exists(self.record))


class FullDisk(ProjectTest):
    JOB = """
        import os, sys, waddle
        root, fill = sys.argv[1:]
        run = waddle.init(dir=root)
        for step in range(50):
            run.log_metric("before", step, 1.0)
        with open(fill, "wb", buffering=0) as file:
            try:
                while True:
                    file.write(b"x" * 4096)
            except OSError:
                pass
        for step in range(3000):
            run.log_metric("during", step, 0.123456789)
            run.log({"during2": 1.0}, step)
            run.log_param("p", step)
        os.unlink(fill)
        for step in range(50):
            run.log_metric("after", step, 1.0)
        """

    def test_a_full_tmpfs(self):
        disk = os.path.join(self.base, "disk")
        os.mkdir(disk)
        mount = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=256k", "waddle-test", disk],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
        )
        if mount.returncode != 0:
            self.skipTest("cannot mount a tmpfs: %s" % mount.stdout.decode().strip())
        self.addCleanup(subprocess.run, ["umount", "-l", disk], check=True)
        done = self.script(self.JOB, disk, os.path.join(disk, "fill"))
        self.assertEqual(done.err.count("No space left"), 1, done.err)
        self.check(os.path.join(disk, ".waddle", "runs"))

    def test_a_limit_on_the_size_of_files(self):
        # No privileges needed: RLIMIT_FSIZE cuts a write short as a full disk does, then refuses.
        root = os.path.join(self.base, "limited")
        os.mkdir(root)
        done = self.script(
            """
            import os, resource, sys, waddle
            run = waddle.init(dir=sys.argv[1])
            for step in range(50):
                run.log_metric("before", step, 1.0)
            size = os.path.getsize(os.path.join(run.folder, run._journal.writer + ".jsonl"))
            _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
            resource.setrlimit(resource.RLIMIT_FSIZE, (size + 1000, hard))
            for step in range(300):
                run.log_metric("during", step, 0.123456789)
            resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
            for step in range(50):
                run.log_metric("after", step, 1.0)
            """,
            root,
        )
        self.assertEqual(done.err.count("cannot write"), 1, done.err)
        journal = self.check(os.path.join(root, ".waddle", "runs"))
        self.assertEqual(len(journal.broken), 1)

    def check(self, runs):
        """All before, what fitted of during, all after; torn pieces on lines of their own; the losses counted."""
        (run,) = os.listdir(runs)
        (journal,) = self.journals(os.path.join(runs, run))
        for key in ("before", "after"):
            self.assertEqual(samples([journal], key), [(step, 1.0) for step in range(50)])
        kept = (
            len(samples([journal], "during"))
            + len(samples([journal], "during2"))
            + len([event for event in journal.of("param") if event["key"] == "p"])
        )
        asked = 300 if "limited" in runs else 9000
        dropped = journal.of("close")[0]["dropped"]
        self.assertEqual(list(dropped), ["disk_full"])
        self.assertEqual(dropped["disk_full"] + kept, asked)
        self.assertLessEqual(len(journal.broken), 1)
        self.assertEqual([event["code"] for event in journal.of("warning")], ["log_lost"])
        self.assertEqual(journal.of("end")[0]["status"], "completed")
        return journal

    def test_a_disk_that_was_full_from_the_start(self):
        # The run's folder cannot be written when the job attaches: its calls go on, and are kept from when it can.
        environment = self.supervised()
        folder = self.runs()[0]
        os.rename(folder, folder + ".away")
        with open(folder, "w"):
            pass
        done = self.script(
            """
            import os, sys, time, waddle
            run = waddle.init(project="p")
            run.log_metric("a", 0, 1.0)
            os.unlink(sys.argv[1])
            os.rename(sys.argv[1] + ".away", sys.argv[1])
            time.sleep(0.6)
            run.log_metric("a", 1, 1.0)
            """,
            folder,
            env=environment,
        )
        self.assertEqual(done.err.count("cannot write"), 1, done.err)
        journal = self.journal()
        self.assertEqual(samples([journal], "a"), [(1, 1.0)])
        self.assertEqual(journal.of("close")[0]["dropped"], {"write_failed": 2})

    @unittest.skipUnless(os.path.exists("/dev/full"), "there is no /dev/full")
    def test_an_entry_prints_to_a_full_disk(self):
        self.write(
            "job.py",
            """
            import sys
            def waddle_main(run, argv):
                for step in range(100):
                    print("step", step)
                    print("x", end="", flush=True)
                    sys.stdout.write("y\\n")
                    run.log_metric("a", step, 1.0)
            """,
        )
        with open("/dev/full", "w") as full:
            self.entry("job", stdout=full)
        journal = self.journal()
        self.assertEqual(len(samples([journal], "a")), 100)
        self.assertEqual([event["code"] for event in journal.of("warning")], ["output_dropped"])
        self.assertEqual(journal.of("end")[0]["status"], "completed")


class Children(ProjectTest):
    def test_the_log_of_many_processes(self):
        environment = self.supervised()
        job = self.write(
            "job.py",
            """
            import sys, waddle
            run = waddle.init()
            for step in range(500):
                run.log_metric("p" + sys.argv[1], step, float(step))
            """,
        )
        processes = [self.start(job, str(n), env=dict(environment, RANK=str(n))) for n in range(8)]
        for process in processes:
            self.assertEqual(process.wait(timeout=60), 0)
            process.stdout.close()
            process.stderr.close()
        journals = self.journals()
        self.assertEqual(sorted(journal.events[0]["rank"] for journal in journals), list(range(8)))
        for n in range(8):
            self.assertEqual(samples(journals, "p%d" % n), [(step, float(step)) for step in range(500)])
