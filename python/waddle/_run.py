"""The run that a job logs to."""

from __future__ import annotations

import math
import os
from itertools import count
from time import time

from . import _head
from ._identity import rank
from ._journal import Journal, line
from ._values import MAX_STEP, BadStep, NotANumber, items_of, key_text, number_text, plain, step_number, to_json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, List, Mapping, Optional, SupportsFloat, Tuple, Type, Union

    from typing_extensions import Literal

    Number = Union[SupportsFloat, int, float]
    Status = Literal["completed", "failed", "aborted"]

write = os.write
FLOATS = {float}

#: Prepared keys and templates that are kept; beyond that (keys made up at run time) they are dropped and made anew.
MAX_KEYS = 65_536
MAX_TEMPLATES = 1024

#: Seconds between two updates of the last step in head.json.
HEAD_EVERY = 5.0


class Run:
    """
    A run, as a process of its job logs to it.

    Made by `waddle.init()`, or handed to ``waddle_main(run, argv)``. Log calls may come from any thread, from a forked
    child, from ``atexit`` and signal handlers, and after `finish`; each is one append to this process's own journal and
    durable against ``kill -9`` once it returns. None of them raises (but `log_artifact`, where the file cannot be
    read), unless ``WADDLE_STRICT=1``.
    """

    __slots__ = (
        "_head_due", "_heads", "_journal", "_known_top", "_name", "_project", "_root", "_steps", "_strict",
        "_templates", "_top", "id", "owner",
    )  # fmt: skip

    def __init__(
        self,
        root: str,
        run_id: str,
        name: Optional[str],
        project: Optional[str],
        attempt: Optional[str],
        strict: bool = False,
    ) -> None:
        #: The run's id: 12 lowercase base32 characters.
        self.id = run_id
        #: The process whose end is the run's: its pid, where this process began the attempt; else None.
        self.owner: Optional[int] = None
        self._root = root
        self._name = name
        self._project = project
        self._strict = strict
        self._journal = Journal(os.path.join(root, ".waddle", "runs", run_id), run_id, attempt, strict)
        self._heads: Dict[Any, bytes] = {}  # key -> '"key":' in JSON
        #: keys -> '"a":%.17g,"b":', a %-format of all but the last value
        self._templates: Dict[Tuple[Any, ...], bytes] = {}
        self._top: float = -MAX_STEP - 1  # the greatest step logged by this process, as far as `_tick` saw
        self._known_top: float = self._top  # the one that head.json has
        self._head_due = time() + HEAD_EVERY
        self._steps = count()  # `next` is atomic: two threads get two steps

    @property
    def name(self) -> Optional[str]:
        """The run's name when this process joined it (it may have been renamed since)."""
        return self._name

    @property
    def project(self) -> Optional[str]:
        """The project (a label that groups runs), or None."""
        return self._project

    @property
    def dir(self) -> str:
        """The project folder: the one that holds ``.waddle/``."""
        return self._root

    @property
    def folder(self) -> str:
        """The run's own folder, where its journals are."""
        return self._journal.folder

    @property
    def attempt(self) -> Optional[str]:
        """The attempt that this process belongs to: the name of the writer that began it, or None where unknown."""
        return self._journal.attempt

    def __repr__(self) -> str:
        return "<waddle run %s %r>" % (self.id, self._name)

    # Metrics: the calls that training loops make.

    def log_metric(self, key: str, step: float, value: Number) -> None:
        """
        Logs one value of the metric `key` at `step`.

        `value` is any object with ``__float__``; NaN and infinities are kept. `step` is an integer within ±2^53 or a
        finite float; it may repeat or go back. What cannot be kept (None, text) is warned of once for each key.
        """
        # Checks, format and write stand here in full: on this path a function call costs a tenth of the write.
        # `value - value` is 0.0 for all but NaN and the infinities.
        if type(value) is float and type(step) is int and value - value == 0.0 and -MAX_STEP <= step <= MAX_STEP:
            journal = self._journal
            now = time()
            since, until, template = journal.clock
            try:
                if not since <= now < until:
                    template = self._tick(now, step)
                data = template % (step, self._heads[key], value)
                written = write(journal.fd, data)
            except OSError as error:
                journal.recover(data, error)
                return
            except (KeyError, TypeError):
                pass  # a key that was not seen before, or is no text
            else:
                if written != len(data):
                    journal.tear(data, written)
                return
        self._log_slowly({key: value} if isinstance(key, str) else {key_text(key): value}, step)

    def log(self, values: Mapping[str, Number], step: Optional[float] = None) -> None:
        """
        Logs one sample of each key of `values` at `step`, in one append.

        Without `step` the run counts its own calls without one: from 0, and on from the last step of a resumed run.
        """
        if step is None:
            step = next(self._steps)
        data = b""
        try:
            # Keys of one set share a prepared text; only exact floats that are all finite (so is their sum) use it.
            pairs = self._templates[tuple(values)]
            numbers = tuple(values.values())
            if {*map(type, numbers)} == FLOATS and type(step) is int and -MAX_STEP <= step <= MAX_STEP:
                total = sum(numbers)  # type: ignore[arg-type]
                if total - total == 0.0:
                    now = time()
                    since, until, template = self._journal.clock
                    if not since <= now < until:
                        template = self._tick(now, step)
                    data = template % (step, pairs % numbers[:-1], numbers[-1])
        except Exception:
            pass  # other keys than before, or values that need a closer look
        if data:
            self._journal.append(data)
        else:
            self._log_slowly(values, step)

    def _tick(self, now: float, step: float) -> bytes:
        # Steps within one millisecond of another are not looked at here; `finish` looks at the journal's end.
        if step > self._top:
            self._top = step
        if now >= self._head_due:
            self._head_due = now + HEAD_EVERY
            self._note_step()
        return self._journal.tick(now)

    def _log_slowly(self, values: Any, step: Any) -> None:
        """`log` for any values: converts, and refuses one by one what cannot be kept."""
        items = items_of(values)
        if items is None:
            self._refuse("not_a_mapping", "log", "log() takes a mapping of keys to numbers", TypeError)
            return
        try:
            place = step_number(step)
        except BadStep as error:
            for key, _ in items:
                self._refuse("bad_step", key_text(key), "metric %r: %s" % (key_text(key), error), BadStep)
            return
        parts: List[bytes] = []
        heads: List[bytes] = []
        for key, value in items:
            head = self._heads.get(key) if type(key) is str else None
            if head is None:
                head = self._prepare(key)
            try:
                parts.append(head + number_text(value))
                heads.append(head)
            except NotANumber as error:
                self._refuse("not_a_number", key_text(key), "metric %r: %s" % (key_text(key), error), NotANumber)
        if not parts:
            return
        now = time()
        self._tick(now, place)
        stamp = b'{"k":"m","t":%d.%03d,"s":' % divmod(int(now * 1000), 1000)
        self._journal.append(b'%b%b,"v":{%b}}\n' % (stamp, repr(place).encode(), b",".join(parts)))
        if len(parts) == len(items) and all(type(key) is str for key, _ in items):
            if len(self._templates) >= MAX_TEMPLATES:
                self._templates.clear()
            self._templates[tuple([key for key, _ in items])] = b"%.17g,".join(
                [head.replace(b"%", b"%%") for head in heads]
            )

    def _prepare(self, key: object) -> bytes:
        head = to_json(key_text(key)) + b":"
        if type(key) is str:
            if len(self._heads) >= MAX_KEYS:
                self._heads.clear()
            self._heads[key] = head
        return head

    def _refuse(self, reason: str, key: str, message: str, failure: Type[Exception]) -> None:
        """Counts what cannot be kept; warns once for each key, or raises under strict."""
        self._journal.count(reason)
        if self._strict:
            raise failure(message)
        if self._journal.warn(reason + ":" + key, message + "; such values are not kept"):
            self._journal.event("warning", code=reason, message=message, hint=None)

    # Everything else that a run records.

    def log_param(self, key: str, value: object) -> None:
        """
        Logs a parameter: None, bool, int, float, text, lists and mappings keep their JSON type; NumPy and torch scalars
        become numbers, and what JSON lacks becomes its ``repr``. The last value of a key wins.
        """
        self.log_params({key: value})

    def log_params(self, params: Mapping[str, object]) -> None:
        """Logs each item of a mapping, a dataclass or an ``argparse.Namespace`` as a parameter, in one append."""
        items = items_of(params)
        if items is None:
            self._refuse("not_a_mapping", "params", "log_params() takes a mapping", TypeError)
            return
        lines: List[bytes] = []
        for key, value in items:
            self._add(lines, "param", key_text(key), plain(value))
        if lines:
            self._journal.append(b"".join(lines))

    def log_tag(self, key: str, value: object) -> None:
        """Sets a tag: a short text under a key, to group and filter runs by."""
        self.log_tags({key: value})

    def log_tags(self, tags: Mapping[str, object]) -> None:
        """Sets several tags in one append."""
        items = items_of(tags)
        if items is None:
            self._refuse("not_a_mapping", "tags", "log_tags() takes a mapping", TypeError)
            return
        lines: List[bytes] = []
        for key, value in items:
            self._add(lines, "tag", key_text(key), key_text(value))
        if lines:
            self._journal.append(b"".join(lines))

    def _add(self, lines: List[bytes], kind: str, key: str, value: object) -> None:
        try:
            lines.append(line(kind, key=key, value=value))
        except Exception as error:  # over 8 MiB
            self._refuse("too_large", key, "%s %r: %s" % (kind, key, error), ValueError)

    def log_artifact(
        self,
        name: str,
        path: Union[str, os.PathLike[str]],
        kind: Optional[str] = None,
        inline: bool = False,
    ) -> str:
        """
        Keeps the bytes of a file, or of a folder of files, as the artifact `name`; returns their SHA-256 (of a folder:
        of its manifest).

        The bytes are copied at once, and what is recorded is the hash of what was copied. `kind` is a free label, such
        as "model". ``inline=True`` puts a file of at most 64 KiB into the journal itself.

        Raises FileNotFoundError, PermissionError and the like at once, and ValueError for what is neither a file nor a
        folder, or has no name.
        """
        from ._blobs import keep

        if key_text(name) == "":
            raise ValueError("an artifact needs a name")
        fields = keep(os.path.join(self._root, ".waddle"), os.fspath(path), inline)
        self._journal.event("artifact", name=key_text(name), kind=None if kind is None else key_text(kind), **fields)
        return str(fields["sha256"])

    def warn(self, code: str, message: str, hint: Optional[str] = None) -> bool:
        """Records something that the user should know, under a stable `code`. True where it could be written."""
        return self._journal.event("warning", code=code, message=message, hint=hint)

    # Its end.

    def finish(
        self,
        status: Optional[Status] = None,
        *,
        exit_code: Optional[int] = None,
        reason: Optional[str] = None,
        error: Optional[Dict[str, str]] = None,
    ) -> None:
        """
        Ends the run with `status` ("completed" where None), where this process began it with `waddle.init()`.

        Under ``waddle run``, or attached to a run that another process began, it ends only the attachment. What is
        logged afterwards is kept all the same. Finishing twice does nothing.
        """
        if self.owner == os.getpid():
            self.owner = None
            self.tell_end(status or "completed", exit_code=exit_code, reason=reason, error=error)
        if self._journal.has_samples():
            self._top = max(self._top, *_head.steps_at_end(self._journal.path()), self._known_top)
        self._note_step()
        self._journal.close()
        from ._init import forget

        forget(self)

    def tell_end(
        self,
        status: str,
        exit_code: Optional[int] = None,
        signal: Optional[str] = None,
        reason: Optional[str] = None,
        error: Optional[Dict[str, str]] = None,
    ) -> None:
        """Writes how the attempt ended, as its job sees it."""
        self._journal.event(
            "end",
            attempt=self.attempt or self._journal.writer,
            status=status,
            exit_code=exit_code,
            signal=signal,
            reason=reason,
            error=plain(error),
            by="job",
        )

    def go_on_after(self, step: Optional[int]) -> None:
        """Lets `log` without a step count on from an earlier attempt's last step; None leaves it at 0."""
        if step is not None:
            self._steps = count(step + 1)

    def _note_step(self) -> None:
        # The first rank speaks for all: hundreds of them would only replace each other's file.
        if self._top > self._known_top and rank(os.environ)["rank"] in (None, 0):
            self._known_top = self._top
            _head.note_step(self.folder, math.floor(self._top), self.attempt)

    def __enter__(self) -> Run:
        return self

    def __exit__(self, kind: Optional[Type[BaseException]], error: Optional[BaseException], trace: object) -> None:
        from ._ending import outcome_of

        self.finish(**outcome_of(error))
