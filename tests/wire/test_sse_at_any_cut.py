"""Whatever the stream and wherever it is cut, it reads as the standard words it."""

from unittest.mock import patch

from hypothesis import given, settings
from hypothesis import strategies as st

from firmly_nb.wire import sse
from firmly_nb.wire.sse import EventStreamError, EventStreamParser, ServerSentEvent
from tests.wire.event_streams import Fields, cut_at, fields_of, parsed, pieces_of


class Reference:
    """The rules as the standard words them, one character after the other."""

    def __init__(self) -> None:
        self.events: list[Fields] = []
        self.last_event_id = ""
        self.reconnection_time: int | None = None
        self.comments = 0
        self.data, self.type, self.id = "", "", ""
        self.retry: int | None = None

    def read(self, stream: bytes) -> "Reference":
        text = stream.decode("utf-8", "replace")
        line = ""
        previous = ""
        for character in text.removeprefix("\ufeff"):
            if character == "\n" and previous == "\r":
                pass
            elif character in "\r\n":
                self.line(line)
                line = ""
            else:
                line += character
            previous = character
        return self

    def line(self, line: str) -> None:
        if not line:
            self.dispatch()
        elif line[0] == ":":
            self.comments += 1
        elif ":" in line:
            name, value = line[: line.index(":")], line[line.index(":") + 1 :]
            self.field(name, value[1:] if value[:1] == " " else value)
        else:
            self.field(line, "")

    def field(self, name: str, value: str) -> None:
        if name == "event":
            self.type = value
        elif name == "data":
            self.data += value + "\n"
        elif name == "id":
            if "\0" not in value:
                self.id = value
        elif name == "retry" and value and all(digit in "0123456789" for digit in value):
            self.retry = self.reconnection_time = int(value)

    def dispatch(self) -> None:
        self.last_event_id = self.id
        if self.data:
            event = self.type or "message"
            self.events.append((event, self.data[:-1], self.last_event_id, self.retry))
        self.data, self.type, self.retry = "", "", None


FRAGMENTS = [
    *(b"data", b"data:", b"data: ", b"data:  ", b"event:", b"event: ", b"id", b"id: ", b"retry: "),
    *(b":", b" ", b"\n", b"\r", b"\r\n", b"\n\n", b"\r\r", b"\r\n\r\n", b"\n\r", b"\0", b"\t"),
    *(b"\xef\xbb\xbf", b"\xef\xbb", b"\xbf", b"\xe2\x80\xa8", b"\xc2\x85", b"\xc3\xa9", b"\xc3"),
    *(b"\xf0\x9f\x9a\x80", b"\xf0\x9f", b"\xff", b"\xed\xa0\x80", b"x", b"DATA: ", b"datum: "),
    *(b"1000", b"0", b"12x", b"\xef\xbc\x91", b"\x0b", b"\x0c", b"\x1c", b"[DONE]", b'{"a":1}'),
    *(b"data: x\n\n", b"event: tick\n", b"data: y\r\n", b": ping\n\n", b"id: 7\n", b"retry: 5\n"),
]
streams = st.lists(st.sampled_from(FRAGMENTS), max_size=40).map(b"".join)


@st.composite
def cut_streams(draw: st.DrawFn) -> list[bytes]:
    stream = draw(streams)
    return cut_at(stream, draw(st.lists(st.integers(0, len(stream)), max_size=12)))


@settings(max_examples=1500, deadline=None)
@given(cut_streams())
def test_any_stream_with_any_cuts_is_read_as_the_standard_words_it(chunks: list[bytes]) -> None:
    reference = Reference().read(b"".join(chunks))
    events, parser = parsed(chunks)
    assert events == reference.events
    assert parser.last_event_id == reference.last_event_id
    assert parser.reconnection_time == reference.reconnection_time
    assert parser.comments == reference.comments


@settings(max_examples=500, deadline=None)
@given(cut_streams())
def test_what_is_gathered_in_portions_reads_the_same(chunks: list[bytes]) -> None:
    # The way of a big event, with portions so small that any line may be one.
    with patch.object(sse, "PORTION_BYTES", 32):
        events, parser = parsed(chunks)
    reference = Reference().read(b"".join(chunks))
    assert events == reference.events
    assert parser.comments == reference.comments


@settings(max_examples=500, deadline=None)
@given(cut_streams())
def test_the_bytes_since_the_last_event_are_counted_at_any_cut(chunks: list[bytes]) -> None:
    parser = EventStreamParser()
    by_bytes = EventStreamParser()
    fed = since_event = b""
    for chunk in chunks:
        parser.feed(chunk)
        for byte in pieces_of(chunk, 1):
            if not fed.endswith(b"\r") or byte != b"\n":
                since_event += byte
            fed += byte
            if by_bytes.feed(byte):
                since_event = b""
        assert parser.pending_bytes == len(since_event)
        assert parser.unfinished_bytes <= len(since_event)


@settings(max_examples=500, deadline=None)
@given(cut_streams(), st.integers(1, 60), st.integers(1, 200))
def test_limits_never_change_or_lose_an_event_that_came_before_them(
    chunks: list[bytes], max_event: int, max_stream: int
) -> None:
    unlimited = parsed(chunks)[0]
    parser = EventStreamParser(max_event_bytes=max_event, max_stream_bytes=max_stream)
    events: list[ServerSentEvent] = []
    try:
        for chunk in chunks:
            events += parser.feed(chunk)
        parser.close()
    except EventStreamError as error:
        assert error.size > error.limit  # noqa: PT017 - what was read before it matters, too
        assert fields_of(events) == unlimited[: len(events)]
    else:
        assert fields_of(events) == unlimited
        assert sum(map(len, chunks)) <= max_stream
