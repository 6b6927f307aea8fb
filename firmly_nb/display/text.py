"""Times, counts, money, shares, intervals and strangers' texts, written the same everywhere.

A number has one form wherever it is read: in a table, a chart, a sentence, a report or a timeline.
A stranger's text (a merchant, a product, an event, an error) has one definition of harmless,
`printable`, and four renderings: `printable` for terminals, `as_html`, `as_plotly` and
`as_markdown`.
"""

from __future__ import annotations

import html
import math
import re
import textwrap
import unicodedata
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from datetime import datetime
    from decimal import Decimal


THIN_SPACE = "\u202f"  # in thousands; no line ends there
UNIT_SPACE = "\u00a0"  # a number and its unit stay on one line
# For plain text, and streams whose encoding has not more.
PLAIN = {ord(THIN_SPACE): " ", ord(UNIT_SPACE): " ", ord("µ"): "u", ord("∞"): "inf"}
UNKNOWN = "-"
SIGNIFICANT, MOST_DECIMALS = 3, 2
MOST_SHARE_DECIMALS = 6
UNITS = re.compile(r"(?<=\d) (?=(?:ms|µs)\b)")
# A single space that keeps a number together stays; all others, and rows of them, become one.
SPACES = re.compile(rf"\s{{2,}}|[^\S{THIN_SPACE}{UNIT_SPACE}]")
HIDDEN = "·"
# The one name of each time, in labels and sentences; data keeps the name of its column.
TIMES = {
    "time_to_order_placed_ms": "time to order placed",
    "scheduled_time_to_order_placed_ms": "time to order placed from the planned start",
    "order_latency_ms": "order latency",
    "scheduled_order_latency_ms": "order latency from the planned start",
    "time_to_first_event_ms": "time to first event",
    "time_to_headers_ms": "time to headers",
    "time_to_failure_ms": "time to failure",
}
# What an arrival time is, by the clock it was taken with.
CLOCKS = {
    "kernel": "kernel timestamp",
    "user": "time after the read",
    "external": "time as told",
}
PAGES = "https://github.com/firmly-nb/firmly-nb/blob/main/"  # where a link finds docs/
# Characters of a name, of one beside a chart or in its legend, and of any other text.
LONGEST_NAME, LONGEST_LABEL, LONGEST = 48, 32, 1_000
LONGEST_HOVER, HOVER_LETTERS = 240, 40  # of a whole name, and of each of its lines


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
    if math.isnan(value_us):
        return UNKNOWN
    if round(value_us, 0) >= 1000:
        return duration(value_us / 1000)
    return f"{number(value_us)}{UNIT_SPACE}µs"


def interval(low: float, high: float, unit: str = "ms") -> str:
    """Write an interval; an open end is said.

    Examples
    --------
    >>> ends = ((100, 120), (100, math.inf), (-math.inf, 120))
    >>> [interval(*each).replace("\u00a0", " ") for each in ends]
    ['100 to 120 ms', '100 ms or more', 'at most 120 ms']
    >>> interval(0.991, 1.19, "")
    '0.99 to 1.19'
    """
    with_unit = f"{UNIT_SPACE}{unit}" if unit else ""
    if not math.isfinite(low):
        return f"at most {number(high)}{with_unit}"
    if not math.isfinite(high):
        return f"{number(low)}{with_unit} or more"
    return f"{number(low)} to {number(high)}{with_unit}"


def estimate(value_ms: float, low: float, high: float) -> str:
    """Write an estimated time with its interval.

    Examples
    --------
    >>> estimate(5.678, 5.1, 6.25).replace("\u00a0", " ")
    '5.68 ms (5.10 to 6.25 ms)'
    """
    return f"{duration(value_ms)} ({interval(low, high)})"


def percent(share: float) -> str:
    """Write a measured share: one decimal, more where it would look like none or all.

    Examples
    --------
    >>> [percent(share) for share in (0.965, 1.0, 0.0, 0.0004, 0.99996, math.nan)]
    ['96.5%', '100%', '0%', '0.04%', '99.996%', '-']
    """
    if math.isnan(share):
        return UNKNOWN
    value = 100 * share
    for decimals in range(1, MOST_SHARE_DECIMALS + 1):
        written = f"{value:.{decimals}f}"
        if float(written) not in {0, 100}:
            return f"{written}%"
    return f"{abs(value):.0f}%"


def percent_interval(low: float, high: float) -> str:
    """Write the interval of a share.

    Examples
    --------
    >>> percent_interval(0.954, 1)
    '95.4% to 100%'
    """
    return f"{percent(low)} to {percent(high)}"


def stated(value: float) -> str:
    """Write a value that somebody chose, such as a limit, with the digits it has.

    Examples
    --------
    >>> stated(1500).replace("\u202f", "_"), stated(0.5)
    ('1_500', '0.5')
    """
    return _grouped(f"{value:,.10g}")


def stated_percent(share: float) -> str:
    """Write a share that somebody chose, such as a level or a margin.

    Examples
    --------
    >>> stated_percent(0.95), stated_percent(0.075)
    ('95%', '7.5%')
    """
    return f"{stated(round(100 * share, 6))}%"


def window(first: datetime, last: datetime) -> str:
    """Write from when to when, to the minute; what both have in common is said once.

    Examples
    --------
    >>> from datetime import datetime
    >>> nine, ten = datetime(2026, 1, 5, 9), datetime(2026, 1, 5, 10)
    >>> window(nine, nine), window(nine, ten)
    ('2026-01-05 09:00 UTC', '2026-01-05 09:00 to 10:00 UTC')
    >>> window(nine, ten.replace(day=6))
    '2026-01-05 09:00 to 2026-01-06 10:00 UTC'
    """
    begin, end = (f"{at:%Y-%m-%d %H:%M}" for at in (first, last))
    if first.date() == last.date():
        end = "" if begin == end else f"{last:%H:%M}"
    return f"{begin} to {end} UTC" if end else f"{begin} UTC"


def hanging(text: str, width: int, indent: int = 2) -> str:
    """Break each line that is longer than a terminal; what is broken off is indented.

    Words are not broken: a path or an address can still be copied.

    Examples
    --------
    >>> print(hanging("! all events of an order came in two reads", 24))
    ! all events of an order
      came in two reads
    """
    wrapper = textwrap.TextWrapper(
        max(width, indent + 20),
        subsequent_indent=" " * indent,
        break_long_words=False,
        break_on_hyphens=False,
    )
    lines = text.split("\n")
    return "\n".join(wrapper.fill(line) if len(line) > width else line for line in lines)


def count(how_many: int, noun: str = "", nouns: str = "") -> str:
    """Write a number of things.

    Examples
    --------
    >>> count(1, "order"), count(2, "order"), count(100000).replace("\u202f", "_")
    ('1 order', '2 orders', '100_000')
    """
    written = _grouped(f"{how_many:,}")
    return f"{written} {noun if how_many == 1 else nouns or noun + 's'}" if noun else written


def is_are(how_many: int) -> str:
    """Return the verb that follows a number of things.

    Examples
    --------
    >>> is_are(1), is_are(0)
    ('is', 'are')
    """
    return "is" if how_many == 1 else "are"


def there_are(number: int, noun: str = "") -> str:
    """Say how many there are.

    Examples
    --------
    >>> there_are(1), there_are(12, "order")
    ('there is 1', 'there are 12 orders')
    """
    return f"there {is_are(number)} {count(number, noun)}"


def and_more(left: int, noun: str) -> str:
    """Write how many were left out of what is shown; nothing if none was.

    Examples
    --------
    >>> and_more(2, "line"), and_more(1, "line"), and_more(0, "line")
    ('… and 2 more lines', '… and 1 more line', '')
    """
    return f"… and {count(left, f'more {noun}')}" if left > 0 else ""


def amount(value: Decimal, decimals: int) -> str:
    """Write an amount of money without its currency, with as many decimals as that has.

    Examples
    --------
    >>> from decimal import Decimal
    >>> amount(Decimal("1234.5"), 2).replace("\u202f", "_")
    '1_234.50'
    """
    return _grouped(f"{value:,.{decimals}f}")


def storage(n_bytes: float) -> str:
    """Write how much room something takes.

    Examples
    --------
    >>> [storage(n).replace("\u00a0", " ") for n in (1_200_000, 45_600_000_000)]
    ['1.20 MB', '45.6 GB']
    """
    size, unit = (n_bytes / 1e9, "GB") if n_bytes >= 1e9 else (n_bytes / 1e6, "MB")
    return f"{number(size)}{UNIT_SPACE}{unit}"


def listed(parts: Iterable[str]) -> str:
    """Put words in a row.

    Examples
    --------
    >>> listed(["a", "b", "c"])
    'a, b and c'
    """
    *first, last = list(parts) or [""]
    return f"{', '.join(first)} and {last}" if first else last


def cut(text: str, longest: int) -> str:
    """Shorten a text to so many characters; no mark is parted from its letter.

    Examples
    --------
    >>> cut("a long name", 6), cut("short", 6), len(cut("abe\u0301f", 4))
    ('a lon…', 'short', 3)
    """
    if len(text) <= longest:
        return text
    end = max(longest - 1, 0)
    while end > 0 and unicodedata.category(text[end]).startswith("M"):
        end -= 1
    return f"{text[:end]}…"


def cut_middle(text: str, longest: int) -> str:
    """Shorten a name to so many characters: names often differ only in their ends.

    Examples
    --------
    >>> cut_middle("harbor-north-1.test", 12), cut_middle("short", 12)
    ('harbor….test', 'short')
    """
    if len(text) <= longest:
        return text
    last = max(longest - 1, 0) // 2
    begin = len(text) - last
    while begin < len(text) and unicodedata.category(text[begin]).startswith("M"):
        begin += 1
    return cut(text, longest - last) + text[begin:]


def full_stop(text: str) -> str:
    """End a text as a sentence, unless it ends as one.

    Examples
    --------
    >>> full_stop("No longer available"), full_stop("Look here!"), full_stop("")
    ('No longer available.', 'Look here!', '')
    """
    return text if not text or text.endswith((".", "!", "?", "…")) else f"{text}."


def capital(text: str) -> str:
    """Begin a text with a capital letter.

    Examples
    --------
    >>> capital("no HTTP/2"), capital("")
    ('No HTTP/2', '')
    """
    return f"{text[:1].upper()}{text[1:]}"


def printable(text: object, longest: int = LONGEST) -> str:
    r"""Make a stranger's text harmless: one bounded line that steers nothing and does not turn.

    Rows of white space become one space. A character that cannot be seen (control, direction,
    other format, surrogate, private use, unassigned) becomes a dot.

    Examples
    --------
    >>> printable("red\x1b[31m"), printable("a\n b"), printable("mug\u202e")
    ('red·[31m', 'a b', 'mug·')
    >>> printable("a long name", 6)
    'a lon…'
    """
    return _visible(text, longest, cut)


def _visible(text: object, longest: int, shorten: Callable[[str, int], str]) -> str:
    # A text of megabytes is not read as a whole.
    line = shorten(SPACES.sub(" ", shorten(str(text), 8 * longest)).strip(), longest)
    if line.isprintable():
        return line
    kept = (THIN_SPACE, UNIT_SPACE)
    return "".join(char if char.isprintable() or char in kept else HIDDEN for char in line)


def encodable(text: str, encoding: str | None) -> str:
    r"""Return a text as a stream of this encoding can have it: printing it does not fail.

    Examples
    --------
    >>> encodable("1\u202f204\u00a0ms ▇", "ascii"), encodable("▇", None)
    ('1 204 ms ?', '▇')
    """
    encoding = encoding or "utf-8"
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        return text.translate(PLAIN).encode(encoding, "replace").decode(encoding)
    return text


def short_name(text: object, longest: int = LONGEST_NAME) -> str:
    """Return a name that a stranger chose as `printable`; a long one is cut in its middle."""
    return _visible(text, longest, cut_middle)


def as_html(text: object, longest: int = LONGEST) -> str:
    """Write a stranger's text for HTML, with a direction of its own.

    Examples
    --------
    >>> as_html("<b>mug")
    '<bdi>&lt;b&gt;mug</bdi>'
    """
    return f"<bdi>{html.escape(printable(text, longest))}</bdi>"


def as_markdown(text: object, longest: int = LONGEST) -> str:
    r"""Make a stranger's text harmless for Markdown: no markup, HTML, link or cell begins in it.

    Examples
    --------
    >>> print(as_markdown("a|b <img> [x](y) *now* 1.5"))
    a\|b &lt;img&gt; \[x\](y) \*now\* 1.5
    """
    safe = html.escape(printable(text, longest), quote=False)
    return re.sub(r"([\\`*_\[\]|~])", r"\\\1", safe)


def as_plotly(text: object, longest: int = LONGEST_LABEL) -> str:
    """Write a stranger's name for Plotly, which reads some HTML, templates and TeX in text.

    Examples
    --------
    >>> as_plotly("<b>5</b> & $x$"), as_plotly("%{x}")
    ('&lt;b&gt;5&lt;/b&gt; &amp; &#36;x&#36;', '&#37;{x}')
    """
    escaped = html.escape(short_name(text, longest), quote=False)
    return escaped.replace("$", "&#36;").replace("%{", "&#37;{")


def as_hover(text: object) -> str:
    """Write a stranger's name in full, in lines, for what Plotly shows on hovering.

    Examples
    --------
    >>> as_hover("harbor.test"), as_hover("northern-" * 6 + "1").count("<br>")
    ('harbor.test', 1)
    """
    name = short_name(text, LONGEST_HOVER)
    return (
        "<br>".join(plotly_lines(name, HOVER_LETTERS))
        if len(name) > HOVER_LETTERS
        else as_plotly(name, HOVER_LETTERS)
    )


def plotly_lines(text: str, width: int) -> list[str]:
    """Break a text into lines, each harmless for Plotly; units stay with their numbers."""
    together = UNITS.sub(UNIT_SPACE, text)
    return [as_plotly(line, 2 * width) for line in textwrap.wrap(together, width)]


def _grouped(written: str) -> str:
    return written.replace(",", THIN_SPACE)
