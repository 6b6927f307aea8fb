"""The carts of many orders as tidy tables: snapshots, lines, shipments, notices, discounts.

Each function takes a table of events and returns one table whose first columns (``recording_id``,
``seq``, ``event``) join it with the events and with the other tables. The columns are declared in
`firmly_nb.carts.schemas`. Carts and orders, both versions of the API and both spellings where its
sources differ are read (firmly-api.md, sections 6.3-6.7 and 13).

Each table is read field by field over all carts at once, see `firmly_nb.carts.fields`.
"""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import chain
from typing import TYPE_CHECKING, Any, NamedTuple

from firmly_nb.api.values import INT64_MAX
from firmly_nb.carts.batch import CARTS_AT_ONCE, SHIPMENT_FIELDS, Batch, batches
from firmly_nb.carts.discounts import discount_columns, line_discounts
from firmly_nb.carts.fields import Rows, read_text
from firmly_nb.carts.find import Json, find_carts
from firmly_nb.carts.schemas import DISCOUNTS, LINE_ITEMS, NOTICES, SHIPMENTS, SNAPSHOTS

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd

    from firmly_nb.schema import Table

    Columns = dict[str, list[Any]]
    Reader = tuple[Table, Callable[[Batch], Columns]]

METHOD_FIELDS = "id sku description price estimated_delivery applicable_line_items"
NOTICE_FIELDS = "code id message description line_item_id line_item_ids"
CART_TEXTS = "cart_id platform_id shop_id display_name cart_status schema_version"
LINE_TEXTS = (
    "line_item_id platform_line_item_id base_sku variant_id description variant_description"
)


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
    return CartTables(*_read(events, *READERS))


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
    return _read(events, (SNAPSHOTS, _snapshots))[0]


def line_items(events: pd.DataFrame) -> pd.DataFrame:
    """Read one row a line of a snapshot; columns as in `LINE_ITEMS`."""
    return _read(events, (LINE_ITEMS, _line_items))[0]


def shipments(events: pd.DataFrame) -> pd.DataFrame:
    """Read one row a shipment of a snapshot; columns as in `SHIPMENTS`.

    A v1 cart has no shipments; its ``shipping_method`` becomes one without a ``shipment_id``.
    """
    return _read(events, (SHIPMENTS, _shipments))[0]


def notices(events: pd.DataFrame) -> pd.DataFrame:
    """Read one row a notice of a snapshot, v2's objects and v1's texts; columns as in `NOTICES`."""
    return _read(events, (NOTICES, _notices))[0]


def discounts(events: pd.DataFrame) -> pd.DataFrame:
    """Read one row a discount or applied code of a snapshot; columns as in `DISCOUNTS`."""
    return _read(events, (DISCOUNTS, discount_columns))[0]


def _read(events: pd.DataFrame, *readers: Reader) -> list[pd.DataFrame]:
    from firmly_nb.carts.columns import GrowingTable  # numpy, which an import should not cost

    found = find_carts(events)
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
    for place, sent in enumerate(batch.carts.raw("platform_order_number")):
        if sent is not None and numbers[place] is None:
            batch.carts.keep(place, "platform_order_number", sent)
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


def _methods(cart: Json, lots: list[Json]) -> str | None:
    """Name the chosen shipping methods of a cart, each once."""
    names: dict[str, None] = {}
    for holder in (*lots, cart):
        method = holder.get("shipping_method")
        if isinstance(method, dict):
            name = method.get("id") or method.get("sku")
            if isinstance(name, str):
                names[read_text(name)] = None
    return " + ".join(names) or None


def _listed(rows: Rows, field: str) -> list[list[Any]]:
    lists = rows.raw(field)
    for place, value in enumerate(lists):
        if type(value) is not list:
            lists[place] = []
            if value is not None:
                rows.keep(place, field, value)
    return lists


def _numbers(counts: list[int]) -> list[int]:
    return [number for count in counts for number in range(1, count + 1)]


def _pieces(batch: Batch) -> list[int | None]:
    pieces = iter(batch.line_rows.whole("quantity"))
    sums = [sum(next(pieces) or 0 for _ in lines) for lines in batch.lines]
    return [each if abs(each) <= INT64_MAX else None for each in sums]


def _times(rows: Rows, field: str) -> list[datetime | None]:
    times: list[datetime | None] = []
    for place, text in enumerate(rows.text(field)):
        time = _time(text)
        if text is not None and time is None:
            rows.keep(place, field, text)
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
