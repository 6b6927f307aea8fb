"""The answer without a stream: the same order, the same time in all, one JSON body at the end."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import orjson
from starlette.responses import Response

from firmly_nb.sim.answers import error_answer
from firmly_nb.sim.stream import sleep_until, until_gone

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from firmly_nb.sim.placement import Step
    from firmly_nb.sim.wire import Receive, Scope, Send
    from firmly_nb.sim.world import World

HALVED = frozenset({"early-end", "half-event"})
CUT = frozenset({"cut", "broken-chunk", "lost-confirmation"})
RESET = frozenset({"reset", "reset-after-order"})
WITHOUT_ORDER = frozenset({"early-end", "half-event", "cut", "broken-chunk", "reset", "stall"})


class PlainAnswer(Response):
    """An order's answer as one JSON body.

    Parameters
    ----------
    steps, delays
        The order's steps and the delays of its stages; the answer comes when the last has passed.
    facts
        What the truth log says of the answer.
    """

    def __init__(
        self,
        world: World,
        steps: Sequence[Step],
        delays: Sequence[tuple[str, float]],
        device_id: str,
        facts: Mapping[str, Any],
    ) -> None:
        super().__init__()
        self._world = world
        self._steps = steps
        self._due_ms = sum(ms for _, ms in delays[: len(steps)])
        self._drawn_ms = delays[len(steps) - 1][1]
        self._device_id = device_id
        self._facts = facts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Wait until the order is through, keep its cart, and answer."""
        due_ns = time.monotonic_ns() + int(self._due_ms * 1e6)
        await sleep_until(due_ns)
        fault = self._facts["fault"]
        done = self._steps if fault not in WITHOUT_ORDER else self._steps[:-1]
        if done:
            self._world.put_cart(self._device_id, done[-1].cart)
        if fault == "stall":
            await until_gone(receive)
        if fault in RESET:
            scope["wire"].reset()
            await until_gone(receive)
            return
        answer = self._answer(fault)
        if fault in CUT:
            await _cut_short(answer, scope, send)
            await until_gone(receive)
            return
        await answer(scope, receive, send)
        self._note(scope, due_ns, len(answer.body))

    def _answer(self, fault: str) -> Response:
        last = self._steps[-1]
        if last.error:
            return error_answer(last.error, self._world.settings)
        body = orjson.dumps(next(iter(last.payload.values())))
        if fault in HALVED:
            body = body[: len(body) // 2]
        answer = Response(body, media_type="application/json")
        if fault == "content-type":
            answer.headers["content-type"] = "text/html"
        return answer

    def _note(self, scope: Scope, due_ns: int, size: int) -> None:
        wire = scope["wire"]
        self._world.truth.add(
            {
                **self._facts,
                "seq": 0,
                "stage": self._steps[-1].stage,
                "event": "",
                "drawn_ms": self._drawn_ms,
                "due_ms": self._due_ms,
                "sent_wall_ns": wire.wall_ns,
                "sent_mono_ns": wire.mono_ns,
                "ended_wall_ns": wire.wall_ns,
                "late_us": (wire.mono_ns - due_ns) / 1000,
                "bytes": size,
            }
        )


async def _cut_short(answer: Response, scope: Scope, send: Send) -> None:
    """Send the first half of an answer, then hang up."""
    head = {"type": "http.response.start", "status": 200, "headers": answer.raw_headers}
    await send(head)
    half = answer.body[: len(answer.body) // 2]
    await send({"type": "http.response.body", "body": half, "more_body": True})
    scope["wire"].close()
