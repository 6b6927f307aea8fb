"""Displays of recordings: text in a terminal, HTML in a notebook.

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

from firmly_nb.api.money import money_text
from firmly_nb.display.arguments import public
from firmly_nb.display.html import notes, page, quiet, toned
from firmly_nb.display.table import TEXT_WIDTH, Bar, Cell, Grid, Head, Row, grid_html, grid_text
from firmly_nb.display.text import (
    CLOCKS,
    as_html,
    capital,
    count,
    duration,
    full_stop,
    hanging,
    number,
    printable,
    short_name,
    uncertainty,
)
from firmly_nb.latency.stages import BUFFERED, COALESCED, OUT_OF_ORDER, REASONS, voided
from firmly_nb.outcomes import (
    ANSWERED,
    ANSWERS,
    EXTERNAL,
    LONG_LEADS,
    NO,
    NOT_SEEN,
    ORDER_AGAIN,
    PLACED,
    UNKNOWN,
    YES,
    as_judged,
    began,
    look_of_stage,
    outcome,
    word,
)
from firmly_nb.recorder.tables import headline_ms

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import pandas as pd

    from firmly_nb.api.errors import FirmlyError
    from firmly_nb.charts.chart import Chart, Orders
    from firmly_nb.latency.summary import LatencySummary
    from firmly_nb.outcomes import Outcome
    from firmly_nb.recorder.records import Recorded


if TYPE_CHECKING:

    class Charted(Protocol):
        """Groups that can be drawn."""

        def chart(self) -> Chart: ...  # noqa: D102 - as in Groups

    class Drawn(Orders, Protocol):
        """Recordings that can be drawn: their tables, and their groups."""

        def by(self, *columns: str, every: str | None = None) -> Charted: ...  # noqa: D102 - same


class OneShown(Protocol):
    """The members of a recording that are displayed."""

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
    def recorded(self) -> Recorded: ...  # noqa: D102 - the same
    @property
    def orders(self) -> pd.DataFrame: ...  # noqa: D102 - the same
    @property
    def stages(self) -> pd.DataFrame: ...  # noqa: D102 - the same
    @property
    def caveats(self) -> pd.DataFrame: ...  # noqa: D102 - the same
    def summary(self) -> dict[str, Any]: ...  # noqa: D102 - the same


class ManyShown(Protocol):
    """The members of many recordings that are displayed."""

    @property
    def warnings(self) -> list[str]: ...  # noqa: D102 - as in Recordings
    @property
    def orders(self) -> pd.DataFrame: ...  # noqa: D102 - the same
    def latency(self) -> LatencySummary: ...  # noqa: D102 - the same
    def __len__(self) -> int: ...
    def __iter__(self) -> Iterator[OneShown]: ...


@dataclass(frozen=True, slots=True)
class Shown:
    """A display: text in a terminal, HTML in a notebook."""

    text: str
    html: str

    def __repr__(self) -> str:
        return self.text

    def _repr_html_(self) -> str:
        return self.html


# How an order ended, in words that a person can act on.


def verdict(rec: OneShown, how: str = "") -> str:
    """Return one sentence or two: outcome, time, and whether an order exists.

    Parameters
    ----------
    rec
        The recording.
    how
        What tells whether an order exists; by default the call that asks.
    """
    row = rec.summary()
    exists, status, error = row["order_exists"], row["http_status"], rec.error
    if row["evidence"] == NOT_SEEN.evidence:
        return _verdict_as_told(rec, row)
    code = short_name(error.error) if error else ""
    after = f" after {printable(row['last_milestone'])}" if row["last_milestone"] else ""
    number = row["order_number"]
    text = look_of(rec).sentence.format(
        at=duration(headline_ms(row)),
        after=after,
        began=began(rec.outcome, exists, code, status),
        code=code,
        ended=_ended(rec, after),
        limit=f"{rec.timeout_s:g} s",
        named="" if not code or code.startswith("HTTP ") else f" ({code})",
        order=f"order {short_name(number)}"
        if number
        else "success without a readable order number",
        status=status,
        total=_total(row),
    )
    detail = _detail(error) if rec.outcome in {*ANSWERED, "transport_error"} else ""
    return " ".join(filter(None, [text, existence(rec, how or _asking(rec)), detail]))


def _verdict_as_told(rec: OneShown, row: dict[str, Any]) -> str:
    told = outcome(rec.outcome).word
    after = "" if rec.outcome == PLACED or not row["last_milestone"] else row["last_milestone"]
    after = f" after {printable(after)}" if after else ""
    took_ms = headline_ms(row)
    took = "" if math.isnan(took_ms) else f" in {duration(took_ms)}"
    return f"{capital(told)}{after}{took}, as told. No cart was given."


def outcome_word(rec: OneShown) -> str:
    """Return how an order ended, in a word or two."""
    row = rec.summary()
    told = row["error_code"], row["http_status"], row["evidence"]
    return word(rec.outcome, rec.order_exists, *told)


def look_of(rec: OneShown) -> Outcome:
    """Return mark, tone and sentence of how an order ended."""
    return as_judged(rec.outcome, rec.order_exists, rec.summary()["evidence"])


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
    return answer_of(rec, how)


def answer_of(rec: OneShown, how: str) -> str:
    """Say whether there is an order; the arguments are those of :func:`existence`."""
    return ANSWERS[rec.order_exists].sentence.format(
        number=short_name(rec.order_number or ""), how=how.replace("{domain}", rec.domain)
    )


def _ended(rec: OneShown, after: str) -> str:
    """Return in words how an order came to no end."""
    none = rec.summary()["time_to_first_event_ms"] is None
    after = after or (" before any event" if none else " before any milestone")
    if rec.cut_off:
        return f"the recording was cut off{after}"
    if not rec.sse:
        said = rec.summary()["error_description"]
        return printable(said or "the response has no readable order number")
    return f"the stream ended{after}"


def precision(rec: OneShown) -> str:
    """Return how far off the times can be, and by which clock."""
    events = rec.recorded.events
    if not events:
        return "no events"
    names = sorted({event.clock for event in events})
    clocks = " or ".join(CLOCKS.get(name, printable(name)) for name in names)
    if (rec.caveats["code"] == BUFFERED).any():
        # The bound of a read says nothing of events that waited on their way.
        return f"{clocks}, events were gathered"
    worst_us = max(event.uncertainty_us for event in events)
    if rec.environment == EXTERNAL and not worst_us:
        return "times as told"
    return f"times within {uncertainty(worst_us)}, {clocks}"


def judged(rec: OneShown, error: FirmlyError) -> str | None:
    """Return what is said in place of an error's advice to order again: there may be an order."""
    if rec.order_exists == NO or error.code not in ORDER_AGAIN:
        return None
    return existence(rec, _asking(rec))


def _asking(rec: OneShown) -> str:
    # A lab knows no token of an order that another program placed.
    return "the merchant" if rec.environment == EXTERNAL else "lab.settle(rec)"


def _detail(error: FirmlyError | None) -> str:
    if error is None:
        return ""
    text = printable(error.description)
    advice = error.advice if error.judged is None else ""  # it is said before
    # The name of a field that is wrong stays as it is: "shipping_info: is not set".
    named = text.partition(" ")[0].endswith(":")
    begun = text if named else capital(text)
    return f"{full_stop(begun)} {advice}".strip()


def _total(row: dict[str, Any]) -> str:
    if row["total_minor"] is None:
        return ""
    return f", {money_text(row['total_minor'], short_name(row['currency']))}"


# Instead of a stage's bar, where its time is not known.
UNTIMED = {
    BUFFERED: "not known: the events were gathered",
    COALESCED: "not known: too close to the event before",
    OUT_OF_ORDER: "not known: out of order",
}
WAITED = "border:1px dashed;box-sizing:border-box;opacity:.7"
MOST_LISTED = 10  # orders; more are told by their statistics


@public
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
    return grid_text(_bars(rec), indent="  ")


def untimed(rec: OneShown) -> list[str]:
    """Return for each stage why its time is not known; empty where it is."""
    return untimed_words(voided(rec.stages, rec.orders).reasons.tolist())


def untimed_words(reasons: Sequence[int]) -> list[str]:
    """Return reasons of ``Voided`` in words.

    Examples
    --------
    >>> untimed_words([-1, 1])
    ['', 'not known: out of order']
    """
    return ["" if code < 0 else UNTIMED[REASONS[code]] for code in reasons]


def said_of_times(rec: OneShown) -> list[str]:
    """Return the caveats of the times, in words; warnings and the headline have the others."""
    found = dict(zip(rec.caveats["code"].tolist(), rec.caveats["text"].tolist(), strict=True))
    if BUFFERED in found:
        found.pop(COALESCED, None)
    return [found[code] for code in (BUFFERED, COALESCED, OUT_OF_ORDER) if code in found]


def recording_text(rec: OneShown) -> str:
    """Return the headline, the stages and the warnings as text."""
    mark = look_of(rec).mark
    head = hanging(f"{mark} {verdict(rec)}", TEXT_WIDTH, 2)
    bars = [waterfall_text(rec)] if rec.recorded.events else []
    told = [*said_of_times(rec), *rec.warnings]
    warnings = [hanging(f"  ! {printable(warning)}", TEXT_WIDTH, 4) for warning in told]
    return "\n".join([head, f"  {_origin(rec)}", *bars, *warnings])


def recording_html(rec: OneShown) -> str:
    """Return the headline, the waterfall and the warnings as HTML."""
    row = look_of(rec)
    said = verdict(rec)
    lead = next(filter(said.startswith, LONG_LEADS), said.partition(" ")[0])
    rest = as_html(said.removeprefix(lead).lstrip(), 2_000)
    ended = toned(f"{row.mark} {lead}", row.colour)
    # What a server sent instead of events has no spaces to break at.
    head = f'<div style="overflow-wrap:anywhere">{ended} {rest}</div>'
    bars = waterfall_html(rec) if rec.recorded.events else ""
    told = [*said_of_times(rec), *rec.warnings]
    return page(f"{head}{quiet(_origin(rec))}{bars}{notes(told)}", "900px")


def waterfall_html(rec: OneShown) -> str:
    """Return a table with one row a stage: name, duration, bar."""
    return grid_html(_bars(rec))


def recordings_text(recs: ManyShown) -> str:
    """Return how many there are, and of which outcomes."""
    warnings = [hanging(f"! {printable(warning)}", TEXT_WIDTH) for warning in recs.warnings]
    return "\n".join([_counted(recs), *warnings])


def recordings_html(recs: ManyShown) -> str:
    """Return a line for each of a few orders; of many the outcomes and the times of the stages."""
    if len(recs) > MOST_LISTED:
        from firmly_nb.latency.summary import summary_html

        return f"{notes(recs.warnings)}{summary_html(recs.latency())}"
    rows = [
        (
            f"{look_of(rec).mark} {outcome_word(rec)}",
            rec.domain,
            rec.order_number or "",
            duration(headline_ms(rec.summary())),
        )
        for rec in recs
    ]
    left = Head(left=True)
    table = grid_html(Grid((left, left, left, Head()), rows, named_by=None)) if rows else ""
    return page(f"<div><b>{escape(_counted(recs))}</b></div>{table}{notes(recs.warnings)}")


def _origin(rec: OneShown) -> str:
    wall_ms = rec.summary()["wall_time_ms"]
    wall = [] if wall_ms is None else [f"wall {duration(wall_ms)}"]
    parts = [printable(rec.domain), printable(rec.environment), precision(rec), *wall]
    return " · ".join(parts)


def _counted(recs: ManyShown) -> str:
    counts = recs.orders["outcome"].value_counts()
    parts = ", ".join(
        f"{count(int(many))} {outcome(str(name)).words(int(many))}"
        for name, many in counts.items()
        if many
    )
    seen = recs.orders["evidence"] != NOT_SEEN.evidence
    unsure = int((seen & (recs.orders["order_exists"] == UNKNOWN)).sum())
    parts += f"; {count(unsure)} may exist" if unsure else ""
    told = recs.orders["outcome"] == PLACED
    gone = int((told & (recs.orders["order_exists"] == NO)).sum())
    parts += (
        f"; {count(gone)} told as placed {'does' if gone == 1 else 'do'} not exist" if gone else ""
    )
    return count(len(recs), "recording") + (f": {parts}" if parts else "")


def _bars(rec: OneShown) -> Grid:
    table = rec.stages
    ends = [end for end in table["end_ms"] if not math.isnan(end)]
    last_ms = max(ends, default=0.0)
    waited_ms = 0.0 if rec.outcome == PLACED else headline_ms(rec.summary()) - last_ms
    waited_ms = max(waited_ms, 0.0) if math.isfinite(waited_ms) else 0.0
    scale = last_ms + waited_ms or 1.0
    rows: list[Row] = []
    milestones = table["to_milestone"].tolist()
    for stage, why in zip(table.to_dict("records"), untimed(rec), strict=True):
        took_ms = stage["duration_ms"]
        if why:
            rows.append(Row((stage["stage"], number(None), Cell(why)), look="quiet"))
            continue
        bar = None
        if not math.isnan(took_ms):
            look = look_of_stage(stage["stage"], milestones)
            bar = Bar(stage["start_ms"] / scale, took_ms / scale, look.css)
        elif waited_ms:
            # The first stage that was not reached was waited for until the order ended.
            waited = Bar(last_ms / scale, waited_ms / scale, WAITED, letter="·")
            rows.append(Row((stage["stage"], number(None), Cell(bar=waited)), look="quiet"))
            waited_ms = 0.0
            continue
        cells = (stage["stage"], number(took_ms), Cell(bar=bar))
        rows.append(Row(cells, look="" if bar else "quiet"))
    return Grid(("stage", "ms", Head(left=True, wraps=True)), rows, width="900px")


# ``recs.charts``: every chart of many orders, by name. Plotly is loaded when one is made.


MEASURE = "time_to_order_placed_ms"


@public
class Charts:
    """The charts of some orders; each answers one question."""

    def __init__(self, recordings: Drawn, read: Callable[[str, Any], Orders]) -> None:
        self._recordings = recordings
        self._read = read  # other recordings, or where they are

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
        self,
        other: Any,
        *,
        margin: float = 0.10,
        names: tuple[str, str] = ("A", "B"),
        tail_margin: float = 0.05,
        placed_margin: float = 0.05,
        slo_ms: float | None = None,
        like_for_like: bool = False,
        control: str | None = None,
    ) -> Chart:
        """Are the other orders (B) slower than these (A)? Typical, tail, placed, curves, shift."""
        from firmly_nb import charts

        both: tuple[Orders, Orders] = self._recordings, self._read("other", other)
        a, b = ((one.event_times, one.stages, one.orders) for one in both)
        return charts.compare(
            a,
            b,
            margin=margin,
            names=names,
            tail_margin=tail_margin,
            placed_margin=placed_margin,
            slo_ms=slo_ms,
            like_for_like=like_for_like,
            control=control,
        )

    def funnel(self) -> Chart:
        """Where do orders stop? How many reached each milestone, and what ended the others."""
        from firmly_nb import charts

        return charts.funnel(self._recordings.stages, self._recordings.orders)

    def groups(self, *columns: str, every: str | None = None) -> Chart:
        """Which merchant is slowest, and in which stage? Medians of groups beside each other."""
        named = columns or (("domain",) if every is None else ())
        return self._recordings.by(*named, every=every).chart()

    def cart_total(self, *, measure: str = MEASURE) -> Chart:
        """Do bigger carts take longer? Each order by the total of its cart and its time."""
        from firmly_nb import charts

        return charts.cart_total(self._recordings.orders, measure=measure)

    def __repr__(self) -> str:
        return grid_text(_calls())

    def _repr_html_(self) -> str:
        return page(grid_html(_calls()))


MOST_NAMED = 3  # arguments of a chart in the list


def _calls() -> Grid:
    rows = []
    for name, function in vars(Charts).items():
        if name.startswith("_"):
            continue
        names = [n for n in inspect.signature(function).parameters if n != "self"]
        if len(names) > MOST_NAMED:
            names[MOST_NAMED - 1 :] = ["..."]
        question = (inspect.getdoc(function) or "").splitlines()[0]
        rows.append((f".{name}({', '.join(names)})", question))
    return Grid((Head(left=True, look="code"), Head(left=True, wraps=True)), rows)
