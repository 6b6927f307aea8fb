"""No planted secret survives, however deep or in whatever company; what is public stays."""

from __future__ import annotations

import copy

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmly_nb.api.models import TEST_CARDS
from firmly_nb.api.secrets import (
    HANDLE_OWNERS,
    MAX_DEPTH,
    PERSONAL_KEYS,
    REDACTED,
    SECRET_KEYS,
    SecretStr,
    mask_personal,
    redact,
    redact_broken_json,
    redact_text,
)

PLANTED = "planted-Zq7kP0vX"
JWT = "eyJhbGciOiJSUzI1NiJ9.eyJkZXZpY2VfaWQiOiJkIn0.c2lnbmF0dXJl"
JWE = "eyJhbGciOiJSU0EtT0FFUC0yNTYifQ.a-b.c_d.ZWU.ZmY"
CARDS = sorted(set(TEST_CARDS.values()))

leaves = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
keys = st.text(max_size=8) | st.sampled_from(sorted(SECRET_KEYS | PERSONAL_KEYS | HANDLE_OWNERS))


def trees(leaf):
    return st.recursive(
        leaf,
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=4),
        max_leaves=10,
    )


def grouped(number: str, separator: str) -> str:
    return separator.join(number[i : i + 4] for i in range(0, len(number), 4))


cards = st.builds(grouped, st.sampled_from(CARDS), st.sampled_from(["", " ", "-"]))
borders = st.sampled_from(["", " ", "card ", "(", '"', "=", ": ", "-", "\n", "1 ", "12 2030 ", "/"])
ends = st.sampled_from(["", " ", ".", ",", ")", '"', "\n", "-", " 123", " 12/30", "/"])
hidden_cards = st.tuples(borders, cards, ends)


def texts_of(value):
    if isinstance(value, dict):
        for key, item in value.items():
            yield key
            yield from texts_of(item)
    elif isinstance(value, list):
        for item in value:
            yield from texts_of(item)
    else:
        yield str(value)


@given(trees(leaves | st.builds("{}{}{}".format, st.text(), st.just(PLANTED), st.text())))
def test_a_known_secret_survives_nowhere(tree):
    clean = redact(tree, (PLANTED,))
    assert not any(PLANTED in text for text in texts_of(clean))


@given(st.dictionaries(st.builds("{}{}".format, st.text(), st.just(PLANTED)), leaves, min_size=1))
def test_a_known_secret_survives_as_no_key(tree):
    assert not any(PLANTED in text for text in texts_of(redact(tree, (PLANTED,))))


@given(trees(st.sampled_from([JWT, JWE, f"Bearer {JWT}", f"token={JWE};", f"x{JWT}"])))
def test_no_token_survives(tree):
    shown = orjson.dumps(redact(tree), option=orjson.OPT_NON_STR_KEYS)
    assert b"eyJ" not in shown


@given(hidden_cards)
def test_no_card_number_survives_in_a_text(parts):
    before, card, after = parts
    assert card not in redact_text(f"{before}{card}{after}")


@given(trees(hidden_cards.map("".join) | st.sampled_from(CARDS).map(int)))
def test_no_card_number_survives_in_json(tree):
    for text in texts_of(redact(tree)):
        digits = "".join(c for c in text if c.isdigit())
        assert not any(card in digits for card in CARDS)


@pytest.mark.parametrize("key", sorted(SECRET_KEYS - {"handle"}))
def test_a_secret_field_is_taken_out_whatever_it_holds(key):
    for name in (key, key.upper(), key.title()):
        for value in ("x", 5, [1], {"a": 1}, False):
            assert redact({"a": [{name: value}]}) == {"a": [{name: REDACTED}]}
        assert redact({name: None}) == {name: None}


def test_a_handle_is_secret_where_it_is_a_carts():
    product = {"handle": "radiant-tee", "title": "Radiant Tee"}
    assert redact(product) == product
    for owner in HANDLE_OWNERS:
        assert redact({owner: "1", "handle": "x"}) == {owner: "1", "handle": REDACTED}


@pytest.mark.parametrize(
    "text",
    [
        "order 100004711",
        "at 1790000000000 ms",
        "2026-11-23 12:39:28",
        "WS12-XS-Orange",
        "4111111111111112",  # no card: the check digit is wrong
        "0.4111111111111111",
        "cc0e0c4b-4111-1111-9111-1111aa111111",
        "eyJ is how tokens begin",
        "hey.you",
    ],
)
def test_what_is_no_secret_stays(text):
    assert redact_text(text) == text
    assert redact({"a": [text]}) == {"a": [text]}


@pytest.mark.parametrize("number", [0, -1, 4699, 1790000000000, 2**63, True, 1.5, None])
def test_other_values_stay(number):
    assert redact([number]) == [number]


@given(trees(leaves))
def test_the_value_itself_is_left_alone(tree):
    before = copy.deepcopy(tree)
    redact(tree, ("a",))
    mask_personal(tree)
    assert tree == before


@given(trees(leaves))
def test_redacting_again_changes_nothing(tree):
    once = redact(tree)
    assert redact(once) == once


def nested(depth, leaf):
    value = leaf
    for _ in range(depth):
        value = [value]
    return value


def test_what_lies_too_deep_is_replaced_whole():
    assert PLANTED in str(redact(nested(MAX_DEPTH - 1, PLANTED)))
    deep = redact(nested(MAX_DEPTH + 1, {"token": PLANTED}))
    assert PLANTED not in str(deep)
    assert "nested too deeply" in str(deep)


def test_a_text_made_to_be_slow_is_not():
    """Long runs of what a secret may begin with once made the search start over at each place."""
    for text in ("1 " * 500_000 + "x", "1" * 1_000_000 + "x", "1-" * 500_000, "eyJ" * 300_000):
        assert len(redact_text(text)) == len(text)


@given(trees(leaves))
def test_personal_data_is_masked_and_nothing_else(tree):
    def check(before, after):
        if isinstance(before, dict):
            assert before.keys() == after.keys()
            for key, value in before.items():
                if key in PERSONAL_KEYS and value:
                    assert after[key] == "***"
                else:
                    check(value, after[key])
        elif isinstance(before, list):
            for one, other in zip(before, after, strict=True):
                check(one, other)
        else:
            assert before == after

    check(tree, mask_personal(tree))


def test_a_secret_shows_itself_nowhere():
    secret = SecretStr(PLANTED)
    assert PLANTED not in f"{secret} {secret!r} {[secret]} { ({'a': secret}) }"


@pytest.mark.parametrize("name", ["accessToken", "Access-Token", "ACCESS_TOKEN", "xFirmlyAppId"])
def test_a_secret_field_is_found_however_its_name_is_spelled(name):
    assert redact({name: "x"}) == {name: REDACTED}
    assert redact_broken_json(f'{{"{name}": "x", NaN') == f'{{"{name}": "{REDACTED}", NaN'


@given(
    st.sampled_from(sorted(SECRET_KEYS - {"handle"})),
    st.sampled_from(['"{}"', '["a","{}"]', '{{"a":["{}","]"]}}', '"{}', '["{}"', '"\\"{}"', "{}"]),
    st.sampled_from(["", ", NaN}", "}", "]]", ',"a":1e400}', " \ud800"]),
    st.sampled_from(["", '{"a":', '[1,{"b":"\\\\","c":[', "garbage "]),
)
def test_a_secret_field_is_taken_out_of_what_is_no_json(key, value, after, before):
    """An event with a NaN was kept as a text, and whatever was in its fields with it."""
    text = f'{before}"{key}" : {value.format(PLANTED)}{after}'
    assert PLANTED not in redact_broken_json(text)


def test_what_is_no_json_and_holds_no_secret_stays():
    for text in ("<html>", '{"total": NaN, "sku": "a', "", '"', "\\", '{"handle": "tee",'):
        assert redact_broken_json(text) == text
    assert redact_broken_json('{"cart_id": 1, "handle": "x",') == (
        f'{{"cart_id": 1, "handle": "{REDACTED}",'
    )


@pytest.mark.parametrize("number", ["42487642161375", "45678901234567", "51234567890127"])
def test_the_number_of_a_variant_is_no_card(number):
    """Large shops number variants with 14 digits; one in ten of those was taken for a card."""
    for value in (number, int(number), f"gid://shop/Variant/{number}"):
        assert redact({"variant_id": value}) == {"variant_id": value}


@pytest.mark.parametrize(
    "number",
    ["4222222222222", "30569309025904", "378282246310005", "36227206271667", "2223003122003222",
     "5555555555554444", "6011111111111117", "3566002020360505", "4000000000000000006",
     "6759649826438453", "6205500000000000004"],
)  # fmt: skip
def test_a_card_of_every_network_is_one(number):
    """Visa (13, 16, 19 digits), Diners, Amex, Mastercard, Discover, JCB, Maestro, UnionPay."""
    assert redact_text(f"card {number}") == f"card {REDACTED}"
