"""Values in order of time whose neighbours may be alike, and what else their noise could show.

A slow minute or a slow day lasts. So values that follow one another are alike, and shuffling them
would take a slow stretch apart that noise alone can make. Here the noise is a first-order
autoregression, AR(1): only what is new in each value is shuffled, then the series is built again.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

LAG_ALARM = 2.326  # of the standardised lag-1 correlation: one independent run in a hundred
FEWEST_TESTED = 20  # values
MOST_ALIKE = 0.95  # correlation of neighbours; above it a series never comes back


def ranked(values: Floats) -> Floats:
    """Return the ranks from 1; equal values share their middle rank."""
    by_size = np.argsort(values)
    ordered = values[by_size]
    # Compared, not subtracted: of two infinite values there is no difference.
    is_new = np.ones(len(values), dtype=bool)
    is_new[1:] = ordered[1:] > ordered[:-1]
    begins = np.flatnonzero(is_new)
    sizes = np.diff(np.append(begins, len(values)))
    found = np.empty(len(values))
    found[by_size] = np.repeat(begins + (sizes + 1) / 2, sizes)
    return found


def product(a: Floats, b: Floats) -> float:
    """Return the inner product of two series.

    BLAS would cut long ones into as many sums as there are processors: another last digit, and
    threads that keep a processor busy for a while when they are done.

    Examples
    --------
    >>> product(np.array([1.0, 2.0]), np.array([3.0, 4.0]))
    11.0
    """
    return float((a * b).sum())


def neighbours_alike(parts: Iterable[Floats]) -> tuple[float, float]:
    """Return how far the lag-1 correlation of ranks is above chance, and the correlation.

    ``sqrt(n) (r + 1/n)`` of each part, put together by its number of orders; -1/n is what r is
    on average among independent orders, however few. With too few orders nothing is above chance.
    """
    found, correlation, n = 0.0, 0.0, 0
    for part in parts:
        ranks = ranked(part)
        ranks -= ranks.mean() if len(ranks) else 0.0
        squares = product(ranks, ranks)
        if squares > 0:
            r = product(ranks[:-1], ranks[1:]) / squares
            found += len(part) * r + 1
            correlation += len(part) * r
            n += len(part)
    if n < FEWEST_TESTED:
        return 0.0, 0.0
    return found / math.sqrt(n), correlation / n


class Noise(NamedTuple):
    """Noise of a series as a first-order autoregression.

    ``alike`` is the correlation of neighbours, ``new`` what is new in each value.
    """

    alike: float
    new: Floats

    def again(self, draws: int, size: int, rng: np.random.Generator) -> Floats:
        """Return series that the same noise could have made, one a row."""
        if not len(self.new):
            return np.zeros((draws, size))
        # What comes first has to be forgotten: the same news in another order go before it.
        longer = 2 * size
        rounds = -(-longer // len(self.new))
        whole = np.tile(self.new, (draws * rounds, 1))
        values = rng.permuted(whole, axis=1).reshape(draws, -1)[:, :longer]
        if self.alike > 0:
            values[:, 0] /= math.sqrt(1 - self.alike**2)
            for at in range(1, longer):
                values[:, at] += self.alike * values[:, at - 1]
        return values[:, longer - size :]


def alike_noise(rng: np.random.Generator, draws: int, size: int, alike: float) -> Floats:
    """Return series of normal noise whose neighbours are alike, of standard deviation 1."""
    x = rng.standard_normal((draws, size))
    for at in range(1, size):
        x[:, at] = alike * x[:, at - 1] + math.sqrt(1 - alike**2) * x[:, at]
    return x


def noise_of(rest: Floats) -> Noise:
    """Return the noise of a series from which its level, its steps or its trend are taken off.

    Short series look less alike than they are, and less still without their level. The correlation
    is set against that, and half a standard error higher: an alarm that is too rare does less harm.

    Examples
    --------
    >>> round(noise_of(np.array([1.0, -1.0] * 20)).alike, 2)
    0.0
    """
    size = len(rest)
    rest = rest - rest.mean() if size else rest
    squares = product(rest, rest)
    if size < 5 or squares <= 0:
        return Noise(0.0, np.zeros(0))
    r = product(rest[:-1], rest[1:]) / squares
    alike = (r + 3 / size) / (1 - 4 / size) + 0.5 / math.sqrt(size)
    alike = min(max(alike, 0.0), MOST_ALIKE)
    new = rest[1:] - alike * rest[:-1]
    return Noise(alike, new - new.mean())
