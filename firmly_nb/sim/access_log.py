"""A line for each request: time, status, duration, method and path; no headers, no bodies."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import MutableMapping

    from starlette.types import ASGIApp

    from firmly_nb.sim.wire import Receive, Scope, Send


LONGEST_PATH = 300


class AccessLog:
    """Writes to stderr just before an answer is complete, or when it has broken off."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve, and write the line."""
        begin = time.monotonic()
        status: str | None = "-"

        async def noting(message: MutableMapping[str, Any]) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = str(message["status"])
            elif not message.get("more_body") and status:
                _write(scope, status, begin)
                status = None
            await send(message)

        try:
            await self._app(scope, receive, noting)
        finally:
            if status:
                _write(scope, status, begin)


def _write(scope: Scope, status: str, begin: float) -> None:
    took_ms = (time.monotonic() - begin) * 1000
    path = scope["path"].encode("unicode_escape").decode()[:LONGEST_PATH]
    at = time.strftime("%H:%M:%S")
    sys.stderr.write(f"{at} {status} {took_ms:8.1f} ms {scope['method']} {path}\n")
    sys.stderr.flush()
