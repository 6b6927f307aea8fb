"""Faults that come instead of an answer's stream: statuses, pages, silence, resets."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.responses import Response

from firmly_nb.sim.answers import ApiError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from firmly_nb.sim.wire import Receive, Scope, Send

HTML = "<!doctype html><title>502 Bad Gateway</title><h1>502 Bad Gateway</h1>"
ERRORS: Mapping[str, ApiError] = {
    "invalid-input": ApiError("ErrorInvalidInputBody", "refused on purpose"),
    "token-expired": ApiError("TokenExpired", "the device token has expired; renew the session"),
    "rate-limited": ApiError(
        "RateLimitExceeded", "too many requests", headers={"Retry-After": "2"}
    ),
    "unavailable": ApiError("ServiceUnavailable", "maintenance", headers={"Retry-After": "1"}),
    "internal-error": ApiError("InternalError", "something went wrong"),
}


class Silence(Response):
    """No answer at all, until the client goes away; or a reset instead."""

    def __init__(self, reset: bool) -> None:
        super().__init__()
        self._reset = reset

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002
        """Wait, or break off."""
        if self._reset:
            scope["wire"].reset()
        while (await receive())["type"] != "http.disconnect":
            pass


def answer_instead(fault: str) -> Response | None:
    """Return the answer that a fault gives instead of the real one, or None.

    Raises
    ------
    ApiError
        For the faults that are errors of the API.
    """
    if fault in ERRORS:
        raise ERRORS[fault]
    if fault in {"silent", "reset-at-once"}:
        return Silence(reset=fault == "reset-at-once")
    if fault == "bad-gateway":
        return Response(HTML, 502, media_type="text/html")
    if fault == "empty-answer":
        return Response(None, 500)
    if fault == "redirect":
        return Response(None, 307, {"location": "/elsewhere"})
    return None
