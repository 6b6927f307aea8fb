"""No planted secret survives, however deep or in whatever company; what is public stays."""

from __future__ import annotations

import copy

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firmly_nb.api import personal, secrets
from firmly_nb.api.models import TEST_CARDS
from firmly_nb.api.personal import mask_personal
from firmly_nb.api.secrets import (
    MAX_DEPTH,
    REDACTED,
    SecretStr,
    redact,
    redact_broken_json,
    redact_text,
    without_app_id,
)

PLANTED = "planted-Zq7kP0vX"
JWT = "eyJhbGciOiJSUzI1NiJ9.eyJkZXZpY2VfaWQiOiJkIn0.c2lnbmF0dXJl"
JWE = "eyJhbGciOiJSU0EtT0FFUC0yNTYifQ.a-b.c_d.ZWU.ZmY"
CARDS = sorted(set(TEST_CARDS.values()))
# Written out: a name that is lost from the product's own lists must not take its test with it.
SECRET_KEYS = frozenset(
    ["access_token", "app_id", "authorization", "captcha_token", "card_number", "cookie", "cookies",
     "cvc", "cvv", "encrypted_card", "handle", "number_encrypted", "payment_handle",
     "payment_token", "paypal_token", "refresh_token", "security_code", "set-cookie",
     "verification_value", "x-firmly-app-id", "x-firmly-authorization"]
)  # fmt: skip
PERSONAL_KEYS = frozenset(
    ["address1", "address2", "address3", "address_line_1", "address_line_2", "address_line_3",
     "card_holder", "card_holder_name", "company", "company_name", "customer_name", "email",
     "email_address", "family_name", "first_name", "full_name", "given_name", "last_name",
     "middle_name", "mobile", "name_on_card", "phone", "phone_number", "recipient",
     "recipient_name", "street", "street1", "street2", "street_address", "surname", "telephone"]
)  # fmt: skip
HANDLE_OWNERS = frozenset({"cart_id", "platform_order_number"})

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


def test_the_names_of_secrets_and_of_personal_data_are_these():
    assert secrets.SECRET_KEYS == SECRET_KEYS
    assert personal.PERSONAL_KEYS == PERSONAL_KEYS
    assert secrets.HANDLE_OWNERS == HANDLE_OWNERS


@pytest.mark.parametrize("key", sorted(SECRET_KEYS - {"handle"}))
def test_a_secret_field_is_taken_out_whatever_it_holds(key):
    for name in (key, key.upper(), key.title()):
        for value in ("x", 5, [1], {"a": 1}, False):
            assert redact({"a": [{name: value}]}) == {"a": [{name: REDACTED}]}
        assert redact({name: None}) == {name: None}


def test_a_handle_is_secret_where_it_is_a_carts():
    for name in ("handle", "Handle", "HANDLE"):
        product = {name: "radiant-tee", "title": "Radiant Tee"}
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


def luhn(digits: str) -> bool:
    """ISO/IEC 7812-1, annex B."""
    table = (0, 2, 4, 6, 8, 1, 3, 5, 7, 9)
    doubled, plain = digits[-2::-2], digits[::-2]
    return (sum(table[int(d)] for d in doubled) + sum(map(int, plain))) % 10 == 0


def is_card(digits: str) -> bool:
    """Whether a network has cards with such a number: 13 to 19 digits, by what it begins with."""
    lengths = {"4": (13, 16, 19), **dict.fromkeys(("51", "52", "53", "54", "55"), (16,))}
    possible = lengths.get(digits[:1]) or lengths.get(digits[:2]) or range(13, 20)
    return digits[:1] in set("23456") and len(digits) in possible and luhn(digits)


@pytest.mark.parametrize("begin", [*"0123456789", "50", "51", "52", "53", "54", "55", "56"])
@pytest.mark.parametrize("valid", [True, False])
@settings(max_examples=5)
@given(rest=st.integers(0, 10**21 - 1))
def test_a_number_is_taken_out_if_a_network_has_cards_like_it(begin, valid, rest):
    for length in range(11, 23):
        body = begin + f"{rest:021}"[: length - len(begin) - 1]
        number = body + next(last for last in "0123456789" if luhn(body + last) == valid)
        expected = REDACTED if is_card(number) else number
        assert redact_text(number) == expected
        assert redact_text(f"card {number}, declined") == f"card {expected}, declined"
        if number[0] != "0":
            assert redact(int(number)) == (REDACTED if is_card(number) else int(number))


@pytest.mark.parametrize("groups", [(4, 4, 4, 4), (4, 6, 6), (1,) * 16, (8, 8), (2, 14), (16,)])
@pytest.mark.parametrize("separator", [" ", "-"])
def test_a_card_is_found_however_its_digits_are_grouped(groups, separator):
    parts, at = [], 0
    for size in groups:
        parts.append("4242424242424242"[at : at + size])
        at += size
    number = separator.join(parts)
    for before, after in (("", ""), ("12", "12 30"), ("1-2", "3-4"), ("order 7", "x y")):
        text = f"{before}{separator}{number}{separator}{after}"
        assert redact_text(text) == f"{before}{separator}{REDACTED}{separator}{after}"


def test_two_cards_beside_each_other_both_go_and_what_stands_between_stays():
    one, other = "4242 4242 4242 4242", "5555-5555-5555-4444"
    assert redact_text(f"{one} 7 {other}-8 9") == f"{REDACTED} 7 {REDACTED}-8 9"
    assert redact_text(f"{one} {other}") == f"{REDACTED} {REDACTED}"


@pytest.mark.parametrize("before", ["a", "_", "9.", "A4"])
def test_digits_inside_of_a_word_or_after_a_point_are_no_card(before):
    assert redact_text(f"{before}4242424242424242") == f"{before}4242424242424242"
    assert redact_text("4242424242424242a") == "4242424242424242a"


@pytest.mark.parametrize("separator", ["", "  ", "--", ".", "/", "_", "\n", "\u00a0"])
def test_other_groups_of_digits_are_numbers_of_their_own(separator):
    """Only one space or one hyphen holds the groups of a card together."""
    text = separator.join(["4242", "4242", "4242", "4242"])
    assert redact_text(text) == (text if separator else REDACTED)


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("eyJ45678901.b.c", "[redacted]"),
        ("eyJ4567890.b.c", "eyJ4567890.b.c"),
        ("eyJ45678901.b", "eyJ45678901.b"),
        ("eyJ45678901..", "[redacted]"),
        ("xeyJ45678901.b.c", "x[redacted]"),
        ("xeyJ4567890.b.c", "xeyJ4567890.b.c"),
        ("a.b.eyJ45678901.b.c", "a.b.[redacted]"),
        ("eyJ45678901.b.c.d.e", "[redacted]"),
        ("eyJ45678901.b.c.d.e.f", "[redacted].f"),
        ("eyJ45678901.b.c.d.e.f.eyJ45678901.b.c.d", "[redacted].f.[redacted]"),
        ("eyJ45678901.b.c.d.e.eyJ45678901.b", "[redacted].eyJ45678901.b"),
        ("a eyJ45678901.b-b.c_c b", "a [redacted] b"),
        ("eyJ is how they begin, www.long-name-of-a-shop.test does not", None),
        ("a=eyJ45678901.b.c&b=1", "a=[redacted]&b=1"),
        ("eyJ45678901.b.c\u00fc", "[redacted]\u00fc"),
    ],
)
def test_a_token_is_three_to_five_parts_of_which_the_first_begins_as_json(text, clean):
    """RFC 7515 and 7516: base64url parts with points between; the shortest header is {"a":1}."""
    assert redact_text(text) == (text if clean is None else clean)


def test_a_known_secret_of_six_letters_is_taken_out_and_a_shorter_one_is_left():
    assert redact_text("abcdef abcde", ("abcdef",)) == f"{REDACTED} abcde"
    assert redact_text("abcdef abcde", ("abcde",)) == "abcdef abcde"
    assert redact_text("one-secret two-secret", ("no", "one-secret", "two-secret")) == (
        f"{REDACTED} {REDACTED}"
    )


def test_a_negative_number_and_a_truth_value_are_no_card():
    assert redact([-4242424242424242, True, False]) == [-4242424242424242, True, False]


def test_a_fields_own_name_can_hold_a_secret():
    assert redact({"4242 4242 4242 4242": 1}) == {REDACTED: 1}
    assert redact({PLANTED: {PLANTED: 1}}, (PLANTED,)) == {REDACTED: {REDACTED: 1}}


@pytest.mark.parametrize("owner", sorted(HANDLE_OWNERS))
def test_only_a_handle_beside_its_owner_is_secret(owner):
    shop = {"products": [{"handle": "tee"}], owner: "1", "Handle": "x"}
    assert redact(shop) == {**shop, "Handle": REDACTED}
    assert redact_broken_json(f'{{"{owner}": 1, "HANDLE": "x", NaN') == (
        f'{{"{owner}": 1, "HANDLE": "{REDACTED}", NaN'
    )
    assert redact_broken_json(f'{{"x": "{owner}", "handle": "x", NaN') == (
        f'{{"x": "{owner}", "handle": "{REDACTED}", NaN'
    )
    assert redact_broken_json(f'{{"my_{owner}": 1, "handle": "x", NaN') == (
        f'{{"my_{owner}": 1, "handle": "x", NaN'
    )


def test_a_child_process_gets_everything_but_the_app_id():
    environ = {"FIRMLY_APP_ID": PLANTED, "FIRMLY_APP_IDS": "1", "PATH": "/bin", "EMPTY": ""}
    assert without_app_id(environ) == {"FIRMLY_APP_IDS": "1", "PATH": "/bin", "EMPTY": ""}
    assert environ["FIRMLY_APP_ID"] == PLANTED


@pytest.mark.parametrize("levels", [MAX_DEPTH - 1, MAX_DEPTH, MAX_DEPTH + 1])
@pytest.mark.parametrize("wrap", [lambda inner: [inner], lambda inner: {"a": inner}])
def test_sixty_four_levels_are_looked_into(levels, wrap):
    assert MAX_DEPTH == 64
    value = "4242424242424242"
    for _ in range(levels):
        value = wrap(value)
    shown = str(redact(value))
    assert "4242" not in shown
    assert ("nested too deeply" in shown) == (levels > MAX_DEPTH)
    assert (REDACTED in shown) == (levels <= MAX_DEPTH)


plain = st.text(st.sampled_from('ab"\\/[]{}:, \nü'), max_size=8)
# Every secret name, but for those that are one only beside a certain other field.
names = plain.filter(bool) | st.sampled_from([*sorted(SECRET_KEYS - {"handle"}), "appId", "a b"])


@given(
    st.dictionaries(
        names,
        st.recursive(
            st.booleans() | st.integers(-99, 99) | plain,
            lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
            max_leaves=8,
        ),
        max_size=4,
    ),
    st.sampled_from([None, orjson.OPT_INDENT_2]),
)
def test_json_that_is_not_broken_is_cleaned_to_the_same(tree, option):
    """The way for what cannot be decoded, held against the one for what can."""
    text = orjson.dumps(tree, option=option).decode()
    assert orjson.loads(redact_broken_json(text)) == redact(tree)


def test_a_name_of_any_length_that_secrets_have_is_read():
    for name in ("c" + "_" * 77 + "vv", "c" + "_" * 76 + "vv"):
        assert redact_broken_json(f'{{"{name}":"x", NaN') == f'{{"{name}":"{REDACTED}", NaN'


@pytest.mark.parametrize("key", sorted(PERSONAL_KEYS))
def test_personal_data_is_masked_wherever_it_stands(key):
    assert mask_personal([{"a": {key: "x", "city": "y"}}]) == [{"a": {key: "***", "city": "y"}}]
    assert mask_personal({key: ["x"]}) == {key: "***"}
    for nothing in (None, "", [], {}, 0):
        assert mask_personal({key: nothing}) == {key: nothing}


@pytest.mark.parametrize("end", [" ", ",", "]", "}", "[", "{", "\n", "\t", "\r\n", ""])
@pytest.mark.parametrize("value", ["123", "true", "abc", "-1.5e3", "NaN", "a.b|c"])
def test_a_secret_without_quotes_ends_where_a_value_can(value, end):
    rest = f"{end}rest" if end else ""
    assert redact_broken_json(f'"cvv": {value}{rest}') == f'"cvv": "{REDACTED}"{rest}'


@pytest.mark.parametrize(
    "value",
    ['"a\\\n{}"', '"a\\\n{}', '"\n{}"', '["a\\\n","{}"]', '{{"]": "{}"}}', '["}}", "{}"]', '"{}\\'],
)
def test_a_secret_with_what_json_allows_in_no_text_is_taken_out_whole(value):
    """A line break behind a backslash, for one, is no JSON; it must not end the search."""
    assert redact_broken_json(f'{{"cookie": {value.format(PLANTED)}') == (
        f'{{"cookie": "{REDACTED}"'
    )


marks = st.sampled_from([PLANTED, "\\", '"', "]", "}", "[", "{", ",", ":", " ", "\n"])
odd = st.lists(marks).map("".join)


@given(
    st.sampled_from(["cookie", "payment_handle", "cvv"]),
    st.recursive(
        odd,
        lambda inner: st.lists(inner, max_size=2) | st.dictionaries(odd, inner, max_size=2),
        max_leaves=4,
    ),
)
def test_a_secret_is_taken_out_wherever_the_text_is_cut(key, value):
    """Behind a backslash a text had no end, and the rest of the secret stayed."""
    text = orjson.dumps({key: value}).decode()
    for cut in range(len(text)):
        assert "planted" not in redact_broken_json(text[:cut])


@pytest.mark.parametrize(
    "value",
    ['["a"}}, "{}"]', '[{{"a": 1], "{}"}}', '{{"a": [1}}, "{}"]}}', '[[1]}}, "{}"]', '{{]"{}"}}'],
)
def test_a_bracket_that_closes_another_one_ends_no_secret(value):
    cleaned = redact_broken_json(f'{{"cookie": {value.format(PLANTED)}, "b": 1}}')
    assert cleaned.startswith(f'{{"cookie": "{REDACTED}"')
    assert PLANTED not in cleaned


@pytest.mark.parametrize("between", ["", " ", "\n", "  \t\r\n "])
def test_a_name_and_its_value_may_stand_apart(between):
    text = f'{{"cookie"{between}:{between}"{PLANTED}", NaN'
    assert redact_broken_json(text) == f'{{"cookie"{between}:{between}"{REDACTED}", NaN'


@pytest.mark.parametrize("name", ["c\\u006fokie", "coo\\u006Bie", "\\u0063ookie"])
def test_a_secret_name_written_with_escapes_is_read(name):
    assert redact_broken_json(f'{{"{name}": "x", NaN') == f'{{"{name}": "{REDACTED}", NaN'


def test_a_name_that_cannot_be_read_is_no_secret_and_hides_none():
    text = '{"a\\x": 1, "\\": 2, "cookie": "x", NaN'
    assert redact_broken_json(text) == text.replace('"x"', f'"{REDACTED}"')


def test_letters_and_digits_of_other_scripts_end_a_card_number():
    """A word that goes on in them is not a reason to leave the number in."""
    assert redact_text("\u00fc4242424242424242\u00fc") == f"\u00fc{REDACTED}\u00fc"
    arabic = "".join(chr(0x660 + int(digit)) for digit in "4242424242424242")
    assert redact_text(arabic) == arabic


def test_what_was_left_out_says_so():
    assert redact([[1]], depth=1) == ["[nested too deeply]"]
    assert redact({"a": {}}, depth=1) == {"a": "[nested too deeply]"}
    assert redact({"cvc": 1}) == {"cvc": "[redacted]"}
