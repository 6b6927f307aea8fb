"""The one type for secrets, and the one function that takes them out of what leaves the process.

Card data, tokens, app id, ``encrypted_card``, ``payment_handle``, ``handle``, ``session.cookies``
and the captcha token never reach a repr, a log, an exception, a journal, a table or a notebook
(design.md, section 9). Values that we hold are ``SecretStr``; values inside what a server sent are
removed by :func:`redact` before anything else sees them.
"""

from __future__ import annotations

import re
from typing import Any

from pydantic import SecretStr

__all__ = ["REDACTED", "SecretStr", "mask_personal", "redact", "redact_text"]

REDACTED = "[redacted]"
TOO_DEEP = "[nested too deeply]"
MAX_DEPTH = 64  # firmly's carts are 5 levels deep; Python's own limit lies near 500 here

SECRET_KEYS = frozenset(
    {
        "access_token",
        "app_id",
        "authorization",
        "captcha_token",
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
        "set-cookie",
        "verification_value",
        "x-firmly-app-id",
        "x-firmly-authorization",
    }
)
# A catalogue handle ("radiant-tee") is public; an order's or cart's handle is not. They are told
# apart by what stands beside them: products have no cart_id and no order number.
HANDLE_OWNERS = frozenset({"cart_id", "platform_order_number"})
PERSONAL_KEYS = frozenset(
    {
        "address1",
        "address2",
        "address_line_1",
        "address_line_2",
        "card_holder_name",
        "company",
        "email",
        "first_name",
        "last_name",
        "phone",
    }
)

# Digits in groups, and what compact JWE (five parts) and JWT (three) are made of. Each pattern
# takes a whole run at once, so that no text that a server makes up is slow to look through.
DOTTED = re.compile(r"[\w.-]+", re.ASCII)
JSON_BEGIN = "eyJ"  # base64 of {"
TOKEN_MIN = 11
DIGITS = re.compile(r"(?<![\w.])\d+(?:[ -]\d+)*(?!\w)", re.ASCII)
CARD_DIGITS = range(13, 20)
# 3 to 6, and Mastercard's 2. Times in milliseconds begin with 1 until 2033.
CARD_BEGINS = frozenset("23456")


def _redact_tokens(match: re.Match[str]) -> str:
    """Take tokens out of a run of dotted parts: one that begins as JSON, and two to four more."""
    parts, kept = match[0].split("."), []
    place = 0
    while place < len(parts):
        begin = parts[place].find(JSON_BEGIN)
        is_token = 0 <= begin <= len(parts[place]) - TOKEN_MIN and place + 2 < len(parts)
        kept.append(parts[place][:begin] + REDACTED if is_token else parts[place])
        place += 5 if is_token else 1
    return ".".join(kept)


def _is_card_number(digits: str) -> bool:
    if len(digits) not in CARD_DIGITS or digits[0] not in CARD_BEGINS:
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
        if secret:
            text = text.replace(secret, REDACTED)
    if JSON_BEGIN in text:
        text = DOTTED.sub(_redact_tokens, text)
    return DIGITS.sub(_redact_digits, text)


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
        return redact_text(value, secrets)
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
    name = key.lower()
    return name in SECRET_KEYS and (name != "handle" or owns_handle)


def mask_personal(value: Any) -> Any:
    """Return a JSON value with names, street, e-mail, telephone and company masked.

    City, state, country and postal code stay: prices depend on them.

    Examples
    --------
    >>> mask_personal({"first_name": "Ada", "city": "Seattle"})
    {'first_name': '***', 'city': 'Seattle'}
    """
    if isinstance(value, list):
        return [mask_personal(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        key: "***" if key in PERSONAL_KEYS and item else mask_personal(item)
        for key, item in value.items()
    }
