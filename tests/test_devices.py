"""Devices: one call at a time for each, tokens that last, the first one again and again."""

from __future__ import annotations

import asyncio
import time

import httpx
import pytest

from firmly_nb.api.client import FirmlyClient, Session, session_clock_ns
from firmly_nb.api.errors import Unauthorized
from firmly_nb.api.secrets import SecretStr
from firmly_nb.devices import OPENED_AT_ONCE, RENEW_BEFORE_S, Devices
from firmly_nb.recorder.journal import Journal
from firmly_nb.recorder.worker import Lanes, record_over
from tests import merchant_server
from tests.recorder.order_server import job
from tests.servers import serving

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend():
    return "asyncio"


class Desk:
    """Gives out sessions as the API does, with a lifetime that the test sets."""

    def __init__(self, lifetime_s=3600.0):
        self.lifetime_s = lifetime_s
        self.asked = []
        self.refuses_renewal = False

    async def browser_session(self, app_id, renew=None):
        assert app_id
        self.asked.append(renew)
        await asyncio.sleep(0)
        if renew and self.refuses_renewal:
            raise Unauthorized("TokenExpired")
        number = len(self.asked)
        device = renew.get_secret_value().split("/")[0] if renew else f"device-{number}"
        token = SecretStr(f"{device}/{number}")
        ends = time.time() + self.lifetime_s
        now_ns = session_clock_ns()
        return Session(token, device, ends, renew is None, self.lifetime_s, now_ns)


async def test_the_first_device_is_taken_again_and_again():
    desk = Desk()
    devices = Devices(desk, SecretStr("app"))
    for _ in range(3):
        async with devices.take() as device:
            assert (device.number, device.session.device_id) == (0, "device-1")
    assert len(desk.asked) == 1


async def test_calls_at_the_same_time_get_devices_of_their_own():
    desk = Desk()
    devices = Devices(desk, SecretStr("app"))
    inside, most = set(), 0

    async def call():
        nonlocal most
        async with devices.take() as device:
            assert device.number not in inside
            inside.add(device.number)
            most = max(most, len(inside))
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            inside.remove(device.number)

    await asyncio.gather(*[call() for _ in range(5)])
    await asyncio.gather(*[call() for _ in range(5)])
    assert most == len(desk.asked) == 5
    assert [device.number for device in devices.free] == [0, 1, 2, 3, 4]


async def test_devices_that_could_not_be_opened_are_opened_when_they_are_needed():
    """They counted: a host with a wrong app id passed for one that can order."""
    desk = Desk()
    devices = Devices(desk, SecretStr("wrong"))
    opened = desk.browser_session

    async def refused(*_):
        raise Unauthorized("InvalidAppId")

    desk.browser_session = refused
    for _ in range(2):
        with pytest.raises(Unauthorized):
            await devices.ready(2)
    desk.browser_session = opened
    await devices.ready(2)
    assert len({device.number for device in devices.free}) == devices.opened == 2


async def test_a_token_that_ends_soon_is_exchanged_before_the_call():
    desk = Desk(lifetime_s=RENEW_BEFORE_S - 1)
    devices = Devices(desk, SecretStr("app"))
    async with devices.take() as device:
        assert device.session.device_id == "device-1"
        assert device.session.access_token.get_secret_value() == "device-1/2"
    desk.lifetime_s = 3600.0
    async with devices.take() as device:
        assert device.session.access_token.get_secret_value() == "device-1/3"
    async with devices.take() as device:
        assert device.session.access_token.get_secret_value() == "device-1/3"


async def test_a_token_that_is_too_old_gives_a_new_device():
    desk = Desk()
    devices = Devices(desk, SecretStr("app"))
    async with devices.take() as device:
        desk.refuses_renewal = True
        await devices.renew(device)
        assert device.session.device_id == "device-3"


async def test_a_device_comes_back_whatever_happened_to_the_call():
    devices = Devices(Desk(), SecretStr("app"))
    for error in (ValueError, asyncio.CancelledError):
        with pytest.raises(error):
            async with devices.take():
                raise error
    assert len(devices.free) == 1


async def test_the_app_id_is_not_shown():
    assert "planted" not in repr(Devices(Desk(), SecretStr("planted")))


async def test_devices_can_be_opened_ahead_a_few_at_a_time():
    desk, most = Desk(), 0
    devices = Devices(desk, SecretStr("app"))
    ask = desk.browser_session

    async def watched(*arguments):
        nonlocal most
        most = max(most, OPENED_AT_ONCE - devices.opening._value)
        return await ask(*arguments)

    desk.browser_session = watched
    await devices.ready(7)
    await devices.ready(5)
    assert (len(devices.free), len(desk.asked), most) == (7, 7, OPENED_AT_ONCE)
    async with devices.take() as device:
        assert device.number in range(7)


async def test_devices_that_were_opened_are_kept_where_another_could_not_be():
    desk = Desk()
    devices = Devices(desk, SecretStr("app"))
    ask = desk.browser_session

    async def refused_at_last(*arguments):
        if len(desk.asked) == 2:
            raise Unauthorized("InvalidAppId")
        return await ask(*arguments)

    desk.browser_session = refused_at_last
    with pytest.raises(Unauthorized):
        await devices.ready(3)
    assert len(devices.free) == 2


class CookieJarServer(merchant_server.Answering):
    """Gives each session a cookie of its own, and notes which cookies come back with what."""

    def do_POST(self):
        told = self.server.told
        told.append((self.path.rpartition("/")[2], self.headers["x-firmly-authorization"],
                     self.headers["cookie"]))  # fmt: skip
        number = self.server.sessions = self.server.sessions + self.path.endswith(
            "/browser-session"
        )
        self.rfile.read(int(self.headers["content-length"] or 0))
        self.server.headers = {"set-cookie": f"device=d{number}; Path=/"}
        expires = time.time() + 3600
        self.send({"access_token": f"t{number}", "device_id": f"d{number}", "expires": expires})

    def do_GET(self):
        token, cookie = self.headers["x-firmly-authorization"], self.headers["cookie"]
        self.server.told.append((self.path.rpartition("/")[2], token, cookie))
        is_key = "payment" in self.path
        # What cannot go back is no cookie; it would be an error of the next request.
        self.server.headers = {"set-cookie": "key=k; Path=/" if is_key else "odd=\xe9; Path=/"}
        super().do_GET()


@pytest.fixture
def cookies():
    server = merchant_server.Merchant()
    server.RequestHandlerClass, server.told, server.sessions = CookieJarServer, [], 0
    with serving(server):
        yield server


async def test_each_device_has_its_own_cookies(cookies):
    async with httpx.AsyncClient(trust_env=False) as http:
        client = FirmlyClient(http, cookies.url, cookies.url)
        devices = Devices(client, SecretStr("app"))
        async with devices.take() as first, devices.take() as second:
            await client.payment_key()
            for device in (first, second, first):
                await client.cart("a.test", device.session.access_token)
            await devices.renew(first)
            await client.cart("a.test", first.session.access_token)
            async with client.stream_order("a.test", {}, second.session.access_token) as answer:
                await answer.aread()
    assert list(http.cookies.jar) == []
    assert cookies.told == [
        ("browser-session", None, None),
        ("browser-session", None, None),
        ("key", None, None),
        ("cart", "t1", "device=d1"),
        ("cart", "t2", "device=d2"),
        ("cart", "t1", "device=d1"),
        ("browser-session", None, "device=d1"),
        ("cart", "t3", "device=d3"),
        ("place-order?sse=true", "t2", None),
    ]


async def test_an_order_is_sent_with_no_cookie_of_another(cookies, tmp_path):
    """Orders of different devices share warm connections, one after the other."""
    lanes = Lanes(cookies.url)
    for _ in range(2):
        await record_over(lanes, Journal(tmp_path), job(connection="warm"), lambda _: None)
    await lanes.aclose()
    assert [cookie for *_, cookie in cookies.told] == [None] * 4
