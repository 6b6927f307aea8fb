"""What ``lab.doctor()`` and ``firmly-nb doctor`` say of the way to an environment."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from contextlib import suppress

import pytest

import firmly_nb as fnb
from tests.gateway import (
    APP_ID,
    DEMO_MERCHANT,
    GUIDE_EVENTS,
    PLACED,
    STAGING_HOSTS,
    Authority,
    Gateway,
    at_staging,
    cart,
    staging_gateway,
)
from tests.servers import serving
from tests.shown import whole

WAY = ["name", "proxy", "connection", "TLS"]
REST = ["session", "key", "catalogue", "allow-list", "clock", "who answers"]


@pytest.fixture(autouse=True)
def _nothing_from_outside(monkeypatch, tmp_path):
    for name in ("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def gateway():
    with serving(Gateway()) as served:
        yield served


@pytest.fixture
def lab(gateway):
    with fnb.connect(api_url=gateway.url, app_id=APP_ID, allow_domains=[DEMO_MERCHANT]) as opened:
        yield opened


def step(found, name):
    return next(one for one in found.steps if one.step == name)


def failures(found):
    return [(one.step, one.code) for one in found.failed]


def test_every_step_is_there_and_nothing_is_ordered(lab, gateway):
    found = lab.doctor()
    assert found.ok
    assert [one.step for one in found.steps] == ["settings", "app id", *WAY, *REST]
    assert not [path for _, path in gateway.asked if "order" in path or "cart" in path]
    assert repr(found).splitlines()[0] == "custom: every step on the way of an order is ok."


def test_the_table_has_a_row_a_step(lab):
    table = lab.doctor().table
    assert table.columns.tolist() == ["step", "host", "state", "found", "remedy", "code"]
    assert set(table["state"]) == {"ok", "-"}


def test_it_can_be_awaited_and_shows_itself_in_a_notebook(lab):
    import anyio

    found = anyio.run(lab.doctor_async)
    html = found._repr_html_()
    assert html.count("<tr") == len(found.steps) + 1
    assert "every step on the way of an order is ok" in html


def test_staging_is_looked_at_through_proxy_and_tls(monkeypatch, tmp_path, command):
    with staging_gateway(monkeypatch, tmp_path) as (gateway, authority, proxy):
        monkeypatch.setenv("FIRMLY_APP_ID", APP_ID)
        ca_file = ["--ca-file", authority.file]
        code, said, _ = command("doctor", "--environment", "staging", *ca_file)
        assert not [path for _, path in gateway.asked if "place-order" in path]
    assert code == 0, said
    assert f"proxy, api.firmly.work: {proxy.place}." in said
    assert "TLS, cc.firmly.work: TLSv1.3, issued by 'Corp Inspection CA (Corp Ltd)'" in said
    assert f"trusted by {authority.file} (--ca-file)." in said
    assert "who answers, api.firmly.work: server: fake-firmly." in said
    assert APP_ID not in said
    assert "token-1" not in said


def test_without_an_app_id_the_way_is_looked_at_nevertheless(gateway, command):
    code, said, _ = command("doctor", "--api-url", gateway.url, "--allow", DEMO_MERCHANT, "--json")
    steps = {one["step"]: one["state"] for one in json.loads(said)["steps"]}
    assert code == 1
    assert (steps["app id"], steps["session"], steps["catalogue"]) == (
        "failed",
        "not tried",
        "not tried",
    )
    assert (steps["connection"], steps["key"], steps["who answers"]) == ("ok", "ok", "ok")


def test_production_is_refused(command):
    code, _, complaint = command("doctor", "--api-url", "https://api.firmly.online")
    assert code == 2
    assert "is a production host" in complaint


TLS_TROUBLE = {
    "unknown issuer": ({}, "issued by 'Corp Inspection CA (Corp Ltd)', which", "FNB216"),
    "expired": ({"begins": -30, "ends": -2}, "expired at 20", "FNB217"),
    "another host": ({"names": ["portal.corp.test"]}, "is for portal.corp.test", "FNB218"),
    "no host": ({"names": []}, "names no host (issued by 'Corp Inspection CA", "FNB218"),
    "an old version": ({"old": True}, "speaks no version that", "FNB219"),
}


@pytest.mark.parametrize("trouble", TLS_TROUBLE)
def test_a_certificate_that_does_not_fit_is_a_failure_of_tls(trouble, tmp_path):
    changes, words, code = TLS_TROUBLE[trouble]
    authority = Authority(tmp_path)
    changes = {"names": ["127.0.0.1"], **changes}
    names = changes.pop("names")
    with (
        serving(Gateway(authority.server(*names, **changes))) as gateway,
        fnb.connect(
            api_url=gateway.url,
            app_id=APP_ID,
            allow_domains=[DEMO_MERCHANT],
            ca_file=None if trouble == "unknown issuer" else authority.file,
        ) as lab,
    ):
        found = lab.doctor()
    assert failures(found) == [("TLS", code)]
    assert words in step(found, "TLS").found
    assert step(found, "connection").state == "ok"
    assert {step(found, name).state for name in ("session", "key", "catalogue")} == {"not tried"}
    assert found.exit_code == 1


def test_a_proxy_that_wants_a_login_is_a_failure_of_the_proxy(monkeypatch, tmp_path):
    authority = Authority(tmp_path)
    with (
        serving(Gateway(authority.server(*STAGING_HOSTS))) as gateway,
        at_staging(monkeypatch, gateway, login="ada:secret") as proxy,
        fnb.connect("staging", app_id=APP_ID, ca_file=authority.file) as lab,
    ):
        found = lab.doctor()
    assert failures(found) == [("proxy", "FNB220"), ("proxy", "FNB220")]
    assert step(found, "proxy").found == f"the proxy {proxy.place} wants a login (HTTP 407)"
    assert step(found, "connection").state == "not tried"
    assert str(found.failed[0]) in repr(found)
    first = repr(found).splitlines()[0]
    assert f"the proxy {proxy.place} wants a login (HTTP 407). Set HTTPS_PROXY=http://USER" in first
    assert first.endswith("1 other step failed.")


def test_a_dead_proxy_is_a_failure_of_the_proxy(monkeypatch, unused_port):
    monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{unused_port}")
    with fnb.connect("staging", app_id=APP_ID) as lab:
        found = lab.doctor()
    assert failures(found) == [("proxy", "FNB221")] * 2


def test_a_simulator_that_has_gone_is_a_failure_of_the_connection():
    with fnb.connect(profile="instant") as lab:
        lab.simulator.stop()
        found = lab.doctor()
    assert failures(found) == [("connection", "FNB225")]
    assert "simulator: connection of 127.0.0.1" in found.sentence


@pytest.mark.parametrize("status", [403, 429, 502, 520])
@pytest.mark.parametrize(("what", "name"), [("session", "session"), ("key", "key")])
def test_a_gateways_page_instead_of_the_api_is_told(status, what, name, lab, gateway):
    gateway.pages[what] = (status, f"<html><title>{status} Blocked by Corp</title></html>")
    found = lab.doctor()
    code = "FNB210" if status == 429 else "FNB226"
    assert failures(found) == [(name, code), ("who answers", "FNB226")]
    assert step(found, name).found == f"HTTP {status}: {status} Blocked by Corp"
    assert "a page came instead of JSON" in step(found, "who answers").found


def test_a_login_page_with_status_200_is_told(lab, gateway):
    gateway.pages["all"] = (200, "<!doctype html><title>Corp sign-in</title>")
    found = lab.doctor()
    assert "responded with a page: Corp sign-in" in step(found, "session").found
    assert ("who answers", "FNB226") in failures(found)


@pytest.mark.parametrize(
    "shape",
    [
        {"code": 400, "error": "InvalidAppId", "description": "the app id is unknown"},
        {"error": "InvalidAppId", "message": "the app id is unknown"},
        {"errors": [{"code": "InvalidAppId", "message": "the app id is unknown"}]},
    ],
)
def test_each_shape_of_an_error_is_read(shape, lab, gateway):
    gateway.errors["session"] = (400, shape)
    found = lab.doctor()
    assert failures(found) == [("session", "FNB203")]
    assert step(found, "session").found == "InvalidAppId: the app id is unknown"
    assert step(found, "catalogue").state == "not tried"


def test_a_revoked_token_is_a_failure_of_the_catalogue(lab, gateway):
    gateway.revoked.add("token-1")
    found = lab.doctor()
    assert failures(found) == [("catalogue", "FNB202")]


@pytest.mark.parametrize("number", ["AQAB", "!!", "AQ"])
def test_a_key_that_encrypts_nothing_is_a_failure(number, lab, gateway):
    gateway.errors["key"] = (200, {"kty": "RSA", "n": number, "e": "AQAB", "kid": "k1"})
    found = lab.doctor()
    assert failures(found) == [("key", "FNB211")]
    assert step(found, "key").found.startswith("the payment key ")


def test_a_key_that_rotates_is_no_mistake(lab, gateway):
    gateway.kids = ["k1", "k2"]
    found = lab.doctor()
    assert found.ok
    assert step(found, "key").found.startswith("k1; it rotated to k2 meanwhile")


@pytest.mark.parametrize(("clock_s", "side"), [(3600, "ahead of"), (-3600, "behind")])
def test_a_clock_an_hour_off_is_told(clock_s, side, lab, gateway):
    gateway.clock_s = clock_s
    found = lab.doctor()
    assert failures(found) == [("clock", "FNB607")]
    assert step(found, "clock").found == f"60 minutes {side} this machine's"


def test_limits_and_proxies_in_headers_are_told(lab, gateway):
    gateway.headers |= {"Via": "1.1 squid", "X-RateLimit-Limit": "60", "Set-Cookie": "sid=planted"}
    said = step(lab.doctor(), "who answers").found
    assert "server: fake-firmly" in said
    assert "via: 1.1 squid" in said
    assert "x-ratelimit-limit: 60" in said
    assert "planted" not in said


def test_what_hosts_say_steers_no_terminal_and_no_page(lab, gateway):
    gateway.pages["session"] = (403, "<title>\x1b[31mred\u202e &lt;script&gt;</title>")
    found = lab.doctor()
    assert "\x1b" not in repr(found)
    assert "\u202e" not in repr(found)
    assert "<script>" not in found._repr_html_()


def test_a_compressor_on_the_way_is_no_obstacle(lab, gateway):
    gateway.gzip = True
    assert lab.doctor().ok


# What an order says of the same gateways.


@pytest.mark.parametrize("status", [403, 502, 520])
def test_an_order_says_whose_page_answered_it(status, lab, gateway):
    gateway.pages["order"] = (status, f"<html><title>{status} Blocked by Corp</title></html>")
    rec = lab.place(fnb.Order.example(), progress=False)
    assert (rec.outcome, rec.order_exists) == ("http_error", "no" if status == 403 else "unknown")
    assert f"{status} Blocked by Corp. Show these words to whoever runs the network" in whole(rec)


@pytest.mark.parametrize("gathered", ["gzip", "gathers"])
def test_an_order_behind_a_gathering_proxy_is_placed(gathered, lab, gateway):
    setattr(gateway, gathered, True)
    rec = lab.place(fnb.Order.example(), progress=False)
    assert (rec.outcome, rec.order_number, len(rec.events)) == ("placed", "T-1", 4)


def test_an_order_with_the_guides_event_names_is_placed(lab, gateway):
    gateway.events = GUIDE_EVENTS
    rec = lab.place(fnb.Order.example(), progress=False)
    assert (rec.outcome, len(rec.stages)) == ("placed", 3)


def test_an_order_with_other_event_names_says_how_to_name_its_stages(lab, gateway):
    gateway.events = [("begun", cart()), ("paid", cart()), ("done", PLACED)]
    rec = lab.place(fnb.Order.example(), progress=False)
    assert rec.outcome == "placed"
    assert any("milestones=['begun', 'paid', 'done']" in text for text in rec.warnings)


def test_an_order_with_a_revoked_token_was_not_placed(lab, gateway):
    gateway.revoked.add("token-1")
    rec = lab.place(fnb.Order.example(), progress=False)
    assert (rec.outcome, rec.order_exists, rec.error.error) == ("http_error", "no", "InvalidToken")
    assert "Nothing was ordered" in whole(rec)


def test_a_terminal_breaks_long_lines_with_an_indent(unused_port):
    master, terminal = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    words = ["doctor", "--api-url", f"http://127.0.0.1:{unused_port}", "--allow", DEMO_MERCHANT]
    environment = {**os.environ, "NO_COLOR": "1", "TERM": "dumb"}
    environment.pop("COLUMNS", None)
    started = subprocess.Popen(
        [sys.executable, "-m", "firmly_nb", *words],
        stdout=terminal, stderr=terminal, env=environment,
    )  # fmt: skip
    os.close(terminal)
    said = b""
    # A terminal whose program has ended gives an error.
    with suppress(OSError):
        while piece := os.read(master, 65536):
            said += piece
    os.close(master)
    assert started.wait() == 1
    lines = re.sub(r"\x1b\[[0-9;]*m", "", said.decode()).replace("\r", "").splitlines()
    assert max(map(len, lines)) <= 80
    failed = next(at for at, line in enumerate(lines) if line.startswith("failed     connection"))
    assert lines[failed + 1].startswith(" " * 11)
    assert "[FNB224]" in " ".join(lines[failed : failed + 3])
