"""What a press of an order form does: one order, several, cancelled, with a captcha token."""

from __future__ import annotations

import threading

import anyio
import pytest

import firmly_nb as fnb
from firmly_nb.widgets.draft import MOST_TIMES
from tests.widgets.pages import at_rest, fault, press, send

ORDER = fnb.Order.example()
STREAMED = ["creating-cart", "item-added", "shipping-updated", "order-placed"]


def test_one_press_places_an_order_and_everything_beside_the_form_shows_it(form, until):
    press(form).wait(60)
    until(lambda: at_rest(form))
    assert form.recording.outcome == "placed"
    assert form.recording.events["event"].astype("str").tolist() == STREAMED
    (listed,) = form._form.runs
    assert listed["ends"] == [["good", "✓", "placed"]]
    assert listed["about"] == f"order {form.recording.order_number} · 30.47 USD"
    assert listed["took"].endswith("ms")
    assert listed["how"] == "staging.luma.gift · visa card"
    assert form.cart_view.recording.recording_id == form.recording.recording_id
    assert [r.recording_id for r in form.timeline.recordings] == [form.recording.recording_id]
    assert form.error == ""


def test_what_is_ordered_is_what_the_one_who_pressed_could_see(form):
    """An edit on its way and the press can overtake each other, so the press carries the draft."""
    (item,) = form._draft.now.items
    recs = press(form, items=[{**item, "quantity": 3}]).wait(60)
    assert recs[0].items == [{"variant_id": "WS12-XS-Orange", "quantity": 3}]
    assert form.order.quantity == 3


def test_a_double_click_or_two_views_of_a_form_are_one_order(form, until):
    turn = form._form.turn
    presses = [threading.Thread(target=press, args=(form, None, turn)) for _ in range(4)]
    for one in presses:
        one.start()
    for one in presses:
        one.join()
    form._run.wait(60)
    # Late, after the order has ended: the page had not heard of it yet.
    press(form, turn=turn)
    until(lambda: at_rest(form))
    assert len(form.recordings) == 1
    press(form).wait(60)
    assert len(form.recordings) == 2


def test_several_orders_come_one_after_another(form, until):
    run = form.place_times(3)
    recs = run.wait(60)
    until(lambda: at_rest(form))
    assert [rec.outcome for rec in recs] == ["placed"] * 3
    begins = recs.orders["started_at"].astype("int64").tolist()
    ends = [
        b + rec.orders["order_latency_ms"].iloc[0] * 1e6
        for b, rec in zip(begins, recs, strict=True)
    ]
    assert all(end <= begin for end, begin in zip(ends, begins[1:], strict=False))
    assert form._form.run == {"state": "idle"}
    assert form._form.runs[0]["ends"] == [["good", "✓", "3 placed"]]
    assert form._form.runs[0]["took"].startswith("p50 ")
    assert len(form.recordings) == 3


def test_a_listed_run_can_be_looked_at_again_also_where_the_timeline_was_emptied(form, until):
    (first,) = form.place().wait(60)
    form.place().wait(60)
    until(lambda: at_rest(form))
    form.timeline.clear()
    send(form._form, type="show", recording_id=form._form.runs[1]["recording_id"])
    assert form.timeline.selected["recording_id"] == first.recording_id
    assert form.cart_view.recording.recording_id == first.recording_id


@pytest.mark.parametrize("count", [0, -1, MOST_TIMES + 1])
def test_there_is_a_limit_to_how_many(form, count):
    with pytest.raises(ValueError, match=f"times must be 1 to {MOST_TIMES}, got {count}"):
        form.place_times(count)
    form.times = count
    assert form.problems == {"times": f"must be 1 to {MOST_TIMES}. For more, use lab.sweep()."}
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
    assert run.wait(60)[0].outcome == "cancelled"
    until(lambda: at_rest(form))
    result = form._form.result
    assert (result["outcome"], result["unsure"]) == ("cancelled", True)
    assert form._form.runs[0]["ends"][0][2] == "cancelled"


def test_cancelling_ends_the_orders_that_would_follow(form, until):
    form.order = fault("stall")
    run = form.place_times(5)
    until(lambda: "item-added" in form._form.run["doing"])
    form.cancel()
    assert len(run.wait(60)) == 1
    until(lambda: at_rest(form))
    ends = [words for *_, words in form._form.runs[0]["ends"]]
    assert ends == ["1 cancelled", "4 not sent: cancelled"]


def test_what_is_cancelled_before_it_is_sent_was_not_ordered(form, monkeypatch, until):
    started = threading.Event()

    async def never(*_):
        started.set()
        await anyio.sleep_forever()

    monkeypatch.setattr(form._bench, "place", never)
    run = form.place()
    until(started.is_set)
    form.cancel()
    assert len(run.wait(60)) == 0
    until(lambda: at_rest(form))
    assert form._form.result["headline"] == (
        "Cancelled before anything was sent. Nothing was ordered."
    )


@pytest.mark.parametrize("view", ["_form", "timeline"])
def test_a_long_stage_gives_signs_of_life_until_the_order_has_ended(form, until, monkeypatch, view):
    form.order = fault("stall")
    sent = []
    heart = {"_form": form._watcher, "timeline": form.timeline}[view]._heart
    monkeypatch.setattr(heart, "_send", sent.append)
    monkeypatch.setattr(heart, "_every_s", 0.01)
    run = form.place()
    until(lambda: form._form.run["doing"] == "after item-added" and len(sent) > 3)
    form.cancel()
    run.wait(60)
    until(lambda: heart._over is None, "the end of the beats")
    assert all(one == {"type": "beat"} for one in sent)


def test_after_a_cancelled_order_another_can_be_placed(form, until):
    form.order = fault("stall")
    run = form.place()
    until(lambda: "item-added" in form._form.run["doing"])
    form.cancel()
    run.wait(60)
    form.order = ORDER
    assert form.place().wait(60)[0].outcome == "placed"


def test_there_is_one_order_at_a_time(form, until):
    form.order = fault("stall")
    run = form.place()
    until(lambda: "item-added" in form._form.run["doing"])
    with pytest.raises(
        RuntimeError, match=r"An order is already running\. Stop it with form\.cancel\(\)"
    ):
        form.place()
    form.cancel()
    run.wait(60)
    assert len(form.recordings) == 1


def test_a_form_learns_that_a_merchant_wants_a_captcha_token(form, until):
    sneaker = fnb.Item(variant_id="VS0-7-Chalk")
    form.order = fnb.Order.example(domain="vault.example.test", items=[sneaker])
    form.place().wait(60)
    assert form._form.captcha == ["vault.example.test"]
    assert "captcha token" in form._form.result["next"]
    run = press(form, {"captcha_token": "token-for-one-order"})
    (rec,) = run.wait(60)
    assert rec.outcome in {"placed", "error_event"}  # the last pair is gone in 3 of 10 orders
    assert form.order.captcha_token is None
    until(lambda: at_rest(form))
    # It was good for one order: without another one the shop refuses again.
    press(form).wait(60)
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
    (rec,) = form.place().wait(60)
    assert rec.outcome == "placed"
    assert len(rec.events) == (4 if form.sse else 0)
    assert rec.orders["connection"].astype("str").tolist() == ["warm" if form.warm else "cold"]


def test_a_run_can_be_waited_for_with_a_limit(form, until):
    form.order = fault("stall")
    run = form.place()
    with pytest.raises(TimeoutError, match=r"Order 1 is still running after 0\.1 s"):
        run.wait(0.1)
    form.cancel()
    run.wait(60)
