"""What each fault makes of a stream's script: functions from script to script.

What the faults are and what a client should report stands in :mod:`firmly_nb.sim.behaviour`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import orjson

from firmly_nb.sim.script import Emission, format_event

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

Script = list[Emission]
HUGE_BYTES = 4 << 20
TRICKLE_MS = 0.2
GARBAGE = b"\xff\xfe\x00\x80 not: a field \xc3\x28\n: \xf0\x9f\n\n"


def spoil(script: Script, fault: str) -> Script:
    """Return the script with a fault in it; an unknown or empty name changes nothing."""
    if fault in CHANGES:
        return CHANGES[fault](script)
    if fault in REWRITES:
        return [replace(one, chunks=REWRITES[fault](one.chunks[0])) for one in script]
    return script


def _end_after(stage: str, then: str, extra: bytes = b"") -> Callable[[Script], Script]:
    def change(script: Script) -> Script:
        at = last_of(script, stage)
        chunks = (script[at].chunks[0] + extra,) if extra else script[at].chunks
        return [*script[:at], replace(script[at], chunks=chunks, then=then)]

    return change


def last_of(script: Script, stage: str) -> int:
    """Return where a stage's last event is; the first event of all, if the stage never comes."""
    return max((n for n, one in enumerate(script) if one.stage == stage), default=0)


def _half_event(script: Script) -> Script:
    at = last_of(script, "shipping-updated")
    half = script[at].chunks[0][: len(script[at].chunks[0]) // 2]
    return [*script[:at], replace(script[at], chunks=(half,), then="end")]


def _without_confirmation(then: str) -> Callable[[Script], Script]:
    def change(script: Script) -> Script:
        last = script[-1]
        if last.event == "error":
            return script
        return [*script[:-1], replace(last, stage="", event="", chunks=(), then=then)]

    return change


def _no_last_blank_line(script: Script) -> Script:
    last = script[-1]
    return [*script[:-1], replace(last, chunks=(last.chunks[0].removesuffix(b"\n"),))]


def _reordered(script: Script) -> Script:
    at, other = last_of(script, "item-added"), last_of(script, "shipping-updated")
    if at >= other:
        return script
    swapped = list(script)
    swapped[at] = replace(script[other], due_ms=script[at].due_ms)
    swapped[other] = replace(script[at], due_ms=script[other].due_ms)
    return swapped


def _buffered(script: Script) -> Script:
    joined = b"".join(one.chunks[0] for one in script)
    return [
        *(replace(one, chunks=()) for one in script[:-1]),
        replace(script[-1], chunks=(joined,)),
    ]


def _strange_data(script: Script) -> Script:
    at = last_of(script, "item-added")
    name = script[at].event.encode()
    broken = replace(script[at], chunks=(b"event: " + name + b'\ndata: {"cart": {"cart_id": \n\n',))
    return [*script[:at], broken, *script[at + 1 :]]


def _huge(script: Script) -> Script:
    at = last_of(script, "item-added")
    text = script[at].chunks[0]
    grown = text.replace(b'{"cart":{', b'{"cart":{"padding":"' + b"x" * HUGE_BYTES + b'",', 1)
    return [*script[:at], replace(script[at], chunks=(grown,)), *script[at + 1 :]]


def _inserted(extra: bytes) -> Callable[[Script], Script]:
    def change(script: Script) -> Script:
        return [
            part
            for one in script
            for part in (_aside(one, extra, 0.5), replace(one, due_ms=one.due_ms))
        ]

    return change


def _aside(one: Emission, extra: bytes, share: float) -> Emission:
    due_ms = one.due_ms - one.drawn_ms * share
    return Emission("", "", due_ms, 0.0, (extra,))


def _bom(script: Script) -> Script:
    first = script[0]
    return [replace(first, chunks=(b"\xef\xbb\xbf" + first.chunks[0],)), *script[1:]]


def _error_after(script: Script) -> Script:
    last = script[-1]
    late = {"code": 500, "error": "InternalError", "description": "after the order was placed"}
    return [*script, Emission("", "error", last.due_ms + 5, 5.0, (format_event("error", late),))]


def _lines(text: bytes, end: bytes) -> tuple[bytes, ...]:
    return (text.replace(b"\n", end),)


def _multi_line(text: bytes) -> tuple[bytes, ...]:
    """Spread the data over several lines."""
    head, _, data = text.partition(b"data: ")
    lines = orjson.dumps(orjson.loads(data), option=orjson.OPT_INDENT_2).split(b"\n")
    return (head + b"".join(b"data: " + line + b"\n" for line in lines) + b"\n",)


def _split(text: bytes) -> tuple[bytes, ...]:
    middle = len(text) // 2
    return (text[:middle], text[middle:])


def _with_id(text: bytes) -> tuple[bytes, ...]:
    return (b"id: %d\nretry: 3000\n" % len(text) + text,)


CHANGES: Mapping[str, Callable[[Script], Script]] = {
    "early-end": _end_after("item-added", "end"),
    "cut": _end_after("item-added", "cut"),
    "reset": _end_after("item-added", "reset"),
    "stall": _end_after("item-added", "stall"),
    "broken-chunk": _end_after("item-added", "broken-chunk"),
    "half-event": _half_event,
    "lost-confirmation": _without_confirmation("end"),
    "reset-after-order": _without_confirmation("reset"),
    "no-last-blank-line": _no_last_blank_line,
    "reordered": _reordered,
    "duplicated": lambda script: [part for one in script for part in (one, one)],
    "buffered": _buffered,
    "garbage-data": _strange_data,
    "garbage": _inserted(GARBAGE),
    "comments": _inserted(b": heartbeat\n\n"),
    "unknown-events": _inserted(
        b'event: loyalty-points\ndata: {"points": 12}\n\ndata: {"x": 1}\n\n'
    ),
    "huge": _huge,
    "bom": _bom,
    "error-after-order": _error_after,
}
REWRITES: Mapping[str, Callable[[bytes], tuple[bytes, ...]]] = {
    "crlf": lambda text: _lines(text, b"\r\n"),
    "cr": lambda text: _lines(text, b"\r"),
    "no-space": lambda text: (
        text.replace(b"event: ", b"event:", 1).replace(b"data: ", b"data:", 1),
    ),
    "multi-line": _multi_line,
    "trickle": lambda text: tuple(text[n : n + 1] for n in range(len(text))),
    "split": _split,
    "ids-and-retry": _with_id,
}
