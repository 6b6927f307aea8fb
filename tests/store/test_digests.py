"""A file of a set that is not what was saved is named and left out, whatever changed in it."""

from __future__ import annotations

import json
import random
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

import firmly_nb as fnb
from firmly_nb.cli.command import app
from firmly_nb.recordings import verify
from tests.store.stored_recordings import (
    EQUAL,
    REFUSED,
    WARNED,
    files,
    flip,
    how_it_reads,
    same,
    several,
)


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    path = tmp_path_factory.mktemp("saved") / "set"
    fnb.Recordings(several()).save(path, notes="the notes")
    return path


@pytest.fixture
def folder(saved, tmp_path):
    return Path(shutil.copytree(saved, tmp_path / "set"))


@pytest.mark.parametrize("seed", range(40))
def test_no_flipped_bit_changes_a_table_without_a_word(folder, saved, seed):
    chance = random.Random(seed)
    path = chance.choice(files(folder))
    bit = chance.randrange(8 * path.stat().st_size)
    flip(path, bit)
    assert how_it_reads(folder, fnb.load(saved)) in {REFUSED, WARNED, EQUAL}, (path, bit)


def test_a_changed_file_of_orders_is_named_and_left_out(folder):
    path = files(folder / "orders")[0]
    flip(path, 400)
    found = fnb.load(folder)
    assert 0 < len(found) < len(several())
    [warning] = found.warnings
    assert str(path) in warning
    assert "its SHA-256 is not that of what was saved" in warning


@pytest.mark.parametrize("read", ["events", "stages", "relation"])
def test_a_changed_file_of_events_costs_the_events(folder, read):
    path = files(folder / "events")[0]
    path.write_bytes(path.read_bytes() + b"more")
    found = fnb.load(folder)
    if read == "relation":
        assert found.relation("events").aggregate("count(*)").fetchall() == [(14,)]
    assert len(found.event_times) == 14
    assert len(found) == len(several())
    [warning] = found.warnings
    assert str(path) in warning
    assert "were saved" in warning


def test_a_changed_manifest_is_said(folder):
    path = folder / "manifest.json"
    path.write_text(path.read_text().replace("the notes", "other notes"))
    [warning] = fnb.load(folder).warnings
    assert "manifest.json is not what was written" in warning


def test_a_manifest_that_is_laid_out_anew_is_the_same(folder, saved):
    path = folder / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()), sort_keys=True))
    assert fnb.load(folder).warnings == []
    same(fnb.load(folder), fnb.load(saved))


def test_what_is_added_later_is_known_too(folder):
    fnb.Recordings(several()[:1]).save(folder)
    assert len(verify(folder)) == len(files(folder))
    assert set(verify(folder)["state"]) == {"as saved"}


def test_verify_says_of_each_file_what_it_is(folder):
    changed, shorter, gone, *rest = files(folder / "orders") + files(folder / "events")
    flip(changed, 400)
    shorter.write_bytes(shorter.read_bytes()[:-1])
    gone.unlink()
    table = verify(folder).set_index("file")["state"]
    assert table[str(changed.relative_to(folder))] == "its SHA-256 is not that of what was saved"
    assert "were saved" in table[str(shorter.relative_to(folder))]
    assert table[str(gone.relative_to(folder))] == "missing"
    assert {table[str(path.relative_to(folder))] for path in rest} == {"as saved"}


def test_what_an_older_version_saved_cannot_be_verified_and_that_is_said():
    old = Path(__file__).parent / "data" / "set-format-1"
    assert set(verify(old)["state"][1:]) == {"not known: saved without a SHA-256"}
    result = CliRunner().invoke(app, ["verify", str(old)])
    assert result.exit_code == 1


def test_the_command_names_what_is_wrong_and_exits_with_1(folder):
    assert CliRunner().invoke(app, ["verify", str(folder)]).exit_code == 0
    path = files(folder / "events")[0]
    flip(path, 99)
    result = CliRunner().invoke(app, ["verify", str(folder)])
    assert result.exit_code == 1
    assert path.name in result.output.replace("\n", "")
