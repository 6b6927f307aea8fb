"""Which stage takes the time, and how each one spreads."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import plotly.graph_objects as go  # type: ignore[import-untyped] # plotly has no types

from firmly_nb.charts.chart import (
    Chart,
    beside,
    by_milestone,
    durations,
    excluded,
    interval_words,
    known,
    label_px,
    left_out,
    make,
    milestones,
    none_placed,
    nothing,
    row_axis,
)
from firmly_nb.charts.look import FEW_POINTS, LIGHT, edges, faint, positive, stage_look, time_axis
from firmly_nb.display.text import (
    as_hover,
    as_plotly,
    count,
    duration,
    estimate,
    number,
    percent,
    short_name,
    there_are,
)
from firmly_nb.latency.columns import is_value
from firmly_nb.latency.quantiles import Quantile, quantiles
from firmly_nb.latency.summary import NO_STAGES, latency_table
from firmly_nb.outcomes import CANCELLED, PLACED

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

ROW_PX = 62
# Above a hill is room for the name of its row, where there is none beside it.
RIDGE_BINS, RIDGE_HEIGHT, RIDGE_ROOM = 160, 0.70, 1.6
# Fewer times than this have no median and no hill that means anything.
FEWEST_IN_A_HILL = 6
STROKE_PX = 12


def stages(events: pd.DataFrame, stages: pd.DataFrame, orders: pd.DataFrame) -> Chart:
    """Draw each stage's median as a bar with its interval, and its p95 as a diamond.

    The figures are those of `firmly_nb.latency.summary.latency_table`.
    """
    question = "Which stage takes the time?"
    whole = latency_table(events, stages, orders)
    table = whole[~whole["stage"].isin(NO_STAGES)]
    table = table[table["n"] > 0].reset_index(drop=True)
    if table.empty:
        return _empty(question, stages, orders)
    names, ends = table["stage"].tolist(), milestones(stages)
    return make(
        [*_median_bars(table, ends), *_tails(table, names)],
        question=question,
        sentence=_largest(table),
        caption=f"{excluded(orders)}{_shares_said(table)}{_how_certain(table, orders)}"
        f"{left_out(stages, orders)}",
        height_px=max(ROW_PX * len(names), 130),
        left_px=label_px(names),
        right_px=150,
        extra={
            "xaxis": {**time_axis(table["max_ms"], "time in the stage", log=False)}
            | {"range": [0, _right_end(table)]},
            "yaxis": row_axis(names),
            "annotations": [_beside(row, at) for at, row in enumerate(table.to_dict("records"))],
            "bargap": 0.42,
            "barmode": "overlay",
        },
    )


def ridge(stages: pd.DataFrame, orders: pd.DataFrame) -> Chart:
    """Draw the spread of each stage's time, one hill above the other, on one logarithmic axis.

    Few orders are drawn one by one at the foot of their hill.
    """
    question = "How much does each stage vary?"
    found = _durations(known(stages, orders), orders)
    if not found:
        return _empty(question, stages, orders)
    ends, names = milestones(stages), list(found)
    everything = np.concatenate(list(found.values()))
    grid = edges([everything.min() / RIDGE_ROOM, everything.max() * RIDGE_ROOM], RIDGE_BINS)
    traces: list[Any] = []
    # From the top downwards each hill stands before the one behind it.
    for row, name in reversed(list(enumerate(reversed(names)))):
        traces += _hill(found[name], name, row, grid, ends)
    return make(
        traces,
        question=question,
        sentence=_steadiest(found),
        caption=f"{excluded(orders)}{_hills_said(found)} Stages reached by failed orders are in "
        f"it; cancelled orders are not.{left_out(stages, orders)}",
        height_px=max(ROW_PX * len(names), 150) + 30,
        left_px=label_px(names),
        legend=False,
        extra={
            "xaxis": time_axis(grid, "time in the stage", log=True),
            "yaxis": {
                "tickvals": list(range(len(names))),
                "ticktext": [as_plotly(name) for name in reversed(names)],
                "range": [-0.25, len(names)],
                "showgrid": True,
            },
        },
    )


def _durations(stages: pd.DataFrame, orders: pd.DataFrame) -> dict[str, Floats]:
    gone = orders.loc[is_value(orders["outcome"], CANCELLED), "recording_id"]
    kept = stages[~stages["recording_id"].isin(gone)] if len(gone) else stages
    groups = kept.groupby("stage", sort=False, observed=True)["duration_ms"]
    found = {str(name): positive(group) for name, group in groups}
    names = by_milestone(found, milestones(stages))
    return {name: found[name] for name in names if len(found[name])}


def _middle(row: dict[Any, Any]) -> float:
    """Return the length of a bar: the median, or the longest where there is none."""
    return float(row["max_ms"] if math.isnan(row["p50_ms"]) else row["p50_ms"])


def _hills_said(found: dict[str, Floats]) -> str:
    if max(len(values) for values in found.values()) < FEWEST_IN_A_HILL:
        return " Strokes: single orders."
    return " Curves: share of the stage's orders by time, smoothed, of one height; line: median."


def _empty(question: str, stages: pd.DataFrame, orders: pd.DataFrame) -> Chart:
    said = left_out(stages, orders)
    if not said:
        return nothing(question, _none_reached(orders))
    return nothing(question, "No time of a stage is known.", f"{excluded(orders)}{said}")


def _none_reached(orders: pd.DataFrame) -> str:
    said = none_placed(orders) if not is_value(orders["outcome"], PLACED).any() else ""
    return f"No stage was reached. {said}".strip() if len(orders) else said


def _shares_said(table: pd.DataFrame) -> str:
    return " Share: of all times to order placed." if table["share_of_order"].notna().any() else ""


def _how_certain(table: pd.DataFrame, orders: pd.DataFrame) -> str:
    if table["p50_ms"].isna().all():
        return " Bars: the longest time, since no median has an interval."
    short = " Where the median has no interval the bar is the longest time."
    return f" {interval_words(orders)}{short if table['p50_ms'].isna().any() else ''}"


def _right_end(table: pd.DataFrame) -> float:
    tails = table[["p95_ms", "p95_high_ms", "p50_ms", "p50_high_ms"]].to_numpy(np.float64)
    bars = [_middle(row) for row in table.to_dict("records")]
    return 1.08 * max(float(tails[np.isfinite(tails)].max(initial=0.0)), *bars)


def _median_bars(table: pd.DataFrame, ends: list[str]) -> list[Any]:
    bars = []
    name = "longest time" if table["p50_ms"].isna().all() else "median with its interval"
    for index, row in enumerate(table.to_dict("records")):
        bars.append(
            go.Bar(
                x=[_middle(row)],
                y=[index],
                orientation="h",
                name=name,
                legendgroup="median",
                showlegend=not index,
                marker={
                    **stage_look(str(row["stage"]), ends),
                    "line": {"width": 1, "color": LIGHT.quiet},
                },
                error_x=_whiskers(table.iloc[[index]], "p50"),
                customdata=[_row_words(row)],
                hovertemplate="%{customdata}<extra></extra>",
            )
        )
    return bars


def _tails(table: pd.DataFrame, names: list[str]) -> list[Any]:
    if table["p95_ms"].isna().all():
        return []
    return [
        go.Scatter(
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
    ]


def _whiskers(table: pd.DataFrame, name: str) -> dict[str, Any]:
    middle = table[f"{name}_ms"].to_numpy(np.float64)
    with np.errstate(invalid="ignore"):
        up = table[f"{name}_high_ms"].to_numpy(np.float64) - middle
        down = middle - table[f"{name}_low_ms"].to_numpy(np.float64)
    open_end = ~np.isfinite(up) | ~np.isfinite(down)
    return {
        "type": "data",
        "symmetric": False,
        "array": np.where(open_end, np.nan, up),
        "arrayminus": np.where(open_end, np.nan, down),
        "color": LIGHT.ink,
        "thickness": 1.6,
        "width": 6,
    }


def _beside(row: dict[Any, Any], index: int) -> dict[str, Any]:
    share = row["share_of_order"]
    of_the_time = "" if math.isnan(share) else f"<b>{percent(share)}</b> of the time<br>"
    return {
        **beside(index),
        "text": f"{of_the_time}{percent(row['reached_share'])} came through",
        "font": {"size": 11.5},
    }


def _row_words(row: dict[Any, Any]) -> str:
    parts = [f"<b>{as_hover(row['stage'])}</b>, {count(int(row['n']), 'order')}"]
    for name in ("p50", "p90", "p95"):
        low, high = row[f"{name}_low_ms"], row[f"{name}_high_ms"]
        middle = row[f"{name}_ms"]
        known = not math.isnan(middle)
        parts.append(f"{name} {estimate(middle, low, high)}" if known else f"{name}: -")
    return "<br>".join([*parts, f"longest {duration(row['max_ms'])}"])


def _largest(table: pd.DataFrame) -> str:
    known = table[table["share_of_order"].notna()]
    if known.empty:
        return _longest(table)
    top = known.sort_values("share_of_order").to_dict("records")[-1]
    said = f"{short_name(top['stage'])} takes {percent(top['share_of_order'])} of the time"
    if math.isnan(top["p50_ms"]):
        return f"{said}; orders are too few for its median."
    median = _median_said(top)
    if top["p50_ms"] >= table["p50_ms"].max():
        return f"{said}; its median is {median}."
    return f"{said}; its median is {median}, but its longest {duration(top['max_ms'])}."


def _longest(table: pd.DataFrame) -> str:
    """Return which stage took longest where none has a share, since no order was placed."""
    said = "No order was placed; of the stages that were reached"
    known = table[table["p50_ms"].notna()]
    if known.empty:
        top = table.sort_values("max_ms").to_dict("records")[-1]
        return f"{said} {short_name(top['stage'])} took longest, at most {duration(top['max_ms'])}."
    top = known.sort_values("p50_ms").to_dict("records")[-1]
    return f"{said} {short_name(top['stage'])} took longest: median {_median_said(top)}."


def _median_said(row: dict[Any, Any]) -> str:
    return estimate(row["p50_ms"], row["p50_low_ms"], row["p50_high_ms"])


def _hill(values: Floats, name: str, level: int, grid: Floats, ends: list[str]) -> list[Any]:
    if len(values) < FEWEST_IN_A_HILL:
        return [_rug(values, level + 0.1, name, STROKE_PX)]
    colour = stage_look(name, ends)["color"]
    x = np.sqrt(grid[:-1] * grid[1:])
    height = _smooth(values, grid)
    y = level + RIDGE_HEIGHT * height
    hover = f"{as_hover(name)}, {count(len(values), 'order')}"
    base = go.Scatter(
        x=x, y=np.full(len(x), level), mode="lines", line={"width": 0}, hoverinfo="skip"
    )
    hill = go.Scatter(
        x=x,
        y=y,
        mode="lines",
        fill="tonexty",
        fillcolor=faint(colour, 0.55),
        line={"color": colour, "width": 1.8},
        name=as_plotly(name),
        hovertext=durations(x),
        hovertemplate=f"{hover}<br>%{{hovertext}}<extra></extra>",
    )
    middle = float(np.median(values))
    top = level + RIDGE_HEIGHT * float(np.interp(math.log(middle), np.log(x), height))
    median = go.Scatter(
        x=[middle, middle],
        y=[level, top],
        mode="lines",
        line={"color": LIGHT.ink, "width": 2},
        hovertemplate=f"{hover}<br>median {duration(middle)}<extra></extra>",
    )
    return [
        base,
        hill,
        median,
        *([_rug(values, level + 0.05, name, 5)] if len(values) <= FEW_POINTS else []),
    ]


def _rug(values: Floats, height: float, name: str, size_px: int) -> Any:
    return go.Scatter(
        x=values,
        y=np.full(len(values), height),
        mode="markers",
        marker={"symbol": "line-ns", "size": size_px, "line": {"width": 1.4, "color": LIGHT.ink}},
        hovertext=durations(values),
        hovertemplate=f"{as_hover(name)} %{{hovertext}}<extra></extra>",
    )


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
        return f"Too few to compare: p90 needs 36 orders in a stage, {there_are(n)}."
    most = max(known, key=lambda name: _ratio(known[name]))
    least = min(known, key=lambda name: _ratio(known[name]))
    said = (
        f"{short_name(most)} varies most: its p90 is {number(_ratio(known[most]))} times its median"
    )
    if most == least:
        return f"{said}."
    times = number(_ratio(known[least]))
    return f"{said}; {short_name(least)} varies least, {times} times."


def _ratio(pair: list[Quantile]) -> float:
    return pair[1].estimate / pair[0].estimate
