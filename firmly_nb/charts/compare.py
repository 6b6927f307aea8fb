"""B against A: questions against their margins, two curves, and each quantile's shift."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import plotly.graph_objects as go  # type: ignore[import-untyped] # plotly has no types

from firmly_nb.charts.chart import (
    DEFAULT_MEASURE,
    Chart,
    excluded,
    make,
    measure_name,
    nothing,
    times,
)
from firmly_nb.charts.distribution import ecdf_traces, share_axis
from firmly_nb.charts.look import LIGHT, SERIES, faint, series_look, time_axis
from firmly_nb.display.messages import wrong_type
from firmly_nb.display.text import (
    as_hover,
    as_plotly,
    count,
    duration,
    interval,
    listed,
    number,
    percent,
    short_name,
    stated,
    stated_percent,
)
from firmly_nb.latency.compare import LEVEL_OF_BAND
from firmly_nb.latency.compare import compare as compare_orders
from firmly_nb.latency.shares import attempted
from firmly_nb.latency.verdict import points, signed
from firmly_nb.outcomes import look_of_stage

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import pandas as pd
    from numpy.typing import NDArray

    from firmly_nb.latency.compare import Comparison
    from firmly_nb.latency.design import Tables
    from firmly_nb.latency.shares import Share
    from firmly_nb.latency.verdict import Success

    Floats = NDArray[np.float64]


NAME_LETTERS = 28
FEWEST = 10  # orders of each side from which the shift is drawn
PLANNED = "scheduled_time_to_order_placed_ms"
ARROW = 0.06
WIDEST = 3.0  # margins to each side; an interval that goes further ends in an arrow
NEAR, OUTLIER = 0.99, 2.0  # a time of so many times what nearly all took does not press the others
WIDEST_BAND = 2.5  # times the largest shift that has a band; a wider one leaves the picture
ROW_PX, CURVES_PX, SHIFT_PX, BETWEEN_PX = 52, 260, 190, 66
MUTED = 0.6  # of what is not attributed to B


def compare(  # noqa: PLR0913 - as `firmly_nb.latency.compare` has them
    a: Tables,
    b: Tables,
    *,
    margin: float = 0.10,
    names: tuple[str, str] = ("A", "B"),
    tail_margin: float = 0.05,
    placed_margin: float = 0.05,
    slo_ms: float | None = None,
    like_for_like: bool = False,
    control: str | None = None,
) -> Chart:
    """Draw B against A: the intervals of each question, both curves, and each quantile's shift.

    Parameters
    ----------
    a, b
        Events, stages and orders of each side, as in docs/tables.md.
    margin
        The smallest change that matters, stated before looking: 0.10 for 10%.
    names
        What the two sides are called.
    tail_margin, placed_margin, slo_ms, like_for_like, control
        As in `firmly_nb.latency.compare`.
    """
    found = compare_orders(
        a,
        b,
        margin,
        tail_margin=tail_margin,
        placed_margin=placed_margin,
        slo_ms=slo_ms,
        like_for_like=like_for_like,
        control=control,
    )
    return comparison_chart(found, a[2], b[2], names)


def comparison_chart(
    found: Comparison, orders_a: pd.DataFrame, orders_b: pd.DataFrame, names: tuple[str, str]
) -> Chart:
    """Draw a comparison that was made before."""
    if len(names) != 2 or not all(isinstance(name, str) for name in names):
        raise wrong_type("names", "two texts", names, 'names=("monday", "tuesday")')
    question = "Is {1} slower than {0}?".format(*(short_name(name, NAME_LETTERS) for name in names))
    measure = PLANNED if (found.design["what"] == "schedule").any() else DEFAULT_MEASURE
    both = [attempted(orders) for orders in (orders_a, orders_b)]
    a, b = (times(orders, measure) for orders in both)
    sides = " ".join(
        f"{side}: {excluded(orders)}"
        for side, orders in zip(_sides(names), (orders_a, orders_b), strict=True)
    )
    if not len(a) or not len(b):
        missing = names[0] if not len(a) else names[1]
        none = f"No order of {short_name(missing)} was placed. {found.verdict}"
        return nothing(question, none, sides)
    rows = list(_rows(found))
    heights = {"curves": CURVES_PX}
    if rows:
        heights = {"questions": len(rows) * ROW_PX} | heights
    if min(found.order.n_a, found.order.n_b) >= FEWEST:
        heights["shift"] = SHIFT_PX
    domains = _domains(heights)
    axis, beyond = _curve_axis(found, a, b, measure)
    drawn = [
        trace
        for at, (values, orders) in enumerate(zip((a, b), both, strict=True))
        for trace in ecdf_traces(values, _sides(names)[at], series_look(at), attempted=len(orders))
    ]
    extra: dict[str, Any] = {
        "xaxis": {**axis, "anchor": "y"},
        "yaxis": {**share_axis("share of attempted orders"), "domain": domains["curves"]},
    }
    lines, notes = _limit_lines(found), _limit_words(found, axis)
    caption = sides
    if rows:
        drawn += _intervals(rows, found)
        extra |= _question_axes(rows, domains["questions"])
        lines += _margin_lines(domains["questions"])
        notes += _row_words(rows)
        caption += f" {_drawn_words(found, rows)}"
    if found.tail.limits_differ:
        caption += " Limits are by merchant and items; the lines are those of all orders together."
    caption += beyond
    if "shift" in domains:
        drawn += _shift_traces(found)
        extra |= _shift_axes(found, names, domains["shift"])
        caption += _shift_words(found)
    if not found.attributable:
        for trace in drawn:
            trace.opacity = MUTED
    return make(
        drawn,
        question=question,
        sentence=found.verdict,
        caption=f"{caption}{''.join(f' {note}' for note in found.notes)}",
        height_px=_whole(heights),
        extra={**extra, "shapes": lines, "annotations": notes},
    )


def _sides(names: tuple[str, str]) -> tuple[str, str]:
    """Return what the sides are called: the verdict speaks of A and B."""
    a, b = (
        side if name == side else f"{side}, {short_name(name, NAME_LETTERS)}"
        for side, name in zip(("A", "B"), names, strict=True)
    )
    return a, b


def _whole(heights: Mapping[str, int]) -> int:
    return sum(heights.values()) + BETWEEN_PX * (len(heights) - 1)


def _domains(heights: Mapping[str, int]) -> dict[str, list[float]]:
    """Return where each part stands, the first on top."""
    whole = top = _whole(heights)
    found = {}
    for name, height in heights.items():
        found[name] = [max(top - height, 0) / whole, top / whole]
        top -= height + BETWEEN_PX
    return found


# The questions, each in units of its margin: no change is 0, worse is on the right.


@dataclass(frozen=True, slots=True)
class _Row:
    """A question: its words, and its ends in margins; the narrow ones where it has them."""

    words: str
    at: float
    wide: tuple[float, float]
    narrow: tuple[float, float] | None
    colour: str


def _rows(found: Comparison) -> Iterator[_Row]:
    """Yield the questions that have an interval, and after them the stages."""
    one, placed = found.typical, found.success
    colour = SERIES[1] if found.attributable else LIGHT.quiet
    if math.isfinite(one.estimate):
        words = f"<b>Typical time</b>: {one.verdict}<br>{_times(one.estimate, one.low, one.high)}"
        ends = (one.estimate, one.low, one.high, one.inside_low, one.inside_high)
        yield _ratio(words, ends, found.margin, colour)
    for limit in _limits(found):
        verdict = f": {found.tail.verdict}" if limit.name == "Late" else ""
        words = f"<b>{limit.name}, over {limit.words}</b>{verdict}<br>{_shares(limit, limit.ends)}"
        yield _in_margins(words, limit.ends, found.tail_margin, colour)
    if math.isfinite(placed.estimate):
        ends = (placed.estimate, placed.low, placed.high, placed.inside_low, placed.inside_high)
        words = f"<b>Placed</b>: {placed.verdict}<br>{_shares(placed, ends)}"
        middle, low, high, inside_low, inside_high = (-end for end in ends)
        worse = (middle, high, low, inside_high, inside_low)
        yield _in_margins(words, worse, found.placed_margin, colour)
    names = [stage.stage for stage in found.differences]
    for stage in found.differences:
        if not math.isfinite(stage.ratio):
            continue
        of_stage = (stage.ratio, stage.ratio_low, stage.ratio_high)
        words = f"<b>{as_hover(stage.stage)}</b>: {stage.verdict}<br>{_times(*of_stage)}"
        if math.isfinite(stage.late):
            words += f"; late {signed(stage.late)} points"
        own = look_of_stage(stage.stage, names).colour if found.attributable else LIGHT.quiet
        inside = (stage.ratio_inside_low, stage.ratio_inside_high)
        yield _ratio(words, (*of_stage, *inside), found.margin, own)


def _times(ratio: float, low: float, high: float) -> str:
    return f"{number(ratio)} times as long ({interval(low, high, '')})"


def _shares(sides: _Limit | Success, ends: Sequence[float]) -> str:
    shares = f"A {percent(sides.a.share)}, B {percent(sides.b.share)}"
    return f"{shares}: {signed(ends[0])} points ({points(ends[1], ends[2])})"


def _ratio(words: str, ends: Sequence[float], margin: float, colour: str) -> _Row:
    logs = [math.log(end) if end > 0 else -math.inf for end in ends]
    return _in_margins(words, logs, math.log1p(margin), colour)


def _in_margins(words: str, ends: Sequence[float], margin: float, colour: str) -> _Row:
    at, low, high, *inside = (end / margin for end in ends)
    return _Row(words, at, (low, high), (inside[0], inside[1]) if inside else None, colour)


def _intervals(rows: Sequence[_Row], found: Comparison) -> list[Any]:
    """Draw wide intervals as lines, narrow ones as bars, and an arrow where one goes on."""
    symbol = "diamond" if found.attributable else "diamond-open"
    own: dict[str, Any] = {"xaxis": "x3", "yaxis": "y3", "showlegend": False, "hoverinfo": "skip"}
    traces = []
    for at, row in enumerate(rows):
        for ends, width in ((row.wide, 2.5), (row.narrow, 8.0)):
            if ends is not None:
                x = [min(max(end, -WIDEST), WIDEST) for end in ends]
                line = {"color": row.colour, "width": width}
                traces.append(go.Scatter(x=x, y=[at, at], mode="lines", line=line, **own))
        marks = [(row.at, symbol)] if abs(row.at) <= WIDEST else []
        marks += [(-WIDEST - ARROW, "triangle-left")] if row.wide[0] < -WIDEST else []
        marks += [(WIDEST + ARROW, "triangle-right")] if row.wide[1] > WIDEST else []
        look = {"size": 10, "color": LIGHT.ink, "line": {"width": 1.2, "color": LIGHT.paper}}
        if not found.attributable:
            look |= {"color": LIGHT.quiet, "line": {"width": 1.6, "color": LIGHT.quiet}}
        x, symbols = [place for place, _ in marks], [mark for _, mark in marks]
        marker = {"symbol": symbols, **look}
        traces.append(go.Scatter(x=x, y=[at] * len(x), mode="markers", marker=marker, **own))
    return traces


def _question_axes(rows: Sequence[_Row], domain: list[float]) -> dict[str, Any]:
    room = 0.12 * WIDEST
    return {
        "xaxis3": {
            "title": {"text": "B better (left) or worse (right), in margins"},
            "range": [-WIDEST - room, WIDEST + room],
            "tickvals": [-1, 0, 1],
            "ticktext": ["margin", "0", "margin"],
            "anchor": "y3",
        },
        "yaxis3": {
            "domain": domain,
            "range": [len(rows) - 0.6, -0.85],
            "visible": False,
            "anchor": "x3",
        },
    }


def _margin_lines(domain: list[float]) -> list[dict[str, Any]]:
    """Draw no change as a line, and what is within the margins as a field."""
    place = {"xref": "x3", "yref": "paper", "y0": domain[0], "y1": domain[1], "layer": "below"}
    field = {"type": "rect", "x0": -1, "x1": 1, "fillcolor": faint("#808080", 0.2)}
    line = {"color": LIGHT.ink, "width": 1.4}
    return [
        {**field, "line": {"width": 0}, **place},
        {"type": "line", "x0": 0, "x1": 0, "line": line, **place},
    ]


def _row_words(rows: Sequence[_Row]) -> list[dict[str, Any]]:
    return [
        {
            "xref": "x3 domain",
            "yref": "y3",
            "x": 0,
            "y": at,
            "xanchor": "left",
            "yanchor": "bottom",
            "yshift": 4,
            "align": "left",
            "showarrow": False,
            "text": row.words,
            "font": {"size": 11.5, "color": LIGHT.ink},
        }
        for at, row in enumerate(rows)
    ]


def _drawn_words(found: Comparison, rows: Sequence[_Row]) -> str:
    """Say how the questions are drawn, and what of them is not."""
    margins = (
        f"{stated_percent(found.margin)}, {_stated_points(found.tail_margin)} points late, "
        f"{_stated_points(found.placed_margin)} points placed"
    )
    arrows = any(max(map(abs, row.wide)) > WIDEST for row in rows)
    beyond = " An arrow: the interval goes on." if arrows else ""
    muted = "" if found.attributable else " Grey: not attributed to B."
    unknown = [stage.stage for stage in found.differences if math.isnan(stage.ratio)]
    missing = f" No interval: {listed(map(short_name, unknown))}." if unknown else ""
    return (
        f"Margins (grey field): {margins}. Line: wide interval, for a difference; bar: narrow one, "
        f"to lie within the margin.{beyond}{muted}{missing}"
    )


def _stated_points(share: float) -> str:
    return stated(round(100 * share, 6))


# The curves, and from when an order is late.


@dataclass(frozen=True, slots=True)
class _Limit:
    """Limit from which an order counts as late, and the shares of A and B beyond it."""

    name: str
    words: str
    ms: float
    a: Share
    b: Share
    ends: tuple[float, ...]


def _limits(found: Comparison) -> list[_Limit]:
    """Return the limits of lateness that have an interval."""
    one = found.tail
    late = (one.estimate, one.low, one.high, one.inside_low, one.inside_high)
    very = (one.very_late, one.very_late_low, one.very_late_high)
    both = (
        ("Late", "A's p95", one.late_ms, one.a, one.b, late),
        ("Very late", "twice A's median", one.very_late_ms, one.very_late_a, one.very_late_b, very),
    )
    return [
        _Limit(name, words if one.limits_differ else duration(ms), ms, a, b, ends)
        for name, words, ms, a, b, ends in both
        if math.isfinite(ends[0])
    ]


def _curve_axis(
    found: Comparison, a: Floats, b: Floats, measure: str
) -> tuple[dict[str, Any], str]:
    """Return the axis of times up to what nearly all took, and words for what lies beyond."""
    both = np.concatenate([a, b])
    longest = float(both.max())
    most = max(float(np.quantile(one, NEAR, method="lower")) for one in (a, b))
    limits = [limit.ms * 1.1 for limit in _limits(found)]
    end = max([longest if longest <= OUTLIER * most else 1.15 * most, *limits])
    beyond = both[both > end]
    axis = time_axis(np.append(both[both <= end], end), measure_name(measure), from_zero=False)
    if not len(beyond):
        return axis, ""
    n = count(len(beyond), "order")
    return axis, f" {n} took longer than is drawn, at most {duration(float(beyond.max()))}."


def _limit_lines(found: Comparison) -> list[dict[str, Any]]:
    return [
        {
            "type": "line",
            "xref": "x",
            "yref": "y domain",
            "x0": limit.ms,
            "x1": limit.ms,
            "y0": 0,
            "y1": 1,
            "line": {"color": LIGHT.ink, "width": 1.4, "dash": dash},
        }
        for limit, dash in zip(_limits(found), ("dash", "dot"), strict=False)
    ]


def _limit_words(found: Comparison, axis: dict[str, Any]) -> list[dict[str, Any]]:
    """Write beside each limit who is later; below the curves, one above the other."""
    words = []
    for height, limit in zip((0.42, 0.16), _limits(found), strict=False):
        at = math.log10(limit.ms) if axis.get("type") == "log" else limit.ms
        first, last = axis["range"]
        side = "right" if at > (first + last) / 2 else "left"
        said = f"later than {limit.words}:"
        if found.tail.limits_differ:
            said = f"{limit.words}:"
        words.append(
            {
                "xref": "x",
                "yref": "y domain",
                "x": at,
                "y": height,
                "xanchor": side,
                "xshift": -5 if side == "right" else 5,
                "align": side,
                "showarrow": False,
                "bgcolor": LIGHT.paper,
                "borderpad": 1,
                "text": f"{said}<br>A {percent(limit.a.share)}, B {percent(limit.b.share)}",
                "font": {"size": 11, "color": LIGHT.ink},
            }
        )
    return words


# The shift of each quantile: it decides nothing.


def _shift_axes(found: Comparison, names: tuple[str, str], domain: list[float]) -> dict[str, Any]:
    return {
        "xaxis2": {
            "title": {"text": "percentile of the placed orders, %"},
            "range": [0.05, 1],
            "tickvals": [0.1, 0.25, 0.5, 0.75, 0.9, 0.95],
            "ticktext": ["10", "25", "50", "75", "90", "95"],
            "anchor": "y2",
        },
        "yaxis2": {
            "title": {"text": f"{as_plotly(names[1], 12)} minus {as_plotly(names[0], 12)}, ms"},
            "domain": domain,
            "tickformat": "+,~f",
            "labelalias": {"+0": "0"},
            "zeroline": True,
            "zerolinecolor": LIGHT.ink,
            "zerolinewidth": 1.4,
            "range": list(_shift_range(found)),
        },
    }


def _bounded(table: pd.DataFrame) -> NDArray[np.bool_]:
    ends = table[["low_ms", "high_ms"]].to_numpy(np.float64)
    return np.asarray(np.isfinite(ends).all(axis=1))


def _shift_range(found: Comparison) -> tuple[float, float]:
    """Return what the axis shows: the shifts that have a band, and the band as far as it is near.

    A last percentile without a band rests on an order or two; they must not flatten the others.
    """
    table = found.shift
    bounded = table[_bounded(table)]
    known = bounded if len(bounded) else table
    allowed = found.margin * float(table["a_ms"].max())
    most = WIDEST_BAND * max(float(known["shift_ms"].abs().max()), allowed)
    low, high = (known[name].clip(-most, most) for name in ("low_ms", "high_ms"))
    ends = min(float(low.min()), -allowed), max(float(high.max()), allowed)
    room = 0.06 * (ends[1] - ends[0])
    return ends[0] - room, ends[1] + room


def _shift_words(found: Comparison) -> str:
    """Say what the lower part is, where its band ends, and what is not in the picture."""
    table = found.shift
    said = (
        f" Lower part: shift with its {LEVEL_OF_BAND * 100:g}% confidence band; it decides nothing."
    )
    low, high = _shift_range(found)
    bounded = _bounded(table)
    names = [f"p{100 * q:g}" for q in table["q"]]
    if not bounded.any():
        said += " There are too few orders for a band."
    elif not bounded.all():
        first, last = np.flatnonzero(bounded)[[0, -1]]
        said += f" The band ends at {names[first]} and {names[last]}: beyond, orders are too few."
    rows = table.to_dict("records")
    wide = [
        at
        for at in np.flatnonzero(bounded).tolist()
        if rows[at]["low_ms"] < low or rows[at]["high_ms"] > high
    ]
    if wide:
        widest = max(wide, key=lambda at: float(rows[at]["high_ms"] - rows[at]["low_ms"]))
        reach = interval(rows[widest]["low_ms"], rows[widest]["high_ms"])
        at = listed(names[each] for each in wide)
        said += f" It leaves the picture at {at}; at {names[widest]} it is {reach}."
    for at_, row in enumerate(rows):
        if not low <= row["shift_ms"] <= high:
            shift = duration(row["shift_ms"], signed=True)
            said += f" The shift of {names[at_]}, {shift}, is not in the picture."
    return said


def _shift_traces(found: Comparison) -> list[Any]:
    table = found.shift
    q = table["q"].to_numpy(np.float64)
    bounded = _bounded(table)
    colour = SERIES[1] if found.attributable else "#5a5d63"
    below = {"xaxis": "x2", "yaxis": "y2"}
    edge = {"mode": "lines", "line": {"width": 0}, "hoverinfo": "skip", "showlegend": False} | below
    allowed = found.margin * table["a_ms"].to_numpy(np.float64)
    return [
        go.Scatter(
            x=[*q, *q[::-1]],
            y=[*allowed, *(-allowed)[::-1]],
            mode="lines",
            fill="toself",
            fillcolor=faint("#808080", 0.2),
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
            fillcolor=faint(colour, 0.22),
            **edge,
        ),
        go.Scatter(
            x=q,
            y=table["shift_ms"].to_numpy(np.float64),
            mode="lines+markers",
            name="shift of each percentile",
            marker={"size": 7, "symbol": "diamond", "color": colour},
            line={"color": colour, "width": 2},
            hovertext=[
                f"p{100 * row['q']:g}: {duration(row['shift_ms'], signed=True)}<br>"
                f"{interval(row['a_ms'], row['b_ms'])}"
                for row in table.to_dict("records")
            ],
            hovertemplate="%{hovertext}<extra></extra>",
            **below,
        ),
    ]
