"""The times of one order: its connection, its phases, and which events one read has brought."""

from __future__ import annotations

import pytest

from firmly_nb.recording import phases
from firmly_nb.recording.phases import PhaseClock
from firmly_nb.recording.records import Phases
from tests.recording.order_server import chunk, event, run

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
    monkeypatch.setattr(phases, "monotonic_ns", lambda: next(now))
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
