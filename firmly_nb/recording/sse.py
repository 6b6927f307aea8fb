"""Turn the bytes of an event stream into events, at any cut and without waiting.

The parser follows the WHATWG rules for event streams to the letter
(https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation).
It is pushed: bytes in, events out, with no reading or waiting of its own, so that times are taken
where the bytes arrive and not here.

It is fast because lines are found by ``memchr`` (``BytesIO``), data stays bytes, a cut line is
never copied or searched twice, and the state lives in the local names of a generator;
``sse_grammar`` has the details. Its cost is linear in the bytes, whatever the chunks.
"""

from firmly_nb.recording.sse_grammar import Ledger, ServerSentEvent, parse

__all__ = [
    "EventStreamError",
    "EventStreamParser",
    "EventTooLargeError",
    "ServerSentEvent",
    "StreamTooLargeError",
]


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
        self._ledger = Ledger(max_event_bytes, max_stream_bytes)
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
            raise RuntimeError("the parser was interrupted in an earlier feed") from None
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

        It is 0 if the last event ended exactly where the last chunk did. A CRLF counts as one
        byte, so that a LF yet to come changes nothing. Before the first event it counts from the
        start of the stream.
        """
        return self._settle().pending_bytes

    @property
    def unfinished_bytes(self) -> int:
        """How many bytes wait for their blank line, complete comment lines left out.

        After ``close`` this is the size of the rest that was dropped.
        """
        return self._settle().block_bytes

    def _settle(self) -> Ledger:
        try:
            self._machine.send(b"")
        except StopIteration:  # it was interrupted: what has been written down stays
            return self._ledger
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
