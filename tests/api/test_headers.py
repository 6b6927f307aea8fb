"""Which headers of an answer are kept, and that none of them holds what must not get out."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from firmly_nb.api.headers import (
    LONGEST_READ,
    LONGEST_VALUE,
    MOST_HEADERS,
    is_kept,
    kept_headers,
    proxies,
)
from firmly_nb.api.secrets import REDACTED

TOKEN = "planted-token-1"
JWT = "eyJhbGciOiJSUzI1NiJ9.eyJkZXZpY2VfaWQiOiJkIn0.c2lnbmF0dXJl"


@pytest.mark.parametrize(
    "name",
    [
        *("date", "server", "via", "age", "cf-ray", "x-cache", "server-timing", "x-request-id"),
        *("x-amzn-trace-id", "retry-after", "content-type", "content-encoding"),
        *("transfer-encoding", "connection", "ratelimit", "ratelimit-limit", "x-ratelimit-reset"),
        *("x-rate-limit-remaining", "x-firmly-request-id", "x-firmly-region", "x-firmly-kid"),
    ],
)
def test_what_tells_of_a_request_is_kept(name):
    assert is_kept(name)


@pytest.mark.parametrize(
    "name",
    [
        *("set-cookie", "set-cookie2", "cookie", "authorization", "proxy-authorization"),
        *("www-authenticate", "location", "etag", "x-api-key", "x-amz-security-token", "p3p"),
        *("x-firmly-authorization", "x-firmly-app-id", "x-firmly-appid", "x-firmly-device-id"),
        *("x-firmly-access-token", "x-firmly-accesstoken", "x-firmly-session", "x-firmly-cvv"),
        *("x-firmly-email", "x-firmly-first-name", "x-firmly-firstname", "x-firmly-client-ip"),
        *("x-firmly-payment-handle", "ratelimit-user", "x-firmly-" + "a" * 100),
    ],
)
def test_what_may_hold_a_secret_or_a_person_is_not_kept(name):
    assert not is_kept(name)


@pytest.mark.parametrize(
    "value",
    [
        *(TOKEN, f"before {TOKEN} after", "planted%2Dtoken%2D1", JWT, f"id={JWT};x"),
        *("4111 1111 1111 1111", "4111111111111111", "4111%201111%201111%201111"),
        *("Bearer abcdefgh", "basic dXNlcjpwYXNz", "access_token=abc", "session: 7f", "sid=1"),
        *("app-id=5b0c", "a=1; Path=/", "a=1; HttpOnly", "cookie: a=1", "cvv=937"),
    ],
)
def test_a_value_that_looks_like_a_secret_is_replaced_whole(value):
    assert kept_headers([("Server", value)], (TOKEN,)) == [["server", REDACTED]]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("x-amzn-trace-id", "Root=1-67891233-abcdef012345678912345678;Sampled=1"),
        ("server-timing", "cdn-cache; desc=MISS, edge; dur=7, origin; dur=812"),
        ("keep-alive", "timeout=5, max=100"),
        ("x-request-id", "b2b9f27e-b283-4e95-a321-adf2516a8cf2"),
        ("date", "Sun, 29 Nov 2026 01:32:42 GMT"),
        ("via", "1.1 proxy-3.example.test (squid/6.6)"),
        ("ratelimit", '"default";r=50;t=30'),
        ("cache-control", "private, max-age=0"),
    ],
)
def test_an_ordinary_value_stays_as_it_is(name, value):
    assert kept_headers([(name, value)], (TOKEN,)) == [[name, value]]


def test_a_header_that_came_twice_is_kept_twice():
    sent = [("Via", "1.1 a"), ("Date", "now"), ("via", "1.1 b")]
    assert kept_headers(sent) == [["via", "1.1 a"], ["date", "now"], ["via", "1.1 b"]]


def test_an_address_of_e_mail_is_masked_and_nothing_steers_a_terminal():
    sent = [("server", "ask zoe.oquill@planted.example now"), ("via", "1.1 \x1b[31m\u202ered")]
    assert kept_headers(sent) == [["server", "ask *** now"], ["via", "1.1 ·[31m·red"]]


def test_number_and_length_are_bounded():
    assert len(kept_headers([("via", "x")] * 1000)) == MOST_HEADERS
    assert len(kept_headers([("via", "x y " * 200)])[0][1]) == LONGEST_VALUE
    long = "a" * LONGEST_READ + TOKEN
    assert kept_headers([("via", long)], (TOKEN,)) == [["via", f"[{len(long)} characters]"]]


@given(st.lists(st.tuples(st.text(max_size=20), st.text(max_size=60)), max_size=5), st.text())
@example([("x-firmly-" + TOKEN.replace("token", "t"), "x")], "")
def test_no_secret_of_the_request_comes_back(sent, around):
    places = [("X-Firmly-Trace", f"{around}{TOKEN}{around}"), (TOKEN, "1"), *sent]
    assert TOKEN not in repr(kept_headers(places, (TOKEN,)))


@pytest.mark.parametrize(
    ("sent", "told"),
    [
        ([["server", "nginx"], ["date", "now"]], None),
        ([["via", "1.1 squid"]], "via: 1.1 squid"),
        ([["via", "1.1 a"], ["via", "1.1 b"]], "via: 1.1 a, 1.1 b"),
        ([["cf-ray", "8f2a-FRA"]], "cf-ray"),
        ([["x-cache", "MISS"], ["via", "1.1 varnish"]], "via: 1.1 varnish, x-cache"),
    ],
)
def test_headers_of_proxies_are_named(sent, told):
    assert proxies(sent) == told
