"""``connect()`` and ``Lab``: everything that a lab can be asked.

- ``place``, ``start``: one order, waited for or left running (:class:`Attempt`);
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

import json
import math
import os
import queue
import sys
import warnings
import weakref
from contextlib import contextmanager
from dataclasses import asdict, fields, replace
from difflib import get_close_matches
from functools import partial
from inspect import signature
from typing import TYPE_CHECKING, Any, NoReturn, Self, TextIO, TypedDict, TypeVar, Unpack

from firmly_nb import catalogue, environments
from firmly_nb.api.causes import find_trust
from firmly_nb.api.models import Card, Item, Order
from firmly_nb.api.secrets import SecretStr
from firmly_nb.background import (
    Patience,
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
from firmly_nb.display.messages import (
    check_names,
    code_of,
    coded_error,
    quoted,
    unknown,
    wrong_type,
)
from firmly_nb.display.paths import expanded
from firmly_nb.display.text import count, number, printable
from firmly_nb.docstrings import entries, parted, takes_options, tells_twins
from firmly_nb.engine import Bench, said_of_interrupted
from firmly_nb.environments import DEMO_MERCHANT, Environment, find_app_id, guard
from firmly_nb.options import Options, options_of
from firmly_nb.reach import Reach, look
from firmly_nb.recorder import calibration
from firmly_nb.recorder.journal import default_directory
from firmly_nb.recorder.records import End, Event, Start
from firmly_nb.recordings.recordings import Recording
from firmly_nb.settings_file import settings_of
from firmly_nb.sim.settings import MEANINGS, Settings, SimulatorOptions
from firmly_nb.wire.stamps import monotonic_ns

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path
    from types import TracebackType

    import pandas as pd

    from firmly_nb.conformance.result import Conformance
    from firmly_nb.exchange.tape import Taped
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
ENVIRONMENTS = ("simulator", "staging")
LONGEST_ENVIRONMENT = 16  # a longer text may be an app id that was passed first


class PlaceOptions(TypedDict, total=False):
    """Options of an order.

    Attributes
    ----------
    sse
        Whether the order asks for events. False is the plain call.
    warm
        Whether the connection is opened before the clock starts. False measures it as well.
    isolated
        Whether a process of its own records. False records in this one.
    timeout_s
        Longest wait in seconds, from this call on; 120 by default.
    keep_raw
        Whether the exact text of each event is kept.
    max_event_bytes
        Most bytes that are kept of an event; 2 MiB by default. The rest is read and counted.
    max_stream_bytes
        Most bytes that are kept of an order; 64 MiB by default. The rest is read and counted.
    max_events
        Most events that are kept of an order; 10,000 by default. The rest is read and counted.
    settle
        Whether to ask the cart if it is unknown whether the order exists.
    traceparent
        Whether to send the ids of the span that ``rec.otlp`` makes, in the header of that name.
    run_id
        Id of the run, to find it again.
    tags
        Tags of the order, as a dict of strings.
    headers
        Headers for the simulator, such as ``{"x-sim-fault": "stall"}``; others are refused.
    """

    sse: bool
    warm: bool
    isolated: bool
    timeout_s: float
    keep_raw: bool
    max_event_bytes: int
    max_stream_bytes: int
    max_events: int
    settle: bool
    traceparent: bool
    run_id: str | None
    tags: Mapping[str, str] | None
    headers: Mapping[str, str]


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
    """Arguments of :meth:`Lab.compare`, as those of a sweep."""

    rate: float | str | None
    concurrency: int | None
    arrival: str | None
    seed: int | None
    name: str | None
    resume: str | None


def _meanings(*documented: Any) -> dict[str, str]:
    found = [parted(each.__doc__ or "").get("Attributes", "") for each in documented]
    return {name: said for section in found for name, said in entries(section).items()}


PLACE_DEFAULTS, PLACE_MEANINGS = asdict(Options()), _meanings(PlaceOptions, SweepOptions)


def _places(names: Any) -> Callable[[Call], Call]:
    """Mark a verb that orders: its options are told, and so is who interrupts it."""
    document = takes_options(names, PLACE_DEFAULTS, PLACE_MEANINGS)
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


@takes_options(SimulatorOptions, asdict(Settings()), MEANINGS)
def connect(  # noqa: PLR0913 - each is a keyword with a default that most leave alone
    environment: str | None = None,
    *,
    app_id: str | SecretStr | None = None,
    api_url: str | None = None,
    card_url: str | None = None,
    allow_domains: Iterable[str] = (),
    ca_file: str | Path | None = None,
    journal: str | Path | None = None,
    keep_personal: bool = False,
    milestones: Iterable[str] | None = None,
    replay: Recordings | Recording | Sequence[Recording] | str | Path | None = None,
    speed: float = 1.0,
    slow: Mapping[str, float] | None = None,
    **simulator_options: Unpack[SimulatorOptions],
) -> Lab:
    """Open a lab: on the embedded simulator, on staging, at URLs of your own, or on recordings.

    Parameters
    ----------
    environment
        ``"simulator"`` (the default), ``"staging"``, or nothing together with ``api_url``.
    app_id
        firmly's app id; by default ``FIRMLY_APP_ID`` from the environment or a ``.env`` file. The
        simulator has its own.
    api_url, card_url
        A custom environment. Only hosts known not to be production are taken.
    allow_domains
        Further merchants that may be ordered from. Staging allows only its demo merchant by
        itself, the simulator its own catalogue.
    ca_file
        Certificates to trust instead of the usual ones: a PEM file, such as that of your company's
        authority. By default what ``SSL_CERT_FILE``, ``SSL_CERT_DIR`` or ``REQUESTS_CA_BUNDLE``
        names, else certifi's list. TLS is always verified.
    journal
        Folder for journals; by default the user's state directory, or ``FIRMLY_NB_HOME``.
    keep_personal
        Whether journals hold addresses unmasked.
    milestones
        Event names in order, where a stream speaks another vocabulary than the documented ones.
        These, ``ca_file``, ``allow_domains`` and more may stand in a file: docs/networks.md.
    replay
        Recordings, or where they are saved. The simulator then answers each order with a recorded
        one of the same merchant and items: each event at its time, in turn, or drawn with ``seed``.
    speed
        Of a replay: 10 takes a tenth of the time.
    slow
        Of a replay: how many times as long a stage takes, like ``{"shipping-updated": 1.3}``.
    **simulator_options
        For the simulator: ``profile``, ``seed`` and so on; see docs/simulator.md.

    Returns
    -------
    Lab

    Raises
    ------
    GuardError
        If a host is, or may be, a production host.
    ValueError
        If there is no app id, or the environment is unknown.

    Examples
    --------
    >>> with connect(profile="instant") as lab:
    ...     lab.place(Order.example(), progress=False).outcome
    'placed'
    """
    # Before anything can fail: a traceback may show the locals of its frames.
    app_id = SecretStr(app_id) if isinstance(app_id, str) else app_id
    api_url, card_url = environments.without_user(api_url), environments.without_user(card_url)
    check_names("connect()", simulator_options, signature(connect).parameters)
    shown = quoted(environment) if len(str(environment)) <= LONGEST_ENVIRONMENT else "a text"
    _check_one_place(None if environment is None else shown, api_url, card_url)
    domains = environments.merchants(allow_domains)
    folder = expanded(journal, "journal") if journal else default_directory()
    if ca_file is not None:
        ca_file = expanded(ca_file, "ca_file").absolute()
        find_trust(str(ca_file)).context()
    kept = settings_of("custom" if api_url else environment or "simulator")
    domains |= kept.allow_domains
    simulator: Simulator | None = None
    if replay is not None and (api_url or environment not in {None, "simulator"}):
        text = "replay opens a simulator, but another environment is named. Pass one of them."
        raise coded_error(ValueError, "FNB002", text)
    if replay is None and (speed != 1 or slow):
        text = "speed and slow are for a replay. Add replay=..., such as a saved set."
        raise coded_error(ValueError, "FNB041", text)
    if api_url is not None:
        where = environments.custom(api_url, card_url, domains)
    elif environment in {None, "simulator"}:
        _check_simulator(simulator_options)
        if replay is None:
            simulator, where = _start_simulator(domains, partial(_simulator, simulator_options))
        else:
            asked = {"speed": speed, "slow": slow, **simulator_options}
            simulator, where = _start_simulator(domains, partial(_replay, replay, asked))
            where = replace(where, replay=_replay_in_words(replay, asked))
        app_id, simulator_options = SecretStr(simulator.app_id), {}
        ca_file = ca_file or simulator.certificate
    elif environment == "staging":
        where = environments.staging(domains)
    else:
        near = get_close_matches(str(environment), ENVIRONMENTS, 1)
        hint = f"Did you mean '{near[0]}'?" if near else "Use 'simulator', 'staging' or api_url."
        text = f"Unknown environment {shown}. {hint}"
        raise coded_error(ValueError, "FNB001", text)
    if simulator_options:
        raise _no_simulator(where.name, simulator_options)
    bench = Bench(
        where,
        find_app_id(app_id, kept.app_id_variable),
        # Whoever changes the working folder later moves no journals.
        folder.absolute(),
        ca_file=str(ca_file) if ca_file else None,
        keep_personal=keep_personal,
        milestones=tuple(milestones) if milestones else kept.milestones,
        simulator=simulator,
        kept=kept,
    )
    if bench.trust.file and ca_file is None:
        bench.trust.context()  # a variable may name a file that is not there
    return Lab(bench)


def _check_one_place(environment: str | None, api_url: str | None, card_url: str | None) -> None:
    if environment is not None and api_url is not None:
        text = f"environment is {environment}, but api_url names another one. Pass one of them."
        raise coded_error(ValueError, "FNB002", text)
    if card_url is not None and api_url is None:
        text = "card_url is given without api_url. Pass both, or an environment."
        raise coded_error(ValueError, "FNB002", text)


def diagnose(environment: str | None, **given: Any) -> Reach:
    """Take each step on the way to an environment, even without an app id.

    The arguments are those of :func:`connect`; see :meth:`Lab.doctor`.
    """
    missing = ""
    try:
        lab = connect(environment, **given)
    except ValueError as error:
        if code_of(error) not in {"FNB013", "FNB014", "FNB015"}:
            raise
        missing = str(error)
        lab = connect(environment, app_id="none", **given)
    with lab:
        return follow(submit(look, lab._open(), missing))  # noqa: SLF001 - of this file


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
    def compare(  # noqa: PLR0913 - each is asked for by name
        self,
        order_a: Order | Variant,
        order_b: Order | Variant | None = None,
        card: Card | None = None,
        *,
        other: Lab | None = None,
        margin: float | str = 0.10,
        count: int = 600,
        until: str | None = "decided",
        budget: Budget | Mapping[str, Any] | None = None,
        tail_margin: float | str = 0.05,
        placed_margin: float | str = 0.05,
        slo_ms: float | str | None = None,
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
        margin, tail_margin, placed_margin, slo_ms
            As of ``recs.compare``, stated before the first order.
        count
            How many orders of each side are placed at most: a multiple of 10, at least 50.
        until
            ``"decided"`` stops once B is worse, better or unchanged; None places all orders first.
        budget
            A :class:`Budget` for all orders of both sides.
        progress
            Whether a bar and the looks are shown.
        **arguments
            Arguments as of :meth:`sweep`, and options of each order.

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
        >>> with connect(profile="instant") as lab:
        ...     slow = {"as it is": {}, "slow": {"x-sim-profile": "calm"}}
        ...     a, b = fnb.grid(fnb.Order.example(), headers=slow)
        ...     found = lab.compare(a, b, count=50, concurrency=4, progress=False)
        >>> found.order.verdict
        'slower'
        """
        from firmly_nb.sweep.study import watched

        study = self._study(
            (order_a, order_b),
            card,
            other,
            {
                "margin": margin,
                "count": count,
                "until": until,
                "budget": budget,
                "tail_margin": tail_margin,
                "placed_margin": placed_margin,
                "slo_ms": slo_ms,
            },
            arguments,
        )
        with watched(study, shown=progress) as show:
            for block in study.blocks():
                self._last_sweep = block
                block.wait(show=show)
        return study.result()

    @_places(CompareOptions)
    async def compare_async(  # noqa: PLR0913 - as of compare
        self,
        order_a: Order | Variant,
        order_b: Order | Variant | None = None,
        card: Card | None = None,
        *,
        other: Lab | None = None,
        margin: float | str = 0.10,
        count: int = 600,
        until: str | None = "decided",
        budget: Budget | Mapping[str, Any] | None = None,
        tail_margin: float | str = 0.05,
        placed_margin: float | str = 0.05,
        slo_ms: float | str | None = None,
        progress: bool = True,
        **arguments: Unpack[CompareOptions],
    ) -> StudyComparison:
        """Compare two orders or two labs; see :meth:`compare`. Cancelling the task stops it."""
        from firmly_nb.sweep.study import watched

        study = self._study(
            (order_a, order_b),
            card,
            other,
            {
                "margin": margin,
                "count": count,
                "until": until,
                "budget": budget,
                "tail_margin": tail_margin,
                "placed_margin": placed_margin,
                "slo_ms": slo_ms,
            },
            arguments,
        )
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
        asked: dict[str, Any],
        arguments: Mapping[str, Any],
    ) -> Study:
        """Check what a comparison is asked with; nothing is sent yet."""
        from firmly_nb.sweep.study import study

        if other is not None and not isinstance(other, Lab):
            raise wrong_type("other", "a lab", other, "fnb.connect(...)")
        check_names("compare()", arguments, signature(Lab.compare).parameters)
        own = {name: arguments.get(name) for name in ("resume", "run_id", "seed")}
        rest = {name: value for name, value in arguments.items() if name not in own}
        labs = [self] if other is None or other is self else [self, other]
        benches = [lab._open() for lab in labs]  # noqa: SLF001 - of its own kind
        return study(benches, orders, card, asked | own, rest)

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
        >>> from firmly_nb import Address, Item
        >>> with connect(profile="instant") as lab, lab.flow(progress=False) as flow:
        ...     cart = flow.add_line_item(Item(variant_id="WS12-XS-Orange"))
        ...     cart = flow.set_shipping_info(Address.example())
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
        >>> with connect(profile="instant") as lab:
        ...     lost = {"x-sim-fault": "lost-confirmation"}
        ...     rec = lab.place(Order.example(), progress=False, headers=lost)
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
        >>> with connect(profile="instant") as lab:
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
        >>> with connect(profile="instant") as lab:
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


KINDS = {int: "a whole number", float: "a number", str: "a text"}


def _check_simulator(options: Mapping[str, Any]) -> None:
    """Refuse an option that the simulator's command line could not read."""
    from firmly_nb.sim.behaviour import FAULTS, PROFILES

    known = {"profile": PROFILES, "fault": ["", *FAULTS]}
    for one in fields(Settings):
        default: Any = one.default
        value, kind = options.get(one.name), type(default)
        if value is None or kind is bool:
            continue
        taken = int | float if kind is float else kind
        if isinstance(value, bool) or not isinstance(value, taken):
            text = f"{one.name} must be {KINDS[kind]}, got {quoted(value)}."
            example = f" Example: {one.name}={default!r}."
            raise coded_error(ValueError, "FNB016", text + (example if default != "" else ""))
        names = known.get(one.name) or one.metadata["choices"]
        if names and value not in names:
            said = unknown(one.name, value, filter(None, names))
            raise coded_error(ValueError, "FNB016", said)


def _start_simulator(
    allow_domains: frozenset[str], start: Callable[[], Simulator]
) -> tuple[Simulator, Environment]:
    from firmly_nb.sim.server import SimulatorError

    try:
        simulator = start()
    except ValueError as error:
        if code_of(error):
            raise
        text = f"Simulator option not valid: {str(error).rstrip('.')}. See docs/simulator.md."
        raise coded_error(ValueError, "FNB016", text) from None
    except SimulatorError as error:
        last = str(error).splitlines()[-1]
        missing, _, told = last.partition("ModuleNotFoundError: ")[2].partition(" is not")
        if told.endswith("[FNB026]"):
            text = f"The simulator needs {missing}. Run pip install firmly-nb for all of it."
            raise coded_error(ModuleNotFoundError, "FNB026", text) from None
        text = f"The simulator did not start: {last}. Check its options."
        raise coded_error(SimulatorError, "FNB023", text) from error
    domains = simulator.domains | allow_domains
    return simulator, Environment("simulator", simulator.url, simulator.url, domains)


def _simulator(options: SimulatorOptions) -> Simulator:
    from firmly_nb.sim.server import start

    return start(**options)


def _replay_in_words(replay: Any, options: Mapping[str, Any]) -> str:
    """Return the arguments of ``connect()`` as code; recordings in memory have no name."""
    source = json.dumps(os.fspath(replay)) if isinstance(replay, (str, os.PathLike)) else "recs"
    parts = [f"replay={source}"]
    if options["speed"] != 1:
        parts.append(f"speed={options['speed']:g}")
    if options["slow"]:
        parts.append(f"slow={json.dumps(dict(options['slow']))}")
    if options.get("seed") is not None:
        parts.append(f"seed={options['seed']}")
    return ", ".join(parts)


def _replay(replay: Any, options: Mapping[str, Any]) -> Simulator:
    """Start a simulator that answers with recordings; what cannot be replayed is a warning."""
    from firmly_nb.exchange.tape import slow_text, write_tape
    from firmly_nb.recordings.recordings import as_recordings
    from firmly_nb.sim.server import start_replay

    recs = as_recordings("replay", replay)
    slow, speed = options["slow"] or {}, options["speed"]
    taped: list[Taped] = []
    text = slow_text(slow)
    if isinstance(speed, bool) or not isinstance(speed, (int, float)) or not 0 < speed < math.inf:
        text = f"speed must be above 0, got {quoted(speed)}. Example: speed=10 for a tenth."
        raise coded_error(ValueError, "FNB041", text)

    def write(path: Path) -> None:
        taped.append(write_tape((rec.recorded for rec in recs), path, slow))

    simulator = start_replay(write, **{**options, "slow": text})
    for problem in taped[0].problems:
        warnings.warn(problem, stacklevel=4)
    return simulator


def _no_simulator(name: str, options: Iterable[str]) -> TypeError:
    """Return the error for options that this environment does not have."""
    listed = ", ".join(options)
    verb = "is a simulator option" if len(list(options)) == 1 else "are simulator options"
    return coded_error(TypeError, "FNB003", f"{listed} {verb}; this lab uses {name}.")


def _close_in_background(bench: Bench, at_exit: object) -> None:
    forget(at_exit)
    close_soon(bench.aclose)


# One order on its way: who waits for it shows a line for each event as it arrives.


SHOW_EVERY_S = 0.05
NAME_WIDTH = 27  # of an event's name and its time
MS_PER_BLOCK = 25
MAX_BLOCKS = 31  # a line has 79 columns


@public
class Attempt:
    """Order that is running; made by ``lab.start`` after the guard's checks."""

    def __init__(
        self,
        lab: Lab,
        bench: Bench,
        order: Order,
        card: Card,
        options: Options,
        on_record: Callable[[Record], None] | None = None,
    ) -> None:
        self._records: list[Record] = []
        self._to_show: queue.SimpleQueue[Record] = queue.SimpleQueue()
        self._on_record = on_record
        self._lab = lab  # one that is forgotten meanwhile is closed after its order
        self._bench = bench
        called_ns = monotonic_ns()
        self._work = Running(bench.place, order, card, options, self._keep, called_ns)

    def begin(self) -> None:
        """Have it placed, if it is not yet."""
        self._take_over()
        self._work.begin()

    def _take_over(self) -> None:
        if not self._work.is_begun:
            check_thread()
            self._bench.last = None  # an earlier order is not the one that is asked for

    @property
    def done(self) -> bool:
        """True once the order has ended and its recording is complete."""
        return self._work.done()

    @property
    def recording(self) -> Recording | None:
        """Recording so far, complete once the order is done; None before the first record."""
        if self.done and not self._work.cancelled() and self.error is None:
            return self._work.result()
        records = list(self._records)
        return Recording(records) if records else None

    @property
    def error(self) -> BaseException | None:
        """Reason why nothing was placed: no session, key or recorder; None if there is none."""
        return self._work.error

    def cancel(self) -> None:
        """Close the stream; whether there is an order then, only the merchant knows."""
        self._work.cancel()

    def on_done(self, call: Callable[[Attempt], None]) -> None:
        """Call something once it has ended, on the background thread; it must not block."""
        self._work.add_done_callback(lambda _: call(self))

    def wait(self, timeout_s: float | None = None, *, lines: EventLines | None = None) -> Recording:
        """Wait in this thread, showing records as they come; Ctrl-C cancels the order.

        Raises
        ------
        TimeoutError
            If it has not ended after ``timeout_s``; it goes on.
        """
        show, patience = partial(self._show, lines), Patience(timeout_s, "The order")
        try:
            self._take_over()
            return follow(self._work, show, every_s=SHOW_EVERY_S, patience=patience)
        except KeyboardInterrupt as error:
            if not self._work.is_begun:
                self._work.cancel()
            error.args = (said_of_interrupted(self.recording, done=self.done),)
            raise

    async def wait_async(
        self, timeout_s: float | None = None, *, lines: EventLines | None = None
    ) -> Recording:
        """Wait on the running loop, showing records as they come; cancelling the task cancels."""
        self._take_over()
        show, patience = partial(self._show, lines), Patience(timeout_s, "The order")
        return await follow_async(self._work, show, every_s=SHOW_EVERY_S, patience=patience)

    def _show(self, lines: EventLines | None) -> None:
        while not self._to_show.empty():
            record = self._to_show.get()
            if lines:
                lines.show(record)

    def _keep(self, record: Record) -> None:
        self._records.append(record)
        self._to_show.put(record)
        if self._on_record:
            self._on_record(record)


class EventLines:
    """Printer of an order's events while it runs."""

    def __init__(self, out: TextIO | None = None) -> None:
        self.out = out or sys.stdout
        self.last_ns = 0
        self.begun = False

    def show(self, record: Record) -> None:
        """Print the line of one record; the end prints nothing, the recording speaks for it."""
        if isinstance(record, Start):
            if self.begun:
                return
            self.begun = True
            n = sum(item.get("quantity", 1) for item in record.items)
            # What a flow will order is not known at its first call.
            asked = "call by call" if record.flow else f"quantity {n}"
            self._print(f"{record.domain} ({record.environment}), {asked}")
        elif isinstance(record, Event):
            gap_ms = (record.t_ns - self.last_ns) / 1e6
            self.last_ns = record.t_ns
            bar = "▇" * min(max(round(gap_ms / MS_PER_BLOCK), 1), MAX_BLOCKS)
            time = number(record.t_ns / 1e6)
            gap = number(gap_ms)
            name = printable(record.event, 60)
            # A long name takes of the room before the time, so that the times stay aligned.
            room = max(NAME_WIDTH - len(name), 0)
            self._print(f"  {name} {time:>{room}} ms  +{gap:>7} ms  {bar}")
        elif isinstance(record, End):
            self.out.flush()

    def _print(self, line: str) -> None:
        encoding = getattr(self.out, "encoding", None) or "utf-8"
        print(line.encode(encoding, "replace").decode(encoding), file=self.out, flush=True)
