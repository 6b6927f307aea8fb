"""B against A: two curves, and by how much each quantile moved."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import plotly.graph_objects as go  # type: ignore[import-untyped] # plotly has no types

from firmly_nb.charts.chart import Chart, excluded, make, nothing, times
from firmly_nb.charts.distribution import ecdf_traces, share_axis
from firmly_nb.charts.look import LIGHT, SERIES, faint, series_look, time_axis
from firmly_nb.display.text import (
    as_plotly,
    duration,
    interval,
    percent,
    short_name,
    stated_percent,
)
from firmly_nb.latency.compare import LEVEL_OF_BAND
from firmly_nb.latency.compare import compare as compare_orders

if TYPE_CHECKING:
    import pandas as pd

    from firmly_nb.latency.compare import Comparison
    from firmly_nb.latency.design import Tables


BELOW = (
    f" Lower part: shift with its band, {LEVEL_OF_BAND * 100:g}% for all percentiles together; "
    "grey: the margin stated beforehand."
)
NAME_LETTERS = 28
FEWEST = 10  # orders of each side from which the shift is drawn
WIDEST_BAND = 4.0  # times the largest shift; where the band is wider it leaves the picture


def compare(
    a: Tables,
    b: Tables,
    *,
    margin: float = 0.10,
    names: tuple[str, str] = ("A", "B"),
) -> Chart:
    """Draw both curves, and below them by how many ms each quantile of B lies above that of A.

    Parameters
    ----------
    a, b
        Events, stages and orders of each side, as in docs/tables.md.
    margin
        The smallest change that matters, stated before looking: 0.10 for 10%.
    names
        What the two sides are called.
    """
    return comparison_chart(compare_orders(a, b, margin), a[2], b[2], names)


def comparison_chart(
    found: Comparison, orders_a: pd.DataFrame, orders_b: pd.DataFrame, names: tuple[str, str]
) -> Chart:
    """Draw a comparison that was made before."""
    question = "Is {1} slower than {0}?".format(*(short_name(name, NAME_LETTERS) for name in names))
    a, b = times(orders_a), times(orders_b)
    if not len(a) or not len(b):
        missing = names[0] if not len(a) else names[1]
        return nothing(question, f"No order of {short_name(missing)} was placed.")
    curves = [*ecdf_traces(a, names[0], series_look(0)), *ecdf_traces(b, names[1], series_look(1))]
    above = {"xaxis": time_axis(np.concatenate([a, b]), "time to order-placed")}
    above["yaxis"] = share_axis()
    enough = min(len(a), len(b)) >= FEWEST
    return make(
        [*curves, *(_shift_traces(found) if enough else ())],
        question=question,
        sentence=found.verdict,
        caption=_caption(found, orders_a, orders_b, names) + (BELOW if enough else ""),
        height_px=560 if enough else 330,
        extra=_two_parts(above, found, names) if enough else above,
    )


def _two_parts(above: dict[str, Any], found: Comparison, names: tuple[str, str]) -> dict[str, Any]:
    """Return the axes of both parts, one above the other."""
    return {
        "xaxis": {**above["xaxis"], "anchor": "y"},
        "yaxis": {**above["yaxis"], "domain": [0.47, 1]},
        "xaxis2": {
            "title": {"text": "percentile of the placed orders, %"},
            "range": [0.05, 1],
            "tickvals": [0.1, 0.25, 0.5, 0.75, 0.9, 0.95],
            "ticktext": ["10", "25", "50", "75", "90", "95"],
            "anchor": "y2",
        },
        "yaxis2": {
            "title": {"text": f"{as_plotly(names[1], 12)} minus {as_plotly(names[0], 12)}, ms"},
            "domain": [0, 0.31],
            "tickformat": "+,~f",
            "labelalias": {"+0": "0"},
            "zeroline": True,
            "zerolinecolor": LIGHT.ink,
            "zerolinewidth": 1.4,
            "range": _shift_range(found),
        },
    }


def _shift_range(found: Comparison) -> list[float]:
    """Return what the axis of shifts shows: a wide band of the last must not flatten the others."""
    table = found.shift
    drawn = [table["shift_ms"].abs().max(), found.margin * table["a_ms"].abs().max()]
    most = WIDEST_BAND * float(max(drawn))
    low, high = (table[name].clip(-most, most) for name in ("low_ms", "high_ms"))
    allowed = found.margin * float(table["a_ms"].max())
    ends = min(float(low.min()), -allowed), max(float(high.max()), allowed)
    room = 0.06 * (ends[1] - ends[0])
    return [ends[0] - room, ends[1] + room]


def _shift_traces(found: Comparison) -> list[Any]:
    table = found.shift
    q = table["q"].to_numpy(np.float64)
    bounded = np.isfinite(table[["low_ms", "high_ms"]].to_numpy(np.float64)).all(axis=1)
    edge = {"mode": "lines", "line": {"width": 0}, "hoverinfo": "skip", "showlegend": False}
    allowed = found.margin * table["a_ms"].to_numpy(np.float64)
    below = {"xaxis": "x2", "yaxis": "y2"}
    edge |= below
    return [
        go.Scatter(
            x=[*q, *q[::-1]],
            y=[*allowed, *(-allowed)[::-1]],
            mode="lines",
            fill="toself",
            fillcolor="rgba(90,93,99,0.14)",
            line={"color": LIGHT.quiet, "width": 1, "dash": "dot"},
            hoverinfo="skip",
            name=f"margin of {stated_percent(found.margin)}",
            **below,
        ),
        go.Scatter(x=q[bounded], y=table["low_ms"].to_numpy(np.float64)[bounded], **edge),
        go.Scatter(
            x=q[bounded],
            y=table["high_ms"].to_numpy(np.float64)[bounded],
            fill="tonexty",
            fillcolor=faint(SERIES[1], 0.22),
            **edge,
        ),
        go.Scatter(
            x=q,
            y=table["shift_ms"].to_numpy(np.float64),
            mode="lines+markers",
            name="shift of each percentile",
            marker={"size": 7, "symbol": "diamond", "color": SERIES[1]},
            line={"color": SERIES[1], "width": 2},
            hovertext=[
                f"p{100 * row['q']:g}: {duration(row['shift_ms'], signed=True)}<br>"
                f"{interval(row['a_ms'], row['b_ms'])}"
                for row in table.to_dict("records")
            ],
            hovertemplate="%{hovertext}<extra></extra>",
            **below,
        ),
    ]


def _caption(
    found: Comparison, orders_a: pd.DataFrame, orders_b: pd.DataFrame, names: tuple[str, str]
) -> str:
    both = zip(names, (orders_a, orders_b), strict=True)
    sides = " ".join(f"{short_name(name)}: {excluded(orders)}" for name, orders in both)
    placed = (
        f"Placed: {percent(found.success.a.share)} and {percent(found.success.b.share)}, "
        f"{found.success.verdict}."
    )
    return f"{sides} {placed}"
