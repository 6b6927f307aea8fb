"""How orders ended: counts, Wilson's intervals, how far orders came."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from statsmodels.stats.proportion import proportion_confint

from firmly_nb.latency.shares import (
    FUNNEL,
    OUTCOMES,
    funnel,
    outcome_table,
    share,
    success_rate,
    wilson,
)
from firmly_nb.outcomes import KNOWN


def orders_of(outcomes):
    ids = [f"r{i}" for i in range(len(outcomes))]
    return pd.DataFrame({"recording_id": ids, "outcome": pd.Categorical(outcomes)})


def stages_of(reached, names=("a", "b", "c")):
    """Each order's milestones and whether their events came."""
    return pd.DataFrame(
        {
            "recording_id": [f"r{i}" for i in range(len(reached)) for _ in names],
            "to_milestone": pd.Categorical([name for _ in reached for name in names]),
            "end_ms": [1.0 if came else None for row in reached for came in row],
        }
    )


counts = st.integers(0, 5000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))


@given(counts, st.sampled_from([0.9, 0.95, 0.99]))
def test_intervals_are_those_of_statsmodels(k_of_n, level):
    k, n = k_of_n
    low, high = wilson(k, n, level)
    expected = proportion_confint(k, n, 1 - level, "wilson") if n else (0.0, 1.0)
    assert (float(low), float(high)) == pytest.approx(expected, abs=1e-12)


@given(counts)
def test_an_interval_holds_its_share_and_stays_within_0_and_1(k_of_n):
    found = share(*k_of_n)
    assert 0 <= found.low <= found.high <= 1
    if found.of:
        assert found.low <= found.share <= found.high


def test_intervals_of_arrays_are_those_of_each():
    low, high = wilson([0, 3, 9], [9, 9, 9])
    each = [wilson(k, 9) for k in (0, 3, 9)]
    assert low.tolist() == [float(one) for one, _ in each]
    assert high.tolist() == [float(one) for _, one in each]


@given(st.lists(st.sampled_from(KNOWN)))
def test_outcomes_add_up_to_all_orders_and_shares_to_one(outcomes):
    table = outcome_table(orders_of(outcomes))
    assert table["count"].sum() == len(outcomes)
    attempted = sum(outcome != "cancelled" for outcome in outcomes)
    assert set(table["attempted"]) == {attempted}
    if attempted:
        assert table["share"].sum() == pytest.approx(1)
    assert table["outcome"].tolist()[0] == "placed"
    assert table.dtypes.astype("str").to_dict() == {c.name: c.dtype for c in OUTCOMES.columns}


def test_cancelled_orders_are_counted_but_not_attempted():
    table = outcome_table(orders_of(["placed", "cancelled", "cancelled"])).set_index("outcome")
    assert table.loc["cancelled", "count"] == 2
    assert np.isnan(table.loc["cancelled", "share"])
    assert table.loc["placed", "share"] == 1.0
    assert success_rate(orders_of(["placed", "cancelled"])).of == 1


def test_an_unknown_outcome_is_not_lost():
    assert outcome_table(orders_of(["odd"]))["outcome"].tolist() == ["placed", "odd"]


def test_no_orders_give_no_share_and_an_empty_funnel():
    none = orders_of([])
    assert outcome_table(none)["count"].tolist() == [0]
    assert str(success_rate(none)) == "no orders"
    assert funnel(stages_of([]), none).empty


reached = st.lists(st.tuples(st.booleans(), st.booleans(), st.booleans()), max_size=30)


@given(reached)
def test_conversions_multiply_to_the_share_that_came_to_the_end(rows):
    table = funnel(stages_of(rows), orders_of(["placed" if row[-1] else "timeout" for row in rows]))
    assert table.dtypes.astype("str").to_dict() == {c.name: c.dtype for c in FUNNEL.columns}
    if rows:
        product = table["conversion"].fillna(0).prod()
        assert product == pytest.approx(sum(row[-1] for row in rows) / len(rows))
        assert table["reached"].is_monotonic_decreasing
        assert (table["reached"] <= table["came_from"]).all()
        assert table["seen"].tolist() == [sum(column) for column in zip(*rows, strict=True)]


def test_a_later_milestone_counts_as_having_reached_the_earlier():
    table = funnel(stages_of([(True, False, True), (True, True, False)]), orders_of(["placed"] * 2))
    assert table["reached"].tolist() == [2, 2, 1]
    assert table["seen"].tolist() == [2, 1, 1]


def test_cancelled_orders_are_not_in_the_funnel():
    table = funnel(stages_of([(True, False, False)] * 2), orders_of(["cancelled", "timeout"]))
    assert table["came_from"].tolist() == [1, 1, 0]


def test_with_two_vocabularies_the_more_frequent_one_is_shown():
    both = pd.concat([stages_of([(True, True, True)] * 3), stages_of([(True,)], ("x",))])
    both.iloc[-1, 0] = "r3"
    both["to_milestone"] = both["to_milestone"].astype("category")
    table = funnel(both, orders_of(["placed"] * 4))
    assert table["milestone"].tolist() == ["a", "b", "c"]
    assert table["reached"].tolist() == [3, 3, 3]
    assert table["came_from"].tolist()[0] == 3


@pytest.mark.parametrize("level", [0.5, 0.95, 0.999])
def test_intervals_of_very_few_orders_are_those_of_statsmodels(level):
    for n in range(1, 6):
        for k in range(n + 1):
            expected = proportion_confint(k, n, 1 - level, "wilson")
            assert tuple(map(float, wilson(k, n, level))) == pytest.approx(expected, abs=1e-12)
    assert wilson([0, 0], [0, 4])[0].tolist() == [0.0, 0.0]
    assert wilson([0, 4], [0, 4])[1].tolist() == [1.0, 1.0]


def test_outcomes_are_told_from_placed_to_cancelled_and_unknown_ones_last():
    names = ["placed", "error_event", "http_error", "transport_error", "timeout", "incomplete",
             "cancelled"]  # fmt: skip
    table = outcome_table(orders_of([*names[::-1], "odd", "even", "placed"]))
    assert table["outcome"].tolist() == [*names, "even", "odd"]
    assert table["count"].tolist() == [2] + [1] * 8
    assert table["attempted"].tolist() == [9] * 9
    rows = table[table["outcome"] != "cancelled"]
    for row in rows.itertuples():
        low, high = proportion_confint(row.count, 9, 0.05, "wilson")
        assert (row.share, row.low, row.high) == pytest.approx((row.count / 9, low, high))


def test_a_share_is_told_with_its_interval_and_what_it_counts():
    assert str(share(190, 200)) == "95.0% (91.0% to 97.3%; 190 of 200)"
    assert str(share(0, 0)) == "no orders"
    assert np.isnan(share(0, 0).share)


@given(reached)
def test_each_step_of_the_funnel_has_its_shares_with_their_intervals(rows):
    table = funnel(stages_of(rows), orders_of(["placed" if row[-1] else "timeout" for row in rows]))
    came = [sum(any(row[i:]) for row in rows) for i in range(3)] if rows else []
    assert table["reached"].tolist() == came
    assert table["came_from"].tolist() == [len(rows), *came][: len(came)]
    for row in table.itertuples():
        of_all = proportion_confint(row.reached, len(rows), 0.05, "wilson")
        assert row.share == pytest.approx(row.reached / len(rows))
        assert (row.share_low, row.share_high) == pytest.approx(of_all, abs=1e-12)
        if row.came_from:
            of_last = proportion_confint(row.reached, row.came_from, 0.05, "wilson")
            assert row.conversion == pytest.approx(row.reached / row.came_from)
            assert (row.low, row.high) == pytest.approx(of_last, abs=1e-12)
        else:
            assert np.isnan(row.conversion)
            assert (row.low, row.high) == (0, 1)


def test_intervals_are_at_95_percent_where_no_level_is_given():
    orders = orders_of(["placed", "placed", "timeout"])
    stages = stages_of([(True, True, True)] * 2 + [(True, False, False)])
    for asked, again in (
        (share(2, 3), share(2, 3, 0.95)),
        (success_rate(orders), success_rate(orders, 0.95)),
        (outcome_table(orders), outcome_table(orders, 0.95)),
        (funnel(stages, orders), funnel(stages, orders, 0.95)),
    ):
        assert str(asked) == str(again)
        assert repr(asked) == repr(again)


def test_orders_without_any_event_are_in_the_funnel_as_having_got_nowhere():
    stages = stages_of([(True, True, False)])
    table = funnel(stages, orders_of(["timeout", "transport_error", "http_error"]))
    assert table["came_from"].tolist() == [3, 1, 1]
    assert table["reached"].tolist() == [1, 1, 0]


def test_stages_of_orders_that_are_not_there_count_for_nothing():
    stages = stages_of([(True, True, True), (True, False, False)])
    table = funnel(stages, orders_of(["placed"]))
    assert table["came_from"].tolist() == [1, 1, 1]
    assert table["seen"].tolist() == [1, 1, 1]
