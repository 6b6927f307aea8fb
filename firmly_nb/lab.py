"""``Lab``: everything that a lab can be asked.

- ``place``, ``start``: one order, waited for or left running (``attempt``);
- ``sweep``, ``start_sweep``: many orders on a schedule;
- ``compare``: two orders or two labs in turns, until it is sure whether B is slower;
- ``products``, ``variants``, ``search``: what can be ordered;
- ``cart``: what a merchant holds; ``session``, ``public_key``: with what it is asked;
- ``settle``: whether an order exists, where that is unknown;
- ``calibrate``: how far off times are on this machine; ``doctor``: what is reached, and how;
- ``conformance``: what the API does, held against its description;
- ``last``, ``last_sweep``, ``environment``, ``simulator``, ``journal``: what is at hand; ``close``.

A verb waits, also inside a running event loop; its twin ``*_async`` is awaited and lets others run.
Both behave the same in a cell, a script and a thread.
"""

from __future__ import annotations

import os
import weakref
from contextlib import contextmanager
from dataclasses import asdict
from functools import partial
from inspect import signature
from typing import TYPE_CHECKING, Any, NoReturn, Self, TypeVar, Unpack

from firmly_nb import catalogue, environments
from firmly_nb.api.models import Card, Item, Order
from firmly_nb.attempt import Attempt, EventLines
from firmly_nb.background import (
    Running,
    check_thread,
    close_at_exit,
    close_soon,
    follow,
    follow_async,
    forget,
    forked,
    submit,
)
from firmly_nb.checkout import CartCalls, Checkout, orders
from firmly_nb.display.arguments import public, watched
from firmly_nb.display.messages import check_names, coded_error, wrong_type
from firmly_nb.display.text import count
from firmly_nb.docstrings import meanings_of, takes_options, tells_twins
from firmly_nb.environments import DEMO_MERCHANT, Environment, guard
from firmly_nb.options import Options, PlaceOptions, options_of
from firmly_nb.reach import Reach, look
from firmly_nb.recorder import calibration
from firmly_nb.recordings.recording import Recording

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator, Mapping
    from pathlib import Path
    from types import TracebackType

    import pandas as pd

    from firmly_nb.conformance.result import Conformance
    from firmly_nb.engine import Bench
    from firmly_nb.recorder.calibration import Calibration
    from firmly_nb.recorder.records import Record
    from firmly_nb.recordings.recordings import Recordings
    from firmly_nb.sim.server import Simulator
    from firmly_nb.sweep.budget import Budget
    from firmly_nb.sweep.plan import Orders, Variant
    from firmly_nb.sweep.study import Study, StudyComparison
    from firmly_nb.sweep.sweep import Sweep


Result = TypeVar("Result")
Call = TypeVar("Call", bound="Callable[..., Any]")


class SweepOptions(PlaceOptions, total=False):
    """Arguments of a sweep.

    Attributes
    ----------
    count
        Number of orders.
    rate
        Orders a second, or a text such as ``"30/min"``. They start on time, whatever still runs.
    concurrency
        Most orders in flight; without a rate, that many always.
    arrival
        ``"constant"``, ``"poisson"`` or ``"closed"``.
    duration
        Seconds, or a text such as ``"10 min"``.
    seed
        Seed of everything random.
    budget
        A ``fnb.Budget``, or a dict of its fields.
    name
        A name to find the sweep again.
    resume
        ``run_id`` of a run that was stopped or killed. With the same orders, it places the rest.
    on
        A ``distributed.Client``: the machines of its cluster place the orders; see
        docs/several-machines.md.
    """

    count: int | None
    rate: float | str | None
    concurrency: int | None
    arrival: str | None
    duration: float | str | None
    seed: int | None
    budget: Budget | Mapping[str, Any] | None
    name: str | None
    resume: str | None
    on: Any


class CompareOptions(PlaceOptions, total=False):
    """Arguments of :meth:`Lab.compare`; the rest are as those of a sweep.

    Attributes
    ----------
    margin, tail_margin, placed_margin, slo_ms
        As of ``recs.compare``, stated before the first order.
    count
        How many orders of each side are placed at most: a multiple of 10, at least 50.
    until
        ``"decided"`` stops once B is worse, better or unchanged; None places all orders first.
    budget
        A ``fnb.Budget`` for all orders of both sides.
    """

    margin: float | str
    count: int
    until: str | None
    budget: Budget | Mapping[str, Any] | None
    tail_margin: float | str
    placed_margin: float | str
    slo_ms: float | str | None
    rate: float | str | None
    concurrency: int | None
    arrival: str | None
    seed: int | None
    name: str | None
    resume: str | None


COMPARE_DEFAULTS: dict[str, Any] = {
    "margin": 0.10,
    "count": 600,
    "until": "decided",
    "budget": None,
    "tail_margin": 0.05,
    "placed_margin": 0.05,
    "slo_ms": None,
    "run_id": None,
    "resume": None,
    "seed": None,
}


def _places(names: Any) -> Callable[[Call], Call]:
    """Mark a verb that orders: its options are told, and so is who interrupts it."""
    meanings = meanings_of(PlaceOptions, SweepOptions, names)
    defaults = asdict(Options()) | (COMPARE_DEFAULTS if names is CompareOptions else {})
    document = takes_options(names, defaults, meanings)
    watch = orders if names is PlaceOptions else watched(_watch_sweep)
    return lambda function: watch(document(function))


@contextmanager
def _watch_sweep(lab: Lab) -> Iterator[None]:
    before = lab.last_sweep
    try:
        with lab._bench.watch(lambda: lab.last_sweep is not before):  # noqa: SLF001 - its own
            yield
    except KeyboardInterrupt:
        if lab.last_sweep is before:
            lab._last_sweep = None  # noqa: SLF001 - its own
        raise


@public
@tells_twins
class Lab(CartCalls):
    """Client that places and records orders in one environment.

    Made by :func:`connect`. Use it as a context manager, or call :meth:`close`; a lab that is
    forgotten is closed by itself.

    Examples
    --------
    ::

        with fnb.connect(profile="instant") as other:
            rec = other.place(fnb.Order.example())
    """

    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self._last_sweep: Sweep | None = None
        self._pid = os.getpid()
        # The finalizer closes a forgotten lab, the exit hook one that is still there at the end.
        at_exit = close_at_exit(bench.aclose)
        self._finalizer = weakref.finalize(self, _close_in_background, bench, at_exit)
        self._finalizer.atexit = False
        self._at_exit = at_exit

    @property
    def environment(self) -> Environment:
        """Environment of the lab: name, hosts and allow-list."""
        return self._bench.environment

    @property
    def simulator(self) -> Simulator | None:
        """Embedded simulator; None in other environments."""
        return self._bench.simulator

    @property
    def closed(self) -> bool:
        """True once the lab is closed: nothing can be asked or ordered with it any more."""
        return not self._finalizer.alive

    @property
    def last(self) -> Recording | None:
        """Recording of the last order, even one that is under way; None if it was not sent."""
        return self._bench.last

    @property
    def last_sweep(self) -> Sweep | None:
        """Last sweep, even a stopped one; None before the first."""
        return self._last_sweep

    @property
    def journal(self) -> Path:
        """Folder where each event is written before it is shown."""
        return self._bench.journal

    @_places(PlaceOptions)
    def place(
        self,
        order: Order,
        card: Card | None = None,
        *,
        progress: bool = True,
        on_record: Callable[[Record], None] | None = None,
        **options: Unpack[PlaceOptions],
    ) -> Recording:
        """Place an order and record it; a line is shown for each event as it arrives.

        Parameters
        ----------
        order
            What to order.
        card
            A test card; by default ``Card.test()``. It is encrypted in this process.
        progress
            Whether lines are shown.
        on_record
            Gets each record as it comes, e.g. ``timeline.feed``; see :meth:`start`.
        **options
            Options of the order.

        Returns
        -------
        Recording
            Whatever the outcome: a declined order is a result, not an exception.

        Raises
        ------
        GuardError
            If it may not be ordered there; nothing was sent.
        FirmlyError
            If no session or key could be had; nothing was ordered.
        KeyboardInterrupt
            On Ctrl-C. It says whether there may be an order. The stream is closed, and ``lab.last``
            has what was recorded: None means that nothing was sent.

        Examples
        --------
        ::

            rec = lab.place(order, fnb.Card.test())
        """
        attempt = self._attempt(order, card, on_record, options)
        return attempt.wait(lines=EventLines() if progress else None)

    @_places(PlaceOptions)
    async def place_async(
        self,
        order: Order,
        card: Card | None = None,
        *,
        progress: bool = True,
        on_record: Callable[[Record], None] | None = None,
        **options: Unpack[PlaceOptions],
    ) -> Recording:
        """Place an order and record it; see :meth:`place`. Cancelling the task cancels it."""
        attempt = self._attempt(order, card, on_record, options)
        return await attempt.wait_async(lines=EventLines() if progress else None)

    @_places(PlaceOptions)
    def start(
        self,
        order: Order,
        card: Card | None = None,
        *,
        on_record: Callable[[Record], None] | None = None,
        **options: Unpack[PlaceOptions],
    ) -> Attempt:
        """Begin an order and return at once; nothing is shown.

        The attempt can be waited for, cancelled and asked for its recording. ``on_record`` gets
        each record once it is in the journal, on the background thread: it must not block.
        The other arguments and the errors are those of :meth:`place`.

        Parameters
        ----------
        order
            What to order.
        card
            A test card; by default ``Card.test()``.
        on_record
            Called with each record once it is in the journal, on the background thread; it must not
            block.
        **options
            Those of an order.

        Raises
        ------
        GuardError
            If it may not be ordered there; nothing was sent.
        TypeError
            If ``order`` is not an order.
        RuntimeError
            If the lab is closed.

        Examples
        --------
        ::

            begun = lab.start(order)
            rec = begun.wait()
        """
        attempt = self._attempt(order, card, on_record, options)
        try:
            attempt.begin()
        except KeyboardInterrupt:  # nobody would know of it
            attempt.cancel()
            raise
        return attempt

    def _attempt(
        self,
        order: Order,
        card: Card | None,
        on_record: Callable[[Record], None] | None,
        options: PlaceOptions,
    ) -> Attempt:
        """Check an order and make it ready to begin."""
        if not isinstance(order, Order):
            raise wrong_type("order", "a fnb.Order", order, "fnb.Order.example()")
        bench, card, how = self._open(), card or Card.test(), options_of("place()", options)
        guard(self.environment, order.domain, card, by_calls=order.by_calls)
        return Attempt(self, bench, order, card, how, on_record)

    @_places(SweepOptions)
    def sweep(
        self,
        orders: Orders,
        card: Card | None = None,
        *,
        progress: bool = True,
        **arguments: Unpack[SweepOptions],
    ) -> Recordings:
        """Place many orders on a schedule, within a budget, and record each.

        Ctrl-C closes the streams, keeps everything (``lab.last_sweep.recordings``) and raises.

        Parameters
        ----------
        orders
            An ``Order``, a list or generator of them, or ``fnb.grid(order, quantity=[1, 5])``.
            Several are interleaved where ``count`` is larger.
        card
            A test card; by default ``Card.test()``.
        progress
            Whether a bar is shown.
        **arguments
            Arguments of the sweep, and options of each order.

        Raises
        ------
        ValueError
            If an argument is wrong, or the plan is beyond the budget; nothing was sent.
        GuardError
            If something of it may not be ordered there; nothing was sent.

        Examples
        --------
        ::

            recs = lab.sweep(order, count=10, rate="600/min", progress=False)
        """
        from firmly_nb.sweep.cluster import check_loop
        from firmly_nb.sweep.progress import bar

        check_loop(arguments.get("on"))
        return self.start_sweep(orders, card, **arguments).wait(
            show=bar().show if progress else None
        )

    @_places(SweepOptions)
    async def sweep_async(
        self,
        orders: Orders,
        card: Card | None = None,
        *,
        progress: bool = True,
        **arguments: Unpack[SweepOptions],
    ) -> Recordings:
        """Place many orders; see :meth:`sweep`. Cancelling the task stops it."""
        from firmly_nb.sweep.progress import bar

        started = self.start_sweep(orders, card, **arguments)
        return await started.wait_async(show=bar().show if progress else None)

    @_places(SweepOptions)
    def start_sweep(
        self, orders: Orders, card: Card | None = None, **arguments: Unpack[SweepOptions]
    ) -> Sweep:
        """Begin a sweep and return at once: it can be watched, stopped and waited for.

        Nothing is shown. The arguments and errors are those of :meth:`sweep`.

        Parameters
        ----------
        orders
            An ``Order``, a list or generator of them, or ``fnb.grid(...)``.
        card
            A test card; by default ``Card.test()``.
        **arguments
            Those of a sweep, and of each order.

        Raises
        ------
        ValueError
            If an argument is wrong, or the plan is beyond the budget; nothing was sent.
        GuardError
            If something of it may not be ordered there; nothing was sent.

        Examples
        --------
        ::

            sweep = lab.start_sweep(order, count=3, rate=50)
            recs = sweep.wait()
        """
        from firmly_nb.sweep.sweep import begin

        bench = self._open()
        try:
            sweep = begin(bench, orders, card, bench.kept.for_sweep(arguments), keeper=self)
        except (ValueError, TypeError) as error:
            wrong = bench.kept.blamed(error, arguments)
        else:
            self._last_sweep = sweep
            return sweep
        raise wrong

    @_places(CompareOptions)
    def compare(
        self,
        order_a: Order | Variant,
        order_b: Order | Variant | None = None,
        card: Card | None = None,
        *,
        other: Lab | None = None,
        progress: bool = True,
        **arguments: Unpack[CompareOptions],
    ) -> StudyComparison:
        """Compare two orders, or one order in two labs, and stop as soon as it is sure.

        Orders take turns in blocks of ten and ten, in a random order. After each fifth block all
        of them are compared; what each look shows is told while it runs. All looks together are
        wrong as seldom as one comparison. Ctrl-C keeps everything and raises; ``resume`` goes on.

        Parameters
        ----------
        order_a
            What A orders; also a part of ``fnb.grid``.
        order_b
            What B orders; by default the same as A, in the other lab.
        card
            A test card; by default ``Card.test()``.
        other
            The lab of B: another release. By default both are ordered here.
        progress
            Whether a bar and the looks are shown.
        **arguments
            Arguments of the comparison, and options of each order.

        Returns
        -------
        StudyComparison
            As of ``recs.compare``, with ``.recordings``, ``.a``, ``.b`` and ``.looks``.

        Raises
        ------
        ValueError
            If an argument is wrong, or the plan is beyond the budget; nothing was sent.
        GuardError
            If something of it may not be ordered there; nothing was sent.

        Examples
        --------
        >>> import firmly_nb as fnb
        >>> with fnb.connect(profile="instant") as lab:
        ...     slow = {"as it is": {}, "slow": {"x-sim-profile": "calm"}}
        ...     a, b = fnb.grid(fnb.Order.example(), headers=slow)
        ...     found = lab.compare(a, b, count=50, concurrency=4, progress=False)
        >>> found.order.verdict
        'slower'
        """
        from firmly_nb.sweep.study import watched

        study = self._study((order_a, order_b), card, other, arguments)
        with watched(study, shown=progress) as show:
            for block in study.blocks():
                self._last_sweep = block
                block.wait(show=show)
        return study.result()

    @_places(CompareOptions)
    async def compare_async(
        self,
        order_a: Order | Variant,
        order_b: Order | Variant | None = None,
        card: Card | None = None,
        *,
        other: Lab | None = None,
        progress: bool = True,
        **arguments: Unpack[CompareOptions],
    ) -> StudyComparison:
        """Compare two orders or two labs; see :meth:`compare`. Cancelling the task stops it."""
        from firmly_nb.sweep.study import watched

        study = self._study((order_a, order_b), card, other, arguments)
        with watched(study, shown=progress) as show:
            for block in study.blocks():
                self._last_sweep = block
                await block.wait_async(show=show)
        return study.result()

    def _study(
        self,
        orders: tuple[Any, Any],
        card: Card | None,
        other: Lab | None,
        arguments: Mapping[str, Any],
    ) -> Study:
        """Check what a comparison is asked with; nothing is sent yet."""
        from firmly_nb.sweep.study import study

        if other is not None and not isinstance(other, Lab):
            raise wrong_type("other", "a lab", other, "fnb.connect(...)")
        check_names("compare()", arguments, signature(Lab.compare).parameters)
        asked = {name: arguments.get(name, left) for name, left in COMPARE_DEFAULTS.items()}
        rest = {name: value for name, value in arguments.items() if name not in asked}
        labs = [self] if other is None or other is self else [self, other]
        benches = [lab._open() for lab in labs]  # noqa: SLF001 - of its own kind
        return study(benches, orders, card, asked, rest)

    @_places(PlaceOptions)
    def flow(
        self,
        domain: str = DEMO_MERCHANT,
        *,
        progress: bool = True,
        on_record: Callable[[Record], None] | None = None,
        **options: Unpack[PlaceOptions],
    ) -> Checkout:
        """Begin an order that is made call by call with an existing cart.

        Use it with ``with`` or ``async with``. Each call is recorded as a stage of one recording,
        which ``complete_order`` returns; pauses between calls are in no time but the wall time.
        A flow has a device, and so a cart, of its own. ``timeout_s`` limits each call.

        Parameters
        ----------
        domain
            The merchant.
        progress
            Whether a line is shown for each call.
        on_record
            Called with each record as it arrives, on the background thread.
        **options
            Those of :meth:`place`; ``timeout_s`` is the limit of each call.

        Raises
        ------
        GuardError
            If nothing may be ordered at the merchant; nothing was sent.

        Examples
        --------
        >>> import firmly_nb as fnb
        >>> with fnb.connect(profile="instant") as lab, lab.flow(progress=False) as flow:
        ...     cart = flow.add_line_item(fnb.Item(variant_id="WS12-XS-Orange"))
        ...     cart = flow.set_shipping_info(fnb.Address.example())
        ...     flow.complete_order().stages["stage"].tolist()
        ['add-line-item', 'set-shipping-info', 'complete-order']
        """
        bench, how = self._open(), options_of("flow()", options)
        guard(self.environment, domain, None, by_calls=True)
        show = EventLines().show if progress else None
        bench.last = None  # an earlier order is not this one
        return Checkout(bench, bench.begin_flow(domain, how), show, on_record, self)

    def session(self, *, renew: bool = False) -> pd.Series[Any]:
        """Return the device's session: ``device_id``, ``expires``; the token stays inside.

        Parameters
        ----------
        renew
            Whether to begin a new session.

        Raises
        ------
        FirmlyError
            If the API refuses the call.
        RuntimeError
            If the lab is closed.

        Examples
        --------
        ::

            lab.session()["device_id"]
        """
        return follow(self._ask(catalogue.session, renew=renew))

    async def session_async(self, *, renew: bool = False) -> pd.Series[Any]:
        """See :meth:`session`."""
        return await follow_async(self._ask(catalogue.session, renew=renew))

    def public_key(self) -> dict[str, Any]:
        """Return the public key for cards: ``kid`` and the JWK.

        Raises
        ------
        FirmlyError
            If the API refuses the call.
        RuntimeError
            If the lab is closed.

        Examples
        --------
        ::

            lab.public_key()["kid"]
        """
        return follow(self._ask(catalogue.public_key))

    async def public_key_async(self) -> dict[str, Any]:
        """See :meth:`public_key`."""
        return await follow_async(self._ask(catalogue.public_key))

    def products(self, domain: str = DEMO_MERCHANT) -> pd.DataFrame:
        """List a merchant's products: ``handle``, ``title``, ``url``.

        Parameters
        ----------
        domain
            Host name of the merchant.

        Raises
        ------
        ValueError
            If ``domain`` is not a host name; nothing was sent.
        FirmlyError
            If the API refuses the call.
        RuntimeError
            If the lab is closed.

        Examples
        --------
        ::

            lab.products()[["handle", "title"]]
        """
        return follow(self._ask(catalogue.products, domain))

    async def products_async(self, domain: str = DEMO_MERCHANT) -> pd.DataFrame:
        """See :meth:`products`."""
        return await follow_async(self._ask(catalogue.products, domain))

    def variants(self, handle: str, domain: str = DEMO_MERCHANT) -> pd.DataFrame:
        """List what can be ordered of a product: one row a variant, with what ``Item`` needs.

        Parameters
        ----------
        handle
            Handle of the product, from ``lab.products()``.
        domain
            Host name of the merchant.

        Raises
        ------
        ValueError
            If ``handle`` is empty, or ``domain`` not a host name; nothing was sent.
        FirmlyError
            If the API refuses the call.
        RuntimeError
            If the lab is closed.

        Examples
        --------
        ::

            lab.variants("radiant-tee")
        """
        return follow(self._ask(catalogue.variants, domain, handle))

    async def variants_async(self, handle: str, domain: str = DEMO_MERCHANT) -> pd.DataFrame:
        """See :meth:`variants`."""
        return await follow_async(self._ask(catalogue.variants, domain, handle))

    def item(
        self, product: str | pd.Series[Any], domain: str | None = None, *, quantity: int = 1
    ) -> Item:
        """Return an item of a product: its first variant that can be ordered.

        Parameters
        ----------
        product
            A handle, or a row of ``lab.products()`` or ``lab.search()``.
        domain
            The merchant; by default that of the row, or the demo merchant.
        quantity
            How many to order.

        Raises
        ------
        ValueError
            If the handle is empty, or the domain not a host name; nothing was sent.
        FirmlyError
            If the API refuses the call.
        TypeError
            If ``product`` is neither a handle nor a row of a catalogue.
        RuntimeError
            If the lab is closed.

        Examples
        --------
        ::

            lab.item("radiant-tee")
        """
        return follow(self._ask(catalogue.item, product, domain, quantity))

    async def item_async(
        self, product: str | pd.Series[Any], domain: str | None = None, *, quantity: int = 1
    ) -> Item:
        """See :meth:`item`."""
        return await follow_async(self._ask(catalogue.item, product, domain, quantity))

    def search(self, query: str, **filters: Any) -> pd.DataFrame:
        """Search products over all merchants: ``domain``, ``handle``, ``title``, prices.

        Parameters
        ----------
        query
            Words to search for.
        **filters
            Filters as the API names them, such as ``domains``, ``min_price`` and ``in_stock``.

        Raises
        ------
        ValueError
            If ``query`` has no words; nothing was sent.
        FirmlyError
            If the API refuses the call.
        RuntimeError
            If the lab is closed.

        Examples
        --------
        ::

            lab.search("hoodie")
        """
        return follow(self._ask(catalogue.search, query, filters))

    async def search_async(self, query: str, **filters: Any) -> pd.DataFrame:
        """See :meth:`search`."""
        return await follow_async(self._ask(catalogue.search, query, filters))

    def cart(self, of: str | Recording = DEMO_MERCHANT) -> dict[str, Any]:
        """Return the cart of an order, or of this lab's last order at a merchant.

        After an order with an unknown end: ``cart_status`` "submitted" with a
        ``platform_order_number`` means that it went through. Orders that ran at the same time have
        carts of their own: give the recording then. Secrets are taken out.

        Parameters
        ----------
        of
            Host name of a merchant: the cart of the lab's own device. Or a recording: that of its
            device.

        Raises
        ------
        ValueError
            If ``of`` is neither a host name nor a recording; nothing was sent.
        FirmlyError
            If the API refuses the call.
        RuntimeError
            If the lab is closed.

        Examples
        --------
        ::

            lab.cart()
        """
        return follow(self._ask(catalogue.cart, of))

    async def cart_async(self, of: str | Recording = DEMO_MERCHANT) -> dict[str, Any]:
        """See :meth:`cart`."""
        return await follow_async(self._ask(catalogue.cart, of))

    def settle(self, rec: Recording) -> Recording:
        """Find out whether an order exists where that is unknown, and return its recording anew.

        The merchant's cart is asked for with the device that placed the order; nothing is ordered.
        The order exists if the same cart is submitted with an order number, and does not if the
        cart is still active. What was found is in ``order_exists`` and ``evidence``, and is written
        into the journal. A recording of which it is known is returned as it is.

        A merchant that is still at work may submit an active cart later: wait before you settle.

        Parameters
        ----------
        rec
            Recording of an order whose existence is unknown.

        Raises
        ------
        LookupError
            If the order was not placed in this lab: only its session sees the cart.
        FirmlyError
            If the cart cannot be asked for.

        Examples
        --------
        >>> import firmly_nb as fnb
        >>> with fnb.connect(profile="instant") as lab:
        ...     lost = {"x-sim-fault": "lost-confirmation"}
        ...     rec = lab.place(fnb.Order.example(), progress=False, headers=lost)
        ...     rec.order_exists, lab.settle(rec).order_exists
        ('unknown', 'yes')
        """
        return follow(self._settle(rec))

    async def settle_async(self, rec: Recording) -> Recording:
        """Find out whether an order exists; see :meth:`settle`."""
        return await follow_async(self._settle(rec))

    def _settle(self, rec: Recording) -> Running[Recording]:
        if not isinstance(rec, Recording):
            raise wrong_type("rec", "a recording of an order", rec, "lab.settle(lab.last)")
        return submit(self._open().settle, rec)

    def calibrate(self, *, events: int = 200, seed: int = 7, tls: bool = False) -> Calibration:
        """Measure how far off recorded times are on this machine, now; takes some 5 seconds.

        A local sender sends a known pattern through the path that an order takes, once while this
        process waits and once while it computes. Nothing is ordered, nothing is kept.

        Parameters
        ----------
        events
            Number of events to send.
        seed
            Seed of the times between events.
        tls
            Whether the connection is HTTPS.

        Raises
        ------
        ValueError
            If ``events`` is below 1.
        CalibrationError
            If this machine cannot send the events.
        RuntimeError
            If the lab is closed.

        Examples
        --------
        ::

            lab.calibrate(events=50)
        """
        return calibration.calibrate(events=events, seed=seed, tls=tls)

    async def calibrate_async(
        self, *, events: int = 200, seed: int = 7, tls: bool = False
    ) -> Calibration:
        """See :meth:`calibrate`."""
        return await calibration.calibrate_async(events=events, seed=seed, tls=tls)

    def doctor(self) -> Reach:
        """Look at each step on the way of an order, and order nothing.

        Name, proxy, connection and certificate of each host, then session, key, catalogue,
        allow-list, clock and who answers: each ``ok``, ``failed`` with cause and remedy, or ``not
        tried``.

        Raises
        ------
        RuntimeError
            If the lab is closed.

        Examples
        --------
        >>> import firmly_nb as fnb
        >>> with fnb.connect(profile="instant") as lab:
        ...     lab.doctor().ok
        True
        """
        return follow(submit(look, self._open()))

    async def doctor_async(self) -> Reach:
        """See :meth:`doctor`."""
        return await follow_async(submit(look, self._open()))

    @orders
    def conformance(self, order: Order | None = None, card: Card | None = None) -> Conformance:
        """Place one order, ask what costs nothing, and say what differs from the description.

        It shows itself; ``.table`` has one row a thing, ``.milestones`` the names of the stages'
        ends, and ``.save(path)`` writes a page for others, without personal data and secrets.

        Parameters
        ----------
        order
            What to order; by default ``Order.example()``.
        card
            A test card; by default ``Card.test()``.

        Raises
        ------
        GuardError
            If it may not be ordered there; nothing was sent.
        FirmlyError
            If the API cannot be reached; nothing was ordered.

        Examples
        --------
        >>> import firmly_nb as fnb
        >>> with fnb.connect(profile="instant") as lab:
        ...     lab.conformance().deviations.empty
        True
        """
        return follow(self._conformance(order, card))

    @orders
    async def conformance_async(
        self, order: Order | None = None, card: Card | None = None
    ) -> Conformance:
        """See :meth:`conformance`."""
        return await follow_async(self._conformance(order, card))

    def _conformance(self, order: Order | None, card: Card | None) -> Running[Conformance]:
        from firmly_nb.conformance.ask import examine

        if order is not None and not isinstance(order, Order):
            raise wrong_type("order", "a fnb.Order", order, "fnb.Order.example()")
        bench, order, card = self._open(), order or Order.example(), card or Card.test()
        guard(self.environment, order.domain, card, by_calls=order.by_calls)
        return submit(examine, bench, order, card)

    def close(self) -> None:
        """Close connections, recorder and simulator; safe to call again.

        Examples
        --------
        ::

            other = fnb.connect(profile="instant")
            other.close()
        """
        if self._finalizer.alive:
            check_thread()  # now: what is forgotten would be closed by nobody
        if self._finalizer.detach():
            forget(self._at_exit)
            if self._pid == os.getpid():
                follow(submit(self._bench.aclose))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __reduce_ex__(self, protocol: Any) -> NoReturn:
        """Refuse to be pickled or copied: the app id would be in it, and connections are not."""
        text = "A lab cannot be pickled or copied. Open another with fnb.connect(...)."
        raise coded_error(TypeError, "FNB019", text)

    def __repr__(self) -> str:
        where = environments.some_of(self.environment.allow_domains) or "no merchant yet"
        environment: str = self.environment.name
        if self.simulator and self.simulator.recorded_orders is not None:
            recorded = count(self.simulator.recorded_orders, "recorded order")
            environment = f"{environment}, replay of {recorded}"
        kept = f"; settings of {self._bench.kept}" if self._bench.kept.file else ""
        return f"Lab({environment}; orders allowed at {where}{kept})"

    def _ask(
        self, question: Callable[..., Coroutine[Any, Any, Result]], *args: Any, **named: Any
    ) -> Running[Result]:
        """Put one of the catalogue's questions."""
        return submit(partial(question, **named), self._open(), *args)

    def _open(self) -> Bench:
        if self.closed:
            raise coded_error(
                RuntimeError, "FNB017", "This lab is closed. Open another with fnb.connect()."
            )
        if self._pid != os.getpid():
            raise forked("This lab", "Open another with fnb.connect().")
        return self._bench


def _close_in_background(bench: Bench, at_exit: object) -> None:
    forget(at_exit)
    close_soon(bench.aclose)
