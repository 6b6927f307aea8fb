"""What browser tests do with an order form."""

from __future__ import annotations

from playwright.sync_api import expect

LAB = """\
import firmly_nb as fnb
lab = fnb.connect(profile="{profile}")
form = fnb.OrderForm(lab)
form"""
DOUBLE_CLICK_MS = 500  # order_form.js
STREAMED = ["creating-cart", "item-added", "shipping-updated", "order-placed"]


def place(shown):
    """Return the button that places, and cancels."""
    return shown.locator("button.place")


def cancel(shown):
    """Press Cancel, later than what counts as the second half of a double click."""
    expect(place(shown)).to_contain_text("Cancel")
    shown.page.wait_for_timeout(2 * DOUBLE_CLICK_MS)
    place(shown).click()


def status(shown):
    """Return where the form says how an order stands."""
    return shown.locator(".order-form .status")


def last_run(shown):
    """Return the row of the newest run in the form's list."""
    return shown.locator(".order-form .runs li").first


def total(shown):
    """Return where the timeline says how long the order that is looked at has taken."""
    return shown.locator(".timeline .total").first


def add_raw(shown, variant_id):
    """Add a row with a variant id of one's own as the second."""
    shown.get_by_role("button", name="+ Raw reference").click()
    shown.get_by_label("Variant id of item 2").fill(variant_id)
    expect(place(shown)).to_have_attribute("aria-disabled", "false")


def place_stalled(shown):
    """Place an order of which nothing comes after item-added, and wait until it is there."""
    add_raw(shown, "FAULT-STALL")
    place(shown).click()
    expect(status(shown)).to_contain_text("after item-added")
