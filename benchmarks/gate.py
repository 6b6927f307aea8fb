"""Count how often a gate passes equal releases and fails worse ones, at the sizes of a plan.

``python -m benchmarks.gate`` draws studies from a known truth: four stages, log-normal, both
releases in turns in one run. ``fnb.plan(..., change=0.10, power=0.95)`` says how many orders a side
they have. Each goes through ``compare`` and the gate's rule. The table is written to
``docs/benchmarks-gate.md``. ``--studies 400`` draws more of each kind.
"""

from __future__ import annotations

import argparse
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd

import firmly_nb as fnb
from firmly_nb.display.text import percent, percent_interval
from firmly_nb.latency import share
from firmly_nb.latency.gate import gate

PAGE = Path(__file__).resolve().parents[1] / "docs" / "benchmarks-gate.md"
NAMES = ["creating-cart", "item-added", "shipping-updated", "order-placed"]
MEDIANS_MS = np.array([100.0, 300.0, 400.0, 200.0])
SIGMA = 0.25  # of the log of a stage's time
PLACED = 0.98
BEGIN = pd.Timestamp("2026-01-05T09:00Z")
KINDS = {
    "equal": {},
    "every order 10% slower, the margin": {"factor": 1.10},
    "every order 15% slower": {"factor": 1.15},
    "every order 20% slower": {"factor": 1.20},
    "15 of 100 orders three times as long": {"tail": 0.15},
    "15 points fewer placed": {"placed": PLACED - 0.15},
}


def orders(
    rng: np.random.Generator,
    places: np.ndarray,
    name: str,
    *,
    factor: float = 1.0,
    tail: float = 0.0,
    placed: float = PLACED,
) -> fnb.Recordings:
    """Draw orders of one release; each is started at its place, in seconds."""
    n = len(places)
    times = MEDIANS_MS * np.exp(SIGMA * rng.standard_normal((n, 4))) * factor
    times *= np.where(rng.random((n, 1)) < tail, 3.0, 1.0)
    ids = [f"{name}{place}" for place in places]
    is_placed = rng.random(n) < placed
    came = np.repeat(is_placed, 4) | (np.arange(4 * n) % 4 < 2)
    events = pd.DataFrame(
        {
            "recording_id": np.repeat(ids, 4),
            "event": NAMES * n,
            "t_ms": np.cumsum(times, axis=1).ravel(),
        }
    )
    told = pd.DataFrame(
        {
            "recording_id": ids,
            "run_id": "one",
            "domain": "a.test",
            "n_items": 1,
            "outcome": np.where(is_placed, "placed", "timeout"),
            "started_at": BEGIN + pd.to_timedelta(places, unit="s"),
        }
    )
    return fnb.from_events(events[came], told)


def size(rng: np.random.Generator, power: float = 0.95) -> int:
    """Return how many orders a side a plan asks for, from 400 earlier orders."""
    return fnb.plan(orders(rng, np.arange(400), "p"), change=0.10, power=power).orders


def codes(rng: np.random.Generator, n: int, studies: int, **truth: float) -> Counter[int]:
    """Return how many studies end with each exit code of a gate."""
    found: Counter[int] = Counter()
    for _ in range(studies):
        places = rng.permutation(2 * n)
        a = orders(rng, np.sort(places[:n]), "a")
        b = orders(rng, np.sort(places[n:]), "b", **truth)
        found[gate(a.compare(b), None).exit_code] += 1
    return found


def main() -> None:
    """Draw, print and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--studies", type=int, default=50)
    parser.add_argument("--seed", type=int, default=19)
    asked = parser.parse_args()
    rng = np.random.default_rng(asked.seed)
    n = size(rng)
    lines = ["| truth | passes | fails | cannot tell |", "| --- | --- | --- | --- |"]
    for kind, truth in KINDS.items():
        found = codes(rng, n, asked.studies, **truth)
        shares = (share(found[code], asked.studies) for code in (0, 1, 3))
        cells = [f"{percent(one.share)} ({percent_interval(one.low, one.high)})" for one in shares]
        lines.append(f"| {kind} | {' | '.join(cells)} |")
        print(lines[-1], flush=True)
    page = f"""# What a gate decides at the size of a plan

`fnb.plan(recs, change=0.10, power=0.95)` asks for {n} orders a side, from 400 earlier orders.
{PLACED:.0%} of them are placed, and a stage's log times are spread by {SIGMA}. So many are drawn of
both releases, in turns in one run, {asked.studies} times of each kind. The [margins](gate.md) are
10%, 5 points, 5 points.

`python -m benchmarks gate --studies {asked.studies}` wrote this page, with seed {asked.seed}.

{chr(10).join(lines)}

The times are drawn, not recorded. In brackets are 95% confidence intervals.
"""
    PAGE.write_text(page, "utf-8")


if __name__ == "__main__":
    main()
