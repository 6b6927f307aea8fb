"""Comparison of two orders, or of one order in two labs, that stops as soon as it is sure.

Orders of A and of B take turns in blocks of ten and ten, in a random order within each. A block is
a sweep with a run id of its own, which says how many blocks were planned. After every fifth block
all orders so far are compared; the error of all these looks together is that of one comparison.
What was planned is on disk beside the journals, so that a study that was killed goes on.
"""

from __future__ import annotations

import random
import secrets
import time
from collections import Counter
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any, Self

import orjson
from typing_extensions import override

from firmly_nb.api.models import Card, Order
from firmly_nb.display.html import page
from firmly_nb.display.messages import coded_error, quoted, unknown, without_code, wrong_type
from firmly_nb.display.table import Grid, Head, grid_html, grid_text
from firmly_nb.display.text import count as counted
from firmly_nb.display.text import interval, number
from firmly_nb.environments import guard
from firmly_nb.latency.asked import limit_of, share_of
from firmly_nb.latency.compare import Comparison, comparison_html, comparison_text
from firmly_nb.latency.looks import BLOCK, EVERY, LOOKS, block_id, planned_looks
from firmly_nb.latency.planning import StudyPlan
from firmly_nb.latency.planning import plan as planned
from firmly_nb.latency.questions import UNDECIDED
from firmly_nb.latency.verdict import NOT_ATTRIBUTABLE, points
from firmly_nb.options import checked_run_id
from firmly_nb.recorder.records import checked_fields
from firmly_nb.recordings.recording import Recording
from firmly_nb.recordings.recordings import Recordings, as_recordings
from firmly_nb.sweep.budget import Budget, BudgetError, Ledger
from firmly_nb.sweep.pace import MAX_COUNT, per_second
from firmly_nb.sweep.plan import (
    Variant,
    as_variant,
    instead_of,
    is_known,
    kind_of,
    recorded,
    write_plan,
)
from firmly_nb.sweep.progress import Bar, Progress, State, bar
from firmly_nb.sweep.run import take_over
from firmly_nb.sweep.sweep import begin, is_local

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    import pandas as pd

    from firmly_nb.engine import Bench
    from firmly_nb.sweep.sweep import Sweep

FOLDER = "studies"
LONGEST_ID = 80  # the id of a block is a run id, too
SIDE_TAG = "side"
DECIDED = "decided"
UNTIL = (DECIDED,)
COUNT, MARGIN = 600, 0.10
FEWEST = EVERY * BLOCK
EARLIEST, LATEST = 0.3, 0.7  # of the pairs of a block: B is the later one
OPEN = {UNDECIDED, NOT_ATTRIBUTABLE}  # what more orders may still change


@dataclass(frozen=True, slots=True)
class StudyFile:
    """Record of a study on disk: what was planned, and what its looks showed."""

    study_id: str
    environments: list[str]
    count: int
    margin: float
    tail_margin: float
    placed_margin: float
    slo_ms: float | None
    until: str | None
    seed: int
    budget: dict[str, Any]
    began_at_ns: int
    kinds: list[Any]  # merchant, items and quantity of A and of B; no address
    looks: list[dict[str, Any]] = field(default_factory=list)

    @property
    def blocks(self) -> int:
        """Number of blocks that were planned."""
        return self.count // BLOCK

    @property
    def early(self) -> bool:
        """True if the study stops once it is decided."""
        return self.until == DECIDED

    @property
    def decided(self) -> bool:
        """True if a look has decided it."""
        return bool(self.looks) and self.looks[-1]["verdict"] not in OPEN

    @property
    def margins(self) -> dict[str, Any]:
        """Margins, as ``compare`` takes them."""
        names = ("margin", "tail_margin", "placed_margin", "slo_ms")
        return {name: getattr(self, name) for name in names}

    def write(self, journal: Path) -> None:
        """Write it; whoever reads it finds the old one or the new one whole."""
        write_plan(_path(journal, self.study_id), self, "The study's plan")

    @classmethod
    def read(cls, journal: Path, study_id: str) -> Self:
        """Read it back.

        Raises
        ------
        LookupError
            If there is no such study here.
        ValueError
            If the file is damaged.
        """
        path = _path(journal, checked_run_id(study_id))
        if there := instead_of(path):
            text = f"No comparison {study_id} in {path.parent}. {there}"
            raise coded_error(LookupError, "FNB533", text)
        try:
            found = cls(**checked_fields(cls, orjson.loads(path.read_bytes())))
            Budget.of(found.budget)
            problem = "" if found.study_id == study_id else "it is that of another comparison"
        except (TypeError, ValueError) as error:
            problem = str(error)
        if problem:
            text = f"The plan {path} is damaged: {without_code(problem)}. Begin a new comparison."
            raise coded_error(ValueError, "FNB534", text)
        return found


def _path(journal: Path, study_id: str) -> Path:
    return journal / FOLDER / f"{study_id}.json"


@dataclass(frozen=True, slots=True, repr=False)
class StudyComparison(Comparison):
    """Result of ``lab.compare``: a comparison, with its recordings and its looks; it shows itself.

    Attributes
    ----------
    study_id
        To go on after a stop: ``resume=...``.
    recordings, a, b
        All recordings, and those of each side.
    looks
        ``LOOKS``: what each look showed.
    stopped
        How the study ended, in words.
    """

    study_id: str
    recordings: Recordings
    a: Recordings
    b: Recordings
    looks: pd.DataFrame
    stopped: str

    @override
    def __repr__(self) -> str:
        looks = ["", grid_text(looks_grid(self.looks))] if len(self.looks) else []
        return "\n".join([comparison_text(self), *looks])

    @override
    def _repr_html_(self) -> str:
        looks = replace(looks_grid(self.looks), caption="The looks.")
        shown = page(grid_html(looks)) if len(self.looks) else ""
        return comparison_html(self) + shown


def looks_grid(looks: pd.DataFrame) -> Grid:
    """Return the looks as a table for people."""
    heads = (
        "look",
        "a side",
        Head("times", left=True),
        Head("late", "points", left=True),
        Head("placed", "points", left=True),
        Head("verdict", left=True),
    )
    return Grid(heads, [_look_row(row) for row in looks.to_dict("records")])


def _look_row(row: Mapping[Any, Any]) -> tuple[str, ...]:
    ratio = interval(row["ratio_low"], row["ratio_high"], "")
    late, placed = (points(row[f"{name}_low"], row[f"{name}_high"]) for name in ("late", "placed"))
    return (
        counted(row["look"]),
        counted(row["orders"]),
        "-" if row["ratio"] != row["ratio"] else ratio,
        "-" if row["late"] != row["late"] else late,
        "-" if row["placed"] != row["placed"] else placed,
        row["verdict"],
    )


class Study:
    """Study on its way: its blocks one after another, looked at as they end.

    Whoever drives it waits for each sweep that :meth:`blocks` gives out.
    """

    def __init__(
        self,
        benches: Sequence[Bench],
        variants: tuple[Variant, Variant],
        file: StudyFile,
        card: Card,
        arguments: Mapping[str, Any],
    ) -> None:
        self._benches, self._variants, self._file = list(benches), variants, file
        self._card, self._arguments = card, dict(arguments)
        self._budget = Budget.of(file.budget)
        self._ledger = Ledger(self._budget)
        self._blocks: dict[int, list[Recording]] = {}
        self._begun_s = time.monotonic()
        self._sweep: Sweep | None = None
        self._why = ""  # it stopped before its end
        self._found: Comparison | None = None
        self._warnings: list[str] = []
        self._notes = [f"comparison {file.study_id}: resume it by this name after a stop"]

    @property
    def study_id(self) -> str:
        """Id of the study."""
        return self._file.study_id

    def take_over(self, earlier: Mapping[int, list[Recording]]) -> None:
        """Count whole blocks of an earlier part of the study; they are not placed again."""
        for block, recordings in sorted(earlier.items()):
            if len(recordings) == 2 * BLOCK:
                self._keep(block, recordings)
        self._notes += [_told(look, self._file.blocks) for look in self._file.looks]

    def blocks(self) -> Iterator[Sweep]:
        """Give out the sweep of each block that is to be waited for; look at them as they end."""
        last = self._file.looks[-1]["blocks"] if self._file.looks else 0
        for block in range(1, self._file.blocks + 1):
            if self._file.decided or not self._may_begin(block):
                break
            if block not in self._blocks:
                self._sweep = self._begin(block)
                yield self._sweep
                ended, self._sweep = self._sweep, None
                self._keep(block, list(ended.recordings))
                self._warnings += [one for one in ended.warnings if one not in self._warnings]
                if ended.progress.state == "stopped":
                    self._why = self._in_all(ended.progress.message)
                    break
            if self._file.early and block > last and block in planned_looks(self._file.blocks):
                self._look(block)
        self._read_the_end()

    def progress(self, now: Progress | None = None, *, over: bool = False) -> Progress:
        """Return how far it is, all blocks together."""
        kept = [rec for one in self._blocks.values() for rec in one]
        outcomes = Counter(rec.outcome for rec in kept)
        if now is None:
            now = self._sweep.progress if self._sweep else Progress("running", None)
        outcomes.update(now.outcomes)
        ended = len(kept) + now.finished
        spent = Counter(self._ledger.spent)
        spent.update(now.spent_minor)
        end: State = "finished" if self._found and not self._why else "stopped"
        # A display shows what is new at the end: what a block said stays when the next begins.
        self._notes += [note for note in now.notes if note not in self._notes]
        return Progress(
            state=end if over else "running",
            planned=ended if over else 2 * self._file.count,
            started=len(kept) + now.started + now.resumed,
            running=now.running,
            finished=ended,
            outcomes=dict(outcomes),
            not_started=now.not_started,
            spent_minor=dict(spent),
            message=self._stopped() if over and self._found else self._why or now.message,
            notes=tuple(self._notes),
            elapsed_s=time.monotonic() - self._begun_s,
        )

    def result(self) -> StudyComparison:
        """Return the comparison at its last look."""
        if self._found is None:
            raise RuntimeError("the study has not ended")
        found = {one.name: getattr(self._found, one.name) for one in fields(Comparison)}
        a, b = self._sides()
        stopped = self._stopped()
        found["verdict"] = f"{found['verdict']} {stopped}"
        return StudyComparison(
            **found,
            study_id=self.study_id,
            recordings=Recordings(self._all(), self._warnings),
            a=a,
            b=b,
            looks=LOOKS.frame(self._file.looks),
            stopped=stopped,
        )

    # The blocks.

    def _keep(self, block: int, recordings: list[Recording]) -> None:
        self._blocks[block] = recordings
        for rec in recordings:
            take_over(self._ledger, rec.records())

    def _may_begin(self, block: int) -> bool:
        if block in self._blocks:
            return True
        if self._ledger.too_late(self._minutes()):
            self._why = f"{self._budget!r} is used up"
        limits = self._budget.total_minor or {}
        if not self._why and any(self._ledger.spent[c] > limit for c, limit in limits.items()):
            self._why = f"{self._budget!r} is used up"
        return not self._why

    def _in_all(self, why: str) -> str:
        """Say why a block stopped: its budget is what the others left."""
        return f"{self._budget!r} is used up" if "budget of" in why else why

    def _minutes(self) -> float:
        return (time.monotonic() - self._begun_s) / 60

    def _begin(self, block: int) -> Sweep:
        """Begin a block, or go on with it; its budget is what the others left."""
        file, budget = self._file, self._budget
        run_id = block_id(file.study_id, block, file.blocks, early=file.early)
        orders = None if budget.orders is None else budget.orders - self._ledger.started
        minutes = None if budget.minutes is None else budget.minutes - self._minutes()
        total = budget.total_minor and {
            currency: limit - self._ledger.spent[currency]
            for currency, limit in budget.total_minor.items()
        }
        known = is_known(self._benches[0].journal, run_id)
        arguments = {
            **self._arguments,
            "count": 2 * BLOCK,
            "budget": Budget(orders, minutes, total),
            "resume" if known else "run_id": run_id,
            "seed": file.seed,
        }
        orders_of_block = [self._variants[side] for side in turns(file.seed, block)]
        other = self._benches[1] if len(self._benches) > 1 else None
        return begin(self._benches[0], orders_of_block, self._card, arguments, other)

    def _all(self) -> list[Recording]:
        found = [rec for one in self._blocks.values() for rec in one]
        return sorted(found, key=lambda rec: rec.started_at_ns or 0)

    def _sides(self) -> tuple[Recordings, Recordings]:
        recordings = self._all()
        a, b = (Recordings(r for r in recordings if r.tags.get(SIDE_TAG) == s) for s in "AB")
        return a, b

    # The looks.

    def _compared(self) -> Comparison:
        a, b = self._sides()
        return a.compare(b, like_for_like=True, **self._file.margins)

    def _look(self, block: int) -> None:
        """Compare what there is, and write down what it showed before it is told."""
        self._found = self._compared()
        row = look_of(self._found, len(self._file.looks) + 1, block)
        self._file = replace(self._file, looks=[*self._file.looks, row])
        self._file.write(self._benches[0].journal)
        self._notes.append(_told(row, self._file.blocks))

    def _read_the_end(self) -> None:
        """Look once more at a study that ended between two looks; read again what had ended."""
        file, placed = self._file, len(self._blocks)
        last = file.looks[-1]["blocks"] if file.looks else 0
        if file.early and placed > last and not file.decided:
            self._look(placed)
        elif self._found is None:
            self._found = self._compared()

    def _stopped(self) -> str:
        file = self._file
        orders = counted(file.looks[-1]["orders"] if file.looks else len(self._all()) // 2)
        if self._why:
            return f"Stopped after {orders} orders a side: {self._why}. To go on, resume it."
        if not file.early:
            return f"All {orders} orders a side were placed, and looked at once."
        if not file.decided:
            return f"Not decided after all {orders} orders a side. To go on is a new study."
        look = f"Decided at look {len(file.looks)}"
        return f"{look}, after {orders} of {counted(file.count)} orders a side."


@contextmanager
def watched(
    running: Study, *, shown: bool, display: Callable[[], Bar] = bar
) -> Iterator[Callable[[Progress], None] | None]:
    """Show a study while it runs, each block as a part of the whole; it ends with its end."""
    if not shown:
        yield None
        return
    show = display().show
    try:
        yield lambda now: show(running.progress(now))
    finally:
        show(running.progress(over=True))


def turns(seed: int, block: int) -> list[int]:
    """Return whose turn it is in a block: 0 is A, 1 is B; neither side comes much later.

    Examples
    --------
    >>> sorted(turns(7, 1)) == [0] * 10 + [1] * 10, turns(7, 1) == turns(7, 1)
    (True, True)
    """
    draw = random.Random(f"{seed}: block {block}")  # noqa: S311 - a seeded draw, no secret
    sides = [0] * BLOCK + [1] * BLOCK
    while True:
        draw.shuffle(sides)
        later = sum(sides[:at].count(0) for at, side in enumerate(sides) if side) / BLOCK**2
        if EARLIEST <= later <= LATEST:
            return sides


def look_of(found: Comparison, number_: int, blocks: int) -> dict[str, Any]:
    """Return what a look showed, as a row of ``LOOKS``."""
    questions: dict[str, Any] = {
        "ratio": found.typical,
        "late": found.tail,
        "placed": found.success,
    }
    row: dict[str, Any] = {
        "look": number_,
        "blocks": blocks,
        "orders": found.success.b.of,
        "verdict": found.order.verdict,
    }
    for name, one in questions.items():
        row |= {name: one.estimate, f"{name}_low": one.low, f"{name}_high": one.high}
    return row


def _told(row: Mapping[str, Any], blocks: int) -> str:
    """Say what a look showed, in a line."""
    ratio = interval(row["ratio_low"] or 0.0, _end(row["ratio_high"]), "")
    said = f"look {row['look']}, {counted(row['orders'])} of {counted(BLOCK * blocks)} a side: "
    return f"{said}{row['verdict']}; B takes {number(_end(row['ratio']))} times as long ({ratio})"


def _end(value: float | None) -> float:
    return float("nan") if value is None else value


def plan(
    recs: Any,
    change: float | str = 0.10,
    power: float | str = 0.8,
    *,
    rate: float | str | None = None,
) -> StudyPlan:
    """Return how many orders, runs, minutes and how much money a comparison needs.

    Parameters
    ----------
    recs
        Recordings of the orders that are to be compared, or where they are saved: 20 placed ones
        at least. They tell how much orders differ, how many are placed, and what they cost.
    change
        Change of the typical time that is to be told: 0.10 or ``"10%"``.
    power
        Share of studies that are to tell it.
    rate
        Orders of both sides a second, or ``"30/min"``; by default as in the recordings.

    Returns
    -------
    StudyPlan
        ``.orders`` a side, ``.runs``, ``.minutes``, ``.question``; ``.count`` for ``lab.compare``.

    Raises
    ------
    ValueError
        If a share is not between 0 and 1, or fewer than 20 orders were placed.

    Examples
    --------
    >>> import firmly_nb as fnb
    >>> with fnb.connect(profile="instant") as lab:
    ...     recs = lab.sweep(fnb.Order.example(), count=20, progress=False)
    >>> fnb.plan(recs, change="10%").orders >= 400
    True
    """
    found = as_recordings("recs", recs)
    asked = share_of("change", change, 0.10), share_of("power", power, 0.8)
    per_minute = None if rate is None else 60 * per_second(rate)
    ends = found.ends
    return planned((ends.events, ends.stages, _with_costs(found)), *asked, per_minute)


def _with_costs(recs: Recordings) -> pd.DataFrame:
    """Return the orders with what they cost and their tags; a saved set has these elsewhere."""
    orders = recs.ends.orders
    return orders if "total_minor" in orders else recs.orders


# What is asked for.


def study(
    benches: Sequence[Bench],
    orders: tuple[Any, Any],
    card: Card | None,
    asked: Mapping[str, Any],
    arguments: Mapping[str, Any],
) -> Study:
    """Check everything, and write the plan down; nothing is sent yet.

    Parameters
    ----------
    benches
        The lab, and the other one if there are two.
    orders
        What A and B order; None for B: the same.
    card
        The test card of orders that have none of their own.
    asked
        ``count``, the margins, ``until``, ``budget``, ``run_id`` or ``resume``, ``seed``.
    arguments
        Those of each block's sweep: its pace, tags and options.

    Raises
    ------
    ValueError
        If something is wrong; BudgetError if it may be beyond the budget.
    GuardError
        If something of it may not be ordered there. Nothing was sent.
    """
    variants = _two_sides(orders, len(benches))
    card = card or Card.test()
    for variant in variants:
        environment, order = benches[variant.lab].environment, variant.order
        guard(environment, order.domain, variant.card or card, by_calls=order.by_calls)
    resumed = asked["resume"]
    if resumed is not None:
        file = _resumed(benches, StudyFile.read(benches[0].journal, resumed), asked)
    else:
        file = _new(benches, asked, [list(kind_of(one.order)) for one in variants])
    if file.budget["orders"] is not None and file.budget["orders"] < 2 * file.count:
        text = f"The comparison places up to {counted(2 * file.count)} orders, and its budget is"
        todo = f"Pass a smaller count, or budget=fnb.Budget(orders={2 * file.count})."
        text = f"{text} {counted(file.budget['orders'])}. {todo} Nothing was sent."
        raise coded_error(BudgetError, "FNB518", text)
    found = Study(benches, variants, file, card, arguments)
    if resumed is not None:
        found.take_over(_earlier(benches, file))
    file.write(benches[0].journal)
    return found


def _two_sides(orders: tuple[Any, Any], labs: int) -> tuple[Variant, Variant]:
    order_a, order_b = orders
    if order_b is None and labs == 1:
        text = "A comparison needs two sides. Pass order_b, or other=... for a second lab."
        raise coded_error(ValueError, "FNB530", text)
    for name, order in (("order_a", order_a), ("order_b", order_b)):
        if not isinstance(order, Order | Variant) and not (order is None and name == "order_b"):
            raise wrong_type(name, "a fnb.Order", order, "fnb.Order.example()")
    a, b = as_variant(order_a), as_variant(order_a if order_b is None else order_b)
    return (
        replace(a, tags={**a.tags, SIDE_TAG: "A"}),
        replace(b, tags={**b.tags, SIDE_TAG: "B"}, lab=labs - 1),
    )


def _new(benches: Sequence[Bench], asked: Mapping[str, Any], kinds: list[Any]) -> StudyFile:
    run_id = asked["run_id"]
    if run_id is not None and (
        len(checked_run_id(run_id)) > LONGEST_ID or _path(benches[0].journal, run_id).exists()
    ):
        text = f"run_id {quoted(run_id)} is too long, or of a comparison that exists already."
        todo = f"Continue that with resume={run_id!r}, or choose another."
        raise coded_error(ValueError, "FNB511", f"{text} {todo}")
    budget = Budget.of(asked["budget"]).within(
        local=all(is_local(one.environment) for one in benches)
    )
    seed = asked["seed"]
    return StudyFile(
        study_id=run_id
        or f"{time.strftime('%Y%m%dT%H%M%S', time.gmtime())}-{secrets.token_hex(3)}",
        environments=[one.environment.name for one in benches],
        budget=asdict(budget),
        seed=0 if seed is None else seed,
        began_at_ns=time.time_ns(),
        kinds=kinds,
        **_checked(asked),
    )


def _checked(asked: Mapping[str, Any]) -> dict[str, Any]:
    """Return what decides when a study ends, each thing checked."""
    count, until, slo_ms = asked["count"], asked["until"], asked["slo_ms"]
    fits = isinstance(count, int) and not isinstance(count, bool)
    if not fits or not FEWEST <= count <= MAX_COUNT or count % BLOCK:
        text = f"count must be a multiple of {BLOCK}, at least {FEWEST}: the orders of each side."
        raise coded_error(ValueError, "FNB531", f"{text} Got {quoted(count)}. Try count=600.")
    if until not in {None, *UNTIL}:
        text = f"{unknown('until', until, UNTIL)} None places all orders before it looks."
        raise coded_error(ValueError, "FNB532", text)
    return {
        "count": count,
        "until": until,
        "margin": share_of("margin", asked["margin"], MARGIN),
        "tail_margin": share_of("tail_margin", asked["tail_margin"], 0.05),
        "placed_margin": share_of("placed_margin", asked["placed_margin"], 0.05),
        "slo_ms": None if slo_ms is None else limit_of("slo_ms", slo_ms),
    }


DEFAULTS = {
    "count": COUNT,
    "until": DECIDED,
    "margin": MARGIN,
    "tail_margin": 0.05,
    "placed_margin": 0.05,
    "slo_ms": None,
}


def _resumed(benches: Sequence[Bench], file: StudyFile, asked: Mapping[str, Any]) -> StudyFile:
    """Return the plan of an earlier part; what decides when it ends stays as it was stated."""
    if asked["run_id"] is not None:
        text = "resume names the comparison already. Remove run_id."
        raise coded_error(ValueError, "FNB521", text)
    for name, value in _checked(asked).items():
        if value not in {DEFAULTS[name], getattr(file, name)}:
            text = f"{name} of comparison {file.study_id} is {getattr(file, name)!r}, stated before"
            text = f"{text} the first order. It cannot be {value!r} now. Begin a new comparison."
            raise coded_error(ValueError, "FNB535", text)
    environments = [one.environment.name for one in benches]
    if environments != file.environments:
        before, now = (" and ".join(names) for names in (file.environments, environments))
        text = f"Comparison {file.study_id} was placed on {before}; this is {now}."
        raise coded_error(ValueError, "FNB535", f"{text} Resume it there. Nothing was sent.")
    more = asdict(Budget.of(asked["budget"]))
    budget = file.budget | {name: value for name, value in more.items() if value is not None}
    return replace(file, budget=budget)


def _earlier(benches: Sequence[Bench], file: StudyFile) -> dict[int, list[Recording]]:
    """Return what an earlier part placed, by block."""
    found: dict[int, list[Recording]] = {}
    ids = {
        block_id(file.study_id, block, file.blocks, early=file.early): block
        for block in range(1, file.blocks + 1)
    }
    for journal in dict.fromkeys(bench.journal for bench in benches):
        for records, warnings in recorded(journal, ids, to_resume=True):
            rec = Recording(records, warnings)
            found.setdefault(ids[str(rec.summary()["run_id"])], []).append(rec)
    return found
