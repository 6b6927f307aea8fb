"""The tape of a replay: recorded orders, found by what they asked for, with their times.

It has one line an order: what it asked for, a tab, and what came back. ``exchange/tape.py`` writes
it. Only what was asked for is kept in memory; the rest is read when its turn comes.
"""

from __future__ import annotations

import contextlib
from bisect import bisect_right
from collections import Counter, OrderedDict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from firmly_nb.sim.answers import ApiError
from firmly_nb.sim.behaviour import make_rng
from firmly_nb.sim.merchants import PLENTY, Merchant, Product, Variant
from firmly_nb.sim.settings import factors_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from firmly_nb.sim.settings import Settings


SHOWN = 5  # recorded orders, in an error
MOST_CARTS = 2_000

Items = tuple[tuple[str, int], ...]


class Tape:
    """Recorded orders, found by what they asked for.

    Attributes
    ----------
    merchants
        Merchants of whom there are orders, with what was ordered of them.
    """

    def __init__(self, settings: Settings) -> None:
        self._seed = settings.seed if settings.drawn else None
        self._speed = settings.speed
        self._factors = factors_of(settings.slow)
        path = Path(settings.replay)
        self._file = path.open("rb")
        with contextlib.suppress(OSError):  # it lives as long as it is open; not so on Windows
            path.unlink()
        self._lines: dict[tuple[str, bool, Items], list[int]] = {}
        self._turns: Counter[tuple[str, bool, Items]] = Counter()
        self._carts: OrderedDict[tuple[str, str], Any] = OrderedDict()
        last, at = b"{}", 0
        for text in self._file:
            asked, tab, _ = text.partition(b"\t")
            if tab:
                domain, sse, items = orjson.loads(asked)
                self._lines.setdefault((domain, sse, _key(items)), []).append(at)
            last, at = text, at + len(text)
        self.merchants = {
            domain: _merchant(domain, known) for domain, known in orjson.loads(last).items()
        }

    @property
    def n_orders(self) -> int:
        """Number of recorded orders."""
        return sum(map(len, self._lines.values()))

    def take(self, domain: str, items: Sequence[tuple[Mapping[str, Any], int]], sse: bool) -> Any:
        """Return what came back for such an order: in turn, or drawn.

        Raises
        ------
        ApiError
            ``ErrorProductNotFound``: such an order was never recorded.
        """
        pairs = [[str(reference["variant_id"]), quantity] for reference, quantity in items]
        asked = domain, sse, _key(sorted(pairs, key=str))
        found = self._lines.get(asked)
        if not found:
            raise ApiError("ErrorProductNotFound", self._never_recorded(*asked))
        turn = self._turns[asked]
        self._turns[asked] += 1
        if self._seed is None:
            at = found[turn % len(found)]
        else:
            at = make_rng(self._seed, domain, sse, *asked[2], turn).choice(found)
        self._file.seek(at)
        return orjson.loads(self._file.readline().partition(b"\t")[2])

    def _never_recorded(self, domain: str, sse: bool, items: Items) -> str:
        if (domain, not sse, items) in self._lines:
            other = "without" if sse else "with"
            return (
                f"this order was recorded only {other} events: {_in_words(items)} at {domain}; "
                f"ask for it {other} sse=true"
            )
        there = [key[2] for key in self._lines if key[:2] == (domain, sse)]
        listed = "; ".join(map(_in_words, there[:SHOWN]))
        more = f"; and {len(there) - SHOWN} others" if len(there) > SHOWN else ""
        return (
            f"this order was never recorded: {_in_words(items)} at {domain}; "
            f"recorded there: {listed or 'none'}{more}"
        )

    def warped(self, answer: Mapping[str, Any]) -> Warp:
        """Return how the times of an order are changed."""
        return Warp(answer["parts"], self._factors, self._speed)

    def keep_cart(self, device_id: str, domain: str, cart: Any) -> None:
        """Keep what a question for a device's cart found after an order."""
        self._carts[device_id, domain] = cart
        self._carts.move_to_end((device_id, domain))
        while len(self._carts) > MOST_CARTS:
            self._carts.popitem(last=False)

    def cart_of(self, device_id: str, domain: str) -> Any:
        """Return a device's cart as it was found after its last order.

        Raises
        ------
        ApiError
            ``ErrorCartNotFound``: nobody asked for it then, and no event told it.
        """
        cart = self._carts.get((device_id, domain))
        if cart is None:
            raise ApiError("ErrorCartNotFound", "the cart after this order was never recorded")
        return cart

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def _key(items: Sequence[Sequence[Any]]) -> Items:
    return tuple((variant, quantity) for variant, quantity in items)


def _in_words(items: Items) -> str:
    return ", ".join(f"{quantity} x {variant}" for variant, quantity in items)


class Warp:
    """Recorded times of an order as times of its replay: stages slower, all of it faster.

    Examples
    --------
    >>> parts = [[10, "", "item-added", "item-added"], [30, "", "order-placed", "order-placed"]]
    >>> warp = Warp(parts, {"order-placed": 2.0}, speed=10)
    >>> [warp(10), warp(20), warp(30), warp(40)]
    [1, 3, 5, 6]
    """

    def __init__(
        self, parts: Sequence[Sequence[Any]], factors: Mapping[str, float], speed: float
    ) -> None:
        self._speed = speed
        self._from, self._to, self._factors = [0], [0.0], [1.0]
        for t_ns, _, _, stage in parts:
            if stage:
                factor = factors.get(stage, 1.0)
                # The factor of a stage holds from the milestone before it on.
                self._factors[-1] = factor
                self._to.append(self._to[-1] + (t_ns - self._from[-1]) * factor)
                self._from.append(t_ns)
                self._factors.append(1.0)

    def __call__(self, t_ns: int) -> int:
        """Return when something is due, in ns, that was recorded at a time."""
        n = max(bisect_right(self._from, t_ns) - 1, 0)
        # What came with a milestone goes with it, not with the next stage.
        if n and self._from[n] == t_ns:
            n = self._from.index(t_ns)
        due = self._to[n] + (t_ns - self._from[n]) * self._factors[n]
        return round(due / self._speed)


def _merchant(domain: str, known: Mapping[str, Mapping[str, Any]]) -> Merchant:
    """Return a merchant with what was ordered of it, as its carts told it."""
    currencies = [told["currency"] for told in known.values() if "currency" in told]
    return Merchant(
        domain,
        domain,
        "recorded",
        "as recorded",
        tuple(_product(variant, told) for variant, told in known.items()),
        currency=currencies[0] if currencies else "USD",
    )


def _product(variant_id: str, told: Mapping[str, Any]) -> Product:
    title, options = told.get("title", variant_id), (told.get("options", variant_id),)
    variant = Variant(
        variant_id=variant_id,
        product_id=variant_id,
        handles=(variant_id,),
        title=title,
        options=options,
        hundredths=100 * told.get("price", 0),
        msrp=told.get("price", 0),
        stock=PLENTY if told.get("seen") else 0,
        weight_g=0,
        image=told.get("image", ""),
    )
    return Product(
        variant_id, title, variant_id, title, "recorded", {"Variant": options}, (variant,)
    )
