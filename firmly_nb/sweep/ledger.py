"""What a sweep has used up of its budget, and whether there is enough for one order more."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from firmly_nb.sweep.budget import Budget, money_text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from firmly_nb.api.models import Order

# What is ordered where, whoever it is for: orders of one kind cost about the same.
Kind = tuple[str, tuple[tuple[str, int], ...]]
Money = tuple[int, str]
# The API refused before anything was ordered; after every other end there may be an order.
NOTHING_ORDERED = {"error_event", "http_error"}
# Shipping and tax of the next order may be more than those of the ones that were seen.
MARGIN = 1.10
YES, WAIT = "yes", "wait"


def kind_of(order: Order) -> Kind:
    """Return what makes orders cost about the same: the merchant, the items and how many."""
    return order.domain, tuple((item.variant_id, item.quantity) for item in order.items)


@dataclass
class Ledger:
    """Keeps a sweep's account.

    Money of an order counts from before it is sent: first what orders of its kind cost at most so
    far and a tenth more, then its own total. An order that was refused counts nothing; one whose
    end is unknown counts as ordered.
    """

    budget: Budget
    started: int = 0
    spent: Counter[str] = field(default_factory=Counter)
    _dearest: dict[Kind, Money] = field(default_factory=dict)
    _reserved: dict[int, Money] = field(default_factory=dict)
    _unknown: dict[int, Kind] = field(default_factory=dict)

    def asks(self, kind: Kind, minutes: float) -> str:
        """Say whether an order may be started: ``YES``, ``WAIT`` for one in flight, or why not."""
        limits = self.budget
        if limits.orders is not None and self.started >= limits.orders:
            return f"the budget of {limits.orders:,} orders is used up"
        if limits.minutes is not None and minutes >= limits.minutes:
            return f"the budget of {limits.minutes:g} minutes is used up"
        if limits.total_minor is None:
            return YES
        return self._asks_for_money(kind, limits.total_minor)

    def begin(self, number: int, kind: Kind) -> None:
        """Note that an order is about to be sent."""
        self.started += 1
        estimate = self._estimate(kind)
        if estimate:
            self._reserved[number] = estimate
        else:
            self._unknown[number] = kind

    def end(self, number: int, kind: Kind, outcome: str | None, total: Money | None) -> None:
        """Note how an order ended; no outcome: it was never sent."""
        estimate = self._reserved.pop(number, None)
        self._unknown.pop(number, None)
        if outcome is None:
            self.started -= 1
            return
        if total:
            before = self._dearest.get(kind, total)
            self._dearest[kind] = max(before, total, key=lambda money: money[0])
        if outcome in NOTHING_ORDERED:
            return
        minor, currency = total or estimate or (0, "")
        if currency:
            self.spent[currency] += minor

    def _estimate(self, kind: Kind) -> Money | None:
        dearest = self._dearest.get(kind)
        return (round(dearest[0] * MARGIN), dearest[1]) if dearest else None

    def _asks_for_money(self, kind: Kind, limits: Mapping[str, int]) -> str:
        estimate = self._estimate(kind)
        if estimate is None:
            # Nobody knows what it will cost: it is let through when nothing else is in flight.
            if self._reserved or self._unknown:
                return WAIT
            left = [c for c, limit in limits.items() if self.spent[c] < limit]
            return YES if left else _used_up(limits)
        minor, currency = estimate
        if currency not in limits:
            return f"there is no budget in {currency}: total_minor={{{currency!r}: ...}} gives one"
        reserved = sum(m for m, c in self._reserved.values() if c == currency)
        left_minor = limits[currency] - self.spent[currency]
        if minor <= left_minor - reserved:
            return WAIT if self._unknown else YES
        # One in flight may still be refused, and leave enough.
        if self._reserved and minor <= left_minor:
            return WAIT
        return (
            f"the budget of {money_text(limits[currency], currency)} has "
            f"{money_text(left_minor, currency)} left, and the next order may cost "
            f"{money_text(minor, currency)}"
        )


def _used_up(limits: Mapping[str, int]) -> str:
    amounts = " and ".join(money_text(minor, c) for c, minor in limits.items())
    return f"the budget of {amounts} is used up"
