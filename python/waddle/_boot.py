"""
``python -m waddle._boot ENTRY -- ARGV``: how ``waddle run --entry`` starts a Python entry.

ENTRY is ``module`` or ``module:callable``; the callable, by default ``waddle_main(run, argv)``, may be async. What it
raises goes up to the interpreter as from any script, so that tracebacks, exit codes and signals are Python's own; only
the frames of this file are taken off.
"""

from __future__ import annotations

import os
import sys

from . import _ending, _init, _project

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType, TracebackType
    from typing import Any, Callable, List, NoReturn, Optional, Type

DEFAULT_CALLABLE = "waddle_main"
CODE = "WADDLE_CODE"


def main(arguments: List[str]) -> None:
    """Runs the entry that `arguments` (ENTRY, ``--``, ARGV…) name, attached to the run of the environment."""
    entry = arguments[0] if arguments else ""
    argv = arguments[1:]
    if argv and argv[0] == "--":
        argv = argv[1:]
    run = _init.init()
    if run.owner is None:
        _init.tell_end_of(run)
    _steady_output(run)
    _hide_own_frames()
    _set_import_path()
    module_name, _, callable_name = entry.partition(":")
    try:
        module = _import(module_name, argv)
        call = _find(module, callable_name or DEFAULT_CALLABLE, entry)
        result = call(run, argv)
        if hasattr(result, "__await__"):
            _await(result)
    except SystemExit as leaving:
        _ending.note_exit(leaving.code)
        raise


def _set_import_path() -> None:
    """
    Imports come from the working directory, then from the project folder (in an isolated run, from the recorded code of
    it), then from where they always do.
    """
    first = [_project.working_folder()]
    project = os.environ.get(CODE) or os.environ.get(_init.DIR)
    if project and os.path.abspath(project) not in first:
        first.append(os.path.abspath(project))
    sys.path[:] = first + [path for path in sys.path if path not in first and path != ""]


def _import(name: str, argv: List[str]) -> ModuleType:
    import importlib
    import importlib.util

    sys.argv = [name, *argv]
    if not name or name.endswith(".py") or "/" in name:
        module = name[: -len(".py")].replace("/", ".") if name.endswith(".py") else "examples.train"
        _fail(
            "%r is not a module" % name,
            "name it as Python imports it, such as --entry %s, or run the file: waddle run -- python %s"
            % (module.lstrip("."), name or "train.py"),
        )
    try:
        spec = importlib.util.find_spec(name)
    except ModuleNotFoundError as error:
        if not _is_part(error.name, name):
            raise
        spec = None
    except ValueError:
        spec = None
    if spec is None:
        _fail(
            "no module named %r in %s" % (name, " or ".join(sys.path[:2])),
            "name it as Python imports it from there, or go to the folder that it is imported from",
        )
    if spec.origin:
        sys.argv[0] = spec.origin
    return importlib.import_module(name)


def _is_part(missing: Optional[str], name: str) -> bool:
    return missing is not None and (name == missing or name.startswith(missing + "."))


def _find(module: ModuleType, name: str, entry: str) -> Callable[..., Any]:
    found: Any = module
    for part in name.split("."):
        found = getattr(found, part, None)
    if callable(found):
        return found  # type: ignore[no-any-return]
    where = getattr(module, "__file__", None) or module.__name__
    if found is not None:
        _fail("%s of %s is not callable" % (name, where), "name a function: --entry %s:NAME" % module.__name__)
    hint = "define `def %s(run, argv):` there, or name another function: --entry %s:NAME" % (name, module.__name__)
    if hasattr(module, "__path__"):
        hint += "; a package's __main__ runs with: waddle run -- python -m %s" % module.__name__
    elif where.endswith(".py"):
        hint += "; a script runs as it is with: waddle run -- python %s" % os.path.basename(where)
    return _fail("%s has no `%s`" % (where, name), hint)


def _fail(what: str, hint: str) -> NoReturn:
    """Ends the job with what went wrong and what to do, in place of a traceback."""
    sys.stderr.write("waddle: %s\n%s\n" % (what, hint[:1].upper() + hint[1:]))
    raise SystemExit(_ending.Failure(1, what))


def _await(result: Any) -> None:
    import asyncio

    async def waddle_main() -> None:
        await result

    asyncio.run(waddle_main())


def _hide_own_frames() -> None:
    previous = sys.excepthook

    def show(kind: Type[BaseException], error: BaseException, trace: Optional[TracebackType]) -> None:
        trace = _below_this_file(trace)
        previous(kind, error.with_traceback(trace), trace)

    sys.excepthook = show


def _below_this_file(trace: Optional[TracebackType]) -> Optional[TracebackType]:
    """The traceback from the user's first frame on; the whole one where there is no such frame."""
    last = None
    frame = trace
    while frame is not None:
        if frame.tb_frame.f_code.co_filename == __file__:
            last = frame
        frame = frame.tb_next
    rest = last.tb_next if last is not None else trace
    while rest is not None and rest.tb_next is not None and _is_machinery(rest.tb_frame.f_code.co_filename):
        rest = rest.tb_next
    return rest


def _is_machinery(filename: str) -> bool:
    parts = filename.replace("\\", "/").split("/")
    return filename.startswith("<frozen ") or "importlib" in parts[-2:] or "asyncio" in parts[-2:]


def _steady_output(run: Any) -> None:
    """Output that shows at once, and that a full disk does not turn into an exception."""
    from ._output import steady

    sys.stdout = sys.__stdout__ = steady(sys.stdout, run)  # type: ignore[misc]
    sys.stderr = sys.__stderr__ = steady(sys.stderr, run)  # type: ignore[misc]


if __name__ == "__main__":
    main(sys.argv[1:])
