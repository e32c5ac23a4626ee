"""How this process ends, noted as it happens: the uncaught exception, the exit code, the interrupt."""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType
    from typing import Any, Callable, Dict, Optional, Type

#: The longest traceback that is recorded, in characters; of a longer one the end is kept.
MAX_TRACEBACK = 100_000

#: Exit codes of a process that was asked to stop (128 + SIGINT, SIGTERM) and did so by itself.
ASKED_TO_STOP = (130, 143)

_state: Dict[str, Any] = {"installed": False, "hook": None, "error": None, "exit": None}


class Failure(int):
    """An exit code with its reason, for a process that ends by ``SystemExit(Failure(1, "no such module"))``."""

    reason: str

    def __new__(cls, code: int, reason: str) -> Failure:
        """`code` as an int that carries `reason`."""
        self = super().__new__(cls, code)
        self.reason = reason
        return self


def watch(at_exit: Callable[[], None]) -> None:
    """
    Begins to note how the process ends, and calls `at_exit` when it does. Once for each process.

    What others have put in place (an excepthook, a patched exit) is called as before.
    """
    if _state["installed"]:
        return
    _state["installed"] = True
    import atexit

    atexit.register(at_exit)
    previous = sys.excepthook

    def note_exception(kind: Type[BaseException], error: BaseException, trace: Optional[TracebackType]) -> None:
        if not _interactive():
            _state["error"] = error
        previous(kind, error, trace)

    _state["hook"] = sys.excepthook = note_exception
    if not _interactive():
        _watch_exit()


def _interactive() -> bool:
    """Whether exceptions and exits are caught by a prompt or a notebook, and end nothing."""
    import builtins

    return hasattr(sys, "ps1") or hasattr(builtins, "__IPYTHON__")


def _watch_exit() -> None:
    """
    Notes the code of ``sys.exit()``, ``exit()`` and ``quit()``: Python does not tell atexit handlers.

    (``raise SystemExit(3)`` in so many words goes unnoticed.) An exit that is caught does not count: the mark that the
    exception carries then dies while Python code runs, and not, as in a real exit, after the last frame is gone.
    """

    def noting(code: object) -> SystemExit:
        leaving = SystemExit() if code is None else SystemExit(code)
        threading: Any = sys.modules.get("threading")
        if threading is None or threading.current_thread() is threading.main_thread():
            mark = _ExitMark()
            _state["exit"] = (id(mark), code)
            leaving.waddle_mark = mark  # type: ignore[attr-defined]
        return leaving

    def exit(status: object = None, /) -> None:
        """Exit the interpreter by raising SystemExit(status)."""
        raise noting(status)

    sys.exit = exit  # type: ignore[assignment]
    sitebuiltins: Any = sys.modules.get("_sitebuiltins")
    quitter = getattr(sitebuiltins, "Quitter", None)
    if quitter is not None:

        def call(self: object, code: object = None) -> None:
            try:
                sys.stdin.close()
            except Exception:
                pass
            raise noting(code)

        quitter.__call__ = call


class _ExitMark:
    __slots__ = ()

    def __del__(self) -> None:
        noted = _state["exit"] if _state else None
        if noted is not None and noted[0] == id(self):
            try:
                sys._getframe(1)
            except ValueError:
                return  # nothing is left to run: the process is exiting by it
            _state["exit"] = None


def note_error(error: BaseException) -> None:
    """Notes the exception that ends the process, where the caller knows it before any hook does."""
    _state["error"] = error


def note_exit(code: object) -> None:
    """Notes the code that the process is exiting with."""
    _state["exit"] = (0, code)


def outcome() -> Dict[str, Any]:
    """How the process ends, as the fields of an ``end`` event: status, exit_code, and error where there is one."""
    error = _state["error"]
    if error is None and sys.excepthook is not _state["hook"] and not _interactive():
        # Somebody's hook took the place of ours and may not have called it; the interpreter keeps a note of its own.
        error = getattr(sys, "last_value", None)
    if error is not None:
        return outcome_of(error)
    if _state["exit"] is not None:
        return outcome_of(SystemExit(_state["exit"][1]))
    return outcome_of(None)


def outcome_of(error: Optional[BaseException]) -> Dict[str, Any]:
    """How a job ends that ends by `error`; None is the ordinary end."""
    if error is None:
        return {"status": "completed", "exit_code": 0}
    if isinstance(error, SystemExit):
        code = error.code
        if code is None or code == 0:
            return {"status": "completed", "exit_code": 0}
        if not isinstance(code, int):
            return {"status": "failed", "exit_code": 1, "reason": str(code)[:1000]}
        status = "aborted" if code & 0xFF in ASKED_TO_STOP else "failed"
        return {"status": status, "exit_code": code & 0xFF, "reason": getattr(code, "reason", None)}
    if isinstance(error, KeyboardInterrupt):
        return {"status": "aborted", "exit_code": 130, "reason": "interrupted (KeyboardInterrupt)"}
    return {"status": "failed", "exit_code": 1, "error": describe(error)}


def describe(error: BaseException) -> Dict[str, str]:
    """An exception as the ``error`` of an ``end`` event: its type, message and traceback as Python prints it."""
    import traceback

    kind = type(error)
    name = kind.__qualname__
    if kind.__module__ not in ("builtins", "__main__"):
        name = kind.__module__ + "." + name
    try:
        message = str(error)
    except Exception:
        message = "<unprintable %s>" % name
    try:
        text = "".join(traceback.format_exception(kind, error, error.__traceback__))
    except Exception:
        text = name
    return {"type": name, "message": message, "traceback": text[-MAX_TRACEBACK:]}


def start_again() -> None:
    """In a forked child: what the parent was about to end by is not how the child ends."""
    _state["error"] = _state["exit"] = None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=start_again)
