"""The public names, and what the reference says of each: its docstring, completed."""

from __future__ import annotations

import inspect
import re
import tomllib
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import firmly_nb

if TYPE_CHECKING:
    from collections.abc import Iterator

COMPLETIONS = Path(__file__).with_name("completions.toml")
SECTION = re.compile(r"^(\w+)\n-{3,}$", re.MULTILINE)
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
def completions() -> dict[str, dict[str, str]]:
    """Return what completes docstrings: parameters, raises and examples."""
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
    text, sections = _parted(inspect.getdoc(name.value) or "")
    if name.kind == "attribute":
        text, sections = _of_the_class(name), {}
    return Described(
        name,
        text,
        _parameters(name, sections.get("Parameters", "")),
        _returns(name, sections),
        sections.get("Raises", "") or _raises(name),
        sections.get("Examples", "") or example(name, text),
    )


def _parted(text: str) -> tuple[str, dict[str, str]]:
    parts = SECTION.split(text)
    return parts[0].strip(), {
        k: v.strip("\n") for k, v in zip(parts[1::2], parts[2::2], strict=True)
    }


def _of_the_class(name: Name) -> str:
    """Return what a widget's class says of its field, else the common meaning of that name."""
    owner, _, field = name.path.partition(".")
    sections = _parted(inspect.getdoc(names()[owner].value) or "")[1]
    said = _entries(sections.get("Attributes", "")) | _entries(sections.get("Parameters", ""))
    common = completions()["parameters"]
    return said.get(field) or common.get(name.path) or common.get(field, "")


def _twin(path: str) -> Name | None:
    return names().get(path.removesuffix("_async")) if path.endswith("_async") else None


def _entries(section: str) -> dict[str, str]:
    """Return the names of a section of a docstring, each with its meaning in one paragraph."""
    found: dict[str, str] = {}
    for entry in re.split(r"\n(?=\S)", section):
        head, _, rest = entry.partition("\n")
        meaning = " ".join(inspect.cleandoc(rest).split())
        found |= {each.strip(): meaning for each in head.partition(" : ")[0].split(",")}
    return {one: meaning for one, meaning in found.items() if one}


def _parameters(name: Name, section: str) -> dict[str, str]:
    signature, own, common = name.signature, _entries(section), completions()["parameters"]
    twin = _twin(name.path)
    if twin:
        own = _entries(_parted(inspect.getdoc(twin.value) or "")[1].get("Parameters", "")) | own
    if signature is None:
        return {}
    return {
        each: own.get(each) or own.get(f"**{each}") or own.get(f"*{each}")
        or common.get(f"{name.path}.{each}") or common.get(each, "")
        for each in signature.parameters
        if each not in {"self", "cls"}
    }  # fmt: skip


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


def _raises(name: Name) -> str:
    twin = _twin(name.path)
    if twin:
        said = _parted(inspect.getdoc(twin.value) or "")[1].get("Raises")
        if said:
            return said
    if name.kind in {"property", "attribute"}:
        return ""
    return first_that_fits(completions()["raises"], name.path)


def example(name: Name, text: str) -> str:
    """Return the example of a name: its own, that of its twin, or one of the completions."""
    if "::\n" in text:
        return ""  # the text itself has one
    given = completions()["examples"]
    twin = _twin(name.path)
    if name.path not in given and twin:
        code = _awaited(described(twin.path).example, twin.path)
        return f"{'>>> ' if '>>> ' in code else ''}# With await, as {twin.path}:\n{code}"
    found = given.get(name.path) or first_that_fits(given, name.path)
    return found.replace("{name}", _called(name))


def _called(name: Name) -> str:
    short = name.path.rpartition(".")[2]
    return f"{short}()" if name.kind == "method" else short


def _awaited(code: str, path: str) -> str:
    verb = path.rpartition(".")[2]
    return re.sub(rf"(?<![\w.])((?:lab|sweep)\.){verb}\(", rf"await \g<1>{verb}_async(", code)


def first_that_fits(table: dict[str, str], path: str) -> str:
    """Return the entry of the first pattern that a name fits; an exact one counts before."""
    exact = table.get(path)
    return exact or next((said for one, said in table.items() if fnmatchcase(path, one)), "")
