"""What recordings say of their times, with orders of the real simulator."""

import math

import pandas as pd
import pytest

import firmly_nb as fnb
from firmly_nb.latency.compare import compare
from firmly_nb.latency.shares import completion_curve, funnel, outcome_table
from firmly_nb.latency.summary import latency_table
from firmly_nb.latency.targets import good_fraction, goodput, throughput


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


def test_the_other_side_is_recordings_one_of_them_a_list_or_a_path(recs, tmp_path):
    a, b = recs[::2], recs[1::2]
    b.save(tmp_path / "b")
    asked = repr(a.compare(b, 0.2, tail_margin=0.05, slo_ms=900))
    for other in (b, list(b), [b[:3], b[3:]], (b[0], b[1:]), tmp_path / "b", str(tmp_path / "b")):
        assert repr(a.compare(other, "20%", tail_margin=" 5 % ", slo_ms="0.9s")) == asked
    assert a.compare(b[0]).success.b.of == 1
    assert a.compare([]).order.verdict == "not comparable"


@pytest.mark.parametrize("other", [7, None, {"a": 1}, fnb.Order.example(), [7], [None]])
def test_what_has_no_recordings_is_not_compared(recs, other):
    with pytest.raises(TypeError, match=r"^other must be recordings or a path, got .*FNB102"):
        recs.compare(other)


def test_a_set_compared_with_itself_is_said_however_it_is_held(recs, tmp_path):
    recs.save(tmp_path / "set")
    stored, both = fnb.load(tmp_path / "set"), fnb.load(tmp_path / "set")
    for a, b in ((recs, recs), (recs, stored), (stored, recs), (stored, both), (stored[:3], recs)):
        found = a.compare(b)
        assert (found.order.verdict, found.exit_code) == ("not comparable", 3)
        assert found.verdict == f"Not comparable: {len(a)} orders are on both sides."


def test_orders_that_two_tools_number_alike_are_not_the_same():
    def told(first_ms):
        ids = [str(number) for number in range(5)]
        ends = {"event": "order-placed", "t_ms": [first_ms + n for n in range(5)]}
        started = pd.Timestamp("2026-01-05", tz="UTC")
        orders = pd.DataFrame({"recording_id": ids, "started_at": started})
        return fnb.from_events(pd.DataFrame({"recording_id": ids, **ends}), orders)

    one, other = told(100.0), told(200.0)
    assert "both sides" not in one.compare(other).verdict
    assert "5 orders are on both sides" in one.compare(told(100.0)).verdict


@pytest.mark.parametrize("share", ["95%", " 95 %", "0.95", ".95", 0.95])
def test_a_share_is_read_as_people_write_it(recs, share):
    assert recs.slo(order_ms="1.5s", share=share) == recs.slo(order_ms=1500, share=0.95)


@pytest.mark.parametrize("share", ["95", "0%", "100%", "-5%", "95 percent", "", None, True, 95])
def test_what_is_no_share_is_refused(recs, share):
    with pytest.raises(ValueError, match=r"^share must be between 0 and 1, got .* pass 0.95"):
        recs.slo(order_ms=1500, share=share)


@pytest.mark.parametrize("limit", ["1500", "0s", "-1s", "1.5 h", "", None, True, 0, math.inf])
def test_what_is_no_time_is_refused(recs, limit):
    with pytest.raises(ValueError, match=r"^order_ms must be a time above 0 ms, got .*FNB321"):
        recs.slo(order_ms=limit, share=0.95)


def test_a_target_is_met_missed_or_not_decided_by_so_few(recs):
    """Ten of twelve were placed, in far less than ten minutes: between 52% and 98%."""
    found = recs.slo(order_ms=600_000, share=0.8)
    assert found.verdict == "not enough data"
    good = good_fraction(recs.orders, {"time_to_order_placed_ms": 600_000})
    assert (found.attained.count, found.attained.of) == (good.count, good.of) == (10, 12)
    assert found.attained.low <= good.low < good.high <= found.attained.high
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
