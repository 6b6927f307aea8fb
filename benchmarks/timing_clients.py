"""Ways to read an event stream in a notebook, each written as one writes it first.

Each takes an `Address` and returns what came: the wall clock right after the client handed out the
event, and the event's data. Nothing is parsed before the clock is read.
"""

import asyncio
import json
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass

import aiohttp
import httpx
import requests
from httpx_sse import aconnect_sse, connect_sse

Arrivals = list[tuple[int, str]]
TIMEOUT_S = 60.0


@dataclass(frozen=True)
class Address:
    """Where to post what, and which certificate to trust."""

    url: str
    body: dict[str, object]
    trusted: str | None

    def context(self) -> ssl.SSLContext | bool:
        """Return what httpx takes as ``verify``."""
        return ssl.create_default_context(cafile=self.trusted) if self.trusted else True


async def httpx_sse_on_the_loop(address: Address) -> Arrivals:
    """Read with httpx-sse in a task of the kernel's event loop."""
    async with (
        httpx.AsyncClient(verify=address.context(), timeout=TIMEOUT_S, trust_env=False) as client,
        aconnect_sse(client, "POST", address.url, json=address.body) as source,
    ):
        return [(time.time_ns(), event.data) async for event in source.aiter_sse()]


async def httpx_sse_in_a_thread(address: Address) -> Arrivals:
    """Read with httpx-sse in a thread."""
    return await asyncio.to_thread(_httpx_sse, address)


def _httpx_sse(address: Address) -> Arrivals:
    with (
        httpx.Client(verify=address.context(), timeout=TIMEOUT_S, trust_env=False) as client,
        connect_sse(client, "POST", address.url, json=address.body) as source,
    ):
        return [(time.time_ns(), event.data) for event in source.iter_sse()]


async def aiohttp_on_the_loop(address: Address) -> Arrivals:
    """Read lines with aiohttp in a task of the kernel's event loop."""
    context = ssl.create_default_context(cafile=address.trusted) if address.trusted else True
    timeout = aiohttp.ClientTimeout(total=None, sock_read=TIMEOUT_S)
    async with (
        # Its default limit is for lines of 64 KiB; the last event's list of times is longer.
        aiohttp.ClientSession(timeout=timeout, read_bufsize=2**20) as session,
        session.post(address.url, json=address.body, ssl=context) as response,
    ):
        return [found async for found in _dispatched(response.content)]


async def _dispatched(lines: aiohttp.StreamReader) -> AsyncIterator[tuple[int, str]]:
    data = ""
    async for line in lines:
        if line.startswith(b"data:"):
            data = line[5:].decode()
        elif not line.strip() and data:
            yield time.time_ns(), data
            data = ""


async def requests_in_a_thread(address: Address) -> Arrivals:
    """Read lines with requests in a thread: it would block everything else in the cell."""
    return await asyncio.to_thread(_requests, address)


def _requests(address: Address) -> Arrivals:
    with requests.Session() as session:
        session.trust_env = False
        verify = address.trusted or True
        response = session.post(
            address.url, json=address.body, stream=True, verify=verify, timeout=TIMEOUT_S
        )
        return list(_dispatched_lines(response.iter_lines()))


def _dispatched_lines(lines: Iterator[bytes]) -> Iterator[tuple[int, str]]:
    data = ""
    for line in lines:
        if line.startswith(b"data:"):
            data = line[5:].decode()
        elif not line and data:
            yield time.time_ns(), data
            data = ""


CLIENTS: dict[str, Callable[[Address], Awaitable[Arrivals]]] = {
    "httpx-sse, kernel loop": httpx_sse_on_the_loop,
    "httpx-sse, thread": httpx_sse_in_a_thread,
    "aiohttp, kernel loop": aiohttp_on_the_loop,
    "requests, thread": requests_in_a_thread,
}


def errors_ms(arrivals: Arrivals) -> list[float]:
    """Return arrival minus time of sending for each event of the pattern."""
    found = [(arrived, json.loads(data)) for arrived, data in arrivals]
    return [
        (arrived - data["sent_wall_ns"]) / 1e6 for arrived, data in found if "sent_wall_ns" in data
    ]
