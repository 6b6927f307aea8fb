"""What a design lets be said: turns, runs, what is left out, and the rows that tell it."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmly_nb.latency.compare import compare
from firmly_nb.latency.design import later_share
from tests.latency.studies import changed, delays, in_runs, interleaved, tables, without

moments = st.lists(st.integers(0, 30).map(lambda us: us * 1000.0), min_size=1, max_size=30)


@given(moments, moments)
def test_the_share_of_later_pairs_is_that_of_all_pairs(a, b):
    zeros = [np.zeros(len(x), dtype=np.intp) for x in (a, b)]
    _, pairs, later = later_share(np.array(a), zeros[0], np.array(b), zeros[1])
    gaps = np.subtract.outer(b, a)
    assert pairs.tolist() == [len(a) * len(b)]
    assert later.tolist() == [(gaps > 0).sum() + (gaps == 0).sum() / 2]


def test_pairs_are_counted_within_groups_that_both_sides_have():
    groups = np.array([0, 1, 1]), np.array([1, 1, 5])
    found = later_share(np.array([1e6, 2e6, 9e6]), groups[0], np.array([3e6, 4e6, 0.0]), groups[1])
    assert [part.tolist() for part in found] == [[1], [4.0], [2.0]]


def effects(found):
    return dict(zip(found.design["what"], found.design["effect"], strict=True))


@pytest.mark.parametrize(
    ("runs", "attributable"),
    [
        ("ababababab", True),
        ("abbabaabba", True),
        ("abababab", False),  # four runs a side
        ("aaaaabbbbb", False),
        ("bbbbbaaaaa", False),
        ("aaabbbbbaa", False),  # two switches
        ("aababababaabbbbbb", False),  # B on the whole came later
        ("ab" * 10, True),
    ],
)
def test_runs_that_took_turns_are_attributable(runs, attributable):
    found = compare(*in_runs(np.random.default_rng(1), runs, 20, success=1.0))
    assert found.attributable == attributable
    assert effects(found)["runs"] == ("noted" if attributable else "voids")


@pytest.mark.parametrize("runs", [1, 4, 5, 12])
def test_orders_that_took_turns_within_runs_are_attributable(runs):
    found = compare(*interleaved(np.random.default_rng(2), 24, runs=runs, success=1.0))
    assert found.attributable
    assert found.by_runs == (runs >= 5)
    assert effects(found)["runs"] == "blocked"


def test_small_blocks_in_a_random_order_are_all_counted():
    found = compare(*interleaved(np.random.default_rng(3), 3, runs=40, success=1.0))
    assert found.attributable
    assert found.design.set_index("what").loc["runs", "a"] == "40 runs, shared"


def test_a_run_of_one_side_is_left_out_and_named():
    rng = np.random.default_rng(4)
    (a, b), (alone, _) = interleaved(rng, 40, runs=6), interleaved(rng, 20)
    lonely = changed(alone, run_id="alone")
    more = tuple(
        pd.concat(
            [table, other.assign(recording_id=other["recording_id"] + " alone")], ignore_index=True
        )
        for table, other in zip(a, lonely, strict=True)
    )
    found = compare(more, b)
    rows = found.design.set_index("what")
    assert rows.loc["runs", "a"] == "7 runs, 6 shared"
    assert rows.loc["left out", "a"] == "7.7%"
    assert found.typical.estimate == compare(a, b).typical.estimate


@pytest.mark.parametrize(
    ("columns", "what", "effect"),
    [
        ({"environment": "staging"}, "environment", "voids"),
        ({"quantity": 3}, "quantity", "noted"),
        ({"connection": "cold"}, "connection", "noted"),
        ({"profile": "calm"}, "profile", "noted"),
        ({"time_to_first_event_ms": np.nan}, "SSE", "voids"),
        ({"n_items": 2}, "items", "stratified"),
        ({"domain": "b.test"}, "merchant", "stratified"),
        ({"host": "lima"}, "host", "stratified"),
        ({"host": None}, "host", "stratified"),
    ],
)
def test_each_difference_is_a_row_that_says_what_it_does(columns, what, effect):
    usual = {
        "quantity": 1,
        "connection": "warm",
        "profile": "typical",
        "time_to_first_event_ms": 90.0,
        "host": "paris",
    }
    a, b = interleaved(np.random.default_rng(5), 100)
    same = compare(changed(a, **usual), changed(b, **usual))
    assert what not in effects(same)
    found = compare(changed(a, **usual), changed(b, **usual | columns))
    assert effects(found)[what] == effect
    assert (found.order.verdict == "not comparable") == (effect in {"voids", "stratified"})


def test_definitions_that_differ_are_named():
    a, b = interleaved(np.random.default_rng(6), 100)
    found = compare(a, changed(b, environment="staging"))
    assert found.verdict == "Not comparable: A and B differ in environment."
    assert compare(a, changed(b, environment="staging"), like_for_like=True).exit_code == 3


def unlike_mixes(rng, orders=200):
    """Equal releases whose orders take turns; most of B's come from a host farther away."""
    places, found = rng.permutation(2 * orders), []
    for ids, far, starts in (("a", 0.1, places[:orders]), ("b", 0.6, places[orders:])):
        is_far = rng.random(orders) < far
        times = delays(rng, orders, factor=np.where(is_far, 1.6, 1.0))
        host = np.where(is_far, "tokyo", "paris").astype(object)
        found.append(tables(times, ids=ids, host=host, started_s=starts))
    return found


@pytest.mark.parametrize("seed", range(4))
def test_hosts_in_unlike_shares_are_compared_like_for_like(seed):
    a, b = unlike_mixes(np.random.default_rng(seed))
    found = compare(a, b)
    assert effects(found)["host"] == "stratified"
    assert found.typical.low < 1 < found.typical.high
    # As one place they would make the release look slower.
    assert compare(changed(a, host="x"), changed(b, host="x")).typical.verdict == "slower"


def test_sides_from_different_hosts_are_compared_only_if_that_is_asked_for():
    a, b = interleaved(np.random.default_rng(8), 100)
    sides = changed(a, host="paris"), changed(b, host="tokyo")
    assert compare(*sides).verdict == "Not comparable: A and B have no host in common."
    asked = compare(*sides, like_for_like=True)
    assert asked.order.verdict != "not comparable"
    assert effects(asked)["host"] == "noted"
    assert "whether the host or B makes a difference cannot be told." in asked.notes[-1]


def test_like_orders_from_hosts_that_swapped_merchants_are_not_taken_for_alike():
    a, b = interleaved(np.random.default_rng(9), 100)
    merchants = np.tile(["x.test", "y.test"], 50)
    sides = (
        changed(a, domain=merchants, host=np.tile(["paris", "tokyo"], 50)),
        changed(b, domain=merchants, host=np.tile(["tokyo", "paris"], 50)),
    )
    why = "no order of A comes from the same host as one of B like it"
    assert compare(*sides).verdict == f"Not comparable: {why}."


def test_a_mix_that_is_the_same_is_no_row():
    a, b = interleaved(np.random.default_rng(7), 100)
    merchants = np.tile(["x.test", "y.test"], 50)
    found = compare(changed(a, domain=merchants), changed(b, domain=merchants))
    assert set(effects(found)) == {"runs", "window"}


def test_times_that_are_not_known_are_no_window():
    a, b = interleaved(np.random.default_rng(8), 50)
    assert "window" not in effects(compare(without(a, "started_at"), without(b, "started_at")))


def test_one_order_of_many_that_both_sides_have_voids():
    a, b = interleaved(np.random.default_rng(9), 50)
    b[2].loc[7, list(b[2])] = a[2].loc[3, list(a[2])]
    found = compare(a, b)
    assert found.verdict.startswith("Not comparable: 1 order is on both sides.")


def test_orders_of_saved_sets_are_told_apart_by_their_times():
    a, b = interleaved(np.random.default_rng(10), 50)

    def numbered(side):
        code = {name: n for n, name in enumerate(side[2]["recording_id"])}
        events, stages, orders = (
            table.assign(recording_id=table["recording_id"].map(code)) for table in side
        )
        latency = orders["time_to_order_placed_ms"] + 0.5
        return events, stages, orders.assign(order_latency_ms=latency)

    assert compare(numbered(a), numbered(b)).order.verdict != "not comparable"
    assert compare(numbered(a), numbered(a)).order.verdict == "not comparable"


def test_a_control_needs_five_runs_a_side():
    rng = np.random.default_rng(11)
    sides = in_runs(rng, "aaaabbbb", 40)
    merchants = np.tile(["x.test", "y.test"], 80)
    a, b = (changed(side, domain=merchants) for side in sides)
    found = compare(a, b, control="y.test")
    assert found.order.verdict == "not attributable"
    assert "5 runs a side need both y.test and another merchant; A has 4, B has 4" in found.verdict


def test_orders_without_a_time_are_in_no_time_but_count_as_placed():
    a, b = interleaved(np.random.default_rng(12), 100, success=1.0)
    name = "time_to_order_placed_ms"
    times = b[2][name].where(np.arange(100) >= 30)
    found = compare(a, changed(b, **{name: times}))
    assert (found.order.n_a, found.order.n_b) == (100, 70)
    assert (found.success.b.count, found.success.b.of) == (100, 100)


def test_tables_of_nothing_but_cancelled_orders_cannot_be_compared():
    rng = np.random.default_rng(13)
    a, _ = interleaved(rng, 50)
    none = tables(np.full((20, 4), 100.0), ids="b", outcomes="cancelled")
    found = compare(a, none)
    assert found.verdict.startswith("Not comparable: B has no orders.")


@pytest.mark.parametrize(("stretch", "attributable"), [(1, True), (3, True), (20, False)])
def test_long_stretches_of_one_side_are_no_turns(stretch, attributable):
    """A bad minute lasts: it meets one side alone."""
    a, b = interleaved(np.random.default_rng(13), 120, success=1.0)
    begin = a[2]["started_at"].min()
    for side, (_, _, orders) in enumerate((a, b)):
        place = np.arange(120)
        seconds = (place // stretch * 2 + side) * stretch + place % stretch
        orders["started_at"] = begin + pd.to_timedelta(seconds, unit="s")
    found = compare(a, b)
    assert found.attributable == attributable
    if not attributable:
        assert "did not take turns within the runs" in found.verdict
