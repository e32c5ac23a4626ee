"""
Waddle: a git-native experiment log. The Python client.

    import waddle

    run = waddle.init(project="demo", config={"lr": 0.03})
    for step in range(100):
        run.log({"train/loss": loss}, step=step)

Under ``waddle run`` the same script attaches to the run that the command began. Everything but this file is loaded when
it is first used: ``import waddle`` costs next to nothing.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    import os
    from typing import Any, Dict, Mapping, Optional, SupportsFloat, Union

    from ._run import Run as Run
    from ._run import Status

__version__ = "0.1.0"

__all__ = [
    "Run",
    "__version__",
    "current_run",
    "finish",
    "init",
    "log",
    "log_artifact",
    "log_metric",
    "log_param",
    "log_params",
    "log_tag",
    "log_tags",
]


def init(
    project: Optional[str] = None,
    name: Optional[str] = None,
    config: Any = None,
    tags: Optional[Mapping[str, object]] = None,
    group: Optional[str] = None,
    notes: Optional[str] = None,
    resume: Optional[str] = None,
    run_id: Optional[str] = None,
    dir: Optional[Union[str, os.PathLike[str]]] = None,
) -> Run:
    """
    Begins a run and returns it at once; a detached helper takes the code's snapshot and the system metrics beside it.

    Under ``waddle run`` (and wherever ``WADDLE_RUN`` is set) it attaches to that run instead, and fills in what the
    command line left open. A second `init` in one process ends the run that the first one began.

    - `project`, `name`, `group`, `notes`: texts; defaults from ``WADDLE_PROJECT``, ``WADDLE_NAME``, ``waddle.json``.
    - `config`: parameters, as for `Run.log_params`. `tags`: texts by key.
    - `resume`: goes on with an earlier run: its id, its name, the first 4 or more characters of its id, or ``@last``.
    - `run_id`: attaches to a run that another process (another rank, another host) has begun.
    - `dir`: the project folder; else ``WADDLE_DIR``, else the nearest folder above with ``waddle.json`` or
      ``.waddle/``, else the top of the git repository, else the working directory.

    Raises LookupError where there is no run to resume or attach to, and OSError where ``.waddle/`` cannot be written.
    """
    from . import _init

    return _init.init(project, name, config, tags, group, notes, resume, run_id, dir)


def current_run() -> Optional[Run]:
    """The run that the last `init` of this process gave, until it is finished; else None."""
    from . import _init

    return _init.active()


def log(values: Mapping[str, SupportsFloat], step: Optional[float] = None) -> None:
    """`Run.log` of the current run."""
    _current().log(values, step)


def log_metric(key: str, step: float, value: SupportsFloat) -> None:
    """`Run.log_metric` of the current run."""
    _current().log_metric(key, step, value)


def log_param(key: str, value: object) -> None:
    """`Run.log_param` of the current run."""
    _current().log_param(key, value)


def log_params(params: Mapping[str, object]) -> None:
    """`Run.log_params` of the current run."""
    _current().log_params(params)


def log_tag(key: str, value: object) -> None:
    """`Run.log_tag` of the current run."""
    _current().log_tag(key, value)


def log_tags(tags: Mapping[str, object]) -> None:
    """`Run.log_tags` of the current run."""
    _current().log_tags(tags)


def log_artifact(
    name: str, path: Union[str, os.PathLike[str]], kind: Optional[str] = None, inline: bool = False
) -> str:
    """`Run.log_artifact` of the current run."""
    return _current().log_artifact(name, path, kind, inline)


def finish(
    status: Optional[Status] = None,
    *,
    exit_code: Optional[int] = None,
    reason: Optional[str] = None,
    error: Optional[Dict[str, str]] = None,
) -> None:
    """`Run.finish` of the current run; does nothing where there is none."""
    run = current_run()
    if run is not None:
        run.finish(status, exit_code=exit_code, reason=reason, error=error)


def _current() -> Run:
    from . import _init

    return _init.current()


def __getattr__(name: str) -> Any:
    if name == "Run":
        from ._run import Run

        return Run
    raise AttributeError("module %r has no attribute %r" % (__name__, name))
