"""Against the simulator's own delay distributions: intervals and verdicts are right so often.

Orders are drawn from the simulator's profiles, in memory, so that hundreds of studies take
seconds; the truth is the profiles' own, from a sample so large that its error does not matter.
Intervals from order statistics are never below their level; above it they are by the steps of the
binomial distribution, which for p50, p90 and p95 and from 72 orders on is at most two points.
"""

import random

import numpy as np
import pytest
from scipy.stats import binom

from firmly_nb.latency.compare import LEVEL, UNDECIDED, compare, newcombe
from firmly_nb.latency.effect import effect, logs
from firmly_nb.latency.quantiles import quantiles
from firmly_nb.latency.shares import share
from firmly_nb.sim.behaviour import PROFILES, STAGES, draw

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


def outcomes_of(rng, n, success=0.97):
    return np.where(rng.random(n) < success, "placed", "timeout")


def verdict_of(delays, tables, rng, profile="typical", slower=None, n=ORDERS):
    a = tables(delays(rng, n, profile), outcomes_of(rng, n))
    b = tables(delays(rng, n, profile, slower), outcomes_of(rng, n))
    return compare(a[1], a[2], b[1], b[2])


def changes(found):
    told = [one.stage for one in (found.order, *found.differences) if one.verdict in CHANGES]
    return told + [found.success.verdict] * ("placed" in found.success.verdict)


CHANGES = ("slower", "faster")


def drawn(delays, rng, slower=None):
    """The times of one side: which orders were placed, and of each stage those who passed it."""
    times = delays(rng, ORDERS, slower=slower)
    placed = outcomes_of(rng, ORDERS) == "placed"
    reached = [times[:, column] if column < 2 else times[placed, column] for column in range(4)]
    return times, placed, [times[placed].sum(axis=1), *reached]


def is_called_different(a, b, level=LEVEL):
    """Whether anything at all is: the tests themselves, without tables and intervals."""
    each = 1 - (1 - level) / 6
    sides = zip(a[2], b[2], strict=True)
    if any(effect(logs(one), logs(other)).rejects(each) for one, other in sides):
        return True
    rates = newcombe(*(share(int(side[1].sum()), ORDERS, each) for side in (a, b)))
    return rates.verdict != UNDECIDED


def told_by_compare(tables, a, b):
    both = [tables(times, np.where(placed, "placed", "timeout")) for times, placed, _ in (a, b)]
    return bool(changes(compare(both[0][1], both[0][2], both[1][1], both[1][2])))


def test_comparing_calls_different_what_its_tests_call_different(delays, tables):
    rng = np.random.default_rng(20)
    for n in range(40):
        slower = {"item-added": 1.12, "creating-cart": 0.92} if n % 2 else None
        a, b = drawn(delays, rng), drawn(delays, rng, slower)
        assert told_by_compare(tables, a, b) == is_called_different(a, b)


def test_of_200_equal_pairs_at_most_5_of_100_have_any_false_verdict(delays, tables):
    """A pair counts if the order, any stage or success is called changed.

    Of 20,000 pairs 1.6 in 100 were, so of 200 it is more than ten once in 2,000 times.
    """
    rng = np.random.default_rng(21)
    pairs = [(drawn(delays, rng), drawn(delays, rng)) for _ in range(200)]
    assert sum(is_called_different(a, b) for a, b in pairs) <= 10


def test_the_rate_of_false_verdicts_is_below_5_in_100(delays):
    """So few of 3,000 would be wrong in 1 of 1,000 such tests, were the rate 5 in 100 or more."""
    rng = np.random.default_rng(22)
    pairs = 3000
    wrong = sum(is_called_different(drawn(delays, rng), drawn(delays, rng)) for _ in range(pairs))
    assert wrong <= binom.ppf(0.001, pairs, 0.05)


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_that_became_30_percent_slower_is_found_and_named(delays, tables, stage):
    """With 150 orders on each side, in at least 95 of 100."""
    rng = np.random.default_rng(13)
    named = 0
    for _ in range(60):
        found = verdict_of(delays, tables, rng, slower={stage: 1.3})
        told = {one.stage: one.verdict for one in found.differences}
        named += told[stage] == "slower" and f"{stage} is slower" in found.verdict
    assert named >= 57


def test_with_unequal_spread_and_size_false_verdicts_stay_rare(delays, tables):
    """Where Mann and Whitney's test gives 14 of 100."""
    rng = np.random.default_rng(14)
    wrong = 0
    for _ in range(100):
        narrow = np.full((150, 4), 250.0) * np.exp(0.1 * rng.standard_normal((150, 1)))
        wide = np.full((40, 4), 250.0) * np.exp(0.5 * rng.standard_normal((40, 1)))
        a, b = tables(narrow), tables(wide)
        wrong += bool(changes(compare(a[1], a[2], b[1], b[2])))
    assert wrong <= 5
