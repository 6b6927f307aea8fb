"""An order form without a page: what it holds, what a press does, what it says afterwards."""

from __future__ import annotations

import threading

import anyio
import orjson
import pytest

import firmly_nb as fnb
from firmly_nb.sim.behaviour import FAULTS
from firmly_nb.widgets.form_problems import MOST_TIMES
from firmly_nb.widgets.form_state import changes_for
from firmly_nb.widgets.order_form import OrderForm

ORDER = fnb.Order.example()
STREAMED = ["creating-cart", "item-added", "shipping-updated", "order-placed"]


@pytest.fixture(scope="module")
def lab(simulator):
    """One lab for all: its recorder is started once."""
    options = {"app_id": simulator.app_id, "allow_domains": simulator.domains}
    with fnb.connect(api_url=simulator.url, **options) as opened:
        yield opened


@pytest.fixture
def form(lab):
    """A form on the shared simulator."""
    return OrderForm(lab)


def fault(name):
    return fnb.Order.example(items=[fnb.Item(variant_id=f"FAULT-{name.upper()}")])


def press(form, secrets=None, turn=None, **changes):
    """Do what the page does when its button is pressed."""
    view = form._form
    draft = {name: getattr(view, name) for name in ("merchant", "items", "shipping")} | changes
    content = {"type": "place", "turn": view.turn if turn is None else turn, "draft": draft}
    view._handle_custom_msg(content, [memoryview(orjson.dumps(secrets or {}))])
    return form._run


def send(view, **content):
    view._handle_custom_msg(content, [])


def at_rest(form):
    return not form.running and form._form.run["state"] == "idle"


def test_a_form_begins_with_an_order_that_works(form):
    assert form.order == ORDER
    assert form.problems == {}
    assert (form.card_name, form.sse, form.warm, form.times) == ("visa", True, True, 1)
    assert (form.recording, len(form.recordings), form.running, form.error) == (None, 0, False, "")


def test_one_press_places_an_order_and_everything_beside_the_form_shows_it(form, until):
    press(form).wait(20)
    until(lambda: at_rest(form))
    assert form.recording.outcome == "placed"
    assert form.recording.events["event"].astype("str").tolist() == STREAMED
    assert form._form.result["tone"] == "good"
    assert form._form.result["headline"].startswith("Placed: order ")
    assert form.cart_view.recording.recording_id == form.recording.recording_id
    assert [r.recording_id for r in form.timeline.recordings] == [form.recording.recording_id]
    assert form.error == ""


def test_what_is_ordered_is_what_the_one_who_pressed_could_see(form):
    """An edit on its way and the press can overtake each other, so the press carries the draft."""
    recs = press(form, items=[{**form._form.items[0], "quantity": 3}]).wait(20)
    assert recs[0].items == [{"variant_id": "WS12-XS-Orange", "quantity": 3}]
    assert form.order.quantity == 3


def test_a_double_click_or_two_views_of_a_form_are_one_order(form, until):
    turn = form._form.turn
    presses = [threading.Thread(target=press, args=(form, None, turn)) for _ in range(4)]
    for one in presses:
        one.start()
    for one in presses:
        one.join()
    form._run.wait(20)
    # Late, after the order has ended: the page had not heard of it yet.
    press(form, turn=turn)
    until(lambda: at_rest(form))
    assert len(form.recordings) == 1
    press(form).wait(20)
    assert len(form.recordings) == 2


def test_several_orders_come_one_after_another(form, until):
    run = form.place_times(3)
    recs = run.wait(30)
    until(lambda: at_rest(form))
    assert [rec.outcome for rec in recs] == ["placed"] * 3
    begins = recs.orders["started_at"].astype("int64").tolist()
    ends = [
        b + rec.orders["order_latency_ms"].iloc[0] * 1e6
        for b, rec in zip(begins, recs, strict=True)
    ]
    assert all(end <= begin for end, begin in zip(ends, begins[1:], strict=False))
    assert form._form.run == {"state": "idle", "told": "3 placed"}
    assert len(form.recordings) == 3


@pytest.mark.parametrize("count", [0, -1, MOST_TIMES + 1])
def test_there_is_a_limit_to_how_many(form, count):
    with pytest.raises(ValueError, match=f"1 to {MOST_TIMES} orders; lab.sweep"):
        form.place_times(count)
    form.times = count
    assert form.problems == {"times": f"must be 1 to {MOST_TIMES}; lab.sweep() places more"}
    with pytest.raises(fnb.InvalidOrder, match="times: must be 1"):
        form.place()
    press(form)
    assert "times" in form.error
    assert form._run is None


def test_an_order_is_cancelled_while_it_is_on_its_way(form, until):
    form.order = fault("stall")
    run = press(form)
    until(lambda: "item-added" in form._form.run["doing"])
    send(form._form, type="cancel")
    assert form._form.run["state"] == "cancelling"
    assert run.wait(20)[0].outcome == "cancelled"
    until(lambda: at_rest(form))
    result = form._form.result
    assert (result["outcome"], result["tone"]) == ("cancelled", "quiet")
    assert result["facts"][0] == ["Reached", "item-added"]
    assert result["unsure"]


def test_cancelling_ends_the_orders_that_would_follow(form, until):
    form.order = fault("stall")
    run = form.place_times(5)
    until(lambda: "item-added" in form._form.run["doing"])
    form.cancel()
    assert len(run.wait(20)) == 1
    until(lambda: at_rest(form))
    assert form._form.run["told"] == "1 cancelled; 4 of 5 not placed: cancelled"


def test_what_is_cancelled_before_it_is_sent_was_not_ordered(form, monkeypatch, until):
    started = threading.Event()

    async def never(*_):
        started.set()
        await anyio.sleep_forever()

    monkeypatch.setattr(form._bench, "place", never)
    run = form.place()
    until(started.is_set)
    form.cancel()
    assert len(run.wait(20)) == 0
    until(lambda: at_rest(form))
    assert form._form.result["headline"] == (
        "Cancelled before anything was sent. Nothing was ordered."
    )


def test_a_long_stage_gives_signs_of_life(form, until):
    form.order = fault("stall")
    run = form.place()
    until(lambda: "item-added" in form._form.run["doing"])
    first = form._form.run["beat"]
    until(lambda: form._form.run["beat"] > first + 1)
    form.cancel()
    run.wait(20)


def test_after_a_cancelled_order_another_can_be_placed(form, until):
    form.order = fault("stall")
    run = form.place()
    until(lambda: "item-added" in form._form.run["doing"])
    form.cancel()
    run.wait(20)
    form.order = ORDER
    assert form.place().wait(20)[0].outcome == "placed"


def test_there_is_one_order_at_a_time(form, until):
    form.order = fault("stall")
    run = form.place()
    until(lambda: "item-added" in form._form.run["doing"])
    with pytest.raises(RuntimeError, match=r"an order is on its way; form.cancel\(\) ends it"):
        form.place()
    form.cancel()
    run.wait(20)
    assert len(form.recordings) == 1


ERRORS = sorted(
    name for name, one in FAULTS.items() if one.outcome in {"error_event", "http_error"}
)


@pytest.mark.parametrize("name", [n for n in ERRORS if n != "content-type"])
def test_each_error_is_told_with_its_name_what_was_reached_and_what_to_do(form, name):
    form.order = fault(name)
    (rec,) = form.place().wait(20)
    result = form._form.result
    facts = dict(result["facts"])
    assert result["outcome"] == FAULTS[name].outcome
    assert (result["tone"], result["mark"]) == ("bad", "✕")
    assert facts["Error"] == rec.error.error
    assert facts["It says"] == rec.error.description
    assert facts["Reached"] in {"none", *STREAMED}
    assert result["next"]
    # Each thing is said once.
    assert rec.error.description not in result["headline"]


@pytest.mark.parametrize(
    ("name", "outcome"),
    [
        ("early-end", "incomplete"),
        ("reset", "transport_error"),
        ("lost-confirmation", "incomplete"),
    ],
)
def test_an_unclear_end_says_where_to_look(form, until, name, outcome):
    form.order = fault(name)
    form.place().wait(20)
    assert form._form.result["outcome"] == outcome
    assert form._form.result["unsure"]
    send(form._form, type="look")
    until(lambda: "…" not in form._form.looked and form._form.looked)
    went_through = FAULTS[name].placed
    assert form._form.looked.startswith("It went through" if went_through else "The cart at ")


@pytest.mark.parametrize(
    ("name", "unsure"),
    [
        ("content-type", True),
        ("bad-gateway", True),
        ("internal-error", True),
        ("invalid-input", False),
        ("unavailable", False),
        ("rate-limited", False),
        ("payment-declined", False),
    ],
)
def test_nobody_is_told_to_place_again_where_an_order_may_exist(form, name, unsure):
    form.order = fault(name)
    form.place().wait(20)
    assert form._form.result["unsure"] is unsure
    assert ("may be twice" in form._form.result["next"]) is unsure


def test_the_test_card_that_is_always_declined_is_declined(form):
    form.card_name = "declined"
    (rec,) = form.place().wait(20)
    assert rec.error.error == "ErrorPaymentDeclined"
    assert form._form.result["headline"].startswith("Declined by the merchant")
    assert "another card" in form._form.result["next"]


def test_three_refusals_in_a_row_end_the_rest(form, until):
    form.order = fault("rate-limited")
    recs = form.place_times(10).wait(30)
    until(lambda: at_rest(form))
    assert [rec.outcome for rec in recs] == ["http_error"] * 3
    assert form._form.run["told"].endswith("7 of 10 not placed: 3 in a row were refused")


def test_declined_orders_do_not_end_the_rest(form):
    form.order = fault("payment-declined")
    assert len(form.place_times(5).wait(30)) == 5


def test_a_form_learns_that_a_merchant_wants_a_captcha_token(form, until):
    sneaker = fnb.Item(variant_id="VS0-7-Chalk")
    form.order = fnb.Order.example(domain="vault.example.test", items=[sneaker])
    form.place().wait(20)
    assert form._form.captcha == ["vault.example.test"]
    assert "captcha token" in form._form.result["next"]
    run = press(form, {"captcha_token": "token-for-one-order"})
    (rec,) = run.wait(20)
    assert rec.outcome in {"placed", "error_event"}  # the last pair is gone in 3 of 10 orders
    assert form.order.captcha_token is None
    until(lambda: at_rest(form))
    # It was good for one order: without another one the shop refuses again.
    press(form).wait(20)
    assert form.recording.error.error == "ErrorMissingRequiredParameters"


def test_a_captcha_token_is_good_for_one_order(form):
    form.times = 2
    with pytest.raises(ValueError, match="good for one order"):
        form.place(captcha_token="token")
    press(form, {"captcha_token": "token"})
    assert "good for one order" in form.error


@pytest.mark.parametrize(("name", "value"), [("sse", False), ("warm", False)])
def test_how_it_is_placed_can_be_chosen(form, name, value):
    setattr(form, name, value)
    (rec,) = form.place().wait(20)
    assert rec.outcome == "placed"
    assert len(rec.events) == (4 if form.sse else 0)
    assert rec.orders["connection"].astype("str").tolist() == ["warm" if form.warm else "cold"]


def test_a_merchant_that_is_not_allowed_is_refused_before_anyone_presses(form):
    form.order = ORDER.model_copy(update={"domain": "bestbuy.com"})
    assert "allow-list" in form.problems["domain"]
    with pytest.raises(fnb.InvalidOrder, match="allow-list"):
        form.place()
    press(form)
    assert form.error.startswith("Nothing was sent.")
    assert form._run is None


def test_what_is_typed_is_checked_as_it_is_typed(form):
    view = form._form
    view.set_state({"shipping": {**view.shipping, "email": "ada"}, "edit": 1})
    assert view.problems["shipping_info.email"].startswith("is no e-mail address")
    assert view.checked == 1
    assert form.order is None
    view.set_state({"shipping": {**view.shipping, "email": "ada@example.test"}, "edit": 2})
    assert (view.problems, view.checked) == ({}, 2)


def test_an_order_can_be_set_and_read(form):
    hoodie = fnb.Item(variant_id="MH07-XS-Gray", quantity=2)
    order = fnb.Order.example(
        items=[*ORDER.items, hoodie],
        billing_info=fnb.Address.example(city="Tacoma"),
        captcha_token="gone",
    )
    form.order = order
    assert form.order == order.model_copy(update={"captcha_token": None})
    with pytest.raises(TypeError, match="takes an Order, got dict"):
        form.order = {}


def test_a_card_by_name_must_exist(form):
    with pytest.raises(ValueError, match="no test card 'gold'; there are visa"):
        form.card_name = "gold"


def test_a_typed_card_is_known_to_the_page_alone(form):
    form.card_name = "typed"
    form._form.card = {"name": "Ada", "month": "12", "year": "2030"}
    with pytest.raises(ValueError, match="known to the page alone"):
        form.place()
    assert form.place(card=fnb.Card.test()).wait(20)[0].outcome == "placed"


def test_a_closed_lab_is_said_in_the_form(connect):
    lab = connect()
    form = OrderForm(lab)
    lab.close()
    press(form)
    assert form.error == "RuntimeError: this lab is closed; fnb.connect() opens another"
    assert form._form.run == {"state": "idle"}


def test_a_session_that_cannot_be_had_is_said_in_the_form(connect, simulator, until):
    lab = connect(api_url=simulator.url, app_id="unknown", allow_domains=["staging.luma.gift"])
    form = OrderForm(lab)
    run = form.place()
    assert len(run.wait(20)) == 0
    until(lambda: at_rest(form))
    result = form._form.result
    assert result["headline"] == "Nothing was ordered: it could not be sent."
    assert dict(result["facts"])["Error"] == "InvalidAppId"


def test_an_order_without_a_cart_does_not_leave_the_one_before_beside_it(form, until):
    form.place().wait(20)
    form.order = fault("invalid-input")
    (refused,) = form.place().wait(20)
    assert form.cart_view.recording.recording_id == refused.recording_id
    until(lambda: "No cart was seen" in form.cart_view._about.get("note", ""), "the note")


def test_a_picture_that_cannot_be_drawn_does_not_harm_the_order(form, monkeypatch, until):
    def broken(*_):
        raise ZeroDivisionError("no such picture")

    monkeypatch.setattr(form.cart_view, "show", broken)
    assert form.place().wait(20)[0].outcome == "placed"
    assert form.error == "ZeroDivisionError: no such picture"


@pytest.mark.parametrize(
    "message",
    [
        {},
        {"type": "nothing"},
        {"type": "place"},
        {"type": "place", "turn": 0, "draft": 7},
        {"type": "place", "turn": 0, "draft": {"items": 7}},
        {"type": "place", "turn": 0, "draft": {"items": [7], "shipping": {}}},
        {"type": "catalogue"},
        {"type": "catalogue", "about": "variants", "domain": 7, "handle": None},
    ],
)
def test_nothing_that_a_page_sends_raises_in_the_kernel(form, message):
    form._form._handle_custom_msg(message, [])
    form._strip._handle_custom_msg(message, [])
    assert form._run is None


def test_an_event_that_is_picked_shows_its_cart(form, until):
    first, second = (form.place().wait(20)[0] for _ in range(2))
    form.timeline.select(first.recording_id, 2)
    assert form.cart_view.recording.recording_id == first.recording_id
    assert form.cart_view.seq == 2
    form.timeline.select(second.recording_id, 3)
    assert form.cart_view.recording.recording_id == second.recording_id


def test_two_forms_know_nothing_of_each_other(lab):
    one, other = OrderForm(lab), OrderForm(lab)
    one.card_name = "amex"
    one.place().wait(20)
    assert (other.card_name, len(other.recordings), other._form.result) == ("visa", 0, {})


def test_a_run_can_be_waited_for_with_a_limit(form, until):
    form.order = fault("stall")
    run = form.place()
    with pytest.raises(TimeoutError, match=r"not done after 0.1 s: order 1 is on its way"):
        run.wait(0.1)
    form.cancel()
    run.wait(20)


def test_a_form_shows_itself_where_no_front_end_is(form):
    assert repr(form) == "OrderForm(custom; staging.luma.gift, 1 piece)"
    before = form._repr_mimebundle_()["text/html"]
    assert "No order was placed from it yet." in before
    form.place().wait(20)
    bundle = form._repr_mimebundle_()
    assert "application/vnd.jupyter.widget-view+json" in bundle
    assert "Placed:" in bundle["text/html"]
    # Of an address only what prices depend on.
    assert "Seattle, US" in bundle["text/html"]
    for personal in ("Ada", "10 Sample Way", "2065550100", "ada@example.test"):
        assert personal not in bundle["text/html"] + repr(form)


def test_hostile_texts_are_escaped_in_the_still_picture(form):
    hostile = '<script>alert(1)</script>"><img src=x onerror=alert(2)>\u202e'
    form._form.put(changes_for(fnb.Order.example(items=[fnb.Item(variant_id=hostile)])))
    form._form.shipping = {**form._form.shipping, "city": hostile}
    html = form._repr_mimebundle_()["text/html"]
    assert "<script" not in html
    assert "<img" not in html
