"""Made-up recordings in the structure of real ones, as many as one likes: for ``benchmarks.store``.

Carts are those of ``benchmarks.carts`` with one to three lines; four merchants, ten days; one
order in twenty is declined, one in fifty times out.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import orjson

from benchmarks.carts import carts
from firmly_nb.recorder.records import End, Event, Phases, Record, Start
from firmly_nb.recordings.recording import Recording

if TYPE_CHECKING:
    from collections.abc import Iterator

NAMES = ("creating-cart", "item-added", "shipping-updated", "order-placed")
MEDIANS_MS = (95, 380, 470, 210)
DOMAINS = ("staging.luma.gift", "mugs.test", "tees.test", "lamps.test")
BEGIN_NS = 1_790_000_000 * 10**9
DAYS = 10
RECORDER = {
    "firmly_nb": "0.1.0",
    "python": "3.11.7",
    "platform": "Linux x86_64",
    "process": "own",
}


def recordings(count: int, seed: int = 7) -> Iterator[Recording]:
    """Make recordings one by one, oldest first."""
    draw = random.Random(seed)
    snapshots = [carts(draw, lines) for lines in (1, 1, 2, 3) for _ in range(250)]
    for number in range(count):
        yield Recording(_records(draw, number, count, draw.choice(snapshots)))


def _records(draw: random.Random, number: int, count: int, cart: list[Any]) -> list[Record]:
    begin = BEGIN_NS + number * (DAYS * 86_400 * 10**9 // count)
    start = Start(
        recording_id=f"20260921T{number:06d}-{draw.getrandbits(32):08x}",
        started_at_ns=begin,
        environment="simulator",
        domain=DOMAINS[number % len(DOMAINS)],
        items=[{"variant_id": f"MUG-{number % 97}", "quantity": 1}],
        sse=True,
        connection="warm",
        timeout_s=120.0,
        run_id="monday",
        schedule_lag_ns=draw.randrange(100_000),
        recorder=RECORDER,
    )
    fate = draw.random()
    names = NAMES if fate > 0.07 else NAMES[:3]
    # Now and then a merchant says twice that it updated the shipping.
    names = (*names[:3], NAMES[2], *names[3:]) if draw.random() < 0.3 else names
    end: dict[str, Any] = {"outcome": "placed"}
    if fate <= 0.05:
        names = (*names, "error")
        end = {"outcome": "error_event", "error_code": "ErrorPaymentDeclined"}
    elif fate <= 0.07:
        end = {"outcome": "timeout", "error_code": "Timeout"}
    events = list(_events(draw, begin, names, cart))
    phases = Phases(blocked_ns=210_000, sending_ns=draw.randrange(90_000), waiting_ns=2_000_000)
    t_end = events[-1].t_ns + 150_000
    status: dict[str, Any] = {"t_headers_ns": 2_300_000, "http_status": 200, "phases": phases}
    return [start, *events, End(t_end_ns=t_end, connection="warm", **status, **end)]


def _events(
    draw: random.Random, begin: int, names: tuple[str, ...], cart: list[Any]
) -> Iterator[Event]:
    at = 2_300_000
    for seq, name in enumerate(names, start=1):
        median = MEDIANS_MS[NAMES.index(name)] if name in NAMES else 60
        at += int(median * 1e6 * draw.lognormvariate(0, 0.35))
        snapshot = cart[-1] if name == "order-placed" else cart[min(seq, 3)]
        data: Any = {"order" if name == "order-placed" else "cart": snapshot | {"seq": seq}}
        if name == "error":
            data = {"error": "ErrorPaymentDeclined", "description": "The card was declined"}
        yield Event(
            seq=seq,
            event=name,
            data=data,
            t_ns=at,
            wall_ns=begin + at,
            clock="kernel",
            uncertainty_us=40 + draw.random() * 60,
            read_no=seq + 1,
            coalesced=draw.random() < 0.01,
            read_delay_us=30 + draw.random() * 40,
            size=len(orjson.dumps(data)),
            rtt_us=float(draw.randrange(40, 90)),
            retransmits=0,
            reordered=0,
        )
