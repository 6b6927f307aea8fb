"""Which merchant is slowest, and in which stage: medians of groups beside each other."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import plotly.graph_objects as go  # type: ignore[import-untyped] # plotly has no types

from firmly_nb.charts.chart import Chart, excluded, label_px, make, nothing, row_axis
from firmly_nb.charts.look import MERCHANT_LOOKS, merchant_looks, time_axis
from firmly_nb.display.text import as_hover, as_plotly, count, estimate, number, stated_percent
from firmly_nb.latency.quantiles import quantile_name
from firmly_nb.latency.summary import NO_STAGES, row_label

if TYPE_CHECKING:
    import pandas as pd

    from firmly_nb.charts.look import SeriesLook
    from firmly_nb.latency.groups import GroupedLatency

ROW_PX, GROUP_PX = 22, 17
MOST_DRAWN = 8  # groups; of more the slowest
SPREAD = 0.74  # of a row's height, over which its groups lie
BEYOND = 1.6  # times the longest median: an interval is not drawn further


def groups(found: GroupedLatency, noun: str, orders: pd.DataFrame) -> Chart:
    """Draw the lowest quantile of each stage of each group, usually the median, with its interval.

    Parameters
    ----------
    found
        The times of the groups.
    noun
        What a group is, in a word.
    orders
        The orders of all groups.
    """
    question = f"Which {noun} is slowest, and in which stage?"
    p = found.quantiles[0]
    drawn = _cells(found)
    if not any(math.isfinite(one["at"]) for rows in drawn.values() for one in rows.values()):
        return nothing(question, found.sentence, excluded(orders))
    names = list(dict.fromkeys(stage for rows in drawn.values() for stage in rows))
    names = [n for n in names if n not in NO_STAGES] + [n for n in names if n in NO_STAGES]
    looks = _looks(found, list(drawn))
    found_at = [one["at"] for rows in drawn.values() for one in rows.values()]
    longest = max((at for at in found_at if at > 0), default=1.0)
    end = _end(drawn, longest)
    step = SPREAD / max(len(drawn), 1)
    traces = [
        _marks(rows, names, (at - (len(drawn) - 1) / 2) * step, looks[label], label, end)
        for at, (label, rows) in enumerate(drawn.items())
    ]
    return make(
        traces,
        question=question,
        sentence=found.sentence,
        caption=f"{excluded(orders)} Marks: {quantile_name(p)}; lines: intervals, "
        f"family-wise level {stated_percent(found.level)}.{_missing(found, drawn, end)}",
        height_px=max(len(names) * (ROW_PX + GROUP_PX * len(drawn)), 150),
        left_px=label_px([row_label(name) for name in names]),
        extra={
            "xaxis": {**time_axis([longest], f"{quantile_name(p)} of the time", log=False)}
            | {"range": [0, end]},
            "yaxis": row_axis([row_label(name) for name in names]) | {"showgrid": False},
            "shapes": _stripes(len(names)),
        },
    )


def _cells(found: GroupedLatency) -> dict[str, dict[str, dict[str, Any]]]:
    """Return for each group that is drawn what is drawn of its rows."""
    cells: dict[str, dict[str, dict[str, Any]]] = {}
    for label, rows in zip(found.labels, found.intervals, strict=True):
        cells[label] = {
            stage: {
                "at": one.quantiles[0].estimate,
                "low": one.quantiles[0].low,
                "high": one.quantiles[0].high,
                "n": one.dependence.n,
            }
            for stage, one in rows.items()
            if one.dependence.n
        }
    if len(cells) <= MOST_DRAWN:
        return cells
    longest = {
        label: max((one["at"] for one in rows.values() if one["at"] > 0), default=0.0)
        for label, rows in cells.items()
    }
    kept = sorted(cells, key=lambda label: -longest[label])[:MOST_DRAWN]
    return {label: rows for label, rows in cells.items() if label in kept}


def _looks(found: GroupedLatency, labels: list[str]) -> dict[str, SeriesLook]:
    if found.names == ("domain",):
        return merchant_looks(labels)
    return {
        label: MERCHANT_LOOKS[at % len(MERCHANT_LOOKS)]
        for at, label in enumerate(labels[: len(labels)])
    }


def _end(drawn: dict[str, dict[str, dict[str, Any]]], longest: float) -> float:
    ends = [one["high"] for rows in drawn.values() for one in rows.values()]
    known = [end for end in ends if math.isfinite(end)]
    return 1.06 * max(longest, min(max(known, default=longest), BEYOND * longest))


def _marks(
    rows: dict[str, dict[str, Any]],
    names: list[str],
    shift: float,
    look: SeriesLook,
    label: str,
    end: float,
) -> Any:
    here = [
        (names.index(stage), stage, one) for stage, one in rows.items() if math.isfinite(one["at"])
    ]
    at = np.array([one["at"] for _, _, one in here])
    high = np.minimum([one["high"] for _, _, one in here], 2 * end)
    low = np.array([one["low"] for _, _, one in here])
    return go.Scatter(
        x=at,
        y=[row + shift for row, _, _ in here],
        mode="markers",
        name=as_plotly(label),
        marker={"size": 9, "symbol": look.symbol, "color": look.colour},
        error_x={
            "type": "data",
            "symmetric": False,
            "array": high - at,
            "arrayminus": at - low,
            "color": look.colour,
            "thickness": 2,
            "width": 5,
        },
        customdata=[
            f"<b>{as_hover(label)}</b><br>{as_hover(row_label(stage))}, "
            f"{count(one['n'], 'order')}<br>"
            f"{estimate(one['at'], one['low'], one['high'])}"
            for _, stage, one in here
        ],
        hovertemplate="%{customdata}<extra></extra>",
    )


def _stripes(rows: int) -> list[dict[str, Any]]:
    """Draw every second row on a ground of its own: groups of one stage belong together."""
    return [
        {
            "type": "rect",
            "xref": "paper",
            "x0": 0,
            "x1": 1,
            "y0": row - 0.5,
            "y1": row + 0.5,
            "fillcolor": "rgba(128,128,128,0.10)",
            "line": {"width": 0},
            "layer": "below",
        }
        for row in range(0, rows, 2)
    ]


def _missing(found: GroupedLatency, drawn: dict[str, dict[str, dict[str, Any]]], end: float) -> str:
    """Say what is not in the picture."""
    said = ""
    left = len(found.labels) - len(drawn)
    if left:
        said += f" {count(left, 'more group')} with shorter times are not drawn."
    open_ = sum(not math.isfinite(one["at"]) for rows in drawn.values() for one in rows.values())
    if open_:
        said += f" Without an interval, and not drawn: {count(open_, 'row')}."
    far = [one["high"] for rows in drawn.values() for one in rows.values()]
    beyond = [high for high in far if math.isfinite(high) and high > end]
    if beyond:
        said += f" Lines that leave the picture end at {number(max(beyond))} ms at most."
    return said
