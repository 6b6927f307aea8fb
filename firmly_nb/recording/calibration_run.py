"""A known pattern of events through the very same path as an order.

The sender is a process of its own (``calibration_sender``), the recorder the one that orders have
(``WorkerProcess``), with the same connection, parser, journal and pipe; only the journal's folder
is a temporary one, so that calibrations are not found among recordings.
"""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from firmly_nb.api.secrets import SecretStr, without_app_id
from firmly_nb.recording.calibration_sender import EVENT, LAST_EVENT
from firmly_nb.recording.isolation import WorkerProcess
from firmly_nb.recording.recorder import Job
from firmly_nb.recording.records import End, Event, Record, Start
from firmly_nb.recording.throwaway_certificate import write_certificate

if TYPE_CHECKING:
    from types import TracebackType

MIN_GAP_MS, MAX_GAP_MS = 0.5, 30.0
SENDER_TIMEOUT_S = 60.0
WARM_UP_EVENTS = 5


class CalibrationError(RuntimeError):
    """The known pattern did not come through; says what came instead."""


@dataclass(frozen=True, slots=True)
class Pattern:
    """What the sender sends: how many events, and the pauses before them."""

    events: int = 200
    seed: int = 7
    min_gap_ms: float = MIN_GAP_MS
    max_gap_ms: float = MAX_GAP_MS

    def body(self) -> dict[str, Any]:
        """Return the order's body, which is what the sender reads."""
        return {
            "events": self.events,
            "seed": self.seed,
            "min_gap_ms": self.min_gap_ms,
            "max_gap_ms": self.max_gap_ms,
        }

    @property
    def timeout_s(self) -> float:
        """How long it may take at most."""
        return 30.0 + self.events * self.max_gap_ms / 1000


class Sender:
    """The sending process; its input is what keeps it alive."""

    def __init__(self) -> None:
        self.process: asyncio.subprocess.Process | None = None
        self.port = 0

    async def start(self, certificate: Path | None) -> None:
        """Start it and wait until it listens."""
        self.process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "firmly_nb.recording.calibration_sender",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            env=without_app_id(os.environ),
            start_new_session=True,  # Ctrl-C is for the notebook
        )
        settings = {"certificate": str(certificate) if certificate else None}
        if self.process.stdin is None or self.process.stdout is None:
            raise CalibrationError("the sender has no pipes")
        self.process.stdin.write(json.dumps(settings).encode() + b"\n")
        async with asyncio.timeout(SENDER_TIMEOUT_S):
            line = await self.process.stdout.readline()
        if not line:
            raise CalibrationError("the local sender did not start")
        self.port = json.loads(line)["port"]

    async def aclose(self) -> None:
        """End it."""
        if self.process is None:
            return
        if self.process.stdin:
            self.process.stdin.close()
        try:
            async with asyncio.timeout(SENDER_TIMEOUT_S):
                await self.process.wait()
        except TimeoutError:
            self.process.kill()
            await self.process.wait()


class CalibrationRun:
    """A sender and a recorder that is connected to it, for as many patterns as one likes.

    Attributes
    ----------
    url
        Where the sender listens, once started.
    trusted
        With TLS, the file of the certificate to trust.
    """

    def __init__(self, *, tls: bool = False) -> None:
        self.tls = tls
        self.url = ""
        self.trusted: Path | None = None
        self.sender = Sender()
        self.worker: WorkerProcess | None = None
        self._folder = tempfile.TemporaryDirectory(prefix="firmly-nb-calibration-")

    async def start(self) -> None:
        """Start both processes and send a few events that nobody counts."""
        folder = Path(self._folder.name)
        self.trusted, chain = write_certificate(folder) if self.tls else (None, None)
        await self.sender.start(chain)
        self.url = f"{'https' if self.tls else 'http'}://127.0.0.1:{self.sender.port}"
        self.worker = WorkerProcess(
            self.url, folder / "journals", str(self.trusted) if self.trusted else None
        )
        await self.measure("warm-up", Pattern(WARM_UP_EVENTS))

    async def measure(self, condition: str, pattern: Pattern) -> list[dict[str, Any]]:
        """Send one pattern; return a row of ``calibration.ERRORS`` for each event.

        Raises
        ------
        CalibrationError
            If not every event came.
        """
        if self.worker is None:
            raise CalibrationError("start() comes first")
        events: list[Event] = []

        def keep(record: Record) -> None:
            if isinstance(record, Event):
                events.append(record)

        end = await self.worker.place(_job(pattern, tls=self.tls), keep)
        return _rows(condition, events, end, pattern)

    async def aclose(self) -> None:
        """End both processes and remove what they wrote."""
        try:
            if self.worker:
                await self.worker.aclose()
        finally:
            await self.sender.aclose()
            self._folder.cleanup()

    async def __aenter__(self) -> Self:
        try:
            await self.start()
        except BaseException:
            await self.aclose()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()


def _job(pattern: Pattern, *, tls: bool) -> Job:
    start = Start(
        recording_id=f"calibration-{secrets.token_hex(8)}",
        started_at_ns=time.time_ns(),
        environment="calibration",
        domain="calibration.test",
        items=[],
        sse=True,
        connection="warm",
        timeout_s=pattern.timeout_s,
        milestones=[LAST_EVENT],
        tags={"tls": str(tls)},
    )
    return Job(start=start, body=pattern.body(), token=SecretStr(secrets.token_hex(8)))


def _rows(condition: str, events: list[Event], end: End, pattern: Pattern) -> list[dict[str, Any]]:
    sent = [event for event in events if event.event == EVENT]
    times = next((event.data for event in events if event.event == LAST_EVENT), None)
    if times is None or len(sent) != pattern.events:
        raise CalibrationError(
            f"{len(sent)} of {pattern.events} events came before the stream ended ({end.outcome}: "
            f"{end.error_description or 'no reason given'})"
        )
    handed, returned = times["handed_wall_ns"], times["returned_wall_ns"]
    if any(handed):
        # What the kernel did not hand over at once it kept back: the recorder was slow to read, and
        # the event left at any time after the call.
        returned = [
            end if begin else sys.maxsize for begin, end in zip(handed, returned, strict=True)
        ]
    rows = zip(sent, handed, returned, strict=True)
    return [_row(condition, *row) for row in rows]


def _row(condition: str, event: Event, handed: int | None, returned: int) -> dict[str, Any]:
    sent = event.data["sent_wall_ns"]
    earliest = event.wall_ns - event.uncertainty_us * 1000
    return {
        "condition": condition,
        "n": event.data["n"],
        "sent_at": sent,
        "error_ms": (event.wall_ns - sent) / 1e6,
        "uncertainty_us": event.uncertainty_us,
        # It came after the kernel handed it over, and before the sender's call was done.
        "inside": (handed or sent) <= event.wall_ns and earliest <= returned,
        "clock": event.clock,
        "coalesced": event.coalesced,
        "read_no": event.read_no,
        "read_delay_us": event.read_delay_us,
        "own_error_us": None if handed is None else (event.wall_ns - handed) / 1000,
        "send_us": (returned - sent) / 1000 if returned < sys.maxsize else None,
    }
