"""Figures of a saved set, read stage by stage, are those of its full tables."""

from __future__ import annotations

import json
import random
from tempfile import TemporaryDirectory
from unittest.mock import patch

import pandas as pd
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import firmly_nb as fnb
from firmly_nb.latency.stages import STAGES
from firmly_nb.recorder.journal import Journal
from firmly_nb.recorder.records import End
from firmly_nb.recordings import figures
from firmly_nb.recordings import stored_stages as read_stages
from firmly_nb.store import stages as stored_stages
from tests.recorder.made_records import BEGIN, NAMES, SECOND, event, start
from tests.store.stored_recordings import several

GUIDE = ("order_processing", "payment_processing", "order_completed")
OWN = ("hello", "there")
FATES = ["placed"] * 14 + ["error_event", "timeout", "cancelled", "incomplete"]


def made(number, draw):
    """One order of a study: four merchants, six runs, some ways to end, some odd streams."""
    names = draw.choice([NAMES] * 12 + [GUIDE, OWN, ("item-added", "creating-cart")])
    fate = draw.choice(FATES) if names == NAMES else "incomplete"
    names = names if fate == "placed" else names[: draw.randrange(len(names) + 1)]
    if draw.random() < 0.2:
        names = (*names[:2], *names[1:])  # said twice
    if draw.random() < 0.1:
        names = (*names[:1], *names[2:])  # missed
    t_ns, events = 2_000_000, []
    for seq, name in enumerate(names, start=1):
        t_ns += int(draw.lognormvariate(19, 0.4))
        odd = {"uncertainty_us": draw.uniform(1, 90), "coalesced": draw.random() < 0.1}
        events.append(event(seq, name, t_ns=t_ns, **odd))
    begun = start(
        number,
        started_at_ns=BEGIN + number * 901 * SECOND,
        domain=draw.choice("abcd") + ".test",
        run_id=draw.choice([None, "one", "two", "three", "four", "five", "six"]),
        schedule_lag_ns=draw.randrange(200_000_000),
        milestones=list(OWN) if names[:1] == OWN[:1] else None,
    )
    return fnb.Recording([begun, *events, End(fate, t_ns + 5_000_000, t_headers_ns=1_500_000)])


@pytest.fixture(scope="module")
def recs():
    draw = random.Random(7)
    found = [*several(), *(made(number, draw) for number in range(10, 400))]
    return fnb.Recordings(sorted(found, key=lambda rec: rec.started_at_ns))


@pytest.fixture(scope="module")
def folder(recs, tmp_path_factory):
    folder = tmp_path_factory.mktemp("set")
    recs[:250].save(folder)
    recs.save(folder)
    return folder


def same_figures(found, expected):
    """Every verb says the same of both, to the last digit."""
    one, other = found.latency(), expected.latency()
    pd.testing.assert_frame_equal(one.table, other.table, check_exact=True)
    assert repr(one) == repr(other)
    assert one.sentences == other.sentences
    pd.testing.assert_frame_equal(found.outcomes(), expected.outcomes(), check_exact=True)
    pd.testing.assert_frame_equal(found.funnel(), expected.funnel(), check_exact=True)
    pd.testing.assert_frame_equal(found.completion(), expected.completion(), check_exact=True)
    assert repr(found.drift()) == repr(expected.drift())


def test_every_verb_says_of_a_set_what_it_says_of_the_tables(folder, recs):
    found = fnb.load(folder)
    assert len(recs.latency().sentences) > 3
    assert len(recs.latency().table) > 8
    same_figures(found, recs)
    assert repr(found.drift("item-added")) == repr(recs.drift("item-added"))
    # No text of an id was made for that.
    assert set(found.ends.stages["recording_id"]) == set(range(len(recs)))


@pytest.mark.parametrize("at_once", [1, 20_000])  # one stage; as many as there is room for
def test_stages_that_memory_has_no_room_for_are_read_few_at_a_time(
    folder, recs, monkeypatch, at_once
):
    monkeypatch.setattr(read_stages, "AT_ONCE", at_once)
    same_figures(fnb.load(folder), recs)


@pytest.mark.parametrize(("held", "read"), [(20, set()), (1, {"creating-cart", "item-added"})])
def test_the_largest_uncertainties_are_enough_and_if_not_all_are_read(
    folder, recs, monkeypatch, held, read
):
    asked = []
    monkeypatch.setattr(read_stages, "LARGEST", 0.0)
    monkeypatch.setattr(read_stages, "FEWEST", held)
    monkeypatch.setattr(read_stages, "TOGETHER", 40)
    every = read_stages._Stages._uncertainties
    monkeypatch.setattr(
        read_stages._Stages,
        "_uncertainties",
        lambda *given: asked.append(given[1]) or every(*given),
    )
    same_figures(fnb.load(folder), recs)
    assert set(asked) >= read if read else not asked


def test_a_file_says_once_what_all_rows_of_a_stage_have(tmp_path, recs, monkeypatch):
    # As of a large part: each stage in groups of rows of its own.
    monkeypatch.setattr(stored_stages, "ONE_GROUP", 0)
    monkeypatch.setattr(stored_stages, "GROUP_ROWS", 7)
    monkeypatch.setattr(read_stages, "AT_ONCE", 1)
    some = fnb.Recordings([rec for rec in recs if rec.domain == "a.test"][:60])
    some.save(tmp_path)
    notes = [
        json.loads(pq.read_metadata(path).metadata[stored_stages.NOTED.encode()])
        for path in tmp_path.glob("stages/**/*.parquet")
    ]
    # Of a stage that some orders do not have the rows themselves say whose they are.
    assert {run["is_whole"] for note in notes for run in note["runs"]} == {True, False}
    found = fnb.load(tmp_path)
    pd.testing.assert_frame_equal(found[5:].funnel(), some[5:].funnel(), check_exact=True)
    drifts = [repr(each.drift("item-added")) for each in (found, some)]
    assert drifts[0] == drifts[1]


@pytest.mark.parametrize("plain", [0, 5, 30])  # orders that are read before the others
def test_figures_of_orders_that_have_a_stage_twice_are_those_of_memory(tmp_path, plain):
    every = []
    for number in range(60):
        own = ["hello", "there"] if number < plain else ["hello", "there", "hello"]
        came = [event(seq, name, t_ns=seq * 10**9 + number) for seq, name in enumerate(own, 1)]
        begun = start(number, started_at_ns=BEGIN + number * SECOND, milestones=own)
        every.append(fnb.Recording([begun, *came, End("placed", 5 * 10**9)]))
    recs = fnb.Recordings(every)
    for some in (recs[:plain], recs[plain : plain + 15], recs[plain + 15 :]):
        some.save(tmp_path)
    same_figures(fnb.load(tmp_path), recs)


def test_a_set_that_changes_while_it_is_read_is_named_and_says_what_to_do(recs, tmp_path):
    recs[:60].save(tmp_path)
    fnb.load(tmp_path).latency()  # the stages are made
    found = fnb.load(tmp_path)
    found.latency()  # its files are what was saved
    for part in tmp_path.glob("stages/**/*.parquet"):
        part.write_bytes(part.read_bytes()[:100])
    with pytest.raises(OSError, match=r"The saved set changed while it was read: .*FNB404"):
        found.where(outcome="placed").funnel()


def test_a_few_megabytes_are_enough_for_what_duckdb_is_asked(folder, recs, monkeypatch):
    monkeypatch.setattr(figures, "MEMORY", "4MB")
    found = fnb.load(folder)
    assert len(recs.caveats) > 2
    pd.testing.assert_frame_equal(found.caveats, recs.caveats)
    same_figures(found, recs)


def test_no_text_of_an_id_is_read_for_figures(folder, recs):
    found = fnb.load(folder)
    same_figures(found, recs)
    [(source, _)] = found._selection.split
    assert "recording_ids" not in vars(source._set)


def test_comparing_sets_compares_what_is_in_them(folder, recs):
    found = fnb.load(folder)
    for a, b in ((found[:200], found[200:]), (recs[:200], found[200:]), (found[:200], recs[200:])):
        told = a.compare(b)
        expected = recs[:200].compare(recs[200:])
        assert repr(told) == repr(expected)
        pd.testing.assert_frame_equal(told.stages, expected.stages, check_exact=True)
        pd.testing.assert_frame_equal(told.shift, expected.shift, check_exact=True)


@pytest.mark.parametrize(
    "pick",
    [
        lambda r: r.where(outcome="placed"),
        lambda r: r.where(run_id=["one", "two"]),
        lambda r: r[100:104],
        lambda r: r[::-1],
        lambda r: r[5:] + r[:9],
        lambda r: r[:0],
    ],
)
def test_figures_of_a_selection_are_those_of_its_recordings(folder, recs, pick):
    same_figures(pick(fnb.load(folder)), pick(recs))


def test_figures_of_several_sets_and_journals_are_those_of_all_recordings(tmp_path, recs):
    recs[::2].save(tmp_path / "one")
    recs[:300].save(tmp_path / "two")
    for rec in recs[290:]:
        journal = Journal(tmp_path / "journals")
        for record in rec.records():
            journal.append(record)
        journal.close()
    found = fnb.load(tmp_path)
    assert len(found) == len(recs)
    same_figures(found, recs)


def test_the_numbers_are_those_of_the_tables_of_texts(folder, recs):
    found, by_text = fnb.load(folder).ends.stages, recs.ends.stages
    names = [name for name in by_text if name in found and name != "recording_id"]
    assert {"stage", "duration_ms", "uncertainty_us", "coalesced", "gathered"} < set(names)
    pd.testing.assert_frame_equal(
        pd.DataFrame(found[names]), pd.DataFrame(by_text[names]), check_exact=True
    )
    number = pd.Index([rec.recording_id for rec in recs]).get_indexer(by_text["recording_id"])
    assert found["recording_id"].tolist() == number.tolist()


def damage(path):
    """Overwrite some of a file."""
    content = bytearray(path.read_bytes())
    content[200:1200] = bytes(1000)
    path.write_bytes(content)


def largest(folder):
    """The largest file of a folder."""
    return max(folder.rglob("*.parquet"), key=lambda path: path.stat().st_size)


def test_figures_need_no_events_where_there_are_stages(tmp_path, recs):
    recs.save(tmp_path)
    damage(largest(tmp_path / "events"))
    found = fnb.load(tmp_path)
    same_figures(found, recs)
    assert found.warnings == []


def test_stages_that_are_damaged_are_made_of_the_events(tmp_path, recs):
    recs.save(tmp_path)
    damage(largest(tmp_path / "stages"))
    found = fnb.load(tmp_path)
    same_figures(found, recs)
    [warning] = found.warnings
    assert "made again of the events" in warning


def test_a_part_without_stages_and_events_is_left_out_of_the_figures(tmp_path, recs):
    recs.save(tmp_path)
    path = largest(tmp_path / "events")
    damage(path)
    damage(tmp_path / "stages" / path.relative_to(tmp_path / "events"))
    found = fnb.load(tmp_path)
    lost = found.latency().table.set_index("stage")["n"]
    kept = recs.latency().table.set_index("stage")["n"]
    assert lost["creating-cart"] < kept["creating-cart"]
    assert lost["order"] == kept["order"]  # its time stands with the orders
    assert any("its" in text and "without their events" in text for text in found.warnings)


def test_stages_that_are_read_as_a_table_have_the_ids(folder, recs):
    stages = fnb.load(folder).stages
    assert list(stages.columns) == STAGES.names
    assert set(stages["recording_id"]) == {rec.recording_id for rec in recs}


# Any orders.


@st.composite
def any_orders(draw):
    """Some orders: times that are equal, one run or many, gathered, cancelled, out of order."""
    runs = draw(st.sampled_from([[None], ["one"], ["one", "two"], [f"run {n}" for n in range(7)]]))
    domains = draw(st.sampled_from([["a.test"], ["a.test", "b.test"]]))
    step_ns = draw(st.sampled_from([1, 1_000, 250_000_000]))  # so few steps that times are equal
    found = []
    for number in range(draw(st.integers(0, 60))):
        rng = random.Random(draw(st.integers(0, 2**20)))
        own = rng.choice([None] * 9 + [["hello", "there", "hello"]])
        names = list(own or rng.choice([NAMES] * 6 + [GUIDE]))[: rng.choice([9, 9, 9, 3, 2, 0])]
        if rng.random() < 0.1:
            rng.shuffle(names)
        if names and rng.random() < 0.2:
            names.insert(rng.randrange(len(names)), rng.choice(names))
        t_ns, events = 1_000_000, []
        together = rng.choice([0.0, 0.0, 0.1, 1.0])
        for seq, name in enumerate(names, start=1):
            t_ns += rng.randrange(4) * step_ns
            unsure, shared = rng.choice([0.0, 40.0, 9e5]), rng.random() < together
            odd = {"uncertainty_us": unsure, "coalesced": shared}
            events.append(event(seq, name, t_ns=t_ns, **odd))
        begun = start(
            number,
            started_at_ns=BEGIN + rng.randrange(5 * number + 1) * 20_000 * SECOND,
            domain=rng.choice(domains),
            run_id=rng.choice(runs),
            schedule_lag_ns=rng.choice([None, 0, 3_000_000_000]),
            milestones=own,
        )
        found.append(fnb.Recording([begun, *events, End(rng.choice(FATES), t_ns + 5)]))
    return fnb.Recordings(found)


# How many rows are read and put together; how many uncertainties are held: too few, or enough.
SIZES = [
    {"FEWEST": 1_000},
    {"FEWEST": 1, "TOGETHER": 1},
    {"FEWEST": 3, "TOGETHER": 9, "ORDERS_TOGETHER": 5},
]


@settings(max_examples=8, deadline=None)
@given(any_orders(), st.integers(1, 3), st.sampled_from(SIZES))
def test_the_figures_of_any_orders_are_the_same_from_memory_and_from_a_set(recs, savings, sizes):
    with TemporaryDirectory() as folder, patch.multiple(read_stages, **sizes):
        for part in range(savings):
            recs[part::savings].save(folder)
        found = fnb.load(folder)
        # In the order of the set, which is that of their starts.
        by_id = {rec.recording_id: rec for rec in recs}
        expected = fnb.Recordings(by_id[name] for name in found.orders["recording_id"])
        same_figures(found, expected)
        half = len(recs) // 2
        assert repr(found[:half].compare(found[half:])) == repr(
            expected[:half].compare(expected[half:])
        )
        assert repr(found.slo(1500, 0.9)) == repr(expected.slo(1500, 0.9))
        assert found.caveats.to_dict("records") == expected.caveats.to_dict("records")
        for verb in ("latency", "outcomes", "funnel"):
            one, other = (getattr(each.by("domain"), verb)() for each in (found, expected))
            assert repr(one) == repr(other)
