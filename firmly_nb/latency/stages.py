"""From events to stages: how long each step of an order took.

metrics.md, section 2: milestones are the configured event names in order; a repeated event counts
at its last occurrence; the stages telescope to ``time_to_order_placed``; a missing milestone leaves
its stage null and the next one is labelled ``a->c``; out-of-order milestones give a negative
duration that is kept.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from firmly_nb.api.event_names import vocabulary
from firmly_nb.latency.columns import coded, floats, is_value, places
from firmly_nb.latency.quantiles import estimate
from firmly_nb.outcomes import CANCELLED
from firmly_nb.schema import Column, Table

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd
    from numpy.typing import NDArray

    Codes = NDArray[np.intp]
    Floats = NDArray[np.float64]
    Places = NDArray[np.signedinteger[Any]]

STAGES = Table(
    "stages",
    "one row a stage of an order",
    (
        Column("recording_id", "str", "", "which recording"),
        Column("stage", "category", "", "the milestone it ends with; a->c where one was missed"),
        Column("from_milestone", "category", "", "where it begins; start is the request"),
        Column("to_milestone", "category", "", "where it ends"),
        Column("start_ms", "float64", "ms", "begin after t_start; null if the stage is"),
        Column("end_ms", "float64", "ms", "end after t_start; null if not reached"),
        Column("duration_ms", "float64", "ms", "end minus begin; negative if out of order"),
        Column("uncertainty_us", "float64", "µs", "how far off the duration can be"),
    ),
)
START = "start"


def stages(
    events: pd.DataFrame,
    milestones: Sequence[str] | None = None,
    recording_ids: Sequence[str] | None = None,
) -> pd.DataFrame:
    """Return the stages of every recording in an events table.

    Parameters
    ----------
    events
        Columns ``recording_id``, ``event``, ``t_ms``, ``uncertainty_us``; in order of arrival.
    milestones
        Event names in order; by default the vocabulary that each stream speaks.
    recording_ids
        Which recordings get rows, in this order; one without events gets null stages. By default
        those that have events.

    Returns
    -------
    DataFrame
        ``STAGES``: for each recording one row a milestone, reached or not.

    Examples
    --------
    >>> import pandas as pd
    >>> events = pd.DataFrame({"recording_id": "r", "event": ["creating-cart", "shipping-updated"],
    ...                        "t_ms": [100.0, 900.0], "uncertainty_us": [1.0, 2.0]})
    >>> stages(events)[["stage", "duration_ms"]].to_dict("list")  # doctest: +NORMALIZE_WHITESPACE
    {'stage': ['creating-cart', 'item-added', 'creating-cart->shipping-updated', 'order-placed'],
     'duration_ms': [100.0, nan, 800.0, nan]}
    """
    names = ("recording_id", "event", "t_ms", "uncertainty_us")
    columns = (events[name].tolist() for name in names)
    # A dict keeps the last occurrence of a name, which is the one that counts.
    seen: dict[str, dict[str, tuple[float, float]]] = {r: {} for r in recording_ids or ()}
    for recording_id, name, t_ms, uncertainty_us in zip(*columns, strict=True):
        seen.setdefault(recording_id, {})[name] = (t_ms, uncertainty_us)
    return STAGES.frame(
        [
            {"recording_id": recording_id, **row}
            for recording_id, times in seen.items()
            for row in stage_rows(times, milestones)
        ]
    )


def stage_rows(
    times: Mapping[str, tuple[float, float]], milestones: Sequence[str] | None = None
) -> list[dict[str, Any]]:
    """Return the stages of one order as rows.

    Parameters
    ----------
    times
        For each event name its last arrival in ms and the uncertainty of that in µs.
    milestones
        Event names in order; by default the vocabulary that the names belong to.
    """
    rows: list[dict[str, Any]] = []
    reached, begin, begin_uncertainty = START, 0.0, 0.0
    previous = START
    for name in milestones or vocabulary(times):
        row: dict[str, Any] = {"stage": name, "from_milestone": previous, "to_milestone": name}
        if name in times:
            end, uncertainty = times[name]
            if reached != previous:
                row |= {"stage": f"{reached}->{name}", "from_milestone": reached}
            row |= {
                "start_ms": begin,
                "end_ms": end,
                "duration_ms": end - begin,
                "uncertainty_us": begin_uncertainty + uncertainty,
            }
            reached, begin, begin_uncertainty = name, end, uncertainty
        rows.append(row)
        previous = name
    return rows


# The times of each stage, as the table, the rules and comparing take them.


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
