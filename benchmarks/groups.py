"""Groups beside each other: how often all intervals hold and the right merchant is named.

Sets of orders with a known truth go through ``recs.by("domain").latency()``'s function. The table
is printed and written to ``docs/benchmarks-groups.md``. ``--sets`` says how many of each kind.
"""

from __future__ import annotations

import argparse
import platform
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import ndtri

from firmly_nb.latency.groups import Keys, grouped_latency
from tests.latency.studies import MEDIANS_MS, NAMES, SIGMA, delays, tables

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

PAGE = Path(__file__).parent.parent / "docs" / "benchmarks-groups.md"
PS = (0.5, 0.9, 0.95)
MERCHANTS = ("a.test", "b.test", "c.test")
RUN_SPREAD = 0.65 * SIGMA  # ICC 0.3: of a run's level, beside the spread of its orders
# Name, runs, orders of a merchant in a run, spread of runs, and how many times c.test takes.
CASES = (
    ("1 run of 150 a merchant, all equal", 1, 150, 0.0, 1.0),
    ("10 runs of 20 a merchant, all equal", 10, 20, 0.0, 1.0),
    ("10 runs of 20 a merchant, ICC 0.3, all equal", 10, 20, RUN_SPREAD, 1.0),
    ("1 run of 150 a merchant, one takes 1.2 times as long", 1, 150, 0.0, 1.2),
    ("10 runs of 20 a merchant, ICC 0.3, one takes 1.2 times as long", 10, 20, RUN_SPREAD, 1.2),
)


def truths(spread: float, factor: float) -> dict[str, Floats]:
    """Return the true quantiles of each stage and of the order, for one merchant."""
    z = ndtri(np.array(PS))
    wide = float(np.hypot(SIGMA, spread))
    found = {
        name: factor * median * np.exp(wide * z)
        for name, median in zip(NAMES, MEDIANS_MS, strict=True)
    }
    rng = np.random.default_rng(99)
    drawn = delays(rng, 400_000) * np.exp(spread * rng.standard_normal((400_000, 1)))
    return {**found, "order": factor * np.quantile(drawn.sum(axis=1), PS)}


def one_set(
    rng: np.random.Generator, runs: int, each: int, spread: float, factor: float
) -> tuple[list[bool], str | None]:
    """Draw a set, and return which intervals hold the truth and which merchant is named."""
    size = len(MERCHANTS) * each
    merchant = np.concatenate([rng.permutation(np.arange(size) % 3) for _ in range(runs)])
    level = np.exp(np.repeat(spread * rng.standard_normal(runs), size))
    slow = np.where(merchant == len(MERCHANTS) - 1, factor, 1.0)
    made = tables(
        delays(rng, runs * size, factor=level * slow),
        ids="r",
        run_id=np.repeat([f"run {run}" for run in range(runs)], size),
        started_s=np.concatenate([3600 * run + np.arange(size) for run in range(runs)]),
        domain=np.array(MERCHANTS)[merchant],
    )
    keys = Keys(("domain",), tuple((name,) for name in MERCHANTS), merchant.astype(np.intp))
    found = grouped_latency(made, keys, quantiles=PS)
    held = []
    for at, rows in enumerate(found.intervals):
        true = truths_of(spread, factor if at == len(MERCHANTS) - 1 else 1.0)
        for stage, estimates in rows.items():
            if stage in true:
                held += [
                    one.low <= value <= one.high
                    for one, value in zip(estimates.quantiles, true[stage], strict=True)
                ]
    return held, found.slowest


KNOWN: dict[tuple[float, float], dict[str, Floats]] = {}


def truths_of(spread: float, factor: float) -> dict[str, Floats]:
    """Return the truths, drawn once."""
    if (spread, factor) not in KNOWN:
        KNOWN[spread, factor] = truths(spread, factor)
    return KNOWN[spread, factor]


def page(sets: int) -> str:
    """Measure each case and return the page."""
    began, rows = time.perf_counter(), []
    for name, runs, each, spread, factor in CASES:
        rng = np.random.default_rng(18)
        found = [one_set(rng, runs, each, spread, factor) for _ in range(sets)]
        held = np.array([one for one, _ in found])
        right = MERCHANTS[-1] if factor > 1 else None
        named = sum(one == right for _, one in found) if right else 0
        wrong = sum(one is not None and one != right for _, one in found)
        cells = (
            name,
            f"{held.shape[1]}",
            f"{100 * held.all(axis=1).mean():.1f}",
            f"{100 * held.mean():.2f}",
            f"{100 * named / sets:.1f}" if right else "-",
            f"{100 * wrong / sets:.1f}",
        )
        rows.append(f"| {' | '.join(cells)} |")
        print(rows[-1], flush=True)
    minutes = f"{(time.perf_counter() - began) / 60:.0f}"
    error = f"{100 * (0.05 * 0.95 / sets) ** 0.5:.1f}"
    return "\n".join(
        [
            "# Groups: how often all intervals hold",
            "",
            'How often are all intervals of `recs.by("domain").latency()` right, and is the slow',
            "merchant named? Sets of three merchants that take turns are drawn from a known truth.",
            "Orders have four stages; the table has p50, p90 and p95 of each and of the order.",
            "[Statistics](statistics.md#groups) has the definitions.",
            "",
            f"Written by `python -m benchmarks.groups`: {sets:,} sets of each in {minutes} min.",
            f"Python {platform.python_version()}. The standard error of a share of 95% is {error}",
            "points. All shares are in percent.",
            "",
            "At least 95% of the tables must be right as a whole. A wrong name is that of another",
            "merchant, or of any where all are equal; at most 5% are wanted.",
            "",
            "| sets | intervals | all of them right | each right | slow one named | wrong name |",
            "| --- | ---: | ---: | ---: | ---: | ---: |",
            *rows,
            "",
        ]
    )


def main() -> None:
    """Measure, print, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sets", type=int, default=200, help="sets of each kind")
    parser.add_argument("--page", type=Path, default=PAGE, help="where the page is written")
    asked = parser.parse_args()
    asked.page.write_text(page(max(asked.sets, 2)), encoding="utf-8")
    print(f"\nwritten to {asked.page}")


if __name__ == "__main__":
    main()
