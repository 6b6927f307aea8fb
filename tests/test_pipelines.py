"""The worked examples of docs/pipelines.md, each run as it stands on the page."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
import yaml

from scripts import check_pages

ROOT = Path(__file__).parents[1]
BIN = Path(sys.executable).parent
BLOCKS = check_pages.read_page((ROOT / "docs" / "pipelines.md").read_text("utf-8"))[1]


def blocks(language):
    return [block.code for block in BLOCKS if block.language == language]


@pytest.fixture
def home(tmp_path):
    """The home of a user with the scripts of the page in the folder gate."""
    folder = tmp_path / "gate"
    folder.mkdir()
    for code in blocks("bash"):
        name = re.search(r"^# ([\w-]+\.sh)", code, re.MULTILINE)[1]
        (folder / name).write_text(code, "utf-8")
    return tmp_path


def run(command, home, **environment):
    """Run a command as a shell with a bare environment does, in the folder gate."""
    return subprocess.run(
        ["sh", "-c", command],
        cwd=home / "gate",
        env={
            "PATH": f"{BIN}:/usr/bin:/bin",
            "HOME": str(home),
            "FIRMLY_NB_HOME": str(home / "state"),
            **environment,
        },
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )


def told(stem):
    """What the three files of a gate say, after it was checked that they say the same."""
    said = json.loads(stem.with_suffix(".json").read_text())
    root = ET.parse(stem.with_suffix(".xml")).getroot()
    assert root.get("skipped") == "0"
    bad = int(root.get("errors")) + int(root.get("failures"))
    assert (bad == 0) == (said["exit_code"] == 0)
    assert f"Gate: {said['verdict']}" in stem.with_suffix(".md").read_text("utf-8")
    return said


def test_a_night_is_held_against_its_target_and_printed_beside_earlier_ones(home):
    first = run("sh nightly.sh", home)
    reports = home / "gate" / "reports"
    (found,) = reports.glob("*.json")
    said = told(found.with_suffix(""))
    assert first.returncode == said["exit_code"], first.stderr[-2000:]
    assert said["slo"]["of"] == 100
    assert said["baseline"] is None
    assert "decides nothing" in first.stdout
    # Later that night nothing can be placed.
    script = (home / "gate" / "nightly.sh").read_text().replace("--env simulator", "--env staging")
    (home / "gate" / "nightly.sh").write_text(script.replace("--profile instant", ""))
    second = run("sh nightly.sh", home)
    assert second.returncode == 2
    (later,) = set(reports.glob("*.json")) - {found}
    said = told(later.with_suffix(""))
    assert (said["verdict"], said["exit_code"]) == ("mistake", 2)


def test_a_release_is_compared_in_turns_under_shared_run_ids(home):
    done = run("sh release.sh seven", home)
    said = told(home / "gate" / "releases" / "seven")
    assert done.returncode == said["exit_code"], done.stderr[-2000:]
    assert said["exit_code"] in {0, 1, 3}
    assert said["baseline"]["attributable"]


def test_the_workflow_runs_the_script_and_shows_the_summary(home):
    (text,) = blocks("yaml")
    workflow = yaml.safe_load(text)
    steps = workflow["jobs"]["gate"]["steps"]
    commands = {step.get("name"): step["run"] for step in steps if "run" in step}
    assert commands.pop(None) == "pip install firmly-nb"
    summary = home / "summary"
    done = {
        name: run(command, home, GITHUB_STEP_SUMMARY=str(summary))
        for name, command in commands.items()
    }
    said = told(next((home / "gate" / "reports").glob("*.json")).with_suffix(""))
    assert done["gate"].returncode == said["exit_code"], done["gate"].stderr[-2000:]
    assert done["summary"].returncode == 0
    assert f"Gate: {said['verdict']}" in summary.read_text("utf-8")
    (always,) = {step["if"] for step in steps if "if" in step}
    assert always == "always()"


def test_cron_hears_only_of_what_did_not_pass(home):
    (text,) = blocks("text")
    path, line = text.strip().splitlines()
    assert path.startswith("PATH=")
    *times, command = line.split(None, 5)
    assert len(times) == 5
    # cron ends a command at a percent sign.
    assert "%" not in command
    (home / "gate" / "nightly.sh").write_text("echo all is well\n")
    quiet = run(command, home)
    assert (quiet.returncode, quiet.stdout, quiet.stderr) == (0, "", "")
    (home / "gate" / "nightly.sh").write_text("firmly-nb gate nowhere --slo order=1s:95%\n")
    assert "No such path: 'nowhere'" in run(command, home).stdout
