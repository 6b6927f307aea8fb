"""The cart view without a kernel: its state, its slider, its still page, its threads."""

from __future__ import annotations

import json
import threading
from html.parser import HTMLParser

import pytest

import firmly_nb as fnb
from firmly_nb.recordings.recording import Recording
from firmly_nb.sim.behaviour import CART_FAULTS
from firmly_nb.widgets import cart_view
from firmly_nb.widgets.cart_view import CartView

EMBER_ITEMS = [
    fnb.Item(variant_id="EC-CDL-Cedar-Small"),
    fnb.Item(variant_id="EC-SNF-Steel", quantity=2),
]
EXAMPLE_TWICE = [fnb.Item(variant_id="WS12-XS-Orange", quantity=2)]
TOKYO = {"city": "Tokyo", "state_or_province": "Tokyo", "country": "JP", "postal_code": "100-0001"}
TANGLE_ITEMS = [fnb.Item(variant_id="BR00-Sand"), fnb.Item(variant_id="LN-TAB-Olive", quantity=2)]


@pytest.fixture
def place(lab):
    def order(fault="", *, sse=True, **options):
        headers = {"x-sim-fault": fault} if fault else {}
        given = fnb.Order.example(**options)
        return lab.place(given, progress=False, headers=headers, isolated=False, sse=sse)

    return order


def sheet(view):
    return view._sheets[str(view.seq)]


def names(view):
    return [step["event"] for step in view._steps]


def until_event(recording, count):
    """The recording as it was when so many events had come."""
    start, *events = recording.records()
    return Recording([start, *events[:count]])


def test_an_order_is_shown_after_its_last_event_with_a_step_for_each(place):
    recording = place()
    view = fnb.CartView(recording)
    assert names(view) == recording.events["event"].tolist()
    assert [step["t_ms"] for step in view._steps] == recording.events["t_ms"].tolist()
    assert view.seq == 4
    assert sheet(view)["order_number"] == recording.order_number
    assert view._about["checks"] == recording.checks.headline()
    assert view.recording is recording


def test_all_sheets_of_a_small_order_are_sent_ahead(place):
    view = CartView(place())
    assert sorted(view._sheets) == ["1", "2", "3", "4"]
    assert view._sheets["1"]["lines"] is None


def test_the_slider_can_be_set_from_python_and_observed(place):
    view = CartView(place(), seq=2)
    seen = []
    view.observe(lambda change: seen.append(change["new"]), "seq")
    view.seq = 3
    view.seq = 99
    view.seq = -1
    assert seen == [3, 4, 1]


def test_the_slider_of_the_page_sets_it_too(place):
    view = CartView(place())
    view.set_state({"seq": 3})
    totals = {row["label"]: row["amount"] for row in sheet(view)["totals"]}
    assert totals["tax"] == {"now": "2.22", "was": "0.00"}


def test_an_event_that_is_not_there_is_a_lookup_error(place):
    with pytest.raises(LookupError, match=r"has no event 9\. Events: 1, 2, 3, 4\."):
        CartView(place(), seq=9)


def test_a_sheet_that_was_too_heavy_to_send_ahead_is_sent_when_chosen(place, monkeypatch):
    monkeypatch.setattr(cart_view, "AHEAD_BYTES", 100)
    view = CartView(place())
    assert set(view._sheets) == {"4"}
    view.set_state({"seq": 3})
    assert set(view._sheets) == {"3"}


def test_an_event_without_a_cart_shows_the_one_before_without_marks(place):
    view = CartView(place("payment-declined"))
    view.seq = view._steps[-1]["seq"]
    assert names(view)[-1] == "error"
    assert not view._steps[-1]["has_cart"]
    assert sheet(view)["from_seq"] == view.seq - 1
    assert not any(row["state"] for row in sheet(view)["totals"])


def test_an_order_that_failed_says_so_and_shows_the_last_cart(place):
    view = CartView(place("payment-declined"))
    assert view._about["note"] == "Not placed: declined (ErrorPaymentDeclined)."
    assert sheet(view)["lines"]
    assert sheet(view)["last_words"] == "This is the last cart that was seen."
    assert "(ErrorPaymentDeclined). This is the last cart" in repr(view)
    view.seq = 2
    assert sheet(view)["last_words"] == ""


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("early-end", "It is not known whether it was placed: neither success nor error came."),
        ("reset", "It is not known whether it was placed: connection failed"),
        ("invalid-input", "Not placed: refused (ErrorInvalidInputBody)."),
    ],
)
def test_nobody_is_told_that_there_is_no_order_where_there_may_be_one(place, name, words):
    assert CartView(place(name))._about["note"].startswith(words)


def test_an_order_that_was_refused_has_no_cart_and_says_so(place):
    view = CartView(place("invalid-input"))
    assert view._about["note"].endswith("No cart was seen.")
    assert (view.seq, view._steps) == (None, [])
    assert "No cart was seen" in repr(view)


def test_an_order_without_events_shows_the_cart_of_its_confirmation(place):
    recording = place(sse=False)
    view = CartView(recording)
    assert names(view) == ["confirmation"]
    assert view._steps[0]["t_ms"] == recording.orders["order_latency_ms"].item()
    assert sheet(view)["order_number"] == recording.order_number


def test_a_price_that_rose_and_a_line_that_went_are_said_beside_their_lines(place):
    """At ember prices rise and lines vanish."""
    view = CartView(place(domain="ember.example.test", items=EMBER_ITEMS), seq=4)
    candle, snuffer = sheet(view)["lines"]
    assert [note["check"] for note in candle["findings"]] == ["prices-kept"]
    assert candle["price"] == {"now": "25.20", "was": "24.00"}
    assert snuffer["state"] == "removed"
    assert {note["check"] for note in snuffer["findings"]} == {"lines-kept"}
    assert view._steps[3]["findings"] == {"error": 2}


def test_each_fault_of_tangle_is_said_beside_what_it_concerns(place):
    """Its orders have the faults of carts, one after the other."""
    beside = {}
    for _ in CART_FAULTS:
        view = CartView(place(domain="tangle.example.test", items=TANGLE_ITEMS))
        for step in view._steps:
            shown = view._sheets[str(step["seq"])]
            rows = [("line", row) for row in shown["lines"] or ()]
            rows += [(row["label"], row) for row in shown.get("totals", ())]
            for label, row in rows:
                for note in row["findings"]:
                    beside.setdefault(note["check"], label)
    assert (
        beside.items()
        >= {
            "total": "total",
            "prices-kept": "line",
            "lines-kept": "line",
            "required-fields": "subtotal",
            "one-currency": "shipping",
            "lines-once": "line",
        }.items()
    )


def test_yen_have_no_decimals(place):
    address = fnb.Address.example(**TOKYO)
    items = [fnb.Item(variant_id="SR-PEN-Black", quantity=2)]
    view = CartView(place(domain="sora.example.test", items=items, shipping_info=address))
    totals = {row["label"]: row["amount"]["now"] for row in sheet(view)["totals"]}
    assert sheet(view)["currency"] == "JPY"
    assert all("." not in amount for amount in totals.values())


def test_a_growing_order_is_followed_until_the_slider_is_moved(place):
    recording = place()
    view = CartView()
    shown = []
    for count in (2, 3, 4):
        view.show(until_event(recording, count))
        shown.append(view.seq)
        if count == 3:
            view.set_state({"seq": 2})
    assert shown == [2, 3, 2]
    view.show(place())
    assert view.seq == 4


def test_from_another_thread_the_last_call_counts(place, until):
    recording = place()
    view = CartView()

    def calls():
        for count in (1, 2, 3, 4):
            view.show(until_event(recording, count))
        view.show(recording)

    thread = threading.Thread(target=calls)
    thread.start()
    thread.join()
    assert view.recording is recording
    until(lambda: view.seq == 4 and sheet(view).get("order_number"), "the last cart")
    assert sheet(view)["order_number"] == recording.order_number
    until(lambda: view._refresher is None, "the end of the thread")


def test_what_is_written_into_a_cell_is_what_was_shown_last_also_by_a_thread(place):
    view, recording = CartView(), place()
    for _ in range(5):
        view.show(None)
        thread = threading.Thread(target=view.show, args=(recording,))
        thread.start()
        thread.join()
        assert recording.order_number in str(view._repr_mimebundle_())
        assert recording.order_number in repr(view)


def test_what_cannot_be_drawn_in_a_thread_is_said_in_the_view(place, until, monkeypatch):
    view = CartView(place())
    monkeypatch.setattr("firmly_nb.widgets.cart_view.CartReading", lambda _: 1 / 0)
    recording = view.recording
    thread = threading.Thread(target=view.show, args=(recording,))
    thread.start()
    thread.join()
    until(lambda: "ZeroDivisionError" in view._about["note"], "the note")


def test_nothing_to_show_is_said(place):
    view = CartView(place())
    view.show(None)
    assert (view.seq, view._steps, view._sheets, view._about) == (None, [], {}, {})
    assert repr(view) == "CartView: no cart yet; show(recording) shows one."


def test_setting_the_recording_shows_it(place):
    view = CartView()
    view.recording = recording = place()
    assert view.recording is recording
    assert view.seq == 4


def test_json_is_sent_when_it_is_asked_for_and_kept_in_no_state(place):
    view = CartView(place())
    sent = []
    view.send = sent.append
    view._handle_custom_msg({"ask": "json", "seq": 3}, [])
    (answer,) = sent
    assert answer["recording_id"] == view.recording.recording_id
    assert json.loads(answer["text"])["cart"]["line_items"][0]["quantity"] == 1
    for wrong in (
        {"ask": "json", "seq": 99},
        {"ask": "json", "seq": []},
        {"ask": "x"},
        "json",
        None,
    ):
        view._handle_custom_msg(wrong, [])
    assert len(sent) == 1


def test_no_name_of_a_person_is_in_the_state(place):
    view = CartView(place())
    state = json.dumps(view.get_state())
    for word in ("Ada", "ada@example.test", "10 Sample Way", "2065550100", "Example"):
        assert word not in state.replace("firmly", "")


class Tags(HTMLParser):
    def __init__(self, html):
        super().__init__()
        self.tags = set()
        self.attributes = set()
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}


def test_the_still_page_shows_cart_changes_and_checks_as_escaped_text(place):
    view = CartView(place(domain="ember.example.test", items=EMBER_ITEMS), seq=4)
    bundle = view._repr_mimebundle_()
    data = bundle[0] if isinstance(bundle, tuple) else bundle
    page = data["text/html"]
    for words in ("shipping-updated", "Soy Candle", "24.00", "25.20", "prices-kept", "34.00"):
        assert words in page
        assert words in data["text/plain"]
    assert "application/vnd.jupyter.widget-view+json" in data
    found = Tags(page)
    assert not found.tags & {"script", "img", "a", "iframe", "link", "style"}
    assert found.attributes <= {"style", "title", "scope"}


def test_hostile_texts_are_only_text_and_bounded(place):
    start, *events = place().records()
    evil = "<script>alert(1)</script>\u202e javascript:alert(2) " + "x" * 9000
    for event in events[:-1]:
        cart = (event.data or {}).get("cart") or (event.data or {}).get("order")
        if cart:
            cart["line_items"][0] |= {"description": evil, "variant_description": evil, "sku": evil}
            cart["display_name"] = cart["cart_status"] = evil
            cart["notices"] = [{"code": evil, "message": evil}]
            cart["shipments"][0]["shipping_method"] = {"description": evil}
            cart["urls"] = {evil: evil}
    view = CartView(Recording([start, *events]))
    assert len(json.dumps(view._sheets)) < 60_000
    assert "\u202e" not in json.dumps(view.get_state(), ensure_ascii=False)
    bundle = view._repr_mimebundle_()
    page = (bundle[0] if isinstance(bundle, tuple) else bundle)["text/html"]
    assert "<script" not in page
    assert not Tags(page).tags & {"script", "img", "a"}


def test_of_a_large_order_the_sheets_around_the_slider_are_sent(place, monkeypatch):
    monkeypatch.setattr(cart_view, "AHEAD_BYTES", 20_000)
    items = [fnb.Item(variant_id="WS12-XS-Orange", quantity=1)] + [
        fnb.Item(variant_id="MH07-XS-Gray", quantity=n) for n in range(1, 60)
    ]
    view = CartView(place(items=items))
    assert len(view._steps) == 63
    assert len(json.dumps(view._sheets)) < 30_000
    view.set_state({"seq": 30})
    assert {"29", "30", "31"} <= set(view._sheets)
    assert "63" not in view._sheets
    made = []
    monkeypatch.setattr(view._reading, "sheet", made.append)
    view.set_state({"seq": 31})
    assert made == []


# Two orders beside each other.


def pair(view):
    return view._pairs["by_seq"][str(view.seq)]


def test_a_second_order_is_shown_beside_with_what_differs(place):
    first, second = place(), place(items=EXAMPLE_TWICE)
    view = CartView(first, beside=second)
    assert view.beside is second
    assert [title.split(" · ")[0] for title in view._pairs["titles"]] == [
        f"First order {first.order_number}",
        f"Second order {second.order_number}",
    ]
    (line,) = pair(view)["second"]["lines"]
    assert line["quantity"] == {"now": "2", "was": "1"}
    totals = {row["label"]: row["amount"] for row in pair(view)["second"]["totals"]}
    assert totals["subtotal"] == {"now": "44.00", "was": "22.00"}
    assert not any(row["state"] for row in pair(view)["first"]["totals"])
    differences = first.compare_cart(second)
    assert pair(view)["words"] == f"{len(differences)} differences from the first order."
    assert pair(view)["step"]["event"] == "order-placed"


def test_two_orders_of_the_same_things_do_not_differ(place):
    view = CartView(place(), beside=place())
    assert pair(view)["words"] == "No difference from the first order."
    assert "No difference from the first order." in repr(view)


def test_the_second_order_follows_the_slider_by_the_events_name(place):
    view = CartView(place(), beside=place("payment-declined"))
    assert pair(view)["words"].startswith(
        "The second order has no order-placed: its cart is that of shipping-updated."
    )
    view.set_state({"seq": 2})
    assert pair(view)["step"]["event"] == "item-added"
    view.set_state({"seq": 1})
    assert pair(view)["words"] == "There are no two carts to compare at this event."
    assert pair(view)["second"]["lines"] is None


def test_one_call_and_step_by_step_stand_beside_each_other(place, lab):
    with lab.flow(progress=False) as flow:
        flow.add_line_item(fnb.Order.example().items[0])
        flow.set_shipping_info(fnb.Order.example().shipping_info)
        step_by_step = flow.complete_order()
    view = CartView(place(), beside=step_by_step)
    partners = {}
    for seq in (2, 3, 4):
        view.set_state({"seq": seq})
        partners[view._steps[seq - 1]["event"]] = pair(view)["step"]["event"]
    assert partners == {
        "item-added": "add-line-item",
        "shipping-updated": "set-shipping-info",
        "order-placed": "complete-order",
    }
    assert pair(view)["words"].endswith("No difference from the first order.")


def test_the_second_order_stays_when_another_is_shown_and_can_be_taken_away(place):
    first, second, third = place(), place(), place(items=EXAMPLE_TWICE)
    view = CartView(first, beside=second)
    view.show(third)
    assert view.beside is second
    assert view._pairs["titles"][0].startswith(f"First order {third.order_number}")
    view.beside = None
    assert view._pairs == {}
    assert repr(view) == repr(CartView(third))


def test_two_orders_have_a_still_page_and_a_text(place):
    first, second = place(), place(items=EXAMPLE_TWICE)
    view = CartView(first, beside=second)
    html = view._repr_mimebundle_()[0]["text/html"]
    for text in (html, repr(view)):
        assert first.order_number in text
        assert second.order_number in text
        assert "22.00 →" in text
    assert "<script" not in html


def test_what_a_notebook_keeps_of_an_address_that_changed_names_nobody(place, lab):
    ada, bob = (
        fnb.Address.example(first_name=name, address1=street)
        for name, street in (("Wilhelmina", "77 Hidden Lane"), ("Gottfried", "12 Secret Road"))
    )
    with lab.flow(progress=False) as flow:
        flow.add_line_item(fnb.Order.example().items[0])
        flow.set_shipping_info(ada)
        flow.set_shipping_info(bob)
        moved = flow.complete_order()
    beside = CartView(place(shipping_info=ada), beside=place(shipping_info=bob))
    for view in (CartView(moved, seq=3), beside):
        kept = f"{view._repr_mimebundle_()[0]['text/html']}{view!r}{view.get_state()}"
        assert "shipping_info.first_name" in kept
        assert not any(word in kept for word in ("Wilhelmina", "Hidden", "Gottfried", "Secret"))


def test_what_is_beside_is_one_recording():
    with pytest.raises(
        TypeError, match=r"beside must be a fnb\.Recording, got str\. Try lab\.last\."
    ):
        CartView(None, beside="runs/monday")
    view = CartView()
    with pytest.raises(TypeError, match=r"view\.beside = recs\[1\]"):
        view.beside = 7


def test_findings_stand_beside_the_order_that_has_them(place):
    view = CartView(place(), beside=place("cart-wrong-total"))
    assert pair(view)["first"]["severities"] == {}
    assert pair(view)["second"]["severities"]["error"]
    both = [place("cart-wrong-total"), place()]
    view = CartView(both[0], beside=both[1])
    assert pair(view)["first"]["severities"]["error"]
    assert pair(view)["second"]["severities"] == {}


def test_an_event_that_was_picked_is_kept_if_another_comes_before_it_is_drawn(lab):
    rec = lab.place(fnb.Order.example(), progress=False)
    view = fnb.CartView(rec)
    first = int(rec.cart_events["seq"].iloc[0])
    with view._drawing:  # another thread is about to draw
        picking = threading.Thread(target=view.show, args=(rec, first))
        picking.start()
        picking.join()
        view.show(rec)  # as when an event arrives
    assert view.seq == first
    view.show(rec)
    assert view.seq == first


@pytest.mark.parametrize("how", ["by the page", "in a cell"])
def test_a_slider_moved_while_a_cart_is_being_drawn_stays_where_it_was_put(
    lab, monkeypatch, until, how
):
    rec = lab.place(fnb.Order.example(), progress=False)
    view = fnb.CartView(rec)
    first, last = rec.cart_events["seq"].iloc[[0, -1]].tolist()
    draws, sheets = threading.Event(), cart_view.CartReading.sheets

    def slow(*args):
        draws.set()
        until(lambda: view.seq == first, "the move")
        return sheets(*args)

    monkeypatch.setattr(cart_view.CartReading, "sheets", slow)
    drawing = threading.Thread(target=view.show, args=(rec,))
    drawing.start()
    assert draws.wait(60)
    assert view.seq == last
    if how == "in a cell":
        view.seq = first
    else:
        view.set_state({"seq": first})
    until(lambda: view._refresher is None, "the end of the drawing")
    assert view.seq == first
    view.show(rec)  # as when an event arrives
    assert view.seq == first
