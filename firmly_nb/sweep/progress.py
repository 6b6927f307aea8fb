"""Progress of a sweep: plain values that any thread may read, and the bar of whoever waits.

In a terminal tqdm's bar; in a notebook one of our own, whose last state is plain HTML in the saved
notebook (tqdm's is a widget there: whoever opens the notebook later finds an error in its place);
piped, a line now and then.
"""

from __future__ import annotations

import sys
import time
from collections import Counter, deque
from dataclasses import dataclass, field
from html import escape
from typing import TYPE_CHECKING, Any, Literal, Protocol, TextIO

from typing_extensions import override

from firmly_nb.display.html import SEEN
from firmly_nb.display.messages import tells_names
from firmly_nb.display.table import Grid, Head, grid_html, grid_text
from firmly_nb.display.text import count, encodable
from firmly_nb.outcomes import NOT_SENT, PLACED, outcome

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


State = Literal["preparing", "running", "stopping", "finished", "stopped"]
LATEST = 500
LINE_EVERY_S = 10.0
ENDED = {"finished", "stopped"}


@dataclass(frozen=True, slots=True)
class Point:
    """Finished order: its number, start (s into the sweep), duration and outcome.

    ``latency_ms`` is ``time_to_order_placed`` for a placed order, else ``time_to_failure``, and
    ``order_latency`` for a cancelled one.
    """

    number: int
    started_s: float
    latency_ms: float
    outcome: str
    schedule_lag_ms: float | None = None


@tells_names
@dataclass(frozen=True, slots=True)
class Progress:
    """Progress of a sweep at one moment.

    Attributes
    ----------
    state
        ``preparing``, ``running``, ``stopping``; then ``finished`` (all orders) or ``stopped``.
    planned
        How many orders there are in all; None where nobody knows.
    started, running, finished
        Orders that were sent, those in flight, and those that ended.
    outcomes
        How many ended how.
    not_started
        Orders that failed before anything was sent.
    unknown
        Orders that another machine may have placed, and that cannot be asked.
    resumed
        How many of the finished ones an earlier part of the run had placed.
    spent_minor
        What was ordered for so far, by currency, in minor units.
    message
        Why it pauses or stopped; empty where there is nothing to say.
    notes
        What the analyst should know of the plan: what is ordered where it was not said.
    elapsed_s
        Since the sweep began.
    latest
        The last 500 finished orders, oldest first.
    hosts
        A row for each machine of a sweep from several, in the form of ``HOSTS``.
    """

    state: State
    planned: int | None
    started: int = 0
    running: int = 0
    finished: int = 0
    outcomes: Mapping[str, int] = field(default_factory=dict)
    not_started: int = 0
    unknown: int = 0
    resumed: int = 0
    spent_minor: Mapping[str, int] = field(default_factory=dict)
    message: str = ""
    notes: tuple[str, ...] = ()
    elapsed_s: float = 0.0
    latest: tuple[Point, ...] = field(default=(), repr=False)
    hosts: tuple[Mapping[str, Any], ...] = field(default=(), repr=False)

    @property
    def left(self) -> int | None:
        """Number of orders still to be started; None if the total is not known."""
        if self.planned is None:
            return None
        gone = self.started + self.resumed + self.not_started + self.unknown
        return max(self.planned - gone, 0)


@dataclass
class Counts:
    """Counts of a running sweep; ``Progress`` is a copy at one moment."""

    planned: int | None
    started: int = 0
    running: int = 0
    finished: int = 0
    not_started: int = 0
    unknown: int = 0
    resumed: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    latest: deque[Point] = field(default_factory=lambda: deque(maxlen=LATEST))
    latencies_ms: list[float] = field(default_factory=list)  # of the placed ones, in order of end
    scheduled_ms: list[float] = field(default_factory=list)  # the same from the planned start

    def begin(self) -> None:
        """Count an order that is being sent."""
        self.started += 1
        self.running += 1

    def end(self, point: Point) -> None:
        """Count an order that ended."""
        self.running -= 1
        self.latest.append(point)
        self._count(point)

    def leave(self, *, begun: bool) -> None:
        """Count an order of which nothing is known any more; it may have been seen to begin."""
        self.started -= begun
        self.running -= begun
        self.unknown += 1

    def resume(self, point: Point) -> None:
        """Count an order of an earlier part of the run; it was not in this one's time."""
        self.resumed += 1
        self._count(point)

    def _count(self, point: Point) -> None:
        self.finished += 1
        self.outcomes[point.outcome] += 1
        if point.outcome == PLACED:
            self.latencies_ms.append(point.latency_ms)
            if point.schedule_lag_ms is not None:
                self.scheduled_ms.append(point.latency_ms + point.schedule_lag_ms)

    def picture(self, state: State, **more: Any) -> Progress:
        """Return how far it is now."""
        return Progress(
            state=state,
            planned=self.planned,
            started=self.started,
            running=self.running,
            finished=self.finished,
            outcomes=dict(self.outcomes),
            not_started=self.not_started,
            unknown=self.unknown,
            resumed=self.resumed,
            latest=tuple(self.latest),
            **more,
        )


class Bar(Protocol):
    """Display of a sweep's progress."""

    def show(self, progress: Progress) -> None:
        """Show the progress."""


def bar() -> Bar:
    """Return the bar that fits where this runs."""
    if in_notebook():
        return NotebookBar()
    return TerminalBar() if sys.stderr.isatty() else Lines(sys.stderr)


class TerminalBar(Bar):
    """Progress bar of tqdm in a terminal."""

    def __init__(self) -> None:
        self._bar: Any = None
        self._noted = 0
        self._hosts: Mapping[str, bool] = {}

    @override
    def show(self, progress: Progress) -> None:
        if self._bar is None:
            from tqdm import tqdm

            known = "{percentage:3.0f}% {bar:24} {n_fmt}/{total_fmt} [{elapsed}<{remaining}] {desc}"
            form = known if progress.planned is not None else "{n_fmt} orders [{elapsed}] {desc}"
            self._bar = tqdm(
                total=progress.planned,
                initial=progress.resumed,
                bar_format=form,
                dynamic_ncols=True,
            )
        if self._hosts != (hosts := _which_place(progress)):
            self._hosts = hosts
            self._bar.write(grid_text(hosts_grid(progress.hosts)) + "\n", file=sys.stderr)
        for note in progress.notes[self._noted :]:
            self._bar.write(note, file=sys.stderr)
        self._noted = len(progress.notes)
        self._bar.n = ended(progress)
        self._bar.set_description_str(words(progress), refresh=True)
        if progress.state in ENDED:
            self._bar.close()


class NotebookBar(Bar):
    """Progress bar in the output of the cell that waits."""

    def __init__(self) -> None:
        self._display: Any = None
        self._shown = ""

    @override
    def show(self, progress: Progress) -> None:
        # What has not changed is not sent again.
        from IPython.display import HTML, display

        html = bar_html(progress)
        if html == self._shown:
            return
        self._shown = html
        if self._display is None:
            self._display = display(HTML(html), display_id=True)  # type: ignore[no-untyped-call]  # IPython
        else:
            self._display.update(HTML(html))  # type: ignore[no-untyped-call]  # IPython


class Lines(Bar):
    """Progress as a line from time to time, for log files."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._last_s: float | None = None
        self._noted = 0
        self._hosts: Mapping[str, bool] = {}

    @override
    def show(self, progress: Progress) -> None:
        if self._hosts != (hosts := _which_place(progress)):
            self._hosts = hosts
            self._print(f"{grid_text(hosts_grid(progress.hosts))}\n")
        for note in progress.notes[self._noted :]:
            self._print(note)
        self._noted = len(progress.notes)
        now_s = time.monotonic()
        due = self._last_s is None or now_s - self._last_s >= LINE_EVERY_S
        if not due and progress.state not in ENDED:
            return
        self._last_s = now_s
        of = f"/{count(progress.planned)}" if progress.planned is not None else ""
        self._print(f"{count(ended(progress))}{of} {words(progress)}")

    def _print(self, text: str) -> None:
        encoding = getattr(self._out, "encoding", None)
        print(encodable(text, encoding), file=self._out, flush=True)


def _which_place(progress: Progress) -> dict[str, bool]:
    """Return which machines there are, and whether each can place orders."""
    return {str(one["host"]): one.get("problem") is None for one in progress.hosts}


def hosts_grid(hosts: Sequence[Mapping[str, Any]]) -> Grid:
    """Return the machines of a sweep as a table for the eye.

    Examples
    --------
    >>> print(grid_text(hosts_grid([{"host": "paris", "problem": "no app id"}])))
    host   problem
    paris  no app id
    """
    up = any(one.get("problem") is None for one in hosts)
    down = any(one.get("problem") is not None for one in hosts)
    heads: list[Head] = [Head("host", left=True)]
    if up:
        heads += [Head("clock offset", "ms"), Head("times within", "µs"), Head("TLS")]
        heads += [Head("firmly-nb"), Head("Python")]
    heads += [Head("problem", left=True, wraps=True)] if down else []
    rows = []
    for one in hosts:
        cells = [str(one["host"])]
        if up and one.get("problem") is None:
            error, times = one["clock_error_ms"], one["calibration_us"]
            cells += [f"{one['clock_offset_ms']:+.2f} ± {error:.2f}"]
            cells += ["-" if times is None else f"{times:.0f}", "yes" if one["tls"] else "no"]
            cells += [str(one["firmly_nb"]), str(one["python"])]
        elif up:
            cells += ["-"] * 5
        rows.append([*cells, str(one.get("problem") or "")] if down else cells)
    caption = "Machines of the sweep; clocks are compared with this one."
    return Grid(heads, rows, caption=caption)


def of_planned(progress: Progress) -> str:
    """Say of how many, where that is known.

    Examples
    --------
    >>> of_planned(Progress("running", 200)), of_planned(Progress("running", None))
    (' of 200', '')
    """
    return f" of {count(progress.planned)}" if progress.planned is not None else ""


def ended(progress: Progress) -> int:
    """Return how many orders there is nothing more to expect of."""
    return progress.finished + progress.not_started + progress.unknown


def words(progress: Progress) -> str:
    """Say how far it is, and what is left.

    Examples
    --------
    >>> words(Progress("running", 9, started=4, running=1, finished=3, outcomes={"placed": 3}))
    '3 placed, 1 in flight, 5 left'
    """
    parts = ["preparing"] if progress.state == "preparing" else []
    parts += [f"{count(n)} {outcome(name).words(n)}" for name, n in progress.outcomes.items()]
    parts += [f"{count(progress.not_started)} {NOT_SENT.word}"] if progress.not_started else []
    parts += [f"{count(progress.unknown)} not known"] if progress.unknown else []
    parts += [f"{count(progress.running)} in flight"] if progress.running else []
    parts += [f"{count(progress.left)} left"] if progress.left else []
    said = ", ".join(parts) or progress.state
    return f"{said}; {progress.message}" if progress.message else said


def bar_html(progress: Progress) -> str:
    """Write it as HTML that needs no script: a strip of the outcomes, and the words."""
    total = max(progress.planned or ended(progress), 1)
    strips = "".join(
        f'<span style="{SEEN}width:{100 * n / total:.2f}%;background:{outcome(name).colour}">'
        "</span>"
        for name, n in progress.outcomes.items()
    )
    text = f"{count(ended(progress))}{of_planned(progress)} orders: {words(progress)}"
    notes = "".join(f"<div>{escape(note)}</div>" for note in progress.notes)
    hosts = grid_html(hosts_grid(progress.hosts)) if progress.hosts else ""
    return hosts + (
        '<div role="progressbar" aria-valuemin="0" '
        f'aria-valuemax="{total}" aria-valuenow="{ended(progress)}" '
        f'aria-valuetext="{escape(text)}" style="max-width:48em">'
        '<div style="display:flex;height:8px;margin:4px 0;'
        'background:var(--jp-layout-color3, #e0e0e0)">'
        f"{strips}</div><div>{escape(text)}</div>{notes}</div>"
    )


def in_notebook() -> bool:
    """Return whether a front end shows what is displayed, without loading IPython."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    return hasattr(shell, "kernel")
