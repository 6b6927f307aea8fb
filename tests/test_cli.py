"""The command line says what happened, to people and to machines, and its exit code says it too."""

import json
import os
import subprocess
import sys
from importlib.metadata import version

import pandas as pd
import pytest

import firmly_nb as fnb
from firmly_nb.attempt import EventLines
from firmly_nb.cli import placing


def firmly_nb(*arguments, home):
    """Run the command as a shell does; whatever warns fails it."""
    return subprocess.run(
        [sys.executable, "-m", "firmly_nb", *arguments],
        capture_output=True,
        text=True,
        timeout=250,
        env={**os.environ, "FIRMLY_NB_HOME": str(home), "PYTHONWARNINGS": "error"},
        check=False,
    )


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """One run of the demonstration, and the home that it wrote to."""
    home = tmp_path_factory.mktemp("home")
    return firmly_nb("demo", "--profile", "instant", home=home), home


@pytest.fixture
def at_home(demo, monkeypatch):
    """Commands of the test are given in the home of the demonstration."""
    monkeypatch.setenv("FIRMLY_NB_HOME", str(demo[1]))


def test_demo_shows_events_stages_and_the_order_number(demo):
    done, _ = demo
    assert done.returncode == 0, done.stderr
    # Of a gathered stream a caveat may name stages as well.
    rows = [line.split()[0] for line in done.stdout.splitlines() if line.strip()]
    for word in ("creating-cart", "item-added", "shipping-updated", "order-placed"):
        assert rows.count(word) == 3, "as a line while it runs, as an event, as a stage"
    assert "Placed: order 1000" in done.stdout
    assert "gap ms" in done.stdout
    assert "duration ms" in done.stdout
    assert done.stderr == ""


def test_demo_speaks_json_to_machines(command):
    code, printed, complained = command("demo", "--profile", "instant", "--json")
    answer = json.loads(printed)
    assert answer["orders"][0]["outcome"] == "placed"
    assert [event["event"] for event in answer["events"]][-1] == "order-placed"
    assert (code, complained) == (0, "")


def test_it_says_its_version(command):
    assert command("--version") == (0, f"firmly-nb {version('firmly-nb')}\n", "")


def test_a_declined_order_ends_with_status_1_and_the_apis_name(command):
    code, printed, _ = command("place", "--card", "declined")
    assert code == 1
    assert "ErrorPaymentDeclined" in printed


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--domain", "shop.example.com"], "not on the allow-list"),
        (["--item", "WS12-XS-Orange=0"], "must be at least 1."),
        (["--item", "WS12-XS-Orange=two"], "--item must be VARIANT_ID=QUANTITY"),
        (["--card", "mine"], "Unknown test card 'mine'. Use visa"),
        (["--env", "production"], "Unknown environment"),
        (["--env", "staging"], "FIRMLY_APP_ID"),
    ],
)
def test_what_cannot_be_ordered_is_refused_in_a_sentence(
    arguments, words, command, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)  # no .env from here
    code, _, complained = command("place", *arguments)
    assert code == 2
    assert words in " ".join(complained.split())
    assert "Traceback" not in complained


@pytest.mark.parametrize(
    "words",
    [
        ["place"],
        ["sweep", "--count", "2", "--concurrency", "2"],
        ["compare", "--count", "100", "--until", "all", "--concurrency", "4"],
    ],
)
def test_orders_go_to_an_api_of_ones_own(words, simulator, command, monkeypatch, tmp_path):
    monkeypatch.setenv("FIRMLY_APP_ID", simulator.app_id)
    monkeypatch.setenv("FIRMLY_NB_HOME", str(tmp_path))
    where = ["--api-url", simulator.url, "--allow", "staging.luma.gift"]
    if words[0] == "compare":
        where += ["--other", simulator.url]
    before = simulator.truth()[-1:]
    command(*words, *where, "--json")
    assert simulator.truth()[-1:] != before


def test_load_lists_what_was_recorded(at_home, command):
    code, printed, _ = command("load")
    assert code == 0
    assert "1 recording: 1 placed" in printed


@pytest.mark.parametrize("domains", [["a.test"], ["a.test", f"{'long-' * 12}.test"]])
def test_ids_of_recordings_are_listed_whole(domains, command, tmp_path, monkeypatch):
    monkeypatch.setattr("firmly_nb.cli.terminal.PIPE_WIDTH", 80)
    ids = [f"20261130T111751-f58b744{n}" for n in range(len(domains))]
    events = pd.DataFrame({"recording_id": ids, "event": "order-placed", "t_ms": 5.0})
    orders = pd.DataFrame({"recording_id": ids, "domain": domains, "outcome": "transport_error"})
    fnb.from_events(events, orders).save(tmp_path / "set")
    _, printed, _ = command("load", tmp_path / "set")
    assert all(each in printed for each in ids)
    assert ("merchant: a.test" in printed) == (len(domains) == 1)
    assert max(map(len, printed.splitlines())) <= 80


def test_load_saves_and_lists_what_was_saved(at_home, command, tmp_path):
    folder = tmp_path / "set"
    code, printed, complained = command("load", "--save", folder, "--notes", "for Ada")
    assert (code, complained) == (0, "")
    assert f"saved 1 recording to {folder}" in printed
    _, printed, _ = command("load", folder)
    assert "1 recording: 1 placed" in printed
    assert "note: for Ada" in printed
    (tmp_path / "file").touch()
    code, _, complained = command("load", "--save", tmp_path / "file")
    assert code == 2
    assert "Nothing was added to" in complained


def test_load_says_where_it_looked_when_there_is_nothing(command, tmp_path):
    code, _, complained = command("load", tmp_path / "none")
    assert code == 2
    assert "No such path:" in complained
    assert "Traceback" not in complained


def test_sim_prints_its_own_help(command):
    code, printed, _ = command("sim", "--help")
    assert code == 0
    assert "--profile" in printed


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (
            ["--domain", "shop.example.com"],
            "If it is a test merchant, use --allow shop.example.com.",
        ),
        (["--allow", "*"], "--allow: '*' is not a merchant domain"),
        (["--timeout", "0"], "--timeout must be a number of seconds above 0"),
        (["--env", "production"], "Use 'simulator' or 'staging'."),
    ],
)
def test_what_is_to_be_done_is_said_in_the_terminals_words(arguments, words, command):
    code, _, complained = command("place", *arguments)
    assert code == 2
    assert words in " ".join(complained.split())


def test_an_interrupted_order_says_what_may_be_there(command, monkeypatch):
    """Ctrl-C ended without a word, though the order may exist."""
    show = EventLines.show

    def show_and_interrupt(lines, record):
        show(lines, record)
        if getattr(record, "event", "") == "item-added":
            raise KeyboardInterrupt

    monkeypatch.setattr(EventLines, "show", show_and_interrupt)
    monkeypatch.setattr(
        placing, "open_lab", lambda _, **__: fnb.connect(profile="instant", fault="stall")
    )
    code, printed, _ = command("demo")
    assert code == 130
    assert "Cancelled after item-added" in printed
    assert "The order may exist" in printed


def test_a_terminal_without_the_marks_gets_the_words(tmp_path):
    """The order was placed, and then showing it failed as if nothing had been sent."""
    plain = {"PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "LC_ALL": "C", "PYTHONIOENCODING": ""}
    done = subprocess.run(
        [sys.executable, "-m", "firmly_nb", "demo", "--profile", "instant"],
        capture_output=True,
        encoding="ascii",
        timeout=250,
        env={**os.environ, **plain, "FIRMLY_NB_HOME": str(tmp_path)},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "? Placed: order 1000" in done.stdout


@pytest.mark.parametrize("arguments", [["--port", "99999"], ["--profile", "none"]])
def test_a_simulator_that_cannot_be_is_refused_like_an_order(arguments, command):
    code, _, complained = command("sim", *arguments)
    assert code == 2
    assert complained.startswith("firmly-nb sim: ")
