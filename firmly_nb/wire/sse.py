"""Parser from the bytes of an event stream to events, at any cut and without waiting.

`EventStreamParser` follows the WHATWG rules for event streams to the letter
(https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation). It is
pushed: bytes in, events out, with no reading or waiting of its own, so that times are taken where
the bytes arrive and not here. Its cost is linear in the bytes, whatever the chunks.

The grammar is a generator that chunks are sent into. Each part of the technique was chosen by
measurement (``benchmarks/parsing.py``):

- Lines are cut by ``BytesIO``, the one splitter of the standard library that searches with
  ``memchr``. Two-byte needles, ``split`` and ``splitlines`` go byte by byte.
- Data stays bytes until it is asked for as text. Lines may be cut before decoding, because no
  byte of CR, LF or colon occurs inside a UTF-8 sequence, and a damaged sequence ends at them.
- Of a line that many chunks bring, the pieces are gathered in a list and moved, a portion at a
  time, into a ``BytesIO`` of which ``getvalue`` hands out the buffer itself: a big event is held
  once, and neither searched nor copied again.
- CR costs one ``in`` a chunk; only a chunk that has one takes the slower way.
- The state lives in the local names of the generator, which is far faster than attributes; it is
  written to a ledger only when somebody asks.
"""

from __future__ import annotations

import re
from io import SEEK_END, BytesIO
from typing import TYPE_CHECKING, Any, NamedTuple

from firmly_nb.display.messages import coded_error

if TYPE_CHECKING:
    from collections.abc import Generator

_BOM = b"\xef\xbb\xbf"
_LF, _CR, _SPACE, _COLON, _D, _E, _I = b"\n\r :dei"

# A line that says nothing, instead of one that has been dealt with.
_IGNORED = b"-\n"

# No more than this is taken at once, so that what is copied on the way stays small beside a big
# event. It is well above what one read of a socket brings.
PORTION_BYTES = 256 * 1024

# The order number in data that is not kept, and how much of a piece is looked at again for it.
_NUMBER = re.compile(rb'"platform_order_number"\s*:\s*(?:"([^"\\]{1,100})"|(\d{1,100})\b)')
_OVERLAP = 300
# Of a block that is dropped a byte or two are kept, so that it is known to have begun.
LEAST_DROPPED_BYTES = 16

# Streams have few event types, and short ones. The bound is there because the bytes are a
# stranger's.
_NAMES_KEPT = 256

# How much is kept of what is no event: enough to see a secret in it whole, and redact it.
KEPT_BYTES = 64 * 1024


class ServerSentEvent(NamedTuple):
    r"""Event of a stream.

    Attributes
    ----------
    event : str
        The type; ``message`` if the stream names none.
    raw_data : bytes
        The data as it came, its lines joined by LF.
    id : str
        The last event id in force, which an earlier event may have set.
    retry : int or None
        The reconnection time in milliseconds, if this event's block set one.

    Examples
    --------
    >>> ServerSentEvent("price", b'{"total": "12 \xe2\x82\xac"}', "7", None).data
    '{"total": "12 €"}'
    """

    event: str
    raw_data: bytes
    id: str
    retry: int | None

    @property
    def data(self) -> str:
        """Data as text, decoded at each call; bad UTF-8 becomes U+FFFD."""
        return self.raw_data.decode("utf-8", "replace")


def find_order_number(text: bytes) -> str | None:
    r"""Return the order number in a part of a JSON text that is not kept, or was cut.

    Examples
    --------
    >>> find_order_number(b'... "platform_order_number": "T-1", "li'), find_order_number(b"{}")
    ('T-1', None)
    """
    found = _NUMBER.search(text)
    return (found[1] or found[2]).decode("utf-8", "replace") if found else None


# What JSON takes once it is decoded: of each object, list and further value some bytes of its own.
_OBJECT, _LIST, _VALUE = 190, 72, 40
# Decoded JSON may take this many times its text, which carts do not; a little of it may take more.
_TIMES, _LITTLE = 12, 8 * 1024 * 1024
# As bytes, as text, without secrets and as a line of the journal: all of that within 200 MB.
_COPIES, _MOST = 4, 76 * 1024 * 1024


def is_costly(text: bytes) -> bool:
    r"""Return whether to decode and write JSON would take the recorder too much memory.

    Examples
    --------
    >>> is_costly(b"[" + b"[]," * 200_000 + b"0]"), is_costly(b'"' + b"x" * 600_000 + b'"')
    (True, False)
    """
    if len(text) * (_LIST + _VALUE) <= _LITTLE:
        return False
    needed = text.count(b"{") * _OBJECT + text.count(b"[") * _LIST + text.count(b",") * _VALUE
    size = len(text)
    return needed > max(_LITTLE, _TIMES * size) or needed + _COPIES * size > _MOST


class DroppedData(bytes):
    """Data of an event that was too large to be kept: empty.

    Attributes
    ----------
    size : int
        How many bytes it had.
    order_number : str or None
        The order number that was seen in it.
    """

    size: int
    order_number: str | None


class Dropping(BytesIO):
    """Store that counts what it is given and keeps nothing but an order number.

    Attributes
    ----------
    size : int
        How many bytes it was given.
    number : str or None
        The first order number in them.

    Examples
    --------
    >>> store = Dropping()
    >>> store.write(b'{"platform_order'), store.write(b'_number": "T-1"}')
    (16, 16)
    >>> store.size, store.number, store.read()
    (32, 'T-1', b'')
    """

    def __init__(self) -> None:
        super().__init__()
        self.size = 0
        self.number: str | None = None
        self._tail = b""

    def write(self, piece: Any, /) -> int:
        """Count a piece, and look for an order number in it."""
        size = len(piece)
        self.size += size
        if self.number is None:
            seen = self._tail + piece
            self.number = find_order_number(seen)
            self._tail = seen[-_OVERLAP:]
        return size

    def writelines(self, pieces: Any, /) -> None:
        """Count several pieces."""
        self.write(b"".join(pieces))

    def truncate(self, _: int | None = None, /) -> int:
        """Do nothing: what is cut off is the end of a line."""
        return 0

    def getvalue(self) -> DroppedData:
        """Return data that is empty and knows its size and order number."""
        data = DroppedData()
        data.size, data.order_number = self.size, self.number
        return data


class Ledger:
    """Ledger of the generator: its counts on request, and the limits that it must keep."""

    __slots__ = (
        "block",
        "block_bytes",
        "comments",
        "drop",
        "dropped_bytes",
        "last_event_id",
        "max_event_bytes",
        "max_stream_bytes",
        "pending_bytes",
        "reconnection_time",
        "stray_bytes",
        "strays",
        "stream_bytes",
    )

    def __init__(self, max_event_bytes: int, max_stream_bytes: int) -> None:
        self.max_event_bytes = max_event_bytes
        self.max_stream_bytes = max_stream_bytes
        self.drop = False  # whether to drop the block that has begun
        self.dropped_bytes = 0  # of the present block
        self.stream_bytes = 0
        self.block_bytes = 0
        self.pending_bytes = 0
        self.comments = 0
        self.last_event_id = ""
        self.reconnection_time: int | None = None
        self.stray_bytes = 0
        self.strays: list[bytes] = []
        # Of the block that has not ended: its name, its data, and the line that is not whole.
        self.block: tuple[str, bytes | BytesIO | None, list[bytes], BytesIO | None] | None = None

    @property
    def room(self) -> int:
        """Number of bytes that surely fit before the limits must be checked again."""
        return min(
            self.max_event_bytes - self.block_bytes,
            self.max_stream_bytes - self.stream_bytes,
            PORTION_BYTES,
        )


def parse(  # noqa: C901, PLR0912, PLR0915 - local names are what makes it fast
    ledger: Ledger,
) -> Generator[list[ServerSentEvent] | None, bytes, None]:
    """Yield the events of each chunk that is sent.

    None stands for "not taken": the chunk is empty or more than there was certainly room for, and
    the ledger has been brought up to date instead. A line end counts as one byte, CRLF too.
    """
    make = tuple.__new__  # the constructor of a NamedTuple costs twice as much
    names: dict[bytes, str] = {}  # whole lines to event types
    events: list[ServerSentEvent] | None = []
    granted = budget = ledger.room  # so the limits cost one comparison a chunk

    # The block: its data is what `store` holds, then `data`, then `more`.
    name, data, retry = "message", None, None
    more: list[bytes] = []
    store: BytesIO | None = None
    # The line that a chunk cut, of `cut` bytes: what `sink` holds, then `pieces`.
    pieces: list[bytes] = []
    cut = sunk = 0
    sink: BytesIO | None = None
    at_start, after_cr = True, False
    # The stream. What came since the last event is `idle_bytes`, then `block_bytes`, then `cut`.
    identifier = last_event_id = ""
    reconnection_time = None
    comments = idle_bytes = block_bytes = 0
    stray_bytes = kept_bytes = 0
    strays = ledger.strays

    while True:
        chunk = yield events
        size = len(chunk)
        if not 0 < size <= budget:
            if more and data is not None:
                store = _folded(store, data, more)
                data, more = None, []
            if cut - sunk > PORTION_BYTES // 2:
                if sink is None:
                    line = b"".join(pieces)
                    if at_start:
                        at_start = False
                        line = line.removeprefix(_BOM)
                    if line.startswith(b"data:"):
                        line = line[6 if line[5] == _SPACE else 5 :]
                        if data is not None:
                            store = _folded(store, data, more)
                            data = None
                        if store is None:
                            store = BytesIO()
                        else:
                            store.write(b"\n")
                        sink = store
                    else:
                        sink = BytesIO()
                    pieces = [line]
                sink.writelines(pieces)
                pieces = []
                sunk = cut
            if ledger.drop:
                ledger.drop = False
                # A short line that a chunk cut may be the event's name.
                is_long = sink is not None or cut >= ledger.max_event_bytes // 2
                store = _dropped(store, sink, [data or b"", *more, *(pieces if is_long else ())])
                data, more = None, []
                if is_long:
                    sink, pieces, cut, sunk = store, [], 1, 1
                # Never 0 before its blank line: the read that brings some of it is not its end.
                block_bytes = 1
            ledger.dropped_bytes = store.size if isinstance(store, Dropping) else 0
            ledger.stream_bytes += granted - budget
            ledger.block_bytes = block_bytes + cut
            ledger.pending_bytes = idle_bytes + block_bytes + cut
            ledger.comments = comments
            ledger.last_event_id = last_event_id
            ledger.reconnection_time = reconnection_time
            ledger.stray_bytes = stray_bytes
            ledger.block = name, data if store is None else store, pieces, sink
            granted = budget = ledger.room
            events = None
            continue
        budget -= size
        events = []

        if cut and _LF not in chunk and _CR not in chunk:
            pieces.append(chunk)
            cut += size
            continue
        if after_cr:
            after_cr = False
            if chunk[0] == _LF:
                chunk = chunk[1:]
                if not chunk:
                    continue
        lines: list[bytes] | BytesIO
        tail = b""
        if _CR in chunk:
            after_cr = chunk[-1] == _CR
            lines = _lines_with_cr(chunk)
            if lines[-1][-1] != _LF:
                tail = lines.pop()
        elif chunk[-1] != _LF:
            lines = BytesIO(chunk).readlines()
            tail = lines.pop()
        elif cut or at_start:
            lines = BytesIO(chunk).readlines()
        else:
            lines = BytesIO(chunk)  # no list: each line goes before the next one comes

        if (cut or at_start) and lines and isinstance(lines, list):
            # The first line is the end of one that earlier chunks began.
            pieces.append(lines[0])
            line = b"".join(pieces)
            pieces = []
            if at_start:
                at_start = False
                if line.startswith(_BOM):
                    line = line[3:]
                    idle_bytes += 3
            if sink is not None:
                sink.write(line)
                if sink is store:
                    sink.truncate(sink.seek(-1, SEEK_END))
                    line = _IGNORED
                    block_bytes += cut + len(lines[0]) - len(_IGNORED)
                else:
                    line = sink.getvalue()
                sink = None
            lines[0] = line
            cut = sunk = 0
        if tail:
            pieces.append(tail)
            cut = len(tail)

        for line in lines:
            first = line[0]
            if first == _LF:
                if data is not None or store is not None:
                    if more or store is not None:
                        data = _joined(store, data, more)
                        more = []
                        store = None
                    events.append(make(ServerSentEvent, (name, data, identifier, retry)))
                    data = None
                    idle_bytes = 0
                else:
                    idle_bytes += block_bytes + 1
                    if name != "message":  # without data it is no event
                        stray = f"event: {name}\n".encode()
                        stray_bytes += len(stray)
                        if kept_bytes < KEPT_BYTES:
                            strays.append(stray[:KEPT_BYTES])
                            kept_bytes += len(stray)
                block_bytes = 0
                last_event_id = identifier
                name = "message"
                retry = None
                continue
            if first == _COLON:
                comments += 1
                idle_bytes += len(line)
                continue
            block_bytes += len(line)
            if first == _D and line.startswith(b"data: "):
                value = line[6:-1]
            elif first == _E and line in names:
                name = names[line]
                continue
            elif first == _I and line.startswith(b"id: "):
                if 0 not in line:
                    identifier = line[4:-1].decode("utf-8", "replace")
                continue
            elif line is _IGNORED:
                continue
            else:
                field, _, value = line[:-1].partition(b":")
                if value[:1] == b" ":
                    value = value[1:]
                if field == b"id":
                    if 0 not in value:
                        identifier = value.decode("utf-8", "replace")
                    continue
                if field == b"event":
                    name = value.decode("utf-8", "replace") or "message"
                    if len(names) < _NAMES_KEPT and len(line) < _NAMES_KEPT:
                        names[line] = name
                    continue
                if field == b"retry":
                    if (milliseconds := _milliseconds(value)) is not None:
                        retry = reconnection_time = milliseconds
                    continue
                if field != b"data":
                    stray_bytes += len(line)
                    if kept_bytes < KEPT_BYTES:
                        strays.append(line[:KEPT_BYTES])
                        kept_bytes += len(line)
                    continue
            if data is None:
                data = value
            else:
                more.append(value)


def _lines_with_cr(chunk: bytes) -> list[bytes]:
    """Cut at CR, CRLF and LF, and end each complete line with LF."""
    lines: list[bytes] = []
    for piece in BytesIO(chunk):
        at = piece.find(b"\r")
        if at < 0:
            lines.append(piece)
        elif at == len(piece) - 2 and piece[-1] == _LF:
            lines.append(piece[:at] + b"\n")
        else:
            lines += [line + b"\n" for line in piece.splitlines()]
            if piece[-1] not in b"\r\n":
                lines[-1] = lines[-1][:-1]
    return lines


def _folded(store: BytesIO | None, data: bytes, more: list[bytes]) -> BytesIO:
    """Move data lines into the store, so that no line of a big event is held one by one."""
    if store is None:
        store = BytesIO()
    else:
        store.write(b"\n")
    store.write(b"\n".join([data, *more]))
    return store


def _dropped(store: BytesIO | None, sink: BytesIO | None, rest: list[bytes]) -> Dropping:
    """Drop what there is of a block, once through the store that looks for an order number."""
    dropping = store if isinstance(store, Dropping) else Dropping()
    if store is not None and store is not dropping:
        dropping.write(store.getvalue())
    if sink is not None and sink is not store:
        dropping.write(sink.getvalue())
    dropping.writelines(rest)
    return dropping


def _joined(store: BytesIO | None, data: bytes | None, more: list[bytes]) -> bytes:
    """Give the data of an event that has more than one line, or a line that a chunk cut."""
    if data is not None:
        if store is None:
            return b"\n".join([data, *more])
        store = _folded(store, data, more)
    return store.getvalue() if store is not None else b""


def _milliseconds(value: bytes) -> int | None:
    """Read a reconnection time: ASCII digits and nothing else, or it does not count."""
    try:
        return int(value) if value.isdigit() else None
    except ValueError:  # Python reads no number of many thousand digits
        return None


class EventStreamError(ValueError):
    """Stream beyond a limit of the parser.

    Attributes
    ----------
    limit : int
        The limit in bytes.
    size : int
        How many bytes had come when the limit was found to be passed.
    """

    def __init__(self, message: str, *, limit: int, size: int) -> None:
        super().__init__(message)
        self.limit = limit
        self.size = size


class EventTooLargeError(EventStreamError):
    """Event larger than ``max_event_bytes``."""


class StreamTooLargeError(EventStreamError):
    """Stream larger than ``max_stream_bytes``."""


class EventStreamParser:
    r"""Parser of one event stream, from the first byte to the last.

    An event is returned by the very call that brings the byte which completes its blank line: a
    CR ends its line at once, and a LF that follows in the next chunk is swallowed.

    Parameters
    ----------
    max_event_bytes : int
        The most bytes that one block (up to its blank line, comments left out) may have.
    max_stream_bytes : int
        The most bytes that the whole stream may have.
    drop_large : bool
        Whether an event above ``max_event_bytes`` is given out without its data, as
        ``DroppedData``. Otherwise it ends the stream with an error.

    Raises
    ------
    ValueError
        If a limit is below 1.

    Notes
    -----
    Events that were complete before a limit was passed are never lost: ``feed`` returns them, and
    the error comes with the next ``feed`` or with ``close``. If there are none, it comes at once.
    After it, every ``feed`` raises it again.

    Examples
    --------
    >>> parser = EventStreamParser()
    >>> parser.feed(b"event: price\ndata: {\"total\"")
    []
    >>> parser.pending_bytes
    27
    >>> for event in parser.feed(b": 12}\n\n: still here\n"):
    ...     print(event.event, event.data)
    price {"total": 12}
    >>> parser.comments, parser.pending_bytes
    (1, 13)
    >>> parser.close()
    >>> parser.unfinished_bytes
    0
    """

    __slots__ = ("_closed", "_drops", "_failure", "_ledger", "_machine", "_raised", "_send")

    def __init__(
        self,
        *,
        max_event_bytes: int = 8 * 1024 * 1024,
        max_stream_bytes: int = 64 * 1024 * 1024,
        drop_large: bool = False,
    ) -> None:
        if max_event_bytes < 1 or max_stream_bytes < 1:
            text = "max_event_bytes and max_stream_bytes must be at least 1, got"
            raise coded_error(
                ValueError, "FNB605", f"{text} {max_event_bytes} and {max_stream_bytes}. Pass more."
            )
        if drop_large:
            max_event_bytes = max(max_event_bytes, LEAST_DROPPED_BYTES)
        self._ledger = Ledger(max_event_bytes, max_stream_bytes)
        self._drops = drop_large
        self._machine = parse(self._ledger)
        next(self._machine)
        self._send = self._machine.send
        self._failure: EventStreamError | None = None
        self._raised = False
        self._closed = False

    def feed(self, chunk: bytes) -> list[ServerSentEvent]:
        """Take the next bytes of the stream.

        Parameters
        ----------
        chunk : bytes
            Any number of bytes, cut anywhere.

        Returns
        -------
        list of ServerSentEvent
            The events that these bytes completed, in order.

        Raises
        ------
        EventTooLargeError, StreamTooLargeError
            If a limit was passed; see the notes of the class.
        ValueError
            If the parser has been closed.
        RuntimeError
            If an earlier call was broken off by something else, such as Ctrl-C.
        """
        try:
            events = self._send(chunk)
        except StopIteration:
            text = "The parser was interrupted in an earlier feed. Make another EventStreamParser."
            raise coded_error(RuntimeError, "FNB604", text) from None
        if events is None:
            return self._feed_in_portions(chunk)
        return events

    def close(self) -> None:
        """End the stream; what is unfinished is dropped, as the rules say.

        Its size stays in ``unfinished_bytes``. Closing again does nothing.

        Raises
        ------
        EventTooLargeError, StreamTooLargeError
            If a limit was passed and no ``feed`` has raised the error yet.
        """
        self._settle()
        self._closed = True
        self._send = _refuse
        if self._failure is not None and not self._raised:
            self._raised = True
            raise self._failure

    @property
    def last_event_id(self) -> str:
        """Id that a reconnecting client would send."""
        return self._settle().last_event_id

    @property
    def reconnection_time(self) -> int | None:
        """Last valid ``retry`` in milliseconds; None if there was none."""
        return self._settle().reconnection_time

    @property
    def comments(self) -> int:
        """Number of comment lines so far: heartbeats, in most streams."""
        return self._settle().comments

    @property
    def pending_bytes(self) -> int:
        """Number of bytes since the end of the last complete event.

        It is 0 if the last event ended exactly where the last chunk did. A CRLF counts as one
        byte, so that a LF yet to come changes nothing. Before the first event it counts from the
        start of the stream.
        """
        return self._settle().pending_bytes

    @property
    def unfinished_bytes(self) -> int:
        """Number of bytes that wait for their blank line, without complete comment lines.

        After ``close`` this is the size of the rest that was dropped.
        """
        ledger = self._settle()
        return ledger.block_bytes + ledger.dropped_bytes

    @property
    def stray_bytes(self) -> int:
        """Number of bytes in lines that are no field of an event, and in events without data."""
        return self._settle().stray_bytes

    @property
    def strays(self) -> bytes:
        """First of these lines, up to 64 KiB."""
        return b"".join(self._settle().strays)[:KEPT_BYTES]

    @property
    def unfinished(self) -> bytes:
        r"""Begin of the event that waits for its blank line, up to 64 KiB; empty if none does.

        Examples
        --------
        >>> parser = EventStreamParser()
        >>> parser.feed(b": ping\nevent: price\nid: 7\ndata: {\"total")
        []
        >>> parser.unfinished
        b'event: price\ndata: {"total'
        """
        block = self._settle().block
        if block is None:
            return b""
        name, data, pieces, sink = block
        lines = [] if name == "message" else [f"event: {name}".encode()]
        if data is not None:
            held = data if isinstance(data, bytes) else data.getvalue()
            lines.append(b"data: " + held[:KEPT_BYTES])
        if sink is None or sink is not data:
            line = (sink.getvalue()[:KEPT_BYTES] if sink else b"") + b"".join(pieces)
            lines += [] if line.startswith(b":") else [line]
        return b"\n".join(filter(None, lines))[:KEPT_BYTES]

    def _settle(self) -> Ledger:
        try:
            self._machine.send(b"")
        except StopIteration:  # it was interrupted: what has been written down stays
            return self._ledger
        return self._ledger

    def _feed_in_portions(self, chunk: bytes) -> list[ServerSentEvent]:
        """Feed no more at a time than the limits leave room for."""
        if self._closed:
            text = "The parser is closed. Make another EventStreamParser."
            raise coded_error(ValueError, "FNB604", text)
        if self._failure is not None:
            self._raised = True
            raise self._failure
        events: list[ServerSentEvent] = []
        start = 0
        while start < len(chunk):
            ledger = self._settle()
            room = ledger.room
            if room < 1:
                if self._drops and ledger.stream_bytes < ledger.max_stream_bytes:
                    ledger.drop = True
                    continue
                self._fail(len(chunk) - start, at_once=not events)
                break
            events += self._send(chunk[start : start + room]) or ()
            start += room
        return events

    def _fail(self, rest: int, *, at_once: bool) -> None:
        self._failure = _failure(self._ledger, rest)
        self._send = _refuse
        if at_once:
            self._raised = True
            raise self._failure


def _refuse(_: bytes) -> None:
    """Stand in for the generator after the end, so that `feed` pays for no check of its own."""


def _failure(ledger: Ledger, rest: int) -> EventStreamError:
    """Say which limit left no room for the ``rest`` bytes that came beyond it."""
    if ledger.stream_bytes == ledger.max_stream_bytes:
        size = ledger.stream_bytes + rest
        return StreamTooLargeError(
            f"the stream has more than max_stream_bytes={ledger.max_stream_bytes} bytes "
            f"({size} have come so far); raise the limit if such a stream is expected",
            limit=ledger.max_stream_bytes,
            size=size,
        )
    size = ledger.block_bytes + rest
    return EventTooLargeError(
        f"one event has more than max_event_bytes={ledger.max_event_bytes} bytes "
        f"({size} have come since it began); raise the limit if such an event is expected",
        limit=ledger.max_event_bytes,
        size=size,
    )
