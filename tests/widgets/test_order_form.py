"""An order form without a page: what it holds, what Python can set, what it shows."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import orjson
import pytest

import firmly_nb as fnb
from firmly_nb.widgets.draft import changes_for
from firmly_nb.widgets.order_form import OrderForm
from tests.widgets.pages import at_rest, edit, fault, press, send

ORDER = fnb.Order.example()


def test_a_form_begins_with_an_order_that_works(form):
    assert form.order == ORDER
    assert form.problems == {}
    assert (form.card_name, form.sse, form.warm, form.times) == ("visa", True, True, 1)
    assert (form.recording, len(form.recordings), form.running, form.error) == (None, 0, False, "")


def test_an_order_can_be_set_and_read(form):
    hoodie = fnb.Item(variant_id="MH07-XS-Gray", quantity=2)
    order = fnb.Order.example(
        items=[*ORDER.items, hoodie],
        billing_info=fnb.Address.example(city="Tacoma"),
        captcha_token="gone",
    )
    form.order = order
    assert form.order == order.model_copy(update={"captcha_token": None})
    with pytest.raises(TypeError, match=r"order must be a fnb.Order, got dict"):
        form.order = {}


def test_a_card_by_name_must_exist(form):
    with pytest.raises(ValueError, match=r"^Unknown test card 'gold'\. Use visa"):
        form.card_name = "gold"


def test_a_typed_card_is_known_to_the_page_alone(form):
    form.card_name = "typed"
    edit(form, card={"name": "Ada", "month": "12", "year": "2030"})
    with pytest.raises(ValueError, match="known only to the page"):
        form.place()
    assert form.place(card=fnb.Card.test()).wait(60)[0].outcome == "placed"


def test_a_merchant_that_is_not_allowed_is_refused_before_anyone_presses(form):
    form.order = ORDER.model_copy(update={"domain": "bestbuy.com"})
    assert "allow-list" in form.problems["domain"]
    with pytest.raises(fnb.InvalidOrder, match="allow-list"):
        form.place()
    press(form)
    assert form.error.startswith("Nothing was sent.")
    assert form._run is None


def test_what_is_typed_is_checked_as_it_is_typed(form):
    shipping = form._draft.now.shipping
    edit(form, shipping={**shipping, "email": "ada"})
    assert form.problems["shipping_info.email"].startswith("not a valid e-mail address.")
    assert form.order is None
    edit(form, shipping={**shipping, "email": "ada@example.test"})
    assert form.problems == {}
    assert form.order.shipping_info.email == "ada@example.test"


def test_two_forms_know_nothing_of_each_other(lab):
    one, other = OrderForm(lab), OrderForm(lab)
    one.card_name = "amex"
    one.place().wait(60)
    assert (other.card_name, len(other.recordings), other._form.result) == ("visa", 0, {})


@pytest.mark.parametrize(
    "message",
    [
        {},
        {"type": "nothing"},
        {"type": "place"},
        {"type": "place", "turn": 0},
        {"type": "edit"},
        {"type": "draft", "view": {}, "number": []},
        {"type": "catalogue"},
        {"type": "catalogue", "about": "variants", "domain": 7, "handle": None},
    ],
)
def test_nothing_that_a_page_sends_raises_in_the_kernel(form, message):
    for view in (form._form, form._strip.view, form.timeline, form.cart_view):
        send(view, **message)
    assert form._run is None
    assert form.order == ORDER


@pytest.mark.parametrize("draft", [7, {"items": 7}, {"items": [7], "shipping": {}}])
def test_no_draft_that_a_page_sends_raises_or_is_ordered(form, draft):
    buffers = [b"{}", orjson.dumps(draft)]
    form._form._handle_custom_msg({"type": "place", "turn": 0}, buffers)
    assert form.error
    assert form._run is None


def test_an_event_that_is_picked_shows_its_cart(form, until):
    first, second = (form.place().wait(60)[0] for _ in range(2))
    form.timeline.select(first.recording_id, 2)
    assert form.cart_view.recording.recording_id == first.recording_id
    assert form.cart_view.seq == 2
    form.timeline.select(second.recording_id, 3)
    assert form.cart_view.recording.recording_id == second.recording_id


def test_an_event_of_an_order_that_is_under_way_shows_its_cart_and_stays_there(form, until):
    form.order = fault("stall")
    run = form.place()
    until(lambda: "item-added" in form._form.run["doing"])
    running = form.timeline._newest
    form.timeline.select(running, 1)
    assert (form.cart_view.recording.recording_id, form.cart_view.seq) == (running, 1)
    form.cancel()
    run.wait(60)
    until(lambda: form.cart_view.recording is form.recording, "the whole order's cart")
    assert form.cart_view.seq == 1


def test_who_studies_an_older_order_is_left_in_peace(form, until):
    (first,) = form.place().wait(60)
    form.order = fault("stall")
    run = form.place()
    until(lambda: "item-added" in form._form.run["doing"])
    form.timeline.select(first.recording_id, 2)
    form.cancel()
    run.wait(60)
    until(lambda: at_rest(form))
    assert form.cart_view.recording.recording_id == first.recording_id
    assert form.cart_view.seq == 2


def test_a_picture_that_cannot_be_drawn_does_not_harm_the_order(form, monkeypatch, until):
    def broken(*_):
        raise ZeroDivisionError("no such picture")

    monkeypatch.setattr(form.cart_view, "show", broken)
    assert form.place().wait(60)[0].outcome == "placed"
    assert form.error == "ZeroDivisionError: no such picture"


def test_a_form_shows_itself_where_no_front_end_is(form):
    assert repr(form) == "OrderForm(custom; staging.luma.gift, quantity 1)"
    before = form._repr_mimebundle_()["text/html"]
    assert "No order was placed from it yet." in before
    form.place().wait(60)
    bundle = form._repr_mimebundle_()
    assert "application/vnd.jupyter.widget-view+json" in bundle
    assert "Placed:" in bundle["text/html"]
    # Of an address only what prices depend on.
    assert "Seattle, US" in bundle["text/html"]
    for personal in ("Ada", "10 Sample Way", "2065550100", "ada@example.test"):
        assert personal not in bundle["text/html"] + repr(form)


def test_marimo_gets_the_parts_and_stacks_them(form, monkeypatch):
    stand_in = SimpleNamespace(
        vstack=lambda parts, **_: ["below", *parts], hstack=lambda parts, **_: ["beside", *parts]
    )
    monkeypatch.setitem(sys.modules, "marimo", stand_in)
    below, strip, (beside, page, right) = form._display_()
    assert (below, beside, strip, page) == ("below", "beside", form._strip.view, form._form)
    assert right == ["below", form.timeline, form.cart_view]


def test_hostile_texts_are_escaped_in_the_still_picture(form):
    hostile = '<script>alert(1)</script>"><img src=x onerror=alert(2)>\u202e'
    form._draft.put(changes_for(fnb.Order.example(items=[fnb.Item(variant_id=hostile)])))
    edit(form, shipping={**form._draft.now.shipping, "city": hostile})
    html = form._repr_mimebundle_()["text/html"]
    assert "<script" not in html
    assert "<img" not in html
