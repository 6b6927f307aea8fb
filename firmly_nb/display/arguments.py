"""Calls of public functions that do not fit: what is wrong, what is allowed, what to do.

:func:`public` marks a public function, or a class whose public methods are asked. A call that
Python refuses, an option that does not exist and an argument of another type are then met with a
message that has a code. Signatures, ``help()``, completion and pickling stay as they are.

What an argument may be is read from the annotations. Names that are not known here are taken for
right: the function judges them itself.
"""

from __future__ import annotations

import ast
import errno
import os
import re
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import cache, update_wrapper
from inspect import CO_VARKEYWORDS, Parameter, Signature, iscoroutinefunction, isfunction, signature
from numbers import Integral, Real
from pathlib import Path
from types import FunctionType
from typing import TYPE_CHECKING, Any, TypeVar, cast

from firmly_nb.display.messages import (
    Mistake,
    coded_error,
    quoted,
    tells_names,
    unknown,
    wrong_type,
)
from firmly_nb.display.text import count, listed

if TYPE_CHECKING:
    from collections.abc import Iterator

Thing = TypeVar("Thing")
# What Python raises where an argument is of another kind than the code below expects.
OF_ARGUMENTS = (TypeError, ValueError, AttributeError, LookupError, ArithmeticError, OSError)
LONGEST_PART = 255  # of a path: what most file systems take
WATCH = "_watch"  # the name under which a function has what it is watched by
Watch = Callable[[Any], AbstractContextManager[None]]
UNWATCHED = nullcontext()
SHORT = 14  # of a value that is shown as it is: a card's number is longer


def public(thing: Thing, *, writes: bool = True) -> Thing:
    """Let a function, or each public method of a class, answer a wrong call with a code.

    Parameters
    ----------
    thing
        Function or class.
    writes
        Whether texts go into files, names and requests. If not, any text is right.

    Examples
    --------
    >>> @public
    ... def place(order: str, *, settle: bool = False) -> str:
    ...     return order
    >>> place("a", setle=True)
    Traceback (most recent call last):
    TypeError: Unknown option 'setle' for place(). Did you mean settle? [FNB104]
    >>> place("a", settle="maybe")
    Traceback (most recent call last):
    TypeError: settle must be True or False, got 'maybe'. Try settle=True. [FNB102]
    >>> place()
    Traceback (most recent call last):
    TypeError: place() needs order. Write place(order=...). [FNB114]
    """
    if not isinstance(thing, type):
        function = cast("FunctionType", thing)
        return cast("Thing", _answering(Asked(function, f"{function.__name__}()", False, writes)))
    for name, member in list(vars(thing).items()):
        inner = getattr(member, "__func__", member)
        if not isfunction(inner) or (name.startswith("_") and name != "__init__"):
            continue
        call = thing.__name__ if name == "__init__" else inner.__name__
        made = _answering(Asked(inner, f"{call}()", not isinstance(member, staticmethod), writes))
        setattr(thing, name, made if inner is member else type(member)(made))
    return cast("Thing", tells_names(thing))


def watched(watch: Watch) -> Callable[[Thing], Thing]:
    """Let a public method run within a context that begins before its arguments are checked.

    Parameters
    ----------
    watch
        Returns the context for the object that the method is called on.
    """

    def marked(function: Thing) -> Thing:
        vars(function)[WATCH] = watch
        return function

    return marked


@dataclass(frozen=True, slots=True, eq=False)
class Asked:
    """Public function and its arguments.

    Attributes
    ----------
    function
        Function itself.
    call
        How messages name it, such as ``place()``.
    is_bound
        Whether its first argument is what it is called on.
    writes
        Whether its texts must be such that they can be written.
    """

    function: FunctionType
    call: str
    is_bound: bool
    writes: bool

    def parameters(self) -> list[Parameter]:
        """Return what a caller writes, in order."""
        return list(_signature(self.function).parameters.values())[self.is_bound :]

    def refusal(
        self, args: tuple[Any, ...], given: Mapping[str, Any]
    ) -> TypeError | ValueError | None:
        """Return the error of what would be taken in silence; None if there is nothing."""
        rules = _rules(self)
        if rules.names is not None and not given.keys() <= rules.names:
            return self.does_not_fit(args, given)
        for one, place, kinds in rules.judged:
            if one.name in given:
                value = given[one.name]
            elif place < len(args):
                value = args[place]
            else:
                continue
            if not any(_fits(value, kind) for kind in kinds):
                return _misfit(one, kinds, value)
            if self.writes and isinstance(value, str) and not value.isascii():
                check = unwritable(one.name, value)
                if check is not None:
                    return check
        return None

    def does_not_fit(self, args: tuple[Any, ...], given: Mapping[str, Any]) -> TypeError:
        """Return the error of a call that has other arguments than the function."""
        asked = self.parameters()
        passed = len(args) - self.is_bound
        placed = [one.name for one in asked if one.kind in BY_PLACE]
        by_name = [one.name for one in asked if one.kind in BY_NAME]
        any_name = next((one for one in asked if one.kind is Parameter.VAR_KEYWORD), None)
        if any_name is not None:
            by_name += _unpacked(any_name, self.function.__globals__)
        others = [name for name in given if name not in by_name]
        if others and (any_name is None or _unpacked(any_name, self.function.__globals__)):
            return _unknown_option(others[0], by_name, self.call)
        if passed > len(placed):
            return _too_many(self.call, placed, by_name, passed)
        twice = [name for name in placed[:passed] if name in given]
        if twice:
            text = f"{self.call} got {twice[0]} twice: by place and by name. Pass it once."
            return coded_error(TypeError, "FNB115", text)
        empty = Parameter.empty
        missing = [
            one.name
            for one in asked
            if one.default is empty
            and one.kind not in {Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD}
            and one.name not in (*placed[:passed], *given)
        ]
        written = ", ".join(f"{name}=..." for name in missing)
        # Some classes are made by calls of other objects.
        made_by = MADE_BY.get(self.call) or f"Write {self.call[:-1]}{written})."
        text = f"{self.call} needs {listed(missing)}. {made_by}"
        return coded_error(TypeError, "FNB114", text)

    def bound(self, args: tuple[Any, ...], given: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return what was passed by the name of its parameter; nothing if it does not fit."""
        try:
            return _signature(self.function).bind(*args, **given).arguments
        except TypeError:
            return {}

    def misfit(self, args: tuple[Any, ...], given: Mapping[str, Any]) -> TypeError | None:
        """Return the error of the first argument of another type; None if each fits."""
        bound = self.bound(args, given)
        for one in self.parameters():
            if one.name not in bound or not isinstance(one.annotation, str):
                continue
            values = bound[one.name]
            each = values if one.kind is Parameter.VAR_POSITIONAL else [values]
            if one.kind is Parameter.VAR_KEYWORD:
                continue
            kinds = _kinds(one.annotation)
            for value in each:
                if kinds and not any(_fits(value, kind) for kind in kinds):
                    return _misfit(one, kinds, value)
        return None

    def too_long(self, args: tuple[Any, ...], given: Mapping[str, Any]) -> ValueError | None:
        """Return the error of a path that is longer than the system takes; None without one."""
        for name, value in self.bound(args, given).items():
            parts = Path(value).parts if isinstance(value, str | os.PathLike) else ()
            if (longest := max(map(len, parts), default=0)) > LONGEST_PART:
                text = f"{name} has a name of {longest} characters; {LONGEST_PART} are possible."
                return coded_error(ValueError, "FNB116", f"{text} Pass a shorter path.")
        return None

    def unwritable(self, args: tuple[Any, ...], given: Mapping[str, Any]) -> ValueError | None:
        """Return the error of a text that no file, name or request can hold; None without one."""
        for name, value in self.bound(args, given).items():
            if (error := unwritable(name, value)) is not None:
                return error
        return None


def _texts(value: object) -> Iterator[str]:
    """Return the texts of an argument, and those in a dict or list of it."""
    match value:
        case str():
            yield value
        case os.PathLike():
            yield str(value)
        case Mapping():
            yield from (one for pair in value.items() for one in pair if isinstance(one, str))
        case list() | tuple():
            yield from (one for one in value if isinstance(one, str))


def unwritable(name: str, value: object) -> ValueError | None:
    """Return the error of an argument that no file, name or request can hold; None if one can."""
    found = UNWRITABLE.search("".join(_texts(value)))
    if found is None:
        return None
    said = f"{name} has the character {found[0]!r}, which cannot be written."
    return coded_error(ValueError, "FNB116", f"{said} Remove it from {name}.")


MADE_BY = {
    "Lab()": "Open one with fnb.connect().",
    "Recording()": "Place an order with lab.place().",
    "Sweep()": "Begin one with lab.start_sweep().",
}
# Half a pair of UTF-16, as damaged texts have it, and what ends a text for the system.
UNWRITABLE = re.compile("[\ud800-\udfff\0]")
BY_PLACE = {Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD}
BY_NAME = {Parameter.POSITIONAL_OR_KEYWORD, Parameter.KEYWORD_ONLY}


@dataclass(frozen=True, slots=True)
class _Rules:
    """Rules that hold of each call before it is made.

    Attributes
    ----------
    names
        Names of options, where the code would take any; else None.
    judged
        Parameters with their place and the types that they may have.
    """

    names: frozenset[str] | None
    judged: tuple[tuple[Parameter, int, tuple[str, ...]], ...]


@cache
def _rules(asked: Asked) -> _Rules:
    shown = asked.parameters()
    any_name = next((one for one in shown if one.kind is Parameter.VAR_KEYWORD), None)
    more = _unpacked(any_name, asked.function.__globals__) if any_name else ()
    takes_any = any_name is not None and not more
    # A signature may name what the code takes as **options.
    inner = asked.function.__code__.co_flags & CO_VARKEYWORDS
    names = frozenset((*more, *(one.name for one in shown if one.kind in BY_NAME)))
    judged = []
    for place, one in enumerate(shown, start=asked.is_bound):
        kinds = _kinds(one.annotation) if isinstance(one.annotation, str) else ()
        if kinds and not JUDGED_BY_THE_CALL & {*kinds} and one.kind in BY_PLACE | BY_NAME:
            judged.append((one, place if one.kind in BY_PLACE else sys.maxsize, kinds))
    return _Rules(names if inner and not takes_any else None, tuple(judged))


def _unpacked(any_name: Parameter, space: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the names that ``**options`` may have; nothing if it takes any."""
    found = re.fullmatch(r"Unpack\[(\w+)\]", str(any_name.annotation))
    return tuple(getattr(space.get(found[1]), "__annotations__", ())) if found else ()


@cache
def _signature(function: Callable[..., Any]) -> Signature:
    return signature(function)


def _answering(asked: Asked) -> FunctionType:
    """Return a function that calls another and answers calls that do not fit."""
    function = asked.function
    refusal, answer, several = asked.refusal, _answer, OF_ARGUMENTS
    own: Watch | None = vars(function).get(WATCH)

    def watch(args: tuple[Any, ...]) -> AbstractContextManager[None]:
        # Called on the class, it may have nothing to be called on.
        return own(args[0]) if own and args and args[0] is not None else UNWATCHED

    # A traceback may show the locals of its frames: what was passed is gone from this one by then.
    def call(*args: Any, **given: Any) -> Any:
        wrong: Exception | None = None
        with watch(args):
            try:
                wrong = refusal(args, given)
                if wrong is None:
                    return function(*args, **given)
            except several as error:
                if (wrong := answer(asked, error, args, given)) is None:
                    raise
            finally:
                del args, given
        try:
            raise wrong
        finally:
            del wrong

    async def call_async(*args: Any, **given: Any) -> Any:
        wrong: Exception | None = None
        with watch(args):
            try:
                wrong = refusal(args, given)
                if wrong is None:
                    return await function(*args, **given)
            except several as error:
                if (wrong := answer(asked, error, args, given)) is None:
                    raise
            finally:
                del args, given
        try:
            raise wrong
        finally:
            del wrong

    chosen = call_async if iscoroutinefunction(function) else call
    # With the names of the function's module: doctest and type hints look them up there.
    made = FunctionType(
        chosen.__code__, function.__globals__, function.__name__, None, chosen.__closure__
    )
    return cast("FunctionType", update_wrapper(made, function))


def _answer(
    asked: Asked, error: Exception, args: tuple[Any, ...], given: Mapping[str, Any]
) -> TypeError | ValueError | None:
    """Return the error to raise in place of Python's; None to let it pass."""
    if isinstance(error, Mistake):
        return None
    if isinstance(error, OSError):
        return asked.too_long(args, given) if error.errno == errno.ENAMETOOLONG else None
    trace = error.__traceback__
    # Python refused the call itself: no frame of the function was entered.
    if isinstance(error, TypeError) and trace is not None and trace.tb_next is None:
        return asked.does_not_fit(args, given)
    return asked.misfit(args, given) or asked.unwritable(args, given)


def _unknown_option(name: str, names: Sequence[str], call: str) -> TypeError:
    if not names:
        text = f"Unknown option {quoted(name)}: {call} has none. Remove it."
    else:
        text = unknown("option", name, names, call)
    return coded_error(TypeError, "FNB104", text)


def _too_many(call: str, placed: list[str], by_name: list[str], passed: int) -> TypeError:
    rest = [name for name in by_name if name not in placed]
    written = ", ".join([*placed, *(f"{name}=..." for name in rest[:1])])
    takes = f"{listed(placed)} by place" if placed else "no argument by place"
    hint = (
        f"Write {call[:-1]}{written})." if written else f"Remove {'it' if passed == 1 else 'them'}."
    )
    text = f"{call} takes {takes}, got {count(passed, 'argument')}. {hint}"
    return coded_error(TypeError, "FNB115", text)


# ------------------------------------------------------------------------- types of arguments


def _is_bool(value: object) -> bool:
    """Say whether a value is a yes or no; pandas and numpy have a bool of their own."""
    is_one = isinstance(value, Integral) and value in {0, 1}
    return is_one or type(value).__name__ in {"bool", "bool_"}


# Of each name in an annotation: how it is called, what fits, an example.
SIMPLE: dict[str, tuple[str, Callable[[Any], bool], str]] = {
    "bool": ("True or False", _is_bool, "{name}=True"),
    "int": ("a whole number", lambda v: isinstance(v, Integral) and not _is_flag(v), "{name}=1"),
    "float": ("a number", lambda v: isinstance(v, Real) and not _is_flag(v), "{name}=0.5"),
    "str": ("a text", lambda v: isinstance(v, str), '{name}="..."'),
    "bytes": ("bytes", lambda v: isinstance(v, bytes), '{name}=b"..."'),
    "None": ("None", lambda v: v is None, ""),
    "Path": ("a path", lambda v: isinstance(v, os.PathLike), '{name}="..."'),
    "PathLike": ("a path", lambda v: isinstance(v, os.PathLike), '{name}="..."'),
    "Mapping": ("a dict", lambda v: isinstance(v, Mapping), "{name}={{...}}"),
    "dict": ("a dict", lambda v: isinstance(v, Mapping), "{name}={{...}}"),
    "Sequence": ("a list", lambda v: _is_list(v, Iterable), "{name}=[...]"),
    "Iterable": ("a list", lambda v: _is_list(v, Iterable), "{name}=[...]"),
    "list": ("a list", lambda v: _is_list(v, Iterable), "{name}=[...]"),
    "tuple": ("a tuple", lambda v: _is_list(v, Iterable), "{name}=[...]"),
    "Callable": ("a function", callable, "{name}=print"),
}
# The call itself says which numbers it takes, and what is in its lists, dicts and tables.
NUMBERS = {"int", "float"}
LISTS = {"Sequence", "Iterable", "Mapping", "list", "tuple", "dict", "DataFrame"}
JUDGED_BY_THE_CALL = NUMBERS | LISTS
# Classes by their name, and how one comes by them.
CLASSES = {
    "Address": ("a fnb.Address", "fnb.Address.example()"),
    "Card": ("a fnb.Card", "fnb.Card.test()"),
    "DuckDBPyConnection": ("a DuckDB connection", "duckdb.connect()"),
    "DataFrame": ("a pandas DataFrame", "recs.orders"),
    "Flow": ("a fnb.Flow", "fnb.Flow.example()"),
    "Item": ("a fnb.Item", 'fnb.Item(variant_id="WS12-XS-Orange")'),
    "Lab": ("a lab", "fnb.connect()"),
    "Order": ("a fnb.Order", "fnb.Order.example()"),
    "Recording": ("a fnb.Recording", "lab.last"),
    "SecretStr": ("a text", ""),
    "Selection": ("a list", ""),  # what selects from recordings passes it, nobody else
    "Recordings": ("fnb.Recordings", 'fnb.load("runs/monday")'),
}


def _is_flag(value: object) -> bool:
    return isinstance(value, bool)


def _is_list(value: object, kind: type) -> bool:
    return isinstance(value, kind) and not isinstance(value, str | bytes | Mapping)


@cache
def _kinds(annotation: str) -> tuple[str, ...]:
    """Return the names of the types in an annotation; nothing if one of them is not known here.

    Examples
    --------
    >>> _kinds("str | os.PathLike[str] | None"), _kinds("Sequence[float | str]")
    (('str', 'PathLike', 'None'), ('Sequence',))
    >>> _kinds("Callable[[int], int] | None"), _kinds("str | Any"), _kinds("Tables")
    (('Callable', 'None'), (), ())
    """
    found = list(_names(ast.parse(annotation, mode="eval").body))
    known = all(name in SIMPLE or name in CLASSES for name in found)
    return tuple(found) if known else ()


def _names(node: ast.expr) -> Iterator[str]:
    match node:
        case ast.BinOp(left, ast.BitOr(), right):
            yield from _names(left)
            yield from _names(right)
        case ast.Subscript(value):
            yield from _names(value)
        case ast.Name(name) | ast.Attribute(attr=name):
            yield name
        case ast.Constant(value=None):
            yield "None"
        case _:
            yield "?"


def _fits(value: object, kind: str) -> bool:
    if kind in SIMPLE:
        return SIMPLE[kind][1](value)
    return any(one.__name__ == kind for one in type(value).__mro__)


def _misfit(asked: Parameter, kinds: Sequence[str], value: object) -> TypeError:
    described = dict.fromkeys((SIMPLE.get(kind) or CLASSES[kind])[0] for kind in kinds)
    words = [word for word in described if word != "None"] or ["None"]
    if kinds == ("bool",) and len(quoted(value)) <= SHORT:
        text = f"{asked.name} must be True or False, got {quoted(value)}. Try {asked.name}=True."
        return coded_error(TypeError, "FNB102", text)
    if "a path" in words and "a text" in words:
        words.remove("a text")
    wanted = " or ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)
    examples = [(SIMPLE.get(kind) or CLASSES[kind])[-1] for kind in kinds]
    example = next((str(one).format(name=asked.name) for one in examples if one), "")
    if "Recording" in kinds and type(value).__name__ == "Recordings":
        example = "recs[0]"
    if not example and asked.default not in (Parameter.empty, None, ""):
        example = f"{asked.name}={asked.default!r}"
    return wrong_type(asked.name, wanted, value, example)
