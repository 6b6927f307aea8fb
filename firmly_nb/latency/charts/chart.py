"""``Chart``: a Plotly figure that carries its question, its answer and what is in it."""

from __future__ import annotations

import base64
import html
import json
import math
from typing import TYPE_CHECKING, Any

import plotly.graph_objects as go  # type: ignore[import-untyped] # plotly has no types

from firmly_nb.latency.charts import pictures
from firmly_nb.latency.charts.theme import (
    ANSWER_PX,
    CAPTION_PX,
    EDGE_PX,
    LIGHT,
    TITLE_PX,
    TURNED,
    layout,
)
from firmly_nb.latency.charts.words import clean, lines

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

CAPTION = "caption"
PLOTLY = "application/vnd.plotly.v1+json"
CONFIG = {
    "displaylogo": False,
    # Plotly would offer to upload the chart to its own cloud.
    "plotlyServerURL": "",
    "modeBarButtonsToRemove": ["sendChartToCloud", "lasso2d", "select2d"],
}
QUESTION_LETTERS, ANSWER_LETTERS, CAPTION_LETTERS = 80, 112, 132
ALT_LETTERS = 400
LINE_PX, QUESTION_LINE_PX = 18, 23


class Chart(go.Figure):  # type: ignore[misc] # plotly has no types
    """A Plotly figure: ``update_layout``, ``add_trace`` and ``write_html`` are all there.

    Made by the functions of `firmly_nb.latency.charts`, not by hand.
    """

    # IPython would let Plotly's own way of display win, which leaves no picture and no text.
    _ipython_display_ = None

    @property
    def question(self) -> str:
        """What it answers."""
        return str(self._said("question"))

    @property
    def sentence(self) -> str:
        """The answer, computed from the data."""
        return str(self._said("sentence"))

    @property
    def caption(self) -> str:
        """How many orders are in it, which are not, and how it is drawn."""
        return str(self._said("caption"))

    @property
    def alt(self) -> str:
        """What a reader hears who does not see the picture: the question and its answer."""
        return f"{clean(self.question, ALT_LETTERS)} {clean(self.sentence, ALT_LETTERS)}"

    def dark(self) -> Chart:
        """Return the same chart for a dark page."""
        text = str(self.to_json())
        for day, night in TURNED.items():
            text = text.replace(f'"{day}"', f'"{night}"')
        return Chart(json.loads(text))

    def bare(self) -> Chart:
        """Return it without title, answer and caption, for a page that says them itself."""
        content = json.loads(self.to_json())
        plain = content["layout"]
        room, margin = plain["meta"]["room"], plain["margin"]
        plain["height"] -= margin["t"] + margin["b"] - room["top"] - room["bottom"]
        plain["margin"] = margin | {"t": room["top"], "b": room["bottom"]}
        plain["annotations"] = [n for n in plain["annotations"] if n.get("name") != CAPTION]
        del plain["title"]
        return Chart(content)

    def picture(self) -> bytes | None:
        """Return it as PNG; None where this machine has no browser to draw it."""
        return pictures.picture(self.to_dict(), self._height_px)

    def _said(self, name: str) -> str:
        meta = self.layout.meta
        return meta.get(name, "") if isinstance(meta, dict) else ""

    @property
    def _height_px(self) -> int:
        return int(self.layout.height or 450)

    def __repr__(self) -> str:
        said = [self.question, f"  {self.sentence}", f"  {self.caption}"]
        return "\n".join(line.rstrip() for line in said if line.strip())

    def _repr_html_(self) -> None:
        # Plotly's is megabytes of script.
        return None

    def _repr_mimebundle_(self, *_: Any, **__: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        shown: dict[str, Any] = {"text/plain": repr(self)}
        shown[PLOTLY] = json.loads(self.to_json()) | {"config": CONFIG}
        drawn = self.picture() if pictures.wanted() else None
        if drawn is None:
            return shown, {}
        shown["image/png"] = base64.b64encode(drawn).decode()
        # nbconvert reads "alt" in its template "classic"; the others have no place for it.
        size = {"width": pictures.WIDTH_PX, "height": self._height_px}
        return shown, {"image/png": {**size, "alt": self.alt}}


def make(  # noqa: PLR0913 - each is a part of a chart
    traces: Sequence[Any],
    *,
    question: str,
    sentence: str,
    caption: str,
    height_px: int = 420,
    left_px: int = 84,
    right_px: int = 24,
    legend: bool = True,
    below_px: int = 58,
    extra: Mapping[str, Any] | None = None,
) -> Chart:
    """Put the parts of a chart together.

    Parameters
    ----------
    traces
        What is drawn, as Plotly traces.
    question, sentence, caption
        Plain text; nothing in it is taken for markup.
    height_px
        Height of the area of the axes; title, answer and caption come on top of it.
    left_px, right_px, below_px
        Room for the labels of the axes.
    legend
        Whether there is a legend; it stands above the axes.
    extra
        Further layout: axes, shapes, annotations.
    """
    asked, answer = lines(question, QUESTION_LETTERS), lines(sentence, ANSWER_LETTERS)
    foot = lines(caption, CAPTION_LETTERS)
    named = [trace.name for trace in traces if trace.name and trace.showlegend is not False]
    above = _legend_px(named, pictures.WIDTH_PX - left_px - right_px) if legend else 14
    top = EDGE_PX + 3 + QUESTION_LINE_PX * len(asked) + LINE_PX * len(answer) + above
    bottom = below_px + LINE_PX * len(foot)
    note = {
        "name": CAPTION,
        "text": "<br>".join(foot),
        "font": {"size": CAPTION_PX, "color": LIGHT.quiet},
        "xref": "paper",
        "yref": "paper",
        "x": 0,
        "y": 0,
        "xshift": EDGE_PX - left_px,
        "yshift": -below_px,
        "xanchor": "left",
        "yanchor": "top",
        "align": "left",
        "showarrow": False,
    }
    given = dict(extra or {})
    notes = [*given.pop("annotations", ()), note]
    # At once: Plotly checks a figure again with each later change.
    return Chart(
        traces,
        {
            "template": {"layout": layout()},
            "meta": {
                "question": question,
                "sentence": sentence,
                "caption": caption,
                "room": {"top": above, "bottom": below_px},
            },
            "title": _title(asked, answer),
            "height": height_px + top + bottom,
            "margin": {"l": left_px, "r": right_px, "t": top, "b": bottom},
            "showlegend": legend,
            "annotations": notes,
            **given,
        },
    )


def _title(asked: Sequence[str], answer: Sequence[str]) -> dict[str, Any]:
    return {
        "text": f"<b>{'<br>'.join(asked)}</b>",
        "font": {"size": TITLE_PX},
        "subtitle": {"text": "<br>".join(answer), "font": {"size": ANSWER_PX}},
        "x": 0,
        "xref": "container",
        "xanchor": "left",
        "y": 1,
        "yref": "container",
        "yanchor": "top",
        "pad": {"t": EDGE_PX, "l": EDGE_PX},
    }


def _legend_px(names: Sequence[str], width_px: int) -> int:
    """Return the height of a legend: one row, or where that is too long a grid of equal widths."""
    widths = [48 + 7 * len(html.unescape(name)) for name in names] or [0]
    in_a_row = len(widths) if sum(widths) <= width_px else max(width_px // max(widths), 1)
    return 18 + 20 * math.ceil(len(widths) / in_a_row)
