"""Readings of a text: what it says beneath its escapes, and where in the text each letter is.

A server repeats a value as it likes: in JSON inside a page, in the code of a mail, in a dump. So
a text is compared in readings: as it is, without escapes, without tags, and so on. A reading knows
where its characters are in the text, so that a value can be replaced where it is, and no more.
"""

from __future__ import annotations

import re
import sys
import unicodedata
from binascii import a2b_base64
from contextlib import suppress
from html import unescape
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

Span = tuple[int, int]
Units = list[tuple[str, int, int]]  # characters, and where each begins and ends in its escape

WINDOW, MARGIN = 16_000, 1_000  # characters read at once, and those around them
MOST_ESCAPED = 5  # times that a text may be escaped
SHORTEST_DIGITS = 16  # of hex that has no letter: fewer are a number
LONG_RUN = 80  # characters of base64 of which the begin may be missing


class Reading(NamedTuple):
    """One reading: what a text says, and how that was read from another reading."""

    said: str
    of: Reading | None = None
    escapes: tuple[tuple[Span, Units], ...] = ()

    def in_text(self, spans: Iterable[Span]) -> list[Span]:
        """Return where spans of this reading are in the text itself."""
        spans = list(spans)
        if not (spans and self.of):
            return spans
        begins, ends = self.places()
        return [(begins[begin], ends[end - 1]) for begin, end in spans]

    def places(self) -> tuple[list[int], list[int]]:
        """Return where each character begins and ends in the text itself."""
        if not self.of:
            return [*range(len(self.said))], [*range(1, len(self.said) + 1)]
        first, last = self.of.places()
        begins: list[int] = []
        ends: list[int] = []
        position = 0
        for (begin, end), units in (*self.escapes, ((len(first), len(first)), [])):
            begins += first[position:begin]
            ends += last[position:begin]
            for char, low, high in units:
                begins += [first[begin + low]] * len(char)
                ends += [last[begin + high - 1]] * len(char)
            position = end
        return begins, ends


def parts(text: str) -> Iterator[tuple[int, int, Reading]]:
    """Return the readings of each part of a text: where it begins, and where the reading does.

    Examples
    --------
    >>> [reading.said for _, _, reading in parts("caf&#xe9;")]
    ['caf&#xe9;', 'café']
    """
    for begin in range(0, len(text), WINDOW):
        first = max(0, begin - MARGIN)
        for reading in readings(text[first : begin + WINDOW + MARGIN]):
            yield begin, first, reading


def readings(text: str) -> Iterator[Reading]:
    """Return the readings of a text that is not long."""
    plain = Reading(text)
    found = [plain, *_unescaped(plain)]
    yield from found
    plain = found[-1]
    for layer in _LAYERS:
        if again := _decoded(plain, layer):
            yield again
            yield from _unescaped(again)


def _unescaped(reading: Reading) -> Iterator[Reading]:
    for _ in range(MOST_ESCAPED):
        if not (again := _decoded(reading, _ESCAPES)):
            break
        yield (reading := again)


def _decoded(reading: Reading, pattern: re.Pattern[str]) -> Reading | None:
    """Return what a text says without some escapes; None if it has none."""
    escapes, pieces, position = [], [], 0
    for match in pattern.finditer(reading.said):
        if units := _SAYS[match.lastgroup or ""](match[0]):
            pieces.append(reading.said[position : match.start()])
            pieces += [char for char, _, _ in units]
            escapes.append((match.span(), units))
            position = match.end()
    if not escapes:
        return None
    return Reading("".join([*pieces, reading.said[position:]]), reading, tuple(escapes))


def _from_bytes(raw: bytes, spans: Iterable[Span]) -> Units:
    """Return the characters of bytes that are UTF-8, Latin-1 where they are not."""
    units, places, position = [], list(spans), 0
    for char in raw.decode("utf-8", "surrogateescape"):
        is_byte = "\udc80" <= char <= "\udcff"
        size = 1 if is_byte else len(char.encode())
        said = chr(ord(char) - 0xDC00) if is_byte else char
        units.append((said, places[position][0], places[position + size - 1][1]))
        position += size
    return units


def _from_codes(text: str) -> Units:
    r"""Read bytes with a sign before each: %C3%AB, =C3=AB, \xc3\xab, \303\253."""
    found = [*_CODE.finditer(text)]
    raw = bytes(int(code[1], 16) if code[1] else int(code[2], 8) & 255 for code in found)
    return _from_bytes(raw, (code.span() for code in found)) or [(SOFT, 0, len(text))]


def _from_point(text: str) -> Units:
    codes = [int(code, 16) for code in _POINT.findall(text)]
    if len(codes) == 2:  # a pair of surrogates
        codes = [0x10000 + (codes[0] - 0xD800) * 0x400 + codes[1] - 0xDC00]
    return [(chr(code), 0, len(text)) for code in codes if code <= sys.maxunicode]


def _from_blank(text: str) -> Units:
    r"""Read \n and the like; what has a backslash more is a line that goes on."""
    backslashes = len(text) - 1
    goes_on = backslashes > 1 and backslashes % 2
    return [(SOFT if goes_on else _BLANKS.get(text[-1], " "), 0, len(text))]


def _from_misread(text: str) -> Units:
    with suppress(UnicodeDecodeError):
        return [(bytes(_WINDOWS.get(char, ord(char)) for char in text).decode(), 0, len(text))]
    return []


def _from_domain(text: str) -> Units:
    with suppress(UnicodeError):
        return [(text.removeprefix("xn--").encode().decode("punycode"), 0, len(text))]
    return []


def _from_list(text: str) -> Units:
    """Read numbers apart: 5A 6F C3 AB, 0x5a,0x6f or 90, 111, 235."""
    found = [*re.finditer(r"[^\s,:]+", text)]
    numbers = [number[0].removeprefix("0x") for number in found]
    is_hex = {len(number) for number in numbers} == {2} and (
        "0x" in text or "," not in text or not "".join(numbers).isdigit()
    )
    with suppress(ValueError):
        codes = [int(number, 16 if is_hex else 10) for number in numbers]
        return _from_numbers(codes, [number.span() for number in found])
    return []


def _from_numbers(codes: list[int], spans: list[Span]) -> Units:
    """Read bytes, which some languages write with a sign, or code points."""
    if min(codes) < -128 or max(codes) > sys.maxunicode:
        return []
    if max(codes) < 256:
        return _from_bytes(bytes(code & 255 for code in codes), spans)
    return [(chr(code), *span) for code, span in zip(codes, spans, strict=True) if code >= 0]


def said_by(items: list[Any]) -> str:
    """Return the text of which a list has the bytes or the code points; "" if it has none.

    Examples
    --------
    >>> said_by([90, 111, 195, 171]), said_by([90, 111, 259]), said_by([1.5])
    ('Zoë', 'Zoă', '')
    """
    if not items or any(type(item) is not int for item in items):
        return ""
    return "".join(char for char, _, _ in _from_numbers(items, [(0, 0)] * len(items)))


def _from_run(text: str) -> Units:
    """Read letters and digits as bytes in hex or in base64, if these are a text."""
    run = text.rstrip("=")
    bare = run.removeprefix("0x")
    if _HEX.fullmatch(bare) and (len(bare) >= SHORTEST_DIGITS or not run.isdigit()):
        raw, begin = bytes.fromhex(bare), len(run) - len(bare)
        spans = [(at, at + 2) for at in range(begin, len(run), 2)]
        return _from_bytes(raw, spans) if _is_text(raw, 0) else []
    if run.isdigit() or run.islower():
        return []
    run = run.replace("-", "+").replace("_", "/")
    is_long = len(run) > LONG_RUN  # perhaps only a part of it, and most are no text
    for begin in range(4) if is_long else (0,):
        piece = run[begin : len(run) - ((len(run) - begin) % 4 == 1)]
        if is_long and not _is_text(a2b_base64(piece[: LONG_RUN // 2]), 6):
            continue
        raw = a2b_base64(piece + "=" * (-len(piece) % 4))
        if _is_text(raw, 6 if is_long else 0):
            ends = [begin + at * 4 // 3 for at in range(len(raw) + 1)]
            return _from_bytes(raw, [(ends[at], ends[at] + 2) for at in range(len(raw))])
    return []


def _is_text(raw: bytes, cut: int) -> bool:
    """Return whether bytes are a text, of which letters may be cut at both ends."""
    said = raw.decode("utf-8", "ignore")
    is_whole = len(raw) - len(said.encode()) <= cut
    return is_whole and "".join(said.split()).isprintable()


SOFT = "\0"  # what may be in a word and between two: a tag, a colour of a terminal
_SAYS: dict[str, Callable[[str], Units]] = {
    "codes": _from_codes,
    "point": _from_point,
    "blank": _from_blank,
    "soft": lambda text: [(SOFT, 0, len(text))],
    "entity": lambda text: [(unescape(text), 0, len(text))],
    "misread": _from_misread,
    "domain": _from_domain,
    "list": _from_list,
    "run": _from_run,
}
_BLANKS = {"n": "\n", "r": "\r", "t": "\t"}
_CODE = re.compile(r"(?:[%=]|\\+x)([0-9A-Fa-f]{2})|\\+([0-7]{3})")
_POINT = re.compile(r"(?:[uU]\{?|\\00)([0-9A-Fa-f]+)")
_HEX = re.compile("(?:[0-9A-Fa-f]{2})+")
_NUMBER = "[0-9A-Fa-f-][0-9A-Fa-fx]{0,4}"
# UTF-8 that was read as Latin-1 or as Windows-1252: a letter's first byte, and those after it.
_WINDOWS = {bytes([byte]).decode("cp1252", "ignore"): byte for byte in range(0x80, 0xC0)}
_LATER = f"[\x80-\xbf{''.join(_WINDOWS)}]"
# A look ahead passes over what begins no escape, ten times faster. A run of backslashes has an
# end, so that no text made of them is slow.
_ESCAPES = re.compile(
    r"(?=[%&\\x\x1b\xc2-\xf4])(?:"
    r"(?P<codes>(?:%[0-9A-Fa-f]{2})+|(?:\\{1,16}(?:x[0-9A-Fa-f]{2}|(?!00[0-9A-Fa-f]{4})[0-3][0-7]{2}))+)"
    r"|(?P<point>\\{1,16}u[dD][89abAB][0-9A-Fa-f]{2}\\{1,16}u[dD][c-fC-F][0-9A-Fa-f]{2}"
    r"|(?:\\{1,16}|%)u[0-9A-Fa-f]{4}|\\{1,16}u\{[0-9A-Fa-f]{1,6}\}|\\{1,16}U00[0-9A-Fa-f]{6}"
    r"|\\{1,2}00[0-9A-Fa-f]{4}[ ]?)"
    r"|(?P<blank>\\{1,16}[nrtbf])"
    r"|(?P<soft>\\\r?\n|\x1b\[[0-9;?]{0,20}[A-Za-z])"
    r"|(?P<entity>&(?:#(?:[0-9]{1,8}|[xX][0-9A-Fa-f]{1,6});?|[A-Za-z][A-Za-z0-9]{1,30};))"
    rf"|(?P<misread>[\xc2-\xdf]{_LATER}|[\xe0-\xef]{_LATER}{{2}}|[\xf0-\xf4]{_LATER}{{3}})"
    r"|(?P<domain>xn--[0-9a-z-]{1,60}))"
)
# What may be an encoding, and may be something else: tags, mail, lists, base64 and hex.
_LAYERS = (
    re.compile(r"(?P<soft><[a-zA-Z/!][^<>]{0,200}>)"),
    re.compile(r"(?P<codes>=(?:[0-9A-F]{2}(?:=[0-9A-F]{2})*|[0-9a-f]{2}(?:=[0-9a-f]{2})+|\r?\n))"),
    re.compile(rf"(?P<list>(?<![\w.]){_NUMBER}(?:[\s,:]{{1,3}}{_NUMBER}){{2,}}(?![\w.]))"),
    re.compile("(?P<run>[0-9A-Za-z+/_-]{6,}={0,2})"),
)


class _Fold(dict[int, str]):
    """Letters compared for each character; " " for a sign, "" for what nobody sees."""

    def __missing__(self, code: int) -> str:
        if len(self) > MOST_FOLDED:
            self.clear()
        plain = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", chr(code)).casefold())
        folded = "".join(map(_compared, plain.translate(_ALIKE)))
        self[code] = folded = folded.replace(" ", "") or folded[:1]
        return folded


def _compared(char: str) -> str:
    kind = unicodedata.category(char)
    if kind in {"Mn", "Me", "Cf"} or char in _UNSEEN or (kind == "Cc" and not char.isspace()):
        return ""
    if kind == "Nd":
        return str(unicodedata.decimal(char))
    return char if char.isalnum() or kind == "Mc" else " "


FOLD = _Fold()
MOST_FOLDED = 20_000
# What nobody sees although Unicode calls it a letter or a sign.
_UNSEEN = "\u115f\u1160\u2065\u2800\u3164\uffa0"
# Small letters of Cyrillic, Greek and others that look like Latin ones, or are in no Unicode table.
_ALIKE = str.maketrans(
    "авекмнорстухіјѕһԁԛԝӏαβεζηικμνορτυχօıɑɡøłđðħᴀʙᴄᴅᴇꜰɢʜɪᴊᴋʟᴍɴᴏᴘʀꜱᴛᴜᴠᴡʏᴢ",
    "abekmhopctyxijshdqwlabezhikmnoptyxoiagolddhabcdefghijklmnoprstuvwyz",
) | str.maketrans({"æ": "ae", "œ": "oe", "ß": "ss", "þ": "th", "\u02bb": "'", "\u02bc": "'"})
_NO_LETTERS = bytes(byte for byte in range(128) if not chr(byte).isalnum())
_LETTER = re.compile("[0-9A-Za-z]")


def letters(text: str) -> bytes:
    """Return letters and digits alone, without case, accents and what nobody sees.

    Examples
    --------
    >>> letters("O'Qu\u0131ll-ZO\u00cb")
    b'oquillzoe'
    """
    if not text.isascii():
        text = text.translate(FOLD)
    return text.encode("utf-8", "replace").lower().translate(None, _NO_LETTERS)


def placed(text: str) -> tuple[str, list[int]]:
    """Return the letters of a text as :func:`letters` does, and where each of them is."""
    if text.isascii():
        places = [match.start() for match in _LETTER.finditer(text)]
        return "".join(map(text.__getitem__, places)).lower(), places
    folded = ((FOLD[ord(char)], place) for place, char in enumerate(text))
    found = [(one, place) for some, place in folded for one in some if one != " "]
    return "".join(one for one, _ in found), [place for _, place in found]
