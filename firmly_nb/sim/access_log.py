"""A line for each request: time, status, duration, method and path; no headers, no bodies."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import MutableMapping

    from starlette.types import ASGIApp

    from firmly_nb.sim.wire import Receive, Scope, Send


class AccessLog:
    """Writes to stderr when an answer is complete, or the client has gone away."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve, and note the status that is sent."""
        begin = time.monotonic()
        status = "-"

        async def noting(message: MutableMapping[str, Any]) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = str(message["status"])
            await send(message)

        try:
            await self._app(scope, receive, noting)
        finally:
            took_ms = (time.monotonic() - begin) * 1000
            at = time.strftime("%H:%M:%S")
            path = scope["path"].encode("unicode_escape").decode()
            line = f"{at} {status} {took_ms:8.1f} ms {scope['method']} {path[:300]}\n"
            sys.stderr.write(line)
            sys.stderr.flush()
