"""The client against the simulator, and against a server that answers anything."""

from __future__ import annotations

import asyncio
import gzip
import json
from contextlib import asynccontextmanager

import httpx
import pytest

from firmly_nb.api import client as client_module
from firmly_nb.api.card import encrypt_card
from firmly_nb.api.client import FirmlyClient
from firmly_nb.api.errors import (
    FirmlyError,
    InvalidAppId,
    InvalidInput,
    ProductNotFound,
    Unauthorized,
)
from firmly_nb.api.models import Card, Order
from firmly_nb.api.secrets import SecretStr

pytestmark = pytest.mark.anyio
SHOP = "staging.luma.gift"


@pytest.fixture
def anyio_backend():
    return "asyncio"


@pytest.fixture
async def client(simulator):
    async with httpx.AsyncClient(trust_env=False) as http:
        yield FirmlyClient(http, f"{simulator.url}/", simulator.url)


@pytest.fixture
async def session(client, simulator):
    return await client.browser_session(SecretStr(simulator.app_id))


class Stranger:
    """A server that gives one answer to everything, and keeps the requests."""

    def __init__(self, answer, status=200, headers=None):
        body = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        self.response = (status, body, headers or {})
        self.requests = []

    def __call__(self, request):
        self.requests.append(request)
        status, body, headers = self.response
        return httpx.Response(status, content=body, headers=headers)

    @asynccontextmanager
    async def client(self):
        transport = httpx.MockTransport(self)
        async with httpx.AsyncClient(transport=transport) as http:
            yield FirmlyClient(http, "https://api.firmly.work", "https://cc.firmly.work")


async def test_a_session_is_had_and_renewed_for_the_same_device(client, session, simulator):
    renewed = await client.browser_session(SecretStr(simulator.app_id), session.access_token)
    assert (session.device_created, renewed.device_created) == (True, False)
    assert renewed.device_id == session.device_id
    other = await client.browser_session(SecretStr(simulator.app_id))
    assert other.device_id != session.device_id
    assert session.access_token.get_secret_value() not in repr(session)


async def test_an_unknown_app_id_is_refused_and_not_repeated(client):
    with pytest.raises(InvalidAppId) as caught:
        await client.browser_session(SecretStr("planted-app-id"))
    assert caught.value.http_status == 400
    assert "planted-app-id" not in f"{caught.value!r}{caught.value}"


async def test_what_an_answer_repeats_of_the_request_is_taken_out():
    """A server that quotes the app id or the old token in its error would have shown them."""
    quoted = {"error": "InvalidAppId-planted-app", "message": "no planted-app nor planted-old"}
    async with Stranger(quoted, 400).client() as client:
        with pytest.raises(FirmlyError) as caught:
            await client.browser_session(SecretStr("planted-app"), SecretStr("planted-old"))
    assert "planted" not in f"{caught.value!r}{caught.value}"


KNOWN_DEVICE = {"access_token": "t", "device_id": "d"}


@pytest.mark.parametrize(
    ("answer", "missing"),
    [
        *((value, "is not a JSON object") for value in ([], None, 5)),
        ({}, "access_token is missing"),
        ({**KNOWN_DEVICE, "access_token": 7}, "access_token is missing, or is none"),
        ({**KNOWN_DEVICE, "access_token": "a\r\nb: c"}, "access_token is missing, or is none"),
        ({"access_token": "t"}, "device_id is missing"),
        ({**KNOWN_DEVICE, "expires": "x"}, "expires_in is missing, or is none"),
        ({**KNOWN_DEVICE, "expires_in": "soon"}, "expires_in is missing, or is none"),
    ],
)
async def test_a_garbled_session_is_an_error_that_names_the_field(answer, missing):
    async with Stranger(answer).client() as client:
        with pytest.raises(FirmlyError) as caught:
            await client.browser_session(SecretStr("a"))
    assert caught.value.error == "UnexpectedAnswer"
    assert missing in caught.value.description


async def test_an_order_is_placed_without_events(client, session):
    card = encrypt_card(Card.test(), await client.payment_key())
    placed = await client.place_order(SHOP, Order.example().wire(card), session.access_token)
    assert placed["cart_status"] == "submitted"
    assert placed["platform_order_number"]
    cart = await client.cart(SHOP, session.access_token)
    assert cart["platform_order_number"] == placed["platform_order_number"]


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        ({"encrypted_card": "no.jwe"}, InvalidInput),
        ({"items": []}, InvalidInput),
        ({"items": [{"add_to_cart_ref": {"variant_id": "nothing"}, "quantity": 1}]}, FirmlyError),
    ],
)
async def test_a_refused_order_has_the_apis_error(client, session, change, kind):
    card = encrypt_card(Card.test(), await client.payment_key())
    body = {**Order.example().wire(card), **change}
    with pytest.raises(kind) as caught:
        await client.place_order(SHOP, body, session.access_token)
    assert caught.value.error.startswith("Error")
    assert caught.value.http_status >= 400


async def test_a_missing_and_a_wrong_token_are_told(client):
    for token in ("", "wrong"):
        with pytest.raises(Unauthorized):
            await client.cart(SHOP, SecretStr(token))


async def test_a_new_device_has_an_empty_cart(client, session, simulator):
    fresh = await client.browser_session(SecretStr(simulator.app_id))
    assert (await client.cart(SHOP, fresh.access_token))["line_items"] == []


async def test_the_catalogue_is_read(client, session):
    token = session.access_token
    products = await client.products(SHOP, token)
    assert "radiant-tee" in [product["handle"] for product in products]
    assert await client.products(SHOP, token, page=2) == []
    product = await client.product(SHOP, "radiant-tee", token)
    assert product["variants"]
    found = await client.search("tee", token)
    assert found
    with pytest.raises(ProductNotFound):
        await client.product(SHOP, "no-such-thing", token)


async def test_a_cart_is_asked_for_again_with_a_slash_where_the_route_is_not_found():
    stranger = Stranger({"error": "RouteNotFound"}, 404)
    async with stranger.client() as client:
        with pytest.raises(FirmlyError):
            await client.cart(SHOP, SecretStr("some-token"))
    paths = [request.url.path for request in stranger.requests]
    assert paths == [f"/api/v2/domains/{SHOP}/cart", f"/api/v2/domains/{SHOP}/cart/"]


async def test_nothing_is_sent_twice_and_no_redirect_is_followed():
    for status, headers in ((500, {}), (503, {"retry-after": "0"}), (307, {"location": "/x"})):
        stranger = Stranger({}, status, headers)
        async with stranger.client() as client:
            with pytest.raises(FirmlyError):
                await client.place_order(SHOP, {}, SecretStr("some-token"))
            async with client.stream_order(SHOP, {}, SecretStr("some-token")) as response:
                assert response.status_code == status
        assert len(stranger.requests) == 2


async def test_the_order_goes_out_as_documented():
    stranger = Stranger({"platform_order_number": "1"})
    async with stranger.client() as client:
        await client.place_order(SHOP, {"a": 1}, SecretStr("token"))
        async with client.stream_order(SHOP, {"a": 1}, SecretStr("token")):
            pass
    plain, stream = stranger.requests
    assert str(plain.url) == f"https://cc.firmly.work/api/v2/payment/domains/{SHOP}/place-order"
    assert str(stream.url) == f"{plain.url}?sse=true"
    for request in stranger.requests:
        assert request.headers["x-firmly-authorization"] == "token"
        assert request.headers["content-type"] == "application/json"
        assert json.loads(request.content) == {"a": 1}
    assert stream.headers["accept"] == "text/event-stream"
    assert stream.headers["accept-encoding"] == "identity"


@pytest.mark.parametrize("domain", ["a/b", "a?b", "a#b", "../x", "a%2fb"])
async def test_no_domain_gets_out_of_its_place_in_the_path(domain):
    stranger = Stranger({})
    async with stranger.client() as client:
        await client.place_order(domain, {}, SecretStr("some-token"))
    path = stranger.requests[0].url.raw_path.decode()
    assert path.count("/") == "/api/v2/payment/domains/x/place-order".count("/")
    assert path.endswith("/place-order")


@pytest.mark.parametrize("body", [b"", b"<html>", b"[1", b"\xff"])
async def test_an_answer_that_is_no_json_is_an_error_with_a_name(body):
    async with Stranger(body).client() as client:
        for call in (
            client.payment_key(),
            client.cart(SHOP, SecretStr("some-token")),
            client.place_order(SHOP, {}, SecretStr("some-token")),
        ):
            with pytest.raises(FirmlyError) as caught:
                await call
            assert caught.value.error == "UnexpectedAnswer"


@pytest.mark.parametrize("answer", [[], "text", 5, None])
async def test_json_of_another_kind_stops_nothing(answer):
    async with Stranger(answer).client() as client:
        token = SecretStr("some-token")
        assert await client.products(SHOP, token) == []
        assert await client.product(SHOP, "h", token) == {}
        assert await client.search("q", token) == []
        with pytest.raises(FirmlyError, match="not a JSON object"):
            await client.place_order(SHOP, {}, token)


async def test_a_host_that_is_not_there_is_told(unused_port):
    async with httpx.AsyncClient(trust_env=False) as http:
        client = FirmlyClient(http, *[f"http://127.0.0.1:{unused_port}"] * 2)
        with pytest.raises(FirmlyError) as caught:
            await client.payment_key()
    assert caught.value.error == "ConnectionRefused"
    assert f"nothing listens at 127.0.0.1:{unused_port}" in str(caught.value)


async def test_a_host_that_says_nothing_is_told(client, session, monkeypatch):
    monkeypatch.setattr(client_module, "ORDER_TIMEOUT", httpx.Timeout(0.2))
    card = encrypt_card(Card.test(), await client.payment_key())
    client.http.headers["x-sim-fault"] = "silent"
    with pytest.raises(FirmlyError) as caught:
        await client.place_order(SHOP, Order.example().wire(card), session.access_token)
    assert caught.value.error == "Timeout"


@pytest.mark.parametrize(
    "change",
    [{"access_token": 5}, {"access_token": ""}, {"access_token": "a\r\nHost: b"},
     {"access_token": "t\u00f6ken"}, {"access_token": "x" * 20_000}, {"access_token": None},
     {"expires": None}, {"expires": []}, {"expires": "nan"}, {"expires": "inf"},
     {"expires": 10**400}],
)  # fmt: skip
async def test_a_session_that_cannot_be_used_is_an_error_with_a_name(change):
    """Its token goes into a header: one that cannot was an error of httpx's, token and all."""
    good = {"access_token": "planted-token", "device_id": "d", "expires": 5}
    async with Stranger(good).client() as client:
        assert (await client.browser_session(SecretStr("a"))).expires == 5
    async with Stranger({**good, **change}).client() as client:
        with pytest.raises(FirmlyError) as caught:
            await client.browser_session(SecretStr("a"))
    assert caught.value.error == "UnexpectedAnswer"
    assert "planted" not in repr(caught.value)


@pytest.mark.parametrize("packed", [False, True])
async def test_an_answer_without_an_end_is_left_where_it_is(packed, monkeypatch):
    """However it is packed: a few kB of zipped zeros are gigabytes."""
    monkeypatch.setattr(client_module, "MAX_ANSWER_BYTES", 100_000)
    body, headers = b'"' + b"x" * 5_000_000, {"content-encoding": "gzip"} if packed else {}
    async with Stranger(
        gzip.compress(body) if packed else body, headers=headers
    ).client() as client:
        with pytest.raises(FirmlyError, match="more than 100000 bytes"):
            await client.product(SHOP, "h", SecretStr("some-token"))


async def test_an_answer_that_trickles_is_not_waited_for(client, monkeypatch):
    monkeypatch.setattr(client_module, "ANSWER_TIMEOUT_S", 0.05)

    async def never(request):
        await asyncio.Event().wait()

    async with httpx.AsyncClient(transport=httpx.MockTransport(never)) as http:
        with pytest.raises(FirmlyError, match="did not respond in time"):
            await FirmlyClient(http, "https://a.test", "https://a.test").payment_key()
