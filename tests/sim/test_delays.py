"""The drawn delays have the distributions that their profiles document."""

import math
import statistics

import httpx
import pytest

from firmly_nb.sim.behaviour import PROFILES, STAGES, Moment, draw, make_rng

N = 4_000


def drawn(name, stage, n=N, **moment):
    rng = make_rng(7, name)
    return [dict(draw(PROFILES[name], rng, 1, Moment(**moment)))[stage] for _ in range(n)]


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("name", ["typical", "calm", "degrading", "deploy"])
def test_medians_and_spreads_are_as_documented(name, stage):
    delay = PROFILES[name].delays[stage]
    values = drawn(name, stage)
    logs = [math.log(value) for value in values]
    # The standard error of a median of N lognormal values is 1.25 sigma / sqrt(N).
    tolerance = 4 * 1.25 * delay.sigma / math.sqrt(N)
    assert statistics.median(values) == pytest.approx(delay.median_ms, rel=tolerance)
    assert statistics.stdev(logs) == pytest.approx(delay.sigma, rel=0.06)


def test_stages_of_one_order_are_correlated_as_documented():
    rng = make_rng(7, "correlation")
    orders = [dict(draw(PROFILES["typical"], rng, 1)) for _ in range(N)]
    first, last = ([math.log(order[stage]) for order in orders] for stage in (STAGES[0], STAGES[3]))
    expected = PROFILES["typical"].correlation
    assert statistics.correlation(first, last) == pytest.approx(expected, abs=0.06)


@pytest.mark.parametrize("name", ["slow-shipping", "bimodal"])
def test_the_slow_mode_is_as_frequent_as_documented(name):
    delay = PROFILES[name].delays["shipping-updated"]
    values = drawn(name, "shipping-updated")
    between = delay.median_ms * math.sqrt(delay.slow_factor)
    slow = sum(value > between for value in values) / N
    spill = 0.5 * math.erfc(math.log(between / delay.median_ms) / delay.sigma / math.sqrt(2))
    expected = delay.slow_share * (1 - spill) + (1 - delay.slow_share) * spill
    assert slow == pytest.approx(expected, abs=0.03)


def test_a_degrading_shop_is_twice_as_slow_after_an_hour():
    now = drawn("degrading", "item-added", 100)
    later = drawn("degrading", "item-added", 100, uptime_h=1.0)
    assert later == pytest.approx([2 * value for value in now])


def test_the_evening_is_slower_than_the_morning():
    evening = drawn("daily", "item-added", 100, hour=20)
    morning = drawn("daily", "item-added", 100, hour=8)
    assert evening == pytest.approx([value * 1.35 / 0.65 for value in morning])


def test_a_deployment_shifts_one_stage_from_one_order_on():
    def at(order_no, stage):
        return drawn("deploy", stage, 50, order_no=order_no)

    assert at(100, "item-added") == pytest.approx([1.4 * ms for ms in at(99, "item-added")])
    assert at(100, "order-placed") == at(99, "order-placed")


def test_later_items_are_added_faster_than_the_first():
    rng = make_rng(7, "items")
    orders = [draw(PROFILES["calm"], rng, 3) for _ in range(1_000)]
    stages = [stage for stage, _ in orders[0]]
    assert stages == [STAGES[0], *["item-added"] * 3, *STAGES[2:]]
    medians = [statistics.median(order[n][1] for order in orders) for n in (1, 2, 3)]
    assert medians[1:] == pytest.approx([medians[0] * 0.45] * 2, rel=0.03)


def test_an_instant_shop_takes_no_time():
    assert {ms for _, ms in draw(PROFILES["instant"], make_rng(1), 5)} == {0}


def test_the_clock_can_run_faster_for_drift(start):
    client = start(profile="degrading", clock_rate=3600 * 1000.0)
    client.place(headers={"x-sim-profile": "calm"})
    # A thousand hours pass in a second, so by now every delay is ten times as long at least.
    client.http.timeout = httpx.Timeout(60, read=0.3)
    with pytest.raises(httpx.ReadTimeout):
        client.place()
