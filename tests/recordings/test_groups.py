"""Groups beside each other: which one is slowest, in which stage, and which met a target."""

import numpy as np
import pandas as pd
import pytest

import firmly_nb as fnb
from firmly_nb.latency.groups import GROUPED_LATENCY
from firmly_nb.latency.targets import SLO

NAMES = ["creating-cart", "item-added", "shipping-updated", "order-placed"]
MEDIANS_MS = np.array([100.0, 300.0, 400.0, 200.0])


def placed(seed=1, *, n=200, factor=1.0, runs=1):
    """Orders of two merchants that take turns; one is slower in shipping-updated."""
    rng = np.random.default_rng(seed)
    total = n * runs
    is_slow = rng.random(total) < 0.5
    delays = MEDIANS_MS * np.exp(0.25 * rng.standard_normal((total, 4)))
    delays[is_slow, 2] *= factor
    ids = [f"r{i}" for i in range(total)]
    times = np.cumsum(delays, axis=1).ravel()
    events = pd.DataFrame(
        {"recording_id": np.repeat(ids, 4), "event": NAMES * total, "t_ms": times}
    )
    run = np.repeat(np.arange(runs), n)
    seconds = run * 43_200.0 + np.tile(np.arange(n), runs) * 3.0
    orders = pd.DataFrame(
        {
            "recording_id": ids,
            "run_id": [f"run {r}" for r in run],
            "started_at": pd.Timestamp("2026-01-05T09:00Z") + pd.to_timedelta(seconds, unit="s"),
            "domain": np.where(is_slow, "b.test", "a.test"),
            "tags": [{"release": "x" if i % 2 else "y"} for i in range(total)],
        }
    )
    return fnb.from_events(events, orders)


def test_the_slowest_merchant_and_its_stage_are_named():
    found = placed(factor=1.6).by("domain").latency()
    assert (found.slowest, found.stage) == ("b.test", "shipping-updated")
    assert found.sentence.startswith("b.test is slowest: 1.2")
    assert found.table.columns.tolist() == ["domain", *GROUPED_LATENCY.names]


@pytest.mark.parametrize("name", ["domain", "tag:release", "5min"])
def test_groups_that_are_equal_cannot_be_told_apart(name):
    found = placed().by(name).latency()
    assert found.slowest is None
    assert "cannot be told apart" in found.sentence


def test_few_equal_groups_are_told_apart_by_chance():
    named = [placed(seed, n=60).by("domain").latency().slowest for seed in range(40)]
    assert sum(name is not None for name in named) <= 4


def test_a_saved_set_has_the_same_groups(tmp_path):
    recs = placed(factor=1.6)
    recs.save(tmp_path / "set")
    saved = fnb.load(tmp_path / "set")
    for name in ("domain", "tag:release", "hour"):
        a, b = (one.by(name).latency() for one in (recs, saved))
        pd.testing.assert_frame_equal(a.table, b.table)
        assert a.sentence == b.sentence


def test_idle_time_between_runs_does_not_count():
    assert placed(runs=2).throughput() == pytest.approx(placed().throughput(), rel=0.01)


def test_a_target_is_held_against_each_group_and_each_day():
    recs = placed(factor=2.0, runs=3)
    found = recs.by("domain").slo("1.5s", "90%")
    assert found.table["verdict"].tolist() == ["met", "missed"]
    assert found.table.columns.tolist() == ["domain", *SLO.names]
    assert recs.slo("1.5s", "90%").days["day"].tolist() == ["2026-01-05", "2026-01-06"]


@pytest.mark.parametrize("name", ["nope", "tag:nope", "recording_id", "0min"])
def test_what_makes_no_groups_is_refused(name):
    with pytest.raises((KeyError, ValueError), match="FNB340"):
        placed(n=20).by(name)


def of(n, *, hours=None, **columns):
    """Orders that took one second each, one every three seconds."""
    starts = pd.to_timedelta(np.arange(n) * 3.0, unit="s")
    if hours is not None:
        starts += pd.to_timedelta(hours, unit="h")
    ids = [f"r{i}" for i in range(n)]
    last = "order-placed"
    events = pd.DataFrame({"recording_id": ids, "event": last, "t_ms": 1000.0})
    orders = pd.DataFrame(
        {
            "recording_id": ids,
            "started_at": pd.Timestamp("2026-01-05T09:00Z") + starts,
            "order_latency_ms": 1000.0,
            "domain": "a.test",
            **columns,
        }
    )
    late = events["t_ms"] * (1 + orders.pop("late").to_numpy() if "late" in orders else 1)
    return fnb.from_events(events.assign(t_ms=late), orders)


@pytest.mark.parametrize("name", ["domain", "tag:region"])
def test_orders_without_a_run_id_are_one_run(name):
    """A merchant that is slow in its tail alone is told, as with a run id."""
    rng = np.random.default_rng(3)
    late = np.where(np.arange(300) % 2, 4.0 * (rng.random(300) < 0.2), 0.0) + rng.random(300) / 2
    tags = [{"region": "xy"[i % 2]} for i in range(300)]
    recs = of(300, late=late, domain=["a.test", "b.test"] * 150, tags=tags)
    found = recs.by(name).latency()
    assert found.slowest in {"b.test", "region y"}
    assert " are later than 5" in found.sentence
    apart = [note for note in found.notes if "in common" in note]
    said = "The groups have no merchant in common: whether it or the region makes the difference"
    assert apart == ([] if name == "domain" else [f"{said} cannot be told."])


def test_cart_sizes_that_go_with_merchants_are_not_given_the_credit():
    late = np.where(np.arange(200) % 2, 1.0, 0.0) + np.random.default_rng(4).random(200) / 4
    recs = of(200, late=late, domain=["a.test", "b.test"] * 100, n_items=[1, 4] * 100)
    for name, other in (("domain", "number of items"), ("n_items", "merchant")):
        [note] = recs.by(name).latency().notes
        assert note.startswith(f"The groups have no {other} in common: whether it or the ")


def test_a_value_that_reads_like_none_is_a_group_of_its_own():
    recs = of(4, tags=[{"k": "(none)"}, {}] * 2)
    assert recs.by("tag:k").names == ["k (none)", "k ((none))"]


@pytest.mark.parametrize("window", ["0min", "99999999999999999999day"])
def test_a_window_has_a_length_that_a_clock_knows(window):
    with pytest.raises(ValueError, match="A window must be above 0 and at most 100 years"):
        of(2).by(window)


def test_a_run_that_was_resumed_did_not_run_at_night():
    whole = of(40, run_id="x").throughput()
    resumed = of(40, hours=np.repeat([0, 24], 20), run_id="x").throughput()
    assert resumed == pytest.approx(whole, rel=0.05)
    assert of(40, hours=np.arange(40), run_id="x").throughput() < 0.001


@pytest.mark.parametrize(("n", "late", "wanted"), [(1, 1, 0.9), (2, 1, 0.95), (100, 3, 0.99)])
def test_few_misses_are_not_enough_to_miss_a_target(n, late, wanted):
    recs = of(n, late=[1.0 if i % 40 == 0 and i // 40 < late else 0.0 for i in range(n)])
    found = recs.slo(1500, wanted)
    assert found.attained.count == n - late
    assert found.verdict == "not enough data"
