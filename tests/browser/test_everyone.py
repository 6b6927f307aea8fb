"""Order form, cart view and sweep panel for everyone: two of a kind, narrow, forced colours."""

from __future__ import annotations

from playwright.sync_api import expect

from tests.browser.order_forms import last_run, place

TWO = """\
import firmly_nb as fnb
from IPython.display import display
lab = fnb.connect(profile="instant")
forms = [fnb.OrderForm(lab), fnb.OrderForm(lab)]
panels = [fnb.SweepPanel(lab, count=3, rate=50), fnb.SweepPanel(lab, count=2, rate=50)]
display(*forms, *panels)"""
FINISHED = "Finished: 3 of 3 orders ended"
# What can be pressed and is seen, of the forms and panels: a name and its place.
TARGETS = """() => [...document.querySelectorAll(
    '.order-form, .strip, .sweep-panel')].flatMap(root => [...root.querySelectorAll(
    'button, input, select, summary')]).filter(one => one.checkVisibility())
    .map(one => [one.outerHTML.slice(0, 120), one.getBoundingClientRect().toJSON()])"""
WIDER = """() => [...document.querySelectorAll('.order-form, .strip, .sweep-panel')]
    .filter(one => one.scrollWidth > one.clientWidth + 1).map(one => one.className)"""
# The contrast of an element's border to what is behind it.
CONTRAST = """element => {
    const light = color => color.match(/[\\d.]+/g).slice(0, 3).map(Number).map(v => v / 255)
        .map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
        .reduce((sum, v, n) => sum + v * [0.2126, 0.7152, 0.0722][n], 0.05);
    const root = getComputedStyle(element.closest('.firmly')).backgroundColor;
    const [a, b] = [light(getComputedStyle(element).borderTopColor), light(root)];
    return Math.max(a, b) / Math.min(a, b);
}"""


def overlapping(targets):
    """Return pairs of targets that lie over one another."""
    return [
        (one, other)
        for n, (one, a) in enumerate(targets)
        for other, b in targets[n + 1 :]
        if min(a["right"], b["right"]) - max(a["left"], b["left"]) > 1
        and min(a["bottom"], b["bottom"]) - max(a["top"], b["top"]) > 1
    ]


def test_two_of_a_kind_narrow_and_in_forced_colours(notebook, axe, artefact):
    bench = notebook(TWO)
    shown, page = bench.run_cell(0), bench.page
    first, panel = shown.locator(".order-form").first, shown.locator(".sweep-panel").first
    place(shown.locator(".firmly-bench").first).click()
    expect(last_run(shown)).to_contain_text("placed order ")
    panel.locator("button.start").click()
    expect(panel.locator(".headline")).to_have_text(FINISHED)
    first.locator("summary", has_text="Ship to").click()
    first.get_by_label("Card", exact=True).select_option("typed")
    roots = [*shown.locator(".order-form").all(), *shown.locator(".sweep-panel").all()]
    names = {
        one.get_attribute("aria-label") for one in (*roots, *shown.locator(".cart-view").all())
    }
    assert len(names) == len(roots) + 2, names
    for scheme in ("light", "dark"):
        bench.theme(scheme)
        axe(shown)
        for one in roots:
            assert one.locator("input, button").first.evaluate(CONTRAST) >= 3
    small = [one for one, box in page.evaluate(TARGETS) if min(box["width"], box["height"]) < 24]
    assert small == []

    # 1280 pixels at 400 % leave 320 for a form; JupyterLab itself needs some around it.
    page.set_viewport_size({"width": 460, "height": 900})
    beside = 460 - page.locator(".firmly-bench").first.bounding_box()["width"]
    page.set_viewport_size({"width": 320 + round(beside), "height": 900})
    page.wait_for_function(
        "Math.round(document.querySelector('.firmly-bench').getBoundingClientRect().width) === 320"
    )
    assert page.evaluate(WIDER) == []
    assert overlapping(page.evaluate(TARGETS)) == []
    artefact("narrow-form", first)
    artefact("narrow-panel", panel)

    page.set_viewport_size({"width": 1200, "height": 900})
    page.emulate_media(forced_colors="active")
    merchant = first.get_by_role("combobox", name="Merchant")
    merchant.click()
    merchant.press("ArrowDown")
    option = first.locator("li[aria-selected='true']")
    expect(option).to_be_visible()
    back = "e => getComputedStyle(e).backgroundColor"
    assert option.evaluate(back) != first.evaluate(back), "which one is chosen can be seen"
    bar = panel.locator(".bar")
    assert bar.locator("span").first.evaluate(back) != bar.evaluate(back), "and how far it is"
    artefact("forced-form", first)
    artefact("forced-panel", panel)
