"""How recordings show themselves: as text in a terminal, as HTML in a notebook.

The HTML is a table with bars made of plain elements: no script, no style sheet, no image, so that
it survives untrusted notebooks, code hosts and exports. Colours come from JupyterLab's theme where
there is one. Everything that a server sent is escaped.
"""

from __future__ import annotations

import inspect
import math
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any, Protocol

from firmly_nb.api.money import format_minor
from firmly_nb.display.html import FONT, NUMBER, QUIET
from firmly_nb.display.text import milliseconds, printable
from firmly_nb.outcomes import (
    ANSWERED,
    ANSWERS,
    PLACED,
    TONES,
    UNKNOWN,
    YES,
    began,
    look_of_stage,
    outcome,
    word,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pandas as pd

    from firmly_nb.api.errors import FirmlyError
    from firmly_nb.charts.chart import Chart, Orders
    from firmly_nb.latency.summary import LatencySummary


class OneShown(Protocol):
    """What is shown of one recording."""

    warnings: list[str]
    cut_off: bool

    @property
    def domain(self) -> str: ...  # noqa: D102 - as in Recording
    @property
    def environment(self) -> str: ...  # noqa: D102 - the same
    @property
    def outcome(self) -> str: ...  # noqa: D102 - the same
    @property
    def order_exists(self) -> str: ...  # noqa: D102 - the same
    @property
    def order_number(self) -> str | None: ...  # noqa: D102 - the same
    @property
    def timeout_s(self) -> float: ...  # noqa: D102 - the same
    @property
    def sse(self) -> bool: ...  # noqa: D102 - the same
    @property
    def error(self) -> FirmlyError | None: ...  # noqa: D102 - the same
    @property
    def events(self) -> pd.DataFrame: ...  # noqa: D102 - the same
    @property
    def orders(self) -> pd.DataFrame: ...  # noqa: D102 - the same
    @property
    def stages(self) -> pd.DataFrame: ...  # noqa: D102 - the same
    def summary(self) -> dict[str, Any]: ...  # noqa: D102 - the same


class ManyShown(Protocol):
    """What is shown of many recordings."""

    @property
    def warnings(self) -> list[str]: ...  # noqa: D102 - as in Recordings
    @property
    def orders(self) -> pd.DataFrame: ...  # noqa: D102 - the same
    def latency(self) -> LatencySummary: ...  # noqa: D102 - the same
    def __len__(self) -> int: ...
    def __iter__(self) -> Iterator[OneShown]: ...


@dataclass(frozen=True, slots=True)
class Shown:
    """Something to look at: text in a terminal, HTML in a notebook."""

    text: str
    html: str

    def __repr__(self) -> str:
        return self.text

    def _repr_html_(self) -> str:
        return self.html


# How an order ended, in words that a person can act on.


def verdict(rec: OneShown) -> str:
    """Return one sentence or two: how it ended, after what, and whether something was ordered."""
    row = rec.summary()
    exists, status, error = row["order_exists"], row["http_status"], rec.error
    code = error.error if error else ""
    after = f" after {printable(row['last_milestone'])}" if row["last_milestone"] else ""
    number = row["order_number"]
    text = outcome(rec.outcome).sentence.format(
        at=f"{milliseconds(row['order_latency_ms'], 0)} ms",
        after=after,
        began=began(rec.outcome, exists, code, status),
        code=printable(code),
        ended=_ended(rec, after),
        limit=f"{rec.timeout_s:g} s",
        named="" if not code or code.startswith("HTTP ") else f" ({printable(code)})",
        order="success without an order number" if number is None else f"order {printable(number)}",
        status=status,
        total=_total(row),
    )
    detail = _detail(error) if rec.outcome in {*ANSWERED, "transport_error"} else ""
    return " ".join(filter(None, [text, existence(rec, 'lab.cart("{domain}")'), detail]))


def outcome_word(rec: OneShown) -> str:
    """Return how an order ended, in a word or two."""
    return word(rec.outcome, rec.order_exists, rec.error.error if rec.error else None)


def existence(rec: OneShown, how: str) -> str:
    """Say whether there is an order, unless that was said: a placed one with a number exists.

    Parameters
    ----------
    rec
        The recording.
    how
        What tells, where it is not known; ``{domain}`` is the merchant.
    """
    if rec.order_exists == YES and rec.outcome == PLACED:
        return ""
    return ANSWERS[rec.order_exists].sentence.format(
        number=printable(rec.order_number or ""), how=how.replace("{domain}", rec.domain)
    )


def _ended(rec: OneShown, after: str) -> str:
    """Say how an order came to no end."""
    if rec.cut_off:
        return f"the recording was cut off{after or ' before any event'}"
    if not rec.sse:
        return "the answer has no order number"
    return f"the stream ended{after or ' before any event'}"


def precision(rec: OneShown) -> str:
    """Return how far off the times can be, and by which clock."""
    events = rec.events
    if not len(events):
        return "no events"
    worst_ms = float(events["uncertainty_us"].max()) / 1000
    clocks = " and ".join(sorted(set(events["clock"])))
    bound = "0.1" if worst_ms <= 0.1 else f"{worst_ms:.1f}"
    return f"times within {bound} ms, {clocks} clock"


def _detail(error: Exception | None) -> str:
    text = printable(getattr(error, "description", ""))
    advice = getattr(error, "advice", "")
    sentence = f"{text[:1].upper()}{text[1:]}." if text and not text.endswith(".") else text
    return f"{sentence} {advice}".strip()


def _total(row: dict[str, Any]) -> str:
    if row["total_minor"] is None:
        return ""
    currency = printable(row["currency"])
    return f", {format_minor(row['total_minor'], currency)} {currency}"


TEXT_BAR_WIDTH = 40
LONGEST_NAME = 60  # of a stage, in characters
MOST_LISTED = 10  # orders; more are told by their statistics


class Waterfall:
    """The stages of one order as bars on the time since the request."""

    def __init__(self, recording: OneShown) -> None:
        self.recording = recording

    def __repr__(self) -> str:
        return waterfall_text(self.recording)

    def _repr_html_(self) -> str:
        return waterfall_html(self.recording)


def waterfall_text(rec: OneShown) -> str:
    """Draw the stages with block characters, one line each."""
    rows = _bars(rec)
    width = max((len(row["stage"]) for row in rows), default=0)
    lines = [f"  {'':{width}}  {'ms':>10}"]
    for row in rows:
        begin = round(row["left"] * TEXT_BAR_WIDTH)
        bar = "▇" * max(round(row["share"] * TEXT_BAR_WIDTH), 1 if row["reached"] else 0)
        lines.append(f"  {row['stage']:{width}}  {row['ms']:>10}  {' ' * begin}{bar}".rstrip())
    return "\n".join(lines)


def recording_text(rec: OneShown) -> str:
    """Return the headline, the stages and what else is to be said."""
    head = f"{outcome(rec.outcome).mark} {verdict(rec)}"
    where = f"  {rec.domain} · {rec.environment} · {precision(rec)}"
    notes = [f"  ! {printable(warning)}" for warning in rec.warnings]
    return "\n".join([head, where, *([waterfall_text(rec)] if len(rec.events) else []), *notes])


def recording_html(rec: OneShown) -> str:
    """Return the headline, the waterfall and what else is to be said."""
    row = outcome(rec.outcome)
    first, _, rest = verdict(rec).partition(" ")
    head = (
        f'<span style="color:{row.colour};font-weight:600">{row.mark} {escape(first)}</span> '
        f"{escape(rest)}"
    )
    where = f"{escape(rec.domain)} · {escape(rec.environment)} · {escape(precision(rec))}"
    warn = TONES["warn"].light
    notes = "".join(
        f'<div style="color:{warn}">! {escape(warning)}</div>' for warning in rec.warnings
    )
    bars = waterfall_html(rec) if len(rec.events) else ""
    return (
        f'<div style="{FONT}max-width:900px"><div>{head}</div>'
        f'<div style="{QUIET}">{where}</div>{bars}{notes}</div>'
    )


def waterfall_html(rec: OneShown) -> str:
    """Return a table with one row a stage: name, duration, bar."""
    cells = []
    rows = _bars(rec)
    # Notebooks lay tables out in equal columns unless told otherwise.
    name_width = 12 + 8 * max((len(row["stage"]) for row in rows), default=0)
    for row in rows:
        style = "" if row["reached"] else QUIET
        bar = (
            f'<div style="margin-left:{row["left"]:.2%};width:{row["share"]:.2%};min-width:2px;'
            f'height:12px;{row["style"]}"></div>'
            if row["reached"]
            else ""
        )
        cells.append(
            f'<tr style="background:none"><td style="text-align:left;white-space:nowrap;'
            f'width:{name_width}px;{style}">{escape(row["stage"])}</td>'
            f'<td style="{NUMBER}width:80px;{style}">{row["ms"]} ms</td>'
            f'<td style="text-align:left">{bar}</td></tr>'
        )
    return (
        f'<table style="{FONT}width:100%;max-width:900px;margin:6px 0;border:none;'
        f'table-layout:fixed">'
        f"<tbody>{''.join(cells)}</tbody></table>"
    )


def recordings_text(recs: ManyShown) -> str:
    """Return how many there are, and of which outcomes."""
    counts = _outcome_counts(recs)
    parts = ", ".join(f"{count} {outcome(name).word}" for name, count in counts)
    unsure = int((recs.orders["order_exists"] == UNKNOWN).sum())
    parts += f"; {unsure} may exist" if unsure else ""
    noun = "recording" if len(recs) == 1 else "recordings"
    notes = "".join(f"\n! {printable(warning)}" for warning in recs.warnings)
    return f"{len(recs)} {noun}" + (f": {parts}" if parts else "") + notes


def recordings_html(recs: ManyShown) -> str:
    """Return a line for each of a few orders; of many the outcomes and the times of the stages."""
    head = f"<div><b>{escape(recordings_text(recs))}</b></div>"
    if len(recs) > MOST_LISTED:
        from firmly_nb.latency.summary import summary_html

        notes = "".join(f"<div>! {escape(warning)}</div>" for warning in recs.warnings)
        return f'<div style="{FONT}">{notes}{summary_html(recs.latency())}</div>'
    rows = "".join(
        f'<tr style="background:none"><td style="text-align:left">{outcome(rec.outcome).mark} '
        f'{escape(outcome_word(rec))}</td><td style="text-align:left">{escape(rec.domain)}</td>'
        f'<td style="text-align:left">{escape(rec.order_number or "")}</td><td style="{NUMBER}">'
        f"{milliseconds(float(rec.orders['order_latency_ms'].iloc[0]))} ms</td></tr>"
        for rec in recs
    )
    table = f'<table style="{FONT}border:none;table-layout:auto">{rows}</table>'
    return f'<div style="{FONT}">{head}{table}</div>'


def _bars(rec: OneShown) -> list[dict[str, Any]]:
    table = rec.stages
    ends = [end for end in table["end_ms"] if not math.isnan(end)]
    scale = max(ends, default=0.0) or 1.0
    bars = []
    milestones = table["to_milestone"].tolist()
    for row in table.to_dict("records"):
        reached = not math.isnan(row["duration_ms"])
        left = min(row["start_ms"], row["end_ms"]) / scale if reached else 0.0
        bars.append(
            {
                "stage": printable(row["stage"])[:LONGEST_NAME],
                "ms": milliseconds(row["duration_ms"]),
                "reached": reached,
                "left": max(left, 0.0),
                "share": abs(row["duration_ms"]) / scale if reached else 0.0,
                "style": look_of_stage(row["stage"], milestones).css,
            }
        )
    return bars


def _outcome_counts(recs: ManyShown) -> list[tuple[str, int]]:
    counts = recs.orders["outcome"].value_counts()
    return [(str(name), int(count)) for name, count in counts.items() if count]


# ``recs.charts``: every chart of many orders, by name. Plotly is loaded when one is made.


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


def _calls() -> dict[str, str]:
    found = {}
    for name, function in vars(Charts).items():
        if name.startswith("_"):
            continue
        names = [n for n in inspect.signature(function).parameters if n != "self"]
        question = (inspect.getdoc(function) or "").splitlines()[0]
        found[f"{name}({', '.join(names)})"] = question
    return found
