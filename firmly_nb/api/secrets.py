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

# Compact JWE (five parts) and JWT (three), and digits in card length, spaced or not.
TOKEN = re.compile(r"\beyJ[\w-]{8,}(?:\.[\w-]*){2,4}")
CARD_NUMBER = re.compile(r"(?<![\w.-])\d(?:[ -]?\d){12,18}(?![\w-])")


def _is_card_number(text: str) -> bool:
    digits = [int(c) for c in text if c.isdigit()]
    doubled = [
        d if i % 2 == 0 else (d * 2 - 9 if d > 4 else d * 2) for i, d in enumerate(digits[::-1])
    ]
    return sum(doubled) % 10 == 0


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
    text = TOKEN.sub(REDACTED, text)
    return CARD_NUMBER.sub(lambda m: REDACTED if _is_card_number(m[0]) else m[0], text)


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
