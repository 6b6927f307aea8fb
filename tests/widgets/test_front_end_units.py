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

from firmly_nb.widgets.frontend import STATIC, module

TESTS = Path(__file__).parent / "js"
ORIGIN = "http://front-end.test"
FILES = sorted(path.name for path in TESTS.glob("*.test.js"))
NAMED = re.compile(r'^test\(\s*("(?:[^"\\]|\\.)*")', re.MULTILINE)
WIDGETS = sorted(p.stem for p in STATIC.glob("*.js") if "export default" in p.read_text("utf-8"))
TYPES = {".js": "text/javascript", ".css": "text/css", ".html": "text/html"}
SHEETS = "".join(
    f'<link rel="stylesheet" href="/static/{path.name}">' for path in sorted(STATIC.glob("*.css"))
)
PAGE = f'<!doctype html><meta charset="utf-8">{SHEETS}<body>'


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
