"""Against the simulator's own delay distributions: intervals and verdicts are right so often.

Orders are drawn from the simulator's profiles, in memory, so that hundreds of studies take
seconds; the truth is the profiles' own, from a sample so large that its error does not matter.
Intervals from order statistics are never below their level; above it they are by the steps of the
binomial distribution, which for p50, p90 and p95 and from 72 orders on is at most two points.
"""

import random

import numpy as np
import pytest

from firmly_nb.latency.quantiles import quantiles
from firmly_nb.sim.behaviour import PROFILES, draw

REPETITIONS = 400
ORDERS = 150  # of each side of a comparison
PS = (0.5, 0.9, 0.95)


@pytest.mark.parametrize("profile", ["typical", "slow-shipping"])
def test_orders_drawn_here_are_those_of_the_simulator(delays, profile):
    simulated = [
        [ms for _, ms in draw(PROFILES[profile], random.Random(i), 1)] for i in range(4000)
    ]
    drawn = delays(np.random.default_rng(1), 200_000, profile)
    for ours, theirs in zip(drawn.T, np.array(simulated).T, strict=True):
        assert np.quantile(theirs, PS) == pytest.approx(np.quantile(ours, PS), rel=0.05)
    assert np.quantile(np.sum(simulated, axis=1), PS) == pytest.approx(
        np.quantile(drawn.sum(axis=1), PS), rel=0.05
    )


@pytest.mark.parametrize("profile", ["typical", "slow-shipping", "bimodal"])
@pytest.mark.parametrize("n", [72, 200])
def test_intervals_cover_the_true_quantiles_in_93_to_99_of_100(delays, profile, n):
    rng = np.random.default_rng(11)
    truth = np.quantile(delays(rng, 1_000_000, profile).sum(axis=1), PS)
    covered = np.zeros(len(PS))
    for _ in range(REPETITIONS):
        found = quantiles(delays(rng, n, profile).sum(axis=1), PS)
        covered += [q.low <= true <= q.high for q, true in zip(found, truth, strict=True)]
    shares = covered / REPETITIONS
    assert (shares >= 0.93).all(), shares
    assert (shares <= 0.99).all(), shares
