"""What a sweep may use up: orders, minutes, money. Asked before each order."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from firmly_nb.api.money import format_minor, to_minor

# Behind staging stands somebody's test system, which also others use.
STAGING_ORDERS, STAGING_MINUTES = 25, 15.0
LOCAL_ORDERS, LOCAL_MINUTES = 10_000, 240.0


# Minor units and their currency.
Amount = tuple[int, str]


class BudgetError(ValueError):
    """A sweep that would go beyond its budget; nothing was sent."""


@dataclass(frozen=True, slots=True)
class Budget:
    """How much a sweep may use up; what is not given is the environment's own limit.

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
            raise ValueError(
                'budget: total_minor must say how much by currency, like {"USD": 50_000}, '
                f"got {limits!r}"
            )
        for currency, minor in (limits or {}).items():
            _check_limit(currency, minor)

    @classmethod
    def of(cls, given: Budget | Mapping[str, Any] | None) -> Budget:
        """Return a budget from what was given for it.

        Examples
        --------
        >>> Budget.of({"orders": 5})
        Budget(5 orders)
        """
        if given is None or isinstance(given, Budget):
            return given or cls()
        if not isinstance(given, Mapping):
            raise TypeError(f"budget must be a fnb.Budget or a dict, got {type(given).__name__}")
        unknown = set(given) - {f.name for f in fields(cls)}
        if unknown:
            raise ValueError(
                f"budget: unknown {', '.join(sorted(unknown))}; there are orders, minutes and "
                "total_minor"
            )
        return cls(**given)

    def within(self, *, local: bool) -> Budget:
        """Return the budget with the environment's own limits where none was given."""
        orders = self.orders or (LOCAL_ORDERS if local else STAGING_ORDERS)
        minutes = self.minutes or (LOCAL_MINUTES if local else STAGING_MINUTES)
        return Budget(orders, minutes, self.total_minor)

    def __repr__(self) -> str:
        parts = [f"{self.orders:,} orders"] if self.orders else []
        parts += [f"{self.minutes:g} minutes"] if self.minutes else []
        parts += [money_text(minor, c) for c, minor in (self.total_minor or {}).items()]
        return f"Budget({', '.join(parts) or 'the environment decides'})"


def _check_number(name: str, value: Any, *, whole: bool) -> None:
    if value is None:
        return
    is_number = isinstance(value, int if whole else int | float) and not isinstance(value, bool)
    if not is_number or not 0 < value < math.inf:
        what = "a whole number" if whole else "a number"
        raise ValueError(f"budget: {name} must be {what} above 0, got {value!r}")


def _check_limit(currency: Any, minor: Any) -> None:
    if not isinstance(currency, str) or not re.fullmatch(r"[A-Z]{3}", currency):
        raise ValueError(f'budget: {currency!r} is no currency; write it like "USD"')
    if isinstance(minor, bool) or not isinstance(minor, int) or minor < 0:
        raise ValueError(
            f"budget: total_minor[{currency!r}] must be a whole number of minor units "
            f"(cents), got {minor!r}"
        )


def amount_from(text: str | None) -> Amount | None:
    """Read back what :func:`money_text` wrote; None where it is no amount.

    Examples
    --------
    >>> amount_from("500.00 USD"), amount_from("plenty")
    ((50000, 'USD'), None)
    """
    number, _, currency = (text or "").replace(",", "").partition(" ")
    try:
        return (to_minor(number, currency), currency) if currency else None
    except ValueError:
        return None


def money_text(minor: int, currency: str) -> str:
    """Write an amount with its currency.

    Examples
    --------
    >>> money_text(50_000, "USD")
    '500.00 USD'
    """
    return f"{format_minor(minor, currency)} {currency}"
