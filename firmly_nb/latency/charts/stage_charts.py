"""Which stage takes the time, and how each one spreads."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import plotly.graph_objects as go  # type: ignore[import-untyped] # plotly has no types

from firmly_nb.latency.charts.axes import edges, positive, time_axis
from firmly_nb.latency.charts.chart import Chart, make
from firmly_nb.latency.charts.parts import interval_words, milestones, nothing
from firmly_nb.latency.charts.theme import LIGHT, faint, pattern
from firmly_nb.latency.charts.words import between, clean, count, excluded, ms, percent, shown
from firmly_nb.latency.colours import stage_colour
from firmly_nb.latency.outcomes import CANCELLED
from firmly_nb.latency.quantiles import Quantile, quantiles
from firmly_nb.latency.table import FIRST_EVENT, HEADERS, ORDER, latency_table

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

ROW_PX = 62
RIDGE_BINS, RIDGE_HEIGHT = 160, 0.86
FEW = 60


def stages(events: pd.DataFrame, stages: pd.DataFrame, orders: pd.DataFrame) -> Chart:
    """Draw each stage's median as a bar with its interval, and its p95 as a diamond.

    The figures are those of `firmly_nb.latency.table.latency_table`.
    """
    question = "Which stage takes the time?"
    whole = latency_table(events, stages, orders)
    table = whole[~whole["stage"].isin([ORDER, FIRST_EVENT, HEADERS])]
    table = table[table["n"] > 0].reset_index(drop=True)
    if table.empty:
        return nothing(question, f"No stage was reached: {excluded(orders)}")
    names, ends = table["stage"].tolist(), milestones(stages)
    return make(
        [
            *_median_bars(table, ends),
            _tails(table, names),
        ],
        question=question,
        sentence=_largest(table),
        caption=f"{excluded(orders)} Share: of all time to order-placed. {interval_words(orders)}"
        f"{_not_estimable(table)}",
        height_px=max(ROW_PX * len(names), 130),
        left_px=_label_px(names),
        right_px=150,
        extra={
            "xaxis": {**time_axis(table["max_ms"], "time in the stage", log=False)}
            | {"range": [0, _right_end(table)]},
            "yaxis": _stage_axis(names),
            "annotations": [_beside(row, at) for at, row in enumerate(table.to_dict("records"))],
            "bargap": 0.42,
            "barmode": "overlay",
        },
    )


def ridge(stages: pd.DataFrame, orders: pd.DataFrame) -> Chart:
    """Draw the spread of each stage's time, one hill above the other, on one logarithmic axis.

    Few orders are drawn one by one under their hill.
    """
    question = "How much does each stage vary?"
    found = _durations(stages, orders)
    if not found:
        return nothing(question, f"No stage was reached: {excluded(orders)}")
    ends, names = milestones(stages), list(found)
    everything = np.concatenate(list(found.values()))
    grid = edges([everything.min() / 1.3, everything.max() * 1.3], RIDGE_BINS)
    traces: list[Any] = []
    # From the top downwards each hill stands before the one behind it.
    for place, name in reversed(list(enumerate(reversed(names)))):
        traces += _hill(found[name], name, place, grid, ends)
    return make(
        traces,
        question=question,
        sentence=_steadiest(found),
        caption=f"{excluded(orders)} Hills: share of the stage's orders by time, smoothed, all of "
        "one height; line: median. Stages reached by failed orders are in it; cancelled orders "
        "are not.",
        height_px=max(ROW_PX * len(names), 150) + 30,
        left_px=_label_px(names),
        legend=False,
        extra={
            "xaxis": time_axis(grid, "time in the stage", log=True),
            "yaxis": {
                "tickvals": list(range(len(names))),
                "ticktext": [shown(name) for name in reversed(names)],
                "range": [-0.25, len(names)],
                "showgrid": True,
            },
        },
    )


def _durations(stages: pd.DataFrame, orders: pd.DataFrame) -> dict[str, Floats]:
    gone = orders.loc[(orders["outcome"] == CANCELLED).to_numpy(bool), "recording_id"]
    kept = stages[~stages["recording_id"].isin(gone)] if len(gone) else stages
    groups = kept.groupby("stage", sort=False, observed=True)["duration_ms"]
    found = {str(name): positive(group) for name, group in groups}
    order = {name: at for at, name in enumerate(milestones(stages))}
    names = sorted(found, key=lambda name: (order.get(name.split("->")[-1], 0), "->" in name))
    return {name: found[name] for name in names if len(found[name])}


def _middle(row: dict[Any, Any]) -> float:
    """Return the length of a bar: the median, or the longest where there is none."""
    return float(row["max_ms"] if math.isnan(row["p50_ms"]) else row["p50_ms"])


def _not_estimable(table: pd.DataFrame) -> str:
    if not table["p50_ms"].isna().any():
        return ""
    return " Where there are too few for a median the bar is the longest time, without interval."


def _right_end(table: pd.DataFrame) -> float:
    tails = table[["p95_ms", "p95_high_ms", "p50_ms", "p50_high_ms"]].to_numpy(np.float64)
    bars = [_middle(row) for row in table.to_dict("records")]
    return 1.08 * max(float(tails[np.isfinite(tails)].max(initial=0.0)), *bars)


def _median_bars(table: pd.DataFrame, ends: list[str]) -> list[Any]:
    bars = []
    for place, row in enumerate(table.to_dict("records")):
        name = str(row["stage"]).split("->")[-1]
        look = {"color": stage_colour(name, ends), "pattern": pattern(name, ends)}
        bars.append(
            go.Bar(
                x=[_middle(row)],
                y=[place],
                orientation="h",
                name="median with its interval",
                legendgroup="median",
                showlegend=not place,
                marker={**look, "line": {"width": 1, "color": LIGHT.quiet}},
                error_x=_whiskers(table.iloc[[place]], "p50"),
                customdata=[_row_words(row)],
                hovertemplate="%{customdata}<extra></extra>",
            )
        )
    return bars


def _tails(table: pd.DataFrame, names: list[str]) -> Any:
    return go.Scatter(
        x=table["p95_ms"].tolist(),
        y=list(range(len(names))),
        mode="markers",
        name="p95 with its interval",
        marker={
            "symbol": "diamond-open",
            "size": 10,
            "color": LIGHT.ink,
            "line": {"width": 2},
        },
        error_x=_whiskers(table, "p95"),
        customdata=[_row_words(row) for row in table.to_dict("records")],
        hovertemplate="%{customdata}<extra></extra>",
    )


def _whiskers(table: pd.DataFrame, name: str) -> dict[str, Any]:
    middle = table[f"{name}_ms"].to_numpy(np.float64)
    with np.errstate(invalid="ignore"):
        up = table[f"{name}_high_ms"].to_numpy(np.float64) - middle
        down = middle - table[f"{name}_low_ms"].to_numpy(np.float64)
    open_end = ~np.isfinite(up) | ~np.isfinite(down)
    return {
        "type": "data",
        "symmetric": False,
        "array": np.where(open_end, 0, up),
        "arrayminus": np.where(open_end, 0, down),
        "color": LIGHT.ink,
        "thickness": 1.6,
        "width": 6,
    }


def _beside(row: dict[Any, Any], place: int) -> dict[str, Any]:
    return {
        "text": f"<b>{percent(row['share_of_order'])}</b> of the time<br>"
        f"{percent(row['reached_share'])} came through",
        "xref": "paper",
        "x": 1,
        "xanchor": "left",
        "xshift": 10,
        "y": place,
        "align": "left",
        "showarrow": False,
        "font": {"size": 11.5},
    }


def _stage_axis(names: list[str]) -> dict[str, Any]:
    return {
        "tickvals": list(range(len(names))),
        "ticktext": [shown(name) for name in names],
        "range": [len(names) - 0.5, -0.5],
        "showgrid": False,
        "ticks": "",
    }


def _row_words(row: dict[Any, Any]) -> str:
    parts = [f"<b>{shown(row['stage'])}</b>, {count(int(row['n']), 'order')}"]
    for name in ("p50", "p90", "p95"):
        low, high = row[f"{name}_low_ms"], row[f"{name}_high_ms"]
        estimate = row[f"{name}_ms"]
        known = not math.isnan(estimate)
        parts.append(f"{name} {ms(estimate)} ({between(low, high)})" if known else f"{name}: -")
    return "<br>".join([*parts, f"longest {ms(row['max_ms'])}"])


def _largest(table: pd.DataFrame) -> str:
    known = table[table["share_of_order"].notna()]
    if known.empty:
        return "No order was placed, so no stage has a share of its time."
    top = known.sort_values("share_of_order").to_dict("records")[-1]
    said = f"{clean(top['stage'])} takes {percent(top['share_of_order'])} of the time"
    if math.isnan(top["p50_ms"]):
        return f"{said}; orders are too few for its median."
    interval = between(top["p50_low_ms"], top["p50_high_ms"])
    return f"{said}; its median is {ms(top['p50_ms'])} ({interval})."


def _hill(values: Floats, name: str, place: int, grid: Floats, ends: list[str]) -> list[Any]:
    colour = stage_colour(name.rsplit("->", maxsplit=1)[-1], ends)
    x = np.sqrt(grid[:-1] * grid[1:])
    height = _smooth(values, grid)
    y = place + RIDGE_HEIGHT * height
    hover = f"{shown(name)}, {count(len(values), 'order')}"
    base = go.Scatter(
        x=x, y=np.full(len(x), place), mode="lines", line={"width": 0}, hoverinfo="skip"
    )
    hill = go.Scatter(
        x=x,
        y=y,
        mode="lines",
        fill="tonexty",
        fillcolor=faint(colour, 0.55),
        line={"color": colour, "width": 1.8},
        name=shown(name),
        hovertemplate=f"{hover}<br>%{{x:,.1f}} ms<extra></extra>",
    )
    middle = float(np.median(values))
    top = place + RIDGE_HEIGHT * float(np.interp(math.log(middle), np.log(x), height))
    median = go.Scatter(
        x=[middle, middle],
        y=[place, top],
        mode="lines",
        line={"color": LIGHT.ink, "width": 2},
        hovertemplate=f"{hover}<br>median {ms(middle)}<extra></extra>",
    )
    return [base, hill, median, *(_rug(values, place) if len(values) <= FEW else [])]


def _rug(values: Floats, place: int) -> list[Any]:
    return [
        go.Scatter(
            x=values,
            y=np.full(len(values), place - 0.08),
            mode="markers",
            marker={"symbol": "line-ns-open", "size": 7, "color": LIGHT.ink},
            hovertemplate="%{x:,.1f} ms<extra></extra>",
        )
    ]


def _smooth(values: Floats, grid: Floats) -> Floats:
    """Return the smoothed histogram on the logarithmic grid, its highest point 1."""
    from scipy.ndimage import gaussian_filter1d

    logs, step = np.log(values), math.log(grid[1] / grid[0])
    # Silverman's rule for the width, on the logarithms, from what is robust against two modes.
    spread = min(float(logs.std()), float(np.subtract(*np.quantile(logs, [0.75, 0.25]))) / 1.34)
    width = max(0.9 * (spread or float(logs.std())) * len(logs) ** -0.2 / step, 1.2)
    counts = np.histogram(values, grid)[0].astype(np.float64)
    height = gaussian_filter1d(counts, width, mode="constant")
    return np.asarray(height / height.max(), dtype=np.float64)


def _steadiest(found: dict[str, Floats]) -> str:
    spread = {name: quantiles(values, (0.5, 0.9)) for name, values in found.items()}
    known = {name: pair for name, pair in spread.items() if pair[1].estimable}
    if not known:
        n = max(len(values) for values in found.values())
        return f"Too few to compare: p90 needs 36 orders in a stage, there are {count(n)}."
    most = max(known, key=lambda name: _ratio(known[name]))
    least = min(known, key=lambda name: _ratio(known[name]))
    said = f"{clean(most)} varies most: its p90 is {_ratio(known[most]):.1f} times its median"
    if most == least:
        return f"{said}."
    return f"{said}; {clean(least)} varies least, {_ratio(known[least]):.1f} times."


def _ratio(pair: list[Quantile]) -> float:
    return pair[1].estimate / pair[0].estimate


def _label_px(names: list[str]) -> int:
    return 28 + round(7.2 * max(min(len(name), 48) for name in names))
