"""B against A: in the middle, in the tail, and how many are placed; a verdict in sentences.

The margins are stated before looking: a difference within them is none that matters. First it is
looked at whether A and B may be compared, then three questions are answered; stages are a family of
questions of their own.
"""

from __future__ import annotations

import math
import textwrap
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from firmly_nb.display.html import QUIET, notes, page, quiet
from firmly_nb.display.messages import tells_names
from firmly_nb.display.table import TEXT_WIDTH, Bar, Cell, Grid, Head, grid_html, grid_text
from firmly_nb.display.text import (
    as_html,
    count,
    duration,
    interval,
    listed,
    number,
    percent,
    printable,
    short_name,
)
from firmly_nb.latency.answers import Whole, answers, method_of, stage_answers
from firmly_nb.latency.asked import limit_of, share_of
from firmly_nb.latency.caveats import Claims, claims_and_times
from firmly_nb.latency.columns import reads_of
from firmly_nb.latency.design import (
    DESIGN,
    ENOUGH_RUNS,
    NOTED,
    UNLIKE,
    VOIDS,
    Design,
    Difference,
    arrange,
    difference,
    in_common,
    more_cancelled,
    rows_of_kinds,
    sides,
    without_what_differs,
)
from firmly_nb.latency.effect import shift_function
from firmly_nb.latency.looks import Blocks, blocks_of
from firmly_nb.latency.predict import More, more_needed
from firmly_nb.latency.quantiles import in_order, quantiles_of_sorted, type_7, values_needed
from firmly_nb.latency.questions import NEEDED_FOR_TAIL, UNDECIDED, WIDE, Levels, Margins
from firmly_nb.latency.verdict import (
    Found,
    Stage,
    Success,
    Tail,
    Typical,
    exit_code,
    points,
    reason,
    sentence,
    signed,
    verdict_of,
)
from firmly_nb.schema import Column, Table

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    import pandas as pd

    from firmly_nb.latency.design import Tables
    from firmly_nb.latency.effect import Codes, Floats

LEVEL_OF_BAND = 0.95  # of the shift function
ORDER = "order"

COMPARISON = Table(
    "comparison",
    "one row a stage",
    (
        Column("stage", "str", "", "the stage"),
        Column("n_a", "int64", "orders", "orders of A that completed it"),
        Column("n_b", "int64", "orders", "orders of B that completed it"),
        Column("p50_a_ms", "float64", "ms", "median of A"),
        Column("p50_b_ms", "float64", "ms", "median of B"),
        Column("ratio", "float64", "", "how many times as long B takes, like for like"),
        Column("ratio_low", "float64", "", "its wide interval, lower end; holds with all stages"),
        Column("ratio_high", "float64", "", "its wide interval, upper end"),
        Column("ratio_inside_low", "float64", "", "its narrow interval, lower end"),
        Column("ratio_inside_high", "float64", "", "its narrow interval, upper end"),
        Column("late_ms", "float64", "ms", "from when the stage is late: p95 of A"),
        Column("late_a", "float64", "", "share of late orders of A"),
        Column("late_b", "float64", "", "share of late orders of B"),
        Column("late", "float64", "", "share of late orders, B minus A, like for like"),
        Column("late_low", "float64", "", "its wide interval, lower end; holds with all stages"),
        Column("late_high", "float64", "", "its wide interval, upper end"),
        Column("late_inside_low", "float64", "", "its narrow interval, lower end"),
        Column("late_inside_high", "float64", "", "its narrow interval, upper end"),
        Column("very_late", "float64", "", "later than twice A's median: B minus A"),
        Column("very_late_low", "float64", "", "its wide interval, lower end"),
        Column("very_late_high", "float64", "", "its wide interval, upper end"),
        Column("typical", "str", "", "slower, faster, no change, not enough data"),
        Column("tail", "str", "", "the same of its late orders"),
        Column("verdict", "str", "", "both together"),
        Column("forbids", "bool", "", "worse and not within its margins: the gate fails"),
    ),
)


@dataclass(frozen=True, slots=True)
class WholeOrder:
    """The whole order: the word of the comparison, and what stands beside it.

    Attributes
    ----------
    verdict
        ``not comparable``, ``not attributable``, ``fewer placed``, ``slower``, ``faster``,
        ``more placed``, ``no change``, ``slower in a stage`` or ``not enough data``.
    n_a, n_b
        Placed orders with a time.
    p50_a_ms, p50_b_ms, p95_a_ms, p95_b_ms
        Their medians and p95; they decide nothing. p95 is not a number below 72 orders.
    """

    verdict: str
    n_a: int
    n_b: int
    p50_a_ms: float
    p50_b_ms: float
    p95_a_ms: float
    p95_b_ms: float


@tells_names
@dataclass(frozen=True, slots=True)
class Comparison:
    """Result of ``compare``; it shows itself.

    Attributes
    ----------
    verdict
        What is known, in one to a few sentences.
    order
        The word for the whole order, ``order.verdict``, and its times.
    typical, tail, success
        The three questions, each with estimate, wide and narrow interval, and verdict.
    differences
        The stages.
    design
        ``DESIGN``: what differs between A and B beside the release, and what it does.
    shift
        ``SHIFT``: by how many ms each quantile of the whole order differs. It decides nothing.
    margin, tail_margin, placed_margin, slo_ms, control
        As they were given.
    attributable
        Whether a difference can be attributed to the release.
    by_runs
        Whether runs are the unit of the intervals, and not orders.
    more
        About how many more orders or runs a side would decide; None if it is decided.
    exit_code, reason
        For gates: 0 not worse beyond the margins, 1 worse, 3 not known; and why, in a line.
    notes
        What qualifies the verdict, as sentences.
    """

    verdict: str
    order: WholeOrder
    typical: Typical
    tail: Tail
    success: Success
    differences: tuple[Stage, ...]
    design: pd.DataFrame
    shift: pd.DataFrame
    margin: float
    tail_margin: float
    placed_margin: float
    slo_ms: float | None
    control: str | None
    attributable: bool
    by_runs: bool
    more: More | None
    exit_code: int
    reason: str
    notes: tuple[str, ...]

    @property
    def stages(self) -> pd.DataFrame:
        """One row a stage; see ``COMPARISON``."""
        names = COMPARISON.names
        return COMPARISON.frame(
            [{name: getattr(one, name) for name in names} for one in self.differences]
        )

    def __repr__(self) -> str:
        return comparison_text(self)

    def _repr_html_(self) -> str:
        return comparison_html(self)


def compare(  # noqa: PLR0913 - each is asked for by name
    a: Tables,
    b: Tables,
    margin: float | str = 0.10,
    *,
    tail_margin: float | str = 0.05,
    placed_margin: float | str = 0.05,
    slo_ms: float | str | None = None,
    like_for_like: bool = False,
    control: str | None = None,
    ids: tuple[Codes, Codes] | None = None,
) -> Comparison:
    """Compare B with A: the typical time, the tail, how many are placed, and each stage.

    Parameters
    ----------
    a, b
        Events, stages and orders of each side, as tables. Orders need ``recording_id``,
        ``outcome`` and ``time_to_order_placed_ms``; ``run_id``, ``started_at``, ``domain`` and
        ``n_items`` where a difference is to be attributed to B, and ``host`` if there are several.
    margin
        The smallest change of the typical time that matters, stated before looking: 0.10 or
        ``"10%"``.
    tail_margin, placed_margin
        The same for the shares of late and of placed orders: 0.05 or ``"5%"`` for 5 points.
    slo_ms
        From when an order is late, in ms, or ``"1.5s"``; by default A's own times say it.
    like_for_like
        Whether to compare what both sides have, however much only one of them has.
    control
        A merchant that did not change, measured in the same runs.
    ids
        A number, not below 0, for the id of each order of A and of B, if the column
        ``recording_id`` of the tables does not have the ids.

    Returns
    -------
    Comparison
        The verdict, and what it rests on.

    Raises
    ------
    ValueError
        If a margin is not between 0 and 1, ``slo_ms`` is not above 0, or no order of the control
        merchant is on a side.

    Examples
    --------
    >>> import pandas as pd
    >>> from firmly_nb.latency import STAGES
    >>> import numpy as np
    >>> rng = np.random.default_rng(1)
    >>> orders = pd.DataFrame({"recording_id": [f"r{i}" for i in range(200)], "outcome": "placed"})
    >>> orders["time_to_order_placed_ms"] = rng.lognormal(7, 0.2, 200)
    >>> orders["started_at"] = pd.date_range("2026-01-01", periods=200, freq="1s", tz="UTC")
    >>> orders["run_id"] = "monday"
    >>> events = pd.DataFrame({"recording_id": [], "coalesced": []})
    >>> a, b = orders[::2], orders[1::2].copy()
    >>> b["time_to_order_placed_ms"] *= 1.5
    >>> compare((events, STAGES.empty(), a), (events, STAGES.empty(), b)).order.verdict
    'slower'
    """
    margins = _checked(margin, tail_margin, placed_margin, slo_ms)
    known, times = zip(*(claims_and_times(*tables) for tables in (a, b)), strict=True)
    planned = any(one.from_planned_start for one in known)
    (side_a, side_b), kinds = sides((a[2], b[2]), from_planned_start=planned, ids=ids)
    more_rows = _claimed_rows((a, b), known)
    # Whoever has orders take turns in blocks wants these held against each other.
    blocks = _blocks(a[2], b[2])
    like_for_like = like_for_like or blocks is not None
    dropped: tuple[str, ...] = ()
    if like_for_like:
        shared = in_common(side_a.kind[side_a.attempted], side_b.kind[side_b.attempted])
        alike = None if shared.any() else without_what_differs(side_a, side_b, kinds)
        if alike is not None:
            dropped = alike[3]
            more_rows += rows_of_kinds(side_a, side_b, kinds, dropped)
            side_a, side_b, kinds = alike[:3]
    design, use_a, use_b = arrange(
        side_a,
        side_b,
        kinds,
        more_rows,
        like_for_like=like_for_like,
        control=control,
        in_blocks=blocks is not None,
    )
    levels = Levels(blocks.looks, blocks.planned) if blocks else Levels()
    method = method_of(design, levels)
    whole = answers(side_a, use_a, side_b, use_b, method, margins, design)
    buffered = frozenset[str]().union(*(one.buffered for one in known))
    stages = stage_answers(
        times, (side_a, side_b), (use_a, use_b), method, design, margins, buffered
    )
    placed_runs = design.runs[0] if design.blocked and not design.by_runs else None
    cancelled = more_cancelled(side_a, side_b, WIDE)
    counts = (int((~side_a.attempted).sum()), int((~side_b.attempted).sum()))
    found = Found(
        typical=whole.typical,
        tail=whole.tail,
        success=whole.success,
        stages=stages,
        margins=margins,
        unlike=design.unlike,
        why_not=design.why_not,
        control=control,
        runs=placed_runs,
        cancelled=counts if cancelled else None,
        from_planned_start=planned,
        more=None,
    )
    found = _with_more(found, whole)
    took_a, took_b = (
        in_order(side.ms[use & ~design.control[side.kind]])
        for side, use in ((side_a, use_a), (side_b, use_b))
    )
    return Comparison(
        verdict=sentence(found),
        order=_whole_order(verdict_of(found), took_a, took_b),
        typical=whole.typical,
        tail=whole.tail,
        success=whole.success,
        differences=stages,
        design=DESIGN.frame([row._asdict() for row in design.rows]),
        shift=shift_function(took_a, took_b, LEVEL_OF_BAND),
        margin=margins.typical,
        tail_margin=margins.tail,
        placed_margin=margins.placed,
        slo_ms=margins.slo_ms,
        control=control,
        attributable=not design.why_not and not design.unlike,
        by_runs=design.by_runs,
        more=found.more,
        exit_code=exit_code(found),
        reason=reason(found),
        notes=(*_qualified(found, design, buffered), *_other_hosts(dropped), *_look(blocks)),
    )


def _blocks(a: pd.DataFrame, b: pd.DataFrame) -> Blocks | None:
    """Return the blocks that all orders of both sides were placed in; None if there are none."""
    if "run_id" not in a or "run_id" not in b:
        return None
    return blocks_of([name for one in (a, b) for name in one["run_id"].unique()])


def _other_hosts(dropped: Sequence[str]) -> list[str]:
    """Say that what differs may be only the way to the merchant."""
    if "host" not in dropped:
        return []
    said = "Orders of A and B come from different hosts: whether the host or B makes a difference"
    return [f"{said} cannot be told."]


def _look(blocks: Blocks | None) -> list[str]:
    """Say that intervals are wider, as there are several looks."""
    if blocks is None or not blocks.looks:
        return []
    said = f"Block {blocks.placed} of {blocks.planned} of a study that may stop early"
    return [f"{said}. Each look has wider intervals, so that all looks together are right."]


def _checked(
    margin: float | str, tail: float | str, placed: float | str, slo_ms: float | str | None
) -> Margins:
    """Return the margins, if they are such."""
    return Margins(
        share_of("margin", margin, 0.10),
        share_of("tail_margin", tail, 0.05),
        share_of("placed_margin", placed, 0.05),
        None if slo_ms is None else limit_of("slo_ms", slo_ms),
    )


# What the recordings cannot say.


def _claimed_rows(tables: Sequence[Tables], known: Sequence[Claims]) -> list[Difference]:
    """Return what the caveats of each side do to the comparison."""
    rows = []
    if any(one.buffered for one in known):
        told = [
            f"gathered at {listed(map(short_name, sorted(one.buffered)))}"
            if one.buffered
            else "in pace"
            for one in known
        ]
        rows.append(difference("events", told, VOIDS))
    if any(one.from_planned_start for one in known):
        told = ["late" if one.from_planned_start else "kept" for one in known]
        rows.append(difference("schedule", told, NOTED))
    reads = [reads_of(table[0]) for table in tables]
    shares = [one.coalesced / one.events if one.events else math.nan for one in reads]
    if abs(shares[0] - shares[1]) >= UNLIKE:
        told = [f"{percent(one)} coalesced" for one in shares]
        rows.append(difference("coalesced events", told, NOTED))
    return rows


def _with_more(found: Found, whole: Whole) -> Found:
    """Say how much more data would decide, where nothing is decided."""
    if verdict_of(found) != UNDECIDED or whole.present is None:
        return found
    return replace(found, more=more_needed(whole.present, found.margins))


def _whole_order(verdict: str, a: Floats, b: Floats) -> WholeOrder:
    """Return what stands beside the verdict, of times in order."""
    return WholeOrder(verdict, len(a), len(b), type_7(a, 0.5), type_7(b, 0.5), _p95(a), _p95(b))


def _qualified(found: Found, design: Design, buffered: frozenset[str]) -> list[str]:
    """Return what the tool will not say, and why."""
    said = []
    if design.why_not and not design.unlike:
        said.append(
            f"A difference is not attributed to B: {design.why_not}. More orders do not mend that."
        )
    if found.runs is not None:
        said.append(
            f"{count(found.runs, 'shared run')}: with {ENOUGH_RUNS} or more, the verdict is about "
            "runs like these."
        )
    if buffered:
        said.append(
            f"Nothing is said of stages at {listed(map(short_name, sorted(buffered)))}: its "
            "events came together, in at most two reads."
        )
    if math.isnan(found.tail.estimate) and not design.unlike:
        said.append(
            f"Nothing is said of the tail: A needs {NEEDED_FOR_TAIL} orders, or pass slo_ms."
        )
    if max(design.left_out) > 0 and not design.unlike:
        a, b = map(percent, design.left_out)
        said.append(f"Left out, as the other side has none like them: {a} of A, {b} of B.")
    if found.cancelled:
        said.append(
            "The shares of cancelled orders differ. What they would have become is allowed for "
            "in the success rate."
        )
    return said


# How it is shown.

BAR = "background:#0072b2"  # of Okabe and Ito's colours, as the second series of the charts


def comparison_text(found: Comparison) -> str:
    """Write a comparison as plain text: verdict, questions, design, stages, what is not said."""
    lines = [*textwrap.wrap(printable(found.verdict), TEXT_WIDTH), ""]
    lines += [grid_text(questions_grid(found)), "", *_wrapped(_design_words(found))]
    if found.differences:
        lines += ["", grid_text(_stage_grid(found))]
    lines += _wrapped([_how(found)])
    return "\n".join([*lines, *_wrapped(f"! {note}" for note in found.notes)])


def comparison_html(found: Comparison) -> str:
    """Show a comparison: verdict, questions, design, stages, what is not said."""
    # A caption makes a table one that can be scrolled by keys.
    questions = grid_html(replace(questions_grid(found), caption="The three questions."))
    stages = grid_html(replace(_stage_grid(found), caption="The stages."))
    stages = stages if found.differences else ""
    design = "".join(f"<div>{as_html(line)}</div>" for line in _design_words(found))
    return page(
        f"<div><b>{as_html(found.verdict)}</b></div>{questions}"
        f'<div style="{QUIET}">{design}</div>{stages}{quiet(_how(found))}{notes(found.notes)}'
    )


def _wrapped(lines: Iterable[str]) -> list[str]:
    return [part for line in lines for part in textwrap.wrap(printable(line), TEXT_WIDTH)]


def questions_grid(found: Comparison) -> Grid:
    """Return the three questions as a table: estimate, interval, bar, verdict."""
    heads = (
        "question",
        Head("B against A", left=True),
        Head("interval", left=True),
        Head("better | | | worse", left=True),
        Head("verdict", left=True),
    )
    return Grid(heads, [*_rows(found)])


def _bar(low: float, high: float, margin: float) -> Cell:
    """Draw an interval: worse to the right, marks at both margins and at no change."""
    if not (math.isfinite(low) and math.isfinite(high)):
        return Cell("-")
    at = [min(max(0.5 + one / (4 * margin), 0.0), 0.99) for one in (low, high)]
    return Cell(bar=Bar(at[0], max(at[1] - at[0], 0.01), BAR, (0.25, 0.5, 0.75)))


def _rows(found: Comparison) -> Iterator[tuple[str | Cell, ...]]:
    one, margin = found.typical, math.log1p(found.margin)
    times = f"{number(one.estimate)} times", interval(one.low, one.high, "")
    yield _row("typical", one, *times, _bar(one.decision.low, one.decision.high, margin))
    tail, placed = found.tail, found.success
    yield _row_of_points("tail", tail, _bar(tail.low, tail.high, found.tail_margin))
    yield _row_of_points("placed", placed, _bar(-placed.high, -placed.low, found.placed_margin))


def _row_of_points(question: str, one: Tail | Success, bar: Cell) -> tuple[str | Cell, ...]:
    return _row(question, one, f"{signed(one.estimate)} points", points(one.low, one.high), bar)


def _row(
    question: str, one: Typical | Tail | Success, effect: str, between: str, bar: Cell
) -> tuple[str | Cell, ...]:
    if math.isnan(one.estimate):
        effect, between, bar = "-", "-", Cell("-")
    return question, effect, between, bar, one.verdict


def _design_words(found: Comparison) -> list[str]:
    """Return the rows of the design as sentences."""
    words = []
    for row in found.design.to_dict("records"):
        same = row["a"] == row["b"]
        both = row["a"] if same else f"A {row['a']}; B {row['b']}"
        words.append(f"{row['what']}: {both} ({row['effect']})")
    return words


STAGE_HEADS = (
    "stage",
    "orders",
    Head("A p50", "ms"),
    Head("B p50", "ms"),
    "times as long",
    "late, points",
    Head("verdict", left=True),
)


def _stage_grid(found: Comparison) -> Grid:
    return Grid(STAGE_HEADS, [_stage_row(one) for one in found.differences])


def _stage_row(one: Stage) -> tuple[str | Cell, ...]:
    counts = count(one.n_a) if one.n_a == one.n_b else f"{count(one.n_a)}/{count(one.n_b)}"
    ratio = Cell(number(one.ratio), small=interval(one.ratio_low, one.ratio_high, ""))
    late = Cell(signed(one.late), small=points(one.late_low, one.late_high))
    return (
        one.stage,
        counts,
        number(one.p50_a_ms),
        number(one.p50_b_ms),
        Cell("-") if math.isnan(one.ratio) else ratio,
        Cell("-") if math.isnan(one.late) else late,
        one.verdict,
    )


def _p95(ms: Floats) -> float:
    return quantiles_of_sorted(ms, [0.95])[0].estimate


def _how(found: Comparison) -> str:
    order = found.order
    sides = {"A": (order.n_a, order.p95_a_ms), "B": (order.n_b, order.p95_b_ms)}
    known = [f"{side} {duration(ms)}" for side, (_, ms) in sides.items() if not math.isnan(ms)]
    few = [f"{count(n)} of {side}" for side, (n, ms) in sides.items() if n and math.isnan(ms)]
    lacks = f"{count(values_needed(0.95))} placed orders are needed, there are {listed(few)}"
    said = [*known, *([lacks] if few else [])]
    p95 = f" p95: {', '.join(said)}." if said else ""
    return (
        "Bars: the interval; marks: both margins, and no change between them. Family-wise level "
        f"95%: of the three questions, and of the stages.{p95}"
    )
