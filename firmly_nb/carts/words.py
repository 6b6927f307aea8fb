"""Changes of carts in words, as one would tell a colleague."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from firmly_nb.api.money import format_minor
from firmly_nb.carts.fields import read_text
from firmly_nb.carts.paths import Step, read_path

if TYPE_CHECKING:
    import pandas as pd

# In the order in which a shopper reads a bill; what is not named here comes after.
NAMES = {
    "platform_order_number": "order",
    "cart_status": "status",
    "sub_total": "subtotal",
    "cart_discount": "discount",
    "shipping_total": "shipping",
    "tax_total": "tax",
    "tax": "tax",
    "addon_total": "addons",
    "store_credit": "store credit",
    "total": "total",
}
FIELDS = NAMES | {
    "shipping_info": "shipping address",
    "billing_info": "billing address",
    "payment_summary": "payment",
    "urls": "links",
    "shipping_method_options": "shipping methods offered",
    "fulfillment_type_options": "ways of delivery offered",
    "line_item_ids": "lines",
    "line_items": "line",
    "shipments": "shipment",
}
LONGEST_VALUE = 40


def summary(changes: pd.DataFrame, *, most: int = 8) -> str:
    """Tell the changes in words, one line an event.

    Parameters
    ----------
    changes
        As made by `firmly_nb.carts.changes.changes`.
    most
        How many changes of an event are told; the others are counted.

    Examples
    --------
    >>> from firmly_nb.carts.schemas import CHANGES
    >>> row = {"recording_id": "r1", "seq_before": 1, "seq_after": 2, "event": "shipping-updated",
    ...        "path": "shipping_total", "kind": "changed", "before": 0, "after": 625,
    ...        "currency": "USD"}
    >>> summary(CHANGES.frame([row]))
    'shipping-updated: shipping 0.00 -> 6.25'
    >>> summary(CHANGES.empty())
    'no changes'
    """
    if changes.empty:
        return "no changes"
    many = changes["recording_id"].nunique() > 1
    told = []
    for (recording_id, _), rows in changes.groupby(["recording_id", "seq_after"], sort=False):
        phrases = _phrases(rows)
        shown = phrases[:most]
        if len(rows) > len(shown):
            shown.append(f"and {len(rows) - len(shown)} more")
        prefix = f"{recording_id} " if many else ""
        told.append(f"{prefix}{rows['event'].iloc[0]}: {', '.join(shown)}")
    return "\n".join(told)


def path_in_words(path: str) -> str:
    """Write a path as one would say it.

    Examples
    --------
    >>> path_in_words("shipments[SHIP_TO_ADDRESS].shipping_method_options")
    'shipment SHIP_TO_ADDRESS, shipping methods offered'
    >>> path_in_words("tax_total")
    'tax'
    """
    said: list[str] = []
    for step in _steps(path):
        if step.kind == "field":
            said.append(FIELDS.get(step.name, step.written.replace("_", " ")))
        elif said and step.written:
            said[-1] += f" {step.written}"
        else:
            said.append(step.written)
    return ", ".join(each for each in said if each) or path


def amount_or_value(value: Any, currency: Any, longest: int = LONGEST_VALUE) -> str:
    """Write one side of a change: an amount in its currency's form, or a value, shortened."""
    if isinstance(currency, str) and type(value) is int:
        return format_minor(value, currency)
    if value is None:
        return "nothing"
    try:
        text = value if isinstance(value, str) else _described(value)
    except (RecursionError, ValueError):  # too deep, or an int of thousands of digits
        text = "a value too large to show"
    clean = " ".join(str(read_text(text)).split())
    return clean if len(clean) <= longest else clean[: longest - 1] + "…"


def _described(value: Any) -> str:
    if isinstance(value, list) and value and all(isinstance(each, dict) for each in value):
        return ", ".join(map(_described, value[:LONGEST_VALUE]))
    if not isinstance(value, dict):
        return json.dumps(value, ensure_ascii=False, default=str)
    for name in ("description", "name", "id", "sku", "code", "city"):
        if isinstance(value.get(name), str):
            return str(value[name])
    if isinstance(value.get("last_four"), str):  # how an order was paid
        kind = next((value[n] for n in ("card_type", "payment_type") if n in value), "card")
        return f"{kind} ending in {value['last_four']}"
    said = ", ".join(f"{key.replace('_', ' ')} {_inner(each)}" for key, each in value.items())
    return said or "nothing in it"


def _inner(value: Any) -> str:
    if isinstance(value, (dict, list)):
        return "…" if value else "empty"
    text = value if isinstance(value, str) else json.dumps(value, default=str)
    return text.removeprefix("https://")


def _phrases(rows: pd.DataFrame) -> list[str]:
    columns = (rows[name].tolist() for name in ("path", "kind", "before", "after", "currency"))
    ranked = sorted(
        (_phrase(*row) for row in zip(*columns, strict=True)), key=lambda ranked: ranked[0]
    )
    # What only few readers look for is told when there is nothing else to tell.
    plain = [phrase for rank, phrase in ranked if rank <= len(NAMES)]
    return plain or [phrase for _, phrase in ranked]


def _phrase(path: str, kind: str, before: Any, after: Any, currency: Any) -> tuple[int, str]:
    old, new = amount_or_value(before, currency), amount_or_value(after, currency)
    values = {"added": new, "removed": f"{old} removed"}.get(kind, f"{old} -> {new}")
    if path in NAMES:
        return 1 + list(NAMES).index(path), f"{NAMES[path]} {values}"
    match _steps(path):
        case [*_, Step("field", "shipping_method")] if kind == "added":
            return 3, f"shipping method {new}"
        case [Step("field", "line_items"), Step("element") as line]:
            return 0, f"{line.written} {kind}"
        case [
            Step("field", "line_items"),
            Step("element") as line,
            Step("field", "quantity" | "price" as field),
        ]:
            return 0, f"{field} of {line.written} {values}"
    return 1 + len(NAMES), f"{path} {values}"


def _steps(path: str) -> list[Step]:
    """Read a path; one that somebody wrote in a way of their own has no steps."""
    try:
        return read_path(path)
    except ValueError:
        return []
