"""Axes of times, and how many points are too many to draw one by one."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from firmly_nb.latency.charts.words import THIN_SPACE, count

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    Floats = NDArray[np.float64]

# Beyond this, points lie over one another and a notebook grows by megabytes: they are binned.
MOST_POINTS = 2_000
MOST_STEPS = 1_200
LOG_FROM_RATIO = 10.0
FEWEST_TICKS = 3
TICK_STEPS = ((1,), (1, 2, 5), (1, 1.5, 2, 3, 4, 5, 6, 8))


def positive(values: ArrayLike) -> Floats:
    """Return the values that a time can have: known, finite, above zero."""
    found = np.asarray(values, dtype=np.float64).ravel()
    return found[np.isfinite(found) & (found > 0)]


def is_wide(values: ArrayLike) -> bool:
    """Say whether times span a decade, so that a logarithmic axis is needed.

    Examples
    --------
    >>> is_wide([100, 200]), is_wide([10, 2000])
    (False, True)
    """
    found = positive(values)
    return bool(len(found)) and float(found.max() / found.min()) >= LOG_FROM_RATIO


def time_axis(values: ArrayLike, title: str, *, log: bool | None = None) -> dict[str, Any]:
    """Return an axis of times in ms, logarithmic where they span a decade.

    Parameters
    ----------
    values
        The times that are drawn.
    title
        What they are; the unit is added.
    log
        To decide otherwise.
    """
    found = positive(values)
    log = is_wide(found) if log is None else log
    if not log or not len(found):
        top = float(found.max()) * 1.05 if len(found) else 1.0
        return {"title": {"text": f"{title}, ms"}, "range": [0, top], "tickformat": ",.0~f"}
    return log_axis(found, f"{title}, ms", room=1.15)


def log_axis(values: ArrayLike, title: str, *, room: float) -> dict[str, Any]:
    """Return a logarithmic axis over the values above zero.

    Parameters
    ----------
    values
        What is drawn.
    title
        What they are, with their unit.
    room
        How many times as far as the last value the axis goes, at both ends.
    """
    found = positive(values)
    low, high = float(found.min()) / room, float(found.max()) * room
    ticks = log_ticks(low, high)
    return {
        "title": {"text": f"{title} (logarithmic)"},
        "type": "log",
        "range": [math.log10(low), math.log10(high)],
        "tickvals": ticks,
        "ticktext": [f"{tick:,.10g}".replace(",", THIN_SPACE) for tick in ticks],
    }


def log_ticks(low: float, high: float) -> list[float]:
    """Return round values between two: as many in each decade as there is room for.

    Examples
    --------
    >>> log_ticks(90, 1100), log_ticks(95, 103)
    ([100.0, 200.0, 500.0, 1000.0], [96.0, 98.0, 100.0, 102.0])
    """
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for steps in TICK_STEPS[math.log10(high / low) <= 3 :]:
        ticks = [s * 10.0**d for d in decades for s in steps if low <= s * 10.0**d <= high]
        if len(ticks) >= FEWEST_TICKS:
            return ticks
    # So narrow that it is as good as linear: some four steps of 1, 2 or 5.
    rough = (high - low) / 4
    decade = 10.0 ** math.floor(math.log10(rough))
    step = next(s for s in (1, 2, 5, 10) if s * decade >= rough) * decade
    return [tick * step for tick in range(math.ceil(low / step), math.floor(high / step) + 1)]


def edges(values: ArrayLike, bins: int) -> Floats:
    """Return the edges of bins over times, equal on a logarithmic axis."""
    found = positive(values)
    low, high = (float(found.min()), float(found.max())) if len(found) else (1.0, 10.0)
    if low == high:
        low, high = low / 1.05, high * 1.05
    return np.geomspace(low * 0.999, high * 1.001, bins + 1)


def thinned(n: int) -> NDArray[np.intp]:
    """Return which of n ranks are drawn: all of few; of many, evenly, and more of both ends.

    Examples
    --------
    >>> len(thinned(100)), len(thinned(100_000)) <= MOST_STEPS, int(thinned(100_000)[-1])
    (100, True, 99999)
    """
    if n <= MOST_STEPS:
        return np.arange(n)
    even = np.linspace(0, n - 1, MOST_STEPS // 2)
    tail = np.geomspace(1, n, MOST_STEPS // 4) - 1
    return np.unique(np.concatenate([even, tail, n - 1 - tail]).astype(np.intp))


def binned_words(n: int) -> str:
    """Say that points were binned."""
    return f"{count(n, 'order')} are binned: the darker, the more."
