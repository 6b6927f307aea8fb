"""Quantiles: numpy's estimate, SciPy's interval, and no number where there is none."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from firmly_nb.latency.quantiles import (
    FEW,
    SAMPLE,
    Quantile,
    ecdf,
    estimate,
    in_places,
    interval_ranks,
    quantile,
    quantiles,
    quantiles_of_sorted,
    values_needed,
)

levels = st.sampled_from([0.9, 0.95, 0.99])
shares = st.sampled_from([0.01, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 0.999])
times = st.lists(st.floats(0, 1e6), min_size=1, max_size=200)


@given(times, shares, levels)
def test_intervals_are_those_of_scipys_quantile_test(values, p, level):
    found = quantile(values, p, level)
    reference = stats.quantile_test(values, p=p).confidence_interval(level)
    expected = [-math.inf if math.isnan(reference.low) else reference.low]
    expected += [math.inf if math.isnan(reference.high) else reference.high]
    assert [found.low, found.high] == expected


@given(st.integers(1, 300_000), shares, levels)
def test_ranks_are_those_of_the_binomial_distribution(n, p, level):
    tail = (1 - level) / 2
    expected = int(stats.binom.ppf(tail, n, p)), int(stats.binom.isf(tail, n, p)) + 1
    assert interval_ranks(n, p, level) == expected


@given(times, shares)
def test_the_estimate_is_numpys(values, p):
    found = quantile(values, p)
    if found.estimable:
        assert found.estimate == pytest.approx(np.quantile(values, p), rel=1e-12, abs=1e-12)
    else:
        assert math.isnan(found.estimate)


@pytest.mark.parametrize(
    ("p", "needed"), [(0.5, 6), (0.75, 13), (0.9, 36), (0.95, 72), (0.99, 368), (0.999, 3688)]
)
def test_from_how_many_values_a_quantile_is_estimable(p, needed):
    assert values_needed(p) == needed
    assert quantile(range(needed), p).estimable
    short = quantile(range(needed - 1), p)
    assert not short.estimable
    assert short.needed == needed


@given(st.integers(1, 500), shares, levels)
def test_what_is_needed_and_what_is_open_agree(n, p, level):
    lower, upper = interval_ranks(n, p, level)
    assert (lower >= 1 and upper <= n) == (n >= values_needed(p, level))


def test_a_quantile_that_is_not_estimable_says_so_instead_of_a_number():
    found = quantile(np.arange(120.0), 0.99)
    assert "not estimable: p99 needs 368 values, there are 120" in str(found)
    assert str(found).startswith("115 or more")
    assert str(quantile([], 0.5)) == "not estimable: p50 needs 6 values, there are 0"
    assert str(quantile([3.0], 0.01)).startswith("at most") or "not estimable" in str(
        quantile([3], 0.01)
    )


@given(times, shares, levels)
def test_an_interval_holds_its_estimate(values, p, level):
    found = quantile(values, p, level)
    if found.estimable:
        assert found.low <= found.estimate <= found.high


@given(times, shares)
def test_order_and_nulls_do_not_matter(values, p):
    shuffled = [math.nan, *sorted(values), math.nan]
    assert repr(quantile(values, p)) == repr(quantile(shuffled, p))


@given(times, st.floats(0.001, 1000))
def test_a_change_of_the_unit_changes_the_figures_by_it(values, scale):
    before, after = quantile(values, 0.5), quantile(np.array(values) * scale, 0.5)
    assert after.low == pytest.approx(before.low * scale)
    assert after.high == pytest.approx(before.high * scale)


def test_several_quantiles_are_each_of_them():
    values = np.random.default_rng(1).lognormal(7, 0.5, 300)
    assert quantiles(values, [0.5, 0.9]) == [quantile(values, 0.5), quantile(values, 0.9)]


@pytest.mark.parametrize("p", [0, 1, -0.1, 95])
def test_a_quantile_lies_between_0_and_1(p):
    with pytest.raises(ValueError, match="between 0 and 1"):
        quantile([1.0, 2.0], p)


def test_its_name_has_as_many_digits_as_it_needs():
    names = [Quantile(p, 0, 0, 0, 0, 0).name for p in (0.5, 0.95, 0.999)]
    assert names == ["p50", "p95", "p99.9"]


@given(times)
def test_the_share_of_values_up_to_each_value_is_scipys(values):
    table = ecdf(values)
    reference = stats.ecdf(values).cdf
    assert table["value"].tolist() == reference.quantiles.tolist()
    assert table["share"].tolist() == pytest.approx(reference.probabilities.tolist())


def test_its_band_holds_the_whole_true_curve_at_the_level():
    rng = np.random.default_rng(5)
    held = 0
    for _ in range(400):
        table = ecdf(rng.uniform(size=60))
        reach, true = 1 - table["low"].iloc[-1], table["value"]
        # Just before a value the share is still that of the value before.
        above, below = table["share"] - true, true - (table["share"] - 1 / 60)
        held += bool(max(above.max(), below.max()) <= reach)
    assert 0.93 <= held / 400 <= 0.99


def test_no_values_have_an_empty_curve():
    assert ecdf([]).empty


@given(times, st.floats(0.001, 0.999))
def test_an_estimate_alone_is_numpys_too(values, p):
    assert estimate([math.nan, *values], p) == pytest.approx(np.quantile(values, p), rel=1e-9)
    assert math.isnan(estimate([math.nan], p))


def test_intervals_are_at_95_percent_where_no_level_is_given():
    values = np.arange(400.0)
    assert quantile(values, 0.9) == quantile(values, 0.9, 0.95)
    assert quantiles(values, [0.9]) == quantiles(values, [0.9], 0.95)
    assert quantiles_of_sorted(values, [0.9]) == quantiles_of_sorted(values, [0.9], 0.95)
    assert interval_ranks(400, 0.9) == interval_ranks(400, 0.9, 0.95)
    assert values_needed(0.99) == values_needed(0.99, 0.95)
    assert ecdf(values).equals(ecdf(values, 0.95))


@pytest.mark.parametrize(
    ("n", "p", "level"), [(1, 0.99, 0.98), (2, 0.5, 0.5), (1, 0.75, 0.5), (3, 0.5, 0.75)]
)
def test_where_the_tail_is_met_exactly_an_interval_is_rather_wide(n, p, level):
    """The continuous inverse of the binomial distribution is one too high for some of them."""
    tail = (1 - level) / 2
    lower, upper = stats.binom.ppf(tail, n, p), n - stats.binom.ppf(tail, n, 1 - p) + 1
    assert interval_ranks(n, p, level) == (lower, upper)


@pytest.mark.parametrize("level", [0.5, 0.75, 0.8, 0.875, 0.9375, 0.98, 0.99, 0.999])
@pytest.mark.parametrize("p", [0.1, 0.25, 0.5, 0.75, 0.9, 0.95])
def test_what_is_needed_is_the_first_number_with_both_ends(p, level):
    needed = values_needed(p, level)
    for n in (needed - 1, needed):
        lower, upper = interval_ranks(n, p, level)
        assert (lower >= 1 and upper <= n) == (n == needed)


@pytest.mark.parametrize("level", [0.5, 0.9, 0.99])
def test_the_curves_band_is_dvoretzkys_with_massarts_constant(level):
    table = ecdf([3.0, 1.0, 2.0, 2.0], level)
    half = math.sqrt(math.log(2 / (1 - level)) / 8)
    assert table["low"].tolist() == pytest.approx([max(s - half, 0) for s in (0.25, 0.75, 1)])
    assert table["high"].tolist() == pytest.approx([min(s + half, 1) for s in (0.25, 0.75, 1)])
    assert ecdf([5.0], 0.5)["low"].tolist() == pytest.approx([1 - math.sqrt(math.log(4) / 2)])


@pytest.mark.parametrize("n", [2000, 50_000])
def test_the_band_of_many_values_is_narrow(n):
    table = ecdf(np.arange(float(n)))
    middle = table.iloc[n // 2]
    half = math.sqrt(math.log(40) / (2 * n))
    assert (middle["high"] - middle["low"]) / 2 == pytest.approx(half)
    assert (table["high"].iloc[-1], table["low"].iloc[0]) == (1.0, 0.0)


MANY = 3 * SAMPLE  # values, of which every third is drawn


def some_values(kind):
    """Very many values of a kind."""
    rng = np.random.default_rng(7)
    return {
        "skewed": rng.lognormal(6, 0.5, MANY),
        "few": rng.integers(0, 4, MANY).astype(np.float64),
        "one": np.full(MANY, 3.0),
        "descending": np.arange(MANY, 0.0, -1),
        "in turns": np.tile([1.0, 5.0, 9.0], SAMPLE),
        "misleading": np.where(np.arange(MANY) % 3 == 0, 1e9, rng.random(MANY)),
        "endless": np.where(rng.random(MANY) < 0.06, np.inf, rng.normal(size=MANY)),
        "hardly many": rng.permutation(FEW).astype(np.float64),
    }[kind]


@pytest.mark.parametrize(
    "kind",
    ["skewed", "few", "one", "descending", "in turns", "misleading", "endless", "hardly many"],
)
def test_quantiles_of_very_many_values_are_those_of_all_in_order(kind):
    values, ps = some_values(kind), (0.001, 0.5, 0.9, 0.95, 0.999)
    ordered = np.sort(values)
    # As text, since what is not a number is equal to nothing.
    assert str(quantiles(values, ps)) == str(quantiles_of_sorted(ordered, ps))
    assert in_places(values, ps)[-1] == ordered[-1]
    assert len(in_places(values, ())) == len(values)
    assert str([estimate(values, p) for p in ps]) == str([estimate_of(ordered, p) for p in ps])


def estimate_of(ordered, p):
    """Type 7, of values in order."""
    whole, part = divmod((len(ordered) - 1) * p, 1)
    low, high = ordered[int(whole)], ordered[min(int(whole) + 1, len(ordered) - 1)]
    return float(low) if part == 0 else float(low) + part * (float(high) - float(low))
