"""The carts of many orders as tidy tables: snapshots, lines, shipments, notices, discounts.

Each function takes a table of events and returns one table whose first columns (``recording_id``,
``seq``, ``event``) join it with the events and with the other tables. The columns are declared in
`firmly_nb.carts.schemas`. Carts and orders, both versions of the API and both spellings where its
sources differ are read, field by field over many carts at once (`firmly_nb.carts.fields`).
"""

from __future__ import annotations

from collections import namedtuple
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from itertools import chain, repeat
from typing import TYPE_CHECKING, Any, NamedTuple

from firmly_nb.api.money import read_money
from firmly_nb.api.snapshots import find_snapshot, why_unread
from firmly_nb.api.values import INT64_MAX
from firmly_nb.carts.fields import GrowingTable, Json, Rows, read_text
from firmly_nb.carts.schemas import DISCOUNTS, LINE_ITEMS, NOTICES, SHIPMENTS, SNAPSHOTS
from firmly_nb.display.messages import tells_names

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import pandas as pd

    from firmly_nb.schema import Table

    Columns = dict[str, list[Any]]
    Reader = tuple[Table, Callable[["Batch"], Columns]]


def records(frame: pd.DataFrame) -> Iterator[Any]:
    """Yield the rows of a table as named tuples, nulls as None."""
    # Its columns are known at run time only.
    kind = namedtuple("Row", frame.columns.tolist())  # type: ignore[misc]  # noqa: PYI024
    return map(kind._make, zip(*(column_values(frame[name]) for name in frame), strict=True))


def column_values(column: pd.Series[Any]) -> list[Any]:
    """Return the values of a column, nulls as None."""
    values: list[Any] = column.tolist()
    if column.dtype == object:
        return values
    nulls = column.isna().to_numpy()
    if not nulls.any():
        return values
    return [None if null else value for value, null in zip(values, nulls.tolist(), strict=True)]


# Where the carts are: the snapshots in a table of events, and the parts of a cart.


@dataclass(frozen=True, slots=True)
class Found:
    """The carts of a table of events, as parallel lists: one entry a snapshot."""

    recording_ids: list[str]
    seqs: list[int]
    events: list[str]
    carts: list[Json]
    kinds: list[str]
    order_numbers: list[str | None]

    def keys(self, counts: Sequence[int] | None = None) -> dict[str, list[Any]]:
        """Return the key columns, each snapshot's repeated as often as ``counts`` says."""
        named: dict[str, list[Any]] = {
            "recording_id": self.recording_ids,
            "seq": self.seqs,
            "event": self.events,
        }
        if counts is None:
            return dict(named)
        return {
            name: list(chain.from_iterable(map(repeat, column, counts)))
            for name, column in named.items()
        }

    def slices(self, size: int) -> Iterator[Found]:
        """Return the same snapshots, at most ``size`` at a time."""
        for start in range(0, len(self.carts), size):
            here = slice(start, start + size)
            yield Found(
                self.recording_ids[here],
                self.seqs[here],
                self.events[here],
                self.carts[here],
                self.kinds[here],
                self.order_numbers[here],
            )

    def by_recording(self) -> list[list[int]]:
        """Return the indices of each recording's snapshots, in the order of their events."""
        found: dict[str, list[int]] = {}
        for index, recording_id in enumerate(self.recording_ids):
            found.setdefault(recording_id, []).append(index)
        return [sorted(indices, key=self.seqs.__getitem__) for indices in found.values()]


def find_carts(events: pd.DataFrame) -> Found:
    """Find the snapshots of a table of events, in the table's order.

    Parameters
    ----------
    events
        Needs ``recording_id``, ``seq``, ``event`` and ``data`` (a dict or None in each row).
    """
    found = Found([], [], [], [], [], [])
    columns = (events[name].tolist() for name in ("recording_id", "seq", "event", "data"))
    for recording_id, seq, event, data in zip(*columns, strict=True):
        if not data or (snapshot := find_snapshot(data, event)) is None:
            continue
        found.recording_ids.append(recording_id)
        found.seqs.append(seq)
        found.events.append(event)
        found.carts.append(snapshot.data)
        found.kinds.append(snapshot.kind)
        found.order_numbers.append(snapshot.order_number)
    return found


def unread(events: pd.DataFrame) -> list[Json]:
    """Return the events whose cart was not read, in the form of `NOT_READ`."""
    own = events["milestone"].tolist() if "milestone" in events else [None] * len(events)
    columns = (events[name].tolist() for name in ("recording_id", "seq", "event", "data"))
    found = []
    for recording_id, seq, event, data, milestone in zip(*columns, own, strict=True):
        milestones = [event] if milestone == event else None
        if reason := why_unread(data, event, milestones):
            row = {"recording_id": recording_id, "seq": seq, "event": event, "reason": reason}
            found.append(row)
    return found


def parts(cart: Json, field: str) -> list[Json]:
    """Return the objects in a list of the cart, such as its ``line_items``.

    What is no list, or no object in it, is left out here; the snapshot's ``other`` keeps it.
    """
    values = cart.get(field)
    if type(values) is not list:
        return []
    if set(map(type, values)) <= {dict}:
        return values
    return [value for value in values if type(value) is dict]


def as_list(value: object) -> list[Any]:
    """Return the elements of a list that are not null; nothing for another value."""
    return [each for each in value if each is not None] if isinstance(value, list) else []


# A few carts at a time, their parts found once for all tables.
#
# A processor reads what it has just touched many times faster than what lies elsewhere in memory.
# So the tables are read from batches of carts that fit in its cache, all tables from one batch
# before the next.


CARTS_AT_ONCE = 100
CART_FIELDS = """
    cart_id platform_id shop_id display_name cart_status line_items shipments sub_total
    shipping_total total tax tax_total addon_total cart_discount addons coupons promo_codes
    notices notice shipping_info billing_info shipping_method shipping_method_options
    payment_method_options shop_properties features urls session payment_handle store_credit
    schema_version platform_order_number submitted_at payment_summary payment_method handle
"""
LINE_FIELDS = """
    line_item_id platform_line_item_id sku id base_sku variant_id description variant_description
    quantity price line_price msrp line_discount discount discounts requires_shipping image
"""
SHIPMENT_FIELDS = """
    shipment_id line_item_ids fulfillment_type fulfillment_type_options shipping_method
    shipping_method_options notes selected_date selected_time_slot selected_location
"""
LISTS = ("coupons", "promo_codes", "notices", "notice")


class Batch:
    """A few snapshots and, once asked for, their parts: one list a cart, and rows of all carts."""

    def __init__(self, found: Found) -> None:
        self.found = found

    @cached_property
    def carts(self) -> Rows:
        """The carts themselves; what stands where a list should be is kept as a misfit."""
        rows = Rows(self.found.carts, CART_FIELDS.split())
        for field, lists in (("line_items", self.lines), ("shipments", self.shipments_v2)):
            for row, (sent, good) in enumerate(zip(rows.raw(field), lists, strict=True)):
                if sent is not good and sent is not None and (strays := _strays(sent)):
                    rows.keep(row, field, strays)
        for field in LISTS:
            for row, value in enumerate(rows.raw(field)):
                if value is not None and not isinstance(value, list):
                    rows.keep(row, field, value)
        return rows

    @cached_property
    def lines(self) -> list[list[Json]]:
        """The lines of each cart."""
        return [parts(cart, "line_items") for cart in self.found.carts]

    @cached_property
    def line_rows(self) -> Rows:
        """The lines of all carts."""
        return Rows(list(chain.from_iterable(self.lines)), LINE_FIELDS.split())

    @cached_property
    def shipments_v2(self) -> list[list[Json]]:
        """The shipments of each v2 cart."""
        return [parts(cart, "shipments") for cart in self.found.carts]

    @cached_property
    def shipments(self) -> list[list[Json]]:
        """The shipments of each cart; a v1 cart's shipping method is one."""
        both = zip(self.found.carts, self.shipments_v2, strict=True)
        return [shipments or _v1_shipment(cart) for cart, shipments in both]

    @cached_property
    def notices(self) -> list[list[Json]]:
        """The notices of each cart: v2's objects and v1's texts."""
        return [_notices_of(cart) for cart in self.found.carts]


def batches(found: Found) -> Iterator[Batch]:
    """Cut the snapshots into batches."""
    return map(Batch, found.slices(CARTS_AT_ONCE))


def _v1_shipment(cart: Json) -> list[Json]:
    method = cart.get("shipping_method")
    if not method or not isinstance(method, dict):
        return []
    options = cart.get("shipping_method_options")
    return [
        {
            "line_item_ids": method.get("applicable_line_items"),
            "shipping_method": method,
            "shipping_method_options": options if isinstance(options, list) else None,
        }
    ]


def _notices_of(cart: Json) -> list[Json]:
    if not (cart.get("notices") or cart.get("notice")):
        return []
    sent = (cart.get("notices"), cart.get("notice"))
    # A single one without its list is a notice as well.
    lists = [[each] if isinstance(each, dict | str) and each else as_list(each) for each in sent]
    notices = chain.from_iterable(lists)
    return [each if isinstance(each, dict) else {"code": each} for each in notices]


def _strays(value: Any) -> Any:
    if not isinstance(value, list):
        return value
    return [each for each in value if type(each) is not dict]


# Discounts: on the cart, on a line, and the codes applied, whichever field they stand in.


DISCOUNT_FIELDS = "code description amount discount value price line_item_id"
AMOUNT_FIELDS = ("amount", "discount", "value", "price")
ON_A_LINE = ("line_discount", "discount", "discounts")


def discount_columns(batch: Batch) -> dict[str, list[Any]]:
    """Read the columns of `DISCOUNTS` from a batch of carts."""
    on_lines = batch.line_rows.has(*ON_A_LINE)
    lists = [_on_cart(cart) + (_on_lines(cart) if on_lines else []) for cart in batch.found.carts]
    rows = Rows([row for found in lists for _, row in found], DISCOUNT_FIELDS.split())
    return batch.found.keys(list(map(len, lists))) | {
        "field": [field for found in lists for field, _ in found],
        "line_item_id": rows.text("line_item_id"),
        "code": rows.text("code"),
        "description": rows.text("description"),
        "amount_minor": rows.money(*AMOUNT_FIELDS),
        "currency": rows.currency(),
        "other": rows.other(),
    }


def line_discounts(lines: Rows) -> list[int | None]:
    """Read the discount of each line in minor units, from whichever field it stands in."""
    amounts = lines.money("line_discount", "discount")
    if not lines.has("discounts"):
        return amounts
    for row, listed in enumerate(lines.raw("discounts")):
        if amounts[row] is None and (described := as_list(listed)):
            amounts[row] = amounts_of(described)
    return amounts


def amounts_of(listed: list[Any]) -> int | None:
    """Add discounts up; null where one cannot be read or is in another currency.

    Part of a sum would be a wrong discount. A code without an amount adds nothing.
    """
    amounts = []
    for each in map(_described, listed):
        sent = [each[field] for field in AMOUNT_FIELDS if each.get(field) is not None]
        if sent:
            amounts.append(next(filter(None, map(read_money, sent)), None))
    known = [money for money in amounts if money is not None]
    if not known or len(known) < len(amounts) or len({money.currency for money in known}) > 1:
        return None
    minor = sum(money.minor for money in known)
    return minor if abs(minor) <= INT64_MAX else None


def _on_cart(cart: Json) -> list[tuple[str, Json]]:
    found = []
    if cart.get("cart_discount"):
        found.append(("cart_discount", _described(cart["cart_discount"])))
    for field in ("coupons", "promo_codes"):
        if cart.get(field):
            found += [(field, _described(value)) for value in as_list(cart[field])]
    return found


def _on_lines(cart: Json) -> list[tuple[str, Json]]:
    found = []
    for line in parts(cart, "line_items"):
        line_id = {"line_item_id": line.get("line_item_id")}
        for field in ON_A_LINE:
            value = line.get(field)
            values = as_list(value) if field == "discounts" else [value]
            found += [(field, _described(each) | line_id) for each in values if each]
    return found


def _described(value: Any) -> Json:
    """Bring a code, an amount or a described discount into one form."""
    if isinstance(value, dict):
        return {"amount": value} if "currency" in value else value
    return {"code": value}


METHOD_FIELDS = "id sku description price estimated_delivery applicable_line_items"
NOTICE_FIELDS = "code id message description line_item_id line_item_ids"
CART_TEXTS = "cart_id platform_id shop_id display_name cart_status schema_version"
LINE_TEXTS = (
    "line_item_id platform_line_item_id base_sku variant_id description variant_description"
)


@tells_names
class CartTables(NamedTuple):
    """All tables of the carts; each can be had alone from the function of its name."""

    snapshots: pd.DataFrame
    line_items: pd.DataFrame
    shipments: pd.DataFrame
    notices: pd.DataFrame
    discounts: pd.DataFrame


def cart_tables(events: pd.DataFrame) -> CartTables:
    """Read all tables in one pass over the events.

    Parameters
    ----------
    events
        Needs ``recording_id``, ``seq``, ``event`` and ``data`` (a dict or None in each row).
    """
    return tables_of(find_carts(events))


def tables_of(found: Found) -> CartTables:
    """Read all tables of snapshots that are found already."""
    return CartTables(*_read(found, *READERS))


def snapshots(events: pd.DataFrame) -> pd.DataFrame:
    """Read one row a cart snapshot; columns as in `SNAPSHOTS`.

    Examples
    --------
    >>> import pandas as pd
    >>> cart = {"cart_id": "c1", "total": {"currency": "KWD", "value": 1.5}}
    >>> events = pd.DataFrame(
    ...     {"recording_id": ["r1"], "seq": [1], "event": ["item-added"], "data": [{"cart": cart}]}
    ... )
    >>> snapshots(events)[["cart_id", "total_minor", "currency"]].to_dict("records")
    [{'cart_id': 'c1', 'total_minor': 1500, 'currency': 'KWD'}]
    """
    return _read(find_carts(events), (SNAPSHOTS, _snapshots))[0]


def line_items(events: pd.DataFrame) -> pd.DataFrame:
    """Read one row a line of a snapshot; columns as in `LINE_ITEMS`."""
    return _read(find_carts(events), (LINE_ITEMS, _line_items))[0]


def shipments(events: pd.DataFrame) -> pd.DataFrame:
    """Read one row a shipment of a snapshot; columns as in `SHIPMENTS`.

    A v1 cart has no shipments; its ``shipping_method`` becomes one without a ``shipment_id``.
    """
    return _read(find_carts(events), (SHIPMENTS, _shipments))[0]


def notices(events: pd.DataFrame) -> pd.DataFrame:
    """Read one row a notice of a snapshot, v2's objects and v1's texts; columns as in `NOTICES`."""
    return _read(find_carts(events), (NOTICES, _notices))[0]


def discounts(events: pd.DataFrame) -> pd.DataFrame:
    """Read one row a discount or applied code of a snapshot; columns as in `DISCOUNTS`."""
    return _read(find_carts(events), (DISCOUNTS, discount_columns))[0]


def _read(found: Found, *readers: Reader) -> list[pd.DataFrame]:
    n_batches = -(-len(found.carts) // CARTS_AT_ONCE)
    growing = [GrowingTable(table, n_batches) for table, _ in readers]
    for batch in batches(found):
        for table, (_, read) in zip(growing, readers, strict=True):
            table.add(read(batch))
    return [table.frame() for table in growing]


def _snapshots(batch: Batch) -> Columns:
    rows, found = batch.carts, batch.found
    ship_to = [info if isinstance(info, dict) else {} for info in rows.raw("shipping_info")]
    address = Rows(ship_to, ())
    amounts = {
        "total_minor": rows.money("total"),
        "sub_total_minor": rows.money("sub_total"),
        "shipping_total_minor": rows.money("shipping_total"),
        "tax_total_minor": rows.money("tax_total", "tax"),
        "addon_total_minor": rows.money("addon_total"),
        "cart_discount_minor": rows.money("cart_discount"),
        "store_credit_minor": rows.money("store_credit"),
    }
    return (
        found.keys()
        | {name: rows.text(name) for name in CART_TEXTS.split()}
        | amounts
        | {
            "kind": found.kinds,
            "order_number": _order_numbers(batch),
            "submitted_at": _times(rows, "submitted_at"),
            "shipping_country": address.text("country", "country_code"),
            "shipping_region": address.text("state_or_province", "state_code"),
            "shipping_method": [
                _methods(*pair) for pair in zip(found.carts, batch.shipments_v2, strict=True)
            ],
            "n_lines": list(map(len, batch.lines)),
            "quantity": _pieces(batch),
            "n_shipments": list(map(len, batch.shipments_v2)),
            "n_notices": list(map(len, batch.notices)),
            "currency": rows.currency(),
            "other": rows.other(),
        }
    )


def _order_numbers(batch: Batch) -> list[str | None]:
    """Return the order numbers that were found; what stands there and is none is kept."""
    numbers = batch.found.order_numbers
    for row, sent in enumerate(batch.carts.raw("platform_order_number")):
        if sent is not None and numbers[row] is None:
            batch.carts.keep(row, "platform_order_number", sent)
    return numbers


def _line_items(batch: Batch) -> Columns:
    rows, counts = batch.line_rows, list(map(len, batch.lines))
    image = rows.nested("image", ("url", "src", "alt", "type"))
    return (
        batch.found.keys(counts)
        | {name: rows.text(name) for name in LINE_TEXTS.split()}
        | {
            "line_no": _numbers(counts),
            "sku": rows.text("sku", "id"),
            "quantity": rows.whole("quantity"),
            "price_minor": rows.money("price"),
            "line_price_minor": rows.money("line_price"),
            "msrp_minor": rows.money("msrp"),
            "discount_minor": line_discounts(rows),
            "currency": rows.currency(),
            "requires_shipping": rows.flag("requires_shipping"),
            "image_url": image.text("url", "src"),
            "other": rows.other(),
        }
    )


def _shipments(batch: Batch) -> Columns:
    counts = list(map(len, batch.shipments))
    rows = Rows(list(chain.from_iterable(batch.shipments)), SHIPMENT_FIELDS.split())
    fulfillment = rows.nested("fulfillment_type", ("id", "name", "description"))
    method = rows.nested("shipping_method", METHOD_FIELDS.split())
    lines = _listed(rows, "line_item_ids")
    return (
        batch.found.keys(counts)
        | {name: rows.text(name) for name in ("shipment_id", "selected_date", "notes")}
        | {
            "shipment_no": _numbers(counts),
            "fulfillment_type": fulfillment.text("id"),
            "fulfillment_name": fulfillment.text("name"),
            "method_id": method.text("id", "sku"),
            "method_description": method.text("description"),
            "method_price_minor": method.money("price"),
            "currency": method.currency(),
            "estimated_delivery": method.text("estimated_delivery"),
            "n_methods": list(map(len, _listed(rows, "shipping_method_options"))),
            "n_fulfillment_types": list(map(len, _listed(rows, "fulfillment_type_options"))),
            "n_lines": list(map(len, lines)),
            "line_item_ids": lines,
            "other": rows.other(),
        }
    )


def _notices(batch: Batch) -> Columns:
    counts = list(map(len, batch.notices))
    flat = list(chain.from_iterable(batch.notices))
    rows = Rows(flat, NOTICE_FIELDS.split())
    one_line = rows.text("line_item_id")
    lines = _listed(rows, "line_item_ids")
    return batch.found.keys(counts) | {
        "notice_no": _numbers(counts),
        "code": rows.text("code", "id"),
        "message": rows.text("message", "description"),
        "line_item_ids": [b or ([a] if a else []) for a, b in zip(one_line, lines, strict=True)],
        "other": rows.other(),
    }


def _methods(cart: Json, shipments: list[Json]) -> str | None:
    """Name the chosen shipping methods of a cart, each once."""
    names: dict[str, None] = {}
    for holder in (*shipments, cart):
        method = holder.get("shipping_method")
        if isinstance(method, dict):
            name = method.get("id") or method.get("sku")
            if isinstance(name, str):
                names[read_text(name)] = None
    return " + ".join(names) or None


def _listed(rows: Rows, field: str) -> list[list[Any]]:
    lists = rows.raw(field)
    for row, value in enumerate(lists):
        if type(value) is not list:
            lists[row] = []
            if value is not None:
                rows.keep(row, field, value)
    return lists


def _numbers(counts: list[int]) -> list[int]:
    return [number for count in counts for number in range(1, count + 1)]


def _pieces(batch: Batch) -> list[int | None]:
    pieces = batch.line_rows.whole("quantity")
    each = iter(pieces)
    sums = [sum(next(each) or 0 for _ in lines) for lines in batch.lines]
    if None in pieces:  # of goods by weight nobody knows how many pieces they are
        sent = zip(batch.line_rows.raw("quantity"), pieces, strict=True)
        is_other = iter([raw is not None and whole is None for raw, whole in sent])
        others = [sum(next(is_other) for _ in lines) for lines in batch.lines]
        known = zip(sums, others, strict=True)
        return [None if odd or abs(n) > INT64_MAX else n for n, odd in known]
    return [n if abs(n) <= INT64_MAX else None for n in sums]


def _times(rows: Rows, field: str) -> list[datetime | None]:
    times: list[datetime | None] = []
    for row, text in enumerate(rows.text(field)):
        time = _time(text)
        if text is not None and time is None:
            rows.keep(row, field, text)
        times.append(time)
    return times


def _time(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        time = datetime.fromisoformat(text)
        time = time.astimezone(UTC) if time.tzinfo else time.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return None
    return time if 1700 < time.year < 2250 else None  # what datetime64[ns] can hold


READERS: tuple[Reader, ...] = (
    (SNAPSHOTS, _snapshots),
    (LINE_ITEMS, _line_items),
    (SHIPMENTS, _shipments),
    (NOTICES, _notices),
    (DISCOUNTS, discount_columns),
)
