"""The notebooks in a folder of the user's: copied once, and never written to again."""

import json
import re
from hashlib import sha256

import pytest
from typer.testing import CliRunner

from firmly_nb.cli import machine
from firmly_nb.cli.command import app

ONE, TWO = "01-quickstart.ipynb", "02-how-timing-works.ipynb"


@pytest.fixture
def shipped(monkeypatch):
    """Two notebooks of a version; what a test changes is the next one."""
    held = {ONE: b"one", TWO: b"two"}
    monkeypatch.setattr(machine, "_shipped", lambda: held)
    monkeypatch.setattr(machine, "version", lambda _: "9.9")
    return held


def texts(folder):
    return {path.name: path.read_text() for path in sorted(folder.glob("*.ipynb"))}


def test_the_real_notebooks_are_copied(tmp_path):
    new = machine.copy_notebooks(tmp_path / "mine")
    assert new[0] == ONE
    assert new == sorted(path.name for path in (tmp_path / "mine").glob("*.ipynb"))
    assert machine.copy_notebooks(tmp_path / "mine") == []


def test_links_of_the_copies_lead_to_pages_that_came_with_them(tmp_path):
    machine.copy_notebooks(tmp_path)
    linked = {
        link
        for text in texts(tmp_path).values()
        for link in re.findall(r"\]\(([^)#:]+)[^):]*\)", text)
    }
    assert "docs/verdicts.md" in linked
    assert [link for link in sorted(linked) if not (tmp_path / link).is_file()] == []


def test_a_page_is_replaced_by_an_update_unless_the_user_wrote_into_it(tmp_path):
    machine.copy_notebooks(tmp_path)
    noted = json.loads((tmp_path / machine.COPIED).read_text())
    old, mine = tmp_path / "docs/carts.md", tmp_path / "docs/timing.md"
    as_shipped = old.read_text()
    old.write_text("the page of an older version")
    noted["docs/carts.md"] = sha256(old.read_bytes()).hexdigest()
    (tmp_path / machine.COPIED).write_text(json.dumps(noted))
    mine.write_text("mine")
    assert machine.copy_notebooks(tmp_path) == []
    assert (old.read_text(), mine.read_text()) == (as_shipped, "mine")


def test_what_the_user_changed_stays(shipped, tmp_path):
    machine.copy_notebooks(tmp_path)
    (tmp_path / ONE).write_text("mine")
    assert machine.copy_notebooks(tmp_path) == []
    assert texts(tmp_path) == {ONE: "mine", TWO: "two"}


def test_an_update_is_put_beside_the_users_own(shipped, tmp_path):
    machine.copy_notebooks(tmp_path)
    (tmp_path / ONE).write_text("mine")
    shipped[ONE] = b"newer"
    assert machine.copy_notebooks(tmp_path) == ["01-quickstart (9.9).ipynb"]
    assert machine.copy_notebooks(tmp_path) == []
    assert texts(tmp_path) == {
        "01-quickstart (9.9).ipynb": "newer",
        ONE: "mine",
        TWO: "two",
    }


def test_what_the_user_removed_stays_away(shipped, tmp_path):
    machine.copy_notebooks(tmp_path)
    (tmp_path / TWO).unlink()
    assert machine.copy_notebooks(tmp_path) == []
    shipped[TWO] = b"newer"
    assert machine.copy_notebooks(tmp_path) == []
    assert texts(tmp_path) == {ONE: "one"}


def test_a_notebook_of_that_name_that_was_there_before_stays(shipped, tmp_path):
    (tmp_path / ONE).write_text("someone else's")
    assert machine.copy_notebooks(tmp_path) == ["01-quickstart (9.9).ipynb", TWO]
    assert texts(tmp_path)[ONE] == "someone else's"


def test_a_new_notebook_comes_with_an_update(shipped, tmp_path):
    machine.copy_notebooks(tmp_path)
    shipped["03-more.ipynb"] = b"three"
    assert machine.copy_notebooks(tmp_path) == ["03-more.ipynb"]


def test_a_copy_whose_note_is_lost_is_not_copied_again(shipped, tmp_path):
    machine.copy_notebooks(tmp_path)
    (tmp_path / machine.COPIED).unlink()
    assert machine.copy_notebooks(tmp_path) == []


@pytest.fixture
def opened(monkeypatch):
    """The command that would open JupyterLab."""
    commands = []
    monkeypatch.setattr(machine.subprocess, "call", lambda command: commands.append(command) or 0)
    return commands


def test_the_command_opens_the_users_folder_on_the_quickstart(opened, tmp_path):
    done = CliRunner().invoke(app, ["lab", "--workspace", str(tmp_path / "w"), "--no-browser"])
    assert done.exit_code == 0
    [command] = opened
    assert "--no-browser" in command
    assert f"--ServerApp.root_dir={tmp_path / 'w'}" in command
    assert f"--LabApp.default_url=/lab/tree/{ONE}" in command
    assert f"Your notebooks are in {tmp_path / 'w'}" in done.output


def test_the_folder_is_in_the_users_home_where_none_is_named(opened, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert CliRunner().invoke(app, ["lab"]).exit_code == 0
    assert (tmp_path / "firmly-nb" / ONE).is_file()


@pytest.mark.parametrize("broken", ["file", "note"])
def test_a_folder_that_cannot_be_used_is_named(opened, tmp_path, broken):
    if broken == "file":
        (tmp_path / "w").write_text("")
    else:
        (tmp_path / "w").mkdir()
        (tmp_path / "w" / machine.COPIED).write_text("{")
    done = CliRunner().invoke(app, ["lab", "--workspace", str(tmp_path / "w")])
    assert done.exit_code != 0
    assert "FNB804" in str(done.exception)
    assert not opened
