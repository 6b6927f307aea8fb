"""What recordings say of their times: the figures of ``latency``, read from their tables.

A base class of ``Recordings``, so that the verbs stand where the tables are; each is a function of
``latency`` on DataFrames and can be had without recordings, too.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

    from firmly_nb.latency.compare import Comparison
    from firmly_nb.latency.run_drift import RunDrift
    from firmly_nb.latency.summary import LatencySummary
    from firmly_nb.recording.ends import Ends


class LatencyFace:
    """Figures over ``ends``."""

    @property
    def ends(self) -> Ends:
        """The tables that figures are made of."""
        raise NotImplementedError

    def latency(self, level: float = 0.95) -> LatencySummary:
        """Return how long each stage takes, how sure that is, and what to know about it.

        ``.table`` has the numbers (``LATENCY`` in docs/tables.md), ``.sentences`` what should be
        known before they are believed. A quantile that so few orders cannot tell is null.

        Parameters
        ----------
        level
            The intervals' level.

        Examples
        --------
        >>> from firmly_nb import Recordings
        >>> Recordings([]).latency()
        no orders
        """
        if level == 0.95:
            return self._latency
        from firmly_nb.latency.summary import summary

        return summary(self.ends.events, self.ends.stages, self.ends.orders, level)

    def outcomes(self) -> pd.DataFrame:
        """Return how orders ended, each share with its Wilson interval; see ``OUTCOMES``."""
        from firmly_nb.latency.outcomes import outcome_table

        return outcome_table(self.ends.orders)

    def funnel(self) -> pd.DataFrame:
        """Return how many orders reached each milestone, of those before it; see ``FUNNEL``."""
        from firmly_nb.latency.outcomes import funnel

        return funnel(self.ends.stages, self.ends.orders)

    def completion(self) -> pd.DataFrame:
        """Return which share of orders was placed within how long; see ``COMPLETION``."""
        from firmly_nb.latency.completion import completion_curve

        return completion_curve(self.ends.orders)

    def compare(self, other: Any, margin: float = 0.10, level: float = 0.98) -> Comparison:
        """Compare other recordings with these: a verdict on the order and on each stage.

        Parameters
        ----------
        other
            The recordings that are judged; these are what they are held against.
        margin
            The smallest change that matters, stated before looking: 0.10 for 10%.
        level
            How often all intervals hold together.
        """
        from firmly_nb.latency.compare import compare

        a, b = self.ends, getattr(other, "ends", other)
        return compare(a.stages, a.orders, b.stages, b.orders, margin, level)

    def drift(self, stage: str | None = None) -> RunDrift:
        """Say whether orders, or one stage of them, became slower or faster with time.

        Among eleven runs or more change points are looked for; within runs, a trend.

        Parameters
        ----------
        stage
            The stage that is looked at, such as ``"item-added"``; by default the whole order.
        """
        from firmly_nb.latency.run_drift import run_drift

        return run_drift(self.ends.stages, self.ends.orders, stage)

    @cached_property
    def _latency(self) -> LatencySummary:
        from firmly_nb.latency.summary import summary

        return summary(self.ends.events, self.ends.stages, self.ends.orders)
