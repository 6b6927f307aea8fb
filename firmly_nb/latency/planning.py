"""Planning a study: how many orders tell a change, from recordings that are there already.

What the three questions need follows from how much orders differ within a run, how many are placed,
and how many are late. The typical time has formulas; shares are few and whole, so studies of the
tail and of placed orders are drawn until enough of them tell.
"""

from __future__ import annotations

import math
import textwrap
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from firmly_nb.api.money import money_text
from firmly_nb.display.html import notes as notes_html
from firmly_nb.display.html import page
from firmly_nb.display.messages import coded_error, tells_names
from firmly_nb.display.table import TEXT_WIDTH, Grid, Head, Row, grid_html, grid_text
from firmly_nb.display.text import as_html, count, listed, number, stated, stated_percent
from firmly_nb.latency.columns import coded, floats
from firmly_nb.latency.design import ENOUGH_RUNS, sides
from firmly_nb.latency.effect import Sample, log_factors, pairs_of
from firmly_nb.latency.looks import BLOCK, EVERY
from firmly_nb.latency.quantiles import log_times
from firmly_nb.latency.questions import (
    NARROW,
    NARROW_TAIL,
    NEEDED_FOR_TAIL,
    VERY_LATE,
    WIDE,
    Group,
    Margins,
    Method,
    by_run,
    typical,
)
from firmly_nb.latency.shares import wilson
from firmly_nb.schema import Column, Table

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import pandas as pd

    from firmly_nb.latency.design import Side, Tables
    from firmly_nb.latency.effect import Codes, Flags, Floats

CHANGES = (0.05, 0.10, 0.20, 0.30)
SLOW = (0.04, 0.08)  # of orders, that take twice as long
TWICE = 2.0
MARGINS = Margins(0.10, 0.05, 0.05, None)
FEW = 50  # orders of a side, below which a change is large
FEWEST_ASKED = 10  # orders of a side, below which ranks tell little whatever the change
A_RUN = 20  # orders of each side in a run
FEWEST_PLACED, FEWEST_OF_RUN = 20, 5
NOISE = 0.03  # of the release from run to run, as a logarithm, where it is not known
ICC = 0.3  # part of the variance that is between runs, where it is not known
MEDIAN_OF_RUN = 1.5  # variance of a median of so many orders, times their number, over that of one
GENTLE_PER_MINUTE = 20.0
MORE_FOR_LOOKS = 1.5  # times the orders of a study that is looked at once
SPLITS, DRAWS, SEED = 7, 4_000, 13
MOST = 1_000_000
MOST_RUNS = 100_000

NEEDS = Table(
    "needs",
    "one row a question of a study",
    (
        Column("question", "str", "", "typical, tail or placed"),
        Column("change", "str", "", "what is told"),
        Column("orders", "Int64", "orders", "orders of each side, in one run with both in turns"),
        Column(
            "runs", "Int64", "runs", "runs with 20 orders of each side, where runs are the unit"
        ),
        Column("minutes", "float64", "min", "time of the orders of both sides at the rate"),
        Column("total_minor", "Int64", "minor units", "what the orders of both sides cost"),
        Column("currency", "str", "", "ISO 4217; null where there are several, or none"),
    ),
)


class Now(NamedTuple):
    """Spread of orders within a run, as present recordings tell it."""

    spread: float  # tau: standard error of the logarithm of the factor, of one order a side
    noise: float  # sd of the release from run to run
    noise_known: bool
    between: float  # sd of run medians, without what orders within runs explain
    between_known: bool
    placed: float
    times: Floats  # of attempted orders, over their kind's median; infinite if not placed; sorted


@tells_names
@dataclass(frozen=True, slots=True)
class StudyPlan:
    """Size that a study needs; it shows itself.

    Attributes
    ----------
    change, power
        What is to be told, and how often it is.
    question
        Which question asks for most: ``typical``, ``tail`` or ``placed``.
    orders
        Orders of each side, in one run in which both take turns; None: no number within reach.
    runs
        Runs with 20 orders of each side, where the verdict is to be about runs like these.
    count
        Orders of each side for ``lab.compare(count=...)``, which looks several times.
    minutes
        Time of the orders of both sides, at ``per_minute`` orders a minute.
    amounts
        What they cost, in minor units, by currency.
    needs
        ``NEEDS``: the same for other changes.
    sentence
        All of it in words.
    notes
        What was taken for granted.
    """

    change: float
    power: float
    question: str
    orders: int | None
    runs: int | None
    count: int | None
    minutes: float
    per_minute: float
    amounts: Mapping[str, int]
    needs: pd.DataFrame
    sentence: str
    notes: tuple[str, ...]

    def __repr__(self) -> str:
        lines = [*textwrap.wrap(self.sentence, TEXT_WIDTH), "", grid_text(self._grid())]
        lines += [part for note in self.notes for part in textwrap.wrap(f"! {note}", TEXT_WIDTH)]
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        table = grid_html(replace(self._grid(), caption="What each question needs."))
        return page(f"<div><b>{as_html(self.sentence)}</b></div>{table}{notes_html(self.notes)}")

    def _grid(self) -> Grid:
        heads = (
            "question",
            Head("tells", left=True),
            "a side",
            "runs",
            "minutes",
            "money",
        )
        rows = []
        for row in self.needs.to_dict("records"):
            known = row["orders"] == row["orders"] and row["orders"] is not None
            cells = (
                row["question"],
                row["change"],
                count(row["orders"]) if known else "-",
                count(row["runs"]) if known else "-",
                number(row["minutes"]),
                _amount(row),
            )
            most = known and row["orders"] == self.orders and row["question"] == self.question
            rows.append(Row(cells, look="bold" if most else ""))
        return Grid(heads, rows)


def _amount(row: Mapping[object, object]) -> str:
    minor, currency = row["total_minor"], row["currency"]
    return (
        money_text(minor, currency) if isinstance(minor, int) and isinstance(currency, str) else "-"
    )


def plan(tables: Tables, change: float, power: float, per_minute: float | None = None) -> StudyPlan:
    """Return how many orders tell a change so often, from recordings that are there already.

    Parameters
    ----------
    tables
        Events, stages and orders, as for ``compare``; only orders are read.
    change
        Change of the typical time that is to be told, as a share.
    power
        Share of studies that tell it.
    per_minute
        Orders of both sides a minute; by default as in the recordings.

    Raises
    ------
    ValueError
        If fewer than 20 orders were placed.

    Examples
    --------
    >>> import pandas as pd
    >>> from firmly_nb.latency import STAGES
    >>> orders = pd.DataFrame({"recording_id": [f"r{i}" for i in range(400)], "outcome": "placed"})
    >>> orders["time_to_order_placed_ms"] = np.random.default_rng(1).lognormal(7, 0.21, 400)
    >>> found = plan((pd.DataFrame(), STAGES.empty(), orders), 0.10, 0.8)
    >>> found.question, found.orders, found.count
    ('tail', 411, 620)
    """
    orders = tables[2]
    [side], kinds = sides([orders], from_planned_start=False)
    now = _present(side, len(kinds), _tagged(orders))
    questions = _questions(now, change, power)
    rate = per_minute or _per_minute(side) or GENTLE_PER_MINUTE
    costs = _costs(orders, side)
    asked = [one for one in questions if one.is_asked]
    most = max(asked, key=lambda one: math.inf if one.orders is None else one.orders)
    n = most.orders
    blocks = None if n is None else max(math.ceil(MORE_FOR_LOOKS * n / BLOCK), EVERY)
    found = StudyPlan(
        change=change,
        power=power,
        question=most.question,
        orders=n,
        runs=most.runs,
        count=None if blocks is None else BLOCK * blocks,
        minutes=math.nan if n is None else 2 * n / rate,
        per_minute=rate,
        amounts={} if n is None else {name: round(cost * 2 * n) for name, cost in costs.items()},
        needs=_table(questions, rate, costs),
        sentence="",
        notes=tuple(_granted(now, change, power)),
    )
    return replace(found, sentence=_sentence(found))


def _sentence(found: StudyPlan) -> str:
    told = (
        f"a change of {stated_percent(found.change)}, or that there is none, in "
        f"{stated_percent(found.power)} of studies"
    )
    if found.orders is None:
        return f"No number of orders within reach tells {told}."
    cost = listed(money_text(minor, currency) for currency, minor in found.amounts.items())
    a_minute = stated(float(f"{found.per_minute:.3g}"))  # as it was given, if it was
    takes = f"{number(found.minutes)} minutes at {a_minute} orders a minute"
    return (
        f"{count(found.orders, 'order')} a side tell {told}. The {_named(found)} asks for most. "
        f"Both sides take {takes}{f' and cost {cost}' if cost else ''}. "
        f"lab.compare(..., count={found.count}) stops earlier where it can."
    )


def _named(found: StudyPlan) -> str:
    names = {"typical": "typical time", "tail": "tail", "placed": "success rate"}
    return names[found.question]


def _granted(now: Now, change: float, power: float) -> list[str]:
    """Say what was taken for granted, and what it takes where runs have to take turns."""
    turns = _alternating(now, change, power)
    runs = f"{count(turns)} runs of {A_RUN} orders a side" if turns else "too many runs"
    icc = f", if {stated_percent(ICC)} of the variance is between runs"
    told = f"a change of {stated_percent(change)} takes {runs}{'' if now.between_known else icc}"
    said = [f"Where whole runs of A and B take turns, {told}."]
    if not now.noise_known:
        said.append(
            "How much a release varies from run to run is not known: "
            f"{stated_percent(NOISE)} is assumed. A comparison in shared runs tells it."
        )
    said.append(
        "One run tells of that run alone. Twice as long: the slow orders take twice their time."
    )
    return said


# What is known now.


def _tagged(orders: pd.DataFrame) -> Codes:
    """Return the side of each order in the comparison that it was placed for: 1, 2, or 0."""
    if "tags" not in orders:
        return np.zeros(len(orders), dtype=np.intp)
    tags = [one.get("side") if isinstance(one, dict) else None for one in orders["tags"]]
    return np.array([{"A": 1, "B": 2}.get(str(tag), 0) for tag in tags], dtype=np.intp)


def _present(side: Side, kinds: int, tag: Codes) -> Now:
    placed = side.placed & ~np.isnan(side.ms)
    if int(placed.sum()) < FEWEST_PLACED:
        text = f"A plan needs {FEWEST_PLACED} placed orders to start from, got {int(placed.sum())}."
        raise coded_error(ValueError, "FNB325", f"{text} Place a few more with lab.sweep().")
    attempted = side.attempted & (placed | ~side.placed)
    ms = np.where(placed, side.ms, np.inf)[attempted]
    kind = (side.kind + tag * (kinds + 1))[attempted]  # A and B may differ
    came = Group(ms, kind, np.maximum(side.run[attempted], 0)).came
    kind = np.unique(came.kind, return_inverse=True)[1]
    cells = np.unique(came.run * (kind.max() + 1) + kind, return_inverse=True)[1]
    logs = log_times(came.ms)
    left = logs - by_run(logs, kind, "median")[kind]
    within = logs - by_run(logs, cells, "median")[cells]
    spread = _spread(came, cells)
    between, between_known = _between(left, came.run, spread)
    noise = _noise(side, tag, placed, spread)
    times = np.exp(within)
    failed = np.full(len(ms) - len(came.ms), np.inf)
    return Now(
        spread=spread,
        noise=NOISE if noise is None else noise,
        noise_known=noise is not None,
        between=between,
        between_known=between_known,
        placed=len(came.ms) / len(ms),
        times=np.sort(np.concatenate([times, failed])),
    )


def _spread(came: Group, cells: Codes) -> float:
    """Return tau: what two halves of the same orders say of how sure their factor is."""
    rng = np.random.default_rng(SEED)
    kinds = int(cells.max()) + 1
    one = Method("", False, np.zeros(kinds, bool), np.zeros(kinds, np.intp))
    found = []
    for _ in range(SPLITS):
        order = np.lexsort((rng.random(len(cells)), cells))
        in_b = np.zeros(len(cells), dtype=bool)
        in_b[order[1::2]] = True
        a, b = (Group(came.ms[mask], cells[mask], came.run[mask]) for mask in (~in_b, in_b))
        ends = typical(a, b, one, (WIDE, NARROW)).ends
        n, m = int((~in_b).sum()), int(in_b.sum())
        found.append(ends.error * math.sqrt(n * m / (n + m)))
    known = [value for value in found if math.isfinite(value) and value > 0]
    return float(np.median(known)) if known else 1e-9


def _between(logs: Floats, run: Codes, spread: float) -> tuple[float, bool]:
    """Return the sd of runs, beyond what chance within them explains."""
    _, of, sizes = np.unique(run, return_inverse=True, return_counts=True)
    large = sizes >= FEWEST_OF_RUN
    if int(large.sum()) < ENOUGH_RUNS:
        return spread * math.sqrt(ICC / (1 - ICC)), False
    medians = by_run(logs, of, "median")[large]
    chance = float(np.mean(MEDIAN_OF_RUN * spread**2 / sizes[large]))
    return math.sqrt(max(float(medians.var(ddof=1)) - chance, 0.0)), True


def _noise(side: Side, tag: Codes, placed: Flags, spread: float) -> float | None:
    """Return the sd of a release from run to run, where sides are tagged in shared runs."""
    masks = [(tag == number) & placed & (side.run >= 0) for number in (1, 2)]
    shared = np.intersect1d(*(side.run[mask] for mask in masks))
    if len(shared) < ENOUGH_RUNS:
        return None
    samples = [
        Sample(log_times(side.ms[mask]), side.run[mask], side.run[mask])
        for mask in (one & np.isin(side.run, shared) for one in masks)
    ]
    factors = log_factors(pairs_of(*samples))
    n, m = (np.bincount(one.units)[shared] for one in samples)
    chance = float(np.mean(spread**2 * (1 / n + 1 / m)))
    return math.sqrt(max(float(factors.var(ddof=1)) - chance, 0.0))


def _per_minute(side: Side) -> float | None:
    """Return how many orders were started a minute within runs."""
    known = ~np.isnan(side.started_ns)
    run, at = np.maximum(side.run[known], 0), side.started_ns[known]
    if not len(run):
        return None
    last, first = np.full(int(run.max()) + 1, -np.inf), np.full(int(run.max()) + 1, np.inf)
    np.maximum.at(last, run, at)
    np.minimum.at(first, run, at)
    began = np.isfinite(first)
    minutes = float((last[began] - first[began]).sum()) / 60e9
    gaps = len(run) - int(began.sum())
    return gaps / minutes if gaps and minutes > 0 else None


def _costs(orders: pd.DataFrame, side: Side) -> dict[str, float]:
    """Return what an attempted order costs on average, in minor units by currency."""
    if "total_minor" not in orders or "currency" not in orders:
        return {}
    codes, names = coded(orders["currency"])
    minor = floats(orders["total_minor"])
    bought = side.placed & ~np.isnan(minor) & (codes >= 0)
    all_of = max(int(side.attempted.sum()), 1)
    return {
        name: float(minor[bought & (codes == code)].sum()) / all_of
        for code, name in enumerate(names)
        if (bought & (codes == code)).any()
    }


# What each question needs.


class Need(NamedTuple):
    """Need of a question: orders a side, and runs; None if more than can be placed."""

    question: str
    change: str
    orders: int | None
    runs: int | None
    is_asked: bool  # whether the change that is planned for needs it


def _questions(now: Now, change: float, power: float) -> list[Need]:
    """Return what each question needs, for several changes and for none."""
    both = (1 + power) / 2
    changes = sorted({*CHANGES, change})
    found = []
    for one in changes:
        size = math.log1p(one)
        # Only placed orders have a time.
        n_changed = _whole(_orders_of_times(now.spread, size, power) / now.placed)
        runs = _runs_of_times(now, size, 0.5 + WIDE / 2, power)
        found.append(Need("typical", f"+{stated_percent(one)}", n_changed, runs, one == change))
    times = now.times
    for share in SLOW:
        n_slow = _smallest(partial(_finds_slow, times, share), power)
        told = f"{stated_percent(share)} take twice as long"
        found.append(Need("tail", told, n_slow, _runs_of_shares(n_slow, WIDE, power), False))
    size = math.log1p(MARGINS.typical)
    n = 2 * (now.spread * (_z(0.5 + NARROW / 2) + _z(both)) / size) ** 2 / now.placed
    runs = _runs_of_times(now, size, 0.5 + NARROW / 2, both)
    n_tail = _smallest(partial(_shows_same_tail, times), power)
    n_placed = _smallest(partial(_shows_as_many_placed, now.placed), power)
    margin = f"same within {stated_percent(MARGINS.typical)}"
    points = "same within 5 points"
    return [
        *found,
        Need("typical", margin, _whole(n), runs, True),
        Need("tail", points, n_tail, _runs_of_shares(n_tail, NARROW_TAIL, both), True),
        Need("placed", points, n_placed, _runs_of_shares(n_placed, NARROW, both), True),
    ]


def _z(share: float) -> float:
    from scipy.special import ndtri

    return float(ndtri(share))


def _t(share: float, freedom: int) -> float:
    from scipy.special import stdtrit

    return float(stdtrit(freedom, share))


def _whole(n: float) -> int | None:
    return max(math.ceil(n), FEWEST_ASKED) if n <= MOST else None


def _orders_of_times(spread: float, size: float, power: float) -> float:
    """Return how many orders a side tell a change of the typical time.

    Few orders tell a large change. Ranks then say less than the change does, and more than counting
    how often an order of B is the longer one (G. E. Noether, "Sample size determination for some
    common nonparametric tests", Journal of the American Statistical Association 82, 1987): what is
    needed lies between.
    """
    from scipy.special import ndtr

    sure = _z(0.5 + WIDE / 2) + _z(power)
    n = 2 * (spread * sure / size) ** 2
    if n >= FEW:
        return n
    longer = float(ndtr(size * math.sqrt(math.pi / 6) / spread))
    return math.sqrt(n * sure**2 / (6 * (longer - 0.5) ** 2))


def _runs_of_times(now: Now, size: float, sure: float, power: float) -> int | None:
    """Return how many shared runs tell a change of the typical time."""
    variance = now.noise**2 + 2 * now.spread**2 / (A_RUN * now.placed)
    return _fewest_runs(
        lambda runs: (_t(sure, runs - 1) + _t(power, runs - 1)) ** 2 * variance / size**2
    )


def _alternating(now: Now, change: float, power: float) -> int | None:
    """Return how many runs a side tell a change, where whole runs take turns."""
    variance = 2 * (now.between**2 + MEDIAN_OF_RUN * now.spread**2 / (A_RUN * now.placed))
    sure = 0.5 + WIDE / 2
    return _fewest_runs(
        lambda runs: (
            (_t(sure, 2 * runs - 2) + _t(power, 2 * runs - 2)) ** 2
            * variance
            / math.log1p(change) ** 2
        )
    )


def _runs_of_shares(n: int | None, level: float, power: float) -> int | None:
    """Return how many shared runs take the place of so many orders: few runs are less sure."""
    if n is None:
        return None
    sure = 0.5 + level / 2
    of_orders = _z(sure) + _z(power)
    return _fewest_runs(
        lambda runs: n / A_RUN * ((_t(sure, runs - 1) + _t(power, runs - 1)) / of_orders) ** 2
    )


def _fewest_runs(needed: Callable[[int], float]) -> int | None:
    low, high = ENOUGH_RUNS - 1, ENOUGH_RUNS
    while needed(high) > high:
        low, high = high, 2 * high
        if high > MOST_RUNS:
            return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if needed(middle) > middle else (low, middle)
    return high


def _smallest(share_of_studies: Callable[[int], float], power: float) -> int | None:
    """Return the smallest number of orders with which so many drawn studies tell."""
    low, high = NEEDED_FOR_TAIL - 1, NEEDED_FOR_TAIL
    while share_of_studies(high) < power:
        low, high = high, 2 * high
        if high > MOST:
            return None
    while high - low > max(1, high // 200):
        middle = (low + high) // 2
        enough = share_of_studies(middle) >= power
        low, high = (low, middle) if enough else (middle, high)
    return high


def _shows_as_many_placed(placed: float, n: int) -> float:
    """Return the share of studies of equal sides that show as many placed, within the margin."""
    rng = np.random.default_rng(SEED)
    failed = rng.binomial(n, 1 - placed, (2, DRAWS))
    low, high = _newcombe(failed[0], failed[1], n, NARROW)
    return float(((low > -MARGINS.placed) & (high < MARGINS.placed)).mean())


class Late(NamedTuple):
    """Drawn studies: orders of A and of B that are late, and very late."""

    late: tuple[Codes, Codes]
    very: tuple[Codes, Codes]


def _late(times: Floats, slow: float, n: int) -> Late:
    """Draw studies in which some orders of B take twice as long.

    How many orders of A are late is known, as its own p95 says what late is. From where on that is,
    is drawn: the share of all orders beyond an order statistic has a beta distribution.
    """
    rng = np.random.default_rng(SEED)
    came = times[np.isfinite(times)]
    failed = 1 - len(came) / len(times)

    def later(than: Floats) -> Floats:
        """Return the share of orders that came which are later."""
        found: Floats = 1 - np.searchsorted(came, than, "right") / len(came)
        return found

    lost = np.minimum(rng.binomial(n, failed, DRAWS), n - 1)
    of_all = n - -(-19 * n // 20) - lost
    # If more than a twentieth failed, A's p95 is that of the orders that came.
    of_came = (n - lost) - -(-19 * (n - lost) // 20)
    above = np.where(of_all >= 0, of_all, of_came)
    beyond = rng.beta(above + 1, np.maximum(n - lost - above, 1))
    limit = np.quantile(came, 1 - beyond)
    very = np.full(DRAWS, VERY_LATE * float(np.median(came)))
    of_a = above + _more_or_fewer(rng, n - lost, above, beyond, later(very))
    lost_b = rng.binomial(n, failed, DRAWS)
    late_b, very_b = (
        (1 - slow) * share + slow * later(than / TWICE)
        for share, than in ((beyond, limit), (later(very), very))
    )
    above_b = rng.binomial(n - lost_b, late_b)
    of_b = above_b + _more_or_fewer(rng, n - lost_b, above_b, late_b, very_b)
    return Late((lost + above, lost_b + above_b), (lost + of_a, lost_b + of_b))


def _more_or_fewer(
    rng: np.random.Generator, n: Codes, late: Codes, share: Floats, other: Floats
) -> Codes:
    """Draw how many more orders of n are beyond another limit; negative: how many fewer.

    ``late`` of them are beyond the first limit. One limit lies beyond the other: where many orders
    fail, A's p95 may be later than twice its median.
    """
    fewer = rng.binomial(late, np.clip(1 - other / np.maximum(share, 1e-12), 0, 1))
    more = rng.binomial(n - late, np.clip((other - share) / np.maximum(1 - share, 1e-12), 0, 1))
    return np.where(other < share, -fewer, more)


def _shows_same_tail(times: Floats, n: int) -> float:
    """Return the share of studies of equal sides that show an equal tail, within the margin."""
    low, high = _newcombe(*_late(times, 0.0, n).late, n, NARROW_TAIL)
    return float(((low > -MARGINS.tail) & (high < MARGINS.tail)).mean())


def _finds_slow(times: Floats, slow: float, n: int) -> float:
    """Return the share of studies that find so many orders of B twice as slow, in the tail."""
    each, drawn = 1 - (1 - WIDE) / 2, _late(times, slow, n)
    found = [_newcombe(*pair, n, each)[0] > 0 for pair in drawn]
    return float((found[0] | found[1]).mean())


def _newcombe(k_a: Codes, k_b: Codes, n: int, level: float) -> tuple[Floats, Floats]:
    """Return the interval of the difference of two shares, B minus A."""
    p_a, p_b = k_a / n, k_b / n
    (low_a, high_a), (low_b, high_b) = wilson(k_a, n, level), wilson(k_b, n, level)
    return (
        p_b - p_a - np.hypot(p_b - low_b, high_a - p_a),
        p_b - p_a + np.hypot(high_b - p_b, p_a - low_a),
    )


def _table(questions: Sequence[Need], rate: float, costs: Mapping[str, float]) -> pd.DataFrame:
    single = next(iter(costs.items())) if len(costs) == 1 else None
    rows = []
    for one in questions:
        n = one.orders
        rows.append(
            {
                "question": one.question,
                "change": one.change,
                "orders": n,
                "runs": one.runs,
                "minutes": math.nan if n is None else 2 * n / rate,
                "total_minor": None if n is None or not single else round(2 * n * single[1]),
                "currency": single[0] if single else None,
            }
        )
    return NEEDS.frame(rows)
