"""Packages that show their public names only, each loaded when it is first used.

A package has its public names in ``__all__``, imports them for type checkers, and says here in
which of its modules they are::

    show(__name__, {"changes": "changes differences", "tables": "line_items snapshots"})
"""

from __future__ import annotations

import sys
from importlib import import_module
from inspect import isfunction
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


# Names, as this module imports nothing: of what words errors, and of what marks each function that
# a package shows.
MESSAGES = "firmly_nb.display.messages"
MARK = ("firmly_nb.display.arguments", "public")


class Face(ModuleType):
    """Package that loads a public name from its module at its first use."""

    _homes: dict[str, str]
    _answering: dict[str, Any]  # functions; in the package's own names doctest would run them again

    def __getattr__(self, name: str) -> Any:
        if name in self._answering:
            return self._answering[name]
        home = self._homes.get(name)
        if home is None:
            if name.startswith("_"):  # asked for by Python itself
                raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
            messages = import_module(MESSAGES)
            text = messages.unknown("name", name, sorted(self._homes), self.__name__)
            raise messages.coded_error(AttributeError, "FNB117", text)
        if name == "__version__":
            from importlib.metadata import version

            value: Any = version(home)
        else:
            value = getattr(import_module(f"{self.__name__}.{home}"), name)
            if isfunction(value) and not hasattr(value, "__wrapped__"):
                return self._answering.setdefault(name, _marked(value, self.__name__))
        super().__setattr__(name, value)
        return value

    def __setattr__(self, name: str, value: object) -> None:
        """Set an attribute, except for a module that would hide a public name.

        Python sets each module that is imported as an attribute of its package. What
        ``firmly_nb.report`` is would then depend on what was imported before.
        """
        if not (name in self._homes and isinstance(value, ModuleType)):
            super().__setattr__(name, value)

    def __dir__(self) -> list[str]:
        """Return the public names."""
        return sorted(self._homes)


def _marked(function: Any, package: str) -> Any:
    """Return a function as a package shows it: it answers calls that do not fit it.

    The module keeps the function as it is: what calls it there passes what servers send.
    """
    where, mark = MARK
    # Rooms read what servers send; the functions on top write what people pass.
    value = getattr(import_module(where), mark)(function, writes="." not in package)
    value.__module__ = package  # pickle looks there for what is called so
    return value


def show(package: str, modules: Mapping[str, str], *, distribution: str | None = None) -> None:
    """Let a package show its public names.

    Parameters
    ----------
    package
        Its ``__name__``.
    modules
        The public names of each of its modules, separated by spaces.
    distribution
        The distribution whose version is the package's ``__version__``.
    """
    face = sys.modules[package]
    homes = {name: module for module, names in modules.items() for name in names.split()}
    if distribution:
        homes["__version__"] = distribution
    vars(face).update(_homes=homes, _answering={})
    face.__class__ = Face
