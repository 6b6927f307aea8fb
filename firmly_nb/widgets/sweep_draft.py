"""Draft of a sweep panel: its fields, what is wrong in them, and what a press would do.

Fields stay text until the sweep is started; then they are its arguments, or problems.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from firmly_nb.api.models import Card, Order
from firmly_nb.api.money import money_text, to_minor
from firmly_nb.display.messages import coded_error, unknown, without_code
from firmly_nb.display.text import count, listed, printable, short_name
from firmly_nb.environments import GuardError, guard
from firmly_nb.sweep.budget import Budget, what_of
from firmly_nb.sweep.pace import (
    ARRIVALS,
    MAX_CONCURRENCY,
    MAX_COUNT,
    per_second,
    seconds,
)
from firmly_nb.sweep.plan import Variant
from firmly_nb.sweep.sweep import (
    LOCAL_CONCURRENCY,
    STAGING_CONCURRENCY,
    is_local,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from firmly_nb.environments import Environment
    from firmly_nb.sweep.budget import Amount, What


# The fields and how they are called on a static page.
LABELS = {
    "count": "orders",
    "arrival": "arrival",
    "rate": "rate",
    "concurrency": "in flight at most",
    "duration": "for",
    "max_orders": "at most orders",
    "max_minutes": "at most minutes",
    "max_total": "at most money",
    "name": "name",
}
FIELDS = tuple(LABELS)
WHOLE = {"count", "concurrency", "max_orders"}
MONEY = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([A-Za-z]{3})\s*")
LONGEST_FIELD = 200
LONGEST_WORDS = 300
PERCENTILES = (0.5, 0.9, 0.95)


@dataclass(frozen=True)
class SweepDraft:
    """Fields of a sweep panel, as they were typed."""

    count: str = ""
    arrival: str = ""
    rate: str = ""
    concurrency: str = ""
    duration: str = ""
    max_orders: str = ""
    max_minutes: str = ""
    max_total: str = ""
    name: str = ""


def texts_of(fields: dict[str, Any]) -> dict[str, str]:
    """Write values as they would be typed, by field."""
    return {name: text_of(name, value) for name, value in fields.items()}


def first_draft(environment: Environment) -> SweepDraft:
    """Return the first draft: few orders, at a low rate, within the environment's budget."""
    budget = Budget().within(local=is_local(environment))
    return SweepDraft(
        count="20",
        arrival="constant",
        rate="1/s" if is_local(environment) else "20/min",
        max_orders=str(budget.orders),
        max_minutes=f"{budget.minutes:g}",
    )


def text_of(name: str, value: Any) -> str:
    """Write a value as it would be typed.

    Examples
    --------
    >>> text_of("count", 20), text_of("rate", "30/min"), text_of("rate", None)
    ('20', '30/min', '')
    """
    if name not in FIELDS:
        raise coded_error(ValueError, "FNB710", unknown("field", name, FIELDS, "a sweep panel"))
    return "" if value is None else str(value)[:LONGEST_FIELD]


def value_of(draft: SweepDraft, name: str) -> Any:
    """Return a field as a value: a whole number, minutes, or the text; None if it is empty.

    Examples
    --------
    >>> value_of(SweepDraft(count="20"), "count"), value_of(SweepDraft(rate="2/s"), "rate")
    (20, '2/s')
    """
    text: str = getattr(draft, name).strip()
    if name in WHOLE and text.isascii() and text.isdigit():
        return int(text)
    return text or None


def problems(draft: SweepDraft, orders: Any, environment: Environment) -> dict[str, str]:
    """Return the problems of a draft, by field; empty if the sweep can be started."""
    found: dict[str, str] = {}
    values: dict[str, Any] = {}
    for name in FIELDS:
        try:
            values[name] = _value(name, draft)
        except ValueError as error:
            found[name] = str(error)
    if isinstance(orders, Order | Variant) and _has_no_end(values):
        found["count"] = "say how many orders, or for how long"
    if not {"count", "max_orders"} & set(found) and _is_beyond(values):
        found["max_orders"] = f"allows fewer than the {count(values['count'])} orders"
    return found | _refused(orders, environment)


def arguments(draft: SweepDraft) -> dict[str, Any]:
    """Return the arguments of ``lab.start_sweep`` that a draft without problems means."""
    values = {name: _value(name, draft) for name in FIELDS}
    limits = {
        "orders": values.pop("max_orders"),
        "minutes": values.pop("max_minutes"),
        "total_minor": values.pop("max_total"),
    }
    given = {name: value for name, value in values.items() if value is not None}
    return {**given, "budget": {name: v for name, v in limits.items() if v is not None}}


def _value(name: str, draft: SweepDraft) -> Any:  # noqa: PLR0911 - one return a field
    """Return a field's value; None where it is empty.

    Raises
    ------
    ValueError
        With what to type instead.
    """
    text: str = getattr(draft, name).strip()
    if name == "arrival":
        if text not in ARRIVALS:
            raise ValueError(f"choose one of {', '.join(ARRIVALS)}")
        return text
    if name == "rate":
        return _rate(text, closed=draft.arrival == "closed")
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
    most = MAX_CONCURRENCY if name == "concurrency" else MAX_COUNT
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= most:
        raise ValueError(f"type a whole number from 1 to {count(most)}")
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
    """Return True if both were left empty, rather than typed wrongly."""
    return all(name in values and values[name] is None for name in ("count", "duration"))


def _is_beyond(values: Mapping[str, Any]) -> bool:
    count, most = values["count"], values["max_orders"]
    return bool(count and most and count > most)


def _refused(orders: Any, environment: Environment) -> dict[str, str]:
    """Ask the guard, where it is known what will be ordered."""
    cards: dict[str, Card | None] = {}
    for variant in known_variants(orders):
        cards[variant.order.domain] = cards.get(variant.order.domain) or variant.card
    try:
        for domain, card in cards.items():
            guard(environment, domain, card or Card.test())
    except GuardError as error:
        return {"orders": without_code(str(error))}
    return {}


def orders_words(orders: Any) -> str:
    """Say what is going to be ordered."""
    if isinstance(orders, Order):
        items = ", ".join(f"{item.quantity} x {item.variant_id}" for item in orders.items)
        return printable(f"{items} at {orders.domain}", LONGEST_WORDS)
    if isinstance(orders, Variant):
        return orders_words(orders.order)
    if hasattr(orders, "axes"):
        axes = "; ".join(f"{name}: {', '.join(labels)}" for name, labels in orders.axes.items())
        return printable(f"{len(orders)} variants, interleaved ({axes})", LONGEST_WORDS)
    if isinstance(orders, list | tuple):
        return f"{len(orders)} orders in turn" if len(orders) != 1 else orders_words(orders[0])
    return "orders from a generator"


@dataclass(frozen=True)
class Prospect:
    """Sweep that a draft means, before it is started.

    Attributes
    ----------
    size
        How many orders at most; None where nobody knows.
    rate_per_s
        Orders a second; None in a closed loop.
    seconds
        How long it takes to start them; None where the merchant decides.
    """

    size: int | None
    rate_per_s: float | None
    seconds: float | None


def prospect(draft: SweepDraft, orders: Any) -> Prospect:
    """Return what a draft without problems means.

    Examples
    --------
    >>> prospect(SweepDraft(count="20", arrival="constant", rate="2/s"), Order.example())
    Prospect(size=20, rate_per_s=2.0, seconds=10.0)
    """
    values = {name: _value(name, draft) for name in FIELDS}
    rate = None if draft.arrival == "closed" else per_second(values["rate"])
    limit_s = values["duration"]
    size = values["count"]
    if size is None and limit_s is None:
        size = len(known_variants(orders)) or None
    if rate is not None and limit_s is not None:
        in_time = math.ceil(limit_s * rate)
        size = in_time if size is None else min(size, in_time)
    return Prospect(size, rate, size / rate if size and rate else limit_s)


def prospect_words(
    draft: SweepDraft,
    orders: Any,
    environment: Environment,
    prices: Mapping[What, Amount | None],
    typical_ms: float | None = None,
) -> dict[str, str]:
    """Say what a press would do, what it cannot tell, and what will end it early.

    Parameters
    ----------
    draft
        A draft without problems.
    orders, environment
        What is ordered, and where.
    prices
        Total of an order by what decides it, as far as it was asked for; None: nobody says.
    typical_ms
        Time that an order took before; None: not known.

    Returns
    -------
    dict
        ``sentence``, ``cannot``, ``warning``, ``limits``, ``button``.
    """
    ahead = prospect(draft, orders)
    start = "Start" if ahead.size is None else f"Start {_orders(ahead.size)}"
    words = [_time(ahead), _money_ahead(ahead, orders, prices)]
    return {
        "sentence": f"{_schedule(ahead, draft)}: {', '.join(words)}.",
        "cannot": _cannot(ahead.size),
        "warning": _warning(ahead, draft, orders, environment, prices, typical_ms),
        "limits": _limits(draft),
        "button": start,
    }


def _orders(size: int) -> str:
    return f"{count(size)} order{'' if size == 1 else 's'}"


def _schedule(ahead: Prospect, draft: SweepDraft) -> str:
    orders = "Orders" if ahead.size is None else _orders(ahead.size)
    if ahead.rate_per_s is None:
        many = draft.concurrency.strip() or "1"
        return f"{orders}, {many} at a time, each when one ends"
    random = ", at random" if draft.arrival == "poisson" else ""
    return f"{orders}, {rate_words(ahead.rate_per_s)}{random}"


def rate_words(rate_per_s: float) -> str:
    """Write a rate as one says it.

    Examples
    --------
    >>> [rate_words(rate) for rate in (1, 20, 1 / 3, 1 / 60, 25 / 3600)]
    ['one each second', '20 each second', '20 each minute', 'one each minute', '25 each hour']
    """
    units = {"second": 1, "minute": 60, "hour": 3600}
    unit = next((u for u, factor in units.items() if rate_per_s * factor > 1 - 1e-9), "hour")
    many = f"{rate_per_s * units[unit]:.3g}"
    return f"{'one' if many == '1' else many} each {unit}"


def _time(ahead: Prospect) -> str:
    if ahead.seconds is None:
        return "as long as the merchant takes"
    return f"about {time_words(ahead.seconds)}"


def time_words(seconds: float) -> str:
    """Write a rough time.

    Examples
    --------
    >>> time_words(0.2), time_words(20), time_words(90), time_words(7_200)
    ('1 s', '20 s', '2 min', '2 h')
    """
    if seconds < 90:
        return f"{max(round(seconds), 1)} s"
    return f"{round(seconds / 60)} min" if seconds < 5_400 else f"{round(seconds / 3600)} h"


def _money_ahead(ahead: Prospect, orders: Any, prices: Mapping[What, Amount | None]) -> str:
    """Say what the orders cost at most, and of which merchants that is not known."""
    variants = known_variants(orders)
    # Where nobody knows how many there will be: what one of them costs.
    total = total_ahead(ahead.size or len(variants), orders, prices)
    amount = " + ".join(money_text(minor, currency) for currency, minor in total.items())
    if ahead.size is None and amount:
        amount += " each" if len(variants) == 1 else f" for {len(variants)} orders"
    known = [variant for variant in variants if prices.get(what_of(variant.order))]
    unknown_yet = [variant for variant in variants if variant not in known]
    asking = any(what_of(variant.order) not in prices for variant in unknown_yet)
    price = f"a price that is {'being asked for' if asking else 'not known'}"
    parts = [f"up to {amount}{_at(known)}"] if amount else []
    if unknown_yet or not parts:
        parts += [f"{'and ' if parts else ''}at {price}{_at(unknown_yet)}"]
    return ", ".join(parts)


def total_ahead(size: int, orders: Any, prices: Mapping[What, Amount | None]) -> Counter[str]:
    """Return the most that so many orders cost by currency, as far as prices are known.

    Examples
    --------
    >>> order = Order.example()
    >>> total_ahead(3, order, {what_of(order): (3_047, "USD")})
    Counter({'USD': 9141})
    """
    found = [prices.get(what_of(variant.order)) for variant in known_variants(orders)]
    total: Counter[str] = Counter()
    # One of each in turn: of the last round the dearest come first.
    for place, (minor, currency) in enumerate(sorted(filter(None, found), reverse=True)):
        total[currency] += minor * (size // len(found) + (place < size % len(found)))
    return total


def _at(variants: Sequence[Variant]) -> str:
    domains = dict.fromkeys(short_name(variant.order.domain) for variant in variants)
    if not domains:
        return ""
    return f" at {listed(domains) if len(domains) <= 3 else f'{len(domains)} merchants'}"


def _cannot(size: int | None) -> str:
    """Say which percentiles so few orders do not give."""
    from firmly_nb.latency.quantiles import values_needed

    needed = [(f"p{p * 100:g}", values_needed(p)) for p in PERCENTILES]
    missing = [(name, least) for name, least in needed if size is not None and size < least]
    if not missing:
        return ""
    *others, last = [f"a {name}" for name, _ in missing]
    names = f"{', '.join(others)} or {last}" if others else last
    needs = listed(f"{name} needs {least}" for name, least in missing)
    return f"This sweep will not give {names}: {needs} placed orders."


def _limits(draft: SweepDraft) -> str:
    """Write the limits in a line."""
    money = draft.max_total.strip() or "no money limit"
    most = count(int(draft.max_orders)) if draft.max_orders.strip().isdigit() else "any number of"
    minutes = f"{draft.max_minutes.strip()} min" if draft.max_minutes.strip() else "no time limit"
    return f"Limits: {most} orders · {minutes} · {money}"


def _warning(
    ahead: Prospect,
    draft: SweepDraft,
    orders: Any,
    environment: Environment,
    prices: Mapping[What, Amount | None],
    typical_ms: float | None,
) -> str:
    """Say what will keep the sweep from being what was asked for, and what to raise."""
    local = is_local(environment)
    most = _value("max_orders", draft)
    if ahead.size and most and ahead.size > most:
        return f"The limit ends it after {_orders(most)}. Raise “Orders” of the limits."
    minutes = _value("max_minutes", draft)
    if ahead.seconds and minutes and ahead.seconds > minutes * 60:
        return f"The limit ends it after {minutes:g} min. Raise “Minutes” of the limits."
    limits, total = _value("max_total", draft), total_ahead(ahead.size or 1, orders, prices)
    if limits and total and any(minor > limits.get(c, 0) for c, minor in total.items()):
        return f"The limit of {draft.max_total.strip()} ends it early. Raise “Money”."
    chosen = LOCAL_CONCURRENCY if local else STAGING_CONCURRENCY
    in_flight = _value("concurrency", draft) or chosen
    if ahead.rate_per_s is not None and typical_ms:
        return too_few_in_flight(ahead.rate_per_s, in_flight, typical_ms, "will start")
    return ""


def too_few_in_flight(rate_per_s: float, in_flight: int, typical_ms: float, start: str) -> str:
    """Say that a rate cannot be kept with so many orders in flight; nothing if it can.

    Examples
    --------
    >>> too_few_in_flight(20, 4, 600, "will start")
    'Orders will start late: 20 each second take 12 in flight, and 4 are allowed. Raise “In \
flight” to 24, or lower the rate.'
    >>> too_few_in_flight(1, 4, 600, "will start")
    ''
    """
    needed = rate_per_s * typical_ms / 1000
    if needed <= in_flight:
        return ""
    to = min(math.ceil(2 * needed), MAX_CONCURRENCY)
    return (
        f"Orders {start} late: {rate_words(rate_per_s)} take {math.ceil(needed)} in flight, and "
        f"{in_flight} are allowed. Raise “In flight” to {to}, or lower the rate."
    )


def known_variants(orders: Any) -> Sequence[Variant]:
    """Return what is known of the orders; nothing of a generator."""
    known = [orders] if isinstance(orders, Order | Variant) else orders
    if not isinstance(known, list | tuple) and not hasattr(known, "variants"):
        return []
    return [one if isinstance(one, Variant) else Variant(one) for one in known]
