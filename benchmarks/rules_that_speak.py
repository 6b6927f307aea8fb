"""How often the rules below the latency table speak: of clean studies, and of what they look for.

``python -m benchmarks.rules_that_speak 1000`` prints both over that many studies each.
"""

from __future__ import annotations

import sys
from collections import Counter
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from benchmarks.dependent_orders import MIDDLE, SPREAD, latent
from firmly_nb.latency.rules import rules

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Make = Callable[[np.random.Generator], pd.DataFrame]


def study(times: Floats, **columns: Any) -> pd.DataFrame:
    """Return orders of one run, one a second, that took these times."""
    n = len(times)
    made = {
        "outcome": np.full(n, "placed", dtype=object),
        "domain": "a.test",
        "run_id": "run",
        "started_at": pd.Timestamp("2026-01-05T09:00:00Z")
        + pd.to_timedelta(np.arange(n), unit="s"),
        "time_to_order_placed_ms": times,
    } | columns
    orders = pd.DataFrame(made)
    is_placed = orders["outcome"] == "placed"
    orders["order_latency_ms"] = times
    orders["time_to_order_placed_ms"] = orders["time_to_order_placed_ms"].where(is_placed)
    return orders


def usual(rng: np.random.Generator, n: int, spread: float = SPREAD) -> Floats:
    """Draw independent lognormal times."""
    return np.asarray(np.exp(MIDDLE + spread * rng.standard_normal(n)), dtype=np.float64)


def clean(n: int, kind: str = "lognormal") -> Make:
    """Return what draws a study in which nothing is amiss."""

    def make(rng: np.random.Generator) -> pd.DataFrame:
        times = usual(rng, n)
        if kind == "slow mode":
            times = times * np.where(rng.random(n) < 0.08, 3.0, 1.0)
        if kind == "Pareto":
            times = 800 * (1 + rng.pareto(1.2, n))
        if kind == "failures":
            outcome = np.where(rng.random(n) < 0.05, "timeout", "placed").astype(object)
            return study(times, outcome=outcome)
        if kind == "whole ms":
            times = times.round(-1)
        if kind == "two merchants":
            return study(times, domain=np.where(rng.random(n) < 0.5, "a.test", "b.test"))
        if kind == "ten runs":
            return study(times, run_id=[f"run {i * 10 // n}" for i in range(n)])
        return study(times)

    return make


def slow_part(n: int, begin: int, length: int, factor: float) -> Make:
    """Return what draws a run of which some orders in a row are slower."""

    def make(rng: np.random.Generator) -> pd.DataFrame:
        times = usual(rng, n)
        times[begin : begin + length] *= factor
        return study(times)

    return make


def failing_part(n: int) -> Make:
    """Return what draws a run of which a tenth fails in half of the orders."""

    def make(rng: np.random.Generator) -> pd.DataFrame:
        outcome = np.full(n, "placed", dtype=object)
        bad = slice(n // 3, n // 3 + n // 10)
        outcome[bad] = np.where(rng.random(n // 10) < 0.5, "timeout", "placed")
        return study(usual(rng, n), outcome=outcome)

    return make


def alike(n: int, rho: float) -> Make:
    """Return what draws a run whose neighbouring orders are alike."""
    return lambda rng: study(np.exp(MIDDLE + SPREAD * latent(rng, n, rho)))


def mixed(n: int, factor: float) -> Make:
    """Return what draws orders of two merchants of which one is slower."""

    def make(rng: np.random.Generator) -> pd.DataFrame:
        is_slow = rng.random(n) < 0.5
        times = usual(rng, n) * np.where(is_slow, factor, 1.0)
        return study(times, domain=np.where(is_slow, "slow.test", "quick.test"))

    return make


CLEAN = {
    f"{kind}, n = {n}": clean(n, kind)
    for kind in (
        "lognormal", "slow mode", "Pareto", "whole ms", "failures", "two merchants", "ten runs",
    )
    for n in (60, 100, 400)
}  # fmt: skip
AMISS = {
    "Dependence": {
        f"AR(1) {rho}, n = {n}": alike(n, rho) for rho in (0.2, 0.4, 0.6) for n in (60, 100, 400)
    },
    "Bad tenth": {
        **{
            f"{factor} times slower, n = {n}": slow_part(n, n // 3, n // 10, factor)
            for factor in (1.6, 2.7)
            for n in (60, 100, 400)
        },
        **{f"half of it fails, n = {n}": failing_part(n) for n in (100, 400)},
    },
    "Warm-up of 5 orders": {
        f"{factor} times slower, n = {n}": slow_part(n, 0, 5, factor)
        for factor in (1.5, 2.0)
        for n in (20, 100, 400)
    },
    "Mixed merchants": {
        f"{factor} times slower, n = {n}": mixed(n, factor)
        for factor in (1.3, 1.6)
        for n in (60, 400)
    },
}  # fmt: skip


def spoken(make: Make, studies: int, seed: int = 1) -> Counter[str]:
    """Return in how many studies each rule speaks."""
    rng = np.random.default_rng(seed)
    found: Counter[str] = Counter()
    for _ in range(studies):
        found.update(said.split(":")[0] for said in chain.from_iterable(rules(make(rng))))
    return found


def main() -> None:
    """Print how often rules speak where nothing is amiss, and where something is."""
    studies = int(sys.argv[1]) if len(sys.argv) > 1 else 300
    for name, make in CLEAN.items():
        said = spoken(make, studies)
        shares = ", ".join(f"{rule} {100 * k / studies:.2f} %" for rule, k in said.items())
        print(f"clean, {name}: {shares or 'silent'}", flush=True)
    for rule, cases in AMISS.items():
        for name, make in cases.items():
            print(
                f"{rule}, {name}: {100 * spoken(make, studies)[rule] / studies:.0f} %", flush=True
            )


if __name__ == "__main__":
    main()
