"""A report: one HTML page that tells what some recordings say, to whoever opens it.

Sentences first, then tables, charts, and how every figure is defined. Nothing is fetched when it
is read, so it can be mailed, stored and opened without a network. What strangers named is escaped
where it is shown.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime
from html import escape
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from firmly_nb import charts as draw
from firmly_nb.charts.chart import Orders, order_quantiles
from firmly_nb.charts.compare import comparison_chart
from firmly_nb.charts.pictures import missing
from firmly_nb.disk import write_whole
from firmly_nb.display.html import notes, quiet
from firmly_nb.display.messages import check_names, coded_error, quoted
from firmly_nb.display.paths import expanded
from firmly_nb.display.table import Cell, Grid, Head, grid_html
from firmly_nb.display.text import (
    CLOCKS,
    and_more,
    as_html,
    count,
    number,
    percent,
    percent_interval,
    printable,
    short_name,
)
from firmly_nb.latency.asked import target_of
from firmly_nb.latency.columns import coded
from firmly_nb.latency.compare import Comparison, compare, comparison_html
from firmly_nb.latency.groups import Keys
from firmly_nb.latency.shares import success_rate
from firmly_nb.latency.summary import intervals_words, quantile_cell, summary, summary_grid
from firmly_nb.latency.targets import attainment, grouped_attainment, throughput
from firmly_nb.outcomes import NO, NOT_SEEN, UNKNOWN, YES, outcome
from firmly_nb.recordings.recordings import Recordings, as_recordings, tellable_recordings
from firmly_nb.report.page import figure_html, term_list, whole_page

if TYPE_CHECKING:
    import os
    from collections.abc import Collection, Iterator, Mapping
    from pathlib import Path

    import pandas as pd

    from firmly_nb.charts.chart import Chart
    from firmly_nb.latency.asked import Target
    from firmly_nb.latency.summary import LatencySummary


NAMES = ("before", "now")
OTHER_PAGES = {".pdf", ".docx", ".xlsx", ".csv", ".md", ".ipynb", ".png", ".svg", ".json"}
MARGINS = ("margin", "tail_margin", "placed_margin", "slo_ms", "like_for_like", "control")
# Where an option is misspelt, these are near as well.
OWN = ("title", "calibration", "compare_with", "names", "pictures", "slo")


class Reported(Orders, Protocol):
    """Input of a report: the tables and the warnings of recordings."""

    @property
    def warnings(self) -> list[str]: ...  # noqa: D102 - the same
    @property
    def caveats(self) -> pd.DataFrame: ...  # noqa: D102 - the same
    def __iter__(self) -> Iterator[Any]: ...


class Calibrated(Protocol):
    """Result of ``lab.calibrate()``."""

    @property
    def sentence(self) -> str: ...  # noqa: D102 - as in Calibration
    def grid(self) -> Grid: ...  # noqa: D102 - the same


def report(
    recs: Any,
    path: str | os.PathLike[str] = "report.html",
    title: str | None = None,
    *,
    calibration: Calibrated | None = None,
    compare_with: Any = None,
    names: tuple[str, str] = NAMES,
    pictures: bool = True,
    slo: str | None = None,
    **margins: Any,
) -> Path:
    """Write a report: one HTML page that needs no network and no kernel.

    Parameters
    ----------
    recs
        The recordings: one, several, or where they are saved.
    path
        Where to write, by default ``report.html`` in this folder. Folders that are missing are
        made. A file that is there is replaced, as a whole or not at all.
    title
        Its heading.
    calibration
        What ``lab.calibrate()`` found on the machine of the recordings, at their time.
    compare_with
        Earlier recordings to hold these against, or where they are saved.
    names
        What the earlier ones and these are called in the comparison.
    pictures
        Whether charts have a picture too, for readers without JavaScript; needs Chrome or Chromium
        on this machine, and is left out where there is none.
    slo
        A target such as ``"order=1500ms:95%"``: whether it is met, by day and by merchant.
    **margins
        As of ``recs.compare``: ``margin``, ``tail_margin``, ``placed_margin``, ``slo_ms``,
        ``like_for_like``, ``control``.

    Returns
    -------
    Path
        The page.

    Raises
    ------
    TypeError
        If there is something else than recordings, or an unknown option.
    ValueError
        If there are no recordings, or a margin is not between 0 and 1.
    OSError
        If it cannot be written; then nothing is left behind.

    Examples
    --------
    >>> import firmly_nb as fnb, tempfile
    >>> with fnb.connect(profile="instant") as lab, tempfile.TemporaryDirectory() as folder:
    ...     rec = lab.place(fnb.Order.example(), progress=False)
    ...     fnb.report(fnb.Recordings([rec]), f"{folder}/one.html", pictures=False).name
    'one.html'
    """
    told = reported("recs", recs)
    against = held_against(told, compare_with, margins)
    return write(
        told,
        path,
        title,
        calibration=calibration,
        against=against,
        names=names,
        pictures=pictures,
        target=None if slo is None else target_of("slo", slo),
    )


def write(
    recs: Reported,
    path: str | os.PathLike[str],
    title: str | None = None,
    *,
    calibration: Calibrated | None = None,
    against: Against | None = None,
    names: tuple[str, str] = NAMES,
    pictures: bool = True,
    target: Target | None = None,
) -> Path:
    """Write the page of `report`, with a comparison that was made before."""
    if not len(recs.orders):
        text = "There are no recordings to report on. Place orders, or load others."
        raise coded_error(ValueError, "FNB314", text)
    file = expanded(path)
    if file.suffix.lower() in OTHER_PAGES:
        text = f"A report is a page of HTML, got {quoted(file.name)}. Name a file like "
        raise coded_error(ValueError, "FNB315", f"{text}{file.stem}.html.")
    if file.is_dir():
        text = f"{file} is a folder. Name a file in it."
        raise coded_error(IsADirectoryError, "FNB315", text)
    if file.exists() and not file.is_file():
        # A device would be gone afterwards.
        text = f"{file} is not a regular file. Name another file."
        raise coded_error(OSError, "FNB315", text)
    _make_folder(file)
    html = _page(recs, title, calibration, against, names, target, pictures=pictures)
    # A link stays one; a report is for others too.
    try:
        write_whole(file.resolve(), html.encode(), mode=0o666)
    except OSError as error:
        text = f"{file} cannot be written: {error.strerror}. Free space, or name another file."
        raise coded_error(type(error), "FNB441", text) from error
    return file


def report_html(
    recs: Any,
    title: str | None = None,
    *,
    calibration: Calibrated | None = None,
    compare_with: Any = None,
    names: tuple[str, str] = NAMES,
    pictures: bool = True,
    slo: str | None = None,
    **margins: Any,
) -> str:
    """Return the page of `report` as text."""
    told = reported("recs", recs)
    against = held_against(told, compare_with, margins)
    target = None if slo is None else target_of("slo", slo)
    return _page(told, title, calibration, against, names, target, pictures=pictures)


def _page(
    recs: Reported,
    title: str | None,
    calibration: Calibrated | None,
    against: Against | None,
    names: tuple[str, str],
    target: Target | None,
    *,
    pictures: bool,
) -> str:
    found = summary(recs.event_times, recs.stages, recs.orders)
    charts = charts_section(recs, against, names)
    bare = {name: chart.bare() for name, chart in charts.items()}
    heading = printable(title or "How orders went", LONGEST)
    figures_html = [
        figure_html(chart, name, chart.picture() if pictures else None)
        for name, chart in bare.items()
    ]
    body = [
        header_section(heading, found, against, target),
        caveats_section(recs, against, names),
        summary_section(charts, found, set(recs.caveats["text"])),
        comparison_section(against, names),
        target_section(recs, target),
        tables_section(recs, found),
        '<h2 id="charts">Charts</h2>\n',
        quiet(missing() if pictures else ""),
        *figures_html,
        environment_section(recs),
        calibration_section(calibration),
        warnings_section(recs, against),
        definitions_section(),
        footer_section(found),
    ]
    figures = {name: str(chart.to_json()) for name, chart in bare.items()}
    return whole_page(heading, "".join(body), figures)


MOST_WARNINGS, MOST_MERCHANTS, MOST_RECORDERS = 20, 20, 5
NOT_CALIBRATED = (
    "No calibration was given, so the error of the times on the recording machine is not measured. "
    "lab.calibrate() measures it. The last column of the table above has the uncertainty of each "
    "stage."
)
LOOKED_AT = 200  # recordings whose recorder is read; a saved set would be read as a whole otherwise
LONGEST, LONGEST_NAME = 200, 80
SUMMARY = ("compare", "funnel", "ecdf", "stages", "waterfall", "over-time")
SECTIONS = ("summary", "comparison", "target", "tables", "charts", "environment", "definitions")


class Against(NamedTuple):
    """Earlier recordings, and what it showed to hold the reported ones against them."""

    earlier: Reported
    found: Comparison


def reported(name: str, value: Any) -> Reported:
    """Return recordings of whatever has some; tables of them are taken as they are."""
    if isinstance(value, Recordings):
        return tellable_recordings(value)
    if hasattr(value, "event_times") and hasattr(value, "__iter__"):
        found: Reported = value
        return found
    return tellable_recordings(as_recordings(name, value))


def held_against(recs: Reported, earlier: Any, margins: Mapping[str, Any]) -> Against | None:
    """Hold recordings against earlier ones, if there are any."""
    check_names("report()", margins, [*OWN, *MARGINS])
    if earlier is None and margins:
        text = f"{next(iter(margins))} is for a comparison. Add compare_with=... or leave it out."
        raise coded_error(ValueError, "FNB316", text)
    if earlier is None:
        return None
    before = reported("compare_with", earlier)
    a, b = ((one.event_times, one.stages, one.orders) for one in (before, recs))
    return Against(before, compare(a, b, **margins))


def _make_folder(target: Path) -> None:
    """Make the folder of a page before the work, not after it."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        text = f"The folder {target.parent} cannot be made: {error.strerror}. Name another."
        raise coded_error(type(error), "FNB315", text) from error


def comparison_section(against: Against | None, names: tuple[str, str]) -> str:
    """Return the comparison: what it cannot say, then verdict, questions, design and stages."""
    if against is None:
        return ""
    sides = quiet(f"In the comparison A is {names[0]} and B is {names[1]}.")
    shown = comparison_html(replace(against.found, notes=()))
    return (
        f'<h2 id="comparison">Comparison</h2>\n<div class="card">'
        f"{notes(against.found.notes)}{sides}{shown}</div>\n"
    )


def target_section(recs: Reported, target: Target | None) -> str:
    """Return whether a target is met, its error budget, and the same by day and by merchant."""
    if target is None:
        return ""
    orders, limit, share = recs.orders, target.order_ms, target.share
    whole = attainment(orders, limit, share)
    codes, names = coded(orders["domain"])
    keys = Keys(("domain",), tuple((name,) for name in names), codes)
    by = grouped_attainment(orders, keys, limit, share, 0.95)
    merchants = by._repr_html_() if len(names) > 1 else ""
    shown = f"{whole._repr_html_()}{merchants}"
    return f'<h2 id="target">Target</h2>\n<div class="card">{shown}</div>\n'


def charts_section(
    recs: Reported, against: Against | None, names: tuple[str, str]
) -> dict[str, Chart]:
    """Return the charts by the name they have in the page, in the order of the questions."""
    stages, orders = recs.stages, recs.orders
    drawn = {}
    if against is not None:
        drawn["compare"] = comparison_chart(against.found, against.earlier.orders, orders, names)
    return drawn | {
        "funnel": draw.funnel(stages, orders),
        "ecdf": draw.ecdf(orders, by_merchant=orders["domain"].nunique() > 1),
        "percentiles": draw.percentiles(orders),
        "stages": draw.stages(recs.event_times, stages, orders),
        "waterfall": draw.waterfall(stages, orders),
        "ridge": draw.ridge(stages, orders),
        "over-time": draw.over_time(orders),
        "heatmap": draw.heatmap(orders),
        "cart-total": draw.cart_total(orders),
    }


def header_section(
    title: str, found: LatencySummary, against: Against | None, target: Target | None = None
) -> str:
    """Return the title, the time window and the links to the sections."""
    now = f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC"
    absent = {"comparison"} if against is None else set()
    absent |= {"target"} if target is None else set()
    shown = [name for name in SECTIONS if name not in absent]
    links = "".join(f'<li><a href="#{name}">{name}</a></li>' for name in shown)
    return (
        f"<header>\n<h1>{as_html(title)}</h1>\n"
        f"<p>{as_html(found.where, LONGEST)}</p>\n"
        f'<p>Written {now}.</p>\n</header>\n<nav aria-label="Sections"><ul>{links}</ul></nav>\n'
        "<main>\n"
    )


def caveats_section(recs: Reported, against: Against | None, names: tuple[str, str]) -> str:
    """Return what cannot be said of the recordings: who reads on must know it first."""
    sides = [(recs, names[1]), *([(against.earlier, names[0])] if against else [])]
    rows = [
        (
            row["code"],
            count(row["orders"]),
            row["text"] if against is None else f"{name}: {row['text']}",
            row["voids"],
        )
        for side, name in sides
        for row in side.caveats.to_dict("records")
    ]
    if not rows:
        return ""
    heads = (
        Head("caveat", left=True),
        "orders",
        Head("what was seen", left=True, wraps=True),
        Head("what cannot be said", left=True, wraps=True),
    )
    grid = grid_html(Grid(heads, rows, caption="What was seen, and what it forbids to say."))
    return f'<h2 id="caveats">What cannot be said</h2>\n<div class="card">{grid}</div>\n'


def summary_section(drawn: dict[str, Chart], found: LatencySummary, said: Collection[str]) -> str:
    """Return the answers, then what a reader must know before believing them.

    Texts of caveats that are ``said`` above are not repeated.
    """
    further = [text for text in found.sentences if text.partition(": ")[2] not in said]
    items = "".join(
        f'<li><a href="#{name}-question">{escape(drawn[name].question)}</a> '
        f"{as_html(drawn[name].sentence)}</li>\n"
        for name in _told(drawn)
    )
    return (
        f'<h2 id="summary">Summary</h2>\n<div class="card"><ul class="summary">{items}</ul>\n'
        f"{notes(further)}</div>\n"
    )


def _told(drawn: dict[str, Chart]) -> list[str]:
    """Return which charts answer in the summary; what two say alike is said once."""
    known = {drawn[name].sentence: name for name in reversed(SUMMARY) if name in drawn}
    return [name for name in SUMMARY if name in known.values()]


def tables_section(recs: Reported, found: LatencySummary) -> str:
    """Return the tables of outcomes, latencies and, where there are several, merchants."""
    times = (
        f"{intervals_words(found)} Times of orders that got so far, without cancelled ones. Last "
        "column: uncertainty of 99% of the times, at most."
    )
    latencies = grid_html(replace(summary_grid(found), caption=times))
    return (
        '<h2 id="tables">Tables</h2>\n<div class="card">'
        f"{grid_html(_outcomes(found.outcomes))}"
        f"<p>{_existence(recs.orders)}</p>"
        f'</div>\n<div class="card">{latencies}</div>\n{_merchants(recs.orders)}'
    )


def environment_section(recs: Reported) -> str:
    """Return where, when and with what the orders were recorded."""
    orders = recs.orders
    first, last = orders["started_at"].min(), orders["started_at"].max()
    pairs = [
        ("from", _moment(first)),
        ("to", _moment(last)),
        ("environment", _counted(orders["environment"])),
        ("merchants", _counted(orders["domain"])),
        ("runs", _counted(orders["run_id"]) or "none"),
        ("throughput", _throughput(orders)),
        ("connection", _counted(orders["connection"]) or "not noted"),
        ("arrival times", _counted(recs.event_times["clock"].map(CLOCKS)) or "no events"),
        ("recorder", _recorders(recs) or "not noted"),
        ("written by", f"firmly-nb {version('firmly-nb')}"),
    ]
    return f'<h2 id="environment">Environment</h2>\n<div class="card">{term_list(pairs)}</div>\n'


def _throughput(orders: pd.DataFrame) -> str:
    rate = throughput(orders)
    return "not known" if math.isnan(rate) else f"{number(rate)} placed orders/s of the runs"


def _moment(at: pd.Timestamp) -> str:
    return "not known" if str(at) == "NaT" else f"{at:%Y-%m-%d %H:%M:%S} UTC"


def calibration_section(given: Calibrated | None) -> str:
    """Return the uncertainty of times on that machine, or that it was not measured."""
    if given is None:
        return f'<div class="card">{notes([NOT_CALIBRATED])}</div>\n'
    return f'<div class="card"><p>{escape(given.sentence)}</p>\n{grid_html(given.grid())}</div>\n'


def warnings_section(recs: Reported, against: Against | None) -> str:
    """Show what was said of the recordings when they were made or read."""
    said = [
        *recs.warnings,
        *(f"Earlier ones: {text}" for text in (against.earlier.warnings if against else ())),
    ]
    if not said:
        return ""
    more = filter(None, [and_more(len(said) - MOST_WARNINGS, "warning")])
    return f'<div class="card">{notes([*said[:MOST_WARNINGS], *more])}</div>\n'


def definitions_section() -> str:
    """Return the definition of each statistic."""
    return (
        '<h2 id="definitions">How each statistic is defined</h2>\n<div class="card">'
        f"{term_list(DEFINITIONS)}</div>\n"
    )


def footer_section(found: LatencySummary) -> str:
    """Return the version of the definitions."""
    version = f"Definitions, version {escape(found.definitions)}"
    said = f'<a href="#definitions">{version}</a>. This page fetches nothing.'
    return f"</main>\n<footer>{said}</footer>\n"


def _outcomes(table: pd.DataFrame) -> Grid:
    rows = [
        (outcome(row["outcome"]).word, count(row["count"]), _share(row))
        for row in table.to_dict("records")
    ]
    caption = "How orders ended; the 95% intervals allow for orders that are alike."
    return Grid(("outcome", "orders", "share"), rows, caption=caption)


def _existence(orders: pd.DataFrame) -> str:
    """Return how many orders exist; a failure is not yet no order."""
    orders = orders[orders["evidence"] != NOT_SEEN.evidence]
    found = orders["order_exists"].astype("str").value_counts()
    exist, none, unsure = (int(found.get(answer, 0)) for answer in (YES, NO, UNKNOWN))
    if not exist + none + unsure:
        return ""
    tell = "; lab.settle(rec) tells" if unsure else ""
    return f"Orders exist: {count(exist)} yes, {count(none)} no, {count(unsure)} may exist{tell}."


def _share(row: dict[Any, Any]) -> Cell:
    # The share of cancelled orders is null: they are not attempted.
    if row["share"] != row["share"]:
        return Cell("-")
    return Cell(percent(row["share"]), small=percent_interval(row["low"], row["high"]))


def _merchants(orders: pd.DataFrame) -> str:
    counts = orders["domain"].astype("str").value_counts()
    if len(counts) < 2:
        return ""
    names = [str(name) for name in counts.index[:MOST_MERCHANTS]]
    left = len(counts) - len(names)
    grid = Grid(
        ("merchant", "orders", "placed", Head("p50", "ms"), Head("p95", "ms")),
        [_merchant(name, orders[(orders["domain"] == name).to_numpy(bool)]) for name in names],
        caption="By merchant: time to order placed, with intervals.",
        more=and_more(left, "merchant"),
    )
    return f'<div class="card">{grid_html(grid)}</div>\n'


def _merchant(name: str, part: pd.DataFrame) -> tuple[str | Cell, ...]:
    found = order_quantiles(part, (0.5, 0.95))
    times = map(quantile_cell, found)
    return (name, count(len(part)), percent(success_rate(part).share), *times)


def _counted(column: pd.Series[Any]) -> str:
    known = column[column.notna()].astype("str").value_counts()
    told = [
        f"{short_name(name, LONGEST_NAME)} ({count(number)})"
        for name, number in known.head(MOST_RECORDERS).items()
        if number
    ]
    left = int((known > 0).sum()) - len(told)
    return ", ".join([*told, *([f"{count(left)} more"] if left > 0 else [])])


def _recorders(recs: Reported) -> str:
    """Return which recorders there were, of the first of many recordings."""
    found: Counter[str] = Counter()
    for place, rec in enumerate(recs):
        if place == LOOKED_AT:
            break
        said = ", ".join(f"{name} {value}" for name, value in sorted(rec.recorder.items()))
        found[printable(said, LONGEST) or "not noted"] += 1
    told = [f"{said} ({count(number)})" for said, number in found.most_common(MOST_RECORDERS)]
    total = found.total()
    return "; ".join(told) + (f"; of the first {count(total)}" if total == LOOKED_AT else "")


# How each statistic of a report is defined: the short form of docs/statistics.md.


DEFINITIONS: tuple[tuple[str, str], ...] = (
    (
        "time zero",
        (
            "The moment just before the request goes to the HTTP client. All times count from "
            "there, unless they say otherwise."
        ),
    ),
    (
        "arrival time",
        (
            "When the recorder received the last byte of the event: the kernel timestamp of the "
            "read, or else the time right after it."
        ),
    ),
    (
        "uncertainty",
        "The event arrived at most this much earlier, in \u00b5s. \u00b1 p99: its p99.",
    ),
    (
        "stage",
        (
            "Time from one milestone to the next. If an event repeats, the last one counts. The "
            "stages of a placed order add up to its time to order placed. If a milestone is "
            "missing, the next stage is called a->c. A stage has no time if its milestones came "
            "out of order or in one read, if its uncertainty is above half of its time, or if "
            "something on the way gathered the merchant's events."
        ),
    ),
    (
        "time to order placed",
        "Time from time zero to the event order-placed. Only placed orders have one.",
    ),
    ("time to headers", "Time from time zero to the last byte of the response headers."),
    (
        "order latency",
        (
            "Time from time zero to the end of the response, for any outcome. It is null if the "
            "server left the stream open: the recorder's own waiting does not count."
        ),
    ),
    (
        "planned start",
        (
            "When an order was due. Times from there include the wait for a late start "
            "(coordinated omission). The schedule lag is the difference."
        ),
    ),
    (
        "outcome",
        (
            "Each order has exactly one: placed, error_event, http_error, transport_error, "
            "timeout, incomplete or cancelled. An error event inside a response with status 200 "
            "is a failure."
        ),
    ),
    (
        "success rate",
        (
            "Placed orders / attempted orders. All orders are attempted, except those that you "
            "cancelled. The confidence interval is Wilson's."
        ),
    ),
    (
        "p50, p90, p95",
        (
            "The time that 50, 90, 95% of the orders do not exceed (quantile of type 7), over "
            "orders that completed the stage. The confidence interval runs from one measured time "
            "to another, and holds for any distribution. It needs 6, 36, 72 orders, and 368 for "
            "p99. With fewer, the table shows only a lower end, after \u2265."
        ),
    ),
    (
        "runs",
        (
            "Orders of one run are alike. From five runs on, an interval treats each run as one "
            "observation. With two to four runs it holds for these runs only; if they differ, "
            "there is none. If neighbouring orders of one run are alike, the interval comes from "
            "batches of consecutive orders."
        ),
    ),
    (
        "share of time",
        "All time of placed orders in the stage / all their times to order placed.",
    ),
    (
        "coalesced",
        "Shares a socket read with the previous event, so the time between the two is unknown.",
    ),
    (
        "comparison",
        (
            "Three questions. Typical: how many times as long placed orders take, like for like by "
            "merchant and number of items. Tail: how many more orders are later than A's p95; "
            "failures are late. Placed: how many more or fewer are placed. Each has a confidence "
            "interval; their family-wise level is 95%. You state the equivalence margin before you "
            "look. The verdict is: different, no change, or not enough data. If A and B did not "
            "take turns in time, no difference is attributed to B."
        ),
    ),
    (
        "shift",
        "By how much each percentile differs, with a confidence band for all of them at once.",
    ),
)
