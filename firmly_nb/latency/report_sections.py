"""The sections of a report, each as HTML; what strangers named is escaped where it is shown."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from html import escape
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from firmly_nb.latency.charts.words import clean
from firmly_nb.latency.grid import Grid, whole_ms
from firmly_nb.latency.report_definitions import DEFINITIONS
from firmly_nb.latency.report_page import grid_table, notes_html, term_list
from firmly_nb.outcomes import NO, UNKNOWN, YES, outcome

if TYPE_CHECKING:
    import pandas as pd

    from firmly_nb.latency.charts import Chart
    from firmly_nb.latency.compare import Comparison
    from firmly_nb.latency.report import Calibrated, Reported
    from firmly_nb.latency.summary import LatencySummary

MOST_WARNINGS, MOST_MERCHANTS, MOST_RECORDERS = 20, 20, 5
NOT_CALIBRATED = (
    "No calibration was given: how far off times are on the recording machine was not measured. "
    "lab.calibrate() measures it. The bound of each time's own error stands in the last column of "
    "the table above."
)
LOOKED_AT = 200  # recordings whose recorder is read; a saved set would be read as a whole otherwise
LONGEST, LONGEST_NAME = 200, 80
SUMMARY = ("compare", "funnel", "ecdf", "stages", "waterfall", "over-time")
SECTIONS = ("summary", "tables", "charts", "environment", "definitions")


def comparison(recs: Reported, other: Reported | None, margin: float) -> Comparison | None:
    """Hold the recordings against earlier ones."""
    if other is None:
        return None
    from firmly_nb.latency.compare import compare

    return compare(other.stages, other.orders, recs.stages, recs.orders, margin)


def charts(
    recs: Reported, other: Reported | None, found: Comparison | None, names: tuple[str, str]
) -> dict[str, Chart]:
    """Return the charts by the name they have in the page, in the order of the questions."""
    from firmly_nb.latency import charts as draw
    from firmly_nb.latency.charts.before_after import comparison_chart

    stages, orders = recs.stages, recs.orders
    drawn = {}
    if found is not None and other is not None:
        drawn["compare"] = comparison_chart(found, other.orders, orders, names)
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


def header(title: str, found: LatencySummary) -> str:
    """Say what the page is about, and what is in it."""
    now = f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC"
    links = "".join(f'<li><a href="#{name}">{name}</a></li>' for name in SECTIONS)
    return (
        f"<header>\n<h1><bdi>{escape(title)}</bdi></h1>\n"
        f"<p><bdi>{escape(clean(found.where, LONGEST))}</bdi></p>\n"
        f'<p>Written {now}.</p>\n</header>\n<nav aria-label="Sections"><ul>{links}</ul></nav>\n'
        "<main>\n"
    )


def summary(
    drawn: dict[str, Chart],
    found: LatencySummary,
    compared: Comparison | None,
    names: tuple[str, str],
) -> str:
    """Say the answers first, then what should be known before they are believed."""
    items = "".join(
        f'<li><a href="#{name}-question">{escape(drawn[name].question)}</a> '
        f"<bdi>{escape(drawn[name].sentence)}</bdi></li>\n"
        for name in _told(drawn)
    )
    notes = list(found.sentences)
    if compared is not None:
        notes += [f"In the comparison A is {names[0]} and B is {names[1]}.", *compared.notes]
    return (
        f'<h2 id="summary">Summary</h2>\n<div class="card"><ul class="summary">{items}</ul>\n'
        f"{notes_html(notes)}</div>\n"
    )


def _told(drawn: dict[str, Chart]) -> list[str]:
    """Return which charts answer in the summary; what two say alike is said once."""
    known = {drawn[name].sentence: name for name in reversed(SUMMARY) if name in drawn}
    return [name for name in SUMMARY if name in known.values()]


def tables(recs: Reported, found: LatencySummary) -> str:
    """Show outcomes, latencies and, where there are several, merchants."""
    from firmly_nb.latency.summary_display import summary_grid

    how = "by drawing whole runs again" if found.by_run else "exact, from order statistics"
    times = (
        f"Times in ms; in brackets {found.level:.0%} intervals, {how}. Of orders that got so far, "
        "without cancelled ones. Last column: how far off 99% of the times are at most."
    )
    merchants = _merchants(recs.orders)
    return (
        '<h2 id="tables">Tables</h2>\n<div class="card">'
        f"{grid_table(_outcomes(found.outcomes), 'How orders ended; intervals 95%, Wilson.')}"
        f"<p>{_existence(recs.orders)}</p>"
        f'</div>\n<div class="card">{grid_table(summary_grid(found), times)}</div>\n{merchants}'
    )


def environment(recs: Reported) -> str:
    """Say where, when and with what the orders were recorded."""
    orders = recs.orders
    first, last = orders["started_at"].min(), orders["started_at"].max()
    pairs = [
        ("from", f"{first:%Y-%m-%d %H:%M:%S} UTC"),
        ("to", f"{last:%Y-%m-%d %H:%M:%S} UTC"),
        ("environment", _counted(orders["environment"])),
        ("merchants", _counted(orders["domain"])),
        ("runs", _counted(orders["run_id"]) or "none"),
        ("connection", _counted(orders["connection"])),
        ("clock of the events", _counted(recs.event_times["clock"]) or "no events"),
        ("recorder", _recorders(recs) or "not noted"),
        ("written by", f"firmly-nb {version('firmly-nb')}"),
    ]
    return f'<h2 id="environment">Environment</h2>\n<div class="card">{term_list(pairs)}</div>\n'


def calibration(given: Calibrated | None) -> str:
    """Say how far off times were on that machine, or that it was not measured."""
    if given is None:
        return f'<div class="card">{notes_html([NOT_CALIBRATED])}</div>\n'
    names = [str(name) for name in given.table.columns]
    rows = tuple(tuple(_cell(value) for value in row) for row in given.table.to_numpy().tolist())
    heads = tuple(name.replace("_", " ") for name in names)
    return (
        f'<div class="card"><p>{escape(given.sentence)}</p>\n'
        f"{grid_table(Grid(heads, rows), 'Recorded arrival against the time of sending.')}</div>\n"
    )


def warnings(recs: Reported, other: Reported | None) -> str:
    """Show what was said of the recordings when they were made or read."""
    said = [
        *recs.warnings,
        *(f"Earlier ones: {text}" for text in (other.warnings if other else ())),
    ]
    if not said:
        return ""
    more = [f"and {len(said) - MOST_WARNINGS:,} more"] if len(said) > MOST_WARNINGS else []
    return f'<div class="card">{notes_html([*said[:MOST_WARNINGS], *more])}</div>\n'


def definitions() -> str:
    """Say how each figure is defined."""
    return (
        '<h2 id="definitions">How each figure is defined</h2>\n<div class="card">'
        f"{term_list(DEFINITIONS)}</div>\n"
    )


def footer(found: LatencySummary) -> str:
    """Say by which definitions."""
    said = f"Definitions {escape(found.definitions)}. This page fetches nothing."
    return f"</main>\n<footer>{said}</footer>\n"


def _outcomes(table: pd.DataFrame) -> Grid:
    rows = tuple(
        (outcome(row["outcome"]).word, f"{row['count']:,}", *_shares(row))
        for row in table.to_dict("records")
    )
    return Grid(("outcome", "orders", "share", "interval"), rows)


def _existence(orders: pd.DataFrame) -> str:
    """Say how many orders exist; a failure is not yet no order."""
    found = orders["order_exists"].astype("str").value_counts()
    exist, none, unsure = (int(found.get(answer, 0)) for answer in (YES, NO, UNKNOWN))
    if not exist + none + unsure:
        return ""
    tell = "; lab.cart(domain) tells" if unsure else ""
    return f"Orders exist: {exist:,} yes, {none:,} no, {unsure:,} may exist{tell}."


def _shares(row: dict[Any, Any]) -> tuple[str, str]:
    # The share of cancelled orders is null: they are not attempted.
    if row["share"] != row["share"]:
        return "-", "-"
    return f"{row['share']:.1%}", f"{row['low']:.1%} to {row['high']:.1%}"


def _merchants(orders: pd.DataFrame) -> str:
    counts = orders["domain"].astype("str").value_counts()
    if len(counts) < 2:
        return ""
    names = [str(name) for name in counts.index[:MOST_MERCHANTS]]
    left = len(counts) - len(names)
    caption = "By merchant; times to order-placed in ms, with intervals."
    caption += f" {left:,} more merchants are not shown." if left else ""
    grid = Grid(
        ("merchant", "orders", "placed", "p50", "p95"),
        tuple(_merchant(name, orders[(orders["domain"] == name).to_numpy(bool)]) for name in names),
    )
    return f'<div class="card">{grid_table(grid, caption)}</div>\n'


def _merchant(name: str, part: pd.DataFrame) -> tuple[str, ...]:
    from firmly_nb.latency.charts.parts import order_quantiles
    from firmly_nb.latency.outcomes import success_rate

    found = order_quantiles(part, (0.5, 0.95))
    times = (
        f"{whole_ms(q.estimate)} [{whole_ms(q.low)}, {whole_ms(q.high)}]"
        if q.estimable
        else f"{q.needed} needed"
        for q in found
    )
    return (clean(name, LONGEST_NAME), f"{len(part):,}", f"{success_rate(part).share:.1%}", *times)


def _counted(column: pd.Series[Any]) -> str:
    known = column[column.notna()].astype("str").value_counts()
    told = [
        f"{clean(name, LONGEST_NAME)} ({number:,})"
        for name, number in known.head(MOST_RECORDERS).items()
        if number
    ]
    left = int((known > 0).sum()) - len(told)
    return ", ".join([*told, *([f"{left:,} more"] if left > 0 else [])])


def _recorders(recs: Reported) -> str:
    """Say which recorders there were, of the first of many recordings."""
    found: Counter[str] = Counter()
    for number, rec in enumerate(recs):
        if number == LOOKED_AT:
            break
        said = ", ".join(f"{name} {value}" for name, value in sorted(rec.recorder.items()))
        found[clean(said, LONGEST) or "not noted"] += 1
    told = [f"{said} ({number:,})" for said, number in found.most_common(MOST_RECORDERS)]
    total = found.total()
    return "; ".join(told) + (f"; of the first {total:,}" if total == LOOKED_AT else "")


def _cell(value: Any) -> str:
    return f"{value:.3f}" if isinstance(value, float) else str(value)
