"""Replay: each order is answered with what was recorded, each event at its recorded time.

Recorded times count from before the request was sent. The nearest to it that a server sees is the
first byte of the request, so times count from there, less what it takes on loopback to get here.
"""

from __future__ import annotations

import asyncio
import time
from itertools import groupby
from typing import TYPE_CHECKING, Any

from starlette.responses import Response
from typing_extensions import override

from firmly_nb.sim.answers import ApiError, invalid
from firmly_nb.sim.faults import fault_by_header
from firmly_nb.sim.stream import broke_off, truth_entry
from firmly_nb.sim.wire import until_gone

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from starlette.requests import Request

    from firmly_nb.sim.tape import Tape, Warp
    from firmly_nb.sim.truth import TruthLog
    from firmly_nb.sim.wire import Receive, Scope, Send, StampedTransport


ON_THE_WAY_NS = 950_000  # from a client's decision to send until the first byte is read here
AWAKE_NS = 1_200_000
NOT_RECORDED = frozenset(
    (
        *("complete_order", "add_line_item", "clear_cart", "update_line_item"),
        *("set_shipping_info", "set_billing_info", "set_shipping_method"),
        *("set_fulfillment_type", "get_availability", "add_promo_codes", "clear_promo_codes"),
        *("add_item", "update_item", "set_one_shipping_method"),
    )
)


def replayed(
    request: Request,
    device_id: str,
    domain: str,
    items: Sequence[tuple[Mapping[str, Any], int]],
    facts: dict[str, Any],
) -> Response:
    """Return the recorded response to an order.

    Raises
    ------
    ApiError
        If such an order was never recorded, or a fault or profile is asked for.
    """
    world = request.app.state.world
    if fault_by_header(request) or request.headers.get("x-sim-profile"):
        raise invalid("x-sim-fault, x-sim-profile: a replay has only what was recorded")
    tape: Tape = world.tape
    answer = tape.take(domain, items, facts["mode"] == "sse")
    tape.keep_cart(device_id, domain, answer["cart"])
    facts |= {"recording_id": answer["recording_id"], "profile": "replay"}
    return Replayed(world.truth, answer, tape.warped(answer), facts)


class Replayed(Response):
    """A response that was recorded, at its recorded times.

    Parameters
    ----------
    truth
        Where what is sent is noted.
    answer
        What came back then.
    due
        When something is due, by the time when it was recorded.
    facts
        Part of the truth log that all events of this order share.
    """

    def __init__(
        self, truth: TruthLog, answer: dict[str, Any], due: Warp, facts: dict[str, Any]
    ) -> None:
        status = answer["status"]
        super().__init__(None, status or 200)
        self._truth = truth
        self._answer = answer
        self._due = due
        self._facts = facts
        self.raw_headers = [
            (name.encode(), value.strip().encode()) for name, value in answer["headers"]
        ]
        length = answer.get("length")
        if length is None and not answer["parts"] and status and answer["then"] == "on":
            length = None if _is_stream(answer) else 0
        if length is not None:
            self.raw_headers.append((b"content-length", str(length).encode()))

    @override
    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        gone = asyncio.create_task(until_gone(receive))
        try:
            await self._play(scope["wire"], send, gone)
        finally:
            gone.cancel()

    async def _play(self, wire: StampedTransport, send: Send, gone: asyncio.Task[None]) -> None:
        answer, due = self._answer, self._due
        start_ns = wire.received_ns - ON_THE_WAY_NS
        if answer["status"] is not None:
            await _until(start_ns + due(answer["head_ns"] or 0), gone)
            head = {"status": self.status_code, "headers": self.raw_headers}
            await send({"type": "http.response.start", **head})
        for seq, (t_ns, parts) in enumerate(_at_once(answer["parts"])):
            due_ns = start_ns + due(t_ns)
            await _until(due_ns, gone)
            if gone.done():
                return
            content = "".join(text for _, text, *_ in parts).encode()
            await send({"type": "http.response.body", "body": content, "more_body": True})
            self._note(wire, seq, parts, due_ns - start_ns, due_ns)
        if answer["then"] == "stall":
            await gone
            return
        await _until(start_ns + due(answer["end_ns"]), gone)
        if gone.done():
            return
        if broke_off(wire, answer["then"]):
            await gone
            return
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    def _note(
        self, wire: StampedTransport, seq: int, parts: Sequence[Any], due_ns: int, at_ns: int
    ) -> None:
        for _, text, event, stage in parts:
            what = {
                "seq": seq,
                "stage": stage,
                "event": event,
                "drawn_ms": 0.0,
                "due_ms": due_ns / 1e6,
            }
            sent = wire.wall_ns, wire.mono_ns
            size = len(text.encode())
            self._truth.add(truth_entry(self._facts | what, at_ns, sent, wire.wall_ns, size))


def _is_stream(answer: Mapping[str, Any]) -> bool:
    return any(
        name == "content-type" and "event-stream" in value for name, value in answer["headers"]
    )


def _at_once(parts: Sequence[Any]) -> Iterator[tuple[int, list[Any]]]:
    """Yield what came with one read together, so that it comes with one read again."""
    for t_ns, group in groupby(parts, key=lambda part: part[0]):
        yield t_ns, list(group)


async def _until(mono_ns: int, gone: asyncio.Task[None]) -> None:
    """Wait for a time of the monotonic clock, or until the client has gone.

    An event loop sleeps in whole milliseconds and wakes up after the time. So the last of them is
    spent awake.
    """
    rest_ns = mono_ns - time.monotonic_ns()
    if rest_ns > AWAKE_NS:
        await asyncio.wait({gone}, timeout=(rest_ns - AWAKE_NS) / 1e9)
    while not gone.done() and time.monotonic_ns() < mono_ns:  # noqa: ASYNC110 - waits for a time
        await asyncio.sleep(0)


async def not_recorded(request: Request) -> Response:
    """Refuse a call that a replay has no answer to."""
    del request
    raise ApiError("RouteNotFound", "this is a replay: it answers Place Order alone")
