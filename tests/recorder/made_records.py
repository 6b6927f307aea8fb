"""Records made by hand, to be changed where a test needs it."""

from __future__ import annotations

from firmly_nb.recorder.records import Event, Start

SECOND = 1_000_000_000
BEGIN = 1_790_000_000 * SECOND
NAMES = ("creating-cart", "item-added", "shipping-updated", "order-placed")


def start(number=1, **changes):
    values = {
        "recording_id": f"r{number}",
        "started_at_ns": BEGIN + number,
        "environment": "simulator",
        "domain": "a.test",
        "items": [{"variant_id": "a", "quantity": 2}],
        "sse": True,
        "connection": "warm",
        "timeout_s": 30.0,
    }
    return Start(**{**values, **changes})


def event(seq, name, data=None, **changes):
    values = {
        "seq": seq,
        "event": name,
        "data": data,
        "t_ns": seq * 10_000_001,
        "wall_ns": BEGIN + seq,
        "clock": "kernel",
        "uncertainty_us": 5.0 + seq,
        "read_no": seq,
        "coalesced": seq == 2,
        "read_delay_us": 1.5,
        "size": 2,
        "rtt_us": 40.0,
        "retransmits": 0,
        "reordered": 0,
    }
    return Event(**{**values, **changes})


def cart(total=100, **more):
    money = {"currency": "USD", "number": total, "value": total / 100}
    return {"cart": {"cart_id": "c1", "line_items": [], "total": money, **more}}
