"""Orders that are not independent, with a known truth, and how often intervals hold it.

``python -m benchmarks.dependent_orders 300`` prints the coverage of each case over that many sets.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from firmly_nb.latency.dependence import Units, quantiles_over
from firmly_nb.latency.shares import success_over

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

PS = (0.5, 0.9, 0.95)
MIDDLE, SPREAD = 6.7, 0.21  # of the logarithms of times
SUCCESS = 0.9


class Orders(NamedTuple):
    """Times or successes of one made set, in order of start, and the truth about them."""

    values: NDArray[np.float64]
    units: Units
    truth: tuple[float, ...]  # the quantiles of PS, or the success rate
    seen: bool = True  # whether a bad run is among them, where there are bad ones


def _normal_truth() -> tuple[float, ...]:
    from scipy.special import ndtri

    return tuple(float(np.exp(MIDDLE + SPREAD * ndtri(p))) for p in PS)


def latent(rng: np.random.Generator, n: int, rho: float) -> Floats:
    """Draw a stationary autoregressive series of unit variance."""
    from scipy.signal import lfilter

    steps = rng.standard_normal(n) * np.sqrt(1 - rho**2)
    steps[0] /= np.sqrt(1 - rho**2)
    return np.asarray(lfilter([1.0], [1.0, -rho], steps), dtype=np.float64)


def autoregressive(rng: np.random.Generator, n: int = 400, rho: float = 0.6) -> Orders:
    """Draw the times of one run whose neighbouring orders are alike."""
    return Orders(np.exp(MIDDLE + SPREAD * latent(rng, n, rho)), Units(), _normal_truth())


def runs_apart(
    rng: np.random.Generator, runs: int = 10, a_run: int = 30, icc: float = 0.3
) -> Orders:
    """Draw the times of runs that have a level of their own."""
    codes = np.repeat(np.arange(runs), a_run)
    levels = np.sqrt(icc) * rng.standard_normal(runs)
    z = levels[codes] + np.sqrt(1 - icc) * rng.standard_normal(len(codes))
    return Orders(np.exp(MIDDLE + SPREAD * z), Units(codes), _normal_truth())


def trend(rng: np.random.Generator, n: int = 400, growth: float = 0.4) -> Orders:
    """Draw the times of one run that grow steadily; the truth is that of the whole mix."""
    from scipy.optimize import brentq
    from scipy.special import ndtr

    drift = np.log1p(growth) * np.linspace(0, 1, n)
    values = np.exp(MIDDLE + drift + SPREAD * rng.standard_normal(n))

    def share_below(x: float, p: float) -> float:
        return float(ndtr((x - MIDDLE - drift) / SPREAD).mean()) - p

    truth = tuple(float(np.exp(brentq(share_below, 5, 9, args=(p,)))) for p in PS)
    return Orders(values, Units(), truth)


def alike_successes(rng: np.random.Generator, n: int = 400, rho: float = 0.6) -> Orders:
    """Draw the successes of one run whose neighbouring orders are alike."""
    from scipy.special import ndtri

    flags = latent(rng, n, rho) < ndtri(SUCCESS)
    return Orders(flags.astype(np.float64), Units(), (SUCCESS,))


def outages(rng: np.random.Generator, runs: int = 10, a_run: int = 30, bad: float = 0.1) -> Orders:
    """Draw the successes of runs of which one in ten is an outage."""
    is_bad = rng.random(runs) < bad
    rates = np.where(is_bad, 0.2, 0.98)
    flags = rng.random((runs, a_run)) < rates[:, None]
    units = Units(np.repeat(np.arange(runs), a_run))
    truth = 0.2 * bad + 0.98 * (1 - bad)
    return Orders(flags.ravel().astype(np.float64), units, (truth,), bool(is_bad.any()))


def uneven_successes(
    rng: np.random.Generator, runs: int = 10, a_run: int = 30, icc: float = 0.3
) -> Orders:
    """Draw the successes of runs that have a success rate of their own (beta-binomial)."""
    both = 1 / icc - 1
    rates = rng.beta(SUCCESS * both, (1 - SUCCESS) * both, runs)
    flags = rng.random((runs, a_run)) < rates[:, None]
    units = Units(np.repeat(np.arange(runs), a_run))
    return Orders(flags.ravel().astype(np.float64), units, (SUCCESS,))


TIMES: dict[str, Callable[[np.random.Generator], Orders]] = {
    "AR(1) 0.6, one run, n = 400": autoregressive,
    "AR(1) 0.6, one run, n = 100": lambda rng: autoregressive(rng, 100),
    "AR(1) 0.8, one run, n = 400": lambda rng: autoregressive(rng, 400, 0.8),
    "independent, one run, n = 400": lambda rng: autoregressive(rng, 400, 0.0),
    "trend +40 % in one run": trend,
    "5 runs, ICC 0.3": lambda rng: runs_apart(rng, 5),
    "10 runs, ICC 0.3": runs_apart,
}
SUCCESSES: dict[str, Callable[[np.random.Generator], Orders]] = {
    "success, AR(1) 0.6, n = 400": alike_successes,
    "outages, 10 runs": outages,
    "outages, 20 runs": lambda rng: outages(rng, 20),
    "beta-binomial ICC 0.3, 10 runs": uneven_successes,
    "beta-binomial ICC 0.3, 20 runs": lambda rng: uneven_successes(rng, 20),
}


class Held(NamedTuple):
    """How often intervals held the truth, and how often they had both ends."""

    held: tuple[float, ...]
    closed: tuple[float, ...]


def times_held(
    make: Callable[[np.random.Generator], Orders], sets: int, seed: int = 1, level: float = 0.95
) -> Held:
    """Return how often the intervals of p50, p90 and p95 hold the truth; open ends as they are."""
    rng = np.random.default_rng(seed)
    held, closed = np.zeros((2, sets, len(PS)), dtype=bool)
    for i in range(sets):
        made = make(rng)
        for j, q in enumerate(quantiles_over(made.values, PS, made.units, level).quantiles):
            held[i, j], closed[i, j] = q.low <= made.truth[j] <= q.high, q.estimable
    return Held(tuple(held.mean(axis=0).tolist()), tuple(closed.mean(axis=0).tolist()))


def successes_held(
    make: Callable[[np.random.Generator], Orders], sets: int, seed: int = 1, level: float = 0.95
) -> Held:
    """Return how often the interval of the success rate holds it, if a bad run was seen."""
    rng = np.random.default_rng(seed)
    held, closed = [], []
    for _ in range(sets):
        made = make(rng)
        found = success_over(made.values > 0, made.units, level)
        if made.seen:
            held.append(found.low <= made.truth[0] <= found.high)
            closed.append(found.low > 0 and found.high < 1)
    return Held((float(np.mean(held)),), (float(np.mean(closed)),))


def main() -> None:
    """Print how often intervals hold the truth in each case."""
    sets = int(sys.argv[1]) if len(sys.argv) > 1 else 300
    for cases, held in ((TIMES, times_held), (SUCCESSES, successes_held)):
        for name, make in cases.items():
            found = held(make, sets)
            shares = " / ".join(f"{100 * share:.1f}" for share in found.held)
            closed = " / ".join(f"{100 * share:.0f}" for share in found.closed)
            print(f"{name}: held {shares} %; both ends {closed} %", flush=True)


if __name__ == "__main__":
    main()
