"""What recordings say of their times, with orders of the real simulator."""

import pytest

import firmly_nb as fnb
from firmly_nb.latency.compare import compare
from firmly_nb.latency.shares import (
    completion_curve,
    funnel,
    good_fraction,
    goodput,
    outcome_table,
    throughput,
)
from firmly_nb.latency.summary import latency_table


@pytest.fixture(scope="module")
def recs(simulator):
    """Twelve orders, two of them declined."""
    options = {"app_id": simulator.app_id, "allow_domains": simulator.domains}
    with fnb.connect(api_url=simulator.url, **options) as lab:
        cards = ["visa"] * 10 + ["declined"] * 2
        placed = [
            lab.place(fnb.Order.example(), card=fnb.Card.test(name), progress=False)
            for name in cards
        ]
    return fnb.Recordings(placed)


def test_its_figures_are_those_of_the_functions_on_its_tables(recs):
    found = recs.latency()
    assert found.table.equals(latency_table(recs.event_times, recs.stages, recs.orders))
    assert recs.outcomes().equals(outcome_table(recs.orders))
    assert recs.funnel().equals(funnel(recs.stages, recs.orders))
    assert recs.completion().equals(completion_curve(recs.orders))
    a, b = recs[::2], recs[1::2]
    tables = [(one.event_times, one.stages, one.orders) for one in (a, b)]
    options = {"tail_margin": 0.1, "placed_margin": 0.2, "slo_ms": 900.0, "like_for_like": True}
    other = compare(*tables, 0.2, **options)
    assert repr(a.compare(b, margin=0.2, **options)) == repr(other)


def test_a_target_is_met_missed_or_not_decided_by_so_few(recs):
    """Ten of twelve were placed, in far less than ten minutes: between 55% and 95%."""
    found = recs.slo(order_ms=600_000, share=0.8)
    assert found.verdict == "not enough data"
    assert found.attained == good_fraction(recs.orders, {"time_to_order_placed_ms": 600_000})
    assert recs.slo(order_ms=600_000, share=0.5).verdict == "met"
    assert recs.slo(order_ms=600_000, share=0.99).verdict == "missed"
    assert recs.slo(order_ms=0.001, share=0.5).verdict == "missed"
    assert recs.slo(order_ms=600_000, share=0.5, level=0.9999).verdict == "not enough data"


def test_rates_are_those_of_placed_orders(recs):
    limit = recs.orders["time_to_order_placed_ms"].median()
    assert recs.throughput() == throughput(recs.orders) > 0
    assert recs.goodput(order_ms=600_000) == recs.throughput()
    half = goodput(recs.orders, {"time_to_order_placed_ms": limit})
    assert recs.goodput(order_ms=limit) == half == pytest.approx(recs.throughput() / 2)


def test_declined_orders_stay_in_the_denominator(recs):
    assert recs.outcomes()["count"].tolist() == [10, 2]
    rows = recs.latency().table.set_index("stage")
    assert rows.loc["order", ["n", "attempted"]].tolist() == [10, 12]
    assert recs.funnel()["reached"].tolist() == [12, 12, 12, 10]
    assert recs.completion()["share"].iloc[-1] == pytest.approx(10 / 12)


def test_the_stages_telescope_to_the_order(recs):
    placed = recs.where(outcome="placed")
    whole = placed.orders["time_to_order_placed_ms"].sum()
    assert placed.stages["duration_ms"].sum() == pytest.approx(whole)


def test_a_level_can_be_chosen(recs):
    wide, usual = recs.latency(0.99).table, recs.latency().table
    row = usual["stage"] == "order"
    assert wide.loc[row, "p50_high_ms"].item() >= usual.loc[row, "p50_high_ms"].item()
    assert recs.latency() is recs.latency()


def test_many_recordings_show_their_statistics_and_few_their_list(recs):
    shown = recs._repr_html_()
    assert "12 orders: 10 placed, 83.3%" in shown
    assert "shipping-updated" in shown
    assert "shipping-updated" not in recs[:3]._repr_html_()


def test_drift_of_a_few_orders_is_not_made_up(recs):
    assert "Too few orders in a run" in repr(recs.drift())
    assert "Too few orders in a run" in repr(recs.drift("item-added"))


def test_nothing_recorded_has_no_figures():
    none = fnb.Recordings([])
    assert repr(none.latency()) == "no orders"
    assert none.outcomes()["count"].tolist() == [0]
    assert none.funnel().empty
    assert none.completion()["share"].tolist() == [0.0]
    assert none.compare(none).order.verdict == "not comparable"
    assert "Too few orders" in repr(none.drift())


def test_sweeps_one_after_the_other_are_different_and_not_attributable(simulator):
    options = {"app_id": simulator.app_id, "allow_domains": simulator.domains}
    with fnb.connect(api_url=simulator.url, **options) as lab:
        quick, slow = (
            lab.sweep(
                fnb.Order.example(),
                count=12,
                rate=20,
                headers={"x-sim-profile": name},
                progress=False,
            )
            for name in ("instant", "typical")
        )
    found = quick.compare(slow)
    assert found.typical.estimate > 2
    assert found.order.verdict == "not attributable"
    assert found.verdict.startswith("Different, but measured at different times: ")
