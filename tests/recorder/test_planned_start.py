"""An order that was planned: when it is sent, what is said of it, what a cancellation leaves."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import httpx
import pytest

from firmly_nb.api.card import encrypt_card
from firmly_nb.api.client import FirmlyClient
from firmly_nb.api.models import Card, Order
from firmly_nb.api.secrets import SecretStr
from firmly_nb.recorder import recorder
from firmly_nb.recorder.job import Job
from firmly_nb.recorder.recorder import WRITE_AHEAD_NS, record
from firmly_nb.recorder.records import End, Start
from firmly_nb.recorder.tables import order_row
from firmly_nb.recorder.worker import Lanes
from firmly_nb.recordings.recording import Recording
from firmly_nb.wire.stamps import monotonic_ns

START = Start(
    recording_id="r1",
    started_at_ns=0,
    environment="custom",
    domain=Order.example().domain,
    items=[],
    sse=True,
    connection="warm",
    timeout_s=60.0,
)

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend():
    return "asyncio"


@pytest.fixture
async def prepared(simulator):
    """Make an order ready, with a connection for it."""
    lanes = Lanes(simulator.url)
    async with httpx.AsyncClient() as http, lanes.take(warm=True) as lane:
        client = FirmlyClient(http, simulator.url, simulator.url)

        async def make():
            session = await client.browser_session(SecretStr(simulator.app_id))
            order = Order.example()
            body = order.wire(encrypt_card(Card.test(), await client.payment_key()))
            return Job(start=START, body=body, token=session.access_token), lane

        yield make
    await lanes.aclose()


async def test_it_is_sent_at_its_time_and_says_how_late_it_was(prepared, simulator):
    job, client = await prepared()
    records = []
    planned_ns = monotonic_ns() + 200_000_000
    await record(replace(job, planned_ns=planned_ns), client, records.append)
    start, end = records[0], records[-1]
    assert end.outcome == "placed"
    # When it was sent, by the lag, is not before the planned time, and the answer came after it.
    number = order_row(start, records[1:-1], end)["order_number"]
    told = []
    while len(told) < len(records) - 2:
        told = [one for one in simulator.truth() if one["order_number"] == number]
        await asyncio.sleep(0.01)
    answered_ns = told[-1]["sent_mono_ns"]
    assert 0 <= end.schedule_lag_ns < answered_ns - planned_ns
    row = order_row(start, records[1:-1], end)
    assert row["schedule_lag_ms"] == end.schedule_lag_ns / 1e6
    assert row["scheduled_order_latency_ms"] == pytest.approx(
        row["order_latency_ms"] + row["schedule_lag_ms"]
    )
    assert row["started_at"] - start.started_at_ns == end.schedule_lag_ns - start.schedule_lag_ns


async def test_its_start_is_written_down_before_it_is_sent(prepared):
    job, client = await prepared()
    written_ns = []
    planned_ns = monotonic_ns() + 100_000_000

    def emit(item):
        if isinstance(item, Start):
            written_ns.append(monotonic_ns())

    await record(replace(job, planned_ns=planned_ns), client, emit)
    assert planned_ns - WRITE_AHEAD_NS <= written_ns[0]


async def test_a_planned_time_that_has_passed_is_sent_at_once(prepared):
    job, client = await prepared()
    records = []
    await record(replace(job, planned_ns=monotonic_ns() - 3_000_000_000), client, records.append)
    assert records[0].schedule_lag_ns >= 3_000_000_000
    assert records[-1].schedule_lag_ns >= records[0].schedule_lag_ns


async def test_cancelled_long_before_its_time_it_leaves_nothing(prepared):
    job, client = await prepared()
    records = []
    job = replace(job, planned_ns=monotonic_ns() + 60_000_000_000)
    task = asyncio.create_task(record(job, client, records.append))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert records == []


async def test_cancelled_between_writing_and_sending_nothing_was_ordered(prepared, monkeypatch):
    monkeypatch.setattr(recorder, "WRITE_AHEAD_NS", 120_000_000_000)
    job, client = await prepared()
    records = []
    task = None

    def emit(item):
        records.append(item)
        if isinstance(item, Start):
            task.cancel()

    job = replace(job, planned_ns=monotonic_ns() + 60_000_000_000)
    task = asyncio.create_task(record(job, client, emit))
    with pytest.raises(asyncio.CancelledError):
        await task
    assert isinstance(records[-1], End)
    assert (records[-1].outcome, records[-1].http_status) == ("cancelled", None)
    assert Recording(records).order_exists == "no"
    assert "before it was sent" in records[-1].error_description
    assert records[-1].t_end_ns < 30_000_000_000, "long before the planned start"


@pytest.mark.parametrize(
    ("ahead_s", "what", "asked"),
    [
        (60, "", 1),
        (None, "", 2),
        (60, "it was used long ago", 2),
        (60, "it was closed", 2),
        (60, "another one was closed before", 2),
    ],
)
async def test_an_order_planned_ahead_follows_another_one_over_its_connection(
    ahead_s, what, asked, simulator, monkeypatch
):
    keys = []

    async def payment_key(client, ask=FirmlyClient.payment_key):
        keys.append(await ask(client))

    monkeypatch.setattr(FirmlyClient, "payment_key", payment_key)
    planned_ns = ahead_s and monotonic_ns() + ahead_s * 1_000_000_000
    lanes = Lanes(simulator.url)
    for number in range(2):
        if number and what == "it was used long ago":
            lanes.idle[0].used_ns = 0
        if number and what == "it was closed":
            await lanes.idle[0].transport.aclose()
        lanes.stay_open = what != "another one was closed before"
        async with lanes.take(warm=True, planned_ns=planned_ns):
            pass
    await lanes.aclose()
    assert len(keys) == asked
