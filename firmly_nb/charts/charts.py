"""``recs.charts``: every chart of many orders, by name. Plotly is loaded when one is made."""

from __future__ import annotations

import inspect
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from firmly_nb.charts.chart import Chart, Orders


MEASURE = "time_to_order_placed_ms"


class Charts:
    """The charts of some orders; each answers one question."""

    def __init__(self, recordings: Orders) -> None:
        self._recordings = recordings

    def waterfall(self, *, align: str = "start", most: int = 40) -> Chart:
        """Where do slow orders spend their time? Orders under one another, stages as bars."""
        from firmly_nb import charts

        return charts.waterfall(
            self._recordings.stages, self._recordings.orders, align=align, most=most
        )

    def ecdf(self, *, measure: str = MEASURE, by_merchant: bool = False) -> Chart:
        """How long does an order take? The share of orders that are through after each time."""
        from firmly_nb import charts

        return charts.ecdf(self._recordings.orders, measure=measure, by_merchant=by_merchant)

    def percentiles(self, *, measure: str = MEASURE) -> Chart:
        """How bad is the tail? Times by percentile, each further nine with room of its own."""
        from firmly_nb import charts

        return charts.percentiles(self._recordings.orders, measure=measure)

    def stages(self) -> Chart:
        """Which stage takes the time? Each stage's median and p95 with their intervals."""
        from firmly_nb import charts

        recs = self._recordings
        return charts.stages(recs.event_times, recs.stages, recs.orders)

    def ridge(self) -> Chart:
        """How much does each stage vary? The spread of each stage's time, one above the other."""
        from firmly_nb import charts

        return charts.ridge(self._recordings.stages, self._recordings.orders)

    def over_time(self, *, measure: str = MEASURE) -> Chart:
        """Is latency steady while orders are placed? Each order, failures, medians of runs."""
        from firmly_nb import charts

        return charts.over_time(self._recordings.orders, measure=measure)

    def heatmap(self, *, measure: str = MEASURE) -> Chart:
        """When were orders slow? How many orders took how long, and when."""
        from firmly_nb import charts

        return charts.heatmap(self._recordings.orders, measure=measure)

    def compare(
        self, other: Orders, *, margin: float = 0.10, names: tuple[str, str] = ("A", "B")
    ) -> Chart:
        """Are the other orders (B) slower than these (A)? Both curves, and the shift between."""
        from firmly_nb import charts

        recs = self._recordings
        return charts.compare(
            recs.stages, recs.orders, other.stages, other.orders, margin=margin, names=names
        )

    def funnel(self) -> Chart:
        """Where are orders lost? How many reached each milestone, and what ended the others."""
        from firmly_nb import charts

        return charts.funnel(self._recordings.stages, self._recordings.orders)

    def cart_total(self, *, measure: str = MEASURE) -> Chart:
        """Do bigger carts take longer? Each order by the total of its cart and its time."""
        from firmly_nb import charts

        return charts.cart_total(self._recordings.orders, measure=measure)

    def __repr__(self) -> str:
        calls = _calls()
        width = max(map(len, calls))
        return "\n".join(f".{call:{width}}  {said}" for call, said in calls.items())

    def _repr_html_(self) -> str:
        rows = "".join(
            f'<tr style="background:none"><td style="text-align:left"><code>.{escape(call)}</code>'
            f'</td><td style="text-align:left">{escape(said)}</td></tr>'
            for call, said in _calls().items()
        )
        return f'<table style="border:none">{rows}</table>'


class ChartsFace:
    """The charts of ``Recordings``; a base class beside ``CartFace``."""

    @property
    def charts(self) -> Charts:
        """Every chart by name; shown by itself it lists what there is."""
        # The tables are declared where this is mixed in.
        return Charts(self)  # type: ignore[arg-type]


def _calls() -> dict[str, str]:
    found = {}
    for name, function in vars(Charts).items():
        if name.startswith("_"):
            continue
        names = [n for n in inspect.signature(function).parameters if n != "self"]
        question = (inspect.getdoc(function) or "").splitlines()[0]
        found[f"{name}({', '.join(names)})"] = question
    return found
