"""What recordings cannot say, as tables: each caveat, and what is left out because of it."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmly_nb.api.event_names import REFERENCE
from firmly_nb.latency.caveats import CAVEATS, VOIDS, claims, from_planned_start
from firmly_nb.latency.drift import run_drift
from firmly_nb.latency.stages import REASONS, STAGES, stage_times, stages, voided
from firmly_nb.latency.summary import latency_table, sentences, summary
from firmly_nb.recorder.tables import EVENTS, ORDERS

NO_EVENTS = pd.DataFrame({"recording_id": []})


def events_of(reads, *, names=REFERENCE, step_ms=100.0, recording_id="r", uncertainty_us=2.0):
    """Events of an order whose reads brought so many events each, one read each step."""
    rows = []
    for read, number in enumerate(reads, start=1):
        rows += [(read * step_ms, False), *[(read * step_ms, True)] * (number - 1)]
    return pd.DataFrame(
        [
            (recording_id, name, name, t_ms, uncertainty_us, together)
            for name, (t_ms, together) in zip(names, rows, strict=False)
        ],
        columns=["recording_id", "event", "milestone", "t_ms", "uncertainty_us", "coalesced"],
    )


def orders_of(events, domains=("a.test",), outcome="placed", **columns):
    ids = events["recording_id"].drop_duplicates().tolist()
    values = {
        "recording_id": ids,
        "domain": [domains[number % len(domains)] for number in range(len(ids))],
        "outcome": outcome,
        "time_to_order_placed_ms": events.groupby("recording_id", sort=False)["t_ms"].max(),
    }
    made = pd.DataFrame({name: np.asarray(v) for name, v in values.items()} | columns)
    begun = pd.Timestamp("2026-01-05", tz="UTC") + pd.to_timedelta(np.arange(len(made)), unit="s")
    return made.assign(started_at=begun, environment="custom")


def many(*reads, domains=("a.test",), **columns):
    """Orders whose events came in these reads: events, stages, orders."""
    events = pd.concat([events_of(each, recording_id=f"r{n}") for n, each in enumerate(reads)])
    events = events.reset_index(drop=True)
    return events, stages(events), orders_of(events, domains, **columns)


def codes(tables):
    return claims(*tables).table["code"].tolist()


def left_out(tables):
    return {one.name: dict(one.left_out) for one in stage_times(*tables[1:]) if one.left_out}


APART, TOGETHER = (1, 1, 1, 1), (4,)


def test_orders_that_were_read_event_by_event_have_no_caveat():
    tables = many(APART, APART)
    assert claims(*tables).table.equals(CAVEATS.empty())
    assert not left_out(tables)


def test_a_stage_in_one_read_has_no_time_and_the_others_keep_theirs():
    tables = many((2, 1, 1), APART, APART)
    assert codes(tables) == ["coalesced"]
    (row,) = claims(*tables).table.to_dict("records")
    assert row["orders"] == 1
    assert row["voids"] == VOIDS["coalesced"]
    assert row["text"] == (
        "No time is known for item-added (1 of 3 orders): begin and end came in one read."
    )
    assert left_out(tables) == {"item-added": {"coalesced": 1}}
    table = latency_table(*tables).set_index("stage")
    assert table.loc["item-added", ["n", "left_out", "reached"]].tolist() == [2, 1, 3]
    assert table.loc["item-added", "left_out_why"] == "1 coalesced"
    assert table.loc["creating-cart", ["n", "left_out"]].tolist() == [3, 0]


@pytest.mark.parametrize(("uncertainty_us", "known"), [(25_000.0, True), (25_001.0, False)])
def test_an_uncertainty_above_half_of_a_time_voids_it(uncertainty_us, known):
    """Both ends of a stage of 100 ms are unsure; the first stage has one unsure end."""
    events = events_of(APART, uncertainty_us=uncertainty_us)
    tables = events, stages(events), orders_of(events)
    assert bool(left_out(tables)) is not known
    assert codes(tables) == ([] if known else ["coalesced"])
    if not known:
        assert "the uncertainty is above half" in claims(*tables).text("coalesced")
        assert set(left_out(tables)) == set(REFERENCE[1:])


@pytest.mark.parametrize(
    ("reads", "is_gathered"),
    [
        (TOGETHER, True),
        ((1, 3), True),
        ((3, 1), True),
        ((2, 2), True),
        ((1, 1, 2), False),
        ((1, 1), False),
        ((1,), False),
        ((2,), True),
    ],
)
def test_one_order_is_gathered_if_at_most_two_reads_brought_more_events(reads, is_gathered):
    tables = many(reads)
    assert ("buffered" in codes(tables)) is is_gathered
    assert claims(*tables).buffered == (frozenset({"a.test"}) if is_gathered else frozenset())
    if is_gathered:
        assert not any(len(one.times_ms) for one in stage_times(*tables[1:]))


@pytest.mark.parametrize(("gathered", "is_buffered"), [(5, False), (6, True)])
def test_a_merchant_is_buffered_where_more_than_half_of_its_orders_are(gathered, is_buffered):
    tables = many(*[TOGETHER] * gathered, *[APART] * (10 - gathered))
    known = claims(*tables)
    assert bool(known.buffered) is is_buffered
    if is_buffered:
        assert "for a.test (6 of 10 orders)" in known.text("buffered")
        assert left_out(tables) == {name: {"buffered": 10} for name in REFERENCE}
    else:
        assert left_out(tables) == {name: {"coalesced": 5} for name in REFERENCE[1:]}


def test_of_two_merchants_one_keeps_its_stages_and_both_keep_their_orders():
    tables = many(*[TOGETHER, APART] * 4, domains=("a.test", "b.test"))
    known = claims(*tables)
    assert known.buffered == {"a.test"}
    assert "b.test" not in known.text("buffered")
    for one in stage_times(*tables[1:]):
        assert one.orders.tolist() == [1, 3, 5, 7]
        assert one.times_ms.tolist() == [100.0] * 4
    table = latency_table(*tables).set_index("stage")
    assert table.loc["order", "n"] == 8
    assert table.loc[list(REFERENCE), "share_of_order"].tolist() == [0.25] * 4


def test_orders_without_a_merchant_are_of_one():
    events, table, orders = many(*[TOGETHER] * 3)
    orders = orders.drop(columns="domain")
    assert claims(events, table, orders).buffered == {""}
    assert "No stage has a time: " not in claims(events, table, orders).text("coalesced")
    assert not any(len(one.times_ms) for one in stage_times(table, orders))


def test_of_many_responses_it_is_said_how_many_name_a_proxy():
    events, stages, orders = many(*[TOGETHER] * 4)
    orders["proxies"] = ["cf-ray", "via: 1.1 a", None, "via: 1.1 a"]
    said = claims(events, stages, orders).text("buffered")
    assert said.endswith("3 of 4 responses name a proxy, a possible cause: via: 1.1 a and cf-ray.")


def test_orders_that_ended_early_say_nothing_of_gathering():
    """One event in one read is what every proxy would give."""
    tables = many(*[(1,)] * 20, TOGETHER)
    assert claims(*tables).buffered == {"a.test"}
    tables = many(*[(1, 1)] * 20, TOGETHER)
    assert claims(*tables).buffered == frozenset()


def test_events_that_are_no_milestones_are_looked_at():
    names = ("progress", *REFERENCE)
    events = events_of((1, 1, 1, 2), names=names)
    assert not stages(events)["gathered"].any()
    assert stages(events)["coalesced"].tolist() == [False, False, False, True]
    # Between two milestones of different reads lies another event of the second one's read.
    between = ("creating-cart", "progress", "item-added")
    assert not stages(events_of((1, 2), names=between))["coalesced"].any()
    together = stages(events_of((3,), names=between))["coalesced"]
    assert together.tolist() == [False, True, False, False]


def test_events_of_several_orders_may_be_mixed():
    first, second = events_of((2, 2), recording_id="a"), events_of(APART, recording_id="b")
    mixed = pd.concat([first, second]).sort_values("t_ms", kind="stable")
    found = stages(mixed).sort_values("recording_id", kind="stable")
    expected = stages(pd.concat([first, second]))
    assert found["coalesced"].tolist() == expected["coalesced"].tolist()
    assert found["gathered"].tolist() == expected["gathered"].tolist() == [True] * 4 + [False] * 4


def test_a_first_event_shares_a_read_with_nothing():
    """Whatever was left out before it."""
    events = events_of(APART)
    events["coalesced"] = [True, False, False, False]
    assert not stages(events)["coalesced"].any()


def test_a_stage_after_a_missed_milestone_is_left_out_too():
    events = events_of(
        (1, 1, 2), names=("progress", "creating-cart", "shipping-updated", "message")
    )
    assert not stages(events)["coalesced"].any()
    events = events_of(
        (1, 2, 1), names=("progress", "creating-cart", "shipping-updated", "message")
    )
    tables = events, stages(events), orders_of(events)
    assert left_out(tables) == {"creating-cart->shipping-updated": {"coalesced": 1}}


def backwards():
    events = events_of(APART, names=("creating-cart", "shipping-updated", "item-added"))
    return events, stages(events), orders_of(events)


def test_a_negative_stage_is_counted_and_in_no_figure_or_sentence():
    tables = backwards()
    assert codes(tables) == ["out-of-order"]
    assert left_out(tables) == {"shipping-updated": {"out-of-order": 1}}
    table = latency_table(*tables)
    assert (table["max_ms"].dropna() > 0).all()
    assert not any("-1" in one for one in sentences(*tables))
    assert any(one.startswith("Out of order: shipping-updated ended") for one in sentences(*tables))


def test_drift_of_a_stage_looks_at_known_times_only():
    tables = many(*[TOGETHER] * 30, run_id="one")
    assert "Too few orders in a run" in run_drift(*tables[1:], "item-added").within
    assert "No drift" in run_drift(*many(*[APART] * 30, run_id="one")[1:], "item-added").within


def test_placed_without_a_number_is_not_confirmed_until_somebody_knows():
    unsure = many(APART, APART, APART, order_exists=["unknown", "yes", "no"])
    (row,) = claims(*unsure).table.to_dict("records")
    assert (row["code"], row["orders"]) == ("unconfirmed", 2)
    assert row["text"].startswith("1 order of a.test was told as placed without a readable order")
    gone = "1 order of a.test was told as placed and does not exist: the cart was asked."
    assert row["text"].endswith(gone)
    (row,) = claims(*many(APART, APART, order_exists=["no", "yes"])).table.to_dict("records")
    assert (row["text"], row["orders"]) == (gone, 1)
    lost = many(APART, outcome="timeout", order_exists="unknown")
    assert codes(lost) == []


def test_carts_that_were_not_read_are_named_with_the_event_and_the_reason():
    events, table, orders = many(APART, APART)
    events["seq"] = [1, 2, 3, 4] * 2
    events["unread"] = [None, "its data is not whole JSON"] * 4
    found = claims(events, table, orders)
    (row,) = found.table.to_dict("records")
    assert (row["code"], row["orders"]) == ("unreadable", 2)
    assert row["text"] == (
        "The cart of event 2 'item-added' of a.test and of 1 more event was not read: its data is "
        "not whole JSON. The cart of event 4 'order-placed' of a.test and of 1 more event was not "
        "read: its data is not whole JSON."
    )


def test_what_orders_noted_is_told():
    tables = many(
        APART,
        APART,
        content_encoding=["gzip", None],
        unfinished=[None, "7 bytes, beginning: data: {"],
        clock_step_us=[0.0, -1500.0],
    )
    found = claims(*tables)
    assert found.table["code"].tolist() == ["compressed", "unfinished", "clock-step"]
    assert found.table["orders"].tolist() == [1, 1, 1]
    assert "(gzip) in 1 order of a.test" in found.text("compressed")
    assert found.text("unfinished").endswith("It has 7 bytes, beginning: data: {")
    assert "stepped by up to 1.50\u00a0ms" in found.text("clock-step")


def test_events_without_a_kernel_timestamp_are_counted():
    events, table, orders = many(APART, APART)
    events["clock"] = ["kernel"] * 6 + ["user"] * 2
    events.loc[7, "uncertainty_us"] = 80.0
    (row,) = claims(events, table, orders).table.to_dict("records")
    assert (row["code"], row["orders"]) == ("user-clock", 1)
    assert row["text"] == (
        "2 events in 1 order of a.test have no kernel timestamp. Uncertainty: up to 80.0\u00a0µs."
    )


def late(lag_ms, n=40, **columns):
    return many(*[APART] * n, schedule_lag_ms=np.asarray(lag_ms, float), **columns)


@pytest.mark.parametrize(("lag_ms", "is_late"), [(20.0, False), (20.1, True)])
def test_orders_are_late_above_a_twentieth_of_the_median(lag_ms, is_late):
    tables = late([lag_ms] * 40)
    assert (codes(tables) == ["late-start"]) is is_late
    assert claims(*tables).from_planned_start is is_late
    rows = latency_table(*tables)["stage"].tolist()
    assert ("from planned start" in rows) is is_late


def test_the_latency_table_has_a_row_from_the_planned_start():
    events, table, orders = late(np.arange(40) * 30.0)
    found = summary(events, table, orders)
    rows = found.table.set_index("stage")
    assert list(rows.index)[-2:] == ["order", "from planned start"]
    assert rows.loc["order", "p50_ms"] == 400
    assert rows.loc["from planned start", "p50_ms"] == 400 + 30 * 19.5
    assert found.sentences[0].startswith("Late start: Orders started up to ")
    assert not any(one.startswith("Lag") for one in found.sentences)
    assert "from planned start" in repr(found)


def test_cancelled_orders_and_orders_without_a_plan_are_not_late():
    plan = np.where(np.arange(40) < 20, np.nan, 0.5)
    assert not from_planned_start(late(plan)[2])
    gone = np.arange(40) < 20
    lag_ms = np.where(gone, 999.0, 0.5)
    assert from_planned_start(late(lag_ms)[2])
    outcome = np.where(gone, "cancelled", "placed")
    assert not from_planned_start(late(lag_ms, outcome=outcome)[2])


def test_where_none_was_placed_the_median_is_that_of_all_ends():
    nothing = {"outcome": "timeout", "order_latency_ms": 1000.0}
    for lag_ms, is_late in ((49.0, False), (51.0, True)):
        tables = late([lag_ms] * 40, **nothing)
        tables[2]["time_to_order_placed_ms"] = math.nan
        assert from_planned_start(tables[2]) is is_late
    assert not from_planned_start(late([51.0] * 40)[2].assign(time_to_order_placed_ms=math.nan))


def test_nothing_and_all_cancelled_orders_have_no_claims():
    nothing = claims(NO_EVENTS, STAGES.empty(), ORDERS.empty())
    assert (len(nothing.table), nothing.buffered, nothing.from_planned_start) == (0, set(), False)
    assert claims(EVENTS.empty(), STAGES.empty(), ORDERS.empty()).table.equals(CAVEATS.empty())
    tables = many(TOGETHER, TOGETHER, outcome="cancelled", schedule_lag_ms=99.0)
    assert claims(*tables).buffered == {"a.test"}
    assert [one.reached for one in stage_times(*tables[1:])] == [0] * 4
    assert latency_table(*tables)["left_out"].tolist() == [0] * 5


def test_names_of_merchants_are_counted_beyond_a_few_and_steer_no_terminal():
    domains = tuple(f"{letter}.test\x1b" for letter in "abcde")
    text = claims(*many(*[TOGETHER] * 10, domains=domains)).text("buffered")
    named = [f"{letter}.test· (2 of 2 orders)" for letter in "abc"]
    assert f"for {', '.join(named)} and 2 more:" in text


reads_of = st.lists(st.integers(1, 4), min_size=0, max_size=4)


@given(st.lists(st.tuples(reads_of, st.sampled_from("ab"), st.booleans()), max_size=8))
def test_each_reached_stage_is_either_timed_or_left_out_for_one_reason(made):
    made = [(reads, *rest) for reads, *rest in made if reads]
    if not made:
        return
    events, table, orders = many(*(reads for reads, _, _ in made))
    orders["domain"] = [f"{name}.test" for _, name, _ in made]
    orders["outcome"] = np.where([gone for *_, gone in made], "cancelled", "placed")
    found = stage_times(table, orders)
    counted = ~orders["outcome"].eq("cancelled").to_numpy()
    reached = table["duration_ms"].notna() & np.repeat(counted, 4)
    by_stage = table[reached].groupby("stage", observed=True).size().to_dict()
    assert {one.name: one.reached for one in found if one.reached} == by_stage
    for one in found:
        assert sum(one.left_out.values()) == len(one.left_out_rows)
        assert set(one.left_out) <= set(REASONS)
        assert not set(one.rows) & set(one.left_out_rows)
        assert (one.times_ms > 0).all()
    known = claims(events, table, orders)
    void = voided(table, orders)
    assert known.buffered == void.buffered
    for name in known.buffered:
        mine = (orders["domain"] == name).to_numpy()
        assert 2 * void.gathered[mine].sum() > 0
        assert not any(mine[one.orders].any() for one in found)
