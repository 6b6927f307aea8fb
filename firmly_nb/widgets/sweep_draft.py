"""What is typed into a sweep panel: from text to the arguments of a sweep, or what is wrong."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from firmly_nb.api.models import Card, Order
from firmly_nb.api.money import to_minor
from firmly_nb.environments import GuardError, guard
from firmly_nb.sweep.begin import is_local
from firmly_nb.sweep.budget import Budget
from firmly_nb.sweep.plan import Variant
from firmly_nb.sweep.request import MAX_CONCURRENCY
from firmly_nb.sweep.schedule import ARRIVALS, per_second, seconds

if TYPE_CHECKING:
    from collections.abc import Mapping

    from firmly_nb.environments import Environment

FIELDS = (
    "count",
    "arrival",
    "rate",
    "concurrency",
    "duration",
    "max_orders",
    "max_minutes",
    "max_total",
    "name",
)
WHOLE = {"count", "concurrency", "max_orders"}
MONEY = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([A-Za-z]{3})\s*")
LONGEST = 200


def first_draft(environment: Environment) -> dict[str, str]:
    """Return what a panel begins with: few orders, gently, within the environment's own budget."""
    budget = Budget().within(local=is_local(environment))
    return {
        **dict.fromkeys(FIELDS, ""),
        "count": "20",
        "arrival": "constant",
        "rate": "1/s" if is_local(environment) else "20/min",
        "concurrency": "4",
        "max_orders": str(budget.orders),
        "max_minutes": f"{budget.minutes:g}",
    }


def text_of(name: str, value: Any) -> str:
    """Write a value as it would be typed.

    Examples
    --------
    >>> text_of("count", 20), text_of("rate", "30/min"), text_of("rate", None)
    ('20', '30/min', '')
    """
    if name not in FIELDS:
        raise ValueError(f"a sweep panel has no field {name!r}; there are {', '.join(FIELDS)}")
    return "" if value is None else str(value)[:LONGEST]


def value_of(draft: Mapping[str, str], name: str) -> Any:
    """Return a field as a value: a whole number, minutes, or the text; None if it is empty.

    Examples
    --------
    >>> value_of({"count": "20"}, "count"), value_of({"rate": "2/s"}, "rate")
    (20, '2/s')
    """
    text = draft[name].strip()
    if name in WHOLE and text.isascii() and text.isdigit():
        return int(text)
    return text or None


def cleaned(draft: Any) -> dict[str, str]:
    """Return a draft from the page with every field a text, and nothing else in it."""
    given = draft if isinstance(draft, dict) else {}
    return {
        name: str(given[name])[:LONGEST] if isinstance(given.get(name), str | int | float) else ""
        for name in FIELDS
    }


def problems(draft: Mapping[str, str], orders: Any, environment: Environment) -> dict[str, str]:
    """Return what is wrong, by field; nothing if the sweep can be started."""
    found: dict[str, str] = {}
    values: dict[str, Any] = {}
    for name in FIELDS:
        try:
            values[name] = _value(name, draft[name].strip(), closed=draft["arrival"] == "closed")
        except ValueError as error:
            found[name] = str(error)
    if isinstance(orders, Order | Variant) and _has_no_end(values):
        found["count"] = "say how many orders, or for how long"
    if not {"count", "max_orders"} & set(found) and _is_beyond(values):
        found["max_orders"] = f"allows fewer than the {values['count']:,} orders"
    return found | _refused(orders, environment)


def arguments(draft: Mapping[str, str]) -> dict[str, Any]:
    """Return the arguments of ``lab.start_sweep`` that a draft without problems means."""
    closed = draft["arrival"] == "closed"
    values = {name: _value(name, draft[name].strip(), closed=closed) for name in FIELDS}
    limits = {
        "orders": values.pop("max_orders"),
        "minutes": values.pop("max_minutes"),
        "total_minor": values.pop("max_total"),
    }
    given = {name: value for name, value in values.items() if value is not None}
    return {**given, "budget": {name: v for name, v in limits.items() if v is not None}}


def _value(name: str, text: str, *, closed: bool) -> Any:  # noqa: PLR0911 - one return a field
    """Return a field's value; None where it is empty.

    Raises
    ------
    ValueError
        With what to type instead.
    """
    if name == "arrival":
        if text not in ARRIVALS:
            raise ValueError(f"choose one of {', '.join(ARRIVALS)}")
        return text
    if name == "rate":
        return _rate(text, closed=closed)
    if not text:
        return None
    if name in WHOLE:
        return _whole(name, text)
    if name == "duration":
        try:
            return seconds(text)
        except ValueError:
            raise ValueError('type seconds, or like "10 min"') from None
    if name == "max_minutes":
        return _minutes(text)
    return _money(text) if name == "max_total" else text


def _rate(text: str, *, closed: bool) -> str | None:
    if closed:
        return None  # the next order starts when one ends
    try:
        per_second(text)
    except ValueError:
        raise ValueError('type orders per second, or like "30/min"') from None
    return text


def _whole(name: str, text: str) -> int:
    most = MAX_CONCURRENCY if name == "concurrency" else 10_000_000
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= most:
        raise ValueError(f"type a whole number from 1 to {most:,}")
    return int(text)


def _minutes(text: str) -> float:
    try:
        minutes = float(text)
    except ValueError:
        minutes = 0.0
    if not 0 < minutes < 1e6:
        raise ValueError("type minutes above 0")
    return minutes


def _money(text: str) -> dict[str, int]:
    found = MONEY.fullmatch(text)
    if found is None:
        raise ValueError('type an amount and its currency, like "500.00 USD"')
    currency = found[2].upper()
    return {currency: to_minor(found[1], currency)}


def _has_no_end(values: Mapping[str, Any]) -> bool:
    """Whether both were left empty, rather than typed wrongly."""
    return all(name in values and values[name] is None for name in ("count", "duration"))


def _is_beyond(values: Mapping[str, Any]) -> bool:
    count, most = values["count"], values["max_orders"]
    return bool(count and most and count > most)


def _refused(orders: Any, environment: Environment) -> dict[str, str]:
    """Ask the guard, where it is known what will be ordered."""
    known = [orders] if isinstance(orders, Order | Variant) else orders
    if not isinstance(known, list | tuple) and not hasattr(known, "variants"):
        return {}
    cards: dict[str, Card | None] = {}
    for one in known:
        variant = one if isinstance(one, Variant) else Variant(one)
        cards[variant.order.domain] = cards.get(variant.order.domain) or variant.card
    try:
        for domain, card in cards.items():
            guard(environment, domain, card or Card.test())
    except GuardError as error:
        return {"orders": str(error)}
    return {}
