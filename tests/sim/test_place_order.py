"""An order that goes through: what is said, when, and what it costs."""

import pytest


def test_four_milestones_arrive_in_order(client):
    told = client.stream()
    assert [name for name, _ in told] == [
        "creating-cart",
        "item-added",
        "shipping-updated",
        "order-placed",
    ]
    assert told[0][1] == {}
    assert set(told[1][1]) == set(told[2][1]) == {"cart"}
    assert set(told[3][1]) == {"order"}


def test_the_example_order_costs_what_can_be_computed_by_hand(client):
    told = dict(client.stream())
    before, after = told["item-added"]["cart"], told["shipping-updated"]["cart"]
    assert before["total"] == {"currency": "USD", "value": 22.0, "number": 2200, "symbol": "$"}
    assert before["shipping_total"]["number"] == before["tax_total"]["number"] == 0
    assert "shipping_info" not in before
    # 10.1 % of 22.00 is 2.222; ground shipping within zone 1 is 6.25.
    assert after["tax_total"]["number"] == 222
    assert after["shipping_total"]["number"] == 625
    assert after["total"]["value"] == 30.47


def test_the_order_is_the_cart_with_a_number(client, address):
    told = dict(client.stream())
    cart, order = told["shipping-updated"]["cart"], told["order-placed"]["order"]
    assert order["cart_id"] == cart["cart_id"]
    assert order["cart_status"] == "submitted"
    assert order["platform_order_number"].isdigit()
    assert order["total"] == cart["total"]
    assert order["billing_info"] == address
    assert order["payment_summary"] == {
        "payment_type": "CreditCard",
        "card_holder_name": "Ada Example",
        "bin": "411111",
        "last_four": "1111",
        "month": 12,
        "year": 2035,
        "card_type": "Visa",
    }
    assert order["urls"]["thank_you_page"].startswith("https://staging.luma.gift/")


def test_without_sse_the_order_comes_as_json(client):
    answer = client.place()
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.json()["cart_status"] == "submitted"
    assert answer.json()["total"]["number"] == 3047


def test_each_item_is_told_and_adds_up(client, make_item):
    told = client.stream(
        make_item("WS12-XS-Orange", 2),
        make_item("MH07-XS-Gray", product_id="MH07", variant_handles=["hero-hoodie", "xs-gray"]),
    )
    added = [data["cart"] for name, data in told if name == "item-added"]
    assert [len(cart["line_items"]) for cart in added] == [1, 2]
    assert [cart["sub_total"]["number"] for cart in added] == [4400, 9800]


def test_two_items_of_one_variant_become_one_line(client, make_item):
    order = client.place(make_item("WS12-XS-Orange"), make_item("WS12-XS-Orange", 2)).json()
    assert [line["quantity"] for line in order["line_items"]] == [3]


@pytest.mark.parametrize(
    ("state", "postal_code", "tax", "shipping"),
    [
        ("OR", "97201", 0, 625),
        ("Oregon", "97201", 0, 625),
        ("NY", "10001", 264, 895),
        ("HI", "96801", 180, 1850),
    ],
)
def test_the_address_changes_the_price(client, address, state, postal_code, tax, shipping):
    where = {**address, "state_or_province": state, "postal_code": postal_code}
    order = client.place(shipping_info=where).json()
    # New York (8.52 %) and Hawaii (4.44 %) tax the shipping too.
    assert order["tax_total"]["number"] == tax
    assert order["shipping_total"]["number"] == shipping


def test_the_cart_tells_afterwards_that_it_was_submitted(client):
    order = client.place().json()
    for path in ("", "/"):
        cart = client.call("GET", path).json()
        assert cart["cart_id"] == order["cart_id"]
        assert cart["cart_status"] == "submitted"
        assert cart["platform_order_number"] == order["platform_order_number"]


def test_the_guides_event_names_are_an_option(start):
    client = start(event_names="guide")
    told = client.stream()
    assert [name for name, _ in told] == [
        "order_processing",
        "payment_processing",
        "order_completed",
    ]
    assert told[-1][1]["order"]["cart_status"] == "submitted"


def test_place_order_v1_takes_simple_items_and_answers_with_a_simple_cart(client):
    answer = client.place({"variant_id": "WS12-XS-Orange", "quantity": 1}, version=1)
    order = answer.json()
    assert order["tax"]["number"] == 222
    assert order["shipping_method"]["sku"] == "GROUND"
    assert "shipments" not in order
    assert "tax_total" not in order


def test_a_bearer_token_is_accepted_too(client):
    headers = {"x-firmly-authorization": f"Bearer {client.token}"}
    assert client.place(headers=headers).status_code == 200
