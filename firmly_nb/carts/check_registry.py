"""The checks there are: each a name, a severity and a function that looks at one cart."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple, get_args

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from firmly_nb.carts.cart_view import CartView

Severity = Literal["error", "warning", "info"]


class Finding(NamedTuple):
    """One thing that should be true of a cart and is not.

    ``severity`` is that of the check unless it is given here.
    """

    path: str
    expected: str
    found: str
    sentence: str
    severity: Severity | None = None


@dataclass(frozen=True, slots=True)
class Check:
    """One check; ``look`` returns findings, or None where the cart lacks what it looks at."""

    name: str
    severity: Severity
    meaning: str
    look: Callable[[CartView], Iterable[Finding] | None]


CHECKS: dict[str, Check] = {}


def check(
    *, name: str, severity: Severity = "error"
) -> Callable[
    [Callable[[CartView], Iterable[Finding] | None]],
    Callable[[CartView], Iterable[Finding] | None],
]:
    """Add a check of one's own; from then on it runs with the others.

    The function gets a `CartView` and returns findings (none for a cart that is right), or None
    where the cart lacks what it looks at. The first line of its docstring
    (without ``Check that``) is its meaning. A check
    of the same name is replaced, so that a notebook cell can be run again.

    Raises
    ------
    ValueError
        If the severity is none of error, warning and info.

    Examples
    --------
    >>> @check(name="few-pieces", severity="warning")
    ... def few_pieces(cart):
    ...     "Check that a cart holds at most ten pieces."
    ...     if cart.row.quantity is None:
    ...         return None
    ...     if cart.row.quantity <= 10:
    ...         return []
    ...     pieces = f"{cart.row.quantity} pieces"
    ...     return [Finding("line_items", "at most 10", pieces, f"The cart holds {pieces}.")]
    >>> CHECKS["few-pieces"].meaning
    'A cart holds at most ten pieces.'
    >>> remove_check("few-pieces")
    """
    if severity not in get_args(Severity):
        raise ValueError(f"severity is error, warning or info, not {severity!r}")

    def register(
        look: Callable[[CartView], Iterable[Finding] | None],
    ) -> Callable[[CartView], Iterable[Finding] | None]:
        first = (look.__doc__ or name).strip().partition("\n")[0].removeprefix("Check that ")
        meaning = first[:1].upper() + first[1:]
        CHECKS[name] = Check(name, severity, meaning, look)
        return look

    return register


def remove_check(name: str) -> None:
    """Take a check out; those of the toolkit come back when Python starts again.

    Raises
    ------
    KeyError
        If there is no check of this name.
    """
    del CHECKS[name]
