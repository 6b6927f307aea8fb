"""Errors carry the API's names, whichever of its shapes a body has."""

from __future__ import annotations

import json
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmly_nb.api.errors import (
    KINDS,
    FirmlyError,
    PaymentDeclined,
    error_from_body,
    error_from_payload,
    make_error,
)

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize(
    "shape",
    [
        lambda name: {"code": 422, "error": name, "description": "why"},
        lambda name: {"error": name, "message": "why"},
        lambda name: {"error": {"code": 422, "error": name, "description": "why"}},
        lambda name: {"name": name, "description": "why"},
    ],
)
def test_each_shape_gives_the_named_error(name, shape):
    error = error_from_body(422, json.dumps(shape(name)).encode())
    assert type(error) is KINDS[name]
    assert (error.error, error.description, error.http_status) == (name, "why", 422)


def test_the_name_decides_and_not_the_status():
    for status in (200, 402, 422, 500):
        body = b'{"error": "ErrorPaymentDeclined"}'
        assert type(error_from_body(status, body)) is PaymentDeclined


@pytest.mark.parametrize(
    ("body", "description"),
    [
        (b"", "empty body"),
        (b"<h1>502 Bad Gateway</h1>", "<h1>502 Bad Gateway</h1>"),
        (b"\xff\xfe", "\ufffd\ufffd"),
        (b"{", "{"),
    ],
)
def test_a_body_that_is_no_json_is_quoted(body, description):
    error = error_from_body(502, body)
    assert (type(error), error.error, error.description) == (FirmlyError, "HTTP 502", description)


def test_what_is_quoted_is_short():
    assert len(error_from_body(500, b"x" * 100_000).description) == 500
    assert len(error_from_payload({"error": "E" * 9_999}).error) == 500


@given(json_values, st.none() | st.integers(200, 599))
def test_any_json_is_an_error_that_can_be_shown(payload, status):
    error = error_from_payload(payload, status)
    assert isinstance(error.error, str)
    assert isinstance(str(error), str)
    assert error.http_status == status


@given(st.binary(max_size=200), st.integers(200, 599))
def test_any_bytes_are_an_error_that_can_be_shown(body, status):
    assert isinstance(str(error_from_body(status, body)), str)


def test_an_error_says_its_name_its_status_its_words_and_what_to_do():
    error = make_error("ErrorNotEnoughStock", "only 2 left", 409)
    assert str(error) == (
        "ErrorNotEnoughStock (HTTP 409): only 2 left. "
        "Ask for a smaller quantity or another variant."
    )


def test_an_error_without_a_name_says_its_status_once():
    assert str(error_from_body(307, b"")) == "HTTP 307: empty body"


def test_an_error_travels_between_processes():
    error = pickle.loads(pickle.dumps(make_error("ErrorPaymentDeclined", "no", 422)))
    assert (type(error), str(error)) == (
        PaymentDeclined,
        "ErrorPaymentDeclined (HTTP 422): no",
    )


def test_neither_name_nor_words_hold_a_secret():
    token, card = "eyJhbGciOiJIUzI1NiJ9.eyJ4IjoxfQ.sig", "4111 1111 1111 1111"
    for payload in ({"error": token, "message": card}, {"error": card, "message": token}, [token]):
        shown = f"{error_from_payload(payload)!r} {error_from_payload(payload)}"
        assert token not in shown
        assert card not in shown


def test_a_secret_that_shortening_would_cut_is_taken_out_before():
    secret = "planted-secret-0123456789"
    for body in (b"x" * 490 + secret.encode(), json.dumps({"error": "x" * 490 + secret}).encode()):
        error = error_from_body(400, body, (secret,))
        assert secret[:8] not in str(error)
