"""A package that is not installed: its message says what to install.

A headless recorder is installed without notebooks and charts. Where this package needs one of its
dependencies that is not there, Python's message has the name of a module; that of the distribution
and its bounds are in the metadata. Imports of other packages are left alone.
"""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType

NAME = re.compile(r"[\w.-]+")
# Distributions whose module has another name.
MODULES = {"python-dotenv": "dotenv", "ipython": "IPython"}


class _Missing:
    """Last finder of modules: it is asked for what nobody else has found."""

    @staticmethod
    def find_spec(
        name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Raise for a dependency that this package imports; find nothing."""
        del target
        if path is None and _is_ours() and (requirement := _requirements().get(name)):
            from firmly_nb.display.messages import coded_error

            text = f"{name} is not installed. Run pip install '{requirement}'."
            failure = coded_error(ModuleNotFoundError, "FNB026", text)
            failure.name = name
            raise failure
        return None


def watch() -> None:
    """Let messages about missing dependencies say what to install."""
    if not any(isinstance(finder, _Missing) for finder in sys.meta_path):
        sys.meta_path.append(_Missing())


def _is_ours() -> bool:
    """Return whether a module of this package imports now."""
    frame = sys._getframe(1)  # noqa: SLF001 - the import system says it nowhere else
    while frame.f_back is not None:
        frame = frame.f_back
        importer = str(frame.f_globals.get("__name__"))
        if not importer.startswith("importlib") and frame.f_globals is not globals():
            return importer.partition(".")[0] == "firmly_nb"
    return False


def _requirements() -> dict[str, str]:
    """Return what pip needs for each module that this package imports from its dependencies."""
    from importlib.metadata import requires

    found = {}
    for line in requires("firmly-nb") or ():
        requirement, _, marker = line.partition(";")
        if not marker and (named := NAME.match(requirement)):
            module = MODULES.get(named[0].lower(), named[0].replace("-", "_"))
            found[module] = requirement.strip()
    return found
