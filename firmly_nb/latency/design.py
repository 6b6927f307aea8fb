"""May B be held against A: what differs beside the release, and what the design lets be said.

A difference between two sets is put down to the release only if release and time are not the same
thing: orders of both sides took turns within runs, or runs of both sides took turns. Orders are
compared like for like; those of a kind that only one side has are left out and counted.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import numpy as np

from firmly_nb.display.messages import coded_error, quoted
from firmly_nb.display.text import count, listed, percent, short_name, window
from firmly_nb.latency.columns import coded, floats, is_value, numbered_cells
from firmly_nb.latency.effect import shared_codes
from firmly_nb.latency.shares import wilson
from firmly_nb.outcomes import CANCELLED, PLACED
from firmly_nb.schema import Column, Table

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from firmly_nb.latency.columns import Events
    from firmly_nb.latency.effect import Codes, Flags, Floats
    from firmly_nb.latency.stages import StageBlocks

    # Events, stages and orders; of very many orders the first two as ``summary`` takes them.
    Tables: TypeAlias = tuple[Events, pd.DataFrame | StageBlocks, pd.DataFrame]

ENOUGH_RUNS = 5  # from which runs are the unit
EARLIEST, LATEST = 0.3, 0.7  # share of pairs in which B came later, where both took turns
CHANCE = 2.576  # standard errors by which a random order of a small run may lie outside these
FEWEST_SWITCHES = 4
MOST_LEFT_OUT = 0.2  # of the orders of a side
UNLIKE = 0.05  # from which a difference of shares is told
NAMED = 3  # merchants and the like that are named in a row

STRATIFIED, BLOCKED, VOIDS, NOTED = "stratified", "blocked", "voids", "noted"
DESIGN = Table(
    "design",
    "one row a difference between A and B, or a part of the design",
    (
        Column("what", "str", "", "what was looked at"),
        Column("a", "str", "", "what A has"),
        Column("b", "str", "", "what B has"),
        Column("effect", "str", "", f"{STRATIFIED}, {BLOCKED}, {VOIDS} or {NOTED}"),
    ),
)


class Difference(NamedTuple):
    """A row of ``DESIGN``."""

    what: str
    a: str
    b: str
    effect: str


def difference(what: str, told: Sequence[str], effect: str) -> Difference:
    """Return a row from what is told of A and of B."""
    a, b = told
    return Difference(what, a, b, effect)


@dataclass(frozen=True, slots=True)
class Side:
    """Orders of one side, with the numbers that both sides share for kinds and runs.

    Attributes
    ----------
    orders
        The table.
    attempted, placed
        Which orders count; which of them were placed.
    ms
        Time to the order; not a number unless placed.
    kind
        Number of its merchant, number of items and host.
    run
        Number of its run; -1 if it has none.
    started_ns
        When it started; not a number if that is not known.
    ids
        Number of its id; empty where nobody asks.
    """

    orders: pd.DataFrame
    attempted: Flags
    placed: Flags
    ms: Floats
    kind: Codes
    run: Codes
    started_ns: Floats
    ids: Codes


class Kind(NamedTuple):
    """Merchant, number of items, and host; None where the tables do not say or it is not looked at.

    The host is the machine that sent the order, in a sweep from several.
    """

    merchant: str | None
    items: int | None
    host: str | None


@dataclass(frozen=True, slots=True)
class Design:
    """Design of two sets, and what it lets be said.

    Attributes
    ----------
    name
        ``interleaved``, ``alternating``, ``control``, or empty: anything else.
    by_runs
        Whether runs are the unit, and not orders.
    runs
        Runs that count: shared ones, or of each side.
    left_out
        Share of the orders of each side that are not compared.
    why_not
        Why a difference cannot be put down to the release; empty if it can.
    unlike
        Why the sides cannot be compared at all; empty if they can.
    rows
        What differs, as rows of ``DESIGN``.
    kinds
        The kinds by number; ``control`` says which of them belong to the control merchant.
    """

    name: str
    by_runs: bool
    runs: tuple[int, int]
    left_out: tuple[float, float]
    why_not: str
    unlike: str
    rows: tuple[Difference, ...]
    kinds: tuple[Kind, ...]
    control: Flags

    @property
    def blocked(self) -> bool:
        """True if orders are compared within the runs that both sides share."""
        return self.name == "interleaved"


def sides(
    orders: Sequence[pd.DataFrame],
    *,
    from_planned_start: bool,
    ids: Sequence[Codes] | None = None,
) -> tuple[list[Side], list[Kind]]:
    """Read the orders of each side; return also the kinds by number.

    Parameters
    ----------
    orders
        The orders of each side.
    from_planned_start
        Whether their times count from the planned start.
    ids
        The number of the id of each order, if their column ``recording_id`` does not say it.
    """
    kinds: dict[Kind, int] = {}
    runs: dict[str, int] = {}
    known: dict[object, int] = {}
    found = []
    for at, one in enumerate(orders):
        if ids is not None:
            numbers = ids[at]
        else:
            names = one["recording_id"].to_list() if "recording_id" in one else []
            numbers = np.array([known.setdefault(name, len(known)) for name in names], np.intp)
        found.append(_side(one, numbers, kinds, runs, from_planned_start=from_planned_start))
    return found, list(kinds)


def _side(
    orders: pd.DataFrame,
    ids: Codes,
    kinds: dict[Kind, int],
    runs: dict[str, int],
    *,
    from_planned_start: bool,
) -> Side:
    is_placed = is_value(orders["outcome"], PLACED)
    ms = floats(orders["time_to_order_placed_ms"])
    if from_planned_start and "schedule_lag_ms" in orders:
        # An order without a planned start was planned for when it started.
        ms = ms + np.nan_to_num(floats(orders["schedule_lag_ms"]))
    run, names = coded(orders["run_id"]) if "run_id" in orders else (_none(orders), [])
    return Side(
        orders=orders,
        attempted=~is_value(orders["outcome"], CANCELLED),
        placed=is_placed,
        ms=np.where(is_placed, ms, np.nan),
        kind=_kinds(orders, kinds),
        run=np.array([*(runs.setdefault(name, len(runs)) for name in names), -1], np.intp)[run],
        started_ns=_started_ns(orders),
        ids=ids,
    )


def _none(orders: pd.DataFrame) -> Codes:
    return np.full(len(orders), -1, dtype=np.intp)


def _kinds(orders: pd.DataFrame, kinds: dict[Kind, int]) -> Codes:
    if not len(orders):
        return _none(orders)
    size = np.zeros(len(orders), dtype=np.intp)  # for none; else by one above the number of items
    if "n_items" in orders:
        items = np.nan_to_num(floats(orders["n_items"]), nan=-1.0)
        size = np.maximum(items, -1.0).astype(np.intp) + 1
    merchants, hosts = (_names(orders, name) for name in ("domain", "host"))
    shape = (len(merchants[1]), int(size.max()) + 1, len(hosts[1]))
    cells, cell = numbered_cells((merchants[0], size, hosts[0]), shape)
    numbers = []
    for at in zip(*(axis.tolist() for axis in np.unravel_index(cells, shape)), strict=True):
        merchant, which, host = at
        items_told = which - 1 if which else None
        kind = Kind(merchants[1][merchant], items_told, hosts[1][host])
        numbers.append(kinds.setdefault(kind, len(kinds)))
    return np.array(numbers, dtype=np.intp)[cell]


def _names(orders: pd.DataFrame, column: str) -> tuple[Codes, list[str | None]]:
    """Return the number of each order's name in a column, and the names; the last is none."""
    codes, names = coded(orders[column]) if column in orders else (_none(orders), [])
    return np.where(codes < 0, len(names), codes), [*names, None]


def _started_ns(orders: pd.DataFrame) -> Floats:
    if "started_at" not in orders:
        return np.full(len(orders), np.nan)
    moments = orders["started_at"]
    known = moments.notna().to_numpy(bool)
    found = np.full(len(orders), np.nan)
    found[known] = moments[known].dt.as_unit("ns").astype("int64").to_numpy(np.float64)
    return found


# Whether release and time are the same thing.


def later_share(a: Floats, of_a: Codes, b: Floats, of_b: Codes) -> tuple[Codes, Floats, Floats]:
    """Return for each group of both sides how many pairs there are, and in how many B is later.

    Moments are in ns; those within a µs count as equal.

    Examples
    --------
    >>> one = np.zeros(2, dtype=np.intp)
    >>> later_share(np.array([1e3, 3e3]), one, np.array([2e3, 4e3]), one)[2].tolist()
    [3.0]
    """
    shared = shared_codes(of_a, of_b)
    in_a, in_b = shared.of_a >= 0, shared.of_b >= 0
    at_a, at_b = shared.of_a[in_a], shared.of_b[in_b]
    # Counted in µs from the first: whole numbers, exact and quick to sort.
    first = min((float(one.min()) for one in (a, b) if len(one)), default=0.0)
    us_a, us_b = ((one - first).astype(np.int64) // 1000 for one in (a[in_a], b[in_b]))
    wide = 1 + max((int(one.max()) for one in (us_a, us_b) if len(one)), default=0)
    keys_a, keys_b = np.sort(at_a * wide + us_a), at_b * wide + us_b
    count_a, count_b = (np.bincount(at, minlength=len(shared.codes)) for at in (at_a, at_b))
    order = np.argsort(keys_b)
    keys_b, at_b = keys_b[order], at_b[order]
    left, right = (np.searchsorted(keys_a, keys_b, side) for side in ("left", "right"))
    above = (left + right) / 2 - (np.cumsum(count_a) - count_a)[at_b]
    later = np.bincount(at_b, weights=above, minlength=len(shared.codes))
    return shared.codes, (count_a * count_b).astype(np.float64), later.astype(np.float64)


def _interleaved_runs(a: Side, b: Side) -> Codes:
    """Return the runs in which orders of both sides took turns; none unless they did on the whole.

    In a small run a random order can lie at one end by chance; those are told by all together.
    """
    use = [one.attempted & (one.run >= 0) & ~np.isnan(one.started_ns) for one in (a, b)]
    values = [(one.started_ns[mask], one.run[mask]) for one, mask in zip((a, b), use, strict=True)]
    runs, pairs, later = later_share(*values[0], *values[1])
    if not len(runs):
        return runs
    sizes = [np.bincount(of, minlength=int(runs.max()) + 1)[runs] for _, of in values]
    error = np.sqrt((sizes[0] + sizes[1] + 1) / (12 * pairs))
    width = (LATEST - EARLIEST) / 2
    near = np.abs(later / pairs - 0.5) <= np.maximum(width, CHANCE * error) + 1e-12
    runs, pairs, later = runs[near], pairs[near], later[near]
    if not len(runs) or not _took_turns(later.sum() / pairs.sum()):
        return runs[:0]
    # From enough runs on the run is the unit, and how they differ is in the interval.
    return runs if len(runs) >= ENOUGH_RUNS or _often_enough(values, runs) else runs[:0]


def _often_enough(values: Sequence[tuple[Floats, Codes]], runs: Codes) -> bool:
    """Return whether A and B follow one another at least half as often as in random order.

    Long stretches of one side meet good and bad minutes of their own, which do not cancel.
    """
    side = np.repeat([0, 1], [len(of) for _, of in values])
    started, run = (np.concatenate(one) for one in zip(*values, strict=True))
    here = np.isin(run, runs)
    order = np.lexsort((started[here], run[here]))
    side, run = side[here][order], run[here][order]
    switches = int(((side[1:] != side[:-1]) & (run[1:] == run[:-1])).sum())
    n, m = (np.bincount(run[side == one], minlength=int(run.max()) + 1)[runs] for one in (0, 1))
    twice, both = 2.0 * n * m, n + m
    expected = twice / both
    variance = twice * (twice - both) / (both**2 * np.maximum(both - 1, 1))
    by_chance = CHANCE * math.sqrt(max(float(variance.sum()), 0.0))
    return switches >= min(float(expected.sum()) / 2, float(expected.sum()) - by_chance)


def _took_turns(later: float) -> bool:
    return EARLIEST - 1e-12 <= later <= LATEST + 1e-12


def _run_starts(side: Side) -> Floats:
    use = side.attempted & (side.run >= 0) & ~np.isnan(side.started_ns)
    if not use.any():
        return np.empty(0)
    starts = np.full(int(side.run.max()) + 1, np.inf)
    np.minimum.at(starts, side.run[use], side.started_ns[use])
    return np.asarray(starts[np.isfinite(starts)], dtype=np.float64)


def _do_alternate(a: Side, b: Side) -> bool:
    starts = [_run_starts(one) for one in (a, b)]
    if min(map(len, starts)) < ENOUGH_RUNS:
        return False
    zeros = [np.zeros(len(one), dtype=np.intp) for one in starts]
    _, pairs, later = later_share(starts[0], zeros[0], starts[1], zeros[1])
    side = np.repeat([0, 1], [len(one) for one in starts])
    order = side[np.argsort(np.concatenate(starts), kind="stable")]
    switches = int((order[1:] != order[:-1]).sum())
    return _took_turns(float(later[0] / pairs[0])) and switches >= FEWEST_SWITCHES


def arrange(
    a: Side,
    b: Side,
    kinds: list[Kind],
    more: Sequence[Difference] | None,
    *,
    like_for_like: bool,
    control: str | None,
    in_blocks: bool = False,
) -> tuple[Design, Flags, Flags]:
    """Find out what the design lets be said; return also which orders of each side count.

    Parameters
    ----------
    a, b, kinds
        From ``sides``.
    more
        Rows that were found elsewhere: what caveats void. None: nobody reads what differs.
    like_for_like
        Whether what only one side has is left out, however much it is.
    control
        A merchant that did not change.
    in_blocks
        Whether the orders took turns in blocks of one study: its environments may differ.
    """
    rows = [] if more is None else _rows_of_both(a, b, kinds, more, NOTED if in_blocks else VOIDS)
    is_control = np.array([kind.merchant == control for kind in kinds], dtype=bool)
    is_control &= control is not None
    use_a, use_b = a.attempted.copy(), b.attempted.copy()
    shared = in_common(a.kind[use_a], b.kind[use_b], len(kinds))
    unlike = _empty(a, b)
    if not unlike and not shared.any():
        unlike = _disjoint(kinds, a, b)
    use_a &= shared[a.kind]
    use_b &= shared[b.kind]
    name, runs, why_not = "", (_count(a, use_a), _count(b, use_b)), ""
    by_runs = False
    taking_turns = _interleaved_runs(a, b)
    runs_a, runs_b = (x.run[(x.run >= 0) & use] for x, use in ((a, use_a), (b, use_b)))
    common = np.flatnonzero(in_common(runs_a, runs_b))
    if control is not None and not _empty(a, b):
        name, use_a, use_b, runs, why_not = _with_control(a, b, use_a, use_b, is_control, control)
        by_runs = name == "control"
    elif len(taking_turns):
        name, by_runs = "interleaved", len(taking_turns) >= ENOUGH_RUNS
        runs = (len(taking_turns), len(taking_turns))
        use_a &= np.isin(a.run, taking_turns)
        use_b &= np.isin(b.run, taking_turns)
        if not by_runs:  # run and kind together are the strata
            wide = len(kinds) + 1
            both = shared_codes((a.run * wide + a.kind)[use_a], (b.run * wide + b.kind)[use_b])
            use_a[use_a] = both.of_a >= 0
            use_b[use_b] = both.of_b >= 0
    elif not len(common) and _do_alternate(a, b):
        name, by_runs = "alternating", True
        use_a &= a.run >= 0
        use_b &= b.run >= 0
    else:
        why_not = _why_not(a, b, common, runs)
        by_runs = not len(common) and min(runs) >= ENOUGH_RUNS
        if by_runs:
            use_a &= a.run >= 0
            use_b &= b.run >= 0
    left_out = tuple(
        1 - float(use.sum()) / max(int(one.attempted.sum()), 1)
        for one, use in ((a, use_a), (b, use_b))
    )
    if not unlike and max(left_out) > MOST_LEFT_OUT and not like_for_like:
        unlike = (
            f"{percent(left_out[0])} of A's orders and {percent(left_out[1])} of B's have no "
            "counterpart on the other side"
        )
    if max(left_out) > 0 and not _empty(a, b):
        effect = VOIDS if unlike else NOTED
        rows.append(difference("left out", [percent(one) for one in left_out], effect))
    voids = [row.what for row in rows if row.effect == VOIDS and row.what in DEFINITIONS]
    if not unlike and voids:
        unlike = _unlike_definitions(rows, voids)
    rows += _rows_of_runs(a, b, name, runs, len(common), why_not)
    design = Design(
        name=name,
        by_runs=by_runs,
        runs=runs,
        left_out=(left_out[0], left_out[1]),
        why_not=why_not,
        unlike=unlike,
        rows=tuple(rows),
        kinds=tuple(kinds),
        control=is_control,
    )
    return design, use_a, use_b


SAME = "same orders"
DEFINITIONS = ("environment", "SSE", SAME)


def _unlike_definitions(rows: Sequence[Difference], voids: Sequence[str]) -> str:
    if SAME in voids:
        [shared] = [row.a for row in rows if row.what == SAME]
        return f"{shared} {'is' if shared == '1 order' else 'are'} on both sides"
    return f"A and B differ in {listed(voids)}"


def without_what_differs(
    a: Side, b: Side, kinds: list[Kind]
) -> tuple[Side, Side, list[Kind], tuple[str, ...]] | None:
    """Drop from the kinds what the sides do not share: the host, the merchant, the items.

    So two merchants, two hosts, or carts of two sizes, can be held against each other if that is
    asked for. Returns also what was dropped. None if that is of no use.
    """
    here, there = (np.bincount(one.kind[one.attempted], minlength=len(kinds)) > 0 for one in (a, b))
    used = np.zeros(len(kinds), dtype=bool)
    used[a.kind] = used[b.kind] = True
    for dropped in DROPS:
        numbers: dict[Kind, int] = {}
        codes = np.full(len(kinds), -1, dtype=np.intp)
        for kind in np.flatnonzero(used).tolist():
            kept = kinds[kind]._replace(**dict.fromkeys(dropped))
            codes[kind] = numbers.setdefault(kept, len(numbers))
        if in_common(codes[here], codes[there]).any():
            one, other = (replace(side, kind=codes[side.kind]) for side in (a, b))
            return one, other, list(numbers), dropped
    return None


# What is dropped, the least first.
DROPS = (
    ("host",),
    ("merchant",),
    ("items",),
    ("merchant", "items"),
    ("host", "merchant"),
    ("host", "items"),
    ("host", "merchant", "items"),
)
PARTS = {"merchant": "merchant", "number of items": "items", "host": "host"}


def apart_in(a: Side, b: Side, kinds: Sequence[Kind]) -> tuple[str, ...]:
    """Return in what no order of a side is like one of the other side."""
    own = [
        [kinds[k] for k in np.flatnonzero(np.bincount(one.kind[one.attempted])).tolist()]
        for one in (a, b)
    ]
    found = []
    for what, part in PARTS.items():
        one, other = ({getattr(kind, part) for kind in side} for side in own)
        if not one & other:
            found.append(what)
    return tuple(found)


def _empty(a: Side, b: Side) -> str:
    empty = [name for name, one in (("A", a), ("B", b)) if not one.attempted.any()]
    return f"{listed(empty)} {'has' if len(empty) == 1 else 'have'} no orders" if empty else ""


def _disjoint(kinds: list[Kind], a: Side, b: Side) -> str:
    apart = [what for what in apart_in(a, b, kinds) if what != "number of items"]
    if apart:
        return f"A and B have no {' and no '.join(apart)} in common"
    own = [{kinds[k]._replace(host=None) for k in np.unique(x.kind[x.attempted])} for x in (a, b)]
    if own[0] & own[1]:
        return "no order of A comes from the same host as one of B like it"
    return "no order of A has as many items as one of B at the same merchant"


def _count(side: Side, use: Flags) -> int:
    return int(np.count_nonzero(np.bincount(side.run[use & (side.run >= 0)])))


def in_common(a: Codes, b: Codes, size: int = 0) -> Flags:
    """Return for each code whether both have it.

    Examples
    --------
    >>> in_common(np.array([2, 0]), np.array([2, 1])).tolist()
    [False, False, True]
    """
    size = max(size, *(int(one.max(initial=-1)) + 1 for one in (a, b)))
    n, m = (np.bincount(one, minlength=size) for one in (a, b))
    return np.asarray((n > 0) & (m > 0))


def _with_control(
    a: Side, b: Side, use_a: Flags, use_b: Flags, is_control: Flags, control: str
) -> tuple[str, Flags, Flags, tuple[int, int], str]:
    """Return the design with a control merchant: runs that have both it and others."""
    counts, masks = [], []
    for name, one, use in (("A", a, use_a), ("B", b, use_b)):
        has = use & (one.run >= 0)
        mine = is_control[one.kind] if len(is_control) else np.zeros(len(use), bool)
        if not (one.attempted & mine).any():
            known = sorted({str(m) for m in one.orders.get("domain", []) if isinstance(m, str)})
            text = (
                f"control must be a merchant on both sides; {name} has no order of "
                f"{quoted(control)}. {name} has: {listed(known[:10]) or 'no merchant'}. Name "
                f"one of both, or leave control out."
            )
            raise coded_error(ValueError, "FNB320", text)
        both = np.intersect1d(one.run[has & mine], one.run[has & ~mine])
        counts.append(len(both))
        masks.append(has & np.isin(one.run, both))
    runs = (counts[0], counts[1])
    if min(runs) >= ENOUGH_RUNS:
        return "control", masks[0], masks[1], runs, ""
    why = (
        f"{ENOUGH_RUNS} runs a side need both {short_name(control)} and another merchant; "
        f"A has {runs[0]}, B has {runs[1]}"
    )
    return "", use_a, use_b, runs, why


def _why_not(a: Side, b: Side, common: Codes, runs: tuple[int, int]) -> str:
    if np.isnan(a.started_ns[a.attempted]).all() or np.isnan(b.started_ns[b.attempted]).all():
        return "when the orders started is not known"
    values = [one.started_ns[one.attempted & ~np.isnan(one.started_ns)] for one in (a, b)]
    zeros = [np.zeros(len(one), dtype=np.intp) for one in values]
    _, pairs, later = later_share(values[0], zeros[0], values[1], zeros[1])
    apart = not len(pairs) or not _took_turns(float(later[0] / pairs[0]))
    if apart:
        return "measured at different times"
    if len(common):
        return "the orders did not take turns within the runs"
    if not min(runs):
        return "there are orders without a run id"
    if min(runs) < ENOUGH_RUNS:
        return "measured in different runs"
    return "the runs did not take turns"


# What differs, in words.


def _rows_of_both(
    a: Side, b: Side, kinds: list[Kind], more: Sequence[Difference], environments: str
) -> list[Difference]:
    return [*rows_of_kinds(a, b, kinds), *_rows_of_orders(a, b, environments), *more]


def rows_of_kinds(
    a: Side, b: Side, kinds: list[Kind], dropped: Sequence[str] = ()
) -> list[Difference]:
    """Return how the sides differ in merchants, numbers of items and hosts.

    Parameters
    ----------
    dropped
        If any, only these; orders are not compared within them.
    """
    rows = []
    for what in dropped or Kind._fields:
        values = [getattr(kind, what) for kind in kinds]
        names = [value for value in dict.fromkeys(values) if value is not None]
        of = np.array([names.index(v) if v is not None else -1 for v in values], dtype=np.intp)
        shares = [_shares(of[one.kind[one.attempted]], len(names)) for one in (a, b)]
        if not names or np.abs(shares[0] - shares[1]).max() < 1e-9:
            continue
        effect = NOTED if dropped else STRATIFIED
        rows.append(difference(what, [_mix(names, share, what) for share in shares], effect))
    return rows


def _shares(codes: Codes, size: int) -> Floats:
    known = codes[codes >= 0]
    return np.bincount(known, minlength=size) / max(len(known), 1)


def _mix(names: Sequence[object], shares: Floats, what: str = "") -> str:
    """Return the most frequent values in words."""
    order = np.argsort(-shares, kind="stable")
    present = [int(i) for i in order if shares[i] > 0]
    if not present:
        return "none"
    told = [f"{percent(float(shares[i]))} {_named(names[i], what)}" for i in present[:NAMED]]
    more = len(present) - NAMED
    return f"{', '.join(told)}{f' and {more} more' if more > 0 else ''}"


def _named(name: object, what: str) -> str:
    if what == "items" and isinstance(name, int):
        return count(name, "item")
    return short_name(name)


def _rows_of_orders(a: Side, b: Side, environments: str) -> list[Difference]:
    """Return what else differs between the orders of both sides.

    ``environments`` is what it does that they are not in the same one.
    """
    rows = []
    for column, what, effect in (
        ("environment", "environment", environments),
        ("quantity", "quantity", NOTED),
        ("variants", "variants", NOTED),
        ("profile", "profile", NOTED),
        ("connection", "connection", NOTED),
        ("clock", "recorder clock", NOTED),
    ):
        if column in a.orders and column in b.orders:
            rows += _mixed(a, b, column, what, effect)
    rows += _sse(a, b)
    rows += _cancelled(a, b)
    if same := _same_orders(a, b):
        rows.append(difference(SAME, [count(same, "order")] * 2, VOIDS))
    return rows


def _mixed(a: Side, b: Side, column: str, what: str, effect: str) -> list[Difference]:
    names: dict[str, int] = {}
    shares = []
    for one in (a, b):
        codes, known = coded(one.orders[column][one.attempted])
        new = np.array([*(names.setdefault(n, len(names)) for n in known), -1], dtype=np.intp)
        shares.append(new[codes])
    found = [_shares(codes, len(names)) for codes in shares]
    if not names or not all((codes >= 0).any() for codes in shares):
        return []
    gap = float(np.abs(found[0] - found[1]).max())
    if gap < (1e-9 if effect == VOIDS else UNLIKE):
        return []
    return [difference(what, [_mix(list(names), share) for share in found], effect)]


def _sse(a: Side, b: Side) -> list[Difference]:
    """Return whether one side was told of its orders by events, and the other was not."""
    column = "time_to_first_event_ms"
    if column not in a.orders or column not in b.orders:
        return []
    shares = []
    for one in (a, b):
        came = ~np.isnan(floats(one.orders[column]))[one.placed]
        shares.append(float(came.mean()) if len(came) else np.nan)
    gap = abs(shares[0] - shares[1])
    if not gap >= UNLIKE:
        return []
    effect = VOIDS if gap > MOST_LEFT_OUT else NOTED
    return [difference("SSE", [f"{percent(share)} with events" for share in shares], effect)]


def _cancelled(a: Side, b: Side) -> list[Difference]:
    counts = [int((~one.attempted).sum()) for one in (a, b)]
    if not any(counts):
        return []
    told = [
        f"{count(k)} of {count(len(one.attempted))}" for k, one in zip(counts, (a, b), strict=True)
    ]
    return [difference("cancelled", told, NOTED)]


def more_cancelled(a: Side, b: Side, level: float) -> bool:
    """Return whether the shares of cancelled orders differ by more than chance."""
    low, high = zip(
        *(wilson(int((~one.attempted).sum()), len(one.attempted), level) for one in (a, b)),
        strict=True,
    )
    shares = [float((~one.attempted).mean()) if len(one.attempted) else 0.0 for one in (a, b)]
    gap = shares[1] - shares[0]
    return bool(
        gap - np.hypot(shares[1] - low[1], high[0] - shares[0]) > 0
        or gap + np.hypot(high[1] - shares[1], shares[0] - low[0]) < 0
    )


def _same_orders(a: Side, b: Side) -> int:
    """Return how many orders are on both sides: what is compared with itself shows nothing.

    Tables from elsewhere may number their orders alike: the same order has the same times as well.
    """
    shared = shared_codes(a.ids, b.ids)
    if not len(shared.codes):
        return 0
    in_a, in_b = np.empty((2, len(shared.codes)), dtype=np.intp)
    for places, of in ((in_a, shared.of_a), (in_b, shared.of_b)):
        here = np.flatnonzero(of >= 0)
        places[of[here]] = here
    is_same = np.isclose(a.started_ns[in_a], b.started_ns[in_b], rtol=0, atol=1e3, equal_nan=True)
    for name in ("time_to_order_placed_ms", "order_latency_ms"):
        if name in a.orders and name in b.orders:
            one, other = (floats(side.orders[name])[at] for side, at in ((a, in_a), (b, in_b)))
            is_same &= np.isclose(one, other, rtol=0, atol=1e-3, equal_nan=True)
    return int(is_same.sum())


def _rows_of_runs(
    a: Side, b: Side, name: str, runs: tuple[int, int], common: int, why_not: str
) -> list[Difference]:
    effect = {"interleaved": BLOCKED, "alternating": NOTED, "control": BLOCKED}.get(name, VOIDS)
    counted = [_count(one, one.attempted) for one in (a, b)]
    told = [count(k, "run") if k else "no run ids" for k in counted]
    if name == "interleaved":
        told = [
            f"{count(k, 'run')}, {runs[0]} shared" if k != runs[0] else f"{count(k, 'run')}, shared"
            for k in counted
        ]
    elif common:
        told = [f"{count(k, 'run')}, {common} shared" for k in counted]
    rows = [difference("runs", told, effect)]
    windows = [_window(one) for one in (a, b)]
    if all(windows):
        rows.append(difference("window", windows, VOIDS if why_not else NOTED))
    return rows


def _window(side: Side) -> str:
    import pandas as pd

    known = side.started_ns[side.attempted & ~np.isnan(side.started_ns)]
    if not len(known):
        return ""
    return window(*(pd.Timestamp(int(ns), tz="UTC") for ns in (known.min(), known.max())))
