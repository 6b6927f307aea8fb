"""Caveats: what recordings cannot say, and what therefore must not be claimed of them.

Whoever draws a conclusion asks here first. ``claims`` looks at the tables once and says which
caveats there are, which merchants have no stage times, and from when an order's time counts. The
durations themselves are left out by ``stages.stage_times``, so that nobody has to remember it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from firmly_nb.display.messages import tells_names
from firmly_nb.display.text import (
    count,
    duration,
    listed,
    printable,
    short_name,
    stated_percent,
)
from firmly_nb.display.text import uncertainty as bound
from firmly_nb.latency.columns import ended_ms, floats, is_value, positions, some_of
from firmly_nb.latency.quantiles import estimate
from firmly_nb.latency.stages import (
    BUFFERED,
    COALESCED,
    OUT_OF_ORDER,
    REASONS,
    Gatherings,
    TimesOfStages,
    blocks_of,
    merchants_of,
)
from firmly_nb.outcomes import CANCELLED, EXTERNAL, NO, PLACED, UNKNOWN
from firmly_nb.schema import Column, Table

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import pandas as pd
    from numpy.typing import NDArray

    from firmly_nb.latency.columns import Events
    from firmly_nb.latency.stages import Gathered, StageBlock, StageBlocks, StageTimes

    Flags = NDArray[np.bool_]
    Floats = NDArray[np.float64]

UNCONFIRMED, UNREADABLE, COMPRESSED, UNFINISHED = (
    "unconfirmed",
    "unreadable",
    "compressed",
    "unfinished",
)
LATE_START, CLOCK_STEP, USER_CLOCK = "late-start", "clock-step", "user-clock"
# What cannot be said because of each, in the order in which they are told.
VOIDS = {
    COALESCED: "these times of stages",
    BUFFERED: "all times of stages of these merchants; the time to order placed holds",
    UNCONFIRMED: "that these orders exist",
    UNREADABLE: "carts, totals and checks of these events",
    COMPRESSED: "when events inside one compressed block came; their times are upper bounds",
    UNFINISHED: "what the last event had in it",
    OUT_OF_ORDER: "these times of stages",
    LATE_START: "plain times as a statement about the schedule; count from the planned start",
    CLOCK_STEP: "times of the wall clock; times since the request hold within their uncertainty",
    USER_CLOCK: "differences below the uncertainty of these events",
}
CAVEATS = Table(
    "caveats",
    "one row a kind of caveat",
    (
        Column("code", "str", "", f"its kind: {', '.join(VOIDS)}"),
        Column("voids", "str", "", "what cannot be said because of it"),
        Column("orders", "int64", "orders", "how many orders it is about"),
        Column("text", "str", "", "which merchant, stage or event it is about, and why"),
    ),
)
SCHEDULED = "scheduled_time_to_order_placed_ms"  # a column of ORDERS
LATE = 0.05  # of the median latency
MOST_NAMED = 3
LONGEST_NAME = 60


@tells_names
@dataclass(frozen=True, slots=True)
class Claims:
    """Caveats of some recordings, and what follows for whoever wants to claim something.

    Attributes
    ----------
    table
        ``CAVEATS``: one row a kind of caveat that there is.
    buffered
        Merchants of whose orders no stage has a time.
    from_planned_start
        Whether orders started so late that their times count from the planned start:
        ``scheduled_time_to_order_placed_ms``.
    """

    table: pd.DataFrame
    buffered: frozenset[str]
    from_planned_start: bool

    def text(self, code: str) -> str:
        """Return the text of a caveat; empty if there is none of that kind."""
        return "".join(self.table.loc[self.table["code"] == code, "text"])


def claims(
    events: Events,
    stages: pd.DataFrame | StageBlocks,
    orders: pd.DataFrame,
    doubts: Doubts | None = None,
) -> Claims:
    """Return what recordings cannot say.

    Parameters
    ----------
    events
        ``EVENTS``, or those of its columns and rows that are at hand: ``clock`` with
        ``uncertainty_us``, and ``unread`` with ``seq`` and ``event``.
    stages
        ``STAGES``, or stages one by one.
    orders
        Needs ``recording_id``, ``outcome``, ``time_to_order_placed_ms``. A further column of
        ``ORDERS`` that is missing cannot show its caveat.
    doubts
        What was seen in the stages, if they were looked at already.

    Examples
    --------
    >>> import pandas as pd
    >>> from firmly_nb.latency import STAGES
    >>> orders = pd.DataFrame({"recording_id": ["a"], "outcome": "placed", "domain": "a.test",
    ...     "time_to_order_placed_ms": 900.0, "schedule_lag_ms": 400.0})
    >>> found = claims(pd.DataFrame({"recording_id": []}), STAGES.empty(), orders)
    >>> found.table["code"].tolist(), found.from_planned_start
    (['late-start'], True)
    """
    if not len(orders):
        return Claims(CAVEATS.empty(), frozenset(), from_planned_start=False)
    if doubts is None:
        doubts = Doubts(orders)
        for block in blocks_of(stages, orders):
            doubts.add(block, block.own_reasons)
    late = doubts.late
    found = [
        *_of_stages(doubts, orders),
        *_of_orders(orders),
        *_of_events(events, orders),
        *([late] if late else []),
    ]
    rows = {one.code: one._asdict() | {"voids": VOIDS[one.code]} for one in found}
    table = CAVEATS.frame([rows[code] for code in VOIDS if code in rows])
    return Claims(table, doubts.found().buffered, from_planned_start=late is not None)


def claims_and_times(
    events: Events, stages: pd.DataFrame | StageBlocks, orders: pd.DataFrame
) -> tuple[Claims, list[StageTimes]]:
    """Return what recordings cannot say, and the times of stages that hold, of one look at each."""
    doubts = Doubts(orders)
    times = TimesOfStages(orders, doubts)
    blocks = blocks_of(stages, orders)
    while not times.done:
        for block in blocks:
            times.add(block)
        times.end()
    return claims(events, stages, orders, doubts), times.times


class _Caveat(NamedTuple):
    code: str
    orders: int
    text: str


class Doubts:
    """Times that say nothing: those of stages, counted stage by stage, and those since the request.

    Parameters
    ----------
    orders
        The orders.
    """

    def __init__(self, orders: pd.DataFrame) -> None:
        self.gatherings = Gatherings(orders)
        self.late = _late_start(orders)
        self.lost: list[_Doubted] = []
        self.backwards: list[_Doubted] = []
        self.together = self.unsure = False
        self.several = False
        self.of_lost, self.of_backwards = np.zeros((2, len(orders)), dtype=bool)

    def add(self, block: StageBlock, own: NDArray[np.int8]) -> None:
        """Look at a stage.

        Parameters
        ----------
        block, own
            The stage, and its own reasons why durations say nothing.
        """
        if not len(block.orders):
            return
        self.gatherings.add(block)
        came = ~np.isnan(block.duration_ms)
        timed = int(np.count_nonzero(came))
        self.several = self.several or int(block.orders.max()) > 0
        lost = np.flatnonzero((own == REASONS.index(COALESCED)) & came)
        together = block.coalesced[lost]
        self.together = self.together or bool(together.any())
        self.unsure = self.unsure or not together.all()
        backwards = np.flatnonzero(own == REASONS.index(OUT_OF_ORDER))
        self.of_lost[block.orders[lost]] = True
        self.of_backwards[block.orders[backwards]] = True
        self.lost.append(_Doubted(block.first, block.name, len(lost), timed))
        self.backwards.append(_Doubted(block.first, block.name, len(backwards), timed))

    def found(self) -> Gathered:
        """Return which streams were gathered."""
        return self.gatherings.found()

    def named(self, doubted: list[_Doubted]) -> str:
        """Return the stages of which some times say nothing, in words."""
        said = [
            short_name(one.name, LONGEST_NAME)
            + (f" ({count(one.n)} of {count(one.timed, 'order')})" if self.several else "")
            for one in sorted(doubted)
            if one.n
        ]
        return _listed(said)


class _Doubted(NamedTuple):
    """Number of times of a stage that say nothing, and of all that there are."""

    first: tuple[int, int]
    name: str
    n: int
    timed: int


def _of_stages(doubts: Doubts, orders: pd.DataFrame) -> list[_Caveat]:
    """Return the caveats of times of stages."""
    found = []
    known = doubts.found()
    if doubts.together or doubts.unsure:
        why = [
            *(["begin and end came in one read"] if doubts.together else []),
            *(["the uncertainty is above half of the time"] if doubts.unsure else []),
        ]
        text = f"No time is known for {doubts.named(doubts.lost)}: {', or '.join(why)}."
        found.append(_Caveat(COALESCED, int(doubts.of_lost.sum()), text))
    if known.buffered:
        hit = known.of_buffered & known.gathered
        text = (
            f"No stage has a time{_whose(orders, hit)}: all events of an order came in at most "
            "two reads. The server or a proxy gathered them. The time to the order holds."
            f"{_proxies_named(orders, hit)}"
        )
        found.append(_Caveat(BUFFERED, int(hit.sum()), text))
    if doubts.of_backwards.any():
        named = doubts.named(doubts.backwards)
        text = f"{named} ended before the milestone that comes first. The times are left out."
        found.append(_Caveat(OUT_OF_ORDER, int(doubts.of_backwards.sum()), text))
    return found


def _of_orders(orders: pd.DataFrame) -> Iterator[_Caveat]:
    """Return the caveats that the orders tell, each by itself."""
    unsure, gone = _told_as_placed(orders, UNKNOWN), _told_as_placed(orders, NO)
    not_there = ""
    if n := int(gone.sum()):
        said = "was told as placed and does" if n == 1 else "were told as placed and do"
        not_there = f"{_counted(orders, gone)} {said} not exist: the cart was asked."
    if not_there and not unsure.any():
        yield _Caveat(UNCONFIRMED, n, not_there)
    if unsure.any():
        n = int(unsure.sum())
        said = "was told as placed" if n == 1 else "were told as placed"
        text = f"{_counted(orders, unsure)} {said} without a readable order number. "
        elsewhere = "environment" in orders and is_value(orders["environment"], EXTERNAL)[unsure]
        if np.all(elsewhere):
            text += (
                "Another tool told their outcomes." if n > 1 else "Another tool told its outcome."
            )
        else:
            text += "lab.settle(rec) asks the merchant."
        text = f"{text} {not_there}".strip()
        yield _Caveat(UNCONFIRMED, n + int(gone.sum()), text)
    packed = _has(orders, "content_encoding")
    if packed.any():
        encodings = sorted({str(name) for name in orders.loc[packed, "content_encoding"]})
        text = (
            f"The response was compressed ({_listed(encodings)}) in {_counted(orders, packed)}. "
            "The time of an event inside a compressed block is an upper bound."
        )
        yield _Caveat(COMPRESSED, int(packed.sum()), text)
    broken = _has(orders, "unfinished")
    if broken.any():
        first = printable(str(orders.loc[broken, "unfinished"].iloc[0]))
        which = "It" if broken.sum() == 1 else "The first"
        text = f"The last event did not end in {_counted(orders, broken)}. {which} has {first}"
        yield _Caveat(UNFINISHED, int(broken.sum()), text)
    if "clock_step_us" in orders:
        step_us = np.nan_to_num(floats(orders["clock_step_us"]))
        stepped = step_us != 0
        if stepped.any():
            most = bound(float(np.abs(step_us).max()))
            text = f"The wall clock was stepped by up to {most} during {_counted(orders, stepped)}."
            yield _Caveat(CLOCK_STEP, int(stepped.sum()), text)


def _told_as_placed(orders: pd.DataFrame, exists: str) -> Flags:
    """Return which orders were told as placed although this is known of whether they exist."""
    placed = is_value(orders["outcome"], PLACED)
    if "order_exists" not in orders:
        return np.zeros(len(orders), dtype=bool)
    return placed & is_value(orders["order_exists"], exists)


def from_planned_start(orders: pd.DataFrame) -> bool:
    """Say whether orders started so late that their times count from the planned start.

    Examples
    --------
    >>> import pandas as pd
    >>> times = {"outcome": "placed", "time_to_order_placed_ms": [100.0, 90.0]}
    >>> from_planned_start(pd.DataFrame(times | {"schedule_lag_ms": [0.1, 50.0]}))
    True
    >>> from_planned_start(pd.DataFrame(times | {"schedule_lag_ms": [0.1, None]}))
    False
    """
    return _late_start(orders) is not None


def scheduled_ms(orders: pd.DataFrame) -> Floats:
    """Return the time to the order from the planned start on; of an order without plan unknown.

    Examples
    --------
    >>> import pandas as pd
    >>> times = {"time_to_order_placed_ms": [100.0, 90.0], "schedule_lag_ms": [7.0, None]}
    >>> scheduled_ms(pd.DataFrame(times)).tolist()
    [107.0, nan]
    """
    return floats(orders["time_to_order_placed_ms"]) + floats(orders["schedule_lag_ms"])


def _late_start(orders: pd.DataFrame) -> _Caveat | None:
    """Return whether orders started so late that plain times say nothing of the schedule."""
    if "schedule_lag_ms" not in orders:
        return None
    counted = ~is_value(orders["outcome"], CANCELLED)
    lag_ms = some_of(floats(orders["schedule_lag_ms"]), counted)
    p99 = estimate(lag_ms, 0.99)
    if np.isnan(p99):
        return None
    median = estimate(some_of(floats(orders["time_to_order_placed_ms"]), counted), 0.5)
    if np.isnan(median) and "order_latency_ms" in orders:
        median = estimate(some_of(ended_ms(orders), counted), 0.5)
    # Of orders without any time nothing can be late.
    if not p99 > LATE * median:
        return None
    late = int((lag_ms > LATE * median).sum())
    text = (
        f"Orders started up to {duration(p99)} after their planned start (p99). That is above "
        f"{stated_percent(LATE)} of the median time of {duration(median)}."
    )
    return _Caveat(LATE_START, late, text)


def _of_events(events: Events, orders: pd.DataFrame) -> Iterator[_Caveat]:
    """Return the caveats that single events tell."""
    import pandas as pd

    if not isinstance(events, pd.DataFrame):  # they were counted only
        return
    if "unread" in events:
        lost = events[events["unread"].notna().to_numpy(bool)]
        lost = lost.assign(_order=positions(orders, lost))
        lost = lost[lost["_order"] >= 0]
        if len(lost):
            yield _Caveat(UNREADABLE, int(lost["_order"].nunique()), _not_read(lost, orders))
    if "clock" in events:
        late = is_value(events["clock"], "user")
        own = positions(orders, events)[late]
        own, bounds_us = own[own >= 0], floats(events["uncertainty_us"])[late]
        if len(own):
            mask = np.zeros(len(orders), dtype=bool)
            mask[own] = True
            text = (
                f"{count(len(own), 'event')} in {_counted(orders, mask)} "
                f"{'has' if len(own) == 1 else 'have'} no kernel timestamp. "
                f"Uncertainty: up to {bound(float(np.nanmax(bounds_us)))}."
            )
            yield _Caveat(USER_CLOCK, int(mask.sum()), text)


def _not_read(lost: pd.DataFrame, orders: pd.DataFrame) -> str:
    """Say which events' carts were not read, and why: the first of each name and reason."""
    said = []
    groups = lost.groupby(["event", "unread"], sort=False, observed=True)
    for (name, reason), group in groups:
        first = group.iloc[0]
        where = _merchant(orders, int(first["_order"]))
        more = f" and of {count(len(group) - 1, 'more event')}" if len(group) > 1 else ""
        said.append(
            f"The cart of event {first['seq']} '{short_name(name, LONGEST_NAME)}'{where}{more} "
            f"was not read: {reason}."
        )
    left = len(said) - MOST_NAMED
    if left > 0:
        said = [*said[:MOST_NAMED], f"{count(left, 'more kind')} of events: see checks.not_read."]
    return " ".join(said)


# Words.


def _has(orders: pd.DataFrame, name: str) -> Flags:
    if name not in orders:
        return np.zeros(len(orders), dtype=bool)
    found: Flags = orders[name].notna().to_numpy(bool)
    return found


def _whose(orders: pd.DataFrame, mask: Flags) -> str:
    """Return for which merchants, and for how many of the orders of each."""
    merchants, names = merchants_of(orders)
    of_all = np.bincount(merchants, minlength=len(names))
    hit = np.bincount(merchants[mask], minlength=len(names))
    said = [
        _part_of(names[code], int(hit[code]), int(of_all[code]) if len(orders) > 1 else 0)
        for code in np.flatnonzero(hit).tolist()
    ]
    return f" for {_listed(said)}" if any(said) else ""


def _part_of(name: str, n: int, of_all: int) -> str:
    """Return a name and how many of its orders; of a single order the name alone."""
    return short_name(name, LONGEST_NAME) + (
        f" ({count(n)} of {count(of_all, 'order')})" if of_all else ""
    )


def _proxies_named(orders: pd.DataFrame, mask: Flags) -> str:
    """Name the proxies that the headers of some orders tell of: a possible cause, and no proof."""
    if "proxies" not in orders:
        return ""
    named = orders.loc[mask, "proxies"].dropna()
    if not len(named):
        return ""
    # The most frequent first; of as many each the one that came first.
    found = [str(name) for name in named.astype("object").value_counts().index]
    said = _listed([short_name(name, LONGEST_NAME) for name in found])
    n, of = len(named), int(mask.sum())
    whose = "The response names" if of == 1 else f"{count(n)} of {count(of, 'response')} name"
    return f" {whose} a proxy, a possible cause: {said}."


def _counted(orders: pd.DataFrame, mask: Flags) -> str:
    """Return how many orders, of which merchants."""
    merchants, names = merchants_of(orders)
    hit = np.bincount(merchants[mask], minlength=len(names))
    named = [
        short_name(names[code], LONGEST_NAME)
        for code in np.flatnonzero(hit).tolist()
        if names[code]
    ]
    of = f" of {_listed(named)}" if named else ""
    return f"{count(int(mask.sum()), 'order')}{of}"


def _merchant(orders: pd.DataFrame, position: int) -> str:
    if "domain" not in orders:
        return ""
    return f" of {short_name(orders['domain'].iloc[position], LONGEST_NAME)}"


def _listed(said: Sequence[str]) -> str:
    """Put a few into words; of more the first, and how many there are besides."""
    left = len(said) - MOST_NAMED
    return listed([*said[:MOST_NAMED], *([f"{count(left)} more"] if left > 0 else [])])
