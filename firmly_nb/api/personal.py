"""Personal data of an order, masked wherever a server repeats it.

Names, streets, telephone numbers, e-mail addresses and companies are masked in everything that is
written down: in fields that are called so, and by value in every other text. City, state, country
and postal code stay, because prices depend on them; so do ids, host names and product titles.
"""

from __future__ import annotations

import base64
import re
import sys
import unicodedata
from contextlib import suppress
from functools import lru_cache, partial
from html import unescape
from html.entities import html5
from operator import is_
from typing import TYPE_CHECKING, Any, Literal, NamedTuple
from urllib.parse import unquote_plus

import orjson

from firmly_nb.api.secrets import MAX_DEPTH, TOO_DEEP, replace_fields
from firmly_nb.api.snapshots import ORDER_NUMBER

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping


MASK = "***"
CUT = "\N{HORIZONTAL ELLIPSIS}"  # ends a text of which the rest was not kept
PERSONAL_KEYS = frozenset(
    {
        "address1",
        "address2",
        "address3",
        "address_line_1",
        "address_line_2",
        "address_line_3",
        "card_holder",
        "card_holder_name",
        "company",
        "company_name",
        "customer_name",
        "email",
        "email_address",
        "family_name",
        "first_name",
        "full_name",
        "given_name",
        "last_name",
        "middle_name",
        "mobile",
        "name_on_card",
        "phone",
        "phone_number",
        "recipient",
        "recipient_name",
        "street",
        "street1",
        "street2",
        "street_address",
        "surname",
        "telephone",
    }
)
# Fields of an address whose values are looked for in every other text.
VALUE_KEYS = ("first_name", "last_name", "email", "phone", "address1", "address2", "company")
SHORTEST = 3  # characters; a shorter name is found in every other word
FEWEST_DIGITS = 6  # of a telephone number
NATIONAL_DIGITS = 9  # the end of a telephone number that every way of writing it shares
# A part of a value this long is told by no other text, so that it needs no space around it.
TELLING = 8
MOST_ESCAPED = 3  # times that a text may be escaped
MOST_REWRITTEN = 8  # times that a text is rewritten; what then still names a person is masked whole
MAX_NESTED = 8  # levels of JSON inside a text of JSON

_PLAIN = str.maketrans("", "", "-_ .")


def plain_name(key: str) -> str:
    """Return a field's name as names are compared: firstName, First-Name and first_name are one.

    Examples
    --------
    >>> plain_name("firstName"), plain_name("First-Name")
    ('firstname', 'firstname')
    """
    return key.translate(_PLAIN).lower()


_NUMBER_NAME = plain_name(ORDER_NUMBER)
_PERSONAL_NAMES = frozenset(map(plain_name, PERSONAL_KEYS))
# What prices depend on, and what names no person.
_PUBLIC_NAMES = frozenset(
    map(
        plain_name,
        (
            *("city", "state", "state_or_province", "province", "region", "country"),
            *("country_code", "postal_code", "zip", "zip_code", "currency", "domain", "host"),
            *("display_name", "shop_id", "store_id", "sku", "handle", "event", "type", "status"),
            *("cart_status", ORDER_NUMBER),
        ),
    )
)
# Below these fields a title or a description is the catalogue's.
_CATALOGUE_NAMES = frozenset(
    map(plain_name, ("line_items", "items", "products", "product", "variants", "variant"))
)
_TITLE_NAMES = frozenset(
    map(
        plain_name,
        (
            *("title", "name", "description", "brand", "vendor", "image", "images", "alt", "url"),
            *("product_title", "product_name", "variant_title", "variant_description"),
            *("requested_attributes", "attributes", "options"),
        ),
    )
)
_ID = re.compile(r"(?:^|[_-])ids?$|[a-z]Ids?$|[a-z]ID$")


@lru_cache(maxsize=4096)
def is_personal(key: str) -> bool:
    """Return whether a field's name, in any spelling, is one of personal data."""
    return plain_name(key) in _PERSONAL_NAMES


@lru_cache(maxsize=4096)
def _is_public(key: str, in_catalogue: bool) -> bool:
    plain = plain_name(key)
    return (
        plain in _PUBLIC_NAMES or bool(_ID.search(key)) or (in_catalogue and plain in _TITLE_NAMES)
    )


def personal_values(*addresses: Mapping[str, Any]) -> tuple[str, ...]:
    """Return what names the persons of some addresses, to be looked for in texts.

    Examples
    --------
    >>> personal_values({"first_name": "Ada", "last_name": "Li", "city": "Rome"})
    ('Ada Li', 'Ada')
    >>> personal_values({"last_name": "van Dyke", "email": "a.dyke@example.test"})
    ('van Dyke', 'a.dyke@example.test', 'Dyke', 'a.dyke')
    """
    found: dict[str, None] = {}
    for address in addresses:
        names = [str(address.get(key) or "").strip() for key in ("first_name", "last_name")]
        values = [" ".join(names), *(str(address.get(key) or "") for key in VALUE_KEYS)]
        values += [word for name in names if " " in name for word in _telling_words(name)]
        mailbox = str(address.get("email") or "").partition("@")[0]
        if len(mailbox) >= TELLING or not mailbox.isalpha():  # not info, sales
            values.append(mailbox)
        found.update(dict.fromkeys(v for value in values if len(v := value.strip()) >= SHORTEST))
    return tuple(found)


def _telling_words(name: str) -> list[str]:
    """Return the words of a name; van, der and de are found in every other text."""
    return [word for word in name.split() if len(word) > SHORTEST]


def mask_personal(value: Any, values: tuple[str, ...] = (), kept: tuple[str, ...] = ()) -> Any:
    """Return a JSON value with everything masked that names a person; itself if nothing does.

    Parameters
    ----------
    value
        Anything that JSON can hold.
    values
        What names the persons of the order (:func:`personal_values`): masked in every text.
    kept
        Texts that stay although they hold such a value: the order's merchant and ids.

    Examples
    --------
    >>> mask_personal({"firstName": "Ada", "city": "Seattle"})
    {'firstName': '***', 'city': 'Seattle'}
    >>> mask_personal({"notice": "Dear ADA, harbor.ada.test is closed"}, ("Ada",))
    {'notice': 'Dear ***, harbor.ada.test is closed'}
    """
    text = ""
    with suppress(TypeError):  # nested so deep that orjson does not write it
        text = _splittable(value)
    if not text or not _is_shallow(text):
        # What is below would be masked nowhere: it goes.
        value = _masked(value, (), kept, MAX_DEPTH, False)
        text = _splittable(value)
    return _masked_by_strings(value, text, _strings(values), kept)


def is_without_personal(
    text: str, values: tuple[str, ...] = (), kept: tuple[str, ...] = ()
) -> bool:
    """Return whether JSON, as orjson writes it, surely has nothing that names a person.

    Examples
    --------
    >>> note = '{"note":"for Ada"}'
    >>> is_without_personal(note), is_without_personal(note, ("Ada",))
    (True, False)
    """
    text = _with_signs(text)
    told = _strings(values).look(text)
    fields = (name for name, (is_name, _) in told.items() if is_name)
    return (
        _is_shallow(text)
        and not any(_has_value(text, name) for name in fields)
        and not _changed_strings(told, kept)
    )


def mask_personal_text(text: str, values: tuple[str, ...] = (), kept: tuple[str, ...] = ()) -> str:
    """Return a text with everything masked that names a person, whatever it is a text of.

    Examples
    --------
    >>> mask_personal_text('{"email": "ada@example.test", "total": NaN}')
    '{"email": "***", "total": NaN}'
    >>> mask_personal_text("no ride to 10%20SAMPLE%20WAY", ("10 Sample Way",))
    'no ride to ***'
    """
    return (_mask_short if len(text) <= SHORT_TEXT else _mask_text)(text, values, kept)


def _mask_text(text: str, values: tuple[str, ...], kept: tuple[str, ...]) -> str:
    masked = _masked_text(text, _finders(values), kept, MAX_NESTED)
    return _without_begun(masked, values) if masked.endswith(CUT) else masked


SHORT_TEXT = 200
_mask_short = lru_cache(maxsize=4096)(_mask_text)  # each event has a name, and most have few


def _without_begun(text: str, values: tuple[str, ...]) -> str:
    """Mask a value of which a text that was cut has the begin only, maybe as a list of bytes."""
    if (masked := _without_begun_text(text, values)) != text:
        return masked
    said = text.removesuffix(CUT)
    match = _APART_CUT.search(said[-LONGEST_BEGUN:])
    for numbers in (match[1], _LAST_NUMBER.sub("", match[1])) if match else ():
        for plain in (_APART.sub(read, numbers) + CUT for read in (_from_hexes, _from_ints)):
            if match and _without_begun_text(plain, values) != plain:
                return f"{said.removesuffix(match[0])}{MASK}{CUT}"
    return text


def _without_begun_text(text: str, values: tuple[str, ...]) -> str:
    said = text.removesuffix(CUT)
    folded = said.lower()
    for value in values:
        for size in range(len(value) - 1, SHORTEST - 1, -1):
            before = said[:-size]
            if folded.endswith(value[:size].lower()) and not before[-1:].isalnum():
                return f"{before}{MASK}{CUT}"
    return text


# Carts repeat most of their strings in each event. JSON is therefore split at its quotes, and only
# strings that are new are looked at. Between strings are numbers and lists of bytes: each is whole
# in one piece, and counts as a string here. While it is split, other signs stand for the escaped
# backslashes and quotes; JSON has neither of them.

SPLIT_AT_ONCE = 200_000  # characters of JSON; the strings of more would take too much memory
MOST_REMEMBERED = 1_000_000  # characters of strings
# What a field with nothing to mask goes on with.
_EMPTY = ("null", "false", "0,", "0}", '""', "[]", "{}", f'"{MASK}"')
_NO_BRACKETS = bytes(byte for byte in range(256) if byte not in b"[]{}")
_BACKSLASH, _QUOTE = "\0", "\1"


def _splittable(value: Any) -> str:
    """Return a value as JSON that may be split at its quotes."""
    return _with_signs(orjson.dumps(value).decode())


def _pieces(text: str) -> Iterator[list[str]]:
    """Split JSON at its quotes, some of it at a time."""
    begin = 0
    while begin <= len(text):
        end = text.find('"', begin + SPLIT_AT_ONCE)
        end = len(text) if end < 0 else end
        yield text[begin:end].split('"')
        begin = end + 1


def _with_signs(text: str) -> str:
    if "\\" not in text:
        return text
    # Escapes begin with a backslash, so that of a run of them each two are one.
    return text.replace("\\\\", _BACKSLASH).replace('\\"', _QUOTE)


def _without_signs(piece: str) -> str:
    return piece.replace(_QUOTE, '\\"').replace(_BACKSLASH, "\\\\")


def _is_shallow(text: str) -> bool:
    """Return whether JSON is surely nested no deeper than is masked."""
    if text.count("{") + text.count("[") <= MAX_DEPTH:
        return True
    brackets, n = b"", 0
    for pieces in _pieces(text):
        outside = "".join(pieces[n % 2 :: 2])  # every other one is a string
        brackets += outside.encode().translate(None, _NO_BRACKETS)
        n += len(pieces)
    for _ in range(MAX_DEPTH // 2):  # each time one or two levels go
        brackets = brackets.replace(b"{}", b"").replace(b"[]", b"")
    return not brackets


class _Strings:
    """Strings that were looked at for some values: which of them can need a mask."""

    def __init__(self, values: tuple[str, ...]) -> None:
        self.finders = _finders(values)
        self._size = 0
        self._clean: set[str] = set()
        # Whether it is called as a personal field is; the finders whose values it can hold. A
        # string with quotes can hold fields, too.
        self._told: dict[str, tuple[bool, Finders]] = {}

    def look(self, text: str) -> dict[str, tuple[bool, Finders]]:
        """Return what was found in the strings of JSON, of those in which something was."""
        found: dict[str, tuple[bool, Finders]] = {}
        for pieces in _pieces(text):
            found |= self._look(set(pieces))
        return found

    def _look(self, strings: set[str]) -> dict[str, tuple[bool, Finders]]:
        if self._size > MOST_REMEMBERED:
            self._clean, self._told, self._size = set(), {}, 0
        clean, told = self._clean, self._told  # another thread may begin anew
        strings -= clean
        if new := strings - told.keys():
            self._size += sum(map(len, new))
            quoted = {string for string in new if _QUOTE in string}
            for some in _some_at_once(new - quoted):
                found = _found('"'.join(map(_without_signs, some)), self.finders)
                for string in some:
                    is_name = plain_name(string) in _PERSONAL_NAMES
                    finders = _found(_without_signs(string), found)
                    if is_name or finders:
                        told[string] = is_name, finders
                    else:
                        clean.add(string)
            for string in quoted:
                finders = _found(said := _said_in(string), self.finders)
                if finders or _masked_text(said, (), (), MAX_NESTED) != said:
                    told[string] = False, finders
                else:
                    clean.add(string)
        return {string: told[string] for string in strings if string in told}


_strings = lru_cache(maxsize=16)(_Strings)


def _some_at_once(strings: Iterable[str]) -> Iterator[list[str]]:
    """Put strings together, as many as are a short text; a longer one is alone."""
    some: list[str] = []
    size = 0
    for string in strings:
        size += len(string) + 1
        if some and size > SHORT_TEXT:
            yield some
            some, size = [], len(string) + 1
        some.append(string)
    yield some


def _masked_by_strings(value: Any, text: str, strings: _Strings, kept: tuple[str, ...]) -> Any:
    told = strings.look(text)
    names = {name for name, (is_name, _) in told.items() if is_name and _has_value(text, name)}
    if names:
        value = _without_fields(value, names)
        told = strings.look(_splittable(value))
    if not _changed_strings(told, kept):
        return value
    among = {finder for _, finders in told.values() for finder in finders}
    return _masked(value, tuple(f for f in strings.finders if f in among), kept, MAX_DEPTH, False)


def _has_value(text: str, name: str) -> bool:
    """Return whether a field of that name has something to mask anywhere."""
    _, *after = text.split(f'"{name}":')
    return any(not rest.startswith(_EMPTY) for rest in after)


def _without_fields(value: Any, names: set[str]) -> Any:
    """Return a list or an object without what stands in such fields; itself if none does."""
    made: Any
    if isinstance(value, list):
        made = [
            _without_fields(item, names) if isinstance(item, (dict, list)) else item
            for item in value
        ]
        is_same = all(map(is_, made, value))
    else:
        made = {
            key: (MASK if item else item)
            if key in names
            else _without_fields(item, names)
            if isinstance(item, (dict, list))
            else item
            for key, item in value.items()
        }
        is_same = all(map(is_, made.values(), value.values()))
    return value if is_same else made  # of a large cart most of it is


def _said_in(string: str) -> str:
    """Return what a string with quotes says."""
    said: str = orjson.loads(f'"{_without_signs(string)}"')
    return said


def _changed_strings(told: dict[str, tuple[bool, Finders]], kept: tuple[str, ...]) -> bool:
    return any(
        _is_changed(string, finders, kept)
        for string, (_, finders) in told.items()
        if finders or _QUOTE in string
    )


def _is_changed(string: str, finders: Finders, kept: tuple[str, ...]) -> bool:
    if _QUOTE in string:
        said = _said_in(string)
        return _masked_text(said, finders, kept, MAX_NESTED) != said
    string = _without_signs(string)
    search = _search_short if len(string) <= SHORT_TEXT else _search
    return search(string, finders, kept) != string


def _masked(
    value: Any, finders: Finders, kept: tuple[str, ...], depth: int, in_catalogue: bool
) -> Any:
    if isinstance(value, str):
        return _masked_text(value, finders, kept, min(depth, MAX_NESTED))
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        said = str(int(value)) if value == value // 1 else ""  # 2065550100.0 is one as well
        is_telephone = any(f.reading == "digits" and f.needle.decode() in said for f in finders)
        return MASK if is_telephone else value
    if not isinstance(value, (list, dict)):
        return value
    if depth <= 0:
        return TOO_DEEP
    if isinstance(value, list):
        said = _said_by(value) if finders else ""
        found = said and _search(said, finders, kept) != said
        inner = [_masked(item, finders, kept, depth - 1, in_catalogue) for item in value]
        return MASK if found else inner
    telling = tuple(finder for finder in finders if finder.is_telling)
    masked = {}
    for key, item in value.items():
        if is_personal(key):
            new = MASK if item else item
        elif _is_public(key, in_catalogue) and not isinstance(item, dict):
            # A number may happen to be that of the telephone: it is the order's all the same.
            is_number = plain_name(key) == _NUMBER_NAME
            looked_for = (
                tuple(f for f in telling if f.reading != "digits") if is_number else telling
            )
            new = _masked(item, looked_for, kept, depth - 1, in_catalogue)
        else:
            below = in_catalogue or plain_name(key) in _CATALOGUE_NAMES
            new = _masked(item, finders, kept, depth - 1, below)
        # A field may be called by an e-mail address; a first name is found in many fields' names.
        masked[_search(key, telling, kept) if telling else key] = new
    return masked


def _is_word(value: str) -> bool:
    return all(char.isalpha() or char in f" -.{_APOSTROPHES}" for char in value)


def _masked_text(text: str, finders: Finders, kept: tuple[str, ...], depth: int) -> str:
    if not finders and '"' not in text:
        return text  # no field, and nothing else to look for
    if depth > 0 and text.lstrip()[:1] in {"{", "[", '"'}:
        try:
            inner = orjson.loads(text)
        except orjson.JSONDecodeError:
            pass
        else:
            masked = _masked(inner, finders, kept, depth - 1, False)
            return text if masked == inner else orjson.dumps(masked).decode()
    if '"' in text:
        text = replace_fields(text, is_personal, MASK)
    return _search(text, finders, kept) if finders else text


class _Finder(NamedTuple):
    """Search for one value: what a text must hold, and the pattern of all its spellings."""

    needle: bytes
    reading: Literal["words", "letters", "digits", "encoded"]
    pattern: str
    is_telling: bool  # names a person wherever it stands: e-mail, telephone, street


Finders = tuple[_Finder, ...]


def _search(text: str, finders: Finders, kept: tuple[str, ...]) -> str:
    """Mask the values in a text, however they are spelled there.

    A value in a spelling that no pattern knows is masked in what the text says without escapes:
    the rest of that text is then written plainly, too.
    """
    found = _found(text, finders)
    for _ in range(MOST_REWRITTEN if found else 0):
        text = _replace(text, found, kept)
        if not (_ESCAPED.search(text) or _has_bytes_apart(text)):
            break
        readings = dict.fromkeys(plain for each in _read_as(text) for plain in (each, _plain(each)))
        told = ((plain, _replace(plain, found, kept)) for plain in readings if plain != text)
        masked = next((masked for plain, masked in told if masked != plain), None)
        if masked is None:
            break
        text = masked
    else:
        return MASK if found else text
    return text


_search_short = lru_cache(maxsize=4096)(_search)


def _replace(text: str, finders: Finders, kept: tuple[str, ...]) -> str:
    for finder in finders:
        spared = [
            match.span()
            for word in kept
            for match in re.finditer(re.escape(word), text, re.IGNORECASE)
        ]
        text = _compiled(finder.pattern).sub(partial(_replaced, spared=spared), text)
    return text


def _found(text: str, finders: Finders) -> Finders:
    """Return the finders whose values can be in a text; most texts hold none."""
    if not finders:
        return ()
    words = [_folded(reading) for reading in _read_as(text)]
    letters = [_only_letters(word) for word in words]
    readings = {
        "words": b" ".join(words),
        "letters": b" ".join(letters),
        "digits": b" ".join(plain.translate(None, _NO_DIGITS) for plain in letters),
        # Of a cart few words are long enough.
        "encoded": b" ".join(_LONG.findall(text.lower().encode("utf-8", "replace"))),
    }
    return tuple(
        finder
        for finder in finders
        if finder.needle in readings[finder.reading]
        # A name is mostly found in another word, or in a host's name.
        and (finder.reading != "words" or any(_stands_alone(word, finder) for word in words))
    )


def _stands_alone(reading: bytes, finder: _Finder) -> bool:
    position = reading.find(finder.needle)
    if position < 0:
        return False
    text, needle = reading.decode(), finder.needle.decode()
    position = text.find(needle)
    while position >= 0:
        end = position + len(needle)
        inside = text[position - 1 : position].isalnum() or text[end : end + 1].isalnum()
        if not inside and not _is_in_host(text, position, end):
            return True
        position = text.find(needle, end)
    return False


def _replaced(match: re.Match[str], spared: list[tuple[int, int]]) -> str:
    begin, end = match.span("value")
    inside = any(first <= begin and end <= last for first, last in spared)
    if inside or _is_in_host(match.string, begin, end):
        return match[0]
    return match[0][: begin - match.start()] + MASK + match[0][end - match.start() :]


def _is_in_host(text: str, begin: int, end: int) -> bool:
    """Return whether a match is a label of a host name: example in harbor.example.test.

    The last label is none (mr.example); what belongs to an e-mail address is not spared before
    its @.
    """
    while begin > 0 and (text[begin - 1].isalnum() or text[begin - 1] in ".-"):
        begin -= 1
    label_ends = end
    while end < len(text) and (text[end].isalnum() or text[end] in ".-"):
        end += 1
    run, follows = text[begin:end].rstrip("."), text[end : end + 1]
    return (
        follows != "@"
        and text[label_ends : label_ends + 1] == "."
        and len(run) > label_ends - begin + 1
        and re.fullmatch(r"(?:[a-z0-9-]+\.)+[a-z]{2,}", run) is not None
    )


def _read_as(text: str) -> list[str]:
    """Return what a text says: as it is, and without escapes of JSON, addresses, pages and mail."""
    readings: dict[str, None] = {text: None}
    if _has_bytes_apart(text):
        readings.update(dict.fromkeys(_APART.sub(said, text) for said in (_from_hexes, _from_ints)))
    if not any(map(_ESCAPED.search, readings)):
        return list(readings)
    readings[_QUOTED_PRINTABLE.sub(_from_hex, text)] = None
    readings.update(dict.fromkeys(_TAG.sub(instead, text) for instead in (" ", "")))
    readings[_CODE_POINT.sub(_from_code_point, text)] = None
    if "&" in text:
        readings[unescape(text)] = None
    for begin in list(readings):
        again = begin
        for _ in range(MOST_ESCAPED):
            before, again = again, _unescaped(again)
            if again == before:
                break
            readings[again] = None
    return list(readings)


_ESCAPED = re.compile(
    r"[%=](?:[0-9A-Fa-f]{2}|u[0-9A-Fa-f]{4}|\r?\n)|&[#a-zA-Z]|\\[unrtbfxU0-9A-Fa-f\r\n]"
    r"|[^\t\n\r\x20-\x7e]|<[a-zA-Z/!]"
)
_TAG = re.compile(r"<[a-zA-Z/!][^<>]{0,200}>")
_JSON_ESCAPE = re.compile(r"(?<!\\)\\+(?:u([0-9a-fA-F]{4})|([nrtbf]))")
_BLANKS = {"n": "\n", "r": "\r", "t": "\t", "b": " ", "f": " "}
_QUOTED_PRINTABLE = re.compile(r"((?:=[0-9A-Fa-f]{2}|=\r?\n)+)")
# How programs write bytes (\xc3\xab, \303\253, %C3%AB) and code points (\u{eb}, %u00EB, \0000eb).
_BYTES = re.compile(r"(?:\\+(?:x[0-9A-Fa-f]{2}|[0-3]?[0-7]{2}))+|(?:%[0-9A-Fa-f]{2})+")
_BYTE = re.compile(r"[%x]([0-9A-Fa-f]{2})|([0-3]?[0-7]{2})")
_CODE_POINT = re.compile(
    r"(?:\\+u\{|\\+U00|%u)([0-9A-Fa-f]{1,6})\}?|\\+(0?0?0?0?[0-9A-Fa-f]{2,6})[ ]?"
)
# UTF-8 that was read as Latin-1 or as Windows-1252: a letter's first byte, and those after it.
_WINDOWS = {bytes([byte]).decode("cp1252", "ignore"): byte for byte in range(0x80, 0xC0)}
_MISREAD = re.compile(f"[\xc2-\xf4][\x80-\xbf{''.join(_WINDOWS)}]{{1,3}}")
# Bytes one by one, as dumps and logs write them: 5A 6F C3 AB, 0x5a,0x6f and 90, 111, 195, 171.
_ONE_BYTE = r"(?:0x)?(?:-?[0-9]{1,3}|[0-9A-Fa-f]{2})"
_SOME_BYTES = rf"(?<![\w.]){_ONE_BYTE}(?:[\s,:]{{1,3}}{_ONE_BYTE}){{2,}}"
_APART = re.compile(rf"{_SOME_BYTES}(?![\w.])")
# The same at the end of a text that was cut, maybe within a number; so many characters of it.
_APART_CUT = re.compile(rf"({_SOME_BYTES})[\s,:]{{0,3}}(?:0x)?-?[0-9A-Fa-f]?\Z")
_LAST_NUMBER = re.compile(r"[\s,:]+[^\s,:]*\Z")
LONGEST_BEGUN = 1_000
_CONTROLS = re.compile(r"[\0-\x08\x0b\x0c\x0e-\x1f\x7f]+|=\r?\n")
# What nobody sees: the default ignorable code points of Unicode.
_UNSEEN = re.compile(
    "[\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e"
    "\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufff8\U000e0000-\U000e0fff]+"
)


def _plain(text: str) -> str:
    """Return a text without what nobody sees, and letters of other widths and styles as letters."""
    if text.isascii():
        return text
    return _OTHER_DIGIT.sub(_digit_of, unicodedata.normalize("NFKC", _UNSEEN.sub("", text)))


_OTHER_DIGIT = re.compile(r"[^\D0-9]")  # of another script


def _digit_of(match: re.Match[str]) -> str:
    return str(int(match[0]))


def _from_json(match: re.Match[str]) -> str:
    return chr(int(match[1], 16)) if match[1] else _BLANKS[match[2]]


def _from_hex(match: re.Match[str]) -> str:
    return _from_bytes(bytes.fromhex("".join(match[1].replace("=", "").split())))


def _from_hexes(match: re.Match[str]) -> str:
    """Read bytes apart as hexadecimal numbers."""
    numbers = [one.removeprefix("0x") for one in _SEPARATORS.split(match[0])]
    if any(len(number) != 2 or number[0] == "-" for number in numbers):
        return match[0]
    return _from_bytes(bytes.fromhex("".join(numbers)))


def _from_ints(match: re.Match[str]) -> str:
    """Read bytes apart as decimal numbers; some languages write 195 as -61."""
    try:
        return _said_by([int(one) for one in _SEPARATORS.split(match[0])]) or match[0]
    except ValueError:
        return match[0]


# Digits, letters of hex numbers and what stands between numbers. In a long text a number between
# two others is looked for first: that costs a tenth.
_KINDS = bytearray(b"x" * 256)
for _kind, _bytes in {
    "d": b"0123456789-",
    "h": b"abcdefABCDEF",
    ",": b", \t\n\r",
    ":": b":",
}.items():
    for _byte in _bytes:
        _KINDS[_byte] = ord(_kind)
_BETWEEN = (b",dd,", b",ddd,", b",dh,", b",dxd", b":dh:", b":dd:dd:")


def _has_bytes_apart(text: str) -> bool:
    if len(text) > SHORT_TEXT:
        kinds = text.encode("utf-8", "replace").translate(_KINDS)
        if not any(one in kinds for one in _BETWEEN):
            return False
    return _APART.search(text) is not None


_SEPARATORS = re.compile(r"[\s,:]+")


def _said_by(numbers: list[Any]) -> str:
    """Return the text that a list of bytes is; "" if it is another list."""
    if all(type(number) is int and -128 <= number < 256 for number in numbers):
        return _from_bytes(bytes(number & 255 for number in numbers))
    return ""


def _reread(match: re.Match[str]) -> str:
    try:
        return bytes(_WINDOWS.get(char, ord(char)) for char in match[0]).decode()
    except UnicodeDecodeError:
        return match[0]


def _from_bytes(raw: bytes) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def _from_escapes(match: re.Match[str]) -> str:
    found = _BYTE.finditer(match[0])
    return _from_bytes(bytes(int(one[1], 16) if one[1] else int(one[2], 8) for one in found))


def _from_code_point(match: re.Match[str]) -> str:
    code = int(match[1] or match[2], 16)
    return chr(code) if code <= sys.maxunicode else match[0]


def _unescaped(text: str) -> str:
    text = _CONTROLS.sub("", _JSON_ESCAPE.sub(_from_json, text))
    if not text.isascii():
        text = _MISREAD.sub(_reread, text)
    if "\\" in text or "%" in text:
        text = _BYTES.sub(_from_escapes, text)
    return unescape(unquote_plus(text)) if "%" in text or "&" in text else text


def _letters(text: str) -> bytes:
    """Return letters and digits alone, without case and accents."""
    return _only_letters(_folded(text))


def _only_letters(folded: bytes) -> bytes:
    if not folded.isascii():
        folded = _NO_WORD.sub("", folded.decode()).encode()
    return folded.translate(None, _NO_LETTERS)


def _folded(text: str) -> bytes:
    """Return a text without case, accents and what nobody sees."""
    if not text.isascii():
        text = _UNSEEN.sub("", unicodedata.normalize("NFKD", text).casefold())
        text = _OTHER_DIGIT.sub(_digit_of, _ACCENTS.sub("", text))
    return text.encode("utf-8", "replace").lower()


_ACCENTS = re.compile(
    "[\u0300-\u036f\u0483-\u0487\u0591-\u05bd\u05bf-\u05c7\u064b-\u065f\u0670\u1ab0-\u1aff"
    "\u1dc0-\u1dff\u20d0-\u20ff\u3099\u309a\ufe20-\ufe2f]+"
)
_NO_WORD = re.compile(r"(?:[^\w\0-\x7f]|\u02bc)+")
_NO_LETTERS = bytes(byte for byte in range(128) if not chr(byte).isalnum())
_NO_DIGITS = bytes(byte for byte in range(256) if not 48 <= byte <= 57)


def _telephone(value: str) -> str:
    """Return the digits that every spelling of a telephone number ends with; "" for others."""
    is_number = len(_digits(value)) >= FEWEST_DIGITS and not any(map(str.isalpha, value))
    return _digits(value)[-NATIONAL_DIGITS:] if is_number else ""


def _digits(value: str) -> str:
    return "".join(char for char in value if "0" <= char <= "9")


SHORTEST_ENCODED = 10  # characters of a value of TELLING in base64, without its neighbours' bits
_LONG = re.compile(rb"[a-z0-9+/_-]{%d,}" % SHORTEST_ENCODED)


def _encoded(value: str) -> list[str]:
    """Return a value in hex, and in base64 at each of the three places it can begin at."""
    if len(value) < TELLING:
        return []
    forms = []
    for text in dict.fromkeys((value, value.lower(), value.upper())):
        raw = text.encode()
        forms.append(raw.hex())
        for pad in range(3):
            for encode in (base64.b64encode, base64.urlsafe_b64encode):
                whole = encode(b"\0" * pad + raw).decode().rstrip("=")
                # The first characters and the last hold bits of their neighbours.
                forms.append(whole[(0, 2, 3)[pad] : len(whole) - bool((pad + len(raw)) % 3)])
    return list(dict.fromkeys(forms))


@lru_cache(maxsize=1024)
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.IGNORECASE)


@lru_cache(maxsize=256)
def _finders(values: tuple[str, ...]) -> Finders:
    """Return how the values are found; longer ones first, as they hold the others."""
    finders: list[_Finder] = []
    for value in sorted(_spellings(values), key=len, reverse=True):
        core = _telephone(value)
        if core:
            # The digits before those that all spellings share: a country's or an area's.
            before = "".join(f"(?:{_digit(d)}{_GAP})?" for d in _digits(value)[: -len(core)])
            digits = _GAP.join(map(_digit, core))
            pattern = rf"{_NUMBER}\d{{0,4}}?{_GAP}(?P<value>{before}{digits})(?!\d)"
        else:
            spelled = "".join(_SPACE if char == " " else _char(char) for char in value)
            pattern = f"(?P<value>{spelled})"
            if len(value) < TELLING or _is_word(value):
                pattern = f"{_BEGIN}{pattern}{_END}"
        finders.append(
            _Finder(
                needle=core.encode() or _letters(value),
                reading="digits" if core else "words" if value.isalnum() else "letters",
                pattern=pattern,
                is_telling=len(value) >= TELLING and not _is_word(value),
            )
        )
    for form in dict.fromkeys(form for value in values for form in _encoded(value)):
        found = f"(?P<value>{re.escape(form)})"
        finders.append(_Finder(form.lower().encode(), "encoded", found, is_telling=True))
    return tuple(finders)


_HOUSE_NUMBER = re.compile(r"^\d+\w?[ ,]+|[ ,]+\d+\w?$")
_DASHES = r"\-\u2010-\u2015\u2212"
# What may stand between the words of a value, and between the digits of a telephone number.
_SPACE = (
    rf"(?:[\s+_.,{_DASHES}]|%(?:25)*(?:2[0cd]|0[ad9])|=20|&nbsp;|&#0*32;|&#x0*20;"
    r"|\\{1,8}[nrt]|\\{1,8}u00[2a]0|<[a-zA-Z/!][^<>]{0,200}>){0,8}"
)
_GAP = (
    rf"(?:[\s()./+_\u00b7{_DASHES}]|[%=](?:25)*2[089bdf]|&nbsp;"
    r"|&#0*(?:32|4[013567]);|&#x0*2[089bdf];"
    r"|&(?:sol|lpar|rpar|period|plus);|\\{1,8}[nrt]|\\{1,8}u00(?:2[089bdef]|a0)"
    r"|<[a-zA-Z/!][^<>]{0,200}>){0,8}"
)
# Digits may belong to an escape before the number.
_NUMBER = r"(?:(?<!\d)|(?<=[%=][0-9a-f]{2})|(?<=%25[0-9a-f]{2})|(?<=\\u[0-9a-f]{4}))"
_APOSTROPHES = "'`\u00b4\u02bc\u2018\u2019"
# A name is a word of its own. An escape before it ends in letters, but belongs to no word.
_BEGIN = r"(?:(?<![^\W_])|(?<=[%=][0-9a-f]{2})|(?<=\\[nrtbf])|(?<=\\u[0-9a-f]{4}))"
_END = r"(?![^\W_])"


def _spellings(values: Iterable[str]) -> list[str]:
    """Return the values and the street names in them, without house numbers."""
    found: dict[str, None] = {}
    for value in values:
        spaced = " ".join(unicodedata.normalize("NFC", value).split())
        found[spaced] = None
        street = _HOUSE_NUMBER.sub("", spaced)
        if street != spaced and " " in street and len(street) >= TELLING:
            found[street] = None
    for value in [value for value in found if not value.isascii()]:
        found[value.translate(_IN_ASCII)] = None
        found[value.lower().translate(_IN_ASCII_SHORT)] = None
        lost = "".join(char if char.isascii() else _LOST for char in value)
        if len(_letters(lost)) >= SHORTEST:
            found[lost] = None
        elif len(lost) >= SHORTEST:  # too few letters to be told alone: Zo? and not Zo
            found[lost.replace(_LOST, _IS_LOST)] = None
    return list(found)


# How letters are written where there is only ASCII, and what stands for one that was lost.
_LONGER = {"ä": "ae", "ö": "oe", "ü": "ue", "å": "aa", "æ": "ae", "ø": "oe", "œ": "oe"}
_IN_ASCII = str.maketrans({**_LONGER, **{key.upper(): to.title() for key, to in _LONGER.items()}})
_IN_ASCII_SHORT = str.maketrans("øłđðıæ", "olddia")
_LOST = "\N{REPLACEMENT CHARACTER}"
_IS_LOST = "\N{OBJECT REPLACEMENT CHARACTER}"  # one of which something must be left


@lru_cache(maxsize=4096)
def _char(char: str) -> str:
    """Return a pattern for a character in every spelling: escaped for JSON, pages and addresses."""
    if char == _LOST:
        return f"[?_{_LOST}]{{0,4}}"
    if char == _IS_LOST:
        return f"[?{_LOST}]{{1,4}}"
    bare = unicodedata.normalize("NFD", char)
    folded = {char, char.lower(), char.upper(), char.casefold(), bare, bare[0]}
    ways: dict[str, None] = {}
    for form in sorted(folded, key=len, reverse=True):
        ways["".join(map(_escaped, form))] = None
        ways["".join(rf"[%=](?:25)*{byte:02x}" for byte in form.encode("utf-8", "replace"))] = None
        if not form.isascii():  # UTF-8 that was read as Latin-1, then escaped or not
            ways["".join(map(_escaped, form.encode("utf-8", "replace").decode("latin-1")))] = None
    if char == "-":
        ways[f"[{_DASHES}]"] = None
    if char == "+":  # in the query of an address it is a blank
        ways[r"\s"] = None
    if char in _APOSTROPHES:
        ways.update(dict.fromkeys((f"[{_APOSTROPHES}]", f"{_AMP}[ar](?:pos|squo){_SEMICOLON}")))
    return f"(?:{'|'.join(ways)})"


# Where a page's escape is in an address, or in JSON, its own signs are escaped too.
_AMP = r"(?:&|[%=](?:25)*26|\\{1,8}u0026)(?:amp;|amp%3b)*"
_HASH = r"(?:#|[%=](?:25)*23)"
_SEMICOLON = r"(?:;|[%=](?:25)*3b)"


def _escaped(char: str) -> str:
    """Return a pattern for one character as it is, for JSON, or as an entity of a page."""
    ways = [re.escape(char), "".join(rf"\\{{1,8}}u{ord(unit):04x}" for unit in _units(char))]
    ways.append(rf"{_AMP}{_HASH}(?:0*{ord(char)}|x0*{ord(char):x}){_SEMICOLON}")
    ways += [f"{_AMP}{name}{_SEMICOLON}" for name in _entities().get(char, ())]
    if not char.isalnum():
        ways.append(rf"\\{{1,8}}{re.escape(char)}")
    return f"(?:{'|'.join(ways)})"


@lru_cache(maxsize=1)
def _entities() -> dict[str, list[str]]:
    """Return the names that a page may write for each sign: &commat; is @."""
    names: dict[str, list[str]] = {}
    for name, char in html5.items():
        if name.endswith(";") and len(char) == 1:
            names.setdefault(char, []).append(name[:-1])
    return names


def _units(text: str) -> str:
    """Return the UTF-16 code units of a text, as JSON escapes them."""
    raw = text.encode("utf-16-be", "surrogatepass")
    return "".join(chr(raw[i] << 8 | raw[i + 1]) for i in range(0, len(raw), 2))


def _digit(char: str) -> str:
    entities = rf"&#0*{48 + int(char)};|&#x0*3{char};"
    return rf"(?:{char}|[%=](?:25)*3{char}|{entities}|\\{{1,8}}u003{char})"
