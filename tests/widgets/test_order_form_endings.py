"""How orders of a form end, and what it says of it and of what to do next."""

from __future__ import annotations

import pytest

import firmly_nb as fnb
from firmly_nb.sim.behaviour import FAULTS
from firmly_nb.widgets.order_form import OrderForm
from firmly_nb.widgets.order_run import LOOK_AGAIN
from tests.widgets.pages import at_rest, fault, press, send

ERRORS = sorted(
    name for name, one in FAULTS.items() if one.outcome in {"error_event", "http_error"}
)


@pytest.mark.parametrize("name", [n for n in ERRORS if n != "content-type"])
def test_each_error_is_told_once_with_its_name_and_what_to_do(form, until, name):
    form.order = fault(name)
    (rec,) = form.place().wait(60)
    until(lambda: at_rest(form))
    (listed,) = form._form.runs
    assert (listed["ends"][0][:2], listed["about"]) == (["bad", "✕"], rec.error.error)
    # The timeline says what happened and, where nothing was ordered, what the error advises.
    said = form.timeline._recent[0]["end"]["verdict"]
    assert rec.error.description[1:] in said
    result = form._form.result
    assert result["outcome"] == FAULTS[name].outcome
    advised = rec.error.advice
    assert (advised in said if advised else True) or result["unsure"]
    assert bool(result["next"]) == (result["unsure"] or not advised)


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
    form.place().wait(60)
    assert form._form.result["outcome"] == outcome
    assert form._form.result["unsure"]
    assert "the cart tells" in form.timeline._recent[0]["end"]["verdict"]
    send(form._form, type="look")
    until(lambda: "…" not in form._form.looked and form._form.looked)
    went_through = FAULTS[name].placed
    (settled,) = form.recordings
    number = settled.order_number
    found = (
        (f"Order {number} exists: cart submitted with order {number}", "", f"order {number}")
        if went_through
        else ("Nothing was ordered: cart still active", LOOK_AGAIN, "")
    )
    listed, result = form._form.runs[0]["about"], form._form.result
    assert (form._form.looked, result["next"]) == (f"{found[0]}, asked afterwards.", found[1])
    assert listed.endswith(found[2])
    # What the timeline and the cart view say is no longer that nobody knows.
    until(lambda: "may exist" not in form.timeline._recent[0]["end"]["verdict"])
    assert form.cart_view.recording is settled


def test_an_active_cart_is_asked_for_anew_each_time(form, monkeypatch, until):
    form.order = fault("early-end")
    form.place().wait(60)
    asked, settle = [], form.lab._bench.settle
    monkeypatch.setattr(
        form.lab._bench, "settle", lambda rec: asked.append(rec.order_exists) or settle(rec)
    )
    for _ in range(2):
        form._form.looked = ""
        send(form._form, type="look")
        until(lambda: form._form.looked.startswith("Nothing was ordered"))
    assert asked == ["unknown", "unknown"]


def test_what_to_do_follows_the_order_that_is_picked(form, until):
    form.order = fault("early-end")
    (unsure,) = form.place().wait(60)
    form.order = fnb.Order.example()
    form.place().wait(60)
    until(lambda: at_rest(form))
    assert not form._form.result["unsure"]
    form.timeline.select(unsure.recording_id)
    result = form._form.result
    assert (result["recording_id"], result["unsure"]) == (unsure.recording_id, True)


@pytest.mark.parametrize(
    ("name", "unsure"),
    [
        ("content-type", True),
        ("bad-gateway", True),
        ("internal-error", True),
        ("invalid-input", False),
        ("unavailable", True),
        ("rate-limited", False),
        ("payment-declined", False),
    ],
)
def test_nobody_is_told_to_place_again_where_an_order_may_exist(form, name, unsure):
    form.order = fault(name)
    form.place().wait(60)
    assert form._form.result["unsure"] is unsure
    assert ("order twice" in form._form.result["next"]) is unsure


def test_the_test_card_that_is_always_declined_is_declined(form):
    form.card_name = "declined"
    (rec,) = form.place().wait(60)
    assert rec.error.error == "ErrorPaymentDeclined"
    assert "Use another test card" in form.timeline._recent[0]["end"]["verdict"]


def test_three_refusals_in_a_row_end_the_rest(form, until):
    form.order = fault("rate-limited")
    recs = form.place_times(10).wait(60)
    until(lambda: at_rest(form))
    assert [rec.outcome for rec in recs] == ["http_error"] * 3
    ends = [words for *_, words in form._form.runs[0]["ends"]]
    assert ends == ["3 refused", "7 not sent: 3 in a row failed"]


def test_declined_orders_do_not_end_the_rest(form):
    form.order = fault("payment-declined")
    assert len(form.place_times(5).wait(60)) == 5


def test_a_closed_lab_is_said_in_the_form(connect):
    lab = connect()
    form = OrderForm(lab)
    lab.close()
    press(form)
    assert form.error == "This lab is closed. Open another with fnb.connect(). [FNB017]"
    assert form._form.run == {"state": "idle"}
    assert not form.timeline.expecting
    assert form._watcher._heart._over is None


def test_a_session_that_cannot_be_had_is_said_in_the_form(connect, simulator, until):
    lab = connect(api_url=simulator.url, app_id="unknown", allow_domains=["staging.luma.gift"])
    form = OrderForm(lab)
    run = form.place()
    assert len(run.wait(60)) == 0
    until(lambda: at_rest(form))
    result = form._form.result
    assert result["headline"] == "Nothing was ordered: it could not be sent."
    assert dict(result["facts"])["Error"] == "InvalidAppId"


def test_an_order_without_a_cart_does_not_leave_the_one_before_beside_it(form, until):
    form.place().wait(60)
    form.order = fault("invalid-input")
    (refused,) = form.place().wait(60)
    assert form.cart_view.recording.recording_id == refused.recording_id
    until(lambda: "No cart was seen" in form.cart_view._about.get("note", ""), "the note")
