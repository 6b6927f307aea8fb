"""Every fault does what its table says, and the shop's own truth is what the table says, too."""

import json

import httpx
import pytest

from firmly_nb.outcomes import KNOWN
from firmly_nb.sim.behaviour import ACTS, FAULTS
from firmly_nb.sim.merchants import fault_of

STREAMED = ["creating-cart", "item-added", "shipping-updated", "order-placed"]


def parse(raw):
    """A small parser of event streams, by the rules of the standard."""
    text = raw.decode("utf-8", "replace").removeprefix("\ufeff")
    blocks = text.replace("\r\n", "\n").replace("\r", "\n").split("\n\n")
    for block in blocks[:-1]:  # what no blank line ends is dropped
        fields = [line.partition(":") for line in block.split("\n")]
        fields = [(name, value.removeprefix(" ")) for name, _, value in fields]
        data = [value for name, value in fields if name == "data"]
        if data:
            yield dict(fields).get("event", "message"), "\n".join(data)


def place(client, fault, sse=True, timeout=60.0):
    """Order, and return the outcome as one of the seven, with the events that came."""
    raw = bytearray()
    try:
        with client.http.stream(
            "POST",
            "/api/v2/payment/domains/staging.luma.gift/place-order",
            params={"sse": "true"} if sse else {},
            headers={**client.auth, "x-sim-fault": fault},
            json=client.body(),
            timeout=timeout,
        ) as answer:
            for part in answer.iter_raw():
                raw += part
    except httpx.TimeoutException:
        return "timeout", list(parse(raw))
    except httpx.TransportError:
        return "transport_error", list(parse(raw))
    if not sse:
        return plain_outcome(answer, raw), []
    return stream_outcome(answer, list(parse(raw)))


def plain_outcome(answer, raw):
    try:
        order = json.loads(raw)
    except ValueError:
        return "http_error"
    placed = answer.status_code == 200 and order.get("cart_status") == "submitted"
    return "placed" if placed else "http_error"


def stream_outcome(answer, told):
    if answer.status_code != 200 or "event-stream" not in answer.headers["content-type"]:
        return "http_error", told
    names = [name for name, _ in told]
    if "order-placed" in names:
        return "placed", told
    return ("error_event" if "error" in names else "incomplete"), told


def patience(expected):
    """Wait for an answer as long as there will be one; sending may take its time on any machine."""
    return httpx.Timeout(60.0, read=0.3 if expected == "timeout" else 60.0)


def is_submitted(client):
    return client.call("GET", "").json()["cart_status"] == "submitted"


# Written out: all tests of faults expect what the table says. Outcome and order_exists with events,
# then without, whether the merchant holds an order, and where the fault acts.
TABLE = """
product-not-found      error_event no          http_error no           no  order
not-enough-stock       error_event no          http_error no           no  order
payment-declined       error_event no          http_error no           no  order
store-unavailable      error_event no          http_error no           no  order
error-event            error_event no          http_error no           no  order
invalid-input          http_error no           http_error no           no  answer
token-expired          http_error no           http_error no           no  answer
rate-limited           http_error no           http_error no           no  answer
unavailable            http_error unknown      http_error unknown      no  answer
bad-gateway            http_error unknown      http_error unknown      no  answer
internal-error         http_error unknown      http_error unknown      no  answer
empty-answer           http_error unknown      http_error unknown      no  answer
redirect               http_error unknown      http_error unknown      no  answer
content-type           http_error unknown      placed yes              yes head
silent                 timeout unknown         timeout unknown         no  answer
reset-at-once          transport_error unknown transport_error unknown no  answer
early-end              incomplete unknown      http_error unknown      no  stream
cut                    transport_error unknown transport_error unknown no  stream
reset                  transport_error unknown transport_error unknown no  stream
stall                  timeout unknown         timeout unknown         no  stream
half-event             incomplete unknown      http_error unknown      no  stream
lost-confirmation      incomplete unknown      transport_error unknown yes stream
reset-after-order      transport_error unknown transport_error unknown yes stream
no-last-blank-line     incomplete unknown      placed yes              yes stream
broken-chunk           transport_error unknown transport_error unknown no  stream
garbage                placed yes              placed yes              yes stream
garbage-data           placed yes              placed yes              yes stream
trickle                placed yes              placed yes              yes stream
split                  placed yes              placed yes              yes stream
buffered               placed yes              placed yes              yes stream
duplicated             placed yes              placed yes              yes stream
reordered              placed yes              placed yes              yes stream
crlf                   placed yes              placed yes              yes stream
cr                     placed yes              placed yes              yes stream
bom                    placed yes              placed yes              yes stream
comments               placed yes              placed yes              yes stream
multi-line             placed yes              placed yes              yes stream
no-space               placed yes              placed yes              yes stream
ids-and-retry          placed yes              placed yes              yes stream
unknown-events         placed yes              placed yes              yes stream
huge                   placed yes              placed yes              yes stream
error-after-order      placed yes              placed yes              yes stream
cart-wrong-total       placed yes              placed yes              yes cart
cart-price-change      placed yes              placed yes              yes cart
cart-item-removed      placed yes              placed yes              yes cart
cart-missing-field     placed yes              placed yes              yes cart
cart-other-currency    placed yes              placed yes              yes cart
cart-duplicated-line   placed yes              placed yes              yes cart
cart-discount-thrice   placed yes              placed yes              yes cart
cart-wrong-shipping    placed yes              placed yes              yes cart
cart-negative-total    placed yes              placed yes              yes cart
cart-negative-shipping placed yes              placed yes              yes cart
cart-negative-tax      placed yes              placed yes              yes cart
cart-other-id          placed yes              placed yes              yes cart
cart-other-shop        placed yes              placed yes              yes cart
cart-other-country     placed yes              placed yes              yes cart
cart-out-of-stock      placed yes              placed yes              yes cart
cart-warning           placed yes              placed yes              yes cart
cart-number-value      placed yes              placed yes              yes cart
cart-one-id            placed yes              placed yes              yes cart
"""


def test_the_table_of_faults_says_this():
    written = [tuple(line.split()) for line in TABLE.strip().splitlines()]
    assert written == [
        (
            name,
            *(one.outcome, one.order_exists, one.plain, one.plain_order_exists),
            "yes" if one.placed else "no",
            one.acts,
        )
        for name, one in FAULTS.items()
    ]


def test_the_table_of_faults_does_not_contradict_itself():
    for name, one in FAULTS.items():
        assert one.acts in ACTS, name
        for outcome, exists in (
            (one.outcome, one.order_exists),
            (one.plain, one.plain_order_exists),
        ):
            assert outcome in KNOWN, name
            assert (exists == "yes") == (outcome == "placed"), name
            # A client may not know; it may not be wrong.
            assert exists in {"unknown", "yes" if one.placed else "no"}, name


@pytest.mark.parametrize("fault", FAULTS)
def test_a_stream_with_a_fault_ends_as_the_table_says(client, until, fault):
    expected = FAULTS[fault].outcome
    outcome, _ = place(client, fault, timeout=patience(expected))
    assert outcome == expected
    # Whoever did not wait for an answer may be here before the shop is done.
    until(lambda: is_submitted(client) == FAULTS[fault].placed, "the order, or none")


@pytest.mark.parametrize("fault", FAULTS)
def test_a_plain_order_with_a_fault_ends_as_the_table_says(client, until, fault):
    expected = FAULTS[fault].plain
    outcome, _ = place(client, fault, sse=False, timeout=patience(expected))
    assert outcome == expected
    # Whoever did not wait for an answer may be here before the shop is done.
    until(lambda: is_submitted(client) == FAULTS[fault].placed, "the order, or none")


HARMLESS = [
    name for name, fault in FAULTS.items() if fault.outcome == "placed" and fault.acts == "stream"
]


@pytest.mark.parametrize("fault", HARMLESS)
def test_a_strange_form_still_says_the_same(client, fault):
    _, told = place(client, fault)
    names = [name for name, _ in told if name in STREAMED]
    if fault == "reordered":
        assert names == ["creating-cart", "shipping-updated", "item-added", "order-placed"]
    elif fault == "duplicated":
        assert names == [name for name in STREAMED for _ in range(2)]
    else:
        assert names == STREAMED
    order = json.loads(dict(told)["order-placed"])["order"]
    assert order["total"]["number"] == 3047


def test_no_fault_is_a_mistake_of_the_server(start):
    client = start()
    for fault in FAULTS:
        for sse in (True, False):
            place(client, fault, sse=sse, timeout=0.3)
    client.simulator.stop()
    assert client.simulator.logs() == ""


def raw_stream(client, fault):
    return client.place(sse=True, headers={"x-sim-fault": fault}).content


def test_each_strange_form_is_really_strange(client):
    assert b"\r\n" in raw_stream(client, "crlf")
    cr = raw_stream(client, "cr")
    assert b"\r" in cr
    assert b"\n" not in cr
    assert raw_stream(client, "bom").startswith(b"\xef\xbb\xbf")
    assert b": heartbeat" in raw_stream(client, "comments")
    assert raw_stream(client, "multi-line").count(b"data:") > 100
    assert b"event:item-added\ndata:{" in raw_stream(client, "no-space")
    assert b"\nretry: 3000\n" in raw_stream(client, "ids-and-retry")
    assert len(raw_stream(client, "huge")) > 4 << 20
    with pytest.raises(UnicodeDecodeError):
        raw_stream(client, "garbage").decode()
    with pytest.raises(ValueError, match="Expecting"):
        json.loads(dict(parse(raw_stream(client, "garbage-data")))["item-added"])


def test_an_unknown_event_and_one_without_a_name_come_in_between(client):
    names = [name for name, _ in parse(raw_stream(client, "unknown-events"))]
    assert names.count("loyalty-points") == names.count("message") == 4


def test_buffered_events_come_at_once_and_a_trickle_in_single_bytes(client):
    def reads(fault):
        with client.http.stream(
            "POST",
            "/api/v2/payment/domains/staging.luma.gift/place-order?sse=true",
            headers={**client.auth, "x-sim-fault": fault},
            json=client.body(),
        ) as answer:
            return list(answer.iter_raw())

    assert len(reads("buffered")) == 1
    trickle = reads("trickle")
    # One send each; the receiving side may find several waiting.
    assert len(trickle) > 100


def test_an_error_after_the_order_comes_last(client):
    _, told = place(client, "error-after-order")
    assert [name for name, _ in told] == [*STREAMED, "error"]


def test_a_rate_limit_says_how_long_to_wait(client):
    answer = client.place(headers={"x-sim-fault": "rate-limited"})
    assert answer.status_code == 429
    assert answer.headers["retry-after"] == "2"
    assert answer.json()["error"] == "RateLimitExceeded"


def test_a_fault_can_be_ordered_as_an_item_of_every_merchant(client, make_item):
    for domain in ("staging.luma.gift", "brook.example.test"):
        told = client.stream(make_item("FAULT-EARLY-END"), domain=domain)
        assert [name for name, _ in told] == ["creating-cart", "item-added"]
    assert {fault_of(f"FAULT-{name.upper()}") for name in FAULTS} == set(FAULTS)


def test_a_fault_can_be_set_for_the_whole_server(start):
    always = start(fault="payment-declined")
    assert always.place().json()["error"] == "ErrorPaymentDeclined"


@pytest.mark.parametrize(("fault", "status"), [("payment-declined", 422), ("unavailable", 503)])
def test_a_fault_of_a_share_goes_away_again(start, fault, status):
    sometimes = start(fault=fault, fault_rate=0.5)
    met = [sometimes.place().status_code for _ in range(40)].count(status)
    assert 8 < met < 32


def test_an_unknown_fault_is_refused(client):
    answer = client.place(headers={"x-sim-fault": "nonsense"})
    assert (answer.status_code, answer.json()["error"]) == (400, "ErrorInvalidInputBody")


def carts_of(client, fault, *items):
    told = client.stream(*items, headers={"x-sim-fault": fault})
    return [next(iter(data.values())) for _, data in told if data]


def test_a_wrong_total_is_off_by_one(client):
    _, shipped, order = carts_of(client, "cart-wrong-total")
    for cart in (shipped, order):
        parts = ("sub_total", "shipping_total", "tax_total")
        assert cart["total"]["number"] == sum(cart[part]["number"] for part in parts) + 1


def test_a_price_change_is_consistent_in_itself(client, make_item):
    added, shipped, _ = carts_of(client, "cart-price-change", make_item("WS12-XS-Orange", 3))
    assert added["line_items"][0]["price"]["number"] == 2200
    assert shipped["line_items"][0]["price"]["number"] == 2300
    assert shipped["line_items"][0]["line_price"]["number"] == 6900
    assert shipped["sub_total"]["number"] == 6900


def test_the_other_cart_faults_are_there(client, make_item):
    two = (make_item("WS12-XS-Orange"), make_item("MH07-XS-Gray"))
    _, added, shipped, _ = carts_of(client, "cart-item-removed", *two)
    assert (len(added["line_items"]), len(shipped["line_items"])) == (2, 1)
    added, shipped, order = carts_of(client, "cart-missing-field")
    assert ["sub_total" in cart for cart in (added, shipped, order)] == [True, False, False]
    for cart in carts_of(client, "cart-other-currency"):
        assert cart["shipping_total"]["currency"] == "EUR"
    for cart in carts_of(client, "cart-duplicated-line"):
        first, second = cart["line_items"]
        assert first["line_item_id"] == second["line_item_id"]
