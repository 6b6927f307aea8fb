"""``Attempt``: one order under way, and the line that is shown for each event as it arrives."""

from __future__ import annotations

import queue
import sys
from functools import partial
from typing import TYPE_CHECKING, TextIO

from firmly_nb.background import Patience, Running, check_thread, follow, follow_async
from firmly_nb.display.arguments import public
from firmly_nb.display.text import encodable, number, printable
from firmly_nb.engine import said_of_interrupted
from firmly_nb.recorder.records import End, Event, Start
from firmly_nb.recordings.recording import Recording
from firmly_nb.wire.stamps import monotonic_ns

if TYPE_CHECKING:
    from collections.abc import Callable

    from firmly_nb.api.models import Card, Order
    from firmly_nb.engine import Bench
    from firmly_nb.options import Options
    from firmly_nb.recorder.records import Record


SHOW_EVERY_S = 0.05
NAME_WIDTH = 27  # of an event's name and its time
MS_PER_BLOCK = 25
MAX_BLOCKS = 31  # a line has 79 columns


@public
class Attempt:
    """Order that is running; made by ``lab.start`` after the guard's checks."""

    def __init__(
        self,
        lab: object,
        bench: Bench,
        order: Order,
        card: Card,
        options: Options,
        on_record: Callable[[Record], None] | None = None,
    ) -> None:
        self._records: list[Record] = []
        self._to_show: queue.SimpleQueue[Record] = queue.SimpleQueue()
        self._on_record = on_record
        self._lab = lab  # one that is forgotten meanwhile is closed after its order
        self._bench = bench
        called_ns = monotonic_ns()
        self._work = Running(bench.place, order, card, options, self._keep, called_ns)

    def begin(self) -> None:
        """Have it placed, if it is not yet."""
        self._take_over()
        self._work.begin()

    def _take_over(self) -> None:
        if not self._work.is_begun:
            check_thread()
            self._bench.last = None  # an earlier order is not the one that is asked for

    @property
    def done(self) -> bool:
        """True once the order has ended and its recording is complete."""
        return self._work.done()

    @property
    def recording(self) -> Recording | None:
        """Recording so far, complete once the order is done; None before the first record."""
        if self.done and not self._work.cancelled() and self.error is None:
            return self._work.result()
        records = list(self._records)
        return Recording(records) if records else None

    @property
    def error(self) -> BaseException | None:
        """Reason why nothing was placed: no session, key or recorder; None if there is none."""
        return self._work.error

    def cancel(self) -> None:
        """Close the stream; whether there is an order then, only the merchant knows."""
        self._work.cancel()

    def on_done(self, call: Callable[[Attempt], None]) -> None:
        """Call something once it has ended, on the background thread; it must not block."""
        self._work.add_done_callback(lambda _: call(self))

    def wait(self, timeout_s: float | None = None, *, lines: EventLines | None = None) -> Recording:
        """Wait in this thread, showing records as they come; Ctrl-C cancels the order.

        Raises
        ------
        TimeoutError
            If it has not ended after ``timeout_s``; it goes on.
        """
        show, patience = partial(self._show, lines), Patience(timeout_s, "The order")
        try:
            self._take_over()
            return follow(self._work, show, every_s=SHOW_EVERY_S, patience=patience)
        except KeyboardInterrupt as error:
            if not self._work.is_begun:
                self._work.cancel()
            error.args = (said_of_interrupted(self.recording, done=self.done),)
            raise

    async def wait_async(
        self, timeout_s: float | None = None, *, lines: EventLines | None = None
    ) -> Recording:
        """Wait on the running loop, showing records as they come; cancelling the task cancels."""
        self._take_over()
        show, patience = partial(self._show, lines), Patience(timeout_s, "The order")
        return await follow_async(self._work, show, every_s=SHOW_EVERY_S, patience=patience)

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


class EventLines:
    """Printer of an order's events while it runs."""

    def __init__(self, out: TextIO | None = None) -> None:
        self.out = out or sys.stdout
        self.last_ns = 0
        self.begun = False

    def show(self, record: Record) -> None:
        """Print the line of one record; the end prints nothing, the recording speaks for it."""
        if isinstance(record, Start):
            if self.begun:
                return
            self.begun = True
            n = sum(item.get("quantity", 1) for item in record.items)
            # What a flow will order is not known at its first call.
            asked = "call by call" if record.flow else f"quantity {n}"
            self._print(f"{record.domain} ({record.environment}), {asked}")
        elif isinstance(record, Event):
            gap_ms = (record.t_ns - self.last_ns) / 1e6
            self.last_ns = record.t_ns
            bar = "▇" * min(max(round(gap_ms / MS_PER_BLOCK), 1), MAX_BLOCKS)
            time = number(record.t_ns / 1e6)
            gap = number(gap_ms)
            name = printable(record.event, 60)
            # A long name takes of the room before the time, so that the times stay aligned.
            room = max(NAME_WIDTH - len(name), 0)
            self._print(f"  {name} {time:>{room}} ms  +{gap:>7} ms  {bar}")
        elif isinstance(record, End):
            self.out.flush()

    def _print(self, line: str) -> None:
        print(encodable(line, getattr(self.out, "encoding", None)), file=self.out, flush=True)
