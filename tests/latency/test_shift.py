"""The shift function: each quantile's shift, and a band that holds all of them at once."""

import numpy as np
import pytest
from scipy.stats import multivariate_normal, norm

from firmly_nb.latency.effect import SHIFT, TENTHS, _raised, shift_function
from firmly_nb.latency.quantiles import quantile


def test_the_shifts_are_the_differences_of_quantiles():
    rng = np.random.default_rng(1)
    a, b = rng.lognormal(7, 0.4, 100), rng.lognormal(7.2, 0.5, 80)
    table = shift_function(a, b)
    assert table.dtypes.astype("str").to_dict() == {c.name: c.dtype for c in SHIFT.columns}
    expected = np.quantile(b, table["q"]) - np.quantile(a, table["q"])
    assert table["shift_ms"].to_numpy() == pytest.approx(expected)
    assert (table["low_ms"] <= table["shift_ms"]).all()
    assert (table["shift_ms"] <= table["high_ms"]).all()


@pytest.mark.parametrize(("n", "last"), [(71, 0.9), (72, 0.95)])
def test_p95_is_shown_from_72_orders_on_each_side(n, last):
    assert shift_function(range(n), range(100))["q"].iloc[-1] == last


def test_where_a_quantile_has_no_interval_the_band_is_open():
    table = shift_function(range(20), range(20))
    assert np.isinf(table["high_ms"].iloc[-1])
    assert np.isfinite(table["high_ms"].iloc[4])


def test_turned_around_it_is_the_other_way_around():
    rng = np.random.default_rng(2)
    a, b = rng.lognormal(7, 0.4, 100), rng.lognormal(7.2, 0.5, 80)
    one, other = shift_function(a, b), shift_function(b, a)
    assert other["shift_ms"].to_numpy() == pytest.approx(-one["shift_ms"].to_numpy())
    assert other["low_ms"].to_numpy() == pytest.approx(-one["high_ms"].to_numpy())


def test_without_values_there_is_nothing_to_show():
    assert shift_function([], [1.0]).empty


@pytest.mark.parametrize(("n", "m"), [(100, 100), (60, 250)])
def test_the_band_holds_all_true_shifts_at_once(n, m):
    rng = np.random.default_rng(3)
    true = None
    held = 0
    for _ in range(300):
        a, b = rng.lognormal(7, 0.3, n), rng.lognormal(7.1, 0.5, m)
        table = shift_function(a, b)
        if true is None:
            z = norm.ppf(table["q"])
            true = np.exp(7.1 + 0.5 * z) - np.exp(7 + 0.3 * z)
        held += bool(((table["low_ms"] <= true) & (true <= table["high_ms"])).all())
    assert 0.93 <= held / 300 <= 0.995


@pytest.mark.parametrize("level", [0.8, 0.95, 0.99])
def test_the_raised_level_holds_all_quantiles_at_once(level):
    """Standardized sample quantiles are jointly normal: their box has the level's probability."""
    qs = tuple(TENTHS)
    z = norm.isf((1 - _raised(qs, level)) / 2)
    p = np.array(qs)
    covariance = np.minimum.outer(p, p) - np.outer(p, p)
    spread = np.sqrt(np.diag(covariance))
    joint = multivariate_normal(cov=covariance / np.outer(spread, spread), seed=1)
    held = joint.cdf(np.full(len(p), z), lower_limit=np.full(len(p), -z))
    assert held == pytest.approx(level, abs=0.005)


@pytest.mark.parametrize(("n", "m"), [(100, 80), (30, 200)])
def test_the_band_puts_the_exact_ends_of_both_sides_together(n, m):
    rng = np.random.default_rng(n)
    a, b = rng.lognormal(7, 0.4, n), rng.lognormal(7.2, 0.5, m)
    table = shift_function(a, b, 0.9)
    single = _raised(tuple(table["q"]), 0.9)
    for row in table.itertuples():
        x, y = (np.quantile(values, row.q) for values in (a, b))
        ends = [quantile(values, row.q, single) for values in (a, b)]
        assert (row.a_ms, row.b_ms) == pytest.approx((x, y))
        below = np.hypot(y - ends[1].low, ends[0].high - x)
        above = np.hypot(ends[1].high - y, x - ends[0].low)
        assert row.low_ms == pytest.approx(y - x - below)
        assert row.high_ms == pytest.approx(y - x + above)


def test_the_band_is_at_95_percent_where_no_level_is_given():
    assert shift_function(range(80), range(90)).equals(shift_function(range(80), range(90), 0.95))
