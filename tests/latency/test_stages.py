"""Stages telescope; what is missing, repeated or out of order is told and never clipped."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmly_nb.api.event_names import GUIDE, REFERENCE, milestone_of, vocabulary
from firmly_nb.latency.stages import STAGES, StageTimes, stage_times, stages
from firmly_nb.recorder.records import End
from firmly_nb.recordings.recording import Recording
from firmly_nb.recordings.recordings import Recordings
from tests.latency.plain_stages import counted, plain_stages, same_stages
from tests.recorder.made_records import event, start

NAMES = [*REFERENCE, *GUIDE, "error", "loyalty-points", "message"]
times = st.floats(0, 1e6, allow_nan=False)
arrivals = st.lists(st.tuples(st.sampled_from(NAMES), times, st.floats(0, 1e4)), max_size=20)


lists = st.lists(st.sampled_from([*NAMES, "start", "a->b"]), min_size=1, max_size=5)


def table(rows, recording_id="r"):
    return pd.DataFrame(
        [(recording_id, *row) for row in rows],
        columns=["recording_id", "event", "t_ms", "uncertainty_us"],
    )


def reached(frame):
    return frame[frame["duration_ms"].notna()]


@given(st.lists(st.tuples(arrivals, st.none() | lists), max_size=8))
def test_the_stages_of_many_orders_are_those_of_each(made):
    """Milestones of their own, twice in a list, named like a stage; events that came to nobody."""
    events = [pd.DataFrame(columns=table([]).columns)]
    events += [table(rows, f"r{number}") for number, (rows, own) in enumerate(made) if not own]
    ids = [f"r{number}" for number, (_, own) in enumerate(made) if not own]
    expected = [row for rows, own in made if not own for row in plain_stages(rows)]
    same_stages(stages(pd.concat(events), None, ids), expected)

    recs = Recordings(recording(number, rows, own) for number, (rows, own) in enumerate(made))
    came = [arrivals_of(rec) for rec in recs]
    expected = [plain_stages(rows, own) for rows, (_, own) in zip(came, made, strict=True)]
    same_stages(recs.stages, [row for rows in expected for row in rows])
    for rec, rows in zip(recs, expected, strict=True):
        same_stages(rec.stages, rows)
        assert set(rec.stages["recording_id"]) == {rec.recording_id}
    owners = [rec.recording_id for rec, rows in zip(recs, expected, strict=True) for _ in rows]
    assert recs.stages["recording_id"].tolist() == owners


def recording(number, rows, own):
    events = [
        event(seq, name, t_ns=int(t_ms * 1e6), uncertainty_us=uncertainty_us)
        for seq, (name, t_ms, uncertainty_us) in enumerate(rows, start=1)
    ]
    return Recording([start(number, milestones=own), *events, End("timeout", 1)])


def arrivals_of(rec):
    frame = rec.events
    columns = (frame["event"].astype("str"), frame["t_ms"], frame["uncertainty_us"])
    return list(zip(*(column.tolist() for column in columns), strict=True))


@given(arrivals)
def test_the_stages_sum_up_to_the_last_milestone(rows):
    frame = stages(table(rows))
    last = {name: t for name, (t, _) in counted(rows).items()}
    milestones = vocabulary(last)
    times = [last[name] for name in milestones if name in last]
    assert math.isclose(
        reached(frame)["duration_ms"].sum(), times[-1] if times else 0.0, abs_tol=1e-6
    )
    assert reached(frame)["end_ms"].tolist() == times
    assert reached(frame)["start_ms"].tolist() == [0.0, *times[:-1]][: len(times)]


@given(arrivals, st.lists(st.sampled_from(NAMES), min_size=1, unique=True))
def test_each_milestone_has_its_row_whatever_came(rows, milestones):
    frame = stages(table(rows), milestones, ["r"])
    assert frame["to_milestone"].tolist() == milestones
    assert set(reached(frame)["to_milestone"]) == set(milestones) & {name for name, *_ in rows}


@given(arrivals)
def test_a_stage_begins_where_the_one_before_it_ended(rows):
    frame = reached(stages(table(rows)))
    begins = ["start", *frame["to_milestone"].astype("str")][: len(frame)]
    assert frame["from_milestone"].astype("str").tolist() == begins
    for row in frame.itertuples():
        assert row.duration_ms == row.end_ms - row.start_ms


@given(arrivals)
def test_uncertainties_of_both_ends_add_up(rows):
    last = {name: u for name, (_, u) in counted(rows).items()}
    found = [last[name] for name in vocabulary(last) if name in last]
    frame = reached(stages(table(rows)))
    expected = [a + b for a, b in zip([0.0, *found], found, strict=False)]
    assert frame["uncertainty_us"].tolist() == expected


def test_a_missing_milestone_labels_the_next_stage():
    frame = stages(table([("creating-cart", 100.0, 1.0), ("order-placed", 900.0, 1.0)]))
    assert frame["stage"].astype("str").tolist() == [
        "creating-cart",
        "item-added",
        "shipping-updated",
        "creating-cart->order-placed",
    ]
    assert frame["duration_ms"].isna().tolist() == [False, True, True, False]


def test_a_missing_first_milestone_is_labelled_from_the_start():
    frame = stages(table([("item-added", 100.0, 1.0)]))
    assert frame["stage"].astype("str").tolist()[1] == "start->item-added"


def test_a_repeated_event_counts_at_its_last_occurrence():
    rows = [("creating-cart", 1.0, 0.0), ("item-added", 2.0, 0.0), ("item-added", 5.0, 0.0)]
    assert stages(table(rows))["end_ms"].tolist()[:2] == [1.0, 5.0]


def test_out_of_order_milestones_give_a_negative_duration():
    rows = [("creating-cart", 1.0, 0.0), ("shipping-updated", 2.0, 0.0), ("item-added", 5.0, 0.0)]
    assert stages(table(rows))["duration_ms"].tolist()[:3] == [1.0, 4.0, -3.0]


def test_each_recording_is_read_by_its_own_vocabulary():
    events = pd.concat(
        [table([("order_completed", 9.0, 0.0)], "a"), table([("order-placed", 8.0, 0.0)], "b")]
    )
    frame = stages(events)
    assert frame.groupby("recording_id", observed=True)["to_milestone"].agg(list).to_dict() == {
        "a": list(GUIDE),
        "b": list(REFERENCE),
    }


def test_recordings_without_events_have_null_stages():
    frame = stages(table([("creating-cart", 1.0, 0.0)], "b"), None, ["a", "b"])
    assert frame["recording_id"].tolist() == ["a"] * 4 + ["b"] * 4
    assert frame["duration_ms"].notna().sum() == 1


@given(arrivals)
def test_the_table_has_its_columns_and_types_whatever_came(rows):
    frame = stages(table(rows))
    assert frame.dtypes.astype("str").to_dict() == {c.name: c.dtype for c in STAGES.columns}


@pytest.mark.parametrize("name", [*REFERENCE, *GUIDE])
def test_documented_names_are_milestones_unless_others_are_set(name):
    assert milestone_of(name) == name
    assert milestone_of(name, ["other"]) is None
    assert milestone_of("other", ["other"]) == "other"


def test_the_times_of_a_stage_are_those_of_orders_that_completed_it_and_were_not_cancelled():
    rows = [("creating-cart", 100.0, 1.0), ("item-added", 400.0, 2.0)]
    events = pd.concat(
        [table([(name, t + 10 * i, u) for name, t, u in rows], f"r{i}") for i in range(4)]
    )
    late = table([("shipping-updated", 900.0, 4.0)], "r9")
    frame = stages(pd.concat([events, late]))
    ids = ["r9", "r3", "r2", "r1"]  # r0 is of no order
    orders = pd.DataFrame({"recording_id": ids, "outcome": ["placed"] * 3 + ["cancelled"]})
    found = {one.name: one for one in stage_times(frame, orders)}
    assert list(found) == [
        "creating-cart",
        "item-added",
        "shipping-updated",
        "start->shipping-updated",
        "order-placed",
    ]
    cart = found["creating-cart"]
    assert cart.times_ms.tolist() == [120.0, 130.0]
    assert cart.median_ms == 125.0
    assert cart.orders.tolist() == [2, 1]
    assert frame["end_ms"].iloc[cart.rows].tolist() == [120.0, 130.0]
    assert found["item-added"].uncertainty_us.tolist() == [3.0, 3.0]
    assert found["start->shipping-updated"].times_ms.tolist() == [900.0]
    assert len(found["order-placed"].times_ms) == 0


def test_the_median_of_a_stage_is_its_median():
    times = np.array([9.0, 1.0, 5.0, 2.0, 40.0])
    none = np.zeros(0, dtype=np.intp)
    assert StageTimes("all", times, times, none, none).median_ms == 5.0
