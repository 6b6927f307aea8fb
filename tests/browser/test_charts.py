"""Charts in a real JupyterLab: drawn at once, and saved with a picture for readers without one."""

from __future__ import annotations

import base64
import re

from playwright.sync_api import expect

from tests.charts.words import CUT

ORDERS = """
import os, time
import firmly_nb as fnb
with fnb.connect(profile="instant") as lab:
    recs = fnb.Recordings([lab.place(fnb.Order.example(), progress=False) for _ in range(8)])
"""
WHO_DRAWS = "from firmly_nb.charts import pictures; pictures.wanted()"
PLOTLY = "application/vnd.plotly.v1+json"


def test_a_chart_is_drawn_by_jupyterlab_and_saved_with_a_picture_that_nobody_waited_for(
    notebook, artefact, until
):
    bench = notebook(ORDERS, "recs.charts", "recs.charts.waterfall()", WHO_DRAWS)
    bench.run_cell(0)
    expect(bench.run_cell(1)).to_contain_text("Where do orders stop?")
    drawn = bench.run_cell(2).locator(".js-plotly-plot")
    expect(drawn.locator(".gtitle")).to_have_text("Where do slow orders spend their time?")
    expect(drawn.locator(".bars path").first).to_be_visible()
    expect(bench.run_cell(3).locator("pre")).to_have_text("False")

    def saved():
        data = bench.save()["cells"][2]["outputs"][0]["data"]
        return data if "text/html" in data else None

    data = until(saved, "the picture that JupyterLab saves")
    assert set(data) == {PLOTLY, "image/png", "text/html", "text/plain"}
    assert 'alt="Where do slow orders spend their time? ' in "".join(data["text/html"])
    assert base64.b64decode(data["image/png"]).startswith(b"\x89PNG")
    assert "8 orders, 8 placed." in "".join(data["text/plain"])
    for scheme in ("dark", "light"):
        bench.theme(scheme)
        # JupyterLab gives a chart no height of its own: it must bring one and keep it.
        box = bench.output(2).locator(".main-svg").first.bounding_box()
        assert box["height"] > 300
        assert box["width"] > 700
        assert artefact(scheme, bench.page).stat().st_size > 1000


PAPER_AND_INK = """chart => [
    getComputedStyle(chart.querySelector(".main-svg")).backgroundColor,
    getComputedStyle(chart.querySelector(".gtitle")).fill,
]"""
DAY, NIGHT = [["rgb(254, 254, 254)", "rgb(28, 28, 30)"], ["rgb(23, 24, 27)", "rgb(236, 236, 240)"]]


def test_charts_follow_the_theme_and_pictures_have_an_alternative_text(notebook, artefact, until):
    bench = notebook(ORDERS, "recs.charts.funnel()", "recs.charts.heatmap()")
    bench.theme("dark")
    bench.run_cell(0)
    for cell in (1, 2):
        drawn = bench.run_cell(cell).locator(".js-plotly-plot")
        expect(drawn.locator(".gtitle")).to_be_visible()
        assert drawn.evaluate(PAPER_AND_INK) == NIGHT
        artefact(f"dark {cell}", bench.page)
    until(
        lambda: "image/png" in bench.save()["cells"][2]["outputs"][0]["data"],
        "the picture that JupyterLab saves",
    )
    bench.theme("light")
    drawn = bench.output(1).locator(".js-plotly-plot")
    until(lambda: drawn.evaluate(PAPER_AND_INK) == DAY, "the colours of the day")
    bench.reload()
    picture = bench.output(1).locator("img.plot-img")
    expect(picture).to_have_attribute("alt", re.compile(r"^Where do orders stop\? .* placed"))
    bench.theme("dark")
    drawn = bench.output(1).locator(".js-plotly-plot")
    until(lambda: drawn.evaluate(PAPER_AND_INK) == NIGHT, "the saved picture, drawn anew")
    artefact("dark again", bench.page)


def test_nothing_of_a_chart_is_cut_in_a_narrow_window(notebook, artefact, until):
    bench = notebook(ORDERS, "recs.charts.waterfall()", "recs.charts.heatmap()")
    bench.run_cell(0)
    charts = [bench.run_cell(cell).locator(".js-plotly-plot") for cell in (1, 2)]
    for drawn in charts:
        expect(drawn.locator(".gtitle")).to_be_visible()
    wide = bench.page.viewport_size
    height = charts[0].bounding_box()["height"]
    for width in (520, 440):
        bench.page.set_viewport_size({"width": width, "height": 900})
        for number, drawn in enumerate(charts):
            # What is long for a wide window is higher here.
            until(lambda: charts[0].bounding_box()["height"] > height, "the narrow drawing")
            drawn.scroll_into_view_if_needed()
            until(lambda drawn=drawn: not drawn.evaluate(CUT), "all words whole")
            artefact(f"{width} px, {number}", bench.page)
    bench.page.set_viewport_size(wide)
    until(lambda: charts[0].bounding_box()["height"] == height, "the chart as it was")
