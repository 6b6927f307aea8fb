"""Why a connection failed, as an analyst reads it: the step, the host, what to do.

Certificates, proxies and servers are real, and all on this machine.
"""

from __future__ import annotations

import socket
import socketserver
import ssl
from pathlib import Path

import pytest

import firmly_nb as fnb
from tests.gateway import (
    APP_ID,
    DEMO_MERCHANT,
    PLACED,
    STAGING_HOSTS,
    Authority,
    Gateway,
    Proxy,
    at_staging,
    staging_gateway,
)
from tests.servers import serving


@pytest.fixture(autouse=True)
def _no_trust_from_outside(monkeypatch):
    for name in ("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def authority(tmp_path):
    return Authority(tmp_path)


def connected(gateway, **more):
    return fnb.connect(api_url=gateway.url, app_id=APP_ID, allow_domains=[DEMO_MERCHANT], **more)


def failure(lab):
    """The error of a session, in the words that a person reads."""
    with pytest.raises(fnb.FirmlyError) as caught:
        lab.session()
    text = str(caught.value)
    assert "ConnectError" not in text
    assert "\n" not in text
    return text


def test_an_unknown_issuer_is_named_with_what_trusts_it(authority):
    with serving(Gateway(authority.server("127.0.0.1"))) as gateway, connected(gateway) as lab:
        said = failure(lab)
    place = gateway.url.removeprefix("https://")
    assert said == (
        f"UntrustedIssuer: the certificate of {place} is issued by 'Corp Inspection CA (Corp Ltd)',"
        " which certifi's list does not trust. Pass ca_file=... or set SSL_CERT_FILE to the "
        "issuer's certificate (PEM); your network team has it. [FNB216]"
    )


def test_an_expired_certificate_says_since_when(authority):
    tls = authority.server("127.0.0.1", begins=-30, ends=-2)
    with serving(Gateway(tls)) as gateway, connected(gateway, ca_file=authority.file) as lab:
        said = failure(lab)
    assert "expired at 20" in said
    assert "(issued by 'Corp Inspection CA (Corp Ltd)')" in said
    assert said.endswith("renew the certificate. [FNB217]")


def test_a_certificate_of_tomorrow_is_not_valid_yet(authority):
    tls = authority.server("127.0.0.1", begins=1, ends=30)
    with serving(Gateway(tls)) as gateway, connected(gateway, ca_file=authority.file) as lab:
        said = failure(lab)
    assert "is not valid before 20" in said
    assert "Check this machine's clock" in said


def test_a_certificate_of_another_host_names_those_it_is_for(authority):
    tls = authority.server("portal.corp.test", "login.corp.test")
    with serving(Gateway(tls)) as gateway, connected(gateway, ca_file=authority.file) as lab:
        said = failure(lab)
    assert "is for portal.corp.test and login.corp.test" in said
    assert said.endswith("[FNB218]")


def test_a_server_without_tls_is_told(authority):
    with serving(Gateway()) as gateway:
        url = gateway.url.replace("http:", "https:")
        with fnb.connect(api_url=url, app_id=APP_ID) as lab:
            said = failure(lab)
    assert "it responds without TLS" in said
    assert said.endswith("[FNB219]")


@pytest.mark.parametrize("named", ["ca_file", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"])
def test_a_company_authority_is_trusted_for_session_and_order(named, authority, monkeypatch):
    given = {"ca_file": authority.file} if named == "ca_file" else {}
    if not given:
        monkeypatch.setenv(named, authority.file)
    with (
        serving(Gateway(authority.server("127.0.0.1"))) as gateway,
        connected(gateway, **given) as lab,
    ):
        rec = lab.place(fnb.Order.example(), progress=False)
    assert (rec.outcome, rec.order_number) == ("placed", "T-1")


def test_the_argument_counts_before_the_environment(authority, tmp_path, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", Authority(tmp_path, "Another CA").file)
    with serving(Gateway(authority.server("127.0.0.1"))) as gateway:
        with connected(gateway, ca_file=authority.file) as lab:
            assert lab.session()["device_id"] == "d1"
        with connected(gateway) as lab:
            assert "another-ca.pem (SSL_CERT_FILE) does not trust" in failure(lab)


@pytest.mark.parametrize("named", ["ca_file", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"])
@pytest.mark.parametrize("content", [None, "not PEM"])
def test_a_ca_file_that_cannot_be_used_is_named(named, content, tmp_path, monkeypatch):
    path = tmp_path / "corp.pem"
    if content:
        path.write_text(content)
    given = {"ca_file": path} if named == "ca_file" else {}
    if not given:
        monkeypatch.setenv(named, str(path))
    with pytest.raises((OSError, ValueError), match=r"FNB025") as caught:
        fnb.connect(api_url="https://127.0.0.1:9", app_id=APP_ID, **given)
    why = "it has no certificate in PEM form" if content else "the file does not exist"
    assert f"The CA file {path} ({named}) cannot be used: {why}." in str(caught.value)


def test_a_simulator_needs_no_certificates(monkeypatch, lab):
    """A broken variable kept even the simulator from being asked."""
    monkeypatch.setenv("SSL_CERT_FILE", "/nowhere/corp.pem")
    assert lab.place(fnb.Order.example(), progress=False).outcome == "placed"


def test_a_proxy_that_wants_a_login_is_named(monkeypatch, authority):
    with (
        serving(Gateway(authority.server(*STAGING_HOSTS))) as gateway,
        at_staging(monkeypatch, gateway, login="ada:secret") as proxy,
        fnb.connect("staging", app_id=APP_ID, ca_file=authority.file) as lab,
    ):
        said = failure(lab)
    assert said == (
        f"ProxyLogin: the proxy {proxy.place} wants a login (HTTP 407). Set "
        "HTTPS_PROXY=http://USER:PASSWORD@HOST:PORT, percent-encoded, or ask your network team. "
        "[FNB220]"
    )
    assert gateway.asked == []


def test_a_login_of_a_proxy_is_used_and_not_shown(monkeypatch, authority):
    with serving(Gateway(authority.server(*STAGING_HOSTS))) as gateway:
        login = {"login": "ada:secret", "given_login": "ada:secret"}
        with (
            at_staging(monkeypatch, gateway, **login),
            fnb.connect("staging", app_id=APP_ID, ca_file=authority.file) as lab,
        ):
            assert lab.place(fnb.Order.example(), progress=False).outcome == "placed"
        with (
            at_staging(
                monkeypatch,
                gateway,
                **login,
            ),
            fnb.connect("staging", app_id=APP_ID) as lab,
        ):
            said = failure(lab)
    assert "issued by 'Corp Inspection CA (Corp Ltd)'" in said  # seen through the same proxy
    assert "secret" not in said


def test_a_dead_proxy_is_named(monkeypatch, unused_port):
    monkeypatch.setenv("HTTPS_PROXY", f"http://ada:secret@127.0.0.1:{unused_port}")
    with fnb.connect("staging", app_id=APP_ID) as lab:
        said = failure(lab)
    assert f"the proxy 127.0.0.1:{unused_port} refuses connections" in said
    assert "unset HTTPS_PROXY" in said
    assert "secret" not in said


def test_a_proxy_that_does_not_resolve_is_named(monkeypatch):
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.corp.invalid:3128")
    with fnb.connect("staging", app_id=APP_ID) as lab:
        said = failure(lab)
    assert "the proxy proxy.corp.invalid:3128 has no address: its name does not resolve" in said


def test_a_proxy_that_refuses_a_host_names_it(monkeypatch):
    with Proxy({}) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        with fnb.connect("staging", app_id=APP_ID) as lab:
            said = failure(lab)
    assert f"the proxy {proxy.place} does not lead to api.firmly.work (HTTP 403 Forbidden)" in said


def test_an_address_of_a_proxy_that_cannot_be_read_is_said(monkeypatch):
    monkeypatch.setenv("HTTPS_PROXY", "http://ada:secret@127.0.0.1:99999")
    with fnb.connect("staging", app_id=APP_ID) as lab:
        said = failure(lab)
    assert "the environment's address of the proxy cannot be read. Correct or unset" in said
    assert "secret" not in said


ODD_PROXIES = {
    "hangs up": ("http", b"", "api.firmly.work, or the proxy {place} before it, ended the conn"),
    "is no proxy": ("http", b"SSH-2.0-x\r\n", "api.firmly.work, or the proxy {place} before it"),
    "speaks no TLS": ("https", b"HTTP/1.1 400 Bad Request\r\n\r\n",
                      "the proxy {place} cannot be used: no TLS with it, it responds without TLS"),
    "lies": ("http", b"HTTP/1.1 200 OK\r\n\r\n", "no TLS with api.firmly.work: it hung up"),
    "is busy": ("http", b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n",
                "the proxy {place} does not lead to api.firmly.work (HTTP 503 Busy)"),
}  # fmt: skip


@pytest.mark.parametrize("what", ODD_PROXIES)
def test_a_proxy_that_does_otherwise_is_named(what, monkeypatch):
    scheme, reply, words = ODD_PROXIES[what]

    class Replying(socketserver.BaseRequestHandler):
        def handle(self):
            self.request.recv(65536)
            self.request.sendall(reply)

    with serving(socketserver.ThreadingTCPServer(("127.0.0.1", 0), Replying)) as proxy:
        place = f"127.0.0.1:{proxy.server_address[1]}"
        monkeypatch.setenv("HTTPS_PROXY", f"{scheme}://{place}")
        with fnb.connect("staging", app_id=APP_ID) as lab:
            said = failure(lab)
    assert words.format(place=place) in said


def test_a_server_that_wants_a_certificate_says_so(authority):
    context = authority.server("127.0.0.1")
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(authority.file)
    with serving(Gateway(context)) as gateway, connected(gateway, ca_file=authority.file) as lab:
        assert "it wants a certificate of this machine, and firmly-nb shows none" in failure(lab)


def test_a_name_that_does_not_resolve_is_named(monkeypatch):
    real = socket.getaddrinfo

    def resolve(host, *rest, **more):
        if host == "api.gone.lvh.me":
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return real(host, *rest, **more)

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    with fnb.connect(api_url="https://api.gone.lvh.me", app_id=APP_ID) as lab:
        said = failure(lab)
    assert said.startswith("UnknownHost: api.gone.lvh.me has no address: its name does not resolve")
    assert said.endswith("[FNB223]")


def test_a_refused_connection_names_host_and_port(unused_port):
    with fnb.connect(api_url=f"http://127.0.0.1:{unused_port}", app_id=APP_ID) as lab:
        said = failure(lab)
    assert said.startswith(f"ConnectionRefused: nothing listens at 127.0.0.1:{unused_port}. Check")


def test_a_simulator_that_has_gone_is_told():
    with fnb.connect(profile="instant") as lab:
        lab.place(fnb.Order.example(), progress=False)
        lab.simulator.stop()
        with pytest.raises(fnb.FirmlyError, match=r"the simulator at 127\.0\.0\.1:\d+ has ended"):
            lab.place(fnb.Order.example(), progress=False)


def test_the_order_itself_says_why_it_was_not_sent(authority, monkeypatch):
    """Between session and order a certificate may change: the recorder says the same words."""
    with (
        serving(Gateway(authority.server("127.0.0.1"))) as gateway,
        connected(gateway, ca_file=authority.file) as lab,
    ):
        client = lab._bench.client()
        fetch = client.payment_key

        async def fetch_and_then_expire():
            key = await fetch()
            gateway.tls = authority.server("127.0.0.1", begins=-30, ends=-2)
            return key

        monkeypatch.setattr(client, "payment_key", fetch_and_then_expire)
        rec = lab.place(fnb.Order.example(), progress=False, warm=False)
    assert (rec.outcome, rec.order_exists) == ("transport_error", "no")
    assert rec.error.error == "CertificateNotValid"
    assert "expired" in rec.error.description
    assert "ConnectError" not in repr(rec)


def test_staging_is_reached_through_proxy_and_tls(monkeypatch, tmp_path):
    with (
        staging_gateway(monkeypatch, tmp_path) as (gateway, authority, proxy),
        fnb.connect("staging", app_id=APP_ID, ca_file=authority.file) as lab,
    ):
        rec = lab.place(fnb.Order.example(), progress=False)
    assert rec.outcome == "placed"
    assert {head.split()[1] for head in proxy.asked} == {f"{host}:443" for host in STAGING_HOSTS}
    assert (
        "POST",
        "/api/v2/payment/domains/staging.luma.gift/place-order?sse=true",
    ) in gateway.asked


@pytest.mark.parametrize(
    "words",
    [
        ("place", "--environment", "simulator"),
        ("sweep", "--count", "1"),
        ("compare",),
        ("doctor", "--env", "x"),
        ("conformance", "--environment", "simulator"),
    ],
)
def test_every_command_that_connects_takes_a_ca_file(words, command):
    code, _, complaint = command(*words, "--ca-file", "nowhere.pem")
    assert code == 2
    found = Path("nowhere.pem").absolute()
    assert f"The CA file {found} (--ca-file) cannot be used: the file does not exist." in complaint
    assert "or remove --ca-file" in complaint


def test_the_terminal_says_how_an_issuer_is_trusted_there(monkeypatch, tmp_path, command):
    with staging_gateway(monkeypatch, tmp_path) as (gateway, authority, _):
        monkeypatch.setenv("FIRMLY_APP_ID", APP_ID)
        code, _, complaint = command("place", "--env", "staging")
        assert code == 2
        assert "Pass --ca-file or set SSL_CERT_FILE" in complaint
        assert gateway.asked == []
        code, said, _ = command("place", "--env", "staging", "--ca-file", authority.file)
    assert code == 0
    assert "Placed: order T-1" in said


def test_the_terminal_says_what_can_be_done_there(monkeypatch, tmp_path, command):
    """Neither lab.settle() nor connect() is at hand in a terminal."""
    with staging_gateway(monkeypatch, tmp_path) as (gateway, authority, _):
        monkeypatch.setenv("FIRMLY_APP_ID", APP_ID)
        place = ("place", "--environment", "staging", "--ca-file", authority.file)
        gateway.events = [("a.b", {}), ("z.done", PLACED)]
        _, said, _ = command(*place)
        assert "Write milestones = ['a.b', 'z.done'] into firmly-nb.toml" in said
        gateway.pages["order"] = (502, "<title>502 Bad Gateway</title>")
        _, said, _ = command(*place)
    assert "The order may exist; the next time, --settle asks the cart. 502 Bad Gateway" in said
    assert "lab." not in said
