"""What hatchling puts into the wheel besides the package: the command line, the dashboard, the client for jobs."""

from __future__ import annotations

import os
from typing import Any, Dict

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class CommandLine(BuildHookInterface):  # type: ignore[type-arg]
    """
    Lays `waddle/_cli/` out as the npm package is: `dist/` beside `python/waddle/`. The second copy of the client is
    what jobs under other interpreters import: on their path, the site-packages of this one would bring all the rest.
    """

    def initialize(self, version: str, build_data: Dict[str, Any]) -> None:
        """Adds the built `dist/`. A checkout that is not built makes a wheel of the client alone."""
        if version == "editable":
            return  # the package finds the checkout's own command line
        if not os.path.isfile(os.path.join(self.root, "dist", "waddle.js")):
            self.app.display_warning("dist/ is not built (npm ci does it): this wheel holds the client alone")
            return
        include = build_data["force_include"]
        include["dist"] = "waddle/_cli/dist"
        include["python/waddle"] = "waddle/_cli/python/waddle"
        include["package.json"] = "waddle/_cli/package.json"
