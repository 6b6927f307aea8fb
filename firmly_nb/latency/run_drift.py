"""Drift of recordings: change points from run to run, and a trend within runs."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

import numpy as np

from firmly_nb.latency.columns import coded, floats, places
from firmly_nb.latency.drift import RUN_MEDIANS, Changes, run_medians
from firmly_nb.latency.grid import Grid, grid_html, grid_text, page, whole_ms
from firmly_nb.latency.runs import runs_of
from firmly_nb.latency.within_run import FEWEST, drift_within, series

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

MOST_SHOWN = 40


@dataclass(frozen=True, slots=True)
class RunDrift:
    """How times changed; it shows itself.

    Attributes
    ----------
    what
        The time that was looked at: a stage, or the order.
    runs
        ``RUN_MEDIANS``; empty where there is one run or none.
    changes
        The change points among the runs; None where there is one run or none.
    within
        What was found within runs, as a sentence.
    """

    what: str
    runs: pd.DataFrame
    changes: Changes | None
    within: str

    @property
    def sentences(self) -> tuple[str, ...]:
        """All that was found, in words."""
        return (*([self.changes.sentence] if self.changes else []), self.within)

    def __repr__(self) -> str:
        said = "\n".join(self.sentences)
        return f"{said}\n{grid_text(self._grid())}" if len(self.runs) else said

    def _repr_html_(self) -> str:
        said = "".join(f"<div>{escape(sentence)}</div>" for sentence in self.sentences)
        return page(said + (grid_html(self._grid()) if len(self.runs) else ""))

    def _grid(self) -> Grid:
        shown = self.runs.head(MOST_SHOWN)
        columns = (shown[name].tolist() for name in RUN_MEDIANS.names)
        rows = [
            (run_id, f"{began:%Y-%m-%d %H:%M}", f"{n:,}", whole_ms(median_ms), str(segment))
            for run_id, began, n, median_ms, segment in zip(*columns, strict=True)
        ]
        if len(self.runs) > MOST_SHOWN:
            rows.append((f"and {len(self.runs) - MOST_SHOWN} more", "", "", "", ""))
        return Grid(
            ("run", "began, UTC", "orders", f"median of {self.what}, ms", "part"), tuple(rows)
        )


def run_drift(stages: pd.DataFrame, orders: pd.DataFrame, stage: str | None = None) -> RunDrift:
    """Look for change points among runs and for a trend within them.

    Parameters
    ----------
    stages, orders
        The tables of recordings.
    stage
        A stage's name; by default the time to order-placed.
    """
    times = _times(stages, orders, stage)
    looked_at = orders.assign(_time_ms=times)
    within = _within(looked_at, stage or "order")
    if not len(orders) or runs_of(orders) is None:
        return RunDrift(stage or "order", RUN_MEDIANS.empty(), None, within)
    table, changes = run_medians(orders, times)
    return RunDrift(stage or "order", table, changes, within)


def _times(stages: pd.DataFrame, orders: pd.DataFrame, stage: str | None) -> NDArray[np.float64]:
    if stage is None:
        return floats(orders["time_to_order_placed_ms"])
    codes, names = coded(stages["stage"])
    if stage not in names:
        raise KeyError(f"no stage {stage!r}; there are {', '.join(names) or 'none'}")
    mine = codes == names.index(stage)
    times = np.full(len(orders) + 1, np.nan)
    # What belongs to no order goes to the last place, which is cut off.
    times[places(orders, stages)[mine]] = floats(stages["duration_ms"])[mine]
    return times[:-1]


def _within(orders: pd.DataFrame, what: str) -> str:
    sizes = [len(x) for x in series(orders, "_time_ms")]
    if max(sizes, default=0) < FEWEST:
        return f"Too few orders in a run to look for drift within it: {FEWEST} are the least."
    found = drift_within(orders, "_time_ms")
    runs = "the run" if len(sizes) == 1 else "the runs"
    if found is None:
        return f"No drift found within {runs}."
    word = "slower" if found.ratio > 1 else "faster"
    return (
        f"Within {runs} {what} grew {word}: the last third took {found.ratio:.2f} times as long "
        f"as the first (p = {found.p_value:.2g})."
    )
