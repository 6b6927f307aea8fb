"""State of a running simulator: keys, merchants, carts of devices, orders, and its clock."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections import Counter, OrderedDict, deque
from contextlib import asynccontextmanager
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from firmly_nb.sim.answers import ApiError
from firmly_nb.sim.behaviour import PROFILES, Moment, Profile, make_rng
from firmly_nb.sim.keys import Claims, KeyRing, Tokens
from firmly_nb.sim.merchants import merchants
from firmly_nb.sim.tape import Tape
from firmly_nb.sim.truth import TruthLog

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.requests import Request

    from firmly_nb.sim.cart import Cart
    from firmly_nb.sim.merchants import Merchant
    from firmly_nb.sim.settings import Settings


MOST_CARTS = 2_000
FIRST_ORDER_NUMBER = 100_004_711
RECENT_ORDERS = 50
MOST_MARKS = 20_000  # of the orders of late, two each


class World:
    """The state that the routes share. It lives on one event loop and needs no locks of its own."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.app_id = str(uuid.uuid4())
        self.keys = KeyRing()
        self.tokens = Tokens(self.app_id)
        self.tape = Tape(settings) if settings.replay else None
        self.merchants = self.tape.merchants if self.tape else merchants()
        self.truth = TruthLog(_folder(settings.folder))
        self.recent: deque[dict[str, Any]] = deque(maxlen=RECENT_ORDERS)
        self._postal_codes: OrderedDict[str, str] = OrderedDict()
        self._changes = 0
        self._marks: OrderedDict[str, str] = OrderedDict()
        self.repeats: deque[dict[str, Any]] = deque(maxlen=RECENT_ORDERS)
        # Working an order out takes a millisecond or two. When hundreds come at once they do so one
        # by one, so that the events of the streams that run are still sent at their times.
        self.desk = asyncio.Semaphore(1)
        self._carts: OrderedDict[tuple[str, str], Cart] = OrderedDict()
        self._turns: OrderedDict[str, asyncio.Lock] = OrderedDict()
        self._orders: Counter[str] = Counter()
        self._started = time.monotonic()
        self._started_at = time.time()

    async def rotate_key(self) -> str:
        """Put a new card key in place, without keeping others waiting, and return its id."""
        return await asyncio.to_thread(self.keys.rotate)

    def close(self) -> None:
        """End the threads and write the rest."""
        self.keys.close()
        self.truth.close()
        if self.tape:
            self.tape.close()

    def device(self, request: Request) -> Claims:
        """Return the claims of the device that asks."""
        return self.tokens.check(request.headers.get("x-firmly-authorization"))

    def merchant(self, domain: str) -> Merchant:
        """Return a merchant.

        Raises
        ------
        ApiError
            ``Forbidden``: stores are switched on for each app id. Which error the real service
            gives for another domain is unknown.
        """
        found = self.merchants.get(domain.lower())
        if found is None:
            if self.tape:
                raise ApiError("Forbidden", "no order of a merchant of that domain was recorded")
            raise ApiError("Forbidden", "the app id has no access to a merchant of that domain")
        return found

    def cart(self, device_id: str, merchant: Merchant) -> Cart | None:
        """Return a device's cart at a merchant."""
        key = (device_id, merchant.domain)
        if key in self._carts:
            self._carts.move_to_end(key)
        return self._carts.get(key)

    def put_cart(self, device_id: str, cart: Cart) -> None:
        """Keep a device's cart; the carts touched longest ago make room."""
        key = (device_id, cart.merchant.domain)
        self._carts[key] = cart
        self._carts.move_to_end(key)
        while len(self._carts) > MOST_CARTS:
            self._carts.popitem(last=False)

    def carts_of(self, device_id: str) -> list[Cart]:
        """Return all carts of a device."""
        return [cart for (owner, _), cart in self._carts.items() if owner == device_id]

    def postal_code(self, device_id: str) -> str:
        """Return a device's postal code, or an empty text."""
        return self._postal_codes.get(device_id, "")

    def set_postal_code(self, device_id: str, postal_code: str) -> None:
        """Keep a device's postal code."""
        self._postal_codes[device_id] = postal_code
        while len(self._postal_codes) > MOST_CARTS:
            self._postal_codes.popitem(last=False)

    @asynccontextmanager
    async def turn(self, device_id: str) -> AsyncIterator[None]:
        """Wait until no other request of the device is being worked on."""
        lock = self._turns.setdefault(device_id, asyncio.Lock())
        self._turns.move_to_end(device_id)
        async with lock:
            yield
        while len(self._turns) > MOST_CARTS and not next(iter(self._turns.values())).locked():
            self._turns.popitem(last=False)

    def count_order(self, domain: str) -> str:
        """Count an order at a merchant, and return its number if it goes through."""
        self._orders[domain] += 1
        return str(FIRST_ORDER_NUMBER + self.n_orders - 1)

    def first_of(self, order_number: str, **marks: str) -> dict[str, str]:
        """Remember an order by its marks, and return the order that had one of them before it.

        A client that sends one request twice orders twice. Each card is encrypted anew, and each
        request id is given once: the second order with the same is such a repeat.
        """
        found: dict[str, str] = {}
        for mark, value in marks.items():
            if not value:
                continue
            key = sha256(f"{mark} {value}".encode()).hexdigest()
            if key in self._marks:
                found = found or {"repeats": self._marks[key], "repeats_by": mark}
            else:
                self._marks[key] = order_number
        while len(self._marks) > MOST_MARKS:
            self._marks.popitem(last=False)
        return found

    def count_change(self) -> int:
        """Count a change to a cart, and return its running number."""
        self._changes += 1
        return self._changes

    def orders_at(self, domain: str) -> int:
        """Return the number of orders at a merchant, placed or not."""
        return self._orders[domain]

    @property
    def n_orders(self) -> int:
        """Number of orders, placed or not."""
        return self._orders.total()

    def moment(self, order_no: int) -> Moment:
        """Return the moment that drift and shifts depend on, by the simulator's own clock."""
        elapsed_s = (time.monotonic() - self._started) * self.settings.clock_rate
        hour = (self._started_at + elapsed_s) / 3600 % 24
        return Moment(order_no, elapsed_s / 3600, hour)

    def profile(self, merchant: Merchant, asked: str | None) -> tuple[str, Profile]:
        """Return the latency profile of an order: the request's, the merchant's, or the server's.

        A server that is ``instant`` is so everywhere.
        """
        if asked is not None and asked not in PROFILES:
            raise ApiError(
                "ErrorInvalidInputBody", "x-sim-profile: must be a profile of /sim/profiles"
            )
        default = self.settings.profile
        name = asked or (default if default == "instant" else merchant.profile or default)
        return name, PROFILES[name]

    def happens(self, share: float, *what: object) -> bool:
        """Return whether something of that probability happens; the same for the same seed."""
        return share >= 1 or make_rng(self.settings.seed, *what).random() < share


def who_and_where(request: Request) -> tuple[World, str, Merchant]:
    """Return the state, the device, and the merchant of a request."""
    world: World = request.app.state.world
    return world, request.state.device_id, world.merchant(request.path_params["domain"])


def _folder(path: str) -> Path | None:
    if not path:
        return None
    Path(path).mkdir(parents=True, exist_ok=True)
    return Path(path)
