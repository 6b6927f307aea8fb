"""The times of one order: its connection, its phases, and which events one read has brought."""

from __future__ import annotations

import pytest

from firmly_nb.recording.phases import PhaseClock
from tests.recording.order_server import chunk, event, run

pytestmark = pytest.mark.anyio


async def test_a_cold_order_measures_its_connection():
    async def behave(wire):
        await wire.stream(event("order-placed"))
        await wire.finish()

    order = (await run(behave)).orders.iloc[0]
    assert order["connection"] == "cold"
    assert order["connecting_ms"] > 0
    phases = ["blocked_ms", "connecting_ms", "sending_ms", "waiting_ms"]
    assert (order[phases].astype(float) >= 0).all()
    assert order[phases].sum() <= order["time_to_headers_ms"] + 0.001


async def test_an_answer_that_came_before_its_request_was_noted_as_sent_was_not_waited_for():
    """A recorder that is held up runs on after that; its waiting was less than no time."""
    clock = PhaseClock()
    clock.times = {"http11.send_request_headers.started": 2, "http11.send_request_body.complete": 9}
    phases = clock.phases(t_start=1, t_headers=7)
    assert (phases.blocked_ns, phases.sending_ns, phases.waiting_ns) == (1, 5, 0)


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
