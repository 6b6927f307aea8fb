"""How orders ended: counts, Wilson's intervals, how far orders came."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from statsmodels.stats.proportion import proportion_confint

from firmly_nb.latency.outcomes import (
    FUNNEL,
    KNOWN,
    OUTCOMES,
    funnel,
    outcome_table,
    share,
    success_rate,
    wilson,
)


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
