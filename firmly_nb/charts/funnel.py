"""Funnel of orders: the milestones reached, and where the others stopped; some may exist."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import plotly.graph_objects as go  # type: ignore[import-untyped] # plotly has no types

from firmly_nb.charts.chart import (
    Chart,
    beside,
    failed,
    label_px,
    make,
    milestones,
    none_placed,
    nothing,
    row_axis,
)
from firmly_nb.charts.look import LIGHT, over, stage_look
from firmly_nb.display.text import (
    as_hover,
    as_plotly,
    count,
    listed,
    percent,
    percent_interval,
    short_name,
)
from firmly_nb.latency.dependence import basis_words
from firmly_nb.latency.shares import attempted, success_rate
from firmly_nb.latency.shares import funnel as funnel_table
from firmly_nb.latency.stages import START
from firmly_nb.outcomes import UNKNOWN, YES, outcome

if TYPE_CHECKING:
    import pandas as pd


ROW_PX = 52
MOST_REASONS = 3
BESIDE_PX = 250
FEW = 8  # with fewer an axis would have fractions of an order


def funnel(stages: pd.DataFrame, orders: pd.DataFrame) -> Chart:
    """Draw how many orders reached each milestone, and beside it what the others ended in.

    An order that stopped may exist all the same: the stream says how far it was told of.

    The figures are those of `firmly_nb.latency.shares.funnel`.
    """
    question = "Where do orders stop?"
    counted = attempted(orders)
    table = funnel_table(stages, orders) if len(counted) else None
    if table is None or table.empty:
        return nothing(question, none_placed(orders))
    names = table["milestone"].tolist()
    stopped = _reasons(counted, names)
    labels = ["attempted", *names]
    words = [
        *(_share_words(row, at + 1) for at, row in enumerate(table.to_dict("records"))),
        *_reason_words(stopped, names),
    ]
    return make(
        [*_reached(table, len(counted), milestones(stages)), *_stopped(table, len(counted))],
        question=question,
        sentence=_where_they_stop(counted, stopped),
        caption=f"{count(len(orders), 'order')}, {count(len(counted))} attempted (cancelled ones "
        f"are not). {_intervals(orders)}",
        height_px=ROW_PX * len(labels),
        left_px=label_px(labels, 34),
        right_px=max(BESIDE_PX, 20 + round(6.2 * max(len(note["text"]) for note in words))),
        extra={
            "barmode": "stack",
            "bargap": 0.3,
            "xaxis": {
                "title": {"text": "orders"},
                "range": [0, len(counted) * 1.001],
                "tickformat": ",d",
                **({"dtick": 1} if len(counted) < FEW else {}),
            },
            "yaxis": row_axis(labels),
            "annotations": words,
        },
    )


def _reached(table: pd.DataFrame, n: int, ends: list[str]) -> list[Any]:
    bars = [_bar(0, n, f"{count(n, 'order')} attempted", {"color": LIGHT.quiet})]
    for index, row in enumerate(table.to_dict("records"), 1):
        name = str(row["milestone"])
        words = (
            f"<b>{as_hover(name)}</b>: {count(row['reached'])} of {count(row['came_from'])} "
            f"came on, {percent(row['conversion'])} ({percent_interval(row['low'], row['high'])})"
        )
        bars.append(_bar(index, int(row["reached"]), words, stage_look(name, ends)))
    return bars


def _bar(row: int, number: int, words: str, look: dict[str, Any]) -> Any:
    return go.Bar(
        x=[number],
        y=[row],
        orientation="h",
        name="reached it",
        legendgroup="reached",
        showlegend=not row,
        marker=look,
        customdata=[words],
        hovertemplate="%{customdata}<extra></extra>",
    )


def _stopped(table: pd.DataFrame, n: int) -> list[Any]:
    came_from = [n, *table["came_from"]]
    reached = [n, *table["reached"]]
    lost = [a - b for a, b in zip(came_from, reached, strict=True)]
    if not any(lost):
        return []
    return [
        go.Bar(
            x=lost,
            y=list(range(len(reached))),
            orientation="h",
            name="stopped before it",
            marker={"color": LIGHT.mark, "pattern": over("x")},
            hovertext=[f"{count(number)} stopped before it" for number in lost],
            hovertemplate="%{hovertext}<extra></extra>",
        )
    ]


def _reasons(counted: pd.DataFrame, names: list[str]) -> dict[str, list[tuple[str, int]]]:
    """Return, by the last milestone reached, what orders that stopped ended in, and how often."""
    gone = failed(counted)
    last = gone["last_milestone"].astype("object").where(gone["last_milestone"].notna(), START)
    codes = gone["error_code"].astype("object")
    # The API's name says more than the kind; where there is none the kind must do.
    said = codes.where(
        codes.notna(), gone["outcome"].astype("str").map(lambda name: outcome(name).clause)
    )
    found: dict[str, Counter[str]] = {}
    for milestone, reason in zip(last.astype("str"), said.astype("str"), strict=True):
        found.setdefault(milestone, Counter())[reason] += 1
    ranks = {name: rank for rank, name in enumerate([START, *names])}
    return {
        milestone: sorted(found[milestone].items(), key=lambda pair: (-pair[1], pair[0]))
        for milestone in sorted(found, key=lambda name: ranks.get(name, len(ranks)))
    }


def _share_words(row: dict[Any, Any], index: int) -> dict[str, Any]:
    return {
        **beside(index),
        "text": f"<b>{count(row['reached'])}</b>  {percent(row['share'])} "
        f"({percent_interval(row['share_low'], row['share_high'])})",
        "yanchor": "bottom",
        "yshift": -6,
        "font": {"size": 12},
    }


def _reason_words(
    stopped: dict[str, list[tuple[str, int]]], names: list[str]
) -> list[dict[str, Any]]:
    """Write beside a milestone what ended the orders that did not reach it."""
    rows = {name: at + 1 for at, name in enumerate([START, *names])}
    return [
        {
            **beside(rows[milestone]),
            "text": f"stopped: {_most(reasons, 1)}",
            "yanchor": "top",
            "yshift": -6,
            "font": {"size": 11, "color": LIGHT.mark},
        }
        for milestone, reasons in stopped.items()
        if rows.get(milestone, len(names) + 1) <= len(names)
    ]


def _most(reasons: list[tuple[str, int]], most: int, longest: int = 22) -> str:
    named = [f"{count(number)} {as_plotly(reason, longest)}" for reason, number in reasons[:most]]
    rest = sum(number for _, number in reasons[most:])
    return ", ".join([*named, *([count(rest, "other")] if rest else [])])


def _intervals(orders: pd.DataFrame) -> str:
    basis = success_rate(orders).dependence
    return basis_words({"success rate": basis}, 0.95) if basis is not None else ""


def _where_they_stop(counted: pd.DataFrame, stopped: dict[str, list[tuple[str, int]]]) -> str:
    rate = success_rate(counted)
    said = (
        f"{count(rate.count)} of {count(rate.of, 'order')} {'was' if rate.of == 1 else 'were'} "
        f"placed: {percent(rate.share)} ({percent_interval(rate.low, rate.high)})"
    )
    if not stopped:
        return f"{said}; none stopped."
    most = max(stopped, key=lambda name: _number(stopped[name]))
    reasons, others = stopped[most], rate.of - rate.count
    where = "before the first milestone" if most == START else f"after {short_name(most)}"
    named = [f"{count(number)} {short_name(reason)}" for reason, number in reasons[:MOST_REASONS]]
    rest = _number(reasons[MOST_REASONS:])
    named += [f"{count(rest)} of other kinds"] if rest else []
    here = _number(reasons)
    part = "" if here == others else f", {count(here)} of them"
    ends = f"{said}; {count(others)} stopped{part} {where}: {listed(named)}."
    return f"{ends}{_existing(failed(counted))}"


def _existing(stopped: pd.DataFrame) -> str:
    """Return what is known of orders that stopped: some exist, or may exist."""
    if "order_exists" not in stopped:
        return ""
    found = stopped["order_exists"].astype("object")
    exist, unsure = int((found == YES).sum()), int((found == UNKNOWN).sum())
    said = [f"{count(exist)} exist{'s' if exist == 1 else ''}"] if exist else []
    said += [f"{count(unsure)} may exist"] if unsure else []
    return f" Of those that stopped {listed(said)}." if said else ""


def _number(reasons: list[tuple[str, int]]) -> int:
    return sum(number for _, number in reasons)
