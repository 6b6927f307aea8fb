"""The front-end modules, each tested by itself in a real browser: `js/*.test.js`.

A file imports the real modules (`/static/...`) and `./harness.js`; each of its tests is one here.
No node, no build, no network: the browser's requests are answered from the two folders.
"""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firmly_nb.display.text import duration, number, uncertainty
from firmly_nb.outcomes import STAGE_LOOKS
from firmly_nb.widgets.frontend import STATIC, colours, module

TESTS = Path(__file__).parent / "js"
ORIGIN = "http://front-end.test"
FILES = sorted(path.name for path in TESTS.glob("*.test.js"))
NAMED = re.compile(r'^test\(\s*("(?:[^"\\]|\\.)*")', re.MULTILINE)
WIDGETS = sorted(p.stem for p in STATIC.glob("*.js") if "export default" in p.read_text("utf-8"))
TYPES = {".js": "text/javascript", ".css": "text/css", ".html": "text/html"}
SHEETS = "".join(
    f'<link rel="stylesheet" href="/static/{path.name}">' for path in sorted(STATIC.glob("*.css"))
)
PAGE = f'<!doctype html><meta charset="utf-8">{SHEETS}<style>{colours()}</style><body>'


def names(file):
    return [json.loads(name) for name in NAMED.findall((TESTS / file).read_text("utf-8"))]


@pytest.fixture(scope="module")
def page(browser):
    page = browser.new_page()
    page.route(lambda _: True, answer)
    return page


def answer(route):
    """Answer a request from the folder of modules or of tests."""
    path = route.request.url.removeprefix(ORIGIN)
    if path.endswith(".html"):
        return route.fulfill(body=PAGE, content_type="text/html")
    folder = STATIC if path.startswith("/static/") else TESTS
    file = folder / Path(path).name
    if not file.is_file():
        return route.fulfill(status=404)
    return route.fulfill(body=file.read_text("utf-8"), content_type=TYPES[file.suffix])


@pytest.fixture(scope="module")
def outcomes(page):
    """Run the tests of a file, once: what went wrong by name, None where nothing did."""

    @cache
    def run(file):
        page.goto(f"{ORIGIN}/page.html")
        return page.evaluate(
            "file => import(`/tests/${file}`).then(() => import('/tests/harness.js'))"
            ".then(harness => harness.runAll())",
            file,
        )

    return run


@pytest.mark.parametrize(("file", "name"), [(f, name) for f in FILES for name in names(f)])
def test_front_end(file, name, outcomes):
    assert outcomes(file)[name] is None, outcomes(file)[name]


@pytest.mark.parametrize("file", FILES)
def test_each_front_end_test_is_known_here(file, outcomes):
    assert sorted(outcomes(file)) == sorted(names(file))


@pytest.mark.parametrize("name", WIDGETS)
def test_a_widget_s_module_loads_as_it_is_sent(name, page):
    page.goto(f"{ORIGIN}/page.html")
    kind = page.evaluate(
        "source => import(URL.createObjectURL(new Blob([source], {type: 'text/javascript'})))"
        ".then(widget => typeof widget.default.render)",
        module(name),
    )
    assert kind == "function"


# Values at which the number of digits changes, that lie in the middle of two, or look as if.
EDGES = [
    *(0.0, -0.0, 0.001, 0.004999, 0.005, 0.125, 0.135, 0.375, 0.995, 1.005, 1.015, 1.355, 2.675),
    *(5.678, 9.994, 9.995, 9.996, 9.9949999, 12.25, 12.35, 12.75, 99.94, 99.95, 99.96, 99.949999),
    *(100.5, 101.5, 104.5, 999.4, 999.5, 1000.5, 1204.5, 12_345_678.9, -0.004, -9.996, -12.25),
]
MEASURED = st.floats(-1e9, 1e9) | st.integers(-(10**9), 10**9).map(lambda n: n / 1000)


@pytest.fixture(scope="module")
def in_page(page):
    """Write values in the page with a function of `dom.js`."""
    page.goto(f"{ORIGIN}/page.html")
    return lambda name, values: page.evaluate(
        "([name, values]) => import('/static/dom.js').then(dom => values.map(dom[name]))",
        [name, values],
    )


@settings(max_examples=20, deadline=None)
@given(st.lists(MEASURED, max_size=300))
def test_numbers_are_written_in_the_page_as_in_python(in_page, values):
    values = [*EDGES, *values]
    assert in_page("number", values) == [number(value) for value in values]


@settings(max_examples=10, deadline=None)
@given(st.lists(st.floats(0, 1e7), max_size=300))
def test_times_and_uncertainties_are_written_in_the_page_as_in_python(in_page, values):
    values = [34.21, 999.4, 999.5, 999.7, 1000, 1001.5, 2920, *values]
    assert in_page("uncertainty", values) == [uncertainty(value) for value in values]
    assert in_page("duration", values) == [duration(value) for value in values]


@pytest.mark.parametrize("look", STAGE_LOOKS, ids=lambda look: look.colour)
def test_a_stage_has_the_colour_of_the_table_in_the_page(look, page):
    page.goto(f"{ORIGIN}/page.html")
    bar = f'<div class="firmly timeline"><svg><rect class="bar stage-{look.number}"/></svg></div>'
    shown = page.evaluate(
        "bar => { document.body.innerHTML = bar;"
        "return getComputedStyle(document.querySelector('rect')).fill }",
        bar,
    )
    assert shown == "rgb({}, {}, {})".format(*bytes.fromhex(look.colour[1:]))
