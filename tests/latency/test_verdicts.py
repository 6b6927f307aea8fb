"""Verdicts on studies whose truth is known: what the first edition got wrong, and more like it."""

import re

import numpy as np
import pytest
from scipy.stats import binom

from firmly_nb.latency.compare import compare
from firmly_nb.latency.questions import WIDE, Group, Method, tail
from tests.latency.conftest import draw_delays
from tests.latency.studies import (
    changed,
    delays,
    in_runs,
    interleaved,
    outcomes_of,
    tables,
    together,
    without,
)

A_THEN_B = "aaaaabbbbb"
ITEM = "item-added"


def verdicts(draw, seeds):
    return [compare(*draw(np.random.default_rng(seed))).order.verdict for seed in range(seeds)]


# A tail that grew.


def test_twenty_of_250_slow_orders_are_slower_in_the_tail_and_fail_the_gate():
    rng = np.random.default_rng(1)
    a = draw_delays(rng, 250, "calm")
    b = np.concatenate([draw_delays(rng, 230, "calm"), draw_delays(rng, 20, "slow-shipping")])
    rng.shuffle(b)
    places = rng.permutation(500)
    found = compare(
        tables(a, ids="a", started_s=np.sort(places[:250])),
        tables(b, ids="b", started_s=np.sort(places[250:])),
    )
    assert found.order.verdict == "slower"
    assert found.tail.verdict == "slower"
    assert found.exit_code == 1
    assert found.verdict.startswith("Slower: ")
    assert "of 100 orders are later than " in found.verdict


@pytest.mark.parametrize(("share", "n", "least"), [(0.08, 400, 18), (0.04, 1000, 18)])
def test_a_few_orders_that_are_five_times_slower_in_one_stage_are_found(share, n, least):
    found = verdicts(lambda rng: interleaved(rng, n, b={"slow": (share, ITEM, 5)}), 20)
    assert found.count("slower") >= least


def test_a_tail_that_shrank_is_better_and_passes():
    a, b = interleaved(np.random.default_rng(2), 600, a={"slow": (0.1, None, 4)})
    found = compare(a, b)
    assert found.tail.verdict == "faster"
    assert found.order.verdict == "faster"
    assert found.exit_code == 0


# Time and release at once.


def day(runs, n):
    """A day that grows 20 % slower."""
    return 1 + 0.2 * np.arange(runs * n).reshape(runs, n) / (runs * n)


@pytest.mark.parametrize("runs", ["ab", A_THEN_B, "abab", "aaaaaaaaaabbbbbbbbbb"])
@pytest.mark.parametrize("seed", range(3))
def test_equal_releases_one_after_the_other_are_not_attributable(runs, seed):
    level = 1 + 0.2 * np.arange(len(runs)) / len(runs)
    found = compare(*in_runs(np.random.default_rng(seed), runs, 60, level=level))
    assert found.order.verdict == "not attributable"
    assert found.exit_code == 3
    assert not found.attributable
    first, _, _ = found.verdict.partition(": ")
    assert re.fullmatch(r"(Perhaps d|D|Not d)ifferent.*, but measured at different times", first)
    assert "voids" in found.design["effect"].tolist()
    assert np.isfinite(found.typical.estimate)


def test_orders_without_runs_are_not_attributable_even_if_they_took_turns():
    a, b = interleaved(np.random.default_rng(3), 200)
    found = compare(without(a, "run_id"), without(b, "run_id"))
    assert found.order.verdict == "not attributable"
    assert found.exit_code == 3


@pytest.mark.parametrize("column", ["started_at", "run_id"])
def test_without_times_or_runs_nothing_is_attributed(column):
    a, b = interleaved(np.random.default_rng(3), 100, b={"factor": 2.0})
    found = compare(without(a, column), without(b, column))
    assert found.order.verdict == found.typical.verdict == "not attributable"
    assert found.verdict.startswith("Different, but ")


def test_a_shared_run_in_which_a_came_first_is_not_attributable():
    a, b = interleaved(np.random.default_rng(4), 100)
    late = b[2]["started_at"] + np.timedelta64(1000, "s")
    found = compare(a, changed(b, started_at=late))
    assert found.order.verdict == "not attributable"


def test_one_after_the_other_is_never_no_change_however_many_runs():
    level = np.ones(40)
    found = compare(*in_runs(np.random.default_rng(5), "a" * 20 + "b" * 20, 40, level=level))
    assert found.order.verdict == "not attributable"
    assert found.verdict.startswith("Not different, but measured at different times: ")


@pytest.mark.parametrize("n", [3, 20, 60])
def test_few_orders_at_different_times_are_not_called_alike(n):
    rng = np.random.default_rng(6)
    a, b = (
        tables(delays(rng, n), ids=ids, started_s=at + np.arange(n))
        for ids, at in (("a", 0), ("b", 9e4))
    )
    assert compare(a, b).verdict.startswith("Perhaps different, perhaps not, but ")


def test_a_day_that_grows_slower_is_no_verdict_where_orders_take_turns():
    wrong = verdicts(lambda rng: interleaved(rng, 150, level=day(1, 300)), 40)
    assert sum(one in {"slower", "faster"} for one in wrong) <= 4


# Dependence.


def test_outages_of_whole_runs_are_no_verdict_where_runs_take_turns():
    def draw(rng):
        return in_runs(rng, "ab" * 10, 30, success=np.where(rng.random(20) < 0.1, 0.3, 0.98))

    found = verdicts(draw, 60)
    wrong = sum(one in {"fewer placed", "more placed"} for one in found)
    assert wrong <= binom.ppf(0.999, 60, 0.05)


@pytest.mark.parametrize(("factor", "least"), [(1.3, 20), (1.1, 14)])
def test_ten_shared_runs_find_a_slower_release(factor, least):
    def draw(rng):
        level = np.exp(0.15 * rng.standard_normal((10, 1))) * np.ones((1, 40))
        return interleaved(rng, 20, runs=10, level=level, b={"factor": factor})

    assert verdicts(draw, 20).count("slower") >= least


# Like for like.


def two_merchants(rng, n_fast, n_slow, ids, factor, started):
    n = n_fast + n_slow
    merchant = rng.permutation(np.repeat(["fast.test", "slow.test"], [n_fast, n_slow]))
    pace = np.where(merchant == "slow.test", 2.0, 1.0) * factor
    return tables(delays(rng, n, factor=pace), ids=ids, domain=merchant, started_s=started)


def test_a_mix_that_moves_to_the_slow_merchant_is_not_a_slower_release():
    rng = np.random.default_rng(6)
    places = rng.permutation(800)
    a = two_merchants(rng, 300, 100, "a", 1.0, places[:400])
    b = two_merchants(rng, 120, 280, "b", 0.85, places[400:])
    found = compare(a, b)
    assert b[2]["time_to_order_placed_ms"].median() > 1.2 * a[2]["time_to_order_placed_ms"].median()
    assert found.order.verdict == "faster"
    assert found.typical.estimate == pytest.approx(0.85, abs=0.03)
    assert found.design.set_index("what").loc["merchant", "effect"] == "stratified"


def harbor(rng):
    """One merchant with one item, another with one or two; a second item takes longer."""
    a = tables(delays(rng, 200), ids="a", domain="luma.test", started_s=np.arange(200) * 2)
    items = np.tile([1, 2], 100)
    slow = delays(rng, 200)
    slow[:, 1] *= np.where(items == 2, 2.0, 1.0)
    b = tables(slow, ids="b", domain="harbor.test", n_items=items, started_s=np.arange(200) * 2 + 1)
    return a, b


def test_merchants_are_compared_with_one_another_only_if_that_is_asked_for():
    a, b = harbor(np.random.default_rng(7))
    found = compare(a, b)
    assert found.order.verdict == "not comparable"
    assert found.exit_code == 3
    assert found.verdict.startswith("Not comparable: A and B have no merchant in common")
    asked = compare(a, b, like_for_like=True)
    assert asked.design.set_index("what").loc["merchant"].tolist() == [
        "100% luma.test",
        "100% harbor.test",
        "noted",
    ]
    assert asked.design["what"].is_unique
    stages = asked.stages.set_index("stage")
    assert stages.loc[ITEM, "n_b"] == 100
    assert stages.loc[ITEM, "ratio"] == pytest.approx(1.0, abs=0.12)
    assert asked.typical.estimate < 1.1


@pytest.mark.parametrize(("others", "verdict"), [(20, "no change"), (200, "not comparable")])
def test_a_merchant_of_one_side_only_is_left_out_and_too_many_of_it_void(others, verdict):
    a, b = interleaved(np.random.default_rng(8), 600, success=1.0)
    domain = np.where(np.arange(600) < others, "only-b.test", "a.test")
    found = compare(a, changed(b, domain=domain))
    assert found.order.verdict == verdict
    assert compare(a, changed(b, domain=domain), like_for_like=True).order.verdict == "no change"
    assert "left out" in found.design["what"].tolist()


def test_ratios_that_differ_by_merchant_are_told_by_merchant():
    rng = np.random.default_rng(9)
    merchant = np.tile(["one.test", "two.test"], 200)
    a, b = interleaved(rng, 400, b={"factor": np.where(merchant == "one.test", 0.8, 1.3)})
    found = compare(changed(a, domain=merchant), changed(b, domain=merchant))
    each = {name: ratio for name, ratio, *_ in found.typical.merchants}
    assert each == pytest.approx({"one.test": 0.8, "two.test": 1.3}, rel=0.08)
    assert found.typical.estimate == pytest.approx(np.sqrt(0.8 * 1.3), rel=0.05)
    assert "The ratio differs by merchant: " in found.verdict


# What recordings cannot say.


def gathered(side):
    """All events of an order come in one read."""
    events, stages, orders = side
    first = ~events["recording_id"].duplicated()
    last = orders.set_index("recording_id")["time_to_order_placed_ms"]
    at_once = stages["recording_id"].map(last).to_numpy()
    is_first = stages["stage"].eq("creating-cart").to_numpy()
    duration = np.where(is_first, at_once, 0.0)
    times = stages.assign(duration_ms=duration, coalesced=~is_first, gathered=True)
    return events.assign(coalesced=~first), times, orders


def test_of_a_gathered_stream_no_stage_is_claimed_and_it_is_said_why():
    a, b = interleaved(np.random.default_rng(10), 500, success=1.0)
    for pair in ((a, gathered(b)), (gathered(a), b), (gathered(a), gathered(b))):
        found = compare(*pair)
        assert found.stages.empty
        assert found.order.verdict == "no change"
        assert any("Nothing is said of stages at a.test" in note for note in found.notes)
        assert "voids" in found.design["effect"].tolist()


def test_stages_out_of_order_are_in_no_ratio():
    a, b = interleaved(np.random.default_rng(11), 300, success=1.0)
    stages = b[1].copy()
    odd = stages.index[stages["stage"] == ITEM][::2]
    stages.loc[odd, "duration_ms"] = -175.0
    found = compare(a, (b[0], stages, b[2])).stages.set_index("stage")
    assert found.loc[ITEM, "n_b"] == 150
    assert found.loc[ITEM, "ratio"] == pytest.approx(1.0, abs=0.1)


def test_orders_that_started_late_are_compared_from_their_planned_start():
    a, b = interleaved(np.random.default_rng(12), 400, success=1.0)
    lag = np.linspace(0, 2500, 400)
    found = compare(changed(a, schedule_lag_ms=0.2), changed(b, schedule_lag_ms=lag))
    assert found.order.verdict == "slower"
    assert found.typical.estimate > 1.5
    assert "planned start" in found.verdict
    assert compare(a, b).order.verdict == "no change"


# Failures and cancelled orders.


def test_fewer_placed_comes_first_and_survivors_are_not_faster():
    a, b = interleaved(
        np.random.default_rng(13), 250, b={"success": 0.66, "factor": 0.93}, success=1.0
    )
    found = compare(a, b)
    assert found.order.verdict == found.success.verdict == "fewer placed"
    assert found.verdict.startswith("Fewer placed: ")
    assert found.typical.verdict != "faster"
    assert found.success.estimate == pytest.approx(-0.34, abs=0.08)
    assert found.exit_code == 1


def test_one_side_whose_orders_all_failed_has_fewer_placed():
    a, b = interleaved(np.random.default_rng(14), 100, b={"success": 0.0}, success=1.0)
    found = compare(a, b)
    assert found.order.verdict == "fewer placed"
    assert np.isnan(found.typical.estimate)
    assert compare(b, a).order.verdict == "more placed"


def test_cancelled_orders_are_said_and_the_gate_does_not_take_them_for_placed():
    a, b = interleaved(np.random.default_rng(15), 400, success=1.0)
    outcomes = np.where(np.arange(400) % 10 == 0, "cancelled", "placed").astype(object)
    found = compare(a, changed(b, outcome=outcomes))
    assert found.success.verdict == "not enough data"
    assert found.exit_code == 3
    assert "Cancelled orders count nowhere: 0 of A, 40 of B." in found.verdict
    assert found.design.set_index("what").loc["cancelled", "b"] == "40 of 400"
    assert found.more.needed is None


def test_a_few_cancelled_orders_change_nothing_but_a_row():
    a, b = interleaved(np.random.default_rng(15), 600, success=1.0)
    outcomes = np.where(np.arange(600) < 3, "cancelled", "placed").astype(object)
    found = compare(a, changed(b, outcome=outcomes))
    assert found.order.verdict == "no change"
    assert "cancelled" in found.design["what"].tolist()


# Little data, much data, odd data.


def test_three_orders_against_three_are_not_enough_and_pass_no_gate():
    rng = np.random.default_rng(16)
    a, b = (
        tables(delays(rng, 3), ids=ids, started_s=start + 2 * np.arange(3))
        for ids, start in (("a", 0), ("b", 1))
    )
    found = compare(a, b)
    assert found.order.verdict == "not enough data"
    assert found.exit_code == 3
    assert found.more.needed > 50


@pytest.mark.parametrize("n", [1, 2, 3, 5, 8])
@pytest.mark.parametrize("seed", range(4))
def test_a_handful_of_equal_orders_never_passes_a_gate(n, seed):
    found = compare(*interleaved(np.random.default_rng(seed), n, success=1.0))
    assert found.exit_code == 3


@pytest.mark.parametrize(("n", "m"), [(0, 0), (0, 50), (50, 0)])
def test_an_empty_side_cannot_be_compared(n, m):
    rng = np.random.default_rng(17)
    found = compare(tables(delays(rng, n), ids="a"), tables(delays(rng, m), ids="b"))
    assert found.order.verdict == "not comparable"
    assert found.exit_code == 3
    assert found.shift.empty
    assert found.verdict.startswith("Not comparable: ")


def test_a_set_is_not_comparable_with_itself():
    a, _ = interleaved(np.random.default_rng(18), 300)
    found = compare(a, a)
    assert found.order.verdict == "not comparable"
    assert found.exit_code == 3
    assert "same orders" in found.design["what"].tolist()


@pytest.mark.parametrize("n", [100, 500])
def test_times_that_are_all_equal_are_equal(n):
    rng = np.random.default_rng(19)
    a, b = (
        tables(np.full((n, 4), 250.0), ids=ids, started_s=places)
        for ids, places in zip("ab", np.split(rng.permutation(2 * n), 2), strict=True)
    )
    found = compare(a, b)
    assert (found.typical.estimate, found.typical.low, found.typical.high) == (1.0, 1.0, 1.0)
    assert found.typical.verdict == "no change"


def test_ties_decide_as_the_times_do_from_which_they_were_rounded():
    for factor in (1.0, 1.3):
        a, b = interleaved(np.random.default_rng(20), 500, b={"factor": factor}, success=1.0)
        name = "time_to_order_placed_ms"
        rounded = [changed(one, **{name: one[2][name].round(-1)}) for one in (a, b)]
        exact, tied = compare(a, b), compare(*rounded)
        assert tied.order.verdict == exact.order.verdict
        assert tied.typical.estimate == pytest.approx(exact.typical.estimate, rel=0.01)
        assert tied.typical.high == pytest.approx(exact.typical.high, rel=0.01)


def test_of_very_many_orders_a_small_change_is_found_and_is_within_the_margin():
    a, b = interleaved(np.random.default_rng(21), 30_000, b={"factor": 1.01})
    found = compare(a, b)
    assert found.order.verdict == "slower"
    assert "by less than your margin" in found.verdict
    assert found.exit_code == 0


@pytest.mark.parametrize("n", [100, 400])
def test_a_change_within_the_margin_passes_however_it_is_called(n):
    """With more orders "slower, by less than your margin" is said more, "not enough data" less."""
    found = [
        compare(*interleaved(np.random.default_rng(seed), n, b={"factor": 1.05}, success=1.0))
        for seed in range(20)
    ]
    slower = sum(one.typical.verdict == "slower" for one in found)
    unknown = sum(one.typical.verdict == "not enough data" for one in found)
    assert (slower <= 12) if n == 100 else (slower >= 12)
    assert (unknown >= 2) if n == 100 else (unknown <= 2)


@pytest.mark.parametrize(("n", "factor"), [(100, 1.0), (75, 1.02), (60, 1.0), (60, 1.1)])
def test_as_many_more_orders_as_it_says_are_enough_in_eight_of_ten(n, factor):
    enough = asked = 0
    for seed in range(12):
        rng = np.random.default_rng(seed)
        now = interleaved(rng, n, b={"factor": factor}, success=1.0)
        found = compare(*now)
        if found.order.verdict == "not enough data":
            asked += 1
            more = interleaved(rng, found.more.needed, b={"factor": factor}, success=1.0)
            both = (together(*sides) for sides in zip(now, more, strict=True))
            enough += compare(*both).order.verdict != "not enough data"
    assert asked >= 5
    assert enough >= 0.8 * asked


# The three questions, and the family of stages.


def test_equal_pairs_seldom_get_a_verdict():
    """Of 80 more than nine would be wrong once in 1,000 times, were the rate 5 in 100."""
    found = verdicts(lambda rng: interleaved(rng, 150, success=0.97), 80)
    wrong = [one for one in found if one not in {"no change", "not enough data"}]
    assert len(wrong) <= binom.ppf(0.999, 80, 0.05)


def test_a_stage_whose_tail_hides_in_the_whole_order_forbids_no_change():
    rng = np.random.default_rng(23)
    a, b = interleaved(rng, 1000, b={"slow": (0.08, "creating-cart", 3)}, success=1.0)
    found = compare(a, b)
    stage = found.stages.set_index("stage").loc["creating-cart"]
    assert stage["tail"] == "slower"
    assert stage["forbids"]
    assert found.exit_code == 1
    assert "creating-cart" in found.verdict


def test_a_limit_says_what_is_late():
    a, b = interleaved(np.random.default_rng(24), 60, b={"factor": 1.5}, success=1.0)
    assert np.isnan(compare(a, b).tail.estimate)
    found = compare(a, b, slo_ms=1250)
    assert found.tail.verdict == "slower"
    assert found.tail.late_ms == 1250
    assert "later than 1\u202f250\u00a0ms" in found.verdict


def test_a_merchant_that_did_not_change_takes_the_day_away():
    def side(rng, ids, started, factor):
        merchant = rng.permuted(np.tile(np.repeat(["new.test", "same.test"], 20), (8, 1)), axis=1)
        merchant = merchant.ravel()
        pace = np.where(merchant == "new.test", factor, 1.0) * (1.0 if ids == "a" else 1.2)
        return tables(
            delays(rng, 320, factor=pace),
            ids=ids,
            domain=merchant,
            run_id=np.repeat([f"{ids}{r}" for r in range(8)], 40),
            started_s=started + np.arange(320) * 60.0,
        )

    rng = np.random.default_rng(26)
    a, same, slower = side(rng, "a", 0, 1.0), side(rng, "b", 1e6, 1.0), side(rng, "b", 1e6, 1.3)
    assert compare(a, same).order.verdict == "not attributable"
    found = compare(a, same, control="same.test")
    assert found.attributable
    assert found.typical.estimate == pytest.approx(1.0, abs=0.07)
    assert found.order.verdict in {"no change", "not enough data"}
    found = compare(a, slower, control="same.test")
    assert found.order.verdict == "slower"
    assert found.typical.estimate == pytest.approx(1.3, rel=0.07)
    assert "relative to same.test" in found.verdict
    assert found.by_runs
    assert found.order.n_a == found.success.a.of == found.tail.a.of == 160  # not the control's


def test_a_slow_day_makes_no_tail_where_the_control_spreads_more():
    method = Method("control", True, np.array([False, True]), np.arange(2))

    def side(rng, day):
        kind, run = np.tile([0, 1], 400), np.repeat(np.arange(10), 80)
        spread = np.where(kind == 1, 0.4, 0.21)
        pace = 1000 * np.linspace(*day, 10)[run]
        return Group(pace * np.exp(spread * rng.standard_normal(800)), kind, run)

    def told(seed):
        rng = np.random.default_rng(seed)
        found = tail(side(rng, (1.0, 1.2)), side(rng, (1.2, 1.4)), method, WIDE)
        return any(one.low > 0 or one.high < 0 for one in (found.late, found.very_late))

    assert sum(told(seed) for seed in range(40)) <= 2


@pytest.mark.parametrize("success", [1.0, 0.9])
def test_alternating_runs_are_the_unit(success):
    rng = np.random.default_rng(26)
    found = compare(*in_runs(rng, "abbaab" * 3, 40, b={"factor": 1.4}, success=success))
    assert found.attributable
    assert found.by_runs
    assert found.order.verdict == "slower"


def test_fewer_than_five_shared_runs_are_spoken_of_alone():
    found = compare(*interleaved(np.random.default_rng(27), 100, runs=3, success=1.0))
    assert not found.by_runs
    assert "This holds for these 3 runs only." in found.verdict
    assert compare(*interleaved(np.random.default_rng(27), 30, runs=5)).by_runs


def test_outcomes_are_drawn_at_their_rate():
    drawn = outcomes_of(np.random.default_rng(1), 4000, 0.9)
    assert (drawn == "placed").mean() == pytest.approx(0.9, abs=0.02)
