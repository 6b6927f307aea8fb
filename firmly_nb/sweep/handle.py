"""``Sweep``: a sweep on its way, and whoever waits for it, watches it or stops it."""

from __future__ import annotations

import asyncio
import threading
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from firmly_nb.portal import submit
from firmly_nb.recording.journal import JournalError
from firmly_nb.recording.recording import Recording, Recordings
from firmly_nb.sweep.plan_file import recorded
from firmly_nb.sweep.run import KEPT_RECORDINGS, STOPPED

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from firmly_nb.recording.records import Record
    from firmly_nb.sweep.claim import Claim
    from firmly_nb.sweep.plan_file import PlanFile
    from firmly_nb.sweep.progress import Progress
    from firmly_nb.sweep.run import Problem, Run

SHOW_EVERY_S = 0.1
# Closing the streams takes a moment, a recorder that does not answer five seconds.
STOP_TIMEOUT_S = 10.0
CLOSED = "stopped: the lab was closed"


class Sweep:
    """Many orders on their way; made by ``lab.start_sweep``.

    It runs in the background. All of it can be read from any thread at any time.
    """

    def __init__(
        self,
        run: Run,
        plan_file: PlanFile,
        journal: Path,
        earlier: list[Recording],
        claim: Claim,
    ) -> None:
        self._run = run
        self._plan_file = plan_file
        self._journal = journal
        self._earlier = earlier
        self._claim = claim
        self._listeners: list[Callable[[Sweep], None]] = []
        self._finished = threading.Event()
        self._over = asyncio.Event()  # the same, for the background loop
        run.on_change = self._tell
        run.on_stand_ins = self._write_stand_ins
        run.sender.bench.before_close.append(self._end)
        self._future = submit(self._follow)

    @property
    def run_id(self) -> str:
        """The id that every recording of it has: ``recs.where(run_id=...)``, ``resume=...``."""
        return self._plan_file.run_id

    @property
    def name(self) -> str:
        """Its name."""
        return self._plan_file.name

    @property
    def tags(self) -> dict[str, str]:
        """What was noted, by name."""
        return dict(self._plan_file.tags)

    @property
    def plan(self) -> PlanFile:
        """What was asked for: arrival, rate, concurrency, count, seed, budget."""
        return self._plan_file

    @property
    def done(self) -> bool:
        """Whether it has ended, however it did; everything is on disk then."""
        return self._finished.is_set()

    @property
    def progress(self) -> Progress:
        """How far it is now: planned, started, running, finished, outcomes, latest orders."""
        return self._run.progress()

    @property
    def latencies_ms(self) -> list[float]:
        """``time_to_order_placed`` of each placed order so far, in ms."""
        return list(self._run.counts.latencies_ms)

    @property
    def problems(self) -> list[Problem]:
        """The orders of which nothing was sent, and why."""
        return list(self._run.problems)

    @property
    def error(self) -> BaseException | None:
        """Why the sweep itself failed; None if it did not."""
        if not self._future.done() or self._future.cancelled():
            return None
        return self._future.exception()

    @property
    def recordings(self) -> Recordings:
        """The orders that have ended, oldest first; beyond 10,000 they are read from disk."""
        counts = self._run.counts
        if counts.finished > KEPT_RECORDINGS:
            found = [Recording(*kept) for kept in self._on_disk()]
        else:
            found = [*self._earlier, *self._run.recordings]
        return Recordings(sorted(found, key=lambda rec: rec.started_at_ns), self.warnings)

    @property
    def warnings(self) -> list[str]:
        """What is to be said beside the recordings: why it stopped, what was not sent."""
        told = [self._message()] if self.progress.message else []
        told += [*self.progress.notes, *filter(None, [self._run.ledger.beyond()])]
        problems = self.problems
        if problems:
            first = problems[0]
            many = f"{len(problems):,} orders were" if len(problems) > 1 else "1 order was"
            told.append(f"{many} not sent; order {first.number}: {first.error}")
        return told

    def stop(self, *, let_finish: bool = False) -> None:
        """Start no order any more; returns at once.

        Parameters
        ----------
        let_finish
            Whether orders in flight are followed to their end. Otherwise their streams are closed
            and they are kept as ``cancelled``; whether there is an order then only the merchant
            knows.
        """
        submit(self._stop, let_finish)

    def on_progress(self, call: Callable[[Sweep], None]) -> Callable[[], None]:
        """Call something whenever an order starts or ends, and at the end of the sweep.

        It is called on the background thread, must not block, and should not do much: at 50 orders
        a second it is called 100 times a second. Returns a function that takes it back.
        """
        self._listeners.append(call)
        return lambda: self._listeners.remove(call) if call in self._listeners else None

    def wait(self, show: Callable[[Progress], None] | None = None) -> Recordings:
        """Wait in this thread until it has ended; Ctrl-C stops it, keeps everything and raises."""
        try:
            while not self._finished.wait(SHOW_EVERY_S):
                show = _shown(show, self.progress)
        except KeyboardInterrupt:
            self.stop()
            self._finished.wait(STOP_TIMEOUT_S)
            _shown(show, self.progress)
            raise
        _shown(show, self.progress)
        self._future.result()
        return self.recordings

    async def wait_async(self, show: Callable[[Progress], None] | None = None) -> Recordings:
        """Wait on the running loop until it has ended; cancelling the task stops it."""
        future = asyncio.wrap_future(self._future)
        try:
            while not future.done():
                await asyncio.wait({future}, timeout=SHOW_EVERY_S)
                show = _shown(show, self.progress)
        except asyncio.CancelledError:
            self.stop()
            await asyncio.to_thread(self._finished.wait, STOP_TIMEOUT_S)
            _shown(show, self.progress)
            raise
        future.result()
        return self.recordings

    def __repr__(self) -> str:
        progress = self.progress
        counts = ", ".join(f"{n:,} {outcome}" for outcome, n in progress.outcomes.items())
        of = f" of {progress.planned:,}" if progress.planned is not None else ""
        label = f" {self.name!r}" if self.name else ""
        return f"Sweep({self.run_id}{label}; {progress.state}; {progress.finished:,}{of}: {counts})"

    def _repr_html_(self) -> str:
        from html import escape

        from firmly_nb.sweep.bar import bar_html

        label = f"{self.name}, run {self.run_id}" if self.name else f"Run {self.run_id}"
        return f"<div><b>{escape(label)}</b>{bar_html(self.progress)}</div>"

    def _message(self) -> str:
        progress = self.progress
        if progress.state != "stopped":
            return progress.message
        done = progress.finished + progress.not_started
        of = f" of {progress.planned:,}" if progress.planned is not None else ""
        return f"the sweep ended after {done:,}{of} orders: {progress.message}"

    def _on_disk(self) -> list[tuple[list[Record], list[str]]]:
        return list(recorded(self._journal, self.run_id, 0))

    async def _stop(self, let_finish: bool) -> None:
        self._run.stop(STOPPED, let_finish=let_finish)

    async def _end(self) -> None:
        self._run.stop(CLOSED)
        await self._over.wait()

    async def _follow(self) -> None:
        try:
            await self._run.follow()
        finally:
            self._run.sender.bench.before_close.remove(self._end)
            self._write_ending()
            self._claim.release()
            self._finished.set()
            self._over.set()
            self._tell()

    def _write_stand_ins(self) -> None:
        """Write down what was found before anything is sent: resumed, the same is ordered."""
        found = [one.written() for one in self._run.stand_ins]
        self._plan_file = replace(self._plan_file, stand_ins=found)
        self._plan_file.write(self._journal)

    def _write_ending(self) -> None:
        self._plan_file = replace(self._plan_file, message=self._run.message)
        with suppress(JournalError):
            self._plan_file.write(self._journal)

    def _tell(self) -> None:
        for call in list(self._listeners):
            call(self)


def _shown(
    show: Callable[[Progress], None] | None, progress: Progress
) -> Callable[[Progress], None] | None:
    """Show how far it is; where nobody reads it any more (a closed pipe), the orders go on."""
    try:
        if show:
            show(progress)
    except OSError:
        return None
    return show
