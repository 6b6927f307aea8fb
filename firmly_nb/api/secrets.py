"""The one type for secrets, and the one function that takes them out of what leaves the process.

Card data, tokens, app id, ``encrypted_card``, ``payment_handle``, ``handle``, ``session.cookies``
and the captcha token never reach a repr, a log, an exception, a journal, a table or a notebook.
Values that we hold are :class:`Secret`, and pydantic's ``SecretStr`` where a person gives them;
values inside what a server sent are removed by :func:`redact` before anything else sees them.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Generic, TypeAlias, TypeVar

import orjson

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pydantic import SecretStr

    Hidden: TypeAlias = "Secret[str] | SecretStr"

T = TypeVar("T")


__all__ = [
    "REDACTED",
    "Secret",
    "SecretStr",
    "is_app_id_variable",
    "redact",
    "redact_broken_json",
    "redact_text",
    "without_app_id",
]

APP_ID_VARIABLE = "FIRMLY_APP_ID"
REDACTED = "[redacted]"
TOO_DEEP = "[nested too deeply]"
MAX_DEPTH = 64  # firmly's carts are 5 levels deep; Python's own limit lies near 500 here

SECRET_KEYS = frozenset(
    {
        "access_token",
        "app_id",
        "authorization",
        "captcha_token",
        "card_number",
        "cookie",
        "cookies",
        "cvc",
        "cvv",
        "encrypted_card",
        "handle",
        "number_encrypted",
        "payment_handle",
        "payment_token",
        "paypal_token",
        "refresh_token",
        "security_code",
        "set-cookie",
        "verification_value",
        "x-firmly-app-id",
        "x-firmly-authorization",
    }
)
SECRET_NAMES = frozenset(key.replace("-", "").replace("_", "") for key in SECRET_KEYS)
# A catalogue handle ("radiant-tee") is public; an order's or cart's handle is not. They are told
# apart by what stands beside them: products have no cart_id and no order number.
HANDLE_OWNERS = frozenset({"cart_id", "platform_order_number"})

# Digits in groups, and what compact JWE (five parts) and JWT (three) are made of. Each pattern
# takes a whole run at once, so that no text that a server makes up is slow to look through.
DOTTED = re.compile(r"[\w.-]+", re.ASCII)
JSON_BEGIN = "eyJ"  # base64 of {"
TOKEN_MIN = 11
SHORTEST_SECRET = 6
DIGITS = re.compile(r"(?<![\w.])\d+(?:[ -]\d+)*(?!\w)", re.ASCII)
# A field of JSON, as far as a text that is none has them; its value; and what goes on until where.
# A text that was cut may end behind a backslash.
FIELD = re.compile(r'"((?:[^"\\]|\\.){1,80})"\s*:\s*', re.DOTALL)
ESCAPED_FIELD = re.compile(r'(?<!\\)\\+"([^"\\]{1,80})\\+"\s*:')
ESCAPES = re.compile(r'(?<!\\)(\\+)"')
NULL = re.compile(r"null(?=[\s,\]}]|\Z)")
VALUE = re.compile(r'"(?:[^"\\]|\\.)*(?:"|\\?\Z)|[^\s,\[\]{}]+', re.DOTALL)
NESTED = re.compile(r'"(?:[^"\\]|\\.)*(?:"|\\?\Z)|[\[\]{}]', re.DOTALL)
CLOSED_BY = {"[": "]", "{": "}"}
CARD_DIGITS = range(13, 20)
# 3 to 6, and Mastercard's 2. Times in milliseconds begin with 1 until 2033.
CARD_BEGINS = frozenset("23456")
VISA_DIGITS = frozenset({13, 16, 19})
MASTERCARD_DIGITS = 16


class Secret(Generic[T]):
    """A value that is shown nowhere; like pydantic's of this name.

    The recorder's process has this one: pydantic, and what it needs, would take a fourth of the
    time until the first order.

    Examples
    --------
    >>> Secret("4111111111111111"), Secret("abc").get_secret_value()
    (Secret('**********'), 'abc')
    """

    __slots__ = ("_value",)

    def __init__(self, value: T) -> None:
        self._value = value

    def get_secret_value(self) -> T:
        """Return the value."""
        return self._value

    def __repr__(self) -> str:
        """Return it without the value."""
        return "Secret('**********')"

    def __eq__(self, other: object) -> bool:
        """Compare values; pydantic's secrets are equal to those with the same."""
        return isinstance(other, Secret) and self._value == other._value

    def __hash__(self) -> int:
        """Return the hash of the value."""
        return hash(self._value)


def __getattr__(name: str) -> Any:
    """Fetch pydantic's type when it is asked for, since the recorder never does."""
    if name == "SecretStr":
        from pydantic import SecretStr

        return SecretStr
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def is_app_id_variable(name: str) -> bool:
    """Return whether a variable of the environment may hold an app id, by its name.

    Examples
    --------
    >>> is_app_id_variable("FIRMLY_APP_ID_UAT"), is_app_id_variable("AWS_SECRET_ACCESS_KEY")
    (True, False)
    """
    return "_APP_ID_" in f"_{name}_"


def without_app_id(environ: Mapping[str, str]) -> dict[str, str]:
    """Return an environment for a child process that has no use for an app id.

    Examples
    --------
    >>> without_app_id({"HOME": "/home/ada", "FIRMLY_APP_ID": "1234-abcd"})
    {'HOME': '/home/ada'}
    """
    return {name: value for name, value in environ.items() if not is_app_id_variable(name)}


def _redact_tokens(match: re.Match[str]) -> str:
    """Take tokens out of a run of dotted parts: one that begins as JSON, and two to four more."""
    parts, kept = match[0].split("."), []
    index = 0
    while index < len(parts):
        begin = parts[index].find(JSON_BEGIN)
        is_token = 0 <= begin <= len(parts[index]) - TOKEN_MIN and index + 2 < len(parts)
        kept.append(parts[index][:begin] + REDACTED if is_token else parts[index])
        index += 5 if is_token else 1
    return ".".join(kept)


def _is_card_number(digits: str) -> bool:
    if len(digits) not in CARD_DIGITS or digits[0] not in CARD_BEGINS:
        return False
    # Shops number their variants with as many digits as no Visa and no Mastercard has.
    if digits[0] == "4" and len(digits) not in VISA_DIGITS:
        return False
    if "51" <= digits[:2] <= "55" and len(digits) != MASTERCARD_DIGITS:
        return False
    doubled = [
        d if i % 2 == 0 else (d * 2 - 9 if d > 4 else d * 2)
        for i, d in enumerate(map(int, digits[::-1]))
    ]
    return sum(doubled) % 10 == 0


def _redact_digits(match: re.Match[str]) -> str:
    """Take out whatever is a card number among groups of digits, wherever it begins."""
    text = match[0]
    if len(text) < CARD_DIGITS.start:
        return text
    parts = re.split(r"([ -])", text)
    groups, begin = parts[::2], 0
    while begin < len(groups):
        length = _card_at(groups, begin)
        if length:
            parts[2 * begin : 2 * (begin + length) - 1] = [REDACTED, *[""] * (2 * length - 2)]
        begin += length or 1
    return "".join(parts)


def _card_at(groups: list[str], begin: int) -> int:
    """Return how many groups make a card number from here; 0 if none do."""
    digits = ""
    for count, group in enumerate(groups[begin : begin + CARD_DIGITS.stop], start=1):
        digits += group
        if len(digits) >= CARD_DIGITS.stop:
            return 0
        if _is_card_number(digits):
            return count
    return 0


def redact_text(text: str, secrets: tuple[str, ...] = ()) -> str:
    """Take tokens, card numbers and the given secrets out of a text.

    Examples
    --------
    >>> redact_text("card 4111 1111 1111 1111 declined, order 100004711")
    'card [redacted] declined, order 100004711'
    >>> redact_text("app id 1234-abcd is unknown", ("1234-abcd",))
    'app id [redacted] is unknown'
    """
    for secret in secrets:
        # A shorter one is found in every other word: "item-added" has no secret for having a "t".
        if len(secret) >= SHORTEST_SECRET:
            text = text.replace(secret, REDACTED)
    if JSON_BEGIN in text:
        text = DOTTED.sub(_redact_tokens, text)
    return DIGITS.sub(_redact_digits, text)


def redact_broken_json(text: str, secrets: tuple[str, ...] = ()) -> str:
    """Take secrets out of a text that ought to be JSON, its secret fields with them.

    What is cut off or holds a NaN is no JSON, and has the same fields.

    Examples
    --------
    >>> redact_broken_json('{"total": NaN, "payment_handle": "ab|cd", "session": {"cookies": ["a')
    '{"total": NaN, "payment_handle": "[redacted]", "session": {"cookies": "[redacted]"'
    """
    owns_handle = any(f'"{owner}"' in text for owner in HANDLE_OWNERS)
    return redact_text(
        replace_fields(text, lambda name: _is_secret(name, owns_handle), REDACTED), secrets
    )


def replace_fields(text: str, is_replaced: Callable[[str], bool], replacement: str) -> str:
    r"""Replace the values of some fields in a text of JSON that may be cut off or damaged.

    A text of JSON may be the value of another one, its quotes escaped; where such a field is
    found, the text is unescaped.

    Parameters
    ----------
    text
        The text; a field is a quoted name and a colon.
    is_replaced
        Whether the value of a field of that name is replaced.
    replacement
        What stands there afterwards, in quotes.

    Examples
    --------
    >>> replace_fields('{"a": [1, {"b": "x', "b".__eq__, "?")
    '{"a": [1, {"b": "?"'
    >>> replace_fields(r'{"a": "{\"b\": 1', "b".__eq__, "?")
    '{"a": "{"b": "?"'
    """
    while any(is_replaced(match[1]) for match in ESCAPED_FIELD.finditer(text)):
        text = ESCAPES.sub(lambda match: "\\" * (len(match[1]) // 2) + '"', text)
    kept, position = [], 0
    while match := FIELD.search(text, position):
        kept.append(text[position : match.end()])
        position = match.end()
        if is_replaced(_unescaped(match[1])) and not NULL.match(text, position):
            kept.append(f'"{replacement}"')
            position = _end_of_value(text, position)
    return "".join([*kept, text[position:]])


def _unescaped(name: str) -> str:
    try:
        return str(orjson.loads(f'"{name}"')) if "\\" in name else name
    except orjson.JSONDecodeError:
        return name


def _end_of_value(text: str, begin: int) -> int:
    """Return where the value that begins here ends; one without an end goes on to the last."""
    if text[begin : begin + 1] not in CLOSED_BY:
        match = VALUE.match(text, begin)
        return match.end() if match else begin
    awaited: list[str] = []
    for part in NESTED.finditer(text, begin):
        if part[0] in CLOSED_BY:
            awaited.append(CLOSED_BY[part[0]])
        # One that closes something else is as broken as the rest, and ends nothing.
        elif part[0] == awaited[-1]:
            awaited.pop()
            if not awaited:
                return part.end()
    return len(text)


def redact(value: Any, secrets: tuple[str, ...] = (), depth: int = MAX_DEPTH) -> Any:
    """Return a JSON value with every secret field and secret-looking text replaced.

    Parameters
    ----------
    value
        Anything that JSON can hold.
    secrets
        Further texts that must not get out (a token, a card number, a CVV).
    depth
        How many levels are looked into; what lies deeper is replaced whole.

    Examples
    --------
    >>> redact({"cart_id": "c1", "payment_handle": "ab|cd", "session": {"cookies": ["sid=1"]}})
    {'cart_id': 'c1', 'payment_handle': '[redacted]', 'session': {'cookies': '[redacted]'}}
    """
    if isinstance(value, str):
        # A text may be JSON itself, with fields of its own.
        return redact_broken_json(value, secrets) if '"' in value else redact_text(value, secrets)
    if isinstance(value, int) and _is_card_number(str(value)):
        return REDACTED
    if not isinstance(value, (list, dict)):
        return value
    if depth <= 0:
        return TOO_DEEP
    if isinstance(value, list):
        return [redact(item, secrets, depth - 1) for item in value]
    owns_handle = not HANDLE_OWNERS.isdisjoint(value)
    return {
        redact_text(key, secrets): REDACTED
        if item is not None and _is_secret(key, owns_handle)
        else redact(item, secrets, depth - 1)
        for key, item in value.items()
    }


def _is_secret(key: str, owns_handle: bool) -> bool:
    return _is_secret_name(key) and (owns_handle or key.lower() != "handle")


@lru_cache(maxsize=4096)
def _is_secret_name(key: str) -> bool:
    """Return whether a field has a secret's name in any spelling: app_id, appId, App-Id."""
    return key.lower().replace("-", "").replace("_", "") in SECRET_NAMES


def decode(raw: bytes, secrets: tuple[str, ...]) -> Any:
    """Decode JSON and take the secrets out; the same as ``redact(orjson.loads(raw), secrets)``.

    In a fraction of the time: while the recorder takes secrets out of each text of a cart it does
    not read. Most texts are clean, and a look at the whole of the JSON tells.

    Raises
    ------
    orjson.JSONDecodeError
        If it is no JSON.

    Examples
    --------
    >>> decode(b'{"payment_handle": "ab|cd", "card": "4111 1111 1111 1111"}', ())
    {'payment_handle': '[redacted]', 'card': '[redacted]'}
    """
    value = orjson.loads(raw)
    text = raw.decode()
    # An escape can hide what the look is for.
    if "\\" in text or redact_text(text, secrets) != text:
        return redact(value, secrets)
    return _without_secret_fields(value, MAX_DEPTH)


def _without_secret_fields(value: Any, depth: int) -> Any:
    """Replace secret fields in place: nobody else has seen the value yet."""
    if not isinstance(value, (list, dict)):
        return value
    if depth <= 0:
        return TOO_DEEP
    if isinstance(value, list):
        for index, item in enumerate(value):
            if isinstance(item, (list, dict)):
                value[index] = _without_secret_fields(item, depth - 1)
        return value
    owns_handle = not HANDLE_OWNERS.isdisjoint(value)
    for key, item in value.items():
        if item is None:
            continue
        if _is_secret(key, owns_handle):
            value[key] = REDACTED
        elif isinstance(item, (list, dict)):
            value[key] = _without_secret_fields(item, depth - 1)
    return value
