"""What a sweep panel says of a sweep: counts, what is left, percentiles, the latest orders."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from firmly_nb.api.models import Order
from firmly_nb.outcomes import NOT_SENT, PLACED, ROWS, outcome
from firmly_nb.recording.words import milliseconds
from firmly_nb.sweep.bar import ended
from firmly_nb.sweep.budget import money_text
from firmly_nb.sweep.plan import Variant

if TYPE_CHECKING:
    from collections.abc import Iterable

    from firmly_nb.environments import Environment
    from firmly_nb.latency.quantiles import Quantile
    from firmly_nb.sweep.handle import Sweep
    from firmly_nb.sweep.progress import Point, Progress

PERCENTILES = (0.5, 0.9, 0.95)
SHOWN_POINTS = 300
LONGEST = 300
IDLE: dict[str, Any] = {
    "state": "idle",
    "headline": "",
    "ended": 0,
    "planned": None,
    "outcomes": [],
    "facts": [],
    "message": "",
    "percentiles": [],
    "run_id": "",
    "can_resume": False,
}


def sweep_words(sweep: Sweep) -> dict[str, Any]:
    """Return what is shown of a sweep now."""
    progress = sweep.progress
    return {
        "state": progress.state,
        "headline": headline(progress),
        "ended": ended(progress),
        "planned": progress.planned,
        "outcomes": outcome_words(progress),
        "facts": facts(progress),
        "message": _clipped(_message(sweep)),
        "percentiles": percentile_words(sweep.latencies_ms),
        "run_id": sweep.run_id,
        "can_resume": progress.state == "stopped" and progress.left != 0,
    }


def headline(progress: Progress) -> str:
    """Say in one line how far it is.

    Examples
    --------
    >>> from firmly_nb.sweep.progress import Progress
    >>> headline(Progress("running", 20, started=7, running=2, finished=5))
    'Running: 5 of 20 orders ended, 2 in flight, 13 left to start'
    """
    of = f" of {progress.planned:,}" if progress.planned is not None else ""
    parts = [f"{ended(progress):,}{of} orders ended"]
    if progress.running:
        parts.append(f"{progress.running:,} in flight")
    if progress.left:
        parts.append(f"{progress.left:,} {_not_started(progress)}")
    return f"{progress.state.capitalize()}: {', '.join(parts)}"


def _not_started(progress: Progress) -> str:
    return "not started" if progress.state == "stopped" else "left to start"


def outcome_words(progress: Progress) -> list[dict[str, Any]]:
    """Return each outcome with its mark and how often it was, the placed ones first."""
    counts = sorted(progress.outcomes.items(), key=lambda item: (item[0] != PLACED, -item[1]))
    rows = [(outcome(name), n) for name, n in counts]
    rows += [(NOT_SENT, progress.not_started)] if progress.not_started else []
    return [
        {"outcome": row.name, "words": row.word, "mark": row.mark, "tone": row.tone, "n": n}
        for row, n in rows
    ]


def looks() -> dict[str, dict[str, str]]:
    """Return how each outcome is called and looks, for the page's chart."""
    return {name: {"words": row.word, "tone": row.tone} for name, row in ROWS.items()}


def facts(progress: Progress) -> list[tuple[str, str]]:
    """Return what else is known: for how long, how late, for how much."""
    rows = [("time", f"{progress.elapsed_s:,.0f} s")] if progress.elapsed_s >= 1 else []
    lags = [point.schedule_lag_ms for point in progress.latest if point.schedule_lag_ms is not None]
    if lags:
        rows.append(("latest starts late by at most", f"{milliseconds(max(lags))} ms"))
    ordered = [money_text(minor, currency) for currency, minor in progress.spent_minor.items()]
    if ordered:
        rows.append(("ordered for", " + ".join(ordered)))
    return rows


def percentile_words(latencies_ms: list[float]) -> list[dict[str, Any]]:
    """Return each percentile of ``time_to_order_placed`` with its interval, or why there is none.

    Examples
    --------
    >>> percentile_words([500.0, 510.0])[0]["text"]
    'not estimable: needs 6 placed orders, there are 2'
    """
    from firmly_nb.latency.quantiles import quantiles

    return [percentile_row(found) for found in quantiles(latencies_ms, PERCENTILES)]


def percentile_row(found: Quantile) -> dict[str, Any]:
    """Return one percentile in words."""
    if found.estimable:
        between = f"{milliseconds(found.low, 0)} to {milliseconds(found.high, 0)}"
        text = f"{milliseconds(found.estimate, 0)} ms (95%: {between})"
    else:
        least = f"at least {milliseconds(found.low, 0)} ms; " if math.isfinite(found.low) else ""
        needs = f"needs {found.needed:,} placed orders, there are {found.n:,}"
        text = f"{least}not estimable: {needs}"
    return {"name": found.name, "text": text, "estimable": found.estimable}


def points(latest: Iterable[Point]) -> list[list[Any]]:
    """Return the latest orders for the chart: start in s, time in ms, outcome."""
    kept = list(latest)[-SHOWN_POINTS:]
    return [[round(p.started_s, 2), round(p.latency_ms, 1), p.outcome] for p in kept]


def orders_words(orders: Any) -> str:
    """Say what is going to be ordered."""
    if isinstance(orders, Order):
        items = ", ".join(f"{item.quantity} x {item.variant_id}" for item in orders.items)
        return _clipped(f"{items} at {orders.domain}")
    if isinstance(orders, Variant):
        return orders_words(orders.order)
    if hasattr(orders, "axes"):
        axes = "; ".join(f"{name}: {', '.join(labels)}" for name, labels in orders.axes.items())
        return _clipped(f"{len(orders)} variants, interleaved ({axes})")
    if isinstance(orders, list | tuple):
        return f"{len(orders)} orders in turn" if len(orders) != 1 else orders_words(orders[0])
    return "orders from a generator"


def place_name(environment: Environment) -> dict[str, str]:
    """Return where it orders, for the strip on top."""
    labels = {"simulator": "SIMULATOR", "staging": "STAGING", "custom": "CUSTOM"}
    return {"name": environment.name, "label": labels[environment.name]}


def _message(sweep: Sweep) -> str:
    progress = sweep.progress
    if sweep.error is not None:
        return f"{type(sweep.error).__name__}: {sweep.error}"
    if progress.message:
        return progress.message
    problems = sweep.problems
    if problems:
        return f"order {problems[-1].number} was not sent: {problems[-1].error}"
    return "; ".join(progress.notes)


def _clipped(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"
