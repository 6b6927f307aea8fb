"""The cart view in a real JupyterLab: by keyboard, in both themes, with carts that mean harm."""

from __future__ import annotations

import re

from playwright.sync_api import expect

EMBER = """
import firmly_nb as fnb
lab = fnb.connect(profile="instant")
items = [fnb.Item(variant_id="EC-CDL-Cedar-Small"), fnb.Item(variant_id="EC-SNF-Steel", quantity=2)]
rec = lab.place(fnb.Order.example(domain="ember.example.test", items=items), progress=False)
view = fnb.CartView(rec)
view
"""
HOSTILE = """
from firmly_nb.recordings.recording import Recording
start, *events = lab.place(fnb.Order.example(), progress=False).records()
evil = '<img src="http://outside.test/x.png" onerror="alert(1)"><script>alert(2)</script>'
rtl = "\\u202eMug \\u0645\\u0631\\u062d\\u0628\\u0627"
words = {"script": evil, "rtl": rtl, "emoji": "\\U0001f469\\u200d\\U0001f52c", "long": "Tee " * 75}
for event in events[:-1]:
    cart = event.data.get("cart") or event.data.get("order")
    if cart:
        line = cart["line_items"][0]
        more = [{**line, "line_item_id": k, "sku": k, "description": w} for k, w in words.items()]
        cart["line_items"] += [{**each, "image": {"url": "javascript:alert(3)"}} for each in more]
        cart["line_items"] += [{**line, "line_item_id": f"{n}", "sku": f"S{n}"} for n in range(40)]
        cart["display_name"] = cart["cart_status"] = evil
        cart["shipping_info"] = cart["total"] = evil
        cart["urls"] = {"thank_you_page": "javascript:alert(4)", "http://outside.test/y.png": evil}
events[-2].data["huge"] = {"text": "x" * 4_000_000}
hostile = fnb.CartView(Recording([start, *events]))
hostile
"""


def test_a_cart_is_read_by_keyboard_and_does_no_harm(notebook, axe, artefact):
    bench = notebook(EMBER, HOSTILE)
    page = bench.page
    asked, dialogs = [], []
    page.on("request", lambda request: asked.append(request.url))
    page.on("dialog", lambda dialog: (dialogs.append(dialog.type), dialog.accept()))

    view = bench.run_cell(0).locator(".cart-view")
    slider = view.get_by_role("slider", name="Event")
    slider.focus()
    slider.press("ArrowLeft")
    expect(slider).to_have_attribute(
        "aria-valuetext",
        re.compile(r"^shipping-updated, .* milliseconds, event 4 of 5, 2 errors$"),
    )
    candle = view.get_by_role("row", name="Soy Candle")
    expect(candle.locator("del")).to_have_text("was 24.00")
    expect(candle.locator("xpath=following-sibling::tr[1]")).to_contain_text("went from 24.00")
    expect(view.get_by_role("row", name="Snuffer")).to_contain_text("removed")

    slider.press("Tab")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")  # opens the JSON
    search = view.get_by_role("searchbox", name="Search in the JSON")
    search.fill("ground")
    expect(view.locator(".json-count")).to_have_text("1 of 4 matches")
    search.press("Enter")
    expect(view.locator(".json-count")).to_have_text("2 of 4 matches")
    for _ in range(3):
        page.keyboard.press("Tab")
    page.keyboard.press("Home")
    page.keyboard.press("ArrowLeft")
    expect(view.locator(".json-row:visible")).to_have_count(1)
    page.keyboard.press("Enter")  # a native disclosure opens and closes by Enter and Space
    expect(view.locator(".json-row:visible")).not_to_have_count(1)

    hostile = bench.run_cell(1).locator(".cart-view")
    expect(hostile).to_contain_text('<img src="http://outside.test/x.png" onerror="alert(1)">')
    expect(hostile.get_by_role("button", name="Show all 45 lines")).to_be_visible()
    hostile.get_by_text("JSON of this event").click()
    expect(hostile.locator(".json-said")).to_contain_text("1 long text was cut")
    hostile.get_by_role("searchbox").fill("outside.test")
    expect(hostile.locator(".json-count")).to_contain_text("1 of ")
    assert hostile.locator("img, script, a, iframe").count() == 0

    for scheme in ("light", "dark"):
        bench.theme(scheme)
        for name, shown in (("ember", view), ("hostile", hostile)):
            axe(shown)
            artefact(f"{name}-{scheme}", shown)

    bench.reload()
    view = bench.output(0).locator(".cart-view")
    expect(view.get_by_role("slider")).to_have_attribute(
        "aria-valuetext", re.compile("event 4 of 5")
    )
    view.get_by_text("JSON of this event").click()
    expect(view.get_by_role("list", name="JSON of the event")).to_be_visible()
    assert set(dialogs) <= {"beforeunload"}  # JupyterLab's own, for what is not saved
    allowed = (bench.server.url, "data:", "blob:")
    assert [url for url in asked if not url.startswith(allowed)] == []


TWO = """
import firmly_nb as fnb
lab = fnb.connect(profile="instant")
hoodie = fnb.Item(variant_id="MH07-XS-Gray", quantity=2)
first = lab.place(fnb.Order.example(items=[*fnb.Order.example().items, hoodie]), progress=False)
items = [fnb.Item(variant_id="WS12-XS-Orange", quantity=3)]
second = lab.place(fnb.Order.example(items=items), progress=False)
view = fnb.CartView(first, beside=second)
view
"""


def test_two_orders_stand_beside_each_other_and_their_differences_are_marked(
    notebook, axe, artefact
):
    bench = notebook(TWO)
    view = bench.run_cell(0).locator(".cart-view")
    one, other = (view.get_by_role("region", name=f"{name} order") for name in ("First", "Second"))
    expect(view.get_by_role("status")).to_have_text("7 differences from the first order.")
    expect(one.get_by_role("row", name="Hero Hoodie")).to_be_visible()
    expect(one.locator(".changed, .added, .removed")).to_have_count(0)
    expect(other.get_by_role("row", name="Hero Hoodie")).to_contain_text("removed")
    expect(other.get_by_role("row", name="Radiant Tee")).to_contain_text("1")
    left, right = one.bounding_box(), other.bounding_box()
    assert left["y"] == right["y"]
    assert left["x"] + left["width"] <= right["x"]

    for scheme in ("light", "dark"):
        bench.theme(scheme)
        axe(view)
        artefact(f"two-{scheme}", view)
    slider = view.get_by_role("slider", name="Event")
    slider.press("ArrowLeft")
    expect(other).to_contain_text("after shipping-updated")
    slider.press("Home")
    expect(view.get_by_role("status")).to_have_text(
        "There are no two carts to compare at this event."
    )
    slider.press("End")

    view.evaluate("element => { element.style.width = '320px'; }")
    left, right = one.bounding_box(), other.bounding_box()
    assert left["y"] + left["height"] <= right["y"]
    assert view.evaluate("element => element.scrollWidth <= element.clientWidth")
    artefact("two-narrow", view)
