"""What a sweep has used up of its budget, and whether there is enough for one order more.

Money is set aside before an order is sent: what the merchant's own cart said that it costs, or the
dearest order of its kind so far, and a tenth more.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from firmly_nb.sweep.budget import Amount, Budget, BudgetError, money_text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from firmly_nb.api.models import Address, Item, Order

# What decides what an order costs: the shop, what is in it, and where it goes (shipping, tax).
What = tuple[str, "tuple[Item, ...]", "Address"]
YES, WAIT = "yes", "wait"


def what_of(order: Order) -> What:
    """Return what decides what an order costs."""
    return order.domain, order.items, order.shipping_info


@dataclass
class Ledger:
    """Keeps a sweep's account.

    Money of an order counts from before it is sent. A refused order counts nothing, a placed one
    its total, and one whose end is unknown what was set aside for it.
    """

    budget: Budget
    started: int = 0
    spent: Counter[str] = field(default_factory=Counter)
    _prices: dict[What, Amount] = field(default_factory=dict, repr=False)  # with addresses
    _tried: set[What] = field(default_factory=set, repr=False)
    _set_aside: dict[int, Amount] = field(default_factory=dict)
    _first_of_its_kind: set[int] = field(default_factory=set)

    @property
    def limits(self) -> Mapping[str, int] | None:
        """How much there is, by currency; None where money is no limit."""
        return self.budget.total_minor

    def needs_price(self, what: What) -> bool:
        """Whether it has to be found out what such an order costs before it may be sent."""
        return self.limits is not None and what not in self._prices

    def note_price(self, what: What, amount: Amount) -> None:
        """Note what such an order costs; a dearer one that was seen counts."""
        known = self._prices.get(what, amount)
        self._prices[what] = amount if amount[1] != known[1] else max(known, amount)

    def asks(self, what: What, minutes: float) -> str:
        """Say whether an order may be started: ``YES``, ``WAIT`` for one in flight, or why not."""
        most = self.budget.orders
        if most is not None and self.started >= most:
            return f"the budget of {most:,} orders is used up"
        if too_late := self.too_late(minutes):
            return too_late
        return YES if self.limits is None else self._asks_for_money(what, self.limits)

    def too_late(self, minutes: float) -> str:
        """Say why nothing may be started so many minutes into the sweep; empty if it may."""
        most = self.budget.minutes
        over = most is not None and minutes >= most
        return f"the budget of {most:g} minutes is used up" if over else ""

    def begin(self, number: int, what: What) -> Amount | None:
        """Note that an order is about to be sent; returns what is set aside for it."""
        self.started += 1
        if self.limits is None:
            return None
        self._set_aside[number] = self._at_most(what)
        if what not in self._tried:
            self._first_of_its_kind.add(number)
        return self._set_aside[number]

    def take_back(self, number: int) -> None:
        """Note that an order was not sent after all."""
        self.started -= 1
        self._release(number)

    def end(self, number: int, what: What, total: Amount | None, *, ordered: bool | None) -> None:
        """Note how an order ended; ``ordered`` is None where nobody knows."""
        set_aside = self._release(number)
        if total and self.limits is not None:
            self.note_price(what, total)
            self._tried.add(what)
        self._spend(total, set_aside, ordered=ordered)

    def take_over(
        self, total: Amount | None, set_aside: Amount | None, *, ordered: bool | None
    ) -> None:
        """Count an order of an earlier part of the run.

        Raises
        ------
        BudgetError
            If it may have been placed, and nobody knows for how much.
        """
        self.started += 1
        unknown = set_aside is None and (ordered is None or (ordered and total is None))
        if self.limits is not None and unknown:
            raise BudgetError(
                "this run has an order whose end is unknown and for which no money was set aside: "
                "whether a budget of money would hold cannot be told. Resume it without "
                "total_minor, or begin a new run. Nothing was sent."
            )
        self._spend(total, set_aside, ordered=ordered)

    def beyond(self) -> str:
        """Say by how much a merchant charged more than there was; empty if none did."""
        limits = self.limits or {}
        over = {c: n - limits.get(c, 0) for c, n in self.spent.items() if n > limits.get(c, 0)}
        if self.limits is None or not over:
            return ""
        amounts = " and ".join(money_text(minor, c) for c, minor in over.items())
        return (
            f"{amounts} more than the budget was ordered for: a merchant charged over a tenth more "
            "than its own cart had said before"
        )

    def _release(self, number: int) -> Amount | None:
        self._first_of_its_kind.discard(number)
        return self._set_aside.pop(number, None)

    def _spend(
        self, total: Amount | None, set_aside: Amount | None, *, ordered: bool | None
    ) -> None:
        if ordered is False:
            return
        # The last cart that was seen of an order without an end may lack shipping and tax.
        known = [total] if ordered and total else [total, set_aside]
        most: dict[str, int] = {}
        for minor, currency in filter(None, known):
            most[currency] = max(minor, most.get(currency, 0))
        self.spent.update(most)

    def _at_most(self, what: What) -> Amount:
        """Return what such an order may cost: a tenth more than is known, rounded up."""
        minor, currency = self._prices[what]
        return -(-max(minor, 0) * 11 // 10), currency

    def _asks_for_money(self, what: What, limits: Mapping[str, int]) -> str:
        minor, currency = self._at_most(what)
        if currency not in limits:
            return f"there is no budget in {currency}: total_minor={{{currency!r}: ...}} gives one"
        if what not in self._tried and self._first_of_its_kind:
            # What a cart says is not yet what is charged: one kind after the other is tried.
            return WAIT
        reserved = sum(m for m, c in self._set_aside.values() if c == currency)
        left_minor = limits[currency] - self.spent[currency]
        if minor <= left_minor - reserved:
            return YES
        # One in flight may still be refused, or cost less, and leave enough.
        if reserved and minor <= left_minor:
            return WAIT
        return (
            f"the budget of {money_text(limits[currency], currency)} has "
            f"{money_text(max(left_minor, 0), currency)} left, and the next order may cost "
            f"{money_text(minor, currency)}"
        )
