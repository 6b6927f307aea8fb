"""The cart or order of an event or a response is found in one way, and so is its order number."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmly_nb.api.snapshots import find_snapshot, order_number

CART = {"cart_id": "c1", "line_items": [], "total": {"currency": "USD", "number": 100}}
ORDER = CART | {"platform_order_number": "7"}
PROGRESS = {"step": 2}


@pytest.mark.parametrize(
    ("data", "kind", "cart"),
    [
        ({"order": CART}, "order", CART),
        ({"cart": CART}, "cart", CART),
        (CART, "cart", CART),
        (ORDER, "order", ORDER),
        ({"cart": ORDER}, "order", ORDER),
        ({"order": ORDER, "cart": CART}, "order", ORDER),
        # One of two that is no cart gives way to the one that is.
        ({"order": {}, "cart": CART}, "cart", CART),
        ({"order": PROGRESS, "cart": CART}, "cart", CART),
        ({"order": None, "cart": CART}, "cart", CART),
        ({"order": [CART], "cart": CART}, "cart", CART),
        ({"order": PROGRESS, **CART}, "cart", {"order": PROGRESS, **CART}),
        ({"order": {"platform_order_number": "7"}, "cart": CART}, "order", CART),
        # Whatever is under the documented names, where nothing else is a cart.
        ({"order": PROGRESS}, "order", PROGRESS),
        ({"order": {}, "cart": PROGRESS}, "cart", PROGRESS),
        # A confirmation may lack the cart's name and status.
        ({"platform_order_number": "7"}, "order", {"platform_order_number": "7"}),
        ({"sub_total": 5}, "cart", {"sub_total": 5}),
        ({"cart_status": "active"}, "cart", {"cart_status": "active"}),
        # What is shown beside an error is a cart; an error that names one is not.
        ({"error": "E", "cart": CART}, "cart", CART),
        ({"error": "E", **CART}, "cart", {"error": "E", **CART}),
        ({"error": None, "cart_id": "c1"}, "cart", {"error": None, "cart_id": "c1"}),
    ],
)
def test_a_cart_is_found_under_its_name_or_bare(data, kind, cart):
    found = find_snapshot(data)
    assert (found.kind, found.data) == (kind, cart)


@pytest.mark.parametrize(
    "data",
    [
        None,
        [],
        [CART],
        "cart",
        7,
        True,
        {},
        {"cart": {}},
        {"order": {}, "cart": {}},
        PROGRESS,
        {"done": 1, "total": 4},
        {"data": {"cart": CART}},
        {"merchant_custom_data": {"alternative_cart_details": CART}},
        {"carts": [CART]},
        {"error": "ErrorPaymentDeclined", "cart_id": "c1"},
        {"error": {"code": 422}, "cart_status": "active"},
        {"error": "ErrorPaymentDeclined", "platform_order_number": "7"},
    ],
)
def test_what_is_no_cart_is_none(data):
    assert find_snapshot(data) is None


def test_a_second_cart_deep_inside_is_not_the_cart_of_the_event():
    other = CART | {"cart_id": "c2"}
    cart = CART | {"merchant_custom_data": {"alternative_cart_details": {"cart": other}}}
    assert find_snapshot({"cart": cart}).cart_id == "c1"


@pytest.mark.parametrize("name", ["order-placed", "order_completed"])
def test_a_cart_in_the_event_of_success_is_an_order(name):
    assert find_snapshot({"cart": CART}, name).kind == "order"
    assert find_snapshot({"cart": CART}, "shipping-updated").kind == "cart"


@pytest.mark.parametrize(
    ("sent", "read"),
    [
        ("100004711", "100004711"),
        ("R-7/a", "R-7/a"),
        (" 7 ", "7"),
        ("0", None),
        (100004711, "100004711"),
        (0, None),
        (2**64 - 1, "18446744073709551615"),
        ("7\ud800", "7?"),
        ("\ud800", None),
        ("[object Object]", None),
        *((said, said) for said in ("1e5", "#1001", "NA-1001", "No. 12", "200-10", "ERRATA-1")),
        *((said, None) for said in ("0x0", "0/0", "0e0", "\u22121", "- 1", "%1$s", "<order_1>")),
        *((said, None) for said in ("502 Bad Gateway", "200 OK", "declined (05)", "pending-1")),
        *((said, None) for said in ("not assigned yet (1)", "undefined1", "ERR_500", "[1]")),
        (2**65, None),
        (1e22, None),
        (7.0, None),
        (True, None),
        ("", None),
        ("  ", None),
        (None, None),
        (["7"], None),
        ({"id": "7"}, None),
    ],
)
def test_an_order_number_is_a_text_wherever_it_stands(sent, read):
    number = {"platform_order_number": sent}
    for data in (number, {"order": number}, {"cart": number}, {"order": CART, **number}):
        assert order_number(data) == read
    for data in ({"order": CART | number}, CART | number, {"cart": CART} | number):
        assert find_snapshot(data).order_number == read


def test_the_number_in_the_order_goes_before_the_one_beside_it():
    data = {"platform_order_number": "1", "order": {"platform_order_number": "2"}}
    assert order_number(data) == "2"
    data["order"]["platform_order_number"] = ""
    assert order_number(data) == "1"


def test_an_error_may_carry_an_order_number():
    assert order_number({"error": "Timeout", "platform_order_number": "7"}) == "7"


@pytest.mark.parametrize("place", ["order", "cart", "beside the cart", "alone"])
@pytest.mark.parametrize(
    ("sent", "read"),
    [("KWXQPZTR", True), (" KWXQPZTR ", True), ("KWX-QPZ", True), ("KWXQP", False),
     ("Kwxqpztr", False), ("PENDING", False), ("AWAITING-PAYMENT", False), ("ON-HOLD", False),
     ("NOT FOUND", False), ("AWAITING_PAYMENT", False), ("KWX--QPZ", False), ("ÄÖÜÄÖÜ", False),
     ("VOIDED", False), ("XXXX-XXXX", False),
     (None, False), (True, False), (["KWXQPZTR"], False)],
)  # fmt: skip
def test_letters_alone_are_an_order_number_of_a_submitted_cart(sent, read, place):
    """Such an order was unknown for ever: nothing could confirm it."""
    number, status = {"platform_order_number": sent}, {"cart_status": "Submitted", "cart_id": "c"}
    data = {
        "beside the cart": {"cart": status, **number},
        "alone": {**number, **status},
    }.get(place, {place: {**number, **status}})
    assert order_number(data) == (sent.strip() if read else None)
    for other in ("active", "", None, 7):
        place_of_status = data if place == "alone" else data.get(place, data.get("cart"))
        place_of_status["cart_status"] = other
        assert order_number(data) is None


@pytest.mark.parametrize("data", [None, [], "7", 7, [{"platform_order_number": "7"}]])
def test_what_is_no_object_has_no_order_number(data):
    assert order_number(data) is None


def test_a_snapshot_knows_its_total_and_its_name():
    found = find_snapshot({"cart": CART | {"cart_id": 5}})
    assert (found.total, found.cart_id) == ((100, "USD"), "5")
    found = find_snapshot({"cart": {"cart_id": ["c"], "total": 100}})
    assert (found.total, found.cart_id) == (None, None)


names = st.sampled_from(
    ["cart", "order", "cart_id", "line_items", "total", "error", "platform_order_number", "x"]
)
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(names | st.text(max_size=2), inner),
    max_leaves=12,
)


@given(st.dictionaries(names, anything, max_size=4) | anything)
def test_whatever_is_sent_there_is_one_answer(data):
    found = find_snapshot(data)
    if found is None:
        return
    assert found.data is data or any(found.data is data.get(key) for key in ("order", "cart"))
    # Deeper than beside the cart there may be one too; then it is the order's, not the cart's.
    assert found.order_number in {order_number(data), None}
    assert found.kind == "order" or found.order_number is None
    assert found.total is None or abs(found.total.minor) < 2**63
