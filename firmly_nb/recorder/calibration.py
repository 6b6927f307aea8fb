"""Calibration: error of recorded times on this machine, now (``lab.calibrate()``).

A known pattern of events goes through the very same path as an order. The sender is a process of
its own (``calibration_sender``), the recorder the one that orders have (``WorkerProcess``), with
the same connection, parser, journal and pipe; only the journal's folder is a temporary one, so that
calibrations are not found among recordings.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import math
import os
import secrets
import sys
import time
from dataclasses import asdict, dataclass
from functools import cached_property, partial
from html import escape
from typing import TYPE_CHECKING, Any, Self

from firmly_nb.api.secrets import Secret, without_app_id
from firmly_nb.background import follow, follow_async, submit
from firmly_nb.disk import TemporaryFolder
from firmly_nb.display.html import SEEN, page, quiet
from firmly_nb.display.messages import coded_error, quoted, tells_names
from firmly_nb.display.table import TEXT_WIDTH, Cell, Grid, Head, grid_html, grid_text
from firmly_nb.display.text import (
    CLOCKS,
    as_html,
    count,
    hanging,
    number,
    percent,
    stated,
    uncertainty,
)
from firmly_nb.outcomes import STAGE_COLOURS
from firmly_nb.recorder.calibration_sender import EVENT, LAST_EVENT
from firmly_nb.recorder.job import Job
from firmly_nb.recorder.process import WorkerProcess, end_by_input
from firmly_nb.recorder.records import End, Event, Record, Start
from firmly_nb.schema import Column, Table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path
    from types import TracebackType

    import pandas as pd


MIN_GAP_MS, MAX_GAP_MS = 0.5, 30.0
SENDER_TIMEOUT_S = 60.0
WARM_UP_EVENTS = 5
VALID_HOURS = 24


NO_SENDER = "The local sender did not start. Calibrate again."


class CalibrationError(RuntimeError):
    """Calibration that failed: the known pattern did not arrive, and what arrived instead."""


@dataclass(frozen=True, slots=True)
class Pattern:
    """Pattern of events that the sender sends: their number and the pauses before them."""

    events: int = 200
    seed: int = 7
    min_gap_ms: float = MIN_GAP_MS
    max_gap_ms: float = MAX_GAP_MS

    def body(self) -> dict[str, Any]:
        """Return the order's body, which is what the sender reads."""
        return asdict(self)

    @property
    def timeout_s(self) -> float:
        """Longest time that the pattern may take, in seconds."""
        return 30.0 + self.events * self.max_gap_ms / 1000


class Sender:
    """Process that sends the pattern; it ends with its input."""

    def __init__(self) -> None:
        self.process: asyncio.subprocess.Process | None = None
        self.port = 0

    async def start(self, certificate: Path | None) -> None:
        """Start it and wait until it listens."""
        self.process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "firmly_nb.recorder.calibration_sender",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            env=without_app_id(os.environ),
            start_new_session=True,  # Ctrl-C is for the notebook
        )
        settings = {"certificate": str(certificate) if certificate else None}
        if self.process.stdin is None or self.process.stdout is None:
            raise coded_error(CalibrationError, "FNB603", NO_SENDER)
        self.process.stdin.write(json.dumps(settings).encode() + b"\n")
        async with asyncio.timeout(SENDER_TIMEOUT_S):
            line = await self.process.stdout.readline()
        if not line:
            raise coded_error(CalibrationError, "FNB603", NO_SENDER)
        self.port = json.loads(line)["port"]

    async def aclose(self) -> None:
        """End it."""
        if self.process:
            await end_by_input(self.process, SENDER_TIMEOUT_S)


class CalibrationRun:
    """Sender with a recorder connected to it, for any number of patterns.

    Attributes
    ----------
    url
        Where the sender listens, once started.
    trusted
        With TLS, the file of the authority to trust.
    """

    def __init__(self, *, tls: bool = False) -> None:
        self.tls = tls
        self.url = ""
        self.trusted: Path | None = None
        self.sender = Sender()
        self.worker: WorkerProcess | None = None
        self._folder = TemporaryFolder()

    async def start(self) -> None:
        """Start both processes and send a few events that nobody counts."""
        folder = self._folder.path
        self.trusted, chain = _write_certificate(folder) if self.tls else (None, None)
        await self.sender.start(chain)
        if chain:
            chain.unlink()  # the sender has read it
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
            text = "The calibration has not started. Call start() first."
            raise coded_error(CalibrationError, "FNB603", text)
        events: list[Event] = []

        def keep(record: Record) -> None:
            if isinstance(record, Event):
                events.append(record)

        end = await self.worker.place(_job(pattern, tls=self.tls), keep)
        if not isinstance(end, End):
            raise TypeError("an order's last record is its end")
        return _rows(condition, events, end, pattern)

    async def aclose(self) -> None:
        """End both processes and remove what they wrote."""
        try:
            if self.worker:
                await self.worker.aclose()
        finally:
            await self.sender.aclose()
            self._folder.remove()

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


def _write_certificate(folder: Path) -> tuple[Path, Path]:
    """Make a certificate for 127.0.0.1; return the file to trust, and that with the key."""
    import trustme

    authority = trustme.CA(path_length=0)  # its own key stays in memory
    now = dt.datetime.now(dt.UTC)
    made = authority.issue_cert(
        "127.0.0.1",
        not_before=now - dt.timedelta(hours=1),
        not_after=now + dt.timedelta(hours=VALID_HOURS),
    )
    trusted, chain = folder / "trusted.pem", folder / "chain.pem"
    authority.cert_pem.write_to_path(trusted)
    chain.touch(mode=0o600)
    made.private_key_and_cert_chain_pem.write_to_path(chain)
    return trusted, chain


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
    token = Secret(secrets.token_hex(8))
    # All of them and the last one, which has the times of sending.
    return Job(start=start, body=pattern.body(), token=token, max_events=pattern.events + 1)


def _rows(condition: str, events: list[Event], end: End, pattern: Pattern) -> list[dict[str, Any]]:
    sent = [event for event in events if event.event == EVENT]
    times = next((event.data for event in events if event.event == LAST_EVENT), None)
    if times is None or len(sent) != pattern.events:
        raise coded_error(
            CalibrationError,
            "FNB603",
            f"Only {len(sent)} of {pattern.events} events arrived before the stream ended "
            f"({end.outcome}: {end.error_description or 'no reason given'}). Calibrate again.",
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
    arrived = event.wall_ns or 0
    earliest = arrived - event.uncertainty_us * 1000
    return {
        "condition": condition,
        "n": event.data["n"],
        "sent_at": sent,
        "error_ms": (arrived - sent) / 1e6,
        "uncertainty_us": event.uncertainty_us,
        # It came after the kernel handed it over, and before the sender's call was done.
        "inside": (handed or sent) <= arrived and earliest <= returned,
        "clock": event.clock,
        "coalesced": event.coalesced,
        "read_no": event.read_no,
        "read_delay_us": event.read_delay_us,
        "own_error_us": None if handed is None else (arrived - handed) / 1000,
        "send_us": (returned - sent) / 1000 if returned < sys.maxsize else None,
    }


# How it shows itself. The picture is made of plain elements, so that it survives untrusted
# notebooks and exports; without its colours the table still says it.
BINS_PER_DECADE = 12
BAR_HEIGHT_PX = 56
LABEL_PX_A_LETTER = 7
LOWEST_MS, HIGHEST_MS = 0.001, 0.1  # the least that the axis covers: from one microsecond
TITLE = "How large is the error of an arrival time?"
LINE = "1px solid var(--jp-border-color1,#9e9e9e)"
_HEADS: tuple[str | Head, ...] = (
    "condition",
    "events",
    *(Head(name, "µs") for name in ("p50", "p99", "max", "own p50", "own p99")),
    "within uncertainty",
)


def calibration_text(sentence: str, table: pd.DataFrame, *, tls: bool) -> str:
    """Return the sentence and the table as plain text."""
    text = grid_text(calibration_grid(table))
    said, caption = (hanging(one, TEXT_WIDTH, 0) for one in (sentence, _caption(table, tls=tls)))
    return f"{said}\n{text}\n{caption}"


def calibration_html(sentence: str, table: pd.DataFrame, errors: pd.DataFrame, *, tls: bool) -> str:
    """Return the sentence, the table and the picture."""
    picture = errors_picture(_by_condition(errors))
    body = f"{grid_html(calibration_grid(table))}{picture}{quiet(_caption(table, tls=tls))}"
    return page(f"<div><b>{escape(sentence)}</b></div>{body}", "900px")


def calibration_grid(table: pd.DataFrame) -> Grid:
    """Return the errors of each condition as a table of texts, in µs."""
    times = ("median_ms", "p99_ms", "max_ms", "own_median_ms", "own_p99_ms")
    rows: list[tuple[str | Cell, ...]] = [
        (
            Cell(row["condition"], swatch=STAGE_COLOURS[position % len(STAGE_COLOURS)]),
            count(row["events"]),
            *(number(1000 * row[name]) for name in times),
            percent(row["inside_share"]),
        )
        for position, row in enumerate(table.to_dict("records"))
    ]
    caption = "Recorded arrival minus the time of sending."
    return Grid(_HEADS, rows, caption=caption)


def _caption(table: pd.DataFrame, *, tls: bool) -> str:
    clocks = " or ".join(CLOCKS[one] for one in sorted(set(table["clock"])))
    way = "TLS" if tls else "plain HTTP"
    return (
        f"Recorded arrival minus the sender's own time of sending ({way}, {clocks}); own: minus "
        "the moment at which the sender's kernel handed the event over."
    )


def errors_picture(errors: Mapping[str, Sequence[float]]) -> str:
    """Draw one histogram above the other, on one logarithmic axis, as HTML.

    Parameters
    ----------
    errors
        Errors in milliseconds, by what they are called.
    """
    first, last = _decades([error for part in errors.values() for error in part])
    bins = (last - first) * BINS_PER_DECADE
    width = max((len(name) for name in errors), default=0) * LABEL_PX_A_LETTER + 8
    rows = [
        _histogram(name, _counts(part, first, bins), position, width)
        for position, (name, part) in enumerate(errors.items())
    ]
    labels = "".join(
        f'<div style="flex:1;border-left:{LINE};font-size:11px;padding-left:2px">'
        f"{stated(1000 * 10**decade)} µs</div>"
        for decade in range(first, last)
    )
    axis = f'<div style="display:flex;margin-left:{width}px">{labels}</div>'
    title = f"{TITLE} Share of events by error, logarithmic axis"
    return f'{quiet(title)}<div style="margin:4px 0">{"".join(rows)}{axis}</div>'


def _by_condition(errors: pd.DataFrame) -> dict[str, Sequence[float]]:
    groups = errors.groupby("condition", observed=True, sort=False)["error_ms"]
    return {str(name): group.tolist() for name, group in groups}


def _histogram(name: str, counts: Sequence[int], position: int, width: int) -> str:
    """Return one row: a label, then a bar for each bin, standing on the axis."""
    colour = STAGE_COLOURS[position % len(STAGE_COLOURS)]
    tallest = max(counts, default=0) or 1
    total = sum(counts) or 1
    bars = "".join(
        f'<div style="flex:1">{_bar(many / tallest, colour, percent(many / total))}</div>'
        if many
        else '<div style="flex:1"></div>'
        for many in counts
    )
    axis = f"display:flex;align-items:flex-end;height:{BAR_HEIGHT_PX}px;border-bottom:{LINE}"
    return (
        f'<div style="display:flex;align-items:flex-end"><div style="flex:none;width:{width}px">'
        f'{as_html(name)}</div><div style="flex:1;{axis}">{bars}</div></div>'
    )


def _bar(share: float, colour: str, title: str) -> str:
    height = max(round(share * BAR_HEIGHT_PX), 2)
    style = f"{SEEN}height:{height}px;background-color:{colour}"
    return f'<div title="{title}" style="{style}"></div>'


def _decades(errors: Sequence[float]) -> tuple[int, int]:
    """Return the powers of ten (ms) that the axis runs between."""
    lowest = min([LOWEST_MS, *(error for error in errors if error > 0)])
    highest = max([HIGHEST_MS, *errors])
    first = max(math.floor(math.log10(lowest) + 1e-9), -6)
    return first, max(math.floor(math.log10(highest)) + 1, first + 1)


def _counts(errors: Sequence[float], first: int, bins: int) -> list[int]:
    counts = [0] * bins
    for error in errors:
        exact = (math.log10(error) - first) * BINS_PER_DECADE if error > 0 else 0.0
        counts[min(max(int(exact), 0), bins - 1)] += 1
    return counts


ERRORS = Table(
    "calibration errors",
    "one row an event of the known pattern",
    (
        Column("condition", "category", "", "what the notebook did meanwhile: idle or busy"),
        Column("n", "int64", "", "number of the event in its pattern, from 1"),
        Column("sent_at", "datetime64[ns, UTC]", "", "the sender's clock immediately before"),
        Column("error_ms", "float64", "ms", "recorded arrival minus sent_at"),
        Column("own_error_us", "float64", "µs", "recorded arrival minus the kernel's hand-over"),
        Column("uncertainty_us", "float64", "µs", "how much earlier it can have come, as recorded"),
        Column(
            "inside",
            "bool",
            "",
            "the recorded interval agrees with when it was sent",
        ),
        Column("clock", "category", "", "kernel: kernel timestamp; user: time after the read"),
        Column("coalesced", "bool", "", "came in the same read as the event before"),
        Column("read_no", "int64", "", "number of the read that brought its last byte"),
        Column("read_delay_us", "float64", "µs", "timestamp until the recorder has the bytes"),
        Column("send_us", "float64", "µs", "from sent_at to the end of the sender's call; or null"),
    ),
)

SUMMARY = Table(
    "calibration",
    "one row a condition",
    (
        Column("condition", "str", "", "what the notebook did meanwhile: idle or busy"),
        Column("events", "int64", "", "events sent, all of which came"),
        Column("median_ms", "float64", "ms", "median of recorded arrival minus time of sending"),
        Column("p99_ms", "float64", "ms", "99th percentile (type 7) of it"),
        Column("max_ms", "float64", "ms", "largest of it"),
        Column("own_median_ms", "float64", "ms", "median without the sender's own delay; or null"),
        Column("own_p99_ms", "float64", "ms", "99th percentile without it; or null"),
        Column("inside_share", "float64", "", "share of events inside their uncertainty"),
        Column("clock", "str", "", "how they were stamped"),
    ),
)


@tells_names
@dataclass(frozen=True, eq=False)
class Calibration:
    r"""Errors of recorded times, measured with a known pattern of events on this machine.

    Attributes
    ----------
    errors
        One row an event (``ERRORS``); all times in it are the machine's wall clock.
    tls
        Whether it went over TLS. What the sender spends on encrypting then counts as error.

    Examples
    --------
    >>> rows = [{"condition": "busy", "n": n, "error_ms": n / 100, "inside": True,
    ...          "clock": "kernel"} for n in range(1, 10)]
    >>> Calibration.from_rows(rows).sentence
    'On this machine, now, an arrival is off by 50.0\xa0µs (median), 89.2\xa0µs (p99).'
    """

    errors: pd.DataFrame
    tls: bool = False

    @classmethod
    def from_rows(cls, rows: Iterable[Mapping[str, Any]], *, tls: bool = False) -> Calibration:
        """Make it from one mapping an event; see ``ERRORS``."""
        unmeasured = {"coalesced": False, "read_no": 0}
        return cls(ERRORS.frame([{**unmeasured, **row} for row in rows]), tls)

    @cached_property
    def table(self) -> pd.DataFrame:
        """Table of errors by condition; see ``SUMMARY``."""
        groups = self.errors.groupby("condition", observed=True, sort=False)
        return SUMMARY.frame([_summary(str(name), group) for name, group in groups])

    @property
    def sentence(self) -> str:
        """Result in one sentence: the condition with the larger p99.

        The sender's clock is read before it sends, so its own delay is part of the error. Where
        the kernel tells when it handed the bytes over (Linux), the error without it is said too.
        """
        worst = self.table.sort_values("p99_ms").to_dict("records")[-1]
        median, p99, own_median, own_p99 = (
            uncertainty(1000 * worst[name])
            for name in ("median_ms", "p99_ms", "own_median_ms", "own_p99_ms")
        )
        without = f"; without the local sender's own delay {own_median} and {own_p99}"
        is_known = not math.isnan(worst["own_median_ms"])
        return (
            f"On this machine, now, an arrival is off by {median} (median), {p99} (p99)"
            f"{without if is_known else ''}."
        )

    def grid(self) -> Grid:
        """Return the errors of each condition as a table of texts."""
        return calibration_grid(self.table)

    def __repr__(self) -> str:
        return calibration_text(self.sentence, self.table, tls=self.tls)

    def _repr_html_(self) -> str:
        return calibration_html(self.sentence, self.table, self.errors, tls=self.tls)


def _summary(condition: str, group: pd.DataFrame) -> dict[str, Any]:
    error = group["error_ms"]
    return {
        "condition": condition,
        "events": len(group),
        "median_ms": error.median(),
        "p99_ms": error.quantile(0.99),
        "max_ms": error.max(),
        "own_median_ms": group["own_error_us"].median() / 1000,
        "own_p99_ms": group["own_error_us"].quantile(0.99) / 1000,
        "inside_share": group["inside"].mean(),
        "clock": " and ".join(sorted(set(group["clock"].astype(str)))),
    }


IDLE, BUSY = "idle", "busy"
PYTHON_STEPS = 200_000
TABLE_ROWS = 200_000


def calibrate(*, events: int = 200, seed: int = 7, tls: bool = False) -> Calibration:
    """Measure how far off recorded arrivals are on this machine, now.

    A local sender sends the same known pattern twice through the path that every order takes:
    once while this thread waits, once while it computes (pandas and pure Python).

    Parameters
    ----------
    events
        How many, each time; the pauses between them are drawn from 0.5 to 30 ms, 7 ms on average.
    seed
        Of the pattern.
    tls
        Whether it goes over TLS, with a certificate that is made for it and thrown away.

    Raises
    ------
    CalibrationError
        If not every event came through.
    RecorderError
        If the recorder's process cannot be started.

    Examples
    --------
    >>> calibrate(events=20).table["events"].tolist()
    [20, 20]
    """
    pattern = _pattern(events, seed)
    run = CalibrationRun(tls=tls)
    try:
        follow(submit(run.start))
        idle = follow(submit(run.measure, IDLE, pattern))
        work = submit(run.measure, BUSY, pattern)
        busy = follow(work, partial(next, busy_steps(work.done), None), every_s=0)
    finally:
        follow(submit(run.aclose))
    return Calibration.from_rows([*idle, *busy], tls=tls)


async def calibrate_async(*, events: int = 200, seed: int = 7, tls: bool = False) -> Calibration:
    """See :func:`calibrate`; the work is done on the running loop, which gets turns in between."""
    pattern = _pattern(events, seed)
    run = CalibrationRun(tls=tls)
    try:
        await follow_async(submit(run.start))
        idle = await follow_async(submit(run.measure, IDLE, pattern))
        work = submit(run.measure, BUSY, pattern)
        busy = await follow_async(work, partial(next, busy_steps(work.done), None), every_s=0)
    finally:
        await follow_async(submit(run.aclose))
    return Calibration.from_rows([*idle, *busy], tls=tls)


def busy_steps(done: Callable[[], bool]) -> Iterator[float]:
    """Compute until it is done: pandas and pure Python in turns; yields the time of each step.

    Examples
    --------
    >>> steps = busy_steps(lambda: False)
    >>> next(steps) > 0
    True
    """
    table = _table()
    while not done():
        begun = time.perf_counter()
        table.groupby("key")["value"].agg(["median", "std"])
        total = 0
        for step in range(PYTHON_STEPS):
            total += step * step % 7
        yield time.perf_counter() - begun


def _table() -> Any:
    import pandas as pd

    numbers = range(TABLE_ROWS)
    return pd.DataFrame(
        {"key": [n * 7919 % 1009 for n in numbers], "value": [float(n % 101) for n in numbers]}
    )


def _pattern(events: int, seed: int) -> Pattern:
    if events < 1:
        text = f"events must be at least 1, got {quoted(events)}. Try events=200."
        raise coded_error(ValueError, "FNB317", text)
    return Pattern(events=events, seed=seed)
