"""Budget of a sweep: limits, spending, and whether one more order fits.

Money is set aside before an order is sent: what the merchant's own cart said that it costs, or the
dearest order of its kind so far, and a tenth more. The merchant is asked with the cart of a device
of its own, with the same items and address; it is emptied and never ordered.
"""

from __future__ import annotations

import asyncio
import math
import re
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, fields
from functools import partial
from typing import TYPE_CHECKING, Any

from firmly_nb.api.errors import FirmlyError
from firmly_nb.api.flow import Flow, request_of
from firmly_nb.api.money import from_minor, money_text, to_minor
from firmly_nb.api.snapshots import find_snapshot
from firmly_nb.devices import once_more
from firmly_nb.display.arguments import public
from firmly_nb.display.messages import coded_error, quoted, unknown, wrong_type
from firmly_nb.display.text import count

if TYPE_CHECKING:
    from firmly_nb.api.client import FirmlyClient, Session
    from firmly_nb.api.flow import Step
    from firmly_nb.api.models import Address, Item, Order
    from firmly_nb.api.secrets import SecretStr
    from firmly_nb.api.snapshots import Snapshot


# Behind staging stands somebody's test system, which also others use.
STAGING_ORDERS, STAGING_MINUTES = 25, 15.0
LOCAL_ORDERS, LOCAL_MINUTES = 10_000, 240.0


# Minor units and their currency.
Amount = tuple[int, str]


class BudgetError(ValueError):
    """Sweep beyond its budget; nothing was sent."""


@public
@dataclass(frozen=True, slots=True)
class Budget:
    """Limits of a sweep; a limit that is not given is the environment's own.

    Parameters
    ----------
    orders
        How many orders may be started; by default 25, on this machine's simulator 10,000.
    minutes
        After how many minutes no order is started any more; by default 15 and 240.
    total_minor
        How much may be ordered for, by currency, in minor units: ``{"USD": 50_000}`` is 500.00
        dollars. Orders in another currency are not started then. What an order costs is asked
        beforehand, with a cart that is not ordered, and a tenth more is set aside for it. By
        default money is no limit.

    Raises
    ------
    ValueError
        If a limit is not a positive number.

    Examples
    --------
    >>> Budget(orders=50, total_minor={"USD": 50_000})
    Budget(50 orders, 500.00 USD)
    """

    orders: int | None = None
    minutes: float | None = None
    total_minor: Mapping[str, int] | None = None

    def __post_init__(self) -> None:
        """Refuse limits that are none."""
        _check_number("orders", self.orders, whole=True)
        _check_number("minutes", self.minutes, whole=False)
        limits = self.total_minor
        if limits is not None and not (isinstance(limits, Mapping) and limits):
            text = f"budget.total_minor must be amounts by currency, got {quoted(limits)}."
            raise coded_error(ValueError, "FNB517", text + ' Example: {"USD": 50_000}.')
        for currency, minor in (limits or {}).items():
            _check_limit(currency, minor)

    @classmethod
    def of(cls, given: Budget | Mapping[str, Any] | None) -> Budget:
        """Return a budget from what was given for it.

        Parameters
        ----------
        given
            A budget, a dict of its fields, or None.

        Raises
        ------
        ValueError
            If a field or a value is not one of a budget.
        TypeError
            If it is neither a budget nor a dict.

        Examples
        --------
        >>> Budget.of({"orders": 5})
        Budget(5 orders)
        """
        if given is None or isinstance(given, Budget):
            return given or cls()
        if not isinstance(given, Mapping):
            raise wrong_type("budget", "a fnb.Budget or a dict", given, "fnb.Budget(orders=100)")
        limits = [f.name for f in fields(cls)]
        for name in given:
            if name not in limits:
                raise coded_error(ValueError, "FNB517", unknown("limit", name, limits, "budget"))
        return cls(**given)

    def within(self, *, local: bool) -> Budget:
        """Return the budget with the environment's own limits where none was given.

        Parameters
        ----------
        local
            Whether the merchant is the embedded simulator.

        Examples
        --------
        ::

            fnb.Budget(orders=10).within(local=True)
        """
        orders = self.orders or (LOCAL_ORDERS if local else STAGING_ORDERS)
        minutes = self.minutes or (LOCAL_MINUTES if local else STAGING_MINUTES)
        return Budget(orders, minutes, self.total_minor)

    def __repr__(self) -> str:
        parts = [count(self.orders, "order")] if self.orders else []
        parts += [f"{self.minutes:g} minutes"] if self.minutes else []
        parts += [money_text(minor, c) for c, minor in (self.total_minor or {}).items()]
        return f"Budget({', '.join(parts) or 'the environment decides'})"


def _check_number(name: str, value: Any, *, whole: bool) -> None:
    if value is None:
        return
    is_number = isinstance(value, int if whole else int | float) and not isinstance(value, bool)
    if not is_number or not 0 < value < math.inf:
        what = "a whole number" if whole else "a number"
        text = f"budget.{name} must be {what} above 0, got {quoted(value)}. Try {name}=100."
        raise coded_error(ValueError, "FNB517", text)


def _check_limit(currency: Any, minor: Any) -> None:
    if not isinstance(currency, str) or not re.fullmatch(r"[A-Z]{3}", currency):
        text = f"budget.total_minor: {quoted(currency)} is not a currency code. Example: USD."
        raise coded_error(ValueError, "FNB517", text)
    if isinstance(minor, bool) or not isinstance(minor, int) or minor < 0:
        text = (
            f"budget.total_minor[{currency!r}] must be whole minor units (cents), at least 0, got"
        )
        raise coded_error(ValueError, "FNB517", f"{text} {quoted(minor)}. For 500.00 pass 50_000.")


def amount_from(text: str | None) -> Amount | None:
    """Read back the text of :func:`noted_amount`; return None if it is not an amount.

    Examples
    --------
    >>> amount_from("500.00 USD"), amount_from("plenty")
    ((50000, 'USD'), None)
    """
    # Earlier versions wrote commas in thousands.
    number, _, currency = (text or "").replace(",", "").partition(" ")
    try:
        return (to_minor(number, currency), currency) if currency else None
    except ValueError:
        return None


def noted_amount(minor: int, currency: str) -> str:
    """Write an amount so that it can be read back: digits, a point, and its currency.

    Examples
    --------
    >>> noted_amount(1_234_500, "USD")
    '12345.00 USD'
    """
    return f"{from_minor(minor, currency):f} {currency}"


# What decides what an order costs: the shop, what is in it, and where it goes (shipping, tax).
What = tuple[str, "tuple[Item, ...]", "Address", "tuple[Step, ...]"]
GO, WAIT = "yes", "wait"


def what_of(order: Order) -> What:
    """Return what decides what an order costs."""
    steps = order.steps if isinstance(order, Flow) else ()
    return order.domain, order.items, order.shipping_info, steps


@dataclass
class Ledger:
    """Account of a sweep: orders, minutes and money.

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
        """Money of the budget by currency, in minor units; None if money has no limit."""
        return self.budget.total_minor

    def needs_price(self, what: What) -> bool:
        """Return whether the price of such an order must be found before it may be sent."""
        return self.limits is not None and what not in self._prices

    def note_price(self, what: What, amount: Amount) -> None:
        """Note what such an order costs; a dearer one that was seen counts."""
        known = self._prices.get(what, amount)
        self._prices[what] = amount if amount[1] != known[1] else max(known, amount)

    def asks(self, what: What, minutes: float) -> str:
        """Say whether an order may be started: ``GO``, ``WAIT`` for one in flight, or why not."""
        most = self.budget.orders
        if most is not None and self.started >= most:
            return f"the budget of {count(most, 'order')} is used up"
        if too_late := self.too_late(minutes):
            return too_late
        return GO if self.limits is None else self._asks_for_money(what, self.limits)

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
            raise coded_error(
                BudgetError,
                "FNB519",
                "This run has an order of unknown outcome and unknown price, so a budget of money "
                "cannot be kept. Resume without total_minor, or begin a new run. Nothing was sent.",
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
            return GO
        # One in flight may still be refused, or cost less, and leave enough.
        if reserved and minor <= left_minor:
            return WAIT
        return (
            f"the budget of {money_text(limits[currency], currency)} has "
            f"{money_text(max(left_minor, 0), currency)} left, and the next order may cost "
            f"{money_text(minor, currency)}"
        )


# A session that ends sooner is opened anew.
SESSION_LEFT_S = 60.0
UNKNOWN = "what the order costs is not known, and money is a limit"


@dataclass
class Quotes:
    """Prices of orders, asked from merchants one after another: a device has one call at a time.

    The total has shipping and tax in it; the cheapest shipping is chosen, as Place Order does.
    """

    client: FirmlyClient
    app_id: SecretStr
    _session: Session | None = None
    _asking: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def ask(self, order: Order) -> Amount:
        """Return the total of an order in minor units and its currency.

        Raises
        ------
        FirmlyError
            If the merchant does not say; with a budget of money such an order cannot be sent.
        """
        async with self._asking:
            # Once more where the session had ended: it is opened anew, and a cart costs nothing.
            cart = await once_more(partial(self._look, order))
        total = cart.total if cart else None
        if total is None:
            raise FirmlyError("NoTotal", f"{UNKNOWN}: the cart has no readable total")
        return total

    async def _look(self, order: Order) -> Snapshot | None:
        token = await self._token()
        try:
            return find_snapshot(await self._cart(order, token))
        except FirmlyError as error:
            error.description = f"{UNKNOWN}: {error.description}"
            if error.refuses_token:
                self._session = None
            raise
        finally:
            with suppress(FirmlyError):
                await self.client.change_cart("DELETE", order.domain, "line-items", token)

    async def _cart(self, order: Order, token: SecretStr) -> dict[str, Any]:
        if isinstance(order, Flow):
            return await self._cart_of_steps(order, token)
        change = partial(self.client.change_cart, "POST", order.domain)
        for number, item in enumerate(order.items):
            path = "line-items" if number else "line-items?flush_cart=true"
            await change(path, token, item.wire())
        address = order.shipping_info.model_dump(exclude_none=True)
        return await change("shipping-info", token, address)

    async def _cart_of_steps(self, flow: Flow, token: SecretStr) -> dict[str, Any]:
        await self.client.change_cart("DELETE", flow.domain, "line-items", token)
        cart: dict[str, Any] = {}
        for step in flow.steps:
            request = request_of(step, cart)
            cart = await self.client.change_cart(
                request.method, flow.domain, request.path, token, request.body
            )
        return cart

    async def _token(self) -> SecretStr:
        if self._session is None or self._session.left_s() < SESSION_LEFT_S:
            self._session = await self.client.browser_session(self.app_id)
        return self._session.access_token
