"""Rules that speak up: each where it should, with its numbers, and seldom where nothing is."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from firmly_nb.display.text import duration, number, uncertainty
from firmly_nb.display.text import percent as written_percent
from firmly_nb.latency.drift import drift_within, run_drift, series, warm_up
from firmly_nb.latency.modes import two_modes
from firmly_nb.latency.stages import STAGES
from firmly_nb.latency.summary import sentences


@pytest.fixture
def study(delays, tables):
    def make(seed=1, n=200, profile="typical", factor=1.0, **options):
        drawn = delays(np.random.default_rng(seed), n, profile)
        return tables(drawn * np.broadcast_to(factor, (n,))[:, None], **options)

    return make


def only(found, begin):
    return [sentence for sentence in found if sentence.startswith(begin)]


def test_where_nothing_is_amiss_nothing_is_said(study):
    assert sentences(*study()) == []


@pytest.mark.parametrize("profile", ["typical", "slow-shipping"])
@pytest.mark.parametrize("n", [80, 200])
def test_a_false_alarm_of_any_rule_is_rare(study, profile, n):
    alarms = [sentences(*study(seed, n, profile)) for seed in range(40)]
    assert sum(map(bool, alarms)) <= 2, alarms


def test_no_orders_need_no_rule(study):
    assert sentences(*study(n=0)) == []


def test_too_few_orders_for_p95(study):
    assert sentences(*study(n=40)) == [
        "Too few orders for p95: 72 placed orders are needed, there are 40."
    ]
    failing = study(outcomes=["placed"] * 71 + ["timeout"] * 129)
    assert only(sentences(*failing), "Too few") == [
        "Too few orders for p95: 72 placed orders are needed, there are 71."
    ]


@pytest.mark.parametrize("n", [30, 200])
def test_a_first_order_that_warms_up(study, n):
    events, stages, orders = study(n=n)
    orders.loc[0, "time_to_headers_ms"] = 40.0
    told = only(sentences(events, stages, orders), "Warm-up")
    assert len(told) == 1
    assert "the first order took" in told[0]
    assert "times as long as the others (time to headers: 40.0\u00a0ms against" in told[0]


def test_a_slow_order_elsewhere_is_no_warm_up(study):
    events, stages, orders = study()
    orders.loc[7, "time_to_headers_ms"] = 40.0
    assert only(sentences(events, stages, orders), "Warm-up") == []


def test_first_orders_of_several_runs_speak_together(study):
    _, _, orders = study(n=200, run_ids=np.repeat([f"run {i}" for i in range(8)], 25))
    first = ~orders["run_id"].duplicated()
    orders.loc[first, "time_to_headers_ms"] = 1.6  # each alone is one of many
    found = warm_up(orders, "time_to_headers_ms")
    assert found.runs == 8
    assert found.first_ms == 1.6
    assert warm_up(orders[orders["run_id"] == "run 0"], "time_to_headers_ms") is None


def test_orders_that_grow_slower(study):
    factor = np.linspace(1, 1.5, 200)
    told = only(sentences(*study(factor=factor)), "Drift")
    assert len(told) == 1
    assert told[0].startswith("Drift within the run: orders grew slower, the last third took 1.")
    assert "grew faster" in only(sentences(*study(factor=factor[::-1])), "Drift")[0]


def test_a_trend_is_looked_for_within_runs_not_between_them(study):
    factor = np.repeat([1.0, 1.5, 2.0, 2.5], 50)
    _, _, orders = study(factor=factor, run_ids=np.repeat(list("abcd"), 50))
    assert drift_within(orders) is None
    assert drift_within(orders.drop(columns="run_id")).ratio > 1.5


def test_a_trend_too_small_to_matter_is_none(study):
    _, _, orders = study(n=20_000, factor=np.linspace(1, 1.03, 20_000))
    assert drift_within(orders) is None


def test_times_of_a_run_stand_in_order_of_start(study):
    _, _, orders = study(n=6)
    shuffled = orders.sample(frac=1, random_state=2)
    assert np.array_equal(series(shuffled, "order_latency_ms")[0], orders["order_latency_ms"])


def test_two_modes_name_the_stage(study):
    told = sentences(*study(profile="bimodal"))
    assert len(told) == 1
    assert told[0].startswith("Two modes: shipping-updated takes ")


def test_an_error_bound_above_5_percent_of_a_stage(study):
    events, stages, orders = study()
    stages.loc[stages["stage"] == "creating-cart", "uncertainty_us"] = 6_000.0
    told = sentences(events, stages, orders)
    assert len(told) == 1
    assert told[0].startswith(
        "Uncertainty: times of creating-cart are uncertain by up to 6.00\u00a0ms (p99)"
    )


def test_a_lag_above_5_percent_of_the_shortest_stage(study):
    events, stages, orders = study()
    orders["schedule_lag_ms"] = 8.0
    told = sentences(events, stages, orders)
    assert len(told) == 1
    assert told[0].startswith(
        "Late start: orders started up to 8.00\u00a0ms after their planned start (p99)"
    )
    orders["schedule_lag_ms"] = np.nan
    assert sentences(events, stages, orders) == []


def test_coalesced_events_are_a_share_of_those_with_one_before(study):
    events, stages, orders = study(n=100)
    events["coalesced"] = events["seq"] == 4
    told = sentences(events, stages, orders)
    assert len(told) == 1
    assert told[0].startswith("Coalesced: 33.3% of the events share a read with ")


def test_milestones_out_of_order(study):
    events, stages, orders = study()
    stages.loc[stages.index[stages["stage"] == "item-added"][:3], "duration_ms"] = -4.0
    told = sentences(events, stages, orders)
    assert len(told) == 1
    assert told[0].startswith("Out of order: item-added (3 of 200 orders) ended before ")


def test_drift_looks_at_runs_and_within_them(study):
    runs = np.repeat([f"run {i:02}" for i in range(12)], 25)
    factor = np.where(np.arange(300) >= 150, 1.6, 1.0)
    _, stages, orders = study(n=300, factor=factor, run_ids=runs)
    found = run_drift(stages, orders)
    assert [point.run_id for point in found.changes.points] == ["run 06"]
    assert found.sentences[1] == "No drift found within the runs."
    assert "run 06" in repr(found)
    assert "<table" in found._repr_html_()
    of_stage = run_drift(stages, orders, "item-added")
    assert of_stage.what == "item-added"
    assert of_stage.changes.points[0].ratio == pytest.approx(1.6, abs=0.3)


def test_drift_of_one_run_is_a_trend(study):
    _, stages, orders = study(factor=np.linspace(1, 1.5, 200))
    found = run_drift(stages, orders)
    assert found.changes is None
    assert repr(found).startswith(
        "Within the run time to order placed grew longer: the last third took 1."
    )
    few = run_drift(*study(n=5)[1:])
    assert repr(few) == "Too few orders in a run to look for drift within it: 20 are the least."


def test_an_unknown_stage_says_which_there_are(study):
    _, stages, orders = study(n=5)
    with pytest.raises(KeyError, match=r"^Unknown stage 'item'\. Use creating-cart, item-added"):
        run_drift(stages, orders, "item")


def test_many_runs_are_told_in_part(study):
    _, stages, orders = study(n=300, run_ids=[f"run {i // 5}" for i in range(300)])
    shown = repr(run_drift(stages, orders))
    assert "and 20 more" in shown
    assert isinstance(run_drift(stages, orders).runs, pd.DataFrame)


def bare(times, run_ids=None, outcomes="placed", column="time_to_order_placed_ms"):
    """Orders, one a second, that have nothing but what a trend is looked for in."""
    orders = pd.DataFrame({"outcome": outcomes, column: np.array(times, dtype=float)})
    begun = pd.Timestamp("2026-01-05T09:00:00Z")
    orders["started_at"] = begun + pd.to_timedelta(np.arange(len(orders)), unit="s")
    return orders if run_ids is None else orders.assign(run_id=run_ids)


def wavy(n, slope=0.0, seed=1):
    return np.random.default_rng(seed).lognormal(7, 0.1, n) * np.exp(slope * np.arange(n) / n)


def test_a_trend_is_spearmans_with_the_ratio_of_the_outer_thirds():
    times = wavy(50, 0.3).round(-1)  # some are equal
    found = drift_within(bare(times))
    rho = stats.spearmanr(np.arange(50), times).statistic
    assert found.p_value == pytest.approx(2 * stats.norm.sf(abs(rho) * np.sqrt(49)))
    assert found.ratio == pytest.approx(np.median(times[-16:]) / np.median(times[:16]))
    assert found.orders == 50


def test_trends_of_several_runs_are_put_together():
    runs = [wavy(n, 0.3, seed) * level for n, seed, level in ((40, 1, 1), (30, 2, 3), (19, 3, 1))]
    ids = np.repeat(list("abc"), [40, 30, 19])
    found = drift_within(bare(np.concatenate(runs), ids))
    kept = runs[:2]  # the third is too short
    covariance = variance = 0.0
    first, last = [], []
    for x in kept:
        n = len(x)
        # Places and ranks as shares of the run, so that longer runs do not count with their square.
        place, rank = np.arange(n) / n, stats.rankdata(x) / n
        covariance += n * np.cov(place, rank, bias=True)[0, 1]
        variance += n**2 * place.var() * rank.var() / (n - 1)
        first.append(x[: n // 3] / np.median(x))
        last.append(x[-(n // 3) :] / np.median(x))
    assert found.p_value == pytest.approx(2 * stats.norm.sf(abs(covariance) / np.sqrt(variance)))
    ratio = np.median(np.concatenate(last)) / np.median(np.concatenate(first))
    assert found.ratio == pytest.approx(ratio)
    assert found.orders == 70


@pytest.mark.parametrize(("n", "told"), [(19, False), (20, True)])
def test_twenty_orders_of_a_run_are_the_least_in_which_drift_or_warm_up_is_looked_for(n, told):
    assert (drift_within(bare(np.linspace(1, 2, n))) is not None) == told
    first_slow = [9.0, *np.linspace(1, 1.1, n - 1)]
    assert (warm_up(bare(first_slow), "time_to_order_placed_ms") is not None) == told


@pytest.mark.parametrize(
    ("last", "told"), [(1.04, False), (1.06, True), (0.96, False), (0.94, True)]
)
def test_a_trend_matters_from_a_twentieth_on_in_both_directions(last, told):
    thirds = np.repeat([1.0, (1 + last) / 2, last], 100)
    times = thirds * (1 + 1e-6 * np.arange(300) * np.sign(last - 1))
    assert (drift_within(bare(times)) is not None) == told


def test_cancelled_orders_and_those_without_a_time_are_no_part_of_a_run():
    times = [1.0, 2.0, np.nan, 4.0, 5.0]
    outcomes = ["placed", "cancelled", "placed", "timeout", "placed"]
    [found] = series(bare(times, outcomes=outcomes), "time_to_order_placed_ms")
    assert found.tolist() == [1.0, 4.0, 5.0]
    assert series(bare([np.nan, 2.0], outcomes="cancelled"), "time_to_order_placed_ms") == []


def headers(runs):
    ids = [f"run {i}" for i, x in enumerate(runs) for _ in x]
    return bare(np.concatenate(runs), ids, column="time_to_headers_ms")


def test_first_orders_are_rare_where_their_ranks_together_are_after_fisher():
    rng = np.random.default_rng(3)
    answers = set()
    for _ in range(200):
        runs = [rng.lognormal(0, 0.3, n) for n in (30, 25, 20)]
        for x in runs:
            x[0] *= rng.choice([1.0, 1.6])
        ranks = [(x >= x[0]).mean() for x in runs]
        first, others = (
            np.median([x[0] for x in runs]),
            np.median(np.concatenate([x[1:] for x in runs])),
        )
        is_rare = stats.combine_pvalues(ranks, method="fisher").pvalue <= 0.01
        found = warm_up(headers(runs), "time_to_headers_ms")
        assert (found is not None) == (is_rare and first > 1.2 * others)
        if found:
            assert found == (3, pytest.approx(first), pytest.approx(others))
        answers.add(found is not None)
    assert answers == {True, False}


@pytest.mark.parametrize(("first", "told"), [(1.19, False), (1.21, True)])
def test_a_first_order_matters_from_a_fifth_on(first, told):
    runs = [[first, *np.linspace(0.99, 1.01, 99)] for _ in range(3)]
    assert (warm_up(headers(runs), "time_to_headers_ms") is not None) == told


@pytest.mark.parametrize(
    ("deviations", "n", "told"),
    [(4.9, 60, False), (5.1, 60, True), (4.0, 101, True), (4.0, 99, False)],
)
def test_the_first_order_of_one_short_run_must_be_far_out(deviations, n, told):
    """By robust standard deviations of the logarithms; from a hundred on its rank is enough."""
    logs = np.linspace(-1, 1, n - 1)
    robust = 1.4826 * np.median(np.abs(logs))
    times = np.exp([deviations * robust, *logs])
    assert (warm_up(headers([times]), "time_to_headers_ms") is not None) == told


def test_a_first_order_that_is_not_the_slowest_of_its_short_run_is_no_warm_up():
    times = [50.0, *np.linspace(1, 1.1, 40), 50.1]
    assert warm_up(headers([times]), "time_to_headers_ms") is None


@pytest.mark.parametrize(
    ("n", "words"), [(71, "72 placed orders are needed, there are 71."), (72, "")]
)
def test_72_placed_orders_are_enough_for_p95(study, n, words):
    told = only(sentences(*study(n=n)), "Too few")
    assert told == ([f"Too few orders for p95: {words}"] if words else [])


@pytest.mark.parametrize(("percent", "told"), [(4.9, False), (5.1, True)])
def test_an_error_bound_a_lag_and_coalesced_events_are_told_from_5_percent_on(study, percent, told):
    events, stages, orders = study(n=200)
    cart = stages["stage"] == "creating-cart"
    median_ms = stages.loc[cart, "duration_ms"].median()
    stages.loc[cart, "uncertainty_us"] = 1000 * median_ms * percent / 100
    orders["schedule_lag_ms"] = median_ms * percent / 100
    # 600 of the 800 events have one before them.
    events["coalesced"] = np.arange(800) < percent * 6
    found = sentences(events, stages, orders)
    assert [one.split(":")[0] for one in found] == (
        ["Uncertainty", "Late start", "Coalesced"] if told else []
    )
    if told:
        off_ms, shared = median_ms * percent / 100, events["coalesced"].sum() / 600
        median, off = duration(median_ms), duration(off_ms)
        assert found == [
            (
                f"Uncertainty: times of creating-cart are uncertain by up to "
                f"{uncertainty(1000 * off_ms)} (p99), more than 5% of the median of {median}."
            ),
            (
                f"Late start: orders started up to {off} after their planned start (p99), more "
                f"than 5% of creating-cart ({median}); scheduled_order_latency_ms counts it in."
            ),
            (
                f"Coalesced: {written_percent(shared)} of the events share a read with the one "
                "before; the gaps before them are not known, only bounded."
            ),
        ]


def test_each_sentence_has_its_numbers(study):
    events, stages, orders = study(n=200)
    late = stages["stage"] == "item-added"
    stages.loc[stages.index[late][:3], "duration_ms"] = -4.0
    orders.loc[0, "time_to_headers_ms"] = 40.0
    others = orders["time_to_headers_ms"].iloc[1:].median()
    assert sentences(events, stages, orders) == [
        (
            "Out of order: item-added (3 of 200 orders) ended before the milestone that comes "
            "first. The times are left out."
        ),
        (
            f"Warm-up: the first order took {number(40 / others)} times as long as the others "
            f"(time to headers: {duration(40)} against {duration(others)})."
        ),
    ]


def test_a_warm_up_of_several_runs_is_told_of_the_orders_where_the_headers_show_none(study):
    _, stages, orders = study(n=200, run_ids=np.repeat([f"run {i}" for i in range(8)], 25))
    first = ~orders["run_id"].duplicated()
    orders.loc[first, "time_to_order_placed_ms"] *= 3
    found = warm_up(orders, "time_to_order_placed_ms")
    told = only(sentences(study(n=200)[0], stages, orders), "Warm-up")
    assert told == [
        (
            f"Warm-up: first orders of 8 runs took {number(found.first_ms / found.others_ms)} "
            "times as long as the others (time to order placed: "
            f"{duration(found.first_ms)} against {duration(found.others_ms)})."
        )
    ]


def test_drift_of_one_run_says_where_it_was_looked_for_and_what_was_found():
    grown, same = bare(wavy(60, 0.3)), bare(wavy(60, seed=4))
    found = drift_within(grown)
    none = STAGES.empty()
    words = (
        "Within the run time to order placed grew longer: the last third took "
        f"{found.ratio:.2f} times as long as the first (p = {found.p_value:.2g})."
    )
    assert run_drift(none, grown).sentences == (words,)
    assert repr(run_drift(none, same)) == "No drift found within the run."
    few = bare(wavy(38), np.repeat(["a", "b"], 19))
    assert run_drift(none, few).sentences[-1] == (
        "Too few orders in a run to look for drift within it: 20 are the least."
    )
    quick = bare(wavy(60, -0.3))
    assert "time to order placed grew shorter: the last third took 0." in repr(
        run_drift(none, quick)
    )
    assert repr(run_drift(none, bare([]))).startswith("Too few orders")


def test_drift_of_a_stage_takes_each_orders_own_time(study):
    _, stages, orders = study(n=60, run_ids=[f"run {i // 5:02}" for i in range(60)])
    orders = orders.drop(index=[7, 8]).sample(frac=1, random_state=1)
    found = run_drift(stages, orders, "item-added").runs.set_index("run_id")
    times = stages[stages["stage"] == "item-added"].set_index("recording_id")["duration_ms"]
    for run_id, some in orders.groupby(orders["run_id"].astype(str)):
        assert found.loc[run_id, "median_ms"] == pytest.approx(
            times.loc[some["recording_id"].to_list()].median()
        )
        assert found.loc[run_id, "n"] == len(some)


@pytest.mark.parametrize(("runs", "more"), [(40, False), (41, True)])
def test_forty_runs_are_shown(study, runs, more):
    found = run_drift(*study(n=2 * runs, run_ids=[f"run {i // 2}" for i in range(2 * runs)])[1:])
    assert ("and 1 more" in repr(found)) == (" more" in repr(found)) == more
    assert "run 39" in repr(found)
    assert "run 40" not in repr(found)


def test_drift_says_of_what_it_tells(study):
    _, stages, orders = study(n=60, run_ids=np.repeat(["a", "b", "c"], 20))
    whole, of_stage = run_drift(stages, orders), run_drift(stages, orders, "item-added")
    assert (whole.what, of_stage.what) == ("time to order placed", "item-added")
    assert (run_drift(stages, orders[:20]).what, whole.sentences[1]) == (
        "time to order placed",
        "No drift found within the runs.",
    )
    assert "began, UTC  orders  median of item-added, ms  part" in repr(of_stage)
    with pytest.raises(KeyError) as caught:
        run_drift(STAGES.empty(), orders, "item")
    assert caught.value.args == ("Unknown stage 'item'. There are none. [FNB308]",)


def test_drift_is_looked_for_where_one_run_is_long_enough():
    ids = np.repeat(["a", "b"], [20, 5])
    times = np.concatenate([np.linspace(1, 2, 20), [1.0] * 5])
    assert run_drift(STAGES.empty(), bare(times, ids)).within.startswith(
        "Within the runs time to order placed "
    )


@pytest.mark.parametrize(("count", "told"), [(1, False), (4, True)])
def test_an_error_bound_and_a_lag_are_those_that_one_in_a_hundred_exceeds(study, count, told):
    events, stages, orders = study(n=200)
    cart = stages.index[stages["stage"] == "creating-cart"]
    stages.loc[cart[:count], "uncertainty_us"] = 20_000.0
    orders.loc[: count - 1, "schedule_lag_ms"] = 50.0
    found = sentences(events, stages, orders)
    assert [one.split(":")[0] for one in found] == (["Uncertainty", "Late start"] if told else [])


def test_a_lag_is_held_against_the_shortest_stage(study):
    events, stages, orders = study(n=200)
    last = stages["stage"] == "order-placed"
    stages.loc[last, "duration_ms"] = np.linspace(9.0, 11.0, 200)[np.arange(200) * 7 % 200]
    orders["schedule_lag_ms"] = 0.6
    found = only(sentences(events, stages, orders), "Late start")
    assert len(found) == 1
    assert "more than 5% of order-placed (10.0\u00a0ms)" in found[0]
    assert only(sentences(events, STAGES.empty(), orders), "Late start") == []


def test_a_stage_that_no_order_completed_is_nothing_to_tell_of(study):
    events, stages, orders = study(n=200)
    stages.loc[stages["stage"] == "order-placed", "duration_ms"] = np.nan
    assert sentences(events, stages, orders) == []


def test_two_modes_are_told_with_their_figures(study):
    events, stages, orders = study(profile="bimodal")
    found = two_modes(stages.loc[stages["stage"] == "shipping-updated", "duration_ms"])
    assert sentences(events, stages, orders) == [
        (
            f"Two modes: shipping-updated takes {number(found.ratio)} times as long in "
            f"{written_percent(found.slow_share)} of the orders ({duration(found.slow_ms)} against "
            f"{duration(found.quick_ms)})."
        )
    ]


def test_orders_of_a_run_that_are_like_their_neighbours_seldom_look_like_drift():
    rng = np.random.default_rng(16)
    alarms = 0
    for _ in range(200):
        z = rng.standard_normal(300)
        for at in range(1, 300):
            z[at] = 0.6 * z[at - 1] + 0.8 * z[at]
        alarms += drift_within(bare(np.exp(6 + 0.3 * z))) is not None
    assert alarms <= 8
