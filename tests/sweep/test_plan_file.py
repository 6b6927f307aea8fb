"""What is written down of a sweep is there whole or not at all."""

from __future__ import annotations

import stat
import sys
from dataclasses import replace

import pytest

from firmly_nb.recorder.journal import JournalError
from firmly_nb.sweep.plan import FOLDER, PlanFile
from tests.disks import files_of_at_most

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
            match=r"^the sweep's plan .*r-1\.json cannot be written: File too large\. Free some "
            "space or set FIRMLY_NB_HOME to a folder that can be written",
        ),
    ):
        replace(PLAN, message="budget used up").write(tmp_path)
    assert PlanFile.read(tmp_path, "r-1") == PLAN
    assert names(tmp_path) == ["r-1.json"]


def test_a_folder_that_cannot_be_made_is_said(tmp_path):
    (tmp_path / FOLDER).write_text("in the way")
    with pytest.raises(JournalError, match=r"cannot be written: File exists\. Free some space"):
        PLAN.write(tmp_path)
