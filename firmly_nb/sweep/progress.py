"""How far a sweep is, as plain values that any thread may read."""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from firmly_nb.outcomes import PLACED

if TYPE_CHECKING:
    from collections.abc import Mapping

State = Literal["preparing", "running", "stopping", "finished", "stopped"]
LATEST = 500


@dataclass(frozen=True, slots=True)
class Point:
    """One finished order: its number, when it started (s into the sweep), how long, how it ended.

    ``latency_ms`` is ``time_to_order_placed`` for a placed order and ``order_latency`` for others.
    """

    number: int
    started_s: float
    latency_ms: float
    outcome: str
    schedule_lag_ms: float | None = None


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a sweep is.

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
    """

    state: State
    planned: int | None
    started: int = 0
    running: int = 0
    finished: int = 0
    outcomes: Mapping[str, int] = field(default_factory=dict)
    not_started: int = 0
    resumed: int = 0
    spent_minor: Mapping[str, int] = field(default_factory=dict)
    message: str = ""
    notes: tuple[str, ...] = ()
    elapsed_s: float = 0.0
    latest: tuple[Point, ...] = field(default=(), repr=False)

    @property
    def left(self) -> int | None:
        """How many orders are still to be started; None where nobody knows."""
        if self.planned is None:
            return None
        return max(self.planned - self.started - self.resumed - self.not_started, 0)


@dataclass
class Counts:
    """What is counted while a sweep runs; ``Progress`` is its picture at a moment."""

    planned: int | None
    started: int = 0
    running: int = 0
    finished: int = 0
    not_started: int = 0
    resumed: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    latest: deque[Point] = field(default_factory=lambda: deque(maxlen=LATEST))
    latencies_ms: list[float] = field(default_factory=list)  # of the placed ones, in order of end

    def begin(self) -> None:
        """Count an order that is being sent."""
        self.started += 1
        self.running += 1

    def end(self, point: Point) -> None:
        """Count an order that ended."""
        self.running -= 1
        self.latest.append(point)
        self._count(point)

    def resume(self, point: Point) -> None:
        """Count an order of an earlier part of the run; it was not in this one's time."""
        self.resumed += 1
        self._count(point)

    def _count(self, point: Point) -> None:
        self.finished += 1
        self.outcomes[point.outcome] += 1
        if point.outcome == PLACED:
            self.latencies_ms.append(point.latency_ms)

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
            resumed=self.resumed,
            latest=tuple(self.latest),
            **more,
        )
