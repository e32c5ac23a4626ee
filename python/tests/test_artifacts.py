import base64
import hashlib
import json
import os
import threading

from .fixture import ProjectTest


class Artifacts(ProjectTest):
    def log(self, call, **options):
        self.script("import waddle\nrun = waddle.init()\n" + call, **options)
        return self.journal().of("artifact")

    def blob(self, sha256):
        path = os.path.join(self.root, ".waddle", "blobs", "sha256", sha256[:2], sha256)
        self.assertEqual(os.stat(path).st_mode & 0o777, 0o444)
        with open(path, "rb") as file:
            data = file.read()
        self.assertEqual(hashlib.sha256(data).hexdigest(), sha256)
        return data

    def blobs(self):
        return [name for _, _, names in os.walk(os.path.join(self.root, ".waddle", "blobs")) for name in names]

    def test_what_is_found_again_is_given_todays_date(self):
        with open(os.path.join(self.root, "w.bin"), "wb") as file:
            file.write(b"weights")
        (first,) = self.log("run.log_artifact('w', 'w.bin')")
        path = os.path.join(self.root, ".waddle", "blobs", "sha256", first["sha256"][:2], first["sha256"])
        os.utime(path, (1e9, 1e9))
        self.script("import waddle\nwaddle.init().log_artifact('w', 'w.bin')")
        # `gc` must not take what a job is about to name.
        self.assertGreater(os.stat(path).st_mtime, 1.7e9)

    def test_a_file_is_kept_once(self):
        data = os.urandom(3_000_000)
        with open(os.path.join(self.root, "w.bin"), "wb") as file:
            file.write(data)
        first, second = self.log(
            "import pathlib\n"
            "first = run.log_artifact('w', 'w.bin', kind='model')\n"
            "assert run.log_artifact('w2', pathlib.Path('w.bin')) == first"
        )
        self.assertEqual(
            [first[key] for key in ("name", "kind", "type", "size", "mime")],
            ["w", "model", "file", 3_000_000, "application/octet-stream"],
        )
        self.assertEqual(self.blob(first["sha256"]), data)
        self.assertEqual(first["sha256"], second["sha256"])
        self.assertEqual(len(self.blobs()), 1)

    def test_inline(self):
        for size, inline in [(0, True), (65_536, True), (65_537, False)]:
            self.setUp()
            self.write("a.json", "x" * size)
            (event,) = self.log("run.log_artifact('a', 'a.json', inline=True)")
            self.assertEqual("inline" in event, inline)
            if inline:
                self.assertEqual(base64.b64decode(event["inline"]), b"x" * size)
                self.assertEqual(event["sha256"], hashlib.sha256(b"x" * size).hexdigest())
                self.assertEqual(self.blobs(), [])
            else:
                self.assertEqual(len(self.blob(event["sha256"])), size)

    def test_a_folder(self):
        self.write("out/b.txt", "bb")
        self.write("out/a/x.bin", "same")
        self.write("out/a/y.bin", "same")
        os.chmod(os.path.join(self.root, "out", "b.txt"), 0o640)
        os.symlink("../b.txt", os.path.join(self.root, "out", "a", "link"))
        os.symlink("..", os.path.join(self.root, "out", "a", "loop"))
        os.mkfifo(os.path.join(self.root, "out", "pipe"))
        with open(os.path.join(os.fsencode(self.root), b"out", b"caf\xe9"), "wb"):
            pass
        (event,) = self.log("run.log_artifact('out', 'out')")
        self.assertEqual((event["type"], event["size"], event["files"]), ("folder", 12, 5))
        manifest = json.loads(self.blob(event["sha256"]).decode())
        self.assertEqual(
            [(entry["path"], entry["size"]) for entry in manifest],
            [("a/link", 2), ("a/x.bin", 4), ("a/y.bin", 4), ("b.txt", 2), ("caf\\xe9", 0)],
        )
        self.assertEqual(list(manifest[0]), ["path", "size", "sha256", "mode"])
        self.assertEqual(manifest[3]["mode"], 0o640)
        for entry in manifest:
            self.blob(entry["sha256"])
        self.assertEqual(len(self.blobs()), 4)

    def test_an_empty_folder(self):
        os.mkdir(os.path.join(self.root, "out"))
        (event,) = self.log("run.log_artifact('out', 'out')")
        self.assertEqual(self.blob(event["sha256"]), b"[]")

    def test_what_is_not_there_raises_at_once(self):
        os.mkfifo(os.path.join(self.root, "pipe"))
        os.makedirs(os.path.join(self.root, "out"))
        os.symlink("nowhere", os.path.join(self.root, "out", "link"))
        self.log(
            "missing = FileNotFoundError\n"
            "for path, kind in [('no', missing), ('pipe', ValueError), ('out', missing), ('', ValueError)]:\n"
            "    try:\n        run.log_artifact('x' if path else '', path or __file__)\n"
            "    except kind:\n        continue\n"
            "    raise SystemExit(path)\n"
        )
        self.assertEqual(self.journal().of("artifact"), [])
        self.assertEqual(self.blobs(), [])

    def test_a_file_that_changes_meanwhile(self):
        path = os.path.join(self.root, "moving")
        stop = threading.Event()

        def rewrite():
            value = 0
            while not stop.is_set():
                with open(path, "r+b") as file:
                    for _ in range(20):
                        file.write(bytes([value % 256]) * 100_000)
                value += 1

        with open(path, "wb") as file:
            file.write(b"." * 2_000_000)
        thread = threading.Thread(target=rewrite)
        thread.start()
        try:
            events = self.log("for i in range(10): run.log_artifact('m%d' % i, 'moving')")
        finally:
            stop.set()
            thread.join()
        for event in events:
            self.assertEqual(len(self.blob(event["sha256"])), event["size"])

    def test_a_full_disk_raises_and_leaves_nothing(self):
        self.write("big", "x" * 200_000)
        self.script(
            """
            import errno, resource, waddle
            run = waddle.init()
            resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
            try:
                run.log_artifact("big", "big")
            except OSError as error:
                assert error.errno == errno.EFBIG, error
            else:
                raise SystemExit("it did not raise")
            """
        )
        self.assertEqual(self.blobs(), [])
        self.assertEqual(self.journal().of("artifact"), [])
