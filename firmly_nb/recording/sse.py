"""Turn the bytes of an event stream into events, at any cut and without waiting.

The parser follows the WHATWG rules for event streams to the letter
(https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation).
It is pushed: bytes in, events out, no reading or waiting of its own, so that times are taken
where the bytes arrive and not here.

Technique, each part chosen by measurement (``benchmarks/parsing.py``):

- Lines are cut by ``BytesIO.readlines``, the one splitter of the standard library that searches
  with ``memchr``. Two-byte needles, ``split`` and ``splitlines`` go byte by byte.
- Data stays bytes until it is asked for as text. Lines may be cut before decoding, because no
  byte of CR, LF or colon occurs inside a UTF-8 sequence, and a damaged sequence ends at them.
- A line that is cut by a chunk is written to a ``BytesIO`` of which ``getvalue`` hands out the
  buffer itself: a big event is held once, and never searched or copied again.
- CR costs one ``in`` a chunk; only a chunk that has one takes the slower way.
- The state lives in the local names of a generator that chunks are sent into, which is far
  faster than attributes; it is written down only when somebody asks (an empty chunk).
"""

from collections.abc import Generator
from io import SEEK_END, BytesIO
from typing import NamedTuple

__all__ = [
    "EventStreamError",
    "EventStreamParser",
    "EventTooLargeError",
    "ServerSentEvent",
    "StreamTooLargeError",
]

_BOM = b"\xef\xbb\xbf"
_LF, _CR, _COLON, _D, _E = b"\n\r:de"

# A line that says nothing, in the place of one that has been dealt with.
_IGNORED = b"-\n"

# A chunk above this is taken in portions, so that what is copied on the way stays small beside
# a big event. It must be well above what one read of a socket brings.
_PORTION = 256 * 1024

# Streams have few event types. The bound is there because the bytes are a stranger's.
_NAMES_KEPT = 256


class EventStreamError(ValueError):
    """A stream went beyond a limit of the parser.

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
    """One event is larger than ``max_event_bytes``."""


class StreamTooLargeError(EventStreamError):
    """The stream is larger than ``max_stream_bytes``."""


class ServerSentEvent(NamedTuple):
    r"""One event of a stream.

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
        """The data as text, decoded at each call; bad UTF-8 becomes U+FFFD."""
        return self.raw_data.decode("utf-8", "replace")


class EventStreamParser:
    r"""Parse one event stream, from the first byte to the last.

    An event is returned by the very call that brings the byte which completes its blank line: a
    CR ends its line at once, and a LF that follows in the next chunk is swallowed.

    Parameters
    ----------
    max_event_bytes : int
        The most bytes that one block (up to its blank line, comments left out) may have.
    max_stream_bytes : int
        The most bytes that the whole stream may have.

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

    __slots__ = ("_closed", "_failure", "_ledger", "_machine", "_raised", "_send")

    def __init__(
        self,
        *,
        max_event_bytes: int = 8 * 1024 * 1024,
        max_stream_bytes: int = 64 * 1024 * 1024,
    ) -> None:
        if max_event_bytes < 1 or max_stream_bytes < 1:
            raise ValueError(
                "max_event_bytes and max_stream_bytes must be at least 1, "
                f"not {max_event_bytes} and {max_stream_bytes}"
            )
        self._ledger = _Ledger(max_event_bytes, max_stream_bytes)
        self._machine = _parse(self._ledger)
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
        """
        events = self._send(chunk)
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
        """The id that a reconnecting client would send."""
        return self._settle().last_event_id

    @property
    def reconnection_time(self) -> int | None:
        """The last valid ``retry`` in milliseconds, or None if there was none."""
        return self._settle().reconnection_time

    @property
    def comments(self) -> int:
        """How many comment lines have come: heartbeats, in most streams."""
        return self._settle().comments

    @property
    def pending_bytes(self) -> int:
        """How many bytes have come since the end of the last complete event.

        It is 0 if the last event ended exactly where the last chunk did (a LF that may still
        belong to its CR counts as nothing). Before the first event it counts from the start.
        """
        return self._settle().pending_bytes

    @property
    def unfinished_bytes(self) -> int:
        """How many bytes wait for their blank line, complete comment lines left out.

        After ``close`` this is the size of the rest that was dropped.
        """
        return self._settle().block_bytes

    def _settle(self) -> "_Ledger":
        self._machine.send(b"")
        return self._ledger

    def _feed_in_portions(self, chunk: bytes) -> list[ServerSentEvent]:
        """Feed no more at a time than the limits leave room for."""
        if self._closed:
            raise ValueError("the parser is closed: a new stream needs a new EventStreamParser")
        if self._failure is not None:
            self._raised = True
            raise self._failure
        events: list[ServerSentEvent] = []
        start = 0
        while start < len(chunk):
            room = self._settle().room
            if room < 1:
                self._fail(len(chunk) - start, at_once=not events)
                break
            events += self._send(chunk[start : start + room]) or ()
            start += room
        return events

    def _fail(self, rest: int, *, at_once: bool) -> None:
        self._failure = self._ledger.failure(rest)
        self._send = _refuse
        if at_once:
            self._raised = True
            raise self._failure


def _refuse(_: bytes) -> None:
    """Stand in for the generator after the end, so that `feed` pays for no check of its own."""


class _Ledger:
    """What the generator writes down when it is asked to."""

    __slots__ = (
        "block_bytes",
        "comments",
        "last_event_id",
        "max_event_bytes",
        "max_stream_bytes",
        "pending_bytes",
        "reconnection_time",
        "stream_bytes",
    )

    def __init__(self, max_event_bytes: int, max_stream_bytes: int) -> None:
        self.max_event_bytes = max_event_bytes
        self.max_stream_bytes = max_stream_bytes
        self.stream_bytes = 0
        self.block_bytes = 0
        self.pending_bytes = 0
        self.comments = 0
        self.last_event_id = ""
        self.reconnection_time: int | None = None

    @property
    def room(self) -> int:
        """How many bytes may come for certain before a limit has to be looked at again."""
        return min(
            self.max_event_bytes - self.block_bytes,
            self.max_stream_bytes - self.stream_bytes,
            _PORTION,
        )

    def failure(self, rest: int) -> EventStreamError:
        """Say which limit left no room for the ``rest`` bytes that came beyond it."""
        if self.stream_bytes == self.max_stream_bytes:
            size = self.stream_bytes + rest
            return StreamTooLargeError(
                f"the stream has more than max_stream_bytes={self.max_stream_bytes} bytes "
                f"({size} have come so far); raise the limit if such a stream is expected",
                limit=self.max_stream_bytes,
                size=size,
            )
        size = self.block_bytes + rest
        return EventTooLargeError(
            f"one event has more than max_event_bytes={self.max_event_bytes} bytes "
            f"({size} have come since it began); raise the limit if such an event is expected",
            limit=self.max_event_bytes,
            size=size,
        )


def _parse(  # noqa: C901, PLR0912, PLR0915 - local names are what makes it fast
    ledger: _Ledger,
) -> Generator[list[ServerSentEvent] | None, bytes, None]:
    """Yield the events of each chunk that is sent.

    None stands for "not taken": the chunk is empty or above what was granted, and the ledger has
    been brought up to date instead.
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
    cut = in_pieces = 0
    sink: BytesIO | None = None
    at_start, after_cr = True, False
    # The stream.
    identifier = last_event_id = ""
    reconnection_time = None
    comments = block_bytes = pending_bytes = 0

    while True:
        chunk = yield events
        size = len(chunk)
        if not 0 < size <= budget:
            if more and data is not None:
                store = _folded(store, data, more)
                data, more = None, []
            if in_pieces > _PORTION // 2:
                if at_start:
                    at_start = False
                    pieces = [b"".join(pieces).removeprefix(_BOM)]
                if sink is None:
                    pieces = [b"".join(pieces)]
                    if pieces[0].startswith(b"data:"):
                        if data is not None:
                            store = _folded(store, data, more)
                            data = None
                        if store is None:
                            store = BytesIO()
                        else:
                            store.write(b"\n")
                        sink = store
                        pieces[0] = pieces[0][6 if pieces[0][5] == 32 else 5 :]
                    else:
                        sink = BytesIO()
                sink.writelines(pieces)
                pieces = []
                in_pieces = 0
            ledger.stream_bytes += granted - budget
            ledger.block_bytes = block_bytes + cut
            ledger.pending_bytes = pending_bytes + cut
            ledger.comments = comments
            ledger.last_event_id = last_event_id
            ledger.reconnection_time = reconnection_time
            granted = budget = ledger.room
            events = None
            continue
        budget -= size
        events = []

        if after_cr:
            after_cr = False
            if chunk[0] == _LF:
                # Nothing, if it belongs to the blank line of the last event.
                pending_bytes += pending_bytes > 0
                chunk = chunk[1:]
                if not chunk:
                    continue
                size -= 1

        sizes = None
        tail = b""
        if _CR in chunk:
            after_cr = chunk[-1] == _CR
            lines, tail, sizes = _lines_with_cr(chunk)
        elif chunk[-1] == _LF:
            lines = BytesIO(chunk).readlines()
        elif _LF in chunk:
            lines = BytesIO(chunk).readlines()
            tail = lines.pop()
        else:
            pieces.append(chunk)
            cut += size
            in_pieces += size
            continue
        complete = size + cut - len(tail)

        if cut or at_start:
            # The first line is the end of one that earlier chunks began.
            if sizes is not None:
                sizes[0] += cut
            pieces.append(lines[0])
            line = b"".join(pieces)
            pieces = []
            if sink is not None:
                sink.write(line)
                if sink is store:
                    sink.truncate(sink.seek(-1, SEEK_END))
                    line = _IGNORED
                else:
                    line = sink.getvalue()
                sink = None
            elif at_start:
                at_start = False
                line = line.removeprefix(_BOM)
            lines[0] = line
            cut = in_pieces = 0
        if tail:
            pieces.append(tail)
            cut = in_pieces = len(tail)

        blank = fired = -1
        comment_bytes = 0
        for index, line in enumerate(lines):
            first = line[0]
            if first == _LF:
                if data is not None or store is not None:
                    if more or store is not None:
                        data = _joined(store, data, more)
                        more = []
                        store = None
                    fired = index
                    events.append(make(ServerSentEvent, (name, data, identifier, retry)))
                    data = None
                blank = index
                comment_bytes = 0
                last_event_id = identifier
                name = "message"
                retry = None
                continue
            if first == _D and line.startswith(b"data: "):
                value = line[6:-1]
            elif first == _E and line in names:
                name = names[line]
                continue
            elif first == _COLON:
                comments += 1
                comment_bytes += len(line) if sizes is None else sizes[index]
                continue
            else:
                field, _, value = line[:-1].partition(b":")
                if value[:1] == b" ":
                    value = value[1:]
                if field == b"id":
                    if b"\0" not in value:
                        identifier = value.decode("utf-8", "replace")
                    continue
                if field == b"event":
                    name = value.decode("utf-8", "replace") or "message"
                    if len(names) < _NAMES_KEPT:
                        names[line] = name
                    continue
                if field == b"retry":
                    if (milliseconds := _milliseconds(value)) is not None:
                        retry = reconnection_time = milliseconds
                    continue
                if field != b"data":
                    continue
            if data is None:
                data = value
            else:
                more.append(value)

        if fired == len(lines) - 1:
            block_bytes = pending_bytes = 0
        elif blank < 0:
            pending_bytes += complete
            block_bytes += complete - comment_bytes
        else:
            if sizes is None:
                sizes = list(map(len, lines))
            pending_bytes = sum(sizes[fired + 1 :]) if fired >= 0 else pending_bytes + complete
            block_bytes = sum(sizes[blank + 1 :]) - comment_bytes


def _lines_with_cr(chunk: bytes) -> tuple[list[bytes], bytes, list[int]]:
    """Cut at CR, CRLF and LF: lines that all end with LF, the rest, and the lines' true sizes."""
    lines: list[bytes] = []
    sizes: list[int] = []
    for piece in BytesIO(chunk):
        at = piece.find(b"\r")
        if at < 0 or (at == len(piece) - 2 and piece[-1] == _LF):
            lines.append(piece if at < 0 else piece[:at] + b"\n")
            sizes.append(len(piece))
            continue
        for line in piece.splitlines(keepends=True):
            lines.append(line if line[-1] != _CR else line[:-1] + b"\n")
            sizes.append(len(line))
            if line[-2:] == b"\r\n":
                lines[-1] = line[:-2] + b"\n"
    if lines[-1][-1] == _LF:
        return lines, b"", sizes
    sizes.pop()
    tail = lines.pop()
    return lines, tail, sizes


def _folded(store: BytesIO | None, data: bytes, more: list[bytes]) -> BytesIO:
    """Move data lines into the store, so that no line of a big event is held one by one."""
    if store is None:
        store = BytesIO()
    else:
        store.write(b"\n")
    store.write(b"\n".join([data, *more]))
    return store


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
