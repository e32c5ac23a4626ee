"""A job's stdout and stderr as ``waddle run --entry`` sets them up."""

from __future__ import annotations

import errno
import io
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Optional

    from ._run import Run

#: What a full disk, a quota or a limit on file sizes makes of a write.
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class SteadyOutput(io.RawIOBase):
    """
    An unbuffered file that takes everything: where its disk is full, what does not fit is dropped, with one warning.

    It lies under the text layer, so that a training loop's ``print`` neither waits in a buffer nor raises ENOSPC.
    """

    def __init__(self, fd: int, name: str, run: Run) -> None:
        super().__init__()
        self.name = name
        self.mode = "wb"
        self._fd = fd
        self._run = run
        self._warned = False

    def write(self, data: Any, /) -> int:
        """Writes all of `data`, or drops what the disk does not take; says that all was written."""
        if type(data) is not bytes:
            data = memoryview(data).cast("B")
        size = len(data)
        try:
            written = os.write(self._fd, data)
            while written < size:
                written += os.write(self._fd, memoryview(data)[written:])
        except OSError as error:
            if error.errno not in FULL:
                raise
            self._warn(error)
        return size

    def _warn(self, error: OSError) -> None:
        if not self._warned:
            self._warned = self._run.warn(
                "output_dropped",
                "what the job printed to %s was dropped: %s" % (self.name, error.strerror),
                "The disk under the run's folder was full; what is missing cannot be brought back.",
            )

    def fileno(self) -> int:
        """The file descriptor."""
        return self._fd

    def writable(self) -> bool:
        """True."""
        return True

    def isatty(self) -> bool:
        """Whether it is a terminal."""
        return os.isatty(self._fd)


def steady(stream: Any, run: Run) -> Optional[io.TextIOWrapper]:
    """`stream` (stdout or stderr; None where the process has none) over a SteadyOutput of the same descriptor."""
    try:
        stream.flush()
        raw = SteadyOutput(stream.fileno(), stream.name, run)
        text: Any = io.TextIOWrapper(
            raw,  # type: ignore[type-var,unused-ignore]
            encoding=stream.encoding,
            errors=stream.errors,
            line_buffering=True,
            write_through=True,
        )
        text.mode = "w"
        return text  # type: ignore[no-any-return]
    except (AttributeError, OSError, ValueError):
        return stream  # type: ignore[no-any-return]
