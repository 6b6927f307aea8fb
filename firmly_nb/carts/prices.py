"""From order to order: what each variant cost over time, and how the carts of two orders differ."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd

from firmly_nb.api.money import money_text
from firmly_nb.carts.changes import changes
from firmly_nb.carts.schemas import PRICES
from firmly_nb.display.text import printable

if TYPE_CHECKING:
    from firmly_nb.carts.fields import Json


# Each order has its own, so that they tell nothing of how two orders differ.
OWN = ("cart_id", "platform_order_number", "cart_status", "submitted_at", "urls", "payment_summary")
UTC_MINUTE = "%Y-%m-%d %H:%M UTC"


def compare_carts(cart: Json, other: Json, recording_id: str) -> pd.DataFrame:
    """Return how another order's cart differs from one: lines, prices, taxes, shipping choices.

    What each order has of its own (ids, order number, payment) is left out.

    Parameters
    ----------
    cart, other
        The carts, as the API sent them.
    recording_id
        The other's recording.

    Returns
    -------
    pandas.DataFrame
        Columns as in `CHANGES`: ``before`` is of the first cart, ``after`` of the other.

    Examples
    --------
    >>> def cart(minor):
    ...     return {"cart_id": str(minor), "tax_total": {"currency": "USD", "number": minor}}
    >>> compare_carts(cart(150), cart(160), "b")[["path", "before", "after"]].values.tolist()
    [['tax_total', 150, 160]]
    """
    shown = [{name: v for name, v in one.items() if name not in OWN} for one in (cart, other)]
    events = {"seq": [1, 2], "event": ["order-placed"] * 2, "data": [{"order": c} for c in shown]}
    return changes(pd.DataFrame({"recording_id": recording_id, **events}))


def prices(line_items: pd.DataFrame, orders: pd.DataFrame) -> pd.DataFrame:
    """Return each variant's price over time: one row for each price that an order was shown.

    Parameters
    ----------
    line_items, orders
        Tables of the recordings.

    Returns
    -------
    pandas.DataFrame
        Columns as in `PRICES`, by merchant, variant, currency and time. An order has a further row
        where its price changed on the way.
    """
    known = line_items.dropna(subset=["price_minor"])
    told = orders.drop_duplicates("recording_id").set_index("recording_id")
    seen = pd.DataFrame(
        {
            "domain": known["recording_id"].map(told["domain"]).astype("str"),
            "variant_id": known["variant_id"].fillna(known["sku"]).astype("str"),
            "currency": known["currency"].astype("str"),
            "at": known["recording_id"].map(told["started_at"]),
            "recording_id": known["recording_id"].astype("str"),
            "seq": known["seq"],
            "event": known["event"].astype("str"),
            "price_minor": known["price_minor"],
        }
    )
    keys = ["domain", "variant_id", "currency"]
    seen = seen.sort_values([*keys, "at", "recording_id", "seq"], kind="stable")
    same = (seen[[*keys, "recording_id"]] == seen[[*keys, "recording_id"]].shift()).all(axis=1)
    kept = seen[~(same & (seen["price_minor"] == seen["price_minor"].shift()))]
    groups = kept.groupby(keys, sort=False)
    before, since = groups["price_minor"].shift(), groups["at"].shift()
    columns: dict[str, list[Any]] = {
        **{str(name): kept[name].tolist() for name in kept.columns},
        "before_minor": before.tolist(),
        "change_minor": (kept["price_minor"] - before).tolist(),
    }
    told_by = zip(
        *(columns[name] for name in ("variant_id", "domain", "currency", "before_minor")),
        *(columns["price_minor"], since.tolist(), columns["at"]),
        strict=True,
    )
    columns["sentence"] = [_sentence(*values) for values in told_by]
    return PRICES.from_columns(columns)


def _sentence(
    variant: str, domain: str, currency: str, before: Any, price: Any, since: Any, at: Any
) -> str | None:
    """Say what changed and when; null where nothing did."""
    if pd.isna(before) or before == price:
        return None
    was, now = (money_text(int(minor), currency) for minor in (before, price))
    when = "" if pd.isna(at) else f" at {at.strftime(UTC_MINUTE)}"
    last = "" if pd.isna(since) or since == at else f" (last seen {since.strftime(UTC_MINUTE)})"
    return f"{printable(variant, 60)} at {domain} costs {now}{when}; it was {was}{last}."
