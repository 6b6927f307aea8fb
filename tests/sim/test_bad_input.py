"""Bad input of every kind gets an API error, never a traceback; the server stays up."""

import json
import socket
import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from firmly_nb.sim.settings import Settings

PLACE = "/api/v2/payment/domains/staging.luma.gift/place-order"


def talk(simulator, *parts, timeout=60):
    """Send raw bytes, and return all that comes back until the server hangs up."""
    host, _, port = simulator.url.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port)), timeout=timeout) as sock:
        for part in parts:
            sock.sendall(part)
        answer = b""
        while part := sock.recv(65536):
            answer += part
    return answer


def status_and_body(answer):
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split()[1]), json.loads(body)


def request(client, body=b"", **headers):
    lines = [f"POST {PLACE} HTTP/1.1", "Host: localhost", f"x-firmly-authorization: {client.token}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + body


def assert_up(client):
    assert client.http.get("/api/v1/payment/key").status_code == 200
    assert "Traceback" not in client.simulator.logs()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"nonsense\r\n\r\n", "not an HTTP/1.1 request"),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", "spoke TLS"),
        (b"\x16\x03\x03\x00\x05hello", "spoke TLS"),
        (b"GET / HTTP/1.1\r\n\r\n", "not an HTTP/1.1 request"),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\nbad header\r\n\r\n", "not an HTTP/1.1"),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"y" * 60_000, "not an HTTP/1.1"),
        (b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: -5\r\n\r\n", "not an HTTP/1.1"),
    ],
)
def test_what_is_no_http_is_answered_in_the_apis_form_and_told(client, text, said):
    status, body = status_and_body(talk(client.simulator, text))
    assert (status, body["error"]) == (400, "ErrorInvalidInputBody")
    assert said in body["description"]
    assert f"firmly-nb sim: {body['description']}" in client.simulator.logs()
    assert "Invalid HTTP request" not in client.simulator.logs()
    assert_up(client)


def test_a_broken_chunk_in_a_request_is_answered(client):
    text = request(client, b"ZZ\r\n", content_type="application/json", transfer_encoding="chunked")
    status, body = status_and_body(talk(client.simulator, text))
    assert (status, body["error"]) == (400, "ErrorInvalidInputBody")
    assert_up(client)


def test_a_body_that_is_too_large_is_refused_and_the_answer_arrives(client):
    for size in (2 << 20, 8 << 20):
        answer = client.http.post(PLACE, headers=client.auth, content=b"x" * size)
        assert (answer.status_code, answer.json()["error"]) == (413, "ErrorInvalidInputBody")
        assert answer.headers["connection"] == "close"
    assert_up(client)


def test_half_a_request_is_forgotten_when_its_sender_goes(client):
    host, _, port = client.simulator.url.removeprefix("http://").partition(":")
    for text in (
        b"POST / HT",
        request(client, b'{"a"', content_type="application/json", content_length=100),
    ):
        with socket.create_connection((host, int(port))) as sock:
            sock.sendall(text)
    assert_up(client)


def test_a_sender_that_is_too_slow_is_told_so(start):
    client = start(patience_s=0.3)
    begin = time.monotonic()
    status, body = status_and_body(talk(client.simulator, b"POST /api HTTP/1.1\r\nHost:"))
    assert (status, body["error"]) == (408, "ErrorInvalidInputBody")
    text = request(client, b"{", content_type="application/json", content_length=100)
    status, body = status_and_body(talk(client.simulator, text))
    assert (status, body["error"]) == (408, "ErrorInvalidInputBody")
    # Its own patience, twice; the usual one would have taken longer, whatever the machine does.
    assert 0.5 < time.monotonic() - begin < 2 * Settings().patience_s
    assert_up(client)


def test_a_connection_that_is_opened_beforehand_may_wait(start):
    client = start(patience_s=0.2)
    host, _, port = client.simulator.url.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port)), timeout=60) as sock:
        sock.settimeout(0.5)
        with pytest.raises(TimeoutError):
            sock.recv(1)  # nothing: neither an answer nor an end
        sock.settimeout(60)
        sock.sendall(b"GET /api/v1/payment/key HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert sock.recv(100).startswith(b"HTTP/1.1 200")


def test_deep_and_strange_json_is_refused(client):
    headers = {**client.auth, "content-type": "application/json"}
    for text in (
        b'{"items":' + b"[" * 50_000 + b"]" * 50_000 + b"}",
        b'{"items": "\xed\xa0\x80"}',
        b'{"items": "\\ud800"}',
        b'{"items": 1e999}',
        b'{"items": ' + b"9" * 10_000 + b"}",
        b"\xef\xbb\xbf{}",
        b'"text"',
        b"null",
    ):
        answer = client.http.post(PLACE, headers=headers, content=text)
        assert (answer.status_code, answer.json()["error"]) == (400, "ErrorInvalidInputBody")
    assert_up(client)


def test_strange_paths_and_headers_do_no_harm(client):
    paths = "/%00", "/api/v2/domains/%ff%fe/cart", "/api/v2/domains/../cart", "/" + "a" * 9_000
    for path in paths:
        assert client.http.get(path, headers=client.auth).status_code in {400, 403, 404}
    for name in ("x-firmly-authorization", "x-sim-fault", "x-sim-profile", "x-firmly-request-id"):
        headers = {**client.auth, name: "\xff\xe9 \x7f{}'\"<>".encode("latin-1")}
        answer = client.http.post(PLACE, headers=headers, json=client.body())
        assert answer.status_code in {200, 400, 401}
    assert_up(client)


def test_digits_of_other_scripts_are_no_digits(client, card, address):
    answer = client.place(card={**card, "verification_value": "١٢٣"})
    assert answer.json()["error"] == "ErrorInvalidInputBody"
    answer = client.place(shipping_info={**address, "postal_code": "٩٨١٠١"})
    assert answer.json()["error"] == "ErrorInvalidInputBody"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
    ),
    max_leaves=8,
)
FIELDS = ("encrypted_card", "billing_info", "shipping_info", "items", "captcha_token")


@given(st.sampled_from(FIELDS), JSON)
@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_any_json_in_any_field_is_answered_in_the_apis_form(client, field, value):
    body = {**client.body(), field: value}
    content = json.dumps(body).encode("utf-8", "surrogatepass")
    headers = {**client.auth, "content-type": "application/json"}
    answer = client.http.post(PLACE, headers=headers, content=content)
    assert answer.status_code in {200, 400, 404}, answer.text
    if answer.status_code != 200:
        assert set(answer.json()) == {"code", "error", "description"}
