"""Recordings as a trace that the Perfetto UI opens: JSON of Chrome's trace format.

Times count from the start of the first order: a time of the clock in microseconds would not keep
its nanoseconds as a JSON number.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson

from firmly_nb.disk import write_whole
from firmly_nb.display.messages import coded_error
from firmly_nb.display.paths import expanded
from firmly_nb.display.text import printable
from firmly_nb.exchange.har import iso, started_ns
from firmly_nb.outcomes import outcome
from firmly_nb.recorder.masking import shareable
from firmly_nb.recorder.tables import order_row

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    import pandas as pd

    from firmly_nb.recorder.records import Recorded

PROCESS = 1
LONGEST = 60  # characters of a name
OF_ORDERS = ("recording_id", "run_id", "domain", "order_number", "order_exists", "error_code")


def write_trace(
    orders: Iterable[Recorded], stages: pd.DataFrame, path: str | os.PathLike[str]
) -> Path:
    """Write recordings as a trace; see ``Recordings.perfetto``.

    Parameters
    ----------
    orders
        The recordings; what names a person is masked.
    stages
        Their stages.
    path
        The file.

    Raises
    ------
    OSError
        If it cannot be written.
    """
    where = expanded(path)
    held = [shareable(order) for order in orders]
    begins = [started_ns(order) for order in held]
    first_ns = min((ns for ns in begins if ns is not None), default=0)
    reached = stages[stages["duration_ms"] >= 0]
    by_order = dict(tuple(reached.groupby("recording_id", sort=False)))
    events: list[dict[str, Any]] = [_named("process_name", 0, "firmly-nb orders")]
    for track, (order, begin) in enumerate(zip(held, begins, strict=True), start=1):
        # An order whose start nobody told begins with the first.
        begin_us = 0.0 if begin is None else (begin - first_ns) / 1000
        mine = by_order.get(order.start.recording_id, reached[:0])
        events += _track(order, mine, track, begin_us)
    trace = {
        "traceEvents": events,
        "displayTimeUnit": "ms",
        "otherData": {"begins_at": iso(first_ns) if first_ns else "not known"},
    }
    try:
        write_whole(where, orjson.dumps(trace))
    except OSError as error:
        text = f"{where} cannot be written: {error.strerror}. Name a file in a folder that exists."
        raise coded_error(type(error), "FNB441", text) from error
    return where


def _track(
    order: Recorded, stages: pd.DataFrame, track: int, begin_us: float
) -> Iterator[dict[str, Any]]:
    start, events, end = order[:3]
    row = order_row(start, events, end)
    number = row["order_number"] or outcome(end.outcome).word
    yield _named("thread_name", track, printable(f"{start.domain} {number}", LONGEST))
    yield {**_at("M", track), "name": "thread_sort_index", "args": {"sort_index": track}}
    last_ns = max([end.t_end_ns, *(event.t_ns for event in events)])
    held = {name: row[name] for name in OF_ORDERS if row[name] is not None}
    yield {
        **_at("X", track),
        "name": f"order: {outcome(end.outcome).word}",
        "ts": begin_us,
        "dur": last_ns / 1000,
        "args": {**held, "tags": start.tags},
    }
    before_ms = 0.0
    for stage in stages.sort_values("end_ms", kind="stable").to_dict("records"):
        # Stages of one track follow one another: what overlaps has no place in it.
        from_ms = max(stage["start_ms"], before_ms)
        before_ms = stage["end_ms"]
        yield {
            **_at("X", track),
            "name": printable(stage["stage"], LONGEST),
            "ts": begin_us + from_ms * 1000,
            "dur": (stage["end_ms"] - from_ms) * 1000,
            "args": {"bound_us": stage["uncertainty_us"], "coalesced": stage["coalesced"]},
        }
    for event in events:
        yield {
            **_at("i", track),
            "name": printable(event.event, LONGEST),
            "ts": begin_us + event.t_ns / 1000,
            "s": "t",
            "args": {
                "seq": event.seq,
                "bound_us": event.uncertainty_us,
                "clock": event.clock,
                "bytes": event.size,
            },
        }


def _at(phase: str, track: int) -> dict[str, Any]:
    return {"ph": phase, "pid": PROCESS, "tid": track, "cat": "firmly"}


def _named(what: str, track: int, name: str) -> dict[str, Any]:
    return {**_at("M", track), "name": what, "args": {"name": name}}
