"""The share of orders placed within a time: plain, and with orders watched for less long."""

import warnings

import numpy as np
import pandas as pd
import pytest
from statsmodels.duration.survfunc import CumIncidenceRight

from firmly_nb.latency.completion import (
    completion_curve,
    good_fraction,
    is_censored,
    slo_attainment,
)
from firmly_nb.latency.outcomes import success_rate, wilson
from firmly_nb.latency.throughput import concurrency, goodput, throughput


def ended(outcomes, times):
    times = np.asarray(times, dtype=float)
    placed = np.array(outcomes) == "placed"
    return pd.DataFrame(
        {
            "outcome": pd.Categorical(outcomes),
            "time_to_order_placed_ms": np.where(placed, times, np.nan),
            "order_latency_ms": times,
        }
    )


def competing(rng, n):
    """Orders that are placed, fail or are cancelled, whichever comes first."""
    times = np.column_stack(
        [rng.lognormal(7, 0.4, n), rng.exponential(5000, n), rng.exponential(3000, n)]
    )
    names = np.array(["placed", "error_event", "cancelled"])
    return ended(names[times.argmin(axis=1)], times.min(axis=1))


def test_the_curve_is_the_share_of_attempted_orders_and_ends_at_the_success_rate():
    orders = ended(["placed", "placed", "http_error", "timeout"], [100, 300, 20, 5000])
    curve = completion_curve(orders)
    assert curve["t_ms"].tolist() == [0, 100, 300]
    assert curve["share"].tolist() == [0, 0.25, 0.5]
    rate = success_rate(orders)
    assert curve.iloc[-1].tolist()[1:] == pytest.approx([rate.share, rate.low, rate.high])
    assert not is_censored(orders)


def test_its_band_is_wilsons_at_each_time():
    curve = completion_curve(ended(["placed"] * 7 + ["timeout"] * 3, [*range(1, 8), 9, 9, 9]))
    low, high = wilson(np.arange(8), 10)
    assert curve["low"].tolist() == pytest.approx(low.tolist())
    assert curve["high"].tolist() == pytest.approx(high.tolist())


@pytest.mark.parametrize("seed", range(5))
def test_with_cancelled_orders_it_is_the_cumulative_incidence_of_statsmodels(seed):
    orders = competing(np.random.default_rng(seed), 200)
    code = orders["outcome"].astype(str).map({"placed": 1, "error_event": 2, "cancelled": 0})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # of statsmodels, where the last order ends
        reference = CumIncidenceRight(orders["order_latency_ms"].to_numpy(), code.to_numpy())
    curve = completion_curve(orders).iloc[1:]
    at = np.searchsorted(reference.times, curve["t_ms"])
    assert curve["share"].to_numpy() == pytest.approx(reference.cinc[0][at], abs=1e-12)
    # The interval is Wilson's for as many orders as have that variance.
    share, error = reference.cinc[0][at], reference.cinc_se[0][at]
    known = (error > 0) & (np.arange(len(at)) > 5)
    of = np.minimum(share * (1 - share) / np.where(known, error, 1) ** 2, len(orders))
    low, _ = wilson(share * of, of)
    assert curve["low"].to_numpy()[known] == pytest.approx(low[known], abs=1e-9)


def test_an_order_with_a_shorter_limit_says_only_that_it_took_longer():
    orders = ended(["placed", "timeout", "placed", "placed"], [100, 200, 900, 1000])
    assert is_censored(orders)
    assert completion_curve(orders)["share"].tolist() == pytest.approx([0, 0.25, 0.625, 1.0])


def test_without_censoring_both_ways_are_one():
    rng = np.random.default_rng(1)
    orders = competing(rng, 100)
    orders["outcome"] = orders["outcome"].cat.rename_categories({"cancelled": "timeout"})
    orders = orders[orders["outcome"] != "timeout"]
    plain = completion_curve(orders)
    late = pd.concat([orders, ended(["cancelled"], [1e9])])
    censored = completion_curve(late)
    n = len(orders)
    assert censored["share"].to_numpy() == pytest.approx(plain["share"].to_numpy() * n / (n + 1))


def test_the_share_within_a_limit_is_the_curve_at_the_limit():
    orders = ended(["placed", "placed", "http_error"], [100, 300, 20])
    found = slo_attainment(orders, 100)
    assert (found.count, found.of) == (1, 3)
    orders["time_to_headers_ms"] = [50.0, 1.0, 1.0]
    limits = {"time_to_order_placed_ms": 400, "time_to_headers_ms": 10}
    assert good_fraction(orders, limits).count == 1


def timed(begins_s, latencies_ms, outcomes):
    orders = ended(outcomes, latencies_ms)
    begun = pd.Timestamp("2026-01-05T09:00:00Z")
    return orders.assign(started_at=begun + pd.to_timedelta(np.array(begins_s, float), unit="s"))


def test_throughput_counts_placed_orders_between_first_start_and_last_end():
    orders = timed([0, 1, 2], [1000, 500, 8000], ["placed", "placed", "timeout"])
    assert throughput(orders) == pytest.approx(2 / 10)
    assert goodput(orders, {"time_to_order_placed_ms": 600}) == pytest.approx(1 / 10)
    assert np.isnan(throughput(orders.iloc[:0]))


def test_concurrency_counts_open_orders():
    table = concurrency(timed([0, 1, 5], [2000, 500, 100], ["placed"] * 3))
    assert table["open"].tolist() == [1, 2, 1, 0, 1, 0]
    assert table["open"].iloc[-1] == 0
