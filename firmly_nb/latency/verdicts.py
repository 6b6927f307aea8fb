"""From an interval to a verdict, and from verdicts to one sentence."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from firmly_nb.latency.compare import Difference, SuccessDifference
    from firmly_nb.latency.rank_effect import Interval

CHANGES = ("slower", "faster")
UNDECIDED = "not enough data"


def decide(ratio: Interval, margin: float) -> str:
    """Say what the interval of a ratio shows against a margin.

    Examples
    --------
    >>> from firmly_nb.latency.rank_effect import Interval
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
    >>> from firmly_nb.latency.rank_effect import Interval
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
    """Say in one sentence what is known: of the order, of each stage that changed, of success."""
    changed = [stage for stage in stages if stage.verdict in CHANGES]
    text = _of_order(order, margin, fewest)
    if changed:
        named = " and ".join(f"{stage.stage} {_times(stage, 'is')}" for stage in changed)
        text += f"{_joint(order, changed)} {named}"
    elif order.verdict in CHANGES and stages:
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
            return f"No change beyond {margin:.0%}: {said}"
        case _:
            return (
                f"Not enough data: {said}, so a change of {margin:.0%} is neither shown nor "
                f"excluded, and about {order.more_orders:,} more orders on each side would tell"
            )


def _joint(order: Difference, changed: Sequence[Difference]) -> str:
    agrees = all(stage.verdict == order.verdict for stage in changed)
    return "; what changed:" if agrees else "; but"


def _times(found: Difference, verb: str = "") -> str:
    words = f"{verb} {found.verdict}, " if verb else ""
    return (
        f"{words}{found.ratio:.2f} times as long ({found.ratio_low:.2f} to {found.ratio_high:.2f})"
    )


def _of_success(success: SuccessDifference) -> str:
    if success.verdict == UNDECIDED:
        return ""
    word = "fewer" if success.verdict == "fewer placed" else "more"
    return (
        f"; {word} orders are placed, {success.b.share:.1%} instead of {success.a.share:.1%} "
        f"({100 * success.low:+.1f} to {100 * success.high:+.1f} points)"
    )


def _two_digits(value: float) -> int:
    """Round up to two digits: what is estimated should not look exact."""
    scale = int(10 ** max(math.floor(math.log10(value)) - 1, 0))
    return math.ceil(value / scale - 1e-9) * scale
