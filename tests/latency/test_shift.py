"""The shift function: each quantile's shift, and a band that holds all of them at once."""

import numpy as np
import pytest

from firmly_nb.latency.shift import SHIFT, shift_function


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
            from scipy.stats import norm

            z = norm.ppf(table["q"])
            true = np.exp(7.1 + 0.5 * z) - np.exp(7 + 0.3 * z)
        held += bool(((table["low_ms"] <= true) & (true <= table["high_ms"])).all())
    assert 0.93 <= held / 300 <= 0.995


def test_the_band_by_runs_is_wider_where_runs_differ():
    rng = np.random.default_rng(4)
    runs = np.repeat(np.arange(10), 20)
    a, b = (np.exp(7 + rng.normal(0, 0.3, 10)[runs] + rng.normal(0, 0.2, 200)) for _ in range(2))
    plain, by_run = shift_function(a, b), shift_function(a, b, runs=(runs, runs))
    assert (by_run["low_ms"] <= plain["low_ms"]).all()
    middle = plain["q"] == 0.5
    width = [(table["high_ms"] - table["low_ms"])[middle].item() for table in (plain, by_run)]
    assert width[1] > 1.5 * width[0]
