"""Recordings to store, made by hand: every outcome, carts, runs, other vocabularies."""

from __future__ import annotations

import atexit
import shutil
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd

import firmly_nb as fnb
from firmly_nb.recorder.records import End, Phases
from firmly_nb.recordings.recording import Recording
from firmly_nb.store import StoreError
from tests.recorder.made_records import BEGIN, NAMES, SECOND, cart, event, start


@cache
def _copies():
    """Make a folder when it is first asked for: a child that is killed asks for none."""
    folder = TemporaryDirectory(prefix="firmly-nb-older-")
    atexit.register(folder.cleanup)
    return Path(folder.name)


def older(name):
    """What an older version wrote, copied: reading a set may add stages to it."""
    copy = _copies() / name
    if not copy.exists():
        shutil.copytree(Path(__file__).parent / "data" / name, copy)
    return copy


DAY = 86_400 * SECOND
TABLES = ("orders", "event_times", "stages", "events", "cart_events", "snapshots", "changes")
REFUSED, WARNED, EQUAL = "refused", "read with a warning", "every table equal"
ADDRESS = {"first_name": "Ada", "email": "ada@example.test", "city": "Seattle", "company": None}
MASKED = {"first_name": "***", "email": "***", "city": "Seattle", "company": None}


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


def same_table(found, expected):
    """Two tables are equal; what the categories of a column without values are says nothing."""
    empty = [
        name
        for name, kind in expected.dtypes.items()
        if kind == "category" and not len(expected[name].cat.categories)
    ]
    found, expected = (frame.astype(dict.fromkeys(empty, "str")) for frame in (found, expected))
    pd.testing.assert_frame_equal(found, expected)


def same(found, expected):
    """Two sets of recordings say the same in every respect."""
    assert [rec.records() for rec in found] == [rec.records() for rec in expected]
    for name in ("warnings", "cut_off", "comments_ms", "recorder", "timeout_s", "tags", "items"):
        assert [getattr(rec, name) for rec in found] == [getattr(rec, name) for rec in expected]
    assert [rec.outcome for rec in found] == [rec.outcome for rec in expected]
    for name in TABLES:
        same_table(getattr(found, name), getattr(expected, name))
    assert found.asked() == expected.asked()


# A set that is damaged on purpose; benchmarks/damage.py does it many times.


def files(folder):
    """The files of a saved set, in an order that does not change."""
    return sorted(path for path in folder.rglob("*") if path.is_file() and path.name[0] != ".")


def flip(path, bit):
    """Turn one bit of a file."""
    content = bytearray(path.read_bytes())
    content[bit // 8] ^= 1 << bit % 8
    path.write_bytes(content)


def how_it_reads(folder, expected):
    """How a damaged set is read; an AssertionError if a table changed and nothing is told."""
    try:
        found = fnb.load(folder)
        tables = {name: getattr(found, name) for name in TABLES}
        told = {rec.recording_id: rec.warnings for rec in found}
    except StoreError:
        return REFUSED
    if found.warnings or told != {rec.recording_id: rec.warnings for rec in expected}:
        return WARNED
    for name in TABLES:
        same_table(tables[name], getattr(expected, name))
    assert [rec.tags for rec in found] == [rec.tags for rec in expected]
    assert found.notes == expected.notes
    return EQUAL
