"""Addresses that are typed are in memory alone: in no saved state, log, repr or still picture."""

from __future__ import annotations

import json
import logging

import ipywidgets
import nbformat
import orjson
import pytest

import firmly_nb as fnb
from firmly_nb.widgets.order_form import OrderForm
from tests.widgets.pages import at_rest, edit, press

PERSONAL = {
    "first_name": "Wilhelmina-canary",
    "last_name": "Quux-canary",
    "address1": "77 Canary Wharf",
    "address2": "Flat canary 9",
    "company": "Canary and Daughters",
    "email": "canary.typed@example.test",
    "phone": "2065559137",
}
PLACES = {"city": "Spokane", "state_or_province": "WA", "postal_code": "99201", "country": "US"}
BILLING = {**PERSONAL, "first_name": "Bertha-canary", "address1": "12 Canary Lane"}
HOLDER = "Wilhelmina Q Holder-canary"
WORDS = ("canary", PERSONAL["phone"])


@pytest.fixture
def typed(form):
    """A form into which a person was typed, as shipping and billing address and on a card."""
    edit(
        form,
        shipping=PERSONAL | PLACES,
        same_billing=False,
        billing=BILLING | PLACES,
        card_name="typed",
        card={"name": HOLDER, "month": "11", "year": "2031"},
    )
    form._strip.view.set_state({"shown": "code"})
    return form


def found_in(text):
    return [word for word in WORDS if word in text.lower()]


def test_the_form_has_what_was_typed(typed):
    assert typed.problems == {}
    assert typed.order.shipping_info.first_name == PERSONAL["first_name"]
    assert typed.order.billing_info.address1 == BILLING["address1"]
    assert HOLDER in typed.code()


@pytest.mark.parametrize("when", ["typed", "placed", "wrong"])
def test_a_saved_notebook_has_nothing_of_it(typed, until, when, tmp_path):
    if when == "placed":
        card = {"number": "378282246310005", "verification_value": "8317"}
        press(typed, card).wait(60)
        until(lambda: at_rest(typed))
        assert typed.recording.outcome == "placed"
    elif when == "wrong":
        edit(typed, shipping={**PERSONAL, **PLACES, "email": "canary-at-nowhere"})
        assert "shipping_info.email" in typed.problems
    # What "Save Widget State" writes, and nbclient by default: every widget's whole state.
    state = ipywidgets.Widget.get_manager_state()
    output = nbformat.v4.new_output("display_data", typed._repr_mimebundle_())
    cell = nbformat.v4.new_code_cell("form", outputs=[output])
    metadata = {"widgets": {"application/vnd.jupyter.widget-state+json": state}}
    nbformat.write(nbformat.v4.new_notebook(cells=[cell], metadata=metadata), tmp_path / "n.ipynb")
    saved = (tmp_path / "n.ipynb").read_text()
    assert typed._form.model_id in saved
    assert found_in(saved) == []
    assert found_in(repr(typed) + repr(typed._form) + repr(typed._strip.view)) == []


def test_a_log_of_messages_has_nothing_of_it(form, caplog, monkeypatch):
    """What logs messages shows their content; what is personal is beside it, in buffers."""
    published = []

    def note(message, buffers=None):
        published.append((message, len(buffers or [])))

    for view in (form._form, form._strip.view):
        monkeypatch.setattr(view, "_send", note)
    form._strip.view.set_state({"shown": "code"})
    caplog.set_level(logging.DEBUG)
    logging.getLogger("Comm").setLevel(logging.DEBUG)
    content = {"type": "edit", "view": "v", "number": 1}
    buffers = [memoryview(orjson.dumps({"shipping": PERSONAL | PLACES}))]
    message = {"content": {"data": {"method": "custom", "content": content}}, "buffers": buffers}
    form._form.comm.handle_msg(message)
    assert form.order.shipping_info.last_name == PERSONAL["last_name"]
    assert "handle_msg" in caplog.text
    kinds = [(one["content"]["type"], count) for one, count in published if "content" in one]
    assert set(kinds) == {("draft", 1), ("code", 1)}
    assert found_in(json.dumps(published)) == found_in(caplog.text) == []


def test_a_preset_has_it_because_it_was_asked_to(typed, lab):
    typed.save_preset("mine")
    other = OrderForm(lab)
    other.load_preset("mine")
    assert other.order == typed.order
    assert other.order != fnb.Order.example()
