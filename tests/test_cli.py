"""The command line says what happened, to people and to machines, and its exit code says it too."""

import json
import os
import subprocess
import sys

import pytest


def firmly_nb(*arguments, home, **environment):
    return subprocess.run(
        [sys.executable, "-m", "firmly_nb", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "FIRMLY_NB_HOME": str(home), "PYTHONWARNINGS": "error", **environment},
        check=False,
    )


def test_demo_shows_events_stages_and_the_order_number(tmp_path):
    done = firmly_nb("demo", "--profile", "instant", home=tmp_path)
    assert done.returncode == 0, done.stderr
    for word in ("creating-cart", "item-added", "shipping-updated", "order-placed"):
        assert done.stdout.count(word) == 3, "as a line while it runs, as an event, as a stage"
    assert "Placed: order 1000" in done.stdout
    assert "gap ms" in done.stdout
    assert "duration ms" in done.stdout
    assert done.stderr == ""


def test_demo_speaks_json_to_machines(tmp_path):
    done = firmly_nb("demo", "--profile", "instant", "--json", home=tmp_path)
    answer = json.loads(done.stdout)
    assert answer["orders"][0]["outcome"] == "placed"
    assert [event["event"] for event in answer["events"]][-1] == "order-placed"


def test_a_declined_order_ends_with_status_1_and_the_apis_name(tmp_path):
    done = firmly_nb("place", "--card", "declined", home=tmp_path)
    assert done.returncode == 1
    assert "ErrorPaymentDeclined" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--domain", "shop.example.com"], "not on the allow-list"),
        (["--item", "WS12-XS-Orange=0"], "greater than or equal to 1"),
        (["--item", "WS12-XS-Orange=two"], "whole number"),
        (["--card", "mine"], "there are visa"),
        (["--env", "production"], "unknown environment"),
        (["--env", "staging"], "FIRMLY_APP_ID"),
    ],
)
def test_what_cannot_be_ordered_is_refused_in_a_sentence(arguments, words, tmp_path):
    done = firmly_nb("place", *arguments, home=tmp_path, FIRMLY_APP_ID="")
    assert done.returncode == 2
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_load_lists_what_was_recorded(tmp_path):
    firmly_nb("demo", "--profile", "instant", home=tmp_path)
    done = firmly_nb("load", home=tmp_path)
    assert done.returncode == 0
    assert "1 recording: 1 placed" in done.stdout


def test_load_saves_and_lists_what_was_saved(tmp_path):
    firmly_nb("demo", "--profile", "instant", home=tmp_path)
    folder = str(tmp_path / "set")
    done = firmly_nb("load", "--save", folder, "--notes", "for Ada", home=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert f"saved 1 recording to {folder}" in done.stdout
    done = firmly_nb("load", folder, home=tmp_path)
    assert "1 recording: 1 placed" in done.stdout
    assert "note: for Ada" in done.stdout
    (tmp_path / "file").touch()
    done = firmly_nb("load", "--save", str(tmp_path / "file"), home=tmp_path)
    assert done.returncode == 2
    assert "nothing was added to" in done.stderr


def test_load_says_where_it_looked_when_there_is_nothing(tmp_path):
    done = firmly_nb("load", str(tmp_path / "none"), home=tmp_path)
    assert done.returncode == 2
    assert "there is nothing at" in done.stderr


def test_sim_prints_its_own_help(tmp_path):
    done = firmly_nb("sim", "--help", home=tmp_path)
    assert done.returncode == 0
    assert "--profile" in done.stdout
