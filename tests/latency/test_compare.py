"""B against A: the decision tables row by row, the intervals, and what a comparison shows."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from statsmodels.stats.proportion import confint_proportions_2indep

from firmly_nb.latency.compare import COMPARISON, Comparison, compare
from firmly_nb.latency.design import DESIGN
from firmly_nb.latency.predict import More, Present, more_needed
from firmly_nb.latency.questions import (
    NARROW,
    NARROW_TAIL,
    WIDE,
    Decision,
    Group,
    Margins,
    Method,
    difference_of_shares,
    limits,
    of_runs,
    tail,
    welch,
)
from tests.latency.studies import changed, delays, interleaved, tables

ALONE = Method("", False, np.zeros(1, bool), np.zeros(1, dtype=np.intp))


def group(values, kinds=None):
    zeros = np.zeros(len(values), dtype=np.intp)
    kind = zeros if kinds is None else np.asarray(kinds, dtype=np.intp)
    return Group(np.asarray(values, dtype=float), kind, zeros)


# The decision table of a question.


@pytest.mark.parametrize(
    ("ends", "says", "size"),
    [
        ((0.06, 0.3, 0.07, 0.2), "worse", "by more than your margin"),
        ((0.01, 0.06, 0.02, 0.04), "worse", "by less than your margin"),
        ((0.01, 0.30, 0.02, 0.20), "worse", "perhaps by more than your margin, perhaps by less"),
        ((-0.3, -0.06, -0.2, -0.07), "better", "by more than your margin"),
        ((-0.06, -0.01, -0.04, -0.02), "better", "by less than your margin"),
        ((-0.3, -0.01, -0.2, -0.02), "better", "perhaps by more than your margin, perhaps by less"),
        ((-0.06, 0.06, -0.04, 0.04), "no change", ""),
        ((-0.06, 0.06, -0.05, 0.04), "not enough data", ""),
        ((-0.06, 0.06, -0.04, 0.05), "not enough data", ""),
        ((0.0, 0.06, 0.01, 0.04), "no change", ""),
        ((-math.inf, math.inf, -math.inf, math.inf), "not enough data", ""),
    ],
)
def test_the_first_row_that_is_true_decides_a_question(ends, says, size):
    found = Decision(*ends, margin=0.05)
    assert (found.says, found.size) == (says, size)


ends = st.lists(st.floats(-1, 1), min_size=4, max_size=4).map(sorted)


@given(ends, st.floats(0.01, 0.5))
def test_a_question_turned_around_says_the_opposite(four, margin):
    low, inside_low, inside_high, high = four
    one = Decision(low, high, inside_low, inside_high, margin)
    other = Decision(-high, -low, -inside_high, -inside_low, margin)
    opposite = {"worse": "better", "better": "worse"}
    assert other.says == opposite.get(one.says, one.says)
    assert other.size == one.size
    assert not (one.fails and one.holds)


# The decision table of the whole order.


def found_of(typical="open", tail="open", placed="open", forbids=False, **options):
    from firmly_nb.latency.verdict import Found

    class Answer:
        def __init__(self, kind):
            self.decision = {
                "worse": Decision(0.2, 0.4, 0.25, 0.35, 0.1),
                "a little worse": Decision(0.01, 0.09, 0.02, 0.08, 0.1),
                "perhaps worse": Decision(0.01, 0.3, 0.02, 0.25, 0.1),
                "better": Decision(-0.4, -0.2, -0.35, -0.25, 0.1),
                "same": Decision(-0.05, 0.05, -0.04, 0.04, 0.1),
                "not worse": Decision(-0.3, 0.08, -0.2, 0.07, 0.1),
                "open": Decision(-0.3, 0.3, -0.2, 0.2, 0.1),
                "none": Decision(-math.inf, math.inf, -math.inf, math.inf, 0.1),
            }[kind]

    class Stage:
        pass

    stage = Stage()
    stage.forbids = forbids
    given = {
        "unlike": "",
        "why_not": "",
        "control": None,
        "runs": None,
        "cancelled": None,
        "from_planned_start": False,
        "more": None,
    }
    return Found(
        *map(Answer, (typical, tail, placed)), (stage,), Margins(0.1, 0.1, 0.1, None),
        **given | options,
    )  # fmt: skip


ROWS = [
    (("same", "same", "same"), {"unlike": "x"}, "not comparable", 3),
    (("worse", "worse", "worse"), {"unlike": "x", "why_not": "y"}, "not comparable", 3),
    (("same", "same", "same"), {"why_not": "y"}, "not attributable", 3),
    (("worse", "worse", "worse"), {"why_not": "y"}, "not attributable", 3),
    (("better", "better", "worse"), {}, "fewer placed", 1),
    (("same", "same", "a little worse"), {}, "fewer placed", 0),
    (("same", "open", "a little worse"), {}, "fewer placed", 3),
    (("worse", "same", "better"), {}, "slower", 1),
    (("same", "worse", "same"), {}, "slower", 1),
    (("a little worse", "same", "same"), {}, "slower", 0),
    (("a little worse", "same", "open"), {}, "slower", 3),
    (("a little worse", "none", "same"), {}, "slower", 3),
    (("perhaps worse", "same", "same"), {}, "slower", 1),
    (("better", "same", "same"), {}, "faster", 0),
    (("better", "same", "open"), {}, "faster", 3),
    (("same", "better", "same"), {}, "faster", 0),
    (("better", "same", "same"), {"forbids": True}, "faster", 1),
    (("better", "better", "better"), {}, "more placed", 0),
    (("open", "open", "better"), {}, "more placed", 3),
    (("same", "same", "same"), {}, "no change", 0),
    (("same", "same", "same"), {"forbids": True}, "slower in a stage", 1),
    (("open", "same", "same"), {"forbids": True}, "slower in a stage", 1),
    (("open", "same", "same"), {}, "not enough data", 3),
    (("not worse", "same", "same"), {}, "not enough data", 0),
    (("same", "none", "same"), {}, "not enough data", 3),
    (("none", "none", "none"), {}, "not enough data", 3),
]


@pytest.mark.parametrize(("questions", "options", "verdict", "code"), ROWS)
def test_the_first_row_that_is_true_decides_the_whole_order(questions, options, verdict, code):
    from firmly_nb.latency.verdict import exit_code, verdict_of

    found = found_of(*questions, **options)
    assert (verdict_of(found), exit_code(found)) == (verdict, code)


# Differences of shares.


counts = st.integers(1, 800).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))


@given(counts, counts)
def test_of_one_stratum_the_success_difference_is_newcombes_as_in_statsmodels(a, b):
    sides = [group(np.zeros(n)) for _, n in (a, b)]
    masks = [np.arange(n) < k for k, n in (a, b)]
    found = difference_of_shares(sides[0], masks[0], sides[1], masks[1], ALONE, (WIDE, NARROW))
    for level, low, high in (
        (WIDE, found.low, found.high),
        (NARROW, found.inside_low, found.inside_high),
    ):
        expected = confint_proportions_2indep(
            *b, *a, method="newcomb", compare="diff", alpha=1 - level
        )
        assert (low, high) == pytest.approx(expected, abs=1e-9)


def test_of_several_strata_it_has_the_weights_of_a():
    rng = np.random.default_rng(1)
    kinds = [np.repeat([0, 1], [80, 20]), np.repeat([0, 1], [30, 70])]
    masks = [rng.random(100) < np.where(kind == 1, 0.5, 0.1) for kind in kinds]
    method = Method("", False, np.zeros(2, bool), np.zeros(2, dtype=np.intp))
    sides = [group(np.zeros(100), kind) for kind in kinds]
    found = difference_of_shares(sides[0], masks[0], sides[1], masks[1], method, (WIDE, NARROW))
    each = [
        [mask[kind == k].mean() for k in (0, 1)] for mask, kind in zip(masks, kinds, strict=True)
    ]
    expected = 0.8 * (each[1][0] - each[0][0]) + 0.2 * (each[1][1] - each[0][1])
    assert found.estimate == pytest.approx(expected)
    assert found.low < found.inside_low < found.estimate < found.inside_high < found.high


def test_the_ends_of_runs_are_students_and_welchs():
    from scipy import stats

    rng = np.random.default_rng(2)
    a, b = rng.normal(0, 1, 7), rng.normal(0.5, 2, 9)
    one, two = of_runs(a, (0.95, 0.9)), welch(a, b, (0.95, 0.9))
    expected = stats.ttest_1samp(a, 0).confidence_interval(0.95)
    assert (one.low, one.high) == pytest.approx(tuple(expected))
    expected = stats.ttest_ind(b, a, equal_var=False).confidence_interval(0.9)
    assert (two.inside_low, two.inside_high) == pytest.approx(tuple(expected))


# The tail.


@pytest.mark.parametrize("n", [72, 100, 400])
def test_late_is_later_than_the_p95_of_a_and_very_late_than_twice_its_median(n):
    times = np.random.default_rng(n).permutation(np.arange(1.0, n + 1))
    found = limits(group(times), 1)
    assert found.all_late_ms == math.ceil(0.95 * n - 1e-9)
    assert found.all_very_late_ms == 2 * np.median(times)


def test_failures_are_late_and_where_many_fail_late_is_told_by_those_that_came():
    times = np.append(np.arange(1.0, 91), np.full(10, np.inf))
    found = limits(group(times), 1)
    assert found.all_late_ms == 86
    assert limits(group(times[:94]), 1).all_late_ms == 90
    late = tail(group(times), group(times), ALONE, WIDE)
    assert late.is_late[0].sum() == 4 + 10


def test_a_kind_of_a_hundred_orders_has_limits_of_its_own():
    kinds = np.repeat([0, 1], [100, 99])
    times = np.where(kinds == 0, 100.0, 900.0) + np.arange(199)
    found = limits(group(times, kinds), 2)
    assert found.late_ms[0] == 100 + 94
    assert found.late_ms[1] == found.all_late_ms == np.sort(times)[math.ceil(0.95 * 199) - 1]


@pytest.mark.parametrize(("n", "is_known"), [(71, False), (72, True)])
def test_the_tail_needs_72_orders_of_a_or_a_limit(n, is_known):
    a, b = group(np.arange(n) + 1.0), group(np.arange(500) + 1.0)
    assert (tail(a, b, ALONE, WIDE) is not None) == is_known
    given = tail(a, b, ALONE, WIDE, 50.0)
    low, high = confint_proportions_2indep(
        450, 500, n - 50, n, method="newcomb", compare="diff", alpha=1 - NARROW_TAIL
    )
    assert (given.late.inside_low, given.late.inside_high) == pytest.approx((low, high))


# The result, and how it shows itself.


@pytest.fixture(scope="module")
def slower():
    return compare(*interleaved(np.random.default_rng(3), 300, b={"factor": 1.3}))


def test_its_tables_are_those_that_are_declared(slower):
    for table, declared in ((slower.stages, COMPARISON), (slower.design, DESIGN)):
        assert table.dtypes.astype("str").to_dict() == {c.name: c.dtype for c in declared.columns}
    assert set(slower.stages["verdict"]) == {"slower"}
    assert set(slower.design["effect"]) <= {"stratified", "blocked", "voids", "noted"}


def test_the_same_questions_asked_the_other_way_around_have_the_opposite_answers():
    a, b = interleaved(np.random.default_rng(4), 300, b={"factor": 1.3})
    one, other = compare(a, b), compare(b, a)
    assert (one.order.verdict, other.order.verdict) == ("slower", "faster")
    assert other.typical.estimate == pytest.approx(1 / one.typical.estimate)
    assert other.success.estimate == pytest.approx(-one.success.estimate)
    assert (other.order.p50_a_ms, other.order.p95_b_ms) == (
        one.order.p50_b_ms,
        one.order.p95_a_ms,
    )


def test_it_fits_a_terminal_and_names_everything(slower):
    text = repr(slower)
    assert max(map(len, text.splitlines())) <= 80
    for word in ("typical", "tail", "placed", "runs", "blocked", *slower.stages["stage"]):
        assert word in text
    assert " ".join(slower.verdict.split()) in " ".join(text.split())


def test_what_a_merchant_named_is_escaped_wherever_it_is_shown():
    rng = np.random.default_rng(5)
    sides = []
    for one in interleaved(rng, 100):
        events, stages, orders = one
        stages = stages.assign(
            stage=stages["stage"].cat.rename_categories({"item-added": "<script>x"}),
            to_milestone=stages["to_milestone"].cat.rename_categories({"item-added": "<script>x"}),
        )
        domain = np.where(rng.random(100) < 0.5, "<b>evil\x1b[2J", "b.test")
        sides.append((events, stages, orders.assign(domain=domain)))
    found = compare(*sides)
    assert "<script" not in found._repr_html_()
    assert "<b>evil" not in found._repr_html_()
    assert "&lt;script&gt;x" in found._repr_html_()
    assert "\x1b" not in repr(found)


@pytest.mark.parametrize("name", ["margin", "tail_margin", "placed_margin"])
@pytest.mark.parametrize("value", [0, -0.1, 1, 10, "10", "x%", "100%", None, True, math.nan])
def test_a_margin_is_a_share(name, value):
    a, b = interleaved(np.random.default_rng(6), 10)
    with pytest.raises(ValueError, match=rf"^{name} must be between 0 and 1, got .*FNB309"):
        compare(a, b, **{name: value})


@pytest.mark.parametrize("value", [0, -1500, "1500", math.nan, math.inf, True])
def test_a_limit_is_a_time(value):
    a, b = interleaved(np.random.default_rng(6), 10)
    with pytest.raises(ValueError, match=r"^slo_ms must be a time above 0 ms, got .*FNB321"):
        compare(a, b, slo_ms=value)


def test_a_control_merchant_is_on_both_sides():
    a, b = interleaved(np.random.default_rng(6), 10)
    with pytest.raises(ValueError, match=r"^control must be a merchant on both sides; A has no"):
        compare(a, b, control="other.test")
    both = changed(a, domain=["other.test", *["a.test"] * 9])
    with pytest.raises(ValueError, match=r"B has no order of 'other\.test'. B has: a\.test\."):
        compare(both, b, control="other.test")


def test_tables_need_nothing_but_the_columns_that_are_named():
    few = ["recording_id", "outcome", "time_to_order_placed_ms"]
    rng = np.random.default_rng(7)
    sides = [tables(delays(rng, 80), ids=ids) for ids in "ab"]
    found = compare(*((events, stages, orders[few]) for events, stages, orders in sides))
    assert isinstance(found, Comparison)
    assert found.order.verdict == "not attributable"


# What more data would decide.


def present(**changes):
    values = {
        "ratio": 0.0,
        "error": 0.03,
        "n": 100,
        "m": 100,
        "late": (5, 5),
        "very_late": (0, 0),
        "failed": (0, 0),
        "runs": None,
    }
    return Present(**values | changes)


MARGINS = Margins(0.10, 0.05, 0.05, None)


def test_the_less_is_known_the_more_is_needed():
    known, less = more_needed(present(), MARGINS), more_needed(present(error=0.2), MARGINS)
    assert known.unit == less.unit == "order"
    assert known.needed < less.needed
    assert more_needed(present(), Margins(0.05, 0.02, 0.02, None)).needed > known.needed


def test_a_large_change_needs_few_and_a_tail_needs_its_72():
    assert more_needed(present(ratio=0.3), MARGINS).needed <= 10
    few = present(n=20, m=20, error=0.02, late=(1, 1))
    assert more_needed(few, MARGINS).needed >= 52


def test_no_number_of_orders_tells_what_cancelled_ones_would_have_become():
    assert more_needed(present(cancelled=(0.0, 0.07)), MARGINS).needed is None
    assert more_needed(present(cancelled=(0.07, 0.0)), MARGINS).needed is None
    few = more_needed(present(cancelled=(0.0, 0.04)), MARGINS).needed
    assert few > more_needed(present(), MARGINS).needed
    by_runs = {"runs": (10, (0.0, 0.01), (0.0, 0.01))}
    assert more_needed(present(**by_runs), MARGINS).needed is not None
    assert more_needed(present(**by_runs, cancelled=(0.0, 0.07)), MARGINS).needed is None


def test_if_nothing_seems_changed_as_many_are_needed_as_show_that_the_tail_did_not():
    """600 orders a side show it in 93 of 100 equal pairs, 400 in 77."""
    equal = present(n=75, m=75, error=0.035, late=(3, 4), failed=(1, 1))
    needed = more_needed(equal, MARGINS).needed
    assert 375 <= needed <= 750
    changed = present(n=75, m=75, ratio=0.1, error=0.035, late=(3, 6), failed=(1, 1))
    assert more_needed(changed, MARGINS).needed < needed


def test_of_a_late_are_a_twentieth_whatever_the_count_was_rounded_to():
    one, other = (present(n=n, m=n, late=(3, 3), failed=(1, 1)) for n in (60, 79))
    needed = [more_needed(now, MARGINS).needed + now.n for now in (one, other)]
    assert needed[0] == pytest.approx(needed[1], rel=0.35)


def test_strata_in_unlike_parts_need_more():
    usual, unlike = more_needed(present(), MARGINS), more_needed(present(spread=2.0), MARGINS)
    assert unlike.needed > 1.3 * usual.needed


def test_where_no_number_within_reach_would_tell_that_is_said():
    assert str(More(None, "order")) == "No number of orders within reach would tell."
    assert more_needed(present(ratio=math.nan, error=math.nan), MARGINS).needed is None


def test_where_runs_are_the_unit_it_is_told_in_runs():
    runs = (6, (0.0, 0.02), (0.0, 0.02))
    found = more_needed(present(runs=runs), MARGINS)
    assert found.unit == "run"
    assert 2 <= found.needed < 100
    assert str(found).endswith("more runs a side would tell.")
