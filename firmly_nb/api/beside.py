"""Errors and statuses in the data of a success, beside its number: they deny that it is one."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Any

from firmly_nb.api.errors import ENVELOPES, ERRORS, LISTED_STATUSES, error_from_payload
from firmly_nb.api.event_names import says_otherwise
from firmly_nb.api.snapshots import NAMES

if TYPE_CHECKING:
    from collections.abc import Iterator


def error_beside(data: Any, *, parts: bool = False) -> str | None:
    """Return the name of the error in the data of a success, or its words; None if there is none.

    Parameters
    ----------
    data
        The decoded JSON.
    parts
        Whether to look at the parts of the order: at its lines, and at those that failed.

    Examples
    --------
    >>> error_beside({"platform_order_number": "7", "error": "ErrorPaymentDeclined"})
    'ErrorPaymentDeclined'
    >>> error_beside({"order": {"platform_order_number": "7", "error": {"message": "no funds"}}})
    'no funds'
    >>> error_beside({"platform_order_number": "7", "error": None, "code": "OK"}) is None
    True
    >>> error_beside({"failed_items": [{"error": "ErrorNotEnoughStock"}]}, parts=True)
    'ErrorNotEnoughStock'
    """
    for place in chain(_places(data), _parts_of_the_order(data) if parts else ()):
        told = next(filter(None, map(place.get, ERRORS)), None)
        if not told and place is not data:
            continue
        error = error_from_payload(place)
        if error.error in LISTED_STATUSES:
            return error.error
        if told and str(told).strip().lower() not in NO_ERRORS:
            is_named = error.error != NAMELESS
            words = "without a name or words" if told is True else error.description or str(told)
            return error.error if is_named else words
    return None


def status_beside(data: Any) -> str | None:
    """Return the field in the data of a success that says otherwise; None if there is none.

    Examples
    --------
    >>> status_beside({"platform_order_number": "7", "success": False})
    'success is false'
    >>> status_beside({"platform_order_number": "7", "status": "requires_action"})
    'status is requires_action'
    >>> status_beside({"order": {"platform_order_number": "7", "status": "pending"}}) is None
    True
    """
    for place in _places(data):
        for name in (*FLAGS, *STATES, *([] if place is not data else NAMED_AS)):
            value = place.get(name)
            text = value.strip() if isinstance(value, str) else ""
            if name in FLAGS:
                is_no = str(value).strip().lower() == str(name in FAILED).lower()
            elif type(value) is int:
                is_no = 400 <= value < 600
            else:
                is_no = text.lower() != NEW and says_otherwise(text[:LONGEST_STATE])
            if is_no or (value and name in WHEN_FAILED):
                return f"{name} is {str(value).strip().lower() if name in FLAGS else value}"
    return None


# Fields that say how an order went, beside its number.
SUCCEEDED = ("success", "succeeded", "successful", "ok")
FAILED = ("cancelled", "canceled", "declined", "refunded", "voided")
FLAGS = (*SUCCEEDED, *FAILED)
WHEN_FAILED = ("cancelled_at", "canceled_at", "refunded_at", "voided_at")
STATES = (
    *("status", "state", "result", "outcome", "statusCode", "status_code", "code"),
    *("order_status", "payment_status", "financial_status", *WHEN_FAILED),
)
PAYMENTS = ("payment", "payment_summary")
# Lists of what an order is made of end so: line_items, failed_items, results.
PARTS = ("items", "lines", "results", "responses")
NAMED_AS = ("type", "event")  # of an event inside another one
NEW = "pending"  # an order that was just placed has this status at some merchants
LONGEST_STATE, MOST_PARTS = 60, 100
NAMELESS = error_from_payload({}).error
NO_ERRORS = frozenset({"none", "null", "no", "false", "0", "ok", "no error"})


def _places(data: Any) -> Iterator[dict[str, Any]]:
    """Return where an order's data may say how it went: itself, its order and cart, an envelope."""
    if not isinstance(data, dict):
        return
    around = [data, *(one for one in map(data.get, ENVELOPES) if isinstance(one, dict))]
    yield from around
    for each in around:
        orders = [one for one in map(each.get, NAMES) if isinstance(one, dict)]
        yield from orders
        for order in (each, *orders):
            yield from (one for one in map(order.get, PAYMENTS) if isinstance(one, dict))


def _parts_of_the_order(data: Any) -> Iterator[dict[str, Any]]:
    """Return the first objects of lists in which a part of the order may have failed."""
    for place in _places(data):
        for name, value in place.items():
            if isinstance(value, list) and name.lower().endswith(PARTS):
                yield from (one for one in value[:MOST_PARTS] if isinstance(one, dict))
