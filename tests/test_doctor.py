"""What ``firmly-nb doctor`` finds, says and keeps to itself."""

from __future__ import annotations

import asyncio
import io
import json
import os
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pytest
from rich.console import Console

from firmly_nb import doctor
from firmly_nb.doctor import Finding, Report, examine, show
from firmly_nb.recorder.calibration import Calibration


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FIRMLY_NB_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("FIRMLY_APP_ID", raising=False)
    monkeypatch.chdir(tmp_path)


def found(name: str) -> Finding:
    return next(f for f in examine(measure=False).findings if f.name.startswith(name))


def shown(report: Report) -> str:
    output = io.StringIO()
    show(report, Console(file=output, width=60))
    return output.getvalue()


def calibration(error_ms: float) -> Calibration:
    row = {"condition": "busy", "n": 1, "error_ms": error_ms, "inside": True, "clock": "kernel"}
    return Calibration.from_rows([row])


def test_every_package_that_matters_is_named() -> None:
    names = [finding.name for finding in examine(measure=False).findings]
    assert names[:3] == ["python", "firmly-nb", "httpx"]
    assert {"ipykernel", "ipywidgets", "jupyterlab", "kernel timestamps", "app id"} <= {*names}


def test_what_is_installed_here_is_as_it_should_be() -> None:
    assert all(finding.ok for finding in doctor.versions())


def test_an_ipykernel_whose_widgets_fail_in_threads_is_not_ok(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(doctor, "version", lambda _: "7.0.1")
    finding = doctor._package("ipykernel", ">=6.31,!=7.0.*")
    assert finding.ok is False
    assert "threads" in finding.advice
    assert "pip install 'ipykernel>=6.31,!=7.0.*'" in finding.advice


def test_an_older_package_than_needed_is_not_ok(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "version", lambda _: "0.27.0")
    finding = doctor._package("httpx", ">=0.28.1,<1")
    assert finding.ok is False
    assert "Needed is >=0.28.1,<1" in finding.advice


def test_a_missing_package_is_not_ok_and_says_how_to_get_it() -> None:
    finding = doctor._package("surely-not-installed", ">=1")
    assert finding.ok is False
    assert "pip install 'surely-not-installed>=1'" in finding.advice


def test_journals_go_where_they_can_be_written() -> None:
    assert found("journals").ok
    assert "GB free" in found("journals").found


def test_probing_the_journals_folder_leaves_nothing_in_it(tmp_path: Path) -> None:
    assert found("journals").ok
    assert list((tmp_path / "home" / "journals").iterdir()) == []


def test_a_folder_that_cannot_be_written_is_not_ok(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("FIRMLY_NB_HOME", str(tmp_path / "file"))
    assert found("journals").ok is False
    assert "FIRMLY_NB_HOME" in found("journals").advice


def test_little_space_is_not_ok(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "LOW_SPACE_BYTES", 10**18)
    assert found("journals").ok is False


@pytest.mark.parametrize("where", ["environment", ".env"])
def test_an_app_id_is_found_and_never_shown(
    where: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if where == "environment":
        monkeypatch.setenv("FIRMLY_APP_ID", "planted-app-id")
    else:
        (tmp_path / ".env").write_text("FIRMLY_APP_ID=planted-app-id\n")
    report = examine(measure=False)
    assert found("app id").ok
    assert "planted" not in json.dumps(report.as_dict()) + shown(report) + repr(report)
    assert os.environ.get("FIRMLY_APP_ID", "planted-app-id") == "planted-app-id"


def test_the_pages_that_messages_name_are_where_it_says() -> None:
    assert (Path(found("pages (docs/)").found) / "tables.md").exists()


def test_no_app_id_is_neither_good_nor_bad() -> None:
    assert found("app id").ok is None
    assert "staging" in found("app id").advice


def test_nested_loops_are_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    assert found("nest_asyncio").ok
    monkeypatch.setattr(asyncio, "_nest_patched", True, raising=False)
    assert found("nest_asyncio").found == "applied"


def test_a_slow_clock_is_not_ok() -> None:
    assert doctor._clock_source("tsc").ok
    assert doctor._clock_source("hpet").ok is False


def test_each_line_says_ok_or_not_ok_and_what_to_do() -> None:
    text = shown(Report((Finding("a", "1"), Finding("b", "2", False, "Do this."))))
    assert text == "ok      a: 1\nnot ok  b: 2. Do this.\n"


def test_long_lines_are_not_broken_when_piped() -> None:
    assert shown(Report((Finding("a", "x" * 200),))).count("\n") == 1


def test_one_bad_finding_makes_the_report_bad() -> None:
    assert Report((Finding("a", "1"), Finding("b", "2", None))).ok
    assert not Report((Finding("a", "1"), Finding("b", "2", False))).ok


@pytest.mark.parametrize(("error_ms", "code"), [(0.05, 0), (40.0, 1)])
def test_the_exit_code_says_whether_something_needs_to_be_done(
    error_ms: float, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("firmly_nb.recorder.calibration.calibrate", lambda: calibration(error_ms))
    monkeypatch.setattr(doctor, "versions", list)
    monkeypatch.setattr(doctor, "timing_facts", list)
    output = io.StringIO()
    assert doctor.run(Console(file=output, width=200)) == code
    assert "On this machine, now, an arrival is off by" in output.getvalue()


def test_times_that_cannot_be_measured_are_a_finding_and_not_a_traceback(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail() -> Calibration:
        raise RuntimeError("the recorder's process did not start")

    monkeypatch.setattr("firmly_nb.recorder.calibration.calibrate", fail)
    report = examine()
    assert not report.ok
    assert "did not start" in report.findings[-1].found


def test_a_report_is_plain_data() -> None:
    data = Report((Finding("a", "1"),), calibration(0.05)).as_dict()
    assert json.loads(json.dumps(data))["calibration"][0]["events"] == 1


def test_a_small_installation_is_sound_and_a_broken_one_is_not(monkeypatch):
    def without(*names):
        def found(name):
            if name in names:
                raise PackageNotFoundError(name)
            return version(name)

        monkeypatch.setattr("firmly_nb.doctor.version", found)
        return {one.name: one for one in doctor.versions()}

    small = without("ipykernel", "ipywidgets", "jupyterlab")
    assert small["notebooks"].ok is None
    assert "pip install firmly-nb" in small["notebooks"].advice
    assert all(one.ok is not False for one in small.values())
    broken = without("ipywidgets")
    assert broken["ipywidgets"].ok is False
    assert "notebooks" not in broken
    assert without("pandas")["pandas"].ok is False
