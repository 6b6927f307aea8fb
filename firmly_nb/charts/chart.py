"""Common parts of charts: the orders drawn, the marks of failures, the texts of hovering."""

from __future__ import annotations

import base64
import html
import json
import math
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol

import plotly.graph_objects as go  # type: ignore[import-untyped] # plotly has no types

from firmly_nb.charts import pictures
from firmly_nb.charts.look import (
    ANSWER_PX,
    CAPTION_PX,
    EDGE_PX,
    LIGHT,
    NARROW_LEFT_PX,
    NARROW_PX,
    NARROW_RIGHT_PX,
    PHONE_PX,
    TITLE_PX,
    TURNED,
    SeriesLook,
    failure_look,
    is_wide,
    labels_px,
    layout,
    merchant_looks,
    narrow,
)
from firmly_nb.display.messages import UnknownName, coded_error, unknown
from firmly_nb.display.text import (
    LONGEST_LABEL,
    TIMES,
    as_hover,
    as_plotly,
    count,
    duration,
    is_are,
    listed,
    plotly_lines,
    printable,
    short_name,
    there_are,
)
from firmly_nb.latency.columns import ended_ms, is_value
from firmly_nb.latency.dependence import (
    basis_words,
    dependence_of_times,
    quantiles_over,
    units_of,
)
from firmly_nb.latency.stages import REASONS, voided
from firmly_nb.outcomes import PLACED, outcome

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    import pandas as pd

    from firmly_nb.latency.quantiles import Quantile


class Orders(Protocol):
    """The tables of many recordings, from which charts are made."""

    @property
    def event_times(self) -> pd.DataFrame: ...  # noqa: D102 - as in Recordings
    @property
    def stages(self) -> pd.DataFrame: ...  # noqa: D102 - the same
    @property
    def orders(self) -> pd.DataFrame: ...  # noqa: D102 - the same


def excluded(orders: pd.DataFrame) -> str:
    """Return how many orders were attempted and which are not among the placed ones.

    Examples
    --------
    >>> import pandas as pd
    >>> excluded(pd.DataFrame({"outcome": ["placed", "placed", "timeout"]}))
    '3 orders, 2 placed; not in the times: 1 timed out.'
    """
    placed = int((orders["outcome"] == PLACED).sum())
    said = f"{count(len(orders), 'order')}, {count(placed)} placed"
    others = _others(orders)
    return f"{said}; not in the times: {listed(others)}." if others else f"{said}."


def known(stages: pd.DataFrame, orders: pd.DataFrame) -> pd.DataFrame:
    """Return the stages without those whose time says nothing."""
    return stages[voided(stages, orders).reasons < 0]


def left_out(stages: pd.DataFrame, orders: pd.DataFrame) -> str:
    """Return how many times of stages a chart leaves out, and why; nothing if it has all.

    Examples
    --------
    >>> import pandas as pd
    >>> orders = pd.DataFrame({"recording_id": ["r"], "domain": "a.test"})
    >>> table = pd.DataFrame({"recording_id": "r", "duration_ms": [9.0, 0.0, -3.0],
    ...                       "uncertainty_us": 2.0, "coalesced": [False, True, False]})
    >>> left_out(table, orders)
    ' 2 times of stages are not known and left out: 1 out-of-order and 1 coalesced.'
    """
    reasons = voided(stages, orders).reasons
    counts = {reason: int((reasons == code).sum()) for code, reason in enumerate(REASONS)}
    total = sum(counts.values())
    if not total:
        return ""
    said = listed(f"{count(n)} {reason}" for reason, n in counts.items() if n)
    return f" {count(total, 'time')} of stages {is_are(total)} not known and left out: {said}."


def none_placed(orders: pd.DataFrame) -> str:
    """Return in words that no order was placed, and how the orders ended.

    Examples
    --------
    >>> import pandas as pd
    >>> none_placed(pd.DataFrame({"outcome": ["timeout", "timeout", "cancelled"]}))
    'None of 3 orders was placed: 2 timed out and 1 cancelled.'
    >>> none_placed(pd.DataFrame({"outcome": []}))
    'There are no orders.'
    """
    if orders.empty:
        return "There are no orders."
    n = len(orders)
    who = "The one order was not" if n == 1 else f"None of {count(n, 'order')} was"
    return f"{who} placed: {listed(_others(orders))}."


def not_known(found: Quantile, name: str = "") -> str:
    """Return why a quantile of placed orders has no interval, and so is not told.

    Examples
    --------
    >>> from firmly_nb.latency import quantile
    >>> not_known(quantile([1.0, 2.0, 3.0], 0.95))
    'p95 needs 72 placed orders, there are 3'
    """
    if found.why:
        return f"{name or found.name} has no interval: {found.why}"
    return f"{name or found.name} needs {count(found.needed, 'placed order')}, {there_are(found.n)}"


def _others(orders: pd.DataFrame) -> list[str]:
    counts = orders["outcome"].astype("str").value_counts()
    return [
        f"{count(int(number))} {short_name(outcome(str(name)).clause)}"
        for name, number in counts.items()
        if name != PLACED and number
    ]


CAPTION = "caption"
PLOTLY = "application/vnd.plotly.v1+json"
CONFIG = {
    "displaylogo": False,
    # Plotly would offer to upload the chart to its own cloud.
    "plotlyServerURL": "",
    "modeBarButtonsToRemove": ["sendChartToCloud", "lasso2d", "select2d"],
}
# Of a line of title, answer and caption, in a picture.
QUESTION_LETTERS, ANSWER_LETTERS, CAPTION_LETTERS = 80, 112, 132
# Widths for which JupyterLab is told how these are broken; it takes the next that is not larger.
FITS_PX = (pictures.WIDTH_PX, 750, NARROW_PX, 500, 420, 360, PHONE_PX)
ALT_LETTERS = 400
LINE_PX, QUESTION_LINE_PX = 18, 23


class Chart(go.Figure):  # type: ignore[misc] # plotly has no types
    """A Plotly figure: ``update_layout``, ``add_trace`` and ``write_html`` are all there.

    Made by the functions of `firmly_nb.charts`, not by hand.
    """

    # IPython would let Plotly's own way of display win, which leaves no picture and no text.
    _ipython_display_ = None

    @property
    def question(self) -> str:
        """Question that the chart answers."""
        return str(self._said("question"))

    @property
    def sentence(self) -> str:
        """Answer, computed from the data."""
        return str(self._said("sentence"))

    @property
    def caption(self) -> str:
        """Number of orders in it, those left out, and how it is drawn."""
        return str(self._said("caption"))

    @property
    def alt(self) -> str:
        """Alternative text of the picture: the question and its answer."""
        return f"{printable(self.question, ALT_LETTERS)} {printable(self.sentence, ALT_LETTERS)}"

    def dark(self) -> Chart:
        """Return the same chart for a dark page."""
        text = str(self.to_json())
        for day, night in TURNED.items():
            text = text.replace(f'"{day}"', f'"{night}"')
        return Chart(json.loads(text))

    def bare(self) -> Chart:
        """Return it without title, answer and caption, for a page that says them itself.

        In ``layout.meta.narrow`` is what of its layout is different on a telephone.
        """
        return Chart(self._bare())

    def _bare(self) -> dict[str, Any]:
        content: dict[str, Any] = json.loads(self.to_json())
        plain = content["layout"]
        room, margin = plain["meta"]["room"], plain["margin"]
        plain["height"] -= margin["t"] + margin["b"] - room["top"] - room["bottom"]
        plain["margin"] = margin | {"t": room["top"], "b": room["bottom"]}
        plain["annotations"] = [n for n in plain["annotations"] if n.get("name") != CAPTION]
        del plain["title"]
        legend_px = self._above_px(PHONE_PX - NARROW_LEFT_PX - NARROW_RIGHT_PX)
        # Both are known to the page, which takes what fits the reader's screen.
        plain["meta"] |= {"narrow_px": NARROW_PX, "narrow": narrow(plain, legend_px)}
        return content

    def _above_px(self, width_px: int) -> int:
        """Return how much room the legend takes, in axes of a width."""
        room: int = self._said("room")["top"]
        return _legend_px(_named(self.data), width_px) if self.layout.showlegend else room

    def _shown(self) -> dict[str, Any]:
        """Return it for JupyterLab, which is told what is different in other widths.

        In ``layout.meta.fits`` are, for each width, title, answer and caption broken for it.
        """
        content: dict[str, Any] = json.loads(self.to_json())
        wide = self._bare()["layout"]
        meta = wide["meta"]
        fits = [
            self._fit(from_px, wide | meta["narrow"] if from_px < NARROW_PX else wide)
            for from_px in FITS_PX
        ]
        content["layout"]["meta"] = meta | {"fits": fits}
        return content | {"config": CONFIG}

    def _fit(self, width_px: int, bare: Mapping[str, Any]) -> dict[str, Any]:
        """Return title, answer and caption of a bare layout for a width, and their room."""
        asked, answer, foot = _words(self.question, self.sentence, self.caption, width_px)
        margin = bare["margin"]
        top = self._above_px(width_px - margin["l"] - margin["r"])
        inside = bare["height"] - margin["t"] - margin["b"]
        around = {"t": top + _title_px(asked, answer), "b": margin["b"] + LINE_PX * len(foot)}
        return {
            "from_px": width_px,
            "title": _title(asked, answer),
            "caption": _caption(foot, margin["l"], margin["b"]),
            "margin": around,
            "height": inside + sum(around.values()),
        }

    def picture(self) -> bytes | None:
        """Return it as PNG; None where this machine has no browser to draw it."""
        return pictures.picture(self.to_dict(), self._height_px)

    def to_image(self, *args: Any, **options: Any) -> bytes:
        """Return it as an image; see Plotly's own. It needs Chrome or Chromium."""
        with _named_browser():
            drawn: bytes = super().to_image(*args, **options)
        return drawn

    def write_image(self, *args: Any, **options: Any) -> None:
        """Write it as an image; see Plotly's own. It needs Chrome or Chromium."""
        with _named_browser():
            super().write_image(*args, **options)

    def _said(self, name: str) -> Any:
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
        shown[PLOTLY] = self._shown()
        drawn = self.picture() if pictures.wanted() else None
        if drawn is None:
            return shown, {}
        shown["image/png"] = base64.b64encode(drawn).decode()
        # For nbconvert, whose usual template has no place for the alternative text of a picture.
        small = pictures.picture(self.to_dict(), self._height_px, kind="webp")
        if small is not None:
            shown["text/html"] = (
                f'<img alt="{html.escape(self.alt)}" style="max-width:100%" '
                f'src="data:image/webp;base64,{base64.b64encode(small).decode()}">'
            )
        size = {"width": pictures.WIDTH_PX, "height": self._height_px}
        return shown, {"image/png": {**size, "alt": self.alt}}


@contextmanager
def _named_browser() -> Iterator[None]:
    """Say which browser an image needs, if there is none."""
    try:
        yield
    except RuntimeError as error:
        if "Chrome" not in str(error):
            raise
        text = "An image needs Chrome or Chromium, and there is none. Install one, or use"
        raise coded_error(RuntimeError, "FNB324", f"{text} chart.write_html(path).") from error


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
    asked, answer, foot = _words(question, sentence, caption, pictures.WIDTH_PX)
    above = _legend_px(_named(traces), pictures.WIDTH_PX - left_px - right_px) if legend else 14
    top = _title_px(asked, answer) + above
    bottom = below_px + LINE_PX * len(foot)
    given = dict(extra or {})
    left_px = max(left_px, labels_px(given))
    notes = [*given.pop("annotations", ()), _caption(foot, left_px, below_px)]
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


def _named(traces: Iterable[Any]) -> list[str]:
    """Return what stands in the legend."""
    return [trace.name for trace in traces if trace.name and trace.showlegend is not False]


def _words(question: str, sentence: str, caption: str, width_px: int) -> list[list[str]]:
    """Break question, answer and caption into lines for a width."""
    part = (width_px - 2 * EDGE_PX) / (pictures.WIDTH_PX - 2 * EDGE_PX)
    texts = zip(
        (question, sentence, caption),
        (QUESTION_LETTERS, ANSWER_LETTERS, CAPTION_LETTERS),
        strict=True,
    )
    return [plotly_lines(text, int(part * letters)) for text, letters in texts]


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


def _title_px(asked: Sequence[str], answer: Sequence[str]) -> int:
    return EDGE_PX + 3 + QUESTION_LINE_PX * len(asked) + LINE_PX * len(answer)


def _caption(foot: Sequence[str], left_px: int, below_px: int) -> dict[str, Any]:
    return {
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


def _legend_px(names: Sequence[str], width_px: int) -> int:
    """Return the height of a legend: one row, or where that is too long a grid of equal widths."""
    widths = [48 + 7 * len(html.unescape(name)) for name in names] or [0]
    in_a_row = len(widths) if sum(widths) <= width_px else max(width_px // max(widths), 1)
    return 18 + 20 * math.ceil(len(widths) / in_a_row)


DEFAULT_MEASURE = "time_to_order_placed_ms"
MOST_MERCHANTS = 4
OTHERS = SeriesLook(
    LIGHT.quiet, "circle-open", "solid"
)  # of the merchants that have no look of their own


def measure_name(measure: str) -> str:
    """Return the name of a column in words."""
    return TIMES.get(measure, measure.removesuffix("_ms").replace("_", " "))


def placed(orders: pd.DataFrame, measure: str = DEFAULT_MEASURE) -> pd.DataFrame:
    """Return the placed orders whose time is known.

    Raises
    ------
    KeyError
        If there is no such column of times.
    """
    if measure not in orders:
        raise coded_error(UnknownName, "FNB306", unknown("measure", measure, TIMES))
    return orders[is_value(orders["outcome"], PLACED) & orders[measure].notna()]


def failed(orders: pd.DataFrame) -> pd.DataFrame:
    """Return the orders that did not end in an order, cancelled ones too."""
    return orders[~is_value(orders["outcome"], PLACED)]


def times(orders: pd.DataFrame, measure: str = DEFAULT_MEASURE) -> Any:
    """Return the times of the placed orders as an array."""
    return placed(orders, measure)[measure].to_numpy("float64")


def order_quantiles(
    orders: pd.DataFrame, ps: Iterable[float], measure: str = DEFAULT_MEASURE
) -> list[Quantile]:
    """Return quantiles of the placed orders' times, as the table of latencies has them."""
    through = placed(orders, measure)
    return quantiles_over(through[measure].to_numpy("float64"), ps, units_of(through)).quantiles


def interval_words(orders: pd.DataFrame, measure: str = DEFAULT_MEASURE) -> str:
    """Return in words how the intervals were computed, and which runs they speak of."""
    through = placed(orders, measure)
    basis = dependence_of_times(through[measure].to_numpy("float64"), units_of(through))
    return basis_words({measure_name(measure): basis}, 0.95)


def failure_heights(lost: pd.DataFrame, times: Any) -> Any:
    """Return where failures stand beside placed orders: at their time, at most a little outside.

    A time-out's time is the limit, not the merchant's; it must not press the others together.
    """
    found = ended_ms(lost)
    return found.clip(times.min() / 1.15 if is_wide(times) else 0, 1.15 * times.max())


def order_points(
    through: pd.DataFrame, measure: str, x: Callable[[pd.DataFrame], Any]
) -> list[Any]:
    """Draw placed orders: a mark for each of the merchants with most orders, one for the rest.

    Parameters
    ----------
    through
        Placed orders.
    measure
        How high they stand: a column of times.
    x
        Where some of them stand.
    """
    names = domains(through)
    own = names if len(names) <= MOST_MERCHANTS else names[: MOST_MERCHANTS - 1]
    looks = merchant_looks(own)
    parts = [(name, through["domain"] == name, looks[name]) for name in own]
    if len(own) < len(names):
        rest = f"{count(len(names) - len(own))} more merchants"
        parts.append((rest, ~through["domain"].isin(own), OTHERS))
    traces = []
    for name, inside, look in parts:
        part = through[inside.to_numpy(bool)]
        traces.append(
            go.Scatter(
                x=x(part),
                y=part[measure].to_numpy("float64"),
                hovertext=durations(part[measure]),
                mode="markers",
                name=f"{as_plotly(name)} ({count(len(part))})",
                marker={
                    "size": 7,
                    "symbol": look.symbol,
                    "opacity": 0.85,
                    "color": look.colour,
                    "line": {"width": 0.5, "color": LIGHT.paper},
                },
                customdata=order_data(part),
                hovertemplate=order_hover(measure_name(measure)),
            )
        )
    return traces


def failure_points(lost: pd.DataFrame, x: Sequence[Any], y: Sequence[Any], unit: str) -> list[Any]:
    """Draw failures: a mark of its own for each outcome, with what hovering tells.

    Parameters
    ----------
    lost
        Orders that were not placed.
    x, y
        Where they stand, in the same order.
    unit
        What y is, for hovering.
    """
    traces = []
    outcomes = lost["outcome"].astype("str").tolist()
    ids, codes = lost["recording_id"].tolist(), lost["error_code"].astype("object").tolist()
    for name in sorted(set(outcomes)):
        rows, said = [row for row, each in enumerate(outcomes) if each == name], outcome(name)
        traces.append(
            go.Scatter(
                x=[x[row] for row in rows],
                y=[y[row] for row in rows],
                hovertext=durations(y[row] for row in rows),
                mode="markers",
                name=as_plotly(f"{said.word} ({count(len(rows))})"),
                marker=failure_look(name),
                customdata=[[as_hover(ids[row]), shown_code(codes[row])] for row in rows],
                hovertemplate=f"<b>{as_hover(said.clause)}</b> "
                f"%{{customdata[1]}}<br>{unit} %{{hovertext}}<br>%{{customdata[0]}}<extra></extra>",
            )
        )
    return traces


def durations(times_ms: Iterable[float | None]) -> list[str]:
    """Return what hovering tells of times: Plotly's own formats cannot write them as elsewhere."""
    return [duration(time_ms) for time_ms in times_ms]


def order_hover(unit: str) -> str:
    """Return what hovering over a placed order tells."""
    return (
        f"<b>order %{{customdata[1]}}</b><br>{unit} %{{hovertext}}<br>"
        "%{customdata[2]}<br>%{customdata[0]}<extra></extra>"
    )


def order_data(orders: pd.DataFrame) -> list[list[str]]:
    """Return what leads from a point to its recording: id, order number, and the merchant."""
    numbers = orders["order_number"].astype("object").where(orders["order_number"].notna(), "")
    columns = orders["recording_id"], numbers, orders["domain"].astype("object")
    return [[as_hover(value) for value in row] for row in zip(*columns, strict=True)]


def domains(orders: pd.DataFrame) -> list[str]:
    """Return the merchants, the one with most orders first."""
    counts = orders["domain"].astype("str").value_counts()
    return [str(name) for name, number in counts.items() if number]


def milestones(stages: pd.DataFrame) -> list[str]:
    """Return the milestones in the order of the orders' way."""
    return [str(name) for name in stages["to_milestone"].drop_duplicates()]


def beside(row: int) -> dict[str, Any]:
    """Return where a text stands that belongs to a row: on the right of the axes."""
    return {
        "xref": "paper",
        "x": 1,
        "xanchor": "left",
        "xshift": 10,
        "y": row,
        "align": "left",
        "showarrow": False,
    }


def row_axis(labels: Sequence[str]) -> dict[str, Any]:
    """Return an axis of rows under one another, each with its label."""
    return {
        "tickvals": list(range(len(labels))),
        "ticktext": [as_plotly(label) for label in labels],
        "range": [len(labels) - 0.5, -0.5],
        "showgrid": False,
        "ticks": "",
    }


def label_px(labels: Sequence[str], room: int = 28) -> int:
    """Return how much room the labels of rows need."""
    return room + round(7.2 * max(min(len(label), LONGEST_LABEL) for label in labels))


def by_milestone(stages: Iterable[str], names: Sequence[str]) -> list[str]:
    """Sort stages by the milestones that they end with, those after a gap behind the plain one.

    Examples
    --------
    >>> by_milestone(["a->c", "c", "b"], ["a", "b", "c"])
    ['b', 'c', 'a->c']
    """
    ranks = {name: rank for rank, name in enumerate(names)}
    return sorted(stages, key=lambda stage: (ranks.get(stage.split("->")[-1], 0), "->" in stage))


def untimed(question: str, orders: pd.DataFrame, measure: str = DEFAULT_MEASURE) -> Chart:
    """Return the empty chart of orders of which none has the time that was asked for."""
    if (orders["outcome"] == PLACED).any():
        return nothing(question, f"No placed order has a known {measure_name(measure)}.")
    return nothing(question, none_placed(orders))


def nothing(question: str, said: str, caption: str = "") -> Chart:
    """Return an empty chart; its answer says why it is empty."""
    note = {
        "text": "nothing to draw",
        "showarrow": False,
        "xref": "paper",
        "yref": "paper",
        "x": 0.5,
        "y": 0.5,
        "font": {"size": 13, "color": LIGHT.quiet},
    }
    blank = {"visible": False}
    return make(
        [],
        question=question,
        sentence=said,
        caption=caption,
        height_px=40,
        below_px=14,
        legend=False,
        extra={"annotations": [note], "xaxis": blank, "yaxis": blank},
    )


def shown_code(code: Any) -> str:
    """Write the API's name of an error; nothing where there is none."""
    return as_hover(code) if isinstance(code, str) else ""
