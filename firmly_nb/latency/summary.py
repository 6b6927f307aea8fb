"""The result of ``recs.latency()``: outcomes, the table of times, and what qualifies it."""

from __future__ import annotations

import math
import textwrap
from dataclasses import dataclass, replace
from html import escape
from itertools import chain, takewhile
from threading import Lock
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import numpy as np

from firmly_nb.display.html import SEEN, notes, page, page_link, quiet, swatch
from firmly_nb.display.messages import tells_names
from firmly_nb.display.table import TEXT_WIDTH, Cell, Grid, Head, Row, grid_html, grid_text
from firmly_nb.display.text import (
    TIMES,
    as_html,
    count,
    duration,
    hanging,
    interval,
    number,
    percent,
    percent_interval,
    printable,
    stated_percent,
    uncertainty,
    window,
)
from firmly_nb.latency.caveats import (
    COMPRESSED,
    LATE_START,
    SCHEDULED,
    Claims,
    Doubts,
    claims,
    from_planned_start,
    scheduled_ms,
)
from firmly_nb.latency.columns import coded, floats, is_value, names_in, positions, reads_of
from firmly_nb.latency.dependence import Units, basis_words, quantiles_over, units_of
from firmly_nb.latency.drift import drift_within, warm_up
from firmly_nb.latency.modes import two_modes
from firmly_nb.latency.quantiles import (
    AT_ONCE,
    Largest,
    estimate,
    in_places,
    quantile_name,
    type_7,
    values_needed,
)
from firmly_nb.latency.rules import rules
from firmly_nb.latency.shares import outcome_table, success_over, success_rate
from firmly_nb.latency.stages import (
    BUFFERED,
    COALESCED,
    OUT_OF_ORDER,
    Gathered,
    blocks_of,
    is_each,
    order_of,
    times_of,
)
from firmly_nb.outcomes import CANCELLED, PLACED, look_of_stage, outcome
from firmly_nb.schema import Column, Table
from firmly_nb.threads import beside, in_threads

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    import pandas as pd
    from numpy.typing import NDArray

    from firmly_nb.latency.columns import Events
    from firmly_nb.latency.dependence import Estimates
    from firmly_nb.latency.modes import Modes
    from firmly_nb.latency.quantiles import Ordered, Quantile
    from firmly_nb.latency.shares import Share
    from firmly_nb.latency.stages import StageBlock, StageBlocks, StageTimes

    Codes = NDArray[np.signedinteger[Any]]
    Floats = NDArray[np.float64]
    AnyStages = TypeVar("AnyStages", bound=pd.DataFrame | StageBlocks)

# Orders that the analyst cancelled are left out of everything.


SHOWN = (0.5, 0.9, 0.95)
LOOKS = 2  # at a time: each holds a stage's times, and what it makes of them
ORDER, FIRST_EVENT, HEADERS = "order", "first event", "headers"
PLANNED = "from planned start"  # the order's time, counted from then; where orders started late
NO_STAGES = (ORDER, PLANNED, FIRST_EVENT, HEADERS)
LABELS = {
    ORDER: TIMES["time_to_order_placed_ms"],
    FIRST_EVENT: TIMES["time_to_first_event_ms"],
    HEADERS: TIMES["time_to_headers_ms"],
}  # of rows that are not stages; the values in the data stay


def row_label(stage: str) -> str:
    """Return what a row of a table of times is called where somebody reads it.

    Examples
    --------
    >>> row_label("order"), row_label("order-placed")
    ('time to order placed', 'order-placed')
    """
    return LABELS.get(stage, stage)


def _quantile_columns(ps: Sequence[float]) -> tuple[Column, ...]:
    columns = []
    for p in ps:
        name = quantile_name(p)
        words = f"the time that {stated_percent(p)} of the orders do not exceed"
        columns += [
            Column(f"{name}_ms", "float64", "ms", f"{words}; null: not estimable"),
            Column(f"{name}_low_ms", "float64", "ms", "its interval, lower end; -inf: open"),
            Column(f"{name}_high_ms", "float64", "ms", "its interval, upper end; inf: open"),
        ]
    return tuple(columns)


def latency_columns(ps: Sequence[float]) -> Table:
    """Return the declaration of the latency table with these quantiles."""
    return Table(
        "latency",
        "one row a stage, then the order, from planned start if late, first event and headers",
        (
            Column("stage", "str", "", "the stage, or what the time runs to"),
            Column("n", "int64", "orders", "orders that completed it, and whose time is known"),
            *_quantile_columns(ps),
            Column("max_ms", "float64", "ms", "the longest"),
            Column("share_of_order", "float64", "", "its share of all times to order placed"),
            Column("reached", "int64", "orders", "orders that came to its end"),
            Column("attempted", "int64", "orders", "all orders without the cancelled ones"),
            Column("reached_share", "float64", "", "reached / attempted"),
            Column("reached_low", "float64", "", "interval of it, lower end; 0: none"),
            Column("reached_high", "float64", "", "the same, upper end; 1: none"),
            Column("coalesced_share", "float64", "", "ends that share a read with the one before"),
            Column("uncertainty_p99_us", "float64", "µs", "uncertainty of the times, p99"),
            Column("left_out", "int64", "orders", "completed it, but the time is not known"),
            Column("left_out_why", "str", "", "how many of these for which reason"),
        ),
    )


LATENCY = latency_columns(SHOWN)


class Part(NamedTuple):
    """Input of one row of a table of times."""

    stage: str
    values: Floats
    units: Units  # where the orders of the values stand
    reached: NDArray[np.bool_]  # for each order whether it came there
    extra: dict[str, Any]


def latency_table(
    events: pd.DataFrame,
    stages: pd.DataFrame,
    orders: pd.DataFrame,
    level: float = 0.95,
    quantiles: Sequence[float] = SHOWN,
) -> pd.DataFrame:
    """Return the quantiles of every stage with their intervals.

    The intervals allow for orders that are alike: see ``firmly_nb.latency.dependence``.

    Parameters
    ----------
    events
        Needs ``recording_id``, ``milestone``, ``coalesced``, ``uncertainty_us``; in order of
        arrival.
    stages
        ``STAGES``: for each order its stages in order.
    orders
        Needs ``recording_id``, ``outcome``, ``time_to_order_placed_ms``,
        ``time_to_first_event_ms``, ``time_to_headers_ms``; ``run_id`` where there are runs,
        ``started_at``, ``domain`` and ``n_items`` to see which orders are alike.
    level
        The intervals' level.
    quantiles
        Which quantiles, between 0 and 1.

    Returns
    -------
    pandas.DataFrame
        ``LATENCY``, with the columns of these quantiles.

    Examples
    --------
    >>> from firmly_nb.latency import STAGES
    >>> import pandas as pd
    >>> nothing = pd.DataFrame({"outcome": []})
    >>> latency_table(pd.DataFrame(), STAGES.empty(), nothing)["stage"].tolist()
    []
    """
    return _looked_at(events, stages, orders, level, quantiles).table


class _Orders:
    """Facts of the orders that the rows of all stages need, looked at once."""

    def __init__(self, orders: pd.DataFrame) -> None:
        self.lock = Lock()
        self.counted = ~is_value(orders["outcome"], CANCELLED)
        self.cancelled = ~self.counted
        self.is_placed = is_value(orders["outcome"], PLACED)
        self.units = units_of(orders)
        self._placed_ms = floats(orders["time_to_order_placed_ms"])
        self._whole_ms = self._sum_ms(slice(None))

    def _sum_ms(self, rows: Codes | slice) -> float:
        """Return how long some of the orders took in sum; those that were not placed took none."""
        took = np.nan_to_num(self._placed_ms[rows])
        took[~self.is_placed[rows]] = 0.0
        return float(took.sum())

    def part(self, one: StageTimes) -> Part:
        """Return the row of a stage."""
        # An order whose time of the stage is not known says nothing of its share.
        whole = self._whole_ms - self._sum_ms(one.left_out_orders)
        is_each_there = is_each(one.orders, len(self.counted))
        is_placed = self.is_placed if is_each_there else self.is_placed[one.orders]
        spent = _sum_of(one.times_ms, is_placed)
        # Of no time at all there is no share.
        is_known = whole and is_placed.any() and not one.is_unknown
        extra = {
            "share_of_order": spent / whole if is_known else None,
            "coalesced_share": one.coalesced_share,
            "uncertainty_p99_us": _p99(one.uncertainty_us),
            "left_out": len(one.left_out_rows),
            "left_out_why": _why(one),
        }
        came = np.full(len(self.counted), is_each_there)
        if not is_each_there:
            came[one.orders] = came[one.left_out_orders] = True
        units = self.units if is_each_there else self.units.of(one.orders)
        return Part(one.name, one.times_ms, units, came, extra)

    def others(self, orders: pd.DataFrame, *, late: bool) -> Iterator[Part]:
        """Return the rows of times that run from the request: the order's, and its first signs."""
        placed = self.counted & self.is_placed
        planned = [(PLANNED, SCHEDULED, placed, None)] if late else []
        for name, column, mask, share in (
            (ORDER, "time_to_order_placed_ms", placed, 1.0),
            *planned,
            (FIRST_EVENT, "time_to_first_event_ms", self.counted, None),
            (HEADERS, "time_to_headers_ms", self.counted, None),
        ):
            if column == SCHEDULED:
                values = scheduled_ms(orders)
            elif column in orders:
                values = floats(orders[column])
            else:
                continue
            came = mask & ~np.isnan(values)
            extra = {"share_of_order": share if came.any() else None}
            if came.all():
                yield Part(name, values, self.units, came, extra)
            else:
                yield Part(name, values[came], self.units.of(came), came, extra)


def parts_of(times: Sequence[StageTimes], orders: pd.DataFrame) -> list[Part]:
    """Return what the rows of a table of times are made of, row by row."""
    known = _Orders(orders)
    late = from_planned_start(orders)
    return [*map(known.part, times), *known.others(orders, late=late)]


class _Stage(NamedTuple):
    """Facts of a stage that are told; its times themselves are let go."""

    name: str
    n: int
    median_ms: float
    modes: Modes | None
    left_out: Mapping[str, int]
    reached: int


class _Looked(NamedTuple):
    """The table of times, what its rows rest on, and what was seen on the way."""

    table: pd.DataFrame
    intervals: dict[str, Estimates]
    stages: list[_Stage]
    claims: Claims
    orders: _Orders | None


def _looked_at(
    events: Events,
    stages: pd.DataFrame | StageBlocks,
    orders: pd.DataFrame,
    level: float,
    ps: Sequence[float],
) -> _Looked:
    """Look at each stage once, and let its times go: those of millions of orders are much."""
    table = latency_columns(ps)
    if not len(orders):
        return _Looked(table.empty(), {}, [], claims(events, stages, orders), None)
    known, doubts = beside(lambda: _Orders(orders), lambda: Doubts(orders))
    tried = Units(known.units.runs, None, known.units.place).of(known.counted)
    blocks = blocks_of(_with_shares(events, stages, orders), orders)

    def row(part: Part, ordered: Ordered) -> tuple[dict[str, Any], Estimates]:
        found = estimates_of(part, ps, level, ordered)
        return _row(part, ordered, found, known.counted, tried, level), found

    def places(times_ms: Floats) -> Ordered:
        return in_places(times_ms, (*ps, 0.5), level)

    def look(held: list[StageBlock]) -> _Seen:
        return _look(held, doubts, gathered, known, places, row)

    # Nearly always no merchant's streams were gathered; where some were, that is known at the end
    # only, and the stages are looked at again.
    gathered = Gathered(known.cancelled[:0], frozenset(), known.cancelled[:0])
    while True:
        # Who looks at a stage is the only one to hold it, so that it can let its times go.
        looked = in_threads(look, map(_held, blocks), LOOKS)
        found = doubts.gatherings.found()
        if found.buffered == gathered.buffered:
            break
        gathered, doubts = found, Doubts(orders)
    at = order_of([one.stage for one in looked])
    told = [looked[i].told for i in at]
    rows = [looked[i].row for i in at]
    said = claims(events, stages, orders, doubts)
    others = known.others(orders, late=said.from_planned_start)
    rows += in_threads(lambda part: row(part, in_places(part.values, ps, level)), others, LOOKS)
    intervals = {values["stage"]: estimates for values, estimates in rows}
    return _Looked(table.frame([values for values, _ in rows]), intervals, told, said, known)


class _Seen(NamedTuple):
    stage: tuple[str, Mapping[str, tuple[int, int]]]
    told: _Stage
    row: tuple[dict[str, Any], Estimates]


def _held(block: StageBlock) -> list[StageBlock]:
    return [block]


def _look(
    held: list[StageBlock],
    doubts: Doubts,
    gathered: Gathered,
    known: _Orders,
    places: Callable[[Floats], Ordered],
    row: Callable[[Part, Ordered], tuple[dict[str, Any], Estimates]],
) -> _Seen:
    """Look at a stage, the only one that is held."""
    block = held.pop()
    own = block.own_reasons
    with known.lock:
        doubts.add(block, own)
    one = times_of(block, own, gathered, known.cancelled, in_place=block.is_own)
    stage = block.name, block.ends
    del block, own
    ordered = places(one.times_ms)
    modes = two_modes(one.times_ms)
    median = type_7(ordered, 0.5)
    told = _Stage(one.name, len(ordered), median, modes, one.left_out, one.reached)
    return _Seen(stage, told, row(known.part(one), ordered))


def _row(
    part: Part,
    ordered: Ordered,
    found: Estimates,
    counted: NDArray[np.bool_],
    units: Units,
    level: float,
) -> dict[str, Any]:
    reached = success_over(part.reached[counted], units, level)
    row = {
        "stage": part.stage,
        "n": len(ordered),
        "max_ms": float(ordered[-1]) if len(ordered) else None,
        "left_out": 0,
        **part.extra,
        "reached": reached.count,
        "attempted": reached.of,
        "reached_share": reached.share,
        "reached_low": reached.low,
        "reached_high": reached.high,
    }
    for q in found.quantiles:
        row |= {f"{q.name}_ms": q.estimate, f"{q.name}_low_ms": q.low, f"{q.name}_high_ms": q.high}
    return row


def estimates_of(
    part: Part, ps: Sequence[float], level: float, ordered: Ordered | None = None
) -> Estimates:
    """Return the quantiles of a row, and what their intervals rest on.

    Parameters
    ----------
    part, ps, level
        The row, its quantiles, and the intervals' level.
    ordered
        Its values as ``in_places`` gives them, if that was done already.
    """
    found = quantiles_over(part.values, ps, part.units, level, ordered)
    # Whose order is in which unit is not kept: a summary is small.
    return found._replace(dependence=replace(found.dependence, codes=None))


def _why(one: StageTimes) -> str | None:
    """Say for which reasons times of a stage were left out."""
    said = [f"{count(n)} {reason}" for reason, n in one.left_out.items()]
    return ", ".join(said) or None


def _sum_of(values: Floats, mask: NDArray[np.bool_]) -> float:
    """Return the sum of some values; of very many no copy is made."""
    begins = range(0, len(values), AT_ONCE)
    return math.fsum(values[b : b + AT_ONCE][mask[b : b + AT_ONCE]].sum() for b in begins)


def _p99(values: Floats | Largest) -> float | None:
    found = values.estimate(0.99) if isinstance(values, Largest) else estimate(values, 0.99)
    return None if math.isnan(found) else found


def _with_shares(events: Events, stages: AnyStages, orders: pd.DataFrame) -> AnyStages:
    """Return stages with ``together``: whether the event that ended each shares its read."""
    import pandas as pd

    if not isinstance(stages, pd.DataFrame) or not isinstance(events, pd.DataFrame):
        return stages
    if "together" in stages:
        return stages
    ends, milestones = coded(stages["to_milestone"])
    came, names = coded(events["milestone"])
    number = {name: code for code, name in enumerate(milestones)}
    # The last row and column take what belongs to no stage; their code is -1.
    code_of = np.array([*(number.get(name, -1) for name in names), -1], dtype=np.intp)
    found = np.zeros((len(orders) + 1, len(milestones) + 1), dtype=bool)
    # Of several assignments to one place the last one stays, as the last event counts.
    found[positions(orders, events), code_of[came]] = events["coalesced"].to_numpy(bool)
    return stages.assign(together=found[positions(orders, stages), ends])


def _heads(ps: Sequence[float]) -> tuple[str | Head, ...]:
    return (
        "stage",
        "orders",
        *(Head(quantile_name(p), "ms") for p in ps),
        Head("max", "ms"),
        "share of time",
        "reached",
        "coalesced",
        Head("± p99", "µs"),
    )


def summary_text(found: LatencySummary) -> str:
    """Write a summary as plain text."""
    if not len(found.table):
        return "no orders"
    lines = [
        outcomes_words(found.outcomes),
        printable(found.where),
        "",
        grid_text(summary_grid(found)),
        # Whole, so that it can be found and copied.
        *textwrap.wrap(
            f"{_how(found)} Definitions, version {found.definitions}: {DEFINED_IN}.",
            TEXT_WIDTH,
            break_on_hyphens=False,
        ),
    ]
    told = [hanging(f"! {printable(sentence)}", TEXT_WIDTH) for sentence in found.sentences]
    return "\n".join([*lines, *told])


def summary_html(found: LatencySummary) -> str:
    """Show a summary."""
    if not len(found.table):
        return page("no orders")
    return page(
        f"<div><b>{escape(outcomes_words(found.outcomes))}</b></div>{quiet(found.where)}"
        f"{strip_html(found.table)}{grid_html(summary_grid(found))}{quiet(_how(found))}"
        f"{page_link(f'Definitions, version {found.definitions}', DEFINED_IN)}"
        f"{notes(found.sentences)}"
    )


def strip_html(table: pd.DataFrame) -> str:
    """Show where the time of placed orders goes, as one bar.

    Examples
    --------
    >>> import pandas as pd
    >>> table = pd.DataFrame({"stage": ["<b>", "order"], "share_of_order": [1.0, 1.0]})
    >>> "&lt;b&gt;</bdi> 100%" in strip_html(table)
    True
    """
    parts = [
        (str(stage), float(share))
        for stage, share in zip(table["stage"], table["share_of_order"], strict=True)
        if stage != ORDER and share > 0
    ]
    # Those that nobody reached count too: a colour goes by what there can be.
    names = list(takewhile(lambda stage: stage != ORDER, table["stage"].tolist()))
    whole = sum(share for _, share in parts)
    bars = "".join(
        f'<div style="{SEEN}width:{share / whole:.2%};height:14px;'
        f'{look_of_stage(stage, names).css}"></div>'
        for stage, share in parts
    )
    words = "".join(
        f'<span style="margin-right:18px;white-space:nowrap">{swatch(_colour(stage, names))} '
        f"{as_html(stage)} {percent(share)}</span> "
        for stage, share in parts
    )
    if not parts:
        return ""
    return (
        f'<div style="display:flex;max-width:700px;margin:8px 0 2px">{bars}</div><div>{words}</div>'
    )


def _colour(stage: str, stages: list[str]) -> str:
    return look_of_stage(stage, stages).colour


def outcomes_words(outcomes: pd.DataFrame) -> str:
    """Return how orders ended in words, each outcome with its interval.

    Examples
    --------
    >>> import pandas as pd
    >>> from firmly_nb.latency import outcome_table
    >>> outcomes_words(outcome_table(pd.DataFrame({"outcome": ["placed"] * 9 + ["timeout"]})))
    '10 orders: 9 placed, 90.0% (59.6% to 98.2%); 1 timeout, 10.0% (1.8% to 40.4%)'
    """
    rows = outcomes.to_dict("records")
    total = sum(row["count"] for row in rows)
    told = "; ".join(_outcome(row) for row in rows)
    return f"{count(total, 'order')}: {told}"


def _outcome(row: dict[Any, Any]) -> str:
    counted = f"{count(row['count'])} {outcome(row['outcome']).words(row['count'])}"
    if row["outcome"] == CANCELLED or math.isnan(row["share"]):
        return counted
    return f"{counted}, {percent(row['share'])} ({_share_range(row['low'], row['high'])})"


def _share_range(low: float, high: float) -> str:
    return "no interval" if low <= 0 and high >= 1 else percent_interval(low, high)


def summary_grid(found: LatencySummary) -> Grid:
    """Return the table of a summary as texts."""
    rows = [
        Row(_cells(row, found), look="bold" if row["stage"] == ORDER else "")
        for row in found.table.to_dict("records")
    ]
    return Grid(_heads(found.quantiles), rows)


def _cells(row: dict[Any, Any], found: LatencySummary) -> list[str | Cell]:
    reached = f"{count(row['reached'])}/{count(row['attempted'])}"
    range_ = _share_range(row["reached_low"], row["reached_high"]) if row["attempted"] else ""
    return [
        row_label(row["stage"]),
        Cell(count(row["n"]), small=_left_out(row)),
        *(quantile_cell(q) for q in found.intervals[row["stage"]].quantiles),
        number(row["max_ms"]),
        percent(row["share_of_order"]),
        Cell(reached, small=range_),
        percent(row["coalesced_share"]),
        number(row["uncertainty_p99_us"]),
    ]


def _left_out(row: dict[Any, Any]) -> str:
    return f"{count(row['left_out'])} left out" if row["left_out"] else ""


def quantile_cell(found: Quantile) -> Cell:
    """Write a quantile with its interval below; or why there is none."""
    if found.estimable:
        return Cell(number(found.estimate), small=interval(found.low, found.high, ""))
    needed = f"{count(found.needed)} needed" if found.n else ""
    known = f"≥ {number(found.low)}" if math.isfinite(found.low) else "-"
    return Cell(known, small=found.why or needed)


def intervals_words(found: LatencySummary) -> str:
    """Return in words how the intervals were computed, and which runs they speak of."""
    bases = {
        row_label(name): one.dependence for name, one in found.intervals.items() if one.dependence.n
    }
    if found.success.dependence is not None and found.success.of:
        bases["success rate"] = found.success.dependence
    return basis_words(bases, found.level, worth=_worth(found))


def _worth(found: LatencySummary) -> str:
    """Say how many independent orders the times of the order are worth, where it is fewer."""
    for name, (quantiles, basis) in found.intervals.items():
        told = [f"{q.name} about {count(round(q.worth))}" for q in quantiles if q.worth < basis.n]
        if name == ORDER and told:
            return f" Of {count(basis.n, 'order')} {', '.join(told)} independent ones."
    return ""


def _how(found: LatencySummary) -> str:
    return f"{intervals_words(found)} Times of orders that got so far; cancelled ones are left out."


# Rules that speak up: what someone who reads a table of times should know before she believes it.
#
# Each rule is a sentence with numbers, or nothing where nothing is amiss.
# The rules that test something alarm at one in a hundred, each; a test measures how often any of
# them speaks where nothing is wrong.


PART = 0.05  # of a stage: errors and lags above it, and shares of coalesced events
OF_TIMES = (OUT_OF_ORDER, LATE_START, COMPRESSED)  # caveats that are always said


def sentences(
    events: pd.DataFrame,
    stages: pd.DataFrame,
    orders: pd.DataFrame,
    quantiles: Sequence[float] = SHOWN,
) -> list[str]:
    """Return what a reader must know before believing the times; empty where nothing is amiss.

    Parameters
    ----------
    events
        Needs ``recording_id``, ``milestone``, ``coalesced``.
    stages
        ``STAGES``.
    orders
        Needs ``recording_id``, ``outcome``, ``started_at``, ``time_to_order_placed_ms``,
        ``time_to_headers_ms``, ``schedule_lag_ms``; ``run_id`` where there are runs.
    quantiles
        Quantiles that are shown: it is said if orders are too few for the highest.

    Examples
    --------
    >>> from firmly_nb.latency import STAGES
    >>> import pandas as pd
    >>> EVENTS = pd.DataFrame({"recording_id": ["a"], "milestone": "order-placed",
    ...     "coalesced": False})
    >>> orders = pd.DataFrame({"recording_id": ["a"], "outcome": "placed",
    ...     "started_at": pd.Timestamp("2026-01-01", tz="UTC"), "time_to_order_placed_ms": 900.0})
    >>> sentences(EVENTS, STAGES.empty(), orders)
    ['Too few orders for p95: 72 placed orders are needed, there are 1.']
    """
    if not len(orders):
        return []
    return _sentences(events, orders, _looked_at(events, stages, orders, 0.95, ()), quantiles)


def _sentences(
    events: Events, orders: pd.DataFrame, found: _Looked, quantiles: Sequence[float]
) -> list[str]:
    timed = [one for one in found.stages if one.n]
    known = found.claims
    bounds = {row["stage"]: row["uncertainty_p99_us"] for row in found.table.to_dict("records")}
    said: list[Iterator[str]] = [
        _caveats(known, found.stages),
        _few_orders(orders, max(quantiles)),
        _warm_up(orders),
        _drift(orders),
        *rules(orders, found.orders.units if found.orders else None),
        _modes(timed),
        _error_bounds(timed, bounds),
        *([] if known.from_planned_start else [_lag(orders, timed)]),
        *([] if known.buffered else [_coalesced(events)]),
    ]
    return [*chain.from_iterable(in_threads(list, said, LOOKS))]


def _few_orders(orders: pd.DataFrame, p: float) -> Iterator[str]:
    times = floats(orders["time_to_order_placed_ms"])
    n = int((is_value(orders["outcome"], PLACED) & ~np.isnan(times)).sum())
    needed = values_needed(p)
    if n < needed:
        yield (
            f"Too few orders for {quantile_name(p)}: {count(needed)} placed orders are needed, "
            f"there are {count(n)}."
        )


def _warm_up(orders: pd.DataFrame) -> Iterator[str]:
    for column, words in (
        ("time_to_headers_ms", TIMES["time_to_headers_ms"]),
        ("time_to_order_placed_ms", TIMES["time_to_order_placed_ms"]),
    ):
        found = warm_up(orders, column) if column in orders else None
        if found:
            which = "the first order" if found.runs == 1 else f"first orders of {found.runs} runs"
            yield (
                f"Warm-up: {which} took {number(found.first_ms / found.others_ms)} times as "
                f"long as the others ({words}: {duration(found.first_ms)} against "
                f"{duration(found.others_ms)})."
            )
            return


def _drift(orders: pd.DataFrame) -> Iterator[str]:
    found = drift_within(orders)
    if found:
        word = "slower" if found.ratio > 1 else "faster"
        yield (
            f"Drift within the run: orders grew {word}, the last third took {number(found.ratio)} "
            f"times as long as the first."
        )


def _modes(stages: Sequence[_Stage]) -> Iterator[str]:
    for one in stages:
        if found := one.modes:
            yield (
                f"Two modes: {one.name} takes {number(found.ratio)} times as long in "
                f"{percent(found.slow_share)} of the orders ({duration(found.slow_ms)} against "
                f"{duration(found.quick_ms)})."
            )


def _error_bounds(stages: Sequence[_Stage], bounds_us: Mapping[str, float]) -> Iterator[str]:
    for one in stages:
        bound_us = bounds_us[one.name]
        if bound_us / 1000 > PART * one.median_ms:
            yield (
                f"Uncertainty: times of {one.name} are uncertain by up to {uncertainty(bound_us)} "
                f"(p99), more than {stated_percent(PART)} of the median of "
                f"{duration(one.median_ms)}."
            )


def _lag(orders: pd.DataFrame, stages: Sequence[_Stage]) -> Iterator[str]:
    if "schedule_lag_ms" not in orders or not stages:
        return
    lag = estimate(floats(orders["schedule_lag_ms"]), 0.99)
    shortest = min(stages, key=lambda one: one.median_ms)
    if lag > PART * shortest.median_ms:
        yield (
            f"Late start: orders started up to {duration(lag)} after their planned start (p99), "
            f"more than {stated_percent(PART)} of {shortest.name} "
            f"({duration(shortest.median_ms)}); scheduled_order_latency_ms counts it in."
        )


def _coalesced(events: Events) -> Iterator[str]:
    reads = reads_of(events)
    # The first event of an order has none before it.
    others = reads.events - reads.orders
    share = reads.coalesced / others if others else 0.0
    if share > PART:
        yield (
            f"Coalesced: {percent(share)} of the events share a read with the one before; the gaps "
            f"before them are not known, only bounded."
        )


def _caveats(known: Claims, stages: Sequence[_Stage]) -> Iterator[str]:
    """Say what the times cannot tell; single times that are left out are counted in the table."""
    lost = [one.left_out.get(COALESCED, 0) > PART * one.reached for one in stages]
    for code in (BUFFERED, *([COALESCED] if any(lost) else []), *OF_TIMES):
        if text := known.text(code):
            yield f"{code.replace('-', ' ').capitalize()}: {text}"


DEFINITIONS = "2"  # raised when a definition changes
DEFINED_IN = "docs/statistics.md#the-latency-table"
MOST_NAMED = 3


@tells_names
@dataclass(frozen=True, slots=True)
class LatencySummary:
    """Times of orders with their intervals, and what to know about them; it shows itself.

    Attributes
    ----------
    table
        ``LATENCY``: one row a stage, with quantiles and their intervals as numbers.
    outcomes
        ``OUTCOMES``: how the orders ended.
    sentences
        What a reader must know before believing the times; empty where nothing is amiss.
    where
        Time window, environment and merchants, in words.
    level
        The intervals' level.
    intervals
        For each row of the table its quantiles, and what counts as independent there.
    success
        Share of the attempted orders that were placed.
    quantiles
        Quantiles of the table.
    definitions
        Version of the definitions of the figures.
    """

    table: pd.DataFrame
    outcomes: pd.DataFrame
    sentences: tuple[str, ...]
    where: str
    level: float
    intervals: dict[str, Estimates]
    success: Share
    quantiles: tuple[float, ...] = SHOWN
    definitions: str = DEFINITIONS

    def __repr__(self) -> str:
        return summary_text(self)

    def _repr_html_(self) -> str:
        return summary_html(self)


def summary(
    events: Events,
    stages: pd.DataFrame | StageBlocks,
    orders: pd.DataFrame,
    level: float = 0.95,
    quantiles: Sequence[float] = SHOWN,
) -> LatencySummary:
    """Return the whole answer to "how long do orders take?".

    Parameters
    ----------
    events, stages, orders
        The tables of recordings, as ``latency_table`` and ``sentences`` need them. Of very many
        events the counts will do, and stages may come one by one.
    level
        The intervals' level.
    quantiles
        Which quantiles, between 0 and 1.
    """
    found = _looked_at(events, stages, orders, level, quantiles)
    units = found.orders.units if found.orders else None
    said, outcomes = beside(
        lambda: _sentences(events, orders, found, quantiles) if len(orders) else [],
        lambda: outcome_table(orders, level, units),
    )
    return LatencySummary(
        table=found.table,
        outcomes=outcomes,
        sentences=tuple(said),
        where=where(orders),
        level=level,
        intervals=found.intervals,
        success=success_rate(orders, level, units),
        quantiles=tuple(quantiles),
    )


def where(orders: pd.DataFrame) -> str:
    """Return when and where orders were placed, in words.

    Examples
    --------
    >>> import pandas as pd
    >>> times = pd.to_datetime(["2026-01-05 09:00", "2026-01-05 09:07"], utc=True)
    >>> where(pd.DataFrame({"started_at": times, "environment": "simulator", "domain": "a.test"}))
    '2026-01-05 09:00 to 09:07 UTC · simulator · a.test'
    """
    if not len(orders):
        return "no orders"
    first, last = orders["started_at"].min(), orders["started_at"].max()
    when = "start not known" if orders["started_at"].isna().all() else window(first, last)
    names = [_listed(names_in(orders[name]), name) for name in ("environment", "domain")]
    return " · ".join([when, *names])


def _listed(names: list[str], kind: str) -> str:
    if len(names) > MOST_NAMED:
        return f"{len(names)} {kind}s"
    return ", ".join(sorted(names))
