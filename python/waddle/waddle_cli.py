"""The ``waddle`` command of an installed Python package: hands over to the real one, which is a Node program."""

from __future__ import annotations

import os
import signal
import sys

from . import _command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn


def main() -> NoReturn:
    """Replaces this process by the command line, with the same arguments. Exits with 1 where it is not to be found."""
    command = _command.find()
    if command is None:
        what, _, hint = _command.missing().partition(": ")
        sys.stderr.write("waddle: the command line cannot start: %s\n%s\n" % (what, hint))
        raise SystemExit(1)
    # Jobs run under the interpreter that waddle was installed for, unless told otherwise.
    os.environ["WADDLE_PYTHON"] = sys.executable
    if hasattr(signal, "SIGHUP"):
        # Node gives SIGHUP its default back, so that it cannot see what `nohup` did.
        ignored = signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
        os.environ.setdefault("WADDLE_HANGUP_IGNORED", "1" if ignored else "0")
    arguments = command + sys.argv[1:]
    if os.name == "nt":
        import subprocess

        raise SystemExit(subprocess.call(arguments))
    sys.stdout.flush()
    sys.stderr.flush()
    try:
        os.execv(arguments[0], arguments)
    except OSError as error:
        sys.stderr.write("waddle: cannot start %s: %s\n" % (arguments[0], error.strerror))
        raise SystemExit(1) from None


if __name__ == "__main__":
    main()
