"""The project folder: the one with ``waddle.json`` and ``.waddle/``."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, Optional


def working_folder() -> str:
    """The working directory; the root folder where it was removed under the process."""
    try:
        return os.getcwd()
    except OSError:
        return os.path.abspath(os.sep)


def find(start: str) -> str:
    """
    The project folder of a job that works in `start`: the nearest folder above with ``waddle.json`` or ``.waddle/``,
    else the repository's top folder, else `start` itself.
    """
    start = os.path.abspath(start)
    top = None
    folder = start
    while True:
        if os.path.isfile(os.path.join(folder, "waddle.json")) or os.path.isdir(os.path.join(folder, ".waddle")):
            return folder
        if top is None and os.path.exists(os.path.join(folder, ".git")):
            top = folder
        parent = os.path.dirname(folder)
        if parent == folder:
            return top or start
        folder = parent


def settings(root: str) -> Dict[str, Any]:
    """The ``run`` section of ``waddle.json``: defaults for what `init` is not told. Empty where there is none."""
    try:
        with open(os.path.join(root, "waddle.json"), "rb") as file:
            text = file.read()
        import json

        run = json.loads(text).get("run")
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, AttributeError) as error:
        from ._journal import say

        say("waddle.json cannot be read (%s); its defaults are not used" % error)
        return {}
    return run if isinstance(run, dict) else {}


def make_folder(root: str) -> str:
    """
    Makes ``.waddle/`` in `root`, with the ``.gitignore`` that keeps all of it out of git, and returns it.

    A ``git add`` may run at the same moment: the file is moved in whole, from the git folder where there is one, since
    even a temporary file in a folder that is not ignored yet could be added. Raises OSError.
    """
    folder = os.path.join(root, ".waddle")
    os.makedirs(os.path.join(folder, "runs"), exist_ok=True)
    ignore = os.path.join(folder, ".gitignore")
    if not os.path.exists(ignore):
        for place in (_git_folder(root), folder):
            if place is not None and _move_in(place, ignore):
                break
    return folder


def _move_in(place: str, ignore: str) -> bool:
    temporary = os.path.join(place, "waddle-ignore-%d" % os.getpid())
    try:
        with open(temporary, "w") as file:
            file.write("# Made by Waddle: nothing in here is for git.\n*\n")
        os.replace(temporary, ignore)
        return True
    except OSError:
        try:
            os.unlink(temporary)
        except OSError:
            pass
        return os.path.exists(ignore)


def _git_folder(start: str) -> Optional[str]:
    """The repository's ``.git`` folder above `start` (of a linked worktree, its own); None outside a repository."""
    folder = start
    while True:
        git = os.path.join(folder, ".git")
        if os.path.isdir(git):
            return git
        if os.path.isfile(git):
            try:
                with open(git, encoding="utf-8", errors="surrogateescape") as file:
                    text = file.read()
            except OSError:
                return None
            return os.path.join(folder, text[len("gitdir:") :].strip()) if text.startswith("gitdir:") else None
        parent = os.path.dirname(folder)
        if parent == folder:
            return None
        folder = parent
