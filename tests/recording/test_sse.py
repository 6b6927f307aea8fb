"""The parser of event streams against the rules, whatever the cuts."""

import base64
import json
import sys
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firmly_nb.recording import sse_grammar
from firmly_nb.recording.sse import (
    EventStreamError,
    EventStreamParser,
    EventTooLargeError,
    ServerSentEvent,
    StreamTooLargeError,
)

VECTORS: list[dict[str, Any]] = json.loads(
    Path(__file__).with_name("sse-vectors.json").read_text(encoding="utf-8")
)

# What a vector says about status and content type is about who reads the response, not about the
# grammar. A refused connection has no events to parse, whatever its body looks like.
ABOUT_THE_CONNECTION = {"http", "connection"}
GRAMMAR = [vector for vector in VECTORS if vector.get("connection", "open") == "open"]

every_vector = pytest.mark.parametrize("vector", GRAMMAR, ids=lambda vector: vector["name"])

Fields = tuple[str, str, str, int | None]


def stream_of(vector: dict[str, Any]) -> bytes:
    return base64.b64decode(vector["input_base64"])


def expected_of(vector: dict[str, Any]) -> list[Fields]:
    return [(e["event"], e["data"], e["id"], e["retry"]) for e in vector["expected"]]


def fields_of(events: Iterable[ServerSentEvent]) -> list[Fields]:
    return [(event.event, event.data, event.id, event.retry) for event in events]


def pieces_of(stream: bytes, size: int) -> list[bytes]:
    return [stream[at : at + size] for at in range(0, len(stream), size)]


def cut_at(stream: bytes, cuts: Iterable[int]) -> list[bytes]:
    places = [0, *sorted(cuts), len(stream)]
    return [stream[a:b] for a, b in pairwise(places)]


def parsed(chunks: Iterable[bytes]) -> tuple[list[Fields], EventStreamParser]:
    parser = EventStreamParser()
    events = [event for chunk in chunks for event in parser.feed(chunk)]
    parser.close()
    return fields_of(events), parser


def assert_holds(vector: dict[str, Any], chunks: list[bytes]) -> None:
    events, parser = parsed(chunks)
    assert events == expected_of(vector)
    assert parser.last_event_id == vector["final"]["last_event_id"]
    assert parser.reconnection_time == vector["final"]["reconnection_time"]


# -- the vectors ---------------------------------------------------------------------------------


def test_the_vectors_have_no_field_that_these_tests_do_not_know() -> None:
    known = {"name", "source", "input_base64", "expected", "final", "cuts", "due", "note"}
    assert {key for vector in VECTORS for key in vector} == known | ABOUT_THE_CONNECTION
    assert len(GRAMMAR) == 74


@every_vector
def test_a_vector_holds_when_fed_at_once(vector: dict[str, Any]) -> None:
    assert_holds(vector, [stream_of(vector)])


@every_vector
@pytest.mark.parametrize("size", [1, 2, 3])
def test_a_vector_holds_when_fed_in_small_pieces(vector: dict[str, Any], size: int) -> None:
    assert_holds(vector, pieces_of(stream_of(vector), size))


@every_vector
def test_a_vector_holds_when_cut_at_any_one_position(vector: dict[str, Any]) -> None:
    stream = stream_of(vector)
    # The positions of a long filler are alike: its ends and a sample say all.
    step = max(1, len(stream) // 2000)
    positions = {*range(min(200, len(stream))), *range(0, len(stream), step)}
    positions |= set(range(max(0, len(stream) - 200), len(stream) + 1))
    for position in positions:
        assert_holds(vector, [stream[:position], stream[position:]])


@pytest.mark.parametrize(
    "vector", [v for v in GRAMMAR if "cuts" in v], ids=lambda vector: vector["name"]
)
def test_a_vector_holds_at_the_cuts_that_once_broke_a_parser(vector: dict[str, Any]) -> None:
    assert_holds(vector, cut_at(stream_of(vector), vector["cuts"]))


@every_vector
def test_no_event_comes_later_or_earlier_than_the_byte_that_completes_it(
    vector: dict[str, Any],
) -> None:
    stream = stream_of(vector)
    parser = EventStreamParser()
    came = [
        fed for fed, byte in enumerate(pieces_of(stream, 1), start=1) for _ in parser.feed(byte)
    ]
    # A vector counts the LF of a final CRLF; the line has ended with its CR.
    assert came == [due - (stream[due - 2 : due] == b"\r\n") for due in vector["due"]]


# -- a naive reference ---------------------------------------------------------------------------


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
    with patch.object(sse_grammar, "PORTION_BYTES", 32):
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


# -- fields and texts ----------------------------------------------------------------------------


def test_data_is_kept_as_the_bytes_that_came_and_decoded_when_asked_for() -> None:
    (event,) = EventStreamParser().feed(b"data: caf\xc3\xa9 \xff\ndata: 2\n\n")
    assert event.raw_data == b"caf\xc3\xa9 \xff\n2"
    assert event.data == "café \ufffd\n2"


def test_a_reconnection_time_that_python_cannot_read_does_not_count() -> None:
    digits = b"9" * (sys.get_int_max_str_digits() + 1)
    events, parser = parsed([b"retry: 5\nretry: " + digits + b"\ndata: x\n\n"])
    assert events == [("message", "x", "", 5)]
    assert parser.reconnection_time == 5


def test_more_event_types_than_are_remembered_are_still_told_apart() -> None:
    stream = b"".join(b"event: e%d\ndata: x\n\n" % number for number in range(1000))
    events, _ = parsed([stream, stream])
    assert [event[0] for event in events] == [f"e{number % 1000}" for number in range(2000)]


def big_event(line_ends: bytes) -> tuple[bytes, str]:
    rows = ["first", "é" * 700_000, "", "x" * 300_000, "last"]
    lines = [f"data: {row}".encode() for row in rows]
    return line_ends.join([*lines, b"", b""]), "\n".join(rows)


@pytest.mark.parametrize("line_ends", [b"\n", b"\r\n", b"\r"])
@pytest.mark.parametrize("size", [1000, 16 * 1024, 10_000_000])
def test_an_event_far_larger_than_a_chunk_comes_whole(line_ends: bytes, size: int) -> None:
    stream, data = big_event(line_ends)
    events, parser = parsed(pieces_of(stream, size))
    assert events == [("message", data, "", None)]
    assert parser.unfinished_bytes == 0


def test_a_long_comment_in_many_pieces_is_a_comment() -> None:
    stream = b":" + b"x" * 100_000 + b"\ndata: 1\n\n"
    events, parser = parsed(pieces_of(stream, 999))
    assert events == [("message", "1", "", None)]
    assert parser.comments == 1


# -- what has not ended --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("chunks", "pending", "unfinished"),
    [
        ([], 0, 0),
        ([b"data: 1\n\n"], 0, 0),
        ([b"data: 1\r", b"\n\r", b"\n"], 0, 0),
        ([b"data: 1\n\ndata"], 4, 4),
        ([b"data: 1\n\ndata: 2\nda"], 10, 10),
        ([b"data: 1\n\n", b": ping\n\n"], 8, 0),
        ([b"data: 1\n\n: ping\nid: 4\n"], 13, 6),
        ([b"data: 1\n\n: ping\r\nid: 4\r\n"], 13, 6),
        ([b"data: 1\n\n", b": pi", b"ng\n", b"d"], 8, 1),
        ([b"data: 1\n\n", b"data: 2", b"2\n"], 9, 9),
        ([b"data: 1\r\r", b"data: 2", b"2\rid"], 11, 11),
        ([b"id: 1\n\n"], 7, 0),
    ],
)
def test_bytes_after_the_last_event_and_bytes_of_an_unfinished_one_are_told_apart(
    chunks: list[bytes], pending: int, unfinished: int
) -> None:
    parser = EventStreamParser()
    for chunk in chunks:
        parser.feed(chunk)
    assert (parser.pending_bytes, parser.unfinished_bytes) == (pending, unfinished)
    parser.close()
    assert (parser.pending_bytes, parser.unfinished_bytes) == (pending, unfinished)


def test_a_lf_that_belongs_to_the_last_blank_line_is_not_pending() -> None:
    parser = EventStreamParser()
    assert len(parser.feed(b"data: 1\r\n\r")) == 1
    assert parser.feed(b"\n") == []
    assert parser.pending_bytes == 0


def test_an_empty_chunk_changes_nothing() -> None:
    parser = EventStreamParser()
    assert parser.feed(b"data: 1\r") == []
    assert parser.feed(b"") == []
    assert fields_of(parser.feed(b"\n\r")) == [("message", "1", "", None)]


def test_the_last_event_id_counts_only_from_the_blank_line_on() -> None:
    parser = EventStreamParser()
    parser.feed(b"id: 1\n")
    assert parser.last_event_id == ""
    parser.feed(b"\n")
    assert parser.last_event_id == "1"


def test_a_closed_parser_takes_no_more_bytes_and_may_be_closed_again() -> None:
    parser = EventStreamParser()
    parser.close()
    parser.close()
    with pytest.raises(ValueError, match="closed"):
        parser.feed(b"data: 1\n\n")


def test_a_parser_that_was_interrupted_says_so_and_still_knows_what_it_had() -> None:
    parser = EventStreamParser()
    assert len(parser.feed(b"id: 7\ndata: 1\n\n")) == 1
    assert parser.last_event_id == "7"
    with pytest.raises(TypeError):
        parser.feed("text")  # type: ignore[arg-type]
    with pytest.raises(RuntimeError, match="interrupted"):
        parser.feed(b"data: 2\n\n")
    assert parser.last_event_id == "7"


# -- limits --------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [1, 3, 1000])
def test_an_event_of_exactly_the_limit_is_taken(size: int) -> None:
    stream = b"data: 12\n\n" * 3
    parser = EventStreamParser(max_event_bytes=10, max_stream_bytes=30)
    events = [event.data for chunk in pieces_of(stream, size) for event in parser.feed(chunk)]
    parser.close()
    assert events == ["12"] * 3


@pytest.mark.parametrize("size", [1, 3])
def test_an_event_beyond_the_limit_is_refused_before_its_end(size: int) -> None:
    parser = EventStreamParser(max_event_bytes=10)
    with pytest.raises(EventTooLargeError, match="max_event_bytes=10 bytes") as caught:
        [parser.feed(chunk) for chunk in pieces_of(b"data: 123\n\n", size)]
    assert (caught.value.limit, caught.value.size) == (10, 11)


def test_a_stream_beyond_the_limit_is_refused_with_the_size_seen() -> None:
    parser = EventStreamParser(max_stream_bytes=18)
    assert len(parser.feed(b"data: 1\n\n" * 2)) == 2
    with pytest.raises(StreamTooLargeError, match=r"max_stream_bytes=18 bytes \(22 have") as caught:
        parser.feed(b"data")
    assert (caught.value.limit, caught.value.size) == (18, 22)


def test_events_before_the_limit_come_first_and_the_error_with_the_next_call() -> None:
    parser = EventStreamParser(max_event_bytes=20)
    events = parser.feed(b"data: 1\n\ndata: 2\n\ndata: " + b"x" * 100)
    assert [event.data for event in events] == ["1", "2"]
    with pytest.raises(EventTooLargeError, match=r"106 have come"):
        parser.feed(b"data: 3\n\n")
    with pytest.raises(EventTooLargeError):
        parser.feed(b"")
    parser.close()


def test_closing_raises_an_error_that_no_feed_has_raised() -> None:
    parser = EventStreamParser(max_event_bytes=20)
    assert len(parser.feed(b"data: 1\n\ndata: " + b"x" * 100)) == 1
    with pytest.raises(EventTooLargeError):
        parser.close()
    parser.close()


def test_heartbeats_do_not_fill_the_limit_of_an_event() -> None:
    parser = EventStreamParser(max_event_bytes=20)
    for _ in range(100):
        parser.feed(b": ping\n")
    assert len(parser.feed(b"data: 1\n\n")) == 1
    assert parser.comments == 100


def test_a_comment_that_never_ends_meets_the_limit() -> None:
    parser = EventStreamParser(max_event_bytes=20)
    with pytest.raises(EventTooLargeError):
        parser.feed(b":" + b"x" * 20)


def test_many_small_data_lines_meet_the_limit_as_one_long_line_does() -> None:
    parser = EventStreamParser(max_event_bytes=1000)
    with pytest.raises(EventTooLargeError):
        parser.feed(b"data: 1\n" * 126)


@pytest.mark.parametrize(
    "limits", [{"max_event_bytes": 0}, {"max_stream_bytes": 0}, {"max_event_bytes": -1}]
)
def test_a_limit_below_one_is_refused(limits: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        EventStreamParser(**limits)


@pytest.mark.parametrize("kind", [EventTooLargeError, StreamTooLargeError])
def test_both_limits_raise_one_kind_of_error(kind: type[EventStreamError]) -> None:
    assert issubclass(kind, EventStreamError)
    assert issubclass(kind, ValueError)
