"""The order form in a real JupyterLab: by keyboard, while orders run, and after mishaps."""

from __future__ import annotations

import re

from playwright.sync_api import expect

from tests.browser.order_forms import LAB, STREAMED, add_raw, cancel, last_run, place, status

# Notes down whatever an element says from now on.
NOTE = """element => {
    window.told = "";
    new MutationObserver(() => { window.told += element.innerText + "\\n" })
        .observe(element, { childList: true, subtree: true });
}"""
RUNNING = re.compile("after (creating-cart|item-added|shipping-updated)")
# Errors that Place Order documents; the tests without a browser have every other fault, too.
DOCUMENTED = [
    "product-not-found",
    "not-enough-stock",
    "payment-declined",
    "store-unavailable",
    "invalid-input",
    "token-expired",
    "rate-limited",
]


def focused(page):
    """Return the name of what has the focus, as a screen reader says it."""
    return page.evaluate(
        "() => { const e = document.activeElement;"
        " return e.getAttribute('aria-label') ?? e.labels?.[0]?.textContent ?? e.textContent }"
    )


def tab_to(page, name):
    """Go on with the Tab key until something of that name has the focus."""
    for _ in range(25):
        page.keyboard.press("Tab")
        if focused(page).startswith(name):
            return
    raise AssertionError(f"the Tab key does not lead to {name!r}; it is at {focused(page)!r}")


def pick_a_product(page, shown):
    """Choose a merchant, a product, one of its options and how many, with keys alone."""
    shown.get_by_role("button", name="Show code").focus()
    tab_to(page, "Merchant")
    page.keyboard.press("Control+A")
    page.keyboard.type("harbor")
    expect(shown.get_by_role("option", name="harbor.example.test").first).to_be_visible()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(place(shown)).to_have_attribute("aria-disabled", "true")
    expect(shown.locator(".why")).to_contain_text("pick a product")
    tab_to(page, "Product of item 1")
    page.keyboard.type("paddle")
    expect(shown.get_by_role("option", name="Paddle")).to_be_visible()
    page.keyboard.press("Enter")
    expect(shown.get_by_label("Length of item 1")).to_have_value("220")
    tab_to(page, "Length of item 1")
    page.keyboard.press("ArrowDown")
    tab_to(page, "Quantity of item 1")
    page.keyboard.type("2")


def fill_in_the_rest(page, shown, look):
    """Change the address, wrong at first, and the card; then go to the button."""
    tab_to(page, "Ship to")
    page.keyboard.press("Enter")
    tab_to(page, "E-mail")
    page.keyboard.type("grace")
    expect(shown.get_by_text("not a valid e-mail address").first).to_be_visible()
    expect(shown.get_by_label("E-mail").first).to_have_attribute("aria-invalid", "true")
    look()
    page.keyboard.type("@example.test")
    tab_to(page, "Card")
    # In a notebook's command mode m, a and r are commands; here they are a card's name.
    page.keyboard.type("Master")
    tab_to(page, "Place order")
    expect(place(shown)).to_have_attribute("aria-disabled", "false")


def stages_told(page):
    """Return the milestones that the form named, in order."""
    told = page.evaluate("() => window.told").splitlines()
    return [found[1] for text in told if (found := RUNNING.search(text))]


def test_an_order_by_keyboard_alone(notebook, axe, artefact):
    bench = notebook(LAB.format(profile="slow-shipping"))
    shown, page = bench.run_cell(0), bench.page
    form = shown.locator(".firmly-bench")

    def look(name, scheme="light"):
        bench.theme(scheme)
        axe(form)
        artefact(f"{name}-{scheme}", shown)

    expect(status(shown)).to_contain_text("The first press places one order")
    inside = page.evaluate("() => document.activeElement.closest('.firmly')")
    assert inside is None, "the form took the focus"
    artefact("1-empty", shown)
    pick_a_product(page, shown)
    fill_in_the_rest(page, shown, lambda: look("2-wrong"))
    status(shown).evaluate(NOTE)
    page.keyboard.press("Enter")
    expect(place(shown)).to_have_text("Cancel")
    # Pictures for whoever looks; what was said in between is read below.
    for reached in range(3):
        later = re.compile("|".join([*STREAMED[reached:], "placed"]))
        expect(shown.locator(".place-area")).to_contain_text(later)
        artefact(f"3-after-{STREAMED[reached]}", shown)
    expect(last_run(shown)).to_contain_text("placed order ")
    seen = stages_told(page)
    assert "item-added" in seen, "told while the next one was waited for"
    assert sorted(seen, key=STREAMED.index) == seen
    # The button has become "Place again" where it stood, and kept the focus.
    assert focused(page) == "Place again"
    expect(shown.get_by_text("Paddle").last).to_be_visible()
    look("4-placed", "dark")
    look("4-placed", "light")

    bench.reload()
    shown = bench.output(0)
    expect(last_run(shown)).to_contain_text("placed order ")
    expect(shown.get_by_role("combobox", name="Merchant")).to_have_value("harbor.example.test")
    expect(shown.get_by_label("Length of item 1")).to_have_value("230")
    expect(shown.get_by_label("Quantity of item 1")).to_have_value("2")
    expect(shown.get_by_label("Card", exact=True)).to_have_value("mastercard")
    first = last_run(shown).locator("bdi").first.inner_text().partition(" ·")[0]
    place(shown).click()
    expect(shown.locator(".runs li")).to_have_count(2)
    # The run before is looked at again.
    expect(shown.locator(".timeline .head .name")).not_to_contain_text(first)
    shown.locator(".runs button").last.press("Enter")
    expect(shown.locator(".timeline .head .name")).to_contain_text(first)


TWO_FORMS = """\
import firmly_nb as fnb
lab = fnb.connect(profile="typical")
form, other = fnb.OrderForm(lab), fnb.OrderForm(lab)
form"""
SAME_FORM = "form"
COUNT = "len(form.recordings), len(other.recordings), form.running"


def test_while_an_order_runs(notebook, artefact):
    bench = notebook(TWO_FORMS, SAME_FORM, "other", COUNT, "sum(range(10)), form.running")
    bench.page.set_viewport_size({"width": 700, "height": 900})
    one, same, other = (bench.run_cell(n) for n in range(3))
    artefact("narrow", one)

    merchant = one.get_by_role("combobox", name="Merchant")
    merchant.fill("harbor.example.test")
    merchant.press("Enter")
    one.get_by_role("combobox", name="Product of item 1").fill("Paddle")
    one.get_by_role("option", name="Paddle").click()
    expect(one.get_by_label("Length of item 1")).to_have_value("220")
    # Silence after item-added, until it is cancelled.
    add_raw(one, "FAULT-STALL")
    # The other view of the same form follows, the other form does not.
    expect(same.get_by_role("combobox", name="Merchant")).to_have_value("harbor.example.test")
    expect(other.get_by_role("combobox", name="Merchant")).to_have_value("staging.luma.gift")

    # A double click, and the same form's other view at once, are one order.
    expect(place(same)).to_have_attribute("aria-disabled", "false")
    bench.page.evaluate(
        "() => { const [a, b] = document.querySelectorAll('button.place');"
        " a.click(); a.click(); b.click(); }"
    )
    expect(place(one)).to_have_text("Cancel")
    expect(status(one)).to_contain_text("after item-added")

    # A click on one of its events shows the cart as it then was.
    one.locator(".timeline .stage-row").first.click()
    expect(one.locator(".cart-title")).to_contain_text("creating-cart")

    # The kernel is free meanwhile.
    expect(bench.run_cell(4).locator("pre")).to_have_text("(45, True)")
    cancel(one)
    expect(last_run(one)).to_contain_text("cancelled")
    expect(one.locator(".timeline .verdict")).to_contain_text("after item-added")
    artefact("cancelled", one)
    one.get_by_role("button", name="Look at the cart").click()
    expect(one.locator(".looked")).to_contain_text(
        re.compile("(Nothing was ordered|Order .* exists): cart (still active|submitted)")
    )
    expect(bench.run_cell(3).locator("pre")).to_have_text("(1, 0, False)")

    # Several, one after another: those that would follow are cancelled, too.
    add_raw(other, "FAULT-STALL")
    other.get_by_label("Number of orders").fill("3")
    expect(place(other)).to_have_text("Place 3 orders")
    place(other).click()
    expect(place(other)).to_have_text("Cancel (1 of 3)")
    expect(status(other)).to_contain_text("after item-added")
    cancel(other)
    expect(last_run(other)).to_contain_text("1 cancelled")
    expect(last_run(other)).to_contain_text("2 not sent: cancelled")


def test_each_documented_error_is_told_once(notebook, artefact):
    bench = notebook(LAB.format(profile="instant"), "form.recordings.orders['error_code'].tolist()")
    shown = bench.run_cell(0)
    shown.get_by_role("button", name="Remove item 1").click()
    expect(place(shown)).to_have_attribute("aria-disabled", "true")
    shown.get_by_role("button", name="+ Raw reference").click()
    names = []
    for name in DOCUMENTED:
        shown.get_by_label("Variant id of item 1").fill(f"FAULT-{name.upper()}")
        expect(place(shown)).to_have_attribute("aria-disabled", "false")
        place(shown).click()
        expect(shown.locator(".runs li")).to_have_count(len(names) + 1)
        expect(place(shown)).to_have_text("Place again")
        word = "refused" if name != "payment-declined" else "declined"
        expect(last_run(shown).locator(".ends")).to_contain_text(word)
        names.append(last_run(shown).locator("bdi").first.inner_text())
        # The timeline beside it says the rest, and the form does not repeat it.
        expect(shown.locator(".timeline .verdict")).to_contain_text(f"({names[-1]})")
        assert names[-1] not in status(shown).inner_text()
        if name == "payment-declined":
            artefact(name, shown)
        # The next press clears what the last one said.
        shown.get_by_label("Variant id of item 1").fill("")
        expect(place(shown)).to_have_attribute("aria-disabled", "true")
    kernel = bench.run_cell(1).locator("pre").inner_text()
    assert names == re.findall(r"'(\w+)'", kernel)
    assert len(set(names)) == len(DOCUMENTED)


HOSTILE = """\
import firmly_nb as fnb
from firmly_nb import catalogue
evil = '<script>window.hacked = 1</script><img src=x onerror="window.hacked = 2">'
names = [evil, "\\u202e" + "rtl tee", "حذاء رياضي", "🧦 socks", "long " * 60]
async def products(bench, domain):
    return [{"handle": n, "title": n} for n in names]
async def variants(bench, domain, handle):
    return [{"variant_id": f"FAULT-{n}", "product_id": "", "variant_handles": [handle], "title": n,
             "options": {evil: n}, "price": evil, "available": n != evil} for n in names]
catalogue.product_choices, catalogue.variant_choices = products, variants
lab = fnb.connect(profile="instant")
address = fnb.Address.example(first_name=names[1], city=evil)
form = fnb.OrderForm(lab, fnb.Order.example(shipping_info=address))
form.save_preset(evil[:60])
form"""
TOLD = """\
form._form.result = {"outcome": "error_event", "tone": "bad", "mark": "x", "headline": evil,
    "facts": [["Error", evil], ["It says", names[4]], ["Reached", names[2]]], "next": evil,
    "unsure": True, "recording_id": "", "warnings": [evil, names[1]]}
form._form.notice = form._form.looked = form._strip.notice = evil"""


def test_hostile_names_are_shown_harmlessly(notebook, artefact):
    bench = notebook(HOSTILE, TOLD)
    shown = bench.run_cell(0)
    bench.run_cell(1)
    product = shown.get_by_role("combobox", name="Product of item 1")
    product.click()
    expect(shown.locator(".combobox li")).to_have_count(5)
    artefact("list", shown)
    shown.locator(".combobox li").first.click()
    expect(shown.locator(".options select")).to_be_visible()
    shown.get_by_role("button", name="Presets").click()
    expect(shown.get_by_text("<script>").first).to_be_visible()
    artefact("told", shown)
    inside = shown.locator(".firmly-bench")
    assert inside.locator("script, img").count() == 0
    assert bench.page.evaluate("() => window.hacked ?? null") is None
    # Nothing makes the bench wider than its cell.
    assert inside.evaluate("e => e.scrollWidth <= e.clientWidth + 1")
