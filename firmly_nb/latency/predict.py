"""Prediction of how much more data would decide, by drawing studies from what is known now."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from firmly_nb.display.text import count
from firmly_nb.latency.questions import NARROW, NARROW_TAIL, NEEDED_FOR_TAIL, WIDE, Margins
from firmly_nb.latency.shares import never_narrower, wilson

if TYPE_CHECKING:
    from firmly_nb.latency.effect import Flags, Floats
    from firmly_nb.latency.shares import Share

DRAWS, SEED = 400, 11
DECIDED = 0.9  # of the draws
HALVINGS = 8
MOST_MORE = 20_000


@dataclass(frozen=True, slots=True)
class More:
    """Orders or runs that would decide, of a comparison a side; None if no number within reach."""

    needed: int | None
    unit: str
    a_side: bool = True

    def __str__(self) -> str:
        if self.needed is None:
            return f"No number of {self.unit}s within reach would tell."
        where = " a side" if self.a_side else ""
        return f"About {count(self.needed, f'more {self.unit}')}{where} would tell."


@dataclass(frozen=True, slots=True)
class Present:
    """Present data, for predicting: the typical question, and counts of the other two.

    Attributes
    ----------
    ratio, error
        Logarithm of the factor, and its standard error.
    n, m
        Orders of A and B.
    late, very_late, failed
        How many orders of A and of B are so.
    runs
        Runs a side, if they are the unit, with the standard error of each question; else None.
    needed
        Orders of A from which there is a tail.
    spread
        How many times the variance of a difference of shares is what it would be in one stratum.
    cancelled
        Shares of cancelled orders, if they differ: any of these may have failed.
    """

    ratio: float
    error: float
    n: int
    m: int
    late: tuple[int, int] | None
    very_late: tuple[int, int] | None
    failed: tuple[int, int]
    runs: tuple[int, tuple[float, float], tuple[float, float]] | None
    needed: int = NEEDED_FOR_TAIL
    spread: float = 1.0
    cancelled: tuple[float, float] = (0.0, 0.0)


def more_needed(now: Present, margins: Margins) -> More:
    """Return about how many more orders a side, or runs, decide in nine of ten predicted studies.

    A truth is drawn from what the present data allow, and more data from that truth; together with
    the present data they are worse, better, or within all margins, or not decided. That nothing
    changed at all is one of the truths, as often as the present data bear it out: were only
    estimates drawn, each with its error, too many draws would find a change that is none.

    Examples
    --------
    >>> now = Present(0.0, 0.03, 100, 100, (5, 5), (0, 0), (2, 2), None)
    >>> more = more_needed(now, Margins(0.10, 0.05, 0.05, None))
    >>> 200 < more.needed < 2000
    True
    """
    unit = "run" if now.runs else "order"
    most = MOST_MORE
    if now.runs:
        most = max(MOST_MORE // max((now.n + now.m) // (2 * now.runs[0]), 1), 1)
    if not math.isfinite(now.ratio) or not now.error >= 0 or not math.isfinite(now.error):
        return More(None, unit)
    low, high = 0.0, math.log(most)
    if _decided(now, margins, most) < DECIDED:
        return More(None, unit)
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        enough = _decided(now, margins, round(math.exp(middle))) >= DECIDED
        low, high = (low, middle) if enough else (middle, high)
    return More(two_digits(math.exp(high)), unit)


def _decided(now: Present, margins: Margins, more: int) -> float:
    """Return the share of predicted studies that are decided with so many more."""
    rng = np.random.default_rng(SEED)
    same = rng.random(DRAWS) < _unchanged(now, margins)
    if now.runs:
        parts = _of_more_runs(now, now.runs, margins, more, same, rng)
    else:
        parts = _of_more_orders(now, margins, more, same, rng)
    worse = better = np.zeros(DRAWS, dtype=bool)
    inside = np.ones(DRAWS, dtype=bool)
    for is_worse, is_better, is_inside in parts:
        worse, better, inside = worse | is_worse, better | is_better, inside & is_inside
    return float((worse | better | inside).mean())


def _unchanged(now: Present, margins: Margins) -> float:
    """Return how likely it is that nothing changed, were changes and none equally frequent.

    Changes are taken to be as large as the margins.
    """
    found = [(now.ratio, now.error, math.log1p(margins.typical))]
    if now.runs:
        found += [(*now.runs[1], margins.tail), (*now.runs[2], margins.placed)]
    else:
        late = [] if now.late is None else [(_late(now, margins), margins.tail)]
        for (k_a, k_b), margin in (*late, (now.failed, margins.placed)):
            p_a, p_b = (k_a + 0.5) / (now.n + 1), (k_b + 0.5) / (now.m + 1)
            variance = p_a * (1 - p_a) / now.n + p_b * (1 - p_b) / now.m
            found.append((p_b - p_a, math.sqrt(variance * now.spread), margin))
    odds = 0.0  # their logarithm
    for estimate, error, size in found:
        if math.isfinite(estimate) and math.isfinite(error) and error > 0:
            wide = math.hypot(error, size)
            odds += math.log(wide / error)
            odds += ((estimate / wide) ** 2 - (estimate / error) ** 2) / 2
    return 1 / (1 + math.exp(-min(max(odds, -50.0), 50.0)))


def _late(now: Present, margins: Margins) -> tuple[float, float]:
    """Return how many orders are late; of A a twentieth is so by definition, unless times tie."""
    of_a, of_b = now.late or (0, 0)
    if margins.slo_ms is None and of_a == now.n // 20:
        return now.n / 20, of_b
    return of_a, of_b


def _drawn(
    estimate: float, error: float, growth: float, same: Flags, rng: np.random.Generator
) -> tuple[Floats, float]:
    """Return what all data together will say, and its standard error; ``growth`` is n after / n."""
    truth = np.where(same, 0.0, rng.normal(estimate, error, DRAWS))
    after = error / math.sqrt(growth)
    gained = max(1 - 1 / growth, 1e-12)
    new = rng.normal(truth, error / math.sqrt(gained * growth))
    return (estimate + (growth - 1) * new) / growth, after


def _normal(
    found: Floats,
    error: float,
    wide: float,
    narrow: float,
    margin: float,
    unknown: tuple[float, float] = (0.0, 0.0),
) -> tuple[Any, Any, Any]:
    return (
        found - wide * error > 0,
        found + wide * error < 0,
        (found + narrow * error + unknown[1] < margin)
        & (found - narrow * error - unknown[0] > -margin),
    )


def _of_more_runs(
    now: Present,
    runs: tuple[int, tuple[float, float], tuple[float, float]],
    margins: Margins,
    more: int,
    same: Flags,
    rng: np.random.Generator,
) -> list[tuple[Any, Any, Any]]:
    from scipy.special import stdtrit

    count_now, late, failed = runs
    after = count_now + more
    growth = after / count_now
    parts = []
    for (estimate, error), level, margin, unknown in (
        ((now.ratio, now.error), NARROW, math.log1p(margins.typical), (0.0, 0.0)),
        (late, NARROW_TAIL, margins.tail, (0.0, 0.0)),
        (failed, NARROW, margins.placed, now.cancelled),
    ):
        known = math.isfinite(estimate) and math.isfinite(error)
        now_is = (estimate, error) if known else (0.0, math.sqrt(2 * 0.05 * 0.95 / max(now.n, 1)))
        found, se = _drawn(*now_is, growth, same, rng)
        wide, narrow = (float(stdtrit(after - 1, 0.5 + x / 2)) for x in (WIDE, level))
        parts.append(_normal(found, se, wide, narrow, margin, unknown))
    return parts


def _of_more_orders(
    now: Present, margins: Margins, more: int, same: Flags, rng: np.random.Generator
) -> list[tuple[Any, Any, Any]]:
    from scipy.special import ndtri

    before = 1 / max(now.n, 1) + 1 / max(now.m, 1)
    growth = before / (1 / (now.n + more) + 1 / (now.m + more))
    found, error = _drawn(now.ratio, now.error, growth, same, rng)
    wide, narrow = (float(ndtri(0.5 + x / 2)) for x in (WIDE, NARROW))
    parts = [_normal(found, error, wide, narrow, math.log1p(margins.typical))]
    single = margins.slo_ms is not None
    each = WIDE if single else 1 - (1 - WIDE) / 2
    if now.late is not None:
        levels = each, NARROW_TAIL
        late = _of_shares(_late(now, margins), now, more, same, rng, levels, margins.tail)
        if now.n + more < now.needed:
            nothing = np.zeros(DRAWS, dtype=bool)
            late = nothing, nothing, nothing
        parts.append(late)
        if now.very_late is not None and not single and now.n + more >= now.needed:
            worse, better, _ = _of_shares(now.very_late, now, more, same, rng, levels, margins.tail)
            parts.append((worse, better, np.ones(DRAWS, dtype=bool)))
    levels = WIDE, NARROW
    placed = _of_shares(
        now.failed, now, more, same, rng, levels, margins.placed, unknown=now.cancelled
    )
    parts.append(placed)
    return parts


def _of_shares(
    counts: tuple[float, float],
    now: Present,
    more: int,
    same: Flags,
    rng: np.random.Generator,
    levels: tuple[float, float],
    margin: float,
    *,
    unknown: tuple[float, float] = (0.0, 0.0),
) -> tuple[Any, Any, Any]:
    """Predict a difference of shares: truths from their posteriors, then more orders."""
    found, total = sum(counts), now.n + now.m
    both = rng.beta(found + 0.5, total - found + 0.5, DRAWS)
    sides = []
    for k, size in zip(counts, (now.n, now.m), strict=True):
        truth = np.where(same, both, rng.beta(k + 0.5, size - k + 0.5, DRAWS))
        whole = k + rng.binomial(more, truth)
        # Strata that A and B have in unlike parts make as many orders worth less.
        sides.append((whole / now.spread, (size + more) / now.spread))
    (k_a, n_a), (k_b, n_b) = sides
    p_a, p_b = k_a / n_a, k_b / n_b
    ends = []
    for level in levels:
        (low_a, high_a), (low_b, high_b) = wilson(k_a, n_a, level), wilson(k_b, n_b, level)
        ends.append(p_b - p_a - np.hypot(p_b - low_b, high_a - p_a))
        ends.append(p_b - p_a + np.hypot(high_b - p_b, p_a - low_a))
    inside = (ends[2] - unknown[0] > -margin) & (ends[3] + unknown[1] < margin)
    return ends[0] > 0, ends[1] < 0, inside


# A share against a target.


def more_for_target(found: Share, wanted: float, level: float = 0.95) -> More | None:
    """Return about how many more orders or runs tell whether a share reaches a wanted one.

    None where it is known, or where there is nothing to predict from.

    Examples
    --------
    >>> from firmly_nb.latency import share
    >>> str(more_for_target(share(99, 100), 0.95))
    'About 280 more orders would tell.'
    """
    if not found.of or found.low >= wanted or found.high < wanted:
        return None
    basis = found.dependence
    if basis is not None and basis.unit == "none":
        return None
    by_runs = basis is not None and basis.unit == "runs"
    n = found.worth if found.worth > 0 else float(found.of)
    k = n * found.share
    each = basis.runs / n if by_runs and basis is not None else found.of / n
    unit = "run" if by_runs else "order"
    most = max(int(MOST_MORE / (found.of / n)), 2)
    low, high = 0.0, math.log(most)
    if _reached(k, n, most, wanted, level) < DECIDED:
        return More(None, unit, a_side=False)
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        enough = _reached(k, n, round(math.exp(middle)), wanted, level) >= DECIDED
        low, high = (low, middle) if enough else (middle, high)
    return More(max(two_digits(math.exp(high) * each), 1), unit, a_side=False)


def _reached(k: float, n: float, more: int, wanted: float, level: float) -> float:
    """Return the share of predicted studies that tell, with so many more orders."""
    rng = np.random.default_rng(SEED)
    truth = rng.beta(k + 0.5, n - k + 0.5, DRAWS)
    good = k + rng.binomial(more, truth)
    low, high = never_narrower(*wilson(good, n + more, level), good, n + more, level)
    return float(((low >= wanted) | (high < wanted)).mean())


def two_digits(value: float) -> int:
    """Round up to two digits: what is estimated should not look exact.

    Examples
    --------
    >>> two_digits(123.0), two_digits(7.2), two_digits(1001)
    (130, 8, 1100)
    """
    scale = int(10 ** max(math.floor(math.log10(max(value, 1.0))) - 1, 0))
    return math.ceil(value / scale - 1e-9) * scale
