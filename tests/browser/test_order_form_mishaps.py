"""The order form when a page is loaded again or a kernel ends in the middle of an order."""

from __future__ import annotations

import re

from playwright.sync_api import expect

from tests.browser.order_forms import LAB, cancel, place, place_stalled, status, total

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
    expect(status(shown)).to_contain_text("of 100 not placed: cancelled")
    expect(bench.run_cell(1).locator("pre")).to_have_text("((4, 'placed'), False)")
