"""Changes of times: change points and a trend between runs, drift and warm-up within them.

Change points are E-divisive's on the runs' medians (D. S. Matteson and N. A. James, "A
Nonparametric Approach for Multiple Change Point Analysis of Multivariate Data", Journal of the
American Statistical Association 109, 2014). A good day is mostly followed by a good day, so runs
are not put into random order: only what is new in each run is. A steady creep is told as a trend.
Among fewer than thirteen runs a change is held against noise whose neighbours are clearly alike.
What could have been found at all is told, too: no change found among few and noisy runs does not
mean that there was none.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from firmly_nb.display.html import page
from firmly_nb.display.messages import UnknownName, coded_error, tells_names, unknown
from firmly_nb.display.table import Grid, Head, grid_html, grid_text
from firmly_nb.display.text import (
    TIMES,
    and_more,
    as_html,
    count,
    duration,
    number,
    percent,
    printable,
)
from firmly_nb.latency.columns import coded, floats, is_value, starts
from firmly_nb.latency.quantiles import log_times
from firmly_nb.latency.runs import runs_of
from firmly_nb.latency.stages import Gatherings, blocks_of
from firmly_nb.neighbours import (
    LAG_ALARM,
    Noise,
    alike_noise,
    neighbours_alike,
    noise_of,
    product,
    ranked,
)
from firmly_nb.outcomes import CANCELLED
from firmly_nb.schema import Column, Table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    import pandas as pd
    from numpy.typing import ArrayLike, NDArray

    from firmly_nb.latency.stages import StageBlocks

    Floats = NDArray[np.float64]
    Codes = NDArray[np.intp]

FEWEST_A_SIDE = 3
ENOUGH = 20_000  # orders of a run, to see whether they grow slower
MANY = 13  # runs from which their own noise says how alike neighbours are
FEWEST = 5  # runs
FEW_A_SIDE = 2  # of fewer than MANY
CHANGE_ALARM = 0.004
FEW_ALARM = 0.04
FEW_ALIKE = 0.6  # what the noise of few runs is taken for: too few to tell
FEW_DRAWS = 20_000
PERMUTATIONS = 999
ONE_MORE = 0.25  # part of the spread that each further step may leave, to be believed
MORE_STEPS = 4
BATCH = 1_000_000  # distances held at a time
SEED = 7
TRIALS = 200  # simulated series, to say what could have been found
FOUND_IN = 0.8  # of them
STEPS = np.arange(1.0, 20.0, 0.5)  # sizes tried, in standard deviations of a run's median
LONGEST_TRIED = 60  # runs of a simulated series; with more, smaller changes are found

RUN_MEDIANS = Table(
    "run_medians",
    "one row a run, in order of time",
    (
        Column("run_id", "str", "", "which run"),
        Column("started_at", "datetime64[ns, UTC]", "", "its first order"),
        Column("n", "int64", "orders", "orders with that time"),
        Column("median_ms", "float64", "ms", "their median"),
        Column("segment", "int64", "", "counted from 0; changes lie between segments"),
    ),
)


@dataclass(frozen=True, slots=True)
class ChangePoint:
    """A change of times between two runs.

    Attributes
    ----------
    place
        Number of the first run after the change, counted from 0.
    run_id
        That run.
    before, after
        Median of the runs' medians on each side, up to the next change.
    p_value
        How often noise alone has a split as good.
    """

    place: int
    run_id: str
    before: float
    after: float
    p_value: float

    @property
    def ratio(self) -> float:
        """Ratio of the medians: since the change to before it."""
        return self.after / self.before if self.before else math.nan


class RunTrend(NamedTuple):
    """A steady creep: each run is slower, or faster, than the one before by the same factor.

    ``a_run`` is that factor, ``ratio`` that of the last run to the first, as the line has them;
    ``p_value`` says how often noise alone has a line as steep.
    """

    a_run: float
    ratio: float
    p_value: float


@tells_names
@dataclass(frozen=True, slots=True)
class Changes:
    """Result of ``change_points``; it shows itself.

    Attributes
    ----------
    points
        The changes in order of time; none if there is a trend.
    values, run_ids
        What was looked at.
    detectable
        The ratio from which a change in the middle is found in four of five cases; None if there
        are too few runs.
    trend
        The steady creep, if that describes the runs better than changes do.
    """

    points: tuple[ChangePoint, ...]
    values: tuple[float, ...]
    run_ids: tuple[str, ...]
    detectable: float | None
    trend: RunTrend | None = None

    @property
    def sentence(self) -> str:
        """The changes, and which change would have been found, in words."""
        n_runs = len(self.values)
        if self.detectable is None:
            return (
                f"Too few runs to look for changes: {FEWEST} with a start and a time are needed, "
                f"there are {n_runs}."
            )
        bound = (
            "the runs have no noise of their own"
            if self.detectable <= 1
            else (
                f"with {n_runs} runs as noisy as these, a change by {percent(self.detectable - 1)} "
                f"would be found in four of five cases"
            )
        )
        if self.trend:
            return f"{_crept(self.trend, n_runs)}; {bound}."
        if not self.points:
            return f"No change found between runs; {bound}."
        told = "; ".join(_told(point) for point in self.points)
        return f"{told}; {bound}."

    def __repr__(self) -> str:
        return self.sentence


def change_points(values: ArrayLike, run_ids: Sequence[str] | None = None) -> Changes:
    """Find where a series of runs changed.

    Parameters
    ----------
    values
        One value a run, such as its median, in order of time; positive.
    run_ids
        The runs' names; by default their numbers.

    Examples
    --------
    >>> found = change_points([10, 11, 10, 11, 10, 11, 15, 16, 15, 16, 15, 16])
    >>> [(point.place, round(point.ratio, 2)) for point in found.points]
    [(6, 1.48)]
    """
    x = np.asarray(values, dtype=np.float64)
    names = tuple(run_ids) if run_ids is not None else tuple(str(i) for i in range(len(x)))
    if len(names) != len(x):
        text = f"run_ids must be as many as values: {len(x)}, got {len(names)}. Pass one for each."
        raise coded_error(ValueError, "FNB310", text)
    series = log_times(x)
    found, trend = _found(series, np.random.default_rng(SEED))
    bounds = [0, *(place for place, _ in found), len(x)]
    middles = [float(np.median(x[a:b])) for a, b in pairwise(bounds) if b > a]
    points = tuple(
        ChangePoint(place, names[place], middles[i], middles[i + 1], p_value)
        for i, (place, p_value) in enumerate(found)
    )
    return Changes(points, tuple(x.tolist()), names, _detectable(series, bounds, trend), trend)


def run_medians(
    orders: pd.DataFrame, times_ms: ArrayLike | None = None
) -> tuple[pd.DataFrame, Changes]:
    """Return the median of each run in order of time, and the changes among them.

    Parameters
    ----------
    orders
        Needs ``run_id``, ``started_at``, and ``time_to_order_placed_ms`` unless times are given.
    times_ms
        One time an order, null where it has none.
    """
    x = floats(orders["time_to_order_placed_ms"]) if times_ms is None else np.asarray(times_ms)
    codes, names = coded(orders["run_id"])
    started = orders["started_at"].astype("int64").to_numpy()
    known = (codes >= 0) & ~np.isnan(x) & orders["started_at"].notna().to_numpy()
    here = np.unique(codes[known])
    first = np.array([started[codes == run].min() for run in here])
    here = here[np.argsort(first, kind="stable")]
    medians = [float(np.median(x[known & (codes == run)])) for run in here]
    changes = change_points(medians, [names[run] for run in here])
    splits = [point.place for point in changes.points]
    table = RUN_MEDIANS.from_columns(
        {
            "run_id": [names[run] for run in here],
            "started_at": [orders["started_at"][codes == run].min() for run in here],
            "n": [int((known & (codes == run)).sum()) for run in here],
            "median_ms": medians,
            "segment": [sum(split <= i for split in splits) for i in range(len(here))],
        }
    )
    return table, changes


def _told(point: ChangePoint) -> str:
    word = "slower" if point.ratio > 1 else "faster"
    sides = f"{duration(point.before)} before, {duration(point.after)} since"
    return (
        f"From run {point.run_id} on orders are {word}: {number(point.ratio)} times as long "
        f"({sides}; {_p_words(point.p_value)})"
    )


def _p_words(p_value: float) -> str:
    return f"p = {p_value:.3f}" if p_value >= 0.0005 else "p < 0.001"


def _crept(trend: RunTrend, n_runs: int) -> str:
    word = "slower" if trend.ratio > 1 else "faster"
    return (
        f"Orders grew steadily {word} from run to run: by {percent(abs(trend.a_run - 1))} a run, "
        f"{number(trend.ratio)} times as long after {n_runs} runs ({_p_words(trend.p_value)})"
    )


def _found(
    series: Floats, rng: np.random.Generator
) -> tuple[list[tuple[int, float]], RunTrend | None]:
    """Return the changes of a series, or the trend that describes it better."""
    size = len(series)
    if size < FEWEST or np.ptp(series) == 0:
        return [], None
    if size < MANY:
        found, steep = _of_few(series)
    else:
        found = sorted(_divided(series, 0, rng))
        noise = noise_of(_rest(series))
        steep = _share(_steepness, noise, float(_steepness(series[None])[0]), size, rng)
    is_steep = steep <= (FEW_ALARM if size < MANY else CHANGE_ALARM)
    if not is_steep or not _line_is_better(series, [place for place, _ in found]):
        return found, None
    slope = float(_slopes(series[None])[0])
    return [], RunTrend(math.exp(slope), math.exp(slope * (size - 1)), steep)


def _slopes(series: Floats) -> Floats:
    t = np.arange(series.shape[1]) - (series.shape[1] - 1) / 2
    return np.asarray(series @ t / (t @ t))


def _steepness(series: Floats) -> Floats:
    """Return which share of the spread of each series lies in a straight line."""
    centred = series - series.mean(axis=1, keepdims=True)
    t = np.arange(series.shape[1]) - (series.shape[1] - 1) / 2
    spread = (centred**2).sum(axis=1)
    return np.asarray((centred @ t) ** 2 / (t @ t) / np.where(spread > 0, spread, np.inf))


def _off_line(series: Floats) -> Floats:
    t = np.arange(len(series), dtype=np.float64) - (len(series) - 1) / 2
    return np.asarray(series - series.mean() - product(series, t) / product(t, t) * t)


def _off_steps(series: Floats, places: Sequence[int]) -> Floats:
    parts = np.split(series, sorted(places))
    return np.concatenate([part - part.mean() for part in parts])


def _line_is_better(series: Floats, places: Sequence[int]) -> bool:
    """Return whether a line describes a series better than its steps (Bayesian information)."""
    size, line = len(series), _off_line(series)
    steps = _off_steps(series, places or [_single_step(series, FEW_A_SIDE)])
    lost, left = float(line @ line), float(steps @ steps)
    if lost <= 0 or left <= 0:
        return lost <= left
    # A step costs its height and its place, a line its slope.
    more = (2 * max(len(places), 1) - 1) * math.log(size)
    return size * math.log(lost) < size * math.log(left) + more


def _explained(series: Floats, least: int) -> Floats:
    """Return which share of the spread of each series a step at each place takes away."""
    size = series.shape[1]
    s = np.arange(least, size - least + 1)
    centred = series - series.mean(axis=1, keepdims=True)
    spread = (centred**2).sum(axis=1, keepdims=True)
    before = np.cumsum(centred, axis=1)[:, s - 1]
    return np.asarray(before**2 * (1 / s + 1 / (size - s)) / np.where(spread > 0, spread, np.inf))


def _single_step(series: Floats, least: int) -> int:
    return least + int(_explained(series[None], least)[0].argmax())


def _rest(series: Floats) -> Floats:
    """Return a series without its step or its line, whichever leaves less; or without more steps.

    Each further step has to leave little, for noise has steps as well.
    """
    places = [_single_step(series, FEWEST_A_SIDE)]
    stepped = _off_steps(series, places)
    rest = min(stepped, _off_line(series), key=_spread)
    wanted = _spread(rest)
    for _ in range(MORE_STEPS):
        bounds = [0, *sorted(places), len(series)]
        parts = [(a, series[a:b]) for a, b in pairwise(bounds) if b - a >= 2 * FEWEST_A_SIDE]
        tried = [[*places, begin + _single_step(part, FEWEST_A_SIDE)] for begin, part in parts]
        if not tried:
            break
        places = min(tried, key=lambda them: _spread(_off_steps(series, them)))
        stepped, wanted = _off_steps(series, places), wanted * ONE_MORE
        if _spread(stepped) < wanted:
            rest = stepped
    return rest


def _spread(rest: Floats) -> float:
    return float(rest @ rest)


def _of_few(series: Floats) -> tuple[list[tuple[int, float]], float]:
    """Return the change of a few runs, if it is clear, and how rare so steep a line is.

    The larger of both is held against that of noise whose neighbours are alike.
    """
    best = max(
        float(_explained(series[None], FEW_A_SIDE).max()), float(_steepness(series[None])[0])
    )
    chance = _noise_of_few(len(series))
    p_value = float((1 + (chance >= best - 1e-12).sum()) / (1 + len(chance)))
    if p_value > FEW_ALARM:
        return [], 1.0
    return [(_single_step(series, FEW_A_SIDE), p_value)], p_value


@lru_cache
def _noise_of_few(size: int) -> Floats:
    """Return the largest share that a step or a line takes away, of many series of noise."""
    series = alike_noise(np.random.default_rng(SEED), FEW_DRAWS, size, FEW_ALIKE)
    steps = _explained(series, FEW_A_SIDE).max(axis=1)
    return np.asarray(np.maximum(steps, _steepness(series)))


def _divided(series: Floats, begin: int, rng: np.random.Generator) -> list[tuple[int, float]]:
    """Split a series where that is rarer than chance, then each part again."""
    if len(series) < MANY or np.ptp(series) == 0:
        return []
    split, best = _best_split(_distances(series[None]))
    noise = noise_of(_rest(series))
    p_value = _share(_goodness, noise, float(best[0]), len(series), rng)
    if p_value > CHANGE_ALARM:
        return []
    cut = int(split[0])
    left = _divided(series[:cut], begin, rng)
    right = _divided(series[cut:], begin + cut, rng)
    return [*left, (begin + cut, p_value), *right]


def _share(
    measure: Callable[[Floats], Floats],
    noise: Noise,
    best: float,
    size: int,
    rng: np.random.Generator,
) -> float:
    """Return how often noise alone measures as much."""
    as_much, drawn = 0, 0
    # Some at a time: after the first hundred it is mostly clear that there is no change.
    while drawn < PERMUTATIONS and as_much <= CHANGE_ALARM * (1 + PERMUTATIONS):
        draws = min(max(BATCH // size**2, 1), 100, PERMUTATIONS - drawn)
        as_much += int((measure(noise.again(draws, size, rng)) >= best - 1e-12).sum())
        drawn += draws
    return (1 + as_much) / (1 + drawn)


def _best_split(distances: Floats) -> tuple[NDArray[np.intp], Floats]:
    """Return for each matrix of distances the best split and how good it is.

    ``q = s (T - s) / T * (2 mean|x - y| - mean|x - x'| - mean|y - y'|)`` for s values x before and
    T - s values y after, at least three each; means over pairs of different runs.
    """
    size = distances.shape[1]
    s = np.arange(FEWEST_A_SIDE, size - FEWEST_A_SIDE + 1)
    total = distances.sum(axis=(1, 2))[:, None]
    corner = np.cumsum(np.cumsum(distances, axis=1), axis=2)
    within = corner[:, s - 1, s - 1]  # pairs before, each counted twice
    rows = corner[:, s - 1, -1]  # pairs of one before with any
    across = rows - within
    after = total - rows - across
    rest = size - s
    spread = within / (s * (s - 1)) + after / (rest * (rest - 1))
    q = s * rest / size * (2 * across / (s * rest) - spread)
    best = q.argmax(axis=1)
    return s[best], q[np.arange(len(q)), best]


def _detectable(
    series: Floats, bounds: Sequence[int], trend: RunTrend | None = None
) -> float | None:
    """Return the ratio from which a change in the middle is found in four of five series.

    Simulated with normal noise of the same standard deviation, that of the runs around their
    segment's median or their trend, and neighbours that are as much alike; the limit for an alarm
    is that of series without a change.
    """
    size = len(series)
    if size < FEWEST:
        return None
    left = np.concatenate([series[a:b] - np.median(series[a:b]) for a, b in pairwise(bounds)])
    left = _off_line(series) if trend else left
    free = size - 2 if trend else size - len(bounds) + 1
    noise = math.sqrt(float((left**2).sum()) / max(free, 1))
    # In steps of a tenth, so that a simulation serves many series.
    alike = round(noise_of(left).alike, 1) if size >= MANY else 0.0
    return math.exp(noise * _steps_needed(min(size, LONGEST_TRIED), alike))


@lru_cache
def _steps_needed(size: int, alike: float = 0.0) -> float:
    rng = np.random.default_rng(SEED)
    if size < MANY:
        limit = float(np.quantile(_noise_of_few(size), 1 - FEW_ALARM))
    else:
        still = _goodness(alike_noise(rng, 5 * TRIALS, size, alike))
        limit = float(np.quantile(still, 1 - CHANGE_ALARM))
    after = np.arange(size) >= size // 2
    for step in STEPS:
        tried = alike_noise(rng, TRIALS, size, alike) + step * after
        seen = _explained(tried, FEW_A_SIDE).max(axis=1) if size < MANY else _goodness(tried)
        if (seen > limit).mean() >= FOUND_IN:
            return float(step)
    return float(STEPS[-1])


def _goodness(series: Floats) -> Floats:
    return _best_split(_distances(series))[1]


def _distances(series: Floats) -> Floats:
    """Return the distances within each series, in its standard deviations."""
    spread = series.std(axis=1, keepdims=True)
    scaled = series / np.where(spread > 0, spread, np.inf)
    return np.asarray(np.abs(scaled[:, :, None] - scaled[:, None, :]))


FEWEST_OF_A_RUN = 20  # orders of a run
ALARM = 0.01
FAR_OUT = 5.0  # robust standard deviations of the logarithms
MATTERS = 1.2  # a first order this many times the median of the others
DRIFT_MATTERS = 1.05


class WarmUp(NamedTuple):
    """Warm-up: the first orders of runs are slower than the others."""

    runs: int
    first_ms: float
    others_ms: float


@tells_names
class Drift(NamedTuple):
    """Drift: orders become slower or faster in the course of a run."""

    ratio: float  # of the last third to the first
    p_value: float
    orders: int


def warm_up(orders: pd.DataFrame, column: str) -> WarmUp | None:
    """Return whether the first order of each run is slower than the rest of it.

    The first order's rank in its run is as good a p value as there is; those of several runs are
    combined after Fisher. In a single run of less than a hundred orders no rank is rare enough:
    there the first must be the slowest and far out.

    Parameters
    ----------
    orders
        Needs ``outcome``, ``started_at`` and the column; ``run_id`` where there are runs.
    column
        The time that is looked at, such as ``time_to_headers_ms``.
    """
    runs = [x for x in series(orders, column) if len(x) >= FEWEST_OF_A_RUN]
    if not runs:
        return None
    ranks = [float((x >= x[0]).sum()) / len(x) for x in runs]
    is_rare = _fisher(ranks) <= ALARM
    if len(runs) == 1 and not is_rare:
        is_rare = bool(ranks[0] * len(runs[0]) == 1 and _is_far_out(runs[0]))
    if not is_rare:
        return None
    found = WarmUp(
        len(runs),
        float(np.median([x[0] for x in runs])),
        float(np.median(np.concatenate([x[1:] for x in runs]))),
    )
    return found if found.first_ms > MATTERS * found.others_ms else None


def drift_within(orders: pd.DataFrame, column: str = "time_to_order_placed_ms") -> Drift | None:
    """Return whether orders become slower or faster in the course of their runs.

    Spearman's correlation of time and place within each run, runs put together; and how much the
    last third takes longer than the first, which has to matter.
    """
    runs = [x for x in series(orders, column) if len(x) >= FEWEST_OF_A_RUN]
    if not runs:
        return None
    # Of a very long run every second, third and so on: more would only take time.
    p_value = _trend([x[:: max(len(x) // ENOUGH, 1)] for x in runs])
    if p_value > ALARM:
        return None
    ratio = _last_to_first(runs)
    matters = max(ratio, 1 / ratio) > DRIFT_MATTERS if ratio > 0 else False
    if not matters:
        return None
    return Drift(ratio, p_value, sum(map(len, runs)))


def series(orders: pd.DataFrame, column: str) -> list[Floats]:
    """Return the times of each run in order of start; nulls and cancelled orders left out.

    An order whose start is not known has no place in time, and is left out.
    """
    x, started = floats(orders[column]), starts(orders)
    known = ~np.isnan(x) & ~is_value(orders["outcome"], CANCELLED)
    known &= orders["started_at"].notna().to_numpy()
    if not known.any():
        return []
    runs = runs_of(orders)
    in_order = bool((started[1:] >= started[:-1]).all())
    if runs is None:
        return [x[known] if in_order else x[known][np.argsort(started[known], kind="stable")]]
    codes = runs.codes
    by_start = np.lexsort((started, codes))
    by_start = by_start[known[by_start]]
    ends = np.flatnonzero(np.diff(codes[by_start])) + 1
    return list(np.split(x[by_start], ends))


def _fisher(p_values: Iterable[float]) -> float:
    from scipy.special import chdtrc

    parts = list(p_values)
    return float(chdtrc(2 * len(parts), -2 * sum(map(math.log, parts))))


def _is_far_out(x: Floats) -> bool:
    logs = log_times(x)
    middle = np.median(logs[1:])
    spread = 1.4826 * np.median(np.abs(logs[1:] - middle))
    return bool(logs[0] - middle > FAR_OUT * spread)


def _trend(runs: list[Floats]) -> float:
    """Return the two-sided p value of Spearman's correlation, runs put together.

    Where neighbours are alike beside the trend, it is worth as much less as AR(1) noise makes it.
    """
    from scipy.special import ndtr

    found, variance = 0.0, 0.0
    score, alike = neighbours_alike(map(_off_line, map(ranked, runs)))
    wider = (1 + alike) / (1 - alike) if score > LAG_ALARM else 1.0
    for x in runs:
        position, rank = np.arange(len(x)) / len(x), ranked(x) / len(x)
        position, rank = position - position.mean(), rank - rank.mean()
        found += product(position, rank)
        variance += product(position, position) * product(rank, rank) / (len(x) - 1)
    return float(2 * ndtr(-abs(found) / math.sqrt(variance * wider))) if variance > 0 else 1.0


def _last_to_first(runs: list[Floats]) -> float:
    """Return the ratio of the medians of the last and the first third, of runs put together."""
    first, last = [], []
    for x in runs:
        third = len(x) // 3
        middle = np.median(x) or 1.0
        first.append(x[:third] / middle)
        last.append(x[-third:] / middle)
    before = float(np.median(np.concatenate(first)))
    return float(np.median(np.concatenate(last))) / before if before > 0 else math.nan


MOST_SHOWN = 40
WHOLE = TIMES["time_to_order_placed_ms"]


@tells_names
@dataclass(frozen=True, slots=True)
class RunDrift:
    """Changes of times between and within runs; it shows itself.

    Attributes
    ----------
    what
        The time that was looked at: a stage, or the time to order placed.
    runs
        ``RUN_MEDIANS``; empty where there is one run or none.
    changes
        The change points among the runs; None where there is one run or none.
    within
        What was found within runs, as a sentence.
    """

    what: str
    runs: pd.DataFrame
    changes: Changes | None
    within: str

    @property
    def sentences(self) -> tuple[str, ...]:
        """The changes between and within runs, in words."""
        return (*([self.changes.sentence] if self.changes else []), self.within)

    def __repr__(self) -> str:
        said = "\n".join(map(printable, self.sentences))
        return f"{said}\n{grid_text(self._grid())}" if len(self.runs) else said

    def _repr_html_(self) -> str:
        said = "".join(f"<div>{as_html(sentence)}</div>" for sentence in self.sentences)
        return page(said + (grid_html(self._grid()) if len(self.runs) else ""))

    def _grid(self) -> Grid:
        shown = self.runs.head(MOST_SHOWN)
        columns = (shown[name].tolist() for name in RUN_MEDIANS.names)
        rows = [
            (run_id, f"{began:%Y-%m-%d %H:%M}", count(n), number(median_ms), str(segment))
            for run_id, began, n, median_ms, segment in zip(*columns, strict=True)
        ]
        heads = ("run", "began, UTC", "orders", Head(f"median of {self.what}", "ms"), "part")
        return Grid(heads, rows, more=and_more(len(self.runs) - MOST_SHOWN, "run"))


def run_drift(
    stages: pd.DataFrame | StageBlocks | None, orders: pd.DataFrame, stage: str | None = None
) -> RunDrift:
    """Look for change points among runs and for a trend within them.

    Parameters
    ----------
    stages, orders
        The tables of recordings; stages only if one is asked for, and of very many one by one.
    stage
        A stage's name; by default the time to order placed.
    """
    times = _times(stages, orders, stage)
    looked_at = orders.assign(_time_ms=times)
    within = _within(looked_at, stage or WHOLE)
    if not len(orders) or runs_of(orders) is None:
        return RunDrift(stage or WHOLE, RUN_MEDIANS.empty(), None, within)
    table, changes = run_medians(orders, times)
    return RunDrift(stage or WHOLE, table, changes, within)


def _times(
    stages: pd.DataFrame | StageBlocks | None, orders: pd.DataFrame, stage: str | None
) -> NDArray[np.float64]:
    if stage is None or stages is None:
        return floats(orders["time_to_order_placed_ms"])
    gatherings, names, mine = Gatherings(orders), dict[str, tuple[int, int]](), []
    for block in blocks_of(stages, orders):
        names[block.name] = min(block.ends.values(), default=(len(orders), 0))
        gatherings.add(block)
        if block.name == stage:
            own = block.own_reasons < 0
            mine.append((block.orders[own], block.duration_ms[own]))
    if stage not in names:
        known = sorted(names, key=names.__getitem__)
        raise coded_error(UnknownName, "FNB308", unknown("stage", stage, known))
    times = np.full(len(orders), np.nan)
    for places, duration_ms in mine:
        times[places] = duration_ms
    times[gatherings.found().of_buffered] = np.nan
    return times


def _within(orders: pd.DataFrame, what: str) -> str:
    sizes = [len(x) for x in series(orders, "_time_ms")]
    if max(sizes, default=0) < FEWEST_OF_A_RUN:
        return (
            f"Too few orders in a run to look for drift within it: {FEWEST_OF_A_RUN} are the least."
        )
    found = drift_within(orders, "_time_ms")
    runs = "the run" if len(sizes) == 1 else "the runs"
    if found is None:
        return f"No drift found within {runs}."
    word = "longer" if found.ratio > 1 else "shorter"
    return (
        f"Within {runs} {what} grew {word}: the last third took {number(found.ratio)} times as "
        f"long as the first (p = {found.p_value:.2g})."
    )
