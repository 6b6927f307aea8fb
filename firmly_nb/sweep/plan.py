"""Which orders a sweep places, numbered, each exactly once.

What is compared is interleaved: one of each in a random order, then again one of each, so that a
merchant that grows slower by the minute is not mistaken for a difference between them.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Any

from firmly_nb.api.models import Order

if TYPE_CHECKING:
    from firmly_nb.api.models import Card


# What is ordered where, whoever it is for: what a recording tells of its order, too.
Kind = tuple[str, tuple[tuple[str, int], ...]]


def kind_of(order: Order) -> Kind:
    """Return the merchant, the items and how many."""
    return order.domain, tuple((item.variant_id, item.quantity) for item in order.items)


@dataclass(frozen=True, slots=True)
class Variant:
    """An order and what is special about placing it.

    Attributes
    ----------
    order
        What is ordered.
    card
        Its card; None for the sweep's.
    options
        Options of ``lab.place`` for it.
    tags
        What its recordings are tagged with.
    find_items
        Whether its items are those of another merchant: what stands in for them at its own is
        looked up before the sweep's first order (``stand_ins``).
    """

    order: Order
    card: Card | None = None
    options: dict[str, Any] = field(default_factory=dict, repr=False)  # headers may hold anything
    tags: dict[str, str] = field(default_factory=dict)
    find_items: bool = False


# What a sweep takes: one, several, or as they come.
Orders = Order | Variant | Iterable[Order | Variant]


@dataclass(frozen=True, slots=True)
class Planned:
    """One order of a plan and its number, from 1."""

    number: int
    variant: Variant


class Plan:
    """The orders of a sweep in order; from a generator it can be gone through once only.

    Attributes
    ----------
    size
        How many there are; None where only going through them tells.

    Examples
    --------
    >>> plan = Plan([Order.example(), Order.example(quantity=5)], count=4, seed=7)
    >>> [planned.variant.order.quantity for planned in plan], plan.size
    ([5, 1, 5, 1], 4)
    """

    def __init__(self, orders: Any, count: int | None, seed: int, *, endless: bool = False) -> None:
        self._one_pass: Iterator[Any] | None = None
        self._variants: Sequence[Variant] = ()
        self._seed = seed
        self.shuffled = False
        self.size: int | None = count
        if isinstance(orders, Iterator):
            self._one_pass = orders
            return
        self._variants = variants_of(orders)
        if not self._variants:
            raise ValueError("there is no order to place: the list is empty")
        if count is None and not endless:
            self.size = self._default_size(orders)
        several = self.size is None or self.size > len(self._variants)
        self.shuffled = len(self._variants) > 1 and (several or getattr(orders, "shuffled", False))

    @property
    def variants(self) -> Sequence[Variant]:
        """What is known beforehand of what will be ordered; empty for a generator."""
        return self._variants

    def settle(self, settled: Callable[[Variant], Variant]) -> None:
        """Replace each variant that is known beforehand by what it is found to be."""
        self._variants = tuple(settled(variant) for variant in self._variants)

    def __iter__(self) -> Iterator[Planned]:
        found = self._from_generator() if self._one_pass is not None else self._in_blocks()
        for number, variant in enumerate(islice(found, self.size), start=1):
            yield Planned(number, variant)

    def _default_size(self, orders: Any) -> int:
        if isinstance(orders, Order | Variant):
            raise ValueError(  # noqa: TRY004 - the type is right, the number is missing
                "say how many: count=20, or for how long: duration=600 (seconds)"
            )
        return len(self._variants)

    def _from_generator(self) -> Iterator[Variant]:
        for order in self._one_pass or ():
            yield as_variant(order)

    def _in_blocks(self) -> Iterator[Variant]:
        draw = random.Random(f"{self._seed}: blocks")  # noqa: S311 - a seeded draw, no secret
        block = list(self._variants)
        while True:
            if self.shuffled:
                draw.shuffle(block)
            yield from block


def variants_of(orders: Any) -> Sequence[Variant]:
    """Return what a sweep was given as a list of variants."""
    if isinstance(orders, Order | Variant):
        return (as_variant(orders),)
    if isinstance(orders, str | bytes | dict) or not isinstance(orders, Iterable):
        raise TypeError(
            "a sweep takes an Order, a list or generator of Orders, or fnb.grid(order, ...), "
            f"got {type(orders).__name__}"
        )
    return tuple(as_variant(order) for order in orders)


def as_variant(order: Any) -> Variant:
    """Return an order as a variant."""
    if isinstance(order, Variant):
        return order
    if not isinstance(order, Order):
        raise TypeError(f"a sweep places Orders, got {type(order).__name__}")
    return Variant(order)
