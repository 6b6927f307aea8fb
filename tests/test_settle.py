"""Asking the cart afterwards, where it is unknown whether an order exists."""

from __future__ import annotations

import asyncio
import json
from dataclasses import asdict

import pytest

import firmly_nb as fnb
from firmly_nb.api.errors import FirmlyError
from firmly_nb.recorder.journal import find_journal
from firmly_nb.recorder.records import End, decode
from tests.merchant_server import Merchant
from tests.servers import serving
from tests.shown import whole

ORDER = fnb.Order.example()
LOST = {"x-sim-fault": "lost-confirmation"}  # placed, and the stream does not say so
CUT = {"x-sim-fault": "cut"}
PLACED = {"cart_id": "c1", "cart_status": "submitted", "platform_order_number": "T-1"}


def place(lab, **options):
    return lab.place(ORDER, progress=False, **options)


@pytest.fixture
def merchant():
    with serving(Merchant()) as started:
        yield started


@pytest.fixture
def at_merchant(connect, merchant):
    """A lab whose orders and carts are answered as the test says."""
    return connect(api_url=merchant.url, app_id="an-app", allow_domains=[ORDER.domain])


@pytest.fixture
def unsure(at_merchant, merchant):
    """An order of which a cart was seen, and no end; recorded here: a process takes 0.2 s."""

    def placed(cart_id="c1", **options):
        data = {"cart": {"cart_id": cart_id, "cart_status": "active"}} if cart_id else {}
        merchant.events = [("creating-cart", json.dumps(data))]
        return place(at_merchant, isolated=False, **options)

    return placed


def test_an_order_that_was_lost_is_found(lab):
    rec = place(lab, headers=LOST)
    settled = lab.settle(rec)
    assert (rec.order_exists, rec.order_number) == ("unknown", None)
    assert (settled.order_exists, settled.outcome) == ("yes", "incomplete")
    assert settled.order_number == lab.cart(rec)["platform_order_number"]
    said = f"cart submitted with order {settled.order_number}, asked afterwards"
    assert settled.evidence == said
    assert settled.events.equals(rec.events)
    assert f"Order {settled.order_number} exists." in whole(settled)
    assert lab.last is settled


def test_an_order_whose_cart_is_still_active_does_not_exist(lab):
    settled = lab.settle(place(lab, headers=CUT))
    assert (settled.order_exists, settled.order_number) == ("no", None)
    assert settled.evidence == "cart still active, asked afterwards"
    assert "Nothing was ordered." in whole(settled)


def test_a_success_that_the_cart_denies_is_not_shown_as_one(at_merchant, merchant):
    merchant.events = [("creating-cart", json.dumps({"cart": {"cart_id": "c1"}}))]
    merchant.events.append(("order-placed", "{}"))
    rec = place(at_merchant)
    merchant.answer = {"cart_id": "c1", "cart_status": "active"}
    denied = at_merchant.settle(rec)
    assert (denied.outcome, denied.order_exists) == ("placed", "no")
    for shown in (whole(denied), denied._repr_html_()):
        assert "Told as placed:" in shown
        assert "Nothing was ordered." in shown
        assert "✓" not in shown
    recs = fnb.Recordings([denied])
    assert "1 told as placed does not exist" in repr(recs)
    assert recs.caveats["code"].tolist()[-1] == "unconfirmed"
    assert "was told as placed and does not exist" in recs.caveats["text"].iloc[-1]


def test_it_is_awaited_as_well(lab):
    rec = place(lab, headers=LOST)
    assert asyncio.run(lab.settle_async(rec)).order_exists == "yes"


def test_only_what_is_unknown_is_asked(at_merchant, merchant):
    merchant.events = [("order-placed", json.dumps(PLACED))]
    rec = place(at_merchant)
    merchant.asked.clear()
    assert at_merchant.settle(rec) is rec
    assert merchant.asked == []


def test_settling_orders_nothing(unsure, at_merchant, merchant):
    rec = unsure()
    merchant.asked.clear()
    merchant.answer = PLACED
    at_merchant.settle(rec)
    ((path, _),) = merchant.asked
    assert path.endswith("/cart")


# What the recording knows of its cart, and what the cart says then.
CARTS = {
    "submitted with a number": (PLACED, "yes", "cart submitted with order T-1"),
    "a number that is a number": ({**PLACED, "platform_order_number": 7}, "yes", "order 7,"),
    "a number that steers a terminal": (
        {**PLACED, "platform_order_number": "T\x1b[31m"}, "yes", "order T"),
    "a number of letters alone": (
        {**PLACED, "platform_order_number": "KWXQPZTR"}, "yes", "order KWXQPZTR"),
    "a status in place of its number": (
        {**PLACED, "platform_order_number": "PENDING"}, "unknown", "is 'submitted' without an"),
    "inside an object": ({"cart": PLACED}, "yes", "order T-1"),
    "active": ({"cart_id": "c1", "cart_status": "active"}, "no", "cart still active"),
    "submitted without a number": (
        {"cart_id": "c1", "cart_status": "submitted"}, "unknown", "is 'submitted' without an"),
    "active with a number": (
        {**PLACED, "cart_status": "active"}, "unknown", "is 'active' with order number T-1"),
    "active with a number of letters alone": (
        {"cart_id": "c1", "cart_status": "active", "platform_order_number": "KWXQPZTR"}, "unknown",
        "is 'active' with order number KWXQPZTR"),
    "a number without a status": (
        {"cart_id": "c1", "platform_order_number": "T-1"}, "unknown", "with order number T-1"),
    "of an unknown status": (
        {"cart_id": "c1", "cart_status": "thinking"}, "unknown", "is 'thinking' without an"),
    "without a status": ({"cart_id": "c1"}, "unknown", "the cart says no status"),
    "submitted in capitals": (
        {**PLACED, "cart_status": " SUBMITTED "}, "yes", "cart submitted with order T-1"),
    "active in capitals": ({"cart_id": "c1", "cart_status": "Active"}, "no", "still active"),
    "an error of no list beside a cart": (
        {"cart_id": "c1", "cart_status": "active", "error": "InternalError"}, "unknown",
        "its response has the error InternalError"),
    "another cart with a number": ({**PLACED, "cart_id": "c2"}, "unknown", "another cart"),
    "another cart that is active": (
        {"cart_id": "c2", "cart_status": "active"}, "unknown", "another cart"),
    "a cart without an id": (
        {"cart_status": "submitted", "platform_order_number": "T-1"}, "unknown", "another cart"),
    "nothing": ({}, "unknown", "no cart"),
    "no cart": ({"error": "ErrorCartNotFound"}, "unknown", "no cart"),
}  # fmt: skip


@pytest.mark.parametrize("kind", CARTS)
def test_what_the_cart_says_decides(unsure, at_merchant, merchant, kind):
    answer, exists, said = CARTS[kind]
    rec = unsure()
    merchant.answer = answer
    settled = at_merchant.settle(rec)
    assert settled.order_exists == exists
    assert said in settled.evidence
    assert settled.evidence.endswith("asked afterwards")
    assert settled.evidence.isprintable()
    assert (settled.order_number is None) == (exists != "yes")


def test_two_numbers_in_the_cart_are_told(unsure, at_merchant, merchant):
    rec = unsure()
    merchant.answer = {**PLACED, "order": {"platform_order_number": "T-2"}}
    settled = at_merchant.settle(rec)
    assert settled.warnings == ["2 orders may exist: T-2 and T-1. The first counts."]


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        ({"charset": "iso-8859-1", "body": '{"note": "Zo\xeb", %s'.encode("latin-1")}, "yes"),
        ({"charset": "utf-8", "body": b"\xef\xbb\xbf{%s"}, "yes"),
        ({"location": "javascript:go()"}, "HTTP 302: it redirects to an unreadable address"),
        ({"location": "http://xn--a"}, "HTTP 302: it redirects to xn--a"),
        ({"encoding": "gzip", "body": b"\x1f\x8b%s"}, "compressed data that is damaged"),
    ],
)
def test_of_any_response_of_the_cart_is_said_what_it_is(unsure, at_merchant, merchant, raw, said):
    rec = unsure()
    body = raw.get("body", b"%s").replace(b"%s", json.dumps(PLACED).encode()[1:])
    headers = {
        "content-type": f"application/json; charset={raw.get('charset', 'utf-8')}",
        "content-encoding": raw.get("encoding", "identity"),
        **{name: raw[name] for name in ("location",) if name in raw},
    }
    merchant.raw = 302 if "location" in raw else 200, headers, body
    if said == "yes":
        assert at_merchant.settle(rec).order_number == "T-1"
        return
    with pytest.raises(FirmlyError) as raised:
        at_merchant.settle(rec)
    assert said in str(raised.value)
    assert "cannot be reached" not in str(raised.value)


def test_to_ask_the_cart_again_is_not_to_order_again(unsure, merchant):
    merchant.raw = 503, {"retry-after": "1"}, b""
    (said,) = unsure(settle=True).warnings
    assert said.endswith("asked for: HTTP 503: empty body. lab.settle(rec) asks again")


def test_the_cart_of_the_only_order_of_a_device_is_that_order_s(unsure, at_merchant, merchant):
    rec = unsure(cart_id=None)
    merchant.answer = PLACED
    assert at_merchant.settle(rec).order_number == "T-1"


def test_a_cart_that_may_be_that_of_another_order_says_nothing(unsure, at_merchant, merchant):
    unsure(cart_id=None)
    rec = unsure(cart_id=None)
    merchant.answer = PLACED
    settled = at_merchant.settle(rec)
    assert (settled.order_exists, settled.order_number) == ("unknown", None)
    assert "may be that of another order" in settled.evidence


def test_what_stays_unknown_can_be_asked_again(unsure, at_merchant, merchant):
    rec = unsure()
    merchant.answer = {"cart_id": "c1", "cart_status": "submitted"}
    once = at_merchant.settle(rec)
    merchant.answer = PLACED
    again = at_merchant.settle(once)
    assert (once.order_exists, again.order_exists) == ("unknown", "yes")


def test_a_cart_that_cannot_be_asked_for_is_an_error(unsure, at_merchant, merchant):
    rec = unsure()
    merchant.answer = "<html>"
    with pytest.raises(FirmlyError):
        at_merchant.settle(rec)


def test_only_the_lab_that_placed_an_order_can_settle_it(connect, lab, tmp_path):
    rec = place(lab, headers=LOST)
    other = connect()
    with pytest.raises(LookupError, match=r"was not placed in this lab.*FNB109"):
        other.settle(rec)
    with pytest.raises(TypeError, match=r"rec must be a fnb\.Recording, got str"):
        other.settle(rec.recording_id)


def test_journals_and_sets_keep_what_was_found(connect, tmp_path):
    lab = connect(journal=tmp_path / "journals")
    settled = lab.settle(place(lab, headers=LOST))
    from_journal = fnb.load(tmp_path / "journals")
    from_journal.save(tmp_path / "set")
    saved = fnb.load(tmp_path / "set")
    for recs in (from_journal, saved):
        assert recs.warnings == recs[0].warnings == []
        for row in (recs.orders.iloc[0], recs[0].orders.iloc[0]):
            assert (row["order_exists"], row["evidence"]) == ("yes", settled.evidence)
            assert row["order_number"] == settled.order_number
        assert len(recs[0].events) == len(settled.events)


def test_a_journal_that_cannot_be_written_is_told(connect, tmp_path):
    lab = connect(journal=tmp_path)
    rec = place(lab, headers=LOST)
    path = find_journal(tmp_path, rec.recording_id)
    path.unlink()
    path.mkdir()
    settled = lab.settle(rec)
    assert settled.order_exists == "yes"
    assert settled.warnings[-1].startswith("not everything is on disk: ")


@pytest.mark.parametrize("found", [{"order_exists": "maybe", "evidence": "x"}, {}, "yes", 7])
def test_what_was_found_is_read_only_where_it_is_whole(found):
    with pytest.raises(ValueError, match="incomplete end record"):
        decode(json.dumps({**asdict(End("incomplete", 1)), "settled": found}).encode())


def test_an_order_is_settled_as_it_is_placed(lab):
    rec = place(lab, headers=LOST, settle=True)
    assert (rec.order_exists, lab.last) == ("yes", rec)


def test_an_attempt_knows_what_was_found(lab, until):
    attempt = lab.start(ORDER, headers=LOST, settle=True)
    until(lambda: attempt.done, "its end")
    assert attempt.recording.order_exists == "yes"


def test_an_order_whose_cart_cannot_be_asked_for_is_still_recorded(unsure, merchant):
    merchant.answer = "<html>"
    rec = unsure(settle=True)
    assert (rec.order_exists, len(rec.events)) == ("unknown", 1)
    assert rec.warnings[-1].startswith("the cart could not be asked for: ")


def test_orders_of_a_sweep_are_settled(connect, tmp_path):
    lab = connect(journal=tmp_path)
    recs = lab.sweep(ORDER, count=4, concurrency=2, progress=False, headers=LOST, settle=True)
    assert recs.orders["order_exists"].tolist() == ["yes"] * 4
    assert recs.orders["order_number"].nunique() == 4
    assert fnb.load(tmp_path).orders["order_exists"].tolist() == ["yes"] * 4


@pytest.mark.parametrize(("headers", "settle"), [(CUT, False), (CUT, True), (LOST, True)])
def test_a_budget_counts_what_may_still_be_placed(lab, headers, settle):
    lab.sweep(
        ORDER,
        count=1,
        progress=False,
        headers=headers,
        settle=settle,
        budget={"total_minor": {"USD": 1_000_000}},
    )
    assert lab.last_sweep.progress.spent_minor


@pytest.mark.parametrize("words", [("place",), ("sweep", "--count", "1")])
def test_the_terminal_has_the_option(command, monkeypatch, tmp_path, words):
    monkeypatch.setenv("FIRMLY_NB_HOME", str(tmp_path))
    code, _, _ = command(*words, "--settle", "--json")
    assert code == 0
