"""The detached ``waddle __helper`` beside a run that `waddle.init()` began: snapshot, system metrics, liveness."""

from __future__ import annotations

import os

from . import _command, _project
from ._journal import say

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import List

_state = {"said": False}


def start(root: str, run_id: str, attempt: str) -> bool:
    """
    Starts the helper and returns at once. False, with one line on stderr, where there is no ``waddle`` command.

    It belongs to a session of its own and is nobody's child here: a job's ``os.wait()`` must not meet it, a closed
    terminal must not end it.
    """
    command = _command.find()
    if command is None:
        if not _state["said"]:
            _state["said"] = True
            say(
                "no `waddle` command on this machine: the run is logged, without its code snapshot and system metrics "
                "(%s)" % _command.missing()
            )
        return False
    command += ["__helper", "--dir", root, "--run", run_id, "--attempt", attempt]
    command += ["--pid", str(os.getpid()), "--cwd", _project.working_folder()]
    try:
        _detach(command)
    except OSError as error:
        say("cannot start %s: %s" % (command[0], error.strerror))
        return False
    return True


def _detach(command: List[str]) -> None:
    if not hasattr(os, "posix_spawn"):
        import subprocess

        nowhere = subprocess.DEVNULL
        subprocess.Popen(command, stdin=nowhere, stdout=nowhere, stderr=nowhere, start_new_session=True)
        return
    # The shell starts the helper in the background and ends at once, so that init adopts the helper.
    shell = ["/bin/sh", "-c", '"$@" </dev/null >/dev/null 2>&1 &', "sh", *command]
    nowhere_actions = [(os.POSIX_SPAWN_OPEN, fd, os.devnull, os.O_RDWR, 0) for fd in (0, 1, 2)]
    # The helper must not take itself for a process of the job.
    environment = {name: value for name, value in os.environ.items() if name not in ("WADDLE_RUN", "WADDLE_ATTEMPT")}
    try:
        pid = os.posix_spawn(shell[0], shell, environment, file_actions=nowhere_actions, setsid=True)
    except NotImplementedError:  # an older C library: the helper leads no session of its own
        pid = os.posix_spawn(shell[0], shell, environment, file_actions=nowhere_actions, setpgroup=0)
    try:
        os.waitpid(pid, 0)
    except ChildProcessError:
        pass  # the job ignores SIGCHLD
