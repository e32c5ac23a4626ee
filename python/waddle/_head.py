"""
``head.json``, the small file that makes a run known to a client without the database: {id, name, project, started_at,
last_step}, and `attempt`, the one that the last step is of.
"""

from __future__ import annotations

import os

from ._identity import random_name
from ._values import to_json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, List, Optional

#: Bytes at the end of a journal that are looked through for its last step, where a job was killed before it noted it.
TAIL = 65_536

HEAD = "head.json"


def read(folder: str) -> Optional[Dict[str, Any]]:
    """The head of the run in `folder`; None where there is none, or it cannot be read."""
    import json

    try:
        with open(os.path.join(folder, HEAD), "rb") as file:
            head = json.loads(file.read())
    except (OSError, ValueError):
        return None
    return head if isinstance(head, dict) and isinstance(head.get("id"), str) else None


def write(folder: str, head: Dict[str, Any]) -> None:
    """Puts `head` in place at once: a reader sees the old one or the new one. Raises OSError."""
    temporary = os.path.join(folder, ".head-" + random_name(8))
    try:
        with open(temporary, "wb") as file:
            file.write(to_json(head) + b"\n")
        os.replace(temporary, os.path.join(folder, HEAD))
    except BaseException:
        try:
            os.unlink(temporary)
        except OSError:
            pass
        raise


def note_step(folder: str, step: int, attempt: Optional[str]) -> None:
    """Notes the greatest step that an attempt has reached. Advisory: never raises."""
    try:
        head = read(folder)
        if head is None:
            return
        known = head.get("last_step")
        if isinstance(known, (int, float)) and known >= step:
            return
        head["last_step"] = step
        head["attempt"] = attempt
        write(folder, head)
    except (OSError, ValueError):
        pass


def last_step(folder: str, attempt: Optional[str]) -> Optional[int]:
    """
    The greatest step that earlier attempts than `attempt` have logged; None where there are none.

    From head.json and, since a killed job may not have noted its last, from the ends of the journals themselves.
    """
    head = read(folder) or {}
    steps: List[float] = []
    noted = head.get("last_step")
    if isinstance(noted, (int, float)) and (attempt is None or head.get("attempt") != attempt):
        steps.append(noted)
    try:
        names = [name for name in os.listdir(folder) if name.startswith("job-") and name.endswith(".jsonl")]
    except OSError:
        names = []
    for name in names:
        steps.extend(steps_at_end(os.path.join(folder, name), attempt))
    return int(max(steps)) if steps else None


def steps_at_end(path: str, but_of: Optional[str] = None) -> List[float]:
    """The steps in the last TAIL bytes of a job's journal; none of a journal of the attempt `but_of`. Never raises."""
    import json

    steps: List[float] = []
    try:
        with open(path, "rb") as file:
            if but_of is not None and json.loads(file.readline(TAIL)).get("attempt") == but_of:
                return steps
            file.seek(max(file.seek(0, os.SEEK_END) - TAIL, 0))
            tail = file.read(TAIL)
    except (OSError, ValueError, AttributeError):
        return steps
    for text in tail.split(b"\n"):
        if text.startswith(b'{"k":"m"'):
            try:
                step = json.loads(text).get("s")
            except ValueError:
                continue
            if isinstance(step, (int, float)):
                steps.append(step)
    return steps


def resolve(root: str, wanted: str) -> Dict[str, Any]:
    """
    The head of the run that `wanted` names: a full id, an exact name (the newest of that name), a prefix of an id of at
    least 4 characters, or ``@last``, ``@last~2``, in this order.

    Raises LookupError where there is no such run, or a prefix fits several.
    """
    import re

    runs = os.path.join(root, ".waddle", "runs")
    try:
        found = [read(os.path.join(runs, name)) for name in os.listdir(runs)]
    except OSError:
        found = []
    heads = [head for head in found if head is not None and not head.get("removed")]
    heads.sort(key=lambda head: (_started(head), head["id"]), reverse=True)
    for head in heads:
        if head["id"] == wanted:
            return head
    for head in heads:
        if head.get("name") == wanted:
            return head
    if len(wanted) >= 4:
        fitting = [head for head in heads if head["id"].startswith(wanted)]
        if len(fitting) == 1:
            return fitting[0]
        if fitting:
            some = ", ".join(head["id"] for head in fitting[:5])
            raise LookupError("several runs begin with %r: %s" % (wanted, some))
    match = re.match(r"^@last(?:~(\d+))?$", wanted)
    if match and int(match.group(1) or 0) < len(heads):
        return heads[int(match.group(1) or 0)]
    raise LookupError("no run %r in %s; `waddle ls` shows those there are" % (wanted, runs))


def _started(head: Dict[str, Any]) -> float:
    started = head.get("started_at")
    return started if isinstance(started, (int, float)) else 0.0
