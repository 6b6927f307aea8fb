"""firmly-nb sweep: progress for people, JSON for machines, and an exit code for cron."""

import json
import os
import subprocess
import sys
from types import SimpleNamespace

import pytest

import firmly_nb as fnb
from firmly_nb.cli.placing import _budget, _how_to_go_on, _tags
from firmly_nb.sweep.progress import Progress


def firmly_nb(*arguments, home):
    return subprocess.run(
        [sys.executable, "-m", "firmly_nb", "sweep", *arguments],
        capture_output=True,
        text=True,
        timeout=250,
        env={**os.environ, "FIRMLY_NB_HOME": str(home), "PYTHONWARNINGS": "error"},
        check=False,
    )


def test_a_run_from_cron_says_how_it_went_saves_it_and_goes_on_later(
    tmp_path, monkeypatch, command
):
    first = firmly_nb(
        *("--count", "4", "--concurrency", "2", "--profile", "instant", "--run-id", "nightly"),
        *("--max-orders", "4", "--tag", "release=7", "--save", str(tmp_path / "saved")),
        home=tmp_path,
    )
    assert first.returncode == 0, first.stderr
    assert "run nightly: finished" in first.stdout
    assert "4 placed" in first.stdout
    assert first.stderr.splitlines()[0] == "run nightly"
    assert first.stderr.splitlines()[-1] == "4/4 4 placed", "plain where it is piped"
    saved = fnb.load(tmp_path / "saved")
    assert {rec.tags["release"] for rec in saved} == {"7"}

    monkeypatch.setenv("FIRMLY_NB_HOME", str(tmp_path))
    code, printed, complained = command(
        *("sweep", "--resume", "nightly", "--count", "6", "--max-orders", "6", "--json"),
        *("--profile", "instant"),
    )
    answer = json.loads(printed)
    assert code == 0
    assert (answer["run_id"], answer["state"]) == ("nightly", "finished")
    assert answer["outcomes"] == {"placed": 6}
    assert len(answer["orders"]) == 6
    assert "placed" not in complained, "no progress beside what machines read"


def test_orders_that_were_not_placed_are_in_the_exit_code(command):
    code, printed, _ = command("sweep", "--count", "2", "--domain", "closed.luma.gift")
    assert code == 1
    assert "2 error events" in printed


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "Pass --count 20, or --duration 600 (seconds). [FNB502]"),
        (["--count", "9", "--max-orders", "5"], "pass --max-orders 9. Nothing was sent. [FNB518]"),
        (["--resume", "never"], "No sweep never in"),
        (
            ["--count", "0"],
            (
                "--count must be a whole number from 1 to 10\u202f000\u202f000, got 0. "
                "Try --count 20. [FNB503]"
            ),
        ),
        (
            ["--count", "2", "--arrival", "poisson"],
            "--arrival poisson needs a rate. Example: --rate 30/min. [FNB506]",
        ),
        (["--count", "2", "--run-id", "../x"], "--run-id must be 1 to 100 letters"),
    ],
)
def test_what_cannot_be_begun_is_refused_in_a_sentence(arguments, words, command):
    code, _, complained = command("sweep", *arguments)
    assert code == 2
    assert words in complained
    assert "Traceback" not in complained


@pytest.mark.parametrize(
    ("why", "said"),
    [
        ("the budget of 5 orders is used up", "--resume r-1 --max-orders MORE places"),
        (
            "... and the next order may cost 3.00 USD",
            "--resume r-1 --max-total CURRENCY=MORE places",
        ),
        ("the budget of 5 minutes is used up", "--resume r-1 places"),
    ],
)
def test_how_to_go_on_names_what_was_used_up(why, said):
    progress = Progress("stopped", 9, message=why)
    stopped = SimpleNamespace(run_id="r-1", progress=progress, hosts=())
    assert said in _how_to_go_on(stopped)


def test_the_budget_is_read_from_words():
    assert _budget(5, None, ["usd=50000", "JPY=900"]) == {
        "orders": 5,
        "total_minor": {"USD": 50_000, "JPY": 900},
    }
    assert _budget(None, None, []) is None
    with pytest.raises(
        ValueError, match=r"^--max-total must be CURRENCY=MINOR_UNITS, got 'USD=5\.00'"
    ):
        _budget(None, None, ["USD=5.00"])


def test_tags_are_read_from_words():
    assert _tags(["release=7", "note=a=b"]) == {"release": "7", "note": "a=b"}
    with pytest.raises(ValueError, match="--tag must be NAME=VALUE, got 'release'"):
        _tags(["release"])
