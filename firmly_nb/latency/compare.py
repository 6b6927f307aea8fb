"""B against A: is it slower, in which stage, and are fewer orders placed? A verdict in a sentence.

The margin is stated before looking: a change within it is none that matters.
The whole order, each stage and the success rate are as many questions; each interval is at a level
raised so that all of them hold together (Bonferroni). So a verdict that names a stage after looking
at all of them is wrong as seldom as the level says.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from firmly_nb.display.html import notes, page, quiet
from firmly_nb.display.messages import not_a_share
from firmly_nb.display.table import Cell, Grid, Head, Row, grid_html, grid_text
from firmly_nb.display.text import (
    as_html,
    count,
    interval,
    number,
    percent,
    percent_interval,
    printable,
    stated_percent,
)
from firmly_nb.latency.columns import coded, floats, is_value
from firmly_nb.latency.effect import (
    Sample,
    effect,
    logs,
    probability,
    probability_by_run,
    ratio,
    ratio_by_run,
    shift_function,
)
from firmly_nb.latency.quantiles import in_order, log_times, type_7
from firmly_nb.latency.runs import ENOUGH_RUNS, runs_of
from firmly_nb.latency.shares import Share, share, success_rate
from firmly_nb.latency.stages import stage_times
from firmly_nb.outcomes import PLACED
from firmly_nb.schema import Column, Table

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    from numpy.typing import NDArray

    from firmly_nb.latency.effect import Interval

    Floats = NDArray[np.float64]

CHANGED = ("slower", "faster")
UNDECIDED = "not enough data"


def decide(ratio: Interval, margin: float) -> str:
    """Return what the interval of a ratio shows against a margin.

    Examples
    --------
    >>> from firmly_nb.latency import Interval
    >>> decide(Interval(1.3, 1.2, 1.4), 0.1), decide(Interval(1.0, 0.95, 1.05), 0.1)
    ('slower', 'no change')
    >>> decide(Interval(1.05, 0.9, 1.2), 0.1)
    'not enough data'
    """
    if 1 / (1 + margin) <= ratio.low and ratio.high <= 1 + margin:
        return "no change"
    if ratio.low > 1:
        return "slower"
    return "faster" if ratio.high < 1 else UNDECIDED


def more_orders(ratio: Interval, margin: float, n: int) -> int:
    """Return about how many more orders on each side would settle it, if the ratio stays.

    An interval narrows with the square root of the number of orders. It is narrow enough when it
    lies within the margin or leaves 1 out, whichever comes first.

    Examples
    --------
    >>> from firmly_nb.latency import Interval
    >>> more_orders(Interval(1.0, 0.8, 1.25), 0.1, 100)
    450
    """
    away, limit = abs(math.log(ratio.estimate)), math.log(1 + margin)
    half = (math.log(ratio.high) - math.log(ratio.low)) / 2
    wanted = max(away, limit - away)
    more = n * ((half / wanted) ** 2 - 1)
    return _two_digits(max(more, 0.1 * n, 1.0))


def sentence(
    order: Difference,
    stages: Sequence[Difference],
    success: SuccessDifference,
    margin: float,
    fewest: int,
) -> str:
    """Return in one sentence what is known: of the order, each stage that changed, success."""
    changed = [stage for stage in stages if stage.verdict in CHANGED]
    text = _of_order(order, margin, fewest)
    if changed:
        named = " and ".join(f"{stage.stage} {_times(stage, 'is')}" for stage in changed)
        text += f"{_joint(order, changed)} {named}"
    elif order.verdict in CHANGED and stages:
        text += "; no single stage can be named"
    return f"{text}{_of_success(success)}."


def _of_order(order: Difference, margin: float, fewest: int) -> str:
    if math.isnan(order.ratio):
        return (
            f"Not enough data: {order.n_a} and {order.n_b} placed orders, and {fewest} on each "
            f"side is the least"
        )
    said = f"orders take {_times(order)}"
    match order.verdict:
        case "slower" | "faster":
            return f"{order.verdict.capitalize()}: {said}"
        case "no change":
            return f"No change beyond {stated_percent(margin)}: {said}"
        case _:
            return (
                f"Not enough data: {said}, so a change of {stated_percent(margin)} is neither "
                f"shown nor excluded, and about {count(order.more_orders or 0)} more orders on "
                f"each side would tell"
            )


def _joint(order: Difference, changed: Sequence[Difference]) -> str:
    agrees = all(stage.verdict == order.verdict for stage in changed)
    return "; what changed:" if agrees else "; but"


def _times(found: Difference, verb: str = "") -> str:
    words = f"{verb} {found.verdict}, " if verb else ""
    range_ = interval(found.ratio_low, found.ratio_high, "")
    return f"{words}{number(found.ratio)} times as long ({range_})"


def _of_success(success: SuccessDifference) -> str:
    if success.verdict == UNDECIDED:
        return ""
    word = "fewer" if success.verdict == "fewer placed" else "more"
    return (
        f"; {word} orders are placed, {percent(success.b.share)} instead of "
        f"{percent(success.a.share)} ({_points(success.low)} to {_points(success.high)} points)"
    )


def _two_digits(value: float) -> int:
    """Round up to two digits: what is estimated should not look exact."""
    scale = int(10 ** max(math.floor(math.log10(value)) - 1, 0))
    return math.ceil(value / scale - 1e-9) * scale


# Of 20,000 pairs of equal releases 3.6 % were called different at 95 %, 1.6 % at 98 %; a stage that
# became 30 % slower is found in more than 99 of 100 at both, with 150 orders on each side.
LEVEL = 0.98
LEVEL_OF_BAND = 0.95  # of the shift function
FEWEST = 10  # orders of a side, below which a rank test says nothing
ORDER = "order"

COMPARISON = Table(
    "comparison",
    "one row a stage, or the whole order",
    (
        Column("stage", "str", "", "the stage; order: the time to order-placed"),
        Column("n_a", "int64", "orders", "orders of A that completed it"),
        Column("n_b", "int64", "orders", "orders of B that completed it"),
        Column("p50_a_ms", "float64", "ms", "median of A"),
        Column("p50_b_ms", "float64", "ms", "median of B"),
        Column("ratio", "float64", "", "how many times as long B takes (Hodges-Lehmann)"),
        Column("ratio_low", "float64", "", "its interval, lower end; holds with all others"),
        Column("ratio_high", "float64", "", "its interval, upper end"),
        Column("probability", "float64", "", "P(B > A) + 0.5 P(B = A)"),
        Column("probability_low", "float64", "", "its interval, lower end; holds with all others"),
        Column("probability_high", "float64", "", "its interval, upper end"),
        Column("p_value", "float64", "", "Brunner and Munzel's, not adjusted; null with runs"),
        Column("verdict", "str", "", "slower, faster, no change, not enough data"),
        Column("more_orders", "Int64", "orders", "about so many more on each side would tell"),
    ),
)


@dataclass(frozen=True, slots=True)
class Difference:
    """Difference of B from A in one time; the fields are the columns of ``COMPARISON``."""

    stage: str
    n_a: int
    n_b: int
    p50_a_ms: float = math.nan
    p50_b_ms: float = math.nan
    ratio: float = math.nan
    ratio_low: float = math.nan
    ratio_high: float = math.nan
    probability: float = math.nan
    probability_low: float = math.nan
    probability_high: float = math.nan
    p_value: float = math.nan
    verdict: str = UNDECIDED
    more_orders: int | None = None


@dataclass(frozen=True, slots=True)
class SuccessDifference:
    """Difference of the success rates: B minus A, with Newcombe's interval."""

    a: Share
    b: Share
    difference: float
    low: float
    high: float

    @property
    def verdict(self) -> str:
        """``fewer placed``, ``more placed``, or that it is not known."""
        if self.high < 0:
            return "fewer placed"
        return "more placed" if self.low > 0 else UNDECIDED


@dataclass(frozen=True, slots=True)
class Comparison:
    """Result of ``compare``; it shows itself.

    Attributes
    ----------
    verdict
        One sentence.
    order
        The whole order: the time to order-placed.
    differences
        The stages.
    shift
        ``SHIFT``: by how many ms each quantile of the whole order differs, with a 95 % band.
    success
        The shares of placed orders.
    margin
        What was stated as a change that matters: 0.10 for 10%.
    level, level_each
        How often all intervals hold together, and each alone.
    notes
        What qualifies the verdict, as sentences.
    """

    verdict: str
    order: Difference
    differences: tuple[Difference, ...]
    shift: pd.DataFrame
    success: SuccessDifference
    margin: float
    level: float
    level_each: float
    notes: tuple[str, ...]

    @property
    def stages(self) -> pd.DataFrame:
        """One row a stage; see ``COMPARISON``."""
        return COMPARISON.frame([_fields(difference) for difference in self.differences])

    def __repr__(self) -> str:
        return comparison_text(self)

    def _repr_html_(self) -> str:
        return comparison_html(self)


class _Side(NamedTuple):
    """The times of one side: of the whole order and of each stage, each with its run."""

    times: dict[str, Sample]
    runs: int
    orders: pd.DataFrame


def compare(
    stages_a: pd.DataFrame,
    orders_a: pd.DataFrame,
    stages_b: pd.DataFrame,
    orders_b: pd.DataFrame,
    margin: float = 0.10,
    level: float = LEVEL,
) -> Comparison:
    """Compare B with A: the whole order, each stage, and how many are placed.

    Parameters
    ----------
    stages_a, stages_b
        ``STAGES`` of each side.
    orders_a, orders_b
        Need ``recording_id``, ``outcome``, ``time_to_order_placed_ms``; ``run_id`` where there are
        runs: with two or more on both sides the intervals come from drawing whole runs again.
    margin
        The smallest change that matters, stated before looking: 0.10 for 10%.
    level
        How often all intervals hold together.

    Returns
    -------
    Comparison
        The verdict, and what it rests on.

    Examples
    --------
    >>> import pandas as pd
    >>> from firmly_nb.latency import STAGES
    >>> times = np.linspace(900, 1100, 60)
    >>> ids = [f"r{i}" for i in range(60)]
    >>> a = pd.DataFrame({"recording_id": ids, "outcome": "placed"})
    >>> a["time_to_order_placed_ms"] = times
    >>> b = a.assign(time_to_order_placed_ms=times * 1.5)
    >>> compare(STAGES.empty(), a, STAGES.empty(), b).order.verdict
    'slower'
    """
    if not 0 < margin < 1:
        raise not_a_share("margin", margin, 0.10)
    a, b = _side(stages_a, orders_a), _side(stages_b, orders_b)
    shared = [name for name in a.times if name in b.times and name != ORDER]
    named = [name for name in shared if _is_enough(a.times[name], b.times[name])]
    level_each = 1 - (1 - level) / (len(named) + 2)
    by_run = min(a.runs, b.runs) >= 2
    order, *differences = (
        _difference(name, a.times[name], b.times[name], margin, level_each, by_run=by_run)
        for name in (ORDER, *shared)
    )
    success = newcombe(_placed(orders_a, level_each), _placed(orders_b, level_each))
    codes = (a.times[ORDER].codes, b.times[ORDER].codes) if by_run else None
    return Comparison(
        verdict=sentence(order, differences, success, margin, FEWEST),
        order=order,
        differences=tuple(differences),
        shift=shift_function(a.times[ORDER].values, b.times[ORDER].values, LEVEL_OF_BAND, codes),
        success=success,
        margin=margin,
        level=level,
        level_each=level_each,
        notes=tuple(_notes(a, b, success)),
    )


def _placed(orders: pd.DataFrame, level: float) -> Share:
    """Return the share placed with the interval of independent orders, as Newcombe takes it."""
    found = success_rate(orders)
    return share(found.count, found.of, level)


def newcombe(a: Share, b: Share) -> SuccessDifference:
    """Return the difference of two shares, b - a, with Newcombe's interval.

    At the level of the shares' own Wilson intervals (R. G. Newcombe, "Interval estimation for the
    difference between independent proportions", Statistics in Medicine 17, 1998, method 10).

    Examples
    --------
    >>> from firmly_nb.latency import share
    >>> found = newcombe(share(98, 100), share(90, 100))
    >>> round(found.difference, 2), round(found.low, 3), round(found.high, 3)
    (-0.08, -0.156, -0.013)
    """
    difference = b.share - a.share
    low = difference - math.hypot(b.share - b.low, a.high - a.share)
    high = difference + math.hypot(b.high - b.share, a.share - a.low)
    return SuccessDifference(a, b, difference, low, high)


def _fields(difference: Difference) -> dict[str, object]:
    return {name: getattr(difference, name) for name in COMPARISON.names}


def _is_enough(a: Sample, b: Sample) -> bool:
    return min(len(a.values), len(b.values)) >= FEWEST


def _difference(
    name: str, a: Sample, b: Sample, margin: float, level: float, *, by_run: bool
) -> Difference:
    x, y = in_order(a.values), in_order(b.values)
    middle_a, middle_b = type_7(x, 0.5), type_7(y, 0.5)
    if not _is_enough(a, b):
        return Difference(name, len(x), len(y), middle_a, middle_b)
    if by_run and min(len(np.unique(side.codes)) for side in (a, b)) >= 2:
        log_a, log_b = (Sample(log_times(side.values), side.codes) for side in (a, b))
        found = ratio_by_run(log_a, log_b, level)
        chance, p_value = probability_by_run(a, b, level), math.nan
    else:
        found = ratio(logs(x), logs(y), level)
        chance, p_value = probability(x, y, level), effect(x, y).p_value
    verdict = decide(found, margin)
    more = more_orders(found, margin, max(len(x), len(y))) if verdict == UNDECIDED else None
    return Difference(
        stage=name,
        n_a=len(x),
        n_b=len(y),
        p50_a_ms=middle_a,
        p50_b_ms=middle_b,
        ratio=found.estimate,
        ratio_low=found.low,
        ratio_high=found.high,
        probability=chance.estimate,
        probability_low=chance.low,
        probability_high=chance.high,
        p_value=p_value,
        verdict=verdict,
        more_orders=more,
    )


def _side(stages: pd.DataFrame, orders: pd.DataFrame) -> _Side:
    runs = runs_of(orders)
    codes = runs.codes if runs else np.zeros(len(orders), dtype=np.intp)
    placed_ms = floats(orders["time_to_order_placed_ms"])
    placed = is_value(orders["outcome"], PLACED) & ~np.isnan(placed_ms)
    times = {ORDER: Sample(placed_ms[placed], codes[placed])}
    for one in stage_times(stages, orders):
        times[one.name] = Sample(one.times_ms, codes[one.orders])
    return _Side(times, len(runs.names) if runs else 1, orders)


def _run_ids(orders: pd.DataFrame) -> set[str]:
    return set(coded(orders["run_id"])[1]) if "run_id" in orders else set()


def _notes(a: _Side, b: _Side, success: SuccessDifference) -> list[str]:
    notes = []
    # Orders of both sides that took turns within one run differ by the side alone.
    ids = [_run_ids(side.orders) for side in (a, b)]
    fewest = min(a.runs, b.runs)
    if fewest >= 2:
        notes.append(
            f"Orders of one run are alike: intervals come from drawing whole runs again, "
            f"{a.runs} of A and {b.runs} of B."
        )
        if fewest < ENOUGH_RUNS:
            notes.append(
                f"There are few runs: {fewest} on one side. From {ENOUGH_RUNS} on the intervals "
                f"become useful."
            )
    elif all(ids) and ids[0] != ids[1]:
        one = " and ".join(name for name, side in (("A", a), ("B", b)) if side.runs == 1)
        notes.append(
            f"There is only one run of {one}: what differs between any two runs cannot be told "
            f"from what differs between A and B. Several interleaved runs of each would."
        )
    failed = [name for name, rate in (("A", success.a), ("B", success.b)) if rate.count < rate.of]
    if failed:
        notes.append(
            f"Times are those of orders that got so far; of {' and '.join(failed)} some failed: "
            f"placed {success.a} of A, {success.b} of B."
        )
    return notes


HEADS = (
    "stage",
    "A, orders",
    "B, orders",
    Head("A p50", "ms"),
    Head("B p50", "ms"),
    "times as long",
    "B longer",
    Head("verdict", left=True),
)


def comparison_text(found: Comparison) -> str:
    """Write a comparison as plain text: the verdict, the table, the notes."""
    under = [_success(found), _how(found), *(f"! {note}" for note in found.notes)]
    return "\n".join([printable(found.verdict), grid_text(_grid(found)), *under])


def comparison_html(found: Comparison) -> str:
    """Show a comparison: the verdict, the table, the notes."""
    head = f"<div><b>{as_html(found.verdict)}</b></div>"
    under = f"<div>{escape(_success(found))}</div>{quiet(_how(found))}{notes(found.notes)}"
    return page(f"{head}{grid_html(_grid(found))}{under}")


def _grid(found: Comparison) -> Grid:
    return Grid(HEADS, [Row(_row(found.order), look="bold"), *map(_row, found.differences)])


def _row(one: Difference) -> tuple[str | Cell, ...]:
    counts = (one.stage, count(one.n_a), count(one.n_b))
    medians = (number(one.p50_a_ms), number(one.p50_b_ms))
    if math.isnan(one.ratio):
        return (*counts, *medians, "-", "-", one.verdict)
    ratio = Cell(number(one.ratio), small=interval(one.ratio_low, one.ratio_high, ""))
    range_ = percent_interval(one.probability_low, one.probability_high)
    more = f"{count(one.more_orders)} more?" if one.more_orders else ""
    chance = Cell(percent(one.probability), small=range_)
    return (*counts, *medians, ratio, chance, Cell(one.verdict, small=more))


def _success(found: Comparison) -> str:
    a, b = found.success.a, found.success.b
    if not a.of or not b.of:
        return "Placed: one side has no orders."
    low, middle, high = map(
        _points, (found.success.low, found.success.difference, found.success.high)
    )
    return (
        f"Placed: {count(a.count)} of {count(a.of)} in A, {count(b.count)} of {count(b.of)} in B; "
        f"{middle} points ({low} to {high})."
    )


def _points(difference: float) -> str:
    """Write a difference of shares in percentage points."""
    return f"{100 * difference:+.1f}"


def _how(found: Comparison) -> str:
    return (
        f"Margin {stated_percent(found.margin)}. All intervals hold together with "
        f"{stated_percent(found.level)} ({percent(found.level_each)} each). B longer: in how many "
        f"pairs B's order takes longer."
    )
