"""How numbers and names are written; and how a stranger's name is made harmless."""

from __future__ import annotations

import html
import math
import re
import textwrap
import unicodedata
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


THIN_SPACE = "\u202f"
SIGNIFICANT, MOST_DECIMALS = 3, 2
UNKNOWN = "-"
UNIT_SPACE = "\u00a0"  # a number and its unit stay on one line
UNITS = re.compile(r"(?<=\d) (?=ms\b)")
SPACES = re.compile(r"[ \t\r\n\f\v\u2028\u2029]+")
LONGEST_NAME, LONGEST = 48, 1_000  # characters of a name, and of any other text


def number(value: float | None) -> str:
    """Write a measured value without its unit: three digits, and at most two decimals.

    Times in a table, ratios and everything else that was measured have this form.

    Examples
    --------
    >>> [number(value) for value in (5.678, 9.996, 12.34, 99.96, 0.126, None)]
    ['5.68', '10.0', '12.3', '100', '0.13', '-']
    >>> number(1204.31).replace("\u202f", "_")
    '1_204'
    """
    if value is None or math.isnan(value):
        return UNKNOWN
    if math.isinf(value):
        return "∞" if value > 0 else "-∞"
    for decimals in range(MOST_DECIMALS, -1, -1):
        rounded = round(value, decimals)
        # Decided after rounding: 9.996 is 10.0, and not 10.00.
        if abs(rounded) < 10 ** (SIGNIFICANT - decimals):
            break
    return _grouped(f"{rounded + 0.0:,.{decimals}f}")


def duration(value_ms: float | None, signed: bool = False) -> str:
    r"""Write a time with its unit.

    Examples
    --------
    >>> ascii(duration(5.678)), ascii(duration(1204.3)), duration(None)
    ("'5.68\\xa0ms'", "'1\\u202f204\\xa0ms'", '-')
    """
    written = number(value_ms)
    sign = "+" if signed and value_ms is not None and value_ms > 0 else ""
    return written if written == UNKNOWN else f"{sign}{written}{UNIT_SPACE}ms"


def uncertainty(value_us: float) -> str:
    """Write an uncertainty with its unit: in µs, and in ms where it is that large.

    Examples
    --------
    >>> [uncertainty(value).replace("\u00a0", " ") for value in (34.21, 999.7, 2920)]
    ['34.2 µs', '1.00 ms', '2.92 ms']
    """
    if round(value_us) >= 1000:
        return duration(value_us / 1000)
    return f"{number(value_us)}{UNIT_SPACE}µs"


def _grouped(written: str) -> str:
    return written.replace(",", THIN_SPACE)


def milliseconds(value: float | None, digits: int = 1) -> str:
    """Write a time: thin spaces in thousands, a dash where it is not known.

    Examples
    --------
    >>> milliseconds(1204.31).replace("\u202f", "_"), milliseconds(None)
    ('1_204.3', '-')
    """
    if value is None or math.isnan(value):
        return "-"
    return f"{value:,.{digits}f}".replace(",", THIN_SPACE)


def ms(value: float) -> str:
    r"""Write a time with as many digits as matter.

    Examples
    --------
    >>> [ascii(ms(value)) for value in (1204.3, 12.34, 0.123, float("nan"))]
    ["'1\\u202f204\\xa0ms'", "'12.3\\xa0ms'", "'0.12\\xa0ms'", "'-'"]
    """
    if math.isnan(value):
        return "-"
    digits = 0 if abs(value) >= 100 else 1 if abs(value) >= 1 else 2
    return f"{value:,.{digits}f}".replace(",", THIN_SPACE) + f"{UNIT_SPACE}ms"


def between(low: float, high: float) -> str:
    """Write an interval in ms; an open end is said.

    Examples
    --------
    >>> [between(*ends).replace(UNIT_SPACE, " ") for ends in ((100, 120), (100, math.inf))]
    ['100 to 120 ms', '100 ms or more']
    """
    if not math.isfinite(low):
        return f"at most {ms(high)}"
    if not math.isfinite(high):
        return f"{ms(low)} or more"
    return f"{ms(low).removesuffix(UNIT_SPACE + 'ms')} to {ms(high)}"


def percent(share: float) -> str:
    """Write a share.

    Examples
    --------
    >>> [percent(share) for share in (0.965, 1.0, 0.0004)]
    ['96.5%', '100%', '0.04%']
    """
    if math.isnan(share):
        return "-"
    value = share * 100
    digits = 2 if 0 < abs(value) < 0.1 else 0 if value in {0, 100} else 1
    return f"{value:.{digits}f}%"


def count(number: int, noun: str = "", nouns: str = "") -> str:
    """Write a number of things.

    Examples
    --------
    >>> count(1, "order"), count(2, "order"), count(100000).replace("\u202f", "_")
    ('1 order', '2 orders', '100_000')
    """
    written = f"{number:,}".replace(",", THIN_SPACE)
    return f"{written} {noun if number == 1 else nouns or noun + 's'}" if noun else written


def listed(parts: Iterable[str]) -> str:
    """Put words in a row.

    Examples
    --------
    >>> listed(["a", "b", "c"])
    'a, b and c'
    """
    *first, last = list(parts) or [""]
    return f"{', '.join(first)} and {last}" if first else last


def clean(text: object, longest: int = LONGEST_NAME) -> str:
    r"""Make a stranger's text one bounded line: no control characters, no turned direction.

    Examples
    --------
    >>> clean("a\nb\u202ec", 10), clean("x" * 9, 5)
    ('a bc', 'xxxx…')
    """
    spaced = SPACES.sub(" ", str(text)[: longest * 4]).strip()
    line = "".join(c for c in spaced if unicodedata.category(c) not in {"Cc", "Cf", "Cs", "Co"})
    return line if len(line) <= longest else line[: longest - 1] + "…"


def shown(text: object, longest: int = LONGEST_NAME) -> str:
    """Write a stranger's text for Plotly, which reads some HTML, templates and TeX in text.

    Examples
    --------
    >>> shown("<b>5</b> & $x$"), shown("%{x}")
    ('&lt;b&gt;5&lt;/b&gt; &amp; &#36;x&#36;', '&#37;{x}')
    """
    escaped = html.escape(clean(text, longest), quote=False)
    return escaped.replace("$", "&#36;").replace("%{", "&#37;{")


def lines(text: str, width: int) -> list[str]:
    """Break a text into lines and make each harmless for Plotly; units stay with their numbers."""
    together = UNITS.sub(UNIT_SPACE, text)
    return [shown(line, 2 * width) for line in textwrap.wrap(together, width)]


def printable(text: str, longest: int = LONGEST) -> str:
    r"""Return a text without what would steer a terminal or turn the line round, and not endless.

    Examples
    --------
    >>> printable("red\x1b[31m"), printable("a\nb"), printable("mug\u202e")
    ('red·[31m', 'a b', 'mug·')
    >>> printable("a long name", 6)
    'a lon…'
    """
    words = " ".join(text[: 8 * longest].split())
    shown = words if len(words) <= longest else f"{words[: longest - 1]}…"
    return "".join(char if char.isprintable() else "·" for char in shown)
