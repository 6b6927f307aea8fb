"""Saving is all or nothing: killed, without space, without permission, and two at once."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap

import pytest

import firmly_nb as fnb
from firmly_nb.store import files
from firmly_nb.store.files import StoreError
from tests.disks import without_permission
from tests.store.stored_recordings import placed, several

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs signals and limits")

BEGIN = """
    import os, resource, signal, sys
    import firmly_nb as fnb
    from firmly_nb.store import files, write
    from firmly_nb.store.files import StoreError
    from tests.store.stored_recordings import placed, several
    folder, *more = sys.argv[1:]
    def kill(*_):
        os.kill(os.getpid(), signal.SIGKILL)
"""
# Killed when so many parts have been moved in, or while the manifest is written.
KILLED = (
    BEGIN
    + """
    from pathlib import Path
    left = int(more[0])
    real = Path.rename
    def rename(self, target):
        global left
        if left == 0:
            kill()
        left -= 1
        return real(self, target)
    Path.rename = rename
    if left < 0:
        real_replace = Path.replace
        def replace(self, target):
            if target.name == "manifest.json":
                kill()
            return real_replace(self, target)
        Path.replace = replace
    fnb.Recordings([placed(n, domain=f"{n % 3}.test") for n in range(10, 16)]).save(folder)
"""
)
MID_WRITE = (
    BEGIN
    + """
    def recordings():
        for n in range(20_000):
            if n == 3_000:
                print("writing", flush=True)
                sys.stdin.read()
            yield placed(n, domain=f"{n % 3}.test").recorded
    write.GROUP_EVENTS = 1_000
    from firmly_nb.store.write import save
    save(recordings(), folder)
"""
)
LIMITED = (
    BEGIN
    + """
    write.GROUP_EVENTS = 100
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(more[0]), 10**9))
    try:
        fnb.Recordings([placed(n) for n in range(10, 400)]).save(folder)
    except StoreError as error:
        print(error)
"""
)
TOGETHER = (
    BEGIN
    + """
    print("ready", flush=True)
    sys.stdin.readline()
    for n in range(int(more[0]), int(more[1])):
        fnb.Recordings([placed(n), placed(1)]).save(folder)
"""
)


def child(program, *arguments, **options):
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(program), *map(str, arguments)],
        stdout=subprocess.PIPE,
        stdin=subprocess.PIPE,
        text=True,
        **options,
    )


def ids(folder):
    return [rec.recording_id for rec in fnb.load(folder)]


@pytest.fixture
def folder(tmp_path):
    """A set that is there before anything goes wrong."""
    fnb.Recordings(several()).save(tmp_path / "set", notes="before")
    return tmp_path / "set"


@pytest.fixture
def before(folder):
    return ids(folder)


@pytest.mark.parametrize("moved", [1, 4, 7, -1])
def test_a_save_that_is_killed_changes_nothing_and_the_next_one_clears_up(folder, before, moved):
    """Moving nine files in three parts, killed between two of them, and after all of them while
    the manifest was being written."""
    with child(KILLED, folder, moved) as process:
        process.communicate(timeout=250)
    assert process.returncode == -signal.SIGKILL
    assert ids(folder) == before
    found = fnb.load(folder)
    assert found.notes == ["before"]
    assert len(found.events) == 18
    assert "parts in" in "".join(found.warnings)
    assert fnb.Recordings([placed(99)]).save(folder).added == 1
    after = fnb.load(folder)
    assert after.warnings == []
    assert sorted(rec.recording_id for rec in after) == sorted([*before, "r99"])
    listed = {part for save in manifest(folder)["saves"] for part in save["parts"]}
    assert len(list(folder.rglob("*.parquet"))) == 3 * len(listed)
    assert {path.name for path in folder.iterdir()} == {
        "orders",
        "events",
        "stages",
        "manifest.json",
        ".lock",
    }


def manifest(folder):
    return json.loads((folder / "manifest.json").read_text())


def test_a_save_that_is_killed_while_it_writes_changes_nothing(folder, before):
    with child(MID_WRITE, folder) as process:
        assert process.stdout.readline() == "writing\n"
        # Whoever loads meanwhile sees the set as it was, and nothing to warn of.
        assert (ids(folder), fnb.load(folder).warnings) == (before, [])
        assert files.is_locked(folder)
        process.kill()
    assert not files.is_locked(folder)
    assert list(folder.glob(".writing-*"))
    assert (ids(folder), fnb.load(folder).warnings) == (before, [])
    fnb.Recordings([placed(99)]).save(folder)
    assert not list(folder.glob(".writing-*"))


@pytest.mark.parametrize("limit", [100, 20_000])
def test_a_full_disk_is_said_and_changes_nothing(folder, before, limit):
    with child(LIMITED, folder, limit) as process:
        said, _ = process.communicate(timeout=250)
    assert f"Nothing was added to {folder}: " in said
    assert "File too large" in said
    assert "The set is unchanged. Free space" in said
    found = fnb.load(folder)
    assert (ids(folder), found.warnings) == (before, [])
    assert not list(folder.glob(".writing-*"))


def test_an_interrupted_save_changes_nothing(folder, before):
    def stopped():
        yield placed(50).recorded
        raise KeyboardInterrupt

    from firmly_nb.store.write import save

    with pytest.raises(KeyboardInterrupt):
        save(stopped(), folder)
    assert (ids(folder), fnb.load(folder).warnings) == (before, [])
    assert not list(folder.glob(".writing-*"))


def test_a_folder_that_cannot_be_written_is_said(tmp_path):
    (tmp_path / "file").write_text("in the way")
    for path in (tmp_path / "file", tmp_path / "file" / "set"):
        with pytest.raises(StoreError, match=r"Nothing was added to .*save to a writable folder"):
            fnb.Recordings([placed(1)]).save(path)
    assert (tmp_path / "file").read_text() == "in the way"


def test_a_folder_that_is_read_only_is_said(tmp_path):
    said = without_permission(
        tmp_path,
        """
        import firmly_nb as fnb
        from firmly_nb.store.write import save

        try:
            save([], ".")
        except OSError as error:
            print(type(error).__name__, error)
        """,
    )
    assert said == (
        "StoreError Nothing was added to .: Permission denied. The set is unchanged. "
        "Free space, or save to a writable folder. [FNB406]\n"
    )
    assert list(tmp_path.iterdir()) == []


def test_parts_that_cannot_be_moved_in_are_taken_out_again(folder, before):
    made = fnb.Recordings([placed(20), placed(21, domain="blocked.test")])
    where = folder / "events" / files.partition(placed(21).started_at_ns, "blocked.test")
    where.write_text("in the way")
    with pytest.raises(StoreError, match="Nothing was added"):
        made.save(folder)
    where.unlink()
    assert (ids(folder), fnb.load(folder).warnings) == (before, [])


def test_two_processes_at_once_lose_and_double_nothing(folder, before):
    processes = [child(TOGETHER, folder, n, n + 5) for n in (100, 200)]
    try:
        for process in processes:
            assert process.stdout.readline() == "ready\n"
        for process in processes:
            process.stdin.write("go\n")
            process.stdin.flush()
        # Whoever loads meanwhile sees whole sets.
        while any(process.poll() is None for process in processes):
            found = fnb.load(folder)
            assert found.warnings == []
            assert len(found.events) == 4 * (len(found) - len(before)) + 18
    finally:
        for process in processes:
            process.communicate(timeout=250)
    assert [process.returncode for process in processes] == [0, 0]
    new = [f"r{n}" for begin in (100, 200) for n in range(begin, begin + 5)]
    assert sorted(ids(folder)) == sorted([*before, *new])
    assert manifest(folder)["recordings"] == len(before) + 10


def test_what_is_damaged_before_is_not_made_worse(folder):
    damaged = folder / "manifest.json"
    damaged.write_text("{")
    content = {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()}
    with pytest.raises(StoreError, match="move that file away and save again"):
        fnb.Recordings([placed(30)]).save(folder)
    assert {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()} == content
    damaged.unlink()
    saved = fnb.Recordings([*several(), placed(30)]).save(folder)
    assert (saved.added, saved.there_before) == (1, 8)
    found = fnb.load(folder)
    assert (len(found), found.warnings) == (9, [])
    assert found.notes == ["the manifest was missing and was made again from the parts there"]


def test_a_forgotten_lock_file_stops_nobody(folder):
    assert (folder / ".lock").exists()
    assert not files.is_locked(folder)
    with files.locked(folder):
        assert files.is_locked(folder)
    os.unlink(folder / ".lock")  # noqa: PTH108 - as another program would
    assert not files.is_locked(folder)
    assert fnb.Recordings([placed(30)]).save(folder).added == 1


def test_an_interrupt_after_the_manifest_was_replaced_takes_nothing_out(folder, monkeypatch):
    real = files.write_whole

    def interrupted(path, content):
        real(path, content)
        if path.name == "manifest.json":
            raise KeyboardInterrupt

    monkeypatch.setattr(files, "write_whole", interrupted)
    with pytest.raises(KeyboardInterrupt):
        fnb.Recordings([placed(60)]).save(folder)
    found = fnb.load(folder)
    assert (len(found), found.warnings, len(found.events)) == (9, [], 22)


def test_where_there_are_no_locks_what_others_are_writing_is_left_alone(folder, monkeypatch):
    import fcntl

    def unsupported(*_):
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(fcntl, "flock", unsupported)
    others = folder / ".writing-others"
    others.mkdir()
    assert fnb.Recordings([placed(60)]).save(folder).added == 1
    assert others.exists()
    assert len(fnb.load(folder)) == 9
