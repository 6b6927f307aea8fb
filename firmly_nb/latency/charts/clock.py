"""Where orders stand along the day: on the clock, or one after another where pauses are long.

Runs that are hours apart would be thin strips on the clock; they are set side by side then, and
the axis names their starts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from firmly_nb.latency.runs import runs_of

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Nanoseconds = NDArray[np.int64]

BUSY_SHARE = 0.35
MOST_TICKS = 7
LEAST_APART = 0.05  # of the axis: labels closer than this would lie over one another
DAY_NS = 86_400_000_000_000
LEAST_ROOM_NS = 1_000_000_000


@dataclass(frozen=True, slots=True, eq=False)
class Along:
    """An axis for the starts of orders.

    Attributes
    ----------
    starts_ns
        All starts, sorted, in Unix nanoseconds.
    side_by_side
        Whether orders stand one after another instead of on the clock.
    breaks_ns
        Starts of the runs, for the labels of the axis.
    """

    starts_ns: Nanoseconds
    side_by_side: bool
    breaks_ns: Nanoseconds

    def at(self, starts_ns: Nanoseconds) -> Any:
        """Return where orders stand: times as texts, or places."""
        if not self.side_by_side:
            return texts(starts_ns)
        return np.searchsorted(self.starts_ns, starts_ns).astype(np.float64)

    def edges_ns(self, bins: int) -> Nanoseconds:
        """Return the edges of bins, equal on the axis."""
        first, last = int(self.starts_ns[0]), int(self.starts_ns[-1]) + 1
        if not self.side_by_side:
            return np.linspace(first, max(last, first + 10**9), bins + 1).astype(np.int64)
        places = np.linspace(0, len(self.starts_ns) - 1, bins + 1).round().astype(int)
        return np.unique(np.append(self.starts_ns[places[:-1]], last))

    def axis(self) -> dict[str, Any]:
        """Return the axis."""
        if not self.side_by_side:
            first, last = int(self.starts_ns[0]), int(self.starts_ns[-1])
            # Of one order, or of few at once, the axis must not count microseconds.
            room = max((last - first) // 50, LEAST_ROOM_NS)
            ends = texts(np.array([first - room, last + room]))
            return {"title": {"text": "start of the order (UTC)"}, "type": "date", "range": ends}
        places = np.searchsorted(self.starts_ns, self.breaks_ns)
        kept: list[int] = []
        for run, place in enumerate(places.tolist()):
            apart = LEAST_APART * len(self.starts_ns)
            if not kept or place - int(places[kept[-1]]) >= apart:
                kept.append(run)
        kept = kept[:: -(-len(kept) // MOST_TICKS)]
        labels = [self.label(int(self.breaks_ns[run])) for run in kept]
        return {
            "title": {"text": "orders one after another; a line begins a run, at its start (UTC)"},
            "tickvals": places[kept].tolist(),
            "ticktext": [label.replace(" ", "<br>") for label in labels],
            "range": [-0.5, len(self.starts_ns) - 0.5],
        }

    def label(self, at_ns: int) -> str:
        """Write a time: with its day where there are several, with seconds where it is short."""
        whole = texts(np.array([at_ns]))[0]
        span = int(self.starts_ns[-1] - self.starts_ns[0])
        day = f"{whole[:10]} " if span > DAY_NS else ""
        return day + (whole[11:16] if span > DAY_NS // 4 else whole[11:19])


def along(orders: pd.DataFrame) -> Along:
    """Choose the axis for orders; there must be one at least."""
    starts = nanoseconds(orders)
    runs = runs_of(orders)
    if runs is None:
        return Along(np.sort(starts), side_by_side=False, breaks_ns=np.sort(starts)[:1])
    parts = [starts[runs.codes == code] for code in range(len(runs.names))]
    busy = sum(int(part.max() - part.min()) for part in parts)
    whole = max(int(starts.max() - starts.min()), 1)
    begins = np.sort(np.array([part.min() for part in parts]))
    return Along(np.sort(starts), busy / whole < BUSY_SHARE, begins)


def nanoseconds(orders: pd.DataFrame) -> Nanoseconds:
    """Return the starts as Unix nanoseconds."""
    return orders["started_at"].to_numpy("datetime64[ns]").astype(np.int64)


def texts(at_ns: Nanoseconds) -> list[str]:
    """Write times as Plotly reads them; without a zone, since it would shift them."""
    return [str(text) for text in np.datetime_as_string(at_ns.astype("datetime64[ns]"), unit="ms")]
