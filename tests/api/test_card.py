"""The card's way into a JWE, checked with the private key as firmly's side would."""

from __future__ import annotations

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jwcrypto import jwe, jwk

from firmly_nb.api.card import encrypt_card, read_public_key
from firmly_nb.api.errors import FirmlyError
from firmly_nb.api.models import TEST_CARDS, Card

PRIVATE = jwk.JWK.generate(kty="RSA", size=2048)
PUBLIC = {**json.loads(PRIVATE.export_public()), "kid": "body-kid", "use": "enc"}


def decrypt(compact: str) -> dict[str, str]:
    token = jwe.JWE()
    token.deserialize(compact, key=PRIVATE)
    return json.loads(token.payload)


def header(compact: str) -> dict[str, str]:
    part = compact.split(".", maxsplit=1)[0]
    return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))


@given(
    st.sampled_from(sorted(TEST_CARDS)),
    st.text(min_size=1, max_size=40).filter(lambda text: text == text.strip()),
    st.integers(1, 12),
    st.integers(2000, 2099),
)
def test_the_plaintext_is_the_five_documented_texts(kind, name, month, year):
    card = Card.test(kind, name=name, month=f"{month:02}", year=str(year))
    assert decrypt(encrypt_card(card, read_public_key(PUBLIC, None))) == {
        "number": TEST_CARDS[kind],
        "name": name,
        "verification_value": "1234" if kind == "amex" else "123",
        "month": f"{month:02}",
        "year": str(year),
    }


def test_the_header_is_exactly_the_documented_one():
    compact = encrypt_card(Card.test(), read_public_key(PUBLIC, "header-kid"))
    assert header(compact) == {"alg": "RSA-OAEP-256", "enc": "A256GCM", "kid": "header-kid"}
    assert len(compact.split(".")) == 5
    assert "=" not in compact


def test_no_two_encryptions_of_a_card_are_alike():
    key = read_public_key(PUBLIC, None)
    one, other = (encrypt_card(Card.test(), key).split(".") for _ in range(2))
    assert one[0] == other[0]
    assert all(a != b for a, b in zip(one[1:], other[1:], strict=True))


def test_the_header_of_the_answer_wins_over_the_body():
    assert read_public_key(PUBLIC, "header-kid").kid == "header-kid"
    assert read_public_key(PUBLIC, None).kid == "body-kid"


def test_only_public_parts_are_kept():
    private = json.loads(PRIVATE.export_private())
    assert set(read_public_key({**private, "kid": "k"}, None).jwk) == {"kty", "n", "e"}


@pytest.mark.parametrize(
    "body",
    [
        None,
        [],
        "key",
        {},
        {**PUBLIC, "kty": "EC"},
        {**PUBLIC, "n": ""},
        {**PUBLIC, "e": None},
        {**PUBLIC, "use": "sig"},
        {**PUBLIC, "alg": "RSA1_5"},
        {**PUBLIC, "kid": ""},
        {**PUBLIC, "kid": 7},
    ],
)
def test_a_key_that_does_not_fit_is_refused(body):
    with pytest.raises(FirmlyError) as caught:
        read_public_key(body, None)
    assert caught.value.error == "UnusableKey"


@pytest.mark.parametrize("n", ["!!!", "AQAB", "a" * 10, 5, ["x"], {"a": 1}])
def test_a_key_of_which_nothing_can_be_made_is_told(n):
    key = read_public_key({**PUBLIC, "n": n}, None)
    with pytest.raises(FirmlyError) as caught:
        encrypt_card(Card.test(), key)
    assert caught.value.error == "UnusableKey"


@pytest.mark.parametrize("bits", [1024, 2047])
def test_no_card_is_encrypted_with_a_key_that_others_can_break(bits):
    weak = json.loads(jwk.JWK.generate(kty="RSA", size=bits).export_public())
    with pytest.raises(FirmlyError, match=f"{bits} bits, but needs at least 2048") as caught:
        encrypt_card(Card.test(), read_public_key({**weak, "kid": "k"}, None))
    assert caught.value.error == "UnusableKey"


def test_what_a_key_does_not_say_is_taken_for_what_cards_need():
    """``use`` and ``alg`` may be missing or null (RFC 7517, section 4); what is there must fit."""
    bare = {name: value for name, value in PUBLIC.items() if name not in ("use", "alg")}
    assert "alg" not in bare
    for more in (
        *({}, {"use": "enc"}, {"alg": "RSA-OAEP-256"}, {"alg": None}, {"use": None}),
        {"use": None, "alg": None, "key_ops": None, "x5c": None},
    ):
        assert read_public_key(bare | more, None).kid == "body-kid"
    for other in ({"use": "sig"}, {"alg": "RSA-OAEP"}, {"use": ""}, {"alg": ""}):
        with pytest.raises(FirmlyError, match="is not for RSA-OAEP-256"):
            read_public_key(bare | other, None)


@pytest.mark.parametrize("missing", ["kty", "n", "e"])
def test_a_key_without_one_of_its_parts_is_none(missing):
    part = {name: value for name, value in PUBLIC.items() if name != missing}
    with pytest.raises(FirmlyError, match="did not send an RSA public key"):
        read_public_key(part, "k")


def test_a_key_without_an_id_is_not_used():
    bare = {name: value for name, value in PUBLIC.items() if name != "kid"}
    assert read_public_key(bare, "k").kid == "k"
    assert read_public_key(PUBLIC, "").kid == "body-kid"
    with pytest.raises(FirmlyError, match="has no key id"):
        read_public_key(bare, None)
