"""The parser of event streams against the rules: vectors from many parsers, texts, open ends."""

import base64
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from firmly_nb.wire.sse import EventStreamParser
from tests.wire.event_streams import Fields, cut_at, fields_of, parsed, pieces_of

VECTORS: list[dict[str, Any]] = json.loads(
    Path(__file__).with_name("sse-vectors.json").read_text(encoding="utf-8")
)

# What a vector says about status and content type is about who reads the response, not about the
# grammar. A refused connection has no events to parse, whatever its body looks like.
ABOUT_THE_CONNECTION = {"http", "connection"}
GRAMMAR = [vector for vector in VECTORS if vector.get("connection", "open") == "open"]

every_vector = pytest.mark.parametrize("vector", GRAMMAR, ids=lambda vector: vector["name"])


def stream_of(vector: dict[str, Any]) -> bytes:
    return base64.b64decode(vector["input_base64"])


def expected_of(vector: dict[str, Any]) -> list[Fields]:
    return [(e["event"], e["data"], e["id"], e["retry"]) for e in vector["expected"]]


def assert_holds(vector: dict[str, Any], chunks: list[bytes]) -> None:
    events, parser = parsed(chunks)
    assert events == expected_of(vector)
    assert parser.last_event_id == vector["final"]["last_event_id"]
    assert parser.reconnection_time == vector["final"]["reconnection_time"]


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


def test_an_event_without_a_type_an_id_or_a_time_has_the_defaults() -> None:
    parser = EventStreamParser()
    (event,) = parser.feed(b"data\n\n")
    assert event == ("message", b"", "", None)
    assert (parser.last_event_id, parser.reconnection_time) == ("", None)
    assert (parser.comments, parser.pending_bytes, parser.unfinished_bytes) == (0, 0, 0)


def test_a_feed_after_the_end_says_what_to_do() -> None:
    parser = EventStreamParser()
    parser.close()
    with pytest.raises(ValueError, match=r"The parser is closed. Make another EventStreamParser"):
        parser.feed(b"data: 1\n\n")
