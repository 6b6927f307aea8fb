"""Groups of orders beside each other: one table of times, and which group is slowest where.

The intervals of a table hold together over all its groups, stages and quantiles. A group is called
slowest only if it is slower than each other one. Where orders of the groups took turns in time they
are held against each other like for like, as ``compare`` does it; elsewhere their intervals must
lie apart, and the difference may be that of the times.
"""

from __future__ import annotations

import math
import re
import textwrap
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from firmly_nb.display.html import notes, page, quiet
from firmly_nb.display.messages import tells_names
from firmly_nb.display.table import TEXT_WIDTH, Cell, Grid, Head, Row, grid_html, grid_text
from firmly_nb.display.text import (
    and_more,
    as_html,
    count,
    duration,
    interval,
    is_are,
    listed,
    number,
    percent,
    printable,
    short_name,
    stated_percent,
)
from firmly_nb.latency.answers import group_of, in_pace, method_of, stage_group
from firmly_nb.latency.caveats import from_planned_start
from firmly_nb.latency.columns import is_value, positions
from firmly_nb.latency.design import apart_in, arrange, in_common, sides, without_what_differs
from firmly_nb.latency.quantiles import estimate, quantile_name
from firmly_nb.latency.questions import NARROW, Levels, difference_of_shares, typical
from firmly_nb.latency.stages import (
    Gatherings,
    TimesOfStages,
    blocks_of,
    is_each,
)
from firmly_nb.latency.summary import (
    NO_STAGES,
    ORDER,
    PLANNED,
    estimates_of,
    latency_columns,
    parts_of,
    quantile_cell,
    row_label,
)
from firmly_nb.outcomes import CANCELLED
from firmly_nb.schema import Column, Table

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import pandas as pd
    from numpy.typing import NDArray

    from firmly_nb.latency.dependence import Estimates
    from firmly_nb.latency.design import Design, Kind, Side, Tables
    from firmly_nb.latency.effect import Codes, Flags
    from firmly_nb.latency.questions import Ends, Group, Method
    from firmly_nb.latency.stages import StageBlock, StageBlocks, StageTimes
    from firmly_nb.latency.summary import Part

    Floats = NDArray[np.float64]

FEWEST = 10  # orders of a group, below which it is not judged
SHOWN = (0.5, 0.95)
MOST_SHOWN = 12  # groups of a table; all are in its data
PLAIN_NOUN = re.compile("[a-z]{3,15}[a-gi-rtv-w]")  # its plural has an s
LATE = 0.95  # an order is late from this quantile of all attempted orders on


@dataclass(frozen=True, slots=True)
class Keys:
    """Keys of groups, and the group of each order.

    Attributes
    ----------
    names
        Columns of the result: ``domain``, ``tag:release``, ``hour``.
    values
        For each group its value of each of them, as text.
    codes
        For each order the number of its group.
    of_time
        Whether they are windows of time alone.
    told_with
        Columns whose values say nothing without the column's name.
    """

    names: tuple[str, ...]
    values: tuple[tuple[str, ...], ...]
    codes: Codes
    of_time: bool = False
    told_with: tuple[str, ...] = ()

    @property
    def noun(self) -> str:
        """One of them, in a word."""
        if self.of_time:
            return "window"
        known = {"domain": "merchant", "run_id": "run"}
        name = _bare(self.names[0]) if len(self.names) == 1 else ""
        return known.get(name, name if PLAIN_NOUN.fullmatch(name) else "group")

    @property
    def labels(self) -> list[str]:
        """Names of the groups: of a merchant, a run or a window its own, else with what it is."""
        found = []
        for value in self.values:
            named = [
                f"{_bare(name)} {short_name(one)}" if name in self.told_with else short_name(one)
                for name, one in zip(self.names, value, strict=True)
            ]
            found.append(", ".join(named))
        return found


def _bare(name: str) -> str:
    return name.removeprefix("tag:")


def split(tables: Tables, codes: Codes, groups: int) -> list[Tables]:
    """Return the events, stages and orders of each group.

    Parameters
    ----------
    tables
        Events, stages and orders.
    codes
        For each order the number of its group.
    groups
        How many there are.
    """
    import pandas as pd

    events, stages, orders = tables
    by_number = orders["recording_id"].dtype.kind == "i"
    rows, place = _places(codes, groups)
    if not isinstance(stages, pd.DataFrame) or not isinstance(events, pd.DataFrame):
        own_stages: list[list[StageBlock]] = [[] for _ in rows]
        for group, block in _split_blocks(blocks_of(stages, orders), codes, rows, place):
            own_stages[group].append(block)
        return [
            (events, own, orders.iloc[mine].assign(recording_id=place[mine]))
            for own, mine in zip(own_stages, rows, strict=True)
        ]
    found: list[Tables] = []
    parts = []
    for table in (events, stages):
        at = positions(orders, table) if len(table) else np.empty(0, dtype=np.intp)
        owner = np.append(codes, -1)[at]
        parts.append((table, at, _rows(owner, groups)))
    for group in range(groups):
        pieces = []
        for table, at, of in parts:
            piece = table.iloc[of[group]]
            # Ids that are places among all orders become places among these.
            pieces.append(piece.assign(recording_id=place[at[of[group]]]) if by_number else piece)
        own = orders.iloc[rows[group]]
        if by_number:
            own = own.assign(recording_id=np.arange(len(own), dtype=np.int32))
        found.append((pieces[0], pieces[1], own))
    return found


def _places(codes: Codes, groups: int) -> tuple[list[Codes], NDArray[np.int32]]:
    """Return the orders of each group, and the place of each order in its group."""
    place = np.zeros(len(codes), dtype=np.int32)
    rows = _rows(codes, groups)
    for mine in rows:
        place[mine] = np.arange(len(mine), dtype=np.int32)
    return rows, place


def _split_blocks(
    blocks: StageBlocks, codes: Codes, rows: Sequence[Codes], place: NDArray[np.int32]
) -> Iterator[tuple[int, StageBlock]]:
    """Return the stages of each group, with the places of its orders among these.

    Parameters
    ----------
    blocks
        The stages of all.
    codes, rows, place
        The group of each order; the orders of each group, and their places in it.
    """
    every = [place[mine] for mine in rows]
    for block in blocks:
        if is_each(block.orders, len(codes)):
            for group, mine in enumerate(rows):
                if len(mine):
                    yield group, block.some(mine, every[group])
            continue
        for group, mine in enumerate(_rows(codes[block.orders], len(rows))):
            if len(mine):
                yield group, block.some(mine, place[block.orders[mine]])


def _rows(codes: Codes, groups: int) -> list[Codes]:
    """Return the rows of each group, in their order; those of none are left out."""
    # Of narrow numbers it is counted, not compared.
    narrow = codes.astype(np.min_scalar_type(-max(groups, 1)))
    by_group = np.argsort(narrow, kind="stable")
    begins = np.searchsorted(narrow[by_group], np.arange(groups + 1, dtype=np.int32))
    return [by_group[a:b] for a, b in pairwise(begins.tolist())]


class _Own(NamedTuple):
    """Orders of a group, and the times of its stages that hold."""

    orders: pd.DataFrame
    times: list[StageTimes]
    buffered: frozenset[str]


def _own_of(
    stages: pd.DataFrame | StageBlocks, orders: pd.DataFrame, codes: Codes, groups: int
) -> list[_Own]:
    """Return the times of each group; of stages a group's share of one is held at a time."""
    rows, place = _places(codes, groups)
    orders_each = [orders.iloc[mine] for mine in rows]
    times = [TimesOfStages(own, Gatherings(own)) for own in orders_each]
    blocks = blocks_of(stages, orders)
    while not all(one.done for one in times):
        for group, block in _split_blocks(blocks, codes, rows, place):
            if not times[group].done:
                times[group].add(block)
        for one in times:
            if not one.done:
                one.end()
    return [_Own(own, one.times, one.buffered) for own, one in zip(orders_each, times, strict=True)]


def keyed(keys: Keys, frames: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Put the tables of all groups under one another, behind columns that name the group."""
    import pandas as pd

    named = [
        pd.concat(
            [
                pd.DataFrame(
                    {
                        n: pd.Series([v] * len(frame), dtype="str")
                        for n, v in zip(keys.names, value, strict=True)
                    }
                ),
                pd.DataFrame(frame).reset_index(drop=True),
            ],
            axis=1,
        )
        for value, frame in zip(keys.values, frames, strict=True)
    ]
    filled = [frame for frame in named if len(frame)]
    return pd.concat(filled or named[:1], ignore_index=True) if named else pd.DataFrame()


# One table.


def grouped_columns(ps: Sequence[float]) -> Table:
    """Return the declaration of the table by group, without the columns that name the group."""
    whole = latency_columns(ps)
    names = ["stage", "n", *(c.name for c in whole.columns if c.name.startswith("p"))]
    names += ["max_ms", "share_of_order", "reached", "attempted", "left_out"]
    return Table(
        "grouped_latency",
        "one row a stage of a group, then its order; before these columns those of the group",
        tuple(_together(column) for column in whole.columns if column.name in names),
    )


def _together(column: Column) -> Column:
    if column.name.endswith(("_low_ms", "_high_ms")):
        return Column(
            column.name, column.dtype, column.unit, f"{column.meaning}; family-wise level"
        )
    return column


GROUPED_LATENCY = grouped_columns(SHOWN)


@tells_names
@dataclass(frozen=True, slots=True)
class GroupedLatency:
    """Times of groups with intervals that hold together; it shows itself.

    Attributes
    ----------
    table
        ``GROUPED_LATENCY`` behind the columns that name the group.
    sentence
        Which group is slowest, and in which stage; or that they cannot be told apart.
    slowest
        Name of the slowest group; None if that is not known.
    stage
        The stage in which it loses most; None if that is not known.
    notes
        What qualifies the sentence.
    level
        Level of all intervals together.
    each
        Level of each interval.
    quantiles
        Quantiles of the table.
    names, labels
        Columns that name the group; the groups' names.
    intervals
        For each group its rows, each with its quantiles and what they rest on.
    """

    table: pd.DataFrame
    sentence: str
    slowest: str | None
    stage: str | None
    notes: tuple[str, ...]
    level: float
    each: float
    quantiles: tuple[float, ...]
    names: tuple[str, ...]
    labels: tuple[str, ...]
    intervals: tuple[dict[str, Estimates], ...] = field(repr=False)

    def __repr__(self) -> str:
        lines = textwrap.wrap(printable(self.sentence), TEXT_WIDTH)
        if len(self.table):
            lines += ["", grid_text(self._grid()), *textwrap.wrap(self.how, TEXT_WIDTH)]
        for note in self.notes:
            lines += textwrap.wrap(f"! {printable(note)}", TEXT_WIDTH)
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        grid = grid_html(self._grid()) if len(self.table) else ""
        said = f"<div><b>{as_html(self.sentence)}</b></div>"
        return page(f"{said}{grid}{quiet(self.how)}{notes(self.notes)}")

    @property
    def how(self) -> str:
        """Way in which intervals were made, in words."""
        return how_words(self)

    def _grid(self) -> Grid:
        heads: tuple[str | Head, ...] = (
            listed(self.names),
            Head("stage", left=True),
            "orders",
            *(Head(quantile_name(p), "ms") for p in self.quantiles),
        )
        rows, before = [], None
        kept = set(self.labels[:MOST_SHOWN])
        for row, label, found in self._rows():
            if label not in kept:
                continue
            is_first, before = label != before, label
            cells: tuple[str | Cell, ...] = (
                Cell(label if is_first else ""),
                row_label(row["stage"]),
                Cell(count(row["n"]), small=_of(row)),
                *(quantile_cell(one) for one in found.quantiles),
            )
            rows.append(Row(cells, look="bold" if row["stage"] == ORDER else "", ruled=is_first))
        more = and_more(len(self.labels) - MOST_SHOWN, "group")
        return Grid(heads, rows, more=more, named_by=1)

    def _rows(self) -> Iterator[tuple[dict[Any, Any], str, Estimates]]:
        cells = [
            (label, found)
            for label, rows in zip(self.labels, self.intervals, strict=True)
            for found in rows.values()
        ]
        for row, (label, found) in zip(self.table.to_dict("records"), cells, strict=True):
            yield row, label, found


def _of(row: dict[Any, Any]) -> str:
    """Say of how many attempted orders a row is, unless it is of all; and which it leaves out."""
    if row["left_out"]:
        return f"{count(row['left_out'])} left out"
    return f"of {count(row['attempted'])}" if row["n"] != row["attempted"] else ""


def how_words(found: GroupedLatency) -> str:
    """Say how the intervals of a table were made, and that they hold together."""
    ways: dict[str, int] = {}
    for rows in found.intervals:
        for one in rows.values():
            if one.dependence.n:
                ways[one.dependence.way] = ways.get(one.dependence.way, 0) + 1
    if not ways:
        return ""
    ordered = sorted(ways, key=lambda way: -ways[way])
    said = (
        f"Intervals: family-wise level {stated_percent(found.level)}, "
        f"{percent(found.each)} each; {ordered[0]}."
    )
    others = [f"{count(ways[way], 'row')} {way}" for way in ordered[1:3]]
    rest = sum(ways[way] for way in ordered[3:])
    others += [f"{count(rest, 'row')} in other ways"] if rest else []
    return f"{said} {'; '.join(others)}." if others else said


def grouped_latency(
    tables: Tables, keys: Keys, level: float = 0.95, quantiles: Sequence[float] = SHOWN
) -> GroupedLatency:
    """Return the times of groups beside each other, and which group is slowest where.

    Parameters
    ----------
    tables
        Events, stages and orders.
    keys
        The groups.
    level
        How often all intervals of the table hold together.
    quantiles
        Which quantiles, between 0 and 1.
    """
    own = _own_of(*tables[1:], keys.codes, len(keys.values))
    rows = [_parts(one) for one in own]
    cells = [part for parts in rows for part in parts if len(part.values)]
    each = 1 - (1 - level) / max(len(cells) * len(quantiles), 1)
    found = tuple(
        {part.stage: estimates_of(part, quantiles, each) for part in parts} for parts in rows
    )
    declared = grouped_columns(quantiles)
    frames = [
        declared.frame([_row(part, one[part.stage], group.orders) for part in parts])
        for parts, one, group in zip(rows, found, own, strict=True)
    ]
    told = _Slowest(own, keys, rows, found, (level, each)).told()
    return GroupedLatency(
        table=keyed(keys, frames),
        sentence=told.sentence,
        slowest=told.slowest,
        stage=told.stage,
        notes=told.notes,
        level=level,
        each=each,
        quantiles=tuple(quantiles),
        names=keys.names,
        labels=tuple(keys.labels),
        intervals=found,
    )


def _parts(own: _Own) -> list[Part]:
    """Return the rows of a group: its stages and its order."""
    if not len(own.orders):
        return []
    unwanted = set(NO_STAGES) - {ORDER, PLANNED}
    return [part for part in parts_of(own.times, own.orders) if part.stage not in unwanted]


def _row(part: Part, found: Estimates, orders: pd.DataFrame) -> dict[str, Any]:
    n = len(part.values)
    row: dict[str, Any] = {
        "stage": part.stage,
        "n": n,
        "max_ms": float(part.values.max()) if n else None,
        "left_out": 0,
        **part.extra,
        "reached": int(part.reached.sum()),
        "attempted": int(np.count_nonzero(~is_value(orders["outcome"], CANCELLED))),
    }
    for q in found.quantiles:
        row |= {f"{q.name}_ms": q.estimate, f"{q.name}_low_ms": q.low, f"{q.name}_high_ms": q.high}
    return row


# Which one is slowest, and where.


class Told(NamedTuple):
    """Answer in words, and what it names."""

    sentence: str
    slowest: str | None = None
    stage: str | None = None
    notes: tuple[str, ...] = ()


class _Pair(NamedTuple):
    """Two groups that are held against each other: B is the one that may be slower."""

    sides: tuple[Side, Side]
    uses: tuple[Flags, Flags]
    design: Design
    method: Method
    apart: tuple[str, ...]  # what no order of one shares with one of the other


class _Tail(NamedTuple):
    """Group that has more late orders than each other one."""

    group: str
    words: str
    against: _Against


class _Against(NamedTuple):
    """Slower than the others in a row: which of these it is told from, and by how much."""

    group: int
    told: tuple[int, ...]  # groups that are faster
    open: tuple[int, ...]  # groups that it cannot be told apart from
    ratio: tuple[float, float, float] | None  # to the nearest of the others
    near: int | None


class _Slowest:
    """Finds which group is slowest in each row; every pair is arranged once."""

    def __init__(
        self,
        own: Sequence[_Own],
        keys: Keys,
        rows: Sequence[Sequence[Part]],
        found: Sequence[dict[str, Estimates]],
        levels: tuple[float, float],
    ) -> None:
        level, self.each = levels
        self.own, self.keys, self.rows, self.found = own, keys, rows, found
        self.labels = keys.labels
        self.planned = any(from_planned_start(one.orders) for one in own)
        self.buffered: frozenset[str] = frozenset().union(*(one.buffered for one in own))
        self.whole = PLANNED if self.planned else ORDER
        names = dict.fromkeys(part.stage for parts in rows for part in parts)
        self.stages = [name for name in names if name not in NO_STAGES]
        judged = len([parts for parts in rows if parts])
        # Each group may be called slowest in each row, in its typical time or its tail.
        self.wide = 1 - (1 - level) / max(judged * (len(self.stages) + 1), 1)
        self._pairs: dict[tuple[int, int], _Pair] = {}

    # What is told.

    def told(self) -> Told:
        """Return the sentence."""
        nouns = f"{self.keys.noun}s" if not self.keys.noun.endswith("s") else self.keys.noun
        values = {name: self._values(name) for name in [self.whole, *self.stages]}
        judged = [g for g, x in values[self.whole].items() if len(x) >= FEWEST]
        few = [self.labels[g] for g in range(len(self.labels)) if g not in judged]
        said = _too_few(few, len(self.labels))
        if len(self.labels) < 2:
            only = f": there is {self.labels[0]} alone" if self.labels else ""
            return Told(f"There is nothing to tell apart{only}.")
        if len(judged) < 2:
            needed = f"{FEWEST} placed orders each are needed"
            return Told(f"The {nouns} cannot be told apart: {needed}.", notes=said)
        whole = self._against(self.whole, values[self.whole])
        stages = [
            (name, self._against(name, values[name]))
            for name in self.stages
            if sum(len(x) >= FEWEST for x in values[name].values()) > 1
        ]
        late = self._late(judged)
        if whole.told and not whole.open:
            return self._named(whole, stages, values, late, said)
        if late:
            sentence = f"{late.group} is slowest in the tail: {late.words}."
            known = "" if whole.told else " The typical times cannot be told apart."
            notes_ = (*self._notes(late.against), *said)
            return Told(f"{sentence}{known}", late.group, None, notes_)
        if whole.told:
            return self._tied(whole, said)
        return self._in_stages(f"The {nouns} cannot", whole, stages, values, said)

    def _tied(self, whole: _Against, said: tuple[str, ...]) -> Told:
        """Say which groups are the slowest, if it is not one alone."""
        tied = (whole.group, *whole.open)
        times = listed(self._p50(self.whole, g) for g in tied)
        sentence = (
            f"{listed(self.labels[g] for g in tied)} are the slowest and cannot be told apart from "
            f"one another: p50 {times}. {listed(self.labels[g] for g in whole.told)} "
            f"{is_are(len(whole.told))} faster."
        )
        return Told(sentence, notes=(*self._notes(whole), *said))

    def _in_stages(
        self,
        begin: str,
        whole: _Against,
        stages: Sequence[tuple[str, _Against]],
        values: dict[str, dict[int, Floats]],
        said: tuple[str, ...],
    ) -> Told:
        """Say that orders cannot be told apart, and if so in which stage they can."""
        sentence = f"{begin} be told apart by the time of their orders."
        clear = [(name, one) for name, one in stages if one.told and not one.open]
        if not clear:
            return Told(sentence, notes=(*self._notes(whole), *said))
        name, one = max(clear, key=lambda pair: _gap(pair[1], values[pair[0]]))
        sentence += (
            f" In {short_name(name)} {self.labels[one.group]} is slowest: "
            f"{self._against_words(name, one)}."
        )
        return Told(sentence, None, name, (*self._notes(one), *said))

    def _named(
        self,
        whole: _Against,
        stages: Sequence[tuple[str, _Against]],
        values: dict[str, dict[int, Floats]],
        late: _Tail | None,
        said: tuple[str, ...],
    ) -> Told:
        name = self.labels[whole.group]
        sentence = f"{name} is slowest: {self._against_words(self.whole, whole)}"
        whose = "Tail" if late and late.group == name else "In the tail it is another one"
        tail = f" {whose}: {late.words}." if late else ""
        where = [
            (stage, one)
            for stage, one in stages
            if one.group == whole.group and one.told and not one.open
        ]
        if not where:
            return Told(
                f"{sentence}. In which stage cannot be told.{tail}",
                name,
                None,
                (*self._notes(whole), *said),
            )
        stage, one = max(where, key=lambda pair: _gap(pair[1], values[pair[0]]))
        where_words = f"Most of it is in {short_name(stage)}: {self._against_words(stage, one)}"
        sentence = f"{sentence}. {where_words}.{tail}"
        return Told(sentence, name, stage, (*self._notes(whole), *said))

    def _against_words(self, row: str, one: _Against) -> str:
        near = one.near if one.near is not None else one.told[0]
        p50 = f"p50 {self._p50(row, one.group)} against {self._p50(row, near)}"
        others = len(one.told) + len(one.open)
        who = f"at {self.labels[near]}" if self.keys.names == ("domain",) else self.labels[near]
        who = f"{who}, the next" if others > 1 else who
        if one.ratio is None:
            return f"{p50} ({who}); their intervals lie apart"
        middle, low, high = one.ratio
        return f"{number(middle)} times as long as {who} ({interval(low, high, '')}; {p50})"

    def _p50(self, row: str, group: int) -> str:
        values = self._values(row)[group]
        return duration(estimate(values, 0.5)) if len(values) else "-"

    def _notes(self, one: _Against) -> tuple[str, ...]:
        """Say what a difference may be due to besides the group."""
        if self.keys.of_time:
            return ()
        pairs = [self._pair(other, one.group) for other in (*one.told, *one.open)]
        why = dict.fromkeys(pair.design.why_not for pair in pairs if pair.design.why_not)
        said = [
            f"A difference is not attributed to the {self.keys.noun}: {reason}." for reason in why
        ]
        own = {"domain": "merchant", "n_items": "number of items"}
        by = {own.get(name, name) for name in self.keys.names}
        noun = "number of items" if self.keys.names == ("n_items",) else self.keys.noun
        others = dict.fromkeys(what for pair in pairs for what in pair.apart if what not in by)
        said += [
            f"The groups have no {what} in common: whether it or the {noun} makes the difference "
            "cannot be told."
            for what in others
        ]
        return tuple(said)

    # What it rests on.

    def _values(self, row: str) -> dict[int, Floats]:
        """Return the times of a row by group."""
        return self._times[row]

    @cached_property
    def _times(self) -> dict[str, dict[int, Floats]]:
        found: dict[str, dict[int, Floats]] = {}
        nothing = np.empty(0)
        for name in [self.whole, ORDER, *self.stages]:
            found[name] = dict.fromkeys(range(len(self.rows)), nothing)
        for group, parts in enumerate(self.rows):
            times = {part.stage: part.values for part in parts}
            for name, of in found.items():
                usual = times.get(ORDER, nothing) if name == PLANNED else nothing
                of[group] = times.get(name, usual)
        return found

    def _against(self, row: str, values: dict[int, Floats]) -> _Against:
        """Hold the group with the longest median against each other one."""
        judged = [g for g, x in values.items() if len(x) >= FEWEST]
        medians = {g: float(np.median(values[g])) for g in judged}
        top = max(judged, key=medians.__getitem__)
        told: list[int] = []
        open_: list[int] = []
        ratios: dict[int, tuple[float, float, float]] = {}
        for other in judged:
            if other == top:
                continue
            is_slower, ratio = self._is_slower(row, other, top)
            (told if is_slower else open_).append(other)
            if ratio is not None:
                ratios[other] = ratio
        others = told or open_
        near = max(others, key=medians.__getitem__) if others else None
        if ratios and near in ratios and not open_:
            near = min(ratios, key=lambda g: ratios[g][0])
        nearest = ratios.get(near) if near is not None else None
        return _Against(top, tuple(told), tuple(open_), nearest, near)

    def _is_slower(
        self, row: str, a: int, b: int
    ) -> tuple[bool, tuple[float, float, float] | None]:
        """Return whether group B is slower than A, and how many times as long it takes."""
        pair = None if self.keys.of_time else self._pair(a, b)
        if pair is None or pair.design.why_not:
            one, other = (self._interval(row, g) for g in (a, b))
            return other[0] > one[1], None
        groups = self._groups(row, pair, (a, b))
        if groups is None:
            return False, None
        ends = typical(*groups, pair.method, (self.wide, NARROW)).ends
        return _is_above(ends), (
            math.exp(ends.estimate),
            math.exp(max(ends.low, -700.0)) if not math.isnan(ends.low) else 0.0,
            math.exp(min(ends.high, 700.0)) if not math.isnan(ends.high) else math.inf,
        )

    def _interval(self, row: str, group: int) -> tuple[float, float]:
        """Return the interval of the median of a row, as in the table; without one, everything."""
        name = row if row in self.found[group] else ORDER
        part = next((one for one in self.rows[group] if one.stage == name), None)
        if part is None:
            return -math.inf, math.inf
        known = [one for one in self.found[group][name].quantiles if one.p == 0.5]
        [median] = known or estimates_of(part, (0.5,), self.each).quantiles
        return median.low, median.high

    def _groups(self, row: str, pair: _Pair, which: tuple[int, int]) -> tuple[Group, Group] | None:
        if row in NO_STAGES:
            a, b = (
                group_of(side, use & ~(side.placed & np.isnan(side.ms)))
                for side, use in zip(pair.sides, pair.uses, strict=True)
            )
            return a, b
        found = [
            stage_group(one, side, in_pace(side, use, self.buffered))
            for g, side, use in zip(which, pair.sides, pair.uses, strict=True)
            for one in self.own[g].times
            if one.name == row
        ]
        if len(found) < 2 or not min(len(one.ms) for one in found):
            return None
        return found[0], found[1]

    def _pair(self, a: int, b: int) -> _Pair:
        if (a, b) not in self._pairs:
            sides, kinds = self._sides
            self._pairs[a, b] = _arranged(sides[a], sides[b], kinds)
        return self._pairs[a, b]

    @cached_property
    def _sides(self) -> tuple[list[Side], list[Kind]]:
        """Return the orders of each group as they are held against those of others."""
        nobody = [np.empty(0, dtype=np.intp)] * len(self.own)
        orders = [one.orders for one in self.own]
        return sides(orders, from_planned_start=self.planned, ids=nobody)

    def _late(self, judged: Sequence[int]) -> _Tail | None:
        """Return which group has most late orders, if no other has as many."""
        if self.keys.of_time:
            return None
        attempts = {g: self._attempts(g) for g in judged}
        every = np.concatenate(list(attempts.values()))
        came = every[np.isfinite(every)]
        if not len(came):
            return None
        at = math.ceil(LATE * len(every)) - 1
        limit = float(np.partition(every, at)[at])
        limit = limit if math.isfinite(limit) else estimate(came, LATE)
        shares = {g: float((x > limit).mean()) for g, x in attempts.items()}
        top = max(shares, key=shares.__getitem__)
        for other in judged:
            if other == top:
                continue
            pair = self._pair(other, top)
            groups = None if pair.design.why_not else self._groups(self.whole, pair, (other, top))
            if groups is None:
                return None
            a, b = groups
            levels = (self.wide, NARROW)
            if not _is_above(
                difference_of_shares(a, a.ms > limit, b, b.ms > limit, pair.method, levels)
            ):
                return None
        rest = max((g for g in judged if g != top), key=shares.__getitem__)
        words = (
            f"{percent(shares[top])} of {self.labels[top]} are later than {duration(limit)} or "
            f"not placed, {percent(shares[rest])} of {self.labels[rest]}"
        )
        one = _Against(top, tuple(g for g in judged if g != top), (), None, rest)
        return _Tail(self.labels[top], words, one)

    def _attempts(self, group: int) -> Floats:
        """Return the times of the attempted orders of a group; those not placed never came."""
        side = self._sides[0][group]
        use = side.attempted & ~(side.placed & np.isnan(side.ms))
        return group_of(side, use).ms


def _gap(one: _Against, values: dict[int, Floats]) -> float:
    """Return by how many ms the median of the slowest lies above that of the next."""
    near = one.near if one.near is not None else one.told[0]
    mine, other = (estimate(values[g], 0.5) for g in (one.group, near))
    return mine - other


def _is_above(ends: Ends) -> bool:
    return bool(ends.low > 0)


def _arranged(a: Side, b: Side, kinds: list[Kind]) -> _Pair:
    """Arrange two groups: like for like in what they share, within runs where they took turns."""
    a, b = _in_one_run(a, b)
    apart: tuple[str, ...] = ()
    if not in_common(a.kind[a.attempted], b.kind[b.attempted]).any():
        alike = without_what_differs(a, b, kinds)
        if alike is not None:
            apart = apart_in(a, b, kinds)
            a, b, kinds, _ = alike
    design, *uses = arrange(a, b, kinds, None, like_for_like=True, control=None)
    return _Pair((a, b), (uses[0], uses[1]), design, method_of(design, Levels()), apart)


def _in_one_run(a: Side, b: Side) -> tuple[Side, Side]:
    """Return the sides with their orders that have no run id as one run: they are of one set."""
    if min(int(side.run.min(initial=0)) for side in (a, b)) >= 0:
        return a, b
    one = max(int(side.run.max(initial=-1)) for side in (a, b)) + 1
    a, b = (replace(side, run=np.where(side.run < 0, one, side.run)) for side in (a, b))
    return a, b


def _too_few(few: Sequence[str], groups: int) -> tuple[str, ...]:
    if not few or len(few) == groups:
        return ()
    named = listed([*few[:3], *([f"{count(len(few) - 3)} more"] if len(few) > 3 else [])])
    return (f"Too few placed orders to judge ({FEWEST} are needed): {named}.",)
