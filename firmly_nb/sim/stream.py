"""Responses to an order: its script, each event in one write at its time; or one JSON body.

Times are absolute deadlines, so that a late event does not make the next one late too. The stream
starts when the request has passed validation; delays count from there. An order goes on when its
client has gone away, as it would at most services (guessed).
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

import orjson
from starlette.responses import Response
from typing_extensions import override

from firmly_nb.sim.answers import error_answer
from firmly_nb.sim.behaviour import FAULTS
from firmly_nb.sim.faults import relabel
from firmly_nb.sim.wire import until_gone

if TYPE_CHECKING:
    from collections.abc import Sequence

    from firmly_nb.sim.placement import Emission, Step
    from firmly_nb.sim.wire import Receive, Scope, Send, StampedTransport
    from firmly_nb.sim.world import World


class EventStream(Response):
    """A response that is an event stream.

    Parameters
    ----------
    script
        Events and other bytes to send.
    device_id
        The device whose cart changes with it.
    facts
        Part of the truth log that all events of this order share.
    """

    def __init__(
        self, world: World, script: Sequence[Emission], device_id: str, facts: dict[str, Any]
    ) -> None:
        headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
        super().__init__(None, 200, headers, media_type="text/event-stream")
        del self.headers["content-length"]
        self._world = world
        self._script = script
        self._device_id = device_id
        self._facts = facts

    @override
    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        # To its end, even if the client is gone.
        gone = asyncio.create_task(until_gone(receive))
        try:
            await self._play(scope["wire"], send, gone)
        finally:
            gone.cancel()

    async def _play(self, wire: StampedTransport, send: Send, gone: asyncio.Task[None]) -> None:
        start = time.monotonic_ns()
        await send(
            {"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers}
        )
        for seq, one in enumerate(self._script):
            due_ns = start + int(one.due_ms * 1e6)
            await sleep_until(due_ns)
            if one.cart is not None:
                self._world.put_cart(self._device_id, one.cart)
            if one.chunks and not gone.done():
                await self._send_chunks(wire, send, one, seq, due_ns)
            if one.then == "stall":
                await gone
            if broke_off(wire, one.then):
                await gone
                return
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _send_chunks(
        self, wire: StampedTransport, send: Send, one: Emission, seq: int, due_ns: int
    ) -> None:
        first, *others = one.chunks
        await send({"type": "http.response.body", "body": first, "more_body": True})
        sent = wire.wall_ns, wire.mono_ns
        for chunk in others:
            await asyncio.sleep(0)
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
        what = {
            "seq": seq,
            "stage": one.stage,
            "event": one.event,
            "drawn_ms": one.drawn_ms,
            "due_ms": one.due_ms,
        }
        size = sum(map(len, one.chunks))
        self._world.truth.add(truth_entry(self._facts | what, due_ns, sent, wire.wall_ns, size))


def broke_off(wire: StampedTransport, how: str) -> bool:
    """Break the connection off, if the script says so, and return whether it did."""
    if how == "broken-chunk":
        wire.write(b"ZZZ not a chunk size\r\n")
    if how in {"cut", "broken-chunk"}:
        wire.close()
    if how == "reset":
        wire.reset()
    return how in {"cut", "broken-chunk", "reset"}


async def sleep_until(mono_ns: int) -> None:
    """Sleep until a time of the monotonic clock."""
    left = mono_ns - time.monotonic_ns()
    if left > 0:
        await asyncio.sleep(left / 1e9)


class PlainAnswer(Response):
    """A response with the order as one JSON body.

    Parameters
    ----------
    steps, delays
        The order's steps and the delays of its stages; the response comes when the last has passed.
    facts
        Part of the truth log's entry.
    """

    def __init__(
        self,
        world: World,
        steps: Sequence[Step],
        delays: Sequence[tuple[str, float]],
        device_id: str,
        facts: dict[str, Any],
    ) -> None:
        super().__init__()
        self._world = world
        self._steps = steps
        self._due_ms = sum(ms for _, ms in delays[: len(steps)])
        self._drawn_ms = delays[len(steps) - 1][1]
        self._device_id = device_id
        self._facts = facts

    @override
    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        due_ns = time.monotonic_ns() + int(self._due_ms * 1e6)
        await sleep_until(due_ns)
        fault = FAULTS.get(self._facts["fault"])
        how = fault.plain_do if fault else ""
        done = self._steps[:-1] if fault and how and not fault.placed else self._steps
        if done:
            self._world.put_cart(self._device_id, done[-1].cart)
        if how == "stall":
            await until_gone(receive)
        if how == "reset":
            scope["wire"].reset()
            await until_gone(receive)
            return
        answer = self._answer(how)
        if how == "cut":
            await _cut_short(answer, scope, send)
            await until_gone(receive)
            return
        await answer(scope, receive, send)
        what = {
            "seq": 0,
            "stage": self._steps[-1].stage,
            "event": "",
            "drawn_ms": self._drawn_ms,
            "due_ms": self._due_ms,
        }
        wire = scope["wire"]
        sent = wire.wall_ns, wire.mono_ns
        facts = self._facts | what
        self._world.truth.add(truth_entry(facts, due_ns, sent, wire.wall_ns, len(answer.body)))

    def _answer(self, how: str) -> Response:
        last = self._steps[-1]
        if last.error:
            return error_answer(last.error, self._world.settings)
        body = orjson.dumps(next(iter(last.payload.values())))
        if how == "halve":
            body = body[: len(body) // 2]
        answer = Response(body, media_type="application/json")
        relabel(answer, self._facts["fault"])
        return answer


def truth_entry(
    facts: dict[str, Any], due_ns: int, sent: tuple[int, int], ended_wall_ns: int, size: int
) -> dict[str, Any]:
    """Return an entry of the truth log: times of both clocks, and how late it was sent."""
    return {
        **facts,
        "sent_wall_ns": sent[0],
        "sent_mono_ns": sent[1],
        "ended_wall_ns": ended_wall_ns,
        "late_us": (sent[1] - due_ns) / 1000,
        "bytes": size,
    }


def arrival_entry(facts: dict[str, Any]) -> dict[str, Any]:
    """Return the truth log's entry of a request that came before: when it came again."""
    what = {"seq": 0, "stage": "", "event": "", "drawn_ms": 0.0, "due_ms": 0.0}
    at = time.time_ns(), time.monotonic_ns()
    return truth_entry(facts | what, at[1], at, at[0], 0)


async def _cut_short(answer: Response, scope: Scope, send: Send) -> None:
    """Send the first half of a response, then hang up."""
    head = {"type": "http.response.start", "status": 200, "headers": answer.raw_headers}
    await send(head)
    half = answer.body[: len(answer.body) // 2]
    await send({"type": "http.response.body", "body": half, "more_body": True})
    scope["wire"].close()
