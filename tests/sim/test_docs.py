"""The documentation is right: its program runs, its tables are the data's, its inputs provoke."""

import re
import shutil
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest

from firmly_nb.sim.answers import ApiError, status_of
from firmly_nb.sim.behaviour import ACTS, FAULTS, PROFILES
from firmly_nb.sim.merchants import merchants
from firmly_nb.sim.settings import Settings, parse, parser

PAGE = Path(__file__).parents[2] / "docs" / "simulator.md"


@pytest.fixture(scope="module")
def text():
    return PAGE.read_text(encoding="utf-8")


@pytest.mark.skipif(shutil.which("node") is None, reason="needs Node")
def test_the_javascript_client_prints_what_the_page_says(simulator, text, tmp_path):
    program = tmp_path / "order.mjs"
    program.write_text(re.search(r"```js\n(.*?)```", text, re.DOTALL)[1], encoding="utf-8")
    done = subprocess.run(
        ["node", program, simulator.url, simulator.app_id],
        capture_output=True,
        text=True,
        timeout=250,
        check=False,
    )
    said = re.search(r"```text\n(.*?)```", text, re.DOTALL)[1]
    printed = [line.split() for line in done.stdout.splitlines()]
    expected = [line.split() for line in said.splitlines()]
    assert printed[:3] == expected[:3], done.stderr
    assert printed[3][:3] == expected[3][:3]
    assert printed[3][3].isdigit()


def test_the_python_example_runs(text):
    code = re.search(r"```python\n(.*?)```", text, re.DOTALL)[1]
    exec(compile(code, str(PAGE), "exec"), {})


def rows(text, first):
    """The rows of the table whose head begins with a word."""
    table = re.search(rf"^\| {first} \|.*?\n\n", text, re.DOTALL | re.MULTILINE)[0]
    return [
        [cell.strip(" `") for cell in line.split(" | ")] for line in table.splitlines()[2:] if line
    ]


def test_the_table_of_faults_is_the_servers(text):
    told = {row[0].lstrip("| `"): tuple(row[1:]) for row in rows(text, "name")}
    assert told == {
        name: (
            *(one.what, ACTS[one.acts], one.outcome, one.order_exists, one.plain),
            f"{'yes' if one.placed else 'no'} |",
        )
        for name, one in FAULTS.items()
    }


def test_the_statuses_of_the_documented_errors_are_the_servers(text):
    told = rows(text, "error")
    assert len(told) > 10
    for row in told:
        for name in re.findall(r"\w+", row[0]):
            by_list, *by_endpoint = map(int, re.findall(r"\b\d{3}\b", row[1]))
            error = ApiError(name, "why")
            assert status_of(error, Settings()) == by_list, name
            assert status_of(error, Settings(statuses="endpoint")) == (by_endpoint or [by_list])[0]


def test_the_table_of_merchants_is_the_servers(text):
    told = {
        row[0].lstrip("| `"): (row[1], int(row[2]), row[3], row[4]) for row in rows(text, "domain")
    }
    assert told == {
        domain: (shop.platform_id, len(shop.variants), shop.currency, shop.character)
        for domain, shop in merchants().items()
    }


def test_the_table_of_profiles_is_the_servers(text):
    told = {row[0].lstrip("| `"): row[1:] for row in rows(text, "profile")}
    assert set(told) == set(PROFILES)
    for name, profile in PROFILES.items():
        medians = [float(cell.split(" / ")[0]) for cell in told[name][1:]]
        assert medians == [delay.median_ms for delay in profile.delays.values()]


def test_every_option_has_a_flag_and_a_flag_gives_the_option(tmp_path):
    tape = tmp_path / "tape"  # a replay must be there
    tape.touch()
    for one in fields(Settings):
        flag = "--" + one.name.replace("_", "-")
        assert flag in parser().format_help()
        if not isinstance(one.default, bool) and one.metadata["choices"] is None:
            own = {
                "profile": ["calm"],
                "fault": ["stall"],
                "replay": [str(tape)],
                "slow": ["shipping-updated=1.3", "--replay", str(tape)],
            }
            value, *more = own.get(one.name, ["1"])
            assert str(getattr(parse([flag, value, *more]), one.name)).startswith(value)
    changed = Settings(profile="calm", lenient_card=True, fault_rate=0.5, statuses="endpoint")
    assert parse(changed.flags()) == changed


def test_a_program_can_start_it_by_hand(simulator):
    wrong = subprocess.run(
        [sys.executable, "-m", "firmly_nb.sim", "--profile", "fast"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert wrong.returncode != 0
    assert "no latency profile" in wrong.stderr
    assert "Traceback" not in wrong.stderr
