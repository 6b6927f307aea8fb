"""Files that are what was saved, and contradict one another: what is left out is said."""

from __future__ import annotations

import shutil
from dataclasses import replace

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import firmly_nb as fnb
from firmly_nb.recordings import verify
from firmly_nb.store.files import MANIFEST, Digest, read_manifest, write_manifest
from tests.store.stored_recordings import placed, several

TWICE = "it has events twice"
STRANGE = "of its events are of no order of its part"
OTHER_NUMBERS = "of its orders other numbers of events are there than were saved"
OTHER_STAGES = "its stages are not those of its orders"
ORDERS_TWICE = "orders that are there twice"


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    folder = tmp_path_factory.mktemp("saved") / "set"
    fnb.Recordings(several()).save(folder)
    return folder


@pytest.fixture
def folder(saved, tmp_path):
    return shutil.copytree(saved, tmp_path / "set")


def part(folder, kind, domain="a.test"):
    return min((folder / kind).rglob(f"domain={domain}/*.parquet"))


def rewrite(folder, kind, change):
    """Change a part, and have the manifest know it by its new SHA-256."""
    path = part(folder, kind)
    with pq.ParquetFile(path) as file:
        table, notes = file.read(), file.schema_arrow.metadata
    changed = change(table)
    pq.write_table(changed.replace_schema_metadata(changed.schema.metadata or notes), path)
    sign(folder)


def sign(folder):
    manifest = read_manifest(folder)
    saves = [
        replace(save, files={name: Digest.of(folder / name) for name in save.files})
        for save in manifest.saves
    ]
    write_manifest(folder, replace(manifest, saves=tuple(saves)))


def column(name, values):
    def change(table):
        kind = table.schema.field(name).type
        text = pa.types.is_dictionary(kind)
        array = pa.array(values(table[name].to_pylist()), pa.string() if text else kind)
        at = table.column_names.index(name)
        return table.set_column(at, name, array.dictionary_encode() if text else array)

    return change


def twice(table):
    return pa.concat_tables([table, table.slice(0, 1)])


def one_twice(table):
    """As many rows as before: one is there twice, and another one not at all."""
    return pa.concat_tables([table.slice(0, 1), table.slice(0, len(table) - 1)])


def without_last(table):
    return table.slice(0, len(table) - 1)


def of_another(folder, kind):
    shutil.copy(part(folder, kind, "b.test"), part(folder, kind))
    sign(folder)


def notes(change):
    def changed(table):
        told = orjson.loads(table.schema.metadata[b"firmly_nb.stages"])
        change(told)
        return table.replace_schema_metadata({"firmly_nb.stages": orjson.dumps(told)})

    return changed


def without_notes(change):
    return lambda table: change(table).replace_schema_metadata({"of": "another program"})


# Which file is changed, how, of which file it is said, and what.
CASES = {
    "an event twice": ("events", twice, "events", TWICE),
    "an event in the place of another": ("events", one_twice, "events", TWICE),
    "an event lost": ("events", without_last, "events", OTHER_NUMBERS),
    "no events": ("events", lambda t: t.slice(0, 0), "events", OTHER_NUMBERS),
    "one number for all": ("events", column("seq", lambda v: [1] * len(v)), "events", TWICE),
    "events of a stranger": ("events", column("recording_id", lambda v: ["x", *v[1:]]), "events",
                             STRANGE),
    "events of another part": ("events", None, "events", STRANGE),
    "events without id": ("events", column("recording_id", lambda v: [None, *v[1:]]), "events",
                          "its column recording_id has 1 nulls"),
    "events without name": ("events", column("event", lambda v: [None, *v[1:]]), "events",
                            "its column event has 1 nulls"),
    "another count": ("orders", column("n_events", lambda v: [5, *v[1:]]), "events", OTHER_NUMBERS),
    "an order twice": ("orders", twice, "orders", ORDERS_TWICE),
    "an order in the place of another": ("orders", one_twice, "", ORDERS_TWICE),
    "no orders": ("orders", lambda t: t.slice(0, 0), "events", STRANGE),
    "orders without id": ("orders", column("recording_id", lambda v: [None] * len(v)), "orders",
                          "an order without recording_id"),
    "stages of another part": ("stages", None, "stages", OTHER_STAGES),
    "no stages": ("stages", lambda t: t.slice(0, 0), "stages", OTHER_STAGES),
    "a stage twice": ("stages", twice, "stages", OTHER_STAGES),
    "stages of no order": ("stages", without_notes(column("order_row", lambda v: [9] * len(v))),
                           "stages", OTHER_STAGES),
    "stages in one place": ("stages", without_notes(column("place", lambda v: [0] * len(v))),
                            "stages", OTHER_STAGES),
    "stages twice, without notes": ("stages", without_notes(twice), "stages", OTHER_STAGES),
    "no stages and no notes": ("stages", without_notes(lambda t: t.slice(0, 0)), "stages",
                               OTHER_STAGES),
    "notes of other rows": ("stages", notes(lambda told: told["runs"][0].update(rows=1)), "stages",
                            OTHER_STAGES),
    "notes of other events": ("stages", notes(lambda told: told["counts"].reverse()), "stages",
                              OTHER_STAGES),
    "notes of nothing": ("stages", notes(lambda told: told.pop("runs")), "stages", OTHER_STAGES),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_a_file_that_contradicts_the_others_is_named(folder, case):
    kind, change, told_of, words = CASES[case]
    if change:
        rewrite(folder, kind, change)
    else:
        of_another(folder, kind)
    found = fnb.load(folder)
    tables = [found.orders, found.event_times, found.stages, found.latency().table, found.caveats]
    assert all(len(table) for table in tables[:3])
    assert not found.event_times.duplicated(["recording_id", "seq"]).any()
    assert found.orders["recording_id"].is_unique
    path = part(folder, told_of) if told_of else folder
    assert any(str(path) in text and words in text for text in found.warnings), found.warnings
    # The command says the same.
    states = verify(folder).set_index("file")["state"]
    assert words in states[path.relative_to(folder).as_posix() if told_of else MANIFEST]


def test_stages_are_made_again_of_the_events(folder, saved):
    of_another(folder, "stages")
    found, expected = fnb.load(folder), fnb.load(saved)
    assert repr(found.latency()) == repr(expected.latency())
    assert found.stages.equals(expected.stages)


def test_the_order_of_rows_says_nothing(folder, saved):
    rewrite(folder, "events", lambda table: table.take(list(range(len(table)))[::-1]))
    found = fnb.load(folder)
    assert found.event_times.equals(fnb.load(saved).event_times)
    assert (found.warnings, set(verify(folder)["state"])) == ([], {"as saved"})


def test_durations_that_are_not_those_of_the_events_are_found_by_verify(folder):
    rewrite(folder, "stages", column("duration_ms", lambda v: [1.0] * len(v)))
    states = verify(folder).set_index("file")["state"]
    [wrong] = states[states != "as saved"]
    assert OTHER_STAGES in wrong


@pytest.mark.parametrize(
    ("kind", "name", "value", "words"),
    [
        ("events", "t_ms", -5.0, "t_ms -5.0 in 1 row"),
        ("events", "uncertainty_us", float("inf"), "uncertainty_us inf in 1 row"),
        ("events", "seq", 0, "seq 0 in 1 row"),
        ("events", "clock", "sundial", "clock 'sundial'"),
        ("orders", "order_latency_ms", -1.0, "order_latency_ms -1.0 in 1 row"),
        ("orders", "outcome", "half_placed", "outcome 'half_placed'"),
        ("orders", "order_exists", "perhaps", "order_exists 'perhaps'"),
    ],
)
def test_verify_names_what_cannot_be_whoever_wrote_it(folder, kind, name, value, words):
    rewrite(folder, kind, column(name, lambda v: [value, *v[1:]]))
    states = verify(folder).set_index("file")["state"]
    assert states[f"{part(folder, kind).relative_to(folder)}"] == f"impossible values: {words}"
    # It is shown as it is, and does not keep the rest from being shown.
    assert len([repr(one) for one in fnb.load(folder)]) == 8


def test_sql_leaves_out_events_twice_where_no_hash_tells_that_they_were_saved_so(folder):
    rewrite(folder, "events", one_twice)
    found = fnb.load(folder)
    assert found.relation("events").df().duplicated(["recording_id", "seq"]).any()
    assert any(TWICE in state for state in verify(folder)["state"])
    manifest = read_manifest(folder)  # as older versions wrote it
    saves = tuple(replace(save, files={}) for save in manifest.saves)
    write_manifest(folder, replace(manifest, saves=saves))
    found = fnb.load(folder)
    assert not found.relation("events").df().duplicated(["recording_id", "seq"]).any()
    assert any(TWICE in text for text in found.warnings)


def test_an_order_that_two_parts_have_is_there_once(folder, tmp_path):
    fnb.Recordings([placed(1, started_at_ns=1_790_000_000 * 10**9 + 500)]).save(tmp_path / "other")
    for kind in ("orders", "events", "stages"):
        shutil.copytree(tmp_path / "other" / kind, folder / kind, dirs_exist_ok=True)
    manifests = [read_manifest(one) for one in (folder, tmp_path / "other")]
    saves = [save for manifest in manifests for save in manifest.saves]
    write_manifest(folder, replace(manifests[0], saves=tuple(saves)))
    found = fnb.load(folder)
    assert found.orders["recording_id"].tolist() == [f"r{n}" for n in range(1, 9)]
    assert found.warnings == [f"{folder}: orders that are there twice: 1"]
    assert "twice: 1" in verify(folder)["state"][0]


@pytest.mark.parametrize(
    ("kind", "name", "words"),
    [("events", "data", "without their events"), ("orders", "tags", "tags cannot be read")],
)
def test_what_is_no_json_is_left_out_and_said(folder, kind, name, words):
    rewrite(folder, kind, column(name, lambda v: ["{", *v[1:]]))
    found = fnb.load(folder)
    assert len(found.orders) == 8
    assert 0 < len(found.events) <= 18
    assert any(words in text for text in found.warnings)


@pytest.mark.parametrize("name", ["start", "end"])
def test_a_record_that_is_damaged_costs_no_table(folder, name):
    rewrite(folder, "orders", column(name, lambda v: ["{" for _ in v]))
    found = fnb.load(folder)
    assert len(found.orders) == len(found.asked()) == 8
    assert len(found.snapshots)
    assert name == "start" or any("is damaged" in text for text in found.warnings)
