"""How every chart looks: one theme, dark ink on a light card, and the same turned for the night.

A notebook's page can be light or dark and a chart does not know which, so it brings its own ground
along. Colour is never alone: stages have a pattern or a dash too, failures a mark.
"""

from __future__ import annotations

from dataclasses import astuple, dataclass
from typing import TYPE_CHECKING, Any

from firmly_nb.outcomes import (
    STAGE_COLOURS,
    TONES,
    outcome,
    place_of,
    stage_colour,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"
TITLE_PX, ANSWER_PX, TEXT_PX, CAPTION_PX = 17, 13.5, 12, 11.5
EDGE_PX = 16
PATTERNS = ("", "/", ".", "\\", "x", "-")
DASHES = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot")
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
        "separators": ".\u2009",
    }


def stage_look(stage: str, milestones: Sequence[str]) -> dict[str, Any]:
    """Return how a stage's bar looks: the colour of its end, and a pattern that tells it without.

    One that spans a missing milestone (``a->c``) has the colour of its end and bars across.
    """
    first, arrow, end = stage.rpartition("->")
    shape = "|" if first and arrow else PATTERNS[place_of(end, milestones) % len(PATTERNS)]
    return {"color": stage_colour(end, milestones), "pattern": over(shape)}


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


def dash(place: int) -> str:
    """Return the dash that tells a line without its colour."""
    return DASHES[place % len(DASHES)]


def faint(colour: str, opacity: float = 0.18) -> str:
    """Return a colour, see-through, for bands.

    Examples
    --------
    >>> faint("#0072B2")
    'rgba(0,114,178,0.18)'
    """
    red, green, blue = (int(colour[at : at + 2], 16) for at in (1, 3, 5))
    return f"rgba({red},{green},{blue},{opacity:g})"
