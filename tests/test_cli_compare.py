"""``firmly-nb compare`` and ``plan``: verdicts, exit codes, looks, and going on after a stop."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys

import pytest

import firmly_nb as fnb

FAST = ("--profile", "instant", "--concurrency", "8")
SLOWER = (*FAST, "--other-profile", "calm")


@pytest.fixture(autouse=True)
def home(monkeypatch, tmp_path):
    """Journals of the test's own."""
    monkeypatch.setenv("FIRMLY_NB_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def test_a_slower_release_ends_with_1_and_is_saved(command, tmp_path):
    code, printed, complained = command(
        "compare", *SLOWER, "--count", 100, "--run-id", "night", "--save", tmp_path / "saved"
    )
    assert code == 1
    assert printed.startswith("Slower: placed orders take ")
    assert "Decided at look 1, after 50 of 100 orders a side." in printed.replace("\n", " ")
    assert "look  a side" in printed
    assert complained.splitlines()[0] == "comparison night: resume it by this name after a stop"
    assert [len(fnb.load(tmp_path / "saved" / side)) for side in "ab"] == [50, 50]
    code, printed, _ = command(
        "gate", tmp_path / "saved" / "b", "--baseline", tmp_path / "saved" / "a"
    )
    assert code == 1
    assert printed.startswith("WORSE. Slower: ")
    code, printed, _ = command("plan", tmp_path / "saved" / "a", "--change", "20%")
    assert code == 0
    assert "orders a side tell a change of 20%" in printed.replace("\n", " ")


def test_for_machines_there_are_the_looks(command):
    code, printed, complained = command("compare", *SLOWER, "--count", 50, "--json")
    found = json.loads(printed)
    assert code == found["exit_code"] == 1
    assert found["verdict"] == "slower"
    assert found["orders"] == {"a": 50, "b": 50}
    assert [look["verdict"] for look in found["looks"]] == ["slower"]
    assert complained == ""


def test_killed_it_goes_on_with_the_orders_that_it_began_with(home, until):
    words = ("compare", "--count", "50", "--until", "all", "--run-id", "killed")
    items = ("--item", "WS12-XS-Orange", "--other-item", "WS12-XS-Orange=3")
    call = [sys.executable, "-m", "firmly_nb"]
    child = subprocess.Popen([*call, *words, *items, *FAST], stderr=subprocess.PIPE)
    try:
        until(lambda: len(list(home.glob("journals/*/*.jsonl"))) > 25, "a few orders")
    finally:
        child.send_signal(signal.SIGKILL)
        child.communicate()
    done = subprocess.run(
        [*call, "compare", "--resume", "killed", *FAST],
        capture_output=True,
        text=True,
        timeout=250,
        env={**os.environ, "PYTHONWARNINGS": "error"},
        check=False,
    )
    assert done.returncode in {0, 1, 3}, done.stderr
    assert "All 50 orders a side were placed" in done.stdout.replace("\n", " ")
    recs = fnb.load(home / "journals")
    assert len(recs) == 100
    quantities = {(rec.tags["side"], rec.items[0]["quantity"]) for rec in recs}
    assert quantities == {("A", 1), ("B", 3)}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "Add --other-item, --other-domain, or --other for a second lab. [FNB530]"),
        (["--count", "55", "--other-item", "x"], "--count must be a multiple of 10, at least 50"),
        (["--margin", "10", "--other-item", "x"], "--margin must be between 0 and 1"),
        (["--tail", "0.5", "--other-item", "x"], "--tail must be points from 1 to 99"),
        (["--resume", "never"], "No comparison never in"),
        (["--other-item", "x", "--max-orders", "99"], "pass a smaller count"),
        (["--other", "nowhere"], "Unknown environment 'nowhere'"),
        (["--other", "https://firmly.live"], "production"),
        (["--until", "soon"], "Invalid value for '--until'"),
    ],
)
def test_what_cannot_be_begun_is_refused_in_a_sentence(arguments, words, command):
    code, printed, complained = command("compare", "--profile", "instant", *arguments)
    assert code == 2
    assert words.lower() in complained.lower()
    assert printed == ""


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nowhere"], "No such path: 'nowhere'"),
        ([".", "--change", "10"], "--change must be between 0 and 1"),
        ([".", "--power", "x"], "--power must be between 0 and 1"),
    ],
)
def test_a_plan_that_cannot_be_made_is_refused(arguments, words, command):
    code, _, complained = command("plan", *arguments)
    assert code == 2
    assert words in complained


def test_a_plan_for_machines(command, tmp_path):
    with fnb.connect(profile="instant") as lab:
        lab.sweep(fnb.Order.example(), count=20, concurrency=8, progress=False).save(tmp_path / "r")
    code, printed, _ = command("plan", tmp_path / "r", "--json", "--rate", "30/min")
    found = json.loads(printed)
    assert code == 0
    assert found["orders"] >= 411
    assert found["per_minute"] == 30
    assert {row["question"] for row in found["needs"]} == {"typical", "tail", "placed"}
    assert found["amounts"]["USD"] > 0
