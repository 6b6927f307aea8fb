"""``recs.charts`` names every chart and makes it from the recordings' own tables."""

from __future__ import annotations

import subprocess
import sys

import pytest

import firmly_nb as fnb
from firmly_nb import charts
from firmly_nb.recordings.show import Charts

NAMES = [name for name in vars(Charts) if not name.startswith("_")]


@pytest.fixture
def recs(lab):
    return fnb.Recordings([lab.place(fnb.Order.example(), progress=False) for _ in range(3)])


def test_all_charts_are_there():
    assert {name for name in charts.__all__ if name != "Chart"} == set(NAMES)


def test_it_lists_them_with_their_questions(recs):
    for name in NAMES:
        assert f".{name}(" in repr(recs.charts)
        assert f".{name}(" in recs.charts._repr_html_()
    assert repr(recs.charts).count("?") == len(NAMES)


def test_each_is_made_from_recorded_orders(recs):
    for name in NAMES:
        arguments = [recs] if name == "compare" else []
        chart = getattr(recs.charts, name)(*arguments)
        assert chart.question in repr(chart)
        assert "3 orders" in chart.caption


def test_the_question_of_the_list_is_that_of_the_chart(recs):
    for name in NAMES:
        if name != "compare":
            assert getattr(recs.charts, name)().question in repr(recs.charts)


def test_plotly_waits_until_a_chart_is_made():
    code = (
        "import sys, firmly_nb as fnb; repr(fnb.Recordings([]).charts); "
        "assert 'plotly' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=250)
