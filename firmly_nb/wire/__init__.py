"""From the kernel to events: stamps, sockets, an HTTP transport, Server-Sent Events.

- ``sse``: :class:`EventStreamParser` turns bytes into :class:`ServerSentEvent`; what breaks the
  rules or the limits is an :class:`EventStreamError`;
- ``transport``: :class:`StampingTransport`: httpx with the arrival time of each read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from firmly_nb.faces import show

if TYPE_CHECKING:
    from firmly_nb.wire.sse import (
        EventStreamError,
        EventStreamParser,
        EventTooLargeError,
        ServerSentEvent,
        StreamTooLargeError,
    )
    from firmly_nb.wire.transport import StampingTransport

__all__ = [
    "EventStreamError",
    "EventStreamParser",
    "EventTooLargeError",
    "ServerSentEvent",
    "StampingTransport",
    "StreamTooLargeError",
]

show(
    __name__,
    {
        "sse": (
            "EventStreamError EventStreamParser EventTooLargeError ServerSentEvent "
            "StreamTooLargeError"
        ),
        "transport": "StampingTransport",
    },
)
