"""The run of ``WADDLE_DISABLED=1``: takes every call, keeps nothing, touches no file."""

from __future__ import annotations

import os

from ._run import Run

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Optional


class DisabledRun(Run):
    """A run whose calls do nothing."""

    __slots__ = ()

    def __init__(self, project: Optional[str], name: Optional[str]) -> None:
        super().__init__(os.getcwd(), "disabled", name, project, "disabled")
        self._journal.forget()

    def log_metric(self, key: str, step: float, value: Any) -> None:
        """Does nothing."""

    def log(self, values: Any, step: Optional[float] = None) -> None:
        """Does nothing."""

    def log_params(self, params: Any) -> None:
        """Does nothing."""

    def log_tags(self, tags: Any) -> None:
        """Does nothing."""

    def log_artifact(self, name: str, path: Any, kind: Optional[str] = None, inline: bool = False) -> str:
        """Does nothing; the file need not be there."""
        return ""

    def tell_end(self, *args: Any, **fields: Any) -> None:
        """Does nothing."""
