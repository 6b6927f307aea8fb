"""One order on its way, and whoever waits for it, watches it or cancels it."""

from __future__ import annotations

import asyncio
import queue
import threading
from typing import TYPE_CHECKING

from firmly_nb.portal import submit
from firmly_nb.recording.recording import Recording

if TYPE_CHECKING:
    from collections.abc import Callable

    from firmly_nb.api.models import Card, Order
    from firmly_nb.placing import Bench, Options
    from firmly_nb.progress import EventLines
    from firmly_nb.recording.records import Record

SHOW_EVERY_S = 0.05
CANCEL_TIMEOUT_S = 6.0


class Attempt:
    """One order on its way; made by ``lab.start`` once the guard has been asked."""

    def __init__(
        self,
        bench: Bench,
        order: Order,
        card: Card,
        options: Options,
        on_record: Callable[[Record], None] | None = None,
    ) -> None:
        self._records: list[Record] = []
        self._to_show: queue.SimpleQueue[Record] = queue.SimpleQueue()
        self._on_record = on_record
        self._finished = threading.Event()
        self._future = submit(self._place, bench, order, card, options)

    @property
    def done(self) -> bool:
        """Whether it has ended, its recording with it."""
        return self._finished.is_set()

    @property
    def recording(self) -> Recording | None:
        """What is recorded so far; None before the first record. Whole once it is done."""
        records = list(self._records)
        return Recording(records) if records else None

    @property
    def error(self) -> BaseException | None:
        """Why there is no order of which to tell: no session, no key, no recorder; else None."""
        if not self._future.done() or self._future.cancelled():
            return None
        return self._future.exception()

    def cancel(self) -> None:
        """Close the stream; whether there is an order then, only the merchant knows."""
        self._future.cancel()

    def on_done(self, call: Callable[[Attempt], None]) -> None:
        """Call something once it has ended, on the background thread; it must not block."""
        self._future.add_done_callback(lambda _: call(self))

    def wait(self, lines: EventLines | None = None) -> Recording:
        """Wait in this thread, showing records as they come."""
        try:
            while not self._finished.wait(SHOW_EVERY_S):
                self._show(lines)
            self._show(lines)
            return self._future.result()
        except KeyboardInterrupt:
            self._future.cancel()
            # The stream is closed and the recording kept before the cell ends.
            self._finished.wait(CANCEL_TIMEOUT_S)
            self._show(lines)
            raise

    async def wait_async(self, lines: EventLines | None = None) -> Recording:
        """Wait on the running loop, showing records as they come."""
        future = asyncio.wrap_future(self._future)
        try:
            while not future.done():
                await asyncio.wait({future}, timeout=SHOW_EVERY_S)
                self._show(lines)
            return future.result()
        except asyncio.CancelledError:
            self._future.cancel()
            await asyncio.to_thread(self._finished.wait, CANCEL_TIMEOUT_S)
            self._show(lines)
            raise

    def _show(self, lines: EventLines | None) -> None:
        while not self._to_show.empty():
            record = self._to_show.get()
            if lines:
                lines.show(record)

    def _keep(self, record: Record) -> None:
        self._records.append(record)
        self._to_show.put(record)
        if self._on_record:
            self._on_record(record)

    async def _place(self, bench: Bench, order: Order, card: Card, options: Options) -> Recording:
        try:
            return await bench.place(order, card, options, self._keep)
        finally:
            self._finished.set()
