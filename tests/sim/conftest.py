"""A real simulator over real HTTP, and a small client that knows nothing of ours."""

import json
import re
import ssl

import httpx
import pytest
from jwcrypto import jwe, jwk

from firmly_nb import sim
from firmly_nb.sim.counting import CURRENCIES
from firmly_nb.sim.merchants import merchants

# Longer than any answer takes on any machine that these tests run on.
ANSWER_S = 120.0
ADDRESS = {
    "first_name": "Ada",
    "last_name": "Example",
    "email": "ada@example.test",
    "phone": "2065550100",
    "address1": "10 Sample Way",
    "city": "Seattle",
    "state_or_province": "WA",
    "country": "US",
    "postal_code": "98101",
}
CARD = {
    "number": "4111111111111111",
    "name": "Ada Example",
    "verification_value": "123",
    "month": "12",
    "year": "2035",
}
TEE = {"add_to_cart_ref": {"variant_id": "WS12-XS-Orange"}, "quantity": 1}


# Loading the system's certificates for each client takes longer than most tests.
NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


class Client:
    """Speaks to a simulator as a stranger's program would."""

    def __init__(self, simulator):
        self.simulator = simulator
        self.http = httpx.Client(base_url=simulator.url, timeout=ANSWER_S, verify=NO_TLS)
        session = self.http.post(
            "/api/v1/browser-session", headers={"x-firmly-app-id": simulator.app_id}
        ).json()
        self.token = session["access_token"]
        self.device_id = session["device_id"]
        self.key = self.http.get("/api/v1/payment/key").json()

    @property
    def auth(self):
        return {"x-firmly-authorization": self.token}

    def encrypt(self, card=None, key=None, **header):
        key = key or self.key
        head = {"alg": "RSA-OAEP-256", "enc": "A256GCM", "kid": key["kid"], **header}
        head = {name: value for name, value in head.items() if value is not None}
        plaintext = card if isinstance(card, bytes) else json.dumps(card or CARD).encode()
        token = jwe.JWE(plaintext, json.dumps(head))
        token.add_recipient(jwk.JWK(kty="RSA", n=key["n"], e=key["e"]))
        return token.serialize(compact=True)

    def body(self, *items, card=None, **changes):
        made = {
            "encrypted_card": self.encrypt(card),
            "billing_info": ADDRESS,
            "shipping_info": ADDRESS,
            "items": list(items) or [TEE],
        }
        made.update(changes)
        return {name: value for name, value in made.items() if value is not None}

    def place(
        self, *items, domain="staging.luma.gift", sse=False, version=2, headers=None, **changes
    ):
        return self.http.post(
            f"/api/v{version}/payment/domains/{domain}/place-order",
            params={"sse": "true"} if sse else {},
            headers={**self.auth, **(headers or {})},
            json=self.body(*items, **changes),
        )

    def stream(self, *items, **options):
        answer = self.place(*items, sse=True, **options)
        assert answer.headers["content-type"] == "text/event-stream; charset=utf-8", answer.text
        return events(answer.text)

    def call(self, method, path, body=None, domain="staging.luma.gift", version=2, **options):
        path = f"/api/v{version}/domains/{domain}/cart{path}"
        return self.http.request(method, path, headers=self.auth, json=body, **options)


def add_up(full):
    """Check what must be true of every v2 cart that is sent, as its merchant counts."""
    shop = merchants()[full["shop_id"]]
    lines = [line for line in full["line_items"] if "recurring" not in line]
    for line in lines:
        shown = minor(line["price"]) * line["quantity"]
        is_exact = shop.variants[line["sku"]].hundredths % 100 == 0
        assert abs(minor(line["line_price"]) - shown) <= (0 if is_exact else line["quantity"] / 2)
        assert minor(line["line_price"]) > 0
    off = abs(minor(full["sub_total"]) - sum(minor(line["line_price"]) for line in lines))
    assert off <= (len(lines) / 2 if "rounds-once" in shop.traits else 0)
    discount = minor(full["cart_discount"]) if "cart_discount" in full else 0
    assert 0 <= discount <= minor(full["sub_total"])
    steps = full.get("cart_discount_breakdown")
    assert steps is None or sum(minor(step["discount"]) for step in steps) == discount
    methods = [part.get("shipping_method") for part in full["shipments"]]
    paid = [method["price"] for method in methods if method]
    assert minor(full["shipping_total"]) == sum(map(minor, paid))
    parts = ["sub_total", "shipping_total", "addon_total"]
    parts += [] if "tax-inside" in shop.traits else ["tax_total"]
    credit = minor(full.get("store_credit", 0)) if "store-credit" in shop.traits else 0
    assert minor(full["total"]) == sum(minor(full[part]) for part in parts) - discount - credit
    assert minor(full["total"]) >= 0
    assert minor(full["tax_total"]) >= 0
    if "shipping_info" not in full:
        assert minor(full["shipping_total"]) == 0
        assert minor(full["tax_total"]) == 0 or "tax-inside" in shop.traits
    shipped = [line_id for part in full["shipments"] for line_id in part["line_item_ids"]]
    assert sorted(shipped) == sorted(line["line_item_id"] for line in lines)


def minor(money):
    """An amount in minor units, also where only its value is sent."""
    if not money or "number" in money:
        return money["number"] if money else 0
    return round(money["value"] * 10 ** CURRENCIES[money["currency"]][1])


def events(text):
    """Parse a plain stream: pairs of event name and decoded data."""
    found = re.findall(r"event: (.+)\ndata: (.+)\n\n", text)
    return [(name, json.loads(data)) for name, data in found]


def item(variant_id, quantity=1, **ref):
    return {"add_to_cart_ref": {"variant_id": variant_id, **ref}, "quantity": quantity}


@pytest.fixture
def client(simulator):
    made = Client(simulator)
    yield made
    made.http.close()


@pytest.fixture
def start():
    """Start simulators with other settings; they stop with the test."""
    started = []

    def make(**settings):
        simulator = sim.start(**{"profile": "instant", **settings})
        made = Client(simulator)
        started.append((simulator, made))
        return made

    yield make
    for simulator, made in started:
        made.http.close()
        simulator.stop()


@pytest.fixture
def make_item():
    return item


@pytest.fixture
def address():
    return dict(ADDRESS)


@pytest.fixture
def card():
    return dict(CARD)


@pytest.fixture(scope="session")
def assert_adds_up():
    return add_up
