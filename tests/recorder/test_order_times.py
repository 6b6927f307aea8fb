"""The times of one order: its connection, its recorder, and which events one read has brought."""

from __future__ import annotations

import asyncio
import dataclasses
from itertools import pairwise

import httpx
import pytest

from firmly_nb.recorder import recorder
from firmly_nb.recorder.recorder import PhaseClock, last_read, read_groups, stamped
from firmly_nb.recorder.records import Phases
from firmly_nb.wire.stamps import Read
from tests.recorder.order_server import chunk, event, run

pytestmark = pytest.mark.anyio


async def test_a_cold_order_measures_its_connection():
    async def behave(wire):
        await wire.stream(event("order-placed"))
        await wire.finish()

    order = (await run(behave)).orders.iloc[0]
    assert order["connection"] == "cold"
    assert order["connecting_ms"] > 0
    columns = ["blocked_ms", "connecting_ms", "sending_ms", "waiting_ms"]
    assert (order[columns].astype(float) >= 0).all()
    assert order[columns].sum() <= order["time_to_headers_ms"] + 0.001


async def test_an_answer_that_came_before_its_request_was_noted_as_sent_was_not_waited_for():
    """A recorder that is held up runs on after that; its waiting was less than no time."""
    clock = PhaseClock()
    clock.times = {"http11.send_request_headers.started": 2, "http11.send_request_body.complete": 9}
    known = clock.phases(t_start=1, t_headers=7)
    assert (known.blocked_ns, known.sending_ns, known.waiting_ns) == (1, 5, 0)


TIMES = {
    "connection.connect_tcp.started": 100,
    "connection.connect_tcp.complete": 130,
    "connection.start_tls.started": 135,
    "connection.start_tls.complete": 180,
    "http11.send_request_headers.started": 190,
    "http11.send_request_headers.complete": 195,
    "http11.send_request_body.started": 196,
    "http11.send_request_body.complete": 250,
}


def clock_of(*parts):
    clock = PhaseClock()
    clock.times = {name: at for name, at in TIMES.items() if name.startswith(parts)}
    return clock


async def test_each_phase_lasts_from_its_begin_to_its_end():
    assert clock_of("").phases(40, 1_250) == Phases(60, 30, 45, 60, 1_000)
    # Over a connection that was there, what blocked ended where the sending began.
    assert clock_of("http11").phases(40, 1_250) == Phases(150, None, None, 60, 1_000)
    assert clock_of("connection.connect", "http11").phases(40, 260).tls_ns is None


@pytest.mark.parametrize(
    ("ended_before", "known"),
    [
        (100, Phases()),
        (130, Phases(60)),
        (180, Phases(60, 30)),
        (190, Phases(60, 30, 45)),
        (250, Phases(60, 30, 45)),
        (251, Phases(60, 30, 45, 60)),
    ],
)
async def test_an_order_that_broke_off_has_the_phases_that_it_went_through(ended_before, known):
    clock = PhaseClock()
    clock.times = {name: at for name, at in TIMES.items() if at < ended_before}
    assert clock.phases(40, None) == known
    assert clock.connected == (ended_before > 100)


async def test_an_answer_before_the_request_was_sent_whole_has_no_sending_and_no_waiting():
    clock = PhaseClock()
    clock.times = {"http11.send_request_headers.started": 20}
    assert clock.phases(t_start=5, t_headers=50) == Phases(15)


async def test_of_two_requests_over_one_connection_the_later_one_counts(monkeypatch):
    """Behind a proxy there are two, CONNECT and ours."""
    now = iter([10, 20, 30])
    monkeypatch.setattr(recorder, "monotonic_ns", lambda: next(now))
    clock = PhaseClock()
    for name in ("http11.send_request_headers.started", "x", "http11.send_request_headers.started"):
        await clock.trace(name, {})
    assert clock.times == {"http11.send_request_headers.started": 30, "x": 20}
    assert not clock.connected


async def test_a_warm_order_has_its_connection_before():
    async def behave(wire):
        await wire.stream(event("order-placed"))
        await wire.finish()

    order = (await run(behave, warm=True, connection="warm")).orders.iloc[0]
    assert order["connection"] == "warm"
    assert order[["connecting_ms", "tls_ms"]].isna().all()
    assert order[["blocked_ms", "sending_ms", "waiting_ms"]].notna().all()


async def test_events_that_came_with_one_read_are_marked():
    async def once(wire):
        await wire.stream(event("creating-cart"))
        await wire.told(1)
        await wire.send(chunk(event("item-added") + event("item-added") + event("order-placed")))
        await wire.finish()

    events = (await run(once)).events
    assert events["coalesced"].tolist() == [False, False, True, True]
    assert events["read_no"].is_monotonic_increasing
    assert events["gap_ms"].iloc[2:].tolist() == [0.0, 0.0]
    assert (events["uncertainty_us"] > 0).all()


READ = Read(
    read_no=1,
    arrived_ns=0,
    earliest_ns=0,
    read_ns=0,
    clock="user",
    wall_offset_ns=0,
    wall_offset_error_ns=0,
    size=1,
    segments=None,
    rtt_us=None,
    retransmits=None,
    reordered=None,
    emptied=True,
)
FIRST, SECOND, THIRD = (dataclasses.replace(READ, read_no=number) for number in (1, 2, 3))


class Connection(httpx.AsyncByteStream):
    """A body of chunks, each brought by a read; where None stands it has to be waited for."""

    def __init__(self, *script, fails=None):
        self.script, self.fails, self.read, self.closed = script, fails, None, asyncio.Event()

    async def __aiter__(self):
        try:
            for step in self.script:
                if step is None:
                    await asyncio.sleep(0)
                    continue
                self.read, chunk = step
                yield chunk
            if self.fails:
                raise self.fails
        finally:
            self.closed.set()

    def get_extra_info(self, name):
        return self.read if name == "last_read" else None


def answer(connection):
    return httpx.Response(200, stream=connection, extensions={"network_stream": connection})


async def test_chunks_are_grouped_by_the_read_that_brought_them():
    connection = Connection(
        (FIRST, b"a"),
        (FIRST, b"b"),
        (SECOND, b"c"),
        None,
        None,
        None,
        (SECOND, b"d"),
        (THIRD, b"e"),
    )
    async with read_groups(stamped(answer(connection))) as groups:
        taken = [(read.read_no, b"".join(chunks)) async for read, chunks in groups]
    assert b"".join(chunk for _, chunk in taken) == b"abcde"
    # A read that was waited for in its midst may be two groups; no group is of two reads.
    assert taken[0] == (1, b"ab")
    assert taken[-1] == (3, b"e")
    assert [number for number, _ in taken] in ([1, 2, 3], [1, 2, 2, 3])


async def test_a_read_that_is_equal_to_the_one_before_is_another_one():
    again = dataclasses.replace(FIRST)
    connection = Connection((FIRST, b"a"), (again, b"b"))
    async with read_groups(stamped(answer(connection))) as groups:
        assert [chunks async for _, chunks in groups] == [[b"a"], [b"b"]]


async def test_a_body_of_nothing_has_no_groups():
    async with read_groups(stamped(answer(Connection(None, None)))) as groups:
        assert [group async for group in groups] == []


@pytest.mark.parametrize("pause", [(), (None,), (None,) * 9])
async def test_what_came_before_the_connection_broke_is_given_first(pause):
    broken = httpx.ReadError("gone")
    connection = Connection((FIRST, b"a"), *pause, (SECOND, b"b"), *pause, fails=broken)
    taken = []

    async def take():
        async with read_groups(stamped(answer(connection))) as groups:
            async for _, chunks in groups:
                taken.extend(chunks)

    with pytest.raises(httpx.ReadError) as caught:
        await take()
    assert caught.value is broken
    assert taken == [b"a", b"b"]


async def test_who_leaves_early_ends_the_reading():
    connection = Connection((FIRST, b"a"), *[None] * 10_000, (SECOND, b"b"))
    async with read_groups(stamped(answer(connection))) as groups:
        async for _, chunks in groups:
            assert chunks == [b"a"]
            break
        assert not connection.closed.is_set()
    assert connection.closed.is_set()


async def test_an_error_of_the_connection_is_not_raised_to_who_has_left():
    connection = Connection((FIRST, b"a"), fails=httpx.ReadError("gone"))
    async with read_groups(stamped(answer(connection))) as groups:
        async for _ in groups:
            break
        await connection.closed.wait()


async def test_between_two_groups_of_any_streams_the_loop_looks_twice_at_its_sockets():
    passes, taken = 0, []

    async def count():
        nonlocal passes
        while True:
            passes += 1
            await asyncio.sleep(0)

    async def take():
        connection = Connection((FIRST, b"a"), (SECOND, b"b"), (THIRD, b"c"))
        async with read_groups(stamped(answer(connection))) as groups:
            taken.extend([passes async for _ in groups])

    counting = asyncio.create_task(count())
    await asyncio.gather(*(take() for _ in range(3)))
    counting.cancel()
    assert len(taken) == 9
    assert all(later - earlier >= 2 for earlier, later in pairwise(sorted(taken)))


@pytest.mark.parametrize("extensions", [{}, {"network_stream": None}])
async def test_without_a_stamping_transport_there_is_nothing_to_date_with(extensions):
    with pytest.raises(TypeError, match=r"recording needs .*StampingTransport"):
        last_read(httpx.Response(200, extensions=extensions))
    with pytest.raises(TypeError, match="recording needs"):
        last_read(answer(Connection()))
