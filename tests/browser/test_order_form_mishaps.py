"""The order form when a page is loaded again or a kernel ends in the middle of an order."""

from __future__ import annotations

import re

from playwright.sync_api import expect

from tests.browser.order_forms import LAB, cancel, last_run, place, place_stalled, status, total

RECOVER = "import firmly_nb as fnb; rec = fnb.load()[-1]; rec.cut_off, len(rec.events)"


CRASH = "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"
COUNTS = "[(len(r.events), r.outcome) for r in form.recordings][0], form.running"


def expect_gone(shown):
    """Each widget of the bench says that its kernel is gone; nothing goes on by itself."""
    expect(status(shown)).to_contain_text("The kernel is gone.")
    expect(status(shown)).to_contain_text("fnb.load()")
    expect(place(shown)).to_have_attribute("aria-disabled", "true")
    expect(shown.locator(".why")).to_contain_text("Run the cell again")
    expect(shown.locator(".timeline")).to_contain_text("The kernel is gone: what is shown stays")
    expect(shown.locator(".cart-view")).to_contain_text("The kernel is gone: what is shown stays")
    stopped = total(shown).inner_text()
    # The running bar is drawn with each frame of the page.
    shown.page.evaluate("new Promise(done => requestAnimationFrame(() => setTimeout(done)))")
    assert total(shown).inner_text() == stopped


def test_a_kernel_that_ends_in_the_middle_of_an_order(notebook, artefact):
    bench = notebook(LAB.format(profile="instant"), RECOVER, CRASH)
    shown = bench.run_cell(0)
    place_stalled(shown)
    bench.restart_kernel()
    expect_gone(shown)
    artefact("restarted", shown)
    # What was shown is in the journal: two events, or three with both items.
    expect(bench.run_cell(1).locator("pre")).to_have_text(re.compile(r"\((True|False), [23]\)"))

    # One that crashes is started anew by the server; nobody asked for it.
    shown = bench.run_cell(0)
    place_stalled(shown)
    bench.run_cell(2, wait=False)
    bench.page.locator(".jp-Dialog .jp-mod-accept").click()
    expect_gone(shown)
    artefact("crashed", shown)


def test_a_page_that_is_loaded_again_in_the_middle_of_an_order(notebook, artefact):
    bench = notebook(LAB.format(profile="slow-shipping"), COUNTS)
    shown = bench.run_cell(0)
    shown.get_by_label("Number of orders").fill("100")
    expect(place(shown)).to_have_text("Place 100 orders")
    place(shown).click()
    # Which one it is does not matter: a page that is busy can miss the first.
    expect(status(shown)).to_contain_text(re.compile(r"Order \d+ of 100: after item-added"))
    bench.reload()

    # The orders have gone on, and what came before, meanwhile and after is there.
    shown = bench.output(0)
    expect(place(shown)).to_have_text(re.compile(r"Cancel \(\d+ of 100\)"))
    expect(status(shown)).to_contain_text(re.compile(r"Order \d+ of 100: after "))
    expect(shown.get_by_label("Number of orders")).to_have_value("100")
    rows = shown.locator(".timeline .order-row")
    expect(rows.nth(1)).to_be_visible()
    rows.last.locator(".look").click()
    expect(shown.locator(".stage-row.reached")).to_have_count(4)
    expect(shown.locator(".cart-title")).to_contain_text("order-placed")
    artefact("again", shown)

    cancel(shown)
    expect(last_run(shown)).to_contain_text(" not sent: cancelled")
    expect(bench.run_cell(1).locator("pre")).to_have_text("((4, 'placed'), False)")


HELD_BACK = "() => document[Symbol.for('firmly-nb press')].waiting.length > 0"


def press(shown, target, *, meanwhile=HELD_BACK):
    """Press and release a real mouse button; between the two the page has something to say."""
    target.scroll_into_view_if_needed()
    page, box = shown.page, target.bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.down()
    page.wait_for_function(meanwhile)
    assert target.bounding_box() == box, "it moved under the pointer"
    page.mouse.up()


def test_no_press_is_lost_whatever_is_said_meanwhile(notebook, axe, artefact):
    bench = notebook(LAB.format(profile="instant"), "form.sse, form.warm, form.problems['domain']")
    shown, page = bench.run_cell(0), bench.page
    rows, more = shown.locator(".item"), shown.get_by_role("button", name="+ Add item")

    # A row that was left empty is complained of.
    more.click()
    press(shown, more)
    expect(rows).to_have_count(3)
    expect(shown.get_by_text("pick a product and each of its options").first).to_be_visible()

    # A merchant that was typed is refused, and has no rows yet.
    merchant = shown.get_by_role("combobox", name="Merchant")
    merchant.fill("nowhere.example.test")
    refused = shown.locator(".combobox > .message")
    expect(refused).to_contain_text("not on the allow-list")
    merchant.press("ArrowDown")
    merchant.fill("paddle")
    expect(shown.get_by_role("option", name="harbor.example.test")).to_be_visible()
    expect(refused).to_be_visible()
    artefact("refused", shown)
    merchant.press("Escape")
    press(shown, shown.get_by_role("button", name="+ Raw reference"))
    expect(rows).to_have_count(2)
    expect(shown.get_by_label("Variant id of item 2")).to_be_focused()

    # What is typed into an address and a card is checked as it is typed.
    shown.locator("summary", has_text="Ship to").click()
    shown.get_by_label("E-mail").first.fill("")
    press(shown, shown.get_by_role("checkbox", name="Events"))
    expect(shown.get_by_role("checkbox", name="Events")).not_to_be_checked()
    shown.get_by_label("Card", exact=True).select_option("typed")
    shown.get_by_label("CVV").fill("1")
    expect(shown.get_by_label("CVV")).to_have_accessible_description(re.compile("3 or 4 digits"))
    shown.get_by_label("Card number").focus()
    press(shown, shown.get_by_role("checkbox", name="Warm"))
    expect(shown.get_by_role("checkbox", name="Warm")).not_to_be_checked()
    artefact("wrong", shown)
    axe(shown.locator(".firmly-bench"))
    told = bench.run_cell(1).locator("pre")
    expect(told).to_have_text(re.compile(r"\(False, False, 'not a merchant domain"))
    assert page.evaluate("() => document.activeElement.closest('.firmly')") is None
