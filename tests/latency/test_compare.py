"""B against A: the parts of a comparison, its sentence, and what it shows."""

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.proportion import confint_proportions_2indep

from firmly_nb.display.text import percent
from firmly_nb.latency.compare import (
    COMPARISON,
    Difference,
    SuccessDifference,
    compare,
    decide,
    more_orders,
    newcombe,
    sentence,
)
from firmly_nb.latency.effect import Interval, shift_function
from firmly_nb.latency.shares import share


@pytest.fixture
def pair(delays, tables):
    """Two sets of orders; the second with slower stages."""

    def make(seed=1, n=150, slower=None, **options):
        rng = np.random.default_rng(seed)
        a = tables(delays(rng, n), ids="a")
        return a, tables(delays(rng, n, slower=slower), ids="b", **options)

    return make


def compared(pair, **options):
    (_, stages_a, orders_a), (_, stages_b, orders_b) = pair
    return compare(stages_a, orders_a, stages_b, orders_b, **options)


some = st.integers(1, 3000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))


@given(some, some)
def test_the_success_difference_has_newcombes_interval_as_in_statsmodels(a, b):
    found = newcombe(share(*a), share(*b))
    low, high = confint_proportions_2indep(*b, *a, method="newcomb", compare="diff")
    assert (found.low, found.high) == pytest.approx((low, high), abs=1e-9)
    assert found.low <= found.difference <= found.high


def test_its_figures_are_those_of_scipy_on_the_same_times(pair):
    both = pair(slower={"item-added": 1.2})
    found = compared(both)
    (_, _, orders_a), (_, _, orders_b) = both
    a, b = (orders["time_to_order_placed_ms"].to_numpy() for orders in (orders_a, orders_b))
    reference = stats.brunnermunzel(a, b)
    assert found.order.p_value == pytest.approx(reference.pvalue)
    assert found.order.ratio == pytest.approx(
        np.exp(np.median(np.subtract.outer(np.log(b), np.log(a))))
    )
    assert found.order.p50_a_ms == pytest.approx(np.median(a))
    assert found.level_each == pytest.approx(1 - 0.02 / 6)


def test_every_stage_has_a_row_with_its_verdict(pair):
    table = compared(pair(slower={"shipping-updated": 1.4})).stages
    assert table.dtypes.astype("str").to_dict() == {c.name: c.dtype for c in COMPARISON.columns}
    verdicts = dict(zip(table["stage"], table["verdict"], strict=True))
    assert verdicts["shipping-updated"] == "slower"
    assert set(verdicts.values()) - {"slower"} <= {"no change", "not enough data"}
    assert ((table["ratio_low"] <= table["ratio"]) & (table["ratio"] <= table["ratio_high"])).all()


def test_a_change_is_told_in_one_sentence_that_names_the_stage(pair):
    found = compared(pair(n=400, slower={"shipping-updated": 1.4}))
    assert found.verdict.startswith("Slower: orders take 1.")
    assert "; what changed: shipping-updated is slower, 1." in found.verdict
    assert found.verdict.endswith(").")
    assert ". " not in found.verdict


def test_a_stage_that_hides_in_the_whole_order_is_told_too(pair):
    found = compared(pair(n=1000, slower={"creating-cart": 1.3}))
    assert found.verdict.startswith("No change beyond 10%: orders take ")
    assert "; but creating-cart is slower, 1." in found.verdict


def test_turned_around_slower_is_faster(pair):
    a, b = pair(n=400, slower={"shipping-updated": 1.4})
    one, other = compared((a, b)), compared((b, a))
    assert (one.order.verdict, other.order.verdict) == ("slower", "faster")
    assert other.order.ratio == pytest.approx(1 / one.order.ratio)
    assert other.order.ratio_low == pytest.approx(1 / one.order.ratio_high, rel=1e-3)


def test_a_change_within_the_margin_is_none_that_matters(pair):
    both = pair(n=4000, slower=dict.fromkeys(["item-added", "shipping-updated"], 1.06))
    assert compared(both).order.verdict == "no change"
    assert compared(both, margin=0.01).order.verdict == "slower"


def test_too_little_data_says_about_how_much_more(pair):
    found = compared(pair(n=30))
    assert found.order.verdict == "not enough data"
    assert found.verdict.startswith("Not enough data: orders take ")
    assert f"about {found.order.more_orders:,} more orders on each side would tell" in found.verdict


def test_about_as_many_more_orders_as_it_says_do_tell(pair):
    more = compared(pair(n=40)).order.more_orders
    before, after = (
        [compared(pair(seed, n=n)).order.verdict for seed in range(12)] for n in (40, 40 + more)
    )
    assert before.count("not enough data") >= 10
    assert after.count("not enough data") <= 7


def test_a_handful_of_orders_says_what_is_the_least(pair):
    found = compared(pair(n=4))
    assert found.verdict == (
        "Not enough data: 4 and 4 placed orders, and 10 on each side is the least."
    )
    assert found.stages["ratio"].isna().all()


def test_fewer_placed_orders_are_part_of_the_verdict(pair):
    failing = pair(n=200, outcomes=["placed"] * 150 + ["timeout"] * 50)
    found = compared(failing)
    assert "; fewer orders are placed, 75.0% instead of 100% (" in found.verdict
    assert found.success.verdict == "fewer placed"
    assert any("of B some failed" in note for note in found.notes)


def test_nothing_at_all_can_be_compared(tables, delays, pair):
    none = tables(delays(np.random.default_rng(1), 0))
    found = compared((none, none))
    assert found.verdict.startswith("Not enough data: 0 and 0 placed orders")
    assert found.shift.empty
    assert "one side has no orders" in repr(found)


def test_one_run_each_cannot_tell_releases_from_runs(pair):
    both = pair(n=60, run_ids=["monday"] * 60)
    both[0][2]["run_id"] = "sunday"
    notes = compared(both).notes
    assert any("only one run of A and B" in note for note in notes)
    both[0][2]["run_id"] = "monday"  # they took turns within one run
    assert compared(both).notes == ()


def test_with_runs_whole_runs_are_drawn_again(pair, tables, delays):
    rng = np.random.default_rng(1)
    runs = [f"run {i // 20}" for i in range(120)]
    levels = np.exp(rng.normal(0, 0.15, 6)).repeat(20)[:, None]
    a = tables(delays(rng, 120) * levels, run_ids=runs)
    b = tables(delays(rng, 120) * levels[::-1], run_ids=runs)
    by_run = compared((a, b))
    alone = compared((a, (b[0], b[1], b[2].drop(columns="run_id"))))
    width = [found.order.ratio_high / found.order.ratio_low for found in (alone, by_run)]
    assert width[1] > 1.2 * width[0]
    assert np.isnan(by_run.order.p_value)
    assert any("drawing whole runs again, 6 of A and 6 of B" in note for note in by_run.notes)


@pytest.mark.parametrize("margin", [0, -0.1, 1, 10])
def test_a_margin_is_a_share(pair, margin):
    with pytest.raises(
        ValueError, match=r"^margin must be between 0 and 1, got \S+\. For 10% pass 0\.10\."
    ):
        compared(pair(n=10), margin=margin)


ratios = st.tuples(*[st.floats(-1.5, 1.5)] * 3).map(sorted).map(np.exp)


@given(ratios, st.floats(0.01, 1))
def test_a_verdict_follows_from_the_interval_alone(ends, margin):
    low, middle, high = map(float, ends)
    found = decide(Interval(middle, low, high), margin)
    if found == "no change":
        assert 1 / (1 + margin) <= low <= high <= 1 + margin
    elif found in {"slower", "faster"}:
        assert low > 1 or high < 1
        assert not (1 / (1 + margin) <= low and high <= 1 + margin)
    else:
        assert low <= 1 <= high
    assert more_orders(Interval(middle, low, high), margin, 100) >= 1


def test_an_order_that_went_out_of_order_stops_no_comparison(pair):
    a, b = pair(n=50)
    backwards = b[1].index[b[1]["stage"] == "creating-cart"][:30]
    b[1].loc[backwards, "duration_ms"] = -3.0
    found = compared((a, b)).stages
    assert found["n_b"].tolist() == [20, 50, 50, 50]
    assert (found["ratio_low"] > 0).all()


def test_it_shows_itself_and_escapes_what_a_merchant_named(pair):
    both = pair(n=60)
    for _, stages, _ in both:
        stages["stage"] = stages["stage"].cat.rename_categories({"item-added": "<script>x"})
        stages["to_milestone"] = stages["stage"]
    found = compared(both)
    shown = found._repr_html_()
    assert "&lt;script&gt;x" in shown
    assert "<script" not in shown
    assert found.verdict in repr(found)
    assert "Margin 10%. All intervals hold together with 98% (99.7% each)." in repr(found)


def test_stages_after_a_gap_are_compared_where_both_have_them(pair):
    a, b = pair(n=40)
    for _, stages, _ in (a, b):
        stages["stage"] = stages["stage"].astype("str")
        stages.loc[stages["stage"] == "item-added", "stage"] = "start->item-added"
    a[1]["stage"] = a[1]["stage"].replace("order-placed", "only in a")
    names = compared((a, b)).stages["stage"].tolist()
    assert "start->item-added" in names
    assert "only in a" not in names


def test_tables_need_nothing_but_the_columns_that_are_named(pair):
    a, b = pair(n=40)
    few = ["recording_id", "outcome", "time_to_order_placed_ms"]
    found = compare(a[1], a[2][few], b[1], b[2][few])
    assert isinstance(found.stages, pd.DataFrame)
    assert found.notes == ()


BELOW_1, ABOVE_1 = math.nextafter(1, 0), math.nextafter(1, 2)


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [
        (0.8, 1.25, "no change"),  # of a margin of 0.25 both ends, exactly
        (math.nextafter(0.8, 0), 1.25, "not enough data"),
        (0.8, math.nextafter(1.25, 2), "not enough data"),
        (1.0, 1.3, "not enough data"),  # 1 itself is no change
        (ABOVE_1, 1.3, "slower"),
        (0.7, 1.0, "not enough data"),
        (0.7, BELOW_1, "faster"),
        (1.1, 1.2, "no change"),  # shown to be slower, and not by enough to matter
        (0.9, 0.95, "no change"),
    ],
)
def test_the_ends_of_the_margin_belong_to_it_and_1_belongs_to_no_side(low, high, verdict):
    assert decide(Interval(1.0, low, high), 0.25) == verdict


@pytest.mark.parametrize(
    ("high", "low", "verdict"),
    [
        (math.nextafter(0, -1), -0.1, "fewer placed"),
        (0.0, -0.1, "not enough data"),
        (0.1, 0.0, "not enough data"),
        (0.1, math.nextafter(0, 1), "more placed"),
    ],
)
def test_fewer_or_more_are_placed_where_the_interval_leaves_0_out(high, low, verdict):
    one = share(9, 10)
    assert SuccessDifference(one, one, 0.0, low, high).verdict == verdict


undecided = st.tuples(st.floats(-0.3, 0.3), st.floats(0.05, 2.0), st.floats(0.02, 0.5))


@given(undecided, st.integers(10, 5000))
def test_so_many_more_orders_narrow_the_interval_enough_and_fewer_do_not(case, n):
    """An interval of half width h has h sqrt(n / (n + more)) after so many more orders."""
    away, half, margin = case

    def after(more):
        narrow = half * math.sqrt(n / (n + more))
        return Interval(*np.exp([away, away - narrow, away + narrow]).tolist())

    before = after(0)
    if decide(before, margin) != "not enough data":
        return
    more = more_orders(before, margin, n)
    assert decide(after(1.001 * more), margin) != "not enough data"
    if more > 0.11 * n + 1:
        # Two digits are shown, rounded up: it is too many by a tenth at most.
        assert decide(after(0.9 * more - 1), margin) == "not enough data"


@given(undecided, st.integers(10, 5000))
def test_as_many_more_are_needed_where_b_is_the_slower_as_where_a_is(case, n):
    away, half, margin = case
    ends = np.exp([away, away - half, away + half]).tolist()
    turned = [1 / ends[0], 1 / ends[2], 1 / ends[1]]
    one, other = more_orders(Interval(*ends), margin, n), more_orders(Interval(*turned), margin, n)
    assert one == pytest.approx(other, rel=0.11, abs=1)


@pytest.mark.parametrize(
    ("n", "more"),
    [(3, 1), (10, 1), (11, 2), (70, 7), (72, 8), (99, 10), (101, 11), (300, 30), (1000, 100),
     (1230, 130), (9990, 1000), (12_300, 1300)],
)  # fmt: skip
def test_it_asks_for_a_tenth_more_at_least_and_shows_two_digits_rounded_up(n, more):
    nearly = Interval(1.0, 1 / 1.1001, 1.1001)
    assert more_orders(nearly, 0.1, n) == more


def changed(stage, verdict, ratio=1.0, low=0.95, high=1.05, **fields):
    return Difference(
        stage, 50, 60, ratio=ratio, ratio_low=low, ratio_high=high, verdict=verdict, **fields
    )


SLOWER = changed("order", "slower", 1.3, 1.2, 1.4)
CART = changed("creating-cart", "slower", 1.5, 1.25, 1.75)
ITEM = changed("item-added", "faster", 0.5, 0.25, 0.75)
SAME = changed("order-placed", "no change")
AS_BEFORE = newcombe(share(90, 100), share(90, 100))


@pytest.mark.parametrize(
    ("order", "stages", "said"),
    [
        (SLOWER, [], "Slower: orders take 1.30 times as long (1.20 to 1.40)."),
        (
            SLOWER,
            [SAME],
            "Slower: orders take 1.30 times as long (1.20 to 1.40); no single stage can be named.",
        ),
        (
            SLOWER,
            [CART, SAME],
            (
                "Slower: orders take 1.30 times as long (1.20 to 1.40); what changed: "
                "creating-cart is slower, 1.50 times as long (1.25 to 1.75)."
            ),
        ),
        (
            SLOWER,
            [CART, ITEM],
            (
                "Slower: orders take 1.30 times as long (1.20 to 1.40); but "
                "creating-cart is slower, 1.50 times as long (1.25 to 1.75) and "
                "item-added is faster, 0.50 times as long (0.25 to 0.75)."
            ),
        ),
        (
            changed("order", "faster", 0.7, 0.6, 0.8),
            [ITEM],
            (
                "Faster: orders take 0.70 times as long (0.60 to 0.80); what changed: "
                "item-added is faster, 0.50 times as long (0.25 to 0.75)."
            ),
        ),
        (
            changed("order", "no change"),
            [SAME],
            "No change beyond 25%: orders take 1.00 times as long (0.95 to 1.05).",
        ),
        (
            changed("order", "not enough data", 1.1, 0.7, 1.6, more_orders=1200),
            [SAME],
            (
                "Not enough data: orders take 1.10 times as long (0.70 to 1.60), so a change of "
                "25% is neither shown nor excluded, and about 1\u202f200 more orders on each side "
                "would tell."
            ),
        ),
        (
            Difference("order", 3, 4),
            [],
            "Not enough data: 3 and 4 placed orders, and 10 on each side is the least.",
        ),
    ],
)
def test_the_sentence_says_what_is_known_of_the_order_and_its_stages(order, stages, said):
    assert sentence(order, stages, AS_BEFORE, 0.25, 10) == said


@pytest.mark.parametrize(("b", "word"), [(70, "fewer"), (100, "more")])
def test_the_sentence_ends_with_the_success_rate_where_it_differs(b, word):
    success = newcombe(share(90, 100), share(b, 100))
    low, high = confint_proportions_2indep(b, 100, 90, 100, method="newcomb", compare="diff")
    assert sentence(SAME, [], success, 0.1, 10) == (
        "No change beyond 10%: orders take 1.00 times as long (0.95 to 1.05); "
        f"{word} orders are placed, {percent(b / 100)} instead of 90.0% "
        f"({100 * low:+.1f} to {100 * high:+.1f} points)."
    )


def plain(times, ids="a", run_ids=None, outcomes="placed"):
    """Orders with one stage that is the whole order, from plain lists."""
    n = len(times)
    names = [f"{ids}{i}" for i in range(n)]
    orders = pd.DataFrame({"recording_id": names, "outcome": outcomes})
    orders["time_to_order_placed_ms"] = np.array(times, dtype=float)
    if run_ids is not None:
        orders["run_id"] = run_ids
    stages = pd.DataFrame({"recording_id": names, "stage": "all", "to_milestone": "all"})
    stages = stages.astype({"stage": "category", "to_milestone": "category"})
    return None, stages.assign(duration_ms=times, uncertainty_us=1.0), orders


def spread_out(n, shift=0.0):
    return np.random.default_rng(n).lognormal(7, 0.3, n) + shift


def test_all_that_is_told_of_b_against_a_points_the_same_way():
    a, b = spread_out(40), spread_out(30, 400.0)
    found = compared((plain(a), plain(b, "b")))
    assert (found.order.n_a, found.order.n_b) == (40, 30)
    assert found.order.p50_a_ms == pytest.approx(np.median(a))
    assert found.order.p50_b_ms == pytest.approx(np.median(b))
    pairs = np.subtract.outer(b, a)
    assert found.order.probability == pytest.approx((pairs > 0).mean())
    assert found.order.probability_low <= found.order.probability <= found.order.probability_high
    assert found.order.probability_low > 0.5
    assert found.order.ratio_low > 1
    assert found.shift.equals(shift_function(a, b, 0.95))
    assert (found.shift["shift_ms"] > 0).all()
    [stage] = found.differences
    assert stage.stage == "all"
    assert (stage.n_a, stage.probability) == (40, found.order.probability)


@pytest.mark.parametrize(("n", "m", "told"), [(10, 10, True), (9, 30, False), (30, 9, False)])
def test_ten_orders_on_each_side_are_the_least_that_is_compared(n, m, told):
    a, b = spread_out(n), spread_out(m)
    found = compared((plain(a), plain(b, "b")))
    for one in (found.order, *found.differences):
        assert np.isfinite(one.ratio) == told
        assert (one.n_a, one.n_b) == (n, m)
        assert (one.p50_a_ms, one.p50_b_ms) == pytest.approx((np.median(a), np.median(b)))
    # A stage that cannot be compared is no question whose interval has to hold.
    assert found.level_each == pytest.approx(1 - 0.02 / (3 if told else 2))


def test_the_levels_and_the_margin_are_those_that_are_documented():
    both = plain(spread_out(40)), plain(spread_out(30), "b")
    found, asked = compared(both), compared(both, margin=0.1, level=0.98)
    assert repr(found) == repr(asked)
    assert (found.margin, found.level) == (0.1, 0.98)
    assert compared(both, margin=0.99).order.verdict == "no change"


def test_only_placed_orders_with_a_time_are_compared():
    times = spread_out(40)
    outcomes = ["timeout"] * 10 + ["placed"] * 30
    holes = np.where(np.arange(40) == 39, np.nan, times)
    found = compared((plain(holes, outcomes=outcomes), plain(times, "b")))
    assert (found.order.n_a, found.order.n_b) == (29, 40)
    assert found.order.p50_a_ms == pytest.approx(np.median(times[10:39]))


def test_as_many_more_orders_are_told_as_the_larger_side_would_need():
    found = compared((plain(spread_out(12)), plain(spread_out(30), "b"))).order
    ends = Interval(found.ratio, found.ratio_low, found.ratio_high)
    assert found.verdict == "not enough data"
    assert found.more_orders == more_orders(ends, 0.1, 30)


ONE_RUN = (
    "There is only one run of {}: what differs between any two runs cannot be told from what "
    "differs between A and B. Several interleaved runs of each would."
)
BY_RUN = (
    "Orders of one run are alike: intervals come from drawing whole runs again, {} of A and {} of "
    "B."
)
FEW = "There are few runs: {} on one side. From 5 on the intervals become useful."


@pytest.mark.parametrize(
    ("runs_a", "runs_b", "notes"),
    [
        (["x"], ["y"], [ONE_RUN.format("A and B")]),
        (["x"], ["y", "z"], [ONE_RUN.format("A")]),
        (["x", "w"], ["y"], [ONE_RUN.format("B")]),
        (["x"], ["x"], []),
        (["x"], None, []),
        (None, ["x", "y"], []),
        (["x", "y"], ["x", "y"], [BY_RUN.format(2, 2), FEW.format(2)]),
        (list("pqrstu"), list("vwxy"), [BY_RUN.format(6, 4), FEW.format(4)]),
        (list("pqrst"), list("uvwxyz"), [BY_RUN.format(5, 6)]),
    ],
)
def test_what_the_runs_allow_to_be_told_is_noted(runs_a, runs_b, notes):
    sides = []
    for ids, runs in (("a", runs_a), ("b", runs_b)):
        repeated = np.resize(np.array(runs, dtype=object), 60) if runs else None
        sides.append(plain(spread_out(60), ids, run_ids=repeated))
    found = compared(sides)
    assert found.notes == tuple(notes)
    by_run = min(len(runs_a or "-"), len(runs_b or "-")) >= 2
    assert np.isnan(found.order.p_value) == by_run


def test_a_stage_seen_in_one_run_only_is_compared_as_if_there_were_no_runs():
    runs = np.repeat(["x", "y"], 30)
    (_, stages, orders), b = plain(spread_out(60), run_ids=runs), plain(spread_out(60), "b", runs)
    found = compared(((None, stages[:30], orders), b))
    assert np.isnan(found.order.p_value)
    assert np.isfinite(found.differences[0].p_value)


@pytest.mark.parametrize(
    ("failed_a", "failed_b", "named"), [(0, 0, ""), (5, 0, "A"), (0, 5, "B"), (5, 5, "A and B")]
)
def test_failures_qualify_the_times(failed_a, failed_b, named):
    outcomes = [
        ["timeout"] * failed + ["placed"] * (40 - failed) for failed in (failed_a, failed_b)
    ]
    a, b = (
        plain(spread_out(40), ids, None, ends) for ids, ends in zip("ab", outcomes, strict=True)
    )
    found = compared((a, b))
    told = (
        f"Times are those of orders that got so far; of {named} some failed: placed "
        f"{found.success.a} of A, {found.success.b} of B."
    )
    assert found.notes == ((told,) if named else ())


def test_a_difference_without_figures_is_undecided():
    found = Difference("all", 3, 4)
    assert found.verdict == "not enough data"
    assert found.more_orders is None
    assert all(math.isnan(x) for x in (found.ratio, found.ratio_low, found.probability))
