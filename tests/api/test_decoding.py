"""Decoding an event is redacting it, only faster: nothing that ``redact`` takes out may stay in."""

from __future__ import annotations

import json
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmly_nb.api.secrets import SECRET_KEYS, decode, redact

SECRET = "tok-ü/7f3a"
CARD = "4111111111111111"
TOKEN = "eyJhbGciOiJ.eyJzdWIiOiIx.c2lnbmF0dXJl"
PIECES = [CARD, "4111 1111 1111 1111", TOKEN, SECRET, "39418834485325", "Ünï", '"', "\\", "/"]

texts = st.text(max_size=8) | st.lists(st.sampled_from([*PIECES, " ", "-", "a", "1"])).map("".join)
keys = texts | st.sampled_from([*SECRET_KEYS, "Cookie", "coo\u212aie", "cart_id", "title"])
values = st.recursive(
    st.none()
    | st.booleans()
    | texts
    | st.sampled_from([int(CARD), -int(CARD), 4.5, 12])
    # What JSON carries exactly.
    | st.integers(-(2**63), 2**64 - 1),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=5),
    max_leaves=20,
)


@given(values, st.booleans(), st.sampled_from([None, 2]))
def test_decoding_is_redacting(value: Any, ascii_only: bool, indent: int | None) -> None:
    raw = json.dumps(value, ensure_ascii=ascii_only, indent=indent).encode("utf-8", "replace")
    assert decode(raw, (SECRET,)) == redact(orjson.loads(raw), (SECRET,))


@pytest.mark.parametrize("levels", [3, 62, 63, 64, 65, 70])
@pytest.mark.parametrize("kind", ["list", "dict"])
def test_what_is_nested_too_deeply_goes_in_both(levels: int, kind: str) -> None:
    value: Any = "leaf"
    for _ in range(levels):
        value = [value] if kind == "list" else {"a": value}
    raw = orjson.dumps(value)
    assert decode(raw, ()) == redact(value)


def test_a_card_number_hidden_by_an_escape_is_found() -> None:
    assert decode(rb'{"note": "\u0034111111111111111"}', ()) == {"note": "[redacted]"}


def test_a_secret_name_hidden_by_an_escape_is_found() -> None:
    assert decode(rb'{"\u0063ookie": "sid=1"}', ()) == {"cookie": "[redacted]"}


def test_text_that_is_no_json_is_an_error() -> None:
    with pytest.raises(orjson.JSONDecodeError):
        decode(b"[DONE]", ())


@pytest.mark.parametrize("value", [5, "text", None, True, 1.5, [], {}])
def test_json_need_not_be_an_object(value: Any) -> None:
    assert decode(orjson.dumps(value), (SECRET,)) == value


def test_a_secret_field_that_holds_nothing_says_so() -> None:
    value = {"cookie": None, "cvv": "", "cart_id": None, "handle": None, "x": [{"cvc": None}]}
    assert decode(orjson.dumps(value), ()) == redact(value) == {**value, "cvv": "[redacted]"}


def test_a_handle_is_secret_beside_its_owner_only() -> None:
    shop = {"handle": "tee", "x": [{"cart_id": "c", "handle": "h", "y": {"handle": "tee"}}]}
    clean = {"cart_id": "c", "handle": "[redacted]", "y": {"handle": "tee"}}
    assert decode(orjson.dumps(shop), ()) == {"handle": "tee", "x": [clean]}
