"""How a calibration shows itself: a sentence, a small table, and where the errors lie.

The picture is one histogram a condition over a common logarithmic axis, made of table cells alone,
so that it survives untrusted notebooks and exports; without its colours the table still says it.
"""

from __future__ import annotations

import math
from html import escape
from typing import TYPE_CHECKING

from firmly_nb.outcomes import STAGE_COLOURS
from firmly_nb.recording.display import FONT, NUMBER, QUIET
from firmly_nb.recording.words import milliseconds

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd

BINS_PER_DECADE = 12
BAR_HEIGHT_PX = 56
LABEL_PX_A_LETTER = 7
LOWEST_MS, HIGHEST_MS = 0.001, 0.1  # the least that the axis covers: from one microsecond
TEXT_BARS = " ▁▂▃▄▅▆▇█"
TITLE = "How far off is an arrival?"
LINE = "1px solid var(--jp-border-color1,#9e9e9e)"
PLAIN = "padding:0;border:none;background:none;"
_HEADINGS = (
    "condition",
    "events",
    "median ms",
    "p99 ms",
    "max ms",
    "own median ms",
    "own p99 ms",
    "in bound",
)


def calibration_text(sentence: str, table: pd.DataFrame, *, tls: bool) -> str:
    """Return the sentence and the table as plain text."""
    rows = [_HEADINGS, *_cells(table)]
    widths = [max(len(row[at]) for row in rows) for at in range(len(_HEADINGS))]
    lines = [
        "  " + "  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])])
        for row in rows
    ]
    return "\n".join([sentence, *lines, f"  {_caption(table, tls=tls)}"])


def calibration_html(sentence: str, table: pd.DataFrame, errors: pd.DataFrame, *, tls: bool) -> str:
    """Return the sentence, the table and the picture."""
    head = "".join(f'<th style="{NUMBER}{QUIET}font-weight:400">{h}</th>' for h in _HEADINGS)
    body = "".join(
        '<tr style="background:none">'
        f'<td style="text-align:left">{_swatch(place)} {escape(row[0])}</td>'
        + "".join(f'<td style="{NUMBER}">{escape(cell)}</td>' for cell in row[1:])
        + "</tr>"
        for place, row in enumerate(_cells(table))
    )
    return (
        f'<div style="{FONT}max-width:900px"><div><b>{escape(sentence)}</b></div>'
        f'<table style="{FONT}color:inherit;border:none;margin:6px 0"><thead>'
        f'<tr style="background:none">{head}</tr></thead><tbody>{body}</tbody></table>'
        f"{errors_picture(_by_condition(errors))}"
        f'<div style="{QUIET}">{escape(_caption(table, tls=tls))}</div></div>'
    )


def _cells(table: pd.DataFrame) -> list[tuple[str, ...]]:
    return [
        (
            row["condition"],
            str(row["events"]),
            milliseconds(row["median_ms"], 3),
            milliseconds(row["p99_ms"], 3),
            milliseconds(row["max_ms"], 3),
            milliseconds(row["own_median_ms"], 3),
            milliseconds(row["own_p99_ms"], 3),
            f"{row['inside_share']:.1%}",
        )
        for row in table.to_dict("records")
    ]


def _caption(table: pd.DataFrame, *, tls: bool) -> str:
    clocks = ", ".join(sorted(set(table["clock"])))
    way = "TLS" if tls else "plain HTTP"
    return (
        f"Recorded arrival minus the sender's own time of sending ({way}, {clocks} clock); own: "
        "minus the moment at which the sender's kernel handed the event over."
    )


def _swatch(place: int) -> str:
    colour = STAGE_COLOURS[place % len(STAGE_COLOURS)]
    return (
        f'<span style="display:inline-block;width:10px;height:10px;background-color:{colour}">'
        "</span>"
    )


def errors_picture(errors: Mapping[str, Sequence[float]]) -> str:
    """Draw one histogram above the other, on one logarithmic axis, as HTML.

    Parameters
    ----------
    errors
        Errors in milliseconds, by what they are called.
    """
    first, last = _decades([error for part in errors.values() for error in part])
    bins = (last - first) * BINS_PER_DECADE
    width = max((len(name) for name in errors), default=0) * LABEL_PX_A_LETTER + 8
    rows = [
        _histogram(name, _counts(part, first, bins), place, width)
        for place, (name, part) in enumerate(errors.items())
    ]
    labels = "".join(
        f'<td colspan="{BINS_PER_DECADE}" style="{PLAIN}border-left:{LINE};text-align:left;'
        f'font-size:11px;padding-left:2px">{10**decade:g} ms</td>'
        for decade in range(first, last)
    )
    axis = f'<td style="{PLAIN}"></td>{labels}'
    return (
        f'<div style="{FONT}{QUIET}margin-top:6px">{TITLE} Share of events by error, logarithmic '
        f'axis</div><table style="{FONT}color:inherit;border:none;border-collapse:collapse;'
        f'table-layout:fixed;width:100%;max-width:900px;margin:2px 0"><tbody>{"".join(rows)}'
        f'<tr style="background:none">{axis}</tr></tbody></table>'
    )


def _by_condition(errors: pd.DataFrame) -> dict[str, Sequence[float]]:
    groups = errors.groupby("condition", observed=True, sort=False)["error_ms"]
    return {str(name): group.tolist() for name, group in groups}


def _histogram(name: str, counts: Sequence[int], place: int, width: int) -> str:
    """Return one row: a label, then a bar for each bin, standing on the axis."""
    colour = STAGE_COLOURS[place % len(STAGE_COLOURS)]
    tallest = max(counts, default=0) or 1
    total = sum(counts) or 1
    cells = "".join(
        f'<td style="{PLAIN}border-bottom:{LINE};vertical-align:bottom;height:{BAR_HEIGHT_PX}px">'
        + (_bar(count / tallest, colour, f"{count / total:.1%}") if count else "")
        + "</td>"
        for count in counts
    )
    style = f"{PLAIN}width:{width}px;text-align:left;vertical-align:bottom;white-space:nowrap"
    label = f'<td style="{style}">{escape(name)}</td>'
    return f'<tr style="background:none">{label}{cells}</tr>'


def _bar(share: float, colour: str, title: str) -> str:
    height = max(round(share * BAR_HEIGHT_PX), 2)
    return f'<div title="{title}" style="height:{height}px;background-color:{colour}"></div>'


def _decades(errors: Sequence[float]) -> tuple[int, int]:
    """Return the powers of ten (ms) that the axis runs between."""
    lowest = min([LOWEST_MS, *(error for error in errors if error > 0)])
    highest = max([HIGHEST_MS, *errors])
    first = max(math.floor(math.log10(lowest) + 1e-9), -6)
    return first, max(math.floor(math.log10(highest)) + 1, first + 1)


def _counts(errors: Sequence[float], first: int, bins: int) -> list[int]:
    counts = [0] * bins
    for error in errors:
        exact = (math.log10(error) - first) * BINS_PER_DECADE if error > 0 else 0.0
        counts[min(max(int(exact), 0), bins - 1)] += 1
    return counts
