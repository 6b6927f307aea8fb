"""Devices: one call at a time for each, tokens that last, the first one again and again."""

from __future__ import annotations

import asyncio
import time

import pytest

from firmly_nb.api.client import Session
from firmly_nb.api.errors import Unauthorized
from firmly_nb.api.secrets import SecretStr
from firmly_nb.engine import OPENED_AT_ONCE, RENEW_BEFORE_S, Devices

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
        return Session(token, device, time.time() + self.lifetime_s, renew is None)


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
