"""Charts of how long orders take: the share placed by then, and the tail."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import plotly.graph_objects as go  # type: ignore[import-untyped] # plotly has no types

from firmly_nb.charts.chart import (
    DEFAULT_MEASURE,
    MOST_MERCHANTS,
    Chart,
    domains,
    durations,
    excluded,
    interval_words,
    make,
    measure_name,
    not_known,
    order_data,
    order_quantiles,
    placed,
    untimed,
)
from firmly_nb.charts.look import (
    FEW_POINTS,
    LIGHT,
    SERIES,
    SeriesLook,
    faint,
    merchant_looks,
    series_look,
    thinned,
    time_axis,
)
from firmly_nb.display.text import (
    as_hover,
    as_plotly,
    count,
    duration,
    estimate,
    listed,
    number,
    percent,
    short_name,
    stated_percent,
)
from firmly_nb.latency.quantiles import Quantile, in_order
from firmly_nb.latency.quantiles import ecdf as ecdf_table
from firmly_nb.latency.shares import success_rate

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

MARKED = (0.5, 0.9, 0.95)
TAIL = (0.5, 0.9, 0.95, 0.99, 0.999, 0.9999)
GRID = tuple((1 - np.geomspace(0.9, 1e-5, 28)).tolist())
VISIBLE = 1.01  # a line that is less than this above another lies on it
NAME_LETTERS = 32
ROOM_FOR_WORDS = 0.5  # of an axis: what begins beyond it ends outside


def ecdf(
    orders: pd.DataFrame, *, measure: str = DEFAULT_MEASURE, by_merchant: bool = False
) -> Chart:
    """Draw the share of placed orders that are through after each time, with its band.

    The thin dashed line counts all attempted orders: it never gets higher than the share that was
    placed, so that failures stay visible.

    Parameters
    ----------
    orders
        As in docs/tables.md.
    measure
        Which time: a column of ``orders``.
    by_merchant
        One curve for each of the merchants (the four with most orders).
    """
    question = "How long does an order take?"
    through = placed(orders, measure)
    if through.empty:
        return untimed(question, orders, measure)
    parts, looks = {"placed orders": through}, {"placed orders": series_look(0)}
    if by_merchant:
        parts = {name: through[through["domain"] == name] for name in domains(through)}
        parts = dict(list(parts.items())[:MOST_MERCHANTS])
        looks = merchant_looks(parts)
    traces = [
        trace
        for name, part in parts.items()
        for trace in ecdf_traces(part[measure].to_numpy("float64"), name, looks[name], len(parts))
    ]
    x, found = in_order(through[measure]), order_quantiles(orders, MARKED, measure)
    several = len(parts) > 1
    said = _middles(orders, list(parts), measure) if several else _middle_and_tail(found)
    rate = success_rate(orders)
    if not by_merchant and rate.share < 1:
        traces.append(_all_attempted(x, rate.share))
    return make(
        traces,
        question=question,
        sentence=said,
        caption=f"{excluded(orders)}{_intervals(orders, found, measure)} Shaded: 95% "
        "confidence band of the whole curve (Dvoretzky-Kiefer-Wolfowitz), for independent orders."
        f"{_left_out(through, by_merchant=by_merchant)}",
        extra={
            "xaxis": time_axis(x, measure_name(measure), from_zero=False),
            "yaxis": share_axis(),
            "hovermode": "closest",
        },
    )


def share_axis(title: str = "share of orders that are through") -> dict[str, Any]:
    """Return an axis of shares."""
    return {"title": {"text": title}, "range": [0, 1.02], "tickformat": ".0%", "dtick": 0.25}


def ecdf_traces(
    values: Any, name: str, look: SeriesLook, curves: int = 2, *, attempted: int | None = None
) -> list[Any]:
    """Draw one curve and its band, the fainter the more curves there are.

    With ``attempted`` it counts so many orders; those without a time never come.
    """
    table = ecdf_table(values, of=attempted)
    drawn = table.iloc[thinned(len(table))]
    colour, steps = look.colour, {"shape": "hv"}
    x = drawn["value"].to_numpy()
    group = {"legendgroup": f"curve {look.colour}"}
    edge = {"mode": "lines", "line": {"width": 0, **steps}, "hoverinfo": "skip", **group}
    band = faint(colour, 0.16 if curves <= 2 else 0.08)
    return [
        go.Scatter(x=x, y=drawn["low"].to_numpy(), showlegend=False, **edge),
        go.Scatter(
            x=x,
            y=drawn["high"].to_numpy(),
            showlegend=False,
            fill="tonexty",
            fillcolor=band,
            **edge,
        ),
        go.Scatter(
            # From zero: the curve of a single order is one step.
            x=np.append(x[:1], x),
            y=np.append(0.0, drawn["share"].to_numpy()),
            name=f"{as_plotly(name)} ({count(attempted or len(values))})",
            mode="lines+markers" if len(values) <= FEW_POINTS else "lines",
            marker={"size": 5, "symbol": look.symbol},
            line={"color": colour, "width": 2.2, "dash": look.dash, **steps},
            hovertext=_within(np.append(x[:1], x), np.append(0.0, drawn["share"].to_numpy())),
            hovertemplate=f"%{{hovertext}}<extra>{as_hover(name)}</extra>",
            **group,
        ),
    ]


def _within(x: Any, shares: Any) -> list[str]:
    """Return what hovering over a curve tells."""
    return [f"{percent(share)} in {at}" for share, at in zip(shares, durations(x), strict=True)]


def _all_attempted(x: Any, rate: float) -> Any:
    ranks = thinned(len(x))
    at, shares = np.append(x[:1], x[ranks]), np.append(0.0, (ranks + 1) / len(x) * rate)
    return go.Scatter(
        x=at,
        y=shares,
        name=f"all attempted ({percent(rate)} placed)",
        mode="lines",
        line={"color": LIGHT.mark, "width": 1.4, "dash": "dash", "shape": "hv"},
        hovertext=_within(at, shares),
        hovertemplate="%{hovertext}<extra>all attempted</extra>",
    )


def percentiles(orders: pd.DataFrame, *, measure: str = DEFAULT_MEASURE) -> Chart:
    """Draw times by percentile on an axis of 1 / (1 - p), which gives each further nine its room.

    Where the orders had a planned start, a second line measures from it: what waiting in front of
    the door adds (coordinated omission).

    Parameters
    ----------
    orders
        As in docs/tables.md.
    measure
        Which time: a column of ``orders``.
    """
    question = "How bad is the tail?"
    through = placed(orders, measure).sort_values(measure)
    if through.empty:
        return untimed(question, orders, measure)
    x = in_order(through[measure])
    found = order_quantiles(orders, TAIL, measure)
    estimable = [q for q in order_quantiles(orders, GRID, measure) if q.estimable]
    limit = max((q.p for q in estimable), default=math.nan)
    traces = [
        *_interval_band(estimable),
        _percentile_line(through, x, measure_name(measure), series_look(0)),
    ]
    waited = through.assign(late_ms=through[measure] + through["schedule_lag_ms"])
    waited = waited[waited["late_ms"].notna()].sort_values("late_ms")
    drawn, late = x, in_order(waited["late_ms"])
    if len(late) and _differs(late, x):
        traces.append(_percentile_line(waited, late, "from the planned start", series_look(1)))
        drawn = np.concatenate([x, late])
    nines = _nines(len(x))
    return make(
        traces,
        question=question,
        sentence=_tail(found),
        caption=f"{excluded(orders)}{_intervals(orders, found, measure)}{_lag_words(through)}",
        extra={
            "xaxis": nines,
            "yaxis": time_axis(drawn, measure_name(measure)),
            "shapes": _too_few(limit),
            "annotations": _too_few_words(limit, nines["range"][1]),
        },
    )


def _nines(n: int) -> dict[str, Any]:
    ticks = {0.0: "0", 0.5: "50", 0.9: "90", 0.95: "95", 0.99: "99", 0.999: "99.9"}
    ticks |= {0.9999: "99.99", 0.99999: "99.999"}
    return {
        "title": {"text": "percentile of the placed orders, % (on 1 / (1 - p))"},
        "type": "log",
        "range": [0, math.log10(max(2 * n, 20)) + 0.02],
        "tickvals": [1 / (1 - p) for p in ticks],
        "ticktext": list(ticks.values()),
    }


def _percentile_line(through: pd.DataFrame, x: Floats, name: str, look: SeriesLook) -> Any:
    """Draw the times ``x`` of orders that are sorted by them."""
    ranks = thinned(len(x))
    # The i-th of n values stands for the share (i - 0.5) / n.
    p = (ranks + 0.5) / len(x)
    return go.Scatter(
        x=1 / (1 - p),
        y=x[ranks],
        customdata=[
            [stated_percent(round(at, 5)), *who[:2]]
            for at, who in zip(p, order_data(through.iloc[ranks]), strict=True)
        ],
        name=name,
        mode="lines+markers" if len(x) <= FEW_POINTS else "lines",
        marker={"size": 5, "symbol": look.symbol},
        line={"color": look.colour, "width": 2.2, "dash": look.dash},
        hovertext=durations(x[ranks]),
        hovertemplate="%{customdata[0]} within %{hovertext}<br>order %{customdata[2]}<br>"
        "%{customdata[1]}<extra></extra>",
    )


def _differs(late: Floats, x: Floats) -> bool:
    return bool(late[-1] > VISIBLE * x[-1] or np.median(late) > VISIBLE * np.median(x))


def _lag_words(through: pd.DataFrame) -> str:
    lag = through["schedule_lag_ms"].max()
    if math.isnan(lag):
        return ""
    return f" Orders started at most {duration(float(lag))} after their planned start."


def _interval_band(found: list[Quantile]) -> list[Any]:
    if not found:
        return []
    at = [1 / (1 - q.p) for q in found]
    edge = {"mode": "lines", "line": {"width": 0}, "hoverinfo": "skip"}
    return [
        go.Scatter(x=at, y=[q.low for q in found], showlegend=False, **edge),
        go.Scatter(
            x=at,
            y=[q.high for q in found],
            name="95% interval",
            fill="tonexty",
            fillcolor=faint(SERIES[0], 0.2),
            **edge,
        ),
    ]


def _too_few(limit: float) -> list[dict[str, Any]]:
    if math.isnan(limit):
        return []
    line = {"color": LIGHT.quiet, "width": 1, "dash": "dot"}
    at = 1 / (1 - limit)
    return [{"type": "line", "x0": at, "x1": at, "yref": "paper", "y0": 0, "y1": 1, "line": line}]


def _too_few_words(limit: float, end: float) -> list[dict[str, Any]]:
    """Say what the line means, on the side of it that has room for words."""
    if math.isnan(limit):
        return []
    x = math.log10(1 / (1 - limit))
    side, shift = ("left", 4) if x < ROOM_FOR_WORDS * end else ("right", -4)
    return [
        {
            "x": x,
            "y": 0,
            "yref": "paper",
            "yanchor": "bottom",
            "xanchor": side,
            "xshift": shift,
            "showarrow": False,
            "text": "beyond: too few<br>orders to bound it",
            "align": side,
            "font": {"size": 11, "color": LIGHT.quiet},
        }
    ]


def _middles(orders: pd.DataFrame, names: list[str], measure: str) -> str:
    """Return the median of each merchant: together they describe no merchant."""
    found = {
        name: order_quantiles(orders[(orders["domain"] == name).to_numpy(bool)], (0.5,), measure)[0]
        for name in names
    }
    known = [
        f"{_said(q)} at {short_name(name, NAME_LETTERS)}"
        for name, q in found.items()
        if q.estimable
    ]
    if not known:
        return _too_few_to_say(max(found.values(), key=lambda q: q.n))
    return f"Half of the placed orders take at most {listed(known)}."


def _middle_and_tail(found: list[Quantile]) -> str:
    middle, *others = found
    tail = next((q for q in reversed(others) if q.estimable), None)
    if not middle.estimable:
        return _too_few_to_say(middle)
    said = f"Half of the placed orders take at most {_said(middle)}"
    if tail is None:
        return f"{said}; {not_known(others[0])}."
    return f"{said}, {stated_percent(tail.p)} at most {_said(tail)}."


def _tail(found: list[Quantile]) -> str:
    estimable = [q for q in found if q.estimable]
    missing = next((q for q in found if not q.estimable), None)
    if not estimable:
        return _too_few_to_say(found[0])
    median, last = found[0], estimable[-1]
    said = f"The median is {_said(median)}"
    if last is not median:
        times = last.estimate / median.estimate
        said += f"; {last.name} is {number(times)} times that, {_said(last)}"
    if missing is None:
        return f"{said}."
    return f"{said}; {not_known(missing)}."


def _too_few_to_say(q: Quantile) -> str:
    return f"Too few to say: {not_known(q, 'the median')}."


def _intervals(orders: pd.DataFrame, found: list[Quantile], measure: str) -> str:
    return f" {interval_words(orders, measure)}" if any(q.estimable for q in found) else ""


def _said(q: Quantile) -> str:
    return estimate(q.estimate, q.low, q.high)


def _left_out(through: pd.DataFrame, *, by_merchant: bool) -> str:
    left = len(domains(through)) - MOST_MERCHANTS
    return f" {count(left, 'more merchant')} not drawn." if by_merchant and left > 0 else ""
