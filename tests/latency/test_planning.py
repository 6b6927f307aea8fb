"""How large a study has to be: the formulas, what they rest on, and how a plan shows itself."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from firmly_nb.latency import STAGES
from firmly_nb.latency.planning import NEEDS, plan
from firmly_nb.latency.questions import NARROW, WIDE, Group, Method, tail, typical

MORNING = pd.Timestamp("2026-01-05T09:00:00Z")


def orders(n=400, *, sigma=0.21, placed=1.0, runs=1, between=0.0, seed=1, **columns):
    """Orders of some runs, one every two seconds."""
    rng = np.random.default_rng(seed)
    run = np.arange(n) % runs
    level = between * rng.standard_normal(runs)
    came = np.arange(n) < round(placed * n)
    rng.shuffle(came)
    ms = 1_000 * np.exp(sigma * rng.standard_normal(n) + level[run])
    return pd.DataFrame(
        {
            "recording_id": [f"r{i}" for i in range(n)],
            "run_id": [f"run {number}" for number in run],
            "outcome": np.where(came, "placed", "timeout"),
            "started_at": MORNING
            + pd.to_timedelta(3600 * run + 2 * (np.arange(n) // runs), unit="s"),
            "time_to_order_placed_ms": np.where(came, ms, np.nan),
            **columns,
        }
    )


def planned(table, change=0.10, power=0.8, **options):
    return plan((pd.DataFrame(), STAGES.empty(), table), change, power, **options)


def needs(found, question, change):
    table = found.needs.set_index(["question", "change"])
    return table.loc[(question, change)]


def test_the_typical_time_needs_what_the_formula_says():
    found = planned(orders(4_000))
    z = stats.norm.ppf(0.5 + WIDE / 2) + stats.norm.ppf(0.8)
    tau = 0.21 * math.sqrt(math.pi / 3)  # of Hodges and Lehmann, times that are lognormal
    for change in (0.05, 0.10):
        wanted = 2 * (tau * z / math.log1p(change)) ** 2
        asked = needs(found, "typical", f"+{100 * change:.0f}%")["orders"]
        assert asked == pytest.approx(wanted, rel=0.1)


PRESENT = [(0.21, 0.98), (0.4, 0.95), (0.21, 0.90)]  # sd of log times, share of placed orders


@pytest.mark.parametrize(("sigma", "placed"), PRESENT)
def test_where_orders_fail_the_stated_power_is_reached_as_well(sigma, placed):
    """Studies of the size that is asked for tell slow orders, and a change, in about 80 of 100."""
    found = planned(orders(20_000, sigma=sigma, placed=placed))
    rng = np.random.default_rng(17)
    alone = Method("interleaved", False, np.zeros(1, bool), np.zeros(1, np.intp))

    def side(n, change=0.0, slow=0.0):
        ms = 1_000 * (1 + change) * np.exp(sigma * rng.standard_normal(n))
        ms = np.where(rng.random(n) < slow, 2 * ms, ms)
        zeros = np.zeros(n, np.intp)
        return Group(np.where(rng.random(n) < placed, ms, np.inf), zeros, zeros)

    n = int(needs(found, "tail", "8% take twice as long")["orders"])
    told = 0
    for _ in range(300):
        late = tail(side(n), side(n, slow=0.08), alone, WIDE)
        told += late.late.low > 0 or late.very_late.low > 0
    assert told / 300 == pytest.approx(0.8, abs=0.07)
    n = int(needs(found, "typical", "+10%")["orders"])
    told = 0
    for _ in range(300):
        a, b = (one.came for one in (side(n), side(n, change=0.10)))
        told += typical(a, b, alone, (WIDE, NARROW)).ends.low > 0
    assert told / 300 == pytest.approx(0.8, abs=0.07)


def test_shared_runs_need_what_the_formula_says():
    found = planned(orders(4_000))
    tau, noise, size = 0.21 * math.sqrt(math.pi / 3), 0.03, math.log1p(0.10)
    variance = (noise**2 + 2 * tau**2 / 20) / size**2
    sure = 0.5 + WIDE / 2
    runs = next(
        r for r in range(5, 99)
        if r >= (stats.t.ppf(sure, r - 1) + stats.t.ppf(0.8, r - 1)) ** 2 * variance
    )  # fmt: skip
    assert abs(needs(found, "typical", "+10%")["runs"] - runs) <= 1


def test_the_tail_asks_for_most_and_no_change_is_among_what_is_planned():
    found = planned(orders())
    assert found.question == "tail"
    assert found.orders == needs(found, "tail", "same within 5 points")["orders"]
    assert found.orders == pytest.approx(400, rel=0.05)
    assert "The tail asks for most." in found.sentence


def test_a_small_change_of_widely_spread_times_asks_for_most():
    found = planned(orders(sigma=0.5), change=0.05)
    assert found.question == "typical"
    assert found.orders == needs(found, "typical", "+5%")["orders"]


def test_the_success_rate_asks_for_most_where_many_fail():
    found = planned(orders(2_000, sigma=0.1, placed=0.6))
    assert found.question in {"tail", "placed"}
    assert needs(found, "placed", "same within 5 points")["orders"] > 1_000


def test_all_placed_asks_for_no_less_than_what_the_tail_needs():
    assert needs(planned(orders()), "placed", "same within 5 points")["orders"] == 72


def test_every_change_that_is_asked_for_has_a_row():
    assert planned(orders()).needs["change"].tolist() == [
        "+5%", "+10%", "+20%", "+30%", "4% take twice as long", "8% take twice as long",
        "same within 10%", "same within 5 points", "same within 5 points",
    ]  # fmt: skip
    assert "+15%" in planned(orders(), change=0.15).needs["change"].tolist()


@settings(max_examples=20)  # three plans each
@given(st.floats(0.02, 0.5), st.floats(0.55, 0.99))
def test_a_larger_change_and_a_smaller_power_need_no_more(change, power):
    table = orders(100)
    one, larger = planned(table, change, power), planned(table, 1.5 * change, power)
    surer = planned(table, change, power + (1 - power) / 2)
    assert larger.orders <= one.orders <= surer.orders
    assert larger.runs <= one.runs <= surer.runs


def test_runs_and_kinds_that_differ_do_not_make_orders_look_spread():
    plain, in_runs = planned(orders(2_000)), planned(orders(2_000, runs=10, between=0.5))
    assert needs(in_runs, "typical", "+10%")["orders"] == pytest.approx(
        needs(plain, "typical", "+10%")["orders"], rel=0.15
    )
    mixed = orders(2_000, domain=np.where(np.arange(2_000) % 2, "a.test", "b.test"))
    mixed.loc[mixed["domain"] == "b.test", "time_to_order_placed_ms"] *= 3
    assert needs(planned(mixed), "typical", "+10%")["orders"] == pytest.approx(
        needs(plain, "typical", "+10%")["orders"], rel=0.15
    )


def test_runs_that_differ_need_more_runs_where_whole_runs_take_turns():
    calm, rough = (planned(orders(2_000, runs=10, between=one)) for one in (0.0, 0.3))
    runs = [int(found.notes[0].split(" takes ")[1].split(" runs")[0]) for found in (calm, rough)]
    assert runs[0] < runs[1]
    assert "of the variance is between runs" in planned(orders()).notes[0]


def test_sides_that_took_turns_in_shared_runs_tell_how_much_a_release_varies():
    n, runs = 1_200, 12
    sides = np.where(np.arange(n) // runs % 2, "B", "A")
    table = orders(n, runs=runs, tags=[{"side": side} for side in sides])
    noise = 0.15 * np.random.default_rng(3).standard_normal(runs)
    factor = np.exp(noise[np.arange(n) % runs]) * 2.0
    table["time_to_order_placed_ms"] *= np.where(sides == "B", factor, 1.0)
    found, plain = planned(table), planned(orders(n, runs=runs))
    assert not any("not known" in note for note in found.notes)
    assert any("not known" in note for note in plain.notes)
    asked = [needs(one, "typical", "+10%") for one in (found, plain)]
    assert asked[0]["orders"] == pytest.approx(asked[1]["orders"], rel=0.2)
    assert asked[0]["runs"] > 2 * asked[1]["runs"]


def test_minutes_are_those_of_both_sides_at_the_rate_of_the_recordings():
    found = planned(orders())
    assert found.per_minute == pytest.approx(30)
    assert found.minutes == pytest.approx(2 * found.orders / 30)
    assert planned(orders(), per_minute=60.0).minutes == pytest.approx(found.minutes / 2)
    assert planned(orders().drop(columns="started_at")).per_minute == 20


def test_money_is_what_orders_cost_on_average_and_failures_cost_nothing():
    table = orders(placed=0.5, currency="USD", total_minor=pd.array([3_000] * 400, dtype="Int64"))
    found = planned(table)
    assert found.amounts == {"USD": 3_000 * found.orders}
    assert needs(found, "typical", "+10%")["currency"] == "USD"
    assert "USD" in repr(found)


def test_several_currencies_stand_side_by_side():
    table = orders(
        currency=np.where(np.arange(400) % 2, "USD", "JPY"),
        total_minor=pd.array([1_000] * 400, dtype="Int64"),
    )
    found = planned(table)
    assert found.amounts == {"USD": 1_000 * found.orders, "JPY": 1_000 * found.orders}
    assert found.needs["total_minor"].isna().all()
    assert "JPY" in found.sentence
    assert "USD" in found.sentence


def test_orders_without_amounts_have_no_cost():
    found = planned(orders())
    assert found.amounts == {}
    assert "cost" not in found.sentence


@pytest.mark.parametrize("placed", [0, 1, 19])
def test_too_few_orders_are_refused(placed):
    with pytest.raises(ValueError, match=rf"needs 20 placed orders .*got {placed}\..*FNB325"):
        planned(orders(40, placed=placed / 40))


def test_cancelled_orders_count_nowhere():
    table = orders(440)
    table.loc[400:, "outcome"] = "cancelled"
    assert needs(planned(table), "placed", "same within 5 points")["orders"] == 72


def test_times_that_do_not_differ_at_all_can_be_planned_from():
    table = orders().assign(time_to_order_placed_ms=500.0)
    assert needs(planned(table), "typical", "+5%")["orders"] == 10


def test_what_cannot_be_reached_is_said():
    found = planned(orders(sigma=1.5), change=0.001)
    assert found.orders is None
    assert found.sentence.startswith("No number of orders within reach tells a change of 0.1%")
    assert "-" in repr(found)
    assert found.needs["orders"].isna().any()


@pytest.mark.parametrize("options", [{}, {"placed": 0.9}, {"sigma": 1.2, "n": 3_000}])
def test_a_plan_fits_a_terminal_and_shows_the_same_in_a_notebook(options):
    found = planned(orders(**options))
    lines = repr(found).splitlines()
    assert max(map(len, lines)) <= 80
    assert found.needs.columns.tolist() == list(NEEDS.names)
    html = found._repr_html_()
    assert all(
        text in html for text in ("What each question needs", "asks for most", "same within")
    )
    assert str(found.count) in repr(found).replace("\n", " ")


def test_a_comparison_that_looks_often_may_place_half_as_many_again():
    found = planned(orders())
    assert found.count % 10 == 0
    assert found.count >= 1.5 * found.orders
