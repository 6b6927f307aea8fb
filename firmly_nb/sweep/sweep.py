"""``Sweep``: a running sweep, to wait for, watch or stop.

And :func:`begin`, which makes one of the arguments of ``lab.sweep``. Everything is checked before
anything is sent.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from contextlib import ExitStack, suppress
from dataclasses import asdict, dataclass, field, fields, replace
from html import escape
from typing import TYPE_CHECKING, Any, Self, cast

import httpx

from firmly_nb.api.models import Card
from firmly_nb.api.secrets import redact_text
from firmly_nb.background import Patience, follow, follow_async, submit
from firmly_nb.display.arguments import public
from firmly_nb.display.messages import check_names, coded_error
from firmly_nb.display.text import count as counted
from firmly_nb.docstrings import tells_twins
from firmly_nb.environments import Environment, guard, is_loopback
from firmly_nb.options import Options, check_tags, checked_run_id, options_of
from firmly_nb.recorder.journal import JournalError
from firmly_nb.recorder.tables import HOSTS
from firmly_nb.recordings.recording import Recording
from firmly_nb.recordings.recordings import Recordings
from firmly_nb.sweep.budget import Budget, BudgetError, Ledger
from firmly_nb.sweep.cluster import check_client
from firmly_nb.sweep.fleet import Fleet
from firmly_nb.sweep.leases import Intents
from firmly_nb.sweep.pace import SCHEDULED, Arrival, Pace, Schedule, per_second
from firmly_nb.sweep.plan import (
    FOLDER,
    Plan,
    PlanFile,
    StandIn,
    claim,
    is_known,
    kinds_of,
    recorded,
)
from firmly_nb.sweep.progress import bar_html, ended, of_planned, words
from firmly_nb.sweep.run import (
    KEPT_RECORDINGS,
    ORDER_NUMBER_TAG,
    SET_ASIDE_TAG,
    STOPPED,
    Run,
    Sender,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    import pandas as pd

    from firmly_nb.disk import Lock
    from firmly_nb.engine import Bench
    from firmly_nb.recorder.records import Record
    from firmly_nb.sweep.progress import Progress
    from firmly_nb.sweep.run import Problem


CLOSED = "stopped: the lab was closed"
GENTLE_RATE = "20/min"
# How many orders an open loop may have in flight where nothing is said.
STAGING_CONCURRENCY, LOCAL_CONCURRENCY = 4, 64


@public
@tells_twins
class Sweep:
    """Sweep of many orders; made by ``lab.start_sweep``.

    It runs in the background. All of it can be read from any thread at any time.

    Examples
    --------
    ::

        sweep = lab.start_sweep(order, count=3, rate=50)
        recs = sweep.wait()
    """

    def __init__(
        self,
        run: Run,
        plan_file: PlanFile,
        journal: Path,
        earlier: list[Recording],
        claim: Lock,
        keeper: object,
    ) -> None:
        self._run = run
        self._plan_file = plan_file
        self._journal = journal
        self._earlier = earlier
        self._claim = claim
        self._keeper = keeper  # a lab that is forgotten meanwhile is closed after the sweep
        self._listeners: list[Callable[[Sweep], None]] = []
        self._over = asyncio.Event()  # for the background loop
        run.on_change = self._tell
        run.on_stand_ins = self._write_stand_ins
        for desk in run.sender.desks:
            desk.bench.before_close.append(self._end)
        self._work = submit(self._follow)
        self._work.add_done_callback(lambda _: self._tell())
        self._work.add_done_callback(lambda _: self._let_go())

    def _let_go(self) -> None:
        self._keeper = None  # the lab keeps its last sweep: together they would stay

    @property
    def run_id(self) -> str:
        """Id of the run, in each of its recordings: ``recs.where(run_id=...)``, ``resume=...``."""
        return self._plan_file.run_id

    @property
    def name(self) -> str:
        """Name of the sweep; empty if none was given."""
        return self._plan_file.name

    @property
    def tags(self) -> dict[str, str]:
        """Tags of the sweep, as a dict of texts."""
        return dict(self._plan_file.tags)

    @property
    def plan(self) -> PlanFile:
        """Plan of the sweep: arrival, rate, concurrency, count, seed and budget."""
        return self._plan_file

    @property
    def hosts(self) -> pd.DataFrame:
        """Machines of the sweep with clock offset, versions and calibration; see ``HOSTS``."""
        return HOSTS.frame(self._run.hosts or self._plan_file.hosts)

    @property
    def done(self) -> bool:
        """True once the sweep has ended and everything is on disk."""
        return self._work.done()

    @property
    def progress(self) -> Progress:
        """Progress now: planned, started, running and finished orders, outcomes, latest orders."""
        return self._run.progress()

    @property
    def latencies_ms(self) -> list[float]:
        """Time to order placed of each placed order so far, in ms."""
        return list(self._run.counts.latencies_ms)

    @property
    def scheduled_latencies_ms(self) -> list[float]:
        """Time from planned start to order placed, in ms; empty in a closed loop."""
        return list(self._run.counts.scheduled_ms)

    @property
    def problems(self) -> list[Problem]:
        """Orders of which nothing was sent, and why."""
        return list(self._run.problems)

    @property
    def error(self) -> BaseException | None:
        """Error that ended the sweep; None if none did."""
        return self._work.error

    @property
    def recordings(self) -> Recordings:
        """Recordings of the ended orders, oldest first; beyond 10,000 they are read from disk."""
        counts = self._run.counts
        if counts.finished > KEPT_RECORDINGS:
            found = [Recording(*kept) for kept in self._on_disk()]
        else:
            found = [*self._earlier, *self._run.recordings]
        return Recordings(sorted(found, key=lambda rec: rec.started_at_ns or 0), self.warnings)

    @property
    def warnings(self) -> list[str]:
        """Notes beside the recordings: why the sweep stopped, what was not sent."""
        told = [self._message()] if self.progress.message else []
        of_budget = [self._run.pace.setbacks.said(), self._run.ledger.beyond()]
        told += [*self.progress.notes, *filter(None, of_budget)]
        problems = self.problems
        unknown = [one for one in problems if one.unknown]
        told += _named([one for one in problems if not one.unknown], "not sent")
        they = "they" if len(unknown) > 1 else "it"
        told += _named(unknown, f"left out, because {they} may exist")
        return told

    def stop(self, *, let_finish: bool = False) -> None:
        """Start no order any more; returns at once.

        Parameters
        ----------
        let_finish
            Whether orders in flight are followed to their end. Otherwise their streams are closed
            and they are kept as ``cancelled``; whether there is an order then only the merchant
            knows.

        Examples
        --------
        ::

            sweep.stop()
        """
        submit(self._stop, let_finish)

    def on_progress(self, call: Callable[[Sweep], None]) -> Callable[[], None]:
        """Call something whenever an order starts or ends, and at the end of the sweep.

        It is called on the background thread, must not block, and should not do much: at 50 orders
        a second it is called 100 times a second. Returns a function that takes it back.

        Parameters
        ----------
        call
            Called with the sweep whenever its progress changes, on the background thread.

        Examples
        --------
        ::

            sweep.on_progress(print)
        """
        self._listeners.append(call)
        return lambda: self._listeners.remove(call) if call in self._listeners else None

    def wait(
        self,
        timeout_s: float | None = None,
        *,
        show: Callable[[Progress], None] | None = None,
    ) -> Recordings:
        """Wait in this thread until it has ended; Ctrl-C stops it, keeps everything and raises.

        Parameters
        ----------
        timeout_s
            Longest wait in seconds; None waits to the end.
        show
            Called with the progress while you wait.

        Raises
        ------
        TimeoutError
            If it has not ended in time; it goes on.
        KeyboardInterrupt
            On Ctrl-C. The sweep stops; its recordings are kept.

        Examples
        --------
        ::

            recs = sweep.wait()
        """
        follow(self._work, self._showing(show), self.stop, patience=self._patience(timeout_s))
        return self.recordings

    async def wait_async(
        self,
        timeout_s: float | None = None,
        *,
        show: Callable[[Progress], None] | None = None,
    ) -> Recordings:
        """Wait on the running loop until it has ended; cancelling the task stops it."""
        patience = self._patience(timeout_s)
        await follow_async(self._work, self._showing(show), self.stop, patience=patience)
        return self.recordings

    def _patience(self, timeout_s: float | None) -> Patience:
        return Patience(timeout_s, f"Sweep {self.run_id}", "stop()")

    def __repr__(self) -> str:
        progress = self.progress
        of = f"{of_planned(progress)}: {words(progress)}"
        label = f" {self.name!r}" if self.name else ""
        return f"Sweep({self.run_id}{label}; {progress.state}; {counted(progress.finished)}{of})"

    def _repr_html_(self) -> str:
        label = f"{self.name}, run {self.run_id}" if self.name else f"Run {self.run_id}"
        return f"<div><b>{escape(label)}</b>{bar_html(self.progress)}</div>"

    def _showing(self, show: Callable[[Progress], None] | None) -> Callable[[], None]:
        """Show how far it is; where nobody reads it any more (a closed pipe), the orders go on."""

        def once() -> None:
            nonlocal show
            try:
                if show:
                    show(self.progress)
            except OSError:
                show = None

        return once

    def _message(self) -> str:
        progress = self.progress
        if progress.state != "stopped":
            return progress.message
        done = f"{counted(ended(progress))}{of_planned(progress)}"
        return f"the sweep ended after {done} orders: {progress.message}"

    def _on_disk(self) -> list[tuple[list[Record], list[str]]]:
        return list(recorded(self._journal, [self.run_id]))

    async def _stop(self, let_finish: bool) -> None:
        self._run.stop(STOPPED, let_finish=let_finish)

    async def _end(self) -> None:
        self._run.stop(CLOSED)
        await self._over.wait()

    async def _follow(self) -> None:
        try:
            await self._run.follow()
        finally:
            for desk in self._run.sender.desks:
                desk.bench.before_close.remove(self._end)
            self._write_ending()
            self._claim.release()
            self._over.set()

    def _write_stand_ins(self) -> None:
        """Write down what was found before anything is sent: resumed, the same is ordered."""
        found = [asdict(one) for one in self._run.stand_ins]
        self._plan_file = replace(self._plan_file, stand_ins=found)
        self._plan_file.write(self._journal)

    def _write_ending(self) -> None:
        hosts = self._run.hosts or self._plan_file.hosts
        self._plan_file = replace(self._plan_file, message=self._run.message, hosts=hosts)
        with suppress(JournalError):
            self._plan_file.write(self._journal)

    def _tell(self) -> None:
        for call in list(self._listeners):
            call(self)


def _named(problems: Sequence[Problem], how: str) -> list[str]:
    """Say how many orders ended how, and why the first did."""
    if not problems:
        return []
    first = problems[0]
    many = f"{counted(len(problems))} orders were" if len(problems) > 1 else "1 order was"
    return [f"{many} {how}; order {first.number}: {first.error}"]


@dataclass(frozen=True, slots=True)
class Request:
    """Arguments of a sweep; None means the default."""

    count: int | None = None
    rate: float | str | None = None
    concurrency: int | None = None
    arrival: str | None = None
    duration: float | str | None = None
    seed: int | None = None
    budget: Budget | Mapping[str, Any] | None = None
    name: str | None = None
    run_id: str | None = None
    tags: Mapping[str, str] | None = None
    resume: str | None = None
    on: Any = None
    options: Mapping[str, Any] = field(default_factory=dict)  # of each order

    @classmethod
    def of(cls, arguments: Mapping[str, Any]) -> Self:
        """Take what is a sweep's own out of the arguments; the rest are options of each order."""
        own = [f.name for f in fields(cls) if f.name != "options"]
        check_names("sweep()", arguments, [*own, *(f.name for f in fields(Options))])
        options = {name: value for name, value in arguments.items() if name not in own}
        return cls(**{n: v for n, v in arguments.items() if n in own}, options=options)

    def checked(self) -> dict[str, Any]:
        """Return what was given, each thing checked, by its name in the plan.

        Raises
        ------
        ValueError
            If something is wrong; TypeError for tags that are no dict.
        """
        if self.rate is not None and self.arrival == "closed":
            text = "A closed loop has no rate: an order starts when another ends. Remove rate."
            raise coded_error(ValueError, "FNB506", text)
        if self.resume is not None and self.run_id is not None:
            text = "resume names the run already. Remove run_id."
            raise coded_error(ValueError, "FNB521", text)
        given = {name: getattr(self, name) for name in CHECKS}
        return {
            key: check(given[name])
            for name, (key, check) in CHECKS.items()
            if given[name] is not None
        }


def _written(text: Any) -> str:
    """Return a text as the plan's file may hold it."""
    return redact_text(str(text))


def _tags(tags: Any) -> dict[str, str]:
    check_tags(tags)
    noted = {_written(name): _written(value) for name, value in tags.items()}
    own = {ORDER_NUMBER_TAG, SET_ASIDE_TAG} & set(noted)
    if own:
        text = f"The tag {min(own)!r} is written by sweeps themselves. Choose another name."
        raise coded_error(ValueError, "FNB507", text)
    return noted


# The name in the plan of each argument, and what checks it.
CHECKS: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "arrival": ("arrival", SCHEDULED["arrival"]),
    "rate": ("rate_per_s", SCHEDULED["rate_per_s"]),
    "concurrency": ("concurrency", SCHEDULED["concurrency"]),
    "count": ("count", SCHEDULED["count"]),
    "duration": ("duration_s", SCHEDULED["duration_s"]),
    "seed": ("seed", SCHEDULED["seed"]),
    "name": ("name", _written),
    "run_id": ("run_id", checked_run_id),
    "tags": ("tags", _tags),
}


def begin(
    bench: Bench,
    orders: Any,
    card: Card | None,
    arguments: Mapping[str, Any],
    other: Bench | None = None,
    keeper: object = None,
) -> Sweep:
    """Check everything, write the plan down and start the sweep.

    ``other`` is where the orders go that name the other lab; the sweep is kept in the first.
    ``keeper`` stays alive until the sweep has ended.

    Raises
    ------
    ValueError
        If an argument is wrong; BudgetError if the plan is beyond the budget.
    GuardError
        If something of it may not be ordered there. Nothing was sent.
    """
    request, benches = Request.of(arguments), [bench] if other is None else [bench, other]
    before = None
    with ExitStack() as releasing:
        # An empty name is refused: whoever passes one means to go on with a run, not to begin
        # another.
        if request.resume is not None:
            # A damaged or unknown one is not held.
            run_id = PlanFile.read(bench.journal, request.resume).run_id
            held = claim(bench.journal / FOLDER, run_id)
            releasing.callback(held.release)
            # What is known of it is read now: whoever held it has placed or lent orders since.
            before = PlanFile.read(bench.journal, request.resume)
        run, written = _planned(benches, orders, card, request, before)
        if before is None:
            held = claim(bench.journal / FOLDER, written.run_id)
            releasing.callback(held.release)
            _check_new(bench, written.run_id)
        earlier = _earlier(benches, run, before)
        written.write(bench.journal)
        releasing.pop_all()
    return Sweep(run, written, bench.journal, earlier, held, keeper)


def _planned(
    benches: Sequence[Bench],
    orders: Any,
    card: Card | None,
    request: Request,
    before: PlanFile | None,
) -> tuple[Run, PlanFile]:
    """Return a run that has not begun, and its plan; ``before`` is that of its earlier parts."""
    written = _plan_file([one.environment for one in benches], request, before)
    plan = Plan(orders, written.count, written.seed, endless=written.duration_s is not None)
    written = replace(written, kinds=kinds_of(plan))
    _check_same(before, written)
    leases = _leases(benches[0], request, written)
    own_card, card = card, card or Card.test()
    for variant in plan.variants:
        environment, order = benches[variant.lab].environment, variant.order
        guard(environment, order.domain, variant.card or card, by_calls=order.by_calls)
    ledger = Ledger(Budget.of(written.budget))
    pace, how = Pace(_schedule(written)), _options(written, request.options)
    if leases is None:
        run = Run(plan, Sender(benches, pace, ledger, how, card))
    else:
        fleet = Fleet(benches, pace, ledger, how, own_card, request.on, leases)
        run = Run(plan, fleet)
        fleet.on_found, fleet.on_unknown = run.was_found, run.is_unknown
        fleet.on_hosts, fleet.on_note = run.note_hosts, run.notes.append
        fleet.check_guard(*plan.variants)
    _check_budget(run, explicit=request.budget is not None)
    run.stand_ins = [StandIn.read(one) for one in written.stand_ins]
    return run, written


def _leases(bench: Bench, request: Request, written: PlanFile) -> Intents | None:
    """Return the log of what was lent to other machines; None for a sweep of this one alone."""
    leases = Intents(bench.journal, written.run_id)
    if request.on is not None:
        check_client(request.on)
        return leases
    if leases.open:
        raise coded_error(
            ValueError,
            "FNB546",
            f"Sweep {written.run_id} has orders of which only other machines know the end. Resume "
            "it with on=client, where their workers are. Nothing was sent.",
        )
    return None


def _earlier(benches: Sequence[Bench], run: Run, before: PlanFile | None) -> list[Recording]:
    """Take over what earlier parts of the run placed."""
    if before is None:
        return []
    journals = dict.fromkeys(bench.journal for bench in benches)
    ids = [before.run_id]
    found = [one for path in journals for one in recorded(path, ids, to_resume=True)]
    for records, _ in found:
        run.was_done(records)
    return [Recording(*kept) for kept in found]


def _check_new(bench: Bench, run_id: str) -> None:
    """Refuse an id that is taken: what would be resumed with it would be two sweeps."""
    if is_known(bench.journal, run_id):
        text = f"Sweep {run_id} exists already. Continue it with resume={run_id!r}, or choose"
        raise coded_error(ValueError, "FNB511", f"{text} another run_id.")


def is_local(environment: Environment) -> bool:
    """Return whether every host of an environment is this machine."""
    urls = (environment.api_url, environment.card_url)
    return all(is_loopback(httpx.URL(url).host) for url in urls)


def _plan_file(where: Sequence[Environment], request: Request, before: PlanFile | None) -> PlanFile:
    """Return what the sweep is to be: what was asked for, else what it was, else the defaults."""
    environment, local = where[0].name, all(map(is_local, where))
    given = request.checked()
    if before:
        if before.environment != environment:
            text = f"Sweep {before.run_id} was placed on {before.environment}; this lab uses"
            raise coded_error(
                ValueError, "FNB516", f"{text} {environment}. Resume it there. Nothing was sent."
            )
        # What is not said anew stays: more orders are not more money.
        more = asdict(Budget.of(request.budget))
        given["budget"] = before.budget | {n: v for n, v in more.items() if v is not None}
        return replace(before, **given, run_id=before.run_id, message="")
    budget = Budget.of(request.budget).within(local=local)
    blank = PlanFile(
        run_id=f"{time.strftime('%Y%m%dT%H%M%S', time.gmtime())}-{secrets.token_hex(3)}",
        name="",
        tags={},
        environment=environment,
        began_at_ns=time.time_ns(),
        arrival="closed",
        rate_per_s=None,
        concurrency=1,
        duration_s=None,
        count=None,
        seed=0,
        budget=asdict(budget),
    )
    return replace(blank, **{**_default_schedule(request, local=local), **given})


def _default_schedule(request: Request, *, local: bool) -> dict[str, Any]:
    """Return how orders follow one another where it is not said: gently, where others are met."""
    is_open = request.rate is not None or request.arrival in {"constant", "poisson"}
    if not is_open and request.arrival is None and not local:
        is_open = True
    if not is_open:
        return {}
    if request.rate is None and local:
        text = f'arrival={request.arrival!r} needs a rate. Example: rate="30/min".'
        raise coded_error(ValueError, "FNB506", text)
    return {
        "arrival": "constant",
        "rate_per_s": per_second(GENTLE_RATE),
        "concurrency": LOCAL_CONCURRENCY if local else STAGING_CONCURRENCY,
    }


def _schedule(written: PlanFile) -> Schedule:
    return Schedule(
        cast("Arrival", written.arrival),
        written.concurrency,
        written.rate_per_s,
        written.duration_s,
        written.seed,
    )


def _options(written: PlanFile, given: Mapping[str, Any]) -> Options:
    """Return the place options, with the run's id, name and tags."""
    tags = {"sweep": written.name} if written.name else {}
    run = {"run_id": written.run_id, "tags": {**tags, **written.tags}}
    return options_of("sweep()", {**given, **run})


def _check_same(before: PlanFile | None, now: PlanFile) -> None:
    """Refuse to go on with other orders than the sweep began with."""
    if before and before.kinds and now.kinds and before.kinds != now.kinds:
        text = f"Sweep {before.run_id} began with other orders. Resume with the same orders in the"
        raise coded_error(ValueError, "FNB516", f"{text} same sequence, or begin a new sweep.")


def _check_budget(run: Run, *, explicit: bool) -> None:
    """Refuse a plan that is known to be beyond the budget."""
    limit, size = run.ledger.budget.orders, run.plan.size
    if limit is None or size is None or size <= limit:
        return
    whose = "its budget" if explicit else "the budget that is set where none is given"
    text = f"The sweep has {counted(size)} orders, and {whose} is {counted(limit)}."
    raise coded_error(
        BudgetError,
        "FNB518",
        f"{text} To allow them, pass budget=fnb.Budget(orders={size}). Nothing was sent.",
    )
