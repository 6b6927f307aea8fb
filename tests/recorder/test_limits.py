"""Limits of an order: the time that somebody waits, how much is kept, and what is said of it."""

from __future__ import annotations

import socket
import sys
import threading
from contextlib import contextmanager
from dataclasses import replace

import pytest

import firmly_nb as fnb
from firmly_nb.api.errors import FirmlyError
from firmly_nb.recorder.journal import Journal
from firmly_nb.recorder.process import RecorderError
from firmly_nb.recorder.recorder import record
from firmly_nb.recorder.worker import Lanes, record_over
from firmly_nb.recordings.recordings import Recording
from firmly_nb.wire.stamps import monotonic_ns
from tests.recorder.order_server import chunk, job, run, serving

pytestmark = pytest.mark.anyio
ORDER = fnb.Order.example()


@contextmanager
def black_hole():
    """Take connections and never say a word; yield the URL."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        taken = []

        def accept():
            while True:
                try:
                    taken.append(listener.accept()[0])
                except OSError:
                    return

        thread = threading.Thread(target=accept)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()
        for one in taken:
            one.close()


@contextmanager
def limits_of_requests_do_not_help(monkeypatch):
    """Make the limits of single requests so long that only the order's own can end it."""
    import httpx

    for name in ("SESSION_TIMEOUT", "KEY_TIMEOUT"):
        monkeypatch.setattr(f"firmly_nb.api.client.{name}", httpx.Timeout(600.0))
    yield


def test_a_session_that_never_comes_ends_with_the_order_s_time(connect, monkeypatch):
    with limits_of_requests_do_not_help(monkeypatch), black_hole() as url:
        lab = connect(api_url=url, app_id="app", allow_domains=[ORDER.domain])
        with pytest.raises(FirmlyError, match="no session and key within timeout_s=") as caught:
            lab.place(ORDER, progress=False, timeout_s=0.3)
        lab.close()
    assert caught.value.error == "Timeout"
    assert lab.last is None


async def test_a_warm_connection_that_never_comes_ends_with_the_order_s_time(tmp_path, monkeypatch):
    """The key that a warm connection begins with was waited for before the time began."""
    told = []
    with limits_of_requests_do_not_help(monkeypatch), black_hole() as url:
        lanes = Lanes(url)
        waits = replace(job(connection="warm"), deadline_ns=monotonic_ns() + 300_000_000)
        await record_over(lanes, Journal(tmp_path), waits, told.append)
        await lanes.aclose()
    rec = Recording(told)
    assert (rec.outcome, rec.error.error, rec.order_exists) == ("timeout", "Timeout", "no")
    [twin] = fnb.load(tmp_path)
    assert twin.outcome == "timeout"


async def test_an_order_whose_time_is_over_is_not_sent():
    async def behave(wire):
        raise AssertionError("it was sent")

    told = []
    async with serving(behave, told) as url:
        lanes = Lanes(url)
        over = replace(job(), deadline_ns=monotonic_ns())
        async with lanes.take(warm=False) as lane:
            end = await record(over, lane, told.append)
        await lanes.aclose()
    assert (end.outcome, end.sent) == ("timeout", False)
    assert Recording(told).order_exists == "no"


async def test_a_flood_that_does_not_end_is_ended_by_the_limit():
    """One read after another brings thousands of events; working on them looks at the clock."""

    async def behave(wire):
        await wire.stream()
        flood = chunk(b"data:1\n\n" * 8_000)
        while not wire.writer.is_closing():
            await wire.send(flood)

    rec = await run(behave, timeout_s=1.0)
    assert (rec.outcome, rec.order_exists) == ("timeout", "unknown")


def test_a_recorder_that_starts_too_slowly_costs_no_more_than_the_order_s_time(
    lab, tmp_path, monkeypatch
):
    lab.public_key()
    slow = tmp_path / "python"
    slow.write_text("#!/bin/sh\nread never\n")
    slow.chmod(0o700)
    with monkeypatch.context() as patch:
        patch.setattr(sys, "executable", str(slow))
        with pytest.raises(RecorderError, match="had not started when timeout_s was over"):
            lab.place(ORDER, progress=False, timeout_s=2.0)
