"""A cart that is checked, and the checks that there are.

A check is a name, a severity and a function that looks at one `CheckedCart`: the cart's rows in
the tables, the snapshot before it, what was asked for, and how its merchant counts. Those of the
toolkit are in `firmly_nb.carts.contents` and `firmly_nb.carts.rules`; `firmly_nb.carts.report`
runs them.
"""

from __future__ import annotations

import re
from collections import Counter, namedtuple
from dataclasses import dataclass, field
from enum import Enum
from functools import cached_property
from itertools import chain
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, get_args

from firmly_nb.api.money import currency_code
from firmly_nb.carts.changes import LINE_LABELS, label_of, labels
from firmly_nb.carts.fields import Json, exact_number, read_whole
from firmly_nb.carts.paths import below, element_path
from firmly_nb.carts.sums import Sums, chosen_methods, is_apart, is_mixed, sums_of
from firmly_nb.carts.tables import (
    Batch,
    column_values,
    find_carts,
    parts,
    records,
    tables_of,
    unread,
)
from firmly_nb.display.messages import UnknownName, coded_error, quoted, tells_names, unknown
from firmly_nb.display.text import capital

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    import pandas as pd

    Asked = pd.DataFrame | Mapping[str, Iterable[Mapping[str, Any]]]
    Look = Callable[["CheckedCart"], Iterable["Finding"] | "Skipped" | None]


# Fields whose name differs between the versions of the API and the sources.
SPELLINGS = {"tax_total": ("tax_total", "tax"), "sku": ("sku", "id", "variant_id")}

ADDED = "item-added"
# Events that fill a cart: of a stream, and of calls about one line item each.
FILLS = re.compile(r"item-added$|(add|update|remove)-line-item(-\d+)?$")

# An order without any of these says no more than its number.
_IN_A_CART = frozenset(
    {
        *("line_items", "shipments", "sub_total", "shipping_total"),
        *("tax_total", "tax", "cart_discount", "addons"),
    }
)


class Told(NamedTuple):
    """Answer of a merchant's carts to one question, and how many give it."""

    answer: str
    n_for: int
    n_against: int


@tells_names
@dataclass(eq=False)
class CheckedCart:
    """One snapshot, ready to be checked.

    Attributes
    ----------
    row
        The row of `SNAPSHOTS`: ``row.total_minor``, ``row.cart_status``, ...; nulls are None.
    lines, shipments, notices
        The rows of `LINE_ITEMS`, `SHIPMENTS` and `NOTICES`, in the same form. A line also has a
        ``name``, what a person would call it, its ``path``, which no other line has, its
        ``pieces``, which need not be whole, and ``is_apart``: true for a membership.
    data
        The cart as the merchant sent it.
    before
        The snapshot of the same order before this one; None if there is none, or if a cart between
        them was not read.
    asked
        Pieces asked for, by variant id; None where that is not known.
    is_partial
        Whether the cart is still being filled: it is one of an ``item-added``, and another such
        event follows or no other snapshot does, as where the order failed on the way.
    merchant
        The merchant whose carts are judged together: its domain, or the ``shop_id``.
    told
        What the other carts of the merchant say so clearly that this one is held to it, by
        question; see `firmly_nb.carts.conventions`.
    """

    row: Any
    data: Json
    lines: list[Any] = field(default_factory=list)
    shipments: list[Any] = field(default_factory=list)
    notices: list[Any] = field(default_factory=list)
    before: CheckedCart | None = None
    asked: Counter[str] | None = None
    is_partial: bool = False
    merchant: str = ""
    told: Mapping[str, Told] = field(default_factory=dict)

    @property
    def was_filled(self) -> bool:
        """True if a call about a line item made this cart: a changed line is what it asked for."""
        event = str(self.row.event)
        return event != ADDED and FILLS.match(event) is not None

    @property
    def is_order(self) -> bool:
        """True if this is the order that a cart became."""
        return bool(self.row.kind == "order")

    @property
    def last_cart(self) -> CheckedCart | None:
        """Last snapshot before this one that was a cart; None if there is none."""
        cart = self.before
        while cart is not None and cart.is_order:
            cart = cart.before
        return cart

    @property
    def is_bare(self) -> bool:
        """True if this is an order that says no more than its number and perhaps its total."""
        return self.is_order and _IN_A_CART.isdisjoint(self.data)

    @cached_property
    def is_mixed(self) -> bool:
        """True if its amounts are in several currencies, and so cannot be added up."""
        return is_mixed(self.row, self.lines, self.data)

    @cached_property
    def sums(self) -> Sums:
        """The ways in which its amounts add up; they must be in one currency."""
        lost = self.lost if self.row.sub_total_minor is not None else []
        prices = [line.line_price_minor or 0 for line in lost]
        return sums_of(self.row, self.lines, self.data, sum(prices), self.chosen)

    @cached_property
    def chosen(self) -> int | None:
        """Price of the chosen shipping methods, in minor units; None if one cannot be told."""
        return chosen_methods(self.shipments)

    @cached_property
    def ids(self) -> Counter[str]:
        """Number of line items by id, without ids that stand for none, such as all zeros."""
        return Counter(line.line_item_id for line in self.lines if line.line_item_id)

    @cached_property
    def lost(self) -> list[Any]:
        """Line items of earlier snapshots that are not in this one."""
        found: list[Any] = []
        names = {line.name for line in self.lines}
        cart, before = self, self.before
        # What a call about a line item took away was to go.
        while before is not None and not cart.was_filled:
            for line in before.lines:
                if line.line_item_id not in self.ids and line.name not in names:
                    names.add(line.name)
                    found.append(line)
            cart, before = before, before.before
        return found

    def unread(self, *fields: str) -> Skipped | None:
        """Say why a check that needs these fields cannot look: one is there and was not read.

        Returns
        -------
        Skipped or None
            ``Skipped.NOT_READ`` if a field is there and null in the tables, else None.
        """
        for name in fields:
            sent = (self.data.get(each) for each in SPELLINGS.get(name, (name,)))
            if getattr(self.row, f"{name}_minor") is None and any(v is not None for v in sent):
                return Skipped.NOT_READ
        return None

    def unread_lines(self, *fields: str) -> Skipped | None:
        """Say why a check that needs these fields of line items cannot look, as `unread` does."""
        for line, raw in zip(self.lines, parts(self.data, "line_items"), strict=True):
            for name in fields:
                value = line.pieces if name == "quantity" else getattr(line, f"{name}_minor")
                if value is None and raw.get(name) is not None:
                    return Skipped.NOT_READ
        return None

    @cached_property
    def amounts(self) -> list[tuple[tuple[Any, ...], Json]]:
        """Every money object anywhere in the cart; `path_of` writes where it is.

        What is in ``merchant_custom_data`` is not of this cart: it may hold another one.
        """
        data = self.data
        if "merchant_custom_data" in data:
            data = {k: value for k, value in data.items() if k != "merchant_custom_data"}
        return list(amounts_in(data))

    @cached_property
    def currencies(self) -> Counter[str]:
        """Number of amounts anywhere in the cart, by currency."""
        found = (currency_code(money["currency"]) for _, money in self.amounts)
        return Counter(currency for currency in found if currency is not None)


def checked_carts(events: pd.DataFrame, asked: Asked | None = None) -> list[CheckedCart]:
    """Prepare every snapshot of a table of events for its checks.

    Parameters
    ----------
    events
        Needs ``recording_id``, ``seq``, ``event`` and ``data`` (a dict or None in each row).
    asked
        What was asked for: a table with ``recording_id``, ``variant_id`` and ``quantity``, or for
        each recording_id a list of mappings with the last two.
    """
    found = find_carts(events)
    read = tables_of(found)
    rows = records(read.snapshots)
    carts = [CheckedCart(row, data) for row, data in zip(rows, found.carts, strict=True)]
    lines = _lines(read.line_items, found.carts)
    shipments, notices = records(read.shipments), records(read.notices)
    for cart, n_shipments in zip(carts, map(len, Batch(found).shipments), strict=True):
        cart.lines = [next(lines) for _ in range(cart.row.n_lines)]
        cart.shipments = [next(shipments) for _ in range(n_shipments)]
        cart.notices = [next(notices) for _ in range(cart.row.n_notices)]
    wanted, last_added = _asked_by_recording(asked), _last_added(events)
    gaps: dict[str, list[int]] = {}
    for event in unread(events):
        gaps.setdefault(event["recording_id"], []).append(event["seq"])
    merchants = _merchants(events)
    for indices in found.by_recording():
        own = [carts[index] for index in indices]
        named = (cart.row.shop_id for cart in own if cart.row.shop_id)
        merchant = merchants.get(own[0].row.recording_id) or next(named, "")
        for cart in own:
            cart.merchant = merchant
        _connect(own, wanted, last_added, gaps.get(own[0].row.recording_id, []))
    return carts


def amounts_in(cart: Json) -> Iterator[tuple[tuple[Any, ...], Json]]:
    """Yield every money object of a cart, however deep, with the keys that lead to it."""
    stack: list[tuple[tuple[Any, ...], Any]] = [((), cart)]
    while stack:
        keys, node = stack.pop()
        if type(node) is dict:
            if "currency" in node and ("value" in node or "number" in node):
                yield keys, node
                continue
            items: Iterable[tuple[Any, Any]] = node.items()
        else:
            items = enumerate(node)
        # Where it came from is a linked pair: a tuple that grew would cost its length each time.
        stack += [((keys, key), value) for key, value in items if type(value) in (dict, list)]


def path_of(cart: Json, keys: tuple[Any, ...]) -> str:
    """Write the keys of `amounts_in` as a path, lines by their names.

    Examples
    --------
    >>> cart = {"line_items": [{"sku": "MUG", "price": {"currency": "USD", "value": 1}}]}
    >>> [path_of(cart, keys) for keys, _ in amounts_in(cart)]
    ['line_items[MUG].price']
    """
    flat: list[Any] = []
    while keys:
        keys, key = keys
        flat.append(key)
    node: Any = cart
    path, field = "", ""
    for key in reversed(flat):
        if isinstance(node, dict):
            path, field = below(path, str(key)), str(key)
        else:
            path, field = element_path(path, labels(node, field)[key]), ""
        node = node[key]
    return path


def _merchants(events: pd.DataFrame) -> dict[Any, str]:
    """Return the merchant of each recording, where the table of events says it."""
    if "domain" not in events:
        return {}
    pairs = zip(events["recording_id"].tolist(), events["domain"].tolist(), strict=True)
    return {recording: domain for recording, domain in pairs if isinstance(domain, str)}


def _lines(lines: pd.DataFrame, carts: Sequence[Json]) -> Iterator[Any]:
    """Yield the rows of line items with what checks need beside the table's columns."""
    sent = list(chain.from_iterable(parts(cart, "line_items") for cart in carts))
    pieces = column_values(lines["quantity"])
    if None in pieces:
        pieces = [
            exact_number(raw.get("quantity")) if n is None else n
            for n, raw in zip(pieces, sent, strict=True)
        ]
    more = {
        "name": _names(lines),
        "path": [path for cart in carts for path in _line_paths(cart)],
        "pieces": pieces,
        "is_apart": list(map(is_apart, sent)),
    }
    columns = {name: column_values(lines[name]) for name in lines} | more
    columns["line_item_id"] = [
        None if _is_no_id(each) else each for each in columns["line_item_id"]
    ]
    # Its columns are known at run time only.
    kind = namedtuple("Line", list(map(str, columns)))  # type: ignore[misc]  # noqa: PYI024
    return map(kind._make, zip(*columns.values(), strict=True))


def _is_no_id(line_id: str | None) -> bool:
    """Return whether an id is one that all line items of some orders have: zeros only."""
    return not line_id or (len(line_id) >= 8 and not line_id.strip("0-"))


def _names(lines: pd.DataFrame) -> list[str]:
    columns = (column_values(lines[name]) for name in (*LINE_LABELS, "line_no"))
    return [
        label_of(next((value for value in row if value), "")) for row in zip(*columns, strict=True)
    ]


def _line_paths(cart: Json) -> list[str]:
    """Write the path of each line that the tables have."""
    lines = cart.get("line_items")
    if type(lines) is not list:
        return []
    named = zip(lines, labels(lines, "line_items"), strict=True)
    return [element_path("line_items", label) for line, label in named if type(line) is dict]


def _connect(
    carts: list[CheckedCart],
    wanted: dict[str, Counter[str]],
    last_added: dict[str, int],
    gaps: list[int],
) -> None:
    """Tell each cart of an order what was before it; across a cart that was not read, nothing."""
    for cart in carts:
        if FILLS.match(str(cart.row.event)):
            # What was seen last says nothing of what was still to be added.
            last = last_added.get(str(cart.row.recording_id), cart.row.seq)
            cart.is_partial = cart is carts[-1] or cart.row.seq < last
    before = None
    for cart in carts:
        if before is not None and not any(before.row.seq < gap < cart.row.seq for gap in gaps):
            cart.before = before
        before = cart
        cart.asked = wanted.get(cart.row.recording_id)


def _last_added(events: pd.DataFrame) -> dict[str, int]:
    """Find each recording's last ``item-added``, also one whose cart could not be read.

    Of an order that is made call by call it is the last call about a line item.
    """
    names = [name for name in events["event"].unique() if FILLS.match(str(name))]
    added = events[events["event"].isin(names)]
    return {str(name): seq for name, seq in added.groupby("recording_id")["seq"].max().items()}


def _asked_by_recording(asked: Asked | None) -> dict[str, Counter[str]]:
    if asked is None:
        return {}
    wanted: dict[str, Counter[str]] = {}
    for recording_id, item in _asked_items(asked):
        quantity = item.get("quantity", 1)
        pieces = read_whole(quantity)
        if not isinstance(pieces, int):
            pieces = exact_number(quantity)
        if pieces is not None:
            wanted.setdefault(recording_id, Counter())[str(item["variant_id"])] += pieces
    return wanted


def _asked_items(asked: Asked) -> Iterator[tuple[str, Mapping[str, Any]]]:
    import pandas as pd

    if isinstance(asked, pd.DataFrame):
        columns = (asked[name].tolist() for name in ("recording_id", "variant_id", "quantity"))
        for recording_id, variant_id, pieces in zip(*columns, strict=True):
            yield recording_id, {"variant_id": variant_id, "quantity": pieces}
    else:
        for recording_id, items in asked.items():
            for item in items:
                yield recording_id, item


Severity = Literal["error", "warning", "info"]


@tells_names
class Finding(NamedTuple):
    """One thing that should be true of a cart and is not.

    ``severity`` is that of the check unless it is given here.
    """

    path: str
    expected: str
    found: str
    sentence: str
    severity: Severity | None = None


class Skipped(Enum):
    """Why a check did not look at a cart although what it needs is there."""

    NOT_READ = "not read"


@dataclass(frozen=True, slots=True)
class Check:
    """One check; ``look`` returns findings, or why it could not look.

    None where the cart lacks what it looks at, `Skipped.NOT_READ` where that could not be read.
    """

    name: str
    severity: Severity
    meaning: str
    look: Look


CHECKS: dict[str, Check] = {}


def check(*, name: str, severity: Severity = "error") -> Callable[[Look], Look]:
    """Add a check of one's own; from then on it runs with the others.

    The function gets a `CheckedCart` and returns findings (none for a cart that is right), None
    where the cart lacks what it looks at, or `Skipped.NOT_READ` where that was not read. The first
    line of its docstring (without ``Check that``) is its meaning. A check of the same name is
    replaced, so that a notebook cell can be run again.

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
        text = f"severity must be error, warning or info, got {quoted(severity)}."
        raise coded_error(ValueError, "FNB313", f"{text} Try severity='warning'.")

    def register(look: Look) -> Look:
        first = (look.__doc__ or name).strip().partition("\n")[0].removeprefix("Check that ")
        CHECKS[name] = Check(name, severity, capital(first), look)
        return look

    return register


def remove_check(name: str) -> None:
    """Take a check out; those of the toolkit come back when Python starts again.

    Raises
    ------
    KeyError
        If there is no check of this name.
    """
    del CHECKS[known_check(name)]


def known_check(name: str) -> str:
    """Return the name of a check that exists.

    Raises
    ------
    KeyError
        If there is no check of this name.
    """
    if name not in CHECKS:
        raise coded_error(UnknownName, "FNB318", unknown("check", name, CHECKS))
    return name
