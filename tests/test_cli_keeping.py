"""``firmly-nb orders``, ``sets`` and ``prune``: what is kept, what exists, and what may go."""

from __future__ import annotations

import csv
import io
import os
import re
import shutil
import time
from pathlib import Path

import pandas as pd
import pytest

import firmly_nb as fnb
from firmly_nb.disk import lock, raise_number
from firmly_nb.recorder.journal import BOOTED, EPOCH, HELD
from firmly_nb.recordings.kept import kept, remove
from firmly_nb.store import files

DAY_S = 86_400
DATA = Path(__file__).parent / "exchange" / "data"


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A home of its own, in which the commands of the test are given."""
    monkeypatch.setenv("FIRMLY_NB_HOME", str(tmp_path / "home"))
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path / "home"


def made_old(folder, days=100):
    for file in folder.rglob("*"):
        if file.is_file():
            os.utime(file, (time.time() - days * DAY_S,) * 2)


def journals(home):
    return sorted(home.rglob("*.jsonl"))


@pytest.fixture
def two_runs(home, connect):
    """A run without tags, and one with; both in the journals, both as sets."""
    with connect(journal=home / "journals") as lab:
        order = fnb.Order.example()
        plain = lab.sweep(order, count=2, progress=False, run_id="plain")
        tagged = lab.sweep(order, count=1, progress=False, run_id="kept", tags={"release": "7"})
    plain.save("runs/plain")
    tagged.save("runs/tagged")
    return plain, tagged


def test_orders_that_exist_or_may_exist_are_listed_by_merchant(home, connect, command):
    with connect(journal=home / "journals") as lab:
        placed = lab.place(fnb.Order.example(), progress=False)
        lab.place(fnb.Order.example(), fnb.Card.test("declined"), progress=False)
        other = lab.place(
            fnb.Order.example(domain="staging.luma.gift"),
            headers={"x-sim-fault": "cut"},
            progress=False,
        )
    assert placed.environment == "custom"
    code, said, _ = command("orders")
    assert code == 0
    assert placed.order_number in said
    assert placed.request_id in said
    assert said.splitlines()[0] == "staging.luma.gift: 1 order exists and 1 order may exist"
    assert other.request_id in said
    assert max(map(len, said.splitlines())) <= 80
    # A wrong name is not to look as if there was nothing to void.
    for asked, where in (
        (("--env", "simulator"), "in simulator"),
        (("--domain", "b.test"), "outside of the simulator at b.test"),
    ):
        assert command("orders", *asked)[1] == (
            f"No order {where} exists or may exist.\n"
            "Recorded: 3 orders at staging.luma.gift (custom).\n"
        )
    code, _, complained = command("orders", "--env", "stagin")
    assert (code, "Did you mean staging?" in complained) == (2, True)


def test_a_new_machine_has_no_orders(home, command):
    code, said, complained = command("orders")
    assert (code, complained) == (0, "")
    first, *rest = said.splitlines()
    assert first == "No order outside of the simulator exists or may exist."
    assert "".join(rest).startswith("No folder ")
    assert "".join(rest).endswith(": no order was recorded there.")
    assert command("prune") == (0, "Nothing without tags is older than 90 days.\n", "")
    code, said, _ = command("sets")
    assert (code, said[:38]) == (0, "There are no recordings on this machin")


def test_the_csv_for_a_merchant_has_numbers_and_ids_and_runs_no_formula(home, command, tmp_path):
    orders = pd.DataFrame(
        {"recording_id": ["=a", "b"], "domain": ["=1+1", "a.test"], "outcome": ["placed"] * 2}
    )
    events = pd.DataFrame({"recording_id": ["=a", "b"], "event": "order-placed", "t_ms": [1.0, 2]})
    fnb.from_events(events, orders).save("runs")
    file = tmp_path / "orders.csv"
    code, said, _ = command("orders", "runs", "--env", "external", "--csv", file)
    assert code == 0
    assert said.splitlines()[-1] == f"{file}: 2 orders"
    rows = list(csv.DictReader(io.StringIO(file.read_text("utf-8-sig"))))
    assert [row["domain"] for row in rows] == ["'=1+1", "a.test"]
    assert {"order_number", "request_id", "started_at"} <= set(rows[0])
    _, printed, _ = command("orders", "runs", "--env", "external", "--csv", "-")
    assert printed.encode() == file.read_bytes().removeprefix(b"\xef\xbb\xbf")
    # By default times of others are not orders that a merchant has.
    assert command("orders", "runs")[1].startswith("No order outside of the simulator exists")


def test_an_order_that_a_browser_placed_is_listed(home, command):
    _, said, _ = command("orders", DATA / "chrome.har")
    assert said.startswith("staging.luma.gift: 1 order exists\n")
    assert "100004711" in said


def test_long_paths_and_many_tags_leave_room_for_numbers(home, command, connect):
    with connect(journal=home / "journals") as lab:
        tags = {f"t{n}": "x" * 30 for n in range(9)}
        lab.place(fnb.Order.example(), progress=False, tags=tags)
    _, said, _ = command("sets")
    assert said.split()[:6] == ["what", "path", "orders", "size", "age", "tags"]
    assert re.search(r"journals +\S+… +1 +0\.\d\d.MB +0 d +\S+", said)
    assert max(map(len, said.splitlines())) == 160  # where no terminal says how wide it is


def test_sets_says_size_age_and_tags(two_runs, home, command):
    made_old(home, days=3)
    code, said, _ = command("sets")
    rows = [line.split() for line in said.splitlines()]
    assert code == 0
    day = next(row for row in rows if row[0] == "journals")
    assert (day[2], day[3:5] != ["0", "MB"], day[5:7], day[7]) == (
        "3",
        True,
        ["3", "d"],
        "release=7",
    )
    sets = {row[2]: row[3:] for row in rows if row[:2] == ["saved", "set"]}
    assert {name: (found[0], found[5:]) for name, found in sets.items()} == {
        "runs/plain": ("2", []),
        "runs/tagged": ("1", ["release=7"]),
    }


def test_prune_asks_first_and_keeps_what_is_tagged(two_runs, home, command, monkeypatch):
    made_old(home)
    before = journals(home)
    asked = []
    monkeypatch.setattr("typer.confirm", lambda text: bool(asked.append(text)))
    code, said, _ = command("prune", "--older-than", "90d")
    assert (code, asked, journals(home)) == (0, ["Remove them for good?"], before)
    assert said.startswith("2 journals with 2 orders, ")
    assert "1 journal or set with tags stay" in said
    assert "! 2 orders exist or may exist outside of the simulator." in said
    assert said.endswith("Nothing was removed.\n")
    monkeypatch.setattr("typer.confirm", lambda _: True)
    assert command("prune", "--older-than", "90d")[0] == 0
    left = fnb.load()
    assert left.orders["run_id"].tolist() == ["kept"]


def test_what_is_young_stays(two_runs, home, command):
    before = journals(home)
    made_old(home, days=89)
    assert command("prune", "--yes")[1].startswith("Nothing without tags is older than 90 days.")
    assert command("prune", "--yes", "--older-than", "13w")[0] == 0
    assert journals(home) == before
    assert command("prune", "--yes", "--older-than", "12w")[0] == 0
    assert len(journals(home)) == 1


def test_a_run_whose_journals_are_gone_is_not_placed_again(two_runs, home, command):
    made_old(home)
    (home / "journals" / "sweeps" / "plain.leases.jsonl").touch()
    command("prune", "--yes")
    code, _, complained = command("sweep", "--resume", "plain")
    assert code == 2
    assert "plain" in complained
    assert [file.stem for file in (home / "journals" / "sweeps").iterdir()] == ["kept"] * 2


def on_a_host(home, run_id):
    """The journals of a run, as a host in a sweep from several machines keeps them."""
    folder = home / "workers" / "paris" / run_id
    shutil.copytree(home / "journals", folder, ignore=shutil.ignore_patterns("sweeps"))
    raise_number(folder / EPOCH, 3)
    (folder / BOOTED).write_text("this 3")
    lock(folder / HELD, wait=False).release()
    return folder


def test_a_host_that_keeps_part_of_a_run_does_not_say_that_the_rest_was_not_sent(
    two_runs, home, command
):
    folder = on_a_host(home, "plain")
    made_old(home)
    command("prune", str(home / "workers"), "--yes")
    assert len(list(folder.glob("*/*.jsonl"))) == 1, "the tagged one"
    assert sorted(file.name for file in folder.glob("*.lock")) == ["epoch.lock", "recorder.lock"]
    assert not (folder / EPOCH).exists()


def test_a_host_keeps_nothing_of_a_run_that_is_gone(two_runs, home, command):
    folder = on_a_host(home, "plain")
    made_old(home)
    for file in folder.glob("*/*.jsonl"):
        if "release" in file.read_text():
            file.unlink()
    held = lock(folder / HELD, wait=False)
    command("prune", str(home / "workers"), "--yes")
    assert len(list(folder.glob("*/*.jsonl"))) == 2, "its recorder is at work"
    held.release()
    command("prune", str(home / "workers"), "--yes")
    assert not folder.exists()


def test_a_file_that_happens_to_be_named_like_one_of_a_host_stays(two_runs, home, command):
    mine = home / "journals" / "epoch"
    mine.write_text("mine")
    made_old(home)
    command("prune", "--yes")
    assert mine.read_text() == "mine"


def test_sets_below_a_folder_go_and_what_others_put_there_stays(two_runs, home, command, tmp_path):
    runs = tmp_path / "work" / "runs"
    day = next((runs / "plain" / "events").glob("day=*"))
    mine = [
        runs / "plain" / "my notes.txt",
        runs / "plain" / "events" / "mine" / "plot.png",
        day / "mine.parquet",
        next(day.iterdir()) / "mine.parquet",
    ]
    for file in mine:
        file.parent.mkdir(exist_ok=True)
        file.write_text("mine")
    made_old(runs)
    assert "1 saved set with 2 orders" in command("prune", "runs", "--yes")[1]
    assert sorted(file for file in (runs / "plain").rglob("*") if file.is_file()) == sorted(mine)
    assert len(fnb.load("runs/tagged")) == 1
    assert len(journals(home)) == 3


def test_what_cannot_be_read_stays(two_runs, home, command):
    broken = journals(home)[0]
    broken.write_text("no journal\n")
    made_old(home)
    _, said, _ = command("prune", "--yes")
    assert said.startswith("! 1 file cannot be read and will stay.")
    assert broken.exists()


def test_what_was_written_after_the_question_stays(two_runs, home):
    made_old(home)
    found = [one for one in kept() if one.may_go]
    os.utime(found[0].path)
    assert [one.path for one in remove(found, 90)] == [found[1].path]
    assert found[0].path.exists()


def test_what_is_being_saved_or_is_gone_is_passed_over(two_runs, home, tmp_path):
    runs = tmp_path / "work" / "runs"
    made_old(runs)
    found = [one for one in kept(runs) if one.may_go]
    with files.locked(runs / "plain"):
        assert list(remove(found, 90)) == []
    assert len(fnb.load(runs / "plain")) == 2
    assert [one.path.name for one in remove(found, 90)] == ["plain"]
    # As if another prune had been first.
    assert list(remove(found, 90)) == []


@pytest.mark.parametrize("age", ["90", "0d", "-1d", "1.5d", "d", "", "3 months"])
def test_an_age_is_days_or_weeks(home, command, age):
    code, _, complained = command("prune", f"--older-than={age}")
    assert code == 2
    assert "--older-than must be days or weeks, at least 1d" in complained
