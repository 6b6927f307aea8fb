"""The parser's limits: what is too large is refused, what came before it is kept."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firmly_nb.wire.sse import (
    DroppedData,
    EventStreamError,
    EventStreamParser,
    EventTooLargeError,
    StreamTooLargeError,
)
from tests.wire.event_streams import pieces_of


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


MIB = 1024 * 1024


def test_by_default_an_event_may_have_eight_mebibytes_and_a_stream_sixty_four() -> None:
    event = b"data: " + b"x" * (8 * MIB - 8) + b"\n"
    assert len(event) == 8 * MIB - 1
    parser = EventStreamParser()
    for _ in range(8):
        assert len(parser.feed(event + b"\n")) == 1
    with pytest.raises(StreamTooLargeError) as stream_error:
        parser.feed(b":")
    assert (stream_error.value.limit, stream_error.value.size) == (64 * MIB, 64 * MIB + 1)
    parser = EventStreamParser()
    with pytest.raises(EventTooLargeError) as event_error:
        parser.feed(event + b"id\n")
    assert (event_error.value.limit, event_error.value.size) == (8 * MIB, 8 * MIB + 2)


@pytest.mark.parametrize("limit", [1, 2])
def test_the_smallest_limit_is_one(limit: int) -> None:
    for limits in ({"max_event_bytes": limit}, {"max_stream_bytes": limit}):
        parser = EventStreamParser(**limits)
        assert parser.feed(b":"[:limit]) == []
        with pytest.raises(EventStreamError):
            parser.feed(b"x" * limit)


def test_an_error_is_raised_by_close_once_and_by_feed_each_time() -> None:
    parser = EventStreamParser(max_event_bytes=9)
    assert len(parser.feed(b"data: 1\n\n" + b"x" * 10)) == 1
    for _ in range(2):
        with pytest.raises(EventTooLargeError):
            parser.feed(b"x")
    parser.close()
    parser = EventStreamParser(max_event_bytes=8)
    with pytest.raises(EventTooLargeError):
        parser.feed(b"x" * 9)
    parser.close()


def test_where_both_limits_are_met_it_is_that_of_the_stream() -> None:
    parser = EventStreamParser(max_event_bytes=8, max_stream_bytes=8)
    with pytest.raises(StreamTooLargeError):
        parser.feed(b"x" * 9)


LINES = st.sampled_from(
    [b"data: 1", b"data: " + b"x" * 30, b"data: " + b"y" * 90, b"id: 7", b"note: " + b"z" * 90]
)


@settings(max_examples=500, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 4), st.lists(LINES, max_size=5)), max_size=6),
    st.sampled_from([b"\n", b"\r\n", b"\r"]),
    st.integers(32, 200),
    st.lists(st.integers(1, 60)),
)
def test_large_events_are_dropped_at_any_cut_and_no_other(blocks, end, limit, sizes):
    """Each has a name of its own, which stands anywhere in its block, and data."""
    stream = b""
    for number, (at, lines) in enumerate(blocks):
        every = [*lines[:at], b"event: n%d" % number, *lines[at:], b"data: last"]
        stream += end.join([*every, b"", b""])
    unlimited = EventStreamParser().feed(stream)
    parser = EventStreamParser(max_event_bytes=limit, drop_large=True)
    events, begin = [], 0
    for size in [*sizes, len(stream)]:
        events += parser.feed(stream[begin : begin + size])
        begin += size
    parser.close()
    assert [event.event for event in events] == [event.event for event in unlimited]
    for event, whole, (_, lines) in zip(events, unlimited, blocks, strict=True):
        # Its lines, with one byte for the end of each, and the blank line.
        name = len(f"event: {whole.event}\ndata: last\n\n")
        if sum(len(line) + 1 for line in lines) + name <= limit:
            assert event == whole
        else:
            assert isinstance(event.raw_data, DroppedData)
            assert event.raw_data.size > 0
