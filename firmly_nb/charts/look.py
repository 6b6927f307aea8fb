"""Look of every chart: one theme, dark ink on a light card, and the same for a dark page.

A notebook's page can be light or dark and a chart does not know which, so it brings its own ground
along. Colour is never alone: stages have a pattern or a dash too, failures a mark.
"""

from __future__ import annotations

import math
import textwrap
from dataclasses import astuple, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from firmly_nb.display.text import THIN_SPACE, count, stated
from firmly_nb.outcomes import (
    STAGE_COLOURS,
    STAGE_LOOKS,
    TONES,
    look_of_stage,
    outcome,
    places_by_name,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import ArrayLike, NDArray

    Floats = NDArray[np.float64]

FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"
TITLE_PX, ANSWER_PX, TEXT_PX, CAPTION_PX = 17, 13.5, 12, 11.5
EDGE_PX = 16
SYMBOLS = ("circle", "square", "diamond", "triangle-up", "pentagon", "hexagon")
SERIES = (STAGE_COLOURS[0], STAGE_COLOURS[5], STAGE_COLOURS[2], *STAGE_COLOURS[3:5])
# Counts of orders, few to many: told apart in black and white; for the night the other way round.
COUNTS = ("#e3eef7", "#9cc5e3", "#4a94c8", "#0b5d98", "#03294a")
COUNTS_DARK = ("#1d3146", "#22537f", "#2f83bd", "#79b8e4", "#d9edfb")


@dataclass(frozen=True, slots=True)
class Ground:
    """The colours of the paper and of what is written on it."""

    paper: str
    ink: str
    quiet: str
    line: str
    mark: str


LIGHT = Ground("#fefefe", "#1c1c1e", "#5a5d63", "#e4e5e8", "#b3261e")
DARK = Ground("#17181b", "#ececf0", "#a9acb4", "#34363c", "#ff8a80")
# A chart is written for the day; for the night these colours are exchanged in it. Those of stages
# stay: the same stage has the same colour everywhere.
TURNED = dict(
    zip(
        (*astuple(LIGHT), *COUNTS, *(tone.light for tone in TONES.values())),
        (*astuple(DARK), *COUNTS_DARK, *(tone.dark for tone in TONES.values())),
        strict=True,
    )
)


def layout(ground: Ground = LIGHT) -> dict[str, Any]:
    """Return the layout that all charts share."""
    axis = {
        "gridcolor": ground.line,
        "linecolor": ground.quiet,
        "tickcolor": ground.quiet,
        "zeroline": False,
        "showline": True,
        "ticks": "outside",
        "ticklen": 4,
        "automargin": False,
        "title": {"font": {"size": TEXT_PX, "color": ground.quiet}, "standoff": 8},
        "tickfont": {"size": TEXT_PX, "color": ground.ink},
    }
    return {
        "paper_bgcolor": ground.paper,
        "plot_bgcolor": ground.paper,
        "font": {"family": FONT, "size": TEXT_PX, "color": ground.ink},
        "colorway": list(SERIES),
        "hoverlabel": {
            "bgcolor": ground.paper,
            "bordercolor": ground.quiet,
            "font": {"family": FONT, "size": TEXT_PX, "color": ground.ink},
            "align": "left",
        },
        "legend": {
            "orientation": "h",
            "traceorder": "normal",
            "x": 0,
            "xanchor": "left",
            "y": 1,
            "yanchor": "bottom",
            "bgcolor": "rgba(0,0,0,0)",
            "font": {"size": TEXT_PX, "color": ground.ink},
        },
        "xaxis": axis,
        "yaxis": axis,
        "dragmode": "zoom",
        "separators": f".{THIN_SPACE}",
    }


def stage_look(stage: str, milestones: Sequence[str]) -> dict[str, Any]:
    """Return the look of a stage's bar for Plotly."""
    look = look_of_stage(stage, milestones)
    return {"color": look.colour, "pattern": over(look.pattern.name)}


def failure_look(name: str, size: float = 9) -> dict[str, Any]:
    """Return how the mark of a failed order looks, for each outcome another."""
    row = outcome(name)
    line = {"width": 2, "color": row.colour}
    return {"symbol": row.symbol, "size": size, "color": row.colour, "line": line}


def over(shape: str) -> dict[str, Any]:
    """Return a pattern that lies on a bar's own colour."""
    # Plotly would draw the pattern instead of the bar.
    look = {"fillmode": "overlay", "fgcolor": "rgba(255,255,255,0.75)", "size": 7}
    return {"shape": shape, "solidity": 0.25, **look}


def dash(index: int) -> str:
    """Return the dash that tells a line without its colour."""
    return STAGE_LOOKS[index % len(STAGE_LOOKS)].dash


@dataclass(frozen=True, slots=True)
class SeriesLook:
    """Look of a line or of marks: told apart by colour, and in black and white by the rest."""

    colour: str
    symbol: str
    dash: str


def series_look(index: int) -> SeriesLook:
    """Return the look of the first, second, ... series of a chart that has no merchants."""
    return SeriesLook(SERIES[index % len(SERIES)], SYMBOLS[index % len(SYMBOLS)], dash(index))


# On light and dark paper each has a contrast of 3:1. Crosses and stars are marks of failures.
MERCHANT_LOOKS = tuple(
    SeriesLook(colour, symbol, line)
    for colour, symbol, line in (
        ("#0072B2", "circle", "solid"),
        ("#D55E00", "square", "dash"),
        ("#009E73", "diamond", "dot"),
        ("#CC79A7", "triangle-up", "dashdot"),
        ("#2F9BD8", "pentagon", "longdash"),
        ("#8C7A00", "triangle-left", "longdashdot"),
        ("#7A5CC8", "triangle-down", "2px,6px"),
        ("#996633", "hourglass", "9px,3px,2px,3px,2px,3px"),
    )
)
MERCHANT_SALT = "94"  # the first six merchants of the simulator differ with it, and all looks occur


def merchant_looks(domains: Iterable[str]) -> dict[str, SeriesLook]:
    """Return the look of each merchant: the same in every chart and run, as far as looks suffice.

    Examples
    --------
    >>> alone, both = merchant_looks(["a.test"]), merchant_looks(["a.test", "b.test"])
    >>> alone["a.test"] == both["a.test"] != both["b.test"]
    True
    """
    places = places_by_name(domains, len(MERCHANT_LOOKS), salt=MERCHANT_SALT)
    return {domain: MERCHANT_LOOKS[place] for domain, place in places.items()}


def faint(colour: str, opacity: float = 0.18) -> str:
    """Return a colour, see-through, for bands.

    Examples
    --------
    >>> faint("#0072B2")
    'rgba(0,114,178,0.18)'
    """
    red, green, blue = (int(colour[at : at + 2], 16) for at in (1, 3, 5))
    return f"rgba({red},{green},{blue},{opacity:g})"


# Beyond this, points lie over one another and a notebook grows by megabytes: they are binned.
MOST_POINTS = 2_000
FEW_POINTS = 60  # so few are drawn one by one
MOST_STEPS = 1_000
LOG_FROM_RATIO = 10.0
FEWEST_TICKS = 3
TICK_STEPS = ((1,), (1, 2, 5), (1, 1.5, 2, 3, 4, 5, 6, 8))


def positive(values: ArrayLike) -> Floats:
    """Return the values that a time can have: known, finite, above zero."""
    found = np.asarray(values, dtype=np.float64).ravel()
    return found[np.isfinite(found) & (found > 0)]


def is_wide(values: ArrayLike) -> bool:
    """Return whether times span a decade, so that a logarithmic axis is needed.

    Examples
    --------
    >>> is_wide([100, 200]), is_wide([10, 2000])
    (False, True)
    """
    found = positive(values)
    return bool(len(found)) and float(found.max() / found.min()) >= LOG_FROM_RATIO


def time_axis(
    values: ArrayLike, title: str, *, log: bool | None = None, from_zero: bool = True
) -> dict[str, Any]:
    """Return an axis of times in ms, logarithmic where they span a decade.

    Parameters
    ----------
    values
        The times that are drawn.
    title
        What they are; the unit is added.
    log
        To decide otherwise.
    from_zero
        Whether a linear axis begins at 0, as lengths of bars need. If not, it begins near the first
        value where half of it and more would be empty.

    Examples
    --------
    >>> time_axis([470, 600], "time")["range"]
    [0, 630.0]
    >>> time_axis([470, 600], "time", from_zero=False)["range"]
    [463.5, 606.5]
    """
    found = positive(values)
    log = is_wide(found) if log is None else log
    if not log or not len(found):
        low, high = (float(found.min()), float(found.max())) if len(found) else (0.0, 1 / 1.05)
        room = (high - low) / 20
        is_near = not from_zero and low > (high - low) > 0
        ends = [low - room, high + room] if is_near else [0, high * 1.05]
        return {"title": {"text": f"{title}, ms"}, "range": ends, "tickformat": ",~f"}
    return log_axis(found, f"{title}, ms", room=1.15)


def log_axis(values: ArrayLike, title: str, *, room: float) -> dict[str, Any]:
    """Return a logarithmic axis over the values above zero.

    Parameters
    ----------
    values
        What is drawn.
    title
        What they are, with their unit.
    room
        How many times as far as the last value the axis goes, at both ends.
    """
    found = positive(values)
    low, high = float(found.min()) / room, float(found.max()) * room
    ticks = log_ticks(low, high)
    return {
        "title": {"text": f"{title} (logarithmic)"},
        "type": "log",
        "range": [math.log10(low), math.log10(high)],
        "tickvals": ticks,
        "ticktext": list(map(stated, ticks)),
    }


def log_ticks(low: float, high: float) -> list[float]:
    """Return round values between two: as many in each decade as there is room for.

    Examples
    --------
    >>> log_ticks(90, 1100), log_ticks(95, 103)
    ([100.0, 200.0, 500.0, 1000.0], [96.0, 98.0, 100.0, 102.0])
    """
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for steps in TICK_STEPS[math.log10(high / low) <= 3 :]:
        ticks = [s * 10.0**d for d in decades for s in steps if low <= s * 10.0**d <= high]
        if len(ticks) >= FEWEST_TICKS:
            return ticks
    # So narrow that it is as good as linear: some four steps of 1, 2 or 5.
    rough = (high - low) / 4
    decade = 10.0 ** math.floor(math.log10(rough))
    step = next(s for s in (1, 2, 5, 10) if s * decade >= rough) * decade
    return [tick * step for tick in range(math.ceil(low / step), math.floor(high / step) + 1)]


def edges(values: ArrayLike, bins: int) -> Floats:
    """Return the edges of bins over times, equal on a logarithmic axis."""
    found = positive(values)
    low, high = (float(found.min()), float(found.max())) if len(found) else (1.0, 10.0)
    if low == high:
        low, high = low / 1.05, high * 1.05
    return np.geomspace(low * 0.999, high * 1.001, bins + 1)


def thinned(n: int) -> NDArray[np.intp]:
    """Return which of n ranks are drawn: all of few; of many, evenly, and more of both ends.

    Examples
    --------
    >>> len(thinned(100)), len(thinned(100_000)) <= MOST_STEPS, int(thinned(100_000)[-1])
    (100, True, 99999)
    """
    if n <= MOST_STEPS:
        return np.arange(n)
    even = np.linspace(0, n - 1, MOST_STEPS // 2)
    tail = np.geomspace(1, n, MOST_STEPS // 4) - 1
    return np.unique(np.concatenate([even, tail, n - 1 - tail]).astype(np.intp))


def binned_words(n: int) -> str:
    """Return in words that points were binned."""
    return f"{count(n, 'order')} are binned: the darker, the more."


# On a telephone there is no room beside the axes: labels of rows stand above their bars, and long
# titles of axes are broken.
NARROW_PX, PHONE_PX = 600, 320  # below the first a drawing is narrow; the second is the narrowest
NARROW_LEFT_PX, NARROW_RIGHT_PX, NARROW_LETTERS, NARROW_TICKS = 58, 12, 30, 4
ABOVE_PX, BAR_PX, LEAST_ROW_PX, TICK_PX = 15, 20, 40, 60


def narrow(layout: Mapping[str, Any], legend_px: int) -> dict[str, Any]:
    """Return what of a layout is different where it is narrow.

    Parameters
    ----------
    layout
        A layout as plain data, without title and caption.
    legend_px
        Height of its legend there.
    """
    notes, margin = [_narrow_note(note) for note in layout["annotations"]], dict(layout["margin"])
    beside = [note for note in notes if note.get("xref") == "paper" and note.get("x") == 1]
    left = max(NARROW_LEFT_PX, labels_px(layout))
    right = NARROW_RIGHT_PX if beside or margin["r"] < 2 * NARROW_RIGHT_PX + 1 else margin["r"]
    ticks = min(NARROW_TICKS, max((PHONE_PX - left - right) // TICK_PX, 2))
    axes = {
        name: _narrow_axis(name, axis, ticks)
        for name, axis in layout.items()
        if name[1:5] == "axis"
    }
    wrapped = max(axis.get("title", {}).get("text", "").count("<br>") for axis in axes.values())
    inside = layout["height"] - margin["t"] - margin["b"]
    margin |= {"l": left, "r": right, "t": legend_px, "b": margin["b"] + 15 * wrapped}
    found: dict[str, Any] = {}
    rows = axes["yaxis"].get("ticktext") if axes["yaxis"].get("type") != "log" else None
    if rows:
        axes["yaxis"]["showticklabels"] = False
        margin["l"] = NARROW_RIGHT_PX
        notes = [note for note in notes if note not in beside]
        labels = list(zip(axes["yaxis"]["tickvals"], rows, strict=True))
        first, last = axes["yaxis"]["range"]
        if first < last:  # hills stand on their row, and leave room above them
            notes += [_label(at + 1, f"<b>{label}</b>", yanchor="top") for at, label in labels]
        elif inside >= LEAST_ROW_PX * len(rows):
            texts = {at: _row_lines(at, label, beside) for at, label in labels}
            row_px = BAR_PX + 2 * (
                ABOVE_PX * max(text.count("<br>") + 1 for text in texts.values())
            )
            notes += [_label(at - 0.5, text, yanchor="top") for at, text in texts.items()]
            inside, found["bargap"] = row_px * len(rows), 1 - BAR_PX / row_px
    height = inside + margin["t"] + margin["b"]
    return {**found, **axes, "annotations": notes, "margin": margin, "height": height}


# The tick, the title, and the room between; of letters the width in the widest of usual typefaces.
BESIDE_LABELS_PX, DIGIT_PX, POINT_PX = 34, 7.7, 4.0
MOST_TICKS = 10


def labels_px(axes: Mapping[str, Any]) -> int:
    """Return how much room is needed for labels and titles of vertical axes of numbers.

    Examples
    --------
    >>> title = {"text": "time, ms"}
    >>> labels_px({"yaxis": {"title": title, "range": [0, 900], "tickformat": ",~f"}})
    58
    >>> labels_px({"yaxis": {"title": title, "range": [0, 40_000], "tickformat": ",~f"}})
    77
    """
    labels = [
        label
        for name, axis in axes.items()
        if name.startswith("yaxis") and axis.get("title") and axis.get("showticklabels", True)
        for label in _labels(axis)
    ]
    return BESIDE_LABELS_PX + math.ceil(max(map(_label_px, labels), default=0))


def _labels(axis: Mapping[str, Any]) -> list[str]:
    """Return an axis's labels; of one whose steps Plotly chooses, the longest that there can be."""
    if "ticktext" in axis:
        return list(axis["ticktext"])
    if "f" not in axis.get("tickformat", ""):
        return []
    low, high = axis["range"]
    step = (abs(high - low) or 1.0) / MOST_TICKS
    decimals = max(0, -math.floor(math.log10(step)))
    sign = "+" if axis["tickformat"].startswith("+") or low < 0 else ""
    return [f"{sign}{max(abs(low), abs(high)):,.{decimals}f}"]


def _label_px(label: str) -> float:
    return sum(DIGIT_PX if letter.isalnum() or letter in "+%" else POINT_PX for letter in label)


def _narrow_axis(name: str, axis: Mapping[str, Any], ticks: int) -> dict[str, Any]:
    found = dict(axis)
    if not name.startswith("x"):
        return found
    title = found.get("title", {}).get("text", "")
    lines = textwrap.wrap(title, NARROW_LETTERS)
    found["title"] = {"text": "<br>".join(lines)}
    if "tickvals" not in found:
        # Plotly would turn long texts, such as times of day, into the title of the axis.
        found |= {"nticks": ticks, "tickangle": 0}
    step = -(-len(found.get("tickvals", ())) // ticks)
    for part in ("tickvals", "ticktext"):
        if len(found.get(part, ())) > ticks + 1:
            found[part] = found[part][::step]
    return found


def _narrow_note(note: Mapping[str, Any]) -> dict[str, Any]:
    """Let words over a part begin at the edge, as labels of rows do."""
    if not (note.get("x") == 0 and str(note.get("xref")).endswith(" domain")):
        return dict(note)
    font = {**note["font"], "size": 10.5}
    return {**note, "xshift": NARROW_RIGHT_PX - NARROW_LEFT_PX, "font": font}


def _row_lines(at: float, label: str, beside: Sequence[Mapping[str, Any]]) -> str:
    """Return the label of a row with what stands beside it; further texts as further lines."""
    texts = [str(note["text"]).replace("<br>", ", ") for note in beside if note["y"] == at]
    words = f"<b>{label}</b>"
    if texts and len(label) + len(texts[0]) <= NARROW_LETTERS:
        words, texts = f"{words} {texts[0]}", texts[1:]
    return "<br>".join([words, *texts])


def _label(y: float, text: str, *, yanchor: str) -> dict[str, Any]:
    place = {"xref": "paper", "x": 0, "xanchor": "left", "y": y, "yanchor": yanchor}
    look = {"font": {"size": 11, "color": LIGHT.ink}, "align": "left", "showarrow": False}
    return {**place, **look, "text": text}
