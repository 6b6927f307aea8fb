"""``firmly-nb.toml``: what is read from where, and what is refused."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

import firmly_nb as fnb
from firmly_nb.lab import SweepOptions
from firmly_nb.options import PlaceOptions
from firmly_nb.settings_file import BUDGET, SWEEP, FileSettings, settings_of
from firmly_nb.sweep.budget import Budget
from tests.gateway import APP_ID, GUIDE_EVENTS, Authority, Gateway
from tests.servers import serving

WHOLE = """\
[staging]
milestones = ["begun", "done"]
allow_domains = ["test.merchant.example"]
ca_file = "corp.pem"
app_id_variable = "FIRMLY_APP_ID_UAT"

[staging.sweep]
rate = "20/min"
concurrency = 4
budget = {orders = 50, total_minor = {USD = 100_000}}
"""


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    for name in ("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def write(folder):
    def write_to(text, path=folder):
        path.mkdir(parents=True, exist_ok=True)
        (path / "firmly-nb.toml").write_text(text)

    return write_to


def test_each_setting_is_read(write, folder):
    write(WHOLE)
    found = settings_of("staging")
    assert found.milestones == ("begun", "done")
    assert found.allow_domains == {"test.merchant.example"}
    assert found.ca_file == str(folder / "corp.pem")
    assert found.app_id_variable == "FIRMLY_APP_ID_UAT"
    assert found.sweep["budget"]["total_minor"] == {"USD": 100_000}
    assert settings_of("simulator") == FileSettings(folder / "firmly-nb.toml")


def test_without_a_file_nothing_is_set():
    assert settings_of("staging") == FileSettings()


def test_the_working_folders_file_counts_before_the_users(write, home, folder):
    write('[custom]\nmilestones = ["users"]\n', home)
    assert settings_of("custom").milestones == ("users",)
    write('[custom]\nallow_domains = ["a.example"]\n')
    assert settings_of("custom").milestones is None
    assert settings_of("custom").file == folder / "firmly-nb.toml"


def test_a_lab_takes_its_settings_and_says_so(write, folder):
    authority = Authority(folder)
    write(
        f"[custom]\nmilestones = {[name for name, _ in GUIDE_EVENTS]}\n"
        f'allow_domains = ["Shop.example."]\nca_file = "{authority.file}"\n'
    )
    with (
        serving(Gateway(authority.server("127.0.0.1"))) as gateway,
        fnb.connect(api_url=gateway.url, app_id=APP_ID) as lab,
    ):
        gateway.events = GUIDE_EVENTS
        rec = lab.place(fnb.Order.example(domain="shop.example"), progress=False)
        found = lab.doctor()
    assert rec.outcome == "placed"
    assert rec.recorded[0].milestones == [name for name, _ in GUIDE_EVENTS]
    said = f"{folder / 'firmly-nb.toml'}: milestones, allow_domains, ca_file"
    assert f"settings of {said}" in repr(lab)
    assert found.steps[0].found == said
    assert any(f"{authority.file} (firmly-nb.toml)" in one.found for one in found.steps)


def test_an_argument_counts_before_the_file(write, folder):
    write('[custom]\nca_file = "nowhere.pem"\nmilestones = ["a"]\n')
    authority = Authority(folder)
    with (
        serving(Gateway(authority.server("127.0.0.1"))) as gateway,
        fnb.connect(
            api_url=gateway.url, app_id=APP_ID, ca_file=authority.file, milestones=["b"]
        ) as lab,
    ):
        assert lab.session()["device_id"] == "d1"
        assert lab._bench.milestones == ("b",)


def test_a_ca_file_that_is_missing_is_named_with_the_settings_file(write, folder):
    write('[custom]\nca_file = "nowhere.pem"\n')
    with pytest.raises(OSError, match=r"nowhere.pem \(firmly-nb.toml\) cannot be used: the file"):
        fnb.connect(api_url="https://127.0.0.1:9", app_id=APP_ID)


def test_the_app_id_comes_from_the_variable_that_is_named(write, folder, monkeypatch):
    write('[custom]\napp_id_variable = "TEAM_APP_ID"\n')
    with pytest.raises(ValueError, match="set TEAM_APP_ID, or write TEAM_APP_ID="):
        fnb.connect(api_url="http://127.0.0.1:9")
    (folder / ".env").write_text(f"TEAM_APP_ID={APP_ID}\n")
    with serving(Gateway()) as gateway, fnb.connect(api_url=gateway.url) as lab:
        assert lab.session()["device_id"] == "d1"


def test_sweeps_take_their_defaults_from_the_file(write, connect):
    write('[custom.sweep]\nrate = "50/s"\ncount = 3\nconcurrency = 2\n')
    lab = connect()
    assert len(lab.sweep(fnb.Order.example(), progress=False)) == 3
    assert (lab.last_sweep.plan.rate_per_s, lab.last_sweep.plan.concurrency) == (50.0, 2)
    recs = lab.sweep(fnb.Order.example(), count=2, arrival="closed", progress=False)
    assert (len(recs), lab.last_sweep.plan.rate_per_s) == (2, None)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("rate = 'often'", "rate must be orders per second"),
        ("rate = nan", "rate must be above 0"),
        ("count = 0", "count must be"),
        ("arrival = 'sometimes'", "Unknown arrival 'sometimes'"),
        ("concurrency = -2", "concurrency must be"),
        ("count = 1\ntimeout_s = -1", "timeout_s must be"),
    ],
)
def test_a_default_that_no_sweep_takes_is_named_with_the_file(text, words, write, connect, folder):
    write(f"[custom.sweep]\n{text}\n")
    with pytest.raises((ValueError, TypeError)) as caught:
        connect().sweep(fnb.Order.example(), progress=False)
    assert f"{folder / 'firmly-nb.toml'}, default of sweeps: {words}" in str(caught.value)


def test_a_mistake_of_ones_own_names_no_file(write, connect):
    write("[custom.sweep]\ncount = 3\n")
    with pytest.raises(ValueError, match=r"^count must be"):
        connect().sweep(fnb.Order.example(), count=0, progress=False)


def test_a_mark_before_the_text_is_no_mistake(write):
    write("\ufeff[staging]\nmilestones = ['a', 'b']\n")
    assert settings_of("staging").milestones == ("a", "b")


def test_every_default_is_an_argument_of_a_sweep():
    assert set(SWEEP) <= set(SweepOptions.__annotations__) | set(PlaceOptions.__annotations__)
    assert set(BUDGET) == set(Budget.__dataclass_fields__)


MISTAKES = {
    "unknown setting": ("[staging]\n\nmilestone = ['a']\n", "FNB413",
        "line 3: Unknown setting 'milestone' for [staging]. Did you mean milestones?"),
    "unknown default": ("[staging.sweep]\nrat = 5\n", "FNB413", "line 2: Unknown setting 'rat'"),
    "unknown environment": ("[stagin]\n", "FNB413", "line 1: Unknown environment 'stagin'. Did"),
    "no table": ("staging = 5\n", "FNB414", "line 1: staging must be a table. Write [staging]"),
    "a text for a list": ("[staging]\nmilestones = 'a'\n", "FNB414",
        "line 2: milestones must be a list of texts, got a text"),
    "numbers in a list": ("[staging]\nmilestones = [1]\n", "FNB414",
        "milestones must be a list of texts, got a list with a whole number"),
    "an empty list": ("[custom]\nmilestones = []\n", "FNB414", "line 2: milestones must be"),
    "a truth for a number": ("[custom.sweep]\ncount = true\n", "FNB414",
        "line 2: count must be a whole number, got true or false"),
    "a text for money": ("[custom.sweep.budget.total_minor]\nUSD = '5'\n", "FNB414",
        "line 2: USD must be a whole number, got a text"),
    "a dotted key": ("[staging]\nsweep.count = 'x'\n", "FNB414", "line 2: count must be"),
    "no merchant": ("[staging]\nallow_domains = ['*']\n", "FNB414", "line 2: allow_domains holds"),
    "an app id": ("[staging]\napp_id = 'planted-1'\n", "FNB415", "line 2: app_id would be a sec"),
    "an app id as variable": ("[staging]\napp_id_variable = 'planted-1'\n", "FNB415",
        "line 2: app_id_variable must be the name of an environment variable"),
    "a variable of others": ("[staging]\napp_id_variable = 'AWS_SECRET_ACCESS_KEY'\n", "FNB415",
        "with APP_ID in it"),
    "a token": ("[staging]\ndevice_token = 'planted-1'\n", "FNB415", "line 2: device_token would"),
    "a card": ("[custom]\nca_file = '4012888888881881'\n", "FNB415",
        "line 2: the value of ca_file looks like a secret"),
    "a nested secret": ("[custom.sweep]\npassword = 'planted-1'\n", "FNB415", "line 2: password"),
    "production": ("[production]\nmilestones = ['a']\n", "FNB416", "line 1: production cannot be"),
    "a production host": ("[custom]\napi_url = 'https://api.firmly.online'\n", "FNB416", "line 2"),
    "a production merchant": ("[staging]\nallow_domains = ['firmly.live']\n", "FNB416", "line 2"),
    "no environment": ("milestones = ['a']\n", "FNB413",
        "line 1: milestones is below no environment. Write [staging], or another one, above it."),
    "no environment of a sweep": ("rate = 5\n", "FNB413", "Write [staging.sweep], or another"),
    "an array of tables": ("\n[[staging]]\n", "FNB414", "line 2: staging must be a table"),
    "a name twice": ("[staging]\nmilestones = ['a', 'a']\n", "FNB414", "line 2: milestones must"),
    "an empty name": ("[staging]\nmilestones = ['a', ' ']\n", "FNB414", "line 2: milestones must"),
    "no TOML": ("[staging]\nmilestones = [\n", "FNB412", "firmly-nb.toml is not valid TOML"),
}  # fmt: skip


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_named_with_file_and_line(mistake, write, folder):
    text, code, words = MISTAKES[mistake]
    write(text)
    with pytest.raises((ValueError, TypeError, OSError)) as caught:
        fnb.connect(profile="instant")
    assert caught.value.code == code
    said = str(caught.value)
    assert said.startswith(str(folder / "firmly-nb.toml"))
    assert words in said
    assert "planted" not in said
    assert "4012888888881881" not in said


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (Path.mkdir, "it is not a file"),
        (os.mkfifo, "it is not a file"),
        (lambda path: path.symlink_to("moved.toml"), "No such file or directory"),
        (lambda path: path.symlink_to(path), "Too many levels of symbolic links"),
    ],
)
def test_what_is_there_in_place_of_a_file_is_named(make, why, folder):
    make(folder / "firmly-nb.toml")
    with pytest.raises(OSError, match=rf"firmly-nb.toml cannot be read: {why}. .* \[FNB412\]"):
        fnb.connect(profile="instant")


@pytest.mark.parametrize("content", [b"\xff\xfe", b"a" * 1_000_001])
def test_a_file_that_is_no_text_is_named(content, folder):
    (folder / "firmly-nb.toml").write_bytes(content)
    with pytest.raises(OSError, match=r"firmly-nb.toml cannot be read: it is .* \[FNB412\]"):
        settings_of("staging")


def test_a_mistake_is_a_finding_of_doctor(write):
    from firmly_nb.doctor import examine

    write("[stagin]\n")
    findings = {one.name: one for one in examine(measure=False).findings}
    assert findings["settings"].ok is False
    assert "line 1" in findings["settings"].found


def test_doctor_says_which_file_is_read_and_which_browser_draws(write, folder):
    from firmly_nb.doctor import examine

    write(WHOLE)
    findings = {one.name: one for one in examine(measure=False).findings}
    assert findings["settings"].found == str(folder / "firmly-nb.toml")
    assert "FIRMLY_APP_ID_UAT" in findings["app id"].advice
    assert "browser for pictures" in findings


def test_a_machine_without_a_browser_is_told_what_is_missing(monkeypatch):
    from choreographer.browsers.chromium import Chromium

    from firmly_nb import doctor

    monkeypatch.setattr(Chromium, "find_browser", lambda **_: None)
    finding = doctor._browser()
    assert (finding.found, finding.ok) == ("none", None)
    assert "Install Chrome or Chromium" in finding.advice
