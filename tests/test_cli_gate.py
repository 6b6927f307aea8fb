"""``firmly-nb gate``: 0 pass, 1 worse or target missed, 2 a mistake in the call, 3 cannot tell."""

from __future__ import annotations

import json
from xml.etree import ElementTree as ET

import numpy as np
import pandas as pd
import pytest

import firmly_nb as fnb
from benchmarks.gate import KINDS, codes, size
from firmly_nb.latency import share
from firmly_nb.latency.gate_files import as_junit, as_page
from firmly_nb.latency.predict import more_for_target

NAMES = ("creating-cart", "item-added", "shipping-updated", "order-placed")
MEDIANS_MS = np.array([100.0, 300.0, 400.0, 200.0])
MORNING = pd.Timestamp("2026-01-05T09:00:00Z")


def made(ids, started_s, *, seed, run="one", factor=1.0, placed=1.0, domain="a.test"):
    """Orders of anyone's times: four stages, each started at its second of the morning."""
    rng, n = np.random.default_rng(seed), len(started_s)
    factors = np.reshape(np.broadcast_to(factor, n), (n, 1))
    ends = np.cumsum(MEDIANS_MS * np.exp(0.25 * rng.standard_normal((n, 4))) * factors, axis=1)
    is_placed = rng.random(n) < placed
    names = [f"{ids}{i}" for i in range(n)]
    events = pd.DataFrame(
        {
            "recording_id": np.repeat(names, 4),
            "event": NAMES * n,
            "t_ms": ends.ravel(),
        }
    )
    came = np.repeat(is_placed, 4) | (np.arange(4 * n) % 4 < 2)
    orders = pd.DataFrame(
        {
            "recording_id": names,
            "run_id": run,
            "domain": domain,
            "n_items": 1,
            "outcome": np.where(is_placed, "placed", "timeout"),
            "started_at": MORNING + pd.to_timedelta(np.asarray(started_s, float), unit="s"),
        }
    )
    return fnb.from_events(events[came], orders)


def with_control(ids, day, *, seed, factor=1.0):
    """Six runs of a day, each with twenty orders of a merchant and of one that did not change."""
    runs = np.repeat([f"{ids} {r}" for r in range(6)], 20)
    started = 86_400 * day + 3600 * np.repeat(np.arange(6), 20) + np.tile(np.arange(20), 6)
    options = {"run": runs}
    return made(f"{ids}-", started, seed=seed, factor=factor, **options) + made(
        f"{ids}-control-", started + 0.5, seed=seed + 1, domain="control.test", **options
    )


@pytest.fixture(scope="module")
def sets(tmp_path_factory):
    """Saved sets, by name; those of the first lines took turns in one run."""
    folder = tmp_path_factory.mktemp("sets")
    places = np.random.default_rng(1).permutation(1500)
    turns = [np.sort(part) for part in np.array_split(places, 3)]
    slow_tail = np.where(np.random.default_rng(2).random(500) < 0.15, 4.0, 1.0)
    each_of_3 = np.arange(1, 6, 2)
    runs = {
        "before": made("before", turns[0], seed=1),
        "same": made("same", turns[1], seed=2),
        "slower": made("slower", turns[1], seed=3, factor=1.5),
        "slow tail": made("tail", turns[1], seed=4, factor=slow_tail),
        "fewer": made("fewer", turns[1], seed=5, placed=0.7),
        "faster": made("faster", turns[1], seed=6, factor=0.7),
        "few": made("half", turns[1][::20], seed=7),
        "next day": made("next", turns[1] + 86_400, seed=8, run="two"),
        "three": made("three", each_of_3, seed=9),
        "three others": made("others", each_of_3 + 1, seed=10),
        "elsewhere": made("elsewhere", turns[1], seed=11, domain="b.test"),
        "monday": with_control("monday", 0, seed=12),
        "friday": with_control("friday", 4, seed=14),
        "slower friday": with_control("slower", 4, seed=16, factor=1.5),
        "empty": fnb.Recordings([]),
    }
    for name, recs in runs.items():
        recs.save(folder / name)
    (fnb.load(folder / "before") + fnb.load(folder / "same")).save(folder / "both")
    (folder / "no runs").mkdir()
    return folder


@pytest.fixture
def gate(sets, command, monkeypatch):
    """Run ``firmly-nb gate`` among the sets: exit code, standard output and error."""
    monkeypatch.chdir(sets)
    return lambda *words: command("gate", *words)


BEFORE = ("--baseline", "before")
CONTROL = ("--baseline", "monday", "--control", "control.test")
CASES = [
    (("same", *BEFORE), 0, "PASS. No change beyond 10%, 5 points in the tail, 5 points placed."),
    (("faster", *BEFORE), 0, "PASS. Faster, and not worse beyond 10%, "),
    (("slower", *BEFORE, "--margin", "0.90", "--tail", "95%"), 0, "PASS. Slower, but not beyond "),
    (("friday", *CONTROL, "--margin", "20%", "--tail", "20"), 0, "PASS. "),
    (("same", "--slo", "order=1500ms:95%"), 0, "PASS. Target met: 95% placed within 1 500 ms"),
    (
        ("same", *BEFORE, "--slo", "order=1.5s:95%"),
        0,
        "PASS. No change beyond 10%, 5 points beyond",
    ),
    (("slower", *BEFORE), 1, "WORSE. Slower: "),
    (("slow tail", *BEFORE), 1, "WORSE. Slower: 1"),
    (("fewer", *BEFORE), 1, "WORSE. Fewer placed: "),
    (("slower friday", *CONTROL), 1, "WORSE. Slower: "),
    (("same", "--slo", "order=1100ms:95%"), 1, "MISSED. Target missed: 95% placed within 1 100"),
    (("next day", *BEFORE, "--slo", "order=1s:95%"), 1, "MISSED. Target missed: "),
    (("next day", *BEFORE), 3, "CANNOT TELL. Not attributable: measured at different times. More "),
    (("friday", "--baseline", "monday"), 3, "CANNOT TELL. Not attributable: measured at different"),
    (("few", *BEFORE), 3, "CANNOT TELL. Not enough data: "),
    (("three others", "--baseline", "three"), 3, "CANNOT TELL. Not enough data: typical "),
    (("three", "--slo", "order=2s:95%"), 3, "CANNOT TELL. Target not enough data: "),
    (("before", *BEFORE), 3, "CANNOT TELL. Not comparable: 500 orders are on both sides."),
    (("both", *BEFORE), 3, "CANNOT TELL. Not comparable: 500 orders are on both sides."),
    (("elsewhere", *BEFORE), 3, "CANNOT TELL. Not comparable: A and B have no merchant in common."),
    (("empty", *BEFORE), 3, "CANNOT TELL. Not comparable: B has no orders."),
    (("same", "--baseline", "empty"), 3, "CANNOT TELL. Not comparable: A has no orders."),
    (("empty", "--baseline", "empty"), 3, "CANNOT TELL. Not comparable: A and B have no orders."),
    (("empty", *CONTROL), 3, "CANNOT TELL. Not comparable: B has no orders."),
    (("no runs", *BEFORE), 3, "CANNOT TELL. Not comparable: B has no orders."),
    (("empty", "--slo", "order=2s:95%"), 3, "CANNOT TELL. Target not enough data: "),
    (("no runs", "--slo", "order=2s:95%"), 3, "CANNOT TELL. Target not enough data: "),
]


@pytest.mark.parametrize(("words", "code", "begins"), CASES, ids=lambda one: str(one)[:50])
def test_a_gate_passes_fails_or_cannot_tell(gate, words, code, begins):
    ended, said, complained = gate(*words)
    line = " ".join(said.replace("\u202f", " ").split())
    assert (ended, line[: len(begins)], complained) == (code, begins, "")
    assert max(map(len, said.splitlines())) <= 80


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("nowhere", *BEFORE), "No such path: 'nowhere'"),
        (("same", "--baseline", "nowhere"), "No such path: 'nowhere'"),
        (("same",), "A gate needs --baseline PATH, or a target such as --slo order=1500ms:95%."),
        (("same", *BEFORE, "--margin", "10"), "--margin must be between 0 and 1, got '10'."),
        (("same", *BEFORE, "--margin", ""), "--margin must be between 0 and 1, got ''."),
        (("same", *BEFORE, "--margin", "ten"), "For 10% pass 0.10."),
        (("same", *BEFORE, "--tail", "0.05"), "--tail must be points from 1 to 99, got '0.05'."),
        (("same", *BEFORE, "--placed", "100"), "For 5 points pass 5 or 5%."),
        (("same", *BEFORE, "--control", "b.test"), "--control must be a merchant on both sides"),
        (("same", "--slo", "order=1500:95%"), "--slo must be order=TIME:SHARE, got "),
        (("same", "--slo", "order=0s:95%"), "--slo must be a time above 0 ms"),
        (("same", "--slo", "order=1s:100%"), "--slo must be between 0 and 1, got '100%'."),
        (("same", "--slo", "item-added=1s:95%"), "Unknown target 'item-added' for --slo."),
        (
            ("same", "--slo", "order=1s:95%", "--slo", "order=2s:50%"),
            "--slo is one target, got 2. Run the command once for each.",
        ),
        (("same", "--slo", "order=1s:95%", "--tail", "3"), "--tail is for a comparison."),
        (("same", *BEFORE, "--slow", "1s"), "No such option"),
        ((), "Missing argument"),
    ],
)
def test_a_mistake_in_the_call_is_neither_a_pass_nor_a_failure(gate, words, said):
    code, out, complained = gate(*words)
    assert (code, out) == (2, "")
    assert said in " ".join(complained.replace("│", " ").split())
    assert "Traceback" not in complained


def test_it_says_how_many_more_orders_would_tell(gate):
    _, few, _ = gate("few", *BEFORE)
    assert "more orders a side would tell." in " ".join(few.split())
    _, target, _ = gate("few", "--slo", "order=1600ms:95%")
    assert "more orders would tell." in " ".join(target.split())


def test_below_the_line_stand_the_three_questions_and_both_sides(gate):
    _, said, _ = gate("slower", *BEFORE)
    assert [line.split()[0] for line in said.splitlines()[-5:]] == [
        "question",
        "typical",
        "tail",
        "placed",
        "A:",
    ]
    assert said.endswith("A: baseline, 500 orders. B: new runs, 500 orders.\n")


def test_for_machines_it_says_all_that_decides(gate, sets):
    code, said, _ = gate("slower", *BEFORE, "--slo", "order=1500ms:95%", "--json", "-")
    told = json.loads(said)
    found = fnb.load(sets / "before").compare(sets / "slower", slo_ms=1500)
    asked = told["baseline"]["questions"]
    assert (code, told["verdict"], told["exit_code"]) == (1, "worse", 1)
    assert asked["typical"]["estimate"] == pytest.approx(found.typical.estimate)
    assert asked["tail"]["margin"] == 0.05
    assert [row["stage"] for row in told["baseline"]["stages"]] == list(NAMES)
    assert told["slo"]["verdict"] == "missed"
    assert told["slo"]["of"] == 500
    assert told["slo"]["budget"]["allowed"] == pytest.approx(25)
    assert told["slo"]["budget"]["missed"] == 500 - told["slo"]["count"]
    assert 0 < told["slo"]["goodput_per_s"] < told["slo"]["throughput_per_s"]
    assert len(told["slo"]["days"]) == 1
    assert told["slo"]["merchants"] is None
    code, said, _ = gate("empty", *BEFORE, "--json", "-")
    told = json.loads(said)
    assert (code, told["verdict"]) == (3, "cannot tell")
    assert told["baseline"]["questions"]["typical"]["estimate"] is None


# The same as files.

CASES_OF_FILES = [
    (("same", *BEFORE), [("baseline", None)]),
    (("same", *BEFORE, "--slo", "order=1.5s:95%"), [("baseline", None), ("target", None)]),
    (("slower", *BEFORE), [("baseline", "failure")]),
    (("same", *BEFORE, "--slo", "order=1s:95%"), [("baseline", None), ("target", "failure")]),
    (
        ("next day", *BEFORE, "--slo", "order=1s:95%"),
        [("baseline", "error"), ("target", "failure")],
    ),
    (("few", *BEFORE, "--slo", "order=2s:95%"), [("baseline", "error"), ("target", "error")]),
    (("no runs", *BEFORE), [("baseline", "error")]),
    (("empty", "--slo", "order=2s:95%"), [("target", "error")]),
    (("nowhere", *BEFORE), [("gate", "error")]),
    (("same", "--baseline", "nowhere"), [("gate", "error")]),
    (("same",), [("gate", "error")]),
    (("same", *BEFORE, "--margin", "10"), [("gate", "error")]),
]


@pytest.mark.parametrize(("words", "states"), CASES_OF_FILES, ids=lambda one: str(one)[:60])
def test_the_files_of_a_gate_say_what_its_exit_code_says(gate, tmp_path, words, states):
    names = {kind: tmp_path / "new" / f"gate.{kind}" for kind in ("junit", "json", "markdown")}
    code, _, _ = gate(*words, *(word for kind in names for word in (f"--{kind}", names[kind])))
    root = ET.parse(names["junit"]).getroot()
    cases = [(one.get("name"), next(iter(one), None)) for one in root.iter("testcase")]
    assert [(name, None if state is None else state.tag) for name, state in cases] == states
    told = [state for _, state in states]
    for suite in (root, root[0]):
        assert (suite.get("failures"), suite.get("errors"), suite.get("skipped")) == (
            str(told.count("failure")),
            str(told.count("error")),
            "0",
        )
    assert (code == 0) == (told.count(None) == len(told))
    said = json.loads(names["json"].read_text())
    assert said["exit_code"] == code
    assert f"Gate: {said['verdict']}" in names["markdown"].read_text("utf-8").splitlines()[0]


def test_a_pass_does_not_stay_where_a_later_gate_does_not_end(gate, tmp_path, monkeypatch):
    file = tmp_path / "gate.xml"
    assert gate("same", *BEFORE, "--junit", file)[0] == 0
    assert b"<error" not in file.read_bytes()

    def killed(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("firmly_nb.recordings.recordings.load", killed)
    assert gate("same", *BEFORE, "--junit", file)[0] == 130
    assert b"The gate did not come to its end." in file.read_bytes()


def test_a_file_that_cannot_be_written_is_no_pass(gate, sets):
    code, _, complained = gate("same", *BEFORE, "--junit", sets / "same")
    assert code == 2
    assert "--junit" in complained
    assert "Is a directory. Name another file. [FNB441]" in " ".join(complained.split())


@pytest.mark.parametrize(
    ("kind", "begins"), [("--junit", "<?xml"), ("--json", "{"), ("--markdown", "### ")]
)
def test_a_file_may_be_printed_in_place_of_the_text(gate, sets, kind, begins):
    there = sorted(sets.iterdir())
    code, said, _ = gate("same", *BEFORE, kind, "-")
    assert (code, said.startswith(begins)) == (0, True)
    assert sorted(sets.iterdir()) == there


@pytest.mark.parametrize("place", ["-", "gate.xml"])
def test_two_files_of_one_name_are_a_mistake(gate, sets, place):
    there = sorted(sets.iterdir())
    code, _, complained = gate("same", *BEFORE, "--junit", place, "--json", place)
    assert (code, "--junit and --json both name" in complained) == (2, True)
    assert sorted(sets.iterdir()) == there


def test_what_stands_beside_decides_nothing(gate, sets):
    asked = ("slower", "--slo", "order=9s:95%")
    code, alone, _ = gate(*asked)
    ended, said, _ = gate(*asked, "--beside", "before")
    assert (code, ended) == (0, 0)
    assert said.startswith(alone)
    assert "Against 500 earlier orders; decides nothing: Slower" in " ".join(said.split())
    # A folder of all nights has the new one as well: it is not held against itself.
    _, told, _ = gate("same", "--slo", "order=9s:95%", "--beside", "both", "--json", "-")
    assert json.loads(told)["beside"]["verdict"] == "no change"
    _, first, _ = gate("same", "--slo", "order=9s:95%", "--beside", "same")
    assert "Against 0 earlier orders; decides nothing: Not comparable" in " ".join(first.split())
    assert "question" not in first


def test_markdown_shows_the_questions_and_no_markup_of_others(gate, tmp_path):
    file = tmp_path / "gate.md"
    gate("slower", *BEFORE, "--markdown", file)
    page = file.read_text("utf-8")
    assert "| question | B against A | interval | verdict |" in page
    assert page.count("\n| ") == 5
    assert "baseline, 500 orders. B: new runs, 500 orders." in page
    assert as_page("No such path: '<img src=x>|`*.").endswith("'&lt;img src=x&gt;\\|\\`\\*.\n")


def test_control_characters_do_not_spoil_the_xml():
    root = ET.fromstring(as_junit("No such path: 'a\x1b[2J\x00\ud800'."))
    assert root.find(".//error").get("message") == "No such path: 'a·[2J··'."


def test_a_report_is_checked_as_a_gate_decides(gate, command, tmp_path):
    for words, code in ((("same", "before"), 0), (("slower", "before"), 1), (("three", "same"), 3)):
        new, old = words
        page = ("-o", tmp_path / "new" / f"{new}.html", "--no-pictures", "--check")
        ended, said, _ = command("report", new, "--compare", old, *page)
        first, rest = said.split("\n", 1)
        _, decided, _ = gate(new, "--baseline", old)
        assert ended == code
        assert " ".join(decided.split()).startswith(" ".join(rest.split()))
        assert first.endswith(", in a new folder") == (new == "same")


def test_orders_that_would_tell_of_a_target_tell_in_nine_of_ten_studies():
    rng = np.random.default_rng(4)
    now = share(58, 60)
    more = more_for_target(now, 0.90)
    truth = rng.beta(58.5, 2.5, 1000)
    k = 58 + rng.binomial(more.needed, truth)
    studies = [share(int(each), 60 + more.needed) for each in k]
    told = np.mean([one.low >= 0.90 or one.high < 0.90 for one in studies])
    assert 0.85 < told < 0.97
    assert more_for_target(share(60, 60), 0.90) is None
    assert more_for_target(share(0, 0), 0.90) is None


def test_a_target_has_its_error_budget_its_rates_and_a_row_for_each_merchant(gate):
    _, said, _ = gate("same", "--slo", "order=1500ms:95%")
    assert "Error budget: " in said
    assert "of 25 allowed misses" in " ".join(said.split())
    assert "orders/s. Goodput: " in said
    _, said, _ = gate("slower friday", "--slo", "order=1500ms:95%")
    assert "Family-wise level of the intervals: 95%." in said


@pytest.mark.parametrize(
    ("kind", "code"), [("equal", 0), ("every order 15% slower", 1), ("15 points fewer placed", 1)]
)
def test_at_the_size_of_a_plan_a_gate_passes_equal_runs_and_fails_worse_ones(kind, code):
    rng = np.random.default_rng(19)
    found = codes(rng, size(rng), 3, **KINDS[kind])
    assert found == {code: 3}
