"""Sends one order through a client library of Python, and lets it do what it does.

``python -m benchmarks other_clients`` runs it, with the libraries in ``PYTHONPATH``.
"""

import asyncio
import json
import sys
import threading
from datetime import timedelta
from os import _exit
from pathlib import Path
from typing import Any


def send_by_requests_sse(url: str, asked: dict[str, Any]) -> None:
    """As its page shows it; it waits five seconds before it connects again, here one."""
    from requests_sse import EventSource

    again = timedelta(seconds=1)
    with EventSource(url, method="POST", reconnection_time=again, timeout=60, **asked) as source:
        for _ in source:
            pass


def send_by_aiohttp_sse_client2(url: str, asked: dict[str, Any]) -> None:
    """As its page shows it; it waits five seconds before it connects again, here one."""
    from aiohttp_sse_client2.client import EventSource

    async def listen() -> None:
        again = timedelta(seconds=1)
        option = {"method": "POST"}
        async with EventSource(url, option=option, reconnection_time=again, **asked) as source:
            async for _ in source:
                pass

    asyncio.run(listen())


def send_by_httpx_sse(url: str, asked: dict[str, Any]) -> None:
    """As its page shows it."""
    import httpx
    from httpx_sse import connect_sse

    with (
        httpx.Client(timeout=60) as client,
        connect_sse(client, "POST", url, **asked) as source,
    ):
        for _ in source.iter_sse():
            pass


def send_by_sseclient_py(url: str, asked: dict[str, Any]) -> None:
    """As its page shows it."""
    import requests
    from sseclient import SSEClient

    response = requests.post(url, stream=True, timeout=60, **asked)
    for _ in SSEClient(response).events():
        pass


SENDERS = {
    "requests-sse": send_by_requests_sse,
    "aiohttp-sse-client2": send_by_aiohttp_sse_client2,
    "httpx-sse": send_by_httpx_sse,
    "sseclient-py": send_by_sseclient_py,
}


def main() -> None:
    """Send, and end after some seconds, whatever the library does meanwhile."""
    library, url, file, seconds = sys.argv[1:]
    given = json.loads(Path(file).read_text())
    threading.Timer(float(seconds), _exit, [0]).start()
    SENDERS[library](url, {"headers": given["headers"], "json": given["body"]})


if __name__ == "__main__":
    main()
