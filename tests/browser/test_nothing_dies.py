"""What stays of widgets: run all, a new kernel, a closed lab, a notebook that is opened again."""

from __future__ import annotations

import re

from playwright.sync_api import expect

from tests.browser.jupyter import running_voila
from tests.browser.order_forms import last_run, place, status

CELLS = (
    """\
import firmly_nb as fnb
lab = fnb.connect(profile="instant")
form = fnb.OrderForm(lab)
form""",
    "panel = fnb.SweepPanel(lab, count=3, rate=50)\npanel",
    "run = form.place().wait()",
    "form.cart_view",
)
LOST = re.compile("Error displaying widget|Loading widget")


def expect_alive(shown, panel, cart):
    """Each widget can be used: the form places an order, the panel starts a sweep."""
    expect(last_run(shown)).to_contain_text("placed order ")
    place(shown).click()
    expect(place(shown)).to_have_text("Place again")
    expect(shown.locator(".order-row")).to_have_count(2)
    panel.locator("button.start").click()
    expect(panel.locator(".headline")).to_have_text("Finished: 3 of 3 orders ended")
    expect(cart.locator(".cart-title")).to_contain_text("order-placed")


def test_run_all_then_a_new_kernel_and_run_all_again_leave_everything_alive(notebook):
    bench = notebook(*CELLS)
    bench.run_all()
    expect_alive(*(bench.output(index) for index in (0, 1, 3)))
    bench.restart_kernel()
    bench.run_all()
    expect_alive(*(bench.output(index) for index in (0, 1, 3)))


def test_voila_shows_the_same_widgets_alive(page, tmp_path, artefact):
    page.route(re.compile(r"^https?://(?!127\.0\.0\.1)"), lambda route: route.abort())
    with running_voila(tmp_path, CELLS) as url:
        page.goto(url)
        shown = page.locator(".jp-OutputArea-output")
        form, panel, cart = (
            shown.filter(has=page.locator(kind)).last
            for kind in (".order-form", ".sweep-panel", ".cart-title")
        )
        expect_alive(form, panel, cart)
        artefact("voila", page)
        page.goto("about:blank")


def test_a_form_whose_lab_is_closed_says_so_also_later(notebook, axe, artefact):
    bench = notebook(*CELLS[:2], "lab.close()", "late = fnb.OrderForm(lab)\nlate")
    for index in range(2):
        bench.run_cell(index)
    shown, panel = bench.output(0), bench.output(1).locator(".sweep-panel")
    expect(place(shown)).to_have_attribute("aria-disabled", "false")
    expect(panel.locator("button.start")).to_have_attribute("aria-disabled", "false")
    bench.run_cell(2)
    bench.run_cell(3)
    for form in (shown, bench.output(3)):
        expect(place(form)).to_have_attribute("aria-disabled", "true")
        expect(place(form)).to_have_accessible_description(re.compile("^The lab is closed."))
        expect(status(form)).to_contain_text("The lab of this form is closed.")
    expect(panel.locator("button.start")).to_have_attribute("aria-disabled", "true")
    expect(panel.locator(".why")).to_have_text(re.compile("^The lab is closed."))
    axe(shown.locator(".firmly-bench"))
    artefact("closed", bench.page)


def test_a_notebook_that_is_opened_again_shows_static_images_trusted_or_not(notebook, artefact):
    bench = notebook(*CELLS)
    for index in range(4):
        bench.run_cell(index)
    for trusted in (True, False):
        bench.reopen(trusted=trusted)
        assert bench.is_trusted() == trusted
        expect(bench.output(0)).to_contain_text("The order form as it stood then")
        expect(bench.output(1)).to_contain_text("this panel needs a running kernel")
        expect(bench.output(3)).to_contain_text("submitted")
        artefact(f"reopened-{'trusted' if trusted else 'untrusted'}", bench.page)
        for index in (0, 1, 3):
            expect(bench.output(index)).not_to_contain_text(LOST)
            assert bench.output(index).locator("button").count() == 0
    # Run again, the widget is back.
    bench.run_cell(0)
    expect(place(bench.output(0))).to_have_text("Place order")
