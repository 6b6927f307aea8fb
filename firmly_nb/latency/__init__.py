"""Statistics of the times. Everything here reads tables and knows neither network nor widgets.

- ``stages``: :func:`stages`: how long each step of each order took; ``STAGES`` declares the table;
- ``caveats``: :func:`claims` (a :class:`Claims`): what recordings cannot say; ``CAVEATS``;
- ``quantiles``: :func:`quantile`, :func:`quantiles`, :func:`ecdf`: with exact intervals;
- ``summary``: :func:`summary`, its :func:`latency_table` and :func:`sentences`;
- ``shares``: :func:`outcome_table`, :func:`funnel`, :func:`completion_curve`,
  :func:`success_rate`: of how many;
- ``targets``: :func:`attainment` (an :class:`Attainment`), :func:`slo_attainment`,
  :func:`good_fraction`, :func:`throughput`, :func:`goodput`: in time, and in how much time;
- ``groups``: :class:`GroupedLatency`, the answer of ``recs.by(...)``: which group is slowest;
- ``gate``: :func:`gate` (a :class:`Gate`): may new runs pass?
- ``compare`` and what it rests on: :func:`compare`, :func:`ratio`, :func:`shift_function`: is B
  slower?
- ``planning``: :class:`StudyPlan`: how many orders would tell? ``NEEDS``; ``looks``: what is seen
  before a study has ended, ``LOOKS``;
- ``drift``, ``modes``: :func:`change_points`, :func:`run_drift`, :func:`drift_within`,
  :func:`two_modes`: did it change, and are there two kinds of orders?
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from firmly_nb.faces import show

if TYPE_CHECKING:
    from firmly_nb.latency.caveats import CAVEATS, Claims, claims
    from firmly_nb.latency.compare import Comparison, compare
    from firmly_nb.latency.drift import (
        Changes,
        Drift,
        RunDrift,
        change_points,
        drift_within,
        run_drift,
    )
    from firmly_nb.latency.effect import Interval, ratio, shift_function
    from firmly_nb.latency.gate import Gate, gate
    from firmly_nb.latency.groups import GroupedLatency
    from firmly_nb.latency.looks import LOOKS
    from firmly_nb.latency.modes import Modes, two_modes
    from firmly_nb.latency.planning import NEEDS, StudyPlan
    from firmly_nb.latency.quantiles import Quantile, ecdf, quantile, quantiles
    from firmly_nb.latency.shares import (
        Share,
        completion_curve,
        funnel,
        outcome_table,
        share,
        success_rate,
    )
    from firmly_nb.latency.stages import STAGES, stages
    from firmly_nb.latency.summary import LatencySummary, latency_table, sentences, summary
    from firmly_nb.latency.targets import (
        Attainment,
        GroupedAttainment,
        attainment,
        concurrency,
        good_fraction,
        goodput,
        slo_attainment,
        throughput,
    )

__all__ = [
    "CAVEATS",
    "LOOKS",
    "NEEDS",
    "STAGES",
    "Attainment",
    "Changes",
    "Claims",
    "Comparison",
    "Drift",
    "Gate",
    "GroupedAttainment",
    "GroupedLatency",
    "Interval",
    "LatencySummary",
    "Modes",
    "Quantile",
    "RunDrift",
    "Share",
    "StudyPlan",
    "attainment",
    "change_points",
    "claims",
    "compare",
    "completion_curve",
    "concurrency",
    "drift_within",
    "ecdf",
    "funnel",
    "gate",
    "good_fraction",
    "goodput",
    "latency_table",
    "outcome_table",
    "quantile",
    "quantiles",
    "ratio",
    "run_drift",
    "sentences",
    "share",
    "shift_function",
    "slo_attainment",
    "stages",
    "success_rate",
    "summary",
    "throughput",
    "two_modes",
]

show(
    __name__,
    {
        "caveats": "CAVEATS Claims claims",
        "compare": "Comparison compare",
        "drift": "Changes Drift RunDrift change_points drift_within run_drift",
        "gate": "Gate gate",
        "effect": "Interval ratio shift_function",
        "looks": "LOOKS",
        "modes": "Modes two_modes",
        "planning": "NEEDS StudyPlan",
        "quantiles": "Quantile ecdf quantile quantiles",
        "groups": "GroupedLatency",
        "shares": "Share completion_curve funnel outcome_table share success_rate",
        "stages": "STAGES stages",
        "summary": "LatencySummary latency_table sentences summary",
        "targets": (
            "attainment Attainment GroupedAttainment concurrency good_fraction goodput "
            "slo_attainment throughput"
        ),
    },
)
