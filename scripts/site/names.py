"""The public names, and what the reference says of each: its docstring, completed."""

from __future__ import annotations

import inspect
import tomllib
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from textwrap import dedent
from typing import TYPE_CHECKING, Any

import firmly_nb
from firmly_nb.docstrings import entries, parted

if TYPE_CHECKING:
    from collections.abc import Iterator

COMPLETIONS = Path(__file__).with_name("completions.toml")
MADE_FOR_YOU = frozenset({"Lab", "Recording", "Recordings", "Sweep"})  # nobody calls these classes


@dataclass(frozen=True)
class Name:
    """Public name, such as ``Lab.place``, with the object that it is the name of."""

    path: str
    value: Any
    kind: str

    @property
    def signature(self) -> inspect.Signature | None:
        """Signature; None for a property, and for a class that you do not call."""
        if self.kind in {"property", "attribute"} or self.path in MADE_FOR_YOU:
            return None
        try:
            return inspect.signature(self.value)
        except ValueError:  # an exception has none of its own
            return None


@cache
def names() -> dict[str, Name]:
    """Return all public names of the package, the members of classes after their class."""
    found = [one for name in firmly_nb.__all__ for one in _of(name, getattr(firmly_nb, name))]
    return {one.path: one for one in found}


def _of(name: str, value: Any) -> Iterator[Name]:
    if not inspect.isclass(value):
        yield Name(name, value, "function")
        return
    yield Name(name, value, "class")
    ours = [each for each in value.__mro__ if each.__module__.startswith("firmly_nb")]
    members = {member: each for each in reversed(ours) for member in vars(each)}
    # How traitlets holds changes is its own matter, also where a widget of ours does otherwise.
    members.pop("hold_trait_notifications", None)
    for member, each in sorted(members.items()):
        found = inspect.getattr_static(each, member)
        kind = _kind(found)
        if kind and not member.startswith(("_", "model_")):
            yield Name(f"{name}.{member}", getattr(value, member), kind)


def _kind(found: Any) -> str | None:
    if inspect.isfunction(found) or isinstance(found, classmethod | staticmethod):
        return "method"
    if isinstance(found, property) or type(found).__name__ == "cached_property":
        return "property"
    # A field of a widget; what synchronises it is no name of ours.
    is_field = type(found).__module__.startswith(("traitlets", "firmly_nb.widgets"))
    return "attribute" if is_field else None


@cache
def completions() -> dict[str, str]:
    """Return an example of each property, by a pattern of its name."""
    return tomllib.loads(COMPLETIONS.read_text("utf-8"))


@dataclass(frozen=True)
class Described:
    """Name with all that the reference says of it; empty where it is missing."""

    name: Name
    text: str
    parameters: dict[str, str]
    returns: str
    raises: str
    example: str


def described(path: str) -> Described:
    """Return what the reference says of a name."""
    name = names()[path]
    sections = parted(inspect.getdoc(name.value) or "")
    if name.kind == "attribute":
        sections = {"": _of_the_class(name)}
    return Described(
        name,
        sections[""],
        _parameters(name, sections.get("Parameters", "")),
        _returns(name, sections),
        sections.get("Raises", ""),
        code_of(sections.get("Examples", "")) or example(path),
    )


def _of_the_class(name: Name) -> str:
    """Return what a widget's class says of its field."""
    owner, _, field = name.path.partition(".")
    sections = parted(inspect.getdoc(names()[owner].value) or "")
    said = entries(sections.get("Attributes", "")) | entries(sections.get("Parameters", ""))
    return said.get(field, "")


def _parameters(name: Name, section: str) -> dict[str, str]:
    signature, own = name.signature, entries(section)
    asked = signature.parameters if signature else ()
    return {each: own.get(each, "") for each in asked if each not in {"self", "cls"}}


def _returns(name: Name, sections: dict[str, str]) -> str:
    said = sections.get("Returns", "") or sections.get("Yields", "")
    if name.kind == "property":
        getter = getattr(name.value, "fget", None) or name.value.func
        return _type(inspect.signature(getter).return_annotation)
    if name.kind == "attribute" or name.path in MADE_FOR_YOU:
        return ""
    if name.kind == "class":
        return f"`{name.path}`"
    kind = _type(name.signature.return_annotation) if name.signature else ""
    first, _, meaning = said.partition("\n")
    meaning = " ".join(inspect.cleandoc(meaning).split()) if meaning.startswith(" ") else ""
    return f"{kind}: {meaning}" if meaning else kind or first


def _type(annotation: Any) -> str:
    if annotation is inspect.Signature.empty:
        return ""
    text = annotation if isinstance(annotation, str) else inspect.formatannotation(annotation)
    return f"`{text}`"


def example(path: str) -> str:
    """Return the example of a property or a field: the first of the completions that fits."""
    fits = (said for one, said in completions().items() if fnmatchcase(path, one))
    return next(fits, "").replace("{name}", path.rpartition(".")[2])


def code_of(section: str) -> str:
    """Return the code of a section of examples; of a session all of it."""
    before, found, block = section.partition("::\n")
    return dedent(block).strip("\n") if found and not before.strip() else section
