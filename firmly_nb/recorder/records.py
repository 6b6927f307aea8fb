"""The three kinds of record that make a recording: one start, any number of events, one end.

The same records go down the worker's pipe and into the journal, and a ``Recording`` is made from
them, so a recording that is read from a journal is the one that was shown. Times are nanoseconds
after ``t_start``, the moment before the request is sent, on the recorder's monotonic clock.
"""

from __future__ import annotations

import platform
import re
from contextlib import suppress
from dataclasses import dataclass, field, fields, replace
from functools import cache
from importlib.metadata import version
from itertools import islice
from sys import intern
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple, Self, get_args
from zlib import crc32

import orjson

from firmly_nb.api.beside import error_beside, status_beside
from firmly_nb.api.errors import DESCRIBED_BY, ENVELOPES, ERRORS, NAMED_BY, error_from_payload
from firmly_nb.api.event_names import COMPLETE_ORDER, SUCCESS
from firmly_nb.api.snapshots import (
    DEEPEST,
    FIELDS,
    NAMES,
    ORDER_NUMBER,
    find_snapshot,
    order_numbers,
    unsubmitted,
    why_unread,
)
from firmly_nb.outcomes import Existence, OutcomeName

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


FORMAT_VERSION = 1
MOST_PIECES = 2**31  # of one item
LONGEST_NS = 10 * 366 * 86_400 * 10**9  # of what an order takes, or is late by: ten years
LATEST_NS = 2**62  # in the year 2116; later times have no room for anything that follows
PACKED_BYTES = 4096  # of JSON, from which on a record keeps it as text until it is asked for
# Of JSON, from which on it is not decoded either to tell what it says: an outline tells it.
LARGE_BYTES = 64 * 1024
MOST_OUTLINED, MOST_OUTLINED_BYTES = 5_000, 64 * 1024  # values, and their JSON
LARGE_OBJECT, LONGEST_OUTLINED = 100, 1_000  # fields, of which few are looked at; characters
FIRST_FIELDS = 20
SAME = ("event", "clock", "id", "kind")  # texts that most events share
OUTLINE = "outline"  # its name in what is written
# Ends a line: a checksum of all that is before it, and before that the size of large JSON.
CHECKSUM, CHECKSUM_BYTES, DIGITS = b',"crc32":"%08x"}', 20, 8
SIZE = re.compile(rb',"(data|confirmation)_bytes":([0-9]{1,18})\Z')
SIZE_BYTES = 45  # more than it takes
# Older versions wrote large JSON last, and a checksum before it.
LAST_FIELD = re.compile(rb',"crc32":([0-9]+),"(data|confirmation)":')
# Fields that are looked for in an object, however many it has.
TELLING = (*NAMES, *FIELDS, ORDER_NUMBER, *NAMED_BY, *DESCRIBED_BY, *ERRORS, *ENVELOPES, "orders")


@cache
def written_with() -> dict[str, str]:
    """Return with what is recorded, nothing of who or where; to look the version up reads a file.

    Examples
    --------
    >>> sorted(written_with())
    ['firmly_nb', 'platform', 'python']
    """
    return {
        "firmly_nb": version("firmly-nb"),
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.machine()}",
    }


@dataclass(frozen=True, slots=True)
class Start:
    """Start of a recording: the order, its merchant and options; written before sending."""

    recording_id: str
    started_at_ns: int | None  # wall clock at t_start, Unix nanoseconds; None: not told
    environment: str
    domain: str
    items: list[dict[str, Any]]  # variant_id, quantity
    sse: bool
    connection: Literal["warm", "cold"]  # what was asked for; Phases tell what it was
    timeout_s: float
    milestones: list[str] | None = None  # None: the vocabulary that the stream speaks
    run_id: str | None = None
    schedule_lag_ns: int | None = None
    tags: dict[str, str] = field(default_factory=dict)
    recorder: dict[str, str] = field(default_factory=dict)  # versions and platform
    # What names the persons of the order; it is written down only with their addresses.
    personal: list[str] = field(default_factory=list, repr=False, compare=False)
    request_id: str | None = None  # sent with the order; None: an older version, or another tool
    server: str | None = None  # host and port that the order goes to
    # Whether the order is made call by call. Its start is then written anew before each call: its
    # milestones are the calls so far, its items those of the cart, its request id the last call's.
    flow: bool = False
    paused_ns: int = 0  # between the calls of a flow so far; no time of an event has them in it
    # Of a sweep from several machines: which one, and the order's number in the plan. Its planned
    # start needs the offset of the machine's clock to the coordinator's; no duration depends on it.
    host: str | None = None
    slot: int | None = None
    clock_offset_ns: int | None = None
    clock_error_ns: int | None = None
    format_version: int = FORMAT_VERSION
    kind: Literal["start"] = "start"

    @property
    def orders(self) -> bool:
        """True once the request that orders is sent: of a flow its last call, else the only one."""
        return not self.flow or COMPLETE_ORDER in (self.milestones or ())

    @property
    def success(self) -> frozenset[str]:
        """Names of the events that mean that the order was placed."""
        if self.flow:
            return frozenset({COMPLETE_ORDER})
        return frozenset(self.milestones[-1:]) if self.milestones else SUCCESS


class _Packing:
    """Record that can keep its JSON as text: decoded, a cart takes five times the memory."""

    __slots__ = ()
    PACKS: ClassVar[str]  # the field of the JSON
    _json: bytes | None
    _outline: Any

    def packed(self) -> Self:
        """Keep the JSON as text from now on; whoever asks for it gets what it says, anew."""
        value = None if self._json else getattr(self, self.PACKS)
        if isinstance(value, (dict, list)):
            with suppress(TypeError):  # half a surrogate pair, which JSON cannot hold
                text = orjson.dumps(value)
                if len(text) >= PACKED_BYTES:
                    large = len(text) >= LARGE_BYTES
                    # A copy: orjson leaves room behind what it wrote.
                    self.hold(bytes(memoryview(text)), outline(value) if large else None)
        return self

    def hold(self, text: bytes, told: Any) -> Self:
        """Keep this text and its outline as the JSON."""
        object.__setattr__(self, "_json", text)
        object.__setattr__(self, "_outline", told)
        object.__delattr__(self, self.PACKS)
        return self

    @property
    def outline(self) -> Any:
        """The JSON, as far as it tells how the order went; of large JSON not its bulk."""
        return getattr(self, self.PACKS) if self._outline is None else self._outline

    @property
    def is_outlined(self) -> bool:
        """True if the outline is not the JSON itself."""
        return self._outline is not None

    @property
    def json(self) -> bytes:
        """The JSON as text."""
        return orjson.dumps(getattr(self, self.PACKS)) if self._json is None else self._json

    @property
    def packed_bytes(self) -> int:
        """Size of the JSON that is kept as text."""
        return len(self._json or b"")

    def parts(self) -> tuple[dict[str, Any], bytes | None]:
        """Return its fields, and beside them the JSON where it is kept as text."""
        kind: Any = type(self)
        if self._json is None:
            return {name: getattr(self, name) for name in field_names(kind)}, None
        values = {name: getattr(self, name) for name in field_names(kind) if name != self.PACKS}
        return values if self._outline is None else {**values, OUTLINE: self._outline}, self._json

    def written(self) -> dict[str, Any]:
        """Return its fields as orjson may write them.

        orjson must not look at the record itself: it lets go of what an attribute returns before it
        has written it. So ``Event`` and ``End`` are below the dataclasses that it would recognise.
        """
        values, text = self.parts()
        return values if text is None else {**values, self.PACKS: orjson.Fragment(text)}

    def changed(self, **to: Any) -> Self:
        """Return a record with other fields, and the JSON as it is kept."""
        if self._json is None or self.PACKS in to:
            return replace(self, **to)  # type: ignore[type-var]  # each of its kinds is a dataclass
        kind: Any = type(self)
        kept = (each.name for each in fields(kind) if each.init and each.name != self.PACKS)
        values = {name: getattr(self, name) for name in kept}
        made: Self = kind(**{**values, self.PACKS: None, **to})
        return made.hold(self._json, self._outline)

    if not TYPE_CHECKING:  # for types the field is there

        def __getattr__(self, name: str) -> Any:
            # Python asks here only for what is not there.
            if name == self.PACKS and self._json is not None:
                return orjson.loads(self._json)
            raise AttributeError(f"{type(self).__name__} has no {name}", name=name, obj=self)

    def __reduce__(self) -> Any:
        return _restored, (type(self), *self.parts())


def outline(value: Any) -> Any:
    """Return JSON without its bulk, which tells the same of an order; None if it would not.

    Lists have their first value alone, long texts their begin, large objects the fields that are
    looked for. Whatever is read of events without a cart's lines is then read of the outline and of
    the whole: only if both say the same, the outline is one.

    Examples
    --------
    >>> outline({"order": {"cart_id": "c1", "line_items": [{"sku": "a"}, {"sku": "b"}]}})
    {'order': {'cart_id': 'c1', 'line_items': [{'sku': 'a'}]}}
    """
    left = MOST_OUTLINED

    def without_bulk(value: Any, deeper: int) -> Any:
        nonlocal left
        left -= 1
        if isinstance(value, str):
            return value[:LONGEST_OUTLINED]
        if not isinstance(value, (dict, list)):
            return value
        if not deeper or left < 0:
            return type(value)()
        if isinstance(value, list):
            return [without_bulk(each, deeper - 1) for each in value[:1]]
        names: Iterator[str] = iter(value)
        if len(value) > LARGE_OBJECT:
            first, telling = islice(value, FIRST_FIELDS), filter(value.__contains__, TELLING)
            names = iter(dict.fromkeys([*first, *telling]))
        return {name: without_bulk(value[name], deeper - 1) for name in names}

    found = without_bulk(value, DEEPEST + 2)
    is_small = left >= 0 and len(orjson.dumps(found)) <= MOST_OUTLINED_BYTES
    return found if is_small and _told_by(found) == _told_by(value) else None


def _told_by(data: Any) -> tuple[Any, ...]:
    """Return all that is told of an order by the data of an event, whatever its name."""
    snapshot, error = find_snapshot(data), error_from_payload(data)
    return (
        (error.error, error.description, error.code),
        error_beside(data, parts=True),
        status_beside(data),
        order_numbers(data),
        unsubmitted(data),
        snapshot and (snapshot.kind, snapshot.cart_id, snapshot.total),
        [why_unread(data, event) for event in ("", *SUCCESS)],
    )


@cache
def field_names(kind: Any) -> tuple[str, ...]:
    """Return the fields of a record that are written.

    Examples
    --------
    >>> field_names(Phases)
    ('blocked_ns', 'connecting_ns', 'tls_ns', 'sending_ns', 'waiting_ns')
    """
    return tuple(each.name for each in fields(kind) if not each.name.startswith("_"))


@dataclass(frozen=True, slots=True)
class _Event(_Packing):
    PACKS: ClassVar[str] = "data"

    seq: int  # from 1
    event: str
    data: Any  # decoded JSON, or the text where it is none; secrets already out
    t_ns: int
    wall_ns: int | None
    clock: Literal["kernel", "user", "external"]
    uncertainty_us: float
    read_no: int | None
    coalesced: bool
    read_delay_us: float
    size: int  # bytes of data
    rtt_us: float | None = None
    retransmits: int | None = None
    reordered: int | None = None
    id: str = ""
    raw: str | None = None
    kind: Literal["event"] = "event"
    # Exact text for who looks at it now. JSON leaves out fields that begin so: it is never written.
    _exact: str | None = field(default=None, repr=False, compare=False)
    _json: bytes | None = field(default=None, init=False, repr=False, compare=False)
    _outline: Any = field(default=None, init=False, repr=False, compare=False)

    @property
    def exact(self) -> str | None:
        """Exact text, secrets out; None where it is not kept."""
        return self._exact if self.raw is None else self.raw


class Event(_Event):
    """Server-sent event: its content, arrival time and uncertainty."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Phases:
    """Durations of the connection's phases, in nanoseconds; None for a phase that did not occur."""

    blocked_ns: int | None = None
    connecting_ns: int | None = None
    tls_ns: int | None = None
    sending_ns: int | None = None
    waiting_ns: int | None = None


@dataclass(frozen=True, slots=True)
class Settled:
    """Answer of the merchant's cart, asked afterwards whether an order exists."""

    order_exists: Existence
    evidence: str
    order_number: str | None = None


@dataclass(frozen=True, slots=True)
class Told:
    """Times of an order that another tool measured, in nanoseconds; None where it told none."""

    placed_ns: int | None = None
    failed_ns: int | None = None
    latency_ns: int | None = None


@dataclass(frozen=True, slots=True)
class _End(_Packing):
    PACKS: ClassVar[str] = "confirmation"

    outcome: OutcomeName
    t_end_ns: int
    t_headers_ns: int | None = None
    http_status: int | None = None
    error_code: str | None = None
    error_description: str | None = None
    phases: Phases = field(default_factory=Phases)
    connection: Literal["warm", "cold"] = "cold"
    confirmation: Any = None  # the answer's JSON: asked for without events, or with an order in it
    comments_ns: list[int] = field(default_factory=list)  # heartbeats
    unfinished_bytes: int = 0
    # How an event begins that never ended; empty: none did; None: not noted (an older version).
    unfinished: str | None = None
    clock_step_us: float = 0.0
    encoding: str | None = None  # how the response was compressed; None: it was not
    warnings: list[str] = field(default_factory=list)
    schedule_lag_ns: int | None = None  # t_start after the planned start, where one was planned
    retry_after_s: float | None = None  # how long the answer asked to wait
    sent: bool | None = None  # whether the network was given any byte of it; None: not known
    settled: Settled | None = None  # None: nobody asked
    told: Told | None = None  # None: the recorder saw the order itself
    # Whether the recorder closed a stream that was left open after its end was told. The time of
    # the end is then the recorder's, and says nothing of the merchant.
    stream_left_open: bool = False
    # Name and value of those headers of the response that may be kept; one can come twice.
    headers: list[list[str]] = field(default_factory=list)
    other_headers: list[str] = field(default_factory=list)  # names of those that may not be kept
    kind: Literal["end"] = "end"
    _json: bytes | None = field(default=None, init=False, repr=False, compare=False)
    _outline: Any = field(default=None, init=False, repr=False, compare=False)


class End(_End):
    """End of a recording: outcome, error and total times."""

    __slots__ = ()


def _restored(kind: type[Event | End], values: dict[str, Any], text: bytes | None) -> Event | End:
    if text is None:
        return kind(**values)
    told = values.pop(OUTLINE, None)
    return kind(**{**values, kind.PACKS: None}).hold(text, told)


Record = Start | Event | End
TIMED = frozenset({Start, Event, End, Phases, Told})


def began_ns(start: Start, end: End) -> int | None:
    """Return the start of the request by the wall clock, in Unix nanoseconds; None if not told.

    It is written down when it is expected; where the end knows the lag, it was later by so much.
    """
    if start.started_at_ns is None:
        return None
    return start.started_at_ns - (start.schedule_lag_ns or 0) + (lag_ns(start, end) or 0)


def lag_ns(start: Start, end: End) -> int | None:
    """Return by how much the request began later than planned; None without a plan."""
    return start.schedule_lag_ns if end.schedule_lag_ns is None else end.schedule_lag_ns


class Recorded(NamedTuple):
    """Records of one order."""

    start: Start
    events: Sequence[Event]
    end: End  # what its events tell where it was cut off
    cut_off: bool = False
    warnings: Sequence[str] = ()  # beside those of its end

    def records(self) -> list[Record]:
        """Return the records in order, as a journal has them."""
        return [self.start, *self.events, *([] if self.cut_off else [self.end])]


def encode(record: Record | dict[str, Any]) -> bytes:
    """Write a record as one line of JSON, without the line end.

    In that of a record with large JSON this comes behind its outline, and then a checksum: who
    reads the line need not decode what is as it was written.

    Examples
    --------
    >>> decode(encode(End("placed", 1_000))).outcome
    'placed'
    """
    pieces = _pieces(record)
    return pieces[0] + b"}" if len(pieces) == 1 else _checked(pieces)


def encode_line(record: Record) -> bytes:
    """Write a record as a line of a file; the last field is the CRC-32 of all that is before it.

    Examples
    --------
    >>> line = encode_line(End("placed", 1_000))
    >>> decode(line).t_end_ns
    1000
    >>> decode(line.replace(b"1000", b"1001"))
    Traceback (most recent call last):
    ...
    ValueError: the line is not as it was written
    """
    return _checked(_pieces(record)) + b"\n"


def _pieces(record: Record | dict[str, Any]) -> tuple[bytes, ...]:
    """Return what is written of a record, but for the brace that closes it."""
    if isinstance(record, (Event, End)):
        if record.packed_bytes >= LARGE_BYTES:
            values, text = record.parts()
            head = orjson.dumps(values, option=orjson.OPT_NON_STR_KEYS)[:-1]
            name, text = record.PACKS.encode(), text or b""
            return head, b',"%b":' % name, text, b',"%b_bytes":%d' % (name, len(text))
        line = orjson.dumps(record.written(), option=orjson.OPT_NON_STR_KEYS)
        if len(line) >= LARGE_BYTES and not record.packed_bytes:
            kept = record.changed().packed()
            if kept.packed_bytes >= LARGE_BYTES:
                return _pieces(kept)
    else:
        line = orjson.dumps(record, default=written, option=orjson.OPT_NON_STR_KEYS)
    return (line[:-1],)


def _checked(pieces: tuple[bytes, ...]) -> bytes:
    checksum = 0
    for piece in pieces:
        checksum = crc32(piece, checksum)
    return b"".join((*pieces, CHECKSUM % checksum))


def parts_of(record: Record | dict[str, Any]) -> tuple[Any, bytes | None]:
    """Return a record as it is written, and beside it its JSON where that is kept as text."""
    return record.parts() if isinstance(record, (Event, End)) else (record, None)


def written(value: Any) -> Any:
    """Write for orjson what it does not know: an event, an end."""
    if isinstance(value, (Event, End)):
        return value.written()
    raise TypeError(f"{type(value).__name__} is nothing that JSON can hold")


def decode(line: bytes) -> Record:
    """Read a record back; fields that a newer version added are passed over.

    Older versions wrote a checksum only of large records, and so do saved sets.

    Raises
    ------
    ValueError
        If the line is no whole record, or not as it was written.
    """
    end = len(line) - line.endswith(b"\n") - CHECKSUM_BYTES
    digits = line[end + CHECKSUM_BYTES - 2 - DIGITS : end + CHECKSUM_BYTES - 2]
    if line[end : end + CHECKSUM_BYTES] != b',"crc32":"%b"}' % digits:
        return _decode_older(line)
    view = memoryview(line)[: max(end, 0)]
    if b"%08x" % crc32(view) != digits:
        raise ValueError("the line is not as it was written")
    size = SIZE.search(view, end - SIZE_BYTES) if end >= LARGE_BYTES else None
    if size is None:
        return from_dict(orjson.loads(line))
    text = bytes(view[size.start() - int(size[2]) : size.start()])
    head = view[: size.start() - len(text) - len(b',"":') - len(size[1])]
    return from_dict(orjson.loads(bytes(head) + b"}"), text=text)


def _decode_older(line: bytes) -> Record:
    end = len(line) - line.endswith(b"\n") - 1
    last = LAST_FIELD.search(line) if end >= LARGE_BYTES else None
    if last is not None and line[end : end + 1] == b"}":
        view = memoryview(line)
        head, text = view[: last.start()], view[last.end() : end]
        if crc32(text, crc32(head)) == int(last[1]):
            return from_dict(orjson.loads(bytes(head) + b"}"), text=bytes(text))
    return from_dict(orjson.loads(line))


def from_dict(values: Any, exact: str | None = None, text: bytes | None = None) -> Record:
    """Make a record from its decoded JSON; see :func:`decode`.

    Parameters
    ----------
    values
        The decoded JSON.
    exact
        Exact text of an event.
    text
        What the event or the end holds of JSON, where it is not among the values.

    Raises
    ------
    ValueError
        If it is no whole record.
    """
    kind = values.get("kind") if isinstance(values, dict) else None
    try:
        if kind == "start":
            return Start(**_known(Start, values))
        if kind == "event":
            if values.get("reordered") is None:
                # Older versions wrote the sum of both counters under this name.
                values = {**values, "retransmits": None}
            if text is not None:
                values = {**values, Event.PACKS: None}
            known = _known(Event, values)
            # Of a million events few have a name of their own.
            known |= {name: intern(known[name]) for name in SAME if name in known}
            event = Event(**known, _exact=exact)
            return event.packed() if text is None else event.hold(text, values.get(OUTLINE))
        if kind == "end":
            values = {**values, "phases": Phases(**_known(Phases, values.get("phases") or {}))}
            if values.get("settled") is not None:
                values["settled"] = Settled(**_known(Settled, values["settled"]))
            if values.get("told") is not None:
                values["told"] = Told(**_known(Told, values["told"]))
            pairs = [each for each in values.get("headers") or [] if len(each) == 2]
            end = End(**_known(End, {**values, "headers": pairs}))
            return end.packed() if text is None else end.hold(text, values.get(OUTLINE))
    except TypeError as error:
        raise ValueError(f"an incomplete {kind} record: {error}") from None
    raise ValueError(f"unknown kind of record: {kind!r}")


def check_record(record: Record, before: Sequence[Record] = ()) -> None:
    """Refuse a record that no table can hold; types alone are checked where it is decoded.

    Parameters
    ----------
    record
        What was decoded.
    before
        The records of its order that come before it.

    Raises
    ------
    ValueError
        If an item is none, if a time is no time of an order, or if an event comes out of turn.

    Examples
    --------
    >>> check_record(Start("r", 0, "simulator", "a.test", [{"quantity": "2"}], True, "warm", 9))
    Traceback (most recent call last):
    ...
    ValueError: items are not those of an order
    >>> check_record(End("placed", -1))
    Traceback (most recent call last):
    ...
    ValueError: t_end_ns is no time of an order
    """
    if isinstance(record, Start):
        _check_items(record)
    _check_times(record)
    if isinstance(record, End):
        _check_times(record.phases)
        _check_times(record.told)
        start = start_of(before) if before else None
        if start and not 0 <= (began_ns(start, record) or 0) < LATEST_NS:
            raise ValueError("schedule_lag_ns is no time of an order")
    elif isinstance(record, Event):
        last = next((one.seq for one in reversed(before) if isinstance(one, Event)), 0)
        if record.seq <= last:
            raise ValueError(f"seq {record.seq} comes after {last}")


def _check_items(start: Start) -> None:
    for item in start.items:
        quantity, variant = item.get("quantity", 1), item.get("variant_id", "")
        is_number = _fits(quantity, "int") and abs(quantity) < MOST_PIECES
        if not is_number or not _fits(variant, "str | None"):
            raise ValueError("items are not those of an order")


def _check_times(record: Record | Phases | Told | None) -> None:
    kind: Any = type(record)
    for name, least, most in _bounds(kind):
        value = getattr(record, name)
        each = value if isinstance(value, list) else [value]
        if not all(one is None or least <= one <= most for one in each):
            raise ValueError(f"{name} is no time of an order")


@cache
def _bounds(kind: type) -> list[tuple[str, int, int]]:
    """Return the fields of a record that hold times, and between what these are."""
    found = []
    for name in field_names(kind) if kind in TIMED else ():
        if name in {"started_at_ns", "wall_ns"}:
            found.append((name, 0, LATEST_NS - 1))
        elif name in {"schedule_lag_ns", "clock_offset_ns"}:
            found.append((name, -LONGEST_NS, LONGEST_NS))
        elif name.endswith(("_ns", "_us", "_s")) or name in {"size", "read_no"}:
            found.append((name, 0, LONGEST_NS))
    return found


def _known(
    kind: type[Start | Event | End | Phases | Settled | Told], values: dict[str, Any]
) -> dict[str, Any]:
    return checked_fields(kind, values)


def checked_fields(kind: type, values: Any) -> dict[str, Any]:
    """Return the fields of a dataclass that decoded JSON holds; what it has besides is passed over.

    Raises
    ------
    TypeError
        If a value is of another type than the field: a time that is a text, a number beyond int64.

    Examples
    --------
    >>> checked_fields(Phases, {"blocked_ns": 7, "new": "x"})
    {'blocked_ns': 7}
    >>> checked_fields(Phases, {"blocked_ns": "7"})
    Traceback (most recent call last):
    ...
    TypeError: blocked_ns is not int | None
    """
    if not isinstance(values, dict):
        raise TypeError(f"{kind.__name__} is not an object")
    known = {}
    for name, plain, declared in _fields(kind):
        if name in values:
            value = values[name]
            # By far the most values are told by their type alone.
            if type(value) not in plain and not _fits(value, declared):
                raise TypeError(f"{name} is not {declared}")
            known[name] = value
    return known


@cache
def _fields(kind: type) -> list[tuple[str, frozenset[type], str]]:
    """Return name, types of which any value fits, and declared type of each field."""
    nothing = type(None)
    any_fits: dict[str, set[type]] = {
        "str": {str},
        "bool": {bool},
        "float": {float},
        "Any": {dict, list, str, int, float, bool, nothing},
    }
    found = []
    for item in fields(kind):
        if item.name.startswith("_"):
            continue  # never written
        declared = str(item.type)
        plain = any_fits.get(_parts(declared)[0], set())
        optional = {nothing} if "None" in declared else set()
        found.append((item.name, frozenset(plain | optional), declared))
    return found


@cache
def _parts(declared: str) -> tuple[str, str]:
    """Return a declared type without what is in its brackets, and that."""
    outer, _, inner = declared.removesuffix(" | None").partition("[")
    return outer, inner


@cache
def _literals(listed: str) -> list[str]:
    return listed.rstrip("]").replace("'", "").split(", ")


_PLAIN_TYPES: dict[str, type | tuple[type, ...]] = {
    "int": int,
    "float": (int, float),
    "str": str,
    "bool": bool,
    "list": list,
    "dict": dict,
    "Phases": Phases,
    "Settled": Settled,
    "Told": Told,
}
_WORDS = {"Existence": get_args(Existence), "OutcomeName": get_args(OutcomeName)}
_INT64 = range(-(2**63), 2**63)


def _fits(value: Any, declared: str) -> bool:
    """Return whether a value of JSON has a field's type; lists and dicts with all their values."""
    if value is None:
        return "None" in declared or declared == "Any"
    outer, inner = _parts(declared)
    if outer in {"Any", "Literal", *_WORDS}:
        return outer == "Any" or value in (_WORDS.get(outer) or _literals(inner))
    if not isinstance(value, _PLAIN_TYPES[outer]) or (isinstance(value, bool) and outer != "bool"):
        return False
    if isinstance(value, int):
        return value in _INT64
    if not isinstance(value, (list, dict)):
        return True
    each = value.values() if isinstance(value, dict) else value
    inner = inner.removesuffix("]").removeprefix("str, ")
    return all(_fits(one, inner) for one in each)


def start_of(records: Sequence[Record]) -> Start:
    """Return what a recording begins with, as it was written last.

    Raises
    ------
    TypeError
        If the first record is no start.
    """
    if not isinstance(records[0], Start):
        raise TypeError("a recording begins with a start record")
    return next(record for record in reversed(records) if isinstance(record, Start))
