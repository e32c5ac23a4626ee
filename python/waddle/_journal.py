"""
The append-only journal of one process (docs/journal.md): one file, one writer, one ``write(2)`` for each log call.

A journal's `fd` is all that a log call needs. Everything unusual (no file yet, closed, a forked child, a full disk, a
descriptor that somebody closed) makes `fd` invalid, so that the write fails with EBADF and `recover` sorts it out: the
usual path pays for none of it, and takes no lock.
"""

from __future__ import annotations

import errno
import os
import sys
from _thread import RLock
from time import monotonic, time

from . import _identity

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Dict, List, Optional, Set, Tuple

FORMAT = 1
CLIENT = "waddle-python/0.1.0"

#: A longer line could not be pushed (8 MiB).
MAX_LINE = 8 * 1024 * 1024

#: Seconds between two attempts to create a journal where the last one failed.
REOPEN_EVERY = 0.5

#: Descriptors are moved to at least this number: programs that close and reuse the small ones, as daemons do, must not
#: end up with a file of theirs where a log call writes.
HIGH_FD = 200

#: Closed descriptors that are kept, readable only, so that a log call of another thread that is under way fails
#: instead of writing to whatever file gets the number next.
RETIRED_FDS = 16

NO_FD = -1

_live: List[Journal] = []
_retired: List[int] = []


class Journal:
    """
    Appends events to ``<folder>/job-<8>.jsonl``, which is created at the first write.

    `attempt` is the attempt that the writer belongs to, "" where that is not known; None makes this writer begin one.
    """

    __slots__ = (
        "_error", "_held", "_lock", "_lost", "_retry_at", "_torn", "_warned",
        "attempt", "clock", "dropped", "fd", "folder", "on_child", "run_id", "strict", "writer",
    )  # fmt: skip

    def __init__(self, folder: str, run_id: str, attempt: Optional[str], strict: bool = False) -> None:
        self.folder = folder
        self.run_id = run_id
        self.writer = "job-" + _identity.random_name(8)
        self.attempt = self.writer if attempt is None else attempt or None
        self.strict = strict
        #: The descriptor to write to, or one that no write succeeds on.
        self.fd = NO_FD
        #: (from, until, a %-format of metric lines at a time within: step, '"key":', value): made once a millisecond.
        self.clock: Tuple[float, float, bytes] = (0.0, 0.0, b"")
        #: What was not kept since the file was opened: {reason: count}.
        self.dropped: Dict[str, int] = {}
        #: Called in a forked child, before its first write.
        self.on_child: Optional[Callable[[], None]] = None
        self._held = NO_FD  # the open file while writes to it fail
        self._torn = False  # the file ends within a line
        self._lost = 0  # lines refused since the last one that was written
        self._error = 0
        self._retry_at = 0.0
        self._warned: Set[str] = set()
        self._lock = RLock()  # for what is not a plain append; reentrant for signal handlers, new in a forked child
        _live.append(self)

    def tick(self, now: float) -> bytes:
        """The %-format of a metric's line at `now` (epoch seconds), kept for the rest of the millisecond."""
        millis = int(now * 1000)
        # Seventeen digits hold a 64-bit float exactly. Python's shortest form costs a tenth of the whole call more.
        template = b'{"k":"m","t":%d.%03d,"s":%%d,"v":{%%b%%.17g}}\n' % divmod(millis, 1000)
        self.clock = (millis / 1000, (millis + 1) / 1000, template)
        return template

    def has_samples(self) -> bool:
        """Whether metrics were written since the journal was made."""
        return self.clock[1] > 0.0

    def path(self) -> str:
        """Where the journal is, or will be once something is written."""
        return os.path.join(self.folder, self.writer + ".jsonl")

    def append(self, lines: bytes) -> bool:
        """Appends whole lines by one write. False where they could not be kept; raises OSError only under strict."""
        try:
            written = os.write(self.fd, lines)
        except OSError as error:
            return self.recover(lines, error)
        return written == len(lines) or self.tear(lines, written)

    def event(self, kind: str, /, **fields: Any) -> bool:
        """Appends one event."""
        return self.append(line(kind, **fields))

    def tear(self, lines: bytes, written: int) -> bool:
        """A write was short (a full disk): the next one will begin on a line of its own."""
        with self._lock:
            if self.fd != NO_FD:
                self._held, self.fd = self.fd, NO_FD
            self._torn = True
            if written == len(lines) - 1:
                return True  # all but the newline, which the next write brings
            return self._refuse(lines[written:], OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)))

    def recover(self, lines: bytes, error: OSError) -> bool:
        """A write failed: finds or opens the file that can take `lines`, else counts them as lost."""
        with self._lock:
            torn = self._torn
            if error.errno != errno.EBADF:
                if self.fd != NO_FD:
                    self._held, self.fd = self.fd, NO_FD
                return self._refuse(lines, error)
            try:
                if self.fd != NO_FD:
                    # Another thread has opened a file meanwhile, or somebody has closed ours.
                    try:
                        written = os.write(self.fd, lines)
                        return written == len(lines) or self.tear(lines, written)
                    except OSError as failure:
                        if failure.errno != errno.EBADF:
                            raise
                        self.fd = NO_FD
                if self._held == NO_FD:
                    self._open()
                else:
                    self.fd, self._held = self._held, NO_FD
                torn, self._torn = self._torn, False
                data = b"\n" + lines if torn else lines
                written = os.write(self.fd, data)
            except OSError as failure:
                if failure.errno == errno.EBADF:  # the next call opens another file
                    self.fd = self._held = NO_FD
                elif self.fd != NO_FD:
                    self._held, self.fd, self._torn = self.fd, NO_FD, torn
                return self._refuse(lines, failure)
            if written != len(data):
                if written == 0:
                    self._held, self.fd, self._torn = self.fd, NO_FD, torn
                    return self._refuse(lines, OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)))
                return self.tear(data, written)
            if self._lost:
                lost, self._lost = self._lost, 0
                self.event(
                    "warning",
                    code="log_lost",
                    message="%d log calls could not be written" % lost,
                    hint="The disk under the run's folder was full or failing; what is missing cannot be brought back.",
                )
            return True

    def _refuse(self, lines: bytes, error: OSError) -> bool:
        count = lines.count(b"\n") or 1
        self._lost += count
        full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
        self.count("disk_full" if full else "write_failed", count)
        if self.strict:
            raise error
        self.warn(
            "disk_full" if full else "write_failed",
            "cannot write to %s (%s); what is logged meanwhile is lost, and the job goes on"
            % (self.folder, error.strerror or error),
        )
        return False

    def count(self, reason: str, count: int = 1) -> None:
        """Counts something that was not kept; the closing line tells."""
        with self._lock:
            self.dropped[reason] = self.dropped.get(reason, 0) + count

    def warn(self, topic: str, message: str) -> bool:
        """Says `message` on stderr, once for each topic. True where it was the first time."""
        if topic in self._warned or len(self._warned) > 1000:
            return False
        self._warned.add(topic)
        say(message)
        return True

    def _open(self) -> None:
        """Creates the file with its ``open`` line."""
        if monotonic() < self._retry_at:
            raise OSError(self._error, os.strerror(self._error))
        writer = self.writer
        flags = os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_WRONLY | getattr(os, "O_CLOEXEC", 0)
        try:
            os.makedirs(self.folder, exist_ok=True)
            while True:
                path = os.path.join(self.folder, writer + ".jsonl")
                try:
                    fd = os.open(path, flags, 0o666)
                    break
                except FileExistsError:
                    writer = "job-" + _identity.random_name(8)
            try:
                head = self._opening(writer)
                if os.write(fd, head) != len(head):
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            except BaseException:
                os.close(fd)
                os.unlink(path)
                raise
        except OSError as error:
            self._error = error.errno or errno.EIO
            self._retry_at = monotonic() + REOPEN_EVERY
            raise
        fd = _raise_fd(fd)
        if self.fd != NO_FD:  # a signal handler logged, and so opened one, while this one was being opened
            self._finish_file(self.fd)
        self.writer, self.fd = writer, fd
        if self.on_child is not None:
            child, self.on_child = self.on_child, None
            child()

    def _opening(self, writer: str) -> bytes:
        pid = os.getpid()
        return line(
            "open",
            format=FORMAT,
            writer=writer,
            role="job",
            run=self.run_id,
            host=_identity.host_name(),
            user=_identity.user_name(),
            pid=pid,
            boot=_identity.boot_id(),
            pidns=_identity.pid_namespace(),
            started=_identity.start_ticks(pid),
            client=CLIENT,
            attempt=self.attempt,
            mono=round(monotonic(), 3),
            **_identity.rank(os.environ),
        )

    def close(self) -> None:
        """
        Ends the file with its ``close`` line. What is logged later goes to a new file, of the same attempt.

        Does nothing where nothing was written, or the file is that of a parent process.
        """
        with self._lock:
            fd = self.fd if self.fd != NO_FD else self._held
            if fd == NO_FD:
                return
            self.fd = self._held = NO_FD
            self._finish_file(fd)
            self.writer = "job-" + _identity.random_name(8)
            self._torn = False

    def _finish_file(self, fd: int) -> None:
        dropped, self.dropped = self.dropped, {}
        closing = line("close", dropped=dropped)
        try:
            last = os.dup(fd)
        except OSError:
            last = fd
        if last != fd:
            retire(fd)  # no other thread's log call may follow the closing line
        try:
            os.write(last, b"\n" + closing if self._torn else closing)
        except OSError:
            pass  # a full disk: the reader learns from the process's end that nothing more comes
        if last != fd:
            os.close(last)

    def begin_child(self) -> None:
        """In a forked child: forgets the parent's file, which only the parent may end."""
        self._lock = RLock()
        fd, held = self.fd, self._held
        self.fd = self._held = NO_FD
        for parents in (fd, held):
            if parents != NO_FD:
                retire(parents)
        self.writer = "job-" + _identity.random_name(8)
        self._torn = False
        self._lost = 0
        self._retry_at = 0.0
        self.dropped = {}
        self.on_child = _close_with_worker(self)

    def forget(self) -> None:
        """Takes a closed journal off the list of those that a fork concerns."""
        if self in _live:
            _live.remove(self)


def line(kind: str, /, **fields: Any) -> bytes:
    """One event as a line; fields are JSON types. Raises ValueError for one that no reader would take."""
    from ._values import to_json

    data = b'{"k":"%b","t":%d.%03d' % (kind.encode(), *divmod(int(time() * 1000), 1000))
    for name, value in fields.items():
        data += b',"%b":%b' % (name.encode(), to_json(value))
    if len(data) > MAX_LINE - 2:
        raise ValueError("an event of %d bytes is over the limit of 8 MiB" % len(data))
    return data + b"}\n"


def say(message: str) -> None:
    """One line on stderr, where there is one."""
    try:
        sys.stderr.write("waddle: " + message + "\n")
        sys.stderr.flush()
    except Exception:
        pass  # no stderr, a full disk under it, or a signal handler within another print


def retire(fd: int) -> None:
    """Closes a file, but keeps its number from being given to another for a while (RETIRED_FDS)."""
    try:
        nothing = os.open(os.devnull, os.O_RDONLY)
    except OSError:
        os.close(fd)
        return
    os.dup2(nothing, fd, inheritable=False)
    os.close(nothing)
    _retired.append(fd)
    if len(_retired) > RETIRED_FDS:
        os.close(_retired.pop(0))


def _raise_fd(fd: int) -> int:
    try:
        import fcntl

        high = fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, HIGH_FD)
    except (ImportError, OSError, ValueError):
        return fd  # Windows, or a low limit of open files
    os.close(fd)
    return high


def _close_with_worker(journal: Journal) -> Callable[[], None]:
    """A multiprocessing worker ends by ``os._exit``, without atexit: its finalizers close the journal."""

    def register() -> None:
        util: Any = sys.modules.get("multiprocessing.util")
        if util is not None:
            util.Finalize(None, journal.close, exitpriority=-100)

    return register


def _begin_children() -> None:
    for journal in _live:
        journal.begin_child()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_children)
