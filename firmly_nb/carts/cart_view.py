"""A cart as a check sees it: its rows in the tables, the snapshot before, what was asked for."""

from __future__ import annotations

from collections import Counter, namedtuple
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from firmly_nb.api.money import currency_code
from firmly_nb.carts.batch import Batch
from firmly_nb.carts.fields import read_whole
from firmly_nb.carts.find import Json, find_carts
from firmly_nb.carts.pairing import LINE_LABELS, label_of, labels
from firmly_nb.carts.paths import below, element
from firmly_nb.carts.tables import cart_tables

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    import pandas as pd

    Asked = pd.DataFrame | Mapping[str, Iterable[Mapping[str, Any]]]


@dataclass(eq=False)
class CartView:
    """One snapshot, ready to be checked.

    Attributes
    ----------
    row
        The row of `SNAPSHOTS`: ``row.total_minor``, ``row.cart_status``, ...; nulls are None.
    lines, shipments
        The rows of `LINE_ITEMS` and `SHIPMENTS`, in the same form. A line also has a ``name``,
        what a person would call it, and its ``path``, which no other line of the cart has.
    data
        The cart as the merchant sent it.
    before
        The snapshot of the same order before this one, or None.
    asked
        Pieces asked for, by variant id; None where that is not known.
    is_partial
        Whether the cart is still being filled: it is one of an ``item-added``, and another such
        event follows or no other snapshot does, as where the order failed on the way.
    """

    row: Any
    data: Json
    lines: list[Any] = field(default_factory=list)
    shipments: list[Any] = field(default_factory=list)
    before: CartView | None = None
    asked: Counter[str] | None = None
    is_partial: bool = False

    @property
    def is_order(self) -> bool:
        """Whether this is the order that a cart became."""
        return bool(self.row.kind == "order")

    @property
    def last_cart(self) -> CartView | None:
        """The last snapshot before this one that was a cart."""
        view = self.before
        while view is not None and view.is_order:
            view = view.before
        return view

    @cached_property
    def amounts(self) -> list[tuple[tuple[Any, ...], Json]]:
        """Every money object anywhere in the cart; `path_of` writes where it is."""
        return list(amounts_in(self.data))

    @cached_property
    def currencies(self) -> Counter[str]:
        """How many amounts anywhere in the cart are in each currency."""
        found = (currency_code(money["currency"]) for _, money in self.amounts)
        return Counter(currency for currency in found if currency is not None)


def cart_views(events: pd.DataFrame, asked: Asked | None = None) -> list[CartView]:
    """Prepare every snapshot of a table of events for its checks.

    Parameters
    ----------
    events
        Needs ``recording_id``, ``seq``, ``event`` and ``data`` (a dict or None in each row).
    asked
        What was asked for: a table with ``recording_id``, ``variant_id`` and ``quantity``, or for
        each recording_id a list of mappings with the last two.
    """
    found, read = find_carts(events), cart_tables(events)
    rows = records(read.snapshots)
    views = [CartView(row, cart) for row, cart in zip(rows, found.carts, strict=True)]
    paths = [path for cart in found.carts for path in _line_paths(cart)]
    lines = records(read.line_items.assign(name=_names(read.line_items), path=paths))
    shipments = records(read.shipments)
    for view, n_shipments in zip(views, map(len, Batch(found).shipments), strict=True):
        view.lines = [next(lines) for _ in range(view.row.n_lines)]
        view.shipments = [next(shipments) for _ in range(n_shipments)]
    wanted, last_added = _asked_by_recording(asked), _last_added(events)
    for places in found.by_recording():
        _connect([views[place] for place in places], wanted, last_added)
    return views


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
            path, field = element(path, labels(node, field)[key]), ""
        node = node[key]
    return path


def records(frame: pd.DataFrame) -> Iterator[Any]:
    """Yield the rows of a table as named tuples, nulls as None."""
    kind = namedtuple("Row", frame.columns.tolist())  # type: ignore[misc]  # noqa: PYI024
    return map(kind._make, zip(*(_values(frame[name]) for name in frame), strict=True))


def _names(lines: pd.DataFrame) -> list[str]:
    columns = (_values(lines[name]) for name in (*LINE_LABELS, "line_no"))
    return [
        label_of(next((value for value in row if value), "")) for row in zip(*columns, strict=True)
    ]


def _line_paths(cart: Json) -> list[str]:
    """Write the path of each line that the tables have."""
    lines = cart.get("line_items")
    if type(lines) is not list:
        return []
    named = zip(lines, labels(lines, "line_items"), strict=True)
    return [element("line_items", label) for line, label in named if type(line) is dict]


def _values(column: pd.Series[Any]) -> list[Any]:
    values: list[Any] = column.tolist()
    if column.dtype == object:
        return values
    nulls = column.isna().to_numpy()
    if not nulls.any():
        return values
    return [None if null else value for value, null in zip(values, nulls.tolist(), strict=True)]


def _connect(
    views: list[CartView], wanted: dict[str, Counter[str]], last_added: dict[str, int]
) -> None:
    for view in views:
        if view.row.event == "item-added":
            # What was seen last says nothing of what was still to be added.
            last = last_added.get(str(view.row.recording_id), view.row.seq)
            view.is_partial = view is views[-1] or view.row.seq < last
    before = None
    for view in views:
        view.before, before = before, view
        view.asked = wanted.get(view.row.recording_id)


def _last_added(events: pd.DataFrame) -> dict[str, int]:
    """Find each recording's last ``item-added``, also one whose cart could not be read."""
    added = events[events["event"] == "item-added"]
    return {str(name): seq for name, seq in added.groupby("recording_id")["seq"].max().items()}


def _asked_by_recording(asked: Asked | None) -> dict[str, Counter[str]]:
    if asked is None:
        return {}
    wanted: dict[str, Counter[str]] = {}
    for recording_id, item in _asked_items(asked):
        pieces = read_whole(item.get("quantity", 1))
        if isinstance(pieces, int):
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
