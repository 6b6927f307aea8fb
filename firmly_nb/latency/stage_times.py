"""The times of each stage, as the table, the rules and comparing take them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from firmly_nb.latency.columns import coded, floats, is_value, places
from firmly_nb.latency.quantiles import estimate
from firmly_nb.outcomes import CANCELLED

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    Codes = NDArray[np.intp]
    Floats = NDArray[np.float64]
    Places = NDArray[np.signedinteger[Any]]


class StageTimes(NamedTuple):
    """The orders that completed a stage: how long it took them and how far off that can be."""

    name: str
    times_ms: Floats
    uncertainty_us: Floats
    orders: Places  # place of each one's order among the orders
    rows: Codes  # place among the stages

    @property
    def median_ms(self) -> float:
        """The median time."""
        return estimate(self.times_ms, 0.5)


def stage_times(stages: pd.DataFrame, orders: pd.DataFrame) -> list[StageTimes]:
    """Return the times of each stage, without those of cancelled orders.

    Parameters
    ----------
    stages
        Needs ``recording_id``, ``stage``, ``to_milestone``, ``duration_ms``, ``uncertainty_us``.
    orders
        Needs ``recording_id``, ``outcome``.

    Returns
    -------
    list of StageTimes
        In order of the milestones they end with; those after a gap behind the plain one. One that
        no order completed is there without times.
    """
    place = places(orders, stages)
    duration, uncertainty = floats(stages["duration_ms"]), floats(stages["uncertainty_us"])
    done = (place >= 0) & ~np.isnan(duration)
    cancelled = is_value(orders["outcome"], CANCELLED)
    if cancelled.any():
        done[done] = ~cancelled[place[done]]
    codes, names = coded(stages["stage"])
    found = []
    for code in _in_order(stages, codes, names):
        rows = np.flatnonzero(done & (codes == code))
        found.append(StageTimes(names[code], duration[rows], uncertainty[rows], place[rows], rows))
    return found


def _in_order(stages: pd.DataFrame, codes: Codes, names: list[str]) -> list[int]:
    """Return the stages' codes sorted by milestone, those after a gap behind the plain one."""
    ends, milestones = coded(stages["to_milestone"])
    end_of = np.zeros(len(names), dtype=np.intp)
    end_of[codes] = ends
    return sorted(range(len(names)), key=lambda i: (end_of[i], names[i] != milestones[end_of[i]]))
