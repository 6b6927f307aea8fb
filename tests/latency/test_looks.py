"""Studies that may stop early: how sure each look is, and how blocks are told from other runs."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import ndtri

from firmly_nb.latency.compare import compare
from firmly_nb.latency.looks import (
    BLOCK,
    block_id,
    blocks_of,
    boundary,
    level_at,
    planned_looks,
)
from firmly_nb.latency.questions import NARROW, NARROW_TAIL, WIDE, Levels
from tests.latency.studies import changed, interleaved


@pytest.fixture
def rng():
    return np.random.default_rng(7)


KNOWN = [3.85, 3.56, 3.39, 3.26, 3.15, 3.05, 2.97, 2.89, 2.82, 2.75, 2.69, 2.63]


def in_blocks(rng, blocks, planned, *, early=True, **options):
    """Both sides of a study, its orders in blocks of ten and ten."""
    sides = interleaved(rng, BLOCK, runs=blocks, **options)
    ids = {f"run {n}": block_id("study", n + 1, planned, early=early) for n in range(blocks)}
    return tuple(changed(side, run_id=side[2]["run_id"].map(ids)) for side in sides)


def boundaries(total, looks, blocks):
    """How many standard errors a difference needs at each look."""
    return [boundary(total, looks[: n + 1], blocks) for n in range(len(looks))]


def test_the_boundaries_are_those_of_the_power_family():
    found = boundaries(0.05 / 3, planned_looks(60), 60)
    assert np.abs(np.array(found) - KNOWN).max() < 0.01


@pytest.mark.parametrize("total", [0.05 / 3, 0.05, 0.10])
@pytest.mark.parametrize("looks", [planned_looks(60), (5, 17, 20, 25, 60), (12, 33)])
def test_the_error_that_is_spent_is_that_which_was_planned(total, looks):
    rng, studies, blocks = np.random.default_rng(5), 100_000, looks[-1]
    steps = np.diff((0, *looks))
    sums = np.cumsum(np.sqrt(steps) * rng.standard_normal((studies, len(looks))), axis=1)
    crossed = np.abs(sums) >= np.array(boundaries(total, looks, blocks)) * np.sqrt(looks)
    spent = np.maximum.accumulate(crossed, axis=1).mean(axis=0)
    planned = total * (np.array(looks) / blocks) ** 2
    assert (np.abs(spent - planned) < 4 * np.sqrt(planned / studies)).all()


@given(st.floats(0.001, 0.3), st.integers(1, 400))
def test_one_look_at_the_end_is_a_study_that_is_looked_at_once(total, blocks):
    assert math.isclose(level_at(total, (blocks,), blocks), 1 - total, abs_tol=1e-9)


@given(st.integers(1, 16))
def test_each_look_is_surer_than_one_alone_and_less_so_towards_the_end(looks):
    found = boundaries(0.05, planned_looks(5 * looks), 5 * looks)
    assert found == sorted(found, reverse=True)
    assert found[-1] >= ndtri(0.975) - 1e-6


def test_a_study_that_is_looked_at_once_has_the_usual_levels():
    found = Levels()
    assert (found.wide, found.narrow, found.narrow_tail) == pytest.approx(
        (WIDE, NARROW, NARROW_TAIL)
    )


# Which blocks there are.


@given(st.integers(5, 999), st.booleans(), st.data())
def test_run_ids_say_how_many_blocks_were_planned(planned, early, data):
    numbers = data.draw(st.sets(st.integers(1, planned), min_size=1, max_size=20))
    found = blocks_of([block_id("a.b-c_7", n, planned, early=early) for n in numbers])
    assert found is not None
    assert (found.placed, found.planned, found.early) == (len(numbers), planned, early)
    assert found.looks == () or (early and found.looks[-1] == len(numbers))


@pytest.mark.parametrize(
    "names",
    [
        [],
        ["one"],
        ["s.1of9", "one"],
        ["s.1of9", "t.2of9"],
        ["s.1of9", "s.2of8"],
        ["s.1of9", "s.2all9"],
        ["s.1of9", None],
        [".1of9"],
        ["s.of9"],
        ["s.1of0"],
        ["s.1of2", "s.2of2", "s.3of2"],
        [math.nan],
    ],
)
def test_other_runs_are_no_blocks(names):
    assert blocks_of(names) is None


# What a comparison makes of them.


def test_blocks_of_a_study_are_read_with_wider_intervals(rng):
    a, b = in_blocks(rng, 10, 60)
    at_a_look = compare(a, b)
    plain = compare(*(changed(side, run_id=side[2]["run_id"].str[6:8]) for side in (a, b)))
    assert at_a_look.typical.estimate == plain.typical.estimate
    assert at_a_look.typical.low < plain.typical.low
    assert at_a_look.typical.high > plain.typical.high
    assert at_a_look.success.low < plain.success.low
    assert any("Block 10 of 60" in note for note in at_a_look.notes)
    assert at_a_look.more is None
    assert at_a_look.by_runs


def test_a_study_that_places_all_before_it_looks_has_the_usual_intervals(rng):
    a, b = in_blocks(rng, 10, 10, early=False)
    plain = compare(*(changed(side, run_id=side[2]["run_id"].str[6:8]) for side in (a, b)))
    assert compare(a, b).typical == plain.typical


def test_the_typical_interval_is_students_over_blocks(rng):
    from scipy import stats

    a, b = in_blocks(rng, 15, 60, success=1.0)
    found = compare(a, b)
    level = Levels((5, 10, 15), 60).wide
    each = [compare(*(side_of(side, n) for side in (a, b))).typical.estimate for n in range(1, 16)]
    logs = np.log(each)
    reach = stats.t.ppf(0.5 + level / 2, 14) * logs.std(ddof=1) / math.sqrt(15)
    assert math.log(found.typical.low) == pytest.approx(logs.mean() - reach, abs=1e-6)


def side_of(side, block):
    """The orders of a block, with a run id that names none."""
    orders = side[2][side[2]["run_id"] == block_id("study", block, 60, early=True)]
    return side[0], side[1], orders.assign(run_id="alone")


def test_shares_are_newcombes_of_all_orders(rng):
    from firmly_nb.latency.shares import wilson

    a, b = in_blocks(rng, 10, 60, success=0.9)
    level = Levels((5, 10), 60).wide
    k, n = ([int((s[2]["outcome"] != "placed").sum()) for s in (a, b)], 100)
    (_low_a, high_a), (low_b, _high_b) = (wilson(one, n, level) for one in k)
    low = (k[1] - k[0]) / n - math.hypot(k[1] / n - low_b, high_a - k[0] / n)
    assert -compare(a, b).success.high == pytest.approx(low)


def test_a_block_that_is_cut_off_tells_nothing_of_the_typical_time_and_counts_in_shares(rng):
    a, b = in_blocks(rng, 6, 60, success=1.0)
    lost = b[2].index[b[2]["run_id"] == block_id("study", 6, 60, early=True)][:4]
    cut = b[0], b[1], b[2].drop(index=lost)
    found = compare(a, cut)
    whole = compare(*(drop_block(side, 6) for side in (a, b)))
    assert found.typical.estimate == pytest.approx(whole.typical.estimate)
    assert found.success.b.of == 56


def drop_block(side, block):
    gone = side[2]["run_id"] == block_id("study", block, 60, early=True)
    return side[0], side[1], side[2][~gone]


def test_two_environments_in_blocks_are_noted_and_compared(rng):
    a, b = in_blocks(rng, 6, 60)
    found = compare(changed(a, environment="staging"), changed(b, environment="custom"))
    rows = found.design.set_index("what")["effect"]
    assert rows["environment"] == "noted"
    assert found.order.verdict != "not comparable"


def test_two_kinds_of_orders_in_blocks_are_compared_with_each_other(rng):
    a, b = in_blocks(rng, 6, 60, b={"factor": 2.0})
    found = compare(a, changed(b, domain="b.test", n_items=3))
    assert found.order.verdict == "slower"
