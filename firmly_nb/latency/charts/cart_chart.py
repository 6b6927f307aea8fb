"""Cart totals against latency: do bigger carts take longer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import plotly.graph_objects as go  # type: ignore[import-untyped] # plotly has no types

from firmly_nb.api.money import minor_digits
from firmly_nb.carts import effects
from firmly_nb.latency.charts.axes import (
    MOST_POINTS,
    binned_words,
    edges,
    is_wide,
    log_axis,
    time_axis,
)
from firmly_nb.latency.charts.cells import cells
from firmly_nb.latency.charts.chart import Chart, make
from firmly_nb.latency.charts.parts import (
    DEFAULT_MEASURE,
    failed,
    failure_heights,
    failure_points,
    measure_name,
    nothing,
    order_points,
    placed,
    untimed,
)
from firmly_nb.latency.charts.theme import LIGHT
from firmly_nb.latency.charts.words import (
    clean,
    count,
    excluded,
    ms,
    shown,
    there_are,
)
from firmly_nb.latency.quantiles import quantile

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

FEWEST_TO_JUDGE, FIFTHS = 20, 5
BINS = 60
RESAMPLES, RESAMPLED_ORDERS, SEED = 500, 5_000, 7
MEDIANS_SAID = " Diamonds: median of each fifth of the carts, with its 95% interval."


def cart_total(orders: pd.DataFrame, *, measure: str = DEFAULT_MEASURE) -> Chart:
    """Draw each order by the total of its cart and its time, with the median of each fifth.

    Amounts of different currencies do not stand on one axis: the currency of most orders is drawn.

    Parameters
    ----------
    orders
        As in docs/tables.md.
    measure
        Which time: a column of ``orders``.
    """
    question = "Do bigger carts take longer?"
    known = orders[orders["total_minor"].notna() & orders["currency"].notna()]
    through = placed(known, measure)
    if placed(orders, measure).empty:
        return untimed(question, orders, measure)
    if through.empty:
        return nothing(question, f"No placed order has a cart total: {excluded(orders)}")
    currency = str(through["currency"].astype("str").value_counts().index[0])
    through = through[(through["currency"] == currency).to_numpy(bool)]
    lost = failed(known)
    lost = lost[(lost["currency"] == currency).to_numpy(bool)]
    totals, times = _totals(through, currency), through[measure].to_numpy(np.float64)
    many = len(through) > MOST_POINTS
    if many:
        traces = [_binned(totals, times)]
    else:
        traces = order_points(through, measure, lambda part: _totals(part, currency))
    drawn_lost = lost if len(lost) <= MOST_POINTS // 4 else lost.iloc[:0]
    heights, lost_totals = failure_heights(drawn_lost, times), _totals(drawn_lost, currency)
    traces += failure_points(
        drawn_lost, lost_totals.tolist(), heights.tolist(), "time to the failure"
    )
    medians = _fifths(totals, times, halo=many)
    traces += medians
    others = len(placed(orders, measure)) - len(through)
    return make(
        traces,
        question=question,
        sentence=_together(totals, times, currency),
        caption=f"{excluded(orders)}{MEDIANS_SAID if medians else ''}"
        f"{' ' + binned_words(len(through)) if many else ''}"
        f"{_left_out(others, currency)}{_not_drawn(lost, drawn_lost)}",
        extra={
            "xaxis": _amount_axis(np.append(totals, lost_totals), currency),
            "yaxis": time_axis(
                np.append(times, heights), measure_name(measure), log=is_wide(times)
            ),
        },
    )


def _totals(orders: pd.DataFrame, currency: str) -> Floats:
    """Return cart totals in whole units of the currency, for an axis; not for reckoning."""
    minor = orders["total_minor"].to_numpy(np.float64, na_value=np.nan)
    return np.asarray(minor / 10 ** minor_digits(currency), dtype=np.float64)


def _is_log(totals: Floats) -> bool:
    # A cart that costs nothing has no place on a logarithmic axis.
    return is_wide(totals) and bool(totals.min() > 0)


def _amount_axis(totals: Floats, currency: str) -> dict[str, Any]:
    title = f"cart total, {shown(currency)}"
    if _is_log(totals):
        return log_axis(totals, title, room=1.1)
    return {"title": {"text": title}, "tickformat": ",~f"}


def _binned(totals: Floats, times: Floats) -> Any:
    x = edges(totals, BINS) if _is_log(totals) else np.histogram_bin_edges(totals, BINS)
    y = edges(times, BINS)
    return cells(np.histogram2d(totals, times, [x, y])[0], x, y)


def _fifths(totals: Floats, times: Floats, *, halo: bool) -> list[Any]:
    """Draw the median time of each fifth of the carts, where orders suffice for its interval."""
    if len(totals) < FEWEST_TO_JUDGE:
        return []
    limits = np.unique(np.quantile(totals, np.linspace(0, 1, FIFTHS + 1)))
    which = np.clip(np.searchsorted(limits, totals, side="right") - 1, 0, max(len(limits) - 2, 0))
    rows = []
    for part in range(max(len(limits) - 1, 1)):
        inside = which == part
        q = quantile(times[inside], 0.5)
        if q.estimable:
            rows.append((float(np.median(totals[inside])), q))
    if not rows:
        return []
    x, middle = [at for at, _ in rows], [q.estimate for _, q in rows]
    ends = {
        "type": "data",
        "symmetric": False,
        "array": [q.high - q.estimate for _, q in rows],
        "arrayminus": [q.estimate - q.low for _, q in rows],
        "color": LIGHT.ink,
        "thickness": 1.8,
        "width": 6,
    }
    # Dark on dark cells would not be seen without a light line below; points must not be hidden.
    light = {"mode": "lines", "line": {"color": LIGHT.paper, "width": 5}, "hoverinfo": "skip"}
    return [
        *([go.Scatter(x=x, y=middle, showlegend=False, **light)] if halo else []),
        go.Scatter(
            x=x,
            y=middle,
            mode="lines+markers",
            name="median of a fifth",
            error_y=ends,
            marker={
                "symbol": "diamond",
                "size": 9,
                "color": LIGHT.ink,
                "line": {"width": 1.2, "color": LIGHT.paper},
            },
            line={"color": LIGHT.ink, "width": 1.6},
            hovertemplate="median %{y:,.1f} ms<extra></extra>",
        ),
    ]


def _together(totals: Floats, times: Floats, currency: str) -> str:
    if len(totals) < FEWEST_TO_JUDGE:
        there = there_are(len(totals))
        return f"Too few to say: {FEWEST_TO_JUDGE} placed orders are needed, {there}."
    if len(np.unique(totals)) < 2:
        return f"Every cart has the same total, {totals[0]:,.2f} {clean(currency)}: nothing to see."
    # Its interval comes from a bootstrap: of very many orders some suffice.
    step = max(len(totals) // RESAMPLED_ORDERS, 1)
    found = effects.numeric_effect(
        effects.codes_of(totals[::step]),
        effects.codes_of(times[::step]),
        resamples=RESAMPLES,
        seed=SEED,
        level=0.95,
    )
    size = f"rank correlation {found.size:+.2f} ({found.low:+.2f} to {found.high:+.2f})"
    if found.low <= 0 <= found.high:
        return f"No sign of it: {size}."
    low, high = np.quantile(totals, [0.2, 0.8])
    small, big = np.median(times[totals <= low]), np.median(times[totals >= high])
    verb = "take longer" if found.size > 0 else "take less time"
    return (
        f"Bigger carts {verb}: median {ms(float(small))} in the cheapest fifth, {ms(float(big))} "
        f"in the dearest; {size}."
    )


def _left_out(others: int, currency: str) -> str:
    if not others:
        return ""
    return f" {count(others, 'placed order')} without a total in {clean(currency)} not drawn."


def _not_drawn(lost: pd.DataFrame, drawn: pd.DataFrame) -> str:
    if len(lost) == len(drawn):
        return ""
    return f" {count(len(lost), 'failure')} too many to draw here: see the heatmap."
