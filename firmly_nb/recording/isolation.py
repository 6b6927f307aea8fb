"""The notebook's end of the recorder's pipe.

One recorder process a lab, started at the first order and kept. It runs on the portal's loop, like
everything async here.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections import deque
from collections.abc import Callable  # noqa: TC003 - read at run time by the dataclass
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from firmly_nb.api.secrets import redact_text
from firmly_nb.recording.journal import JournalError
from firmly_nb.recording.pipe import VERSION, frame, job_message, read_frame
from firmly_nb.recording.records import End, Record, Start, from_dict

if TYPE_CHECKING:
    from pathlib import Path

    from firmly_nb.recording.recorder import Job

START_TIMEOUT_S = 30.0
STOP_TIMEOUT_S = 3.0
CANCEL_TIMEOUT_S = 5.0


class RecorderError(RuntimeError):
    """The recorder's process could not be started; nothing was sent."""


@dataclass(slots=True)
class _Pending:
    """An order in flight: who is told, and how its end is awaited."""

    job: Job
    on_record: Callable[[Record], None]
    done: asyncio.Future[End]
    started: Start | None = None


@dataclass
class WorkerProcess:
    """Starts the recorder when it is needed, again when it died, and talks to it.

    Parameters
    ----------
    card_url
        Where orders go.
    journal
        Where journals are kept.
    ca_file
        Certificates to trust instead of the usual ones (a simulator with TLS).
    keep_personal
        Whether journals hold addresses unmasked.
    """

    card_url: str
    journal: Path
    ca_file: str | None = None
    keep_personal: bool = False
    process: asyncio.subprocess.Process | None = None
    _pending: dict[str, _Pending] = field(default_factory=dict)
    _starting: asyncio.Lock = field(default_factory=asyncio.Lock)
    _pump: asyncio.Task[None] | None = None
    _last_words: deque[str] = field(default_factory=lambda: deque(maxlen=20))

    @property
    def pid(self) -> int | None:
        """The recorder's process id while it runs."""
        alive = self.process is not None and self.process.returncode is None
        return self.process.pid if alive and self.process else None

    async def place(self, job: Job, on_record: Callable[[Record], None]) -> End:
        """Have one order recorded.

        ``on_record`` is called with each record as it comes, the end included. Cancelling closes
        the order's stream, gives out its end (outcome ``cancelled``) and then raises.

        Raises
        ------
        RecorderError
            If the process cannot be started.
        JournalError
            If the journal cannot be written; nothing was sent.
        """
        await self._start()
        order_id = job.start.recording_id
        done: asyncio.Future[End] = asyncio.get_running_loop().create_future()
        self._pending[order_id] = _Pending(job, on_record, done)
        try:
            self._send({"type": "place", "id": order_id, "job": job_message(job)})
            return await asyncio.shield(done)
        except asyncio.CancelledError:
            self._send({"type": "cancel", "id": order_id})
            with suppress(TimeoutError, JournalError):
                async with asyncio.timeout(CANCEL_TIMEOUT_S):
                    await done
            raise
        finally:
            self._pending.pop(order_id, None)

    async def aclose(self) -> None:
        """End the recorder; orders in flight are cancelled by it."""
        process, self.process = self.process, None
        if process is None:
            return
        if process.stdin:
            process.stdin.close()
        try:
            async with asyncio.timeout(STOP_TIMEOUT_S):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()
        if self._pump:
            await self._pump

    async def _start(self) -> None:
        async with self._starting:
            if self.pid is not None:
                return
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "firmly_nb.recording.worker",
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                # A session of its own: Ctrl-C in a terminal is for the notebook.
                start_new_session=True,
            )
            self.process = process
            self._last_words.clear()
            listener = asyncio.create_task(self._listen(process))
            self._send(
                {
                    "type": "hello",
                    "version": VERSION,
                    "card_url": self.card_url,
                    "ca_file": self.ca_file,
                    "journal": str(self.journal),
                    "keep_personal": self.keep_personal,
                }
            )
            try:
                async with asyncio.timeout(START_TIMEOUT_S):
                    ready = await read_frame(_stdout(process))
            except TimeoutError:
                process.kill()
                ready = None
            if ready is None:
                await process.wait()
                await listener
                raise RecorderError(
                    f"the recorder's process did not start: {self._said()}. "
                    "lab.place(..., isolated=False) records in this process instead."
                )
            self._pump = asyncio.create_task(self._receive(process, listener))

    async def _receive(self, process: asyncio.subprocess.Process, listener: Any) -> None:
        while (message := await read_frame(_stdout(process))) is not None:
            pending = self._pending.get(message["id"])
            if pending is None:
                continue
            if message["type"] == "failed":
                if not pending.done.done():
                    pending.done.set_exception(JournalError(message["message"]))
                continue
            self._deliver(pending, from_dict(message["record"]))
        await process.wait()
        await listener
        for pending in list(self._pending.values()):
            self._bury(pending, process.returncode)

    def _deliver(self, pending: _Pending, record: Record) -> None:
        if isinstance(record, Start):
            pending.started = record
        pending.on_record(record)
        if isinstance(record, End) and not pending.done.done():
            pending.done.set_result(record)

    def _bury(self, pending: _Pending, returncode: int | None) -> None:
        """End an order whose recorder died under it."""
        if pending.done.done():
            return
        now = time.time_ns()
        if pending.started is None:
            self._deliver(pending, pending.job.start)
        begun = pending.started.started_at_ns if pending.started else now
        text = (
            f"the recorder's process ended (status {returncode}) during the order: {self._said()}"
        )
        self._deliver(
            pending,
            End(
                "transport_error",
                t_end_ns=max(now - begun, 0),
                error_code="RecorderDied",
                error_description=text,
                warnings=["the recorder died; the order may exist"],
            ),
        )

    async def _listen(self, process: asyncio.subprocess.Process) -> None:
        if process.stderr:
            async for line in process.stderr:
                self._last_words.append(redact_text(line.decode("utf-8", "replace").strip()))

    def _said(self) -> str:
        return self._last_words[-1] if self._last_words else "it said nothing"

    def _send(self, message: dict[str, Any]) -> None:
        if self.process and self.process.stdin and not self.process.stdin.is_closing():
            self.process.stdin.write(frame(message))


def _stdout(process: asyncio.subprocess.Process) -> asyncio.StreamReader:
    if process.stdout is None:
        raise RecorderError("the recorder has no output to read")
    return process.stdout
