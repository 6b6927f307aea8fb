"""``firmly-nb report``: the exit code says how it went, and cron hears nothing unless asked."""

from __future__ import annotations

import random
import subprocess
import sys

import pytest

import firmly_nb as fnb
from firmly_nb.recorder.records import End
from tests.recorder.made_records import BEGIN, NAMES, SECOND, event, start


@pytest.fixture(scope="module")
def saved(simulator, tmp_path_factory):
    """A saved set of a dozen orders."""
    folder = tmp_path_factory.mktemp("sets") / "monday"
    options = {"app_id": simulator.app_id, "allow_domains": simulator.domains}
    with fnb.connect(api_url=simulator.url, **options) as lab:
        recs = [lab.place(fnb.Order.example(), progress=False) for _ in range(12)]
    fnb.Recordings(recs).save(folder)
    return folder


def test_a_page_is_written_and_said_in_a_line(saved, tmp_path):
    page = tmp_path / "monday.html"
    command = [sys.executable, "-m", "firmly_nb", "report", saved, "-o", page, "--title", "Monday"]
    done = subprocess.run(
        [*command, "--no-pictures"], capture_output=True, text=True, timeout=250, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"{page}: 12 orders, ")
    assert "<title>Monday</title>" in page.read_text("utf-8")


@pytest.fixture(scope="module")
def releases(tmp_path_factory):
    """Saved sets of 500 orders each, which took turns in one run: before, the same, and worse."""
    draw, folder = random.Random(7), tmp_path_factory.mktemp("releases")
    places = draw.sample(range(1500), 1500)
    for number, name in enumerate(("before", "same", "slower")):
        mine = places[500 * number : 500 * (number + 1)]
        factor = 1.5 if name == "slower" else 1.0
        fnb.Recordings([made(at, draw, factor) for at in mine]).save(folder / name)
    return folder


def made(number, draw, factor):
    """One order whose four stages take some 100 ms each."""
    t_ns, events = 0, []
    for seq, name in enumerate(NAMES, start=1):
        t_ns += int(draw.lognormvariate(18.4, 0.25) * factor)
        events.append(event(seq, name, t_ns=t_ns, coalesced=False))
    begun = start(number, run_id="one", started_at_ns=BEGIN + number * SECOND)
    return fnb.Recording([begun, *events, End("placed", t_ns, t_headers_ns=1_000_000)])


def test_cron_hears_nothing_of_a_release_that_is_not_worse(releases, tmp_path, command):
    page = tmp_path / "page.html"
    checked = ["--compare", releases / "before", "--check"]
    asked = ("report", releases / "same", "-o", page, "-q", "--no-pictures", *checked)
    assert command(*asked) == (0, "", "")
    assert "Is now slower than before?" in page.read_text("utf-8")


@pytest.mark.parametrize(
    ("name", "code", "begins"),
    [
        ("slower", 1, "WORSE. Slower: "),
        ("before", 3, "CANNOT TELL. Not comparable: 500 orders are on"),
    ],
)
def test_a_check_ends_with_one_if_worse_and_with_three_if_not_known(
    releases, tmp_path, command, name, code, begins
):
    page = ("-o", tmp_path / "page.html", "-q", "--no-pictures")
    checked = ("--compare", releases / "before", "--check")
    ended, said, _ = command("report", releases / name, *page, *checked)
    assert (ended, said[: len(begins)]) == (code, begins)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("nowhere",), "No such path: 'nowhere'"),
        (("SAVED", "--check"), "--check needs --compare PATH"),
        (
            ("SAVED", "-o", f"{__file__}/page.html"),
            "cannot be made: File exists. Name another.",
        ),
        (("SAVED", "--margin", "20%"), "--margin is for a comparison. Add --compare PATH."),
        (("SAVED", "-o", "."), "is a folder. Name a file in it"),
        (("SAVED", "--compare", "SAVED", "--margin", "0"), "--margin must be between 0 and 1"),
    ],
)
def test_what_is_wrong_is_said_in_a_line_and_nothing_is_written(
    saved, tmp_path, command, arguments, said
):
    given = [str(saved) if word == "SAVED" else word for word in arguments]
    page = [] if "-o" in given else ["-o", str(tmp_path / "page.html")]
    code, _, heard = command("report", *given, *page)
    assert code == 2
    assert heard.startswith("firmly-nb: ")
    assert said in " ".join(heard.split())
    assert "Traceback" not in heard
    assert list(tmp_path.iterdir()) == []
