import math

from .fixture import ProjectTest
from .journals import same, samples


class Metrics(ProjectTest):
    def test_every_sample_is_kept_in_order(self):
        self.script(
            """
            import waddle
            run = waddle.init()
            for step in range(3000):
                run.log_metric("loss", step, 1 / (step + 1))
                run.log({"a%s": step * 0.5, 'k"\\n🦆': 2.0}, step=step)
            """
        )
        journal = self.journal()
        self.assertEqual(samples([journal], "loss"), [(step, 1 / (step + 1)) for step in range(3000)])
        self.assertEqual(samples([journal], "a%s"), [(step, step * 0.5) for step in range(3000)])
        self.assertEqual(samples([journal], 'k"\n🦆'), [(step, 2.0) for step in range(3000)])
        times = [event["t"] for event in journal.of("m")]
        self.assertEqual(times, sorted(times))
        self.assertEqual(self.head()["last_step"], 2999)

    def test_a_metric_line_is_compact(self):
        self.script("import waddle; waddle.init().log_metric('train/loss', 41, 0.034170261)")
        with open(self.journal().path, "rb") as file:
            line = next(line for line in file if line.startswith(b'{"k":"m"'))
        self.assertRegex(line, rb'^\{"k":"m","t":\d{10}\.\d{3},"s":41,"v":\{"train/loss":0\.03417026\d+\}\}\n$')
        self.assertEqual(samples([self.journal()]), [("train/loss", 41, 0.034170261)])

    def test_floats_are_kept_to_the_last_bit(self):
        self.script(
            """
            import waddle
            run = waddle.init()
            values = [0.1, 1 / 3, 5e-324, 1.7976931348623157e308, -2.5e-7, 1e22, 123456789012345680.0, 2.0**0.5]
            for value in values * 2:
                run.log_metric("a", 0, value)
                run.log({"b": value, "c": 0.5}, 0)
            """
        )
        values = [0.1, 1 / 3, 5e-324, 1.7976931348623157e308, -2.5e-7, 1e22, 123456789012345680.0, 2.0**0.5] * 2
        for key in ("a", "b"):
            self.assertEqual([value for _, value in samples([self.journal()], key)], values)

    def test_values_of_all_kinds(self):
        self.script(
            """
            import math, waddle
            class Scalar:
                def __float__(self): return 0.25
            run = waddle.init()
            values = [math.nan, math.inf, -math.inf, 2**70, True, Scalar(), 10**400, -0.0]
            for step, value in enumerate(values):
                run.log_metric("x", step, value)
                run.log_metric("x", step, value)
                run.log({"y": value, "z": 1.0}, step)
            run.log_metric("steps", 0.5, 1.0)
            run.log_metric("steps", -3, 1.0)
            run.log_metric("steps", 2**53, 1.0)
            run.log_metric("steps", 1, 1.0)
            """
        )
        journal = self.journal()
        wanted = [math.nan, math.inf, -math.inf, 2**70, 1, 0.25, math.inf, -0.0]
        for key, times in (("x", 2), ("y", 1)):
            found = [value for _, value in samples([journal], key)]
            self.assertEqual(len(found), len(wanted) * times)
            self.assertTrue(all(same(a, b) for a, b in zip(found, [v for v in wanted for _ in range(times)])), found)
        self.assertEqual([step for step, _ in samples([journal], "steps")], [0.5, -3, 2**53, 1])
        self.assertEqual(journal.of("close")[0]["dropped"], {})

    def test_what_cannot_be_kept_is_warned_of_once_and_counted(self):
        done = self.script(
            """
            import waddle
            run = waddle.init()
            for step in range(5):
                run.log_metric("none", step, None)
                run.log_metric("text", step, "0.5")
                run.log({"none": None, "kept": 1.0, "list": [1]}, step)
            run.log_metric("far", 2**53 + 1, 1.0)
            run.log_metric("far", float("nan"), 1.0)
            run.log_metric("far", None, 1.0)
            run.log(3)
            run.log({})
            run.log_metric(7, 0, 1.0)
            run.log_metric(["unhashable"], 0, 1.0)
            for _ in range(2):
                run.log_params({"huge": "x" * (8 << 20), "large": "x" * 8388000})
            """
        )
        lines = done.err.splitlines()
        for key in ("none", "text", "list", "far"):
            self.assertEqual(len([line for line in lines if "metric '%s'" % key in line]), 1, lines)
        self.assertEqual(len([line for line in lines if "over the limit of 8 MiB" in line]), 1, lines)
        journal = self.journal()
        dropped = {"not_a_number": 20, "bad_step": 3, "not_a_mapping": 1, "too_large": 2}
        self.assertEqual(journal.of("close")[0]["dropped"], dropped)
        self.assertEqual(len(journal.of("param")), 2)
        self.assertEqual(len(journal.of("warning")), 6)
        self.assertEqual(samples([journal], "kept"), [(step, 1.0) for step in range(5)])
        self.assertEqual(samples([journal], "7"), [(0, 1.0)])

    def test_strict_raises_instead(self):
        self.script(
            """
            import waddle
            run = waddle.init()
            for call in (
                lambda: run.log_metric("x", 0, None),
                lambda: run.log({"x": "text", "y": 1.0}),
                lambda: run.log_metric("x", 2**60, 1.0),
                lambda: run.log(None),
            ):
                try:
                    call()
                except (TypeError, ValueError):
                    continue
                raise SystemExit("it did not raise")
            run.log_metric("x", 0, 1.0)
            """,
            env={"WADDLE_STRICT": "1"},
        )
        self.assertEqual(len(samples([self.journal()])), 1)

    def test_log_counts_its_own_calls(self):
        self.script(
            """
            import waddle
            run = waddle.init()
            run.log({"a": 1.0})
            run.log_metric("b", 100, 1.0)
            run.log({"a": 2.0}, step=50)
            waddle.log({"a": 3.0})
            waddle.log({"a": None})
            waddle.log({"a": 4})
            """
        )
        self.assertEqual(samples([self.journal()], "a"), [(0, 1.0), (50, 2.0), (1, 3.0), (3, 4)])

    def test_the_last_step_is_noted_however_fast_it_came(self):
        self.script(
            """
            import waddle
            run = waddle.init()
            run.log_metric("a", 0, 1.0)
            for step in (1, 2, 70, 5):
                run.log_metric("a", step, 1.0)
            """
        )
        self.assertEqual(self.head()["last_step"], 70)

    def test_params_and_tags(self):
        self.script(
            """
            import argparse, waddle
            run = waddle.init(config=argparse.Namespace(lr=0.1, epochs=40))
            run.log_param("huge", 2**100)
            run.log_params({"nested": {"a": {"b": [1, None]}}, "nan": float("nan"), "kind": {1j}, 3: "x"})
            waddle.log_param("path\\udcff", "caf\\udce9")
            run.log_param("big", "x" * 8_000_000)
            run.log_tag("model", "linear")
            run.log_tag("n", 3)
            """
        )
        journal = self.journal()
        params = {event["key"]: event["value"] for event in journal.of("param")}
        self.assertEqual(len(params.pop("big")), 8_000_000)
        self.assertEqual(
            params,
            {
                "lr": 0.1,
                "epochs": 40,
                "huge": 2**100,
                "nested": {"a": {"b": [1, None]}},
                "nan": "NaN",
                "kind": "{1j}",
                "3": "x",
                "path\\xff": "caf\\xe9",
            },
        )
        self.assertEqual([(tag["key"], tag["value"]) for tag in journal.of("tag")], [("model", "linear"), ("n", "3")])

    def test_one_call_is_one_write_of_whole_lines(self):
        self.script(
            """
            import os, waddle
            run = waddle.init()
            writes, write = [], os.write
            from waddle import _run, _journal
            def noting(fd, data):
                writes.append(bytes(data))
                return write(fd, data)
            _run.write = os.write = noting
            run.log_metric("a", 0, 1.0)
            run.log_metric("a", 1, 1.0)
            run.log({"a": 1.0, "b": 2.0})
            run.log({"a": 1.0, "b": 2.0})
            run.log_params({"x": 1, "y": 2})
            assert len(writes) == 5, writes
            assert all(data.endswith(b"\\n") for data in writes), writes
            """
        )

    def test_disabled_does_nothing(self):
        done = self.script(
            """
            import waddle
            with waddle.init(config={"a": 1}) as run:
                run.log_metric("x", 0, 1.0)
                run.log({"x": None})
                run.log_artifact("nothing", "/nowhere")
                waddle.log_tag("a", "b")
            waddle.log({"x": 1.0})
            """,
            env={"WADDLE_DISABLED": "1"},
        )
        self.assertEqual(done.err, "")
        self.assertEqual(self.runs(), [])

    def test_logging_without_a_run_warns_once(self):
        done = self.script("import waddle\nwaddle.log({'a': 1})\nwaddle.log_metric('a', 1, 1)\nwaddle.finish()")
        self.assertEqual(done.err.count("waddle.init()"), 1)
        self.assertEqual(self.runs(), [])
