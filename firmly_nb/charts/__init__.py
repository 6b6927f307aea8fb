"""Every chart: takes tables, returns a Plotly figure that asks one question and answers it.

The title is the question, the line under it the computed answer, the line at the foot says how many
orders are in it and which are not. In a notebook a chart is drawn by Plotly and, where nobody else
does it, has a picture beside it; where neither can be shown its answer is there as text.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from firmly_nb.faces import show

if TYPE_CHECKING:
    from firmly_nb.charts.chart import Chart
    from firmly_nb.charts.compare import compare
    from firmly_nb.charts.distribution import ecdf, percentiles
    from firmly_nb.charts.funnel import funnel
    from firmly_nb.charts.groups import groups
    from firmly_nb.charts.orders import cart_total, heatmap, over_time
    from firmly_nb.charts.stages import ridge, stages
    from firmly_nb.charts.waterfall import waterfall

__all__ = [
    "Chart",
    "cart_total",
    "compare",
    "ecdf",
    "funnel",
    "groups",
    "heatmap",
    "over_time",
    "percentiles",
    "ridge",
    "stages",
    "waterfall",
]

show(
    __name__,
    {
        "chart": "Chart",
        "compare": "compare",
        "distribution": "ecdf percentiles",
        "funnel": "funnel",
        "groups": "groups",
        "orders": "cart_total heatmap over_time",
        "stages": "ridge stages",
        "waterfall": "waterfall",
    },
)
