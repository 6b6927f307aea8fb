"""What ``recs.latency()`` gives: outcomes, the table of the run, and what qualifies it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from firmly_nb.latency.columns import coded
from firmly_nb.latency.outcomes import outcome_table
from firmly_nb.latency.rules import sentences
from firmly_nb.latency.table import latency_table

if TYPE_CHECKING:
    import pandas as pd

DEFINITIONS = "1"  # raised when a figure's definition changes (docs/latency.md)
MOST_NAMED = 3


@dataclass(frozen=True, slots=True)
class LatencySummary:
    """How long orders took, how sure that is and what to know about it; it shows itself.

    Attributes
    ----------
    table
        ``LATENCY``: one row a stage, with quantiles and their intervals as numbers.
    outcomes
        ``OUTCOMES``: how the orders ended.
    sentences
        What should be known before the times are believed; empty where nothing is amiss.
    where
        Time window, environment and merchants, in words.
    level
        The intervals' level.
    by_run
        Whether intervals come from drawing whole runs again.
    definitions
        Version of the definitions of the figures.
    """

    table: pd.DataFrame
    outcomes: pd.DataFrame
    sentences: tuple[str, ...]
    where: str
    level: float
    by_run: bool
    definitions: str = DEFINITIONS

    def __repr__(self) -> str:
        from firmly_nb.latency.summary_display import summary_text

        return summary_text(self)

    def _repr_html_(self) -> str:
        from firmly_nb.latency.summary_display import summary_html

        return summary_html(self)


def summary(
    events: pd.DataFrame, stages: pd.DataFrame, orders: pd.DataFrame, level: float = 0.95
) -> LatencySummary:
    """Return the whole answer to "how long do orders take?".

    Parameters
    ----------
    events, stages, orders
        The tables of recordings, as ``latency_table`` and ``rules.sentences`` need them.
    level
        The intervals' level.
    """
    from firmly_nb.latency.runs import runs_of

    return LatencySummary(
        table=latency_table(events, stages, orders, level),
        outcomes=outcome_table(orders, level),
        sentences=tuple(sentences(events, stages, orders)),
        where=where(orders),
        level=level,
        by_run=runs_of(orders) is not None if len(orders) else False,
    )


def where(orders: pd.DataFrame) -> str:
    """Return when and where orders were placed, in words.

    Examples
    --------
    >>> import pandas as pd
    >>> times = pd.to_datetime(["2026-01-05 09:00", "2026-01-05 09:07"], utc=True)
    >>> where(pd.DataFrame({"started_at": times, "environment": "simulator", "domain": "a.test"}))
    '2026-01-05 09:00 to 09:07 UTC · simulator · a.test'
    """
    if not len(orders):
        return "no orders"
    first, last = orders["started_at"].min(), orders["started_at"].max()
    until = f"{last:%H:%M}" if last.date() == first.date() else f"{last:%Y-%m-%d %H:%M}"
    window = f"{first:%Y-%m-%d %H:%M} to {until} UTC"
    names = [_listed(coded(orders[name])[1], name) for name in ("environment", "domain")]
    return " · ".join([window, *names])


def _listed(names: list[str], kind: str) -> str:
    if len(names) > MOST_NAMED:
        return f"{len(names)} {kind}s"
    return ", ".join(sorted(names))
