r"""Paths in a cart: each names one place, and can be read back.

Fields follow one another after dots, an element of a list stands in brackets under its name:
``line_items[MUG].price``. A field that is not an identifier is quoted, ``attributes["gift.wrap"]``,
and so is a name that could be read in another way, ``line_items['a].b']``. What cannot be seen is
escaped, so that a path is safe to show. ``[]`` is any element of a list, ``{}`` any field.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Literal, NamedTuple

from firmly_nb.display.messages import coded_error, quoted

if TYPE_CHECKING:
    from collections.abc import Iterator


Kind = Literal["field", "element", "any element", "any field"]
_STEP = re.compile(
    r"""
    (?P<any_element>\[\]) | (?P<any_field>\{\})
    | \["(?P<field>(?:[^"\\]|\\.)*)"\] | \['(?P<element>(?:[^'\\]|\\.)*)'\]
    | \[(?P<bare>[^\[\]\\"'][^\[\]\\]*)\] | (?P<plain>[^.\[\]{}"'\\]+)
    """,
    re.VERBOSE | re.DOTALL,
)
_ESCAPED = re.compile(r"\\(?:u([0-9a-f]{4})|U(00(?:0[0-9a-f]|10)[0-9a-f]{4})|(.))", re.DOTALL)
# In brackets without quotes these would end a name, or begin another kind of step.
_NOT_BARE = re.compile(r"""[\[\]\\]|\A["']|\A\Z|[ ]{2}""")


class Step(NamedTuple):
    """One step of a path: into a field, or to the element of a list that has this name."""

    kind: Kind
    name: str = ""

    @property
    def written(self) -> str:
        """The name as paths write it, without dot and brackets."""
        if self.kind == "field":
            return self.name if _is_plain(self.name) else _quoted(self.name, '"')
        return _element_name(self.name)


def below(path: str, *steps: Step | str) -> str:
    r"""Write the path of what is further down; a text is the name of a field.

    Parameters
    ----------
    path
        Where to begin; the cart itself is the empty text.
    steps
        The way down from there.

    Examples
    --------
    >>> below("line_items", Step("element", "MUG"), "price")
    'line_items[MUG].price'
    >>> print(below("", "gift.wrap", "", Step("element", "it's [new]")))
    ["gift.wrap"][""]['it\'s [new]']
    """
    for step in steps:
        path = _field(path, step) if isinstance(step, str) else _step(path, step)
    return path


def element_path(path: str, name: str) -> str:
    """Write the path of the element of a list that has this name.

    Examples
    --------
    >>> element_path("line_items", "WS12-XS-Orange")
    'line_items[WS12-XS-Orange]'
    """
    return f"{path}[{_element_name(name)}]"


def joined(path: str, rest: str) -> str:
    """Write two paths as one.

    Examples
    --------
    >>> joined("image", "url"), joined("image", '["alt text"]'), joined("", "url")
    ('image.url', 'image["alt text"]', 'url')
    """
    return f"{path}.{rest}" if path and rest and rest[0] not in "[{" else path + rest


def read_path(path: str) -> list[Step]:
    """Read a path back.

    Raises
    ------
    ValueError
        If it is none, as where somebody wrote it by hand.

    Examples
    --------
    >>> [step.name for step in read_path('line_items[MUG]["gift.wrap"]')]
    ['line_items', 'MUG', 'gift.wrap']
    """
    return [step for _, step in _steps(path)]


def split_last(path: str) -> tuple[str, Step]:
    """Split a path into the one above it and its last step.

    Examples
    --------
    >>> split_last('shipping_info["e.mail"]')
    ('shipping_info', Step(kind='field', name='e.mail'))

    Raises
    ------
    ValueError
        If it is none, or that of the cart itself.
    """
    steps = list(_steps(path))
    if not steps:
        text = "The path of the cart itself has no last step. Write a.b[name].c."
        raise coded_error(ValueError, "FNB312", text)
    begin, step = steps[-1]
    return path[:begin], step


def _step(path: str, step: Step) -> str:
    if step.kind == "field":
        return _field(path, step.name)
    if step.kind == "element":
        return element_path(path, step.name)
    return f"{path}[]" if step.kind == "any element" else f"{path}{{}}"


def _field(path: str, name: str) -> str:
    if _is_plain(name):
        return f"{path}.{name}" if path else name
    return f"{path}[{Step('field', name).written}]"


def _is_plain(name: str) -> bool:
    return name.isidentifier() and name.isprintable()


@lru_cache(maxsize=10_000)  # the same products are in cart after cart
def _element_name(name: str) -> str:
    is_bare = name.isprintable() and not _NOT_BARE.search(name)
    return name if is_bare else _quoted(name, "'")


def _quoted(name: str, quote: str) -> str:
    return f"{quote}{''.join(_escapes(name, quote))}{quote}"


def _escapes(name: str, quote: str) -> Iterator[str]:
    before = ""
    for char in name:
        if char in ("\\", quote):
            yield f"\\{char}"
        # Pages and terminals make one space of many.
        elif char.isprintable() and not before == char == " ":
            yield char
        else:
            yield f"\\u{ord(char):04x}" if ord(char) < 0x10000 else f"\\U{ord(char):08x}"
        before = char


def _steps(path: str) -> Iterator[tuple[int, Step]]:
    """Yield each step and where in the text it begins."""
    at = 0
    while at < len(path):
        begin = at
        at += path[at] == "." and at > 0
        found = _STEP.match(path, at)
        is_dotted, is_plain = at > begin, found is not None and found.lastgroup == "plain"
        if found is None or is_dotted != (is_plain and begin > 0):
            text = f"Not a path of a cart: {quoted(path, 100)}. Write a.b[name].c."
            raise coded_error(ValueError, "FNB312", text)
        at = found.end()
        yield begin, _read(found)


def _read(found: re.Match[str]) -> Step:
    match found.lastgroup:
        case "plain":
            return Step("field", found["plain"])
        case "bare":
            return Step("element", found["bare"])
        case "field":
            return Step("field", _ESCAPED.sub(_unescaped, found["field"]))
        case "element":
            return Step("element", _ESCAPED.sub(_unescaped, found["element"]))
        case "any_element":
            return Step("any element")
    return Step("any field")


def _unescaped(found: re.Match[str]) -> str:
    code = found[1] or found[2]
    return chr(int(code, 16)) if code else found[3]
