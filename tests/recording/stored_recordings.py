"""Recordings to store, made by hand: every outcome, carts, runs, other vocabularies."""

from __future__ import annotations

from firmly_nb.recording.recording import Recording
from firmly_nb.recording.records import End, Event, Phases, Start

SECOND = 1_000_000_000
BEGIN = 1_790_000_000 * SECOND
DAY = 86_400 * SECOND
NAMES = ("creating-cart", "item-added", "shipping-updated", "order-placed")
ADDRESS = {"first_name": "Ada", "email": "ada@example.test", "city": "Seattle", "company": None}
MASKED = {"first_name": "***", "email": "***", "city": "Seattle", "company": None}


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
    }
    return Event(**{**values, **changes})


def cart(total=100, **more):
    money = {"currency": "USD", "number": total, "value": total / 100}
    return {"cart": {"cart_id": "c1", "line_items": [], "total": money, **more}}


def placed(number=1, names=NAMES, **changes):
    events = [event(seq, name, cart(seq * 100)) for seq, name in enumerate(names, start=1)]
    phases = Phases(blocked_ns=1, waiting_ns=2_000_000)
    end = End("placed", 50_000_000, t_headers_ns=1_000, http_status=200, phases=phases)
    return Recording([start(number, **changes), *events, end])


def plain(number=2, **changes):
    """An order without events: its answer is the only cart."""
    answer = cart()["cart"] | {"platform_order_number": "100", "shipping_info": dict(MASKED)}
    end = End("placed", 20_000_000, confirmation=answer, http_status=200)
    return Recording([start(number, sse=False, **changes), end])


def declined(number=3, **changes):
    error = {"error": "ErrorPaymentDeclined", "description": "no"}
    end = End(
        "error_event",
        20_000_000,
        error_code="ErrorPaymentDeclined",
        comments_ns=[5, 7],
        unfinished_bytes=3,
        clock_step_us=12.5,
        warnings=["the wall clock was stepped"],
    )
    told = [event(1, "creating-cart", cart()), event(2, "error", error, id="7", raw="{}")]
    return Recording([start(number, **changes), *told, end])


def cut_off(number=4, **changes):
    records = [start(number, **changes), event(1, "creating-cart", cart())]
    return Recording(records, ["the recording was cut off after 1 events"])


def several():
    """One of each kind, over three days, two merchants and two runs."""
    guide = ("order_processing", "payment_processing", "order_completed")
    return [
        placed(1, run_id="run-1", tags={"release": "1"}),
        plain(2),
        declined(3, domain="b.test", schedule_lag_ns=5_000, run_id="run-1"),
        cut_off(4, started_at_ns=BEGIN + DAY),
        placed(5, names=guide, domain="b.test", started_at_ns=BEGIN + DAY + 1, run_id="run-2"),
        placed(
            6,
            names=("hello", "there", "hello"),
            milestones=["hello", "there"],
            started_at_ns=BEGIN + 2 * DAY,
        ),
        Recording([start(7, started_at_ns=BEGIN + 2 * DAY + 1), End("timeout", 30 * SECOND)]),
        placed(8, names=("item-added", "creating-cart", "order-placed", "item-added", "error"),
               started_at_ns=BEGIN + 2 * DAY + 2, recorder={"python": "3.11"}),
    ]  # fmt: skip
