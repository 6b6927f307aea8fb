"""Stages as one would write them down: one order, one milestone after the other."""

from __future__ import annotations

import math

import numpy as np

from firmly_nb.api.event_names import vocabulary
from firmly_nb.latency.stages import START

NOT_REACHED = dict.fromkeys(("start_ms", "end_ms", "duration_ms", "uncertainty_us"), math.nan)


def counted(arrivals, milestones=None):
    """Return when each event counts: at its last arrival, the order's end at its first."""
    arrivals = list(arrivals)
    last = {name: others for name, *others in arrivals}
    names = milestones or vocabulary(last)
    for name, *others in reversed(arrivals):
        if name == names[-1] and name not in names[:-1]:
            last[name] = others
    return last


def plain_stages(arrivals, milestones=None):
    """Return one row a stage; ``arrivals`` are name, ms and uncertainty, as they came."""
    rows = []
    arrivals = list(arrivals)
    last = counted(arrivals, milestones)
    reached, begin, begin_uncertainty = START, 0.0, 0.0
    previous = START
    for name in milestones or vocabulary(last):
        row = {"stage": name, "from_milestone": previous, "to_milestone": name} | NOT_REACHED
        if name in last:
            end, uncertainty = last[name]
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


def same_stages(frame, expected):
    """A table has these rows, to the last digit."""
    assert len(frame) == len(expected)
    for name in expected[0] if expected else ():
        values = [row[name] for row in expected]
        if frame[name].dtype == "float64":
            assert np.array_equal(frame[name].to_numpy(), values, equal_nan=True), name
        else:
            assert frame[name].astype("str").tolist() == values, name
