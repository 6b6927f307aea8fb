"""Rules that speak up about orders that are not all alike; each is a sentence, or nothing.

Neighbours that are alike, a bad tenth of a run, slow first orders, merchants that differ, and
orders that were cancelled. A rule that tests something alarms in fewer than one of a hundred sets
in which nothing is amiss.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from firmly_nb.display.text import count, duration, number, percent, short_name
from firmly_nb.latency.columns import coded, ended_ms, floats, is_value
from firmly_nb.latency.dependence import (
    MOST_TESTED,
    dependence_of_times,
    kruskal_wallis,
    units_of,
)
from firmly_nb.neighbours import ranked
from firmly_nb.outcomes import CANCELLED, PLACED

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pandas as pd
    from numpy.typing import NDArray

    from firmly_nb.latency.dependence import Units

    Floats = NDArray[np.float64]

ALARM = 0.005  # p value of a rule that tests once
FEWEST = 10  # orders of a merchant
MATTERS = 1.2  # times as long
FEWEST_FOR_TENTHS = 60  # orders of a run
STEPS = 4  # begins of a window in the length of one
MANY_PLACED = 40  # placed orders of a run
TENTH_MATTERS = 1.5  # times as long
FIRST = 5  # orders of a warm-up
FEWEST_FOR_FIRST = 20  # orders of a run
HANG = 0.9  # a cancelled order that waited longer than this share of the placed ones
ENOUGH = 20_000  # orders to test; more would only take time
SPEAKS = 2.576  # of the standardised lag-1 correlation
FEW = 0.01  # of the orders: so many cancelled ones are the end of a sweep


def rules(orders: pd.DataFrame, units: Units | None = None) -> list[Iterator[str]]:
    """Return for each rule its sentences, if it fires; it looks when it is asked for them.

    Parameters
    ----------
    orders
        Needs ``outcome``, ``time_to_order_placed_ms``, ``started_at``; ``domain``, ``run_id`` and
        ``order_latency_ms`` where there are such.
    units
        Where the orders stand, if that is known already.
    """
    units = units_of(orders) if units is None else units
    tried = _runs(units, ~is_value(orders["outcome"], CANCELLED))
    return [
        _cancelled(orders),
        _merchants(orders),
        _neighbours(orders, units),
        _bad_tenth(orders, tried),
        _first_orders(orders, tried),
    ]


def _placed(orders: pd.DataFrame) -> NDArray[np.bool_]:
    times = floats(orders["time_to_order_placed_ms"])
    return is_value(orders["outcome"], PLACED) & ~np.isnan(times)


def _cancelled(orders: pd.DataFrame) -> Iterator[str]:
    is_cancelled = is_value(orders["outcome"], CANCELLED)
    cancelled = int(is_cancelled.sum())
    if not cancelled or "order_latency_ms" not in orders:
        return
    placed = floats(orders["time_to_order_placed_ms"])[_placed(orders)]
    usual = float(np.quantile(placed, HANG)) if len(placed) else np.inf
    hung = int((ended_ms(orders)[is_cancelled] > usual).sum())
    if hung or cancelled > FEW * len(orders):
        waited = (
            f"{count(hung)} of them had waited longer than {percent(HANG)} of the placed ones. "
            if hung
            else ""
        )
        lowest = len(placed) / len(orders)
        yield (
            f"Cancelled: {count(cancelled)} of {count(len(orders), 'order')} were cancelled and "
            f"are in no share. {waited}If all had failed, {percent(lowest)} would be placed."
        )


def _merchants(orders: pd.DataFrame) -> Iterator[str]:
    if "domain" not in orders:
        return
    placed = _placed(orders)
    codes, names = coded(orders["domain"])
    # The first place is for orders without a merchant.
    is_tested = np.bincount(codes[placed] + 1, minlength=len(names) + 1) >= FEWEST
    is_tested[0] = False
    rows = np.flatnonzero(placed & is_tested[codes + 1])
    rows = rows[:: max(len(rows) // ENOUGH, 1)]
    times, codes = floats(orders["time_to_order_placed_ms"])[rows], codes[rows]
    groups = {i: times[codes == i] for i in np.unique(codes)}
    if len(groups) < 2 or kruskal_wallis(times, codes) > ALARM:
        return
    medians = {i: float(np.median(x)) for i, x in groups.items()}
    quick, slow = min(medians, key=medians.__getitem__), max(medians, key=medians.__getitem__)
    if medians[slow] > MATTERS * medians[quick]:
        yield (
            f"Mixed merchants: orders take {duration(medians[slow])} at "
            f"{short_name(names[slow])} and {duration(medians[quick])} at "
            f"{short_name(names[quick])} (medians); look at each merchant by itself."
        )


def _neighbours(orders: pd.DataFrame, units: Units) -> Iterator[str]:
    placed = _placed(orders)
    times = floats(orders["time_to_order_placed_ms"])[placed]
    found = dependence_of_times(times, units.of(placed))
    tested = max(min(found.n, MOST_TESTED), 1)
    # Rarer than what decides about intervals, so that it speaks in fewer than one of a hundred.
    if found.correlation + found.runs / tested > SPEAKS / np.sqrt(tested):
        yield (
            f"Dependence: orders are alike if they follow one another (correlation of ranks "
            f"{number(found.correlation)}); {count(found.n)} of them tell less than as many "
            "independent ones."
        )


class _Tenth(NamedTuple):
    """Consecutive orders of a run that stand out."""

    chance: float  # p value, each window counted
    inside: NDArray[np.intp]  # their positions
    outside: NDArray[np.intp]  # of the other orders of the run


def _bad_tenth(orders: pd.DataFrame, tried: list[NDArray[np.intp]]) -> Iterator[str]:
    placed = _placed(orders)
    times = floats(orders["time_to_order_placed_ms"])
    # An order whose start is not known has no place in time.
    known = orders["started_at"].notna().to_numpy()
    tried = [run[known[run]] for run in tried]
    runs = [_thinned(run) for run in tried if len(run) >= FEWEST_FOR_TENTHS]
    slow = [_slowest(times, run[placed[run]]) for run in runs if placed[run].sum() >= MANY_PLACED]
    failing = [_most_failing(~placed, run) for run in runs]
    for found in (slow, failing):
        worst = min(found, key=lambda tenth: tenth.chance, default=None)
        if worst is None or worst.chance * len(found) > ALARM:
            continue
        began = (orders["started_at"].iloc[worst.inside[i]] for i in (0, -1))
        when = " to ".join(f"{at:%H:%M:%S}" for at in began)
        said = f"Bad tenth: orders from {when} UTC"
        if found is failing:
            failed = [percent(float((~placed)[x].mean())) for x in (worst.inside, worst.outside)]
            yield f"{said} failed in {failed[0]}, the rest of their run in {failed[1]}."
            return
        here, rest = (float(np.median(times[x])) for x in (worst.inside, worst.outside))
        if here > TENTH_MATTERS * rest:
            yield (
                f"{said} took {number(here / rest)} times as long as the rest of their run "
                f"({duration(here)} against {duration(rest)})."
            )
            return


def _runs(units: Units, wanted: NDArray[np.bool_]) -> list[NDArray[np.intp]]:
    """Return the positions of the wanted orders of each run, in order of start."""
    rows = np.flatnonzero(wanted)
    if units.place is not None:
        rows = rows[np.argsort(units.place[rows], kind="stable")]
    if units.runs is None:
        return [rows] if len(rows) else []
    runs = units.runs[rows]
    by_run = np.argsort(runs, kind="stable")
    return np.split(rows[by_run], np.flatnonzero(np.diff(runs[by_run])) + 1) if len(rows) else []


def _thinned(run: NDArray[np.intp]) -> NDArray[np.intp]:
    """Return the orders of a run, of a very long one every second, third and so on."""
    return run[:: max(len(run) // ENOUGH, 1)]


def _windows(values: Floats) -> tuple[NDArray[np.intp], Floats, int]:
    """Return where windows of a tenth of a run begin, the sums of them, and their length."""
    length = len(values) // 10
    begins = np.unique(np.linspace(0, len(values) - length, 10 * STEPS).astype(np.intp))
    sums = np.concatenate([[0.0], np.cumsum(values)])
    return begins, sums[begins + length] - sums[begins], length


def _tenth(run: NDArray[np.intp], begin: int, length: int, chance: float) -> _Tenth:
    here = slice(begin, begin + length)
    return _Tenth(chance, run[here], np.delete(run, here))


def _slowest(times: Floats, run: NDArray[np.intp]) -> _Tenth:
    """Return the tenth of a run whose times rank highest."""
    from scipy.special import ndtr

    n, ranks = len(run), ranked(times[run])
    begins, sums, length = _windows(ranks)
    error = float(ranks.std(ddof=1)) * np.sqrt(length * (1 - length / n))
    score = float(sums.max() - length * (n + 1) / 2) / error if error > 0 else 0.0
    chance = float(ndtr(-score)) * len(begins)
    return _tenth(run, int(begins[sums.argmax()]), length, chance)


def _most_failing(failed: NDArray[np.bool_], run: NDArray[np.intp]) -> _Tenth:
    """Return the tenth of a run in which most orders failed."""
    from scipy.special import bdtrc

    begins, sums, length = _windows(failed[run].astype(np.float64))
    # Binomial, not hypergeometric: a little too likely.
    chance = float(bdtrc(sums.max() - 1, length, failed[run].mean())) if sums.max() > 0 else 1.0
    return _tenth(run, int(begins[sums.argmax()]), length, chance * len(begins))


def _first_orders(orders: pd.DataFrame, tried: list[NDArray[np.intp]]) -> Iterator[str]:
    """Look at the first five orders of each run; runs are put together."""
    from scipy.special import ndtr

    placed = _placed(orders)
    runs = [run[placed[run]] for run in tried]
    runs = [
        np.concatenate([run[:FIRST], _thinned(run[FIRST:])])
        for run in runs
        if len(run) >= FEWEST_FOR_FIRST
    ]
    times = floats(orders["time_to_order_placed_ms"])
    above, variance = 0.0, 0.0
    for run in runs:
        n, ranks = len(run), ranked(times[run]) / len(run)
        above += float((ranks[:FIRST] - ranks.mean()).sum())
        variance += float(ranks.var(ddof=1)) * FIRST * (1 - FIRST / n)
    if not runs or variance <= 0 or ndtr(-above / np.sqrt(variance)) > ALARM:
        return
    first = float(np.median(np.concatenate([times[run[:FIRST]] for run in runs])))
    others = float(np.median(np.concatenate([times[run[FIRST:]] for run in runs])))
    # One slow order alone is the other rule's business: four of five have to be slow.
    slow = np.mean([times[run[:FIRST]] > np.median(times[run]) for run in runs])
    if first > MATTERS * others and slow >= 1 - 1 / FIRST:
        whose = "the run" if len(runs) == 1 else f"{len(runs)} runs"
        yield (
            f"Warm-up of {FIRST} orders: the first {FIRST} orders of {whose} took "
            f"{number(first / others)} times as long as the others ({duration(first)} against "
            f"{duration(others)})."
        )
