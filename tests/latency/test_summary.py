"""The table of a run, and how it is shown."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firmly_nb.display.text import PAGES
from firmly_nb.latency.compare import compare
from firmly_nb.latency.drift import run_drift
from firmly_nb.latency.quantiles import quantile
from firmly_nb.latency.stages import stages as stages_from
from firmly_nb.latency.summary import DEFINED_IN, LATENCY, latency_table, summary, where
from firmly_nb.recorder.tables import EVENTS

ROOT = Path(__file__).parents[2]


@pytest.fixture
def study(delays, tables):
    def make(n=120, seed=1, **options):
        return tables(delays(np.random.default_rng(seed), n), **options)

    return make


def test_each_stage_has_its_quantiles_and_the_order_its_own(study):
    events, stages, orders = study()
    table = latency_table(events, stages, orders)
    assert table.dtypes.astype("str").to_dict() == {c.name: c.dtype for c in LATENCY.columns}
    assert table["stage"].tolist() == [
        "creating-cart", "item-added", "shipping-updated", "order-placed",
        "order", "first event", "headers",
    ]  # fmt: skip
    times = {"order": orders["time_to_order_placed_ms"], "headers": orders["time_to_headers_ms"]}
    times["item-added"] = stages.loc[stages["stage"] == "item-added", "duration_ms"]
    rows = table.set_index("stage")
    for name, values in times.items():
        for p in (0.5, 0.9, 0.95):
            expected = quantile(values, p)
            told = rows.loc[name, [f"p{100 * p:.0f}{part}_ms" for part in ("", "_low", "_high")]]
            assert told.tolist() == [expected.estimate, expected.low, expected.high]
        assert rows.loc[name, "max_ms"] == values.max()


def test_the_stages_shares_of_the_time_add_up(study):
    table = latency_table(*study(outcomes=["placed"] * 90 + ["timeout"] * 30)).set_index("stage")
    assert table["share_of_order"].iloc[:4].sum() == pytest.approx(1)
    assert table.loc["order", "share_of_order"] == 1


def test_failures_stay_in_what_was_attempted_and_cancelled_orders_do_not(study):
    outcomes = ["placed"] * 80 + ["timeout"] * 30 + ["cancelled"] * 10
    rows = latency_table(*study(outcomes=outcomes)).set_index("stage")
    assert set(rows["attempted"]) == {110}
    assert rows.loc["order", ["n", "reached"]].tolist() == [80, 80]
    assert rows.loc["item-added", "n"] == 110
    assert rows.loc["order", "reached_share"] == pytest.approx(80 / 110)
    assert rows.loc["order", "reached_low"] < 80 / 110 < rows.loc["order", "reached_high"]


def test_a_quantile_of_too_few_orders_is_null_with_an_open_end(study):
    row = latency_table(*study(n=40)).set_index("stage").loc["order"]
    assert np.isfinite(row["p90_ms"])
    assert np.isnan(row["p95_ms"])
    assert np.isfinite(row["p95_low_ms"])
    assert row["p95_high_ms"] == np.inf


def test_with_runs_intervals_are_those_of_runs(study):
    runs = np.repeat(["a", "b", "c", "d", "e"], 24)
    plain, by_run = latency_table(*study()), latency_table(*study(run_ids=runs))
    assert by_run["p50_ms"].tolist() == plain["p50_ms"].tolist()
    assert (by_run["p50_low_ms"] <= plain["p50_low_ms"]).all()
    assert "95% intervals are from 5 runs, for runs like these." in repr(
        summary(*study(run_ids=runs))
    )


def test_the_last_occurrence_of_a_milestones_event_says_whether_it_was_coalesced(study):
    events, stages, orders = study(n=20)
    first = events[events["event"] == "item-added"].assign(coalesced=True)
    both = pd.concat([first, events], ignore_index=True)
    both = both.sort_values(["recording_id", "seq"], kind="stable")
    assert latency_table(both, stages, orders)["coalesced_share"].iloc[:4].tolist() == [0] * 4
    events.loc[events["event"] == "order-placed", "coalesced"] = True
    share = latency_table(events, stages, orders)["coalesced_share"]
    assert share.iloc[:4].tolist() == [0, 0, 0, 1]


def test_a_stage_after_a_gap_has_a_row_of_its_own_after_the_plain_one(study):
    events, _, orders = study(n=30)
    missed = (events["event"] == "item-added") & events["recording_id"].isin(["r0", "r1"])
    kept = events[~missed]
    table = latency_table(kept, stages_from(kept), orders)
    names = table["stage"].tolist()
    assert names[:4] == [
        "creating-cart", "item-added", "shipping-updated", "creating-cart->shipping-updated"
    ]  # fmt: skip
    assert table["n"].tolist()[1:4] == [28, 28, 2]
    assert table["share_of_order"].iloc[:5].sum() == pytest.approx(1)


def test_the_order_of_rows_does_not_change_the_figures(study):
    events, stages, orders = study(n=60)
    shuffled = orders.sample(frac=1, random_state=1)
    pd.testing.assert_frame_equal(
        latency_table(events, stages, orders), latency_table(events, stages, shuffled)
    )


def test_orders_without_any_event_have_rows_with_nothing_in_them(study):
    _, stages, orders = study(n=10, outcomes=["timeout"] * 10)
    empty = stages.assign(duration_ms=np.nan, end_ms=np.nan)
    table = latency_table(EVENTS.empty(), empty, orders)
    assert table["n"].tolist()[:5] == [0] * 5
    assert table["p50_ms"].isna().all() or table["n"].tolist()[5:] == [10, 10]
    assert "-" in repr(summary(EVENTS.empty(), empty, orders))


def test_a_stage_without_a_time_has_no_share_of_the_time(study):
    """Orders that were placed, and whose events were lost: 0 % would be a figure of nothing."""
    _, stages, orders = study(n=10)
    empty = stages.assign(duration_ms=np.nan, end_ms=np.nan)
    table = latency_table(EVENTS.empty(), empty, orders).set_index("stage")
    assert table.loc["order", ["n", "share_of_order"]].tolist() == [10, 1]
    assert table["share_of_order"].drop("order").isna().all()


outcomes = st.lists(st.sampled_from(["placed", "timeout", "cancelled", "error_event"]), max_size=40)


@settings(deadline=None, max_examples=40)
@given(outcomes, st.integers(0, 3))
def test_whatever_the_outcomes_the_table_stands(outcomes, runs):
    rng = np.random.default_rng(len(outcomes))
    ids = [f"r{i}" for i in range(len(outcomes))]
    placed = np.array([outcome == "placed" for outcome in outcomes], dtype=bool)
    times = rng.lognormal(7, 0.4, len(outcomes))
    orders = pd.DataFrame(
        {
            "recording_id": ids,
            "run_id": [f"run {i % (runs + 1)}" for i in range(len(ids))],
            "started_at": pd.Timestamp("2026-01-05", tz="UTC"),
            "environment": "simulator",
            "domain": "a.test",
            "outcome": pd.Categorical(outcomes),
            "time_to_order_placed_ms": np.where(placed, times, np.nan),
            "order_latency_ms": times,
        }
    )
    events = pd.DataFrame({"recording_id": ids, "event": "order-placed", "t_ms": times})
    events = events.assign(uncertainty_us=1.0, coalesced=False, milestone="order-placed")
    table = latency_table(events, stages_from(events, ["order-placed"]), orders)
    assert len(table) == (2 if outcomes else 0)
    attempted = sum(outcome != "cancelled" for outcome in outcomes)
    assert set(table["attempted"]) <= {attempted}
    assert (table["n"] <= table["attempted"]).all()


def test_a_summary_says_what_is_above_and_below_the_table(study):
    found = summary(*study(n=40))
    said = repr(found)
    assert said.startswith("40 orders: 40 placed, 100% (91.2% to 100%)\n2026-01-05 09:00 UTC")
    assert "simulator · a.test" in said
    assert "(72 needed)" in said
    assert f"Definitions, version 2: {DEFINED_IN}." in said.replace("\n", " ")
    assert "! Too few orders for p95" in said
    shown = found._repr_html_()
    assert "Too few orders for p95" in shown
    assert "creating-cart</bdi> 8" in shown
    assert f' href="{PAGES}{DEFINED_IN}">Definitions, version 2</a>' in shown


def test_the_definitions_are_where_the_footer_leads():
    page, _, anchor = DEFINED_IN.partition("#")
    headings = re.findall(r"^#+ (.+)$", (ROOT / page).read_text("utf-8"), re.MULTILINE)
    assert anchor in [heading.lower().replace(" ", "-") for heading in headings]


def test_a_time_and_a_stage_have_names_of_their_own_and_the_data_keeps_its_own(study):
    found = summary(*study(n=40))
    assert found.table["stage"].tolist()[-4:] == ["order-placed", "order", "first event", "headers"]
    shown = [line.split("  ")[0] for line in repr(found).splitlines()]
    for name in ("order-placed", "time to order placed", "time to first event", "time to headers"):
        assert name in shown
    assert "order" not in shown


def test_a_stage_that_would_steer_a_terminal_or_turn_the_page_does_not(study):
    """A table of latencies printed what a merchant had named a stage."""
    harm = "\x1b[31m\u202egalf\u2066"
    tables = [
        table.assign(stage=table["stage"].cat.rename_categories({"item-added": harm}))
        if "stage" in table
        else table
        for table in study(n=40, run_ids=np.repeat(["a", "b"], 20))
    ]
    found = summary(*tables)
    compared = compare(tables, tables)
    drifted = run_drift(tables[1], tables[2], harm)
    for shown in (found, compared, drifted):
        for text in (repr(shown), shown._repr_html_()):
            assert not set(text) & set("\x1b\u202e\u2066")
        assert "galf" in repr(shown)


def test_a_summary_escapes_what_a_merchant_named(study):
    events, stages, orders = study(n=20)
    stages["stage"] = stages["stage"].cat.rename_categories(
        {"item-added": "<img src=x>" + "x" * 99}
    )
    stages["to_milestone"] = stages["stage"]
    shown = summary(events, stages, orders.assign(domain="<script>"))._repr_html_()
    assert "<img" not in shown
    assert "<script" not in shown
    assert "&lt;img src=x&gt;" in shown


def test_a_summary_of_nothing_says_so(study):
    found = summary(*study(n=0))
    assert repr(found) == "no orders"
    assert "no orders" in found._repr_html_()


def test_when_and_where_is_said_shortly(study):
    _, _, orders = study(n=4, per_s=1 / 86_400)
    orders["domain"] = ["d.test", "a.test", "b.test", "c.test"]
    assert where(orders) == "2026-01-05 09:00 to 2026-01-08 09:00 UTC · simulator · 4 domains"
    assert where(orders[:2]).endswith("a.test, d.test")
    assert where(orders[:0]) == "no orders"
