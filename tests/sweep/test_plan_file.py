"""What is written down of a sweep is there whole or not at all, and one sweep holds its id."""

from __future__ import annotations

import errno
import os
import stat
import subprocess
import sys
from dataclasses import replace

import pytest

from firmly_nb.recorder.journal import JournalError
from firmly_nb.sweep.plan import FOLDER, PlanFile, claim
from tests.disks import files_of_at_most, without_permission

PLAN = PlanFile(
    run_id="r-1",
    name="nightly",
    tags={},
    environment="simulator",
    began_at_ns=0,
    arrival="poisson",
    rate_per_s=0.5,
    concurrency=4,
    duration_s=None,
    count=20,
    seed=7,
    budget={"orders": 20},
)


def names(journal):
    return sorted(path.name for path in (journal / FOLDER).iterdir())


def test_a_plan_comes_back_as_it_was_written_and_is_the_users_alone(tmp_path):
    PLAN.write(tmp_path)
    assert PlanFile.read(tmp_path, "r-1") == PLAN
    assert names(tmp_path) == ["r-1.json"]
    assert stat.S_IMODE((tmp_path / FOLDER / "r-1.json").stat().st_mode) == 0o600


@pytest.mark.skipif(sys.platform == "win32", reason="needs limits")
def test_a_full_disk_is_said_and_leaves_the_plan_as_it_was(tmp_path):
    PLAN.write(tmp_path)
    with (
        files_of_at_most(100),
        pytest.raises(
            JournalError,
            match=r"^The sweep's plan .*r-1\.json cannot be written: File too large\. Free space, "
            "or set FIRMLY_NB_HOME to a writable folder",
        ),
    ):
        replace(PLAN, message="budget used up").write(tmp_path)
    assert PlanFile.read(tmp_path, "r-1") == PLAN
    assert names(tmp_path) == ["r-1.json"]


def test_a_folder_that_cannot_be_made_is_said(tmp_path):
    (tmp_path / FOLDER).write_text("in the way")
    with pytest.raises(JournalError, match=r"cannot be written: File exists\. Free space"):
        PLAN.write(tmp_path)


def test_a_run_id_is_held_by_one_sweep_at_a_time(tmp_path):
    held = claim(tmp_path / FOLDER, "r-1")
    with pytest.raises(ValueError, match=r"^Sweep r-1 is still running, here or in another"):
        claim(tmp_path / FOLDER, "r-1")
    claim(tmp_path / FOLDER, "r-2").release()
    held.release()
    claim(tmp_path / FOLDER, "r-1").release()


@pytest.mark.skipif(sys.platform == "win32", reason="needs signals")
def test_a_sweep_that_was_killed_holds_its_id_no_more(tmp_path):
    program = """
import sys
from pathlib import Path
from firmly_nb.sweep.plan import claim

held = claim(Path(sys.argv[1]), "r-1")
print("held", flush=True)
sys.stdin.read()
"""
    with subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as other:
        assert other.stdout.readline() == "held\n"
        with pytest.raises(ValueError, match="still running"):
            claim(tmp_path, "r-1")
        other.kill()
    assert (tmp_path / "r-1.lock").exists()
    claim(tmp_path, "r-1").release()


@pytest.mark.skipif(sys.platform == "win32", reason="needs flock")
def test_where_there_are_no_locks_sweeps_run_all_the_same(tmp_path, monkeypatch):
    import fcntl

    def unsupported(*_):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", unsupported)
    held = claim(tmp_path, "r-1")
    assert not held.sure
    held.release()


@pytest.mark.skipif(sys.platform == "win32", reason="needs permissions of Unix")
def test_a_folder_that_is_read_only_is_said_before_anything_is_sent(tmp_path):
    said = without_permission(
        tmp_path,
        """
        from pathlib import Path
        from firmly_nb.sweep.plan import claim

        try:
            claim(Path("."), "r-1")
        except OSError as error:
            print(type(error).__name__, error)
        """,
    )
    assert said == (
        "JournalError r-1.lock cannot be written: Permission denied. Free space, or set "
        "FIRMLY_NB_HOME to a writable folder. [FNB514]\n"
    )
