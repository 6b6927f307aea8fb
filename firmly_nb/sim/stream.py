"""Sending a script over a connection: each event in one write, at its time.

Times are absolute deadlines, so that a late event does not make the next one late too. The stream
starts when the request has passed validation; delays count from there.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

from starlette.responses import Response

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from firmly_nb.sim.script import Emission
    from firmly_nb.sim.wire import Receive, Scope, Send, StampedTransport
    from firmly_nb.sim.world import World


class EventStream(Response):
    """An answer that is an event stream.

    Parameters
    ----------
    script
        What to send.
    device_id
        Whose cart changes with it.
    facts
        What the truth log says of every event of this order.
    """

    def __init__(
        self, world: World, script: Sequence[Emission], device_id: str, facts: Mapping[str, Any]
    ) -> None:
        headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
        super().__init__(None, 200, headers, media_type="text/event-stream")
        del self.headers["content-length"]
        self._world = world
        self._script = script
        self._device_id = device_id
        self._facts = facts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Play the script until its end, or until the client is gone."""
        gone = asyncio.create_task(_until_gone(receive))
        playing = asyncio.create_task(self._play(scope["wire"], send))
        try:
            await asyncio.wait({gone, playing}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            gone.cancel()
            playing.cancel()
        if playing.done() and not playing.cancelled():
            playing.result()

    async def _play(self, wire: StampedTransport, send: Send) -> None:
        start = time.monotonic_ns()
        await send(
            {"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers}
        )
        for seq, one in enumerate(self._script):
            due_ns = start + int(one.due_ms * 1e6)
            await sleep_until(due_ns)
            if one.cart is not None:
                self._world.put_cart(self._device_id, one.cart)
            for n, chunk in enumerate(one.chunks):
                await self._send_chunk(send, chunk, n, one)
                if n == 0:
                    self._note(wire, one, seq, due_ns)
            if await self._broke_off(wire, one):
                return
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _send_chunk(self, send: Send, chunk: bytes, n: int, one: Emission) -> None:
        if n and one.gap_ms:
            await asyncio.sleep(one.gap_ms / 1000)
        elif n:
            await asyncio.sleep(0)
        await send({"type": "http.response.body", "body": chunk, "more_body": True})

    async def _broke_off(self, wire: StampedTransport, one: Emission) -> bool:
        if one.then == "stall":
            await asyncio.Event().wait()
        elif one.then == "reset":
            wire.reset()
        elif one.then == "cut":
            wire.close()
        elif one.then == "broken-chunk":
            wire.write(b"ZZZ this is no chunk size\r\n")
            wire.close()
        return one.then in {"reset", "cut", "broken-chunk"}

    def _note(self, wire: StampedTransport, one: Emission, seq: int, due_ns: int) -> None:
        self._world.truth.add(
            {
                **self._facts,
                "seq": seq,
                "stage": one.stage,
                "event": one.event,
                "drawn_ms": one.drawn_ms,
                "due_ms": one.due_ms,
                "sent_wall_ns": wire.wall_ns,
                "sent_mono_ns": wire.mono_ns,
                "late_us": (wire.mono_ns - due_ns) / 1000,
                "bytes": sum(map(len, one.chunks)),
            }
        )


async def sleep_until(mono_ns: int) -> None:
    """Sleep until a time of the monotonic clock."""
    left = mono_ns - time.monotonic_ns()
    if left > 0:
        await asyncio.sleep(left / 1e9)


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
