"""The timeline as people see it: with a screen reader, a keyboard, on a telephone, in any colours.

Real states of two timelines in one page, without a kernel.
"""

from __future__ import annotations

import pytest
from axe_playwright_python.sync_playwright import Axe

from firmly_nb.recorder.records import End
from firmly_nb.recordings.recording import Recording
from firmly_nb.widgets.frontend import module
from firmly_nb.widgets.timeline import Timeline
from tests.widgets.test_timeline import long_stream, order

STATE = [
    *("_orders", "_recent", "_live", "_first", "_left_out", "_looks", "_picked", "align"),
    *("details", "expecting", "selected", "compared", "only", "brush"),
]
RENDER = """async ([source, states]) => {
    const widget = await import(URL.createObjectURL(new Blob([source], {type: "text/javascript"})));
    const modelOf = state => ({ get: name => state[name], set: (name, value) => state[name] = value,
        save_changes() {}, on() {}, off() {}, send() {} });
    for (const state of states) {
        const el = document.body.appendChild(document.createElement("div"));
        widget.default.render({ model: modelOf(state), el });
    }
}"""
RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21aa", "wcag22aa", "best-practice"]}
# What has words of its own and can be seen; two such must not lie on one another.
OVERLAPS = """() => {
    const words = [...document.querySelectorAll(".firmly *")].filter(e => e.checkVisibility() &&
        !e.closest(".visually-hidden, svg, .orders") && [...e.childNodes].some(
            node => node.nodeType === 3 && node.textContent.trim()));
    const boxes = words.map(e => {
        const range = document.createRange();
        range.selectNodeContents(e);
        return [e, range.getBoundingClientRect()];
    });
    const on = (a, b) => a.left < b.right - 1 && b.left < a.right - 1 &&
        a.top < b.bottom - 1 && b.top < a.bottom - 1;
    return boxes.flatMap(([a, box], n) => boxes.slice(n + 1).filter(([b, other]) =>
        !a.contains(b) && !b.contains(a) && on(box, other)
    ).map(([b]) => `${a.textContent} / ${b.textContent}`));
}"""
SMALL = """() => [...document.querySelectorAll(".firmly button, .firmly select, .firmly input, "
    + ".firmly [role=slider]")].filter(e => e.checkVisibility()).filter(e => {
        const target = e.closest("label") ?? e;
        const {width, height} = target.getBoundingClientRect();
        return width < 23.5 || height < 23.5;
    }).map(e => e.outerHTML)"""


@pytest.fixture(scope="module")
def timelines():
    """Five orders of which one is compared with another, and one with very many events."""
    failed = order("f", "error_event", error_code="ErrorPaymentDeclined")[:3]
    failed.append(End("error_event", 450_000_000, error_code="ErrorPaymentDeclined"))
    records = [*(order(name) for name in "abcd"), failed]
    many = Timeline(Recording(each) for each in records)
    many.select("b", 2)
    many.compared = "a"
    long = Timeline(Recording([*long_stream(), End("placed", 900_000_000)]))
    return [many, long]


@pytest.fixture
def show(browser, timelines):
    """Show both in a page: `page = show(width=320)`; its scripts must not fail."""
    pages = []

    def open_page(*, width=900, scheme="light", forced=False):
        page = browser.new_page(
            viewport={"width": width, "height": 900},
            color_scheme=scheme,
            forced_colors="active" if forced else "none",
        )
        pages.append((page, []))
        page.on("pageerror", lambda error: pages[-1][1].append(str(error)))
        dark = "--jp-ui-font-color1:#e6e6e6;--jp-layout-color1:#111;--jp-layout-color2:#212121;"
        style = f"{dark}background:#111;color:#eee" if scheme == "dark" else ""
        page.set_content(
            f'<!doctype html><html lang="en"><title>Two timelines</title><style>{Timeline._css}'
            f'</style><body style="{style}" data-jp-theme-light="{str(scheme != "dark").lower()}">'
            "<main><h1>Two timelines</h1></main>"
        )
        states = [{name: getattr(timeline, name) for name in STATE} for timeline in timelines]
        page.evaluate(RENDER, [module("timeline"), states])
        return page

    yield open_page
    for page, errors in pages:
        page.close()
        assert errors == []


@pytest.mark.parametrize(
    "look", [{}, {"scheme": "dark"}, {"forced": True}, {"width": 320}], ids=str
)
def test_axe_finds_nothing_in_two_timelines(show, look):
    found = Axe().run(show(**look), options=RULES | {"rules": {"region": {"enabled": False}}})
    violations = found.response["violations"]
    said = [(rule["id"], node["html"][:200]) for rule in violations for node in rule["nodes"]]
    assert said == []


@pytest.mark.parametrize("width", [320, 420, 560, 700, 900])
def test_nothing_lies_on_anything_else_and_nothing_sticks_out(show, width):
    page = show(width=width)
    assert page.evaluate(OVERLAPS) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("width", [320, 900])
def test_what_can_be_pressed_is_large_enough(show, width):
    assert show(width=width).evaluate(SMALL) == []


def test_in_forced_colours_marks_and_bars_can_be_seen(show):
    page = show(forced=True)
    seen = page.evaluate(
        """() => [".tick.other", ".tick.milestone", ".tick.error", ".bar"].map(name => {
            const style = getComputedStyle(document.querySelector(name));
            const back = getComputedStyle(document.querySelector(".firmly")).backgroundColor;
            return [name, [style.fill, style.stroke].some(c => c !== "none" && c !== back)];
        })"""
    )
    assert [name for name, is_seen in seen if not is_seen] == []


def test_in_forced_colours_the_bars_of_what_a_cell_shows_can_be_seen(show, timelines):
    recordings = timelines[0].recordings
    page = show(forced=True)
    # A stage's name beside each bar of one order; one strip, and its legend, of many.
    for shown, bars in ((recordings[0], 4), (recordings.latency(), 8)):
        page.set_content(shown._repr_html_())
        colours = page.evaluate(
            """() => [...document.querySelectorAll("[style*=background-color]")].map(
                bar => getComputedStyle(bar).backgroundColor)"""
        )
        assert len(colours) == bars
        assert len(set(colours)) == 4, "of four stages, each has its colour"


def test_everything_is_reached_by_the_tab_key(show):
    page = show()
    for _ in range(60):
        page.keyboard.press("Tab")
        page.evaluate("(window.been ??= new Set()).add(document.activeElement.className)")
    been = page.evaluate("[...window.been].join(' ')")
    wanted = {"stage-row", "event-lane", "chip", "handle", "look", "close"}
    assert wanted <= set(been.split())
