"""Every chart answers its question in words, says what is in it, and stays small and harmless."""

from __future__ import annotations

import json
import re

import pytest

from firmly_nb import charts
from firmly_nb.charts.chart import PLOTLY
from firmly_nb.charts.look import LIGHT
from firmly_nb.outcomes import look_of_stage


def sides(made):
    """The tables of one side of a comparison."""
    return made.event_times, made.stages, made.orders


DRAW = {
    "waterfall": lambda made: charts.waterfall(made.stages, made.orders),
    "aligned": lambda made: charts.waterfall(made.stages, made.orders, align="item-added"),
    "ecdf": lambda made: charts.ecdf(made.orders),
    "by_merchant": lambda made: charts.ecdf(made.orders, by_merchant=True),
    "percentiles": lambda made: charts.percentiles(made.orders),
    "stages": lambda made: charts.stages(made.event_times, made.stages, made.orders),
    "ridge": lambda made: charts.ridge(made.stages, made.orders),
    "over_time": lambda made: charts.over_time(made.orders),
    "heatmap": lambda made: charts.heatmap(made.orders),
    "compare": lambda made: charts.compare(sides(made), sides(made)),
    "funnel": lambda made: charts.funnel(made.stages, made.orders),
    "cart_total": lambda made: charts.cart_total(made.orders),
}
# What charts write themselves; everything else in angle brackets would be a stranger's.
OWN_MARKUP = re.compile(r"</?b>|<br>|<extra>|</extra>")


@pytest.fixture(scope="module", params=DRAW)
def draw(request):
    """Each chart."""
    return DRAW[request.param]


@pytest.fixture(scope="module")
def chart(draw, usual):
    """Each chart of usual orders, drawn once."""
    return draw(usual)


def texts(value):
    """Return every text in nested data, except the plain words kept beside the drawing."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for name, inner in value.items():
            if name != "meta":
                yield from texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from texts(inner)


def content(chart):
    return json.loads(chart.to_json())


def test_it_asks_answers_and_says_what_is_in_it(chart):
    assert chart.question.endswith("?")
    assert re.search(r"\d", chart.sentence)
    assert chart.sentence.endswith(".")
    assert "200 orders" in chart.caption
    assert repr(chart).splitlines()[:2] == [chart.question, f"  {chart.sentence}"]


def test_every_axis_of_numbers_has_a_name_with_its_unit(chart):
    layout = content(chart)["layout"]
    axes = {name: axis for name, axis in layout.items() if name[1:5] == "axis"}
    assert axes
    for name, axis in axes.items():
        title = axis.get("title", {}).get("text", "")
        if not title:
            # Rows: each is named by itself, beside the axis or above its interval.
            assert axis.get("ticktext") if name == "yaxis" else axis["visible"] is False
            continue
        known = (", in margins", ", ms", "orders", "share", "(UTC)", "%", "USD", "failed")
        assert any(unit in title for unit in known), title


def test_failures_are_told_of_in_each_chart(chart, usual):
    lost = int((usual.orders["outcome"] != "placed").sum())
    assert lost > 5
    if chart.question != "Where do orders stop?":
        assert "not in the times: " in chart.caption


@pytest.mark.parametrize(("n", "failures"), [(1, 0.0), (2, 1.0), (6, 0.3), (12, 0.5)])
def test_few_orders_are_drawn_or_said_to_be_too_few(draw, made, n, failures):
    chart = draw(made(n, failures=failures))
    assert chart.sentence.endswith(".")
    assert "nan" not in chart.sentence


def test_no_orders_give_an_empty_chart_that_says_so(draw, made):
    assert draw(made(0)).sentence


def test_very_many_orders_stay_small(draw, many):
    chart = draw(many)
    assert len(chart.to_json()) < 200_000
    if chart.question in {"Is latency steady while orders are placed?", "When were orders slow?"}:
        assert {"heatmap", "bar"} <= {trace.type for trace in chart.data}
    if chart.question == "Is latency steady while orders are placed?":
        assert "are binned" in chart.caption


def test_strangers_names_are_shown_as_they_are_and_do_nothing(draw, made, hostile):
    names = (hostile, "b.test")
    tables = made(60, failures=0.3, domains=names, code=hostile)
    # Names of stages are what the analyst configured after what the merchant sent.
    last = tables.stages["stage"].cat.rename_categories({"order-placed": hostile})
    tables.stages = tables.stages.assign(stage=last, to_milestone=last)
    for text in texts(content(draw(tables))):
        assert "<" not in OWN_MARKUP.sub("", text), text
        assert "$" not in text.replace("&#36;", ""), text
        assert "%{x} &" not in text, text


def test_the_notebook_gets_a_drawing_text_and_a_picture_where_it_is_wanted(usual, monkeypatch):
    chart = charts.funnel(usual.stages, usual.orders)
    monkeypatch.setenv("FIRMLY_NB_PICTURES", "never")
    shown, sizes = chart._repr_mimebundle_()
    assert set(shown) == {PLOTLY, "text/plain"}
    assert sizes == {}
    assert chart.sentence in shown["text/plain"]
    config = shown[PLOTLY]["config"]
    assert config["plotlyServerURL"] == ""
    assert "sendChartToCloud" in config["modeBarButtonsToRemove"]


def test_ipython_shows_a_chart_by_its_bundle(usual, monkeypatch):
    from IPython.core.formatters import DisplayFormatter

    monkeypatch.setenv("FIRMLY_NB_PICTURES", "never")
    shown, _ = DisplayFormatter().format(charts.ecdf(usual.orders))
    assert set(shown) == {PLOTLY, "text/plain"}


def test_a_stage_has_its_colour_everywhere(usual):
    colours = {
        trace.name: trace.marker.color
        for trace in charts.waterfall(usual.stages, usual.orders).data
        if trace.name in {"creating-cart", "order-placed"}
    }
    assert colours == {name: look_of_stage(name).colour for name in colours}
    rows = charts.stages(usual.event_times, usual.stages, usual.orders).data
    assert rows[0].marker.color == colours["creating-cart"]


def test_stages_are_told_without_their_colour(usual):
    bars = [t for t in charts.waterfall(usual.stages, usual.orders).data if t.type == "bar"]
    shapes = [bar.marker.pattern.shape for bar in bars if bar.marker.pattern.shape is not None]
    assert len(set(shapes)) == len(shapes) == 4


def test_a_pattern_never_takes_the_place_of_its_bar(chart):
    for trace in chart.data:
        if trace.type == "bar" and trace.marker.pattern.shape:
            assert trace.marker.pattern.fillmode == "overlay"


def test_a_dark_chart_has_the_same_data_and_no_light_paper(chart):
    dark = chart.dark()
    assert dark.sentence == chart.sentence
    assert len(dark.data) == len(chart.data)
    assert f'"{LIGHT.paper}"' not in dark.to_json()
    assert f'"{LIGHT.ink}"' not in dark.to_json()


def test_a_bare_chart_leaves_its_words_to_the_page(chart):
    bare = chart.bare()
    assert bare.layout.title.text is None
    assert bare.layout.height < chart.layout.height
    notes = [note.name for note in bare.layout.annotations]
    assert "caption" not in notes


def test_an_unknown_milestone_or_measure_is_said(usual):
    with pytest.raises(KeyError, match=r"^Unknown milestone 'shipped'\. Use start, creating-cart"):
        charts.waterfall(usual.stages, usual.orders, align="shipped")
    with pytest.raises(KeyError, match=r"^Unknown measure 'latency'\. Use time_to_order_placed_ms"):
        charts.ecdf(usual.orders, measure="latency")
