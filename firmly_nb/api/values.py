"""Plain values as merchants send them: whole numbers and texts, whatever their type in the JSON."""

from __future__ import annotations

import re
from codecs import BOM_UTF8
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence


INT64_MAX = 2**63 - 1  # what a column of a table holds
EXACT = 2**53  # up to here a float holds every whole number
# Charsets that responses name; the names of other codecs of Python are not looked up.
_CHARSET = re.compile(
    r"charset\s*=\s*[\"']?(utf-?(?:16|32)(?:le|be)?|(?:iso-8859|windows)-\d{1,4}|latin-?1)\b",
    re.IGNORECASE,
)
_WHOLE = re.compile(r"[+-]?\d{1,19}", re.ASCII)


def whole_number(value: object) -> int | None:
    """Read a whole number that a column can hold; None for anything else.

    A float without decimals and a text of digits count. A truth value does not.

    Examples
    --------
    >>> whole_number(7), whole_number("7"), whole_number(7.0)
    (7, 7, 7)
    >>> whole_number(7.5), whole_number(True), whole_number("7.0"), whole_number(2**63)
    (None, None, None, None)
    """
    if isinstance(value, str):
        number = int(value) if _WHOLE.fullmatch(value.strip()) else None
    elif isinstance(value, float):
        number = int(value) if value.is_integer() and abs(value) <= EXACT else None
    else:
        number = value if type(value) is int else None
    return number if number is not None and -INT64_MAX <= number <= INT64_MAX else None


def as_utf8(body: bytes, content_type: str) -> bytes:
    r"""Return the body of a response in UTF-8, as JSON has to be, without a byte order mark.

    A charset in its type counts where the body is not UTF-8 itself: most that are named are wrong.

    Examples
    --------
    >>> as_utf8(b'{"name": "Zo\xeb"}', "application/json; charset=iso-8859-1").decode()
    '{"name": "Zoë"}'
    >>> as_utf8("{}".encode("utf-16"), "application/json; charset=utf-16")
    b'{}'
    """
    body = body.removeprefix(BOM_UTF8)
    if named := _CHARSET.search(content_type):
        try:
            body.decode()
            is_utf8 = b"\0" not in body
        except UnicodeDecodeError:
            is_utf8 = False
        if not is_utf8:
            try:
                return body.decode(named[1]).removeprefix("\ufeff").encode()
            except (LookupError, UnicodeError):
                return body  # it is neither
    return body


def all_whole(values: Sequence[Any]) -> bool:
    """Tell whether every one of the values is an int that a column can hold; False for none.

    Examples
    --------
    >>> all_whole([1, 2]), all_whole([1, None]), all_whole([True]), all_whole([2**63])
    (True, False, False, False)
    """
    if set(map(type, values)) != {int}:
        return False
    return bool(min(values) >= -INT64_MAX and max(values) <= INT64_MAX)


def plain_text(value: object) -> str | None:
    """Read a text, or a whole number as a text; None for anything else.

    Half of a surrogate pair, which no file can store, becomes a question mark.

    Examples
    --------
    >>> plain_text("c1"), plain_text(7), plain_text(True), plain_text(["c1"])
    ('c1', '7', None, None)
    """
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode("utf-8")
    # Of a longer number the JSON reader has kept the first digits only.
    if type(value) is int and value.bit_length() <= 64:
        return str(value)
    return None
