"""Orders one by one or in cells: along the day, and by the totals of their carts."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import plotly.graph_objects as go  # type: ignore[import-untyped] # plotly has no types

from firmly_nb.api.money import format_minor, minor_digits, to_minor
from firmly_nb.carts.explain import explain
from firmly_nb.charts.chart import (
    DEFAULT_MEASURE,
    Chart,
    durations,
    excluded,
    failed,
    failure_heights,
    failure_points,
    make,
    measure_name,
    not_known,
    nothing,
    order_points,
    order_quantiles,
    placed,
    untimed,
)
from firmly_nb.charts.look import (
    COUNTS,
    LIGHT,
    MOST_POINTS,
    binned_words,
    edges,
    is_wide,
    log_axis,
    time_axis,
)
from firmly_nb.display.text import (
    as_plotly,
    count,
    duration,
    estimate,
    percent,
    short_name,
    there_are,
)
from firmly_nb.latency.quantiles import quantile
from firmly_nb.latency.runs import runs_of
from firmly_nb.latency.shares import wilson

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Nanoseconds = NDArray[np.int64]

# Runs that are hours apart would be thin strips on the clock; they are set side by side then, and
# the axis names their starts.


BUSY_SHARE = 0.35
MOST_TICKS = 7
LEAST_APART = 0.05  # of the axis: labels closer than this would lie over one another
DAY_NS = 86_400_000_000_000
LEAST_ROOM_NS = 1_000_000_000


@dataclass(frozen=True, slots=True, eq=False)
class Along:
    """An axis for the starts of orders.

    Attributes
    ----------
    starts_ns
        All starts, sorted, in Unix nanoseconds.
    side_by_side
        Whether orders stand one after another instead of on the clock.
    breaks_ns
        Starts of the runs, for the labels of the axis.
    """

    starts_ns: Nanoseconds
    side_by_side: bool
    breaks_ns: Nanoseconds

    def at(self, starts_ns: Nanoseconds) -> Any:
        """Return where orders stand: times as texts, or indices."""
        if not self.side_by_side:
            return texts(starts_ns)
        return np.searchsorted(self.starts_ns, starts_ns).astype(np.float64)

    def edges_ns(self, bins: int) -> Nanoseconds:
        """Return the edges of bins, equal on the axis."""
        first, last = int(self.starts_ns[0]), int(self.starts_ns[-1]) + 1
        if not self.side_by_side:
            return np.linspace(first, max(last, first + 10**9), bins + 1).astype(np.int64)
        indices = np.linspace(0, len(self.starts_ns) - 1, bins + 1).round().astype(int)
        return np.unique(np.append(self.starts_ns[indices[:-1]], last))

    def axis(self) -> dict[str, Any]:
        """Return the axis."""
        if not self.side_by_side:
            first, last = int(self.starts_ns[0]), int(self.starts_ns[-1])
            # Of one order, or of few at once, the axis must not count microseconds.
            room = max((last - first) // 50, LEAST_ROOM_NS)
            return {**clock(first, last), "range": texts(np.array([first - room, last + room]))}
        indices = np.searchsorted(self.starts_ns, self.breaks_ns)
        kept: list[int] = []
        for run, index in enumerate(indices.tolist()):
            apart = LEAST_APART * len(self.starts_ns)
            if not kept or index - int(indices[kept[-1]]) >= apart:
                kept.append(run)
        kept = kept[:: -(-len(kept) // MOST_TICKS)]
        labels = [self.label(int(self.breaks_ns[run])) for run in kept]
        return {
            "title": {"text": "orders one after another; a line begins a run, at its start (UTC)"},
            "tickvals": indices[kept].tolist(),
            "ticktext": [label.replace(" ", "<br>") for label in labels],
            "range": [-0.5, len(self.starts_ns) - 0.5],
        }

    def label(self, at_ns: int) -> str:
        """Write a time: with its day where there are several, with seconds where it is short."""
        whole = texts(np.array([at_ns]))[0]
        span = int(self.starts_ns[-1] - self.starts_ns[0])
        day = f"{whole[:10]} " if span > DAY_NS else ""
        return day + (whole[11:16] if span > DAY_NS // 4 else whole[11:19])


def clock(first_ns: int, last_ns: int) -> dict[str, Any]:
    """Return an axis on the clock: the title has the day, so that labels are short."""
    first, last = (text[:10] for text in texts(np.array([first_ns, last_ns])))
    day, hours = (first, "%H:%M") if first == last else (f"{first} to {last}", "%H:%M<br>%b %-d")
    # The shortest and the longest step in ms, and how its labels look.
    looks = {
        (None, 999): "%H:%M:%S.%2f",
        (1_000, 59_999): "%H:%M:%S",
        (60_000, 3_599_999): "%H:%M",
        (3_600_000, 86_399_999): hours,
        (86_400_000, None): "%b %-d",
    }
    return {
        "title": {"text": f"start of the order (UTC), {day}"},
        "type": "date",
        "tickformatstops": [
            {"dtickrange": [*steps], "value": look} for steps, look in looks.items()
        ],
        "hoverformat": "%Y-%m-%d %H:%M:%S.%3f",
    }


def along(orders: pd.DataFrame) -> Along:
    """Choose the axis for orders; there must be one at least."""
    starts = nanoseconds(orders)
    runs = runs_of(orders)
    if runs is None:
        return Along(np.sort(starts), side_by_side=False, breaks_ns=np.sort(starts)[:1])
    parts = [starts[runs.codes == code] for code in range(len(runs.names))]
    busy = sum(int(part.max() - part.min()) for part in parts)
    whole = max(int(starts.max() - starts.min()), 1)
    begins = np.sort(np.array([part.min() for part in parts]))
    return Along(np.sort(starts), busy / whole < BUSY_SHARE, begins)


def nanoseconds(orders: pd.DataFrame) -> Nanoseconds:
    """Return the starts as Unix nanoseconds."""
    return orders["started_at"].to_numpy("datetime64[ns]").astype(np.int64)


def texts(at_ns: Nanoseconds) -> list[str]:
    """Write times as Plotly reads them; without a zone, since it would shift them."""
    return [str(text) for text in np.datetime_as_string(at_ns.astype("datetime64[ns]"), unit="ms")]


def cells(found: Floats, x: Any, y: Any, *, scale: bool = False, hover: str = "") -> Any:
    """Draw counts; empty cells stay empty.

    Parameters
    ----------
    found
        How many, by column and row.
    x, y
        The edges of the cells.
    scale
        Whether a bar beside them says which colour is how many.
    hover
        What hovering tells after the count and the time.
    """
    filled = np.where(found.T > 0, found.T, np.nan)
    most = max(float(found.max()), 1.0)
    ticks = sorted({1, *(round(most / 10**step) for step in (0, 1, 2) if most >= 10**step)})
    bar = {"title": {"text": "orders", "side": "top"}, "thickness": 12, "outlinewidth": 0}
    bar |= {"len": 0.84, "y": 0, "yanchor": "bottom"}
    return go.Heatmap(
        x=x,
        y=y,
        # Counts span decades; a cell with one order must still be seen.
        z=np.log10(filled).astype(np.float32),
        customdata=filled.astype(np.float32),
        zmin=-0.05,
        zmax=max(math.log10(most), 0.3),
        colorscale=[[at / (len(COUNTS) - 1), colour] for at, colour in enumerate(COUNTS)],
        showscale=scale,
        showlegend=False,
        colorbar={**bar, "tickvals": np.log10(ticks), "ticktext": [count(t) for t in ticks]},
        hovertemplate=f"orders: %{{customdata:,d}}, of about %{{y:,.3~r}} ms{hover}<extra></extra>",
        name="",
    )


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
    orders, unplaced = _with_start(orders)
    through = placed(orders, measure)
    if through.empty:
        return _undrawn(question, orders, measure, unplaced)
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
        caption=f"{excluded(orders)}{unplaced}{_how_failures_look(lost, many=many)}"
        f"{_steps(orders, parts, measure) if medians else ''}"
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
    orders, unplaced = _with_start(orders)
    through, lost = placed(orders, measure), failed(orders)
    if through.empty:
        return _undrawn(question, orders, measure, unplaced)
    where = along(orders)
    counts, strip = _binned(through, lost, measure, where, scale=True)
    return make(
        [counts, strip],
        question=question,
        sentence=_slowest_stretch(through, measure, where),
        caption=f"{excluded(orders)}{unplaced} Cell: number of placed orders that started then "
        f"and took so long; strip above: failed and cancelled orders.",
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


def _with_start(orders: pd.DataFrame) -> tuple[pd.DataFrame, str]:
    """Return the orders whose start is known, and words for the others."""
    known = orders["started_at"].notna()
    left_out = int((~known).sum())
    if not left_out:
        return orders, ""
    return orders[known], f" Start not known, so not drawn: {count(left_out, 'order')}."


def _undrawn(question: str, orders: pd.DataFrame, measure: str, unplaced: str) -> Chart:
    if unplaced and orders.empty:
        return nothing(question, "No order has a known start.")
    return untimed(question, orders, measure)


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
        q = order_quantiles(part, (0.5,), measure)[0]
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
        hovertext=durations(middle),
        hovertemplate="median %{hovertext}<extra></extra>",
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


def _steps(orders: pd.DataFrame, parts: list[pd.DataFrame], measure: str) -> str:
    what = "run" if runs_of(orders) is not None else "quarter"
    drawn = parts[:MOST_RUNS_DRAWN]
    missing = sum(not order_quantiles(part, (0.5,), measure)[0].estimable for part in drawn)
    said = f" Steps: median of each {what} with its 95% interval, for that {what} only."
    return f"{said} Without an interval: {count(missing, what)}." if missing else said


def _drift(parts: list[pd.DataFrame], measure: str, *, has_runs: bool) -> str:
    found = [order_quantiles(part, (0.5,), measure)[0] for part in parts]
    known = [at for at, q in enumerate(found) if q.estimable]
    what = "run" if has_runs else "quarter"
    if len(known) < 2:
        n = len(placed(parts[0], measure)) if len(parts) == 1 else 0
        return (
            f"Too few to compare: {count(n, 'placed order')} in one stretch of time."
            if n
            else f"Too few to compare: a {what} needs 6 placed orders for its median."
        )
    names = {0: f"the first {what}", len(parts) - 1: "the last"}
    begin, end = (
        names.get(at, f"{what} {at + 1} of {len(parts)}") for at in known[:: len(known) - 1]
    )
    first, last = found[known[0]], found[known[-1]]
    apart = last.low > first.high or last.high < first.low
    change = last.estimate / first.estimate - 1
    word = "slower" if change > 0 else "faster"
    said = (
        f"The median went from {estimate(first.estimate, first.low, first.high)} in {begin} to "
        f"{estimate(last.estimate, last.low, last.high)} in {end}"
    )
    return f"{said}: {percent(abs(change))} {word}." if apart else f"{said}: no clear change."


def _slowest_stretch(through: pd.DataFrame, measure: str, where: Along) -> str:
    """Return when the share of slow orders was largest, if chance alone does not explain it."""
    tail = quantile(through[measure], 0.9)  # only divides the orders; no interval is told
    if not tail.estimable:
        return f"Too few to say: {not_known(tail)}."
    slow = (through[measure] > tail.estimate).to_numpy(bool)
    at = nanoseconds(through)
    # Coarser than the cells: a stretch must hold enough orders to be told from chance.
    begins = where.edges_ns(max(min(len(at) // STRETCH_ORDERS, MOST_STRETCHES), 1))
    total = np.maximum(np.histogram(at, begins)[0], 1)
    found = np.histogram(at[slow], begins)[0]
    # Many stretches are looked at: the interval allows for their number (Bonferroni).
    low = wilson(found, total, 1 - 0.05 / len(total))[0]
    top = int(np.argmax(low))
    slowness = f"longer than the overall p90 ({duration(tail.estimate)})"
    if low[top] <= 0.1:
        return f"No stretch of time stands out: in none clearly more than 10% took {slowness}."
    begin, end = (where.label(int(edge)) for edge in begins[[top, top + 1]])
    rest = (found.sum() - found[top]) / max(total.sum() - total[top], 1)
    return (
        f"From {begin} to {end} {percent(found[top] / total[top])} of "
        f"{count(int(total[top]), 'order')} took {slowness}; at other times {percent(rest)}."
    )


FEWEST_TO_JUDGE, FIFTHS = 20, 5
BINS = 60
MOST_TICKS_OF_CARTS = 4
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
        traces = [_binned_totals(totals, times)]
    else:
        traces = order_points(through, measure, lambda part: _totals(part, currency))
    drawn_lost = lost if len(lost) <= MOST_POINTS // 4 else lost.iloc[:0]
    heights, lost_totals = failure_heights(drawn_lost, times), _totals(drawn_lost, currency)
    traces += failure_points(
        drawn_lost, lost_totals.tolist(), heights.tolist(), "time to the failure"
    )
    medians = _fifths(through, totals, measure, halo=many)
    traces += medians
    others = len(placed(orders, measure)) - len(through)
    return make(
        traces,
        question=question,
        sentence=_together(through, totals, measure, currency),
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
    title = f"cart total, {as_plotly(currency)}"
    if _is_log(totals):
        return log_axis(totals, title, room=1.1)
    # No cart costs less than nothing, and of few totals each is a tick.
    low, high = float(totals.min()), float(totals.max())
    room = 0.05 * ((high - low) or high or 1.0)
    axis = {
        "title": {"text": title},
        "tickformat": ",~f",
        "range": [max(low - room, 0), high + room],
    }
    known = np.unique(totals)
    return {**axis, "tickvals": known.tolist()} if len(known) <= MOST_TICKS_OF_CARTS else axis


def _binned_totals(totals: Floats, times: Floats) -> Any:
    x = edges(totals, BINS) if _is_log(totals) else np.histogram_bin_edges(totals, BINS)
    y = edges(times, BINS)
    return cells(np.histogram2d(totals, times, [x, y])[0], x, y)


def _fifths(through: pd.DataFrame, totals: Floats, measure: str, *, halo: bool) -> list[Any]:
    """Draw the median time of each fifth of the carts, where orders suffice for its interval.

    It stands at the total of a cart that exists, and no line leads over totals that none has.
    """
    if len(totals) < FEWEST_TO_JUDGE:
        return []
    limits = np.unique(np.quantile(totals, np.linspace(0, 1, FIFTHS + 1)))
    which = np.clip(np.searchsorted(limits, totals, side="right") - 1, 0, max(len(limits) - 2, 0))
    rows = []
    for part in range(max(len(limits) - 1, 1)):
        inside = which == part
        q = order_quantiles(through[inside], (0.5,), measure)[0]
        if q.estimable:
            rows.append((float(np.quantile(totals[inside], 0.5, method="lower")), q))
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
    # Dark on dark cells would not be seen without light below; points must not be hidden.
    light = {"mode": "markers", "marker": {"size": 15, "symbol": "diamond", "color": LIGHT.paper}}
    return [
        *([go.Scatter(x=x, y=middle, showlegend=False, hoverinfo="skip", **light)] if halo else []),
        go.Scatter(
            x=x,
            y=middle,
            mode="markers",
            name="median of a fifth",
            error_y=ends,
            marker={
                "symbol": "diamond",
                "size": 9,
                "color": LIGHT.ink,
                "line": {"width": 1.2, "color": LIGHT.paper},
            },
            hovertext=durations(middle),
            hovertemplate="median %{hovertext}<extra></extra>",
        ),
    ]


def _together(through: pd.DataFrame, totals: Floats, measure: str, currency: str) -> str:
    if len(totals) < FEWEST_TO_JUDGE:
        there = there_are(len(totals))
        return f"Too few to say: {FEWEST_TO_JUDGE} placed orders are needed, {there}."
    if len(np.unique(totals)) < 2:
        same = format_minor(to_minor(float(totals[0]), currency), currency)
        total = f"{same} {short_name(currency)}"
        return f"Every placed order has the same total, {total}: nothing to see."
    times = through[measure].to_numpy(np.float64)
    known = [name for name in ("run_id", "started_at") if name in through]
    orders = through[known].assign(total=totals, _time_ms=times)
    orders = orders.sort_values("started_at", kind="stable") if "started_at" in known else orders
    # Its interval comes from a bootstrap: of very many orders some suffice.
    orders = orders.iloc[:: max(len(totals) // RESAMPLED_ORDERS, 1)]
    [found] = explain(
        orders, "_time_ms", ["total"], resamples=RESAMPLES, level=0.95, seed=SEED
    ).to_dict("records")
    if math.isnan(found["effect"]):
        return str(found["sentence"])
    size = f"rank correlation {found['effect']:+.2f} ({found['low']:+.2f} to {found['high']:+.2f})"
    if found["p_value"] > 0.05 or found["low"] <= 0 <= found["high"]:
        return f"No sign of it: {size}."
    low, high = np.quantile(totals, [0.2, 0.8])
    small, big = np.median(times[totals <= low]), np.median(times[totals >= high])
    verb = "take longer" if found["effect"] > 0 else "take less time"
    return (
        f"Bigger carts {verb}: median {duration(float(small))} in the cheapest fifth, "
        f"{duration(float(big))} in the dearest; {size}."
    )


def _left_out(others: int, currency: str) -> str:
    if not others:
        return ""
    return f" {count(others, 'placed order')} without a total in {short_name(currency)} not drawn."


def _not_drawn(lost: pd.DataFrame, drawn: pd.DataFrame) -> str:
    if len(lost) == len(drawn):
        return ""
    return f" {count(len(lost), 'failure')} too many to draw here: see the heatmap."
