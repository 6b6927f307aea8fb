"""``firmly-nb report``: the exit code says how it went, and cron hears nothing unless asked."""

from __future__ import annotations

import subprocess
import sys

import pytest

import firmly_nb as fnb


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


def test_cron_hears_nothing_and_a_check_of_the_same_orders_finds_nothing(saved, tmp_path, command):
    page = tmp_path / "monday.html"
    same = ["--compare", saved, "--check"]
    assert command("report", saved, "-o", page, "-q", "--no-pictures", *same) == (0, "", "")
    assert "Is now slower than before?" in page.read_text("utf-8")


def test_a_check_that_finds_fewer_placed_ends_with_one(saved, simulator, tmp_path, command):
    options = {"app_id": simulator.app_id, "allow_domains": simulator.domains}
    declined = fnb.Card.test("declined")
    with fnb.connect(api_url=simulator.url, **options) as lab:
        recs = [lab.place(fnb.Order.example(), declined, progress=False) for _ in range(12)]
    fnb.Recordings(recs).save(tmp_path / "tuesday")
    code, said, _ = command(
        "report",
        *(tmp_path / "tuesday", "-o", tmp_path / "page.html", "--no-pictures"),
        *("--compare", saved, "--check"),
    )
    assert code == 1
    assert "fewer" in said


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("nowhere",), "No such path: 'nowhere'"),
        (("SAVED", "--check"), "Add --compare PATH"),
        (("SAVED", "-o", f"{__file__}/page.html"), "page.html cannot be written: "),
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
