"""Orders on the day's clock: each one, or how many in each cell of time and latency."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import plotly.graph_objects as go  # type: ignore[import-untyped] # plotly has no types

from firmly_nb.latency.charts.axes import MOST_POINTS, binned_words, edges, is_wide, time_axis
from firmly_nb.latency.charts.cells import cells
from firmly_nb.latency.charts.chart import Chart, make
from firmly_nb.latency.charts.clock import Along, along, nanoseconds, texts
from firmly_nb.latency.charts.parts import (
    DEFAULT_MEASURE,
    failed,
    failure_heights,
    failure_points,
    measure_name,
    order_points,
    placed,
    untimed,
)
from firmly_nb.latency.charts.theme import LIGHT
from firmly_nb.latency.charts.words import between, count, excluded, ms, percent, there_are
from firmly_nb.latency.outcomes import wilson
from firmly_nb.latency.quantiles import quantile
from firmly_nb.latency.runs import runs_of

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

TIME_BINS, LATENCY_BINS = 90, 48
STRETCH_ORDERS, MOST_STRETCHES = 25, 24
BELOW_PX = 74
FEWEST_IN_A_BIN = 12
MOST_RUNS_DRAWN = 200


def over_time(orders: pd.DataFrame, *, measure: str = DEFAULT_MEASURE) -> Chart:
    """Draw each order by its start, failures as crosses, and the median of each run.

    Many orders are binned: the darker a cell, the more orders are in it.

    Parameters
    ----------
    orders
        As in docs/tables.md.
    measure
        Which time: a column of ``orders``.
    """
    question = "Is latency steady while orders are placed?"
    through = placed(orders, measure)
    if through.empty:
        return untimed(question, orders, measure)
    lost, many = failed(orders), len(orders) > MOST_POINTS
    parts, where = _parts(orders), along(orders)
    drawn = through[measure].to_numpy(np.float64)
    log = is_wide(drawn)
    if many:
        traces = [*_binned(through, lost, measure, where, scale=False)]
    else:
        heights = failure_heights(lost, drawn)
        traces = order_points(through, measure, lambda part: where.at(nanoseconds(part)))
        x = list(where.at(nanoseconds(lost)))
        traces += failure_points(lost, x, heights.tolist(), "time to the failure")
        drawn = np.append(drawn, heights)
    medians = _medians(parts, measure, where, halo=many)
    return make(
        [*traces, *medians],
        question=question,
        sentence=_drift(parts, measure, has_runs=runs_of(orders) is not None),
        caption=f"{excluded(orders)}{_how_failures_look(lost, many=many)}"
        f"{' Steps: medians with 95% intervals.' if medians else ''}"
        f"{' ' + binned_words(len(through)) if many else ''}",
        below_px=BELOW_PX,
        extra={
            "xaxis": where.axis(),
            "yaxis": {
                **time_axis(drawn, measure_name(measure), log=log),
                **({"domain": [0, 0.84]} if many else {}),
            },
            **({"yaxis2": _strip_axis(traces[-1])} if many else {}),
        },
    )


def heatmap(orders: pd.DataFrame, *, measure: str = DEFAULT_MEASURE) -> Chart:
    """Draw how many orders are in each cell of time and latency, failures in a strip above.

    Parameters
    ----------
    orders
        As in docs/tables.md.
    measure
        Which time: a column of ``orders``.
    """
    question = "When were orders slow?"
    through, lost = placed(orders, measure), failed(orders)
    if through.empty:
        return untimed(question, orders, measure)
    where = along(orders)
    counts, strip = _binned(through, lost, measure, where, scale=True)
    return make(
        [counts, strip],
        question=question,
        sentence=_slowest_stretch(through, measure, where),
        caption=f"{excluded(orders)} Cell: number of placed orders that started then and took so "
        f"long; strip above: failed and cancelled orders.",
        right_px=96,
        below_px=BELOW_PX,
        legend=False,
        extra={
            "xaxis": where.axis(),
            "yaxis": {
                **time_axis(through[measure], measure_name(measure), log=True),
                "domain": [0, 0.84],
            },
            "yaxis2": _strip_axis(strip),
        },
    )


def _strip_axis(strip: Any) -> dict[str, Any]:
    top = max(int(strip.y.max()), 1)
    return {
        "domain": [0.88, 1],
        "title": {"text": "failed"},
        "range": [0, top * 1.05],
        "tickvals": [0, top],
        "anchor": "x",
    }


def _how_failures_look(lost: pd.DataFrame, *, many: bool) -> str:
    if lost.empty:
        return ""
    if many:
        return " Strip above: failed and cancelled orders."
    return " Crosses and stars: failures, at the time to the failure or at the edge."


def _binned(
    through: pd.DataFrame, lost: pd.DataFrame, measure: str, where: Along, *, scale: bool
) -> tuple[Any, Any]:
    """Draw the number of orders in each cell, and of failures in a strip; empty ones stay empty."""
    begins = where.edges_ns(_bins(len(through)))
    values = through[measure].to_numpy(np.float64)
    up = edges(values, int(min(max(1.5 * len(values) ** 0.5, 6), LATENCY_BINS)))
    found = np.histogram2d(nanoseconds(through), values, [begins, up])[0]
    x = where.at(begins)
    return cells(found, x, up, scale=scale, hover="<br>%{x}"), _failure_strip(lost, begins, x)


def _bins(n: int) -> int:
    return int(min(max(n / FEWEST_IN_A_BIN, 6), TIME_BINS))


def _failure_strip(lost: pd.DataFrame, begins: NDArray[np.int64], x: Any) -> Any:
    counts = np.histogram(nanoseconds(lost), begins)[0]
    on_clock = isinstance(x, list)
    width = np.diff(begins) / 1e6 if on_clock else np.diff(x)
    middle = texts((begins[:-1] + begins[1:]) // 2) if on_clock else (x[:-1] + x[1:]) / 2
    return go.Bar(
        x=middle,
        y=counts,
        width=width,
        yaxis="y2",
        marker={"color": LIGHT.mark, "line": {"width": 0}},
        hovertemplate="%{y} failed<extra></extra>",
        name="failed",
        showlegend=False,
    )


def _parts(orders: pd.DataFrame) -> list[pd.DataFrame]:
    """Return the runs; of a single run its four quarters, by start."""
    ordered = orders.sort_values("started_at", kind="stable")
    runs = runs_of(ordered)
    if runs is not None:
        return [ordered[runs.codes == code] for code in range(len(runs.names))]
    quarters = np.array_split(np.arange(len(ordered)), 4 if len(ordered) >= 24 else 1)
    return [ordered.iloc[rows] for rows in quarters]


def _medians(parts: list[pd.DataFrame], measure: str, where: Along, *, halo: bool) -> list[Any]:
    """Draw the median of each part as a step, and its interval as a band."""
    x: list[Any] = []
    middle: list[float | None] = []
    edge_x: list[Any] = []
    edge_y: list[float | None] = []
    for part in parts[:MOST_RUNS_DRAWN]:
        q = quantile(placed(part, measure)[measure], 0.5)
        if not q.estimable:
            continue
        begin, end = where.at(nanoseconds(part)[[0, -1]])
        x += [begin, end, None]
        middle += [q.estimate, q.estimate, None]
        edge_x += [begin, end, end, begin, begin, None]
        edge_y += [q.low, q.low, q.high, q.high, q.low, None]
    band = go.Scatter(
        x=edge_x,
        y=edge_y,
        mode="lines",
        fill="toself",
        fillcolor="rgba(90,93,99,0.25)",
        line={"width": 0},
        hoverinfo="skip",
        showlegend=False,
    )
    line = go.Scatter(
        x=x,
        y=middle,
        mode="lines",
        name="median",
        line={"color": LIGHT.ink, "width": 2.4},
        hovertemplate="median %{y:,.1f} ms<extra></extra>",
    )
    # Dark on dark cells would not be seen without a light line below; points must not be hidden.
    light = go.Scatter(
        x=x,
        y=middle,
        mode="lines",
        line={"color": LIGHT.paper, "width": 5.5},
        hoverinfo="skip",
        showlegend=False,
    )
    return [band, *([light] if halo else []), line] if x else []


def _drift(parts: list[pd.DataFrame], measure: str, *, has_runs: bool) -> str:
    found = [quantile(placed(part, measure)[measure], 0.5) for part in parts]
    known = [q for q in found if q.estimable]
    what = "run" if has_runs else "quarter"
    if len(known) < 2:
        n = len(placed(parts[0], measure)) if len(parts) == 1 else 0
        return (
            f"Too few to compare: {count(n, 'placed order')} in one stretch of time."
            if n
            else f"Too few to compare: a {what} needs 6 placed orders for its median."
        )
    first, last = known[0], known[-1]
    apart = last.low > first.high or last.high < first.low
    change = last.estimate / first.estimate - 1
    word = "slower" if change > 0 else "faster"
    said = (
        f"The median went from {ms(first.estimate)} ({between(first.low, first.high)}) in the "
        f"first {what} to {ms(last.estimate)} ({between(last.low, last.high)}) in the last"
    )
    return f"{said}: {percent(abs(change))} {word}." if apart else f"{said}: no clear change."


def _slowest_stretch(through: pd.DataFrame, measure: str, where: Along) -> str:
    """Say when the share of slow orders was largest, if chance alone does not explain it."""
    tail = quantile(through[measure], 0.9)
    if not tail.estimable:
        return f"Too few to say: p90 needs {tail.needed} placed orders, {there_are(tail.n)}."
    slow = (through[measure] > tail.estimate).to_numpy(bool)
    at = nanoseconds(through)
    # Coarser than the cells: a stretch must hold enough orders to be told from chance.
    begins = where.edges_ns(max(min(len(at) // STRETCH_ORDERS, MOST_STRETCHES), 1))
    total = np.maximum(np.histogram(at, begins)[0], 1)
    found = np.histogram(at[slow], begins)[0]
    # Many stretches are looked at: the interval allows for their number (Bonferroni).
    low = wilson(found, total, 1 - 0.05 / len(total))[0]
    top = int(np.argmax(low))
    slowness = f"longer than the overall p90 ({ms(tail.estimate)})"
    if low[top] <= 0.1:
        return f"No stretch of time stands out: in none clearly more than 10% took {slowness}."
    begin, end = (where.label(int(edge)) for edge in begins[[top, top + 1]])
    rest = (found.sum() - found[top]) / max(total.sum() - total[top], 1)
    return (
        f"From {begin} to {end} {percent(found[top] / total[top])} of "
        f"{count(int(total[top]), 'order')} took {slowness}; at other times {percent(rest)}."
    )
