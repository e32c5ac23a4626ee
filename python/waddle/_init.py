"""`waddle.init()`: begins a run, goes on with one, or attaches to the one that this process belongs to."""

from __future__ import annotations

import errno
import os
import sys
from time import time

from . import _ending, _head, _helper, _project
from ._disabled import DisabledRun
from ._identity import random_name, rank, start_ticks
from ._journal import say
from ._run import Run
from ._values import clean_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, Mapping, Optional, Tuple, Union

# What a job's processes find their run by; `waddle run` sets them, and `init` for the processes that it begets.
RUN = "WADDLE_RUN"
DIR = "WADDLE_DIR"
ATTEMPT = "WADDLE_ATTEMPT"
#: The pid of the ``waddle run`` that started the job. Its direct child is the job's own process.
SUPERVISOR = "WADDLE_SUPERVISOR_PID"
#: ``<attempt>:<pid>`` of the first client process of an attempt; what descends from it is a helper process of it.
CLIENT = "WADDLE_CLIENT"


class _Process:
    """What this process knows of its run. One of it; a forked child goes on with a copy."""

    def __init__(self) -> None:
        self.current: Optional[Run] = None
        #: The attached run whose end this process tells when it ends itself, and the pid that does so.
        self.told: Optional[Run] = None
        self.told_pid = 0
        #: Whether it tells only where the supervisor, which knows better, is gone.
        self.told_if_alone = False
        #: The supervisor: its pid and when it started, in clock ticks since boot.
        self.supervisor: Tuple[int, Optional[int]] = (0, None)
        #: What `_publish` found in the environment, to be put back when the run ends.
        self.found: Optional[Dict[str, Optional[str]]] = None
        self.warned = False


_process = _Process()


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
    """See `waddle.init`."""
    if os.environ.get("WADDLE_DISABLED") == "1":
        _process.current = DisabledRun(project, name)
        return _process.current
    current = _process.current
    if current is not None and current.owner == os.getpid():
        current.finish()
    given = {"name": name, "project": project, "notes": notes, "group": group}
    fields = {key: clean_text(str(value)) for key, value in given.items() if value is not None}
    attached_id = run_id or _inherited()
    if attached_id:
        run = _attach(attached_id, explicit=run_id is not None, dir=dir, fields=fields)
        if resume is not None and resume not in (attached_id, run.name):
            say("this process already belongs to run %s: resume=%r is not used" % (run.id, resume))
    elif resume is not None:
        run = _resume(resume, dir, fields)
    else:
        run = _begin(dir, fields, tags or {})
        tags = None
    if tags:
        run.log_tags(tags)
    if config is not None:
        run.log_params(config)
    if run.owner is not None:
        _helper.start(run.dir, run.id, run.attempt or "")
    _process.current = run
    _ending.watch(_at_exit)
    return run


def current() -> Run:
    """
    What the module's own log functions log to: the run of the last `init`, else the one that the environment names.

    Where there is none, a run that keeps nothing, after one warning (RuntimeError under ``WADDLE_STRICT=1``).
    """
    run = _process.current
    if run is not None:
        return run
    if os.environ.get(RUN) or os.environ.get("WADDLE_DISABLED") == "1":
        return init()
    if _strict():
        raise RuntimeError("there is no run to log to: call waddle.init() first")
    if not _process.warned:
        _process.warned = True
        say("there is no run to log to: call waddle.init() first; nothing is kept")
    return DisabledRun(None, None)


def active() -> Optional[Run]:
    """The run of the last `init`, or None."""
    return _process.current


def forget(run: Run) -> None:
    """A run was finished: the next `init` starts anew."""
    if _process.current is run:
        _process.current = None
    if _process.found is not None and os.environ.get(RUN) == run.id:  # `_publish` put it there
        for variable, value in _process.found.items():
            if value is None:
                os.environ.pop(variable, None)
            else:
                os.environ[variable] = value
        _process.found = None


def _strict() -> bool:
    return os.environ.get("WADDLE_STRICT") == "1"


def _root(dir: Optional[Union[str, os.PathLike[str]]]) -> str:
    """The project folder: what `init` is told, else the environment, else found from the working directory."""
    if dir is not None:
        return os.path.abspath(os.fspath(dir))
    return os.path.abspath(os.environ.get(DIR) or _project.find(_project.working_folder()))


def _default_name(run_id: str) -> str:
    """A name for a run that got none: the script's, and the start of the id."""
    script = os.path.splitext(os.path.basename(sys.argv[0] if sys.argv else ""))[0]
    if not script or script in ("-", "-c", "-m", "__main__", "ipykernel_launcher", "colab_kernel_launcher"):
        script = "notebook" if "ipykernel" in sys.modules else "run"
    return "%s-%s" % (clean_text(script), run_id[:4])


def _begin(dir: Any, fields: Dict[str, str], tags: Mapping[str, object]) -> Run:
    """A new run, of which this process is the job."""
    root = _root(dir)
    if not os.path.isdir(root):
        named = "WADDLE_DIR" if dir is None else "dir"
        raise FileNotFoundError(errno.ENOENT, "there is no such project folder: correct %s, or make it" % named, root)
    settings = _project.settings(root)
    for key in ("name", "project", "notes", "group"):
        from_environment = os.environ.get("WADDLE_" + key.upper()) if key in ("name", "project") else None
        value = from_environment or settings.get(key)
        if key not in fields and isinstance(value, str) and value:
            fields[key] = clean_text(value)
    defaults = settings.get("tags")
    all_tags = {**(defaults if isinstance(defaults, dict) else {}), **tags}
    run_id = random_name(12)
    default_name = _default_name(run_id)
    name = fields.get("name", default_name)
    project = fields.get("project")
    run = Run(root, run_id, name, project, None, _strict())
    _project.make_folder(root)
    os.mkdir(run.folder)
    head = {"id": run_id, "name": name, "project": project, "started_at": round(time(), 3), "last_step": None}
    _head.write(run.folder, head)
    run.owner = os.getpid()
    run._journal.event(
        "start",
        id=run_id,
        name=fields.get("name"),
        default_name=default_name,
        project=project,
        group=fields.get("group"),
        notes=fields.get("notes"),
        tags={clean_text(str(key)): clean_text(str(value)) for key, value in all_tags.items()},
        attempt=run.attempt,
        supervised=False,
        **_command_line(),
    )
    _publish(run)
    return run


def _resume(wanted: str, dir: Any, fields: Dict[str, str]) -> Run:
    """The run that `wanted` names, in a new attempt, of which this process is the job. Raises LookupError."""
    root = _root(dir)
    head = _head.resolve(root, wanted)
    run = Run(root, head["id"], head.get("name"), head.get("project"), None, _strict())
    run.owner = os.getpid()
    run._journal.event("resume", attempt=run.attempt, supervised=False, **_command_line())
    run.go_on_after(_head.last_step(run.folder, run.attempt))
    if fields:
        run._journal.event("update", fields=fields)
    _publish(run)
    return run


def _inherited() -> Optional[str]:
    """
    The run that the environment names. Not one that another process began with `init` and has finished: a pool's worker
    outlives it, and what it does next belongs to a run of its own.
    """
    run_id = os.environ.get(RUN)
    attempt = os.environ.get(ATTEMPT, "")
    if not run_id or not attempt.startswith("job-"):
        return run_id
    current = _process.current
    journal = os.path.join(os.environ.get(DIR) or _root(None), ".waddle", "runs", run_id, attempt + ".jsonl")
    if (current is not None and current.owner == os.getpid()) or not _closed(journal):
        return run_id
    if current is not None and current.id == run_id:
        current.finish()
    for variable in (RUN, ATTEMPT, CLIENT):
        os.environ.pop(variable, None)
    return None


def _closed(journal: str) -> bool:
    """Whether a journal's writer has closed it; it may have been sealed since."""
    try:
        with open(journal, "rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - 65536))
            return file.read().rstrip(b"\n").rpartition(b"\n")[2].startswith(b'{"k":"close"')
    except OSError:
        return os.path.exists(journal + ".zst")


def _attach(run_id: str, explicit: bool, dir: Any, fields: Dict[str, str]) -> Run:
    """The run that ``waddle run`` or another process has begun. Raises LookupError where `explicit` names none."""
    current = _process.current
    if current is not None and current.id == run_id:
        if fields:
            current._journal.event("update", fields=fields)
        return current
    root = _root(dir)
    folder = os.path.join(root, ".waddle", "runs", run_id)
    if len(run_id) != 12 or run_id.strip("abcdefghijklmnopqrstuvwxyz234567"):
        raise LookupError("%r is not a run id: 12 characters of a-z and 2-7 (resume= takes names too)" % run_id)
    head = _head.read(folder)
    if head is None and explicit and not os.path.isdir(folder):
        raise LookupError("no run %s in %s" % (run_id, os.path.dirname(folder)))
    head = head or {}
    own_attempt = os.environ.get(ATTEMPT) if os.environ.get(RUN) == run_id else None
    run = Run(root, run_id, head.get("name"), head.get("project"), own_attempt or "", _strict())
    if own_attempt is not None:
        run.go_on_after(_head.last_step(folder, own_attempt))
    if fields:
        run._journal.event("update", fields=fields)
    else:
        run._journal.append(b"")  # opens the journal, which marks the rank as present
    if _process.told is None:
        _decide_who_tells(run)
    return run


def _decide_who_tells(run: Run) -> None:
    """
    Whether this attached process tells, when it ends, how the attempt ended. What the supervisor says beats it; it is
    for a job that outlives its supervisor.

    - The supervisor's direct child is the job itself: its end is the job's, and it always tells.
    - A client further down (behind a shell, ``uv run``, ``torchrun``) may be one of several, so that its end says
      nothing while the supervisor lives; where that is gone by then, it is the best that is known. Of these, only the
      first rank tells, and no process that descends from a client that was there before (a spawned worker).
    """
    supervisor = os.environ.get(SUPERVISOR, "")
    ancestor = os.environ.get(CLIENT, "")
    if not supervisor.isdigit() or ancestor.rpartition(":")[0] == run.attempt:
        return
    direct = os.getppid() == int(supervisor)
    if not direct and rank(os.environ)["rank"] not in (None, 0):
        return
    tell_end_of(run, None if direct else int(supervisor))


def tell_end_of(run: Run, unless_alive: Optional[int] = None) -> None:
    """Makes this process tell, when it ends, how `run`'s attempt ended: always, or unless that supervisor lives."""
    _process.told = run
    _process.told_pid = os.getpid()
    _process.told_if_alone = unless_alive is not None
    _process.supervisor = (unless_alive or 0, start_ticks(unless_alive) if unless_alive else None)
    os.environ[CLIENT] = "%s:%d" % (run.attempt, os.getpid())


def _publish(run: Run) -> None:
    """Lets the processes that the job begets find the run."""
    attempt = run.attempt or ""
    values = {RUN: run.id, DIR: run.dir, ATTEMPT: attempt, CLIENT: "%s:%d" % (attempt, os.getpid())}
    _process.found = {variable: os.environ.get(variable) for variable in values}
    os.environ.update(values)


def _command_line() -> Dict[str, Any]:
    """What was started, as far as Python tells: argv, the whole command, the working directory."""
    original = getattr(sys, "orig_argv", None) or [sys.executable, *sys.argv]
    return {
        "argv": [clean_text(argument) for argument in sys.argv],
        "command": [clean_text(argument) for argument in original],
        "cwd": clean_text(_project.working_folder()),
    }


def _at_exit() -> None:
    run = _process.current
    told = _process.told
    if told is not None and _process.told_pid == os.getpid():
        if not _process.told_if_alone or not _supervisor_lives():
            told.tell_end(**_ending.outcome())
        told.finish()
    if run is not None and run is not told:
        run.finish(**(_ending.outcome() if run.owner == os.getpid() else {}))


def _supervisor_lives() -> bool:
    pid, started = _process.supervisor
    if started is not None:
        return start_ticks(pid) == started
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        pass
    return True
