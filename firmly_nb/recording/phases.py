"""Connection phases of one request, from httpcore's trace extension.

metrics.md, section 2: blocked, connecting, tls, sending, waiting.
"""

from __future__ import annotations

from typing import Any

from firmly_nb.recording.network import monotonic_ns
from firmly_nb.recording.records import Phases

SENDING = "http11.send_request_headers.started"


class PhaseClock:
    """Notes when each phase of a request began and ended.

    Pass :meth:`trace` as the request's ``trace`` extension.
    """

    def __init__(self) -> None:
        self.times: dict[str, int] = {}
        self.sent = False  # whether the network was given any byte of the request, or was about to

    async def trace(self, event_name: str, info: dict[str, Any]) -> None:
        """Take one trace event, e.g. ``http11.send_request_headers.started``."""
        # Behind a proxy there are two requests, CONNECT and ours: the later one counts.
        self.times[event_name] = monotonic_ns()
        if event_name == SENDING:
            self.sent = self.sent or getattr(info.get("request"), "method", b"") != b"CONNECT"

    @property
    def connected(self) -> bool:
        """Whether a connection was opened for this request."""
        return "connection.connect_tcp.started" in self.times

    def phases(self, t_start: int, t_headers: int | None) -> Phases:
        """Return the durations that are known, as far as the request got."""
        at = self.times.get
        connect0, connect1 = (
            at("connection.connect_tcp.started"),
            at("connection.connect_tcp.complete"),
        )
        send0, send1 = (
            at(SENDING),
            at("http11.send_request_body.complete"),
        )
        tls0, tls1 = at("connection.start_tls.started"), at("connection.start_tls.complete")
        if send1 is not None and t_headers is not None:
            # The kernel dates the answer; a recorder that was held up notes its sending later.
            send1 = min(send1, t_headers)
        return Phases(
            blocked_ns=_between(t_start, connect0 or send0),
            connecting_ns=_between(connect0, connect1),
            tls_ns=_between(tls0, tls1),
            sending_ns=_between(send0, send1),
            waiting_ns=_between(send1, t_headers),
        )


def _between(begin: int | None, end: int | None) -> int | None:
    return None if begin is None or end is None else end - begin
