"""The cart routes over HTTP: Full Cart, Simple Cart, completing an order."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

HARBOR = "harbor.example.test"


def add(client, variant_id, quantity=1, **options):
    body = {"add_to_cart_ref": {"variant_id": variant_id}, "quantity": quantity}
    answer = client.call("POST", "/line-items", body, **options)
    assert answer.status_code == 200, answer.text
    return answer.json()


def refused(answer, status, name):
    assert (answer.status_code, answer.json()["error"]) == (status, name), answer.text


def complete(client, domain="staging.luma.gift", version=2, **changes):
    body = {"encrypted_card": client.encrypt(), "billing_info": client.body()["billing_info"]}
    path = f"/api/v{version}/payment/domains/{domain}/complete-order"
    return client.http.post(path, headers=client.auth, json={**body, **changes})


def test_a_device_without_a_cart_gets_an_empty_one_and_keeps_it(client):
    cart = client.call("GET", "").json()
    assert cart["line_items"] == cart["shipments"] == []
    assert cart["total"]["number"] == 0
    assert cart["cart_status"] == "active"
    assert client.call("GET", "/").json() == cart
    assert client.call("GET", "", version=1).json()["cart_id"] == cart["cart_id"]


@pytest.mark.parametrize("has_looked", [False, True])
def test_whether_one_looks_at_a_cart_that_was_never_made_changes_nothing(
    client, address, has_looked
):
    if has_looked:
        assert client.call("GET", "").status_code == 200
        assert client.call("GET", "", version=1).status_code == 200
    codes, pieces = {"promo_codes": ["LUMA10"]}, {"quantity": 1}
    shipment = {"shipment_id": "none"}
    for version, method, path, body in [
        (2, "PUT", "/line-items/none", pieces),
        (2, "PUT", "/line-items/none", {"quantity": 0}),
        (2, "DELETE", "/line-items", None),
        (2, "POST", "/shipping-info", address),
        (2, "PUT", "/shipping-info", address),
        (2, "POST", "/billing-info", address),
        (2, "POST", "/shipment/methods", {**shipment, "shipping_method_id": "GROUND"}),
        (2, "POST", "/shipments/fulfillment-type", {**shipment, "fulfillment_type": "X"}),
        (2, "POST", "/shipments/get-availability", shipment),
        (2, "POST", "/promo-codes", codes),
        (2, "DELETE", "/promo-codes", None),
        (1, "PUT", "/line-items/WS12-XS-Orange", pieces),
        (1, "DELETE", "/line-items", None),
        (1, "POST", "/shipping-info", address),
        (1, "POST", "/shipping-method", {"shipping_method": "GROUND"}),
        (1, "POST", "/promo-codes", codes),
        (1, "DELETE", "/promo-codes", None),
    ]:
        refused(client.call(method, path, body, version=version), 404, "ErrorCartNotFound")
    for version in (1, 2):
        refused(complete(client, version=version), 404, "ErrorCartNotFound")
    assert client.http.get("/api/v2/carts/active-domains", headers=client.auth).json() == {
        "domains": []
    }
    shown = client.call("GET", "").json()
    assert add(client, "WS12-XS-Orange")["cart_id"] == shown["cart_id"]


@pytest.mark.parametrize(
    ("version", "path"), [(2, "/shipping-info"), (2, "/billing-info"), (1, "/shipping-info")]
)
def test_a_state_that_is_none_of_its_country_is_the_error_of_its_page(
    client, address, version, path
):
    add(client, "WS12-XS-Orange")
    narnia = {**address, "state_or_province": "Narnia"}
    refused(client.call("POST", path, narnia, version=version), 400, "ErrorInvalidState")
    # The page of an order names one error for all that is wrong in its body.
    order = client.place(billing_info=narnia)
    refused(order, 400, "ErrorInvalidInputBody")


def test_a_merchant_can_keep_its_promo_codes(client):
    tally = "tally.example.test"
    cart = add(client, "BR00-Sand", domain=tally)
    assert cart["cart_discount"]["number"] == 185
    cart = client.call("POST", "/promo-codes", {"promo_codes": ["TALLY5"]}, tally).json()
    assert [step["discount"]["number"] for step in cart["cart_discount_breakdown"]] == [185, 93]
    for version in (1, 2):
        cleared = client.call("DELETE", "/promo-codes", domain=tally, version=version)
        refused(cleared, 422, "ErrorClearPromoCodeNotAllowed")
    assert client.call("GET", "", domain=tally).json() == cart


def test_a_cart_is_built_step_by_step_and_ordered(client, address):
    cart = add(client, "WS12-XS-Orange", 2)
    line_id = cart["line_items"][0]["line_item_id"]
    cart = client.call("PUT", f"/line-items/{line_id}", {"quantity": 3}).json()
    assert cart["sub_total"]["number"] == 6600
    cart = client.call("POST", "/shipping-info", address).json()
    shipment = cart["shipments"][0]
    assert shipment["shipping_method"]["id"] == "GROUND"
    body = {
        "shipment_id": shipment["shipment_id"],
        "shipping_method_id": "TWO_DAY",
        "notes": "Ring twice",
        "selected_date": "2031-02-03",
    }
    cart = client.call("POST", "/shipment/methods", body).json()
    assert cart["shipping_total"]["number"] == 1400
    assert cart["shipments"][0]["notes"] == "Ring twice"
    assert cart["shipments"][0]["selected_date"] == "2031-02-03"
    cart = client.call("POST", "/billing-info", {**address, "first_name": "Grace"}).json()
    assert cart["billing_info"]["first_name"] == "Grace"
    order = complete(client).json()
    assert order["cart_id"] == cart["cart_id"]
    assert order["total"] == cart["total"]
    assert order["cart_status"] == "submitted"


def test_a_submitted_cart_can_only_be_read_and_the_next_item_starts_a_new_one(client, address):
    order = client.place().json()
    line_id = order["line_items"][0]["line_item_id"]
    for method, path, body in [
        ("PUT", f"/line-items/{line_id}", {"quantity": 2}),
        ("DELETE", "/line-items", None),
        ("POST", "/shipping-info", address),
        ("POST", "/promo-codes", {"promo_codes": ["LUMA10"]}),
    ]:
        refused(client.call(method, path, body), 400, "ErrorInvalidState")
    refused(complete(client), 400, "ErrorInvalidState")
    assert client.call("GET", "").json()["platform_order_number"] == order["platform_order_number"]
    cart = add(client, "WS12-XS-Orange")
    assert cart["cart_id"] != order["cart_id"]
    assert cart["cart_status"] == "active"


def test_an_order_is_completed_once_however_often_it_is_asked_for(start, address):
    client = start(profile="calm")
    add(client, "WS12-XS-Orange")
    client.call("POST", "/shipping-info", address)
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: complete(client), range(4)))
    assert sorted(answer.status_code for answer in answers) == [200, 400, 400, 400]


def test_complete_order_needs_a_cart_with_an_address(client, address):
    refused(complete(client), 404, "ErrorCartNotFound")
    add(client, "WS12-XS-Orange")
    refused(complete(client), 400, "ErrorMissingRequiredParameters")
    client.call("POST", "/shipping-info", address)
    refused(complete(client, encrypted_card="x"), 400, "ErrorInvalidInputBody")
    refused(complete(client, billing_info={}), 400, "ErrorInvalidInputBody")
    assert complete(client).status_code == 200


def test_quantity_zero_removes_a_line_and_its_shipment(client):
    add(client, "HB-PDL-220", domain=HARBOR)
    cart = add(client, "HB-JKT-M-Navy", domain=HARBOR)
    assert len(cart["shipments"]) == 2
    line_id = cart["line_items"][0]["line_item_id"]
    cart = client.call("PUT", f"/line-items/{line_id}", {"quantity": 0}, HARBOR).json()
    assert [line["sku"] for line in cart["line_items"]] == ["HB-JKT-M-Navy"]
    assert len(cart["shipments"]) == 1


def test_clearing_keeps_the_id_and_the_address(client, address):
    cart = add(client, "WS12-XS-Orange")
    client.call("PUT", "/shipping-info", address)
    client.call("PUT", "/promo-codes", {"promo_codes": ["LUMA10"]})
    cleared = client.call("DELETE", "/line-items").json()
    assert cleared["cart_id"] == cart["cart_id"]
    assert cleared["shipping_info"] == address
    assert cleared["line_items"] == cleared["coupons"] == []
    assert cleared["total"]["number"] == 0


def test_flush_cart_clears_first(client):
    add(client, "WS12-XS-Orange")
    body = {"add_to_cart_ref": {"variant_id": "MH07-XS-Gray"}, "quantity": 1}
    cart = client.call("POST", "/line-items", body, params={"flush_cart": "true"}).json()
    assert [line["sku"] for line in cart["line_items"]] == ["MH07-XS-Gray"]


def test_promo_codes_are_applied_refused_and_cleared(client):
    add(client, "MH07-XS-Gray")
    cart = client.call("POST", "/promo-codes", {"promo_codes": ["LUMA10"]}).json()
    assert cart["cart_discount"]["number"] == 540
    unknown = {"promo_codes": ["X"]}
    refused(client.call("POST", "/promo-codes", unknown), 400, "ErrorInvalidPromoCode")
    expired = {"promo_codes": ["LUMA25", "SUMMER19"]}
    refused(client.call("POST", "/promo-codes", expired), 422, "ErrorPromoNotAvailable")
    for codes in ([], "LUMA10", ["A"] * 11, [1]):
        answer = client.call("POST", "/promo-codes", {"promo_codes": codes})
        refused(answer, 400, "ErrorInvalidInputBody")
    assert client.call("GET", "").json()["coupons"] == ["LUMA10"]
    cart = client.call("DELETE", "/promo-codes").json()
    assert cart["total"]["number"] == 5400


@pytest.mark.parametrize("kind", ["IN_STORE_PICKUP", "PICKUP_IN_STORE"])
def test_pickup_costs_nothing_by_either_of_its_names(client, address, kind):
    add(client, "WS12-XS-Orange")
    cart = client.call("POST", "/shipping-info", address).json()
    shipment_id = cart["shipments"][0]["shipment_id"]
    body = {"shipment_id": shipment_id, "fulfillment_type": kind, "location_id": "store-1"}
    cart = client.call("POST", "/shipments/fulfillment-type", body).json()
    assert cart["shipments"][0]["fulfillment_type"]["id"] == "IN_STORE_PICKUP"
    assert cart["shipments"][0]["selected_location"] == {"location_id": "store-1"}
    assert cart["shipping_total"]["number"] == 0


def test_scheduled_delivery_tells_its_days(client, address):
    cart = add(client, "HB-JKT-M-Navy", domain=HARBOR)
    shipment_id = cart["shipments"][0]["shipment_id"]
    path = "/shipments/get-availability"
    refused(
        client.call("POST", path, {"shipment_id": shipment_id}, HARBOR), 400, "ErrorInvalidState"
    )
    body = {"shipment_id": shipment_id, "fulfillment_type": "SCHEDULED_DELIVERY"}
    client.call("POST", "/shipments/fulfillment-type", body, HARBOR)
    days = client.call("POST", path, {"shipment_id": shipment_id}, HARBOR).json()
    assert len(days["available_dates"]) == 5
    assert days["delivery_windows"][0]["price"]["number"] == 995


def test_what_is_not_in_the_cart_is_not_found(client):
    line = client.call("PUT", "/line-items/none", {"quantity": 1})
    refused(line, 404, "ErrorCartNotFound")
    add(client, "WS12-XS-Orange")
    line = client.call("PUT", "/line-items/none", {"quantity": 1})
    refused(line, 404, "ErrorLineItemNotFound")
    body = {"shipment_id": "none", "shipping_method_id": "GROUND"}
    refused(client.call("POST", "/shipment/methods", body), 404, "ErrorShipmentNotFound")
    refused(client.call("POST", "/shipments/shipping-method", body), 404, "RouteNotFound")
    item = {"add_to_cart_ref": {"variant_id": "none"}, "quantity": 1}
    refused(client.call("POST", "/line-items", item), 404, "ErrorProductNotFound")


def test_the_simple_cart_is_the_same_cart_in_another_form(client, address):
    added = client.call("POST", "/line-items/WS12-XS-Orange/quantity/2", version=1).json()
    assert added["total"]["number"] == 4400
    assert "shipments" not in added
    full = client.call("GET", "").json()
    assert full["cart_id"] == added["cart_id"]
    without_phone = {name: value for name, value in address.items() if name != "phone"}
    shipped = client.call("POST", "/shipping-info", without_phone, version=1).json()
    assert [method["sku"] for method in shipped["shipping_method_options"]] == [
        "GROUND",
        "TWO_DAY",
        "OVERNIGHT",
    ]
    assert shipped["shipping_method"]["sku"] == "GROUND"
    chosen = client.call("POST", "/shipping-method", {"shipping_method": "OVERNIGHT"}, version=1)
    assert chosen.json()["shipping_method"]["price"]["number"] == 2800
    body = {"quantity": 1, "variant_handles": ["radiant-tee", "xs-orange"]}
    updated = client.call("PUT", "/line-items/WS12-XS-Orange", body, version=1).json()
    assert updated["sub_total"]["number"] == 2200
    order = complete(client, version=1).json()
    assert order["cart_status"] == "submitted"
    assert order["tax"]["number"] == 222
    assert order["total"]["number"] == 2200 + 222 + 2800


def test_simple_cart_clears_and_takes_promo_codes(client):
    client.call("POST", "/line-items/WS12-XS-Orange/quantity/1", {}, version=1)
    codes = {"promo_codes": ["LUMA10"]}
    assert client.call("POST", "/promo-codes", codes, version=1).json()["coupons"] == ["LUMA10"]
    assert client.call("DELETE", "/promo-codes", version=1).json()["coupons"] == []
    assert client.call("DELETE", "/line-items", version=1).json()["line_items"] == []
    refused(
        client.call("POST", "/line-items/WS12-XS-Orange/quantity/0", version=1),
        400,
        "ErrorInvalidInputBody",
    )
    item = client.call("PUT", "/line-items/MH07-XS-Gray", {"quantity": 1}, version=1)
    refused(item, 404, "ErrorLineItemNotFound")


def test_carts_belong_to_devices(client, start):
    add(client, "WS12-XS-Orange")
    other = type(client)(client.simulator)
    assert other.call("GET", "").json()["line_items"] == []
    other.http.close()


def test_active_carts_are_those_with_something_unordered_in_them(client):
    def get(path):
        return client.http.get(path, headers=client.auth).json()

    add(client, "WS12-XS-Orange")
    add(client, "BR00-Sand", domain="brook.example.test")
    client.place(domain="closed.luma.gift")
    both = ["staging.luma.gift", "brook.example.test"]
    assert get("/api/v2/carts/active-domains") == {"domains": both}
    shown = get("/api/v2/carts/active?excludes=brook.example.test,other")
    assert shown["domains"] == ["staging.luma.gift"]
    assert shown["carts"][0]["line_items"][0]["sku"] == "WS12-XS-Orange"
    client.place()
    assert get("/api/v1/carts/active")["domains"] == ["brook.example.test"]


def test_a_postal_code_is_kept_for_the_device(client):
    path = "/api/v2/carts/postal-code"
    assert client.http.get(path, headers=client.auth).json() == {"postal_code": ""}
    body = {"postal_code": " 98101 "}
    assert client.http.post(path, headers=client.auth, json=body).json()["postal_code"] == "98101"
    assert client.http.get(path, headers=client.auth).json() == {"postal_code": "98101"}
    wrong = client.http.post(path, headers=client.auth, json={"postal_code": "?"})
    refused(wrong, 400, "ValidationError")


def test_changes_of_one_device_wait_for_each_other(start):
    client = start(profile="calm")
    with ThreadPoolExecutor(8) as pool:
        carts = list(pool.map(lambda _: add(client, "WS12-XS-Orange"), range(8)))
    quantities = [cart["line_items"][0]["quantity"] for cart in carts]
    assert sorted(quantities) == list(range(1, 9))  # none was lost


def test_faults_reach_cart_calls_by_header(client):
    add(client, "WS12-XS-Orange")

    def get(fault):
        headers = {**client.auth, "x-sim-fault": fault}
        path = "/api/v2/domains/staging.luma.gift/cart"
        return client.http.get(path, headers=headers)

    assert get("rate-limited").status_code == 429
    assert get("bad-gateway").headers["content-type"].startswith("text/html")
    assert get("cart-wrong-total").json()["total"]["number"] == 2201
    assert get("cart-missing-field").json().keys() & {"sub_total"} == set()


CALLS = st.one_of(
    st.tuples(
        st.just("add"),
        st.sampled_from(["WS12-XS-Orange", "MJ01-XS-Green", "none"]),
        st.integers(0, 4),
    ),
    st.tuples(st.just("set"), st.integers(-1, 3), st.integers(0, 3)),
    st.tuples(st.just("clear"), st.none(), st.none()),
    st.tuples(st.just("ship"), st.sampled_from(["WA", "NY", "Narnia"]), st.none()),
    st.tuples(st.just("code"), st.sampled_from(["LUMA10", "LUMA25", "none"]), st.none()),
    st.tuples(st.just("method"), st.sampled_from(["GROUND", "TWO_DAY", "none"]), st.none()),
    st.tuples(st.just("order"), st.sampled_from(["complete", "place"]), st.none()),
)


def make_call(client, cart, address, call):
    """Make one call of a sequence, sensible or not."""
    verb, one, two = call
    if verb == "order":
        return complete(client) if one == "complete" else client.place()
    line_ids = [line["line_item_id"] for line in cart["line_items"]] or ["none"]
    shipment_ids = [part["shipment_id"] for part in cart["shipments"]] or ["none"]
    where = {**address, "state_or_province": one, "postal_code": "10001"}
    arguments = {
        "add": ("POST", "/line-items", {"add_to_cart_ref": {"variant_id": one}, "quantity": two}),
        "set": ("PUT", f"/line-items/{line_ids[(two or 0) % len(line_ids)]}", {"quantity": one}),
        "clear": ("DELETE", "/line-items"),
        "ship": ("POST", "/shipping-info", where),
        "code": ("POST", "/promo-codes", {"promo_codes": [one]}),
        "method": (
            "POST",
            "/shipment/methods",
            {"shipment_id": shipment_ids[0], "shipping_method_id": one},
        ),
    }
    return client.call(*arguments[verb])


@given(st.lists(CALLS, min_size=1, max_size=10))
@settings(
    max_examples=30,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],  # one device for all sequences
)
def test_any_sequence_of_calls_leaves_a_consistent_cart(client, address, assert_adds_up, calls):
    cart = client.call("GET", "").json()
    for call in calls:
        answer = make_call(client, cart, address, call)
        after = client.call("GET", "").json()
        assert_adds_up(after)
        if answer.status_code == 200:
            assert answer.json() == after  # every mutation answers with the whole cart
        else:
            assert answer.json()["error"].startswith("Error")
            assert after == cart  # what was refused changed nothing
        cart = after
