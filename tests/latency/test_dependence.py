"""Orders that are not independent: what counts as one observation, and intervals that know it."""

import itertools
import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.proportion import proportion_confint
from statsmodels.tsa.stattools import acf

from benchmarks.dependent_orders import (
    SUCCESSES,
    TIMES,
    autoregressive,
    latent,
    outages,
    runs_apart,
    successes_held,
    times_held,
)
from firmly_nb.latency.dependence import (
    Dependence,
    Units,
    basis_words,
    dependence_of_shares,
    dependence_of_times,
    error_over,
    kruskal_wallis,
    quantiles_over,
    shares_differ,
    units_of,
)
from firmly_nb.latency.quantiles import quantile
from firmly_nb.latency.shares import (
    funnel,
    outcome_table,
    success_over,
    success_rate,
    wilson,
)
from firmly_nb.neighbours import neighbours_alike, ranked

PS = (0.5, 0.9, 0.95)


def seeded(seed=1):
    return np.random.default_rng(seed)


def in_runs(*sizes):
    return Units(np.repeat(np.arange(len(sizes)), sizes))


def wavy(n):
    """Return times whose neighbours are alike."""
    return autoregressive(seeded(), n, 0.8).values


# The tests, against independent references.


@given(st.lists(st.integers(0, 9), min_size=1, max_size=60))
def test_ranks_are_those_of_scipy(values):
    assert ranked(np.array(values, float)).tolist() == stats.rankdata(values).tolist()
    assert ranked(np.array([])).tolist() == []


@pytest.mark.parametrize("n", [20, 61, 400])
def test_the_likeness_of_neighbours_is_the_autocorrelation_of_ranks(n):
    series = latent(seeded(n), n, 0.3).round(1)
    r = acf(stats.rankdata(series), nlags=1)[1]
    score, correlation = neighbours_alike([series])
    assert score == pytest.approx(math.sqrt(n) * (r + 1 / n))
    assert correlation == pytest.approx(r)


def test_too_few_or_equal_orders_are_never_found_alike():
    assert neighbours_alike([np.arange(19.0)]) == (0.0, 0.0)
    assert neighbours_alike([np.ones(50)]) == (0.0, 0.0)
    assert neighbours_alike([np.arange(20.0)])[0] > 2.326


@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 2)), min_size=9, max_size=50))
def test_differences_between_runs_are_tested_as_scipy_does(pairs):
    values = np.array([x for x, _ in pairs], float)
    codes = np.unique([run for _, run in pairs], return_inverse=True)[1]
    groups = [values[codes == run] for run in range(codes.max() + 1)]
    if len(groups) > 1 and len(set(values)) > 1:
        assert kruskal_wallis(values, codes) == pytest.approx(stats.kruskal(*groups).pvalue)
    else:
        assert kruskal_wallis(values, codes) == 1.0


def test_the_chance_of_shares_that_differ_is_near_that_of_the_exact_test():
    for found in ([9, 5], [10, 10], [3, 10], [10, 7]):
        table = [found, [10 - k for k in found]]
        expected = stats.fisher_exact(table).pvalue
        assert shares_differ(np.array(found), np.array([10, 10])) == pytest.approx(
            expected, abs=0.05
        )
    many = stats.binom.rvs(40, 0.5, size=1200, random_state=1)
    chance = stats.chi2_contingency([many, 40 - many]).pvalue
    assert shares_differ(many, np.full(1200, 40)) == pytest.approx(chance, abs=0.1)


# Which unit counts.


@pytest.mark.parametrize(
    ("n", "unit", "units"), [(39, "none", 0), (40, "batches", 8), (79, "batches", 8),
                             (80, "batches", 10), (400, "batches", 10)]
)  # fmt: skip
def test_orders_of_one_run_whose_neighbours_are_alike_are_put_into_batches(n, unit, units):
    found = dependence_of_times(np.arange(float(n)), Units())
    assert (found.unit, found.units) == (unit, units)
    if unit == "batches":
        sizes = np.bincount(found.codes)
        assert len(sizes) == units
        assert sizes.max() - sizes.min() <= 1
        assert (np.diff(found.codes) >= 0).all()
    else:
        assert found.way == (
            "not estimable: neighbouring orders are alike; 40 are needed, there are 39"
        )


@pytest.mark.parametrize("seed", range(5))
def test_neighbours_are_orders_that_started_after_one_another(seed):
    """The order of rows is nothing: only when orders started is."""
    made, shuffle = wavy(200), seeded(seed).permutation(200)
    started = pd.Timestamp("2026-01-05", tz="UTC") + pd.to_timedelta(np.arange(200), unit="s")
    orders = pd.DataFrame({"started_at": started, "time": made}).iloc[shuffle]
    told = quantiles_over(orders["time"], PS, units_of(orders))
    assert told.quantiles == quantiles_over(made, PS, Units()).quantiles
    assert told.dependence.unit == "batches"
    plain = quantiles_over(orders["time"], PS, Units())
    assert plain.dependence.unit == "orders"


@pytest.mark.parametrize(("n", "words"), [(99, "for independent orders"), (100, "exact")])
def test_intervals_are_exact_from_a_hundred_independent_orders_of_one_run(n, words):
    values = np.resize([5.0, 1.0, 4.0, 2.0, 3.0], n)
    found = quantiles_over(values, PS, Units())
    assert found.dependence.way == f"{words}, for this run only"
    assert found.quantiles == [quantile(values, p) for p in PS]


@pytest.mark.parametrize(("shift", "unit"), [(0.0, "orders"), (3.0, "none")])
def test_two_to_four_runs_have_intervals_if_they_are_alike(shift, unit):
    first, second = [5.0, 1, 4, 2, 3], [1.0, 5, 2, 4, 3]
    values = np.concatenate([np.resize(first, 50), np.resize(second, 50) + shift])
    found = quantiles_over(values, PS, in_runs(50, 50))
    assert found.dependence.unit == unit
    assert found.dependence.scope == "for these 2 runs only"
    if unit == "none":
        assert found.dependence.way == ("not estimable: runs differ; 5 are needed, there are 2")
        assert [str(q) for q in found.quantiles] == [
            "not estimable: runs differ; 5 are needed, there are 2"
        ] * 3
    else:
        assert not found.dependence.exact
        assert found.quantiles == [quantile(values, p) for p in PS]


def test_neighbours_that_are_alike_within_few_runs_leave_no_interval():
    values = np.tile(np.arange(40.0), 3)
    found = dependence_of_times(values, in_runs(40, 40, 40))
    assert found.way == (
        "not estimable: neighbouring orders are alike; 5 runs are needed, there are 3"
    )


def test_from_five_runs_on_the_run_is_the_unit_whatever_the_orders_show():
    values = np.resize([5.0, 1.0, 4.0, 2.0, 3.0], 100)
    assert dependence_of_times(values, in_runs(*[20] * 5)).unit == "runs"
    assert dependence_of_shares(values > 1, in_runs(*[20] * 5)).unit == "runs"
    assert dependence_of_times(values, in_runs(*[25] * 4)).unit == "orders"


def test_runs_without_a_time_do_not_count():
    values = np.concatenate([np.resize([5.0, 1.0, 4.0, 2.0, 3.0], 100), np.full(20, np.nan)])
    found = quantiles_over(values, PS, in_runs(*[20] * 6)).dependence
    assert (found.unit, found.runs, found.n) == ("runs", 5, 100)
    assert quantiles_over(values, PS, in_runs(100, 20)).dependence.way.startswith("exact")


def test_a_mix_of_merchants_that_changes_is_no_likeness_of_neighbours():
    rng = seeded()
    quick, slow = rng.lognormal(6, 0.1, 100), rng.lognormal(7, 0.1, 100)
    orders = pd.DataFrame({"domain": np.repeat(["a.test", "b.test"], 100)})
    both = np.concatenate([quick, slow])
    assert dependence_of_times(both, Units()).unit == "batches"
    assert dependence_of_times(both, units_of(orders)).unit == "orders"
    items = pd.DataFrame({"domain": "a.test", "n_items": np.repeat([1, 2], 100)})
    assert dependence_of_times(both, units_of(items)).unit == "orders"
    hosts = pd.DataFrame({"domain": "a.test", "host": np.repeat(["paris", "tokyo"], 100)})
    assert dependence_of_times(both, units_of(hosts)).unit == "orders"
    one_machine = pd.DataFrame({"domain": "a.test", "host": [None] * 200})
    assert dependence_of_times(both, units_of(one_machine)).unit == "batches"


def test_kinds_of_few_orders_are_put_together():
    orders = pd.DataFrame(
        {"domain": ["a"] * 8 + ["b"] * 6 + ["c", "d"], "n_items": [1] * 5 + [2, 3, 4] + [1] * 8}
    )
    kinds = units_of(orders).kinds
    groups = [sorted(np.flatnonzero(kinds == kind).tolist()) for kind in np.unique(kinds)]
    assert sorted(groups) == [
        [0, 1, 2, 3, 4], [5, 6, 7, 14, 15], [8, 9, 10, 11, 12, 13],
    ]  # fmt: skip
    assert units_of(orders.iloc[:5]).kinds is None
    assert units_of(orders.iloc[:0]).kinds is None


@pytest.mark.parametrize("runs", [1, 3])
@pytest.mark.parametrize("alike", [False, True])
def test_a_very_long_run_is_looked_at_in_stretches_of_neighbours(runs, alike):
    """In any order of rows, and with gaps where orders have no time."""
    n, rng = 90_000, seeded(4)
    series = latent(rng, n, 0.3 if alike else 0.0)
    shuffle = rng.permutation(n)
    started = pd.Timestamp("2026-01-05", tz="UTC") + pd.to_timedelta(np.arange(n), unit="s")
    orders = pd.DataFrame({"started_at": started, "run_id": np.arange(n) * runs // n})
    flags = rng.random(n) < 0.9
    for rows in (np.arange(n), shuffle):
        units = units_of(orders.iloc[rows])
        told = dependence_of_times(series[rows][flags[rows]], units.of(flags[rows]))
        assert (told.unit == "orders") == (not alike)
        assert told.n == flags.sum()
        if runs == 1 and alike:
            place = np.arange(n)[rows][flags[rows]]
            edges = [place[told.codes == code] for code in range(10)]
            assert all(a.max() < b.min() for a, b in itertools.pairwise(edges))


# Intervals, against the formulas written out.


def by_hand(values, codes, p, level=0.95):
    x, n = np.sort(values), len(values)
    q = np.quantile(values, p)
    shares = np.array([(values[codes == j] <= q).mean() for j in range(codes.max() + 1)])
    u = len(shares)
    se = max(shares.std(ddof=1) / math.sqrt(u), math.sqrt(p * (1 - p) / n))
    h = stats.t.ppf(0.5 + level / 2, u - 1) * se
    first, last = math.floor(n * (p - h)), math.ceil(n * (p + h)) + 1
    low = x[first - 1] if first >= 1 else -math.inf
    return low, x[last - 1] if last <= n else math.inf, p * (1 - p) / se**2


@pytest.mark.parametrize("level", [0.8, 0.95])
@pytest.mark.parametrize("runs", [5, 8, 20])
def test_the_interval_over_runs_is_the_formula_written_out(runs, level):
    made = runs_apart(seeded(runs), runs)
    for q in quantiles_over(made.values, PS, made.units, level).quantiles:
        low, high, worth = by_hand(made.values, made.units.runs, q.p, level)
        assert (q.low, q.high) == (low, high)
        assert q.worth == pytest.approx(worth)
        if q.estimable:
            assert q.estimate == pytest.approx(np.quantile(made.values, q.p))


def test_the_interval_over_batches_is_the_formula_written_out():
    values = wavy(400)
    found = quantiles_over(values, PS, Units())
    for q in found.quantiles:
        assert (q.low, q.high, q.worth) == pytest.approx(by_hand(values, np.arange(400) // 40, q.p))
    assert found.quantiles[0].worth < 200


@given(st.lists(st.integers(1, 30), min_size=2, max_size=9), st.integers(0, 10**6))
def test_the_error_of_runs_of_unequal_size_is_that_of_leaving_each_out(sizes, seed):
    sizes = np.array(sizes)
    found = seeded(seed).binomial(sizes, 0.7)
    left = [(found.sum() - k) / (sizes.sum() - m) for k, m in zip(found, sizes, strict=True)]
    whole = found.sum() / sizes.sum()
    u = len(sizes)
    expected = (u - 1) / u * sum((one - whole) ** 2 for one in left)
    assert error_over(found, sizes) ** 2 == pytest.approx(expected, abs=1e-12)


def test_an_interval_that_stays_open_says_how_many_runs_or_orders_would_close_it():
    few = runs_apart(seeded(2), 5)
    p95 = quantiles_over(few.values, [0.95], few.units).quantiles[0]
    assert not p95.estimable
    assert math.isnan(p95.estimate)
    assert p95.why.endswith("runs are needed, there are 5")
    assert str(p95).endswith(f"(not estimable: {p95.why})")
    one = quantiles_over(wavy(100), [0.95], Units()).quantiles[0]
    assert one.why.startswith("about ")
    assert one.why.endswith(" orders are needed, there are 100")


def test_one_long_run_among_short_ones_makes_no_interval_narrow():
    """Its weight is nearly all; that it agrees with itself tells nothing of other runs."""
    rng = seeded(3)
    codes = np.repeat(np.arange(5), [1000, 10, 10, 10, 10])
    levels = np.array([0.0, 0.5, -0.5, 0.5, -0.5])
    values = np.exp(levels[codes] + 0.2 * rng.standard_normal(len(codes)))
    found = quantiles_over(values, [0.5], Units(codes)).quantiles[0]
    assert not found.estimable
    flags = rng.random(len(codes)) < 0.9
    rate = success_over(flags, Units(codes))
    assert rate.high - rate.low > 0.5


# Success.


def test_success_over_runs_that_do_not_differ_is_wilsons_interval_with_students_factor():
    codes, flags = np.repeat(np.arange(8), 25), np.ones(200, bool)
    for run, failures in enumerate([1, 3, 2, 4, 1, 3, 5, 1]):
        flags[25 * run : 25 * run + failures] = False
    found = success_over(flags, Units(codes))
    shares = flags.reshape(8, 25).mean(axis=1)
    p = flags.mean()
    worth = 200 / max(1, shares.var(ddof=1) / 8 / (p * (1 - p) / 200))
    alpha = 2 * stats.norm.sf(stats.t.ppf(0.975, 7))
    expected = proportion_confint(p * worth, worth, alpha, method="wilson")
    assert (found.low, found.high) == pytest.approx(expected)
    assert found.worth == pytest.approx(worth)
    assert found.dependence.way == "from 8 runs, for runs like these"


def test_success_over_runs_that_differ_allows_for_one_more_run_of_any_kind():
    made = outages(seeded(5), 10)
    flags = made.values > 0
    shares = flags.reshape(10, 30).mean(axis=1)
    assert shares.min() < 0.5 < shares.max()
    found = success_over(flags, made.units)
    weights = seeded(99).dirichlet(np.ones(11), 200_000)
    low = np.quantile(weights @ [*shares, 0.0], 0.025)
    high = np.quantile(weights @ [*shares, 1.0], 0.975)
    assert (found.low, found.high) == pytest.approx((low, high), abs=0.02)
    assert success_over(flags, made.units) == found


def test_success_of_very_many_runs_that_differ_is_as_that_of_many():
    rng = seeded(6)
    rates = rng.choice([0.5, 1.0], 1500)
    flags = rng.random((1500, 10)) < rates[:, None]
    found = success_over(flags.ravel(), in_runs(*[10] * 1500))
    shares = flags.mean(axis=1)
    half = 1.96 * shares.std() / math.sqrt(1500)
    assert found.low == pytest.approx(flags.mean() - half, abs=0.002)
    assert found.high == pytest.approx(flags.mean() + half, abs=0.002)


@pytest.mark.parametrize("flag", [True, False])
@pytest.mark.parametrize("sizes", [(60,), (30, 30), [12] * 5])
def test_success_that_is_the_same_everywhere_has_wilsons_interval(flag, sizes):
    found = success_over(np.full(60, flag), in_runs(*sizes))
    assert (found.low, found.high) == tuple(map(float, wilson(60 * flag, 60)))


def test_failures_that_follow_one_another_are_worth_fewer_orders():
    flags = np.ones(200, bool)
    flags[80:110] = False
    found = success_over(flags, Units())
    assert found.dependence.unit == "batches"
    plain = [float(end) for end in wilson(170, 200)]
    assert found.low < plain[0] < plain[1] < found.high
    assert found.worth < 60


def test_outcomes_of_few_runs_that_differ_have_no_interval():
    orders = pd.DataFrame(
        {"outcome": ["placed"] * 30 + ["timeout", "placed"] * 15, "run_id": ["a"] * 30 + ["b"] * 30}
    )
    found = success_rate(orders)
    assert (found.low, found.high) == (0.0, 1.0)
    assert str(found) == ("75.0% (not estimable: runs differ; 5 are needed, there are 2; 45 of 60)")
    assert outcome_table(orders)[["low", "high"]].to_numpy().tolist() == [[0, 1], [0, 1]]


def test_the_funnel_allows_for_runs_as_the_success_rate_does():
    made = outages(seeded(5), 10)
    placed = made.values > 0
    ids = [f"r{i}" for i in range(len(placed))]
    orders = pd.DataFrame(
        {
            "recording_id": ids,
            "run_id": [f"run {code}" for code in made.units.runs],
            "outcome": np.where(placed, "placed", "timeout"),
        }
    )
    stages = pd.DataFrame(
        {
            "recording_id": np.repeat(ids, 2),
            "to_milestone": ["cart", "done"] * len(ids),
            "end_ms": np.column_stack([np.ones(len(ids)), np.where(placed, 2.0, np.nan)]).ravel(),
        }
    )
    rate, last = success_rate(orders), funnel(stages, orders).iloc[-1]
    assert (last["low"], last["high"]) == (rate.low, rate.high)
    assert (last["share_low"], last["share_high"]) == (rate.low, rate.high)
    assert funnel(stages, orders)["conversion"].iloc[0] == 1.0


# The words.


def test_what_may_be_missing_is_said_once_from_five_runs_on():
    bases = {name: Dependence("runs", 300, 20, 20) for name in ("order", "headers")}
    assert basis_words(bases, 0.95) == (
        "95% intervals are from 20 runs, for runs like these. A kind of run as frequent as 14% may "
        "be missing from 20 runs; no interval allows for it."
    )
    few = {"order": Dependence("orders", 300, 4, 300)}
    assert basis_words(few, 0.9) == (
        "90% intervals are for independent orders, for these 4 runs only."
    )
    assert basis_words({}, 0.95) == ""


def test_rows_that_rest_on_something_else_are_named():
    rows = {
        "item-added": Dependence("orders", 200, 1, 200),
        "order": Dependence("batches", 200, 1, 10),
        "headers": Dependence("orders", 200, 1, 200),
    }
    assert basis_words(rows, 0.95) == (
        "95% intervals are exact, for this run only. order: from 10 batches of consecutive orders, "
        "for this run only."
    )


# How often intervals hold; the seeds are fixed.


@pytest.mark.parametrize("name", [name for name in TIMES if "0.8" not in name])
def test_intervals_of_dependent_times_hold_as_often_as_they_say(name):
    assert min(times_held(TIMES[name], 300).held) >= 0.92


@pytest.mark.parametrize("name", SUCCESSES)
def test_intervals_of_dependent_successes_hold_as_often_as_they_say(name):
    assert successes_held(SUCCESSES[name], 300).held[0] >= 0.91


def test_independent_intervals_would_hold_much_less_often():
    rng, held = seeded(), 0
    for _ in range(200):
        made = autoregressive(rng)
        q = quantile(made.values, 0.5)
        held += q.low <= made.truth[0] <= q.high
    assert held / 200 < 0.85
