"""A merchant or stage looks the same in every chart and every run, whatever else is shown."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from importlib.metadata import version
from importlib.resources import files

from hypothesis import given
from hypothesis import strategies as st

import firmly_nb as fnb
from firmly_nb import charts
from firmly_nb.charts.look import LIGHT, MERCHANT_LOOKS, TURNED, merchant_looks
from firmly_nb.display.html import swatch
from firmly_nb.outcomes import STAGE_LOOKS, look_of_stage, places_by_name
from firmly_nb.recorder.records import End
from firmly_nb.sim.merchants import merchants
from firmly_nb.widgets.timeline_rows import stage_list
from tests.recorder.made_records import event, start

names = st.text(max_size=12) | st.from_regex(r"[a-z]{2,8}(\.[a-z]{2,8}){1,2}", fullmatch=True)
OWN = ["queued", "paid", "item-added", "packed", "order-placed"]


def drawn(chart, name):
    """The colour and mark of the series of a merchant in a chart."""
    trace = next(t for t in chart.data if (t.name or "").startswith(name))
    return trace.line.color or trace.marker.color, trace.line.dash, trace.marker.symbol


@given(st.sets(names, max_size=20))
def test_as_many_as_there_are_places_have_one_each(found):
    places = places_by_name(found, 8)
    assert len(set(places.values())) == min(len(found), 8)


@given(st.sets(names, max_size=8), names)
def test_a_name_has_its_place_unless_another_wants_the_same(others, name):
    alone = places_by_name([name], 8)[name]
    wanted = {places_by_name([other], 8)[other] for other in others - {name}}
    if alone not in wanted:
        assert places_by_name({*others, name}, 8)[name] == alone


@given(st.lists(names, max_size=8))
def test_the_order_of_names_does_not_matter(found):
    assert places_by_name(found, 8) == places_by_name(found[::-1], 8)


def test_merchants_look_the_same_in_every_chart(made):
    domains = ("harbor.example.test", "kite.example.test")
    few, many = made(200, domains=domains), made(300, domains=(*domains, "fern.example.test"))
    for domain in domains:
        curves = {drawn(charts.ecdf(one.orders, by_merchant=True), domain) for one in (few, many)}
        marks = {
            drawn(chart(one.orders), domain)
            for one in (few, many)
            for chart in (charts.over_time, charts.cart_total)
        }
        assert len(curves) == len(marks) == 1
        assert curves.pop()[0] == marks.pop()[0]


def test_the_first_merchants_of_the_simulator_look_different():
    first = list(merchants())[:6]
    alone = {merchant_looks([one])[one] for one in first}
    assert len(alone) == len(first)
    assert set(merchant_looks(merchants()).values()) == set(MERCHANT_LOOKS)


def test_merchants_are_told_apart_without_colour():
    for what in ("colour", "symbol", "dash"):
        assert len({getattr(look, what) for look in MERCHANT_LOOKS}) == len(MERCHANT_LOOKS)


def test_stages_of_your_own_look_the_same_everywhere():
    events = [replace(event(n, name), coalesced=False) for n, name in enumerate(OWN, 1)]
    rec = fnb.Recording([start(milestones=OWN), *events, End("placed", 10**9)])
    recs = fnb.Recordings([rec])
    timeline = {row["stage"]: row["look"] for row in stage_list(events, OWN)}
    bars = {t.name: t.marker.color for t in recs.charts.waterfall().data if t.name in OWN}
    for stage in OWN:
        look = look_of_stage(stage, OWN)
        assert timeline[stage] == look.number
        assert bars[stage] == look.colour
        assert look.css in rec._repr_html_()
    assert swatch(look_of_stage("paid", OWN).colour) in recs.latency()._repr_html_()


@given(st.lists(st.sampled_from([*OWN, "x", "y", "z"]), unique=True, min_size=1, max_size=6))
def test_up_to_six_stages_have_six_looks(found):
    looks = {look_of_stage(name, found).number for name in found}
    assert len(looks) == len(found) <= len(STAGE_LOOKS)


def test_another_process_gives_the_same_looks():
    code = (
        "from firmly_nb.charts.look import merchant_looks as m\n"
        "from firmly_nb.outcomes import look_of_stage as s\n"
        "print(m(['a.test'])['a.test'].colour, s('paid', ['paid', 'x']).colour)"
    )
    env = {"PYTHONHASHSEED": "7"}
    said = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=env, check=True
    )
    here = (
        merchant_looks(["a.test"])["a.test"].colour,
        look_of_stage("paid", ["paid", "x"]).colour,
    )
    assert said.stdout.split() == [*here]


def test_jupyterlab_exchanges_the_colours_that_a_dark_chart_exchanges():
    extension = files("firmly_nb.charts") / "labextension"
    script = (extension / "static" / "remoteEntry.js").read_text("utf-8")
    written = script.split("const TURNED = ")[1].split(";")[0]
    assert json.loads(written) == TURNED
    assert f'const PAPER = "{LIGHT.paper}";' in script
    about = json.loads((extension / "package.json").read_text("utf-8"))
    assert about["version"] == version("firmly-nb")
