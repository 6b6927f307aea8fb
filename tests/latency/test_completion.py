"""The share of orders placed within a time: plain, and with orders watched for less long."""

import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.signal import lfilter
from statsmodels.duration.survfunc import CumIncidenceRight

from firmly_nb.latency.shares import (
    completion_curve,
    is_censored,
    never_narrower,
    success_rate,
    wilson,
)
from firmly_nb.latency.targets import (
    attainment,
    concurrency,
    good_fraction,
    goodput,
    slo_attainment,
    throughput,
)


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


def test_a_target_is_decided_by_where_the_interval_lies():
    """Of 40 orders 36 took at most 200 ms: 90%, between 76% and 97%."""
    orders = ended(["placed"] * 40 + ["cancelled"] * 9, ([200] * 9 + [201]) * 4 + [5] * 9)
    low, high = (float(end) for end in never_narrower(*wilson(36, 40), 36, 40))
    for wanted, verdict in (
        (low, "met"),
        (np.nextafter(low, 1), "not enough data"),
        (0.9, "not enough data"),
        (high, "not enough data"),
        (np.nextafter(high, 1), "missed"),
    ):
        assert attainment(orders, 200, wanted).verdict == verdict
    assert attainment(orders[:0], 200, 0.9).verdict == "not enough data"


def test_a_target_shows_what_was_attained_and_what_was_wanted():
    found = attainment(ended(["placed"] * 40, [1500.5] * 40), 1500.5, 0.999)
    assert repr(found) == (
        "Not enough data: 100% (91.2% to 100%; 40 of 40). "
        "Wanted: 99.9% placed within 1\u202f500.5 ms. "
        "Interval: for independent orders, for this run only. "
        "Error budget: 0 of 0.04 allowed misses, 0.00 times the budget (0.00 to 88.1); 100% left."
    )
    assert "<b>Not enough data</b>: 100% (91.2%" in found._repr_html_()


@pytest.mark.parametrize("wanted", [0, 1, 95, -0.1, float("nan")])
def test_a_target_that_is_no_share_is_refused(wanted):
    with pytest.raises(ValueError, match=r"share must be between 0 and 1, got .* pass 0\.95"):
        attainment(ended(["placed"], [1]), 200, wanted)


def test_throughput_counts_placed_orders_between_first_start_and_last_end():
    orders = timed([0, 1, 2], [1000, 500, 8000], ["placed", "placed", "timeout"])
    assert throughput(orders) == pytest.approx(2 / 10)
    assert goodput(orders, {"time_to_order_placed_ms": 600}) == pytest.approx(1 / 10)
    assert np.isnan(throughput(orders.iloc[:0]))


def test_concurrency_counts_open_orders():
    table = concurrency(timed([0, 1, 5], [2000, 500, 100], ["placed"] * 3))
    assert table["open"].tolist() == [1, 2, 1, 0, 1, 0]
    assert table["open"].iloc[-1] == 0


@pytest.mark.parametrize(
    ("outcomes", "times", "censored"),
    [
        (["placed"], [100], False),
        (["placed", "timeout"], [100, 5000], False),
        (["placed", "cancelled"], [100, 5000], True),
        (["placed", "timeout", "timeout"], [100, 1000, 1050], False),
        (["placed", "timeout", "timeout"], [100, 1000, 1051], True),
        (["placed", "timeout"], [1050, 1000], False),
        (["placed", "timeout"], [1051, 1000], True),
        (["timeout", "timeout", "timeout"], [1000, 1000, 2000], True),
        (["error_event", "http_error"], [100, 9000], False),
    ],
)
def test_orders_are_censored_where_one_limit_is_a_twentieth_shorter_than_others(
    outcomes, times, censored
):
    assert is_censored(ended(outcomes, times)) is censored


ends = st.tuples(st.sampled_from(["placed", "error_event", "cancelled"]), st.integers(1, 12))


@given(st.lists(ends, min_size=1, max_size=25))
def test_the_censored_curve_is_the_one_of_its_definition_written_out(rows):
    """Cumulative incidence and its delta-method variance, as double sums over the times."""
    orders = ended(
        [name for name, _ in [*rows, ("cancelled", 13)]], [t for _, t in [*rows, (0, 13)]]
    )
    n = len(orders)
    at = sorted({t for _, t in rows})
    survived, so_far, known = 1.0, 0.0, []
    for t in at:
        at_risk = 1 + sum(other >= t for _, other in rows)
        placed = sum(row == ("placed", t) for row in rows)
        ended_here = sum(name != "cancelled" and other == t for name, other in rows)
        so_far += survived * placed / at_risk
        known.append((so_far, survived, placed, ended_here, at_risk))
        survived *= 1 - ended_here / at_risk
    curve = completion_curve(orders).set_index("t_ms")
    assert curve.loc[0.0].tolist()[:2] == [0.0, 0.0]
    for place, t in enumerate(at):
        share, _, placed_here, _, _ = known[place]
        if not placed_here:
            assert t not in curve.index
            continue
        variance = 0.0
        for before, alive, placed, ended_then, at_risk in known[: place + 1]:
            variance += (share - before) ** 2 * ended_then / (at_risk * (at_risk - ended_then))
            variance += alive**2 * placed * (at_risk - placed) / at_risk**3
            variance -= 2 * (share - before) * alive * placed / at_risk**2
        assert curve.loc[t, "share"] == pytest.approx(share)
        of = min(share * (1 - share) / variance, n) if variance > 1e-12 else n
        low, high = wilson(share * of, of)
        assert curve.loc[t, "low"] == pytest.approx(float(low), abs=1e-6)
        assert curve.loc[t, "high"] == pytest.approx(float(high), abs=1e-6)


def test_intervals_are_at_95_percent_where_no_level_is_given():
    orders = ended(["placed", "placed", "http_error"], [100, 300, 20])
    assert completion_curve(orders).equals(completion_curve(orders, 0.95))
    assert slo_attainment(orders, 100) == slo_attainment(orders, 100, 0.95)
    limits = {"order_latency_ms": 100}
    assert good_fraction(orders, limits) == good_fraction(orders, limits, 0.95)
    assert slo_attainment(orders, 100, 0.5).high < slo_attainment(orders, 100).high


def test_an_order_exactly_at_its_limit_keeps_it_and_one_without_a_time_does_not():
    orders = ended(["placed", "placed"], [100, 300]).assign(time_to_headers_ms=[10.0, np.nan])
    assert slo_attainment(orders, 99.999).count == 0
    assert slo_attainment(orders, 100).count == 1
    assert good_fraction(orders, {"time_to_headers_ms": 10}).count == 1


def test_throughput_without_any_duration_is_unknown():
    assert np.isnan(throughput(timed([0], [0], ["placed"])))
    assert throughput(timed([0], [250], ["placed"])) == pytest.approx(4)


def test_one_order_that_begins_as_another_ends_is_not_open_beside_it():
    table = concurrency(timed([0, 1], [1000, 500], ["placed"] * 2))
    assert table["open"].tolist() == [1, 0, 1, 0]
    begun = pd.Timestamp("2026-01-05T09:00:00Z")
    seconds = (table["at"] - begun).dt.total_seconds()
    assert seconds.tolist() == [0.0, 1.0, 1.0, 1.5]


def test_an_order_that_failed_before_another_was_placed_is_part_of_the_variance():
    """One of the two orders still watched fails: the share is 1/2, with a variance of 1/8."""
    curve = completion_curve(ended(["cancelled", "error_event", "placed"], [1, 2, 3]))
    low, high = wilson(1, 2)
    assert curve.iloc[-1].tolist() == pytest.approx([3, 0.5, float(low), float(high)])


@given(st.lists(st.integers(1, 40), min_size=1, max_size=60), st.data())
def test_a_curve_that_ends_at_1_has_an_interval_there_as_narrow_as_before(placed, data):
    """All orders are placed but those cancelled earlier; rounding once made it [0, 1]."""
    late = max(placed)
    cancelled = data.draw(st.lists(st.integers(0, late - 1), min_size=1, max_size=20))
    orders = ended(["placed"] * len(placed) + ["cancelled"] * len(cancelled), [*placed, *cancelled])
    curve = completion_curve(orders)
    last = curve.iloc[-1]
    assert (last["share"], last["high"]) == (1.0, 1.0)
    assert curve["share"].is_monotonic_increasing
    assert ((curve["low"] <= curve["share"]) & (curve["share"] <= curve["high"])).all()
    assert curve["low"].iloc[1:].is_monotonic_increasing
    assert last["low"] > 0
    if len(curve) == 2:
        assert last["low"] == pytest.approx(float(wilson(len(orders), len(orders))[0]))


def alike(rng, n, rho=0.6):
    """AR(1): each order goes along with the one before."""
    steps = rng.standard_normal(n) * np.sqrt(1 - rho**2)
    steps[0] /= np.sqrt(1 - rho**2)
    return lfilter([1.0], [1.0, -rho], steps)


def at(curve, t_ms):
    """The interval of the share that was placed by then."""
    row = curve[curve["t_ms"] <= t_ms].iloc[-1]
    return row["low"], row["high"]


def held(rng, make, truth, t_ms, sets):
    curves = (completion_curve(make(rng)) for _ in range(sets))
    return sum(low <= truth <= high for low, high in (at(curve, t_ms) for curve in curves))


def test_its_band_is_wider_where_neighbours_are_alike():
    def neighbours(rng):
        return ended(["placed"] * 400, 1000 * np.exp(0.2 * alike(rng, 400)))

    assert held(np.random.default_rng(4), neighbours, 0.5, 1000.0, 60) >= 54  # 46 if independent


def test_its_band_is_wider_where_orders_of_a_run_are_alike():
    def of_runs(rng):
        level = np.repeat(0.15 * rng.standard_normal(10), 40)
        times = 1000 * np.exp(level + 0.2 * rng.standard_normal(400))
        return ended(["placed"] * 400, times).assign(run_id=np.repeat(list("abcdefghij"), 40))

    assert held(np.random.default_rng(5), of_runs, 0.5, 1000.0, 60) >= 54


def test_two_runs_that_differ_allow_no_band():
    rng = np.random.default_rng(6)
    times = np.concatenate([rng.normal(1000, 50, 40), rng.normal(1500, 50, 40)])
    curve = completion_curve(ended(["placed"] * 80, times).assign(run_id=["a"] * 40 + ["b"] * 40))
    assert (curve["low"] == 0).all()
    assert (curve["high"] == 1).all()


@pytest.mark.parametrize("runs", [5, 8, 20])
def test_the_end_of_the_curve_has_the_interval_of_the_success_rate(runs):
    rng = np.random.default_rng(runs)
    run = np.repeat(np.arange(runs), 30)
    is_placed = rng.random(len(run)) < np.where(run % 4 == 0, 0.6, 0.95)
    orders = ended(np.where(is_placed, "placed", "timeout"), rng.lognormal(7, 0.2, len(run)))
    orders.loc[~is_placed, "order_latency_ms"] = 60_000.0
    orders["run_id"] = [f"run {number}" for number in run]
    last, rate = completion_curve(orders).iloc[-1], success_rate(orders)
    assert (last["low"], last["high"]) == pytest.approx((rate.low, rate.high), abs=1e-9)


@given(st.integers(0, 2**32), st.sampled_from([2, 5, 12]), st.floats(0.1, 1.0))
def test_the_band_holds_the_curve_and_never_turns_back(seed, runs, success):
    rng = np.random.default_rng(seed)
    n = 15 * runs
    names = np.where(rng.random(n) < success, "placed", "timeout")
    orders = ended(names, rng.lognormal(7, 0.5, n)).assign(run_id=np.arange(n) % runs)
    orders["run_id"] = orders["run_id"].astype(str)
    curve = completion_curve(orders)
    assert ((curve["low"] <= curve["share"]) & (curve["share"] <= curve["high"])).all()
    assert (curve[["low", "high"]].diff().dropna() >= 0).all(axis=None)
