"""Many orders under one another: each stage a bar, each failure a cross where it came to an end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import plotly.graph_objects as go  # type: ignore[import-untyped] # plotly has no types

from firmly_nb.charts.chart import (
    Chart,
    by_milestone,
    durations,
    excluded,
    failed,
    left_out,
    make,
    milestones,
    none_placed,
    nothing,
    shown_code,
)
from firmly_nb.charts.look import LIGHT, failure_look, stage_look
from firmly_nb.display.messages import UnknownName, coded_error, quoted, unknown
from firmly_nb.display.text import as_hover, as_plotly, count, duration, percent, short_name
from firmly_nb.latency.columns import ended_ms, is_value
from firmly_nb.latency.stages import START, voided
from firmly_nb.outcomes import PLACED, outcome

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

MOST_ROWS, NAMED_ROWS = 40, 16
CUT_OFF = " Bars that leave the picture have their whole time written on them."
SLOW_SHARE = 0.1
FEWEST_TO_SPLIT = 20
# One order that took far longer than the others must not press them together.
WIDEST = 3.0  # times as long as nine tenths of those that are drawn
ROW_PX, THIN_ROW_PX, LEAST_PX = 26, 13, 70
BAR = 0.82  # of a row; without it a part of few orders would cover the rows between them


def waterfall(
    stages: pd.DataFrame, orders: pd.DataFrame, *, align: str = START, most: int = MOST_ROWS
) -> Chart:
    """Draw orders under one another, the slowest on top, each stage a bar.

    Parameters
    ----------
    stages, orders
        As in docs/tables.md.
    align
        The milestone that stands at zero; ``start`` is the request. An order that never reached
        it stands with its end at zero.
    most
        How many orders are drawn: of more, some that stand for all, evenly by their time.

    Raises
    ------
    KeyError
        If no order has such a milestone.
    """
    question = "Where do slow orders spend their time?"
    names = milestones(stages)
    if orders.empty or not stages["end_ms"].notna().any():
        return nothing(question, none_placed(orders) if len(orders) else "There are no orders.")
    if align not in {START, *names}:
        raise coded_error(UnknownName, "FNB307", unknown("milestone", align, [START, *names]))
    orders = orders.assign(order_latency_ms=ended_ms(orders))
    if type(most) is not int or most < 1:
        text = f"most must be a whole number of at least 1, got {quoted(most)}. Try most=40."
        raise coded_error(ValueError, "FNB326", text)
    rows = chosen(orders, most)
    kept = stages[stages["recording_id"].isin(rows["recording_id"])]
    origin = _origins(kept, rows, align)
    row_of = {recording_id: at for at, recording_id in enumerate(rows["recording_id"])}
    holds, is_drawn = voided(stages, orders).reasons < 0, stages["duration_ms"].notna()
    is_drawn &= stages["recording_id"].isin(rows["recording_id"])
    drawn, timed = stages[is_drawn], stages[is_drawn & holds]
    traces = [
        _bars(timed[timed["stage"].astype("str") == stage], stage, names, row_of, origin)
        for stage in _ordered(timed, names)
    ]
    traces += _unknown(stages[is_drawn & ~holds], row_of, origin)
    traces += _backwards(drawn, row_of, origin)
    lost, window = failed(rows), _window(rows, origin)
    if len(lost):
        traces += [_waiting(kept, lost, row_of, origin), *_failures(lost, row_of, origin, window)]
    cut_off = _beyond(rows, origin, window)
    return make(
        traces,
        question=question,
        sentence=_slow_against_others(stages, orders),
        caption=f"{excluded(orders)}{_selection(orders, rows)}{_aligned(align, kept, rows)}"
        f"{left_out(stages, orders)}{CUT_OFF if cut_off else ''}",
        height_px=max(len(rows) * (ROW_PX if len(rows) <= NAMED_ROWS else THIN_ROW_PX), LEAST_PX),
        left_px=126 if len(rows) <= NAMED_ROWS else 52,
        extra={
            "barmode": "overlay",
            "xaxis": {
                "title": {"text": f"time since {'the request' if align == START else align}, ms"},
                "tickformat": ",~f",
                "zeroline": align != START,
                "zerolinecolor": LIGHT.ink,
                "zerolinewidth": 1.4,
                "range": list(window),
            },
            "yaxis": _row_axis(rows),
            "annotations": cut_off,
        },
    )


def chosen(orders: pd.DataFrame, most: int = MOST_ROWS) -> pd.DataFrame:
    """Return the orders to draw: placed ones by their time, slowest first, then the failed ones.

    Of many, every k-th is taken; of failures at least five, so that none of their kind is lost.
    """
    through = orders[is_value(orders["outcome"], PLACED)]
    through = through.sort_values("order_latency_ms", ascending=False)
    lost = failed(orders).sort_values("order_latency_ms", ascending=False)
    if len(orders) <= most:
        return _under_one_another(through, lost)
    share = round(most * len(lost) / len(orders))
    losses = min(len(lost), max(share, min(5, most // 2)))
    return _under_one_another(_every(through, most - losses), _every(lost, losses))


def _under_one_another(first: pd.DataFrame, second: pd.DataFrame) -> pd.DataFrame:
    import pandas as pd

    return pd.concat([part for part in (first, second) if len(part)])


def _every(table: pd.DataFrame, wanted: int) -> pd.DataFrame:
    if len(table) <= wanted:
        return table
    # With the slowest and the fastest among them.
    return table.iloc[np.linspace(0, len(table) - 1, wanted).round().astype(int)]


def _origins(stages: pd.DataFrame, rows: pd.DataFrame, align: str) -> dict[str, float]:
    """Return for each order what stands at zero, in ms since its request."""
    if align == START:
        return dict.fromkeys(rows["recording_id"], 0.0)
    at = stages[(stages["to_milestone"].astype("str") == align) & stages["end_ms"].notna()]
    found = dict(zip(rows["recording_id"], rows["order_latency_ms"], strict=True))
    return found | dict(zip(at["recording_id"], at["end_ms"], strict=True))


def _ordered(stages: pd.DataFrame, names: list[str]) -> list[str]:
    return by_milestone(stages["stage"].astype("str").drop_duplicates(), names)


def _bars(
    part: pd.DataFrame,
    stage: str,
    names: list[str],
    row_of: dict[str, int],
    origin: dict[str, float],
) -> Any:
    ids = part["recording_id"].tolist()
    shift = np.array([origin[recording_id] for recording_id in ids])
    return go.Bar(
        orientation="h",
        width=BAR,
        y=[row_of[recording_id] for recording_id in ids],
        base=part["start_ms"].to_numpy(np.float64) - shift,
        x=part["duration_ms"].to_numpy(np.float64),
        name=as_plotly(stage),
        marker={**stage_look(stage, names), "line": {"width": 0}},
        customdata=list(map(as_hover, ids)),
        hovertext=durations(part["duration_ms"]),
        hovertemplate=f"<b>{as_hover(stage)}</b> %{{hovertext}}<br>%{{customdata}}<extra></extra>",
    )


def _unknown(part: pd.DataFrame, row_of: dict[str, int], origin: dict[str, float]) -> list[Any]:
    """Draw what passed in stages whose own time is not known, as far as it can be seen."""
    part = part[(part["duration_ms"] > 0).to_numpy(bool)]
    if part.empty:
        return []
    ids, stages = part["recording_id"].tolist(), part["stage"].tolist()
    return [
        go.Bar(
            orientation="h",
            width=BAR,
            y=[row_of[each] for each in ids],
            base=part["start_ms"].to_numpy(np.float64) - np.array([origin[each] for each in ids]),
            x=part["duration_ms"].to_numpy(np.float64),
            name="time of the stage not known",
            marker={"color": LIGHT.line, "line": {"width": 1, "color": LIGHT.quiet}},
            customdata=[
                f"<b>{as_hover(stage)}</b>: its time is not known<br>{as_hover(each)}"
                for stage, each in zip(stages, ids, strict=True)
            ],
            hovertemplate="%{customdata}<extra></extra>",
        )
    ]


def _backwards(drawn: pd.DataFrame, row_of: dict[str, int], origin: dict[str, float]) -> list[Any]:
    """Mark milestones that came before the one they should follow: their time is below zero."""
    part = drawn[(drawn["duration_ms"] < 0).to_numpy(bool)]
    if part.empty:
        return []
    ids, ends = part["recording_id"].tolist(), part["end_ms"].tolist()
    return [
        go.Scatter(
            x=[end - origin[each] for each, end in zip(ids, ends, strict=True)],
            y=[row_of[each] for each in ids],
            mode="markers",
            name="out of order",
            marker={
                "symbol": "triangle-left",
                "size": 9,
                "color": LIGHT.ink,
                "line": {"width": 1, "color": LIGHT.paper},
            },
            customdata=[
                f"<b>{as_hover(stage)}</b> ended before the milestone that comes first<br>"
                f"{as_hover(each)}"
                for stage, each in zip(part["stage"].tolist(), ids, strict=True)
            ],
            hovertemplate="%{customdata}<extra></extra>",
        )
    ]


def _waiting(
    stages: pd.DataFrame, lost: pd.DataFrame, row_of: dict[str, int], origin: dict[str, float]
) -> Any:
    """Draw what passed between the last milestone of a failed order and its end."""
    reached = stages.groupby("recording_id")["end_ms"].max().to_dict()
    ids = lost["recording_id"].tolist()
    start = np.array([np.nan_to_num(reached.get(each, 0.0)) for each in ids])
    waited_ms = np.maximum(lost["order_latency_ms"].to_numpy(np.float64) - start, 0.0)
    shift = np.array([origin[each] for each in ids])
    return go.Bar(
        orientation="h",
        width=BAR,
        y=[row_of[each] for each in ids],
        base=start - shift,
        x=waited_ms,
        hovertext=durations(waited_ms),
        name="no further milestone",
        marker={"color": LIGHT.line, "line": {"width": 1, "color": LIGHT.quiet}},
        hovertemplate="no further milestone for %{hovertext}<extra></extra>",
    )


def _failures(
    lost: pd.DataFrame,
    row_of: dict[str, int],
    origin: dict[str, float],
    window: tuple[float, float],
) -> list[Any]:
    """Mark where failed orders came to an end; one beyond the view is marked at its edge."""
    traces = []
    for name, part in lost.groupby(lost["outcome"].astype("str")):
        ids, ends = part["recording_id"].tolist(), part["order_latency_ms"].tolist()
        said = [
            f"<b>{as_hover(outcome(str(name)).clause)}</b> {shown_code(code)}<br>"
            f"after {duration(end)}<br>{as_hover(each)}"
            for code, end, each in zip(part["error_code"].tolist(), ends, ids, strict=True)
        ]
        traces.append(
            go.Scatter(
                x=np.minimum(ends - np.array([origin[each] for each in ids]), window[1]),
                y=[row_of[each] for each in ids],
                mode="markers",
                cliponaxis=False,
                name=as_plotly(outcome(str(name)).word),
                marker=failure_look(str(name)),
                customdata=said,
                hovertemplate="%{customdata}<extra></extra>",
            )
        )
    return traces


def _window(rows: pd.DataFrame, origin: dict[str, float]) -> tuple[float, float]:
    """Return what the axis shows: a few that took very long must not press others together."""
    shift = rows["recording_id"].map(origin)
    begins, ends = -shift, rows["order_latency_ms"] - shift
    widths = rows["order_latency_ms"].to_numpy(np.float64)
    own = _with_a_time_of_their_own(rows)
    near = own & (widths <= WIDEST * np.quantile(widths[own], 0.9))
    width = max(float(widths[near].max()), 1.0)
    begin = max(float(begins.min()), float(begins[near].min()) - 0.3 * width)
    end = min(float(ends.max()), float(ends[near].max()) + 0.3 * width)
    room = 0.02 * (end - begin)
    return begin - (room if begin < 0 else 0), end + room


def _with_a_time_of_their_own(rows: pd.DataFrame) -> NDArray[np.bool_]:
    """Return which orders say how wide the picture is: the time of a time-out is only a limit."""
    outcomes = rows["outcome"].astype("str")
    for wanted in (outcomes == PLACED, outcomes != "timeout"):
        if wanted.any():
            return np.asarray(wanted, dtype=np.bool_)
    return np.ones(len(rows), dtype=np.bool_)


def _beyond(
    rows: pd.DataFrame, origin: dict[str, float], window: tuple[float, float]
) -> list[dict[str, Any]]:
    """Write the whole time on the bars that the view cuts off."""
    columns = (rows[name].tolist() for name in ("recording_id", "order_latency_ms"))
    return [
        {
            "x": min(end - origin[recording_id], window[1]),
            "y": at,
            "xanchor": "right",
            "xshift": -14,
            "text": f"{duration(end)} in all",
            "showarrow": False,
            "font": {"size": 10.5, "color": LIGHT.ink},
            "bgcolor": LIGHT.paper,
            "borderpad": 0,
        }
        for at, (recording_id, end) in enumerate(zip(*columns, strict=True))
        if end - origin[recording_id] > window[1] or -origin[recording_id] < window[0]
    ]


def _row_axis(rows: pd.DataFrame) -> dict[str, Any]:
    axis = {"range": [len(rows) - 0.4, -0.6], "showgrid": False, "ticks": ""}
    if len(rows) > NAMED_ROWS:
        title = {"text": "orders, the slowest on top, failed ones below"}
        return {**axis, "showticklabels": False, "title": title}
    numbers = rows["order_number"].astype("object").tolist()
    outcomes = rows["outcome"].astype("str").tolist()
    labels = [
        as_plotly(number if isinstance(number, str) else outcome, 16)
        for number, outcome in zip(numbers, outcomes, strict=True)
    ]
    return {**axis, "tickvals": list(range(len(rows))), "ticktext": labels}


def _selection(orders: pd.DataFrame, rows: pd.DataFrame) -> str:
    if len(rows) == len(orders):
        return " Every order is drawn." if len(orders) > 1 else ""
    lost = len(failed(rows))
    placed = f"{count(len(rows) - lost)} placed ones " if lost else ""
    failures = f" and {count(lost)} failed" if lost else ""
    return (
        f" {count(len(rows))} are drawn, {placed}evenly by their time{failures}; the sentence is "
        "about all."
    )


def _aligned(align: str, stages: pd.DataFrame, rows: pd.DataFrame) -> str:
    if align == START:
        return ""
    reached = (stages["to_milestone"].astype("str") == align) & stages["end_ms"].notna()
    missing = len(rows) - stages.loc[reached, "recording_id"].nunique()
    said = f" Zero is {align}"
    return f"{said}; {count(missing)} that never reached it end there." if missing else f"{said}."


def _slow_against_others(stages: pd.DataFrame, orders: pd.DataFrame) -> str:
    """Return which stage has more of the time in slow orders than in the others."""
    through = orders[is_value(orders["outcome"], PLACED)]
    if through.empty:
        return "No order was placed; the marks tell how far each one came."
    # Shares need every stage of an order.
    lost = len(orders) - len(through)
    unknown_in = stages.loc[voided(stages, orders).reasons >= 0, "recording_id"]
    # Placed by the content of an event of an unknown name an order has no stage.
    known_in = stages.loc[stages["duration_ms"] > 0, "recording_id"]
    through = through[through["recording_id"].isin(known_in)]
    through = through[~through["recording_id"].isin(unknown_in)]
    times = through["time_to_order_placed_ms"]
    if through.empty:
        return "Which stage takes the time is not known: no placed order has a time for each."
    ordered = through.loc[times.sort_values(ascending=False).index, "recording_id"]
    slow = max(round(SLOW_SHARE * len(ordered)), 1)
    of_slow = _shares(stages, ordered.iloc[:slow])
    if len(ordered) < FEWEST_TO_SPLIT:
        top = max(of_slow, key=lambda name: of_slow[name])
        which = "slowest order" if len(ordered) > 1 else "placed order" if lost else "order"
        which += " with a time for each stage" if len(unknown_in) else ""
        return (
            f"The {which} took {duration(float(times.max()))}, "
            f"{percent(of_slow[top])} of it in {short_name(top)}."
        )
    if len(of_slow) == 1:
        return (
            f"Only one stage is known, {short_name(next(iter(of_slow)))}: it takes all of the time."
        )
    of_others = _shares(stages, ordered.iloc[slow:])
    top = max(of_slow, key=lambda name: of_slow[name] - of_others.get(name, 0.0))
    return (
        f"In the slowest tenth ({count(slow, 'order')}) {short_name(top)} takes "
        f"{percent(of_slow[top])} of the time, in the others {percent(of_others.get(top, 0.0))}."
    )


def _shares(stages: pd.DataFrame, ids: pd.Series[Any]) -> dict[str, float]:
    part = stages[stages["recording_id"].isin(ids)]
    sums = part.groupby("stage", observed=True)["duration_ms"].sum()
    return {str(name): float(value) / float(sums.sum()) for name, value in sums.items()}
