"""What charts have in common: which orders are drawn, how failures look, what hovering tells."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import plotly.graph_objects as go  # type: ignore[import-untyped] # plotly has no types

from firmly_nb.latency.charts.axes import is_wide
from firmly_nb.latency.charts.chart import Chart, make
from firmly_nb.latency.charts.theme import LIGHT, SERIES, SYMBOLS, failure_look
from firmly_nb.latency.charts.words import clean, count, none_placed, shown
from firmly_nb.latency.quantiles import quantiles
from firmly_nb.latency.runs import quantiles_by_run, runs_of
from firmly_nb.outcomes import PLACED, outcome

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    import pandas as pd

    from firmly_nb.latency.quantiles import Quantile

MEASURES = {
    "time_to_order_placed_ms": "time to order-placed",
    "order_latency_ms": "order latency",
    "scheduled_order_latency_ms": "order latency from the planned start",
    "time_to_first_event_ms": "time to the first event",
    "time_to_headers_ms": "time to the headers",
}
DEFAULT_MEASURE = "time_to_order_placed_ms"
MOST_MERCHANTS = 4


def measure_name(measure: str) -> str:
    """Say a column's name in words."""
    return MEASURES.get(measure, measure.removesuffix("_ms").replace("_", " "))


def placed(orders: pd.DataFrame, measure: str = DEFAULT_MEASURE) -> pd.DataFrame:
    """Return the placed orders whose time is known.

    Raises
    ------
    KeyError
        If there is no such column of times.
    """
    if measure not in orders:
        raise KeyError(f"orders has no column {measure!r}; use one of {', '.join(MEASURES)}")
    return orders[(orders["outcome"] == PLACED).to_numpy(bool) & orders[measure].notna()]


def failed(orders: pd.DataFrame) -> pd.DataFrame:
    """Return the orders that did not end in an order, cancelled ones too."""
    return orders[(orders["outcome"] != PLACED).to_numpy(bool)]


def times(orders: pd.DataFrame, measure: str = DEFAULT_MEASURE) -> Any:
    """Return the times of the placed orders as an array."""
    return placed(orders, measure)[measure].to_numpy("float64")


def order_quantiles(
    orders: pd.DataFrame, ps: Iterable[float], measure: str = DEFAULT_MEASURE
) -> list[Quantile]:
    """Return quantiles of the placed orders' times, as the table of latencies has them.

    Where there are two runs or more the intervals are those of resampled runs.
    """
    through = placed(orders, measure)
    runs = runs_of(through)
    values = through[measure].to_numpy("float64")
    return quantiles_by_run(values, runs.codes, ps) if runs else quantiles(values, ps)


def interval_words(orders: pd.DataFrame) -> str:
    """Say how the intervals came about."""
    runs = runs_of(placed(orders, "order_latency_ms"))
    if runs is None:
        return "Intervals: 95%, exact order statistics."
    return f"Intervals: 95%, from {count(len(runs.names))} resampled runs."


def failure_heights(lost: pd.DataFrame, times: Any) -> Any:
    """Return where failures stand beside placed orders: at their time, at most a little outside.

    A time-out's time is the limit, not the merchant's; it must not press the others together.
    """
    found = lost["order_latency_ms"].to_numpy("float64")
    return found.clip(times.min() / 1.15 if is_wide(times) else 0, 1.15 * times.max())


def order_points(
    through: pd.DataFrame, measure: str, x: Callable[[pd.DataFrame], Any]
) -> list[Any]:
    """Draw placed orders: a mark for each of the merchants with most orders, one for the rest.

    Parameters
    ----------
    through
        Placed orders.
    measure
        How high they stand: a column of times.
    x
        Where some of them stand.
    """
    names = domains(through)
    own = names if len(names) <= MOST_MERCHANTS else names[: MOST_MERCHANTS - 1]
    parts = [(clean(name), through["domain"] == name) for name in own]
    if len(own) < len(names):
        rest = f"{count(len(names) - len(own))} more merchants"
        parts.append((rest, ~through["domain"].isin(own)))
    traces = []
    for place, (name, inside) in enumerate(parts):
        part = through[inside.to_numpy(bool)]
        traces.append(
            go.Scatter(
                x=x(part),
                y=part[measure].to_numpy("float64"),
                mode="markers",
                name=f"{shown(name)} ({count(len(part))})",
                marker={
                    "size": 6,
                    "symbol": SYMBOLS[place],
                    "opacity": 0.85,
                    "color": SERIES[place],
                    "line": {"width": 0.5, "color": LIGHT.paper},
                },
                customdata=order_data(part),
                hovertemplate=order_hover(measure_name(measure)),
            )
        )
    return traces


def failure_points(lost: pd.DataFrame, x: Sequence[Any], y: Sequence[Any], unit: str) -> list[Any]:
    """Draw failures: a mark of its own for each outcome, with what hovering tells.

    Parameters
    ----------
    lost
        Orders that were not placed.
    x, y
        Where they stand, in the same order.
    unit
        What y is, for hovering.
    """
    traces = []
    outcomes = lost["outcome"].astype("str").tolist()
    ids, codes = lost["recording_id"].tolist(), lost["error_code"].astype("object").tolist()
    for name in sorted(set(outcomes)):
        rows, said = [row for row, each in enumerate(outcomes) if each == name], outcome(name)
        traces.append(
            go.Scatter(
                x=[x[row] for row in rows],
                y=[y[row] for row in rows],
                mode="markers",
                name=shown(f"{said.word} ({count(len(rows))})"),
                marker=failure_look(name),
                customdata=[[shown(ids[row]), shown_code(codes[row])] for row in rows],
                hovertemplate=f"<b>{shown(said.clause)}</b> "
                f"%{{customdata[1]}}<br>{unit} %{{y:,.1f}} ms<br>%{{customdata[0]}}<extra></extra>",
            )
        )
    return traces


def order_hover(unit: str) -> str:
    """Return what hovering over a placed order tells."""
    return (
        f"<b>order %{{customdata[1]}}</b><br>{unit} %{{y:,.1f}} ms<br>"
        "%{customdata[2]}<br>%{customdata[0]}<extra></extra>"
    )


def order_data(orders: pd.DataFrame) -> list[list[str]]:
    """Return what leads from a point to its recording: id, order number, and the merchant."""
    numbers = orders["order_number"].astype("object").where(orders["order_number"].notna(), "")
    columns = orders["recording_id"], numbers, orders["domain"].astype("object")
    return [[shown(value) for value in row] for row in zip(*columns, strict=True)]


def domains(orders: pd.DataFrame) -> list[str]:
    """Return the merchants, the one with most orders first."""
    counts = orders["domain"].astype("str").value_counts()
    return [str(name) for name, number in counts.items() if number]


def milestones(stages: pd.DataFrame) -> list[str]:
    """Return the milestones in the order of the orders' way."""
    return [str(name) for name in stages["to_milestone"].drop_duplicates()]


def beside(place: int) -> dict[str, Any]:
    """Return where a text stands that belongs to a row: on the right of the axes."""
    return {
        "xref": "paper",
        "x": 1,
        "xanchor": "left",
        "xshift": 10,
        "y": place,
        "align": "left",
        "showarrow": False,
    }


def untimed(question: str, orders: pd.DataFrame, measure: str = DEFAULT_MEASURE) -> Chart:
    """Return the empty chart of orders of which none has the time that was asked for."""
    if (orders["outcome"] == PLACED).any():
        return nothing(question, f"No placed order has a known {measure_name(measure)}.")
    return nothing(question, none_placed(orders))


def nothing(question: str, said: str) -> Chart:
    """Return an empty chart; its answer says why it is empty."""
    note = {
        "text": "nothing to draw",
        "showarrow": False,
        "xref": "paper",
        "yref": "paper",
        "x": 0.5,
        "y": 0.5,
        "font": {"size": 13, "color": LIGHT.quiet},
    }
    blank = {"visible": False}
    return make(
        [],
        question=question,
        sentence=said,
        caption="",
        height_px=40,
        below_px=14,
        legend=False,
        extra={"annotations": [note], "xaxis": blank, "yaxis": blank},
    )


def shown_code(code: Any) -> str:
    """Write the API's name of an error; nothing where there is none."""
    return shown(code) if isinstance(code, str) else ""
