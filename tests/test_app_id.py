"""The app id: where it comes from, and what cannot be one."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

import firmly_nb as fnb
from firmly_nb.api.secrets import SecretStr
from firmly_nb.environments import find_app_id, from_dotenv


@pytest.fixture(autouse=True)
def no_app_id(monkeypatch, tmp_path):
    """Begin with none: neither in the environment nor in a file."""
    monkeypatch.delenv("FIRMLY_APP_ID", raising=False)
    monkeypatch.chdir(tmp_path)


def test_the_argument_comes_before_the_environment_and_that_before_the_file(monkeypatch, tmp_path):
    (tmp_path / ".env").write_text("FIRMLY_APP_ID=of-the-file\n")
    assert find_app_id(None).get_secret_value() == "of-the-file"
    monkeypatch.setenv("FIRMLY_APP_ID", "of-the-environment")
    assert find_app_id(None).get_secret_value() == "of-the-environment"
    assert find_app_id(SecretStr("given")).get_secret_value() == "given"


def test_none_is_told_with_what_to_do():
    with pytest.raises(ValueError, match="set FIRMLY_APP_ID"):
        fnb.connect("staging")


@pytest.mark.parametrize("text", ["abc\n", " abc ", "abc\r\n"])
def test_what_copying_adds_is_taken_off(text):
    assert find_app_id(SecretStr(text)).get_secret_value() == "abc"


@pytest.mark.parametrize("text", ["planted\u2013id", "planted\u200bid", "planted id", "a\nplanted"])
def test_what_no_header_can_carry_is_refused_and_not_repeated(text):
    """A dash from a text processor was an error of httpx's that held the whole app id."""
    with pytest.raises(ValueError, match="Copy it again") as caught:
        fnb.connect("staging", app_id=text)
    assert "planted" not in repr(caught.value)


@pytest.mark.parametrize("content", [b"FIRMLY_APP_ID=planted-\xff\n", b"\xff\xfeF\0"])
def test_a_file_that_cannot_be_read_is_named_and_not_quoted(content, tmp_path):
    (tmp_path / ".env").write_bytes(content)
    with pytest.raises(ValueError, match=r"\.env cannot be read: not UTF-8") as caught:
        from_dotenv()
    assert "planted" not in repr(caught.value)
    assert caught.value.__context__ is None


@pytest.mark.skipif(sys.platform != "linux", reason="/proc is Linux's")
def test_the_recorder_and_the_simulator_are_not_given_the_app_id(monkeypatch, connect):
    monkeypatch.setenv("FIRMLY_APP_ID", "planted-app-id")
    lab = connect(environment="simulator", profile="instant")
    lab.place(fnb.Order.example(), progress=False)
    for pid in (lab._bench.worker().pid, lab.simulator.pid):
        environ = Path(f"/proc/{pid}/environ")
        assert b"PATH=" in environ.read_bytes()
        assert b"planted" not in environ.read_bytes()


@pytest.mark.parametrize("length", [1, 2, 511, 512])
@pytest.mark.parametrize("letter", ["!", "~", "a", "="])
def test_what_a_header_can_carry_is_an_app_id(length, letter):
    assert find_app_id(SecretStr(letter * length)).get_secret_value() == letter * length


@pytest.mark.parametrize("text", ["a" * 513, " ", "\n", "a\x7f", "a\tb", "\u00e4"])
def test_what_is_too_long_empty_or_not_printable_is_refused(text):
    with pytest.raises(ValueError, match=r"without spaces. Copy it again"):
        find_app_id(SecretStr(text))


@pytest.mark.parametrize(
    ("error", "why"),
    [(PermissionError(13, "Permission denied"), "Permission denied"), (OSError(), "OSError")],
)
def test_a_file_that_may_not_be_opened_says_why(error, why, monkeypatch, tmp_path):
    def refuse(_path):
        raise error

    path = tmp_path / ".env"
    path.write_text("FIRMLY_APP_ID=planted\n")
    monkeypatch.setattr("dotenv.dotenv_values", refuse)
    with pytest.raises(ValueError, match="cannot be read") as caught:
        from_dotenv()
    assert (
        str(caught.value)
        == f"{path} cannot be read: {why}. Mend the file, or pass app_id. [FNB015]"
    )


@pytest.mark.parametrize(
    "content", ["", "OTHER=1\n", "FIRMLY_APP_ID=\n", "FIRMLY_APP_ID\n", "#FIRMLY_APP_ID=x\n"]
)
def test_a_file_without_an_app_id_has_an_empty_one(content, tmp_path):
    (tmp_path / ".env").write_text(content)
    assert from_dotenv().get_secret_value() == ""
    with pytest.raises(ValueError, match=r"No app id\. Pass app_id=\.\.\., set FIRMLY_APP_ID"):
        find_app_id(None)


def test_a_file_further_up_is_found_from_where_one_works(monkeypatch, tmp_path):
    (tmp_path / ".env").write_text("FIRMLY_APP_ID=above\n")
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    assert from_dotenv().get_secret_value() == "above"
