"""Personal data of an order, masked wherever a server repeats it.

Names, streets, telephone numbers, e-mail addresses and companies are masked in everything that is
written down: in fields that are called so, and by value in every other text. City, state, country
and postal code stay, because prices depend on them; so do ids, host names and product titles.
"""

from __future__ import annotations

import re
import unicodedata
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import islice, product
from operator import is_
from typing import TYPE_CHECKING, Any

import orjson

from firmly_nb.api.readings import (
    FOLD,
    MARGIN,
    WINDOW,
    letters,
    parts,
    placed,
    readings,
    said_by,
)
from firmly_nb.api.secrets import MAX_DEPTH, TOO_DEEP, replace_fields
from firmly_nb.api.snapshots import ORDER_NUMBER

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from firmly_nb.api.readings import Span


MASK = "***"
CUT = "\N{HORIZONTAL ELLIPSIS}"  # ends a text of which the rest was not kept


def _names(names: str) -> frozenset[str]:
    return frozenset(names.split())


PERSONAL_KEYS = _names(
    "address1 address2 address3 address_line_1 address_line_2 address_line_3 card_holder"
    " card_holder_name company company_name customer_name email email_address family_name"
    " first_name full_name given_name last_name middle_name mobile name_on_card phone phone_number"
    " recipient recipient_name street street1 street2 street_address surname telephone"
)
# Fields of an address whose values are looked for in every other text.
VALUE_KEYS = ("first_name", "last_name", "email", "phone", "address1", "address2", "company")
SHORTEST = 3  # characters; a shorter name is found in every other word
FEWEST_DIGITS = 6  # of a telephone number
NATIONAL_DIGITS = 9  # the end of a telephone number that every way of writing it shares
LOCAL_DIGITS = 7  # its end without an area code; no other digits may be beside them
# A part of a value this long is told by no other text, so that it needs no space around it.
TELLING = 8
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


def _plain_names(*names: str) -> frozenset[str]:
    return frozenset(plain_name(name) for some in names for name in some.split())


_NUMBER_NAME = plain_name(ORDER_NUMBER)
_PERSONAL_NAMES = frozenset(map(plain_name, PERSONAL_KEYS))
# What prices depend on, and what names no person.
_PUBLIC_NAMES = _plain_names(
    "city state state_or_province province region country country_code postal_code zip zip_code"
    " display_name currency domain host shop_id store_id sku handle event type status cart_status",
    ORDER_NUMBER,
)
# Below these fields a title or a description is the catalogue's.
_CATALOGUE_NAMES = _plain_names(
    "line_items items products product variants variant"
    " shipping_method_options shipping_methods shipping_options delivery_options"
)
_TITLE_NAMES = _plain_names(
    "title name description brand vendor image images alt url product_title product_name"
    " variant_title variant_description requested_attributes attributes options"
    " label estimated_delivery"
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
        values += [word for name in names for word in _telling_words(name)]
        mailbox = str(address.get("email") or "").partition("@")[0]
        if len(mailbox) >= TELLING or not mailbox.isalpha():  # not info, sales
            values.append(mailbox)
        found.update(dict.fromkeys(v for value in values if len(v := value.strip()) >= SHORTEST))
    return tuple(found)


def _telling_words(name: str) -> list[str]:
    """Return the parts of a name; van, der and de are found in every other text."""
    return [word for word in _PARTS.split(name) if SHORTEST < len(word) < len(name)]


APOSTROPHES = "'`\u00b4\u02bc\u2018\u2019"
_PARTS = re.compile(rf"[\s\-{APOSTROPHES}]+")


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
    finders = _finders(values)
    text = _without_begun(text, finders) if text.endswith(CUT) else text
    return _masked_text(text, finders, kept, MAX_NESTED)


def mask_personal_name(name: str, values: tuple[str, ...] = (), kept: tuple[str, ...] = ()) -> str:
    """Return the name of an event with everything masked that names a person.

    Examples
    --------
    >>> mask_personal_name("cart-created", ("Cart",)), mask_personal_name("for Cart", ("Cart",))
    ('cart-created', 'for ***')
    """
    is_label = _LABEL.fullmatch(name) is not None
    return _search(name, _at_least(PERSON if is_label else WORD, _finders(values)), kept)


SHORT_TEXT = 200
_mask_short = lru_cache(maxsize=4096)(_mask_text)  # each event has a name, and most have few


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
                found = _found('"'.join(map(_said_in, some)), self.finders)
                for string in some:
                    is_name = plain_name(string) in _PERSONAL_NAMES
                    finders = _found(_said_in(string), found)
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
    """Return what a string of JSON says, or what is between two strings."""
    if "\\" in string or _BACKSLASH in string or _QUOTE in string:
        escaped = string.replace(_QUOTE, '\\"').replace(_BACKSLASH, "\\\\")
        string = orjson.loads(f'"{escaped}"')
    return string


def _changed_strings(told: dict[str, tuple[bool, Finders]], kept: tuple[str, ...]) -> bool:
    return any(
        _is_changed(string, finders, kept)
        for string, (_, finders) in told.items()
        if finders or _QUOTE in string
    )


def _is_changed(string: str, finders: Finders, kept: tuple[str, ...]) -> bool:
    said = _said_in(string)
    if _QUOTE in string:
        return _masked_text(said, finders, kept, MAX_NESTED) != said
    return _search(said, finders, kept) != said


def _masked(
    value: Any, finders: Finders, kept: tuple[str, ...], depth: int, in_catalogue: bool
) -> Any:
    if isinstance(value, str):
        return _masked_text(value, finders, kept, min(depth, MAX_NESTED))
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        said = str(int(value)) if value == value // 1 else ""  # 2065550100.0 is one as well
        numbers = (f.letters for f in finders if f.before is not None and f.level == PERSON)
        is_telephone = any(number in said for number in numbers)
        return MASK if is_telephone else value
    if not isinstance(value, (list, dict)):
        return value
    if depth <= 0:
        return TOO_DEEP
    if isinstance(value, list):
        said = said_by(value) if finders else ""
        found = said and _search(said, finders, kept) != said
        inner = [_masked(item, finders, kept, depth - 1, in_catalogue) for item in value]
        return MASK if found else inner
    masked = {}
    for key, item in value.items():
        if is_personal(key):
            new = MASK if item else item
        elif _is_public(key, in_catalogue) and not isinstance(item, dict):
            looked_for = _for_field(key, item, finders, in_catalogue) if finders else ()
            new = _masked(item, looked_for, kept, depth - 1, in_catalogue)
        else:
            below = in_catalogue or plain_name(key) in _CATALOGUE_NAMES
            new = _masked(item, finders, kept, depth - 1, below)
        masked[_masked_key(key, finders, kept) if finders else key] = new
    return masked


def _for_field(key: str, item: Any, finders: Finders, in_catalogue: bool) -> Finders:
    """Return what is looked for in a field that is public: in Ada Street Ada is a place's name."""
    if (
        plain_name(key) == _NUMBER_NAME
    ):  # it may happen to be the telephone: it is the order's all the same
        return tuple(finder for finder in _at_least(PERSON, finders) if finder.before is None)
    is_label = in_catalogue or (isinstance(item, str) and _LABEL.fullmatch(item) is not None)
    return _at_least(PERSON if is_label else NAME, finders)


@lru_cache(maxsize=4096)
def _masked_key(key: str, finders: Finders, kept: tuple[str, ...]) -> str:
    """Return the name of a field or an event; it may be an e-mail address or a whole name."""
    least = PERSON if _LABEL.fullmatch(key) else NAME
    return _search(key, _at_least(least, finders), kept)


# How names of fields and events, ids and codes are written.
_LABEL = re.compile(r"[\w.:/@#-]*", re.ASCII)


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
    return (_search_short if len(text) <= SHORT_TEXT else _search)(text, finders, kept)


@dataclass(frozen=True, slots=True, eq=False)
class _Finder:
    """One spelling of a value: what is compared of it, and which signs may be in it."""

    letters: str
    needle: bytes  # the same, to be looked for in many texts
    level: int
    breaks: frozenset[int] = frozenset()  # letters before which it has a sign, or a lost letter
    needs: frozenset[int] = frozenset()  # those before which there must be one
    lost: frozenset[int] = frozenset()  # those before which a letter was lost
    before: str | None = None  # of a telephone number: the digits before those compared
    after: re.Pattern[str] | None = None  # what follows the letters, and is of the value

    @property
    def is_loose(self) -> bool:
        """A long value: any signs may be in it."""
        return self.level > WORD and len(self.letters) >= TELLING


Finders = tuple[_Finder, ...]
# How much a value tells: a word, a whole name, and what nobody writes but to name a person.
WORD, NAME, PERSON = range(3)


@lru_cache(maxsize=4096)
def _at_least(level: int, finders: Finders) -> Finders:
    return tuple(finder for finder in finders if finder.level >= level)


def _search(text: str, finders: Finders, kept: tuple[str, ...]) -> str:
    """Mask the values in a text, in whatever reading of it they are."""
    spans: list[Span] = []
    for begin, first, reading in parts(text) if finders else ():
        said = letters(reading.said)
        if told := [finder for finder in finders if finder.needle in said]:
            inside = range(begin - first, begin - first + WINDOW)
            found = reading.in_text(_matches(reading.said, told))
            spans += [(low + first, high + first) for low, high in found if low in inside]
    spared = [
        match.span()
        for word in (kept if spans else ())
        for match in re.finditer(re.escape(word), text, re.IGNORECASE)
    ]
    masked, position = [""], 0
    for begin, end in sorted(spans):
        if any(first <= begin and end <= last for first, last in spared):
            continue
        # What overlaps is masked once: a name in an e-mail address, in any reading.
        if begin >= position:
            masked += [text[position:begin], MASK] if begin > position or not position else []
        position = max(position, end)
    return "".join([*masked, text[position:]])


_search_short = lru_cache(maxsize=4096)(_search)


def _found(text: str, finders: Finders) -> Finders:
    """Return the finders whose values can be in a text; most texts hold none."""
    if not finders:
        return ()
    said = b" ".join(letters(reading.said) for _, _, reading in parts(text))
    return tuple(finder for finder in finders if finder.needle in said)


def _matches(said: str, finders: Iterable[_Finder]) -> Iterator[Span]:
    found, places = placed(said)
    for finder in finders:
        at = found.find(finder.letters)
        while at >= 0:
            if span := _fit(said, found, places, at, finder):
                yield span
            at = found.find(finder.letters, at + 1)


def _fit(said: str, found: str, places: list[int], at: int, finder: _Finder) -> Span | None:
    """Return the span of a value whose letters are found; None if they are of something else."""
    size = len(finder.letters)
    begin, end = places[at], places[at + size - 1] + 1
    gaps: dict[int, str] = {}
    for index in range(1, size) if end - begin > size else ():
        between = said[places[at + index - 1] + 1 : places[at + index]]
        if signs := between.translate(FOLD):
            # In a path two words are no name: example.test/cart.
            is_apart = finder.level == NAME and "/" in between
            if len(signs) > MOST_SIGNS or MASK in between or is_apart:
                return None
            gaps[index] = between
    if finder.before is not None:
        is_one = all(map(_is_gap, gaps.values())) and not _neighbour(said, end - 1, 1).isdigit()
        return _with_code(said, found, places, at, finder) if is_one else None
    if finder.after:
        rest = finder.after.match(said, end)
        if rest is None:
            return None
        end = rest.end()
    if size in finder.lost:
        gaps[size] = _LOST.match(said, end)[0]  # type: ignore[index]  # it matches nothing at least
        end += len(gaps[size])
    while end < len(said) and unicodedata.combining(said[end]):
        end += 1
    is_spelled = len(gaps) >= size - 1  # Z-o-e
    is_like = finder.is_loose or is_spelled or gaps.keys() <= finder.breaks
    is_told = all(
        _LOST.match(gaps.get(index, ""))[0] if finder.lost else index in gaps  # type: ignore[index]
        for index in finder.needs
    )
    is_own = is_like and is_told and not _is_other(said, begin, end, finder)
    return (begin, end) if is_own else None


def _is_other(said: str, begin: int, end: int, finder: _Finder) -> bool:
    """Return whether letters are a part of another word, a host's name, a path or a field."""
    around = _neighbour(said, begin, -1) + _neighbour(said, end - 1, 1)
    if finder.is_loose:  # ZoeOQuill4711
        around = "" if finder.level == PERSON or around.isdigit() else around
    before = said[max(0, begin - MARGIN) : begin]
    is_field = (
        finder.level < PERSON
        and _FIELD.match(said, begin) is not None
        and before.rstrip(_NAME_SIGNS).endswith('"')
    )
    # A whole name is looked for in a path, but not in the host before it: https://example.test.
    url = _URL.search(before) if finder.level < PERSON else None
    is_path = url is not None and (finder.level == WORD or "/" not in url[1])
    return bool(around) or is_field or is_path or _is_in_host(said, begin, end)


def _with_code(said: str, found: str, places: list[int], at: int, finder: _Finder) -> Span | None:
    """Return the span of a telephone number with its country and area, as far as they are there."""
    end = places[at + len(finder.letters) - 1] + 1
    for digit in reversed(finder.before or ""):
        if not at or found[at - 1] != digit or not _is_gap(said[places[at - 1] + 1 : places[at]]):
            break
        at -= 1
    begin = places[at]
    others = len(said[:begin]) - len(said[:begin].rstrip("0123456789"))
    most = 0 if finder.level < PERSON else MOST_BEFORE
    return (begin, end) if others <= most else None


def _is_gap(text: str) -> bool:
    """Return whether a text may be between the digits of a telephone number."""
    signs = unicodedata.normalize("NFKC", text) if len(text) < MARGIN else text
    return all(sign in _GAP or sign.isspace() or not FOLD[ord(sign)] for sign in signs)


def _neighbour(said: str, place: int, step: int) -> str:
    """Return the letter that makes one word with that at a place; "" if none does."""
    beyond = place + step
    while 0 <= beyond < len(said) and not FOLD[ord(said[beyond])] and said[beyond] >= " ":
        beyond += step
    char = said[beyond] if 0 <= beyond < len(said) else " "
    is_letter = FOLD[ord(char)] not in {"", " "}
    return char if is_letter and not _NO_SPACES.search(char + said[place]) else ""


def _is_in_host(text: str, begin: int, end: int) -> bool:
    """Return whether a match is a label of a host name: example in harbor.example.test.

    The last label is none (mr.example); what belongs to an e-mail address is not spared before
    its @.
    """
    if text[end : end + 1] != ".":
        return False
    first = len(text[:begin].rstrip(_HOST_SIGNS)) if begin <= MARGIN else begin
    run = _HOST.match(text, first)
    return run is not None and run.end() > end + 1 and text[run.end() : run.end() + 1] != "@"


MOST_SIGNS = 8  # between two letters of a value
MOST_BEFORE = 4  # other digits before those of a telephone number
_GAP = frozenset("()./+_-\u00b7\u2010\u2011\u2012\u2013\u2014\u2015\u2212")
_LOST = re.compile("[?_\N{REPLACEMENT CHARACTER}]{0,4}")
_HOST_SIGNS = "abcdefghijklmnopqrstuvwxyz0123456789.-"
_HOST = re.compile(r"(?:[a-z0-9-]+\.)+[a-z]{2,}(?![\w-])")
_URL = re.compile(r""":(?:\\{0,2}/){2}([^\s?#"'<>]*)\Z""")
_NAME_SIGNS = f"{_HOST_SIGNS}{_HOST_SIGNS.upper()}_"
_FIELD = re.compile(r'[\w.-]{1,99}\\{0,16}"\s{0,9}:', re.ASCII)
# Scripts that write no spaces between words, or a suffix behind a name.
_NO_SPACES = re.compile(
    "[\u0e00-\u0eff\u1000-\u11ff\u2e80-\ua4cf\uac00-\ud7ff\uf900-\ufaff\U00020000-\U0003ffff]"
)


def _without_begun(text: str, finders: Finders) -> str:
    """Mask a value of which a text that was cut has the begin only."""
    said = text.removesuffix(CUT)
    for whole in dict.fromkeys((said, _PARTIAL.sub("", said))):
        first = max(0, len(whole) - MARGIN)
        spans = [
            span
            for reading in readings(whole[first:])
            for span in reading.in_text(_begun(reading.said, finders))
        ]
        if spans:
            return f"{said[: first + min(spans)[0]]}{MASK}{CUT}"
    return text


# Of an escape or a number what the cut has left.
_PARTIAL = re.compile(r"(?:[\s,:]{1,3}(?:0x)?-?[0-9A-Fa-f]{0,2}|[%=\\&][#\w]{0,6})\Z")


def _begun(said: str, finders: Finders) -> Iterator[Span]:
    found, places = placed(said)
    for finder in finders:
        least = SHORTEST if finder.before is None else FEWEST_DIGITS
        for size in range(len(finder.letters) - 1, least - 1, -1):
            if found.endswith(begin := finder.letters[:size]):
                begun = replace(finder, letters=begin, level=WORD, needs=frozenset())
                if span := _fit(said, found, places, len(found) - size, begun):
                    yield span


@lru_cache(maxsize=256)
def _finders(values: tuple[str, ...]) -> Finders:
    """Return how the values are found."""
    found: dict[str, _Finder] = {}
    for value in values:
        if digits := _telephone(value):
            core = digits[-NATIONAL_DIGITS:]
            before = digits[:-NATIONAL_DIGITS]
            found.setdefault(core, _Finder(core, core.encode(), PERSON, before=before))
            if len(digits) > NATIONAL_DIGITS:
                local = digits[-LOCAL_DIGITS:]
                found.setdefault(local, _Finder(local, local.encode(), WORD, before=""))
        else:
            for finder in map(_finder, _spellings(value)):
                if finder:
                    found.setdefault(finder.letters, finder)
            if tagged := _tagged(value):
                found[value] = tagged
    return tuple(found.values())


def _tagged(value: str) -> _Finder | None:
    """Return how an e-mail address is found that has another +tag, or one at all."""
    mailbox, at, host = value.partition("@")
    said, told = (letters(part).decode() for part in (mailbox.partition("+")[0], host))
    if not (at and said and told):
        return None
    after = re.compile(rf"\+[^\s@<>\"']{{1,64}}@{re.escape(host)}", re.IGNORECASE)
    breaks = frozenset(range(len(said)))
    return _Finder(said, told.encode(), PERSON, breaks, after=after)


def _finder(value: str) -> _Finder | None:
    said, breaks, spaces, lost = "", set(), set(), set()
    for char in value:
        folded = FOLD[ord(char)]
        if folded != " ":
            said += folded
        elif char == GONE:
            lost.add(len(said))
        else:
            breaks.add(len(said))
            spaces |= {len(said)} if char == " " else set()
    is_short = lost or _NO_SPACES.search(said)
    if len(said) < SHORTEST - bool(is_short) or not any(map(str.isalpha, said)):
        return None
    is_name = _is_name(value)
    person = PERSON if len(value) >= TELLING else WORD
    # Bo At is no boat, and Zo is no Zoë.
    needs = spaces if is_name and not is_short and len(said) < FEWEST_DIGITS else set()
    needs = lost if len(said) < FEWEST_DIGITS else needs
    level = (NAME if spaces else WORD) if is_name else person
    allowed, needed, gone = map(frozenset, (breaks | lost, needs, lost))
    return _Finder(said, said.encode("utf-8", "replace"), level, allowed, needed, gone)


def _is_name(value: str) -> bool:
    return all(char.isalpha() or char in f" -.{APOSTROPHES}{GONE}" for char in value)


def _telephone(value: str) -> str:
    """Return the digits of a telephone number without its extension; "" for other values."""
    number = _EXTENSION.sub("", value)
    digits = "".join(char for char in number if "0" <= char <= "9")
    return digits if len(digits) >= FEWEST_DIGITS and not any(map(str.isalpha, number)) else ""


_EXTENSION = re.compile(r"(?i)^\s*tel\W*|\s*(?:ext\W*|x|#)\s*\d{1,6}\s*$")
_HOUSE_NUMBER = re.compile(r"(\d+\w?)[ ,]+(.*[^\d ,].*)|(.+?)[ ,]+(\d+\w?)")
GONE = "\N{REPLACEMENT CHARACTER}"  # a letter that was lost
# What is written for a word of a street or a company.
_SHORT = (
    "street st str|avenue ave av|road rd|boulevard blvd|drive dr|lane ln|court ct|place pl|"
    "square sq|terrace ter|way wy|highway hwy|parkway pkwy|circle cir|north n|south s|east e|"
    "west w|apartment apt unit|suite ste|floor fl|building bldg|room rm|company co|limited ltd|"
    "incorporated inc|corporation corp|and & und et y"
)
_SAME = {word: group.split() for group in _SHORT.split("|") for word in group.split()}
MOST_SPELLINGS = 24  # of one value by its words
# How letters are written where there is only ASCII.
_LONGER = {"ä": "ae", "ö": "oe", "ü": "ue", "å": "aa", "æ": "ae", "ø": "oe", "œ": "oe"}
_IN_ASCII = str.maketrans({**_LONGER, **{key.upper(): to.title() for key, to in _LONGER.items()}})


def _spellings(value: str) -> list[str]:
    """Return the ways in which people and programs write a value.

    Examples
    --------
    >>> _spellings("12 Main Street")[:3]
    ['12 Main Street', 'Main Street 12', 'Main Street']
    >>> _spellings("ada+1@a.test")
    ['ada+1@a.test', 'ada@a.test', 'ada+1 at a.test', 'ada at a.test']
    """
    spaced = " ".join(unicodedata.normalize("NFC", value).split())
    mailbox, at, host = spaced.partition("@")
    boxes = dict.fromkeys((mailbox, mailbox.partition("+")[0]))
    words = spaced.split()
    if at:
        ways = [f"{box}{sign}{host}" for sign in ("@", " at ") for box in boxes]
    elif match := _HOUSE_NUMBER.fullmatch(spaced):
        number, street = match[1] or match[4], match[2] or match[3]
        ways = [f"{number} {street}", f"{street} {number}"]
        ways += [street] if " " in street and len(street) >= TELLING else []
    elif len(words) > 1 and _is_name(spaced):
        ways = [spaced, " ".join([words[-1], *words[:-1]])]
        initial = f"{words[0][0]} {words[-1]}"
        ways += [initial] if len(letters(initial)) >= FEWEST_DIGITS else []
    else:
        ways = [
            box for box in boxes if box == spaced or (" " not in spaced and len(box) >= TELLING)
        ]
    found = dict.fromkeys(ways)
    for way in (way for way in ways if " " in way and not at):
        same = (_SAME.get(word.lower().strip(".,"), [word]) for word in way.split())
        found |= dict.fromkeys(map(" ".join, islice(product(*same), MOST_SPELLINGS)))
        found[re.sub("(?i)stra(?:ß|ss)e", "str", way)] = None
    for way in [way for way in found if not way.isascii()]:
        found[way.translate(_IN_ASCII)] = None
        found["".join(char if char.isascii() else GONE for char in way)] = None
    return list(found)
